/* SPDX-License-Identifier: MIT */
/*
 * Drain and stop, as peers see them (docs/protocol.md, "Drain"): GoAway UNAVAILABLE with the last id, open
 * calls finished, later ones unanswered, then the end.
 */
#include <check.h>
#include <string.h>

#include "server.h"
#include "suite.h"

static void expect_stopped(ts_server *server)
{
    msgsrv_error error = {0};
    msgsrv_status status = msgsrv_server_wait(server->handle, &error);

    ck_assert_msg(status == MSGSRV_OK, "wait: %s %s", msgsrv_status_name(status), error.text);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
}

START_TEST(an_idle_connection_is_told_and_closed)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 9, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 9, 2);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_UNAVAILABLE)->last_id, 9);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    expect_stopped(server);
    ts_server_free(server);
}
END_TEST

START_TEST(open_calls_are_finished_and_later_ones_not_answered)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 3, "!hold");
    ts_put_call_echo(&out, 5, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 2);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_UNAVAILABLE)->last_id, 5);
    ts_put_call_add(&out, 7, 1, 1);
    ts_put_call_echo(&out, 8, "!hold");
    ts_put_cancel(&out, 3);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 3, MSGSRV_CANCELLED);
    ts_expect_refused(server, MSGSRV_REFUSED_DRAINING, 2);
    ck_assert_int_eq(ts_demo_release(server->demo, 1), MSGSRV_OK);
    ts_expect_echo(peer, 5, "!hold");
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    expect_stopped(server);
    ck_assert_uint_eq(ts_demo_held(server->demo), 2);
    ts_server_free(server);
}
END_TEST

/* On a plain connection the GoAway is the last of its bytes. */
START_TEST(plain_messages_are_answered_before_the_go_away)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_put_plain_add(&out, 1, 1);
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 1);
    ts_wait_stat(server, plain_calls, ==, 2);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ts_demo_release(server->demo, 0);
    ts_expect_plain_echo(peer, "!hold");
    ts_expect_plain_add(peer, 2);
    ts_expect_go_away(peer, MSGSRV_UNAVAILABLE);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    expect_stopped(server);
    ts_server_free(server);
}
END_TEST

/* One that has not said yet what it speaks, and one in the middle of a frame, are not waited for. */
START_TEST(connections_that_have_not_said_anything_whole_are_closed)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *silent = ts_server_connect(server), *begun = ts_server_connect(server);
    const ts_frame *frame;

    ts_peer_send_raw(begun, "\x82\x01\x7f\x08\x01", 5);
    ts_wait_stat(server, bytes_received, ==, 5);
    ts_wait_stat(server, connections_open, ==, 2);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    frame = ts_peer_next(silent);
    if (frame) {
        ck_assert_uint_eq(frame->number, TS_GO_AWAY);
        ck_assert_uint_eq(frame->code, MSGSRV_UNAVAILABLE);
        ts_expect_end_of_input(silent);
    }
    frame = ts_peer_next(begun);
    if (frame) {
        ck_assert_uint_eq(frame->number, TS_GO_AWAY);
        ck_assert_uint_eq(frame->code, MSGSRV_UNAVAILABLE);
        ck_assert_uint_eq(frame->last_id, 0);
        ts_expect_end_of_input(begun);
    }
    ts_peer_free(silent);
    ts_peer_free(begun);
    expect_stopped(server);
    ts_server_free(server);
}
END_TEST

START_TEST(new_connections_are_not_accepted)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server), *late;
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 1);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ts_expect_go_away(peer, MSGSRV_UNAVAILABLE);
    late = ts_peer_try_connect(server->url);
    ck_assert_ptr_null(late);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    expect_stopped(server);
    ts_wait_stat(server, connections_accepted, ==, 1);
    ts_server_free(server);
}
END_TEST

/* Reads to the end and checks that a call that was given up is answered at most once, and with the reason. */
static void expect_given_up(ts_peer *peer, uint64_t id)
{
    const ts_frame *frame;
    int ends = 0;

    while ((frame = ts_peer_next(peer))) {
        if (frame->number == TS_GO_AWAY) {
            ck_assert_uint_eq(frame->code, MSGSRV_UNAVAILABLE);
            continue;
        }
        ck_assert_uint_eq(frame->number, TS_END);
        ck_assert_uint_eq(frame->id, id);
        ck_assert(frame->code == MSGSRV_CANCELLED || frame->code == MSGSRV_UNAVAILABLE);
        ends++;
    }
    ck_assert_int_le(ends, 1);
}

static void held_call(ts_server *server, ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};

    ts_put_call_echo(&out, id, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 1);
}

START_TEST(what_is_not_finished_within_the_grace_is_cancelled)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);

    held_call(server, peer, 4);
    msgsrv_server_drain(server->handle, 30);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_UNAVAILABLE)->last_id, 4);
    ck_assert_int_ne(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_OK);
    expect_given_up(peer, 4);
    ts_peer_free(peer);
    expect_stopped(server);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ts_server_free(server);
}
END_TEST

START_TEST(a_stop_ends_a_drain_that_waits)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);

    held_call(server, peer, 4);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ts_expect_go_away(peer, MSGSRV_UNAVAILABLE);
    msgsrv_server_stop(server->handle);
    ck_assert_int_ne(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_OK);
    expect_given_up(peer, 4);
    ts_peer_free(peer);
    expect_stopped(server);
    ts_server_free(server);
}
END_TEST

START_TEST(a_stop_cancels_and_closes)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server), *silent = ts_server_connect(server);

    held_call(server, peer, 4);
    ts_wait_stat(server, connections_open, ==, 2);
    msgsrv_server_stop(server->handle);
    ck_assert_int_ne(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_OK);
    expect_given_up(peer, 4);
    expect_given_up(silent, 0);
    ts_peer_free(silent);
    ts_peer_free(peer);
    expect_stopped(server);
    ts_server_free(server);
}
END_TEST

/* A peer that never closes its side is not waited for longer than the linger time. */
START_TEST(peers_that_stay_do_not_hold_a_drain_up)
{
    ts_setup setup = {.options = {.linger_ms = 30}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);

    ts_barrier(peer);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    expect_stopped(server);
    ts_expect_go_away(peer, MSGSRV_UNAVAILABLE);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * A call that is answered in the same moment as the drain comes is answered, or not taken: never both, never
 * neither.
 */
START_TEST(calls_around_a_drain_are_answered_or_above_the_last_id)
{
    enum { ROUNDS = 30, CALLS = 400 };

    for (int round = 0; round < ROUNDS; round++) {
        ts_server *server = ts_server_new(NULL);
        ts_peer *peer = ts_server_connect(server);
        ts_bytes out = {0};
        const ts_frame *frame;
        uint64_t answered = 0, last_id = 0;
        bool told = false;

        for (uint64_t id = 1; id <= CALLS; id++)
            ts_put_call_add(&out, id, 1, (int32_t)id);
        ts_peer_send_raw(peer, out.data, out.size / 2);
        msgsrv_server_drain(server->handle, MSGSRV_NONE);
        ts_peer_try_send(peer, out.data + out.size / 2, out.size - out.size / 2);
        while ((frame = ts_peer_next(peer))) {
            if (frame->number == TS_GO_AWAY) {
                last_id = frame->last_id;
                told = true;
            } else {
                ck_assert_uint_eq(frame->id, ++answered);
            }
        }
        ck_assert_msg(!told || answered == last_id, "%llu calls answered, last_id %llu", (unsigned long long)answered,
                      (unsigned long long)last_id);
        ts_bytes_release(&out);
        ts_peer_free(peer);
        ts_server_free(server);
    }
}
END_TEST

TS_MAIN("wire_drain", an_idle_connection_is_told_and_closed, open_calls_are_finished_and_later_ones_not_answered,
        plain_messages_are_answered_before_the_go_away, connections_that_have_not_said_anything_whole_are_closed,
        new_connections_are_not_accepted, what_is_not_finished_within_the_grace_is_cancelled,
        a_stop_ends_a_drain_that_waits, a_stop_cancels_and_closes, peers_that_stay_do_not_hold_a_drain_up,
        calls_around_a_drain_are_answered_or_above_the_last_id)
