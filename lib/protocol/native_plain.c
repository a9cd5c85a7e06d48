/* SPDX-License-Identifier: MIT */
/*
 * Plain messages: each gets exactly one answer, in the order in which they came. An answer that is ready before an earlier one waits in its
 * call; both their number and their bytes are bounded by no longer reading.
 */
#include "protocol/native_server.h"

static void unlist(msi_native_session *session, msgsrv_call *call)
{
    TAILQ_REMOVE(&session->plain, call, open);
    session->plain_calls--;
}

/* Writes the answers that waited for the one before them. */
static void write_finished(msi_native_session *session)
{
    msgsrv_call *call;
    while ((call = TAILQ_FIRST(&session->plain)) != NULL && call->finished) {
        /* Off the list first: writing may close the connection, which lets go of all that is on it. */
        unlist(session, call);
        session->plain_bytes -= call->answer.len;
        msi_buf *out = msi_native_out(session);
        if (out)
            msi_native_put(session, msi_buf_append(out, call->answer.data, call->answer.len));
        msi_call_unref(call);
        if (session->ended)
            return;
    }
}

/* Ready before an earlier one: its answer waits. */
static void finish_early(msi_native_session *session, msgsrv_call *call, const msi_final *final)
{
    if (!msi_native_answer(call, final, &call->answer)) {
        unlist(session, call);
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
        return;
    }
    /* Many may wait, and room that was left for a longer answer is no part of what is counted. */
    msi_buf_shrink(&call->answer);
    call->finished = true;
    msi_call_ref(call);
    session->plain_bytes += call->answer.len;
    if (session->plain_bytes >= session->config->plain_max_bytes)
        msi_native_pause(session, MSI_PAUSE_PLAIN);
}

static void end(msgsrv_call *call, const msi_final *final)
{
    msi_native_session *session = call->session;
    const msi_protocol_config *config = session->config;
    msi_conn *conn = session->conn;
    msi_conn_pin(conn); /* writing may close it */
    /* Their clients know no metadata; the text of a failure is all there is room for. */
    msi_final bare = {final->code, final->message, NULL};
    if (TAILQ_FIRST(&session->plain) == call) {
        unlist(session, call);
        msi_buf *out = msi_native_out(session);
        if (out)
            msi_native_put(session, msi_native_answer(call, &bare, out));
        if (!session->ended)
            write_finished(session);
        if (session->plain_calls < config->plain_max_calls && session->plain_bytes < config->plain_max_bytes)
            msi_native_unpause(session, MSI_PAUSE_PLAIN);
    } else {
        finish_early(session, call, &bare);
    }
    msi_native_settled(session);
    msi_conn_unpin(conn);
}

/* Nothing cancels a plain call by id: the list is where it is found. */
static bool park(msgsrv_call *call)
{
    (void)call;
    return true;
}

static const msi_call_protocol ops = {end, park};

void msi_native_plain(msi_native_session *session, uint32_t field, msi_view body)
{
    const msi_binding *binding = &session->config->plain[field];
    msgsrv_call *call = msi_call_new(session->host, binding->method, &ops, session, &session->conn->peer);
    if (!call) {
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
        return;
    }
    msi_count(&session->host->loop->counters.plain_calls, 1);
    call->plain_answer = binding->answer_field;
    if (session->config->plain_timeout_ms)
        call->deadline = msi_after(msi_loop_now(session->host->loop), session->config->plain_timeout_ms);
    TAILQ_INSERT_TAIL(&session->plain, call, open);
    session->plain_calls++;
    msi_call_begin(call, body);
    if (!session->ended && session->plain_calls >= session->config->plain_max_calls)
        msi_native_pause(session, MSI_PAUSE_PLAIN);
}
