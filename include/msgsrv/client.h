/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A client: one server's address, one connection at a time, many calls on it.
 *
 * Programs call methods through the functions that protoc-gen-msgsrv generates; here is what they have in common. A client has
 * one of three kinds of loop:
 *
 * - **a private one** (the default): no thread is made. A synchronous call drives it in the calling thread; msgsrv_client_poll() does for
 *   asynchronous ones. For one thread at a time: a second one meanwhile gets #MSGSRV_FAILED_PRECONDITION.
 * - **a thread of its own** (options.thread): asynchronous and synchronous calls, from any thread. Callbacks run on the client's thread.
 * - **the caller's `event_base`** (options.base): asynchronous calls, from the base's thread. A synchronous one, and any inside a
 *   callback of the client's own, is #MSGSRV_FAILED_PRECONDITION instead of a hang.
 *
 * Without a connection: a call joins the attempt in progress or starts one, and ends #MSGSRV_UNAVAILABLE with the reason when that
 * fails. After a failure further attempts wait (100 ms, then 1.6 times as long each time, to 10 s, each ±20 %), and calls made
 * meanwhile fail at once with the last reason; with `wait_for_ready` they wait, within their deadline. Calls that were not written
 * yet, or that a draining server did not take, go out on the next connection; those written and unanswered when a connection
 * is lost end #MSGSRV_UNAVAILABLE and are never repeated by the library.
 */
#ifndef MSGSRV_CLIENT_H
#define MSGSRV_CLIENT_H

#include <msgsrv/call.h>
#include <msgsrv/log.h>

struct event_base;

/** A client. Opaque. */
typedef struct msgsrv_client msgsrv_client;

/** Options of a client; as for a server, zero is the default and a bad value is named. */
typedef struct msgsrv_client_options {
    size_t size; /**< sizeof(msgsrv_client_options), or 0 for its size in 1.0. It grows only at the end. */

    struct event_base *base; /**< The caller's loop. Must outlive the client. Not together with `thread`. */
    bool thread;             /**< A thread of the client's own. */
    bool wait_for_ready;     /**< The default of the calls' own option. */

    uint32_t timeout_ms;         /**< The deadline of a unary call that names none; default 30,000, from 1, or NONE. */
    uint32_t connect_timeout_ms; /**< For one attempt: looking the name up and trying all its addresses, which share it evenly;
                                      default 5,000, from 1. */
    uint32_t backoff_min_ms; /**< The first pause after a failed attempt; default 100, from 1. */
    uint32_t backoff_max_ms; /**< The longest; default 10,000, not below backoff_min_ms. */

    uint32_t max_message; /**< Bytes of one reply; default 4 MiB, 1 to 64 MiB. Over it the call ends #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t max_metadata; /**< Bytes of metadata, each way; default 8 KiB, 1 to 12 KiB. */
    uint32_t max_calls; /**< Calls open at once; default 100,000, from 1. Over it: #MSGSRV_RESOURCE_EXHAUSTED. Beyond the
                                server's own limit of a connection, the server refuses. */

    uint32_t keepalive_idle_s;     /**< TCP keepalive, as in msgsrv_server_options; default 60, or NONE. */
    uint32_t keepalive_interval_s; /**< Default 20. */
    uint32_t keepalive_count;      /**< Default 3. */

    msgsrv_log_fn log;          /**< Takes the log; default none. */
    void *log_ctx;              /**< Its context; must outlive the client. */
    msgsrv_log_level log_level; /**< Default #MSGSRV_LOG_WARNING. */
} msgsrv_client_options;

/** Options of one call. `{0}` and NULL are all defaults. */
typedef struct msgsrv_call_options {
    size_t size; /**< sizeof(msgsrv_call_options), or 0 for its size in 1.0. It grows only at the end. */

    uint32_t timeout_ms; /**< The deadline from now; default the client's, of a stream none; or NONE. It travels to the server. */
    bool wait_for_ready; /**< Wait for a connection, within the deadline, instead of failing while there is none. */
    msgsrv_call *parent; /**< The call that this one is made for, in whose handler we are: what is left of its deadline bounds
                               this one's, and its cancellation cancels this one. Default none. */

    const msgsrv_metadata *metadata; /**< Sent with the call; copied. */
    size_t metadata_count;           /**< Entries of it. */

    msgsrv_metadata_set *head; /**< For synchronous calls: receives the head metadata, replacing what the set held. Optional. */
    msgsrv_metadata_set *trailer; /**< The same for the trailer. Optional. */

    uint32_t receive_items; /**< Of a stream: messages that the server may send ahead of our handling them; default 64, 1 to 1,000,000. */
    uint32_t receive_bytes; /**< The same in bytes; default 256 KiB, 1 to 64 MiB. The last message may pass it. */
    bool eager_credit; /**< Of a stream: credit of messages that were handled is given back at the end of each wake-up, and not when half of
                            it is owed: for a server that waits for msgsrv_stream_acknowledged(). */
    bool compress; /**< Over gRPC: what is sent may be compressed with gzip, where that makes it shorter. The native wire does not. */
} msgsrv_call_options;

/** How an asynchronous call ended, beside its typed response. Valid during the callback. */
typedef struct msgsrv_reply {
    msgsrv_status status;               /**< The call's final status. */
    const msgsrv_error *error;          /**< Never NULL; its code is `status`. */
    const msgsrv_metadata_set *head;    /**< NULL (an empty set) when none came. */
    const msgsrv_metadata_set *trailer; /**< NULL (an empty set) when none came. */
} msgsrv_reply;

/**
 * Names an asynchronous call of one client; never 0 and never used twice, so cancelling a call that is over is harmless.
 */
typedef uint64_t msgsrv_handle;

MSGSRV_BEGIN_DECLS

/**
 * Makes a client. It connects when the first call is made.
 *
 * @param url  `tcp://host:port` (a name is looked up without blocking the loop; all its addresses are tried), `tcp://[::1]:7070`,
 *             `unix:///path` or `unix:@name`; for any server of gRPC over HTTP/2, `grpc://host:port`, `grpc+unix:///path` or
 *             `grpc+unix:@name`, see docs/grpc-client.md; borrowed
 * @param options  borrowed and copied; NULL for all defaults
 * @param[out] client  the caller's, to be freed with msgsrv_client_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a bad URL or option; #MSGSRV_RESOURCE_EXHAUSTED without memory, threads or descriptors
 */
MSGSRV_API msgsrv_status msgsrv_client_new(const char *url, const msgsrv_client_options *options,
                                           msgsrv_client **client, msgsrv_error *error);

/**
 * Drives a private loop in the calling thread, for asynchronous calls: until something has happened or the time is over.
 *
 * @param client  with a private loop, else #MSGSRV_FAILED_PRECONDITION; not inside its callbacks
 * @param timeout_ms  0: only what is ready now; #MSGSRV_NONE: as long as it takes, but not when nothing is pending
 * @param[out] error  optional
 * @return #MSGSRV_OK when something happened; #MSGSRV_AGAIN when the time passed or nothing is pending;
 *         #MSGSRV_FAILED_PRECONDITION as said, or while another thread drives it
 */
MSGSRV_API msgsrv_status msgsrv_client_poll(msgsrv_client *client, uint32_t timeout_ms, msgsrv_error *error);

/**
 * Cancels an asynchronous call: it ends #MSGSRV_CANCELLED, unless it has ended. Its callback still comes, once.
 *
 * @param client  on the threads on which calls may be made; in callbacks too
 * @param handle  of a call of this client; one that is over, or 0, is ignored
 */
MSGSRV_API void msgsrv_client_cancel(msgsrv_client *client, msgsrv_handle handle);

/**
 * Measures a round trip on the connection, connecting first when there is none. Synchronous.
 *
 * @param client  as for a synchronous call
 * @param timeout_ms  0: the client's default
 * @param[out] round_trip_ns  nanoseconds from the ping's writing to its pong
 * @param[out] error  optional
 * @return #MSGSRV_OK, or as a synchronous call
 */
MSGSRV_API msgsrv_status msgsrv_client_ping(msgsrv_client *client, uint32_t timeout_ms, uint64_t *round_trip_ns,
                                            msgsrv_error *error);

/**
 * Frees a client. Its open calls end #MSGSRV_CANCELLED before it returns, and nothing of it is called afterwards.
 *
 * On the loop's thread or while the loop does not run; with a thread of its own on any thread. Inside its own callbacks too. Not while
 * another thread is in a synchronous call of it. On the caller's base, libevent puts a little of its own freeing off to the base's next
 * turn: event_base_loop(base, EVLOOP_NONBLOCK) before event_base_free() leaves nothing behind.
 *
 * @param client  may be NULL
 */
MSGSRV_API void msgsrv_client_free(msgsrv_client *client);

MSGSRV_END_DECLS

#endif
