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
#define OPTIONS_LIST_MAX 64

enum command {
    COMMAND_LIST,
    COMMAND_DESCRIBE,
    COMMAND_CALL,
    COMMAND_HEALTH,
    COMMAND_STATS,
    COMMAND_ADD,
    COMMAND_ECHO,
    COMMAND_PING,
    COMMAND_BENCH,
    COMMAND_PUB,
    COMMAND_SUB,
    COMMAND_TOPICS,
    COMMAND_HZ,
    COMMAND_BW,
    COMMAND_QUEUES,
    COMMAND_QUEUE,
    COMMAND_CONSUME,
    COMMAND_DLQ,
    COMMAND_TOP,
    COMMAND_DOCTOR
};

/* What queue and dlq do; the number of their names' table. */
enum action { ACTION_DECLARE, ACTION_PEEK, ACTION_PURGE, ACTION_DELETE, ACTION_LIST, ACTION_RETRY };

/* Of an option that may be repeated. */
struct option_list {
    const char *texts[OPTIONS_LIST_MAX];
    size_t count;
};

/* Of queue declare: 0 where nothing was said, as in msgsrv.bus.v1.QueueSettings. */
struct queue_bounds {
    uint32_t max_messages, max_bytes, ack_wait_ms, max_deliver, ttl_ms, max_dead_letters, dedup_ms, dedup_ids;
    bool drop_oldest, no_dead_letters;
};

/* Texts are the program's arguments or its environment; numbers have their defaults. */
struct options {
    enum command command;
    const char *server;
    uint32_t timeout_ms; /* of a call, a ping or a plain exchange */
    bool timeout_given;  /* then it is the deadline of a stream, too */
    bool json;
    bool plain;       /* without the library */
    const char *name; /* list, describe, call, health: NULL when there is none; of a topic, pattern or queue */
    bool details;     /* list, doctor */
    const char *body; /* call, pub: JSON; "-" is standard input */
    struct option_list metadata; /* call, and as headers pub: each with a '=' behind its key */
    bool headers;                /* call */
    bool watch;                  /* health, stats, topics */
    int32_t a, b;                /* add */
    const char *text;            /* echo; "-" is standard input */
    uint32_t count, interval_ms; /* of ping, and of what watches; a count of 0: no end */
    uint32_t connections, outstanding, duration_ms, payload; /* bench */
    bool bench_echo;                                         /* bench calls Echo instead of Add */
    bool bench_pubsub;                                       /* bench publishes, instead of calling */
    uint32_t size, subscribers;                              /* of bench pubsub */

    struct option_list types, patterns; /* queue declare; of types, pub, sub and doctor have at most one */
    const char *id;                     /* pub; NULL when there is none */
    uint32_t delay_ms;                  /* pub, consume */
    uint32_t retain;                    /* pub; MSGSRV_NONE when nothing was said */
    const char *group;                  /* sub; NULL when there is none */
    uint32_t last;                      /* sub; as in msgsrv_subscribe_options */
    uint32_t policy;                    /* sub; msgsrv_bus_policy */
    uint32_t max_events;                /* sub; bounds.max_bytes beside it */
    uint32_t prefetch;                  /* consume */
    bool reject, nak;                   /* consume */
    const char *reason;                 /* consume */
    enum action action;                 /* queue, dlq */
    uint64_t message_id;                /* dlq retry; 0: all */
    struct queue_bounds bounds;         /* queue declare; its time to live is pub's as well */
};

/* Reads the arguments. Returns APP_GO_ON, or the program's exit status: the help was printed, or an error
 * reported. */
int options_read(int argc, char **argv, struct options *options);

/* Prints what --help does. Returns the exit status. */
int options_help(void);

#endif
