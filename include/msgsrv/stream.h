/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Streams: calls with more than one message in a direction, at either end.
 *
 * A #msgsrv_stream is one end of a call whose method streams: the server's, or the client's. Programs send and receive through the
 * typed functions and handlers that protoc-gen-msgsrv generates; here is what all of them have in common.
 *
 * **Events.** What happens to a stream is told to the program one event at a time, always on the loop's thread: first *begin*; then
 * *message* for each message, in order; *half_close* when the peer sends no more; *writable*, *woken* and *draining* as they come; and last,
 * exactly once, *closed*. After *closed* has returned nothing is called for it, and the stream is gone unless msgsrv_stream_ref() keeps its
 * memory. At the server's end each event's function returns a status: #MSGSRV_OK, #MSGSRV_AGAIN and #MSGSRV_DEFERRED go on,
 * any other code fails the call with it. Nothing ends because a function has returned #MSGSRV_OK, with one exception: the *half_close* of a
 * client-streaming method is what a unary handler is, and sends the response.
 *
 * **Sending.** A message is encoded and taken, or refused with #MSGSRV_AGAIN, and then nothing of it is kept: the peer's credit is used up,
 * or too much waits for the socket. After a refusal *writable* is called exactly once when sending may go on. What was
 * accepted is never dropped while the connection lives.
 *
 * **Receiving.** The peer may send what it has credit for (64 messages and 256 KiB at first; see msgsrv_call_options::receive_items). A
 * message's credit is given back when its handler has returned, or by hand: msgsrv_stream_keep(), msgsrv_stream_pause(). A stream that
 * gives none back stops its own peer, and nothing else on the connection.
 *
 * **Threads.** All functions are for the loop's thread: inside any callback of the library's on that loop, or, when the loop is the caller's
 * event_base or a client's private one, on the thread that runs it. Elsewhere they fail with #MSGSRV_FAILED_PRECONDITION, or do nothing. The
 * exceptions are msgsrv_stream_wake(), msgsrv_stream_ref() and msgsrv_stream_unref(), which any thread may call that has a reference, and
 * the synchronous functions of a client with a thread of its own. On a stream that is closed every function is harmless.
 */
#ifndef MSGSRV_STREAM_H
#define MSGSRV_STREAM_H

#include <msgsrv/call.h>

/** One end of a streaming call. Opaque. */
typedef struct msgsrv_stream msgsrv_stream;

/** What happens to a stream. Generated code turns these into the typed functions of a handler. */
typedef enum msgsrv_stream_event {
    MSGSRV_STREAM_BEGIN =
        0, /**< The first. Server-streaming, at the server: with the request, which lives until *closed*. */
    MSGSRV_STREAM_MESSAGE = 1,    /**< A message; valid during the event. */
    MSGSRV_STREAM_HALF_CLOSE = 2, /**< At the server: the client sends no more; all it sent was handled. */
    MSGSRV_STREAM_WRITABLE = 3,   /**< After a send was refused with #MSGSRV_AGAIN: it may be tried again. */
    MSGSRV_STREAM_WOKEN = 4, /**< msgsrv_stream_wake() was called, or the time of msgsrv_stream_wake_after() has come. */
    MSGSRV_STREAM_DRAINING = 5, /**< At the server: it begins to drain; a stream that would last should end. */
    MSGSRV_STREAM_CLOSED = 6    /**< The last: the call has ended. */
} msgsrv_stream_event;

MSGSRV_BEGIN_DECLS

/**
 * Says that nothing more will be sent.
 *
 * At the server's end of a server-streaming or bidirectional call: the call ends with #MSGSRV_OK behind what was sent. At the client's
 * end: half-closes; messages still come. Never refused for want of credit.
 *
 * @param stream  what was accepted before is still delivered
 * @return #MSGSRV_OK; #MSGSRV_FAILED_PRECONDITION when it was said before, when the call is over, for the server's end of a client-streaming
 *         call (whose end is its reply), or on another thread. Then nothing has changed.
 */
MSGSRV_API msgsrv_status msgsrv_stream_finish(msgsrv_stream *stream);

/**
 * Ends the call with an error: at the server's end as its final status, behind what was sent; at the client's as its own outcome, and the
 * server is told that the call is cancelled. Messages that were not handed over yet are dropped. *closed* follows, not inside this
 * function. `return msgsrv_stream_fail(stream, MSGSRV_NOT_FOUND, "no such file: %s", name);`
 *
 * @param stream  one that is over already is left as it is
 * @param code  1 to 16; anything else becomes #MSGSRV_INTERNAL
 * @param format  printf's; cut at 255 bytes
 * @return the code, for an event's function to return
 */
MSGSRV_API msgsrv_status msgsrv_stream_fail(msgsrv_stream *stream, msgsrv_status code, const char *format, ...)
    MSGSRV_PRINTF(3, 4);

/**
 * Cancels: as msgsrv_stream_fail() with #MSGSRV_CANCELLED. Of a client with a thread of its own, a stream without events (see
 * the generated `_start`) may be cancelled by any thread.
 *
 * @param stream  may be NULL
 */
MSGSRV_API void msgsrv_stream_cancel(msgsrv_stream *stream);

/** Remembers a pointer of the program's with the stream, at first NULL. The library does nothing with it. */
MSGSRV_API void msgsrv_stream_set_data(msgsrv_stream *stream, void *data);

/** What msgsrv_stream_set_data() was given last. Also in *closed*, and afterwards by whoever has a reference. */
MSGSRV_API void *msgsrv_stream_data(const msgsrv_stream *stream);

/**
 * The call of a stream, at the server's end: for msgsrv_call_peer(), msgsrv_call_metadata(), msgsrv_call_add_trailer(),
 * msgsrv_call_add_head() (before the first message is sent), msgsrv_call_time_left_ms(), msgsrv_call_alloc() (freed after
 * *closed*), and msgsrv_call_options::parent.
 *
 * @return valid until *closed* has returned; NULL afterwards and at a client's end
 */
MSGSRV_API msgsrv_call *msgsrv_stream_call(const msgsrv_stream *stream);

/** Whether a message would be taken now, as far as credit and output go. Changes nothing, and promises no *writable*. */
MSGSRV_API bool msgsrv_stream_can_send(const msgsrv_stream *stream);

/**
 * The same, with a promise: when a message would not be taken, *writable* follows once, as after a refused send. For those who make
 * their message only when it can go.
 */
MSGSRV_API bool msgsrv_stream_ask_to_send(msgsrv_stream *stream);

/**
 * Hands no more messages over until msgsrv_stream_resume(). What still comes waits in the library, within the credit that the peer has, and
 * then the peer has to wait. An end that comes behind waiting messages is told after them.
 */
MSGSRV_API void msgsrv_stream_pause(msgsrv_stream *stream);

/** Undoes msgsrv_stream_pause(). The waiting messages are handed over soon, not inside this function. */
MSGSRV_API void msgsrv_stream_resume(msgsrv_stream *stream);

/**
 * Inside *message*: the credit of this message is not given back when the function returns, but by msgsrv_stream_consumed().
 *
 * @return the message's size on the wire, to be given to msgsrv_stream_consumed() with 1 item; 0 outside of *message*, or a second time
 */
MSGSRV_API uint32_t msgsrv_stream_keep(msgsrv_stream *stream);

/**
 * Gives credit of kept messages back.
 *
 * @param stream  one that is over is ignored
 * @param items  how many messages; more than are kept counts as all
 * @param bytes  the sum of what msgsrv_stream_keep() returned for them; more than is kept counts as all
 */
MSGSRV_API void msgsrv_stream_consumed(msgsrv_stream *stream, uint32_t items, uint32_t bytes);

/**
 * Of how many of the messages that this end has sent, the first ones, the peer has given the credit back. An ordinary peer does so after it has
 * handled them, in its own time (see msgsrv_call_options::eager_credit); one that grants more than that counts as having handled what it
 * is sent.
 *
 * @return from 0; never less than before
 */
MSGSRV_API uint64_t msgsrv_stream_acknowledged(const msgsrv_stream *stream);

/**
 * Asks for *woken* whenever the peer gives credit back, so that msgsrv_stream_acknowledged() may have grown. For as long as the stream lasts.
 *
 * @param stream  inside one of its events
 */
MSGSRV_API void msgsrv_stream_wake_on_acknowledged(msgsrv_stream *stream);

/**
 * Asks for one *woken* after a time. One timer a stream: a second call replaces the first.
 *
 * @param stream  one that is over is ignored
 * @param delay_ms  milliseconds from now; #MSGSRV_NONE: never, which stops the timer
 */
MSGSRV_API void msgsrv_stream_wake_after(msgsrv_stream *stream, uint32_t delay_ms);

/**
 * Asks for *woken*, on the loop's thread, soon, not inside this function. Several before it comes are one. For a thread that has something for the stream to send: it
 * puts that where the stream's functions find it, and wakes. Any thread with a reference; also inside the stream's own events.
 *
 * @param stream  one that is over is ignored
 */
MSGSRV_API void msgsrv_stream_wake(msgsrv_stream *stream);

/**
 * Keeps a stream's memory, not the call. For another thread, or to outlive *closed*.
 *
 * @return the stream
 */
MSGSRV_API msgsrv_stream *msgsrv_stream_ref(msgsrv_stream *stream);

/** Gives a reference back. Any thread. @param stream  may be NULL */
MSGSRV_API void msgsrv_stream_unref(msgsrv_stream *stream);

MSGSRV_END_DECLS

#endif
