/* SPDX-License-Identifier: MIT */
/*
 * The first calls: a connection, echoes and sums, one and many clients, methods that nobody serves, and how a handler's
 * error travels.
 */
#include <msgsrv/service.h>

#include "api_support.h"

START_TEST(a_client_connects_and_one_echo_comes_back)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    api_call_echo(client, "hello");
    msgsrv_stats stats = {.size = sizeof stats};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(several_echoes_on_one_connection)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "echo number %d", i);
        api_call_echo(client, text);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, 1);
    ck_assert_uint_eq(stats.calls_started, 100);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_empty_text_and_utf8_come_back_as_they_were)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_EchoMessage response = messages_EchoMessage_init_zero;
    messages_EchoMessage request = messages_EchoMessage_init_zero;
    api_ok(messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
    ck_assert(response.text == NULL || response.text[0] == '\0');
    messages_EchoMessage_release(&response);
    api_call_echo(client, "gr\xc3\xbc\xc3\x9f"
                          " \xe2\x82\xac \xf0\x9f\x99\x82");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(sums_are_right_and_an_overflow_is_out_of_range)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    static const int32_t numbers[][3] = {
        {0, 0, 0}, {1, 2, 3}, {-5, 3, -2}, {INT32_MAX, 0, INT32_MAX}, {INT32_MIN, INT32_MAX, -1}};
    msgsrv_error error;
    messages_AddResponse response;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        messages_AddRequest request = {.a = numbers[i][0], .b = numbers[i][1]};
        api_ok(messages_Demo_Add(client, &request, NULL, &response, &error), &error);
        ck_assert_int_eq(response.result, numbers[i][2]);
    }
    response.result = 77;
    messages_AddRequest over = {.a = INT32_MAX, .b = 1};
    api_expect(MSGSRV_OUT_OF_RANGE, messages_Demo_Add(client, &over, NULL, &response, &error), &error);
    ck_assert_str_eq(error.text, "2147483647 + 1 does not fit int32");
    ck_assert_int_eq(error.code, MSGSRV_OUT_OF_RANGE);
    ck_assert(error.from_peer);
    ck_assert_int_eq(response.result, 77); /* outputs are untouched on failure */
    messages_AddRequest under = {.a = INT32_MIN, .b = -1};
    api_expect(MSGSRV_OUT_OF_RANGE, messages_Demo_Add(client, &under, NULL, &response, NULL), NULL);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_error_is_left_alone_when_a_call_succeeds)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error = {.code = MSGSRV_DATA_LOSS, .from_peer = true, .text = "as it was"};
    messages_AddResponse response;
    api_ok(messages_Demo_Add(client, &(messages_AddRequest){.a = 1}, NULL, &response, &error), &error);
    ck_assert_int_eq(error.code, MSGSRV_DATA_LOSS);
    ck_assert_str_eq(error.text, "as it was");
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

#define MANY 32

static void *one_of_many(void *arg)
{
    msgsrv_client *client = api_client(arg, NULL);
    for (int i = 0; i < 20; i++) {
        api_call_add(client);
        api_call_echo(client, "from one of many");
    }
    msgsrv_client_free(client);
    return NULL;
}

START_TEST(many_clients_at_once)
{
    msgsrv_server *server = api_server_on(NULL, &(msgsrv_server_options){.threads = 2}, NULL, NULL);
    pthread_t threads[MANY];
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, one_of_many, server), 0);
    }
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.connections_accepted, MANY);
    ck_assert_uint_eq(stats.calls_ended[MSGSRV_OK], MANY * 40);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(many_calls_at_once_on_one_connection)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    static api_result results[500];
    for (int i = 0; i < 500; i++) {
        api_start_echo(client, "one of 500", NULL, &results[i]);
    }
    for (int i = 0; i < 500; i++) {
        api_drive(client, &results[i]);
        api_expect(MSGSRV_OK, results[i].status, NULL);
        ck_assert_str_eq(results[i].echo, "one of 500");
        api_result_clear(&results[i]);
    }
    msgsrv_client_free(client);
    for (int i = 0; i < 500; i++) {
        ck_assert_uint_eq(api_event_count(&results[i].ended), 1);
    }
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_method_left_null_is_unimplemented)
{
    static const messages_Demo_service only_add = {.Add = api_add};
    msgsrv_server *server = api_server(&only_add, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_EchoMessage response = messages_EchoMessage_init_zero;
    messages_EchoMessage request = messages_EchoMessage_init_zero;
    api_expect(MSGSRV_UNIMPLEMENTED, messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
    api_contains(error.text, "not implemented");
    ck_assert(error.from_peer);
    api_call_add(client);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(an_unknown_method_is_unimplemented_and_named)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_method unknown = messages_Demo_Add_method;
    static const char *const paths[] = {"/messages.Demo/Nothing", "/no.such.Service/Add", "/messages.Demo/add"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        msgsrv_error error;
        messages_AddResponse response;
        unknown.path = paths[i];
        api_expect(MSGSRV_UNIMPLEMENTED,
                   msgsrv_client_call(client, &unknown, &(messages_AddRequest){.a = 1}, NULL, &response, &error),
                   &error);
        api_contains(error.text, paths[i]);
    }
    api_call_add(client);
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    ck_assert_uint_eq(stats.refused[MSGSRV_REFUSED_METHOD], 3);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Fails with the code that its request's `a` is. */
static msgsrv_status fail_with_a(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                                 void *ctx)
{
    (void)ctx;
    response->result = 1;
    msgsrv_status code = (msgsrv_status)request->a;
    return code == MSGSRV_OK ? code : msgsrv_call_error(call, code, "this is status %d", (int)request->a);
}

START_TEST(all_17_status_codes_travel_with_their_text)
{
    static const messages_Demo_service service = {.Add = fail_with_a};
    msgsrv_server *server = api_server(&service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (int32_t code = 0; code < MSGSRV_STATUS_COUNT; code++) {
        msgsrv_error error = {0};
        char text[64];
        messages_AddResponse response;
        messages_AddRequest request = {.a = code};
        api_expect((msgsrv_status)code, messages_Demo_Add(client, &request, NULL, &response, &error), &error);
        snprintf(text, sizeof text, "this is status %d", (int)code);
        ck_assert_str_eq(error.text, code == 0 ? "" : text);
        ck_assert_int_eq(error.code, code);
        ck_assert_int_eq(error.from_peer, code != 0);
    }
    msgsrv_stats stats = {0};
    msgsrv_server_stats(server, &stats);
    for (int code = 0; code < MSGSRV_STATUS_COUNT; code++) {
        ck_assert_uint_eq(stats.calls_ended[code], 1);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_code_that_may_not_travel_becomes_internal_and_is_logged)
{
    static const messages_Demo_service service = {.Add = fail_with_a};
    static const int32_t bad[] = {17, 99, MSGSRV_AGAIN, -1};
    api_log log;
    api_log_init(&log);
    msgsrv_server *server =
        api_server_on(NULL, &(msgsrv_server_options){.log = api_log_take, .log_ctx = &log}, &service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msgsrv_error error;
        messages_AddResponse response;
        messages_AddRequest request = {.a = bad[i]};
        api_expect(MSGSRV_INTERNAL, messages_Demo_Add(client, &request, NULL, &response, &error), &error);
        ck_assert(error.from_peer);
        ck_assert_uint_ge(api_event_count(&log.lines), i + 1);
    }
    ck_assert_uint_ge(api_log_count(&log, "/messages.Demo/Add"), 1);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Returns a code without any text. */
static msgsrv_status fail_bare(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response,
                               void *ctx)
{
    (void)call;
    (void)response;
    (void)ctx;
    return (msgsrv_status)request->a;
}

START_TEST(a_bare_code_travels_and_one_outside_the_list_is_internal)
{
    static const messages_Demo_service service = {.Add = fail_bare};
    static const int32_t codes[][2] = {{MSGSRV_NOT_FOUND, MSGSRV_NOT_FOUND},
                                       {MSGSRV_UNAUTHENTICATED, MSGSRV_UNAUTHENTICATED},
                                       {17, MSGSRV_INTERNAL},
                                       {MSGSRV_AGAIN, MSGSRV_INTERNAL},
                                       {-3, MSGSRV_INTERNAL}};
    msgsrv_server *server = api_server(&service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        msgsrv_error error;
        messages_AddResponse response;
        messages_AddRequest request = {.a = codes[i][0]};
        api_expect((msgsrv_status)codes[i][1], messages_Demo_Add(client, &request, NULL, &response, &error), &error);
        ck_assert_uint_gt(strlen(error.text), 0); /* words even when the handler gave none */
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* Fails with the request's text. */
static msgsrv_status fail_with_text(msgsrv_call *call, const messages_EchoMessage *request,
                                    messages_EchoMessage *response, void *ctx)
{
    (void)response;
    const char *text = ctx != NULL ? ctx : request->text;
    return msgsrv_call_error(call, MSGSRV_ABORTED, "%s", text);
}

START_TEST(an_error_text_is_cut_at_255_bytes_and_at_a_characters_end)
{
    static const messages_Demo_service service = {.Echo = fail_with_text};
    msgsrv_server *server = api_server(&service, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (unsigned shift = 0; shift < 3; shift++) {
        char text[1000] = "xy";
        text[shift] = '\0';
        while (strlen(text) < 600) {
            strcat(text, "\xe2\x82\xac"); /* three bytes each, so that two of the three cuts fall inside one */
        }
        msgsrv_error error;
        messages_EchoMessage response;
        api_expect(MSGSRV_ABORTED,
                   messages_Demo_Echo(client, &(messages_EchoMessage){.text = text}, NULL, &response, &error), &error);
        size_t want = 255 - (255 - shift) % 3;
        ck_assert_uint_eq(strlen(error.text), want);
        ck_assert_mem_eq(error.text, text, want);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(what_is_not_utf8_in_an_error_text_is_replaced)
{
    static const messages_Demo_service service = {.Echo = fail_with_text};
    static const char broken[] = "a\xff"
                                 "b \xc3( \xed\xa0\x80 ok";
    msgsrv_server *server = api_server(&service, (void *)(uintptr_t)broken);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    messages_EchoMessage response;
    messages_EchoMessage request = messages_EchoMessage_init_zero;
    api_expect(MSGSRV_ABORTED, messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
    ck_assert_int_eq(strncmp(error.text, "a?b ?( ?", 8), 0);
    api_contains(error.text, " ok");
    for (const char *c = error.text; *c != '\0'; c++) {
        ck_assert_int_gt(*c, 0); /* everything that was broken here is plain ASCII now */
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

static msgsrv_status tell_method(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                                 void *ctx)
{
    (void)request;
    const char *method = msgsrv_call_method(call);
    size_t size = strlen(method) + strlen(ctx) + 1;
    response->text = msgsrv_call_alloc(call, size);
    ck_assert_ptr_nonnull(response->text);
    ck_assert_int_eq(response->text[size - 1], 0); /* zeroed */
    ck_assert_uint_eq((uintptr_t)response->text % _Alignof(max_align_t), 0);
    strcat(strcpy(response->text, method), ctx);
    return MSGSRV_OK;
}

START_TEST(a_handler_knows_its_method_and_context_and_answers_from_the_calls_memory)
{
    static const messages_Demo_service service = {.Echo = tell_method};
    char ctx[] = " with a context";
    msgsrv_server *server = api_server(&service, ctx);
    msgsrv_client *client = api_client(server, NULL);
    for (int i = 0; i < 3; i++) {
        msgsrv_error error;
        messages_EchoMessage response;
        messages_EchoMessage request = messages_EchoMessage_init_zero;
        api_ok(messages_Demo_Echo(client, &request, NULL, &response, &error), &error);
        ck_assert_str_eq(response.text, "/messages.Demo/Echo with a context");
        messages_EchoMessage_release(&response);
        messages_EchoMessage_release(&response); /* a second one is harmless */
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_ping_measures_a_round_trip_with_every_kind_of_client)
{
    msgsrv_server *server = api_server(NULL, NULL);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_client *client = api_client(server, &(msgsrv_client_options){.thread = thread});
        for (int i = 0; i < 3; i++) {
            msgsrv_error error;
            uint64_t round_trip_ns = 0;
            api_ok(msgsrv_client_ping(client, 0, &round_trip_ns, &error), &error);
            ck_assert_uint_gt(round_trip_ns, 0);
            ck_assert_uint_lt(round_trip_ns, (uint64_t)API_GUARD_MS * 1000000);
        }
        api_call_add(client);
        msgsrv_client_free(client);
    }
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_calls", a_client_connects_and_one_echo_comes_back, several_echoes_on_one_connection,
        an_empty_text_and_utf8_come_back_as_they_were, sums_are_right_and_an_overflow_is_out_of_range,
        an_error_is_left_alone_when_a_call_succeeds, many_clients_at_once, many_calls_at_once_on_one_connection,
        a_method_left_null_is_unimplemented, an_unknown_method_is_unimplemented_and_named,
        all_17_status_codes_travel_with_their_text, a_code_that_may_not_travel_becomes_internal_and_is_logged,
        a_bare_code_travels_and_one_outside_the_list_is_internal,
        an_error_text_is_cut_at_255_bytes_and_at_a_characters_end, what_is_not_utf8_in_an_error_text_is_replaced,
        a_handler_knows_its_method_and_context_and_answers_from_the_calls_memory,
        a_ping_measures_a_round_trip_with_every_kind_of_client)
