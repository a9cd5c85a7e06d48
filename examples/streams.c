/* SPDX-License-Identifier: MIT */
/*
 * A server-streaming method, both ends in one program: the server, in a thread of the library's, counts; the client reads.
 */
#include <stdio.h>

#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

/* What one call remembers. */
typedef struct counting {
    int32_t next, last;
} counting;

/* Sends until there is no more room, and goes on when there is. */
static msgsrv_status go_on(messages_Demo_Count_server call, void *ctx)
{
    counting *state = msgsrv_stream_data(call.stream);
    (void)ctx;
    for (; state->next <= state->last; state->next++) {
        messages_CountReply reply = {.number = state->next};
        msgsrv_status status = messages_Demo_Count_server_send(call, &reply, NULL);
        if (status)
            return status; /* MSGSRV_AGAIN: writable comes later; anything else fails the call */
    }
    return msgsrv_stream_finish(call.stream);
}

static msgsrv_status begin(messages_Demo_Count_server call, const messages_CountRequest *request, void *ctx)
{
    counting *state = msgsrv_call_alloc(msgsrv_stream_call(call.stream), sizeof *state); /* lives as long as the call */
    if (!state)
        return MSGSRV_RESOURCE_EXHAUSTED;
    *state = (counting){request->first, request->last};
    msgsrv_stream_set_data(call.stream, state);
    return go_on(call, ctx);
}

static msgsrv_status count(msgsrv_client *client, long *sum, msgsrv_error *error)
{
    messages_Demo_Count_client call;
    messages_CountReply reply;
    messages_CountRequest request = {.first = 1, .last = 1000};
    msgsrv_status status = messages_Demo_Count_start(client, &request, NULL, &call, error);
    if (status)
        return status;
    while (messages_Demo_Count_read(call, &reply))
        *sum += reply.number;
    return messages_Demo_Count_close(call, error);
}

int main(void)
{
    static const messages_Demo_service demo = {.Count = {.begin = begin, .writable = go_on}};
    msgsrv_server *server = NULL;
    msgsrv_client *client = NULL;
    msgsrv_error error;
    long sum = 0;
    msgsrv_status status = msgsrv_server_new(NULL, &server, &error);
    if (!status)
        status = messages_Demo_register(server, &demo, NULL, &error);
    if (!status)
        status = msgsrv_server_listen(server, "tcp://127.0.0.1:0", &error);
    if (!status)
        status = msgsrv_server_start(server, &error);
    if (!status)
        status = msgsrv_client_new(msgsrv_server_address(server, 0), NULL, &client, &error);
    if (!status)
        status = count(client, &sum, &error);
    if (status)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(status), error.text);
    else
        printf("%ld\n", sum);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
    return status != MSGSRV_OK;
}
