/* SPDX-License-Identifier: MIT */
/*
 * Handlers marked as blocking: they run on the pool, beside each other and away from the loop, within the bounds of the pool.
 */
#include "api_support.h"

#define WORKERS 4

/* Where handlers meet: each waits until all of them are there. */
struct meeting {
    api_event arrived;
    pthread_t thread[16];
};

static msgsrv_status meet(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                          void *ctx)
{
    struct meeting *meeting = ctx;
    meeting->thread[request->a] = pthread_self();
    api_event_add(&meeting->arrived);
    api_event_wait(&meeting->arrived, WORKERS);
    return api_add(call, request, response, NULL);
}

START_TEST(blocking_handlers_run_beside_each_other)
{
    static const messages_Demo_service service = {.Add = meet, .blocking = {.Add = true}};
    struct meeting meeting = {.arrived = API_EVENT_INIT};
    msgsrv_server *server = api_server(&service, &meeting);
    msgsrv_client *client = api_client_thread(server);
    api_result results[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        messages_AddRequest request = {.a = i, .b = 1};
        api_result_init(&results[i]);
        api_ok(messages_Demo_Add_async(client, &request, NULL, api_on_add, &results[i], NULL, NULL), NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        api_event_wait(&results[i].ended, 1);
        ck_assert_int_eq(results[i].sum, i + 1);
        for (int k = 0; k < i; k++)
            ck_assert(!pthread_equal(meeting.thread[i], meeting.thread[k]));
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_pools_threads_are_made_when_they_are_needed_and_end_with_the_server)
{
    struct api_gate gate;
    api_gate_init(&gate);
    api_event_add(&gate.opened);
    unsigned before = api_threads();
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client(server, NULL);
    api_call_echo(client, "no blocking call yet");
    ck_assert_uint_eq(api_threads(), before + 1);
    api_call_add(client);
    ck_assert_uint_ge(api_threads(), before + 2);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    api_wait_threads(before);
}
END_TEST

START_TEST(while_all_workers_block_the_loop_serves_the_others)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    static api_result results[20];
    for (int i = 0; i < 20; i++)
        api_start_add(client, NULL, &results[i]);
    api_event_wait(&gate.entered, 4);
    api_call_echo(client, "on the same connection");
    ck_assert_uint_eq(api_event_count(&gate.entered), 4); /* no fifth worker */
    api_event_add(&gate.opened);
    for (int i = 0; i < 20; i++) {
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_OK, results[i].status, NULL);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&gate.entered), 20);
}
END_TEST

START_TEST(over_the_queue_a_call_is_resource_exhausted)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.worker_threads = 1, .worker_queue = 2}, &api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    api_result results[5];
    api_start_add(client, NULL, &results[0]);
    api_event_wait(&gate.entered, 1);
    for (int i = 1; i < 5; i++)
        api_start_add(client, NULL, &results[i]);
    for (int i = 3; i < 5; i++) {
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_RESOURCE_EXHAUSTED, results[i].status, NULL);
        ck_assert(results[i].from_peer);
        ck_assert_uint_gt(strlen(results[i].text), 0);
    }
    api_event_add(&gate.opened);
    for (int i = 0; i < 3; i++) {
        api_event_wait(&results[i].ended, 1);
        api_expect(MSGSRV_OK, results[i].status, NULL);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.refused[MSGSRV_REFUSED_WORKERS], 2);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_call_whose_deadline_passes_while_it_waits_never_starts)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.worker_threads = 1}, &api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    api_result running, late, next;
    api_start_add(client, NULL, &running);
    api_event_wait(&gate.entered, 1);
    api_start_add(client, &(msgsrv_call_options){.timeout_ms = 40}, &late);
    api_start_add(client, NULL, &next);
    api_event_wait(&late.ended, 1);
    api_expect(MSGSRV_DEADLINE_EXCEEDED, late.status, NULL);
    api_call_echo(client, "so the server knows it too: the client's Cancel came before this");
    api_event_add(&gate.opened);
    api_event_wait(&running.ended, 1);
    api_event_wait(&next.ended, 1); /* which waited behind the late one */
    api_expect(MSGSRV_OK, next.status, NULL);
    ck_assert_uint_eq(api_event_count(&gate.entered), 2);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&gate.entered), 2);
    ck_assert_uint_eq(api_event_count(&late.ended), 1);
}
END_TEST

START_TEST(a_call_cancelled_while_it_waits_never_starts)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.worker_threads = 1}, &api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    api_result running, cancelled, next;
    api_start_add(client, NULL, &running);
    api_event_wait(&gate.entered, 1);
    msgsrv_handle handle = api_start_add(client, NULL, &cancelled);
    api_call_echo(client, "so the call has come to the server");
    msgsrv_client_cancel(client, handle);
    api_event_wait(&cancelled.ended, 1);
    api_call_echo(client, "and so has its cancellation");
    api_start_add(client, NULL, &next);
    api_event_add(&gate.opened);
    api_event_wait(&next.ended, 1);
    api_expect(MSGSRV_CANCELLED, cancelled.status, NULL);
    ck_assert_uint_eq(api_event_count(&gate.entered), 2);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_caller_that_leaves_while_its_handler_blocks_harms_nothing)
{
    struct api_gate gate;
    api_gate_init(&gate);
    msgsrv_server *server = api_server(&api_gated, &gate);
    msgsrv_client *client = api_client_thread(server);
    msgsrv_client *other = api_client(server, NULL);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&gate.entered, 1);
    msgsrv_client_free(client);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    api_call_echo(other, "still served");
    api_event_add(&gate.opened);
    api_call_add(other);
    msgsrv_client_free(other);
    msgsrv_server_free(server);
}
END_TEST

/* A handler that goes on until it is cancelled. */
struct endless {
    api_event entered;
    api_event left;
};

static msgsrv_status work_on(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                             void *ctx)
{
    struct endless *endless = ctx;
    (void)request;
    (void)response;
    api_event_add(&endless->entered);
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (!msgsrv_call_cancelled(call))
        ck_assert_int_lt(api_now_ms(), until);
    api_event_add(&endless->left);
    return MSGSRV_CANCELLED;
}

START_TEST(freeing_the_server_cancels_blocking_handlers_and_waits_for_them)
{
    static const messages_Demo_service service = {.Add = work_on, .blocking = {.Add = true}};
    struct endless endless = {.entered = API_EVENT_INIT, .left = API_EVENT_INIT};
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.worker_threads = 1}, &service, &endless);
    msgsrv_client *client = api_client_thread(server);
    api_result running, waiting;
    api_start_add(client, NULL, &running);
    api_event_wait(&endless.entered, 1);
    api_start_add(client, NULL, &waiting);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&endless.left), api_event_count(&endless.entered));
    api_event_wait(&running.ended, 1);
    api_event_wait(&waiting.ended, 1);
    ck_assert_int_ne(running.status, MSGSRV_OK);
    msgsrv_client_free(client);
}
END_TEST

static msgsrv_status hold_blocking(msgsrv_call *call, const messages_EchoMessage *request,
                                   messages_EchoMessage *response, void *ctx)
{
    (void)ctx;
    (void)response;
    msgsrv_held *held = msgsrv_call_hold(call);
    ck_assert_ptr_nonnull(held);
    api_ok(messages_Demo_Echo_reply(held, request), NULL);
    return MSGSRV_DEFERRED;
}

START_TEST(a_blocking_handler_may_hold_and_answer_before_it_returns)
{
    static const messages_Demo_service service = {.Echo = hold_blocking, .blocking = {.Echo = true}};
    msgsrv_server *server = api_server(&service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (int i = 0; i < 50; i++)
        api_call_echo(client, "answered by a worker");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status fail_blocking(msgsrv_call *call, const messages_EchoMessage *request,
                                   messages_EchoMessage *response, void *ctx)
{
    (void)ctx;
    (void)response;
    msgsrv_metadata entry = {.key = "t", .value = "trailer"};
    api_ok(msgsrv_call_add_trailer(call, entry, NULL), NULL);
    api_ok(msgsrv_call_add_head(call, entry, NULL), NULL);
    ck_assert_ptr_nonnull(msgsrv_call_alloc(call, 100));
    ck_assert_str_eq(msgsrv_metadata_find(msgsrv_call_metadata(call), "asked", NULL), "for");
    return msgsrv_call_error(call, MSGSRV_DATA_LOSS, "lost %s", request->text);
}

START_TEST(everything_a_handler_may_do_works_on_the_pool)
{
    static const messages_Demo_service service = {.Echo = fail_blocking, .blocking = {.Echo = true}};
    msgsrv_server *server = api_server(&service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_metadata_set *trailer;
    api_ok(msgsrv_metadata_set_new(&trailer, NULL), NULL);
    msgsrv_metadata asked = {.key = "asked", .value = "for"};
    msgsrv_call_options options = {.metadata = &asked, .metadata_count = 1, .trailer = trailer};
    char text[] = "the text";
    messages_EchoMessage request = {.text = text}, response;
    msgsrv_error error;
    api_expect(MSGSRV_DATA_LOSS, messages_Demo_Echo(client, &request, &options, &response, &error), &error);
    ck_assert_str_eq(error.text, "lost the text");
    ck_assert_str_eq(msgsrv_metadata_find(trailer, "t", NULL), "trailer");
    msgsrv_metadata_set_free(trailer);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_blocking", blocking_handlers_run_beside_each_other,
        the_pools_threads_are_made_when_they_are_needed_and_end_with_the_server,
        while_all_workers_block_the_loop_serves_the_others, over_the_queue_a_call_is_resource_exhausted,
        a_call_whose_deadline_passes_while_it_waits_never_starts, a_call_cancelled_while_it_waits_never_starts,
        a_caller_that_leaves_while_its_handler_blocks_harms_nothing,
        freeing_the_server_cancels_blocking_handlers_and_waits_for_them,
        a_blocking_handler_may_hold_and_answer_before_it_returns, everything_a_handler_may_do_works_on_the_pool)
