/* SPDX-License-Identifier: MIT */
/*
 * The smallest server: one method, served in the calling thread for ever.
 *
 *     ./example-server [URL]
 */
#include <stdio.h>

#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *req, messages_AddResponse *resp, void *ctx)
{
    (void)ctx;
    if (__builtin_add_overflow(req->a, req->b, &resp->result))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", req->a, req->b);
    return MSGSRV_OK; /* resp is encoded and sent, req released */
}

int main(int argc, char **argv)
{
    static const messages_Demo_service demo = {.Add = add}; /* a method left NULL answers UNIMPLEMENTED */
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7070";
    msgsrv_server *server = NULL;
    msgsrv_error err;
    msgsrv_status st = msgsrv_server_new(NULL, &server, &err);
    if (!st)
        st = messages_Demo_register(server, &demo, NULL, &err);
    if (!st)
        st = msgsrv_server_listen(server, url, &err);
    if (!st) {
        printf("listening on %s\n", msgsrv_server_address(server, 0));
        fflush(stdout);
        st = msgsrv_server_run(server, &err);
    }
    if (st)
        fprintf(stderr, "%s\n", err.text);
    msgsrv_server_free(server);
    return st != MSGSRV_OK;
}
