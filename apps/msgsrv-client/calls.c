/* SPDX-License-Identifier: MIT */
/*
 * add and echo: one call, by the library or as a plain message.
 */
#include "commands.h"

#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"
#include "messages.msgsrv.h"
#include "plain.h"
#include "program.h"

/* Makes a client for one call. */
static msgsrv_status connect_client(const struct options *options, msgsrv_client **client, msgsrv_error *error)
{
    msgsrv_client_options settings = {
        .size = sizeof settings, .timeout_ms = options->timeout_ms, .max_message = COMMANDS_MESSAGE_MAX};
    return msgsrv_client_new(options->server, &settings, client, error);
}

static msgsrv_status add_by_call(const struct options *options, int32_t *sum, msgsrv_error *error)
{
    messages_AddRequest request = {.a = options->a, .b = options->b};
    messages_AddResponse response = messages_AddResponse_init_zero;
    msgsrv_client *client = NULL;
    msgsrv_status status = connect_client(options, &client, error);
    if (status == MSGSRV_OK)
        status = messages_Demo_Add(client, &request, NULL, &response, error);
    msgsrv_client_free(client);
    *sum = response.result;
    return status;
}

static msgsrv_status add_plain(const struct options *options, int32_t *sum, msgsrv_error *error)
{
    messages_ClientMessage request = messages_ClientMessage_init_zero;
    messages_ServerMessage answer = messages_ServerMessage_init_zero;
    request.which_message = messages_ClientMessage_add_request_tag;
    request.message.add_request.a = options->a;
    request.message.add_request.b = options->b;
    msgsrv_status status = plain_exchange(options->server, options->timeout_ms, &request,
                                          messages_ServerMessage_add_response_tag, &answer, error);
    *sum = answer.message.add_response.result;
    return status;
}

int command_add(const struct options *options)
{
    msgsrv_error error = {0};
    int32_t sum = 0;
    msgsrv_status status = options->plain ? add_plain(options, &sum, &error) : add_by_call(options, &sum, &error);
    if (status != MSGSRV_OK)
        return app_fail("Add", &error, options->server);
    if (options->json) {
        struct app_json json = {.out = stdout};
        app_json_open(&json, NULL);
        app_json_int(&json, "result", sum);
        app_json_close(&json);
    } else {
        printf("%d\n", sum);
    }
    return 0;
}

static msgsrv_status echo_by_call(const struct options *options, char *text, char **reply, msgsrv_error *error)
{
    messages_EchoMessage request = {.text = text};
    messages_EchoMessage response = messages_EchoMessage_init_zero;
    msgsrv_client *client = NULL;
    msgsrv_status status = connect_client(options, &client, error);
    if (status == MSGSRV_OK)
        status = messages_Demo_Echo(client, &request, NULL, &response, error);
    msgsrv_client_free(client);
    *reply = response.text; /* malloc'ed, as all that nanopb decodes into a pointer */
    return status;
}

static msgsrv_status echo_plain(const struct options *options, char *text, char **reply, msgsrv_error *error)
{
    messages_ClientMessage request = messages_ClientMessage_init_zero;
    messages_ServerMessage answer = messages_ServerMessage_init_zero;
    request.which_message = messages_ClientMessage_echo_message_tag;
    request.message.echo_message.text = text;
    msgsrv_status status = plain_exchange(options->server, options->timeout_ms, &request,
                                          messages_ServerMessage_echo_message_tag, &answer, error);
    *reply = answer.message.echo_message.text;
    return status;
}

static void print_text(const struct options *options, const char *text)
{
    if (options->json) {
        struct app_json json = {.out = stdout};
        app_json_open(&json, NULL);
        app_json_string(&json, "text", text);
        app_json_close(&json);
    } else {
        fputs(text ? text : "", stdout);
        if (strcmp(options->text, "-") != 0)
            putchar('\n');
    }
}

int command_echo(const struct options *options)
{
    msgsrv_error error = {0};
    char *input = NULL;
    char *reply = NULL;
    size_t size = 0;
    if (strcmp(options->text, "-") == 0) {
        int status = input_read("Echo", &input, &size);
        if (status != 0)
            return status;
        if (strlen(input) != size) {
            free(input);
            app_error(&error, MSGSRV_INVALID_ARGUMENT, "standard input has a NUL, which no string can hold");
            return app_fail("Echo", &error, "");
        }
    }
    char *text = input ? input : (char *)(uintptr_t)options->text; /* it is only read */
    msgsrv_status status =
        options->plain ? echo_plain(options, text, &reply, &error) : echo_by_call(options, text, &reply, &error);
    free(input);
    int exit_status = status == MSGSRV_OK ? 0 : app_fail("Echo", &error, options->server);
    if (status == MSGSRV_OK)
        print_text(options, reply);
    free(reply);
    return exit_status;
}
