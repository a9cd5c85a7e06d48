/* SPDX-License-Identifier: MIT */
/*
 * Streams, served through the library as a program would: generated handlers, typed messages, one thread. What it is compared with
 * does the same by hand (limit_server.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/msgsrv.h>

#include "bench.msgsrv.h"

struct give {
    int64_t left;
    bench_Text text;
};

static msgsrv_status give_on(bench_Streams_Give_server call, void *ctx)
{
    struct give *give = msgsrv_stream_data(call.stream);
    msgsrv_status status = MSGSRV_OK;
    (void)ctx;
    for (; give->left > 0; give->left--) {
        status = bench_Streams_Give_server_send(call, &give->text, NULL);
        if (status != MSGSRV_OK)
            return status;
    }
    return msgsrv_stream_finish(call.stream);
}

static msgsrv_status give_begin(bench_Streams_Give_server call, const bench_GiveRequest *request, void *ctx)
{
    msgsrv_call *of = msgsrv_stream_call(call.stream);
    struct give *give = msgsrv_call_alloc(of, sizeof *give);
    size_t size = request->size > 0 ? (size_t)request->size : 0;
    if (give)
        give->text.text = msgsrv_call_alloc(of, size + 1);
    if (!give || !give->text.text)
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    memset(give->text.text, 'x', size);
    give->left = request->items;
    msgsrv_stream_set_data(call.stream, give);
    return give_on(call, ctx);
}

/* A text that found no room waits in a copy, the stream's data, and no more come meanwhile. */
static msgsrv_status chat_message(bench_Streams_Chat_server call, const bench_Text *message, void *ctx)
{
    msgsrv_status status = bench_Streams_Chat_server_send(call, message, NULL);
    (void)ctx;
    if (status != MSGSRV_AGAIN)
        return status;
    char *copy = strdup(message->text ? message->text : "");
    if (!copy)
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    msgsrv_stream_set_data(call.stream, copy);
    msgsrv_stream_pause(call.stream);
    return MSGSRV_OK;
}

static msgsrv_status chat_writable(bench_Streams_Chat_server call, void *ctx)
{
    bench_Text message = {.text = msgsrv_stream_data(call.stream)};
    (void)ctx;
    if (!message.text)
        return MSGSRV_OK;
    msgsrv_status status = bench_Streams_Chat_server_send(call, &message, NULL);
    if (status != MSGSRV_OK)
        return status;
    free(message.text);
    msgsrv_stream_set_data(call.stream, NULL);
    msgsrv_stream_resume(call.stream);
    return MSGSRV_OK;
}

static void chat_closed(bench_Streams_Chat_server call, const msgsrv_error *outcome, void *ctx)
{
    (void)outcome;
    (void)ctx;
    free(msgsrv_stream_data(call.stream));
}

int main(int argc, char **argv)
{
    static const bench_Streams_service streams = {
        .Give = {.begin = give_begin, .writable = give_on},
        .Chat = {.message = chat_message, .writable = chat_writable, .closed = chat_closed},
    };
    msgsrv_server *server = NULL;
    msgsrv_error error;
    if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
        fprintf(stderr, "usage: %s --listen URL\n", argv[0]);
        return 2;
    }
    msgsrv_status status = msgsrv_server_new(NULL, &server, &error);
    if (!status)
        status = bench_Streams_register(server, &streams, NULL, &error);
    if (!status)
        status = msgsrv_server_listen(server, argv[2], &error);
    if (!status) {
        printf("listening on %s\n", msgsrv_server_address(server, 0));
        fflush(stdout);
        status = msgsrv_server_run(server, &error);
    }
    if (status)
        fprintf(stderr, "%s\n", error.text);
    msgsrv_server_free(server);
    return status != MSGSRV_OK;
}
