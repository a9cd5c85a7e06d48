/* SPDX-License-Identifier: MIT */
/* Room and fairness of output; see outlet.h. */
#include "call/outlet.h"

#include "base/container.h"
#include "base/limits.h"
#include "call/stream.h"

/* Bytes of the stream that may still wait: never less than there are, and at most twice as many. */
static size_t waits(const msi_outlet_share *share, uint64_t sent)
{
    if (sent >= share->newer_end)
        return 0;
    return sent >= share->older_end ? share->newer : share->older + share->newer;
}

/* Whether it is the stream's turn, and there is something left of it. */
static bool has_turn(const msi_outlet *outlet, const msgsrv_stream *stream)
{
    const msi_outlet_share *share = &stream->share;
    bool used = share->turn == outlet->conn->loop->turn && share->turn_bytes >= MSI_STREAM_QUANTUM;
    return !used && (outlet->turn == stream || TAILQ_EMPTY(&outlet->line));
}

/* Whether there is room for more output; `full` and `most` are the marks to stay below. */
static bool below(const msi_outlet *outlet, const msgsrv_stream *stream, size_t full, size_t most)
{
    return msi_conn_backlog(outlet->conn) < full && waits(&stream->share, outlet->conn->sent) < most;
}

bool msi_outlet_has_room(const msi_outlet *outlet, const msgsrv_stream *stream)
{
    return has_turn(outlet, stream) &&
           below(outlet, stream, outlet->conn->limits->max_output, outlet->max_stream_output);
}

bool msi_outlet_room(msi_outlet *outlet, msgsrv_stream *stream)
{
    msi_conn *conn = outlet->conn;
    if (!has_turn(outlet, stream))
        return false;
    if (below(outlet, stream, conn->limits->max_output, outlet->max_stream_output))
        return true;
    if (!conn->out || conn->out->buf.len == 0)
        return false;
    msi_conn_pin(conn);
    conn->io->flush(conn);
    bool room = msi_conn_open(conn) && below(outlet, stream, conn->limits->max_output, outlet->max_stream_output);
    msi_conn_unpin(conn);
    return room;
}

void msi_outlet_sent(msi_outlet *outlet, msgsrv_stream *stream, size_t size)
{
    msi_outlet_share *share = &stream->share;
    msi_conn *conn = outlet->conn;
    uint64_t written = msi_conn_written(conn);
    if (waits(share, conn->sent) == 0) {
        share->older = size;
        share->newer = 0;
        share->older_end = share->newer_end = written;
    } else {
        if (conn->sent >= share->older_end) {
            share->older = share->newer;
            share->older_end = share->newer_end;
            share->newer = 0;
        }
        share->newer += size;
        share->newer_end = written;
    }
    if (share->turn != conn->loop->turn)
        share->turn_bytes = 0;
    share->turn = conn->loop->turn;
    share->turn_bytes += size;
    /* Only answers of unary calls may stop the reading; a stream's last message that passes the limit does not. */
    size_t backlog = msi_conn_backlog(conn);
    if (backlog > conn->limits->max_output && backlog - conn->limits->max_output > conn->excess)
        conn->excess = backlog - conn->limits->max_output;
}

static void tell_soon(msi_outlet *outlet)
{
    msi_loop_defer(outlet->conn->loop, &outlet->task);
}

void msi_outlet_wait(msi_outlet *outlet, msgsrv_stream *stream)
{
    stream->waits = MSI_WAITS_OUTPUT;
    TAILQ_INSERT_TAIL(&outlet->line, stream, in_line);
    /* With output on its way its progress is told; otherwise nothing else would bring the turn. */
    if (outlet->conn->waiting == 0)
        tell_soon(outlet);
}

void msi_outlet_leave(msi_outlet *outlet, msgsrv_stream *stream)
{
    if (stream->waits == MSI_WAITS_OUTPUT)
        TAILQ_REMOVE(&outlet->line, stream, in_line);
    stream->waits = MSI_WAITS_NOT;
    if (outlet->turn == stream)
        outlet->turn = NULL;
}

void msi_outlet_progress(msi_outlet *outlet)
{
    if (!TAILQ_EMPTY(&outlet->line))
        tell_soon(outlet);
}

/* Gives each in line its turn, once. One whose own output still waits goes to the end of the line. */
static void tell(msi_task *task)
{
    msi_outlet *outlet = MSI_CONTAINER(task, msi_outlet, task);
    msi_conn *conn = outlet->conn;
    msi_conn_pin(conn); /* and with it the session that the outlet is part of */
    size_t count = 0;
    msgsrv_stream *stream;
    TAILQ_FOREACH(stream, &outlet->line, in_line)
    count++;
    bool told = false;
    while (count-- && msi_conn_open(conn) && (stream = TAILQ_FIRST(&outlet->line)) != NULL) {
        if (msi_conn_backlog(conn) >= conn->limits->max_output / 2)
            break;
        TAILQ_REMOVE(&outlet->line, stream, in_line);
        if (!below(outlet, stream, conn->limits->max_output / 2, outlet->max_stream_output / 2 + 1)) {
            TAILQ_INSERT_TAIL(&outlet->line, stream, in_line);
            continue;
        }
        stream->waits = MSI_WAITS_NOT;
        outlet->turn = stream;
        told = true;
        msi_stream_tell(stream, MSGSRV_STREAM_WRITABLE, NULL, NULL);
        outlet->turn = NULL;
    }
    /* What was sent now may leave nothing behind whose progress would be told. */
    if (told && msi_conn_open(conn) && !TAILQ_EMPTY(&outlet->line) && conn->waiting == 0)
        tell_soon(outlet);
    msi_conn_unpin(conn);
}

void msi_outlet_init(msi_outlet *outlet, msi_conn *conn, const struct msi_stream_protocol *protocol,
                     uint32_t max_stream_output, uint32_t max_unread)
{
    outlet->conn = conn;
    outlet->protocol = protocol;
    TAILQ_INIT(&outlet->line);
    outlet->task.run = tell;
    outlet->max_stream_output = max_stream_output;
    outlet->max_unread = max_unread;
}

void msi_outlet_release(msi_outlet *outlet)
{
    msi_loop_undefer(outlet->conn->loop, &outlet->task);
}
