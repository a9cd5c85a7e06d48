/* SPDX-License-Identifier: MIT */
/*
 * call: any method, by its name. Types come by reflection, requests and responses are JSON, and the library is given their bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "input.h"
#include "live.h"
#include "metadata.h"
#include "program.h"
#include "types.h"

#define TERMINAL_INDENT 2

/* A call that is made. */
struct call {
    const struct options *options;
    struct types types;
    struct metadata metadata;
    msgsrv_schema_method schema_method;
    msgsrv_method method;
    msgsrv_json_options json;
    msgsrv_error error; /* of a response that could not be printed */
};

static bool print_message(struct call *call, const msgsrv_bytes *message)
{
    char *text = NULL;
    size_t size = 0;
    if (msgsrv_json_from_wire(call->types.schema, call->schema_method.response, message->data, message->size,
                              &call->json, &text, &size, &call->error) != MSGSRV_OK)
        return false;
    fwrite(text, 1, size, stdout);
    putchar('\n');
    free(text);
    return app_flush();
}

static msgsrv_status read_message(const struct call *call, const char *text, size_t size, msgsrv_bytes *message,
                                  msgsrv_error *error)
{
    void *data = NULL;
    msgsrv_status status = msgsrv_json_to_wire(call->types.schema, call->schema_method.request, text, size, NULL, &data,
                                               &message->size, error);
    message->data = data;
    return status;
}

static void free_message(msgsrv_bytes *message)
{
    free((void *)(uintptr_t)message->data);
    *message = (msgsrv_bytes){.data = NULL};
}

static bool on_message(void *ctx, const void *message)
{
    return print_message(ctx, message);
}

/* The library counts lines within the text, which is one here, and has its own number in front. */
static void drop_line_number(char *text)
{
    static const char NUMBER[] = "line 1, ";
    char *last = NULL;
    for (char *at = text; (at = strstr(at, NUMBER)) != NULL; at++)
        last = at;
    if (last)
        memmove(last, last + strlen(NUMBER), strlen(last + strlen(NUMBER)) + 1);
}

static msgsrv_status on_line(void *ctx, const char *line, size_t size, msgsrv_bytes *message, msgsrv_error *error)
{
    msgsrv_status status = read_message(ctx, line, size, message, error);
    if (status != MSGSRV_OK && strncmp(error->text, "not JSON: ", 10) == 0)
        drop_line_number(error->text);
    return status;
}

static void on_end(void *ctx, const msgsrv_reply *reply)
{
    const struct call *call = ctx;
    if (call->options->headers) {
        metadata_print("head", reply->head);
        metadata_print("trailer", reply->trailer);
    }
}

/* Reports what kept a response from being printed. Returns the exit status, 0 when standard output did. */
static int print_failure(const struct call *call)
{
    return call->error.code == MSGSRV_OK ? 0 : app_fail(call->schema_method.name, &call->error, "");
}

static int call_streaming(struct call *call, const msgsrv_call_options *options, const msgsrv_bytes *request)
{
    bool many = call->schema_method.client_streaming;
    bool lines = many && strcmp(call->options->body, "-") == 0;
    struct live_call live = {.client = call->types.client,
                             .method = &call->method,
                             .request = many ? NULL : request,
                             .options = options,
                             .message = on_message,
                             .line = lines ? on_line : NULL,
                             .first = many && !lines ? request : NULL,
                             .ended = on_end,
                             .ctx = call};
    enum live_end end = LIVE_ENDED;
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_status status = live_run(&live, &end, &error);
    switch (end) {
    case LIVE_NO_INPUT:
        app_line("standard input: %s", error.text);
        return APP_EXIT_IO;
    case LIVE_BAD_LINE:
        return app_fail(call->schema_method.name, &error, "");
    case LIVE_UNWANTED:
        return print_failure(call);
    case LIVE_INTERRUPTED:
        if (status == MSGSRV_CANCELLED)
            app_error(&error, MSGSRV_CANCELLED, "interrupted");
        break;
    case LIVE_ENDED:
        break;
    }
    return status == MSGSRV_OK ? 0 : app_fail(call->schema_method.name, &error, call->options->server);
}

/* Makes the sets that --headers prints. */
static msgsrv_status want_headers(msgsrv_call_options *options, msgsrv_error *error)
{
    msgsrv_status status = msgsrv_metadata_set_new(&options->head, error);
    return status == MSGSRV_OK ? msgsrv_metadata_set_new(&options->trailer, error) : status;
}

static int call_unary(struct call *call, msgsrv_call_options options, const msgsrv_bytes *request)
{
    msgsrv_bytes response = {.data = NULL};
    msgsrv_error error;
    msgsrv_status status = call->options->headers ? want_headers(&options, &error) : MSGSRV_OK;
    if (status == MSGSRV_OK)
        status = msgsrv_client_call(call->types.client, &call->method, request, &options, &response, &error);
    metadata_print("head", options.head);
    metadata_print("trailer", options.trailer);
    msgsrv_metadata_set_free(options.head);
    msgsrv_metadata_set_free(options.trailer);
    if (status != MSGSRV_OK)
        return app_fail(call->schema_method.name, &error, call->options->server);
    bool printed = print_message(call, &response);
    msgsrv_message_release(&msgsrv_raw_type, &response);
    return printed ? 0 : print_failure(call);
}

/* Reads the one request, from the argument or standard input. Returns 0 or the exit status. */
static int read_request(const struct call *call, msgsrv_bytes *request)
{
    const char *text = call->options->body;
    size_t size = strlen(text);
    char *input = NULL;
    msgsrv_error error;
    if (strcmp(text, "-") == 0) {
        int status = input_read(call->schema_method.name, &input, &size);
        if (status != 0)
            return status;
        text = input;
    }
    msgsrv_status status = read_message(call, text, size, request, &error);
    free(input);
    return status == MSGSRV_OK ? 0 : app_fail(call->schema_method.name, &error, "");
}

/* Finds the method and describes it to the library. Returns 0 or the exit status. */
static int find_method(struct call *call)
{
    static const uint32_t KINDS[2][2] = {{MSGSRV_UNARY, MSGSRV_SERVER_STREAMING},
                                         {MSGSRV_CLIENT_STREAMING, MSGSRV_BIDI_STREAMING}};
    const struct name *name = NULL;
    int status = types_find(&call->types, 1u << MSGSRV_SYMBOL_METHOD, "method", call->options->name, &name);
    if (status != 0)
        return status;
    const msgsrv_schema_method *found = &call->schema_method;
    if (!msgsrv_schema_method_find(call->types.schema, name->text, &call->schema_method)) {
        app_line("call: INTERNAL: the server's descriptors of %s do not fit together", name->text);
        return MSGSRV_INTERNAL;
    }
    call->method = (msgsrv_method){.abi = MSGSRV_GENERATED_ABI,
                                   .kind = KINDS[found->client_streaming][found->server_streaming],
                                   .path = found->path,
                                   .request = &msgsrv_raw_type,
                                   .response = &msgsrv_raw_type};
    return 0;
}

static int make_call(struct call *call)
{
    bool streams = call->schema_method.client_streaming || call->schema_method.server_streaming;
    bool lines = call->schema_method.client_streaming && strcmp(call->options->body, "-") == 0;
    msgsrv_bytes request = {.data = NULL};
    msgsrv_call_options options = {.size = sizeof options,
                                   .timeout_ms = streams && !call->options->timeout_given ? 0 : call->options->timeout_ms,
                                   .metadata = call->metadata.entries,
                                   .metadata_count = call->metadata.count};
    int status = lines ? 0 : read_request(call, &request);
    if (status == 0)
        status = streams ? call_streaming(call, &options, &request) : call_unary(call, options, &request);
    free_message(&request);
    return status;
}

int command_call(const struct options *options)
{
    struct call call = {.options = options};
    call.json.size = sizeof call.json;
    call.json.indent = isatty(STDOUT_FILENO) && !options->json ? TERMINAL_INDENT : 0;
    int status = metadata_read(options, &call.metadata);
    if (status == 0)
        status = types_open(&call.types, options, "call", true);
    if (status == 0)
        status = find_method(&call);
    reflection_close(&call.types.reflection);
    if (status == 0)
        status = make_call(&call);
    types_close(&call.types);
    metadata_free(&call.metadata);
    return status;
}
