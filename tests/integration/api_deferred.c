/* SPDX-License-Identifier: MIT */
/*
 * Answers that come later: from the handler's own thread, from another one, after the caller, its connection or the whole
 * server is gone; and the ways to hold a call wrongly.
 */
#include "api_support.h"

static void *reply_from_thread(void *arg)
{
    struct api_holds *holds = arg;
    messages_AddResponse response = {.result = 5};
    api_event_wait(&holds->held, 1);
    return (void *)(uintptr_t)messages_Demo_Add_reply(holds->hold[0], &response);
}

START_TEST(a_call_is_answered_from_another_thread)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client(server, NULL);
    pthread_t thread;
    void *status = NULL;
    ck_assert_int_eq(pthread_create(&thread, NULL, reply_from_thread, &holds), 0);
    api_call_add(client);
    pthread_join(thread, &status);
    ck_assert_uint_eq((uintptr_t)status, MSGSRV_OK);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(held_calls_are_answered_in_any_order_and_their_requests_stay_valid)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result results[8];
    for (int i = 0; i < 8; i++) {
        api_result_init(&results[i]);
        messages_AddRequest request = {.a = i, .b = 100};
        api_ok(messages_Demo_Add_async(client, &request, NULL, api_on_add, &results[i], NULL, NULL), NULL);
    }
    api_event_wait(&holds.held, 8);
    for (int i = 7; i >= 0; i--) {
        messages_AddResponse response = {.result = holds.request[i]->a + holds.request[i]->b};
        api_ok(messages_Demo_Add_reply(holds.hold[i], &response), NULL);
        api_event_wait(&results[i].ended, 1);
        ck_assert_int_eq(results[i].sum, i + 100);
        ck_assert_uint_eq(i == 0 || api_event_count(&results[i - 1].ended) == 0, 1);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A handler of Echo that holds its calls and keeps their requests. */
struct echoes {
    api_event held;
    msgsrv_held *hold[4];
    const messages_EchoMessage *request[4];
};

static msgsrv_status hold_echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                               void *ctx)
{
    struct echoes *echoes = ctx;
    (void)response;
    unsigned index = api_event_count(&echoes->held);
    ck_assert_uint_lt(index, 4);
    echoes->request[index] = request;
    echoes->hold[index] = msgsrv_call_hold(call);
    api_event_add(&echoes->held);
    return MSGSRV_DEFERRED;
}

static const messages_Demo_service holding_echo = {.Echo = hold_echo};

START_TEST(a_held_requests_text_outlives_the_frame_it_came_in)
{
    struct echoes echoes = {.held = API_EVENT_INIT};
    msgsrv_server *server = api_server(&holding_echo, &echoes);
    msgsrv_client *client = api_client_thread(server);
    api_result results[3];
    api_start_echo(client, "the first text", NULL, &results[0]);
    api_event_wait(&echoes.held, 1);
    api_start_echo(client, "another text, to write over buffers", NULL, &results[1]);
    api_start_echo(client, "and a third", NULL, &results[2]);
    api_event_wait(&echoes.held, 3);
    ck_assert_str_eq(echoes.request[0]->text, "the first text");
    for (int i = 0; i < 3; i++)
        api_ok(messages_Demo_Echo_reply(echoes.hold[i], echoes.request[i]), NULL);
    for (int i = 0; i < 3; i++)
        api_event_wait(&results[i].ended, 1);
    ck_assert_str_eq(results[0].echo, "the first text");
    ck_assert_str_eq(results[2].echo, "and a third");
    for (int i = 0; i < 3; i++)
        api_result_clear(&results[i]);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_held_call_is_failed_with_a_code_and_text)
{
    static const int codes[][2] = {{MSGSRV_NOT_FOUND, MSGSRV_NOT_FOUND},
                                   {MSGSRV_UNAUTHENTICATED, MSGSRV_UNAUTHENTICATED},
                                   {MSGSRV_OK, MSGSRV_INTERNAL},
                                   {17, MSGSRV_INTERNAL},
                                   {MSGSRV_DEFERRED, MSGSRV_INTERNAL}};
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    for (unsigned i = 0; i < 5; i++) {
        api_result result;
        api_start_add(client, NULL, &result);
        api_event_wait(&holds.held, i + 1);
        api_ok(msgsrv_held_fail(holds.hold[i], (msgsrv_status)codes[i][0], "failed as number %u", i), NULL);
        api_event_wait(&result.ended, 1);
        ck_assert_int_eq(result.status, codes[i][1]);
        api_contains(result.text, "failed as number");
        ck_assert(result.from_peer);
    }
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 0);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(null_holds_are_refused_or_ignored)
{
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_held_fail(NULL, MSGSRV_ABORTED, "nothing"), NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Add_reply(NULL, &response), NULL);
    msgsrv_held_drop(NULL);
}
END_TEST

START_TEST(a_dropped_call_is_internal_and_logged)
{
    struct api_holds holds;
    api_log log;
    api_holds_init(&holds);
    api_log_init(&log);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, &api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    msgsrv_held_drop(holds.hold[0]);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_INTERNAL, result.status, NULL);
    api_event_wait(&log.lines, 1);
    ck_assert_uint_eq(api_log_count(&log, "/messages.Demo/Add"), 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* What a wrong handler does: hold or not, and what it returns. */
struct wrong {
    bool hold;
    msgsrv_status result;
    msgsrv_held *held;
};

static msgsrv_status hold_wrongly(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                  void *ctx)
{
    struct wrong *wrong = ctx;
    (void)request;
    response->result = 1;
    wrong->held = wrong->hold ? msgsrv_call_hold(call) : NULL;
    return wrong->result;
}

START_TEST(deferred_without_a_hold_and_a_hold_without_deferred_are_internal_and_logged)
{
    static const struct wrong wrongs[] = {{.hold = false, .result = MSGSRV_DEFERRED},
                                          {.hold = true, .result = MSGSRV_OK},
                                          {.hold = true, .result = MSGSRV_NOT_FOUND}};
    for (int blocking = 0; blocking < 2; blocking++) {
        for (unsigned i = 0; i < 3; i++) {
            struct wrong wrong = wrongs[i];
            messages_Demo_service service = {.Add = hold_wrongly, .blocking = {.Add = blocking}};
            api_log log;
            api_log_init(&log);
            msgsrv_server *server =
                api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, &service, &wrong);
            msgsrv_client *client = api_client(server, NULL);
            msgsrv_error error;
            messages_AddResponse response;
            messages_AddRequest request = {.a = 1};
            api_expect(MSGSRV_INTERNAL, messages_Demo_Add(client, &request, NULL, &response, &error), &error);
            ck_assert(error.from_peer);
            api_event_wait(&log.lines, 1);
            ck_assert_uint_ge(api_log_count(&log, "/messages.Demo/Add"), 1);
            if (wrong.held != NULL) {
                messages_AddResponse late = {.result = 1};
                api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(wrong.held, &late), NULL);
            }
            msgsrv_client_free(client);
            msgsrv_server_free(server);
        }
    }
}
END_TEST

static msgsrv_status hold_twice(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                void *ctx)
{
    (void)request;
    (void)ctx;
    msgsrv_held *first = msgsrv_call_hold(call);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(msgsrv_call_hold(call));
    response->result = 5;
    api_ok(messages_Demo_Add_reply(first, response), NULL);
    return MSGSRV_DEFERRED;
}

START_TEST(a_second_hold_is_null_and_logged_and_an_answer_may_come_inside_the_handler)
{
    static const messages_Demo_service service = {.Add = hold_twice};
    api_log log;
    api_log_init(&log);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, &service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    ck_assert_uint_eq(api_log_count(&log, "/messages.Demo/Add"), 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_answer_of_another_method_is_refused_and_the_call_ends_internal)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    messages_EchoMessage other = messages_EchoMessage_init_zero;
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Echo_reply(holds.hold[0], &other), NULL);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_INTERNAL, result.status, NULL);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_answer_that_does_not_encode_is_refused_and_the_call_ends_internal)
{
    struct echoes echoes = {.held = API_EVENT_INIT};
    msgsrv_server *server = api_server(&holding_echo, &echoes);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_echo(client, "x", NULL, &result);
    api_event_wait(&echoes.held, 1);
    char broken[] = "\xff";
    messages_EchoMessage response = {.text = broken};
    api_expect(MSGSRV_INVALID_ARGUMENT, messages_Demo_Echo_reply(echoes.hold[0], &response), NULL);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_INTERNAL, result.status, NULL);
    api_result_clear(&result);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_answer_after_the_connection_is_gone_is_cancelled)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result result;
    api_start_add(client, NULL, &result);
    api_event_wait(&holds.held, 1);
    msgsrv_client_free(client);
    api_expect(MSGSRV_CANCELLED, result.status, NULL);
    api_event_wait(&holds.cancelled, 1);
    ck_assert(msgsrv_held_cancelled(holds.hold[0]));
    ck_assert_int_eq(holds.request[0]->a, 2); /* still valid */
    messages_AddResponse response = {.result = 5};
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 1);
}
END_TEST

START_TEST(answers_after_the_server_is_freed_are_cancelled)
{
    struct api_holds holds;
    api_holds_init(&holds);
    msgsrv_server *server = api_server(&api_holding, &holds);
    msgsrv_client *client = api_client_thread(server);
    api_result results[4];
    for (unsigned i = 0; i < 4; i++)
        api_start_add(client, NULL, &results[i]);
    api_event_wait(&holds.held, 4);
    msgsrv_server_free(server);
    ck_assert_uint_eq(api_event_count(&holds.cancelled), 4); /* before it returned */
    for (unsigned i = 0; i < 4; i++) {
        api_event_wait(&results[i].ended, 1);
        ck_assert(results[i].status == MSGSRV_CANCELLED || results[i].status == MSGSRV_UNAVAILABLE);
        ck_assert(msgsrv_held_cancelled(holds.hold[i]));
        ck_assert_int_eq(holds.request[i]->b, 3);
    }
    messages_AddResponse response = {.result = 5};
    msgsrv_metadata entry = {.key = "t", .value = "too late"};
    (void)msgsrv_held_add_trailer(holds.hold[0], entry, NULL);
    api_expect(MSGSRV_CANCELLED, messages_Demo_Add_reply(holds.hold[0], &response), NULL);
    api_expect(MSGSRV_CANCELLED, msgsrv_held_fail(holds.hold[1], MSGSRV_ABORTED, "late"), NULL);
    msgsrv_held_drop(holds.hold[2]);
    ck_assert_int_ge(msgsrv_held_time_left_ms(holds.hold[3]), 0);
    msgsrv_held_drop(holds.hold[3]);
    msgsrv_client_free(client);
}
END_TEST

/* Answers all holds of a server from several threads while the server is being freed. */
struct race {
    struct api_holds *holds;
    unsigned first;
    unsigned step;
    api_event *go;
};

static void *answer_some(void *arg)
{
    struct race *race = arg;
    api_event_wait(race->go, 1);
    for (unsigned i = race->first; i < API_HOLDS; i += race->step) {
        messages_AddResponse response = {.result = 5};
        msgsrv_status status = messages_Demo_Add_reply(race->holds->hold[i], &response);
        ck_assert(status == MSGSRV_OK || status == MSGSRV_CANCELLED);
    }
    return NULL;
}

START_TEST(answers_from_several_threads_race_with_the_servers_end)
{
    for (int round = 0; round < 20; round++) {
        struct api_holds holds;
        api_event go = API_EVENT_INIT;
        api_holds_init(&holds);
        msgsrv_server *server = api_server(&api_holding, &holds);
        msgsrv_client *client = api_client_thread(server);
        static api_result results[API_HOLDS];
        for (unsigned i = 0; i < API_HOLDS; i++)
            api_start_add(client, NULL, &results[i]);
        api_event_wait(&holds.held, API_HOLDS);
        pthread_t threads[2];
        struct race races[2] = {{&holds, 0, 2, &go}, {&holds, 1, 2, &go}};
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, answer_some, &races[i]), 0);
        api_event_add(&go);
        if (round % 2)
            msgsrv_server_free(server);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < API_HOLDS; i++)
            api_event_wait(&results[i].ended, 1);
        msgsrv_client_free(client);
        if (round % 2 == 0)
            msgsrv_server_free(server);
    }
}
END_TEST

TS_MAIN("api_deferred", a_call_is_answered_from_another_thread,
        held_calls_are_answered_in_any_order_and_their_requests_stay_valid,
        a_held_requests_text_outlives_the_frame_it_came_in, a_held_call_is_failed_with_a_code_and_text,
        null_holds_are_refused_or_ignored, a_dropped_call_is_internal_and_logged,
        deferred_without_a_hold_and_a_hold_without_deferred_are_internal_and_logged,
        a_second_hold_is_null_and_logged_and_an_answer_may_come_inside_the_handler,
        an_answer_of_another_method_is_refused_and_the_call_ends_internal,
        an_answer_that_does_not_encode_is_refused_and_the_call_ends_internal,
        an_answer_after_the_connection_is_gone_is_cancelled, answers_after_the_server_is_freed_are_cancelled,
        answers_from_several_threads_race_with_the_servers_end)
