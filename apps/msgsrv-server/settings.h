/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-server was told on its command line.
 */
#ifndef MSGSRV_SERVER_SETTINGS_H
#define MSGSRV_SERVER_SETTINGS_H

#include <msgsrv/bus.h>
#include <msgsrv/msgsrv.h>

#define SETTINGS_LISTEN_MAX 64
#define SETTINGS_DEFAULT_MESSAGE (4u * 1024 * 1024) /* the library's default of max_message */

struct settings {
    msgsrv_server_options server; /* every number of it; without its log callback */
    msgsrv_bus_options bus;       /* its bounds; without its log callback */
    uint32_t bus_max_retained;    /* bus.max_retained_bytes, which has more bits */
    bool no_bus;
    const char *listen[SETTINGS_LISTEN_MAX]; /* the program's arguments, or the default */
    size_t listen_count;
    uint32_t grace_ms;
    bool stats; /* at the end and on SIGUSR1 */
    bool json;  /* the statistics */
    bool access_log;
};

/* Reads the arguments. Returns APP_GO_ON, or the program's exit status: the help was printed, or an error
 * reported. */
int settings_read(int argc, char **argv, struct settings *settings);

#endif
