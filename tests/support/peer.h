/* SPDX-License-Identifier: MIT */
/*
 * A scripted peer: one socket on which a test sends exact bytes and reads exact frames. It is a client
 * (ts_peer_connect) or the server's side of a connection that a client under test opens (ts_listener). No
 * thread; every wait has a guard.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include "frames.h"
#include "guard.h"

typedef struct ts_peer {
    int fd;
    ts_bytes in; /* what was received; [taken, size) is not read yet */
    size_t taken;
    bool ended;     /* the other side has sent its last byte */
    bool reset;     /* ... or the connection was reset */
    bool deaf;      /* a test sets it: nothing is received while sending, so that the other side's output fills up */
    ts_frame frame; /* the last one that ts_peer_next() read; a view into `in` */
} ts_peer;

/* Connects to "tcp://127.0.0.1:port", "unix:///path" or "unix:@name". */
ts_peer *ts_peer_connect(const char *url);
ts_peer *ts_peer_connect_small(const char *url); /* with a small receive buffer: fills up soon */
ts_peer *ts_peer_try_connect(const char *url);   /* NULL when nobody listens there */
void ts_peer_free(ts_peer *peer);                /* closes; NULL is legal */
void ts_peer_reset(ts_peer *peer);               /* closes with a reset (TCP), and frees */

/*
 * Sends all of it; what comes meanwhile is kept for reading, unless `deaf`. False when the other side has
 * closed.
 */
bool ts_peer_try_send(ts_peer *peer, const void *data, size_t size);
void ts_peer_send_raw(ts_peer *peer, const void *data, size_t size); /* fails the test when it does not go */
void ts_peer_send(ts_peer *peer, ts_bytes *bytes);                   /* the same, and empties `bytes` */
void ts_peer_half_close(ts_peer *peer);                              /* no more output from here */

/* The next frame, valid until the next call with this peer; NULL at the end of the connection. */
const ts_frame *ts_peer_next(ts_peer *peer);

/* Waits for the end and returns all bytes that came before it and were not read yet: a view. */
const unsigned char *ts_peer_rest(ts_peer *peer, size_t *size);

/* Waits for at least `size` unread bytes, or the end. */
void ts_peer_fill(ts_peer *peer, size_t size);

/* Takes in what has come, without waiting. */
void ts_peer_look(ts_peer *peer);

/*
 * Expectations. Each takes the next frame and prints what came instead. They return the frame, so that a test
 * can look further.
 */
const ts_frame *ts_expect_frame_(ts_peer *peer, uint32_t number);
const ts_frame *ts_expect_end_(ts_peer *peer, uint64_t id, uint32_t code);
const ts_frame *ts_expect_add_(ts_peer *peer, uint64_t id, int32_t result);
const ts_frame *ts_expect_echo_(ts_peer *peer, uint64_t id, const char *text);
const ts_frame *ts_expect_plain_add_(ts_peer *peer, int32_t result);
const ts_frame *ts_expect_plain_echo_(ts_peer *peer, const char *text);
const ts_frame *ts_expect_plain_error_(ts_peer *peer, uint32_t code);
const ts_frame *ts_expect_pong_(ts_peer *peer, const void *data, size_t size);
const ts_frame *ts_expect_go_away_(ts_peer *peer, uint32_t code);
void ts_expect_bytes_(ts_peer *peer, const ts_bytes *expected); /* exactly these come next */
void ts_expect_end_of_input_(ts_peer *peer);                    /* a clean end, with nothing before it */
void ts_expect_gone_(ts_peer *peer);                            /* an end or a reset, with nothing before it */

#define ts_expect_frame(...) (TS_HERE, ts_expect_frame_(__VA_ARGS__))
#define ts_expect_end(...) (TS_HERE, ts_expect_end_(__VA_ARGS__))
#define ts_expect_add(...) (TS_HERE, ts_expect_add_(__VA_ARGS__))
#define ts_expect_echo(...) (TS_HERE, ts_expect_echo_(__VA_ARGS__))
#define ts_expect_plain_add(...) (TS_HERE, ts_expect_plain_add_(__VA_ARGS__))
#define ts_expect_plain_echo(...) (TS_HERE, ts_expect_plain_echo_(__VA_ARGS__))
#define ts_expect_plain_error(...) (TS_HERE, ts_expect_plain_error_(__VA_ARGS__))
#define ts_expect_pong(...) (TS_HERE, ts_expect_pong_(__VA_ARGS__))
#define ts_expect_go_away(...) (TS_HERE, ts_expect_go_away_(__VA_ARGS__))
#define ts_expect_bytes(...) (TS_HERE, ts_expect_bytes_(__VA_ARGS__))
#define ts_expect_end_of_input(...) (TS_HERE, ts_expect_end_of_input_(__VA_ARGS__))
#define ts_expect_gone(...) (TS_HERE, ts_expect_gone_(__VA_ARGS__))

/* The listening side, for tests of a client: a free port of 127.0.0.1. */
typedef struct ts_listener {
    int fd;
    char url[64]; /* "tcp://127.0.0.1:41234" */
} ts_listener;

void ts_listener_open(ts_listener *listener);
void ts_listener_open_port(ts_listener *listener, unsigned port); /* a port that was ours before */
unsigned ts_listener_port(const ts_listener *listener);
ts_peer *ts_listener_accept(ts_listener *listener); /* waits for a connection */
void ts_listener_close(ts_listener *listener);

#endif
