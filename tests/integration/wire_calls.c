/* SPDX-License-Identifier: MIT */
/*
 * Unary calls on the wire: what a Call may look like, and that each gets exactly one End (docs/protocol.md,
 * "Frames", "Ids").
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "suite.h"

/* The exact bytes of one call and its answer: fields in the order of their numbers, a code of OK left out. */
START_TEST(one_call_to_the_byte)
{
    static const unsigned char call[] = "\x82\x01\x1c\x08\x07\x12\x12/messages.Demo/Add\x7a\x04\x08\x02\x10\x03";
    static const unsigned char end[] = {0x92, 0x01, 0x06, 0x08, 0x07, 0x7a, 0x02, 0x08, 0x05};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes expected = {0};

    ts_put(&expected, end, sizeof(end));
    ts_peer_send_raw(peer, call, sizeof(call) - 1);
    ts_expect_bytes(peer, &expected);
    ts_wait_stat(server, calls_started, ==, 1);
    ts_wait_stat(server, calls_ended[MSGSRV_OK], ==, 1);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_wait_stat(server, plain_calls, ==, 0);
    ts_wait_stat(server, bytes_sent, ==, sizeof(end));
    ts_expect_nothing_refused(server);
    ts_bytes_release(&expected);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* An empty reply still is a reply: End has a body of no bytes. */
START_TEST(an_empty_reply_is_a_body_of_no_bytes)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 1, 4, -4);
    ts_put_call(&out, &(ts_call){.id = 2, .method = TS_ADD});
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 0);
    ts_expect_add(peer, 2, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

enum { FIELDS = 6 };

/* One field of a Call by its place; together they are one whole Call of Echo. */
static void put_part(ts_bytes *out, int part, uint64_t id)
{
    static const ts_pair pair = {"some-key", "some value", 10};
    static const unsigned char body[] = {0x0a, 0x02, 'h', 'i'};

    switch (part) {
    case 0:
        ts_put_uint(out, 1, id);
        break;
    case 1:
        ts_put_text(out, 2, TS_ECHO);
        break;
    case 2:
        ts_put_uint(out, 3, 30000);
        break;
    case 3:
        ts_put_metadata(out, 4, &pair);
        break;
    case 4:
        ts_put_uint(out, 5, 7);
        break;
    default:
        ts_put_field(out, 15, body, sizeof(body));
    }
}

/* Puts one Call for every order of its fields from `at` on. */
static void put_orders(ts_bytes *out, int *parts, int at, uint64_t *id)
{
    if (at == FIELDS) {
        ts_bytes inside = {0};

        ++*id;
        for (int i = 0; i < FIELDS; i++)
            put_part(&inside, parts[i], *id);
        ts_put_field(out, TS_CALL, inside.data, inside.size);
        ts_bytes_release(&inside);
        return;
    }
    for (int i = at; i < FIELDS; i++) {
        int swap = parts[at];

        parts[at] = parts[i];
        parts[i] = swap;
        put_orders(out, parts, at + 1, id);
        parts[i] = parts[at];
        parts[at] = swap;
    }
}

START_TEST(fields_come_in_any_order)
{
    int parts[FIELDS] = {0, 1, 2, 3, 4, 5};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    uint64_t orders = 0;

    put_orders(&out, parts, 0, &orders);
    ck_assert_uint_eq(orders, 720);
    ts_peer_send(peer, &out);
    for (uint64_t id = 1; id <= orders; id++)
        ts_expect_echo(peer, id, "hi");
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(unknown_fields_of_a_frame_are_skipped)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes inside = {0}, out = {0};

    ts_put_uint(&inside, 8, UINT64_MAX);
    ts_put_call_fields(&inside, &(ts_call){.id = 1, .method = TS_ADD});
    ts_put_tag(&inside, 9, TS_FIXED64);
    ts_put_fill(&inside, 0xff, 8);
    ts_put_tag(&inside, 14, TS_FIXED32);
    ts_put_fill(&inside, 0xff, 4);
    ts_put_text(&inside, 16, "sixteen");
    ts_put_uint(&inside, 536870911, 1);
    ts_put_text(&inside, 15, "\x08\x01\x10\x02");
    ts_put_field(&out, TS_CALL, inside.data, inside.size);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 3);
    ts_expect_nothing_refused(server);
    ts_bytes_release(&inside);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* As any protobuf reader does: of a field that comes twice, the last one counts. */
START_TEST(of_a_field_that_comes_twice_the_last_one_counts)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes inside = {0}, out = {0};

    ts_put_text(&inside, 2, "/no.such/Method");
    ts_put_uint(&inside, 1, 1);
    ts_put_text(&inside, 15, "\x08\x07");
    ts_put_uint(&inside, 1, 5);
    ts_put_text(&inside, 2, TS_ADD);
    ts_put_text(&inside, 15, "\x08\x01\x10\x02");
    ts_put_field(&out, TS_CALL, inside.data, inside.size);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 5, 3);
    ts_bytes_release(&inside);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(ids_may_leave_gaps_up_to_the_last)
{
    static const uint64_t ids[] = {
        1, 2, 127, 128, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, (uint64_t)1 << 63, UINT64_MAX};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        ts_put_call_add(&out, ids[i], (int32_t)i, 1);
    ts_peer_send(peer, &out);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        ts_expect_add(peer, ids[i], (int32_t)i + 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Calls are answered as they finish: the order is free, the ids say which. */
START_TEST(calls_are_answered_as_they_finish)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold one");
    ts_put_call_echo(&out, 2, "!hold two");
    ts_put_call_echo(&out, 3, "three");
    ts_peer_send(peer, &out);
    ts_expect_echo(peer, 3, "three");
    ts_demo_wait_held(server->demo, 2);
    ts_wait_stat(server, calls_open, ==, 2);
    ck_assert_int_eq(ts_demo_release(server->demo, 1), MSGSRV_OK);
    ts_expect_echo(peer, 2, "!hold two");
    ck_assert_int_eq(ts_demo_fail(server->demo, 0, MSGSRV_ABORTED, "changed my mind"), MSGSRV_OK);
    ck_assert_str_eq(ts_expect_end(peer, 1, MSGSRV_ABORTED)->message, "changed my mind");
    ts_wait_stat(server, calls_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Sends a last call and the end of input, and expects that call's answer and nothing else. */
static void expect_nothing_but(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};

    ts_put_call_add(&out, id, 1, 1);
    ts_peer_send(peer, &out);
    ts_peer_half_close(peer);
    ts_expect_add(peer, id, 2);
    ts_expect_end_of_input(peer);
}

START_TEST(a_deadline_that_passes_is_exactly_one_end)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ECHO, .timeout_ms = 30, .body = "\x0a\x05!hold", .body_size = 7});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_DEADLINE_EXCEEDED);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_DEADLINE_EXCEEDED);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ts_wait_stat(server, calls_ended[MSGSRV_DEADLINE_EXCEEDED], ==, 1);
    ts_wait_stat(server, calls_open, ==, 0);
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* 0 and absent are no deadline; the longest is no problem; each passes on its own. */
START_TEST(deadlines_are_each_calls_own)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes inside = {0}, out = {0};
    static const uint32_t timeouts[] = {UINT32_MAX, 0, 60, 20};

    for (size_t i = 0; i < 4; i++)
        ts_put_call(
            &out,
            &(ts_call){
                .id = i + 1, .method = TS_ECHO, .timeout_ms = timeouts[i], .body = "\x0a\x05!hold", .body_size = 7});
    ts_put_call_fields(&inside, &(ts_call){.id = 5, .method = TS_ECHO});
    ts_put_uint(&inside, 3, 0);
    ts_put_field(&inside, 15, "\x0a\x05!hold", 7);
    ts_put_field(&out, TS_CALL, inside.data, inside.size);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 4, MSGSRV_DEADLINE_EXCEEDED);
    ts_expect_end(peer, 3, MSGSRV_DEADLINE_EXCEEDED);
    ts_wait_stat(server, calls_open, ==, 3);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    ts_demo_release(server->demo, 1);
    ts_expect_echo(peer, 2, "!hold");
    ts_demo_release(server->demo, 4);
    ts_expect_echo(peer, 5, "!hold");
    ts_bytes_release(&inside);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(cancel_is_answered_with_exactly_one_end)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_put_cancel(&out, 1);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_CANCELLED);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ts_wait_stat(server, calls_ended[MSGSRV_CANCELLED], ==, 1);
    ts_wait_stat(server, frames_without_effect, ==, 0);
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Of an id that is over, or was never opened: skipped, counted, and nothing is sent. */
START_TEST(frames_of_ids_that_are_not_open_are_skipped_and_counted)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 5, 1, 1);
    for (uint64_t id = 4; id <= 6; id++) {
        ts_put_cancel(&out, id);
        ts_put_item(&out, id, "abc", 3);
        ts_put_end(&out, id);
        ts_put_end_status(&out, id, MSGSRV_ABORTED, "text", "body", 4);
        ts_put_credit(&out, id, 1, 1);
    }
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 5, 2);
    ts_wait_stat(server, frames_without_effect, ==, 15);
    ts_wait_stat(server, calls_started, ==, 1);
    expect_nothing_but(peer, 6);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(head_from_a_client_is_skipped)
{
    static const ts_pair pair = {"key", "value", 5};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_put_head(&out, 1, &pair, 1);
    ts_peer_send(peer, &out);
    ts_barrier(peer);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_streaming_call_of_a_unary_method_is_refused_by_its_kind)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *end;

    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ADD, .streaming = true});
    ts_put_item(&out, 1, "\x08\x01", 2);
    ts_put_end(&out, 1);
    ts_peer_send(peer, &out);
    end = ts_expect_end(peer, 1, MSGSRV_UNIMPLEMENTED);
    ck_assert_msg(strstr(end->message, "unary") != NULL, "the text names no kind: '%s'", end->message);
    ts_expect_refused(server, MSGSRV_REFUSED_STREAMING, 1);
    ts_wait_stat(server, frames_without_effect, ==, 2);
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_streaming_call_with_a_body_is_an_invalid_argument)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_ADD, .streaming = true, .body = "\x08\x01", .body_size = 2});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* The client of a unary call sends neither Item nor End; either ends the call. */
START_TEST(items_and_ends_of_a_unary_call_end_it)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!hold");
    ts_put_item(&out, 1, "\x0a\x01y", 3);
    ts_put_call_echo(&out, 2, "!hold");
    ts_put_end(&out, 2);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 2, MSGSRV_INVALID_ARGUMENT);
    ts_demo_wait_cancelled(server->demo, 0);
    ts_demo_wait_cancelled(server->demo, 1);
    ts_wait_stat(server, calls_ended[MSGSRV_INVALID_ARGUMENT], ==, 2);
    expect_nothing_but(peer, 3);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Credit of a unary call is of no use to it, and no harm. */
START_TEST(credit_of_a_unary_call_changes_nothing)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call(
        &out,
        &(ts_call){.id = 1, .method = TS_ECHO, .credit = 1, .credit_bytes = 1, .body = "\x0a\x05!hold", .body_size = 7});
    ts_put_credit(&out, 1, UINT32_MAX, UINT32_MAX);
    ts_put_credit(&out, 1, UINT32_MAX, UINT32_MAX);
    ts_peer_send(peer, &out);
    ts_barrier(peer);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(unknown_methods_are_unimplemented)
{
    static const char *const methods[] = {"/messages.Demo/NoSuch",
                                          "/no.Such/Add",
                                          "/messages.Demo/add",
                                          "/messages.Demo/AddAdd",
                                          "/messages.Demo/",
                                          "messages.Demo/Add",
                                          "/",
                                          "",
                                          "/messages.Demo/\xc3\xa9"};
    enum { COUNT = sizeof(methods) / sizeof(*methods) };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (uint64_t i = 0; i < COUNT; i++)
        ts_put_call(&out, &(ts_call){.id = i + 1, .method = methods[i]});
    ts_put_call(&out, &(ts_call){.id = COUNT + 1});
    ts_peer_send(peer, &out);
    for (uint64_t id = 1; id <= COUNT + 1; id++)
        ts_expect_end(peer, id, MSGSRV_UNIMPLEMENTED);
    ts_expect_refused(server, MSGSRV_REFUSED_METHOD, COUNT + 1);
    ts_wait_stat(server, calls_ended[MSGSRV_UNIMPLEMENTED], ==, COUNT + 1);
    expect_nothing_but(peer, COUNT + 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_long_unknown_method_is_unimplemented_too)
{
    enum { LENGTH = 12000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    char method[LENGTH + 1];

    memset(method, 'm', LENGTH);
    method[0] = '/';
    method[LENGTH] = '\0';
    ts_put_call(&out, &(ts_call){.id = 1, .method = method});
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_UNIMPLEMENTED);
    expect_nothing_but(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_server_without_services_answers_unimplemented)
{
    ts_setup setup = {.no_service = true};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 1, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_UNIMPLEMENTED);
    ts_expect_refused(server, MSGSRV_REFUSED_METHOD, 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_body_that_does_not_decode_ends_its_call)
{
    static const struct {
        const char *what;
        const char *method;
        const char *body;
        size_t size;
    } bad[] = {
        {"a text that is not UTF-8", TS_ECHO, "\x0a\x02\xc3\x28", 4},
        {"a text with a NUL", TS_ECHO,
         "\x0a\x03"
         "a\0b",
         5},
        {"a text that is cut off", TS_ECHO,
         "\x0a\x7f"
         "abc",
         5},
        {"a varint that is cut off", TS_ADD, "\x08\xff", 2},
        {"a varint of 11 bytes", TS_ADD, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
        {"an unknown varint of 11 bytes before a text that is not UTF-8", TS_ECHO,
         "\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a\x02\xc3\x28", 16},
        {"wire type 7", TS_ADD, "\x0f\x01", 2},
        {"field number 0", TS_ADD, "\x00\x01", 2},
    };
    enum { COUNT = sizeof(bad) / sizeof(*bad) };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);

    for (uint64_t i = 0; i < COUNT; i++) {
        ts_bytes out = {0};
        const ts_frame *end;

        ts_put_call(&out,
                    &(ts_call){.id = i + 1, .method = bad[i].method, .body = bad[i].body, .body_size = bad[i].size});
        ts_peer_send(peer, &out);
        end = ts_expect_frame(peer, TS_END);
        ck_assert_msg(end->id == i + 1 && end->code == MSGSRV_INVALID_ARGUMENT, "%s: id %llu code %u", bad[i].what,
                      (unsigned long long)end->id, end->code);
    }
    ts_expect_refused(server, MSGSRV_REFUSED_DECODE, COUNT);
    expect_nothing_but(peer, COUNT + 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Every code that travels, and a text that is cut at 255 bytes. */
START_TEST(a_handlers_error_arrives_with_its_code_and_text)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    char text[512];

    for (uint32_t code = 1; code < MSGSRV_STATUS_COUNT; code++) {
        snprintf(text, sizeof(text), "!fail %u reason %u", code, code);
        ts_put_call_echo(&out, code, text);
    }
    ts_put_call_echo(&out, 17, "!fail 0 ok is no error");
    ts_put_call_echo(&out, 18, "!fail 17 unknown");
    ts_put_call_echo(&out, 19, "!fail 101 local");
    ts_peer_send(peer, &out);
    for (uint32_t code = 1; code < MSGSRV_STATUS_COUNT; code++) {
        snprintf(text, sizeof(text), "reason %u", code);
        ck_assert_str_eq(ts_expect_end(peer, code, code)->message, text);
        ts_wait_stat(server, calls_ended[code], >=, 1);
    }
    ts_expect_end(peer, 17, MSGSRV_INTERNAL);
    ts_expect_end(peer, 18, MSGSRV_INTERNAL);
    ts_expect_end(peer, 19, MSGSRV_INTERNAL);
    memset(text, 'e', sizeof(text));
    memcpy(text, "!fail 9 ", 8);
    text[sizeof(text) - 1] = '\0';
    ts_put_call_echo(&out, 20, text);
    ts_peer_send(peer, &out);
    ck_assert_uint_eq(strlen(ts_expect_end(peer, 20, 9)->message), 255);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(pings_are_echoed)
{
    unsigned char data[64];
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 5);
    ts_put_field(&out, TS_PING, NULL, 0);
    ts_put_ping(&out, "", 0);
    ts_put_ping(&out, data, 1);
    ts_put_ping(&out, data, sizeof(data));
    ts_peer_send(peer, &out);
    ts_expect_pong(peer, NULL, 0);
    ts_expect_pong(peer, NULL, 0);
    ts_expect_pong(peer, data, 1);
    ts_expect_pong(peer, data, sizeof(data));
    ts_wait_stat(server, pings, ==, 4);
    expect_nothing_but(peer, 1);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * A number that nobody knows yet, from the first to the last, in frames of every size, between calls that go
 * on.
 */
START_TEST(unknown_frames_are_skipped_and_counted)
{
    static const uint32_t numbers[] = {25, 26, 100, 2047, 2048, 262143, 262144, 536870911};
    enum { COUNT = sizeof(numbers) / sizeof(*numbers), BIG = 300000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (uint32_t i = 0; i < COUNT; i++) {
        ts_put_text(&out, numbers[i], "whatever this is");
        ts_put_call_add(&out, i + 1, (int32_t)i, 0);
    }
    ts_put_field(&out, TS_UNKNOWN, NULL, 0);
    ts_put_frame_header(&out, TS_UNKNOWN, BIG);
    ts_put_fill(&out, 0xff, BIG);
    ts_peer_send(peer, &out);
    for (uint32_t i = 0; i < COUNT; i++)
        ts_expect_add(peer, i + 1, (int32_t)i);
    ts_wait_stat(server, frames_without_effect, ==, COUNT + 2);
    expect_nothing_but(peer, 100);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(twenty_thousand_pipelined_calls)
{
    enum { COUNT = 20000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (uint64_t id = 1; id <= COUNT; id++)
        ts_put_call_add(&out, id, (int32_t)id, 1);
    ts_peer_send(peer, &out);
    for (uint64_t id = 1; id <= COUNT; id++)
        ts_expect_add(peer, id, (int32_t)id + 1);
    ts_wait_stat(server, calls_ended[MSGSRV_OK], ==, COUNT);
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_calls", one_call_to_the_byte, an_empty_reply_is_a_body_of_no_bytes, fields_come_in_any_order,
        unknown_fields_of_a_frame_are_skipped, of_a_field_that_comes_twice_the_last_one_counts,
        ids_may_leave_gaps_up_to_the_last, calls_are_answered_as_they_finish, a_deadline_that_passes_is_exactly_one_end,
        deadlines_are_each_calls_own, cancel_is_answered_with_exactly_one_end,
        frames_of_ids_that_are_not_open_are_skipped_and_counted, head_from_a_client_is_skipped,
        a_streaming_call_of_a_unary_method_is_refused_by_its_kind, a_streaming_call_with_a_body_is_an_invalid_argument,
        items_and_ends_of_a_unary_call_end_it, credit_of_a_unary_call_changes_nothing, unknown_methods_are_unimplemented,
        a_long_unknown_method_is_unimplemented_too, a_server_without_services_answers_unimplemented,
        a_body_that_does_not_decode_ends_its_call, a_handlers_error_arrives_with_its_code_and_text, pings_are_echoed,
        unknown_frames_are_skipped_and_counted, twenty_thousand_pipelined_calls)
