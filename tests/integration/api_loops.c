/* SPDX-License-Identifier: MIT */
/*
 * The three kinds of loop that a client has: a private one, a thread of its own, the caller's event_base; and what each
 * refuses with FAILED_PRECONDITION instead of hanging.
 */
#include <event2/event.h>

#include "api_support.h"

START_TEST(a_private_loop_makes_no_thread)
{
    msgsrv_server *server = api_server(NULL, NULL);
    unsigned threads = api_threads();
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    ck_assert_uint_eq(api_threads(), threads);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static void *call_add(void *client)
{
    api_call_add(client);
    return NULL;
}

START_TEST(a_second_thread_on_a_private_loop_is_refused_meanwhile)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client(server, NULL);
    pthread_t first;
    ck_assert_int_eq(pthread_create(&first, NULL, call_add, client), 0);
    api_event_wait(&gate.entered, 1);

    msgsrv_error error;
    api_result unused;
    api_result_init(&unused);
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    uint64_t round_trip_ns;
    api_expect(MSGSRV_FAILED_PRECONDITION, messages_Demo_Add(client, &request, NULL, &response, &error), &error);
    ck_assert_uint_gt(strlen(error.text), 0);
    ck_assert(!error.from_peer);
    api_expect(MSGSRV_FAILED_PRECONDITION,
               messages_Demo_Add_async(client, &request, NULL, api_on_add, &unused, NULL, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_poll(client, 0, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_ping(client, 0, &round_trip_ns, &error), &error);

    api_event_add(&gate.opened);
    pthread_join(first, NULL);
    api_call_add(client); /* and afterwards the second thread is welcome */
    msgsrv_client_free(client);
    ck_assert_uint_eq(api_event_count(&unused.ended), 0);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(asynchronous_calls_on_a_private_loop_are_driven_by_poll)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_AGAIN, msgsrv_client_poll(client, 0, &error), &error);
    api_expect(MSGSRV_AGAIN, msgsrv_client_poll(client, MSGSRV_NONE, &error), &error); /* nothing is pending */
    api_result results[10];
    for (int i = 0; i < 10; i++) {
        api_start_add(client, NULL, &results[i]);
        ck_assert_uint_eq(api_event_count(&results[i].ended), 0);
    }
    for (int i = 0; i < 10; i++) {
        api_drive(client, &results[i]);
        api_expect(MSGSRV_OK, results[i].status, NULL);
        ck_assert_int_eq(results[i].sum, 5);
        ck_assert(pthread_equal(results[i].thread, pthread_self()));
    }
    api_expect(MSGSRV_AGAIN, msgsrv_client_poll(client, MSGSRV_NONE, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(poll_gives_up_when_its_time_is_over)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    api_result result;
    api_start_add(client, NULL, &result);
    while (api_event_count(&gate.entered) == 0) {
        msgsrv_status status = msgsrv_client_poll(client, 10, &error);
        ck_assert(status == MSGSRV_OK || status == MSGSRV_AGAIN);
    }
    int64_t start = api_now_ms();
    while (msgsrv_client_poll(client, 30, &error) == MSGSRV_OK) {
        ck_assert_int_lt(api_now_ms() - start, API_GUARD_MS);
    }
    ck_assert_uint_eq(api_event_count(&result.ended), 0);
    api_event_add(&gate.opened);
    api_drive(client, &result);
    api_expect(MSGSRV_OK, result.status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_synchronous_call_drives_the_asynchronous_ones_too)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_result result;
    api_start_add(client, NULL, &result);
    api_call_echo(client, "sent after it, answered after it");
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

#define THREADS 8

static void *add_many_times(void *client)
{
    for (int i = 0; i < 100; i++) {
        api_call_add(client);
    }
    return NULL;
}

START_TEST(synchronous_calls_from_many_threads_on_a_client_with_a_thread)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client_thread(server);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many_times, client), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    ck_assert_uint_eq(stats.calls_ended[MSGSRV_OK], THREADS * 100);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_client_with_a_thread_calls_back_on_that_thread)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client_thread(server);
    api_result first, second;
    api_start_add(client, NULL, &first);
    api_start_echo(client, "text", NULL, &second);
    api_event_wait(&first.ended, 1);
    api_event_wait(&second.ended, 1);
    ck_assert(!pthread_equal(first.thread, pthread_self()));
    ck_assert(pthread_equal(first.thread, second.thread));
    msgsrv_error error;
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_poll(client, 0, &error), &error);
    api_result_clear(&second);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* What a callback may and may not do with its own client. */
struct inside {
    msgsrv_client *client;
    msgsrv_status sync;
    msgsrv_status ping;
    msgsrv_status poll;
    api_result nested;
};

static void call_inside(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct inside *inside = ctx;
    (void)reply;
    (void)response;
    messages_AddResponse unused;
    uint64_t round_trip_ns;
    messages_AddRequest request = {.a = 1};
    inside->sync = messages_Demo_Add(inside->client, &request, NULL, &unused, NULL);
    inside->ping = msgsrv_client_ping(inside->client, 0, &round_trip_ns, NULL);
    inside->poll = msgsrv_client_poll(inside->client, 0, NULL);
    request.b = 4; /* its result is set up already: another thread may be waiting for it */
    api_ok(messages_Demo_Add_async(inside->client, &request, NULL, api_on_add, &inside->nested, NULL, NULL), NULL);
}

static void start_inside(struct inside *inside, msgsrv_client *client)
{
    msgsrv_error error;
    memset(inside, 0, sizeof *inside);
    api_result_init(&inside->nested);
    inside->client = client;
    messages_AddRequest request = {.a = 1};
    api_ok(messages_Demo_Add_async(client, &request, NULL, call_inside, inside, NULL, &error), &error);
}

static void check_inside(const struct inside *inside)
{
    api_expect(MSGSRV_FAILED_PRECONDITION, inside->sync, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, inside->ping, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, inside->poll, NULL);
    api_expect(MSGSRV_OK, inside->nested.status, NULL);
    ck_assert_int_eq(inside->nested.sum, 5);
}

START_TEST(inside_a_callback_on_a_private_loop_only_asynchronous_calls_go)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    struct inside inside;
    start_inside(&inside, client);
    api_drive(client, &inside.nested);
    check_inside(&inside);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(inside_a_callback_on_a_clients_thread_only_asynchronous_calls_go)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client_thread(server);
    struct inside inside;
    start_inside(&inside, client);
    api_event_wait(&inside.nested.ended, 1);
    check_inside(&inside);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Runs a base until a call has ended. */
static void run_base(struct event_base *base, api_result *result)
{
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (api_event_count(&result->ended) == 0) {
        ck_assert_int_lt(api_now_ms(), until);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

START_TEST(on_the_callers_base_a_synchronous_call_is_refused_instead_of_hanging)
{
    msgsrv_server *server = api_server(NULL, NULL);
    struct event_base *base = event_base_new();
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    msgsrv_error error;
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    uint64_t round_trip_ns;
    api_expect(MSGSRV_FAILED_PRECONDITION, messages_Demo_Add(client, &request, NULL, &response, &error), &error);
    ck_assert_uint_gt(strlen(error.text), 0);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_ping(client, 0, &round_trip_ns, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_poll(client, 0, &error), &error);
    struct inside inside;
    start_inside(&inside, client);
    run_base(base, &inside.nested);
    check_inside(&inside);
    ck_assert(pthread_equal(inside.nested.thread, pthread_self()));
    msgsrv_client_free(client);
    event_base_free(base);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_client_on_the_callers_base_works_in_a_base_without_locks_and_makes_no_thread)
{
    msgsrv_server *server = api_server(NULL, NULL);
    unsigned threads = api_threads();
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    for (int i = 0; i < 5; i++) {
        api_result result;
        api_start_add(client, NULL, &result);
        run_base(base, &result);
        api_expect(MSGSRV_OK, result.status, NULL);
        ck_assert_uint_eq(api_threads(), threads);
    }
    msgsrv_client_free(client);
    event_base_free(base);
    msgsrv_server_free(server);
}
END_TEST

/* A callback that notes whether the function that started its call had returned. */
struct nesting {
    bool starting;
    bool nested;
    api_result result;
};

static void note_nesting(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct nesting *nesting = ctx;
    nesting->nested = nesting->starting;
    api_on_add(reply, response, &nesting->result);
}

START_TEST(a_callback_never_runs_inside_the_call_that_started_it)
{
    /* Nobody listens: in back-off a call fails at once, which is when a library might call back too soon. */
    api_path path;
    api_path_make(&path);
    msgsrv_client *client =
        api_client_of(path.url, &(msgsrv_client_options){.backoff_min_ms = 60000, .backoff_max_ms = 60000});
    for (int i = 0; i < 3; i++) {
        msgsrv_error error;
        struct nesting nesting = {.starting = true};
        api_result_init(&nesting.result);
        messages_AddRequest request = {.a = 1};
        api_ok(messages_Demo_Add_async(client, &request, NULL, note_nesting, &nesting, NULL, &error), &error);
        nesting.starting = false;
        api_drive(client, &nesting.result);
        ck_assert(!nesting.nested);
        api_expect(MSGSRV_UNAVAILABLE, nesting.result.status, NULL);
    }
    msgsrv_client_free(client);
    api_path_remove(&path);
}
END_TEST

START_TEST(both_a_base_and_a_thread_are_refused)
{
    struct event_base *base = event_base_new();
    msgsrv_client *client = NULL;
    msgsrv_error error;
    api_expect(
        MSGSRV_INVALID_ARGUMENT,
        msgsrv_client_new("tcp://127.0.0.1:1", &(msgsrv_client_options){.base = base, .thread = true}, &client, &error),
        &error);
    ck_assert_ptr_null(client);
    api_contains(error.text, "thread");
    event_base_free(base);
}
END_TEST

START_TEST(handles_are_never_used_twice)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_handle seen[200];
    for (unsigned i = 0; i < 200; i++) {
        api_result result;
        seen[i] = api_start_add(client, NULL, &result);
        for (unsigned k = 0; k < i; k++) {
            ck_assert_uint_ne(seen[k], seen[i]);
        }
        api_drive(client, &result);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_loops", a_private_loop_makes_no_thread, a_second_thread_on_a_private_loop_is_refused_meanwhile,
        asynchronous_calls_on_a_private_loop_are_driven_by_poll, poll_gives_up_when_its_time_is_over,
        a_synchronous_call_drives_the_asynchronous_ones_too,
        synchronous_calls_from_many_threads_on_a_client_with_a_thread, a_client_with_a_thread_calls_back_on_that_thread,
        inside_a_callback_on_a_private_loop_only_asynchronous_calls_go,
        inside_a_callback_on_a_clients_thread_only_asynchronous_calls_go,
        on_the_callers_base_a_synchronous_call_is_refused_instead_of_hanging,
        a_client_on_the_callers_base_works_in_a_base_without_locks_and_makes_no_thread,
        a_callback_never_runs_inside_the_call_that_started_it, both_a_base_and_a_thread_are_refused,
        handles_are_never_used_twice)
