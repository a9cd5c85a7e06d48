/* SPDX-License-Identifier: MIT */
/*
 * The smallest client: one call, waited for. No thread is made; the call drives the client's own loop.
 *
 *     ./example-client [URL]
 */
#include <stdio.h>

#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7070";
    msgsrv_client *client = NULL;
    messages_AddResponse sum = messages_AddResponse_init_zero;
    msgsrv_error err;
    msgsrv_status st = msgsrv_client_new(url, NULL, &client, &err);
    if (!st)
        st = messages_Demo_Add(client, &(messages_AddRequest){.a = 2, .b = 3}, NULL, &sum, &err);
    if (!st)
        printf("%d\n", sum.result);
    else
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    msgsrv_client_free(client);
    return st != MSGSRV_OK;
}
