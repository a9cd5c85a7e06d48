/* SPDX-License-Identifier: MIT */
/*
 * HTTP/2 as the server and the client of gRPC share it: an nghttp2 session on a connection, the streams' bytes both ways, and the guards against
 * peers that abuse it. All of it on the connection's loop, inside brackets.
 *
 *   msi_conn_ops ── msi_h2_input(), _eof(), _progress() ──►  h2  ── msi_h2_role ──►  grpc_server.c, grpc_client.c
 *   msi_conn     ◄── msi_h2's flush task ──────────────────  h2  ◄── msi_h2_… ─────  the same; and the calls' streams (msi_h2_stream_protocol)
 *
 * Input. Frames are looked at before nghttp2 sees them: it is given whole frames, and whole header blocks, so that one which does not end is an unfinished
 * frame of the connection, with its time limit (conn.h); and floods are counted here (the allowances of msi_h2_limits). An HTTP/2 connection is never paused:
 * its WINDOW_UPDATEs must be heard. What bounds memory are the windows:
 *   - the connection's receive window is given back as bytes come, so that no stream stops another;
 *   - a stream's is `base` bytes, given back as its messages are handled, and `extra` for a message that is longer than what is open, while it comes. All extra of a connection
 *     is bounded by max_unread; streams that find none left wait for it (`hungry`), each with its base's worth of bytes.
 *
 * Output. Messages are appended to their stream's `out`, and nghttp2 takes from there when it makes DATA frames, as far as the peer's windows go. What
 * a wake-up has to say is made into frames once, before its bracket is left (`flush`), and no further than the socket's backlog lets it.
 * A stream's send credit (call/stream.h) is the peer's window for it, less what waits, and no more than max_stream_output; a message that passes it is taken
 * once. What waits and could be sent counts as the connection's backlog (`held`), and thus stops the streams that share it.
 */
#ifndef MSI_PROTOCOL_H2_H
#define MSI_PROTOCOL_H2_H

#include <nghttp2/nghttp2.h>

#include "base/allowance.h"
#include "call/call.h"
#include "protocol/grpc_headers.h"
#include "protocol/grpc_message.h"

typedef struct msi_h2 msi_h2;

/* One stream's bytes; part of what server and client keep of a call. Zero at first; msi_h2_stream_open() fills it in. */
typedef struct msi_h2_stream {
    int32_t id; /* 0: not open (any more) */
    TAILQ_ENTRY(msi_h2_stream) open;
    TAILQ_ENTRY(msi_h2_stream) next_due;  /* `due` */
    TAILQ_ENTRY(msi_h2_stream) next_more; /* `hungry` */
    msgsrv_stream *stream;                /* of a streaming call: is told credit; NULL */
    msi_buf out;                          /* what is to be sent from `out_at` on */
    size_t out_at;
    size_t ready;    /* of that, what the window lets through: part of h2->ready */
    bool out_last;   /* nothing is appended any more: the end, or trailers, follow */
    bool out_ended;  /* END_STREAM is on its way */
    bool source;     /* nghttp2 reads from `out` */
    bool deferred;   /* and waits for more */
    bool in_due;     /* on the list `due` */
    bool in_hungry;  /* on the list `hungry` */
    bool in_ended;   /* END_STREAM came */
    bool in_last;    /* the message that is being told came with END_STREAM: half_closed() follows at once */
    bool in_ignored; /* what still comes is thrown away */
    bool streams;    /* its messages are bounded by credit: what waits is not counted in h2->waiting */
    bool ours;       /* a reset that we wanted, not one that the peer has caused */
    uint32_t base;   /* window; see above */
    uint32_t extra;
    uint32_t wanted;  /* extra that it waits for */
    uint64_t held;    /* bytes that came and are not handled */
    uint64_t surplus; /* bytes that decompressing made, which never came */
    msi_grpc_reader reader;
} msi_h2_stream;

TAILQ_HEAD(msi_h2_streams, msi_h2_stream);

/* What the two ends make of it. All are called inside of msi_h2_input() or of the flush, where the connection may be closed, but its memory stays. */
typedef struct msi_h2_role {
    bool server;
    /* Server: a client opens a stream: gives its struct, opened; NULL when it was refused (reset) instead. */
    msi_h2_stream *(*begin)(msi_h2 *h2, int32_t id);
    /* A header of the block that is coming; then the end of the block: `last` when END_STREAM is with it. */
    void (*header)(msi_h2 *h2, msi_h2_stream *stream, msi_view name, msi_view value);
    void (*headers)(msi_h2 *h2, msi_h2_stream *stream, bool last);
    /* A whole message; not after in_ignored was set. Its window is given back with msi_h2_handled(). */
    void (*message)(msi_h2 *h2, msi_h2_stream *stream, msi_view body, bool compressed);
    /* What came is no message, or too long (`why`, never MESSAGE or MORE); the rest is ignored. */
    void (*bad_message)(msi_h2 *h2, msi_h2_stream *stream, msi_grpc_read why);
    /* The peer sends no more on it; also where END_STREAM came with headers. */
    void (*half_closed)(msi_h2 *h2, msi_h2_stream *stream);
    /* All of `out` was taken, and nothing follows but trailers, which are put into the list. Optional: without, END_STREAM goes with the last DATA. */
    void (*trailers)(msi_h2 *h2, msi_h2_stream *stream, msi_headers *list);
    /* A stream of calls is about to send its first message, or its next: a server's response headers go before it. false without memory. Optional. */
    bool (*opening)(msi_h2 *h2, msi_h2_stream *stream);
    /* The stream is over: both ends are closed (code 0) or one has reset it. The struct is let go of: id is 0. `by_peer`: a RST_STREAM of the peer's. */
    void (*closed)(msi_h2 *h2, msi_h2_stream *stream, uint32_t code, bool by_peer);
    /* Client: the server takes no streams above last_id. Optional. */
    void (*goaway)(msi_h2 *h2, int32_t last_id, uint32_t code, msi_view text);
    /* The moment of msi_h2_wake_at() has come. Optional. */
    void (*woken)(msi_h2 *h2);
    /* A ping was answered. Optional. */
    void (*pong)(msi_h2 *h2, const uint8_t data[8]);
    /* Output was taken from the streams; called once in a flush. Optional. */
    void (*moved)(msi_h2 *h2);
    /* The connection cannot go on, because of the peer or for want of memory: GOAWAY was written and the connection finishes, or is closed. Lets go of all
     * calls. Called once, and not when the connection was closed from outside (msi_conn_ops.closed tells that). */
    void (*broken)(msi_h2 *h2, msgsrv_refusal why, const char *text);
} msi_h2_role;

typedef struct msi_h2_limits {
    uint32_t max_message;
    uint32_t max_streams;     /* that the peer may open */
    uint32_t window;          /* bytes of a stream's receive window at first */
    uint32_t max_header_list; /* bytes as HTTP/2 counts them; a longer list is the role's to refuse, a block that is much longer ends the connection */
    uint32_t max_unread;
    uint32_t max_stream_output;
    uint32_t pings_per_second; /* of PING, and of SETTINGS; MSGSRV_NONE: no limit, as in the next four */
    uint32_t ping_burst;
    uint32_t idle_frames_per_second;
    uint32_t resets_per_second; /* streams that the peer resets, or has us reset */
    uint32_t reset_burst;
} msi_h2_limits;

struct msi_h2 {
    msi_conn *conn;
    const msi_h2_role *role;
    msi_h2_limits limits;
    nghttp2_session *session;
    msi_outlet outlet; /* for streams, with msi_h2_stream_protocol */
    msi_task flush;
    struct event timer;            /* of the two moments below */
    uint64_t stall_due;            /* answers wait, and none has moved: 0: none waits */
    uint64_t wake_due;             /* the role's, see msi_h2_wake_at() */
    uint64_t timer_due;            /* when it fires; 0: it is not set */
    struct msi_h2_streams streams; /* that are open */
    struct msi_h2_streams due;     /* whose credit has changed */
    struct msi_h2_streams hungry;
    msi_headers headers; /* for whoever makes a list; empty in between */
    size_t ready;        /* bytes that wait in streams and the windows would let through */
    size_t waiting;  /* bytes that wait in streams whose out_last is set: answers that nothing but the peer holds up */
    uint32_t open;   /* streams */
    uint64_t unread; /* bytes held by all streams */
    uint32_t extra;  /* of all streams */
    uint32_t raised; /* of all streams, what `base` has over `window` */
    int32_t last_id; /* highest stream that the peer has opened */
    /* The frame that was scanned last. */
    int32_t block_id; /* a header block is open there; 0: none */
    uint32_t block_size;
    uint32_t block_frames;
    size_t whole;      /* bytes at the front of the input that were scanned already */
    int32_t early[32]; /* streams that we ended before their peer did: what it still sends is no breach */
    unsigned early_at;
    msi_allowance pings;
    msi_allowance settings;
    msi_allowance idle_frames;
    msi_allowance resets;
    uint32_t earned;    /* window updates that are free, because we have sent something for them */
    bool spoken;        /* we have sent something since the last ping, which is free therefore */
    bool preface;       /* server: the client's has come */
    bool peer_resets;   /* a RST_STREAM of the peer's is being looked at */
    bool terminated;    /* nghttp2 has ended the session, for a breach: it has written GOAWAY */
    bool receiving;     /* inside nghttp2_session_mem_recv() */
    bool sending;       /* inside nghttp2_session_mem_send() */
    bool ended;         /* no more input is looked at */
    msgsrv_refusal why; /* set by a callback that fails the session; with `text` */
    uint32_t error;
    const char *text;
    bool failing; /* the three above are set */
};

/* Sets a session up on a connection; nothing is sent yet but SETTINGS and the first window, with the bracket. false without memory: nothing is left. */
bool msi_h2_init(msi_h2 *h2, msi_conn *conn, const msi_h2_role *role, const msi_h2_limits *limits);

/* For msi_conn_ops.closed: no stream is told anything any more; they can be let go of with msi_h2_stream_close(). And for .freed. */
void msi_h2_shut(msi_h2 *h2);
void msi_h2_release(msi_h2 *h2);

/* For msi_conn_ops.input and .progress. */
size_t msi_h2_input(msi_h2 *h2, const uint8_t *data, size_t size);
void msi_h2_progress(msi_h2 *h2);

/* Something was submitted to nghttp2: it goes out before the bracket is left. */
void msi_h2_want_flush(msi_h2 *h2);

/* Ends the connection: GOAWAY with an HTTP/2 error code and a text, and role->broken(). */
void msi_h2_fail(msi_h2 *h2, msgsrv_refusal why, uint32_t error, const char *text);

/* Ends it in good order, behind what was submitted; outside of nghttp2's callbacks: role->moved() is a place for it. */
void msi_h2_finish(msi_h2 *h2);

/* Has role->woken() called at a moment; 0: not any more. */
void msi_h2_wake_at(msi_h2 *h2, uint64_t moment);

/* A stream has got its id: by the peer (server) or from nghttp2_submit_request() with msi_h2_source() (client). */
void msi_h2_stream_open(msi_h2 *h2, msi_h2_stream *stream, int32_t id);

/* What nghttp2 is to read from: for nghttp2_submit_response() and _request(). */
nghttp2_data_provider msi_h2_source(msi_h2_stream *stream);

/* The stream of an id, or NULL. */
msi_h2_stream *msi_h2_find(msi_h2 *h2, int32_t id);

/* Output: append to stream->out between the two. */
static inline msi_buf *msi_h2_out_begin(msi_h2_stream *stream)
{
    return &stream->out;
}
void msi_h2_out_end(msi_h2 *h2, msi_h2_stream *stream);

/* Nothing more will be appended; trailers or the end follow. */
void msi_h2_out_last(msi_h2 *h2, msi_h2_stream *stream);

/* Resets a stream with an HTTP/2 error code: NO_ERROR and CANCEL are no offence of the peer's. `closed` is still called. */
void msi_h2_reset(msi_h2 *h2, msi_h2_stream *stream, uint32_t error);

/* Lets go of a stream: role->closed() is not called for it any more, what it has waiting is dropped, what still comes is ignored. */
void msi_h2_stream_close(msi_h2 *h2, msi_h2_stream *stream);

/* A stream's messages of so many bytes (prefixes counted) are handled: their window is given back. */
void msi_h2_handled(msi_h2 *h2, msi_h2_stream *stream, uint64_t bytes);

/* The one request of a stream is on its way to its handler: its bytes are held no longer, nor the extra window that it had. */
void msi_h2_begun(msi_h2 *h2, msi_h2_stream *stream);

/* Many messages are to be expected: gives it a window of MSI_STREAM_BYTES, if there is some left. */
void msi_h2_raise_window(msi_h2 *h2, msi_h2_stream *stream);

/* Bytes that wait for the peer, in streams and for the socket, and that no credit bounds: answers of calls that have ended. */
static inline size_t msi_h2_backlog(const msi_h2 *h2)
{
    return h2->waiting + msi_conn_collected(h2->conn);
}

/* Tells streams their credit and gives out window that became free; for h2's own files. */
void msi_h2_tell_due(msi_h2 *h2);
void msi_h2_due(msi_h2 *h2, msi_h2_stream *stream);
void msi_h2_feed_hungry(msi_h2 *h2);
void msi_h2_window_for_message(msi_h2 *h2, msi_h2_stream *stream);
void msi_h2_window_release(msi_h2 *h2, msi_h2_stream *stream);
void msi_h2_came(msi_h2 *h2, msi_h2_stream *stream, size_t size);
bool msi_h2_has_room(const msi_h2 *h2);

/* Looks at the frames of the input: how many bytes from the front nghttp2 may have, whole frames and whole header blocks. Counts what may
 * be a flood; may fail the session. */
size_t msi_h2_scan(msi_h2 *h2, const uint8_t *data, size_t size);

/* A HEADERS frame that opens no stream that is known; false when that is a breach. A stream that was reset for a fault of the peer's: likewise. */
bool msi_h2_may_be_late(const msi_h2 *h2, int32_t id);
bool msi_h2_allow_reset(msi_h2 *h2);

/* Ties a call's stream to its HTTP/2 stream: its credit, both ways. After msi_call_add_stream() or msi_stream_attach(). */
void msi_h2_tie(msi_h2 *h2, msi_h2_stream *stream, msgsrv_stream *of_call);

/*
 * The streams of calls on an HTTP/2 connection (call/stream.h): `item` appends a message, `half_close` ends the output without trailers, `credit` gives
 * window back. Before the first item of a server's stream the response's headers have to be on their way: role->opening().
 */
extern const msi_stream_protocol msi_h2_stream_protocol;

#endif
