/* SPDX-License-Identifier: MIT */
/*
 * The end of input (docs/protocol.md, "End of input"): at a frame's boundary calls are finished, answered,
 * and then the connection is closed; inside a frame it is a protocol error.
 */
#include <check.h>
#include <string.h>

#include "server.h"
#include "suite.h"

START_TEST(calls_already_received_are_finished_and_answered)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold one");
    ts_put_plain_echo(&out, "!hold plain");
    ts_put_call_echo(&out, 2, "!hold two");
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    ts_demo_wait_held(server->demo, 3);
    ts_expect_others_served(server);
    ts_demo_release(server->demo, 2);
    ts_expect_echo(peer, 2, "!hold two");
    ts_demo_release(server->demo, 1);
    ts_expect_plain_echo(peer, "!hold plain");
    ts_wait_stat(server, connections_open, ==, 2);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold one");
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_wait_stat(server, connections_open, ==, 1);
    ts_expect_nothing_refused(server);
    ts_server_free(server);
}
END_TEST

START_TEST(a_connection_without_open_calls_is_closed_at_once)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 1, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 2);
    ts_peer_half_close(peer);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The deadline and the cancellation still count after the end of input. */
START_TEST(a_deadline_still_passes_after_the_end_of_input)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ECHO, .timeout_ms = 40, .body = "\x0a\x05!hold", .body_size = 7});
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    ts_expect_end(peer, 1, MSGSRV_DEADLINE_EXCEEDED);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* While back-pressure stops reading, the end is behind what is not read yet. */
START_TEST(the_end_waits_behind_back_pressure)
{
    enum { COUNT = 500 };
    ts_setup setup = {.options = {.plain_max_calls = 2}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    for (int i = 0; i < COUNT; i++)
        ts_put_plain_add(&out, i, 0);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    ts_wait_stat(server, reads_paused, >=, 1);
    ts_demo_release(server->demo, 0);
    ts_expect_plain_echo(peer, "!hold");
    for (int i = 0; i < COUNT; i++)
        ts_expect_plain_add(peer, i);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* All of a large output arrives before the end, however slowly it is read. */
START_TEST(a_large_output_comes_before_the_end)
{
    enum { COUNT = 20, SIZE = 400000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_peer_connect_small(server->url);
    ts_bytes out = {0};

    for (uint64_t id = 1; id <= COUNT; id++)
        ts_put_call_echo(&out, id, "!big 400000");
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    for (uint64_t id = 1; id <= COUNT; id++)
        ck_assert_uint_gt(ts_expect_end(peer, id, MSGSRV_OK)->body_size, SIZE);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

static void expect_error_inside(const char *begun, size_t size)
{
    ts_server *server = ts_server_new(&(ts_setup){.options = {.max_message = 4096}});
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_bystander_open(server);
    ts_put_call_echo(&out, 1, "!hold");
    ts_put(&out, begun, size);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    do {
        ck_assert_ptr_nonnull(ts_peer_next(peer));
    } while (peer->frame.number == TS_END && peer->frame.code == MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(peer->frame.number, TS_GO_AWAY);
    ck_assert_uint_eq(peer->frame.code, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_demo_wait_cancelled(server->demo, 0);
    ts_expect_refused(server, MSGSRV_REFUSED_MALFORMED, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}

START_TEST(inside_a_frame_it_is_a_protocol_error)
{
    expect_error_inside("\x82", 1);
    expect_error_inside("\x82\x01", 2);
    expect_error_inside("\x82\x01\x80", 3);
    expect_error_inside("\x82\x01\x08", 3);
    expect_error_inside("\x82\x01\x08\x08\x02", 5);
    expect_error_inside("\xca\x01\x08\x08\x02", 5);
}
END_TEST

/* ... and inside one that is being skipped because it is over the limit. */
START_TEST(inside_a_skipped_frame_too)
{
    expect_error_inside("\x82\x01\x80\x80\x40\x08\x02xxxx", 11);
}
END_TEST

START_TEST(a_reset_cancels_what_is_open)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_put_call_echo(&out, 2, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 2);
    ts_peer_reset(peer);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_UNAVAILABLE);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 1), MSGSRV_UNAVAILABLE);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ck_assert_int_eq(ts_demo_fail(server->demo, 1, MSGSRV_ABORTED, "too late"), MSGSRV_CANCELLED);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_end", calls_already_received_are_finished_and_answered, a_connection_without_open_calls_is_closed_at_once,
        a_deadline_still_passes_after_the_end_of_input, the_end_waits_behind_back_pressure,
        a_large_output_comes_before_the_end, inside_a_frame_it_is_a_protocol_error, inside_a_skipped_frame_too,
        a_reset_cancels_what_is_open)
