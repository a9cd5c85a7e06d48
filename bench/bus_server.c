/* SPDX-License-Identifier: MIT */
/* A server of a bus in memory, as a program would make one: one thread. What it is compared with does the same by hand (fanout_limit.c). */
#include <stdio.h>
#include <string.h>

#include <msgsrv/msgsrv.h>
#include <msgsrv/bus.h>

int main(int argc, char **argv)
{
    msgsrv_server *server = NULL;
    msgsrv_bus *bus = NULL;
    msgsrv_error error;
    if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
        fprintf(stderr, "usage: %s --listen URL\n", argv[0]);
        return 2;
    }
    msgsrv_status status = msgsrv_server_new(NULL, &server, &error);
    if (!status)
        status = msgsrv_bus_open("mem:", NULL, &bus, &error);
    if (!status)
        status = msgsrv_bus_serve(bus, server, &error);
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
    msgsrv_bus_free(bus);
    return status != MSGSRV_OK;
}
