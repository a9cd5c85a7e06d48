/* SPDX-License-Identifier: MIT */
/*
 * Plain messages (docs/protocol.md, "Plain messages"): what a program that knows only its own oneof sends,
 * and gets.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "suite.h"

enum { PIPELINED = 10000 };

/* The exact bytes, written out once, so that no function of ours stands between the test and the document. */
START_TEST(bare_messages_are_answered_with_bare_messages)
{
    static const unsigned char echo[] = {0x0a, 0x07, 0x0a, 0x05, 'h', 'e', 'l', 'l', 'o'};
    static const unsigned char add[] = {0x12, 0x04, 0x08, 0x02, 0x10, 0x03};
    static const unsigned char sum[] = {0x12, 0x02, 0x08, 0x05};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes expected = {0};

    ts_put(&expected, echo, sizeof(echo));
    ts_put(&expected, sum, sizeof(sum));
    ts_peer_send_raw(peer, echo, sizeof(echo));
    ts_peer_send_raw(peer, add, sizeof(add));
    ts_expect_bytes(peer, &expected);
    ts_wait_stat(server, plain_calls, ==, 2);
    ts_wait_stat(server, calls_started, ==, 2);
    ts_wait_stat(server, calls_ended[MSGSRV_OK], ==, 2);
    ts_wait_stat(server, bytes_received, ==, sizeof(echo) + sizeof(add));
    ts_wait_stat(server, bytes_sent, ==, sizeof(echo) + sizeof(sum));
    ts_expect_nothing_refused(server);
    ts_bytes_release(&expected);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(empty_messages_are_messages)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_add(&out, 0, 0);
    ts_put_plain_echo(&out, "");
    ck_assert_uint_eq(out.size, 4);
    ts_peer_send(peer, &out);
    ts_expect_plain_add(peer, 0);
    ts_expect_plain_echo(peer, "");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(one_byte_at_a_time)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "one byte at a time");
    ts_put_plain_add(&out, -5, 3);
    ts_send_in_chunks(server, peer, &out, 1);
    ts_expect_plain_echo(peer, "one byte at a time");
    ts_expect_plain_add(peer, -2);
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ts_bytes_release(&out);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(ten_thousand_pipelined)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (int i = 0; i < PIPELINED; i++)
        ts_put_plain_add(&out, i, 1);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    for (int i = 0; i < PIPELINED; i++)
        ts_expect_plain_add(peer, i + 1);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, plain_calls, ==, PIPELINED);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(half_closed_connections_get_their_answers_then_the_end)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold until after the end of input");
    ts_put_plain_add(&out, 1, 2);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    ts_demo_wait_held(server->demo, 1);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    ts_expect_plain_echo(peer, "!hold until after the end of input");
    ts_expect_plain_add(peer, 3);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Released last to first, answered first to last. */
START_TEST(answers_keep_the_order_of_the_messages)
{
    enum { COUNT = 20 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    char text[32];

    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "!hold %d", i);
        ts_put_plain_echo(&out, text);
        ts_put_plain_add(&out, i, i);
    }
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, COUNT);
    for (size_t i = COUNT; i-- > 0;)
        ck_assert_int_eq(ts_demo_release(server->demo, i), MSGSRV_OK);
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof(text), "!hold %d", i);
        ts_expect_plain_echo(peer, text);
        ts_expect_plain_add(peer, 2 * i);
    }
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The order is that of plain messages among themselves: a call that comes later passes them. */
START_TEST(calls_pass_plain_messages_that_wait)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_put_call_add(&out, 1, 20, 22);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 42);
    ts_demo_wait_held(server->demo, 1);
    ts_demo_release(server->demo, 0);
    ts_expect_plain_echo(peer, "!hold");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * Sends `held` messages that are held and `more` that are not, and checks that reading stops at `limit` of
 * them.
 */
static void back_pressure_of(uint32_t option, size_t limit)
{
    ts_setup setup = {.options = {.plain_max_calls = option}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_bystander_open(server);
    for (size_t i = 0; i < limit; i++)
        ts_put_plain_echo(&out, "!hold");
    for (int i = 0; i < PIPELINED; i++)
        ts_put_plain_add(&out, i, 0);
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, limit);
    ts_wait_stat(server, reads_paused, >=, 1);
    ts_expect_others_served(server);
    ck_assert_uint_eq(ts_stats(server).plain_calls, limit);
    ts_demo_release_all(server->demo);
    for (size_t i = 0; i < limit; i++)
        ts_expect_plain_echo(peer, "!hold");
    for (int i = 0; i < PIPELINED; i++)
        ts_expect_plain_add(peer, i);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}

START_TEST(a_thousand_unanswered_stop_reading_and_nothing_is_lost)
{
    back_pressure_of(0, 1000);
}
END_TEST

START_TEST(the_number_of_unanswered_is_an_option)
{
    back_pressure_of(3, 3);
    back_pressure_of(1, 1);
}
END_TEST

/* Answers of 1 KiB wait for the first message; reading stops when 16 KiB of them are there. */
START_TEST(finished_answers_that_wait_stop_reading)
{
    enum { LIMIT = 16 * 1024, SIZE = 1024, COUNT = 100 };
    ts_setup setup = {.options = {.plain_max_bytes = LIMIT}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    char text[SIZE + 1];

    memset(text, 'a', SIZE);
    text[SIZE] = '\0';
    ts_put_plain_echo(&out, "!hold");
    for (int i = 0; i < COUNT; i++)
        ts_put_plain_echo(&out, text);
    ts_peer_send(peer, &out);
    ts_wait_stat(server, reads_paused, >=, 1);
    ts_expect_others_served(server);
    ck_assert_uint_ge(ts_stats(server).plain_calls, LIMIT / (SIZE + 16));
    ck_assert_uint_le(ts_stats(server).plain_calls, LIMIT / SIZE + 2);
    ts_demo_release_all(server->demo);
    ts_expect_plain_echo(peer, "!hold");
    for (int i = 0; i < COUNT; i++)
        ts_expect_plain_echo(peer, text);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* 1,000 messages would stop it too, so the answers are larger: 1 MiB is reached by 11 of them. */
START_TEST(a_mebibyte_of_finished_answers_stops_reading)
{
    enum { COUNT = 40, ANSWER = 100000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    for (int i = 0; i < COUNT; i++)
        ts_put_plain_echo(&out, "!big 100000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, reads_paused, >=, 1);
    ts_expect_others_served(server);
    ck_assert_uint_eq(ts_stats(server).plain_calls, 12);
    ts_demo_release_all(server->demo);
    ts_expect_plain_echo(peer, "!hold");
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_ge(ts_expect_frame(peer, TS_PLAIN_ECHO)->body_size, ANSWER);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_body_that_does_not_decode_is_one_end_without_id)
{
    static const unsigned char bad_text[] = {0x0a, 0x02, 0xc3, 0x28};
    static const unsigned char cut_off[] = {0x0a, 0x05, 'a'};
    static const unsigned char with_nul[] = {0x0a, 0x03, 'a', 0, 'b'};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_field(&out, TS_PLAIN_ECHO, bad_text, sizeof(bad_text));
    ts_put_plain_add(&out, 1, 1);
    ts_put_field(&out, TS_PLAIN_ECHO, cut_off, sizeof(cut_off));
    ts_put_field(&out, TS_PLAIN_ECHO, with_nul, sizeof(with_nul));
    ts_put_plain_add(&out, 2, 2);
    ts_peer_send(peer, &out);
    ck_assert_ptr_nonnull(strstr(ts_expect_plain_error(peer, MSGSRV_INVALID_ARGUMENT)->message, "text"));
    ts_expect_plain_add(peer, 2);
    ts_expect_plain_error(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_plain_error(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_plain_add(peer, 4);
    ts_expect_refused(server, MSGSRV_REFUSED_DECODE, 3);
    ts_wait_stat(server, calls_ended[MSGSRV_INVALID_ARGUMENT], ==, 3);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * What the server's End looks like to a program that knows only its oneof: field 18, unknown to it, and
 * nothing set.
 */
START_TEST(a_handler_that_fails_is_one_end_without_id)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *end;

    ts_put_plain_add(&out, INT32_MAX, 1);
    ts_put_plain_echo(&out, "!fail 5 nothing of that name");
    ts_put_plain_echo(&out, "and on it goes");
    ts_peer_send(peer, &out);
    ts_expect_plain_error(peer, MSGSRV_OUT_OF_RANGE);
    end = ts_expect_plain_error(peer, MSGSRV_NOT_FOUND);
    ck_assert_str_eq(end->message, "nothing of that name");
    ts_expect_plain_echo(peer, "and on it goes");
    ts_wait_stat(server, calls_ended[MSGSRV_OUT_OF_RANGE], ==, 1);
    ts_wait_stat(server, calls_ended[MSGSRV_NOT_FOUND], ==, 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_hold_that_is_dropped_is_answered_internal)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 1);
    ts_demo_drop(server->demo, 0);
    ts_expect_plain_error(peer, MSGSRV_INTERNAL);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(an_unbound_field_is_a_protocol_error)
{
    for (uint32_t number = 3; number <= 15; number += 6) {
        ts_server *server = ts_server_new(NULL);
        ts_peer *peer = ts_server_connect(server);
        ts_bytes out = {0};

        ts_bystander_open(server);
        ts_put_plain_add(&out, 1, 1);
        ts_put_text(&out, number, "nobody wants this");
        ts_put_plain_add(&out, 2, 2);
        ts_peer_send(peer, &out);
        ts_expect_plain_add(peer, 2);
        ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
        ts_expect_end_of_input(peer);
        ts_expect_refused(server, MSGSRV_REFUSED_UNBOUND_PLAIN, 1);
        ts_expect_others_served(server);
        ts_peer_free(peer);
        ts_server_free(server);
    }
}
END_TEST

START_TEST(a_server_without_bindings_refuses_every_plain_field)
{
    ts_setup setup = {.no_plain = true};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_add(&out, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_UNBOUND_PLAIN, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * Head metadata has no place in a plain answer, and nothing else is sent: the bytes are the two answers, then
 * the end.
 */
START_TEST(nothing_else_is_sent_on_a_plain_connection)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0}, expected = {0};
    const unsigned char *rest;
    size_t size;

    ts_put_plain_echo(&out, "!head some-key value");
    ts_put_plain_echo(&out, "!trailer some-key value");
    ts_put_all(&expected, &out);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    rest = ts_peer_rest(peer, &size);
    ck_assert_mem_eq(rest, expected.data, expected.size < size ? expected.size : size);
    ck_assert_uint_eq(size, expected.size);
    ts_bytes_release(&expected);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(plain_messages_have_a_deadline_of_their_own)
{
    ts_setup setup = {.options = {.plain_timeout_ms = 50}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_put_plain_add(&out, 1, 2);
    ts_peer_send(peer, &out);
    ts_expect_plain_error(peer, MSGSRV_DEADLINE_EXCEEDED);
    ts_expect_plain_add(peer, 3);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_DEADLINE_EXCEEDED);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ts_peer_half_close(peer);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, calls_ended[MSGSRV_DEADLINE_EXCEEDED], ==, 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * The limit is of the message's own bytes: one that is exactly as long is served, one more is a length over
 * the limit.
 */
START_TEST(a_plain_message_may_be_exactly_as_long_as_the_limit)
{
    enum { LIMIT = 4096, TEXT = LIMIT - 3 };
    ts_setup setup = {.options = {.max_message = LIMIT}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    char text[TEXT + 2];

    memset(text, 'y', sizeof(text));
    text[TEXT] = '\0';
    ts_put_plain_echo(&out, text);
    ck_assert_uint_eq(out.size, LIMIT + 3);
    ts_peer_send(peer, &out);
    ts_expect_plain_echo(peer, text);
    text[TEXT] = 'y';
    text[TEXT + 1] = '\0';
    ts_put_plain_echo(&out, text);
    ts_peer_send(peer, &out);
    ts_expect_go_away(peer, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end_of_input(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_FRAME_SIZE, 1);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A peer that goes away with answers outstanding leaves nothing behind. */
START_TEST(a_peer_that_leaves_cancels_its_messages)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_plain_echo(&out, "!hold");
    ts_put_plain_echo(&out, "!hold");
    ts_peer_send(peer, &out);
    ts_demo_wait_held(server->demo, 2);
    ts_peer_reset(peer);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_UNAVAILABLE);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 1), MSGSRV_UNAVAILABLE);
    ck_assert_int_eq(ts_demo_release(server->demo, 1), MSGSRV_CANCELLED);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_plain", bare_messages_are_answered_with_bare_messages, empty_messages_are_messages, one_byte_at_a_time,
        ten_thousand_pipelined, half_closed_connections_get_their_answers_then_the_end,
        answers_keep_the_order_of_the_messages, calls_pass_plain_messages_that_wait,
        a_thousand_unanswered_stop_reading_and_nothing_is_lost, the_number_of_unanswered_is_an_option,
        finished_answers_that_wait_stop_reading, a_mebibyte_of_finished_answers_stops_reading,
        a_body_that_does_not_decode_is_one_end_without_id, a_handler_that_fails_is_one_end_without_id,
        a_hold_that_is_dropped_is_answered_internal, an_unbound_field_is_a_protocol_error,
        a_server_without_bindings_refuses_every_plain_field, nothing_else_is_sent_on_a_plain_connection,
        plain_messages_have_a_deadline_of_their_own, a_plain_message_may_be_exactly_as_long_as_the_limit,
        a_peer_that_leaves_cancels_its_messages)
