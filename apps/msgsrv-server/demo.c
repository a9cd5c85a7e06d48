/* SPDX-License-Identifier: MIT */
/*
 * The demonstration service: two handlers that answer at once, on the loop's thread; those that stream are in demo_streams.c.
 */
#include "demo.h"

#include "demo_streams.h"

static msgsrv_status echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                          void *ctx)
{
    (void)call;
    (void)ctx;
    response->text = request->text; /* the request lives until the response has been sent */
    return MSGSRV_OK;
}

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx)
{
    (void)ctx;
    if (__builtin_add_overflow(request->a, request->b, &response->result))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", request->a, request->b);
    return MSGSRV_OK;
}

msgsrv_status demo_register(msgsrv_server *server, msgsrv_error *error)
{
    messages_Demo_service demo = {.Echo = echo, .Add = add};
    demo_streams_fill(&demo);
    msgsrv_status status = messages_Demo_register(server, &demo, NULL, error);
    if (status == MSGSRV_OK)
        status = msgsrv_server_bind_plain(server, messages_ClientMessage_echo_message_tag, "/messages.Demo/Echo",
                                          messages_ServerMessage_echo_message_tag, error);
    if (status == MSGSRV_OK)
        status = msgsrv_server_bind_plain(server, messages_ClientMessage_add_request_tag, "/messages.Demo/Add",
                                          messages_ServerMessage_add_response_tag, error);
    return status;
}
