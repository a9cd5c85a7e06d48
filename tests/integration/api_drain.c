/* SPDX-License-Identifier: MIT */
/*
 * The end of a server under load: drains finish what is open, tell the clients, and lose nothing; the grace has an end.
 */
#include <stdatomic.h>

#include "api_support.h"

START_TEST(a_drain_finishes_open_calls_and_takes_no_new_ones)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result open, later;
    api_start_add(client, NULL, &open);
    api_event_wait(&holds.held, 1);
    msgsrv_server_drain(server, MSGSRV_NONE);
    /* Later calls go nowhere: there is no other server. The first few may have come before the drain did. */
    do {
        api_start_echo(client, "later", NULL, &later);
        api_event_wait(&later.ended, 1);
        api_result_clear(&later);
    } while (later.status == MSGSRV_OK);
    api_expect(MSGSRV_UNAVAILABLE, later.status, NULL);
    ck_assert_uint_eq(api_event_count(&open.ended), 0);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 0);
    messages_AddResponse response = {.result = 5};
    api_ok(messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    api_event_wait(&open.ended, 1);
    api_expect(MSGSRV_OK, open.status, NULL);
    ck_assert_int_eq(open.sum, 5);
    api_ok(msgsrv_server_wait(server, NULL), NULL);
    ck_assert_uint_eq(api_event_count(&holds.held), 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(what_is_not_finished_within_the_grace_is_cancelled)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    msgsrv_server_drain(server, 40);
    api_ok(msgsrv_server_wait(server, NULL), NULL);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
    api_event_wait(&result.ended, 1);
    ck_assert(result.status == MSGSRV_CANCELLED || result.status == MSGSRV_UNAVAILABLE);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_stop_ends_a_drain_that_waits)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = 2}, &api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    msgsrv_server_drain(server, MSGSRV_NONE);
    msgsrv_server_drain(server, MSGSRV_NONE);
    msgsrv_server_stop(server);
    api_ok(msgsrv_server_wait(server, NULL), NULL);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
    api_event_wait(&result.ended, 1);
    ck_assert_int_ne(result.status, MSGSRV_OK);
    msgsrv_held_drop(holds.hold[0]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_drain_with_blocking_handlers_waits_for_them)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    api_result results[6]; /* four run, two wait for a worker */
    for (int i = 0; i < 6; i++)
        api_start_add(client, NULL, &results[i]);
    api_event_wait(&gate.entered, 4);
    api_call_echo(client, "so all six have come");
    msgsrv_server_drain(server, MSGSRV_NONE);
    api_event_add(&gate.opened);
    api_ok(msgsrv_server_wait(server, NULL), NULL);
    for (int i = 0; i < 6; i++) {
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_OK, results[i].status, NULL);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_client_with_nothing_open_goes_to_the_next_server)
{
    msgsrv_server *server = api_server(NULL, NULL);
    char url[MSGSRV_PEER_ADDRESS];
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    msgsrv_client *client = api_client_of(url, NULL);
    for (int i = 0; i < 5; i++) {
        api_call_add(client);
        msgsrv_server_drain(server, MSGSRV_NONE);
        api_ok(msgsrv_server_wait(server, NULL), NULL);
        msgsrv_server_free(server);
        server = api_server_on(url, NULL, NULL, NULL);
        api_call_add(client); /* without any failure in between */
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* ---- under load ---- */

#define CALLERS 4
#define RESTARTS 5
#define CALLS_BETWEEN 200

struct load {
    msgsrv_client *client;
    atomic_bool stop;
    atomic_uint ok;      /* calls that succeeded */
    atomic_uint failed;  /* that did not */
    api_event *progress; /* counted with each success */
    char text[MSGSRV_ERROR_TEXT];
};

static void *call_on(void *arg)
{
    struct load *load = arg;
    while (!atomic_load(&load->stop)) {
        msgsrv_error error;
        messages_AddResponse response;
        msgsrv_status status =
            messages_Demo_Add(load->client, &(messages_AddRequest){.a = 2, .b = 3}, NULL, &response, &error);
        if (status == MSGSRV_OK && response.result == 5) {
            atomic_fetch_add(&load->ok, 1);
        } else if (atomic_fetch_add(&load->failed, 1) == 0) {
            snprintf(load->text, sizeof load->text, "%.40s: %.200s", msgsrv_status_name(status),
                     status != MSGSRV_OK ? error.text : "wrong sum");
        }
        api_event_add(load->progress);
    }
    return NULL;
}

/* Waits until each caller has gone on, so that each is connected to the present server. */
static void wait_for_all(struct load *loads, unsigned more)
{
    for (int i = 0; i < CALLERS; i++) {
        unsigned want = atomic_load(&loads[i].ok) + more;
        unsigned seen = api_event_count(loads[i].progress);
        while (atomic_load(&loads[i].ok) < want && atomic_load(&loads[i].failed) == 0)
            api_event_wait(loads[i].progress, ++seen);
    }
}

START_TEST(callers_that_wait_for_ready_lose_no_call_through_drains_and_restarts)
{
    static struct load loads[CALLERS];
    static api_event progress[CALLERS];
    pthread_t threads[CALLERS];
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = 2}, NULL, NULL);
    char url[MSGSRV_PEER_ADDRESS];
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    for (int i = 0; i < CALLERS; i++) {
        api_event_init(&progress[i]);
        loads[i].progress = &progress[i];
        loads[i].client =
            api_client_of(url, &(msgsrv_client_options){
                                   .wait_for_ready = true, .thread = i % 2, .backoff_min_ms = 2, .backoff_max_ms = 10});
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_on, &loads[i]), 0);
    }
    for (int i = 0; i < RESTARTS; i++) {
        wait_for_all(loads, CALLS_BETWEEN);
        msgsrv_server_drain(server, MSGSRV_NONE);
        api_ok(msgsrv_server_wait(server, NULL), NULL);
        msgsrv_server_free(server);
        server = api_server_on(url, &(msgsrv_server_options){.threads = 2}, NULL, NULL);
    }
    wait_for_all(loads, CALLS_BETWEEN);
    for (int i = 0; i < CALLERS; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(threads[i], NULL);
        ck_assert_msg(atomic_load(&loads[i].failed) == 0, "caller %d lost %u of %u: %s", i,
                      atomic_load(&loads[i].failed), atomic_load(&loads[i].ok) + atomic_load(&loads[i].failed),
                      loads[i].text);
        msgsrv_client_free(loads[i].client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(many_open_calls_of_one_client_all_end_through_a_drain)
{
    static api_result results[2000];
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.max_calls = 10000}, NULL, NULL);
    char url[MSGSRV_PEER_ADDRESS];
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    msgsrv_client *client = api_client_of(
        url, &(msgsrv_client_options){.thread = true, .wait_for_ready = true, .backoff_min_ms = 2, .backoff_max_ms = 10});
    for (int i = 0; i < 2000; i++) {
        api_start_add(client, NULL, &results[i]);
        if (i == 1000)
            msgsrv_server_drain(server, MSGSRV_NONE);
    }
    api_ok(msgsrv_server_wait(server, NULL), NULL);
    msgsrv_server_free(server);
    server = api_server_on(url, &(msgsrv_server_options){.max_calls = 10000}, NULL, NULL);
    for (int i = 0; i < 2000; i++) {
        api_event_wait(&results[i].ended, 1);
        ck_assert_msg(results[i].status == MSGSRV_OK, "call %d: %s", i, results[i].text);
    }
    msgsrv_client_free(client);
    for (int i = 0; i < 2000; i++)
        ck_assert_uint_eq(api_event_count(&results[i].ended), 1);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_drain", a_drain_finishes_open_calls_and_takes_no_new_ones,
        what_is_not_finished_within_the_grace_is_cancelled, a_stop_ends_a_drain_that_waits,
        a_drain_with_blocking_handlers_waits_for_them, a_client_with_nothing_open_goes_to_the_next_server,
        callers_that_wait_for_ready_lose_no_call_through_drains_and_restarts,
        many_open_calls_of_one_client_all_end_through_a_drain)
