/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A call, as the server's handler sees it.
 *
 * A handler gets a #msgsrv_call that is valid until the handler returns. It answers by what it returns:
 *
 * - #MSGSRV_OK: the response is encoded and sent;
 * - an error code, usually through msgsrv_call_error(): the call fails with it;
 * - #MSGSRV_DEFERRED after msgsrv_call_hold(): the answer comes later, from any thread, through the #msgsrv_held.
 *
 * Every function here that takes a #msgsrv_call may be called only inside the handler, on the thread that runs it (the
 * loop's thread, or a worker's for a handler marked as blocking).
 */
#ifndef MSGSRV_CALL_H
#define MSGSRV_CALL_H

#include <sys/types.h>

#include <msgsrv/metadata.h>

/** A call that a handler is working on. Opaque. */
typedef struct msgsrv_call msgsrv_call;

/** A call whose answer comes later: a counted reference that exactly one reply, fail or drop consumes. Opaque. */
typedef struct msgsrv_held msgsrv_held;

/** Bytes of msgsrv_peer::address. */
#define MSGSRV_PEER_ADDRESS 128

/** Who is at the other end of a call's connection. */
typedef struct msgsrv_peer {
    char address[MSGSRV_PEER_ADDRESS]; /**< "tcp://127.0.0.1:40112", "tcp://[::1]:40112" or "unix:" */
    bool has_credentials; /**< true on Unix sockets; the next three are then what the kernel recorded when the peer
                               connected (SO_PEERCRED, unix(7)) */
    uid_t uid;            /**< The peer's effective user. */
    gid_t gid;            /**< The peer's effective group. */
    pid_t pid;            /**< The peer's process, which may have ended since. */
} msgsrv_peer;

/**
 * Tells a handler that its call will not be waited for any more: cancelled by the client, its deadline passed, its connection
 * lost, or the server stopping. Called at most once for a call, and never after the call was answered.
 *
 * Runs on the thread of the call's loop (or inside msgsrv_call_on_cancel(), when the call is cancelled already). For a handler on the
 * worker pool that is another thread than the handler's, but the library sees to it that the callback does not run any more once the
 * handler has returned. A held call must still be consumed afterwards, as always; the answer is then thrown away. What consumes the hold
 * says how it went: #MSGSRV_OK means that the callback will not be called any more, #MSGSRV_CANCELLED that it has been called, or is
 * being called on the loop's thread at this moment.
 *
 * @param reason  #MSGSRV_CANCELLED, #MSGSRV_DEADLINE_EXCEEDED or #MSGSRV_UNAVAILABLE (the connection is gone)
 * @param ctx  what msgsrv_call_on_cancel() was given
 */
typedef void (*msgsrv_cancel_fn)(msgsrv_status reason, void *ctx);

MSGSRV_BEGIN_DECLS

/**
 * Fails a call in one line: `return msgsrv_call_error(call, MSGSRV_NOT_FOUND, "no such user: %s", name);`
 *
 * @param call  the handler's
 * @param code  1 to 16; anything else becomes #MSGSRV_INTERNAL and is logged
 * @param format  printf's; the text travels to the client, cut at 255 bytes; what is not UTF-8 is replaced by '?'
 * @return the code, for the handler to return
 */
MSGSRV_API msgsrv_status msgsrv_call_error(msgsrv_call *call, msgsrv_status code, const char *format, ...)
    MSGSRV_PRINTF(3, 4);

/**
 * The method that was called.
 *
 * @return "/package.Service/Method"; lives as long as the server
 */
MSGSRV_API const char *msgsrv_call_method(const msgsrv_call *call);

/**
 * How long the caller will still wait.
 *
 * @return milliseconds, 0 when the deadline has passed, -1 when there is none
 */
MSGSRV_API int64_t msgsrv_call_time_left_ms(const msgsrv_call *call);

/**
 * Whether the call has been cancelled, for a blocking handler to look at now and then.
 *
 * @return true once it will not be waited for any more
 */
MSGSRV_API bool msgsrv_call_cancelled(const msgsrv_call *call);

/**
 * Asks to be told of the call's cancellation; see #msgsrv_cancel_fn. A second one replaces the first. If the call is cancelled
 * already, `fn` is called before this function returns.
 *
 * @param call  the handler's
 * @param fn  NULL to ask no longer
 * @param ctx  passed to `fn`; must live until the call is answered: see #msgsrv_cancel_fn for when a held one is
 */
MSGSRV_API void msgsrv_call_on_cancel(msgsrv_call *call, msgsrv_cancel_fn fn, void *ctx);

/**
 * Who calls.
 *
 * @param call  the handler's
 * @param[out] peer  filled; the caller's
 */
MSGSRV_API void msgsrv_call_peer(const msgsrv_call *call, msgsrv_peer *peer);

/**
 * The metadata that came with the call, without reserved keys.
 *
 * @return valid until the handler returns; NULL (an empty set) when none came
 */
MSGSRV_API const msgsrv_metadata_set *msgsrv_call_metadata(const msgsrv_call *call);

/**
 * Adds an entry to the head metadata, which goes before the response.
 *
 * @param call  the handler's
 * @param entry  copied
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a key or value that may not travel; #MSGSRV_RESOURCE_EXHAUSTED over the
 *         limit or without memory. On failure nothing was added and the call goes on.
 */
MSGSRV_API msgsrv_status msgsrv_call_add_head(msgsrv_call *call, msgsrv_metadata entry, msgsrv_error *error);

/**
 * Adds an entry to the trailer metadata, which goes with the final status. As msgsrv_call_add_head().
 */
MSGSRV_API msgsrv_status msgsrv_call_add_trailer(msgsrv_call *call, msgsrv_metadata entry, msgsrv_error *error);

/**
 * Asks for the messages that are sent from now on to be compressed, or not to be, where the protocol and the client can do it: gRPC, when the client
 * accepts gzip. Messages that would not become shorter go as they are. A streaming call that begins without compression and turns it on later has
 * to have called this once before its first message, be it with false: the response's headers say whether compressed messages may come.
 *
 * @param call  the handler's, or a stream's
 * @param on  true to compress
 * @return whether it is as asked: false for `true` where messages are not compressed; the call goes on without
 */
MSGSRV_API bool msgsrv_call_compress(msgsrv_call *call, bool on);

/**
 * Whether the request, or of a streaming call the message that came last, was compressed when it came.
 */
MSGSRV_API bool msgsrv_call_came_compressed(const msgsrv_call *call);

/**
 * Memory for a response that lives exactly as long as it must: it is freed when the call has been answered.
 *
 * @param call  the handler's
 * @param size  in bytes
 * @return zeroed, aligned for any type; NULL without memory
 */
MSGSRV_API void *msgsrv_call_alloc(msgsrv_call *call, size_t size);

/**
 * Keeps a call beyond its handler, which then returns #MSGSRV_DEFERRED. The request stays valid until the hold is consumed.
 *
 * After it, metadata is added with msgsrv_held_add_trailer() only.
 *
 * Exactly one of the typed `_reply`, msgsrv_held_fail() or msgsrv_held_drop() consumes it, from any thread, also after the
 * connection or even the server is gone. A handler that holds and returns anything else, or returns #MSGSRV_DEFERRED without a
 * hold, is answered #MSGSRV_INTERNAL and logged; the hold must be consumed all the same.
 *
 * @param call  the handler's; a second hold of the same call, or one of a streaming call, is NULL and logged
 * @return the hold, or NULL without memory
 */
MSGSRV_API msgsrv_held *msgsrv_call_hold(msgsrv_call *call);

/**
 * Answers a held call with an error, and consumes it. Any thread.
 *
 * @param held  consumed; NULL is #MSGSRV_INVALID_ARGUMENT
 * @param code  1 to 16; anything else becomes #MSGSRV_INTERNAL
 * @param format  printf's, as in msgsrv_call_error()
 * @return #MSGSRV_OK when handed to the loop; #MSGSRV_CANCELLED when nobody waits for it any more
 */
MSGSRV_API msgsrv_status msgsrv_held_fail(msgsrv_held *held, msgsrv_status code, const char *format, ...)
    MSGSRV_PRINTF(3, 4);

/**
 * Gives a held call up, and consumes it: the caller gets #MSGSRV_INTERNAL, and it is logged. Any thread.
 *
 * @param held  consumed; may be NULL
 */
MSGSRV_API void msgsrv_held_drop(msgsrv_held *held);

/**
 * Whether a held call is still waited for. Any thread that may consume the hold.
 *
 * @return true once it was cancelled, its deadline passed, or its connection or server is gone
 */
MSGSRV_API bool msgsrv_held_cancelled(const msgsrv_held *held);

/**
 * How long the caller of a held call will still wait; as msgsrv_call_time_left_ms(). Any thread that may consume the hold.
 */
MSGSRV_API int64_t msgsrv_held_time_left_ms(const msgsrv_held *held);

/**
 * Adds an entry to the trailer metadata of a held call; as msgsrv_call_add_trailer(). One thread at a time.
 */
MSGSRV_API msgsrv_status msgsrv_held_add_trailer(msgsrv_held *held, msgsrv_metadata entry, msgsrv_error *error);

MSGSRV_END_DECLS

#endif
