/* SPDX-License-Identifier: MIT */
/*
 * Limits of sizes and numbers (docs/protocol.md, "Limits" and "Protocol errors"). Each is tried exactly at
 * its value and one over it, is counted by its name, and leaves other connections alone. Limits of time are
 * in wire_slow.c.
 */
#include <check.h>
#include <string.h>

#include "server.h"
#include "suite.h"

enum { LIMIT = 4096, SLACK = 16 * 1024, MIB = 1024 * 1024 };

static ts_server *small_server(void)
{
    return ts_server_new(&(ts_setup){.options = {.max_message = LIMIT}});
}

/* Puts a Call of Echo whose body is exactly so long. */
static void put_echo_of_body(ts_bytes *out, uint64_t id, size_t size)
{
    ts_bytes body = {0};
    size_t text = size - 2;

    while (1 + ts_varint_size(text) + text > size)
        text--;
    ts_put_frame_header(&body, 1, text);
    ts_put_fill(&body, 'b', text);
    ck_assert_uint_eq(body.size, size);
    ts_put_call(out, &(ts_call){.id = id, .method = TS_ECHO, .body = body.data, .body_size = body.size});
    ts_bytes_release(&body);
}

static void expect_call_over_limit(ts_server *server, ts_peer *peer, uint64_t id, uint64_t so_often)
{
    ts_expect_end(peer, id, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_MESSAGE_SIZE, so_often);
}

static void expect_served(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};

    ts_put_call_add(&out, id, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, id, 2);
}

/* The rest of the frame counts apart, so that metadata and a method do not make the message shorter. */
START_TEST(a_body_may_be_exactly_as_long_as_the_limit)
{
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_echo_of_body(&out, 1, LIMIT);
    put_echo_of_body(&out, 2, LIMIT + 1);
    put_echo_of_body(&out, 3, LIMIT);
    ts_peer_send(peer, &out);
    ck_assert_uint_eq(ts_expect_end(peer, 1, MSGSRV_OK)->body_size, LIMIT);
    expect_call_over_limit(server, peer, 2, 1);
    ck_assert_uint_eq(ts_expect_end(peer, 3, MSGSRV_OK)->body_size, LIMIT);
    ck_assert_uint_eq(atomic_load(&server->demo->echo_seen), 2);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(metadata_does_not_count_as_message)
{
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes value = {0}, text = {0}, out = {0};
    ts_pair pair = {"key", NULL, 8000};

    ts_put_fill(&value, 'v', pair.size);
    pair.value = value.data;
    ts_put_frame_header(&text, 1, LIMIT - 3);
    ts_put_fill(&text, 't', LIMIT - 3);
    ts_put_call(&out, &(ts_call){.id = 1,
                                 .method = TS_ECHO,
                                 .metadata = &pair,
                                 .metadata_count = 1,
                                 .body = text.data,
                                 .body_size = text.size});
    ts_peer_send(peer, &out);
    ck_assert_uint_eq(ts_expect_end(peer, 1, MSGSRV_OK)->body_size, LIMIT);
    ts_expect_nothing_refused(server);
    ts_bytes_release(&value);
    ts_bytes_release(&text);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A Call whose body is exactly at the limit, with an unknown field that makes the frame so long. */
static void put_frame_of(ts_bytes *out, uint64_t id, size_t size)
{
    ts_bytes inside = {0};
    size_t left;

    ts_put_uint(&inside, 1, id);
    ts_put_text(&inside, 2, TS_ECHO);
    left = size - inside.size - (1 + ts_varint_size(LIMIT) + LIMIT);
    ts_put_frame_header(&inside, 9, left - 3);
    ts_put_fill(&inside, 'u', left - 3);
    ts_put_frame_header(&inside, 15, LIMIT);
    ts_put_frame_header(&inside, 1, LIMIT - 3);
    ts_put_fill(&inside, 't', LIMIT - 3);
    ck_assert_uint_eq(inside.size, size);
    ts_put_field(out, TS_CALL, inside.data, inside.size);
    ts_bytes_release(&inside);
}

START_TEST(a_frame_may_be_16_kib_longer_than_its_message)
{
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_frame_of(&out, 1, LIMIT + SLACK);
    put_frame_of(&out, 2, LIMIT + SLACK + 1);
    ts_peer_send(peer, &out);
    ck_assert_uint_eq(ts_expect_end(peer, 1, MSGSRV_OK)->body_size, LIMIT);
    expect_call_over_limit(server, peer, 2, 1);
    expect_served(peer, 3);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The default is 4 MiB. */
START_TEST(the_default_limit_is_4_mib)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_echo_of_body(&out, 1, 4 * MIB);
    put_echo_of_body(&out, 2, 4 * MIB + 1);
    ts_peer_send(peer, &out);
    ck_assert_uint_eq(ts_expect_end(peer, 1, MSGSRV_OK)->body_size, 4 * MIB);
    expect_call_over_limit(server, peer, 2, 1);
    expect_served(peer, 3);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * From a little over the limit to 64 MiB: the one call ends, and the rest of its frame is skipped as it
 * comes, unbuffered.
 */
START_TEST(longer_calls_are_skipped_as_they_come)
{
    static const size_t sizes[] = {LIMIT + 1, LIMIT + SLACK - 64, LIMIT + SLACK, LIMIT + SLACK + 64,
                                   MIB,       64 * MIB - 64};
    enum { COUNT = sizeof(sizes) / sizeof(*sizes) };
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);

    ts_bystander_open(server);
    for (size_t i = 0; i < COUNT; i++) {
        ts_bytes out = {0};

        put_echo_of_body(&out, 2 * i + 1, sizes[i]);
        ts_put_call_add(&out, 2 * i + 2, (int32_t)i, 0);
        ts_peer_send(peer, &out);
        expect_call_over_limit(server, peer, 2 * i + 1, i + 1);
        ts_expect_add(peer, 2 * i + 2, (int32_t)i);
        ts_wait_stat(server, input_buffered_bytes, ==, 0);
    }
    ck_assert_uint_eq(atomic_load(&server->demo->echo_seen), 0);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The End comes with the id, long before the frame's end, and what is skipped takes no memory. */
START_TEST(the_end_does_not_wait_for_the_rest_of_the_frame)
{
    enum { FRAME = 32 * MIB, PART = 8 * MIB };
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    size_t sent;

    ts_put_frame_header(&out, TS_CALL, FRAME);
    ts_put_uint(&out, 1, 1);
    sent = 2;
    ts_peer_send(peer, &out);
    expect_call_over_limit(server, peer, 1, 1);
    ts_put_fill(&out, 0xff, PART);
    sent += PART;
    ts_peer_send(peer, &out);
    ts_wait_stat(server, bytes_received, >=, PART);
    ts_wait_stat(server, input_buffered_bytes, <=, 1024);
    ts_expect_others_served(server);
    ts_put_fill(&out, 0xff, FRAME - sent);
    ts_put_call_add(&out, 2, 2, 2);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 2, 4);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Nothing is allocated for a length before its bytes came. */
START_TEST(an_announced_length_takes_no_memory)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_frame_header(&out, TS_CALL, 4 * MIB);
    ts_put_uint(&out, 1, 1);
    ts_peer_send(peer, &out);
    ts_wait_stat(server, bytes_received, ==, 8);
    ts_wait_stat(server, input_buffered_bytes, <=, 64 * 1024);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Over the limit, an Item or End of a call that is open ends that call; of one that is not, nothing. */
START_TEST(long_items_and_ends_end_their_call_alone)
{
    enum { BIG = LIMIT + 2 * SLACK };
    static unsigned char body[BIG];
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_put_call_echo(&out, 2, "!hold");
    ts_put_call_echo(&out, 3, "!hold");
    ts_put_item(&out, 2, body, BIG);
    ts_put_end_status(&out, 3, 0, NULL, body, BIG);
    ts_put_item(&out, 99, body, BIG);
    ts_put_end_status(&out, 99, 0, NULL, body, BIG);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end(peer, 3, MSGSRV_RESOURCE_EXHAUSTED);
    ts_barrier(peer);
    ck_assert_int_ne(ts_demo_wait_cancelled(server->demo, 1), MSGSRV_OK);
    ck_assert_int_ne(ts_demo_wait_cancelled(server->demo, 2), MSGSRV_OK);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    ts_expect_echo(peer, 1, "!hold");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A call over the limit breaks the rule of ids like any other. */
START_TEST(ids_of_long_calls_count)
{
    ts_server *server = small_server();
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_echo_of_body(&out, 5, MIB);
    put_echo_of_body(&out, 5, MIB);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 5, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

static void open_calls_of(uint32_t option, uint64_t limit)
{
    ts_setup setup = {.options = {.max_calls = option}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (uint64_t id = 1; id <= limit + 2; id++)
        ts_put_call_echo(&out, id, "!hold");
    ts_peer_send(peer, &out);
    ts_expect_end(peer, limit + 1, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end(peer, limit + 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_OPEN_CALLS, 2);
    ts_wait_stat(server, calls_open, ==, limit);
    ts_expect_others_served(server);
    ts_demo_wait_held(server->demo, limit);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    expect_served(peer, limit + 3);
    for (uint64_t id = 2; id <= limit; id++) {
        ts_demo_release(server->demo, id - 1);
        ts_expect_echo(peer, id, "!hold");
    }
    ts_wait_stat(server, calls_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}

START_TEST(a_thousand_calls_may_be_open)
{
    open_calls_of(0, 1000);
}
END_TEST

START_TEST(the_number_of_open_calls_is_an_option)
{
    open_calls_of(2, 2);
    open_calls_of(1, 1);
}
END_TEST

/* The allowance is used up by a burst; the ping over it ends the connection. */
START_TEST(a_flood_of_pings_ends_the_connection)
{
    enum { BURST = 5, SENT = 1000 };
    ts_setup setup = {.options = {.ping_burst = BURST, .pings_per_second = 1}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *frame;
    int pongs = 0;

    ts_bystander_open(server);
    for (int i = 0; i < SENT; i++)
        ts_put_ping(&out, "x", 1);
    ts_peer_send(peer, &out);
    while ((frame = ts_peer_next(peer)) && frame->number == TS_PONG)
        pongs++;
    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_eq(frame->number, TS_GO_AWAY);
    ck_assert_uint_eq(frame->code, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end_of_input(peer);
    ck_assert_int_ge(pongs, BURST);
    ck_assert_int_lt(pongs, SENT);
    ts_expect_refused(server, MSGSRV_REFUSED_PINGS, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_hundred_pings_at_once_are_allowed)
{
    enum { BURST = 100 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (int i = 0; i < BURST; i++)
        ts_put_ping(&out, &i, sizeof(i));
    ts_peer_send(peer, &out);
    for (int i = 0; i < BURST; i++)
        ts_expect_pong(peer, &i, sizeof(i));
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(pings_may_be_without_limit)
{
    enum { COUNT = 5000 };
    ts_setup setup = {.options = {.pings_per_second = MSGSRV_NONE}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (int i = 0; i < COUNT; i++)
        ts_put_ping(&out, &i, sizeof(i));
    ts_peer_send(peer, &out);
    for (int i = 0; i < COUNT; i++)
        ts_expect_pong(peer, &i, sizeof(i));
    ts_wait_stat(server, pings, ==, COUNT);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Sends so many frames that have no effect, in one of their kinds. */
static void put_idle_frames(ts_bytes *out, int kind, int count)
{
    for (int i = 0; i < count; i++) {
        if (kind == 0)
            ts_put_field(out, TS_UNKNOWN + (uint32_t)i, "x", 1);
        else if (kind == 1)
            ts_put_cancel(out, 1000);
        else
            ts_put_item(out, 1000, "x", 1);
    }
}

START_TEST(a_flood_of_frames_without_effect_ends_the_connection)
{
    enum { RATE = 10, SENT = 5000 };
    ts_setup setup = {.options = {.idle_frames_per_second = RATE}};
    ts_server *server = ts_server_new(&setup);

    for (int kind = 0; kind < 3; kind++) {
        ts_peer *peer = ts_server_connect(server);
        ts_bytes out = {0};

        put_idle_frames(&out, kind, SENT);
        ts_peer_send(peer, &out);
        ts_expect_go_away(peer, MSGSRV_RESOURCE_EXHAUSTED);
        ts_expect_end_of_input(peer);
        ts_expect_refused(server, MSGSRV_REFUSED_IDLE_FRAMES, (uint64_t)kind + 1);
        ts_expect_others_served(server);
        ts_peer_free(peer);
    }
    ts_wait_stat(server, frames_without_effect, >=, 3 * RATE);
    ck_assert_uint_lt(ts_stats(server).frames_without_effect, SENT);
    ts_server_free(server);
}
END_TEST

START_TEST(frames_without_effect_may_be_without_limit)
{
    enum { COUNT = 30000 };
    ts_setup setup = {.options = {.idle_frames_per_second = MSGSRV_NONE}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_idle_frames(&out, 1, COUNT);
    ts_peer_send(peer, &out);
    ts_barrier(peer);
    ts_wait_stat(server, frames_without_effect, ==, COUNT);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(connections_over_the_limit_are_closed_without_a_byte)
{
    ts_setup setup = {.options = {.max_connections = 2}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *one = ts_server_connect(server), *two = ts_server_connect(server), *over;

    expect_served(one, 1);
    expect_served(two, 1);
    for (uint64_t i = 1; i <= 3; i++) {
        over = ts_server_connect(server);
        ts_expect_gone(over);
        ts_peer_free(over);
        ts_expect_refused(server, MSGSRV_REFUSED_CONNECTIONS, i);
    }
    expect_served(one, 2);
    ts_wait_stat(server, connections_accepted, ==, 2);
    ts_peer_free(two);
    ts_wait_stat(server, connections_open, ==, 1);
    over = ts_server_connect(server);
    expect_served(over, 1);
    ts_wait_stat(server, connections_accepted, ==, 3);
    ts_peer_free(over);
    ts_peer_free(one);
    ts_server_free(server);
}
END_TEST

/* One call is at work, one waits, the third is refused. */
START_TEST(blocking_calls_over_the_queue_are_refused)
{
    ts_setup setup = {.blocking = true, .options = {.worker_threads = 1, .worker_queue = 1}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!block");
    ts_peer_send(peer, &out);
    ts_demo_wait_blocked(server->demo, 1);
    ts_put_call_echo(&out, 2, "waits");
    ts_put_call_echo(&out, 3, "is too many");
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 3, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_WORKERS, 1);
    ts_expect_others_served(server);
    ts_demo_unblock(server->demo, 1);
    ts_expect_echo(peer, 1, "!block");
    ts_expect_echo(peer, 2, "waits");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The queue holds both, but the deadline of the second passes while it waits: it never starts. */
START_TEST(a_deadline_passes_in_the_queue_too)
{
    ts_setup setup = {.blocking = true, .options = {.worker_threads = 1}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!block");
    ts_peer_send(peer, &out);
    ts_demo_wait_blocked(server->demo, 1);
    ts_put_call(&out, &(ts_call){.id = 2, .method = TS_ECHO, .timeout_ms = 20, .body = "\x0a\x01z", .body_size = 3});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 2, MSGSRV_DEADLINE_EXCEEDED);
    ts_demo_unblock(server->demo, 1);
    ts_expect_echo(peer, 1, "!block");
    ts_put_call_echo(&out, 3, "next");
    ts_peer_send(peer, &out);
    ts_expect_echo(peer, 3, "next");
    ck_assert_uint_eq(atomic_load(&server->demo->echo_seen), 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_blocking_handler_can_be_cancelled)
{
    ts_setup setup = {.blocking = true};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!block");
    ts_peer_send(peer, &out);
    ts_demo_wait_blocked(server->demo, 1);
    ts_put_cancel(&out, 1);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ts_demo_wait_unblocked(server->demo, 1);
    expect_served(peer, 2);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_limits", a_body_may_be_exactly_as_long_as_the_limit, metadata_does_not_count_as_message,
        a_frame_may_be_16_kib_longer_than_its_message, the_default_limit_is_4_mib,
        longer_calls_are_skipped_as_they_come, the_end_does_not_wait_for_the_rest_of_the_frame,
        an_announced_length_takes_no_memory, long_items_and_ends_end_their_call_alone, ids_of_long_calls_count,
        a_thousand_calls_may_be_open, the_number_of_open_calls_is_an_option, a_flood_of_pings_ends_the_connection,
        a_hundred_pings_at_once_are_allowed, pings_may_be_without_limit,
        a_flood_of_frames_without_effect_ends_the_connection, frames_without_effect_may_be_without_limit,
        connections_over_the_limit_are_closed_without_a_byte, blocking_calls_over_the_queue_are_refused,
        a_deadline_passes_in_the_queue_too, a_blocking_handler_can_be_cancelled)
