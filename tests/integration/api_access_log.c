/* SPDX-License-Identifier: MIT */
/* The access log: one line for each call that has ended, exact but for the port and the duration. */
#include <msgsrv/services.h>

#include "api_support.h"

static msgsrv_server *server_with_log(api_log *log, msgsrv_interceptor *interceptor)
{
    msgsrv_error error;
    api_log_init(log);
    api_ok(msgsrv_access_log_new(api_log_take, log, interceptor, &error), &error);
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_server_intercept(server, interceptor, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    return server;
}

/* Fails unless the line is the given one with some port and some duration. */
static void expect_line(const char *line, const char *method_and_status, const char *counts)
{
    unsigned port = 0, ms = 0, us = 0;
    char found[64], want[256];
    const char *duration = strstr(line, method_and_status);
    ck_assert_msg(sscanf(line, "tcp://127.0.0.1:%u %63s", &port, found) == 2 && port > 0, "%s", line);
    ck_assert_msg(duration != NULL, "%s", line);
    ck_assert_msg(sscanf(duration + strlen(method_and_status), " %u.%3u", &ms, &us) == 2, "%s", line);
    snprintf(want, sizeof want, "tcp://127.0.0.1:%u %s %u.%03u ms %s", port, method_and_status, ms, us, counts);
    ck_assert_str_eq(line, want);
}

START_TEST(test_lines)
{
    api_log log;
    msgsrv_interceptor interceptor;
    msgsrv_error error;
    msgsrv_server *server = server_with_log(&log, &interceptor);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse response = messages_AddResponse_init_zero;
    api_call_add(client);
    api_expect(MSGSRV_OUT_OF_RANGE,
               messages_Demo_Add(client, &(messages_AddRequest){.a = INT32_MAX, .b = 1}, NULL, &response, &error),
               &error);
    api_event_wait(&log.lines, 2);
    expect_line(log.text[0], "/messages.Demo/Add OK", "in=1 out=1");
    expect_line(log.text[1], "/messages.Demo/Add OUT_OF_RANGE", "in=1 out=0");
    ck_assert_int_eq(log.level[0], MSGSRV_LOG_INFO);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    msgsrv_access_log_free(&interceptor);
    ck_assert_ptr_null(interceptor.end);
}
END_TEST

START_TEST(test_arguments)
{
    msgsrv_error error;
    msgsrv_interceptor interceptor = {0};
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_access_log_new(NULL, NULL, &interceptor, &error), &error);
    api_contains(error.text, "log");
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_access_log_new(api_log_take, NULL, NULL, NULL), NULL);
    msgsrv_access_log_free(NULL);
    msgsrv_access_log_free(&interceptor);
}
END_TEST

TS_MAIN("api_access_log", test_lines, test_arguments)
