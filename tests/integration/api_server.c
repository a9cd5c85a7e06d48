/* SPDX-License-Identifier: MIT */
/*
 * A server's life: its kinds of loop, its listeners, the states in which each function may be called, stopping from a signal
 * handler, starting again at the same address, and what it counts.
 */
#include <event2/event.h>
#include <signal.h>
#include <sys/syscall.h>

#include "api_support.h"

START_TEST(on_the_callers_base_server_and_client_make_no_thread)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    unsigned before = api_threads();
    int events = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.base = base}, NULL, NULL);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.base = base});
    for (int i = 0; i < 10; i++) {
        api_result result;
        api_start_add(client, NULL, &result);
        while (api_event_count(&result.ended) == 0)
            event_base_loop(base, EVLOOP_ONCE);
        api_expect(MSGSRV_OK, result.status, NULL);
        ck_assert_int_eq(result.sum, 5);
        ck_assert_uint_eq(api_threads(), before);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    event_base_loop(base, EVLOOP_NONBLOCK); /* libevent itself puts some of its freeing off */
    ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), events); /* and leaves nothing in it */
    event_base_free(base);
}
END_TEST

START_TEST(on_the_callers_base_run_and_wait_are_refused)
{
    struct event_base *base = event_base_new();
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, &(msgsrv_server_options){.base = base}, NULL, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_run(server, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_wait(server, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_start(server, &error), &error);
    msgsrv_server_free(server);
    event_base_free(base);
    base = event_base_new();
    server = NULL;
    msgsrv_server_options both = {.base = base, .threads = 1};
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_new(&both, &server, &error), &error);
    api_contains(error.text, "threads");
    ck_assert_ptr_null(server);
    event_base_free(base);
}
END_TEST

START_TEST(what_belongs_before_the_start_is_refused_after_it)
{
    msgsrv_error error;
    msgsrv_server *server = api_server(NULL, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_start(server, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_run(server, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_listen(server, "tcp://127.0.0.1:0", &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, messages_Demo_register(server, &api_demo, NULL, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_bind_plain(server, 2, "/messages.Demo/Add", 2, &error), &error);
    ck_assert_uint_gt(strlen(error.text), 0);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_stop(server);
    api_ok(msgsrv_server_wait(server, &error), &error);
    api_ok(msgsrv_server_wait(server, &error), &error); /* a second time: still at its end */
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_start(server, &error), &error); /* not started twice */
    msgsrv_server_free(server);

    server = api_server_new(NULL, NULL, NULL, NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_server_wait(server, &error), &error);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status wait_inside(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                 void *ctx)
{
    (void)call;
    (void)request;
    response->result = (int32_t)msgsrv_server_wait(*(msgsrv_server **)ctx, NULL);
    return MSGSRV_OK;
}

START_TEST(waiting_on_the_servers_own_thread_is_refused)
{
    static const messages_Demo_service service = {.Add = wait_inside};
    msgsrv_server *server = NULL;
    server = api_server_new(NULL, NULL, &service, &server);
    api_ok(msgsrv_server_start(server, NULL), NULL);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    api_ok(messages_Demo_Add(client, &request, NULL, &response, NULL), NULL);
    ck_assert_int_eq(response.result, MSGSRV_FAILED_PRECONDITION);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(several_listeners_serve_and_tell_their_addresses)
{
    api_path path;
    api_path_make(&path);
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_error error;
    api_ok(msgsrv_server_listen(server, path.url, &error), &error);
    api_ok(msgsrv_server_listen(server, "tcp://localhost:0", &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    unsigned count = 0;
    for (const char *url = msgsrv_server_address(server, 0); url != NULL; url = msgsrv_server_address(server, ++count)) {
        msgsrv_client *client = api_client_of(url, NULL);
        api_call_add(client);
        msgsrv_client_free(client);
        ck_assert_ptr_null(strstr(url, ":0/"));
        ck_assert_str_ne(url + strlen(url) - 2, ":0");
    }
    ck_assert_uint_ge(count, 3); /* localhost may be two */
    ck_assert_uint_le(count, 4);
    ck_assert_ptr_null(msgsrv_server_address(server, 100));
    msgsrv_server_free(server);
    api_path_remove(&path);
}
END_TEST

START_TEST(an_address_in_use_and_bad_addresses_are_refused_and_the_server_goes_on)
{
    static const char *const bad[] = {"", "127.0.0.1:0", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "udp://127.0.0.1:0"};
    msgsrv_server *first = api_server(NULL, NULL);
    msgsrv_server *second = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_error error;
    api_expect(MSGSRV_ALREADY_EXISTS, msgsrv_server_listen(second, msgsrv_server_address(first, 0), &error), &error);
    api_contains(error.text, msgsrv_server_address(first, 0));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msgsrv_status status = msgsrv_server_listen(second, bad[i], &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "%s is %s", bad[i], msgsrv_status_name(status));
    }
    msgsrv_status status = msgsrv_server_listen(second, "tcp://no-such-name.invalid:0", &error);
    ck_assert_int_ne(status, MSGSRV_OK);
    api_contains(error.text, "no-such-name.invalid");
    ck_assert_ptr_null(msgsrv_server_address(second, 1));
    api_ok(msgsrv_server_start(second, &error), &error);
    msgsrv_client *client = api_client(second, NULL);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(second);
    msgsrv_server_free(first);
}
END_TEST

#define LOOPS 4
#define CONNECTIONS 8

static msgsrv_status tell_thread(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                 void *ctx)
{
    (void)call;
    (void)request;
    (void)ctx;
    response->result = (int32_t)syscall(SYS_gettid);
    return MSGSRV_OK;
}

START_TEST(four_loops_share_a_few_connections_evenly)
{
    static const messages_Demo_service service = {.Add = tell_thread};
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = LOOPS}, &service, NULL);
    msgsrv_client *clients[CONNECTIONS];
    int32_t seen[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        clients[i] = api_client(server, NULL);
        messages_AddResponse response;
        messages_AddRequest request = {.a = 1};
        api_ok(messages_Demo_Add(clients[i], &request, NULL, &response, NULL), NULL);
        seen[i] = response.result;
        api_ok(messages_Demo_Add(clients[i], &request, NULL, &response, NULL), NULL);
        ck_assert_int_eq(response.result, seen[i]); /* a connection stays where it is */
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        int same = 0;
        for (int k = 0; k < CONNECTIONS; k++)
            same += seen[k] == seen[i];
        ck_assert_int_eq(same, CONNECTIONS / LOOPS);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        msgsrv_client_free(clients[i]);
    msgsrv_server_free(server);
}
END_TEST

/* ---- stopping ---- */

static msgsrv_server *signalled;

static void stop_on_signal(int number)
{
    if (number == SIGUSR1)
        msgsrv_server_stop(signalled);
    else
        msgsrv_server_drain(signalled, MSGSRV_NONE);
}

static void *call_and_signal(void *arg)
{
    msgsrv_client *client = api_client(signalled, &(msgsrv_client_options){.wait_for_ready = true});
    api_call_add(client);
    kill(getpid(), *(int *)arg);
    return client;
}

static void run_until_signal(int number)
{
    struct sigaction action = {.sa_handler = stop_on_signal};
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
    signalled = api_server_new(NULL, NULL, NULL, NULL);
    pthread_t caller;
    void *client;
    ck_assert_int_eq(pthread_create(&caller, NULL, call_and_signal, &number), 0);
    msgsrv_error error;
    api_ok(msgsrv_server_run(signalled, &error), &error);
    pthread_join(caller, &client);
    msgsrv_client_free(client);
    msgsrv_server_free(signalled);
}

START_TEST(a_signal_handler_stops_a_running_server)
{
    run_until_signal(SIGUSR1);
}
END_TEST

START_TEST(a_signal_handler_drains_a_running_server)
{
    run_until_signal(SIGUSR2);
}
END_TEST

static void count_stopped(msgsrv_server *server, void *ctx)
{
    (void)server;
    api_event_add(ctx);
}

START_TEST(on_stopped_is_told_once_after_a_drain_and_after_a_stop)
{
    for (int drain = 0; drain < 2; drain++) {
        api_event stopped = API_EVENT_INIT;
        msgsrv_server_options options = {.threads = 2, .on_stopped = count_stopped, .on_stopped_ctx = &stopped};
        msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
        msgsrv_client *client = api_client(server, NULL);
        api_call_add(client);
        ck_assert_uint_eq(api_event_count(&stopped), 0);
        if (drain)
            msgsrv_server_drain(server, MSGSRV_NONE);
        msgsrv_server_stop(server);
        msgsrv_server_stop(server);
        api_ok(msgsrv_server_wait(server, NULL), NULL);
        api_event_wait(&stopped, 1);
        msgsrv_client_free(client);
        msgsrv_server_free(server);
        ck_assert_uint_eq(api_event_count(&stopped), 1);
    }
}
END_TEST

START_TEST(on_the_callers_base_on_stopped_breaks_the_loop)
{
    api_event stopped = API_EVENT_INIT;
    struct event_base *base = event_base_new();
    msgsrv_server_options options = {.base = base, .on_stopped = count_stopped, .on_stopped_ctx = &stopped};
    msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_server_stop(server);
    while (api_event_count(&stopped) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&stopped), 1);
    event_base_free(base);
}
END_TEST

START_TEST(a_stop_before_the_start_is_remembered)
{
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_server_stop(server);
    msgsrv_error error;
    api_ok(msgsrv_server_run(server, &error), &error);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_server_starts_again_at_once_on_the_same_port)
{
    /* With connections that the server closed first, the port is in TIME_WAIT each time. */
    msgsrv_server *server = api_server(NULL, NULL);
    char url[MSGSRV_PEER_ADDRESS];
    snprintf(url, sizeof url, "%s", msgsrv_server_address(server, 0));
    for (int i = 0; i < 20; i++) {
        msgsrv_client *client = api_client_of(url, NULL);
        api_call_add(client);
        msgsrv_server_free(server);
        server = api_server_on(url, NULL, NULL, NULL);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(connections_wait_in_the_kernel_until_the_server_is_started)
{
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    ck_assert_uint_eq(api_event_count(&result.ended), 0);
    api_ok(msgsrv_server_start(server, NULL), NULL);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_OK, result.status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(max_calls_refuses_the_call_over_it_alone)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.max_calls = 3}, &api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result results[4];
    for (int i = 0; i < 4; i++)
        api_start_add(client, NULL, &results[i]);
    api_event_wait(&results[3].ended, 1);
    api_expect(MSGSRV_RESOURCE_EXHAUSTED, results[3].status, NULL);
    for (unsigned i = 0; i < 3; i++) {
        messages_AddResponse response = {.result = 5};
        api_ok(messages_Demo_Add_reply(holds.hold[i], &response), NULL);
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_OK, results[i].status, NULL);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_clients_own_max_calls_refuses_at_once)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = true, .max_calls = 2});
    api_result results[2], refused;
    for (int i = 0; i < 2; i++)
        api_start_add(client, NULL, &results[i]);
    api_result_init(&refused);
    messages_AddRequest request = {.a = 1};
    msgsrv_error error;
    api_expect(MSGSRV_RESOURCE_EXHAUSTED,
               messages_Demo_Add_async(client, &request, NULL, api_on_add, &refused, NULL, &error), &error);
    ck_assert_uint_gt(strlen(error.text), 0);
    api_event_wait(&holds.held, 2);
    for (unsigned i = 0; i < 2; i++) {
        messages_AddResponse response = {.result = 5};
        api_ok(messages_Demo_Add_reply(holds.hold[i], &response), NULL);
        api_event_wait(&results[i].ended, 1);
    }
    api_call_echo(client, "there is room again");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&refused.ended), 0);
}
END_TEST

/* ---- stats ---- */

START_TEST(stats_count_calls_connections_and_bytes)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stats stats = {.size = sizeof stats};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.size, sizeof stats);
    ck_assert_uint_eq(stats.connections_accepted, 0);
    ck_assert_uint_eq(stats.bytes_received, 0);
    api_call_add(client);
    messages_AddResponse response;
    messages_AddRequest over = {.a = INT32_MAX, .b = 1};
    api_expect(MSGSRV_OUT_OF_RANGE, messages_Demo_Add(client, &over, NULL, &response, NULL), NULL);
    uint64_t round_trip_ns;
    api_ok(msgsrv_client_ping(client, 0, &round_trip_ns, NULL), NULL);
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    ck_assert_uint_eq(stats.connections_open, 1);
    ck_assert_uint_eq(stats.calls_started, 2);
    ck_assert_uint_eq(stats.calls_open, 0);
    ck_assert_uint_eq(stats.calls_ended[MSGSRV_OK], 1);
    ck_assert_uint_eq(stats.calls_ended[MSGSRV_OUT_OF_RANGE], 1);
    ck_assert_uint_eq(stats.plain_calls, 0);
    ck_assert_uint_eq(stats.pings, 1);
    ck_assert_uint_gt(stats.bytes_received, 40);
    ck_assert_uint_gt(stats.bytes_sent, 8);
    for (int i = 0; i < MSGSRV_REFUSAL_ROOM; i++)
        ck_assert_uint_eq(stats.refused[i], 0);
    msgsrv_client_free(client);
    int64_t until = api_now_ms() + API_GUARD_MS;
    do {
        msgsrv_server_stats(server, &stats);
        ck_assert_int_lt(api_now_ms(), until);
    } while (stats.connections_open != 0);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(open_calls_are_a_gauge)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result results[2];
    msgsrv_stats stats = {0};
    for (int i = 0; i < 2; i++)
        api_start_add(client, NULL, &results[i]);
    api_event_wait(&holds.held, 2);
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.calls_open, 2);
    ck_assert_uint_eq(stats.calls_started, 2);
    for (unsigned i = 0; i < 2; i++)
        msgsrv_held_drop(holds.hold[i]);
    for (int i = 0; i < 2; i++)
        api_event_wait(&results[i].ended, 1);
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.calls_open, 0);
    ck_assert_uint_eq(stats.calls_ended[MSGSRV_INTERNAL], 2);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(every_refusal_has_a_name)
{
    for (int i = 0; i < MSGSRV_REFUSAL_COUNT; i++) {
        ck_assert_ptr_nonnull(msgsrv_refusal_name((msgsrv_refusal)i));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(msgsrv_refusal_name((msgsrv_refusal)i), msgsrv_refusal_name((msgsrv_refusal)k));
    }
    ck_assert_str_eq(msgsrv_refusal_name(MSGSRV_REFUSED_SLOW_READER), "slow_reader");
    ck_assert_ptr_null(msgsrv_refusal_name(MSGSRV_REFUSAL_COUNT));
    ck_assert_ptr_null(msgsrv_refusal_name((msgsrv_refusal)-1));
}
END_TEST

TS_MAIN("api_server", on_the_callers_base_server_and_client_make_no_thread,
        on_the_callers_base_run_and_wait_are_refused, what_belongs_before_the_start_is_refused_after_it,
        waiting_on_the_servers_own_thread_is_refused, several_listeners_serve_and_tell_their_addresses,
        an_address_in_use_and_bad_addresses_are_refused_and_the_server_goes_on,
        four_loops_share_a_few_connections_evenly, a_signal_handler_stops_a_running_server,
        a_signal_handler_drains_a_running_server, on_stopped_is_told_once_after_a_drain_and_after_a_stop,
        on_the_callers_base_on_stopped_breaks_the_loop, a_stop_before_the_start_is_remembered,
        a_server_starts_again_at_once_on_the_same_port, connections_wait_in_the_kernel_until_the_server_is_started,
        max_calls_refuses_the_call_over_it_alone, a_clients_own_max_calls_refuses_at_once,
        stats_count_calls_connections_and_bytes, open_calls_are_a_gauge, every_refusal_has_a_name)
