/* SPDX-License-Identifier: MIT */
/* Framed calls: from a Call frame to a call, and from its end to an End frame. */
#include <stdio.h>

#include "base/error.h"
#include "base/limits.h"
#include "protocol/native_server.h"

#define HINT_MAX (64 * MSI_KIB) /* room that is left for an answer before it is there */

msi_buf *msi_native_out(msi_native_session *session)
{
    return msi_conn_out_begin(session->conn);
}

void msi_native_put(msi_native_session *session, bool written)
{
    if (!written)
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
    else
        (void)msi_conn_out_end(session->conn);
}

/* Appends a call's response to an open frame and closes it. On failure the buffer is as it was before the frame. */
static msgsrv_status append_response(msgsrv_call *call, msi_buf *out, const msi_open_frame *open, msgsrv_error *error)
{
    msgsrv_status status = call->service->append(call, out, error);
    if (status == MSGSRV_OK) {
        size_t body = out->len - open->body;
        uint32_t hint = body < HINT_MAX ? (uint32_t)body : HINT_MAX;
        atomic_store_explicit(&call->method->answer_size, hint, memory_order_relaxed);
        if (!msi_frame_close(out, open))
            status = msi_error_memory(error);
    }
    if (status)
        out->len = open->start;
    return status;
}

bool msi_native_answer(msgsrv_call *call, const msi_final *final, msi_buf *out)
{
    uint64_t id = call->node.id;
    if (final->code != MSGSRV_OK || msi_streams_responses(call->description))
        return msi_end_put(out, id, final);
    msi_open_frame open;
    size_t hint = atomic_load_explicit(&call->method->answer_size, memory_order_relaxed);
    bool opened = call->plain_answer ? msi_plain_open(out, call->plain_answer, hint, &open)
                                     : msi_end_open(out, id, final, hint, &open);
    if (!opened)
        return false;
    msgsrv_error error;
    msgsrv_status status = append_response(call, out, &open, &error);
    if (status == MSGSRV_OK)
        return true;
    msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: the response cannot be sent: %s",
                 call->description->path, error.text);
    /* A limit or memory, or else a handler's mistake. */
    msgsrv_status code = status == MSGSRV_RESOURCE_EXHAUSTED ? status : MSGSRV_INTERNAL;
    return msi_end_put(out, id, &(msi_final){code, error.text, final->trailer});
}

/* Writes head metadata, the response and the status of a call. false without memory. */
static bool write_end(msgsrv_call *call, const msi_final *final, msi_buf *out)
{
    bool whole = !atomic_load(&call->cancelled) && !call->head_sent && call->head.count;
    if (whole && !msi_head_put(out, call->node.id, &call->head))
        return false;
    return msi_native_answer(call, final, out);
}

static void end(msgsrv_call *call, const msi_final *final)
{
    msi_native_session *session = call->session;
    msi_conn *conn = session->conn;
    msi_conn_pin(conn); /* writing may close it */
    TAILQ_REMOVE(&session->calls, call, open);
    session->open_calls--;
    if (call->indexed)
        msi_idmap_remove(&session->parked, &call->node);
    msi_buf *out = msi_native_out(session);
    if (out)
        msi_native_put(session, write_end(call, final, out));
    msi_native_settled(session);
    msi_conn_unpin(conn);
}

static bool park(msgsrv_call *call)
{
    msi_native_session *session = call->session;
    call->indexed = msi_idmap_add(&session->parked, &call->node);
    return call->indexed;
}

static const msi_call_protocol ops = {end, park};

void msi_native_refuse(msi_native_session *session, uint64_t id, msgsrv_refusal why, msgsrv_status code, const char *text)
{
    msi_counters *counters = &session->host->loop->counters;
    msi_count(&counters->refused[why], 1);
    msi_count(&counters->calls_started, 1);
    msi_count(&counters->calls_ended[code], 1);
    msi_final final = {code, text, NULL};
    msi_buf *out = msi_native_out(session);
    if (out)
        msi_native_put(session, msi_end_put(out, id, &final));
}

static msi_method *find_method(msi_native_session *session, msi_view path)
{
    msi_method *last = session->last_method;
    if (last && last->path_size == path.size && memcmp(last->description->path, path.data, path.size) == 0)
        return last;
    last = session->host->service->find(session->host->services, path.data, path.size);
    if (last)
        session->last_method = last;
    return last;
}

/* The size of a call's metadata and its entries' form, without keeping any: for calls that are refused anyway this is not asked. */
static msgsrv_status take_metadata(msi_native_session *session, const msi_frame *frame, msgsrv_metadata_set *set,
                                   msgsrv_error *error)
{
    const uint8_t *at = NULL;
    msi_view key;
    msi_view value;
    while (msi_frame_metadata(frame, &at, &key, &value)) {
        if (key.size == 14 && memcmp(key.data, "msgsrv-require", 14) == 0)
            return msi_error(error, MSGSRV_UNIMPLEMENTED, "this server does not know what the call requires: \"%.*s\"",
                             (int)(value.size < 64 ? value.size : 64), (const char *)value.data);
        msgsrv_status status =
            msi_metadata_receive(set, key.data, key.size, value.data, value.size, session->config->max_metadata, error);
        if (status)
            return status;
    }
    return MSGSRV_OK;
}

/* What can be refused before there is a call; true when it was. */
static bool refused(msi_native_session *session, const msi_frame *frame, const msi_method *method)
{
    char text[MSGSRV_ERROR_TEXT];
    int shown = (int)(frame->method.size < 128 ? frame->method.size : 128);
    if (session->open_calls >= session->config->max_calls) {
        snprintf(text, sizeof text, "more than %u calls are open on this connection", session->config->max_calls);
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED, text);
    } else if (frame->body.size > session->config->max_message) {
        snprintf(text, sizeof text, "a message of %zu bytes is over the limit of %u", frame->body.size,
                 session->config->max_message);
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_MESSAGE_SIZE, MSGSRV_RESOURCE_EXHAUSTED, text);
    } else if (frame->streaming && frame->has_body) {
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_STREAMING, MSGSRV_INVALID_ARGUMENT,
                          "a streaming call has no body; its messages are Items");
    } else if (!method) {
        msgsrv_error unknown; /* which sees to a name that is cut inside a character */
        (void)msi_error(&unknown, MSGSRV_UNIMPLEMENTED, "unknown method %.*s", shown, (const char *)frame->method.data);
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_METHOD, MSGSRV_UNIMPLEMENTED, unknown.text);
    } else if (frame->streaming != msi_streams_requests(method->description)) {
        static const char *const kinds[] = {"unary, not streaming", "client-streaming: its requests are Items",
                                            "server-streaming: it has one request, in the Call",
                                            "bidirectional: its requests are Items"};
        snprintf(text, sizeof text, "%s is %s", method->description->path, kinds[method->description->kind]);
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_STREAMING, MSGSRV_UNIMPLEMENTED, text);
    } else {
        return false;
    }
    return true;
}

/* The stream begins with what the client grants it. */
static bool add_stream(msi_native_session *session, msgsrv_call *call, const msi_frame *frame)
{
    if (!msi_call_add_stream(call, &session->outlet))
        return false;
    msi_stream_flow *send = &call->stream->send;
    if (frame->has_credit)
        send->items = frame->credit < INT32_MAX ? frame->credit : INT32_MAX;
    if (frame->has_credit_bytes)
        send->bytes = frame->credit_bytes < INT32_MAX ? frame->credit_bytes : INT32_MAX;
    return true;
}

void msi_native_begin(msi_native_session *session, const msi_frame *frame)
{
    msi_method *method = find_method(session, frame->method);
    if (refused(session, frame, method))
        return;
    msgsrv_call *call = msi_call_new(session->host, method, &ops, session, &session->conn->peer);
    if (!call) {
        msi_native_refuse(session, frame->id, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED,
                          "the server has no memory");
        return;
    }
    call->node.id = frame->id;
    if (frame->timeout_ms)
        call->deadline = msi_after(msi_loop_now(session->host->loop), frame->timeout_ms);
    TAILQ_INSERT_TAIL(&session->calls, call, open);
    session->open_calls++;
    if (method->description->kind != MSGSRV_UNARY && !add_stream(session, call, frame)) {
        msi_call_end(call, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
        return;
    }
    if (frame->metadata_count) {
        msgsrv_error error;
        msgsrv_status status = take_metadata(session, frame, &call->received, &error);
        if (status) {
            msi_count(&session->host->loop->counters.refused[MSGSRV_REFUSED_METADATA], 1);
            msi_call_end(call, status, error.text);
            return;
        }
    }
    msi_call_begin(call, frame->body);
}
