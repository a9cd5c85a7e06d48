/* SPDX-License-Identifier: MIT */
/* Windows: what streams of calls may send and are sent (call/stream.h), by HTTP/2's flow control; see h2.h. */
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/h2.h"

#define UNREAD_PARTS 3u /* first windows, raised ones, and extra: each is bounded by max_unread */
#define MANY INT32_MAX  /* of what HTTP/2 does not count: messages */

/* Receiving. */

/* Makes a stream's window longer than it is: which is not what we have said it to be before the peer has acknowledged our SETTINGS. */
static void widen(msi_h2 *h2, const msi_h2_stream *stream, uint32_t more)
{
    int64_t window = (int64_t)nghttp2_session_get_stream_effective_local_window_size(h2->session, stream->id) + more;
    if (nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, stream->id, (int32_t)window) != 0)
        msi_h2_fail(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_INTERNAL_ERROR, "no memory");
    msi_h2_want_flush(h2);
}

static bool fits(uint32_t used, uint32_t more, uint32_t limit)
{
    return used == 0 || (used <= limit && more <= limit - used);
}

void msi_h2_raise_window(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->base >= MSI_STREAM_BYTES || stream->in_ended)
        return;
    uint32_t more = MSI_STREAM_BYTES - stream->base;
    if (h2->raised > h2->limits.max_unread || more > h2->limits.max_unread - h2->raised)
        return;
    h2->raised += more;
    stream->base += more;
    widen(h2, stream, more);
}

/*
 * Gives window back: what has come and is not held, by messages that are not handled yet. By hand and not by nghttp2's own consuming, which cannot give back
 * early what a long message holds, nor less than half a window.
 */
static void give_back(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->id == 0 || stream->in_ended || h2->ended)
        return;
    int64_t came = nghttp2_session_get_stream_effective_recv_data_length(h2->session, stream->id);
    int64_t keep = stream->held > stream->extra ? (int64_t)(stream->held - stream->extra) : 0;
    int64_t open = nghttp2_session_get_stream_effective_local_window_size(h2->session, stream->id) - came;
    int64_t more = came - keep;
    bool stalls = stream->extra && open <= stream->base / 4;
    if (more <= 0 || (more < stream->base / 2 && !stalls))
        return;
    (void)nghttp2_submit_window_update(h2->session, NGHTTP2_FLAG_NONE, stream->id, (int32_t)more);
    msi_h2_want_flush(h2);
}

/* Of a stream with one message the window is made as long as that; of one with many it is given back before the message is handled. */
static void give_extra(msi_h2 *h2, msi_h2_stream *stream, uint32_t more)
{
    h2->extra += more;
    stream->extra += more;
    if (stream->stream)
        give_back(h2, stream);
    else
        widen(h2, stream, more);
}

/* A message is coming that is longer than what its stream may still be sent: the rest is granted, now or when there is some left. */
void msi_h2_window_for_message(msi_h2 *h2, msi_h2_stream *stream)
{
    size_t missing = msi_grpc_reader_missing(&stream->reader);
    if (missing == 0 || stream->in_hungry || stream->in_ended)
        return;
    if (stream->extra && stream->stream) {
        give_back(h2, stream);
        return;
    }
    int64_t open = (int64_t)nghttp2_session_get_stream_effective_local_window_size(h2->session, stream->id) -
                   nghttp2_session_get_stream_effective_recv_data_length(h2->session, stream->id);
    if (open >= (int64_t)missing)
        return;
    uint32_t more = (uint32_t)((int64_t)missing - open);
    if (fits(h2->extra, more, h2->limits.max_unread)) {
        give_extra(h2, stream, more);
        return;
    }
    stream->wanted = more;
    stream->in_hungry = true;
    TAILQ_INSERT_TAIL(&h2->hungry, stream, next_more);
}

void msi_h2_feed_hungry(msi_h2 *h2)
{
    msi_h2_stream *stream;
    while (!h2->ended && (stream = TAILQ_FIRST(&h2->hungry)) != NULL &&
           fits(h2->extra, stream->wanted, h2->limits.max_unread)) {
        TAILQ_REMOVE(&h2->hungry, stream, next_more);
        stream->in_hungry = false;
        give_extra(h2, stream, stream->wanted);
    }
}

void msi_h2_came(msi_h2 *h2, msi_h2_stream *stream, size_t size)
{
    stream->held += size;
    h2->unread += size;
}

bool msi_h2_has_room(const msi_h2 *h2)
{
    return h2->unread <= (uint64_t)h2->limits.max_unread * UNREAD_PARTS + h2->limits.max_message;
}

void msi_h2_begun(msi_h2 *h2, msi_h2_stream *stream)
{
    h2->unread -= stream->held;
    stream->held = 0;
    msi_h2_window_release(h2, stream);
}

/* The long message is whole. */
void msi_h2_window_release(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->extra == 0)
        return;
    h2->extra -= stream->extra;
    stream->extra = 0;
    msi_h2_feed_hungry(h2);
}

void msi_h2_handled(msi_h2 *h2, msi_h2_stream *stream, uint64_t bytes)
{
    uint64_t less = stream->surplus < bytes ? stream->surplus : bytes;
    stream->surplus -= less;
    bytes -= less;
    bytes = bytes < stream->held ? bytes : stream->held;
    stream->held -= bytes;
    h2->unread -= bytes;
    give_back(h2, stream);
}

/* Sending. */

/* Keeps the counts of what waits in step with a stream's window and output. */
static void recount(msi_h2 *h2, msi_h2_stream *stream, int64_t window)
{
    size_t waits = stream->out.len - stream->out_at;
    size_t open = window > 0 ? (size_t)window : 0;
    size_t ready = waits < open ? waits : open;
    h2->ready = h2->ready - stream->ready + ready;
    stream->ready = ready;
    h2->conn->held = h2->ready;
}

/* What the stream may send: the peer's window, and no more than we keep. */
static int64_t room(msi_h2 *h2, msi_h2_stream *stream)
{
    int64_t window = nghttp2_session_get_stream_remote_window_size(h2->session, stream->id);
    recount(h2, stream, window);
    int64_t most = h2->limits.max_stream_output;
    return (window < most ? window : most) - (int64_t)(stream->out.len - stream->out_at);
}

void msi_h2_due(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->in_due)
        return;
    stream->in_due = true;
    TAILQ_INSERT_TAIL(&h2->due, stream, next_due);
}

/* All that a stream sent has gone out: as near as HTTP/2 comes to a peer's word that it has its messages. */
static uint32_t gone(const msi_h2_stream *stream)
{
    const msgsrv_stream *of_call = stream->stream;
    bool all = stream->out.len == stream->out_at && of_call->sent > of_call->granted;
    uint64_t items = all ? of_call->sent - of_call->granted : 0;
    return items > MANY ? MANY : (uint32_t)items;
}

/* Programs are told, and may end anything meanwhile. */
void msi_h2_tell_due(msi_h2 *h2)
{
    msi_h2_stream *stream;
    while ((stream = TAILQ_FIRST(&h2->due)) != NULL) {
        TAILQ_REMOVE(&h2->due, stream, next_due);
        stream->in_due = false;
        if (h2->ended || stream->id == 0)
            continue;
        int64_t now = room(h2, stream);
        msgsrv_stream *of_call = stream->stream;
        if (!of_call || of_call->over || !of_call->send.type)
            continue;
        uint32_t items = gone(stream);
        int64_t more = now - of_call->send.bytes;
        if (more < 0)
            of_call->send.bytes = now;
        if (more > 0 || items)
            msi_stream_credit(of_call, items, more > 0 ? (uint32_t)more : 0);
    }
}

void msi_h2_tie(msi_h2 *h2, msi_h2_stream *stream, msgsrv_stream *of_call)
{
    stream->stream = of_call;
    stream->streams = of_call->send.type != NULL;
    of_call->send.items = MANY;
    of_call->send.bytes = room(h2, stream);
    of_call->receive.items = MANY;
    of_call->receive.bytes = MANY;
    of_call->window_items = MSGSRV_NONE;
    of_call->window_bytes = stream->base;
}

static msi_h2 *h2_of(const msgsrv_stream *of_call)
{
    return MSI_CONTAINER(of_call->outlet, msi_h2, outlet);
}

static msi_h2_stream *stream_of(const msgsrv_stream *of_call)
{
    return msi_h2_find(h2_of(of_call), (int32_t)of_call->id);
}

/* Appends a message. On failure the buffer is as it was. */
static msgsrv_status put_item(msgsrv_stream *of_call, const void *message, msi_buf *out, size_t *body,
                              msgsrv_error *error)
{
    size_t start;
    msgsrv_call *call = msgsrv_stream_call(of_call);
    if (!msi_grpc_prefix_open(out, &start))
        return msi_error_memory(error);
    msgsrv_status status = msi_stream_append(of_call, message, out, error);
    if (status) {
        out->len = start;
        return status;
    }
    bool compressed = call && call->compresses && msi_gzip_tail(out, start + MSI_GRPC_PREFIX);
    msi_grpc_prefix_close(out, start, compressed);
    *body = out->len - start - MSI_GRPC_PREFIX;
    return MSGSRV_OK;
}

static msgsrv_status item(msgsrv_stream *of_call, const void *message, size_t *body, msgsrv_error *error)
{
    msi_h2 *h2 = h2_of(of_call);
    msi_h2_stream *stream = stream_of(of_call);
    if (!stream || h2->ended || stream->out_last)
        return MSGSRV_AGAIN; /* it will be gone soon */
    if (h2->role->opening && !h2->role->opening(h2, stream))
        return msi_error_memory(error);
    size_t before = stream->out.len;
    msgsrv_status status = put_item(of_call, message, &stream->out, body, error);
    if (status)
        return status;
    size_t size = stream->out.len - before;
    msi_outlet_share *share = &of_call->share;
    if (share->turn != h2->conn->loop->turn)
        share->turn_bytes = 0;
    share->turn = h2->conn->loop->turn;
    share->turn_bytes += size;
    msi_h2_out_end(h2, stream);
    of_call->send.bytes = room(h2, stream) + (int64_t)*body; /* of which the stream takes the body off */
    return MSGSRV_OK;
}

static void half_close(msgsrv_stream *of_call)
{
    msi_h2_stream *stream = stream_of(of_call);
    if (stream)
        msi_h2_out_last(h2_of(of_call), stream);
}

static void credit(msgsrv_stream *of_call, uint32_t items, uint32_t bytes)
{
    msi_h2_stream *stream = stream_of(of_call);
    if (stream)
        msi_h2_handled(h2_of(of_call), stream, (uint64_t)bytes + (uint64_t)items * MSI_GRPC_PREFIX);
}

const msi_stream_protocol msi_h2_stream_protocol = {item, half_close, credit};
