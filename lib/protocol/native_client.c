/* SPDX-License-Identifier: MIT */
/*
 * A client's session: calls out, their ends in. A client never stops reading. What breaks the protocol ends the connection, and its
 * calls UNAVAILABLE, with what was wrong.
 */
#include "protocol/native_client.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/native_stream.h"

struct msi_client_session {
    msi_conn *conn;
    const msi_client_events *events;
    const msi_client_limits *limits;
    void *client;
    msi_idmap ids;
    struct msi_client_calls open; /* by ascending id */
    uint64_t last_id;
    msi_outlet outlet; /* where streams send */
    bool spoke;        /* something was written */
    bool heard;        /* the server has sent something that makes sense */
    bool leaving;      /* it takes no more calls */
    bool goaway;       /* because GoAway has come */
    bool silent;       /* closed by the client: nothing is reported */
    char reason[MSGSRV_ERROR_TEXT];
};

static msi_buf *begin_put(msi_client_session *session, size_t *before)
{
    msi_buf *out = msi_conn_out_begin(session->conn);
    *before = out ? out->len : 0;
    return out;
}

/* Without memory nothing is written: what is put is small, and the deadline ends what waits for it. */
static bool end_put(msi_client_session *session, msi_buf *out, size_t before, bool put)
{
    if (!put)
        out->len = before;
    session->spoke = true;
    (void)msi_conn_out_end(session->conn);
    return put;
}

static msi_client_call *call_of(msi_client_session *session, uint64_t id)
{
    msi_idnode *node = msi_idmap_find(&session->ids, id);
    return node ? MSI_CONTAINER(node, msi_client_call, node) : NULL;
}

static void let_go(msi_client_session *session, msi_client_call *call)
{
    msi_idmap_remove(&session->ids, &call->node);
    TAILQ_REMOVE(&session->open, call, open);
    call->session = NULL;
    if (call->stream)
        msi_stream_detach(call->stream);
}

/* Ends the connection because of what the server sent. */
static void broken(msi_client_session *session, const char *what)
{
    snprintf(session->reason, sizeof session->reason, "the server broke the protocol: %s", what);
    msi_conn_close(session->conn, MSI_CLOSE_LOCAL);
}

/* A session that takes no more calls and has none left is done. */
static void finish_if_idle(msi_client_session *session)
{
    if (session->leaving && TAILQ_EMPTY(&session->open) && msi_conn_open(session->conn))
        msi_conn_finish(session->conn);
}

/* Metadata that came; what is wrong with it ends the call. */
static msgsrv_status take_metadata(msi_client_session *session, const msi_frame *frame, msgsrv_metadata_set *set,
                                   msgsrv_error *error)
{
    const uint8_t *at = NULL;
    msi_view key;
    msi_view value;
    while (msi_frame_metadata(frame, &at, &key, &value)) {
        msgsrv_status status =
            msi_metadata_receive(set, key.data, key.size, value.data, value.size, session->limits->max_metadata, error);
        if (status)
            return status;
    }
    return MSGSRV_OK;
}

/* Tells the server of a call that has ended here. */
static void put_cancel(msi_client_session *session, uint64_t id)
{
    size_t before;
    msi_buf *out = begin_put(session, &before);
    if (out)
        (void)end_put(session, out, before, msi_cancel_put(out, id));
}

static void end_here(msi_client_session *session, msi_client_call *call, msgsrv_status code, const char *text)
{
    let_go(session, call);
    session->events->ended(session->client, call, code, false, (msi_view){(const uint8_t *)text, strlen(text)},
                           (msi_view){0});
}

static void on_end(msi_client_session *session, const msi_frame *frame)
{
    msi_client_call *call = call_of(session, frame->id);
    if (!call)
        return; /* cancelled or over: discarded */
    msgsrv_error error;
    msgsrv_status code = msi_code_from_wire(frame->code);
    msgsrv_status status = take_metadata(session, frame, &call->trailer, &error);
    if (status)
        end_here(session, call, status, error.text);
    else if (frame->body.size > session->limits->max_message)
        end_here(session, call, MSGSRV_RESOURCE_EXHAUSTED, "the reply is over the message limit");
    else {
        let_go(session, call);
        session->events->ended(session->client, call, code, code != MSGSRV_OK, frame->message, frame->body);
    }
    finish_if_idle(session);
}

static void on_head(msi_client_session *session, const msi_frame *frame)
{
    msi_client_call *call = call_of(session, frame->id);
    if (!call)
        return;
    msgsrv_error error;
    msgsrv_status status = MSGSRV_INVALID_ARGUMENT;
    if (call->head.count || call->head.size)
        (void)msi_error(&error, status, "the server sent head metadata twice");
    else
        status = take_metadata(session, frame, &call->head, &error);
    if (status == MSGSRV_OK)
        return;
    end_here(session, call, status, error.text);
    put_cancel(session, frame->id);
}

/* A message that breaks a rule ends its call, which the server has to be told. */
static void refuse_item(msi_client_session *session, msi_client_call *call, msgsrv_status code, const char *text)
{
    uint64_t id = call->node.id;
    end_here(session, call, code, text);
    put_cancel(session, id);
    finish_if_idle(session);
}

static void on_item(msi_client_session *session, const msi_frame *frame)
{
    msi_client_call *call = call_of(session, frame->id);
    if (!call)
        return; /* cancelled or over: discarded */
    if (!call->streams_responses)
        refuse_item(session, call, MSGSRV_INTERNAL, "the server sent a message that is not its reply");
    else if (frame->body.size > session->limits->max_message)
        refuse_item(session, call, MSGSRV_RESOURCE_EXHAUSTED, "a message is over the message limit");
    else
        msi_stream_receive(call->stream, frame->body);
}

static void on_credit(msi_client_session *session, const msi_frame *frame)
{
    msi_client_call *call = call_of(session, frame->id);
    if (call && call->streams_requests)
        msi_stream_credit(call->stream, frame->items, frame->bytes);
}

/* Whether a call that was not taken can go out again: of what a stream has sent, nothing was kept. */
static bool repeatable(const msi_client_call *call)
{
    return !call->stream || call->stream->sent == 0;
}

static void unavailable(msi_client_session *session, msi_client_call *call, const char *reason)
{
    session->events->ended(session->client, call, MSGSRV_UNAVAILABLE, false,
                           (msi_view){(const uint8_t *)reason, strlen(reason)}, (msi_view){0});
}

/* The first of the open calls with a greater id. */
static msi_client_call *first_above(msi_client_session *session, uint64_t id)
{
    msi_client_call *call = TAILQ_FIRST(&session->open);
    while (call && call->node.id <= id)
        call = TAILQ_NEXT(call, open);
    return call;
}

static void on_goaway(msi_client_session *session, const msi_frame *frame)
{
    if (!session->goaway) {
        session->goaway = true;
        msgsrv_error said;
        msi_error_set(&said, msi_code_from_wire(frame->code), true, (const char *)frame->message.data,
                      frame->message.size);
        snprintf(session->reason, sizeof session->reason, "%.200s",
                 *said.text ? said.text : msgsrv_status_text(said.code));
        if (!session->leaving)
            session->events->leaving(session->client, session);
        session->leaving = true;
    }
    msi_client_call *call = first_above(session, frame->last_id);
    while (call) {
        uint64_t id = call->node.id;
        const msi_client_call *next = TAILQ_NEXT(call, open);
        uint64_t next_id = next ? next->node.id : 0;
        let_go(session, call);
        if (repeatable(call))
            session->events->untaken(session->client, call);
        else
            unavailable(session, call, session->reason);
        /* Interceptors hear of an end, and may end any other call. */
        call = next_id ? call_of(session, next_id) : NULL;
        if (!call)
            call = first_above(session, id);
    }
    finish_if_idle(session);
}

static void on_ping(msi_client_session *session, const msi_frame *frame)
{
    size_t before;
    msi_buf *out = frame->data.size <= MSI_PING_DATA ? begin_put(session, &before) : NULL;
    if (out)
        (void)end_put(session, out, before, msi_ping_put(out, MSI_FRAME_PONG, frame->data.data, frame->data.size));
}

static void on_frame(msi_client_session *session, uint32_t number, const msi_frame *frame)
{
    session->heard = true;
    switch (number) {
    case MSI_FRAME_END:
        on_end(session, frame);
        break;
    case MSI_FRAME_HEAD:
        on_head(session, frame);
        break;
    case MSI_FRAME_ITEM:
        on_item(session, frame);
        break;
    case MSI_FRAME_CREDIT:
        on_credit(session, frame);
        break;
    case MSI_FRAME_PONG:
        session->events->pong(session->client, frame->data);
        break;
    case MSI_FRAME_GOAWAY:
        on_goaway(session, frame);
        break;
    case MSI_FRAME_PING:
        on_ping(session, frame);
        break;
    default: /* a client's own frames */
        break;
    }
}

/* A reply that is too long ends its call alone. false: more of it must come first. */
static bool skip_reply(msi_client_session *session, const msi_head *head, const uint8_t *payload, size_t size)
{
    uint64_t id = 0;
    int got = msi_frame_first_id(payload, size < head->length ? size : head->length, &id);
    if (got == 0)
        return false;
    if (got < 0) {
        broken(session, "a frame over the limit that does not begin with its id");
        return true;
    }
    msi_client_call *call = call_of(session, id);
    if (call && head->number == MSI_FRAME_ITEM)
        refuse_item(session, call, MSGSRV_RESOURCE_EXHAUSTED, "a message is over the message limit");
    else if (call)
        end_here(session, call, MSGSRV_RESOURCE_EXHAUSTED, "the reply is over the message limit");
    if (session->conn->closed)
        return true;
    msi_conn_skip(session->conn, head->length);
    return true;
}

static void bad_head(msi_client_session *session, uint8_t first)
{
    char text[80];
    if (session->heard)
        snprintf(text, sizeof text, "a field that is not length-delimited or has a bad length");
    else
        snprintf(text, sizeof text, "its first byte is 0x%02x; is this a msgsrv server?", first);
    broken(session, text);
}

static size_t take_frame(msi_client_session *session, const uint8_t *data, size_t size)
{
    msi_head head;
    msi_head_result result = msi_head_get(data, size, &head);
    if (result != MSI_HEAD_OK) {
        if (result != MSI_HEAD_MORE)
            bad_head(session, data[0]);
        return 0;
    }
    if (head.number <= MSI_FRAME_CALL) {
        broken(session, "a frame that no server sends");
        return 0;
    }
    if (head.length > session->limits->max_message + MSI_FRAME_SLACK) {
        bool has_id = head.number == MSI_FRAME_END || head.number == MSI_FRAME_ITEM;
        if (!has_id || head.length > MSI_MESSAGE_CEILING) {
            broken(session, "a frame over the limit");
            return 0;
        }
        return skip_reply(session, &head, data + head.size, size - head.size) && !session->conn->closed ? head.size : 0;
    }
    size_t whole = head.size + head.length;
    if (whole > size) {
        msi_conn_need(session->conn, whole);
        return 0;
    }
    if (head.number > MSI_FRAME_HEAD)
        return whole; /* of the future */
    msi_frame frame;
    if (!msi_frame_get(head.number, data + head.size, head.length, &frame)) {
        broken(session, "a frame that does not decode");
        return 0;
    }
    on_frame(session, head.number, &frame);
    return whole;
}

static size_t input(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_client_session *session = conn->owner;
    size_t done = 0;
    while (done < size && msi_conn_open(conn) && conn->skip == 0) {
        size_t taken = take_frame(session, data + done, size - done);
        if (taken == 0)
            break;
        done += taken;
    }
    return done;
}

static void on_eof(msi_conn *conn, size_t unfinished)
{
    (void)unfinished;
    msi_conn_close(conn, MSI_CLOSE_PEER);
}

/* Calls of which nothing was written go out again; the others may have been carried out. */
static void end_all(msi_client_session *session, const char *reason)
{
    msi_client_call *call;
    while ((call = TAILQ_FIRST(&session->open)) != NULL) {
        bool untouched = call->begins_at >= session->conn->sent;
        let_go(session, call);
        if (untouched && repeatable(call))
            session->events->untaken(session->client, call);
        else
            unavailable(session, call, reason);
    }
}

static void on_closed(msi_conn *conn, msi_close why)
{
    msi_client_session *session = conn->owner;
    if (session->silent)
        return;
    const char *reason = session->reason[0]             ? session->reason
                         : why == MSI_CLOSE_MEMORY      ? "no memory"
                         : why == MSI_CLOSE_SLOW_READER ? "the server did not read in time"
                                                        : "the server closed the connection";
    end_all(session, reason);
    session->events->lost(session->client, session, session->heard || !session->spoke, reason);
}

static void on_freed(msi_conn *conn)
{
    msi_client_session *session = conn->owner;
    msi_outlet_release(&session->outlet);
    msi_idmap_release(&session->ids);
    free(session);
}

/* No more calls go out here; those that did may still be answered by what is on the way. */
static void on_write_failed(msi_conn *conn)
{
    msi_client_session *session = conn->owner;
    if (session->leaving || session->silent)
        return;
    session->leaving = true;
    session->events->leaving(session->client, session);
}

static void on_progress(msi_conn *conn)
{
    msi_client_session *session = conn->owner;
    msi_outlet_progress(&session->outlet);
}

static const msi_conn_ops conn_ops = {input, on_eof, NULL, on_progress, on_write_failed, on_closed, on_freed};

static msi_client_session *open_session(msi_loop *loop, int fd, const msi_address *peer, const msi_conn_limits *limits,
                                        const msi_client_limits *client_limits, const msi_client_events *events,
                                        void *client)
{
    msi_client_session *session = calloc(1, sizeof *session);
    msi_conn *conn = session ? msi_conn_new(loop, fd, peer, limits, &conn_ops, session) : NULL;
    if (!conn) {
        free(session);
        close(fd);
        return NULL;
    }
    session->conn = conn;
    msi_outlet_init(&session->outlet, conn, &msi_native_stream, MSI_MAX_STREAM_OUTPUT, MSI_MAX_UNREAD);
    session->events = events;
    session->limits = client_limits;
    session->client = client;
    TAILQ_INIT(&session->open);
    if (msi_conn_start(conn))
        return session;
    session->silent = true;
    msi_conn_close(conn, MSI_CLOSE_MEMORY);
    return NULL;
}

/* What is left of the time travels; one that is over travels as the least, and ends here before an answer can come. */
static uint32_t time_left(msi_client_session *session, const msi_client_call *call)
{
    int64_t left = msi_ms_until(call->deadline, msi_loop_now(session->conn->loop));
    if (left < 0)
        return 0;
    return left == 0 ? 1 : left < (int64_t)MSGSRV_NONE ? (uint32_t)left : MSGSRV_NONE - 1;
}

static bool put_call(msi_client_session *session, msi_client_call *call, msi_buf *out)
{
    msi_open_frame open;
    const msgsrv_metadata_set *metadata = call->metadata.count ? &call->metadata : NULL;
    uint32_t left = time_left(session, call);
    if (call->streams_requests)
        return msi_streaming_call_put(out, call->node.id, call->method, left, metadata, &call->credit) &&
               msi_idmap_add(&session->ids, &call->node);
    return msi_call_open(out, call->node.id, call->method, left, metadata, &call->credit, call->body.len, &open) &&
           msi_buf_append(out, call->body.data, call->body.len) && msi_frame_close(out, &open) &&
           msi_idmap_add(&session->ids, &call->node);
}

/* From here on it can send. What it has said already goes out again. */
static void attach(msi_client_session *session, msgsrv_stream *stream)
{
    msi_stream_attach(stream, &session->outlet, session->last_id);
    if (stream->finished)
        msi_native_stream.half_close(stream);
}

static bool send_call(msi_client_session *session, msi_client_call *call)
{
    msi_conn *conn = session->conn;
    size_t before;
    msi_buf *out = begin_put(session, &before);
    if (!out)
        return false;
    msi_conn_pin(conn);
    call->node.id = session->last_id + 1;
    call->begins_at = msi_conn_written(conn);
    bool put = put_call(session, call, out);
    if (put) {
        session->last_id++;
        call->session = session;
        TAILQ_INSERT_TAIL(&session->open, call, open);
    }
    msgsrv_stream *stream = put && call->stream ? msgsrv_stream_ref(call->stream) : NULL;
    (void)end_put(session, out, before, put); /* may find that the connection is gone, and then ends or returns the call */
    if (stream && !stream->over && msi_conn_open(conn) && call_of(session, session->last_id) == call)
        attach(session, stream);
    msgsrv_stream_unref(stream);
    msi_conn_unpin(conn);
    return put;
}

static void cancel_call(msi_client_session *session, msi_client_call *call)
{
    msi_conn *conn = session->conn;
    uint64_t id = call->node.id;
    msi_conn_pin(conn);
    let_go(session, call);
    size_t before;
    msi_buf *out = begin_put(session, &before);
    if (out)
        (void)end_put(session, out, before, msi_cancel_put(out, id));
    finish_if_idle(session);
    msi_conn_unpin(conn);
}

static bool send_ping(msi_client_session *session, const uint8_t *data, size_t size)
{
    size_t before;
    msi_buf *out = begin_put(session, &before);
    return out && end_put(session, out, before, msi_ping_put(out, MSI_FRAME_PING, data, size));
}

static void look(msi_client_session *session)
{
    msi_conn_look(session->conn);
}

static void close_session(msi_client_session *session)
{
    session->silent = true;
    msi_conn_close(session->conn, MSI_CLOSE_LOCAL);
}

static size_t open_calls(const msi_client_session *session)
{
    return session->ids.count;
}

const msi_client_protocol msi_native_client = {open_session, send_call,     cancel_call, send_ping,
                                               look,         close_session, open_calls};
