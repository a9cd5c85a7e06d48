/* SPDX-License-Identifier: MIT */
/* The session: reading frames, limits, and how a connection ends. The rules and their numbers are those of docs/protocol.md. */
#include "protocol/native_server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/native_stream.h"

static void protocol_error(msi_native_session *session, msgsrv_refusal why, msgsrv_status code, const char *text);

/* Takes one from an allowance; false when there is none left. */
static bool allow(msi_native_session *session, msi_allowance *allowance, uint32_t per_second, uint32_t burst)
{
    return msi_allow(allowance, msi_loop_now(session->host->loop), per_second, burst);
}

/* A frame that changes nothing: counted, and bounded. */
static void no_effect(msi_native_session *session)
{
    uint32_t rate = session->config->idle_frames_per_second;
    msi_count(&session->host->loop->counters.frames_without_effect, 1);
    if (!allow(session, &session->idle_frames, rate, rate))
        protocol_error(session, MSGSRV_REFUSED_IDLE_FRAMES, MSGSRV_RESOURCE_EXHAUSTED, "too many frames without effect");
}

/* Lets go of what is open. Programs hear of it, and may meanwhile end anything. */
static void leave_all(msi_native_session *session)
{
    struct msi_call_list *lists[] = {&session->calls, &session->plain};
    for (size_t i = 0; i < 2; i++) {
        msgsrv_call *call;
        while ((call = TAILQ_FIRST(lists[i])) != NULL) {
            TAILQ_REMOVE(lists[i], call, open);
            if (call->indexed)
                msi_idmap_remove(&session->parked, &call->node);
            call->indexed = false;
            if (call->finished)
                msi_call_unref(call); /* it has ended; only its answer was still here */
            else
                msi_call_leave(call);
        }
    }
    session->open_calls = 0;
    session->plain_calls = 0;
    session->plain_bytes = 0;
}

static void put_goaway(msi_native_session *session, msgsrv_status code, const char *text)
{
    session->goaway = true;
    msi_buf *out = msi_native_out(session);
    if (out)
        msi_native_put(session, msi_goaway_put(out, code, text, session->last_id));
}

/* A breach of the protocol: says why, cancels the connection's calls and ends it. */
static void protocol_error(msi_native_session *session, msgsrv_refusal why, msgsrv_status code, const char *text)
{
    if (session->ended)
        return;
    session->ended = true;
    msi_conn *conn = session->conn;
    msi_loop *loop = session->host->loop;
    msi_count(&loop->counters.refused[why], 1);
    msgsrv_peer peer;
    msi_address_peer(&conn->peer, &peer);
    msi_log_line(&loop->log, MSGSRV_LOG_WARNING, "%s: connection ended: %s", peer.address, text);
    put_goaway(session, code, text);
    msi_conn_finish(conn); /* from here on nothing more is written */
    leave_all(session);
}

void msi_native_pause(msi_native_session *session, uint8_t why)
{
    if (session->paused == 0)
        msi_conn_pause(session->conn);
    session->paused |= why;
}

void msi_native_unpause(msi_native_session *session, uint8_t why)
{
    if ((session->paused & why) == 0)
        return;
    session->paused &= (uint8_t)~why;
    if (session->paused == 0)
        msi_conn_resume(session->conn);
}

/* Ends the connection in good order; a drain is told as the last thing to those who were not told at its beginning. */
static void finish(msi_native_session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    if (session->draining && !session->goaway)
        put_goaway(session, MSGSRV_UNAVAILABLE, "the server is shutting down");
    msi_conn_finish(session->conn);
}

void msi_native_settled(msi_native_session *session)
{
    bool last = session->draining || session->conn->eof_told;
    if (last && session->open_calls == 0 && session->plain_calls == 0)
        finish(session);
}

static void on_call(msi_native_session *session, const msi_frame *frame)
{
    if (frame->id <= session->last_id) {
        char text[MSGSRV_ERROR_TEXT];
        snprintf(text, sizeof text, "call id %llu: expected more than %llu", (unsigned long long)frame->id,
                 (unsigned long long)session->last_id);
        protocol_error(session, MSGSRV_REFUSED_MALFORMED, MSGSRV_INVALID_ARGUMENT,
                       frame->id ? text : "a call without an id");
    } else if (session->draining) {
        /* Above the last_id that it was told: its client sends it elsewhere. */
        msi_count(&session->host->loop->counters.refused[MSGSRV_REFUSED_DRAINING], 1);
    } else {
        session->last_id = frame->id;
        msi_native_begin(session, frame);
    }
}

static msgsrv_call *parked(msi_native_session *session, uint64_t id)
{
    msi_idnode *node = msi_idmap_find(&session->parked, id);
    return node ? MSI_CONTAINER(node, msgsrv_call, node) : NULL;
}

static void on_credit(msi_native_session *session, msgsrv_call *call, const msi_frame *frame)
{
    if (msi_streams_responses(call->description) && (frame->items || frame->bytes))
        msi_stream_credit(call->stream, frame->items, frame->bytes);
    else
        no_effect(session); /* nothing flows that way */
}

/* A message of a stream that is too long ends its call. */
static void over_limit(msi_native_session *session, msgsrv_call *call, size_t size)
{
    char text[MSGSRV_ERROR_TEXT];
    snprintf(text, sizeof text, "a message of about %zu bytes is over the limit of %u", size,
             session->config->max_message);
    msi_count(&session->host->loop->counters.refused[MSGSRV_REFUSED_MESSAGE_SIZE], 1);
    msi_call_cancel(call, MSGSRV_RESOURCE_EXHAUSTED, text);
}

/* Item, End, Cancel, Credit. */
static void on_call_frame(msi_native_session *session, uint32_t number, const msi_frame *frame)
{
    msgsrv_call *call = parked(session, frame->id);
    if (!call)
        no_effect(session);
    else if (number == MSI_FRAME_CANCEL)
        msi_call_cancel(call, MSGSRV_CANCELLED, "cancelled by the client");
    else if (number == MSI_FRAME_CREDIT)
        on_credit(session, call, frame);
    else if (!msi_streams_requests(call->description))
        msi_call_cancel(call, MSGSRV_INVALID_ARGUMENT,
                        "the call has one request: it has no Items and no End from the client");
    else if (number == MSI_FRAME_END)
        msi_stream_half_closed(call->stream);
    else if (frame->body.size > session->config->max_message)
        over_limit(session, call, frame->body.size);
    else
        msi_stream_receive(call->stream, frame->body);
}

static void on_ping(msi_native_session *session, const msi_frame *frame)
{
    if (frame->data.size > MSI_PING_DATA) {
        protocol_error(session, MSGSRV_REFUSED_MALFORMED, MSGSRV_INVALID_ARGUMENT, "a ping carries 64 bytes at most");
        return;
    }
    if (!allow(session, &session->pings, session->config->pings_per_second, session->config->ping_burst)) {
        protocol_error(session, MSGSRV_REFUSED_PINGS, MSGSRV_RESOURCE_EXHAUSTED, "too many pings");
        return;
    }
    msi_count(&session->host->loop->counters.pings, 1);
    msi_buf *out = msi_native_out(session);
    if (out)
        msi_native_put(session, msi_ping_put(out, MSI_FRAME_PONG, frame->data.data, frame->data.size));
}

static void on_frame(msi_native_session *session, const msi_head *head, const uint8_t *payload)
{
    session->framed = true;
    if (head->number > MSI_FRAME_HEAD) {
        no_effect(session);
        return;
    }
    msi_frame frame;
    if (!msi_frame_get(head->number, payload, head->length, &frame)) {
        char text[64];
        snprintf(text, sizeof text, "frame %u does not decode", head->number);
        protocol_error(session, MSGSRV_REFUSED_MALFORMED, MSGSRV_INVALID_ARGUMENT, text);
        return;
    }
    switch (head->number) {
    case MSI_FRAME_CALL:
        on_call(session, &frame);
        break;
    case MSI_FRAME_ITEM:
    case MSI_FRAME_END:
    case MSI_FRAME_CANCEL:
    case MSI_FRAME_CREDIT:
        on_call_frame(session, head->number, &frame);
        break;
    case MSI_FRAME_PING:
        on_ping(session, &frame);
        break;
    default: /* Pong, GoAway and Head are the server's to send: skipped from a client */
        no_effect(session);
        break;
    }
}

static void on_plain(msi_native_session *session, const msi_head *head, const uint8_t *payload)
{
    if (session->draining)
        msi_count(&session->host->loop->counters.refused[MSGSRV_REFUSED_DRAINING], 1);
    else
        msi_native_plain(session, head->number, (msi_view){payload, head->length});
}

/* A call that is too long ends alone; what follows of it is thrown away. False: its id has not come yet. */
static bool skip_call(msi_native_session *session, const msi_head *head, const uint8_t *payload, size_t size)
{
    uint64_t id = 0;
    int got = msi_frame_first_id(payload, size < head->length ? size : head->length, &id);
    if (got == 0)
        return false;
    if (got < 0) {
        protocol_error(session, MSGSRV_REFUSED_FRAME_SIZE, MSGSRV_RESOURCE_EXHAUSTED,
                       "a frame over the limit that does not begin with its id");
        return true;
    }
    session->framed = true;
    char text[MSGSRV_ERROR_TEXT];
    snprintf(text, sizeof text, "a message of about %u bytes is over the limit of %u", head->length,
             session->config->max_message);
    msgsrv_call *call = parked(session, id);
    if (head->number != MSI_FRAME_CALL) {
        if (call)
            over_limit(session, call, head->length);
        else
            no_effect(session);
    } else if (id <= session->last_id || session->draining) {
        on_call(session, &(msi_frame){.id = id});
    } else {
        session->last_id = id;
        msi_native_refuse(session, id, MSGSRV_REFUSED_MESSAGE_SIZE, MSGSRV_RESOURCE_EXHAUSTED, text);
    }
    if (!session->ended)
        msi_conn_skip(session->conn, head->length);
    return true;
}

/* What a frame's head says about its length. */
typedef enum verdict { TAKE, SKIP, REFUSED, WAIT } verdict;

static verdict judge(msi_native_session *session, const msi_head *head, const uint8_t *payload, size_t size)
{
    uint32_t number = head->number;
    const msi_protocol_config *config = session->config;
    char text[MSGSRV_ERROR_TEXT];
    if (number <= MSI_PLAIN_FIELDS && !config->plain[number].method) {
        snprintf(text, sizeof text, "nothing is bound to the plain message %u", number);
        protocol_error(session, MSGSRV_REFUSED_UNBOUND_PLAIN, MSGSRV_INVALID_ARGUMENT, text);
        return REFUSED;
    }
    bool has_body = number == MSI_FRAME_CALL || number == MSI_FRAME_ITEM || number == MSI_FRAME_END;
    uint32_t limit = number <= MSI_PLAIN_FIELDS            ? config->max_message
                     : has_body || number > MSI_FRAME_HEAD ? config->max_message + MSI_FRAME_SLACK
                                                           : MSI_FRAME_SLACK;
    if (head->length <= limit)
        return TAKE;
    if (has_body && head->length <= MSI_MESSAGE_CEILING) {
        if (!skip_call(session, head, payload, size))
            return WAIT;
        return session->ended ? REFUSED : SKIP;
    }
    snprintf(text, sizeof text, "field %u of %u bytes is over the limit of %u", number, head->length, limit);
    protocol_error(session, MSGSRV_REFUSED_FRAME_SIZE, MSGSRV_RESOURCE_EXHAUSTED, text);
    return REFUSED;
}

static void bad_head(msi_native_session *session, msi_head_result result)
{
    protocol_error(session, MSGSRV_REFUSED_MALFORMED, MSGSRV_INVALID_ARGUMENT,
                   result == MSI_HEAD_VARINT ? "a tag or length that is no minimal varint of at most 5 bytes"
                                             : "a field that is not length-delimited");
}

/* Takes one frame from the front; 0 when there is not a whole one, or the session has ended. */
static size_t take_frame(msi_native_session *session, const uint8_t *data, size_t size)
{
    msi_head head;
    msi_head_result result = msi_head_get(data, size, &head);
    if (result != MSI_HEAD_OK) {
        if (result != MSI_HEAD_MORE)
            bad_head(session, result);
        return 0;
    }
    verdict decided = judge(session, &head, data + head.size, size - head.size);
    if (decided == SKIP)
        return head.size;
    if (decided != TAKE)
        return 0;
    size_t whole = head.size + head.length;
    if (whole > size) {
        msi_conn_need(session->conn, whole);
        return 0;
    }
    if (head.number <= MSI_PLAIN_FIELDS)
        on_plain(session, &head, data + head.size);
    else
        on_frame(session, &head, data + head.size);
    return whole;
}

static size_t input(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_native_session *session = conn->owner;
    size_t done = 0;
    while (done < size && !session->ended && !session->paused && conn->skip == 0) {
        size_t taken = take_frame(session, data + done, size - done);
        if (taken == 0)
            break;
        done += taken;
        if (!conn->closed && msi_conn_over(conn))
            msi_native_pause(session, MSI_PAUSE_OUTPUT);
    }
    return done;
}

/* Goes once through the framed calls, which may end meanwhile. */
static void each_call(msi_native_session *session, void (*visit)(msgsrv_call *call))
{
    uint32_t count = session->open_calls;
    msgsrv_call *call;
    while (count-- && (call = TAILQ_FIRST(&session->calls)) != NULL) {
        TAILQ_REMOVE(&session->calls, call, open);
        TAILQ_INSERT_TAIL(&session->calls, call, open);
        visit(call);
    }
}

/* Without its input a stream's requests cannot end, and its credit not be renewed. */
static void cancel_stream(msgsrv_call *call)
{
    bool whole = call->stream && !msi_streams_responses(call->description) && call->stream->peer_done;
    if (call->stream && !whole)
        msi_call_cancel(call, MSGSRV_CANCELLED, "the client has ended its output");
}

static void end_without_input(msi_native_session *session)
{
    msi_conn *conn = session->conn;
    msi_conn_pin(conn);
    each_call(session, cancel_stream);
    msi_native_settled(session);
    msi_conn_unpin(conn);
}

static void on_eof(msi_conn *conn, size_t unfinished)
{
    msi_native_session *session = conn->owner;
    if (unfinished)
        protocol_error(session, MSGSRV_REFUSED_MALFORMED, MSGSRV_INVALID_ARGUMENT, "the input ended inside a frame");
    else
        end_without_input(session);
}

static void on_progress(msi_conn *conn)
{
    msi_native_session *session = conn->owner;
    msi_outlet_progress(&session->outlet);
}

static void on_drained(msi_conn *conn)
{
    msi_native_unpause(conn->owner, MSI_PAUSE_OUTPUT);
}

static void on_closed(msi_conn *conn, msi_close why)
{
    msi_native_session *session = conn->owner;
    session->ended = true;
    leave_all(session);
    session->host->connection_closed(session->host, conn, why);
}

static void on_freed(msi_conn *conn)
{
    msi_native_session *session = conn->owner;
    msi_outlet_release(&session->outlet);
    msi_idmap_release(&session->parked);
    free(session);
}

static const msi_conn_ops conn_ops = {input, on_eof, on_drained, on_progress, NULL, on_closed, on_freed};

static msi_match match(const uint8_t *data, size_t size)
{
    (void)size;
    /* A length-delimited field with a number of at least 1, whose first byte says enough. */
    return (data[0] & 7) == MSI_WIRE_BYTES && data[0] >= 0x0a ? MSI_MATCH_YES : MSI_MATCH_NO;
}

static bool open_session(msi_conn *conn, msi_call_host *host, const msi_protocol_config *config)
{
    msi_native_session *session = calloc(1, sizeof *session);
    if (!session)
        return false;
    session->conn = conn;
    session->host = host;
    session->config = config;
    TAILQ_INIT(&session->calls);
    TAILQ_INIT(&session->plain);
    msi_outlet_init(&session->outlet, conn, &msi_native_stream, config->max_stream_output, config->max_unread);
    conn->ops = &conn_ops;
    conn->owner = session;
    return true;
}

/* Once, however often the list comes round because others of it end meanwhile. */
static void tell_draining(msgsrv_call *call)
{
    if (!call->stream || call->stream->draining_told)
        return;
    call->stream->draining_told = true;
    msi_stream_tell(call->stream, MSGSRV_STREAM_DRAINING, NULL, NULL);
}

static void drain(msi_conn *conn)
{
    msi_native_session *session = conn->owner;
    if (session->draining || session->ended)
        return;
    msi_conn_pin(conn);
    each_call(session, tell_draining); /* what streams still say goes before the GoAway */
    session->draining = true;
    if (session->framed)
        put_goaway(session, MSGSRV_UNAVAILABLE, "the server is shutting down");
    msi_native_settled(session);
    msi_conn_unpin(conn);
}

const msi_protocol msi_native_protocol = {"native", match, open_session, drain, MSGSRV_REFUSED_PROTOCOL_UNKNOWN};
