/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A server: listeners, loops, methods.
 *
 * new → register, bind, listen → start or run → drain or stop → free. Between new and start it belongs to one thread at a time.
 * It has one of two kinds of loop:
 *
 * - **its own** (options.base NULL): `threads` loops. msgsrv_server_run() lends the calling thread to the first of them and
 *   makes threads for the others; msgsrv_server_start() makes a thread for each and returns.
 * - **the caller's** (options.base): no thread is made; msgsrv_server_start() adds events to the base, which the caller runs, in one
 *   thread for as long as the server lives. No lock of libevent's is needed, nor evthread_use_pthreads().
 *
 * The library installs no signal handlers, never raises SIGPIPE and changes nothing else that belongs to the program. After
 * fork() the child may only exec or exit.
 */
#ifndef MSGSRV_SERVER_H
#define MSGSRV_SERVER_H

#include <msgsrv/call.h>
#include <msgsrv/log.h>
#include <msgsrv/stats.h>

struct event_base;

/** A server. Opaque. */
typedef struct msgsrv_server msgsrv_server;

/**
 * Options of a server. Zero is the default of every field, so `{0}` and NULL are all defaults. In a numeric field #MSGSRV_NONE
 * means "no limit" where the comment says that it may. A value outside its range fails msgsrv_server_new() with
 * #MSGSRV_INVALID_ARGUMENT, naming the field.
 */
typedef struct msgsrv_server_options {
    size_t size; /**< sizeof(msgsrv_server_options), or 0 for its size in 1.0. It grows only at the end. */

    struct event_base *base; /**< The caller's loop; NULL: loops of the server's own. Must outlive the server. */
    uint32_t threads;        /**< Loops of the server's own; default 1, 1 to 256. With `base`: 0. */
    uint32_t worker_threads; /**< Threads for handlers marked as blocking, made when the first such call comes; default 4, 1 to 256. */
    uint32_t worker_queue; /**< Calls that may wait for a worker; default 1,000, 1 to 1,000,000. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */

    uint32_t max_connections; /**< Of the server; default 10,000, from 1, or NONE. Over it: closed without a byte. */
    uint32_t max_calls; /**< Open calls of a connection; default 1,000, 1 to 1,000,000. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t max_message; /**< Bytes of one message; default 4 MiB, 1 to 64 MiB. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t max_metadata; /**< Bytes of a call's metadata, each way; default 8 KiB, 1 to 12 KiB. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t max_output; /**< Bytes that may wait for a connection's socket before reading from it stops; default 1 MiB, 4 KiB to 1 GiB. */

    uint32_t first_byte_timeout_ms; /**< For a new connection's first byte; default 60,000, from 1, or NONE. Then: closed. */
    uint32_t frame_timeout_ms; /**< A frame that has begun moves on by 16 KiB, or ends, within this; default 30,000, from 1, or NONE. */
    uint32_t output_timeout_ms; /**< Waiting output must move on within this; default 30,000, from 1, or NONE. Then: closed. */
    uint32_t keepalive_idle_s; /**< TCP keepalive starts after this idle time; default 60, 1 to 32,767, or NONE for no keepalive. */
    uint32_t keepalive_interval_s; /**< Between its probes; default 20, 1 to 32,767. */
    uint32_t keepalive_count;      /**< Probes without an answer before the peer counts as dead; default 3, 1 to 127. */
    uint32_t linger_ms; /**< After the last bytes to a connection, how long its input is still discarded, so that no reset
                                         destroys them; default 1,000, 1 to 60,000. */
    uint32_t linger_bytes; /**< And how many bytes of it; default 1 MiB, from 1. */

    uint32_t pings_per_second; /**< Refill of a connection's ping allowance; default 10, from 1, or NONE. */
    uint32_t ping_burst; /**< The allowance when full; default 100, from 1. Over it: GoAway #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t idle_frames_per_second; /**< Frames without effect (unknown, late) of a connection; default 10,000, from 1, or NONE. */

    uint32_t plain_max_calls; /**< Unanswered plain messages of a connection before reading stops; default 1,000, from 1. */
    uint32_t plain_max_bytes; /**< Finished plain answers that wait for an earlier one, before reading stops; default 1 MiB, from 1. */
    uint32_t plain_timeout_ms; /**< The deadline of a plain message; default 30,000, from 1, or NONE. */

    uint32_t backlog;     /**< listen(2)'s; default 1,024, 1 to 65,535. */
    uint32_t socket_mode; /**< Permission bits of a Unix socket's path; default 0600 (the server's own user). 1 to 0777. */

    msgsrv_log_fn log;          /**< Takes the log; default none. */
    void *log_ctx;              /**< Its context; must outlive the server. */
    msgsrv_log_level log_level; /**< Default #MSGSRV_LOG_WARNING. */

    /**
     * Told once when the server has come to its end after a drain or a stop, on the first loop's thread; the place to
     * break the caller's loop or to free the server. Optional.
     */
    void (*on_stopped)(msgsrv_server *server, void *ctx);
    void *on_stopped_ctx; /**< Its context. */

    uint32_t max_stream_output; /**< Bytes of one stream that may wait for the socket before its sends are refused; default 256 KiB,
                                     4 KiB to 64 MiB. */
    uint32_t max_unread; /**< Bytes of a connection's streams that wait to be handled (paused streams); default 16 MiB, 4 KiB to 1 GiB.
                              The call that would pass it ends #MSGSRV_RESOURCE_EXHAUSTED. */

    bool no_info;       /**< Without the built-in msgsrv.info.v1.Info (msgsrv/services.h). */
    bool no_health;     /**< Without the built-in grpc.health.v1.Health. */
    bool no_reflection; /**< Without the built-in grpc.reflection.v1 and v1alpha. */

    uint32_t resets_per_second; /**< Refill of an HTTP/2 connection's allowance for streams that it resets; default 100, from 1, or NONE. */
    uint32_t reset_burst; /**< The allowance when full; default 1,000, from 1. Over it: GOAWAY ENHANCE_YOUR_CALM. */
} msgsrv_server_options;

MSGSRV_BEGIN_DECLS

/**
 * Makes a server, without any thread or socket yet.
 *
 * @param options  borrowed and copied; NULL for all defaults
 * @param[out] server  the caller's, to be freed with msgsrv_server_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for an option out of range; #MSGSRV_RESOURCE_EXHAUSTED without memory or descriptors
 */
MSGSRV_API msgsrv_status msgsrv_server_new(const msgsrv_server_options *options, msgsrv_server **server,
                                           msgsrv_error *error);

/**
 * Serves a plain message: a field of the application's own `oneof`, sent bare, is a call of a method, and is answered with a field
 * of the application's answer `oneof` (docs/protocol.md, "Plain messages"). Before start.
 *
 * @param server  not started yet
 * @param request_field  1 to 15: the field number that is bound
 * @param method  "/package.Service/Method", unary and registered already; borrowed
 * @param answer_field  1 to 15
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT; #MSGSRV_NOT_FOUND for an unknown method; #MSGSRV_ALREADY_EXISTS for a field that is
 *         bound; #MSGSRV_FAILED_PRECONDITION once started
 */
MSGSRV_API msgsrv_status msgsrv_server_bind_plain(msgsrv_server *server, uint32_t request_field, const char *method,
                                                  uint32_t answer_field, msgsrv_error *error);

/**
 * Listens on an address; connections wait in the kernel until the server is started. May be called several times, before start.
 *
 * `tcp://127.0.0.1:7070`, `tcp://[::1]:7070`, `tcp://localhost:7070` (every address of the name), `tcp://[::]:7070` (IPv6 only; add
 * `tcp://0.0.0.0:7070` for IPv4), port 0 for a free one; `unix:///run/app.sock` (a socket that nobody listens on any more is
 * replaced; removed again when the server stops) and `unix:@name` (Linux's abstract namespace). The name is looked up
 * before the function returns.
 *
 * @param server  not started yet
 * @param url  borrowed
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a bad URL; #MSGSRV_ALREADY_EXISTS when the address is in use;
 *         #MSGSRV_PERMISSION_DENIED; #MSGSRV_UNAVAILABLE for anything else that the system says; #MSGSRV_FAILED_PRECONDITION once started.
 *         On failure nothing is listened on that was not before.
 */
MSGSRV_API msgsrv_status msgsrv_server_listen(msgsrv_server *server, const char *url, msgsrv_error *error);

/**
 * Where the server listens, with the real port.
 *
 * @param server  any thread, after the last listen
 * @param index  from 0, in the order of listening
 * @return "tcp://127.0.0.1:41234"; lives as long as the server; NULL beyond the last one
 */
MSGSRV_API const char *msgsrv_server_address(const msgsrv_server *server, size_t index);

/**
 * Starts serving and returns: in threads of the server's own, or on the caller's base, in the thread that runs it.
 *
 * @return #MSGSRV_OK; #MSGSRV_FAILED_PRECONDITION when it was started before (a server is not started twice);
 *         #MSGSRV_RESOURCE_EXHAUSTED without threads, memory or descriptors: then it is not started
 */
MSGSRV_API msgsrv_status msgsrv_server_start(msgsrv_server *server, msgsrv_error *error);

/**
 * Serves in the calling thread until a drain or a stop has ended.
 *
 * @return #MSGSRV_OK after a drain or a stop; otherwise as msgsrv_server_start(). With the caller's base
 *         #MSGSRV_FAILED_PRECONDITION: start, and run the base.
 */
MSGSRV_API msgsrv_status msgsrv_server_run(msgsrv_server *server, msgsrv_error *error);

/**
 * Waits until a started server has come to its end after a drain or a stop.
 *
 * @return #MSGSRV_OK; #MSGSRV_FAILED_PRECONDITION when it was not started, on the caller's base, or on one of its own threads
 */
MSGSRV_API msgsrv_status msgsrv_server_wait(msgsrv_server *server, msgsrv_error *error);

/**
 * Takes no new calls, finishes the open ones, then stops. Every client is told (GoAway), so that its later calls go elsewhere.
 * Returns at once. Async-signal-safe; any thread.
 *
 * @param grace_ms  what is not finished by then is cancelled; #MSGSRV_NONE waits for all
 */
MSGSRV_API void msgsrv_server_drain(msgsrv_server *server, uint32_t grace_ms);

/**
 * Stops now: open calls are cancelled, connections closed. Returns at once. Async-signal-safe; any thread.
 */
MSGSRV_API void msgsrv_server_stop(msgsrv_server *server);

/**
 * Whether a drain or a stop has begun. Any thread.
 */
MSGSRV_API bool msgsrv_server_draining(const msgsrv_server *server);

/**
 * The options that are in force, defaults filled in. Any thread.
 *
 * @param[out] options  the caller's; `size` as its comment says, the rest is filled
 */
MSGSRV_API void msgsrv_server_get_options(const msgsrv_server *server, msgsrv_server_options *options);

/**
 * A snapshot of what the server counts. Any thread; takes no lock that a call waits for.
 *
 * @param[in,out] stats  the caller's; `size` as its comment says, the rest is filled
 */
MSGSRV_API void msgsrv_server_stats(const msgsrv_server *server, msgsrv_stats *stats);

/**
 * Stops and frees. What is pending is cancelled before it returns, and nothing of the server's is called afterwards.
 *
 * May be called on any thread when the server's loops are its own; on the base's thread (or while the base does not run) when the
 * base is the caller's; and inside the server's callbacks and handlers on its loops, where the memory itself, and with several
 * threads the other loops, go when the handler has returned. Not inside a handler on the worker pool, which it has to wait for.
 *
 * @param server  may be NULL
 */
MSGSRV_API void msgsrv_server_free(msgsrv_server *server);

MSGSRV_END_DECLS

#endif
