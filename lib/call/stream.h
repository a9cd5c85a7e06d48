/* SPDX-License-Identifier: MIT */
/*
 * One end of a streaming call: credit, what waits to be handled, and the order of events. The server's and the client's end are the same thing
 * here; what differs is in two tables. Everything belongs to the loop's thread but what stream.h says of wake, ref and unref.
 *
 *   protocol ── msi_stream_receive(), _credit(), _half_closed() ──►  stream  ── msi_stream_owner.event() ──► the program
 *   protocol ◄── msi_stream_protocol.item(), credit(), half_close() ── stream ◄── msgsrv_stream_send() … ── the program
 *
 * A stream belongs to its owner (a server's call, a client's entry), which makes it, ends it with msi_stream_over() and gives its
 * reference back after CLOSED has been told. The program may keep the memory longer.
 */
#ifndef MSI_CALL_STREAM_H
#define MSI_CALL_STREAM_H

#include <msgsrv/service.h>

#include "call/outlet.h"
#include "schema/codec.h"
#include "wire/varint.h"

/* How a stream sees the protocol that it came by. The stream's `outlet` is set, and its connection open. */
typedef struct msi_stream_protocol {
    /* Frames and writes one message, whose body msi_stream_append() gives. On failure nothing was written. */
    msgsrv_status (*item)(msgsrv_stream *stream, const void *message, size_t *body, msgsrv_error *error);
    /* Writes that this end, a client's, sends no more. */
    void (*half_close)(msgsrv_stream *stream);
    /* Writes that the peer may send so much more. */
    void (*credit)(msgsrv_stream *stream, uint32_t items, uint32_t bytes);
} msi_stream_protocol;

/* What a function of the program's was called in; see msi_stream_owner.enter. */
typedef struct msi_stream_bracket {
    msi_loop *before;
    bool opened;
    bool inside;
} msi_stream_bracket;

/* How a stream sees whom it belongs to. */
typedef struct msi_stream_owner {
    /* Calls the program. What it returns is seen to by the owner. */
    void (*event)(msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out);
    /* Opens and closes a bracket for a call of the program's from outside of the loop's callbacks. */
    bool (*enter)(msgsrv_stream *stream, msi_stream_bracket *bracket);
    void (*leave)(msgsrv_stream *stream, msi_stream_bracket *bracket);
    /* Ends the call: because of the program, or of what the peer did wrong. msi_stream_over() follows from both. */
    void (*fail)(msgsrv_stream *stream, msgsrv_status code, const char *text);
    void (*fault)(msgsrv_stream *stream, msgsrv_status code, const char *text);
    /* The program has said that it sends no more. */
    void (*finish)(msgsrv_stream *stream);
    /* Server: ends the call with a response. */
    msgsrv_status (*reply)(msgsrv_stream *stream, const void *response, msgsrv_error *error);
    /* All messages that waited were handled; or, of a synchronous stream: a message has come, or there may be room to send. Optional. */
    void (*changed)(msgsrv_stream *stream);
} msi_stream_owner;

/* A message that waits to be handled. */
typedef struct msi_stream_item {
    TAILQ_ENTRY(msi_stream_item) next;
    size_t size;
    uint8_t data[];
} msi_stream_item;

/* Why a refused sender waits. */
typedef enum msi_stream_waits {
    MSI_WAITS_NOT,
    MSI_WAITS_CONNECTION,
    MSI_WAITS_CREDIT,
    MSI_WAITS_OUTPUT
} msi_stream_waits;

/* One direction of a stream. Credits are what the sender may still send; bytes may go below 0 once. */
typedef struct msi_stream_flow {
    const msgsrv_message_type *type; /* NULL: nothing goes this way */
    msi_type_traits traits;
    int64_t items;
    int64_t bytes;
} msi_stream_flow;

struct msgsrv_stream {
    atomic_uint refs;
    const msi_stream_owner *owner;
    void *of; /* the owner's: its call or entry; NULL once CLOSED was told */
    msi_loop *loop;
    msi_mailbox *mailbox; /* a reference */
    msi_outlet *outlet;   /* NULL: not on a connection */
    uint64_t id;          /* on the wire */
    void *data;           /* the program's */
    msi_stream_flow send;
    msi_stream_flow receive;
    uint32_t window_items; /* what the peer was granted at first */
    uint32_t window_bytes;
    uint32_t owed_items; /* consumed, and not granted again yet */
    uint64_t owed_bytes;
    uint32_t kept_items; /* kept by the program */
    uint64_t kept_bytes;
    uint32_t max_message; /* of what is sent; for what is received, see the protocol */
    uint32_t max_received;
    size_t part_count;  /* of the message that is being sent, when it comes in parts; else 0 */
    uint32_t last_size; /* the protocol's: of the last message that was sent, a hint for the next one */
    TAILQ_HEAD(msi_stream_items, msi_stream_item) inbox;
    size_t inbox_bytes;
    void *message; /* room for a received one */
    TAILQ_ENTRY(msgsrv_stream) in_line;
    msi_outlet_share share;
    msi_stream_waits waits;
    msi_task task;        /* goes on handing over; tells BEGIN; tells CLOSED */
    msi_post wake_post;   /* from other threads */
    msi_task wake_task;   /* and from the loop's own */
    msi_task credit_task; /* of an eager stream */
    atomic_bool wake_posted;
    struct event timer;
    uint64_t timer_due;
    uint64_t received; /* messages, in all */
    uint64_t sent;
    uint64_t granted;  /* messages that the peer has given credit for, beside what it began with */
    unsigned busy;     /* events that are being told */
    unsigned holds;    /* see msi_stream_hold() */
    bool owned;        /* the owner's reference ends with msi_stream_drop() */
    uint32_t handling; /* bytes of the message that is being told; its credit is to be given back afterwards */
    bool foreign;      /* its loop is run by a thread of the library's */
    bool has_timer;
    bool begun;   /* BEGIN was told */
    bool handles; /* a message is being told, and not kept */
    bool paused;
    bool eager;        /* credit is given back at the end of each bracket */
    bool wakes_on_ack; /* WOKEN, when the peer gives credit back */
    bool sync;         /* nobody is told: messages wait for msgsrv_stream_read() */
    bool finished;     /* this end sends no more */
    bool peer_done;    /* the peer sends no more */
    bool peer_done_told;
    bool draining_told; /* at the server */
    bool over;          /* the call has ended */
    bool close_due;     /* CLOSED is to be told */
    bool closed;        /* and was */
};

/* A stream with one reference, the owner's; NULL without memory. `receives` and `sends` are NULL where nothing goes. */
msgsrv_stream *msi_stream_new(const msi_stream_owner *owner, void *of, msi_loop *loop,
                              const msgsrv_message_type *receives, const msgsrv_message_type *sends);

/* It is on a connection now; or not any more. A sender that waits for that is told. */
void msi_stream_attach(msgsrv_stream *stream, msi_outlet *outlet, uint64_t id);
void msi_stream_detach(msgsrv_stream *stream);

/*
 * Keeps the stream while its functions run, on the loop's thread: several times for each message, so without the atomic operations
 * of a reference as long as the owner has one that it gives back with msi_stream_drop(), which then waits for the last unhold.
 */
static inline void msi_stream_hold(msgsrv_stream *stream)
{
    if (stream->holds++ == 0 && !stream->owned)
        (void)msgsrv_stream_ref(stream);
}

static inline void msi_stream_unhold(msgsrv_stream *stream)
{
    if (--stream->holds == 0 && !stream->owned)
        msgsrv_stream_unref(stream);
}

/* Gives the reference of an owner that has set `owned` back. NULL is ignored. */
static inline void msi_stream_drop(msgsrv_stream *stream)
{
    if (!stream)
        return;
    stream->owned = false;
    if (stream->holds == 0)
        msgsrv_stream_unref(stream);
}

/* Tells an event, keeping the stream alive meanwhile, and CLOSED afterwards if it has become due. */
void msi_stream_tell(msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out);

/* From the protocol: a message; that much more may be sent; the peer sends no more. */
void msi_stream_receive(msgsrv_stream *stream, msi_view body);
void msi_stream_credit(msgsrv_stream *stream, uint32_t items, uint32_t bytes);
void msi_stream_half_closed(msgsrv_stream *stream);

/* For the protocol: appends a message's encoding, as msi_encode(). */
msgsrv_status msi_stream_append(msgsrv_stream *stream, const void *message, msi_buf *out, msgsrv_error *error);

/*
 * The call has ended: from here on nothing is sent or handled. `keep_inbox`: what waits is still to be read.
 */
void msi_stream_over(msgsrv_stream *stream, bool keep_inbox);

/* Has CLOSED told: now, or when the event that is being told has returned, or in the loop's next turn when a function of the
 * program's is at work on a stream. The owner's event function lets go of the stream then. */
void msi_stream_close_soon(msgsrv_stream *stream);

/* Whether something waits to be handled. */
static inline bool msi_stream_has_input(const msgsrv_stream *stream)
{
    return !TAILQ_EMPTY(&stream->inbox);
}

/* Takes the first message that waits, decoded into `message` (cleared room of the type). false: there was none, or it did not decode, and
 * then the call has been failed. Its credit is given back. */
bool msi_stream_take(msgsrv_stream *stream, void *message);

/* Grants the peer what was consumed, when enough of it is owed. */
void msi_stream_give_credit(msgsrv_stream *stream, uint32_t items, uint64_t bytes);

/* Drops what waits, giving its credit back. */
void msi_stream_discard(msgsrv_stream *stream);

/* Hands over what waits, if nothing is in the way. */
void msi_stream_go_on(msgsrv_stream *stream);

/* Opens a bracket for a function of the program's; false when it may not be called here. */
bool msi_stream_enter(msgsrv_stream *stream, msi_stream_bracket *bracket);
void msi_stream_leave(msgsrv_stream *stream, msi_stream_bracket *bracket);

/* msgsrv_stream_ask_to_send() and msgsrv_stream_send() inside a bracket. */
bool msi_stream_ask(msgsrv_stream *stream);
msgsrv_status msi_stream_send(msgsrv_stream *stream, const void *message, msgsrv_error *error);

/* The same of bytes in parts: `message` is the first of so many msgsrv_bytes. */
msgsrv_status msi_stream_send_parts(msgsrv_stream *stream, const msgsrv_bytes *parts, size_t count, msgsrv_error *error);

#endif
