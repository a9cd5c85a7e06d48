/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail and are made again: callbacks that retry at once, programs that were busy, and what becomes of calls that a lost
 * connection gives back.
 */
#include <event2/event.h>
#include <poll.h>

#include "api_client_frame.h"
#include "api_support.h"
#include "peer.h"

static void turn(struct event_base *base)
{
    ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void drive(struct event_base *base, api_result *result)
{
    while (api_event_count(&result->ended) == 0)
        turn(base);
}

/* An address of 127.0.0.1 where nobody listens any more. */
static void nobody(char *url, size_t size)
{
    ts_listener listener;
    ts_listener_open(&listener);
    snprintf(url, size, "%s", listener.url);
    ts_listener_close(&listener);
}

/* ---- callbacks that call again ---- */

/* Calls again and again until the program's timer has fired. */
struct retrier {
    msgsrv_client *client;
    bool fired;
    unsigned calls;
    unsigned open;
    int64_t until;
};

static void call_again(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx);

static void call_once(struct retrier *retrier)
{
    messages_AddRequest request = {.a = 2, .b = 3};
    retrier->calls++;
    retrier->open++;
    api_ok(messages_Demo_Add_async(retrier->client, &request, NULL, call_again, retrier, NULL, NULL), NULL);
}

static void call_again(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct retrier *retrier = ctx;
    (void)response;
    retrier->open--;
    if (reply->status != MSGSRV_UNAVAILABLE)
        ck_abort_msg("a call that nobody can answer is %s", msgsrv_status_name(reply->status));
    if (api_now_ms() > retrier->until)
        ck_abort_msg("%u calls, and the program's own timer has not fired", retrier->calls);
    if (!retrier->fired)
        call_once(retrier);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct retrier *retrier = arg;
    (void)fd;
    (void)what;
    retrier->fired = true;
}

START_TEST(a_callback_that_calls_again_at_once_leaves_the_programs_timer_its_turn)
{
    char url[64];
    nobody(url, sizeof url);
    struct event_base *base = event_base_new();
    struct retrier retrier = {.until = api_now_ms() + API_GUARD_MS};
    retrier.client =
        api_client_of(url, &(msgsrv_client_options){.base = base, .backoff_min_ms = 600000, .backoff_max_ms = 600000});
    struct event *timer = event_new(base, -1, 0, on_timer, &retrier);
    event_add(timer, &(struct timeval){.tv_usec = 30000});
    for (int i = 0; i < 3; i++)
        call_once(&retrier);
    while (retrier.open > 0)
        turn(base);
    ck_assert(retrier.fired);
    ck_assert_uint_gt(retrier.calls, 3);
    msgsrv_client_free(retrier.client);
    event_free(timer);
    event_base_free(base);
}
END_TEST

/* ---- a program that was busy ---- */

#define WORK_MS 120
#define TIMEOUT_MS 100
#define COARSE_MS 10 /* of clocks that are rounded */

/* Works for long in a callback of its own and then makes a call that nobody answers. */
struct worker {
    msgsrv_client *client;
    api_result result;
    int64_t called;
};

static void work_and_call(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    (void)fd;
    (void)what;
    int64_t until = api_now_ms() + WORK_MS;
    while (api_now_ms() < until)
        ;
    worker->called = api_now_ms();
    api_start_add(worker->client, &(msgsrv_call_options){.timeout_ms = TIMEOUT_MS}, &worker->result);
}

START_TEST(a_deadline_counts_from_the_call_also_when_the_callback_worked_for_long)
{
    ts_listener listener;
    ts_listener_open(&listener);
    struct event_base *base = event_base_new();
    struct worker worker;
    api_result_init(&worker.result);
    worker.client = api_client_of(listener.url, &(msgsrv_client_options){.base = base});
    for (int i = 0; i < 2; i++) { /* the second time over a connection that is there */
        struct event *timer = event_new(base, -1, 0, work_and_call, &worker);
        event_add(timer, &(struct timeval){.tv_usec = 1});
        api_result_init(&worker.result);
        drive(base, &worker.result);
        api_expect(MSGSRV_DEADLINE_EXCEEDED, worker.result.status, NULL);
        ck_assert_int_ge(api_now_ms() - worker.called, TIMEOUT_MS - COARSE_MS);
        event_free(timer);
    }
    msgsrv_client_free(worker.client);
    event_base_free(base);
    ts_listener_close(&listener);
}
END_TEST

/* ---- connections that end ---- */

static void put_sum(ts_bytes *out, uint64_t id, int32_t sum)
{
    ts_bytes body = {0};
    ts_put_add_response(&body, sum);
    ts_put_end_status(out, id, 0, NULL, body.data, body.size);
    ts_bytes_release(&body);
}

/* The next call of a client that runs on our base; returns its id. */
static uint64_t read_call(struct event_base *base, ts_peer *peer)
{
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (peer->in.size == peer->taken) {
        ck_assert_int_lt(api_now_ms(), until);
        event_base_loop(base, EVLOOP_NONBLOCK);
        ts_peer_look(peer);
    }
    return api_client_frame(peer, TS_CALL)->id;
}

/* Takes the connection of such a client. */
static ts_peer *accept_client(struct event_base *base, ts_listener *listener)
{
    int64_t until = api_now_ms() + API_GUARD_MS;
    struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
    while (poll(&waiting, 1, 0) == 0) {
        ck_assert_int_lt(api_now_ms(), until);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    return ts_listener_accept(listener);
}

#define LATE 6

START_TEST(what_the_server_said_last_is_read_after_a_write_has_failed)
{
    ts_listener listener;
    ts_listener_open(&listener);
    struct event_base *base = event_base_new();
    msgsrv_client *client = api_client_of(listener.url, &(msgsrv_client_options){.base = base});
    api_result first, late[LATE];
    api_start_add(client, NULL, &first);
    ts_peer *peer = accept_client(base, &listener);
    uint64_t id = read_call(base, peer);
    ts_bytes out = {0};
    put_sum(&out, id, 5);
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "draining", id);
    ts_peer_send(peer, &out);
    ts_peer_free(peer);
    /* The client has not heard of it: the first of these is answered by a reset, and the next cannot be written. */
    for (int i = 0; i < LATE; i++)
        api_start_add(client, NULL, &late[i]);
    drive(base, &first);
    api_expect(MSGSRV_OK, first.status, NULL);
    ck_assert_int_eq(first.sum, 5);
    peer = accept_client(base, &listener);
    for (int i = 0; i < LATE; i++) { /* in any order: some went out once before */
        put_sum(&out, read_call(base, peer), 10);
        ts_peer_send(peer, &out);
    }
    for (int i = 0; i < LATE; i++) {
        drive(base, &late[i]);
        api_expect(MSGSRV_OK, late[i].status, NULL);
        ck_assert_int_eq(late[i].sum, 10);
    }
    msgsrv_client_free(client);
    event_base_free(base);
    ts_peer_free(peer);
    ts_listener_close(&listener);
}
END_TEST

/* ---- calls given back during back-off ---- */

#define BIG 4
#define BIG_TEXT 3900000

/* Calls of a connection that says it goes away, reads nothing more, and is lost while nobody else listens. */
struct loss {
    ts_listener listener;
    struct event_base *base;
    msgsrv_client *client;
    ts_peer *peer;
    api_result big[BIG]; /* fill the connection */
    api_result impatient;
    api_result patient; /* waits until it is ready */
};

static void lose(struct loss *loss, const msgsrv_client_options *back_off)
{
    static char text[BIG_TEXT + 1];
    msgsrv_client_options options = *back_off;
    memset(text, 'x', BIG_TEXT);
    ts_listener_open(&loss->listener);
    loss->base = event_base_new();
    options.base = loss->base;
    loss->client = api_client_of(loss->listener.url, &options);
    for (int i = 0; i < BIG; i++)
        api_start_echo(loss->client, text, NULL, &loss->big[i]);
    api_start_add(loss->client, NULL, &loss->impatient);
    api_start_add(loss->client, &(msgsrv_call_options){.wait_for_ready = true}, &loss->patient);
    api_result given_back;
    api_start_add(loss->client, NULL, &given_back);

    loss->peer = accept_client(loss->base, &loss->listener);
    ts_listener_close(&loss->listener);
    ts_bytes out = {0};
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "draining", BIG + 2); /* ids count from 1: all but the last */
    ts_peer_send(loss->peer, &out);
    drive(loss->base, &given_back); /* it finds nobody */
    api_expect(MSGSRV_UNAVAILABLE, given_back.status, NULL);
    api_contains(given_back.text, "refused");
    ck_assert_uint_eq(api_event_count(&loss->impatient.ended), 0);
    ts_peer_reset(loss->peer);
    drive(loss->base, &loss->big[0]); /* written: lost with the connection */
    api_expect(MSGSRV_UNAVAILABLE, loss->big[0].status, NULL);
}

static void loss_free(struct loss *loss)
{
    msgsrv_client_free(loss->client);
    event_base_free(loss->base);
    for (int i = 0; i < BIG; i++)
        ck_assert_uint_eq(api_event_count(&loss->big[i].ended), 1);
    ck_assert_uint_eq(api_event_count(&loss->impatient.ended), 1);
    ck_assert_uint_eq(api_event_count(&loss->patient.ended), 1);
}

START_TEST(calls_given_back_during_back_off_end_at_once)
{
    struct loss loss;
    lose(&loss, &(msgsrv_client_options){.backoff_min_ms = 600000, .backoff_max_ms = 600000});
    for (int i = 0; i < BIG; i++) {
        drive(loss.base, &loss.big[i]);
        api_expect(MSGSRV_UNAVAILABLE, loss.big[i].status, NULL);
    }
    drive(loss.base, &loss.impatient);
    api_expect(MSGSRV_UNAVAILABLE, loss.impatient.status, NULL);
    ck_assert_uint_eq(api_event_count(&loss.patient.ended), 0);
    loss_free(&loss);
    api_expect(MSGSRV_CANCELLED, loss.patient.status, NULL);
}
END_TEST

START_TEST(calls_given_back_during_back_off_go_on_after_it_when_they_wait_until_ready)
{
    struct loss loss;
    lose(&loss, &(msgsrv_client_options){.backoff_min_ms = 150, .backoff_max_ms = 150});
    drive(loss.base, &loss.impatient);
    api_expect(MSGSRV_UNAVAILABLE, loss.impatient.status, NULL);
    ts_listener_open_port(&loss.listener, ts_listener_port(&loss.listener));
    ts_peer *peer = accept_client(loss.base, &loss.listener);
    ts_bytes out = {0};
    put_sum(&out, read_call(loss.base, peer), 5);
    ts_peer_send(peer, &out);
    drive(loss.base, &loss.patient);
    api_expect(MSGSRV_OK, loss.patient.status, NULL);
    ck_assert_int_eq(loss.patient.sum, 5);
    loss_free(&loss);
    ts_peer_free(peer);
    ts_listener_close(&loss.listener);
}
END_TEST

TS_MAIN("api_retry", a_callback_that_calls_again_at_once_leaves_the_programs_timer_its_turn,
        a_deadline_counts_from_the_call_also_when_the_callback_worked_for_long,
        what_the_server_said_last_is_read_after_a_write_has_failed, calls_given_back_during_back_off_end_at_once,
        calls_given_back_during_back_off_go_on_after_it_when_they_wait_until_ready)
