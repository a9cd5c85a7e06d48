/* SPDX-License-Identifier: MIT */
/*
 * messages.Demo for tests. Add adds. Echo sends its text back, unless the text is a command, so that a
 * scripted peer decides itself what its call does:
 *
 *     "!hold ..."           keeps the call until the test releases it; then it is echoed
 *     "!block ..."          waits in the handler until the test releases it or the call is cancelled; then it is echoed
 *     "!fail 5 some text"   fails with that code and text
 *     "!big 100000"         is answered with so many letters 'x'
 *     "!meta"               echoes, and sends the call's metadata back as trailer
 *     "!head key value"     echoes, with that head metadata
 *     "!trailer key value"  echoes, with that trailer
 *
 * Handlers run on the server's threads, everything else here on the test's.
 */
#ifndef TESTS_SUPPORT_DEMO_H
#define TESTS_SUPPORT_DEMO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include <msgsrv/msgsrv.h>

typedef struct ts_held ts_held;

typedef struct ts_demo {
    pthread_mutex_t mutex; /* of everything below but the atomic */
    pthread_cond_t changed;
    ts_held **held; /* in the order in which they were held; never removed before ts_demo_free() */
    size_t held_count;
    size_t held_room;
    size_t blocked;          /* "!block" handlers that have begun */
    size_t unblocked;        /* ... and that ts_demo_unblock() has let go */
    size_t blocked_ended;    /* ... and that have returned */
    atomic_size_t echo_seen; /* Echo handlers begun */
} ts_demo;

ts_demo *ts_demo_new(void);
void ts_demo_free(ts_demo *demo); /* after the server; consumes what is still held */

/* Registers the service with a server that is not started; `blocking`: handlers run on the worker pool. */
msgsrv_status ts_demo_register(ts_demo *demo, msgsrv_server *server, bool blocking, msgsrv_error *error);

/* Waits until so many calls were held, ever. */
void ts_demo_wait_held(ts_demo *demo, size_t count);
size_t ts_demo_held(ts_demo *demo);

/* Answers the held call of an index (from 0) with its text; returns what the library says. Each once. */
msgsrv_status ts_demo_release(ts_demo *demo, size_t index);
void ts_demo_release_all(ts_demo *demo);
msgsrv_status ts_demo_fail(ts_demo *demo, size_t index, msgsrv_status code, const char *text);
void ts_demo_drop(ts_demo *demo, size_t index);

/* Waits until the handler of a held call was told that nobody waits any more, and returns the reason. */
msgsrv_status ts_demo_wait_cancelled(ts_demo *demo, size_t index);

/* Waits until so many "!block" handlers have begun, ever; lets so many more of them go on. */
void ts_demo_wait_blocked(ts_demo *demo, size_t count);
void ts_demo_unblock(ts_demo *demo, size_t count);
void ts_demo_wait_unblocked(ts_demo *demo, size_t count); /* so many have returned, ever */

#endif
