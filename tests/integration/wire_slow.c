/* SPDX-License-Identifier: MIT */
/*
 * Peers that are slow: to read, to send, or on purpose (docs/protocol.md, "Output" and "Limits"). Where a
 * test must let time pass, silent connections that the server closes after their own timeout are its clock,
 * so that it measures the server's time.
 */
#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "server.h"
#include "suite.h"

enum { BIG = 100000, KIB = 1024 };

/* Lets the server's first-byte timeout pass so often. */
static void pass_time(ts_server *server, int times)
{
    while (times--) {
        ts_peer *silent = ts_server_connect(server);

        ts_expect_end_of_input(silent);
        ts_peer_free(silent);
    }
}

/*
 * Sends calls one by one until the server stops reading; returns how many were sent, the last of them perhaps
 * unread.
 */
static uint64_t fill_output(ts_server *server, ts_peer *peer, bool plain)
{
    uint64_t received = ts_stats(server).bytes_received, count = 0, until = ts_guard();

    peer->deaf = true;
    while (!ts_stats(server).reads_paused) {
        ts_bytes out = {0};

        count++;
        if (plain)
            ts_put_plain_echo(&out, "!big 100000");
        else
            ts_put_call_echo(&out, count, "!big 100000");
        received += out.size;
        ts_peer_send(peer, &out);
        while (ts_stats(server).bytes_received < received && !ts_stats(server).reads_paused) {
            ck_assert_msg(ts_now_ms() < until, "the server neither reads nor says that it has stopped");
            ts_nap();
        }
        ck_assert_uint_lt(count, 1000);
    }
    peer->deaf = false;
    return count;
}

static void slow_reader(bool plain)
{
    enum { MORE = 300, MAX_OUTPUT = 256 * KIB };
    ts_server *server = ts_server_new(&(ts_setup){.options = {.max_output = MAX_OUTPUT}});
    ts_peer *peer = ts_peer_connect_small(server->url);
    ts_bytes out = {0};
    uint64_t count, started;

    count = fill_output(server, peer, plain);
    ts_wait_stat(server, output_buffered_bytes, >=, MAX_OUTPUT / 2);
    ts_wait_stat(server, output_buffered_bytes, <=, MAX_OUTPUT + 2 * BIG);
    started = ts_stats(server).calls_started;
    for (uint64_t i = 1; i <= MORE; i++)
        plain ? ts_put_plain_add(&out, (int32_t)i, 0) : ts_put_call_add(&out, count + i, (int32_t)i, 0);
    ts_peer_send(peer, &out);
    ts_expect_others_served(server);
    ck_assert_uint_eq(ts_stats(server).calls_started, started + 3);
    for (uint64_t i = 1; i <= count; i++)
        ck_assert_uint_gt(ts_expect_frame(peer, plain ? TS_PLAIN_ECHO : TS_END)->body_size, BIG);
    for (uint64_t i = 1; i <= MORE; i++)
        plain ? ts_expect_plain_add(peer, (int32_t)i) : ts_expect_add(peer, count + i, (int32_t)i);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}

START_TEST(a_slow_reader_is_not_read_from)
{
    slow_reader(false);
}
END_TEST

START_TEST(a_slow_reader_of_plain_answers_is_not_read_from)
{
    slow_reader(true);
}
END_TEST

START_TEST(a_reader_that_stands_still_is_closed)
{
    ts_setup setup = {.options = {.max_output = 64 * KIB, .output_timeout_ms = 60}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_peer_connect_small(server->url);

    ts_bystander_open(server);
    fill_output(server, peer, false);
    ts_expect_refused(server, MSGSRV_REFUSED_SLOW_READER, 1);
    ts_wait_stat(server, connections_open, ==, 1);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Slow is not standing still: each timeout sees some of it go. A Unix socket's buffer frees as it is read. */
START_TEST(a_reader_that_makes_progress_is_not_closed)
{
    enum { TICK_MS = 200, TIMEOUT_MS = 10 * TICK_MS, TICKS = 12, STEP = 48 * KIB };
    ts_setup setup = {
        .options = {.max_output = 512 * KIB, .output_timeout_ms = TIMEOUT_MS, .first_byte_timeout_ms = TICK_MS}};
    ts_server *server;
    ts_peer *peer;
    uint64_t count;
    char url[64];

    snprintf(url, sizeof(url), "unix:@msgsrv-test-slow-%d", (int)getpid());
    setup.url = url;
    server = ts_server_new(&setup);
    peer = ts_server_connect(server);
    count = fill_output(server, peer, false);
    ck_assert_uint_ge(count * BIG, TICKS * STEP);
    for (size_t tick = 1; tick <= TICKS; tick++) {
        ts_peer_fill(peer, tick * STEP);
        pass_time(server, 1);
    }
    ck_assert_uint_eq(ts_refused(server, MSGSRV_REFUSED_SLOW_READER), 0);
    for (uint64_t id = 1; id <= count; id++)
        ck_assert_uint_gt(ts_expect_end(peer, id, MSGSRV_OK)->body_size, BIG);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A frame that has begun and stands still. */
START_TEST(a_frame_that_stands_still_is_closed)
{
    static const struct {
        const char *bytes;
        size_t size;
    } begun[] = {{"\x82", 1}, {"\x82\x01", 2}, {"\x82\x01\x40\x08\x01", 5}, {"\x0a\x7f\x0a", 3}, {"\xca\x01\x10", 3}};
    ts_setup setup = {.options = {.frame_timeout_ms = 40}};
    ts_server *server = ts_server_new(&setup);

    for (size_t i = 0; i < sizeof(begun) / sizeof(*begun); i++) {
        ts_peer *peer = ts_server_connect(server);

        ts_peer_send_raw(peer, begun[i].bytes, begun[i].size);
        ts_expect_gone(peer);
        ts_expect_refused(server, MSGSRV_REFUSED_SLOW_FRAME, i + 1);
        ts_peer_free(peer);
        ts_expect_others_served(server);
    }
    ts_server_free(server);
}
END_TEST

/*
 * Begins a frame of 1 MB with `begun` bytes, and then sends a byte now and then until the server has had
 * enough.
 */
static void trickle(size_t begun)
{
    ts_setup setup = {.options = {.frame_timeout_ms = 100}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    uint64_t until = ts_guard();

    ts_bystander_open(server);
    ts_put_frame_header(&out, TS_CALL, 1000000);
    ts_put_uint(&out, 1, 1);
    ts_put_fill(&out, 'x', begun);
    ts_peer_send(peer, &out);
    while (!peer->ended) {
        ck_assert_msg(ts_now_ms() < until, "the server waits for ever for a frame that began with %zu bytes", begun);
        if (!ts_peer_try_send(peer, "x", 1))
            break;
        ts_nap();
        ts_peer_look(peer);
    }
    ts_expect_gone(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_SLOW_FRAME, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}

/* A byte now and then is no progress: it takes 16 KiB, or the frame's end, within each timeout. */
START_TEST(a_trickle_is_no_progress)
{
    trickle(0);
}
END_TEST

/* However much of the frame is there already. */
START_TEST(a_trickle_behind_a_good_start_is_no_progress)
{
    trickle(10000);
    trickle(100000);
}
END_TEST

/* The same while a frame over the limit is skipped. */
START_TEST(a_skipped_frame_must_make_progress_too)
{
    ts_setup setup = {.options = {.frame_timeout_ms = 40, .max_message = 4096}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_frame_header(&out, TS_CALL, 1000000);
    ts_put_uint(&out, 1, 1);
    ts_put_fill(&out, 'x', 1000);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_gone(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_SLOW_FRAME, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Longer than the timeout in all, but 32 KiB in each. */
START_TEST(a_frame_that_makes_progress_is_served)
{
    enum { TICK_MS = 200, TIMEOUT_MS = 10 * TICK_MS, STEP = 32 * KIB, TEXT = 12 * STEP };
    ts_setup setup = {.options = {.frame_timeout_ms = TIMEOUT_MS, .first_byte_timeout_ms = TICK_MS}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes body = {0}, out = {0};

    ts_put_frame_header(&body, 1, TEXT);
    ts_put_fill(&body, 'p', TEXT);
    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ECHO, .body = body.data, .body_size = body.size});
    for (size_t at = 0; at < out.size; at += STEP) {
        ts_peer_send_raw(peer, out.data + at, out.size - at < STEP ? out.size - at : STEP);
        pass_time(server, 1);
    }
    ck_assert_uint_eq(ts_expect_end(peer, 1, MSGSRV_OK)->body_size, body.size);
    ck_assert_uint_eq(ts_refused(server, MSGSRV_REFUSED_SLOW_FRAME), 0);
    ts_bytes_release(&body);
    ts_bytes_release(&out);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A connection between two frames may be silent as long as it likes. */
START_TEST(silence_between_frames_is_no_slow_frame)
{
    ts_setup setup = {.options = {.frame_timeout_ms = 100, .first_byte_timeout_ms = 300}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 1, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 2);
    pass_time(server, 3);
    ts_put_call_add(&out, 2, 2, 2);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 2, 4);
    ck_assert_uint_eq(ts_refused(server, MSGSRV_REFUSED_SLOW_FRAME), 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* While the server itself does not read, the peer's frame is not to blame. */
START_TEST(timers_stand_still_while_we_do_not_read)
{
    ts_setup setup = {.options = {.plain_max_calls = 1, .frame_timeout_ms = 2000, .first_byte_timeout_ms = 600}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0}, next = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_put_plain_echo(&next, "the next message");
    ts_put(&out, next.data, 5);
    ts_peer_send(peer, &out);
    ts_wait_stat(server, reads_paused, >=, 1);
    pass_time(server, 4);
    ts_demo_release(server->demo, 0);
    ts_expect_plain_echo(peer, "!hold");
    ts_peer_send_raw(peer, next.data + 5, next.size - 5);
    ts_expect_plain_echo(peer, "the next message");
    ck_assert_uint_eq(ts_refused(server, MSGSRV_REFUSED_SLOW_FRAME), 0);
    ts_bytes_release(&next);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Many at once, of every kind of slowness: the bystander's calls go on. */
START_TEST(a_crowd_of_slow_peers_leaves_others_alone)
{
    enum { CROWD = 60 };
    ts_setup setup = {.options = {.max_output = 16 * KIB}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *crowd[CROWD];

    for (int i = 0; i < CROWD; i++) {
        ts_bytes out = {0};

        crowd[i] = ts_peer_connect_small(server->url);
        crowd[i]->deaf = true;
        if (i % 3 == 0)
            ts_put(&out, "\x82\x01\x40", 3);
        else if (i % 3 == 1)
            ts_put_plain_echo(&out, "!hold");
        for (uint64_t id = 1; i % 3 == 2 && id <= 20; id++)
            ts_put_call_echo(&out, id, "!big 200000");
        ts_peer_send(crowd[i], &out);
        ts_expect_others_served(server);
    }
    ts_demo_wait_held(server->demo, CROWD / 3);
    for (int i = 0; i < CROWD; i++)
        ts_peer_free(crowd[i]);
    ts_demo_release_all(server->demo);
    ts_wait_stat(server, connections_open, ==, 1);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_slow", a_slow_reader_is_not_read_from, a_slow_reader_of_plain_answers_is_not_read_from,
        a_reader_that_stands_still_is_closed, a_reader_that_makes_progress_is_not_closed,
        a_frame_that_stands_still_is_closed, a_trickle_is_no_progress, a_trickle_behind_a_good_start_is_no_progress,
        a_skipped_frame_must_make_progress_too, a_frame_that_makes_progress_is_served,
        silence_between_frames_is_no_slow_frame, timers_stand_still_while_we_do_not_read,
        a_crowd_of_slow_peers_leaves_others_alone)
