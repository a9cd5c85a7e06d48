/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-client was told on its command line and by MSGSRV_SERVER.
 */
#ifndef MSGSRV_CLIENT_OPTIONS_H
#define MSGSRV_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_DEFAULT_SERVER "tcp://127.0.0.1:7070"
#define OPTIONS_METADATA_MAX 64

enum command {
    COMMAND_LIST,
    COMMAND_DESCRIBE,
    COMMAND_CALL,
    COMMAND_HEALTH,
    COMMAND_STATS,
    COMMAND_ADD,
    COMMAND_ECHO,
    COMMAND_PING,
    COMMAND_BENCH
};

/* Texts are the program's arguments or its environment; numbers have their defaults. */
struct options {
    enum command command;
    const char *server;
    uint32_t timeout_ms; /* of a call, a ping or a plain exchange */
    bool timeout_given;  /* then it is the deadline of a stream, too */
    bool json;
    bool plain;                                              /* without the library */
    const char *name;                                        /* list, describe, call, health; NULL when there is none */
    bool details;                                            /* list */
    const char *body;                                        /* call: JSON; "-" is standard input */
    const char *metadata[OPTIONS_METADATA_MAX];              /* call: each with a '=' behind its key */
    size_t metadata_count;                                   /* call */
    bool headers;                                            /* call */
    bool watch;                                              /* health, stats */
    int32_t a, b;                                            /* add */
    const char *text;                                        /* echo; "-" is standard input */
    uint32_t count, interval_ms;                             /* ping; stats has an interval, too */
    uint32_t connections, outstanding, duration_ms, payload; /* bench */
    bool bench_echo;                                         /* bench calls Echo instead of Add */
};

/* Reads the arguments. Returns APP_GO_ON, or the program's exit status: the help was printed, or an error
 * reported. */
int options_read(int argc, char **argv, struct options *options);

/* Prints what --help does. Returns the exit status. */
int options_help(void);

#endif
