/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-client was told on its command line and by MSGSRV_SERVER.
 */
#ifndef MSGSRV_CLIENT_OPTIONS_H
#define MSGSRV_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum command { COMMAND_ADD, COMMAND_ECHO, COMMAND_PING, COMMAND_BENCH };

/* Texts are the program's arguments or its environment; numbers have their defaults. */
struct options {
    enum command command;
    const char *server;
    uint32_t timeout_ms; /* of a call, a ping or a plain exchange */
    bool json;
    bool plain;                                              /* without the library */
    int32_t a, b;                                            /* add */
    const char *text;                                        /* echo; "-" is standard input */
    uint32_t count, interval_ms;                             /* ping */
    uint32_t connections, outstanding, duration_ms, payload; /* bench */
    bool bench_echo;                                         /* bench calls Echo instead of Add */
};

/* Reads the arguments. Returns APP_GO_ON, or the program's exit status: the help was printed, or an error
 * reported. */
int options_read(int argc, char **argv, struct options *options);

#endif
