/* SPDX-License-Identifier: MIT */
/*
 * test.Streams: a service of streaming methods whose messages are bytes, for tests of streams. What a call does is said by its first
 * message, so that a scripted peer decides itself.
 *
 *   Count (server-streaming): the request "N SIZE" asks for N messages of SIZE bytes, which begin with their number in eight digits, from 0, if
 *     SIZE allows it; "N SIZE CODE" ends with that code; N "all" never ends.
 *     "wait" sends nothing and stays open.
 *   Sum (client-streaming): answers at the half-close with "MESSAGES BYTES".
 *   Chat (bidirectional): sends each message back, under back-pressure, and finishes at the half-close.
 *   TypedCount (server-streaming), TypedChat (bidirectional): the same with messages.EchoMessage, without back-pressure; TypedCount sends its
 *     request back and stays open.
 *
 * In Sum and Chat a message is a command when it begins with '!': "!fail CODE", "!reply" (Sum), "!finish" (Chat), "!pause" (hands no more over until
 * ts_streams_resume()), "!keep" (keeps the credit of all later messages until ts_streams_resume()), "!defer" (leaves the half-close unanswered), "!head VALUE" and
 * "!trailer VALUE" (add metadata with the key "key").
 */
#ifndef TESTS_SUPPORT_STREAMS_H
#define TESTS_SUPPORT_STREAMS_H

#include <pthread.h>
#include <stdatomic.h>

#include <msgsrv/service.h>

#define TS_COUNT "/test.Streams/Count"
#define TS_SUM "/test.Streams/Sum"
#define TS_CHAT "/test.Streams/Chat"

#define TS_TYPED_COUNT "/test.Streams/TypedCount"
#define TS_TYPED_CHAT "/test.Streams/TypedChat"

extern const msgsrv_method ts_count_method;
extern const msgsrv_method ts_sum_method;
extern const msgsrv_method ts_chat_method;
extern const msgsrv_method ts_typed_count_method;
extern const msgsrv_method ts_typed_chat_method;

/* What the handlers have seen; any thread. */
typedef struct ts_streams {
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t changed;
    unsigned begun;
    unsigned messages;
    unsigned half_closed;
    unsigned writable;
    unsigned draining;
    unsigned closed;
    msgsrv_status last_closed;    /* of the last one */
    msgsrv_stream *stopped[1024]; /* paused or keeping, with a reference each */
    size_t stopped_count;
} ts_streams;

void ts_streams_init(ts_streams *streams);
msgsrv_status ts_streams_register(ts_streams *streams, msgsrv_server *server, msgsrv_error *error);

/* Waits until a member has reached a value. */
void ts_streams_wait_(ts_streams *streams, const unsigned *member, unsigned value, const char *what);
#define ts_streams_wait(streams, member, value) \
    ts_streams_wait_(streams, &(streams)->member, value, #member " of test.Streams")
unsigned ts_streams_get_(ts_streams *streams, const unsigned *member);
#define ts_streams_get(streams, member) ts_streams_get_(streams, &(streams)->member)

/* Lets all that pause or keep go on. */
void ts_streams_resume(ts_streams *streams);

#endif
