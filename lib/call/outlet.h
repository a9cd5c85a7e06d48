/* SPDX-License-Identifier: MIT */
/*
 * Where the streams of one connection send: room and fairness. A send is refused while too much of the stream, or of the connection, waits for
 * the socket, when the stream has sent its share of this turn of the loop, or while others wait for their turn. Refused streams stand in
 * line; when there is room each in turn is told, and may then send up to its own limit. Belongs to a session; the loop's thread.
 */
#ifndef MSI_CALL_OUTLET_H
#define MSI_CALL_OUTLET_H

#include "net/conn.h"

struct msi_stream_protocol;
struct msgsrv_stream;

typedef struct msi_outlet {
    msi_conn *conn;
    const struct msi_stream_protocol *protocol;
    TAILQ_HEAD(msi_outlet_line, msgsrv_stream) line;
    struct msgsrv_stream *turn; /* whose turn it is, while it is told */
    msi_task task;              /* tells those in line */
    size_t unread;              /* bytes of the connection's messages that wait to be handled */
    uint32_t max_stream_output;
    uint32_t max_unread;
} msi_outlet;

/* What waits for the socket of one stream. Kept as two runs of its output, so that an upper bound is known without a list. */
typedef struct msi_outlet_share {
    uint64_t older_end; /* where in the connection's output each run ends */
    uint64_t newer_end;
    size_t older; /* bytes */
    size_t newer;
    size_t turn_bytes; /* sent in the turn below */
    unsigned turn;
} msi_outlet_share;

void msi_outlet_init(msi_outlet *outlet, msi_conn *conn, const struct msi_stream_protocol *protocol,
                     uint32_t max_stream_output, uint32_t max_unread);

/* The connection goes; no stream may be attached any more. */
void msi_outlet_release(msi_outlet *outlet);

/* Whether a stream may send now; sends first what can be sent. */
bool msi_outlet_room(msi_outlet *outlet, struct msgsrv_stream *stream);

/* The same as things are, without sending anything. */
bool msi_outlet_has_room(const msi_outlet *outlet, const struct msgsrv_stream *stream);

/* It has sent so many bytes of output. */
void msi_outlet_sent(msi_outlet *outlet, struct msgsrv_stream *stream, size_t size);

/* Puts a refused stream in line, and takes one out. */
void msi_outlet_wait(msi_outlet *outlet, struct msgsrv_stream *stream);
void msi_outlet_leave(msi_outlet *outlet, struct msgsrv_stream *stream);

/* For msi_conn_ops.progress: there may be room again. */
void msi_outlet_progress(msi_outlet *outlet);

#endif
