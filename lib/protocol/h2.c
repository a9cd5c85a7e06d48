/* SPDX-License-Identifier: MIT */
/* The session: nghttp2 between a connection and its streams; see h2.h. The guards are in h2_scan.c, the windows in h2_window.c. */
#include "protocol/h2.h"

#include <stdlib.h>

#include "base/container.h"
#include "base/limits.h"

#define CONNECTION_WINDOW (16 * MSI_MIB) /* given back as bytes come: it holds nobody up */
#define OUT_KEEP (16 * MSI_KIB)          /* a stream's output buffer that is longer is given back when it is empty */
#define OUT_MOVE (64 * MSI_KIB)          /* sent bytes at its front before the rest is moved there */
#define EARNED_MAX 65536u                /* window updates that wait to be expected */
#define EARNED_EACH 2u                   /* of a DATA frame: the stream's and the connection's */
#define SETTINGS_MAX 4

static bool make_frames(msi_h2 *h2);

static msi_h2_stream *known(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

msi_h2_stream *msi_h2_find(msi_h2 *h2, int32_t id)
{
    return h2->session ? known(h2->session, id) : NULL;
}

/* The end. */

static void note(msi_h2 *h2, msgsrv_refusal why, uint32_t error, const char *text)
{
    if (h2->failing)
        return;
    h2->failing = true;
    h2->why = why;
    h2->error = error;
    h2->text = text;
}

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/* Written by hand, because nghttp2's session may be of no more use. */
static void put_goaway(msi_h2 *h2, uint32_t error, const char *text)
{
    size_t size = strlen(text);
    uint8_t frame[17] = {0};
    put32(frame, (uint32_t)(8 + size) << 8 | NGHTTP2_GOAWAY);
    put32(frame + 9, (uint32_t)h2->last_id);
    put32(frame + 13, error);
    msi_buf *out = msi_conn_out_begin(h2->conn);
    if (!out)
        return;
    if (msi_buf_append(out, frame, sizeof frame) && msi_buf_append(out, text, size))
        (void)msi_conn_out_end(h2->conn);
    else
        msi_conn_close(h2->conn, MSI_CLOSE_MEMORY);
}

static void break_up(msi_h2 *h2)
{
    if (h2->ended)
        return;
    h2->ended = true;
    msi_conn *conn = h2->conn;
    msi_conn_pin(conn);
    msgsrv_peer peer;
    msi_address_peer(&conn->peer, &peer);
    msi_count(&conn->loop->counters.refused[h2->why], 1);
    msi_log_line(&conn->loop->log, MSGSRV_LOG_WARNING, "%s: connection ended: %s", peer.address, h2->text);
    if (!h2->terminated)
        put_goaway(h2, h2->error, h2->text);
    msi_conn_finish(conn);
    h2->role->broken(h2, h2->why, h2->text);
    msi_conn_unpin(conn);
}

void msi_h2_fail(msi_h2 *h2, msgsrv_refusal why, uint32_t error, const char *text)
{
    if (h2->ended)
        return;
    note(h2, why, error, text);
    if (h2->receiving || h2->sending)
        return; /* nghttp2 is at work: when it has returned */
    break_up(h2);
}

void msi_h2_finish(msi_h2 *h2)
{
    if (h2->ended || h2->receiving || h2->sending)
        return;
    msi_conn *conn = h2->conn;
    msi_conn_pin(conn);
    h2->sending = true;
    (void)make_frames(h2);
    h2->sending = false;
    h2->ended = true;
    msi_conn_finish(conn);
    msi_conn_unpin(conn);
}

/* Timer. */

static void set_timer(msi_h2 *h2)
{
    uint64_t due = msi_earlier(h2->stall_due, h2->wake_due);
    if (due == 0 || h2->ended || (h2->timer_due && h2->timer_due <= due))
        return;
    h2->timer_due = due;
    if (!msi_timer_at(h2->conn->loop, &h2->timer, due))
        msi_conn_close(h2->conn, MSI_CLOSE_MEMORY);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_h2 *h2 = arg;
    msi_conn *conn = h2->conn;
    msi_loop *loop = conn->loop;
    msi_loop *before = msi_loop_enter(loop);
    msi_conn_pin(conn);
    uint64_t now = msi_loop_now(loop);
    h2->timer_due = 0;
    if (h2->stall_due && h2->stall_due <= now) {
        msi_conn_close(conn, MSI_CLOSE_SLOW_READER);
    } else if (h2->wake_due && h2->wake_due <= now) {
        h2->wake_due = 0;
        h2->role->woken(h2);
    }
    if (!conn->closed)
        set_timer(h2);
    msi_conn_unpin(conn);
    msi_loop_leave(loop, before);
}

void msi_h2_wake_at(msi_h2 *h2, uint64_t moment)
{
    h2->wake_due = moment;
    set_timer(h2);
}

/* Answers that wait for nothing but the peer move on, or there are none, or the time begins. */
static void note_progress(msi_h2 *h2)
{
    uint32_t timeout = h2->conn->limits->output_timeout_ms;
    h2->stall_due = h2->waiting ? msi_after(msi_loop_now(h2->conn->loop), timeout) : 0;
    set_timer(h2);
}

/* Streams. */

void msi_h2_stream_open(msi_h2 *h2, msi_h2_stream *stream, int32_t id)
{
    stream->id = id;
    stream->base = h2->limits.window;
    (void)nghttp2_session_set_stream_user_data(h2->session, id, stream);
    TAILQ_INSERT_TAIL(&h2->streams, stream, open);
    h2->open++;
}

static void drop_output(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->out_last && !stream->streams)
        h2->waiting -= stream->out.len - stream->out_at;
    h2->ready -= stream->ready;
    stream->ready = 0;
    h2->conn->held = h2->ready;
    if (stream->out.cap > OUT_KEEP)
        msi_pool_put(&h2->conn->loop->pool, &stream->out);
    msi_buf_release(&stream->out);
    stream->out_at = 0;
}

/* Off all lists. */
static void unlist(msi_h2 *h2, msi_h2_stream *stream)
{
    stream->id = 0;
    TAILQ_REMOVE(&h2->streams, stream, open);
    h2->open--;
    if (stream->in_due)
        TAILQ_REMOVE(&h2->due, stream, next_due);
    if (stream->in_hungry)
        TAILQ_REMOVE(&h2->hungry, stream, next_more);
    stream->in_due = stream->in_hungry = false;
    stream->stream = NULL;
    drop_output(h2, stream);
    msi_grpc_reader_release(&stream->reader);
    h2->raised -= stream->base - h2->limits.window;
    stream->base = h2->limits.window;
    msi_h2_begun(h2, stream);
    if (h2->waiting == 0)
        h2->stall_due = 0;
}

void msi_h2_stream_close(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->id == 0)
        return;
    int32_t id = stream->id;
    if (h2->session) {
        (void)nghttp2_session_set_stream_user_data(h2->session, id, NULL);
        if (!h2->ended) {
            (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
            msi_h2_want_flush(h2);
        }
    }
    unlist(h2, stream);
}

void msi_h2_reset(msi_h2 *h2, msi_h2_stream *stream, uint32_t error)
{
    if (stream->id == 0 || h2->ended)
        return;
    stream->ours = true;
    stream->in_ignored = true;
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, error);
    msi_h2_want_flush(h2);
}

/* Output. */

void msi_h2_want_flush(msi_h2 *h2)
{
    if (!h2->ended && !h2->sending)
        msi_loop_before_leave(h2->conn->loop, &h2->flush);
}

static void resume(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->deferred && stream->id) {
        stream->deferred = false;
        (void)nghttp2_session_resume_data(h2->session, stream->id);
    }
    msi_h2_want_flush(h2);
}

void msi_h2_out_end(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->out_at > OUT_MOVE && stream->out_at > stream->out.len / 2) {
        stream->out.len -= stream->out_at;
        memmove(stream->out.data, stream->out.data + stream->out_at, stream->out.len);
        stream->out_at = 0;
    }
    resume(h2, stream);
}

void msi_h2_out_last(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->out_last || stream->id == 0)
        return;
    stream->out_last = true;
    if (!stream->streams) {
        bool first = h2->waiting == 0;
        h2->waiting += stream->out.len - stream->out_at;
        if (first && h2->waiting)
            note_progress(h2);
    }
    resume(h2, stream);
}

/* The trailers follow the DATA frame that nghttp2 is making. */
static int put_trailers(msi_h2 *h2, msi_h2_stream *stream)
{
    msi_headers *list = &h2->headers;
    msi_headers_clear(list);
    h2->role->trailers(h2, stream, list);
    int result = NGHTTP2_ERR_NOMEM;
    if (msi_headers_ready(list))
        result = nghttp2_submit_trailer(h2->session, stream->id, list->list, list->count);
    msi_headers_clear(list);
    return result;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx)
{
    (void)buffer;
    (void)source;
    msi_h2 *h2 = ctx;
    msi_h2_stream *stream = known(session, id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t waits = stream->out.len - stream->out_at;
    size_t size = waits < length ? waits : length;
    if (size == 0 && !stream->out_last) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size < waits || !stream->out_last)
        return (ssize_t)size;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    stream->out_ended = true;
    if (h2->role->trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (put_trailers(h2, stream) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)size;
}

nghttp2_data_provider msi_h2_source(msi_h2_stream *stream)
{
    stream->source = true;
    return (nghttp2_data_provider){.source = {.ptr = stream}, .read_callback = on_read};
}

static void sent(msi_h2 *h2, msi_h2_stream *stream, size_t size)
{
    stream->out_at += size;
    if (stream->out_last && !stream->streams) {
        h2->waiting -= size;
        note_progress(h2);
    }
    h2->ready -= size < stream->ready ? size : stream->ready;
    stream->ready -= size < stream->ready ? size : stream->ready;
    h2->conn->held = h2->ready;
    if (stream->out_at == stream->out.len) {
        stream->out.len = stream->out_at = 0;
        if (stream->out.cap > OUT_KEEP)
            msi_pool_put(&h2->conn->loop->pool, &stream->out);
    }
    if (stream->stream)
        msi_h2_due(h2, stream);
}

/* A DATA frame, whose bytes go from the stream's output straight to the connection's. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                        nghttp2_data_source *source, void *ctx)
{
    (void)source;
    msi_h2 *h2 = ctx;
    msi_h2_stream *stream = known(session, frame->hd.stream_id);
    msi_buf *out = stream ? msi_conn_out_begin(h2->conn) : NULL;
    if (!out)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (!msi_buf_append(out, head, 9) || !msi_buf_append(out, stream->out.data + stream->out_at, length)) {
        note(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_INTERNAL_ERROR, "no memory");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    sent(h2, stream, length);
    return msi_conn_out_end(h2->conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Makes frames as long as the socket takes them; what is over waits in the streams. false: the connection is gone, or has to go. */
static bool make_frames(msi_h2 *h2)
{
    msi_conn *conn = h2->conn;
    while (msi_conn_open(conn) && conn->waiting <= conn->limits->max_output / 2) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(h2->session, &data);
        if (size < 0 && !h2->failing)
            note(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_INTERNAL_ERROR, "no memory");
        if (size < 0)
            return false;
        if (size == 0)
            return true;
        msi_buf *out = msi_conn_out_begin(conn);
        if (!out)
            return true; /* it takes no more output, and will be gone soon */
        if (!msi_buf_append(out, data, (size_t)size)) {
            note(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_INTERNAL_ERROR, "no memory");
            return false;
        }
        if (!msi_conn_out_end(conn))
            return false;
    }
    return true;
}

static void flush(msi_h2 *h2)
{
    msi_conn *conn = h2->conn;
    if (h2->ended || h2->sending || h2->receiving)
        return;
    msi_conn_pin(conn);
    h2->sending = true;
    bool made = make_frames(h2);
    h2->sending = false;
    if (!conn->closed && !h2->ended && (!made || h2->failing))
        break_up(h2);
    if (!h2->ended) {
        msi_h2_tell_due(h2);
        if (!h2->ended && msi_conn_backlog(conn) < conn->limits->max_output / 2)
            msi_outlet_progress(&h2->outlet);
        if (!h2->ended && h2->role->moved)
            h2->role->moved(h2);
    }
    msi_conn_unpin(conn);
}

static void on_flush_task(msi_task *task)
{
    flush(MSI_CONTAINER(task, msi_h2, flush));
}

void msi_h2_progress(msi_h2 *h2)
{
    if (h2->sending || h2->receiving || h2->ended)
        return;
    /* Not here, in the middle of sending: the loop's next turn. */
    if (nghttp2_session_want_write(h2->session))
        msi_loop_defer(h2->conn->loop, &h2->flush);
    if (msi_conn_backlog(h2->conn) < h2->conn->limits->max_output / 2)
        msi_outlet_progress(&h2->outlet);
}

/* What nghttp2 tells while it receives. A callback that finds the connection gone, or the session failing, stops it. */

static int go_on(const msi_h2 *h2)
{
    return h2->ended || h2->failing || h2->conn->closed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
    msi_h2 *h2 = ctx;
    if (!h2->role->server || hd->type != NGHTTP2_HEADERS)
        return 0;
    if (hd->stream_id > h2->last_id || nghttp2_session_find_stream(session, hd->stream_id) ||
        msi_h2_may_be_late(h2, hd->stream_id))
        return 0;
    note(h2, MSGSRV_REFUSED_STREAM_ID, NGHTTP2_PROTOCOL_ERROR, "a stream's id is not higher than those before");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    msi_h2 *h2 = ctx;
    int32_t id = frame->hd.stream_id;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return go_on(h2);
    h2->last_id = id;
    if (h2->role->begin && !h2->role->begin(h2, id))
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return go_on(h2);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *ctx)
{
    (void)flags;
    msi_h2 *h2 = ctx;
    msi_h2_stream *stream = known(session, frame->hd.stream_id);
    if (stream && frame->hd.type == NGHTTP2_HEADERS)
        h2->role->header(h2, stream, (msi_view){name, name_size}, (msi_view){value, value_size});
    return go_on(h2);
}

/* The peer's window for some or all has grown. */
static void on_window(msi_h2 *h2, int32_t id)
{
    msi_h2_stream *stream = id ? known(h2->session, id) : NULL;
    if (stream)
        msi_h2_due(h2, stream);
}

/* All windows may have changed: those for our output, or when the peer has acknowledged ours, those for its own. */
static void on_settings(msi_h2 *h2, bool ack)
{
    msi_h2_stream *stream;
    TAILQ_FOREACH(stream, &h2->streams, open)
    {
        if (ack)
            msi_h2_window_for_message(h2, stream);
        else
            msi_h2_due(h2, stream);
    }
}

static void on_end_stream(msi_h2 *h2, msi_h2_stream *stream)
{
    if (stream->in_ended)
        return;
    stream->in_ended = true;
    h2->role->half_closed(h2, stream);
}

static void on_goaway(msi_h2 *h2, const nghttp2_goaway *frame)
{
    if (h2->role->goaway)
        h2->role->goaway(h2, frame->last_stream_id, frame->error_code,
                         (msi_view){frame->opaque_data, frame->opaque_data_len});
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    msi_h2 *h2 = ctx;
    const nghttp2_frame_hd *hd = &frame->hd;
    msi_h2_stream *stream = hd->stream_id ? known(session, hd->stream_id) : NULL;
    bool last = (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        if (stream)
            h2->role->headers(h2, stream, last);
        stream = known(session, hd->stream_id);
        if (stream && last)
            on_end_stream(h2, stream);
        break;
    case NGHTTP2_DATA:
        if (stream && last)
            on_end_stream(h2, stream);
        break;
    case NGHTTP2_RST_STREAM:
        h2->peer_resets = nghttp2_session_find_stream(session, hd->stream_id) != NULL;
        break;
    case NGHTTP2_SETTINGS:
        on_settings(h2, (hd->flags & NGHTTP2_FLAG_ACK) != 0);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        on_window(h2, hd->stream_id);
        break;
    case NGHTTP2_PING:
        if ((hd->flags & NGHTTP2_FLAG_ACK) && h2->role->pong)
            h2->role->pong(h2, frame->ping.opaque_data);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(h2, &frame->goaway);
        break;
    default:
        break;
    }
    return go_on(h2);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *ctx)
{
    msi_h2 *h2 = ctx;
    (void)nghttp2_session_consume_connection(session, size);
    msi_h2_stream *stream = known(session, id);
    msi_view rest = {data, size};
    if (stream)
        msi_h2_came(h2, stream, size);
    while (stream && !stream->in_ignored && go_on(h2) == 0) {
        msi_view message;
        bool compressed;
        msi_grpc_read result = msi_grpc_read_next(&stream->reader, &rest, h2->limits.max_message, &message, &compressed);
        if (result == MSI_GRPC_MORE && msi_h2_has_room(h2)) {
            msi_h2_window_for_message(h2, stream);
            break;
        }
        if (result == MSI_GRPC_MORE)
            result = MSI_GRPC_NO_ROOM;
        if (result != MSI_GRPC_MESSAGE) {
            stream->in_ignored = true;
            h2->role->bad_message(h2, stream, result);
            break;
        }
        if (stream->stream)
            msi_h2_window_release(h2, stream);
        stream->in_last = (flags & NGHTTP2_FLAG_END_STREAM) && rest.size == 0;
        h2->role->message(h2, stream, message, compressed);
        stream = known(session, id); /* it may be gone */
        if (rest.size == 0 && stream && !msi_grpc_reader_inside(&stream->reader))
            break;
    }
    return go_on(h2);
}

/* Of one whose call has ended nothing is held; what comes for it is given back at once. */
static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *ctx)
{
    msi_h2 *h2 = ctx;
    bool by_peer = h2->peer_resets;
    h2->peer_resets = false;
    msi_h2_stream *stream = known(session, id);
    if (!by_peer && (!stream || !stream->in_ended)) {
        h2->early[h2->early_at] = id;
        h2->early_at = (h2->early_at + 1) % (sizeof h2->early / sizeof *h2->early);
    }
    if (!stream)
        return 0;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    unlist(h2, stream);
    if (!h2->ended)
        h2->role->closed(h2, stream, error, by_peer);
    return 0;
}

/* The response is out, and the client still sends: it need not. */
static void end_early(msi_h2 *h2, const nghttp2_frame *frame)
{
    bool last = h2->role->server && frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    msi_h2_stream *stream = last ? known(h2->session, frame->hd.stream_id) : NULL;
    if (stream && !stream->in_ended)
        msi_h2_reset(h2, stream, NGHTTP2_NO_ERROR);
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    msi_h2 *h2 = ctx;
    const msi_h2_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        h2->spoken = true;
        h2->earned += h2->earned < EARNED_MAX ? EARNED_EACH : 0;
        end_early(h2, frame);
        break;
    case NGHTTP2_RST_STREAM:
        stream = known(session, frame->hd.stream_id);
        if ((!stream || !stream->ours) && frame->rst_stream.error_code != NGHTTP2_CANCEL &&
            frame->rst_stream.error_code != NGHTTP2_NO_ERROR && !msi_h2_allow_reset(h2))
            note(h2, MSGSRV_REFUSED_RESETS, NGHTTP2_ENHANCE_YOUR_CALM, "too many resets");
        if (frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM)
            msi_count(&h2->conn->loop->counters.refused[MSGSRV_REFUSED_OPEN_CALLS], 1);
        break;
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !h2->failing) {
            h2->terminated = true;
            note(h2, MSGSRV_REFUSED_MALFORMED, frame->goaway.error_code,
                 nghttp2_http2_strerror(frame->goaway.error_code));
        }
        break;
    default:
        break;
    }
    return 0;
}

/* Input. */

/* Gives nghttp2 whole frames. false: the session has failed. */
static bool feed(msi_h2 *h2, const uint8_t *data, size_t size)
{
    if (size == 0)
        return true;
    h2->receiving = true;
    ssize_t taken = nghttp2_session_mem_recv(h2->session, data, size);
    h2->receiving = false;
    if (h2->failing)
        return false;
    if (taken < 0)
        note(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_PROTOCOL_ERROR,
             taken == NGHTTP2_ERR_FLOODED ? "too many answers wait" : nghttp2_strerror((int)taken));
    return taken >= 0;
}

size_t msi_h2_input(msi_h2 *h2, const uint8_t *data, size_t size)
{
    if (h2->ended)
        return size;
    size_t taken = msi_h2_scan(h2, data, size);
    if (h2->ended)
        return 0;
    bool fed = feed(h2, data, taken);
    if (h2->conn->closed || h2->ended)
        return taken;
    if (!fed) {
        break_up(h2);
        return taken;
    }
    msi_h2_tell_due(h2);
    msi_h2_want_flush(h2);
    return taken;
}

/* Its life. */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    return callbacks;
}

static nghttp2_option *make_options(void)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX); /* our own is an option, and counted */
    return option;
}

static bool make_session(msi_h2 *h2)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *option = make_options();
    int result = NGHTTP2_ERR_NOMEM;
    if (callbacks && option)
        result = h2->role->server ? nghttp2_session_server_new2(&h2->session, callbacks, h2, option)
                                  : nghttp2_session_client_new2(&h2->session, callbacks, h2, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return result == 0;
}

static bool greet(msi_h2 *h2)
{
    nghttp2_settings_entry entries[SETTINGS_MAX];
    size_t count = 0;
    entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h2->limits.window};
    entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->limits.max_header_list};
    if (h2->role->server)
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h2->limits.max_streams};
    else
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, count) == 0 &&
           nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0;
}

bool msi_h2_init(msi_h2 *h2, msi_conn *conn, const msi_h2_role *role, const msi_h2_limits *limits)
{
    *h2 = (msi_h2){.conn = conn, .role = role, .limits = *limits};
    TAILQ_INIT(&h2->streams);
    TAILQ_INIT(&h2->due);
    TAILQ_INIT(&h2->hungry);
    h2->flush.run = on_flush_task;
    h2->preface = !role->server;
    h2->earned = EARNED_EACH * 8; /* what a peer opens its windows with */
    event_assign(&h2->timer, conn->loop->base, -1, 0, on_timer, h2);
    if (!make_session(h2) || !greet(h2)) {
        nghttp2_session_del(h2->session);
        return false;
    }
    msi_outlet_init(&h2->outlet, conn, &msi_h2_stream_protocol, limits->max_stream_output, limits->max_unread);
    msi_h2_want_flush(h2);
    return true;
}

void msi_h2_shut(msi_h2 *h2)
{
    h2->ended = true;
    msi_loop_undefer(h2->conn->loop, &h2->flush);
    event_del(&h2->timer);
}

void msi_h2_release(msi_h2 *h2)
{
    msi_loop_undefer(h2->conn->loop, &h2->flush);
    event_del(&h2->timer);
    msi_outlet_release(&h2->outlet);
    nghttp2_session_del(h2->session);
    msi_headers_release(&h2->headers);
}
