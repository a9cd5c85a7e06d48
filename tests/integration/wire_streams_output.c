/* SPDX-License-Identifier: MIT */
/*
 * The output of streams under back-pressure (docs/protocol.md, "Output"): a peer that does not read, many streams beside each other, and calls
 * beside streams. Messages of Count carry their number, so that nothing lost and nothing out of order goes unseen.
 */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server.h"
#include "suite.h"

enum { KIB = 1024, MIB = 1024 * 1024, FULL = INT32_MAX };

static ts_streams streams;
static ts_server *server;
static ts_bytes out;

static void start_with(msgsrv_server_options options)
{
    server = ts_server_new(&(ts_setup){.options = options, .streams = &streams});
    out = (ts_bytes){0};
}

static void start(void)
{
    start_with((msgsrv_server_options){0});
}

static void finish(ts_peer *peer)
{
    ts_peer_free(peer);
    ts_wait_stat(server, streams_open, ==, 0);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
    ts_server_free(server);
    ck_assert_uint_eq(streams.begun, streams.closed);
}

/* From here on it reads, and no longer in small pieces. */
static void hear(ts_peer *peer)
{
    peer->deaf = false;
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &(int){MIB}, sizeof(int));
}

/* Asks for messages with all the credit there is. */
static void put_count(uint64_t id, const char *request)
{
    ts_put_call(&out, &(ts_call){.id = id,
                                 .method = TS_COUNT,
                                 .credit = FULL,
                                 .credit_bytes = FULL,
                                 .body = request,
                                 .body_size = strlen(request)});
}

static void check_number(const ts_frame *item, unsigned long number)
{
    char text[9];

    TS_CHECK(item->number == TS_ITEM && item->body_size >= 8, "expected message %lu, got a %s of code %u: %s", number,
             ts_frame_name(item->number), item->code, item->message);
    snprintf(text, sizeof(text), "%08lu", number);
    TS_CHECK(!memcmp(item->body, text, 8), "expected message %s, got %.8s", text, (const char *)item->body);
}

static void expect_numbers(ts_peer *peer, uint64_t id, unsigned long from, unsigned long to)
{
    for (unsigned long i = from; i < to; i++) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame && frame->id == id, "expected message %lu of call %llu", i, (unsigned long long)id);
        check_number(frame, i);
    }
}

START_TEST(a_peer_that_does_not_read_fills_only_the_limits)
{
    ts_peer *peer;
    msgsrv_stats stats;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    put_count(1, "1000 20000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, sends_refused, >=, 1);
    ts_wait_stat(server, output_buffered_bytes, >=, 1);
    stats = ts_stats(server);
    ck_assert_uint_le(stats.output_buffered_bytes, 256 * KIB + 20020);
    ck_assert_uint_eq(stats.reads_paused, 0);
    hear(peer);
    expect_numbers(peer, 1, 0, 1000);
    ts_expect_end(peer, 1, 0);
    ts_wait_stat(server, items_sent, ==, 1000);
    /* Each refusal was followed by one writable. */
    stats = ts_stats(server);
    ck_assert_uint_eq(ts_streams_get(&streams, writable), stats.sends_refused);
    ts_expect_nothing_refused(server);
    finish(peer);
}
END_TEST

START_TEST(a_refused_stream_is_told_once_and_not_before_there_is_room)
{
    ts_peer *peer;
    unsigned long taken;

    start_with((msgsrv_server_options){.max_stream_output = 4 * KIB});
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    put_count(1, "all 1000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, output_buffered_bytes, >=, 1);
    /* Calls are served meanwhile; the stream, once the kernel has all that it takes, is asked for nothing. */
    do {
        taken = ts_stats(server).items_sent;
        for (int i = 0; i < 5; i++)
            ts_expect_others_served(server);
    } while (ts_stats(server).items_sent != taken);
    ck_assert_uint_eq(ts_stats(server).sends_refused, ts_streams_get(&streams, writable) + 1);
    ck_assert_uint_le(ts_stats(server).output_buffered_bytes, 5 * KIB + 1020);
    hear(peer);
    expect_numbers(peer, 1, 0, taken + 100);
    finish(peer);
}
END_TEST

/* All streams of a connection together stay below its limit and one message. */
START_TEST(many_streams_together_fill_only_the_connections_limit)
{
    enum { STREAMS = 20, EACH = 40, SIZE = 64 * KIB };
    unsigned long next[STREAMS + 1] = {0};
    ts_peer *peer;
    unsigned ended = 0;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    for (uint64_t id = 1; id <= STREAMS; id++)
        put_count(id, "40 65536");
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, begun, STREAMS);
    ts_wait_stat(server, sends_refused, >=, STREAMS);
    ts_wait_stat(server, output_buffered_bytes, >=, MIB / 2);
    ck_assert_uint_le(ts_stats(server).output_buffered_bytes, MIB + SIZE + 20);
    ck_assert_uint_eq(ts_stats(server).reads_paused, 0);
    hear(peer);
    while (ended < STREAMS) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        ck_assert_uint_le(frame->id, STREAMS);
        if (frame->number == TS_END) {
            ck_assert_uint_eq(next[frame->id], EACH);
            ended++;
            continue;
        }
        check_number(frame, next[frame->id]++);
    }
    finish(peer);
}
END_TEST

/* What is before the answer is what waited when the call came: the kernel's buffers, which a small one keeps small, and at most the limit. */
START_TEST(a_call_beside_bulk_streams_waits_for_the_limit_at_most)
{
    enum { STREAMS = 8, SIZE = 64 * KIB };
    ts_peer *peer;
    uint64_t accepted, before = 0;
    bool answered = false;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    for (uint64_t id = 1; id <= STREAMS; id++)
        put_count(id, "all 65536");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, sends_refused, >=, STREAMS);
    ts_wait_stat(server, output_buffered_bytes, >=, MIB / 2);
    ts_put_call_add(&out, STREAMS + 1, 1, 2);
    ts_peer_send(peer, &out);
    ts_wait_stat(server, calls_ended[MSGSRV_OK], ==, 1);
    accepted = ts_stats(server).items_sent;
    ck_assert_uint_le(ts_stats(server).output_buffered_bytes, MIB + SIZE + 1000);
    hear(peer);
    while (!answered) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        answered = frame->number == TS_END;
        before += answered ? 0 : 1;
    }
    ck_assert_uint_eq(peer->frame.id, STREAMS + 1);
    ck_assert_uint_le(before, accepted); /* nothing that was accepted after it has overtaken it */
    finish(peer);
}
END_TEST

/* Only answers of calls go above the limit, and then nothing is read; streams go on when the half is written. */
START_TEST(answers_of_calls_may_pass_the_limit_and_stop_the_reading)
{
    ts_peer *peer;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    put_count(1, "100 65536");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, sends_refused, >=, 1);
    for (uint64_t id = 2; id < 10; id++)
        ts_put_call_echo(&out, id, "!big 500000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, reads_paused, >=, 1);
    hear(peer);
    for (unsigned long items = 0, ends = 0; items < 100 || ends < 9;) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        if (frame->number == TS_ITEM)
            check_number(frame, items++);
        else
            ends++;
        ck_assert_uint_eq(frame->code, 0);
    }
    finish(peer);
}
END_TEST

/* None is ever far ahead of another. */
START_TEST(a_thousand_streams_share_a_connection)
{
    enum { STREAMS = 1000, SIZE = 8000, AHEAD = 2 * 256 * KIB / SIZE + 1, SEEN = 40 * STREAMS };
    static unsigned long next[STREAMS + 1];
    ts_peer *peer;
    unsigned long most = 0;

    start();
    peer = ts_server_connect(server);
    for (uint64_t id = 1; id <= STREAMS; id++)
        put_count(id, "all 8000");
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, begun, STREAMS);
    for (unsigned long seen = 1; seen <= SEEN; seen++) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        check_number(frame, next[frame->id]++);
        most = next[frame->id] > most ? next[frame->id] : most;
        for (size_t id = 1; id <= STREAMS && seen % 500 == 0; id++)
            TS_CHECK(next[id] + AHEAD >= most, "stream %zu is at message %lu, another one at %lu", id, next[id], most);
    }
    for (size_t id = 1; id <= STREAMS; id++)
        TS_CHECK(next[id] > 0, "stream %zu has sent nothing yet, another one %lu messages", id, most);
    finish(peer);
}
END_TEST

/* The same at every message, when each share is a few of them. */
START_TEST(endless_streams_share_a_connection)
{
    enum { STREAMS = 10, SIZE = 16 * KIB, AHEAD = 2 * 256 * KIB / SIZE + 1 };
    unsigned long next[STREAMS + 1] = {0};
    ts_peer *peer;

    start();
    peer = ts_server_connect(server);
    for (uint64_t id = 1; id <= STREAMS; id++)
        put_count(id, "all 16384");
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, begun, STREAMS);
    for (unsigned long seen = 0; seen < 4000; seen++) {
        const ts_frame *frame = ts_peer_next(peer);
        unsigned long least = ULONG_MAX;

        TS_CHECK(frame, "the connection has ended");
        check_number(frame, next[frame->id]++);
        for (size_t id = 1; id <= STREAMS; id++)
            least = next[id] < least ? next[id] : least;
        TS_CHECK(next[frame->id] <= least + AHEAD, "stream %llu is at message %lu, another one at %lu",
                 (unsigned long long)frame->id, next[frame->id], least);
    }
    finish(peer);
}
END_TEST

START_TEST(a_stream_with_all_the_credit_does_not_starve_others)
{
    ts_peer *bulk, *other;

    start();
    bulk = ts_server_connect(server);
    other = ts_server_connect(server);
    put_count(1, "all 100");
    ts_peer_send(bulk, &out);
    for (uint64_t id = 1; id <= 200; id++) {
        ts_peer_look(bulk);
        bulk->taken = bulk->in.size = 0;
        ts_put_call_add(&out, id, 1, 2);
        ts_peer_send(other, &out);
        ts_expect_add(other, id, 3);
    }
    ck_assert_uint_gt(ts_stats(server).items_sent, 64);
    ts_peer_free(other);
    finish(bulk);
}
END_TEST

START_TEST(a_stream_without_credit_does_not_hold_up_others)
{
    ts_peer *peer;

    start();
    peer = ts_server_connect(server);
    for (uint64_t id = 1; id <= 100; id++)
        ts_put_call(&out, &(ts_call){.id = id, .method = TS_COUNT, .no_credit = true, .body = "1 8", .body_size = 3});
    put_count(101, "300 10000");
    ts_put_call_add(&out, 102, 1, 2);
    ts_peer_send(peer, &out);
    for (unsigned long items = 0, ends = 0; ends < 2;) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        ck_assert_uint_gt(frame->id, 100);
        if (frame->number == TS_ITEM)
            check_number(frame, items++);
        else
            ends++;
    }
    /* They are still there. */
    for (uint64_t id = 100; id > 0; id--) {
        ts_put_credit(&out, id, 1, 0);
        ts_peer_send(peer, &out);
        expect_numbers(peer, id, 0, 1);
        ts_expect_end(peer, id, 0);
    }
    ck_assert_uint_eq(ts_streams_get(&streams, writable) >= 100, true);
    finish(peer);
}
END_TEST

/* Streams that wait for room are cancelled, and the rest goes on. */
START_TEST(streams_in_line_may_end)
{
    enum { STREAMS = 30 };
    ts_peer *peer;
    unsigned ended = 0;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    for (uint64_t id = 1; id <= STREAMS; id++)
        put_count(id, id % 3 ? "all 60000" : "50 60000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, sends_refused, >=, STREAMS);
    for (uint64_t id = 1; id <= STREAMS; id++)
        if (id % 3)
            ts_put_cancel(&out, id);
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, closed, STREAMS * 2 / 3);
    hear(peer);
    while (ended < STREAMS) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        if (frame->number != TS_END)
            continue;
        ck_assert_uint_eq(frame->code, frame->id % 3 ? MSGSRV_CANCELLED : MSGSRV_OK);
        ended++;
    }
    ts_barrier(peer);
    finish(peer);
}
END_TEST

START_TEST(a_deaf_peer_that_goes_leaves_nothing)
{
    ts_peer *peer;

    start();
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    for (uint64_t id = 1; id <= 10; id++)
        put_count(id, "all 60000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, sends_refused, >=, 10);
    ts_peer_reset(peer);
    ts_streams_wait(&streams, closed, 10);
    ts_expect_others_served(server);
    finish(NULL);
}
END_TEST

/* The reader that moves on a little is kept, the one that does not is closed: and with it its streams. */
START_TEST(a_reader_that_makes_no_progress_is_closed)
{
    ts_peer *peer;

    start_with((msgsrv_server_options){.output_timeout_ms = 50});
    peer = ts_peer_connect_small(server->url);
    peer->deaf = true;
    put_count(1, "all 60000");
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, closed, 1);
    ts_expect_refused(server, MSGSRV_REFUSED_SLOW_READER, 1);
    finish(peer);
}
END_TEST

/* Chat sends back under back-pressure: what it cannot send it does not take in. */
START_TEST(back_pressure_goes_from_the_output_to_the_input)
{
    enum { COUNT = 3000, SIZE = 4000 };
    ts_peer *peer;
    ts_bytes body = {0};
    unsigned back = 0, sent = 0, credit = 64;

    start();
    peer = ts_server_connect(server);
    ts_put_fill(&body, 'c', SIZE);
    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_CHAT, .streaming = true, .credit = FULL, .credit_bytes = FULL});
    while (back < COUNT) {
        const ts_frame *frame;

        for (; sent < COUNT && credit; sent++, credit--)
            ts_put_item(&out, 1, body.data, body.size);
        if (out.size)
            ts_peer_send(peer, &out);
        frame = ts_peer_next(peer);
        TS_CHECK(frame, "the connection has ended");
        if (frame->number == TS_CREDIT)
            credit += frame->items;
        else
            back++;
        ck_assert(frame->number == TS_CREDIT || (frame->number == TS_ITEM && frame->body_size == SIZE));
    }
    ts_put_end(&out, 1);
    ts_peer_send(peer, &out);
    for (;;) {
        const ts_frame *frame = ts_peer_next(peer);

        TS_CHECK(frame, "the connection has ended");
        if (frame->number == TS_END)
            break;
        ck_assert_uint_eq(frame->number, TS_CREDIT);
    }
    ts_bytes_release(&body);
    finish(peer);
}
END_TEST

TS_MAIN("wire_streams_output", a_peer_that_does_not_read_fills_only_the_limits,
        a_refused_stream_is_told_once_and_not_before_there_is_room,
        many_streams_together_fill_only_the_connections_limit, a_call_beside_bulk_streams_waits_for_the_limit_at_most,
        answers_of_calls_may_pass_the_limit_and_stop_the_reading, a_thousand_streams_share_a_connection,
        endless_streams_share_a_connection, a_stream_with_all_the_credit_does_not_starve_others,
        a_stream_without_credit_does_not_hold_up_others, streams_in_line_may_end, a_deaf_peer_that_goes_leaves_nothing,
        a_reader_that_makes_no_progress_is_closed, back_pressure_goes_from_the_output_to_the_input)
