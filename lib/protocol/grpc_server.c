/* SPDX-License-Identifier: MIT */
/* The session of gRPC's server: its connection, its calls as a whole, and how it ends. */
#include "protocol/grpc_server.h"

#include <stdlib.h>

#include "base/container.h"
#include "base/limits.h"

#define HEADER_SLACK (4 * MSI_KIB) /* of a header list, for what is no metadata: path, authority, user-agent */
#define WINDOW_LEAST (4 * MSI_KIB)
#define WINDOW_MOST 65535u
#define DRAIN_WAIT_MS 1000u /* for the answer to the ping that is behind the first GOAWAY */

static msi_grpc_session *session_of(msi_h2 *h2)
{
    return MSI_CONTAINER(h2, msi_grpc_session, h2);
}

/* Lets go of all that is open. Programs hear of it, and may meanwhile end anything. */
static void leave_all(msi_grpc_session *session)
{
    msgsrv_call *call;
    while ((call = TAILQ_FIRST(&session->calls)) != NULL) {
        TAILQ_REMOVE(&session->calls, call, open);
        msi_grpc_exchange *exchange = call->exchange;
        exchange->call = NULL;
        msi_call_leave(call);
    }
    session->open_calls = 0;
    msi_h2_stream *stream;
    while ((stream = TAILQ_FIRST(&session->h2.streams)) != NULL) {
        msi_h2_stream_close(&session->h2, stream);
        msi_grpc_exchange_free(MSI_CONTAINER(stream, msi_grpc_exchange, h2));
    }
}

static void on_broken(msi_h2 *h2, msgsrv_refusal why, const char *text)
{
    (void)why;
    (void)text;
    leave_all(session_of(h2));
}

/* When the last call and stream are over, and no more may come, the connection ends. */
static void settle(msi_grpc_session *session)
{
    if (session->last_told && session->open_calls == 0 && session->h2.open == 0)
        msi_h2_finish(&session->h2);
}

/* The end of a drain: no stream above the last one is taken from here on. */
static void tell_last(msi_grpc_session *session)
{
    msi_h2 *h2 = &session->h2;
    if (!session->draining || session->last_told || h2->ended)
        return;
    session->last_told = true;
    msi_h2_wake_at(h2, 0);
    (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, h2->last_id, NGHTTP2_NO_ERROR, NULL, 0);
    msi_h2_want_flush(h2);
}

static void on_pong(msi_h2 *h2, const uint8_t data[8])
{
    (void)data; /* the only ping that we send */
    tell_last(session_of(h2));
}

static void on_woken(msi_h2 *h2)
{
    tell_last(session_of(h2));
}

/* Behind a flush: what waited for room, and the end. */
static void on_moved(msi_h2 *h2)
{
    msi_grpc_session *session = session_of(h2);
    if (session->draining && !session->pinged) {
        session->pinged = true; /* not before: nghttp2 has pings overtake what was submitted with them */
        (void)nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
        msi_h2_want_flush(h2);
    }
    msi_grpc_begin_ready(session);
    settle(session);
}

static const msi_h2_role role = {
    .server = true,
    .begin = msi_grpc_begin,
    .header = msi_grpc_header,
    .headers = msi_grpc_headers,
    .message = msi_grpc_message,
    .bad_message = msi_grpc_bad_message,
    .half_closed = msi_grpc_half_closed,
    .trailers = msi_grpc_trailers,
    .opening = msi_grpc_opening,
    .closed = msi_grpc_closed,
    .pong = on_pong,
    .woken = on_woken,
    .moved = on_moved,
    .broken = on_broken,
};

/* The connection. */

static size_t input(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_grpc_session *session = conn->owner;
    return msi_h2_input(&session->h2, data, size);
}

/* Without its output a client cannot even open its windows. */
static void on_eof(msi_conn *conn, size_t unfinished)
{
    if (unfinished)
        msi_count(&conn->loop->counters.refused[MSGSRV_REFUSED_MALFORMED], 1);
    msi_conn_close(conn, MSI_CLOSE_PEER);
}

static void on_progress(msi_conn *conn)
{
    msi_grpc_session *session = conn->owner;
    msi_h2_progress(&session->h2);
}

static void on_closed(msi_conn *conn, msi_close why)
{
    msi_grpc_session *session = conn->owner;
    msi_h2_shut(&session->h2);
    leave_all(session);
    session->host->connection_closed(session->host, conn, why);
}

static void on_freed(msi_conn *conn)
{
    msi_grpc_session *session = conn->owner;
    msi_h2_release(&session->h2);
    msi_call_slots_unref(session->slots);
    free(session);
}

static const msi_conn_ops conn_ops = {input, on_eof, NULL, on_progress, NULL, on_closed, on_freed};

static msi_match match(const uint8_t *data, size_t size)
{
    size_t known = size < NGHTTP2_CLIENT_MAGIC_LEN ? size : NGHTTP2_CLIENT_MAGIC_LEN;
    if (memcmp(data, NGHTTP2_CLIENT_MAGIC, known) != 0)
        return MSI_MATCH_NO;
    return known == NGHTTP2_CLIENT_MAGIC_LEN ? MSI_MATCH_YES : MSI_MATCH_MORE;
}

/* So small that all streams together are not more than what may wait unread; a stream that needs more is given more. */
static uint32_t first_window(const msi_protocol_config *config)
{
    uint32_t window = config->max_unread / config->max_calls;
    return window < WINDOW_LEAST ? WINDOW_LEAST : window > WINDOW_MOST ? WINDOW_MOST : window;
}

static bool open_session(msi_conn *conn, msi_call_host *host, const msi_protocol_config *config)
{
    msi_grpc_session *session = calloc(1, sizeof *session);
    if (!session)
        return false;
    session->host = host;
    session->config = config;
    TAILQ_INIT(&session->calls);
    TAILQ_INIT(&session->ready);
    msi_h2_limits limits = {
        .max_message = config->max_message,
        .max_streams = config->max_calls,
        .window = first_window(config),
        .max_header_list = config->max_metadata + HEADER_SLACK,
        .max_unread = config->max_unread,
        .max_stream_output = config->max_stream_output,
        .pings_per_second = config->pings_per_second,
        .ping_burst = config->ping_burst,
        .idle_frames_per_second = config->idle_frames_per_second,
        .resets_per_second = config->resets_per_second,
        .reset_burst = config->reset_burst,
    };
    session->slots = msi_call_slots_new();
    if (!session->slots || !msi_h2_init(&session->h2, conn, &role, &limits)) {
        msi_call_slots_unref(session->slots);
        free(session);
        return false;
    }
    conn->ops = &conn_ops;
    conn->owner = session;
    return true;
}

/* Once, however often the list comes round because others of it end meanwhile. */
static void tell_draining(msi_grpc_session *session)
{
    uint32_t count = session->open_calls;
    msgsrv_call *call;
    while (count-- && (call = TAILQ_FIRST(&session->calls)) != NULL) {
        TAILQ_REMOVE(&session->calls, call, open);
        TAILQ_INSERT_TAIL(&session->calls, call, open);
        if (!call->stream || call->stream->draining_told)
            continue;
        call->stream->draining_told = true;
        msi_stream_tell(call->stream, MSGSRV_STREAM_DRAINING, NULL, NULL);
    }
}

/*
 * In two steps, so that no call is lost that crosses the first: a GOAWAY that refuses nothing yet, and a ping behind it; when that is answered, the
 * client has read the GOAWAY and begins no more streams, and the second one names the last.
 */
static void drain(msi_conn *conn)
{
    msi_grpc_session *session = conn->owner;
    msi_h2 *h2 = &session->h2;
    if (session->draining || h2->ended)
        return;
    msi_conn_pin(conn);
    session->draining = true;
    tell_draining(session);
    if (!h2->ended) {
        (void)nghttp2_submit_shutdown_notice(h2->session);
        msi_h2_wake_at(h2, msi_after(msi_loop_now(conn->loop), DRAIN_WAIT_MS));
        msi_h2_want_flush(h2);
    }
    msi_conn_unpin(conn);
}

const msi_protocol msi_grpc_protocol = {"HTTP/2", match, open_session, drain, MSGSRV_REFUSED_PROTOCOL_HTTP2};
