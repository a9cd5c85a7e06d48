/* SPDX-License-Identifier: MIT */
/* ./example-tail-client URL FILE... prints the last lines of files on the server, and what is added to them. */
#include <stdio.h>

#include <msgsrv/msgsrv.h>

#include "tail.msgsrv.h"

int main(int argc, char **argv)
{
    msgsrv_client *client = NULL;
    tail_Tail_Follow_client call = {NULL};
    tail_Line line;
    msgsrv_error err = {.text = "usage: example-tail-client URL FILE..."};
    msgsrv_status st = argc < 3 ? MSGSRV_INVALID_ARGUMENT : msgsrv_client_new(argv[1], NULL, &client, &err);
    if (!st)
        st = tail_Tail_Follow_start(client, NULL, &call, &err);
    for (int i = 2; !st && i < argc && !tail_Tail_Follow_write(call, &(tail_FollowRequest){argv[i], 10}, &err); i++)
        ;
    for (; !st && tail_Tail_Follow_read(call, &line); tail_Line_release(&line), fflush(stdout))
        printf("%s: %s\n", line.path ? line.path : "", line.text ? line.text : "");
    if (call.stream)
        st = tail_Tail_Follow_close(call, &err);
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    msgsrv_client_free(client);
    return st != MSGSRV_OK;
}
