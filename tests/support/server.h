/* SPDX-License-Identifier: MIT */
/*
 * A server in the test's own process, with a thread of its own, serving demo.h and its plain messages on a
 * free port; what it counts; and a bystander: a second connection that must be served whatever another one
 * does.
 */
#ifndef TESTS_SUPPORT_SERVER_H
#define TESTS_SUPPORT_SERVER_H

#include <msgsrv/msgsrv.h>

#include "demo.h"
#include "peer.h"
#include "streams.h"

/* Zero members are the defaults. */
typedef struct ts_setup {
    msgsrv_server_options options;
    const char *url;     /* default "tcp://127.0.0.1:0" */
    bool blocking;       /* Echo runs on the worker pool */
    bool no_service;     /* nothing is registered */
    bool no_plain;       /* nothing is bound to plain messages */
    bool not_started;    /* the test starts it */
    ts_streams *streams; /* test.Streams is registered too, with this, which is set up */
} ts_setup;

typedef struct ts_server {
    msgsrv_server *handle;
    const char *url; /* with the real port */
    ts_demo *demo;
    ts_streams *streams; /* of the set-up */
    ts_peer *bystander;  /* NULL until it was needed */
    uint64_t bystander_id;
    atomic_uint log_lines; /* warnings and errors */
} ts_server;

ts_server *ts_server_new(const ts_setup *setup); /* NULL: all defaults */
void ts_server_free(ts_server *server);          /* the server first, then what its handlers used */

ts_peer *ts_server_connect(ts_server *server);

/* Snapshots. */
msgsrv_stats ts_stats(const ts_server *server);
uint64_t ts_refused(const ts_server *server, msgsrv_refusal refusal);

/*
 * Waits until a member of the stats compares so with a value: ts_wait_stat(server, reads_paused, >=, 1).
 * Counters may be a moment behind what a peer already sees, so they are waited for, never just read.
 */
#define ts_wait_stat(server, member, op, value)                                                   \
    do {                                                                                          \
        uint64_t until_ = ts_guard();                                                             \
        for (;;) {                                                                                \
            uint64_t is_ = ts_stats(server).member, want_ = (value);                              \
            if (is_ op want_)                                                                     \
                break;                                                                            \
            if (ts_now_ms() >= until_)                                                            \
                (void)TS_HERE, ts_fail("waited in vain for %s %s %llu: it is %llu", #member, #op, \
                                       (unsigned long long)want_, (unsigned long long)is_);       \
            ts_nap();                                                                             \
        }                                                                                         \
    } while (0)

/* Waits until a refusal was counted exactly so often. */
void ts_expect_refused_(const ts_server *server, msgsrv_refusal refusal, uint64_t count);
#define ts_expect_refused(...) (TS_HERE, ts_expect_refused_(__VA_ARGS__))

/* Fails unless no refusal at all was counted. */
void ts_expect_nothing_refused_(const ts_server *server);
#define ts_expect_nothing_refused(...) (TS_HERE, ts_expect_nothing_refused_(__VA_ARGS__))

/* A bystander's connection, opened before, and a new one are both served. */
void ts_bystander_open(ts_server *server);
void ts_expect_others_served_(ts_server *server);
#define ts_expect_others_served(...) (TS_HERE, ts_expect_others_served_(__VA_ARGS__))

/*
 * Sends bytes so that the server reads each chunk apart: waits for it to have counted a chunk before the next
 * is sent. No other connection may send meanwhile.
 */
void ts_send_in_chunks(ts_server *server, ts_peer *peer, const ts_bytes *bytes, size_t chunk);
void ts_send_split(ts_server *server, ts_peer *peer, const ts_bytes *bytes, size_t at);

/* Sends a ping and expects its pong: whatever was sent before has been read by then. */
void ts_barrier_(ts_peer *peer);
#define ts_barrier(...) (TS_HERE, ts_barrier_(__VA_ARGS__))

#endif
