/* SPDX-License-Identifier: MIT */
/*
 * Holds against cancellation: a hold that on_cancel itself consumes, and one that is consumed while the cancellation is on its
 * way. The caller hears one end with the right code, and OK from the consumer means that on_cancel will not be called any more.
 */
#include "api_support.h"
#include "server.h"

enum way { DROP, FAIL, REPLY, WAYS };

/* A held Add whose on_cancel consumes the hold. */
struct consumer {
    enum way way;
    msgsrv_held *hold;
    msgsrv_status reason;
    msgsrv_status status; /* what the consuming function said */
    api_event told;
};

static void consume(msgsrv_status reason, void *ctx)
{
    struct consumer *consumer = ctx;
    messages_AddResponse response = {.result = 5};
    consumer->reason = reason;
    consumer->status = MSGSRV_CANCELLED;
    if (consumer->way == REPLY)
        consumer->status = messages_Demo_Add_reply(consumer->hold, &response);
    else if (consumer->way == FAIL)
        consumer->status = msgsrv_held_fail(consumer->hold, MSGSRV_NOT_FOUND, "too late");
    else
        msgsrv_held_drop(consumer->hold);
    api_event_add(&consumer->told);
}

static msgsrv_status hold_and_consume(msgsrv_call *call, const messages_AddRequest *request,
                                      messages_AddResponse *response, void *ctx)
{
    struct consumer *consumer = ctx;
    (void)request;
    (void)response;
    consumer->hold = msgsrv_call_hold(call);
    msgsrv_call_on_cancel(call, consume, consumer);
    return MSGSRV_DEFERRED;
}

static const messages_Demo_service consuming = {.Add = hold_and_consume, .Echo = api_echo};
static void put_add(ts_bytes *out, uint64_t id, uint32_t timeout_ms)
{
    ts_put_call(out, &(ts_call){.id = id, .method = TS_ADD, .timeout_ms = timeout_ms});
}

/* One call ends by its deadline, the next by a Cancel, each with its own code whatever on_cancel does with the hold. */
static void consume_in_on_cancel(const messages_Demo_service *service, enum way way)
{
    static api_log log;
    struct consumer consumer = {.way = way, .told = API_EVENT_INIT};
    api_log_init(&log);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, service, &consumer);
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_bytes out = {0};
    put_add(&out, 1, 30);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_DEADLINE_EXCEEDED);
    api_event_wait(&consumer.told, 1);
    api_expect(MSGSRV_DEADLINE_EXCEEDED, consumer.reason, NULL);
    api_expect(MSGSRV_CANCELLED, consumer.status, NULL);
    put_add(&out, 2, 0);
    ts_put_cancel(&out, 2);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 2, MSGSRV_CANCELLED);
    ts_barrier(peer); /* and nothing else came */
    ts_peer_free(peer);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_log_count(&log, "dropped"), 0); /* it was let go in time, not forgotten */
}

START_TEST(a_hold_consumed_inside_on_cancel_leaves_the_call_its_reason)
{
    for (int way = 0; way < WAYS; way++)
        consume_in_on_cancel(&consuming, (enum way)way);
}
END_TEST

/* ---- consumed while the cancellation is on its way ---- */

/* A held Echo with something of its own, which the test frees after its answer. */
struct job {
    msgsrv_held *hold;
    unsigned number;
};

/* Echo is held with a job; Add keeps the loop busy. */
struct busy {
    struct api_gate gate;
    api_event held;
    api_event cancelled;
    struct job *job;
};

static struct busy *busy;

static void job_cancelled(msgsrv_status reason, void *ctx)
{
    struct job *job = ctx;
    (void)reason;
    ck_assert_uint_eq(job->number, 7);
    api_event_add(&busy->cancelled);
}

static msgsrv_status hold_job(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                              void *ctx)
{
    struct job *job = calloc(1, sizeof *job);
    (void)request;
    (void)response;
    (void)ctx;
    ck_assert_ptr_nonnull(job);
    job->number = 7;
    job->hold = msgsrv_call_hold(call);
    msgsrv_call_on_cancel(call, job_cancelled, job);
    busy->job = job;
    api_event_add(&busy->held);
    return MSGSRV_DEFERRED;
}

static msgsrv_status keep_busy(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                               void *ctx)
{
    (void)ctx;
    return api_add_behind_gate(call, request, response, &busy->gate);
}

static const messages_Demo_service busy_service = {.Add = keep_busy, .Echo = hold_job};

START_TEST(a_hold_answered_ok_is_not_told_of_a_cancellation_that_was_on_its_way)
{
    static struct busy now;
    busy = &now;
    api_gate_init(&now.gate);
    api_event_init(&now.held);
    api_event_init(&now.cancelled);
    msgsrv_server *server = api_server(&busy_service, NULL);
    ts_peer *held = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_peer *other = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_bytes out = {0};
    ts_put_call_echo(&out, 1, "held");
    ts_peer_send(held, &out);
    api_event_wait(&now.held, 1);
    put_add(&out, 1, 0);
    ts_peer_send(other, &out);
    api_event_wait(&now.gate.entered, 1);
    ts_put_cancel(&out, 1); /* the loop, busy now, finds this before the answer */
    ts_peer_send(held, &out);
    messages_EchoMessage response = {.text = NULL};
    api_ok(messages_Demo_Echo_reply(now.job->hold, &response), NULL);
    now.job->number = 0;
    free(now.job);
    api_event_add(&now.gate.opened);
    const ts_frame *end = ts_expect_frame(held, TS_END);
    ck_assert_uint_eq(end->id, 1);
    ck_assert(end->code == MSGSRV_OK || end->code == MSGSRV_CANCELLED);
    ts_barrier(held);
    ck_assert_uint_eq(api_event_count(&now.cancelled), 0);
    ts_peer_free(held);
    ts_peer_free(other);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_hold_answered_after_on_cancel_hears_that_it_is_cancelled)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    ts_peer *peer = ts_peer_connect(msgsrv_server_address(server, 0));
    ts_bytes out = {0};
    put_add(&out, 1, 0);
    ts_put_cancel(&out, 1);
    ts_peer_send(peer, &out);
    api_event_wait(&holds.cancelled, 1);
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ts_barrier(peer);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
    ts_peer_free(peer);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_hold_cancel", a_hold_consumed_inside_on_cancel_leaves_the_call_its_reason,
        a_hold_answered_ok_is_not_told_of_a_cancellation_that_was_on_its_way,
        a_hold_answered_after_on_cancel_hears_that_it_is_cancelled)
