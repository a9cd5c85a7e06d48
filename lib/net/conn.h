/* SPDX-License-Identifier: MIT */
/*
 * A connection: bytes in, bytes out, back-pressure, time limits and an orderly end. It knows no frames. It belongs to one loop for
 * its whole life. It owns a bufferevent, which holds the socket and what waits for it; reading and flushing are the two functions of
 * msi_io, one pair for plain sockets (io_plain.c), and later one for TLS.
 *
 * Input: whole frames are handed to the owner in place, from the loop's one receive buffer; what it does not take (the
 * beginning of a frame, or everything while it is paused) is stashed. Output: collected in the loop's buffer during a bracket and
 * sent with one system call when it closes; what the socket does not take goes to the bufferevent's output.
 */
#ifndef MSI_NET_CONN_H
#define MSI_NET_CONN_H

#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "net/address.h"
#include "net/loop.h"

/* Why a connection ended. */
typedef enum msi_close {
    MSI_CLOSE_LOCAL,       /* asked for by its owner */
    MSI_CLOSE_PEER,        /* the peer ended or reset it */
    MSI_CLOSE_FIRST_BYTE,  /* no first byte in time */
    MSI_CLOSE_SLOW_FRAME,  /* a frame without progress */
    MSI_CLOSE_SLOW_READER, /* output without progress */
    MSI_CLOSE_MEMORY
} msi_close;

/* What the owner of a connection gives it. All run on the loop's thread, inside a bracket. */
typedef struct msi_conn_ops {
    /*
     * Input has come. Takes whole frames from the front and returns how many bytes it took. It may first say with
     * msi_conn_need() how long the unfinished frame will be, and with msi_conn_skip() what to throw away. Once the connection is paused,
     * finished or closed, the owner takes nothing more.
     */
    size_t (*input)(struct msi_conn *conn, const uint8_t *data, size_t size);
    /* The peer sends no more; `unfinished` bytes of a frame are stashed. Not called after finish or close. */
    void (*eof)(struct msi_conn *conn, size_t unfinished);
    /* The backlog has fallen to half the limit, after msi_conn_over() had said that it was over it. Optional. */
    void (*drained)(struct msi_conn *conn);
    /* Output was sent, and less than half the limit waits; called often. Optional. */
    void (*progress)(struct msi_conn *conn);
    /* The socket takes no more output; what the peer sent is still handed over. Optional. */
    void (*write_failed)(struct msi_conn *conn);
    /* The connection is over; called exactly once, also for msi_conn_close(). The socket is closed already. */
    void (*closed)(struct msi_conn *conn, msi_close why);
    /* Its memory goes: free what belongs to it. */
    void (*freed)(struct msi_conn *conn);
} msi_conn_ops;

/* Limits, shared by all connections of a server or client. Times are 0 for none. */
typedef struct msi_conn_limits {
    uint32_t first_byte_timeout_ms;
    uint32_t frame_timeout_ms;
    uint32_t output_timeout_ms;
    uint32_t linger_ms;
    uint32_t linger_bytes;
    uint32_t max_output;
    uint32_t keepalive_idle_s; /* MSGSRV_NONE: no keepalive */
    uint32_t keepalive_interval_s;
    uint32_t keepalive_count;
} msi_conn_limits;

/* How bytes get in and out. */
typedef struct msi_io {
    void (*read)(struct msi_conn *conn);  /* the socket is readable: get what is there and msi_conn_received() it */
    void (*flush)(struct msi_conn *conn); /* send what is collected and what waits */
} msi_io;

extern const msi_io msi_io_plain;

typedef struct msi_conn {
    TAILQ_ENTRY(msi_conn) all;
    TAILQ_ENTRY(msi_conn) turn;
    msi_loop *loop;
    const msi_conn_ops *ops;
    const msi_io *io;
    const msi_conn_limits *limits;
    void *owner;
    const void *role; /* the owner's: which protocol it speaks */
    struct bufferevent *bev;
    struct event *write_event; /* made when the socket first takes less than all */
    struct event read_event;
    struct event timer;
    uint64_t first_byte_due; /* moments at which something must have happened; 0: none */
    uint64_t frame_due;
    uint64_t output_due;
    uint64_t linger_due;
    uint64_t timer_due;   /* when the timer fires; 0: it is not set */
    msi_buf stash;        /* input not taken */
    size_t need;          /* bytes of the whole frame that the stash begins; 0: not known */
    size_t skip;          /* bytes to throw away before the next frame */
    msi_out *out;         /* the loop's, while output of it is collected there; else NULL */
    uint64_t sent;        /* bytes that the kernel has taken, in all */
    size_t waiting;       /* bytes in the bufferevent's output, as counted in the stats */
    size_t held;          /* bytes that the owner keeps back until the socket takes them: part of the backlog */
    size_t excess;        /* how far the owner went over max_output without that being a reason to stop reading */
    size_t frame_seen;    /* bytes of the unfinished frame that were looked at already */
    uint32_t frame_bytes; /* progress of the unfinished frame since frame_due was set */
    uint32_t lingered;    /* bytes thrown away since the end of output */
    uint32_t pins;        /* stack frames that still use it */
    int fd;               /* -1 once closed */
    bool reading;         /* the read event is added */
    bool paused;          /* the owner takes nothing now */
    bool resuming;        /* the stash is to be looked at again */
    bool queued;          /* on the loop's dirty list */
    bool blocked;         /* waiting for the socket to be writable */
    bool over;            /* the backlog has passed max_output */
    bool eof;             /* the peer sends no more */
    bool eof_told;        /* and the owner knows */
    bool write_dead;      /* the peer takes no more; what it sent is still read */
    bool finishing;       /* no more output; ends when all is sent */
    bool shut;            /* our end is shut down; lingering */
    bool closed;
    msi_address peer;
} msi_conn;

/*
 * Takes a connected non-blocking socket. NULL without memory: the descriptor is then still the caller's. Reading starts with
 * msi_conn_start(), which fails (and leaves the connection to be closed) without memory.
 */
msi_conn *msi_conn_new(msi_loop *loop, int fd, const msi_address *peer, const msi_conn_limits *limits,
                       const msi_conn_ops *ops, void *owner);
bool msi_conn_start(msi_conn *conn);

/* Keeps the struct alive while somebody up the stack uses it. */
static inline void msi_conn_pin(msi_conn *conn)
{
    conn->pins++;
}
void msi_conn_unpin(msi_conn *conn);

/* For ops->input: the length of the unfinished frame at the front; bytes to throw away. */
static inline void msi_conn_need(msi_conn *conn, size_t whole)
{
    conn->need = whole;
}
static inline void msi_conn_skip(msi_conn *conn, size_t bytes)
{
    conn->skip = bytes;
}

/* Back-pressure: stops reading and handing over; goes on with what was stashed, soon. Its time limits stand still. */
void msi_conn_pause(msi_conn *conn);
void msi_conn_resume(msi_conn *conn);

/*
 * Output: append to the buffer between begin and end. begin gives NULL when the connection takes no more output. After end, false means that
 * memory ran out and the connection is closed.
 */
msi_buf *msi_conn_out_begin(msi_conn *conn);
bool msi_conn_out_end(msi_conn *conn);

/* Whether more than max_output waits; sends first what can be sent. Later `drained` is called. */
bool msi_conn_over(msi_conn *conn);

/* Bytes that are collected or wait for the socket. */
static inline size_t msi_conn_collected(const msi_conn *conn)
{
    return conn->waiting + (conn->out ? conn->out->buf.len : 0);
}

/* And those that the owner has for it. */
static inline size_t msi_conn_backlog(const msi_conn *conn)
{
    return msi_conn_collected(conn) + conn->held;
}

/* The place in the stream of output where the next byte will be, counted as `sent` is. */
static inline uint64_t msi_conn_written(const msi_conn *conn)
{
    return conn->sent + msi_conn_collected(conn);
}

/* Whether output is still taken. */
static inline bool msi_conn_open(const msi_conn *conn)
{
    return !conn->finishing && !conn->closed;
}

/* Reads what is there now, without waiting for the loop; a client looks so whether the server has gone. */
void msi_conn_look(msi_conn *conn);

/* Ends it in good order: what is collected is sent, then our end is shut down, and input is thrown away for a while so that
 * no reset destroys what we sent. `closed` comes later. */
void msi_conn_finish(msi_conn *conn);

/* Ends it now. */
void msi_conn_close(msi_conn *conn, msi_close why);

/* For the loop: works through the dirty list. */
void msi_conns_turn(msi_loop *loop);

/* For the loop: sends what is collected when it is collected for as many connections as can be; not while one is written to. */
void msi_conns_relieve(msi_loop *loop);

/* For msi_io: the socket takes no output any more. What the peer sent before is still handed over, if we were reading at all. */
void msi_conn_write_failed(msi_conn *conn);

/* For msi_io: hands input over; reports the end of input; what was sent; the state of the backlog. */
void msi_conn_received(msi_conn *conn, const uint8_t *data, size_t size);
void msi_conn_received_eof(msi_conn *conn);
bool msi_conn_keep_output(msi_conn *conn, const uint8_t *data, size_t size);
void msi_conn_flushed(msi_conn *conn, bool progress);
void msi_conn_set_stash(msi_conn *conn, size_t size);

#endif
