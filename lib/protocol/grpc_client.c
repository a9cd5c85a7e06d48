/* SPDX-License-Identifier: MIT */
/*
 * A client's session of gRPC: its connection, and how it ends. A client never stops reading. What breaks the protocol ends the connection, and its
 * calls UNAVAILABLE, with what was wrong.
 */
#include "protocol/grpc_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"

#define HEADER_SLACK (8 * MSI_KIB) /* of a header list, for what is no metadata: grpc-message above all */
#define PING_SIZE 8u

static msi_client_session *session_of(msi_h2 *h2)
{
    return MSI_CONTAINER(h2, msi_client_session, h2);
}

/* A session that takes no more calls and has none left is done. */
static void finish_if_idle(msi_client_session *session)
{
    if (session->leaving && session->count == 0 && msi_conn_open(session->conn))
        msi_h2_finish(&session->h2);
}

void msi_grpc_leave(msi_client_session *session)
{
    if (session->silent)
        return;
    if (!session->leaving) {
        session->leaving = true;
        session->events->leaving(session->client, session);
    }
    msi_client_call *call;
    while ((call = TAILQ_FIRST(&session->queue)) != NULL) {
        (void)msi_grpc_let_go(session, call);
        session->events->untaken(session->client, call);
    }
}

/*
 * nghttp2 closes the streams above last_id afterwards, as refused, and does so again at the next GOAWAY with a lower one. Why the server goes matters
 * where it names an error: too_many_pings is nothing that another connection would mend.
 */
static void on_goaway(msi_h2 *h2, int32_t last_id, uint32_t code, msi_view text)
{
    (void)last_id;
    msi_client_session *session = session_of(h2);
    if (code != NGHTTP2_NO_ERROR || !session->goaway) {
        msgsrv_error said; /* which sees to what is no UTF-8 */
        msi_error_set(&said, MSGSRV_UNAVAILABLE, true, (const char *)text.data, text.size);
        if (code == NGHTTP2_NO_ERROR)
            snprintf(session->reason, sizeof session->reason, "%.200s", *said.text ? said.text : "the server is leaving");
        else
            snprintf(session->reason, sizeof session->reason, "the server ended the connection: %s%s%.160s",
                     nghttp2_http2_strerror(code), text.size ? ": " : "", text.size ? said.text : "");
    }
    session->goaway = true;
    if (code != NGHTTP2_NO_ERROR)
        msi_log_line(&session->conn->loop->log, MSGSRV_LOG_WARNING, "%s", session->reason);
    msi_grpc_leave(session);
}

static void on_pong(msi_h2 *h2, const uint8_t data[8])
{
    msi_client_session *session = session_of(h2);
    if (!session->silent)
        session->events->pong(session->client, (msi_view){data, PING_SIZE});
}

/* Behind a flush, outside of nghttp2. */
static void on_moved(msi_h2 *h2)
{
    msi_client_session *session = session_of(h2);
    if (session->silent)
        return;
    msi_grpc_attach_fresh(session);
    msi_grpc_submit_queue(session);
    finish_if_idle(session);
}

/*
 * Makes frames and tells nobody anything: h2's flush, which follows, does. So what a function of the program's says is on its way when that returns,
 * whether its loop runs again or not.
 */
static void make_frames(msi_client_session *session)
{
    msi_h2 *h2 = &session->h2;
    msi_conn *conn = session->conn;
    h2->sending = true;
    const uint8_t *data;
    ssize_t size;
    while (msi_conn_open(conn) && !h2->failing && conn->waiting <= conn->limits->max_output / 2 &&
           (size = nghttp2_session_mem_send(h2->session, &data)) > 0) {
        msi_buf *out = msi_conn_out_begin(conn);
        if (!out || !msi_buf_append(out, data, (size_t)size)) {
            msi_conn_close(conn, MSI_CLOSE_MEMORY);
            break;
        }
        (void)msi_conn_out_end(conn);
    }
    h2->sending = false;
}

static void put(msi_task *task)
{
    msi_client_session *session = MSI_CONTAINER(task, msi_client_session, put);
    msi_h2 *h2 = &session->h2;
    msi_conn *conn = session->conn;
    if (h2->ended || h2->sending || h2->receiving)
        return;
    msi_conn_pin(conn);
    make_frames(session);
    if (!h2->ended && !session->silent && !TAILQ_EMPTY(&session->fresh)) {
        msi_grpc_attach_fresh(session); /* before an answer can come */
        make_frames(session);
    }
    msi_conn_unpin(conn);
}

void msi_grpc_put_soon(msi_client_session *session)
{
    if (session->h2.ended)
        return;
    msi_loop_before_leave(session->conn->loop, &session->put);
    msi_h2_want_flush(&session->h2);
}

/* What was written of why goes out; the rest is not waited for, as the server is no use. */
static void on_broken(msi_h2 *h2, msgsrv_refusal why, const char *text)
{
    (void)why;
    msi_client_session *session = session_of(h2);
    msi_conn *conn = session->conn;
    if (session->http1)
        snprintf(session->reason, sizeof session->reason, "the server speaks HTTP/1; is this a gRPC server?");
    else
        snprintf(session->reason, sizeof session->reason, "the server broke the protocol: %.160s%s", text,
                 session->heard ? "" : "; is this a gRPC server?");
    conn->io->flush(conn);
    if (!conn->closed)
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
}

static const msi_h2_role role = {
    .server = false,
    .header = msi_grpc_answer_header,
    .headers = msi_grpc_answer_headers,
    .message = msi_grpc_answer_message,
    .bad_message = msi_grpc_answer_bad,
    .half_closed = msi_grpc_answer_half_closed,
    .closed = msi_grpc_answer_closed,
    .goaway = on_goaway,
    .pong = on_pong,
    .moved = on_moved,
    .broken = on_broken,
};

/* The connection. */

/* The first frame of a server is its SETTINGS. */
static void look_at_first(msi_client_session *session, const uint8_t *data, size_t size)
{
    static const char http1[] = "HTTP/1";
    /* Field 23 of the native wire, GoAway. */
    session->native_goaway = size >= 2 && data[0] == 0xba && data[1] == 0x01;
    if (size < sizeof http1 - 1)
        return;
    session->http1 = memcmp(data, http1, sizeof http1 - 1) == 0;
    session->heard = data[3] == NGHTTP2_SETTINGS;
}

static size_t input(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_client_session *session = conn->owner;
    if (!session->heard)
        look_at_first(session, data, size);
    if (session->native_goaway) {
        session->heard = true; /* it does nothing wrong: no pause before the next attempt */
        msi_conn_close(conn, MSI_CLOSE_PEER);
        return size;
    }
    return msi_h2_input(&session->h2, data, size);
}

static void on_eof(msi_conn *conn, size_t unfinished)
{
    (void)unfinished;
    msi_conn_close(conn, MSI_CLOSE_PEER);
}

static void on_progress(msi_conn *conn)
{
    msi_client_session *session = conn->owner;
    msi_h2_progress(&session->h2);
}

/* No more calls go out here; those that did may still be answered by what is on the way. */
static void on_write_failed(msi_conn *conn)
{
    msi_grpc_leave(conn->owner);
}

/* Nothing of it can have reached the server. */
static bool untouched(msi_client_session *session, const msi_client_call *call)
{
    const msi_grpc_request *request = call->of_session;
    return session->native_goaway || !request || !nghttp2_session_find_stream(session->h2.session, request->id) ||
           call->begins_at >= session->conn->sent;
}

/* Calls of which nothing was written go out again; the others may have been carried out. */
static void end_all(msi_client_session *session, const char *reason)
{
    msi_client_call *call;
    while ((call = TAILQ_FIRST(&session->open)) != NULL || (call = TAILQ_FIRST(&session->queue)) != NULL) {
        bool again = untouched(session, call) && msi_grpc_repeatable(call);
        msi_grpc_request *request = msi_grpc_let_go(session, call);
        if (request)
            msi_h2_stream_close(&session->h2, &request->h2);
        if (again)
            session->events->untaken(session->client, call);
        else
            msi_grpc_unavailable(session, call, reason);
    }
}

static void on_closed(msi_conn *conn, msi_close why)
{
    msi_client_session *session = conn->owner;
    msi_h2_shut(&session->h2);
    msi_loop_undefer(conn->loop, &session->put);
    if (session->silent)
        return;
    const char *reason = session->reason[0]             ? session->reason
                         : why == MSI_CLOSE_MEMORY      ? "no memory"
                         : why == MSI_CLOSE_SLOW_READER ? "the server did not read in time"
                                                        : "the server closed the connection";
    end_all(session, reason);
    session->events->lost(session->client, session, session->heard, reason);
}

static void on_freed(msi_conn *conn)
{
    msi_client_session *session = conn->owner;
    msi_grpc_request *request;
    while ((request = TAILQ_FIRST(&session->requests)) != NULL) {
        msi_h2_stream_close(&session->h2, &request->h2);
        msi_grpc_request_free(session, request);
    }
    msi_h2_release(&session->h2);
    msi_metadata_clear(&session->block.metadata);
    msi_buf_release(&session->plain);
    free(session);
}

static const msi_conn_ops conn_ops = {input, on_eof, NULL, on_progress, on_write_failed, on_closed, on_freed};

/* Of a connection that has no HTTP/2 session. */
static void on_nothing(msi_conn *conn, msi_close why)
{
    (void)conn;
    (void)why;
}

static void on_freed_early(msi_conn *conn)
{
    free(conn->owner);
}

static const msi_conn_ops no_ops = {.closed = on_nothing, .freed = on_freed_early};

/* A flood is counted, as a server's is of its clients; but streams that the server resets are calls that we have made. */
static msi_h2_limits limits_of(const msi_client_limits *limits)
{
    return (msi_h2_limits){
        .max_message = limits->max_message,
        .max_streams = 0,
        .window = MSI_STREAM_BYTES,
        .max_header_list = limits->max_metadata + HEADER_SLACK,
        .max_unread = MSI_MAX_UNREAD,
        .max_stream_output = MSI_MAX_STREAM_OUTPUT,
        .pings_per_second = MSI_PINGS_PER_SECOND,
        .ping_burst = MSI_PING_BURST,
        .idle_frames_per_second = MSI_IDLE_FRAMES_PER_SECOND,
        .resets_per_second = MSGSRV_NONE,
        .reset_burst = MSGSRV_NONE,
    };
}

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
    session->events = events;
    session->limits = client_limits;
    session->client = client;
    session->silent = true;
    session->put = (msi_task){.run = put, .silent = true};
    TAILQ_INIT(&session->open);
    TAILQ_INIT(&session->queue);
    TAILQ_INIT(&session->requests);
    TAILQ_INIT(&session->fresh);
    msi_h2_limits h2_limits = limits_of(client_limits);
    if (!msi_h2_init(&session->h2, conn, &role, &h2_limits)) {
        conn->ops = &no_ops;
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
        return NULL;
    }
    session->h2.outlet.protocol = &msi_grpc_client_stream;
    if (!msi_conn_start(conn)) {
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
        return NULL;
    }
    session->silent = false;
    return session;
}

static bool send_call(msi_client_session *session, msi_client_call *call)
{
    return msi_grpc_take(session, call);
}

static void cancel_call(msi_client_session *session, msi_client_call *call)
{
    msi_conn *conn = session->conn;
    msi_conn_pin(conn);
    msi_grpc_request *request = msi_grpc_let_go(session, call);
    if (request)
        msi_h2_reset(&session->h2, &request->h2, NGHTTP2_CANCEL);
    msi_grpc_put_soon(session); /* which ends a session that is leaving, and takes the next that waits */
    msi_conn_unpin(conn);
}

static bool send_ping(msi_client_session *session, const uint8_t *data, size_t size)
{
    if (size != PING_SIZE || nghttp2_submit_ping(session->h2.session, NGHTTP2_FLAG_NONE, data) != 0)
        return false;
    msi_grpc_put_soon(session);
    return true;
}

static void look(msi_client_session *session)
{
    msi_conn_look(session->conn);
}

/* Calls that were cancelled just now are told still, if they can be. */
static void close_session(msi_client_session *session)
{
    msi_conn *conn = session->conn;
    session->silent = true;
    msi_conn_pin(conn);
    session->h2.flush.run(&session->h2.flush);
    if (!conn->closed && conn->out)
        conn->io->flush(conn);
    if (!conn->closed)
        msi_conn_close(conn, MSI_CLOSE_LOCAL);
    msi_conn_unpin(conn);
}

static size_t open_calls(const msi_client_session *session)
{
    return session->count;
}

const msi_client_protocol msi_grpc_client = {open_session, send_call,     cancel_call, send_ping,
                                             look,         close_session, open_calls};
