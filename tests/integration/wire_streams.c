/* SPDX-License-Identifier: MIT */
/*
 * Streams against exact bytes (docs/protocol.md: kinds, credit, half-close, end of input, drain). The handlers are those of
 * test.Streams (support/streams.h). Output under back-pressure is in wire_streams_output.c.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "suite.h"

enum { WINDOW_ITEMS = 64, WINDOW_BYTES = 256 * 1024, LIMIT = 4096 };

static ts_streams streams;
static ts_server *server;
static ts_peer *peer;
static ts_bytes out;

static void start_with(msgsrv_server_options options)
{
    server = ts_server_new(&(ts_setup){.options = options, .streams = &streams});
    peer = ts_server_connect(server);
    out = (ts_bytes){0};
}

static void start(void)
{
    start_with((msgsrv_server_options){0});
}

/* Whatever a test did, nothing of it is left, and each stream that began has ended. */
static void finish(void)
{
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_wait_stat(server, streams_open, ==, 0);
    ts_wait_stat(server, stream_input_items, ==, 0);
    ts_wait_stat(server, stream_input_bytes, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_server_free(server);
    ck_assert_uint_eq(streams.begun, streams.closed);
}

static void put_open(uint64_t id, const char *method)
{
    ts_put_call(&out, &(ts_call){.id = id, .method = method, .streaming = true});
}

static void put_count(uint64_t id, const char *request)
{
    ts_put_call(&out, &(ts_call){.id = id, .method = TS_COUNT, .body = request, .body_size = strlen(request)});
}

static void put_text(uint64_t id, const char *text)
{
    ts_put_item(&out, id, text, strlen(text));
}

static void put_items(uint64_t id, size_t size, unsigned count)
{
    ts_bytes body = {0};

    ts_put_fill(&body, 'i', size);
    while (count--)
        ts_put_item(&out, id, size ? body.data : (const unsigned char *)"", size);
    ts_bytes_release(&body);
}

static void send_out(void)
{
    ts_peer_send(peer, &out);
}

static const ts_frame *expect_item_(uint64_t id)
{
    const ts_frame *frame = ts_expect_frame_(peer, TS_ITEM);

    TS_CHECK(frame->id == id, "expected an Item of id %llu, got one of id %llu", (unsigned long long)id,
             (unsigned long long)frame->id);
    return frame;
}
#define expect_item(id) (TS_HERE, expect_item_(id))

static void expect_items_(uint64_t id, unsigned count)
{
    while (count--)
        (void)expect_item_(id);
}
#define expect_items(id, count) (TS_HERE, expect_items_(id, count))

static void expect_text_(uint64_t id, const char *text)
{
    const ts_frame *frame = expect_item_(id);

    TS_CHECK(frame->body_size == strlen(text) && memcmp(frame->body, text, frame->body_size) == 0,
             "expected the message '%s', got '%.*s'", text, (int)frame->body_size, (const char *)frame->body);
}
#define expect_text(id, text) (TS_HERE, expect_text_(id, text))

static void expect_answer_(uint64_t id, const char *text)
{
    const ts_frame *frame = ts_expect_end_(peer, id, 0);

    TS_CHECK(frame->has_body && frame->body_size == strlen(text) && memcmp(frame->body, text, frame->body_size) == 0,
             "expected the reply '%s', got '%.*s'", text, (int)frame->body_size, (const char *)frame->body);
}
#define expect_answer(id, text) (TS_HERE, expect_answer_(id, text))

/* The End of a stream of messages: success, and nothing in it. */
static void expect_done_(uint64_t id)
{
    TS_CHECK(!ts_expect_end_(peer, id, 0)->has_body, "the End of a stream of messages has a body");
}
#define expect_done(id) (TS_HERE, expect_done_(id))

static void expect_credit_(uint64_t id, uint32_t items, uint32_t bytes)
{
    const ts_frame *frame = ts_expect_frame_(peer, TS_CREDIT);

    TS_CHECK(frame->id == id && frame->items == items && frame->bytes == bytes,
             "expected a Credit of id %llu, %u items and %u bytes; got id %llu, %u and %u", (unsigned long long)id,
             items, bytes, (unsigned long long)frame->id, frame->items, frame->bytes);
}
#define expect_credit(id, items, bytes) (TS_HERE, expect_credit_(id, items, bytes))

/* The connection goes on as if nothing had happened. */
static void expect_goes_on_(uint64_t id)
{
    put_open(id, TS_CHAT);
    put_text(id, "still there");
    ts_put_end(&out, id);
    send_out();
    expect_text_(id, "still there");
    expect_done_(id);
}
#define expect_goes_on(id) (TS_HERE, expect_goes_on_(id))

/* ---- kinds ---- */

START_TEST(a_server_streaming_call_byte_by_byte)
{
    static const char call[] = "\x82\x01\x1c\x08\x01\x12\x13/test.Streams/Count\x7a\x03"
                               "2 3";
    static const char items[] = "\x8a\x01\x07\x08\x01\x7a\x03xxx\x8a\x01\x07\x08\x01\x7a\x03xxx\x92\x01\x02\x08\x01";
    ts_bytes expected = {0};

    start();
    ts_peer_send_raw(peer, call, sizeof(call) - 1);
    ts_put(&expected, items, sizeof(items) - 1);
    ts_expect_bytes(peer, &expected);
    ts_wait_stat(server, items_sent, ==, 2);
    ts_wait_stat(server, calls_ended[MSGSRV_OK], ==, 1);
    ts_expect_nothing_refused(server);
    ts_bytes_release(&expected);
    finish();
}
END_TEST

START_TEST(a_client_streaming_call_byte_by_byte)
{
    static const char call[] = "\x82\x01\x17\x08\x01\x12\x11/test.Streams/Sum\x30\x01";
    static const char items[] = "\x8a\x01\x06\x08\x01\x7a\x02hi\x8a\x01\x04\x08\x01\x7a\x00\x92\x01\x02\x08\x01";
    static const char end[] = "\x92\x01\x07\x08\x01\x7a\x03"
                              "2 2";
    ts_bytes expected = {0};

    start();
    ts_peer_send_raw(peer, call, sizeof(call) - 1);
    ts_peer_send_raw(peer, items, sizeof(items) - 1);
    ts_put(&expected, end, sizeof(end) - 1);
    ts_expect_bytes(peer, &expected);
    ts_wait_stat(server, items_received, ==, 2);
    ts_expect_nothing_refused(server);
    ts_bytes_release(&expected);
    finish();
}
END_TEST

START_TEST(a_bidirectional_call_byte_by_byte)
{
    static const char sent[] = "\x82\x01\x18\x08\x01\x12\x12/test.Streams/Chat\x30\x01\x8a\x01\x06\x08\x01\x7a\x02hi"
                               "\x92\x01\x02\x08\x01";
    static const char back[] = "\x8a\x01\x06\x08\x01\x7a\x02hi\x92\x01\x02\x08\x01";
    ts_bytes expected = {0};

    start();
    ts_peer_send_raw(peer, sent, sizeof(sent) - 1);
    ts_put(&expected, back, sizeof(back) - 1);
    ts_expect_bytes(peer, &expected);
    ts_wait_stat(server, items_received, ==, 1);
    ts_wait_stat(server, items_sent, ==, 1);
    ts_expect_nothing_refused(server);
    ts_bytes_release(&expected);
    finish();
}
END_TEST

/* An Item without a body is a message of no bytes; one without an id belongs to nothing. */
START_TEST(an_item_without_a_body_is_an_empty_message)
{
    start();
    put_open(1, TS_SUM);
    send_out();
    ts_peer_send_raw(peer, "\x8a\x01\x02\x08\x01\x8a\x01\x02\x7a\x00\x92\x01\x02\x08\x01", 15);
    expect_answer(1, "1 0");
    ts_wait_stat(server, frames_without_effect, ==, 1);
    finish();
}
END_TEST

START_TEST(a_flag_that_does_not_fit_is_refused_by_the_kinds_name)
{
    static const struct {
        const char *method;
        bool streaming;
        const char *body;
        uint32_t code;
        const char *says;
    } cases[] = {
        {TS_ADD, true, NULL, MSGSRV_UNIMPLEMENTED, " unary"},
        {TS_COUNT, true, NULL, MSGSRV_UNIMPLEMENTED, "server-streaming"},
        {TS_SUM, false, NULL, MSGSRV_UNIMPLEMENTED, "client-streaming"},
        {TS_SUM, false, "x", MSGSRV_UNIMPLEMENTED, "client-streaming"},
        {TS_CHAT, false, NULL, MSGSRV_UNIMPLEMENTED, "bidirectional"},
        {TS_CHAT, true, "x", MSGSRV_INVALID_ARGUMENT, "body"},
        {TS_SUM, true, "", MSGSRV_INVALID_ARGUMENT, "body"},
        {TS_COUNT, true, "x", MSGSRV_INVALID_ARGUMENT, "body"},
    };
    enum { COUNT = sizeof(cases) / sizeof(*cases) };

    start();
    for (size_t i = 0; i < COUNT; i++) {
        const char *body = cases[i].body;

        ts_put_call(&out, &(ts_call){.id = i + 1,
                                     .method = cases[i].method,
                                     .streaming = cases[i].streaming,
                                     .body = body,
                                     .body_size = body ? strlen(body) : 0});
        send_out();
        ck_assert_ptr_nonnull(strstr(ts_expect_end(peer, i + 1, cases[i].code)->message, cases[i].says));
    }
    ts_expect_refused(server, MSGSRV_REFUSED_STREAMING, COUNT);
    ck_assert_uint_eq(ts_streams_get(&streams, begun), 0);
    expect_goes_on(COUNT + 1);
    finish();
}
END_TEST

/* What is wrong is found before the method is begun, so its handler hears nothing of the call. */
START_TEST(a_stream_that_is_refused_never_begins)
{
    static const ts_pair bad = {"Bad Key", "v", 1};
    static const ts_pair require = {"msgsrv-require", "v", 1};
    const ts_pair *pairs[] = {&bad, &require};
    static const uint32_t codes[] = {MSGSRV_INVALID_ARGUMENT, MSGSRV_UNIMPLEMENTED};

    start();
    for (size_t i = 0; i < 2; i++) {
        ts_put_call(
            &out,
            &(ts_call){.id = i + 1, .method = TS_CHAT, .streaming = true, .metadata = pairs[i], .metadata_count = 1});
        send_out();
        ts_expect_end(peer, i + 1, codes[i]);
    }
    ts_put_call(&out, &(ts_call){.id = 3, .method = TS_TYPED_COUNT, .body = "\x0a\x05x", .body_size = 3});
    send_out();
    ts_expect_end(peer, 3, MSGSRV_INVALID_ARGUMENT);
    ts_expect_refused(server, MSGSRV_REFUSED_DECODE, 1);
    ts_expect_refused(server, MSGSRV_REFUSED_METADATA, 2);
    ck_assert_uint_eq(ts_streams_get(&streams, begun), 0);
    ck_assert_uint_eq(ts_streams_get(&streams, closed), 0);
    expect_goes_on(4);
    finish();
}
END_TEST

START_TEST(handlers_fail_finish_and_reply_when_they_like)
{
    start();
    put_open(1, TS_CHAT);
    put_text(1, "!fail 5");
    put_open(2, TS_CHAT);
    put_text(2, "a");
    put_text(2, "!finish");
    put_open(3, TS_SUM);
    put_text(3, "!reply");
    put_open(4, TS_SUM);
    put_text(4, "!fail 9");
    put_count(5, "2 1 6");
    send_out();
    ck_assert_str_eq(ts_expect_end(peer, 1, MSGSRV_NOT_FOUND)->message, "as asked");
    expect_text(2, "a");
    expect_done(2);
    expect_answer(3, "early");
    ts_expect_end(peer, 4, MSGSRV_FAILED_PRECONDITION);
    expect_items(5, 2);
    ck_assert(!ts_expect_end(peer, 5, MSGSRV_ALREADY_EXISTS)->has_body);
    finish();
}
END_TEST

/* ---- credit to the server ---- */

START_TEST(a_server_sends_64_items_at_first_and_one_more_for_each_credit)
{
    start();
    put_count(1, "70 10");
    send_out();
    expect_items(1, WINDOW_ITEMS);
    ts_barrier(peer);
    for (int i = 0; i < 3; i++) {
        ts_put_credit(&out, 1, 1, 0);
        send_out();
        expect_item(1);
        ts_barrier(peer);
    }
    ts_put_credit(&out, 1, 2, 0);
    send_out();
    expect_items(1, 2);
    ts_barrier(peer);
    ts_put_credit(&out, 1, 100, 0);
    send_out();
    expect_item(1);
    expect_done(1);
    ts_wait_stat(server, items_sent, ==, 70);
    ts_wait_stat(server, sends_refused, ==, 5);
    ck_assert_uint_eq(ts_streams_get(&streams, writable), 5);
    finish();
}
END_TEST

/* The last Item that begins above 0 may bring the bytes below it. */
START_TEST(a_server_sends_256_kib_at_first_and_passes_them_once)
{
    start();
    put_count(1, "8 60000");
    send_out();
    expect_items(1, 5); /* 300,000 of 262,144 */
    ts_barrier(peer);
    ts_put_credit(&out, 1, 0, 300000 - WINDOW_BYTES);
    send_out();
    ts_barrier(peer);
    ts_put_credit(&out, 1, 0, 1);
    send_out();
    expect_item(1);
    ts_barrier(peer);
    ts_put_credit(&out, 1, 0, 59999);
    send_out();
    ts_barrier(peer);
    ts_put_credit(&out, 1, 0, 60001);
    send_out();
    expect_items(1, 2);
    expect_done(1);
    finish();
}
END_TEST

START_TEST(a_call_grants_what_it_says)
{
    static const struct {
        ts_call call;
        unsigned items;
    } cases[] = {
        {{.credit = 3}, 3},
        {{.no_credit = true}, 0},
        {{.no_credit_bytes = true}, 0},
        {{.no_credit = true, .credit_bytes = 1000}, 0},
        {{.credit = 5, .no_credit_bytes = true}, 0},
        {{.credit_bytes = 1}, 1},
        {{.credit_bytes = 10}, 1},
        {{.credit_bytes = 11}, 2},
        {{.credit = 1, .credit_bytes = 1000}, 1},
        {{.credit = 100}, 80},
        {{.credit = UINT32_MAX, .credit_bytes = UINT32_MAX}, 80},
    };

    start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ts_call call = cases[i].call;

        call.id = i + 1;
        call.method = TS_COUNT;
        call.body = "80 10";
        call.body_size = 5;
        ts_put_call(&out, &call);
        send_out();
        expect_items(call.id, cases[i].items);
        if (cases[i].items < 80) {
            ts_barrier(peer);
            ts_put_cancel(&out, call.id);
            send_out();
            ts_expect_end(peer, call.id, MSGSRV_CANCELLED);
        } else {
            expect_done(call.id);
        }
    }
    finish();
}
END_TEST

/* An end needs no credit. */
START_TEST(without_credit_a_stream_still_ends)
{
    start();
    ts_put_call(
        &out,
        &(ts_call){
            .id = 1, .method = TS_COUNT, .no_credit = true, .no_credit_bytes = true, .body = "0 5", .body_size = 3});
    ts_put_call(&out, &(ts_call){.id = 2, .method = TS_COUNT, .no_credit = true, .body = "0 5 7", .body_size = 5});
    ts_put_call(&out, &(ts_call){.id = 3, .method = TS_CHAT, .streaming = true, .no_credit = true});
    ts_put_end(&out, 3);
    send_out();
    expect_done(1);
    ts_expect_end(peer, 2, MSGSRV_PERMISSION_DENIED);
    expect_done(3);
    finish();
}
END_TEST

START_TEST(credit_saturates)
{
    start();
    ts_put_call(
        &out,
        &(ts_call){
            .id = 1, .method = TS_COUNT, .credit = UINT32_MAX, .no_credit_bytes = true, .body = "300 5", .body_size = 5});
    for (int i = 0; i < 3; i++)
        ts_put_credit(&out, 1, UINT32_MAX, 0);
    ts_put_credit(&out, 1, INT32_MAX, INT32_MAX);
    send_out();
    expect_items(1, 300);
    expect_done(1);
    ts_put_call(&out, &(ts_call){.id = 2, .method = TS_COUNT, .no_credit = true, .body = "300 5", .body_size = 5});
    for (int i = 0; i < 3; i++)
        ts_put_credit(&out, 2, 0, UINT32_MAX);
    ts_put_credit(&out, 2, UINT32_MAX, UINT32_MAX);
    send_out();
    expect_items(2, 300);
    expect_done(2);
    finish();
}
END_TEST

/* ---- credit to the client ---- */

/* The first message, "!pause", is handled, and its credit kept back with the rest of the half window. */
START_TEST(an_item_beyond_the_credit_ends_its_call_alone)
{
    start();
    put_open(1, TS_CHAT);
    put_open(2, TS_CHAT);
    put_text(2, "!pause");
    put_items(2, 3, WINDOW_ITEMS - 1);
    send_out();
    ts_barrier(peer);
    ts_wait_stat(server, stream_input_items, ==, WINDOW_ITEMS - 1);
    put_items(2, 3, 1);
    put_text(1, "unharmed");
    send_out();
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    expect_text(1, "unharmed");
    ts_expect_refused(server, MSGSRV_REFUSED_CREDIT, 1);
    ts_wait_stat(server, stream_input_items, ==, 0);
    ts_streams_wait(&streams, closed, 1);
    ck_assert_int_eq(streams.last_closed, MSGSRV_RESOURCE_EXHAUSTED);
    ts_put_end(&out, 1);
    send_out();
    expect_done(1);
    finish();
}
END_TEST

START_TEST(an_item_beyond_the_credit_of_bytes_too)
{
    start();
    put_open(1, TS_SUM);
    put_text(1, "!pause");
    put_items(1, WINDOW_BYTES - 7, 1); /* one byte is left */
    put_items(1, 100000, 1);
    send_out();
    ts_barrier(peer);
    put_items(1, 0, 1);
    send_out();
    ts_expect_end(peer, 1, MSGSRV_RESOURCE_EXHAUSTED);
    put_open(2, TS_SUM);
    put_text(2, "!pause");
    put_items(2, WINDOW_BYTES - 6, 1); /* none is left */
    put_items(2, 1, 1);
    send_out();
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_CREDIT, 2);
    expect_goes_on(3);
    finish();
}
END_TEST

START_TEST(credit_comes_back_by_half_windows)
{
    start();
    put_open(1, TS_SUM);
    put_items(1, 10, 31);
    send_out();
    ts_barrier(peer);
    put_items(1, 11, 1);
    send_out();
    expect_credit(1, 32, 321);
    put_items(1, WINDOW_BYTES / 2 - 1, 1);
    send_out();
    ts_barrier(peer);
    put_items(1, 1, 1);
    send_out();
    expect_credit(1, 2, WINDOW_BYTES / 2);
    put_items(1, 3 * WINDOW_BYTES, 1);
    send_out();
    expect_credit(1, 1, 3 * WINDOW_BYTES);
    put_items(1, 0, 32);
    send_out();
    expect_credit(1, 32, 0);
    /* Nothing is granted to one who has finished. */
    put_items(1, 5, 20);
    ts_put_end(&out, 1);
    send_out();
    expect_answer(1, "87 917925");
    ts_wait_stat(server, items_received, ==, 87);
    finish();
}
END_TEST

START_TEST(credit_of_kept_messages_does_not_come_back)
{
    start();
    put_open(1, TS_SUM);
    put_text(1, "!keep");
    put_items(1, 10, WINDOW_ITEMS - 1);
    send_out();
    ts_streams_wait(&streams, messages, WINDOW_ITEMS);
    ts_barrier(peer);
    ts_wait_stat(server, stream_input_items, ==, 0);
    ts_streams_resume(&streams);
    expect_credit(1, WINDOW_ITEMS, 5 + 10 * (WINDOW_ITEMS - 1));
    ts_put_end(&out, 1);
    send_out();
    expect_answer(1, "63 630");
    finish();
}
END_TEST

START_TEST(a_paused_stream_holds_its_input_and_its_credit)
{
    start();
    put_open(1, TS_SUM);
    put_text(1, "!pause");
    put_items(1, 10, WINDOW_ITEMS - 1);
    ts_put_end(&out, 1);
    put_open(2, TS_SUM);
    put_text(2, "!pause");
    put_items(2, 10, WINDOW_ITEMS - 1);
    send_out();
    ts_barrier(peer);
    ts_wait_stat(server, stream_input_items, ==, 2 * (WINDOW_ITEMS - 1));
    ts_wait_stat(server, stream_input_bytes, ==, 20 * (WINDOW_ITEMS - 1));
    ck_assert_uint_eq(ts_streams_get(&streams, messages), 2);
    ck_assert_uint_eq(ts_streams_get(&streams, half_closed), 0);
    ts_streams_resume(&streams);
    expect_answer(1, "63 630");
    expect_credit(2, 32, 6 + 310);
    expect_credit(2, 32, 320);
    ts_wait_stat(server, stream_input_bytes, ==, 0);
    ts_put_end(&out, 2);
    send_out();
    expect_answer(2, "63 630");
    finish();
}
END_TEST

/* ---- what does not belong ---- */

START_TEST(nothing_comes_after_the_half_close)
{
    start();
    put_open(1, TS_SUM);
    put_text(1, "!defer");
    ts_put_end(&out, 1);
    put_text(1, "late");
    put_open(2, TS_CHAT);
    put_text(2, "!defer");
    ts_put_end(&out, 2);
    ts_put_end(&out, 2);
    put_open(3, TS_CHAT);
    put_text(3, "!pause");
    ts_put_end(&out, 3);
    put_text(3, "late");
    send_out();
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 2, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 3, MSGSRV_INVALID_ARGUMENT);
    ts_expect_refused(server, MSGSRV_REFUSED_HALF_CLOSED, 3);
    ck_assert_uint_eq(ts_streams_get(&streams, half_closed), 2);
    expect_goes_on(4);
    finish();
}
END_TEST

START_TEST(a_call_with_one_request_has_no_items_and_no_end)
{
    start();
    ts_put_call_echo(&out, 1, "!hold");
    ts_put_call_echo(&out, 2, "!hold");
    put_count(3, "wait");
    put_count(4, "wait");
    send_out();
    ts_demo_wait_held(server->demo, 2);
    put_text(1, "no");
    ts_put_end(&out, 2);
    put_text(3, "no");
    ts_put_end(&out, 4);
    send_out();
    for (uint64_t id = 1; id <= 4; id++)
        ts_expect_end(peer, id, MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_CANCELLED);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 1), MSGSRV_CANCELLED);
    ts_streams_wait(&streams, closed, 2);
    ck_assert_int_eq(streams.last_closed, MSGSRV_INVALID_ARGUMENT);
    expect_goes_on(5);
    finish();
}
END_TEST

START_TEST(credit_that_means_nothing_is_counted)
{
    start();
    ts_put_call_echo(&out, 1, "!hold");
    put_open(2, TS_SUM);
    put_count(3, "wait");
    ts_put_credit(&out, 1, 1, 1);
    ts_put_credit(&out, 2, 1, 1);
    ts_put_credit(&out, 3, 0, 0);
    ts_put_credit(&out, 4, 1, 1);
    ts_put_credit(&out, 3, 1, 1); /* this one has an effect */
    ts_put_cancel(&out, 3);
    ts_put_end(&out, 2);
    send_out();
    ts_expect_end(peer, 3, MSGSRV_CANCELLED);
    expect_answer(2, "0 0");
    ts_wait_stat(server, frames_without_effect, ==, 4);
    ts_demo_wait_held(server->demo, 1);
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 1, "!hold");
    finish();
}
END_TEST

START_TEST(frames_of_a_call_that_is_over_are_skipped)
{
    start();
    put_open(1, TS_CHAT);
    put_text(1, "!finish");
    put_text(1, "late");
    ts_put_end(&out, 1);
    ts_put_cancel(&out, 1);
    ts_put_credit(&out, 1, 1, 1);
    put_text(7, "never opened");
    ts_put_end(&out, 7);
    send_out();
    expect_done(1);
    ts_barrier(peer);
    ts_wait_stat(server, frames_without_effect, ==, 6);
    ts_expect_nothing_refused(server);
    expect_goes_on(2);
    finish();
}
END_TEST

START_TEST(frames_of_calls_that_are_over_are_bounded)
{
    start_with((msgsrv_server_options){.idle_frames_per_second = 10});
    put_open(1, TS_CHAT);
    put_text(1, "!finish");
    for (int i = 0; i < 2000; i++)
        put_text(1, "late");
    (void)ts_peer_try_send(peer, out.data, out.size);
    ts_bytes_release(&out);
    expect_done(1);
    ts_expect_go_away(peer, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_IDLE_FRAMES, 1);
    finish();
}
END_TEST

/* ---- limits ---- */

START_TEST(an_item_over_the_message_limit_ends_its_call_alone)
{
    start_with((msgsrv_server_options){.max_message = LIMIT});
    put_open(1, TS_SUM);
    put_items(1, LIMIT, 1);
    ts_put_end(&out, 1);
    put_open(2, TS_SUM);
    put_items(2, LIMIT + 1, 1);
    put_open(3, TS_SUM);
    put_items(3, 200000, 1); /* longer than a frame may be: skipped as it comes */
    put_items(3, 5, 1);
    put_open(4, TS_CHAT);
    send_out();
    expect_answer(1, "1 4096");
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end(peer, 3, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_MESSAGE_SIZE, 2);
    /* The End comes before the rest of the message. */
    ts_put_frame_header(&out, TS_ITEM, 100000);
    ts_put_uint(&out, 1, 4);
    ts_put_frame_header(&out, 15, 100000 - 2 - 4);
    send_out();
    ts_expect_end(peer, 4, MSGSRV_RESOURCE_EXHAUSTED);
    ts_put_fill(&out, 'r', 100000 - 2 - 4);
    /* One of a call that is over is skipped too. */
    put_items(4, 70000, 1);
    put_open(5, TS_CHAT);
    put_text(5, "unharmed");
    send_out();
    expect_text(5, "unharmed");
    ts_expect_refused(server, MSGSRV_REFUSED_MESSAGE_SIZE, 3);
    ts_wait_stat(server, frames_without_effect, ==, 2);
    ts_put_end(&out, 5);
    send_out();
    expect_done(5);
    finish();
}
END_TEST

START_TEST(an_item_that_does_not_decode_ends_its_call_alone)
{
    ts_bytes hi = {0};

    start();
    ts_put_echo_message(&hi, "hi");
    put_open(1, TS_TYPED_CHAT);
    ts_put_item(&out, 1, hi.data, hi.size);
    ts_put_item(&out, 1, "\x0a\x05no", 4);
    ts_put_item(&out, 1, hi.data, hi.size);
    put_open(2, TS_TYPED_CHAT);
    ts_put_item(&out, 2, "\x0a\x01\xff", 3);
    send_out();
    expect_item(1);
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 2, MSGSRV_INVALID_ARGUMENT);
    ck_assert_uint_eq(ts_streams_get(&streams, messages), 1);
    ts_wait_stat(server, frames_without_effect, ==, 1);
    ts_bytes_release(&hi);
    expect_goes_on(3);
    finish();
}
END_TEST

/* All streams of a connection share the limit of what waits; another connection has its own. */
START_TEST(unread_input_is_bounded)
{
    ts_peer *other, *first;

    start_with((msgsrv_server_options){.max_unread = LIMIT});
    put_open(1, TS_SUM);
    put_text(1, "!pause");
    put_open(2, TS_SUM);
    put_text(2, "!pause");
    put_items(1, 2000, 1);
    put_items(2, LIMIT - 2000, 1);
    put_items(1, 0, 1);
    put_open(3, TS_CHAT);
    put_text(3, "read at once");
    send_out();
    expect_text(3, "read at once");
    ts_wait_stat(server, stream_input_bytes, ==, LIMIT);
    put_items(2, 1, 1);
    send_out();
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_UNREAD, 1);
    ts_wait_stat(server, stream_input_bytes, ==, 2000);
    put_items(1, LIMIT - 2000, 1);
    send_out();
    ts_barrier(peer);
    ts_wait_stat(server, stream_input_bytes, ==, LIMIT);
    first = peer;
    peer = other = ts_server_connect(server);
    put_open(1, TS_SUM);
    put_text(1, "!pause");
    put_items(1, LIMIT, 1);
    send_out();
    ts_barrier(peer);
    ts_wait_stat(server, stream_input_bytes, ==, 2 * LIMIT);
    ts_peer_free(other);
    ts_wait_stat(server, stream_input_bytes, ==, LIMIT);
    peer = first;
    ts_put_end(&out, 1);
    ts_put_end(&out, 3);
    send_out();
    expect_done(3);
    ts_streams_resume(&streams);
    expect_answer(1, "3 4096");
    finish();
}
END_TEST

START_TEST(open_streams_count_as_open_calls)
{
    start_with((msgsrv_server_options){.max_calls = 2});
    put_open(1, TS_CHAT);
    put_count(2, "wait");
    put_open(3, TS_CHAT);
    ts_put_cancel(&out, 2);
    put_open(4, TS_CHAT);
    ts_put_end(&out, 4);
    ts_put_end(&out, 1);
    send_out();
    ts_expect_end(peer, 3, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_end(peer, 2, MSGSRV_CANCELLED);
    expect_done(4);
    expect_done(1);
    ts_expect_refused(server, MSGSRV_REFUSED_OPEN_CALLS, 1);
    finish();
}
END_TEST

/* ---- metadata, deadline, cancel ---- */

static void expect_key_(const ts_frame *frame, const char *value)
{
    const ts_entry *entry = ts_frame_find(frame, "key");

    TS_CHECK(entry && entry->size == strlen(value) && memcmp(entry->value, value, entry->size) == 0,
             "expected the metadata 'key: %s'", value);
}
#define expect_key(frame, value) (TS_HERE, expect_key_(frame, value))

START_TEST(head_metadata_comes_before_the_first_item_or_the_end)
{
    start();
    put_open(1, TS_CHAT);
    put_text(1, "!head first");
    send_out();
    ts_barrier(peer); /* it waits for the first message */
    put_text(1, "a");
    put_text(1, "b");
    put_text(1, "!trailer last");
    ts_put_end(&out, 1);
    send_out();
    ck_assert_uint_eq(ts_expect_frame(peer, TS_HEAD)->id, 1);
    expect_key(&peer->frame, "first");
    expect_text(1, "a");
    expect_text(1, "b");
    expect_key(ts_expect_end(peer, 1, 0), "last");
    put_open(2, TS_CHAT);
    put_text(2, "!head only");
    ts_put_end(&out, 2);
    send_out();
    ck_assert_uint_eq(ts_expect_frame(peer, TS_HEAD)->id, 2);
    expect_key(&peer->frame, "only");
    expect_done(2);
    put_open(3, TS_SUM);
    put_text(3, "!head of a reply");
    ts_put_end(&out, 3);
    send_out();
    ck_assert_uint_eq(ts_expect_frame(peer, TS_HEAD)->id, 3);
    expect_answer(3, "0 0");
    /* Too late: the handler passes on what the library says. */
    put_open(4, TS_CHAT);
    put_text(4, "a");
    put_text(4, "!head late");
    send_out();
    expect_text(4, "a");
    ts_expect_end(peer, 4, MSGSRV_FAILED_PRECONDITION);
    finish();
}
END_TEST

START_TEST(cancel_and_deadline_end_a_stream_once)
{
    start();
    put_open(1, TS_CHAT);
    put_text(1, "!pause");
    put_text(1, "never read");
    ts_put_cancel(&out, 1);
    ts_put_cancel(&out, 1);
    send_out();
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ts_streams_wait(&streams, closed, 1);
    ck_assert_int_eq(streams.last_closed, MSGSRV_CANCELLED);
    ts_put_call(&out, &(ts_call){.id = 2, .method = TS_CHAT, .streaming = true, .timeout_ms = 1});
    send_out();
    ts_expect_end(peer, 2, MSGSRV_DEADLINE_EXCEEDED);
    ts_streams_wait(&streams, closed, 2);
    ck_assert_int_eq(streams.last_closed, MSGSRV_DEADLINE_EXCEEDED);
    ts_put_call(&out, &(ts_call){.id = 3, .method = TS_COUNT, .body = "all 10", .body_size = 6, .timeout_ms = 1});
    send_out();
    expect_items(3, WINDOW_ITEMS);
    ts_expect_end(peer, 3, MSGSRV_DEADLINE_EXCEEDED);
    expect_goes_on(4);
    finish();
}
END_TEST

/* ---- the end of the connection ---- */

START_TEST(at_the_end_of_input_only_what_is_whole_is_answered)
{
    start();
    put_open(1, TS_CHAT);
    put_open(2, TS_SUM);
    put_count(3, "wait");
    put_count(4, "all 10");
    put_open(5, TS_SUM);
    put_text(5, "!pause");
    put_text(5, "whole");
    ts_put_end(&out, 5);
    put_open(6, TS_CHAT);
    put_text(6, "!defer");
    ts_put_end(&out, 6); /* it could go on, but not be given credit */
    ts_put_call_echo(&out, 7, "!hold");
    send_out();
    expect_items(4, WINDOW_ITEMS);
    ts_demo_wait_held(server->demo, 1);
    ts_peer_half_close(peer);
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ts_expect_end(peer, 2, MSGSRV_CANCELLED);
    ts_expect_end(peer, 3, MSGSRV_CANCELLED);
    ts_expect_end(peer, 4, MSGSRV_CANCELLED);
    ts_expect_end(peer, 6, MSGSRV_CANCELLED);
    ts_streams_wait(&streams, closed, 5);
    ts_streams_resume(&streams);
    expect_answer(5, "1 5");
    ts_demo_release(server->demo, 0);
    ts_expect_echo(peer, 7, "!hold");
    ts_expect_end_of_input(peer);
    finish();
}
END_TEST

START_TEST(a_lost_connection_closes_its_streams)
{
    start();
    put_open(1, TS_CHAT);
    put_text(1, "!pause");
    put_items(1, 100, 20);
    put_count(2, "all 10");
    put_open(3, TS_SUM);
    send_out();
    expect_items(2, WINDOW_ITEMS);
    ts_streams_wait(&streams, begun, 3);
    ts_peer_reset(peer);
    peer = NULL;
    ts_streams_wait(&streams, closed, 3);
    ck_assert_int_eq(streams.last_closed, MSGSRV_CANCELLED);
    ts_wait_stat(server, stream_input_items, ==, 0);
    finish();
}
END_TEST

START_TEST(a_protocol_error_closes_its_streams)
{
    start();
    put_open(1, TS_CHAT);
    put_count(2, "wait");
    send_out();
    ts_peer_send_raw(peer, "\x80\x01", 2);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT)->last_id, 2);
    ts_expect_end_of_input(peer);
    ts_streams_wait(&streams, closed, 2);
    ck_assert_int_eq(streams.last_closed, MSGSRV_CANCELLED);
    finish();
}
END_TEST

static void expect_stopped(void)
{
    msgsrv_error error = {0};

    ck_assert_int_eq(msgsrv_server_wait(server->handle, &error), MSGSRV_OK);
    ts_wait_stat(server, streams_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
    ck_assert_uint_eq(streams.begun, streams.closed);
}

START_TEST(a_drain_lets_open_streams_finish)
{
    start();
    put_count(1, "wait");
    put_open(3, TS_CHAT);
    put_open(4, TS_SUM);
    send_out();
    ts_streams_wait(&streams, begun, 3);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_UNAVAILABLE)->last_id, 4);
    ck_assert_uint_eq(ts_streams_get(&streams, draining), 2); /* Sum does not count them */
    put_open(5, TS_CHAT);
    put_text(5, "skipped");
    put_text(3, "still here");
    put_items(4, 10, 40);
    send_out();
    expect_text(3, "still here");
    expect_credit(4, 32, 320);
    ts_expect_refused(server, MSGSRV_REFUSED_DRAINING, 1);
    ts_wait_stat(server, frames_without_effect, ==, 1);
    ts_put_end(&out, 3);
    ts_put_end(&out, 4);
    ts_put_cancel(&out, 1);
    send_out();
    expect_done(3);
    expect_answer(4, "40 400");
    ts_expect_end(peer, 1, MSGSRV_CANCELLED);
    ts_expect_end_of_input(peer);
    expect_stopped();
}
END_TEST

START_TEST(after_the_grace_streams_are_cancelled)
{
    start();
    put_count(1, "wait");
    put_open(2, TS_CHAT);
    send_out();
    ts_streams_wait(&streams, begun, 2);
    msgsrv_server_drain(server->handle, 1);
    ts_expect_go_away(peer, MSGSRV_UNAVAILABLE);
    ts_expect_gone(peer);
    ts_streams_wait(&streams, closed, 2);
    ck_assert_int_eq(streams.last_closed, MSGSRV_CANCELLED);
    expect_stopped();
}
END_TEST

/* ---- in pieces, and beside others ---- */

START_TEST(frames_come_in_pieces)
{
    for (size_t chunk = 1; chunk <= 7; chunk += 6) {
        start();
        put_open(1, TS_CHAT);
        put_text(1, "one");
        put_count(2, "2 3");
        put_items(1, 300, 1);
        ts_put_credit(&out, 2, 1, 1);
        ts_put_end(&out, 1);
        ts_put_credit(&out, 1, 1, 1);
        ts_send_in_chunks(server, peer, &out, chunk);
        ts_bytes_release(&out);
        expect_text(1, "one");
        expect_items(2, 2);
        expect_done(2);
        ck_assert_uint_eq(expect_item(1)->body_size, 300);
        expect_done(1);
        ts_wait_stat(server, frames_without_effect, ==, 2);
        finish();
    }
}
END_TEST

START_TEST(plain_messages_and_streams_share_a_connection)
{
    start();
    put_open(1, TS_CHAT);
    ts_put_plain_echo(&out, "!hold");
    put_text(1, "a");
    ts_put_plain_add(&out, 1, 2);
    put_count(2, "3 3");
    send_out();
    expect_text(1, "a");
    expect_items(2, 3);
    expect_done(2);
    ts_demo_wait_held(server->demo, 1);
    ts_demo_release(server->demo, 0);
    ts_expect_plain_echo(peer, "!hold");
    ts_expect_plain_add(peer, 3);
    put_text(1, "b");
    ts_put_end(&out, 1);
    ts_put_plain_add(&out, 3, 4);
    send_out();
    expect_text(1, "b");
    expect_done(1);
    ts_expect_plain_add(peer, 7);
    finish();
}
END_TEST

/* A method that streams cannot be a plain message's. */
START_TEST(a_streaming_method_is_not_bound_to_plain_messages)
{
    msgsrv_error error = {0};

    server = ts_server_new(&(ts_setup){.streams = &streams, .not_started = true});
    ck_assert_int_ne(msgsrv_server_bind_plain(server->handle, 5, TS_CHAT, 5, &error), MSGSRV_OK);
    ck_assert_uint_gt(strlen(error.text), 0);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_streams", a_server_streaming_call_byte_by_byte, a_client_streaming_call_byte_by_byte,
        a_bidirectional_call_byte_by_byte, an_item_without_a_body_is_an_empty_message,
        a_flag_that_does_not_fit_is_refused_by_the_kinds_name, a_stream_that_is_refused_never_begins,
        handlers_fail_finish_and_reply_when_they_like, a_server_sends_64_items_at_first_and_one_more_for_each_credit,
        a_server_sends_256_kib_at_first_and_passes_them_once, a_call_grants_what_it_says,
        without_credit_a_stream_still_ends, credit_saturates, an_item_beyond_the_credit_ends_its_call_alone,
        an_item_beyond_the_credit_of_bytes_too, credit_comes_back_by_half_windows,
        credit_of_kept_messages_does_not_come_back, a_paused_stream_holds_its_input_and_its_credit,
        nothing_comes_after_the_half_close, a_call_with_one_request_has_no_items_and_no_end,
        credit_that_means_nothing_is_counted, frames_of_a_call_that_is_over_are_skipped,
        frames_of_calls_that_are_over_are_bounded, an_item_over_the_message_limit_ends_its_call_alone,
        an_item_that_does_not_decode_ends_its_call_alone, unread_input_is_bounded, open_streams_count_as_open_calls,
        head_metadata_comes_before_the_first_item_or_the_end, cancel_and_deadline_end_a_stream_once,
        at_the_end_of_input_only_what_is_whole_is_answered, a_lost_connection_closes_its_streams,
        a_protocol_error_closes_its_streams, a_drain_lets_open_streams_finish, after_the_grace_streams_are_cancelled,
        frames_come_in_pieces, plain_messages_and_streams_share_a_connection,
        a_streaming_method_is_not_bound_to_plain_messages)
