/* SPDX-License-Identifier: MIT */
/* The client's end of streams against a scripted server: exact bytes, frames in odd orders, and what must not be sent to a client. */
#include "api_client_frame.h"
#include "api_support.h"
#include "peer.h"
#include "streams.h"

enum { WINDOW_ITEMS = 64, LIMIT = 4096 };

static ts_listener listener;
static msgsrv_client *client;
static ts_peer *peer;
static ts_bytes out;

/* One stream with events, and what it was told. */
typedef struct watcher {
    api_event begun;
    api_event messages;
    api_event writable;
    api_event closed;
    unsigned to_send; /* it sends so many messages, as it may */
    size_t size;      /* of each */
    bool endless;
    bool finish;       /* and then finishes */
    unsigned pause_at; /* pauses in that message */
    atomic_uint sent;
    msgsrv_stream *stream;
    msgsrv_status status;
    bool from_peer;
    bool had_reply;
    char text[MSGSRV_ERROR_TEXT];
    char last[64]; /* the last message, or the reply */
    char head[32];
    char trailer[32];
} watcher;

static void keep_text(char *text, size_t room, const void *data, size_t size)
{
    snprintf(text, room, "%.*s", (int)(size < room ? size : room - 1), (const char *)data);
}

static void keep_entry(char *text, size_t room, const msgsrv_metadata_set *set)
{
    size_t size = 0;
    const void *value = set ? msgsrv_metadata_find(set, "key", &size) : NULL;
    if (value)
        keep_text(text, room, value, size);
}

static void send_some(watcher *own, msgsrv_stream *stream)
{
    char body[65536];
    memset(body, 's', sizeof body);
    while (own->endless || own->to_send) {
        msgsrv_status status = msgsrv_stream_send(stream, &(msgsrv_bytes){body, own->size, NULL}, NULL);
        if (status == MSGSRV_AGAIN)
            return;
        ck_assert_int_eq(status, MSGSRV_OK);
        atomic_fetch_add(&own->sent, 1);
        own->to_send -= own->endless ? 0 : 1;
    }
    if (own->finish)
        ck_assert_int_eq(msgsrv_stream_finish(stream), MSGSRV_OK);
    own->finish = false;
}

static void take_end(watcher *own, const msgsrv_reply *reply, const msgsrv_bytes *response)
{
    own->status = reply->status;
    own->from_peer = reply->error->from_peer;
    keep_text(own->text, sizeof own->text, reply->error->text, strlen(reply->error->text));
    own->had_reply = response != NULL;
    if (response)
        keep_text(own->last, sizeof own->last, response->data, response->size);
    keep_entry(own->head, sizeof own->head, reply->head);
    keep_entry(own->trailer, sizeof own->trailer, reply->trailer);
}

static msgsrv_status watch(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *response, void *ctx)
{
    watcher *own = *(watcher *const *)implementation;
    (void)ctx;
    ck_assert_uint_eq(api_event_count(&own->closed), 0);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        own->stream = stream;
        send_some(own, stream);
        api_event_add(&own->begun);
        break;
    case MSGSRV_STREAM_MESSAGE:
        keep_text(own->last, sizeof own->last, ((const msgsrv_bytes *)in)->data, ((const msgsrv_bytes *)in)->size);
        if (api_event_count(&own->messages) + 1 == own->pause_at)
            msgsrv_stream_pause(stream);
        api_event_add(&own->messages);
        break;
    case MSGSRV_STREAM_WRITABLE:
        send_some(own, stream);
        api_event_add(&own->writable);
        break;
    case MSGSRV_STREAM_WOKEN:
        msgsrv_stream_resume(stream);
        break;
    case MSGSRV_STREAM_CLOSED:
        take_end(own, in, response);
        api_event_add(&own->closed);
        break;
    default:
        ck_abort_msg("event %d", (int)event);
    }
    return MSGSRV_OK;
}

/* Set-up. */

static void start_with(msgsrv_client_options options)
{
    options.thread = true;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    ts_listener_open(&listener);
    client = api_client_of(listener.url, &options);
    peer = NULL;
}

static void start(void)
{
    start_with((msgsrv_client_options){0});
}

static void finish(void)
{
    msgsrv_client_free(client);
    ts_peer_free(peer);
    ts_listener_close(&listener);
}

static void open_with(watcher *own, const msgsrv_method *method, const char *request, const msgsrv_call_options *options)
{
    msgsrv_error error;
    msgsrv_bytes bytes = {request, request ? strlen(request) : 0, NULL};
    api_event_init(&own->begun);
    api_event_init(&own->messages);
    api_event_init(&own->writable);
    api_event_init(&own->closed);
    api_ok(msgsrv_stream_open(client, method, request ? &bytes : NULL, options, watch, &own, sizeof own, NULL, NULL,
                              &error),
           &error);
}

/* The next frame of the client's, which must be of that call. */
static const ts_frame *expect_at(uint32_t number, uint64_t id, int line)
{
    const ts_frame *frame = api_client_frame_at(peer, number, __FILE__, line);
    ck_assert_msg(frame->id == id, "line %d: a %s of call %llu, not %llu", line, ts_frame_name(number),
                  (unsigned long long)frame->id, (unsigned long long)id);
    return frame;
}
#define expect(number, id) expect_at(number, id, __LINE__)

/* Opens one, and reads its Call. */
static void begin_with(watcher *own, const msgsrv_method *method, const char *request,
                       const msgsrv_call_options *options, uint64_t id)
{
    open_with(own, method, request, options);
    if (!peer)
        peer = ts_listener_accept(&listener);
    (void)expect(TS_CALL, id);
    api_event_wait(&own->begun, 1);
}

static void begin(watcher *own, const msgsrv_method *method, const char *request, uint64_t id)
{
    begin_with(own, method, request, NULL, id);
}

static void send_out(void)
{
    ts_peer_send(peer, &out);
}

static void put_text(uint64_t id, const char *text)
{
    ts_put_item(&out, id, text, strlen(text));
}

static void end_with(uint64_t id, uint32_t code)
{
    ts_put_end_status(&out, id, code, code ? "said the server" : NULL, NULL, 0);
    send_out();
}

static void expect_closed_at(watcher *own, msgsrv_status status, int line)
{
    api_event_wait_at(&own->closed, 1, "closed", __FILE__, line);
    ck_assert_msg(own->status == status, "line %d: %s (%s), not %s", line, msgsrv_status_name(own->status), own->text,
                  msgsrv_status_name(status));
}
#define expect_closed(own, status) expect_closed_at(own, status, __LINE__)

/* The connection is whole: a unary call goes through, with the next id. */
static void expect_goes_on(uint64_t id)
{
    api_result result;
    ts_bytes body = {0};
    api_start_add(client, NULL, &result);
    (void)expect(TS_CALL, id);
    ts_put_add_response(&body, 5);
    ts_put_end_status(&out, id, 0, NULL, body.data, body.size);
    send_out();
    ts_bytes_release(&body);
    api_event_wait(&result.ended, 1);
    api_expect(MSGSRV_OK, result.status, NULL);
    api_result_clear(&result);
}

static void expect_client_bytes(const void *bytes, size_t size)
{
    ts_peer_fill(peer, size);
    ck_assert_uint_ge(peer->in.size - peer->taken, size);
    ck_assert_mem_eq(peer->in.data + peer->taken, bytes, size);
    peer->taken += size;
}
#define EXPECT_CLIENT_BYTES(bytes) expect_client_bytes(bytes, sizeof(bytes) - 1)

/* ---- what the client sends ---- */

START_TEST(calls_byte_by_byte)
{
    watcher count = {0};
    watcher chat = {.to_send = 2, .size = 2, .finish = true};
    watcher granting = {0};
    msgsrv_call_options options = {.size = sizeof options, .receive_items = 5, .receive_bytes = 100};
    start();
    open_with(&count, &ts_count_method, "2 3", NULL);
    peer = ts_listener_accept(&listener);
    EXPECT_CLIENT_BYTES("\x82\x01\x1c\x08\x01\x12\x13/test.Streams/Count\x7a\x03"
                        "2 3");
    open_with(&chat, &ts_chat_method, NULL, NULL);
    EXPECT_CLIENT_BYTES("\x82\x01\x18\x08\x02\x12\x12/test.Streams/Chat\x30\x01\x8a\x01\x06\x08\x02\x7a\x02ss"
                        "\x8a\x01\x06\x08\x02\x7a\x02ss\x92\x01\x02\x08\x02");
    open_with(&granting, &ts_chat_method, NULL, &options);
    EXPECT_CLIENT_BYTES("\x82\x01\x1c\x08\x03\x12\x12/test.Streams/Chat\x28\x05\x30\x01\x38\x64");
    end_with(1, 0);
    end_with(2, 0);
    end_with(3, 0);
    expect_closed(&count, MSGSRV_OK);
    expect_closed(&chat, MSGSRV_OK);
    expect_closed(&granting, MSGSRV_OK);
    expect_goes_on(4);
    finish();
}
END_TEST

START_TEST(a_client_sends_64_items_at_first_and_one_more_for_each_credit)
{
    watcher own = {.to_send = 70, .size = 10, .finish = true};
    start();
    begin(&own, &ts_sum_method, NULL, 1);
    for (int i = 0; i < WINDOW_ITEMS; i++)
        (void)expect(TS_ITEM, 1);
    for (int i = 0; i < 3; i++) {
        ts_put_credit(&out, 1, 1, 0);
        send_out();
        (void)expect(TS_ITEM, 1);
    }
    expect_goes_on(2); /* and no Item was before its Call */
    api_event_wait(&own.writable, 3);
    ck_assert_uint_eq(own.sent, 67);
    for (int i = 0; i < 3; i++)
        ts_put_credit(&out, 1, UINT32_MAX, UINT32_MAX);
    send_out();
    for (int i = 0; i < 3; i++)
        (void)expect(TS_ITEM, 1);
    (void)expect(TS_END, 1);
    ts_put_end_status(&out, 1, 0, NULL, "70", 2);
    send_out();
    expect_closed(&own, MSGSRV_OK);
    ck_assert_str_eq(own.last, "70");
    ck_assert_uint_eq(api_event_count(&own.writable), 4);
    finish();
}
END_TEST

START_TEST(a_client_passes_256_kib_once)
{
    watcher own = {.to_send = 8, .size = 60000};
    start();
    begin(&own, &ts_sum_method, NULL, 1);
    for (int i = 0; i < 5; i++)
        (void)expect(TS_ITEM, 1);
    ts_put_credit(&out, 1, 0, 300000 - 256 * 1024);
    ts_put_credit(&out, 1, 10, 0);
    send_out();
    expect_goes_on(2);
    ts_put_credit(&out, 1, 0, 1);
    send_out();
    (void)expect(TS_ITEM, 1);
    expect_goes_on(3);
    end_with(1, 0);
    expect_closed(&own, MSGSRV_OK);
    finish();
}
END_TEST

START_TEST(a_client_gives_credit_back_by_half_windows)
{
    watcher own = {0};
    const ts_frame *credit;
    start();
    begin_with(&own, &ts_count_method, "x",
               &(msgsrv_call_options){.size = sizeof(msgsrv_call_options), .receive_items = 4, .receive_bytes = 1000},
               1);
    put_text(1, "a");
    send_out();
    expect_goes_on(2);
    put_text(1, "bcd");
    send_out();
    credit = expect(TS_CREDIT, 1);
    ck_assert_uint_eq(credit->items, 2);
    ck_assert_uint_eq(credit->bytes, 4);
    ts_put_item(&out, 1, own.text, 0);
    end_with(1, 0);
    expect_closed(&own, MSGSRV_OK);
    ck_assert_uint_eq(api_event_count(&own.messages), 3);
    expect_goes_on(3);
    finish();
}
END_TEST

/* ---- what the server sends ---- */

START_TEST(head_items_and_end_are_told_in_order)
{
    static const ts_pair head = {"key", "early", 5};
    watcher own = {0};
    ts_bytes inside = {0};
    start();
    begin(&own, &ts_count_method, "x", 1);
    ts_put_head(&out, 1, &head, 1);
    put_text(1, "one");
    put_text(1, "two");
    ts_put_uint(&inside, 1, 1);
    ts_put_metadata(&inside, 4, &(ts_pair){"key", "late", 4});
    ts_put_field(&out, TS_END, inside.data, inside.size);
    ts_bytes_release(&inside);
    for (size_t i = 0; i < out.size; i++) /* byte by byte */
        ts_peer_send_raw(peer, out.data + i, 1);
    ts_bytes_release(&out);
    expect_closed(&own, MSGSRV_OK);
    ck_assert_uint_eq(api_event_count(&own.messages), 2);
    ck_assert_str_eq(own.last, "two");
    ck_assert_str_eq(own.head, "early");
    ck_assert_str_eq(own.trailer, "late");
    expect_goes_on(2);
    finish();
}
END_TEST

START_TEST(frames_of_no_open_call_are_skipped)
{
    watcher own = {0};
    start();
    begin(&own, &ts_count_method, "x", 1);
    ts_put_credit(&out, 1, 5, 5); /* it sends nothing */
    put_text(9, "of nobody");
    ts_put_end(&out, 9);
    ts_put_credit(&out, 9, 1, 1);
    ts_put_head(&out, 9, NULL, 0);
    put_text(0, "without an id");
    put_text(1, "mine");
    ts_put_end(&out, 1);
    put_text(1, "late");
    ts_put_end(&out, 1);
    ts_put_credit(&out, 1, 1, 1);
    send_out();
    expect_closed(&own, MSGSRV_OK);
    ck_assert_uint_eq(api_event_count(&own.messages), 1);
    expect_goes_on(2);
    finish();
}
END_TEST

START_TEST(an_item_for_a_call_with_one_reply_is_the_servers_mistake)
{
    api_result result;
    watcher sum = {0};
    start();
    begin(&sum, &ts_sum_method, NULL, 1);
    put_text(1, "no");
    send_out();
    expect_closed(&sum, MSGSRV_INTERNAL);
    ck_assert(!sum.from_peer);
    (void)expect(TS_CANCEL, 1);
    api_start_add(client, NULL, &result);
    (void)expect(TS_CALL, 2);
    put_text(2, "no");
    send_out();
    api_event_wait(&result.ended, 1);
    ck_assert_int_eq(result.status, MSGSRV_INTERNAL);
    (void)expect(TS_CANCEL, 2);
    end_with(2, 0); /* of the cancelled call: discarded */
    expect_goes_on(3);
    api_result_clear(&result);
    finish();
}
END_TEST

START_TEST(an_item_beyond_the_credit_ends_its_call)
{
    watcher items = {.pause_at = 1};
    watcher bytes = {.pause_at = 1};
    start();
    begin_with(&items, &ts_count_method, "x",
               &(msgsrv_call_options){.size = sizeof(msgsrv_call_options), .receive_items = 4}, 1);
    begin_with(&bytes, &ts_count_method, "x",
               &(msgsrv_call_options){.size = sizeof(msgsrv_call_options), .receive_bytes = 10}, 2);
    for (int i = 0; i < 4; i++)
        put_text(1, "ok");
    put_text(2, "four");
    put_text(2, "five+");
    put_text(2, "and far over what is left");
    send_out();
    expect_goes_on(3);
    put_text(1, "no");
    put_text(2, "no");
    send_out();
    expect_closed(&items, MSGSRV_RESOURCE_EXHAUSTED);
    expect_closed(&bytes, MSGSRV_RESOURCE_EXHAUSTED);
    (void)expect(TS_CANCEL, 1);
    (void)expect(TS_CANCEL, 2);
    expect_goes_on(4);
    finish();
}
END_TEST

START_TEST(an_item_over_the_message_limit_ends_its_call)
{
    static const size_t sizes[] = {LIMIT + 1, 100000};
    ts_bytes big = {0};
    start_with((msgsrv_client_options){.max_message = LIMIT});
    ts_put_fill(&big, 'b', 100000);
    for (uint64_t i = 0; i < 2; i++) {
        watcher own = {0};
        begin(&own, &ts_count_method, "x", 2 * i + 1);
        ts_put_item(&out, 2 * i + 1, big.data, LIMIT);
        ts_put_item(&out, 2 * i + 1, big.data, sizes[i]);
        put_text(2 * i + 1, "late");
        send_out();
        expect_closed(&own, MSGSRV_RESOURCE_EXHAUSTED);
        ck_assert_uint_eq(api_event_count(&own.messages), 1);
        (void)expect(TS_CANCEL, 2 * i + 1);
        expect_goes_on(2 * i + 2);
    }
    ts_bytes_release(&big);
    finish();
}
END_TEST

static msgsrv_status watch_typed(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event,
                                 const void *in, void *response, void *ctx)
{
    watcher *own = *(watcher *const *)implementation;
    (void)stream, (void)ctx;
    if (event == MSGSRV_STREAM_MESSAGE)
        api_event_add(&own->messages);
    else if (event == MSGSRV_STREAM_CLOSED) {
        take_end(own, in, response);
        api_event_add(&own->closed);
    }
    return MSGSRV_OK;
}

static void put_hi(uint64_t id)
{
    ts_bytes body = {0};
    ts_put_echo_message(&body, "hi");
    ts_put_item(&out, id, body.data, body.size);
    ts_bytes_release(&body);
}

START_TEST(an_item_that_does_not_decode_ends_its_call)
{
    watcher own = {0};
    watcher *closure = &own;
    msgsrv_error error;
    start();
    api_event_init(&own.messages);
    api_event_init(&own.closed);
    api_ok(msgsrv_stream_open(client, &ts_typed_chat_method, NULL, NULL, watch_typed, &closure, sizeof closure, NULL,
                              NULL, &error),
           &error);
    peer = ts_listener_accept(&listener);
    (void)expect(TS_CALL, 1);
    put_hi(1);
    ts_put_item(&out, 1, "\x0a\x05no", 4);
    put_hi(1);
    ts_put_end(&out, 1);
    send_out();
    expect_closed(&own, MSGSRV_INTERNAL);
    ck_assert_uint_eq(api_event_count(&own.messages), 1);
    (void)expect(TS_CANCEL, 1);
    expect_goes_on(2);
    finish();
}
END_TEST

START_TEST(the_reply_of_a_client_streaming_call_is_in_its_end)
{
    watcher full = {.to_send = 1, .size = 1};
    watcher empty = {0};
    watcher failed = {0};
    watcher strange = {0};
    start();
    begin(&full, &ts_sum_method, NULL, 1);
    (void)expect(TS_ITEM, 1);
    ts_put_end_status(&out, 1, 0, NULL, "early", 5); /* before the client has finished */
    send_out();
    expect_closed(&full, MSGSRV_OK);
    ck_assert(full.had_reply);
    ck_assert_str_eq(full.last, "early");
    begin(&empty, &ts_sum_method, NULL, 2);
    end_with(2, 0);
    expect_closed(&empty, MSGSRV_OK);
    ck_assert(empty.had_reply);
    ck_assert_str_eq(empty.last, "");
    begin(&failed, &ts_sum_method, NULL, 3);
    ts_put_end_status(&out, 3, MSGSRV_ABORTED, "conflict", "body", 4);
    send_out();
    expect_closed(&failed, MSGSRV_ABORTED);
    ck_assert(!failed.had_reply);
    ck_assert(failed.from_peer);
    ck_assert_str_eq(failed.text, "conflict");
    begin(&strange, &ts_sum_method, NULL, 4);
    end_with(4, 99);
    expect_closed(&strange, MSGSRV_UNKNOWN);
    expect_goes_on(5); /* and nothing of the streams was sent after their ends */
    finish();
}
END_TEST

/* ---- connections that end ---- */

static void next_connection(void)
{
    ts_peer_free(peer);
    peer = ts_listener_accept(&listener);
}

/* Of one that has sent something nothing was kept, so it cannot be repeated; the others are. */
START_TEST(what_a_leaving_server_did_not_take_goes_out_again)
{
    watcher unsent = {0};
    watcher finished = {.finish = true};
    watcher sent = {.to_send = 1, .size = 3};
    watcher count = {0};
    watcher taken = {0};
    start();
    begin(&taken, &ts_count_method, "x", 1);
    begin(&unsent, &ts_chat_method, NULL, 2);
    begin(&finished, &ts_sum_method, NULL, 3);
    (void)expect(TS_END, 3);
    begin(&sent, &ts_chat_method, NULL, 4);
    (void)expect(TS_ITEM, 4);
    begin(&count, &ts_count_method, "y", 5);
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "leaving", 1);
    send_out();
    expect_closed(&sent, MSGSRV_UNAVAILABLE);
    put_text(1, "still served");
    end_with(1, 0);
    expect_closed(&taken, MSGSRV_OK);
    ck_assert_str_eq(taken.last, "still served");
    next_connection();
    (void)expect(TS_CALL, 1);
    (void)expect(TS_CALL, 2);
    (void)expect(TS_END, 2);
    (void)expect(TS_CALL, 3);
    ts_put_end(&out, 1);
    ts_put_end_status(&out, 2, 0, NULL, "sum", 3);
    put_text(3, "again");
    ts_put_end(&out, 3);
    send_out();
    expect_closed(&unsent, MSGSRV_OK);
    expect_closed(&finished, MSGSRV_OK);
    expect_closed(&count, MSGSRV_OK);
    ck_assert_str_eq(finished.last, "sum");
    ck_assert_str_eq(count.last, "again");
    ck_assert_uint_eq(api_event_count(&unsent.begun), 1);
    expect_goes_on(4);
    finish();
}
END_TEST

/* A call that nobody answers: when it has ended, the client's loop has turned. It takes an id. */
static void turn_of_the_client(void)
{
    api_result result;
    api_start_add(client, &(msgsrv_call_options){.timeout_ms = 1}, &result);
    api_event_wait(&result.ended, 1);
}

/* A refused send is promised a writable, on whatever connection the call goes out in the end. */
START_TEST(a_stream_that_waited_for_room_is_told_on_the_next_connection)
{
    watcher bulk = {.endless = true, .size = 65536};
    watcher waits = {.to_send = 1, .size = 5, .finish = true};
    start();
    begin(&bulk, &ts_chat_method, NULL, 1);
    peer->deaf = true;
    for (int i = 0; i < 3; i++)
        ts_put_credit(&out, 1, INT32_MAX, INT32_MAX);
    send_out();
    /* Until the socket is full and the stream stands in line, so that the next one does too. */
    uint64_t id = 1;
    for (unsigned before = 1, now = 0; before != now;) {
        before = now;
        for (int turn = 0; turn < 20; turn++, id++)
            turn_of_the_client();
        now = atomic_load(&bulk.sent);
    }
    open_with(&waits, &ts_chat_method, NULL, NULL);
    api_event_wait(&waits.begun, 1);
    ck_assert_uint_eq(waits.sent, 0);
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "leaving", id);
    send_out();
    ts_peer *first = peer;
    peer = ts_listener_accept(&listener);
    (void)expect(TS_CALL, 1);
    (void)expect(TS_ITEM, 1);
    (void)expect(TS_END, 1);
    end_with(1, 0);
    expect_closed(&waits, MSGSRV_OK);
    ck_assert_uint_eq(api_event_count(&waits.writable), 1);
    ts_peer_free(first);
    finish();
}
END_TEST

START_TEST(a_lost_connection_ends_its_streams)
{
    for (int reset = 0; reset < 2; reset++) {
        watcher count = {0};
        watcher sum = {.to_send = 1, .size = 3};
        watcher chat = {.pause_at = 1};
        start();
        begin(&count, &ts_count_method, "x", 1);
        begin(&sum, &ts_sum_method, NULL, 2);
        (void)expect(TS_ITEM, 2);
        begin(&chat, &ts_chat_method, NULL, 3);
        put_text(1, "one");
        put_text(3, "two");
        put_text(3, "waits");
        send_out();
        api_event_wait(&chat.messages, 1);
        api_event_wait(&count.messages, 1);
        if (reset)
            ts_peer_reset(peer);
        else
            ts_peer_free(peer);
        expect_closed(&count, MSGSRV_UNAVAILABLE);
        expect_closed(&sum, MSGSRV_UNAVAILABLE);
        expect_closed(&chat, MSGSRV_UNAVAILABLE);
        ck_assert_uint_eq(api_event_count(&chat.messages), 1);
        api_result result;
        api_start_add(client, NULL, &result);
        peer = ts_listener_accept(&listener);
        (void)expect(TS_CALL, 1);
        finish();
        api_result_clear(&result);
    }
}
END_TEST

START_TEST(a_connection_that_ends_inside_an_item_loses_it)
{
    watcher own = {0};
    start();
    begin(&own, &ts_count_method, "x", 1);
    put_text(1, "whole");
    ts_peer_send_raw(peer, out.data, out.size);
    ts_peer_send_raw(peer, out.data, out.size - 2);
    ts_bytes_release(&out);
    ts_peer_free(peer);
    peer = NULL;
    expect_closed(&own, MSGSRV_UNAVAILABLE);
    ck_assert_uint_eq(api_event_count(&own.messages), 1);
    finish();
}
END_TEST

START_TEST(a_deadline_cancels_at_the_server_too)
{
    watcher own = {.to_send = 1, .size = 1};
    start();
    open_with(&own, &ts_chat_method, NULL, &(msgsrv_call_options){.timeout_ms = 50});
    peer = ts_listener_accept(&listener);
    ck_assert_uint_gt(expect(TS_CALL, 1)->items, 0); /* its timeout */
    expect_closed(&own, MSGSRV_DEADLINE_EXCEEDED);
    (void)expect(TS_ITEM, 1);
    (void)expect(TS_CANCEL, 1);
    put_text(1, "late");
    end_with(1, 0);
    expect_goes_on(2);
    finish();
}
END_TEST

START_TEST(an_end_behind_waiting_messages_is_told_after_them)
{
    watcher own = {.pause_at = 1};
    start();
    begin(&own, &ts_count_method, "x", 1);
    for (int i = 0; i < 5; i++)
        put_text(1, "m");
    end_with(1, MSGSRV_DATA_LOSS);
    expect_goes_on(2);
    ck_assert_uint_eq(api_event_count(&own.messages), 1);
    ck_assert_uint_eq(api_event_count(&own.closed), 0);
    msgsrv_stream_wake(own.stream);
    expect_closed(&own, MSGSRV_DATA_LOSS);
    ck_assert_uint_eq(api_event_count(&own.messages), 5);
    ck_assert_str_eq(own.text, "said the server");
    finish();
}
END_TEST

/* ---- synchronous ---- */

static msgsrv_stream *open_sync(const msgsrv_method *method, const void *request, uint64_t id)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    api_ok(msgsrv_stream_open(client, method, request, NULL, NULL, NULL, 0, &stream, NULL, &error), &error);
    if (!peer)
        peer = ts_listener_accept(&listener);
    (void)expect(TS_CALL, id);
    return stream;
}

static bool read_one(msgsrv_stream *stream)
{
    msgsrv_bytes message = {0};
    bool found = msgsrv_stream_read(stream, &message);
    if (found)
        msgsrv_message_release(&msgsrv_raw_type, &message);
    return found;
}

START_TEST(a_synchronous_stream_reads_what_came_before_the_end)
{
    msgsrv_error error = {0};
    msgsrv_bytes request = {"x", 1, NULL};
    start();
    msgsrv_stream *stream = open_sync(&ts_count_method, &request, 1);
    for (int i = 0; i < 3; i++)
        put_text(1, "m");
    end_with(1, MSGSRV_ABORTED);
    expect_goes_on(2); /* all of it has been received */
    for (int i = 0; i < 3; i++)
        ck_assert(read_one(stream));
    ck_assert(!read_one(stream));
    ck_assert(!read_one(stream));
    api_expect(MSGSRV_ABORTED, msgsrv_stream_close(stream, NULL, &error), &error);
    ck_assert_str_eq(error.text, "said the server");
    finish();
}
END_TEST

/* Whether the end has come by then or not, a message that does not decode is not passed over. */
START_TEST(a_synchronous_stream_does_not_lose_a_message_in_silence)
{
    for (int ended = 0; ended < 2; ended++) {
        msgsrv_error error = {0};
        messages_EchoMessage request = messages_EchoMessage_init_zero;
        messages_EchoMessage message = messages_EchoMessage_init_zero;
        start();
        msgsrv_stream *stream = open_sync(&ts_typed_count_method, &request, 1);
        put_hi(1);
        ts_put_item(&out, 1, "\x0a\x05no", 4);
        put_hi(1);
        if (ended)
            ts_put_end(&out, 1);
        send_out();
        expect_goes_on(2);
        ck_assert(msgsrv_stream_read(stream, &message));
        messages_EchoMessage_release(&message);
        ck_assert(!msgsrv_stream_read(stream, &message));
        ck_assert(!msgsrv_stream_read(stream, &message));
        api_expect(MSGSRV_INTERNAL, msgsrv_stream_close(stream, NULL, &error), &error);
        if (!ended)
            (void)expect(TS_CANCEL, 1);
        expect_goes_on(3);
        finish();
    }
}
END_TEST

START_TEST(a_synchronous_stream_and_what_must_not_come)
{
    static const struct {
        unsigned items;
        size_t size;
        msgsrv_status status;
    } cases[] = {{WINDOW_ITEMS + 1, 1, MSGSRV_RESOURCE_EXHAUSTED}, {1, LIMIT + 1, MSGSRV_RESOURCE_EXHAUSTED}};
    ts_bytes body = {0};
    ts_put_fill(&body, 'b', LIMIT + 1);
    for (size_t i = 0; i < 2; i++) {
        msgsrv_error error = {0};
        msgsrv_bytes request = {"x", 1, NULL};
        start_with((msgsrv_client_options){.max_message = LIMIT});
        msgsrv_stream *stream = open_sync(&ts_count_method, &request, 1);
        for (unsigned k = 0; k < cases[i].items; k++)
            ts_put_item(&out, 1, body.data, cases[i].size);
        send_out();
        (void)expect(TS_CANCEL, 1);
        ck_assert(!read_one(stream));
        api_expect(cases[i].status, msgsrv_stream_close(stream, NULL, &error), &error);
        expect_goes_on(2);
        finish();
    }
    ts_bytes_release(&body);
}
END_TEST

typedef struct reader {
    api_event begun;
    msgsrv_stream *stream;
    bool found;
} reader;

static void *read_in_a_thread(void *arg)
{
    reader *own = arg;
    messages_EchoMessage message = messages_EchoMessage_init_zero;
    api_event_add(&own->begun);
    own->found = msgsrv_stream_read(own->stream, &message);
    return NULL;
}

/* The thread that waits is let go once. */
START_TEST(a_message_that_does_not_decode_ends_a_read_that_waits)
{
    msgsrv_error error = {0};
    messages_EchoMessage request = messages_EchoMessage_init_zero;
    pthread_t thread;
    start();
    for (uint64_t id = 1; id <= 20; id++) {
        reader own = {.stream = open_sync(&ts_typed_count_method, &request, id)};
        api_event_init(&own.begun);
        ck_assert_int_eq(pthread_create(&thread, NULL, read_in_a_thread, &own), 0);
        api_event_wait(&own.begun, 1);
        if (id % 2)
            ts_nap(); /* either before or while it waits */
        ts_put_item(&out, id, "\x0a\x05no", 4);
        send_out();
        pthread_join(thread, NULL);
        ck_assert(!own.found);
        (void)expect(TS_CANCEL, id);
        api_expect(MSGSRV_INTERNAL, msgsrv_stream_close(own.stream, NULL, &error), &error);
    }
    finish();
}
END_TEST

START_TEST(a_synchronous_stream_of_a_lost_connection)
{
    msgsrv_error error = {0};
    msgsrv_bytes reply = {0};
    start();
    msgsrv_stream *stream = open_sync(&ts_sum_method, NULL, 1);
    api_ok(msgsrv_stream_write(stream, &(msgsrv_bytes){"a", 1, NULL}, &error), &error);
    (void)expect(TS_ITEM, 1);
    ts_peer_reset(peer);
    peer = NULL;
    msgsrv_status status;
    while ((status = msgsrv_stream_write(stream, &(msgsrv_bytes){"b", 1, NULL}, &error)) == MSGSRV_OK)
        continue;
    api_expect(MSGSRV_UNAVAILABLE, status, &error);
    api_expect(MSGSRV_UNAVAILABLE, msgsrv_stream_close(stream, &reply, &error), &error);
    finish();
}
END_TEST

TS_MAIN("wire_streams_client", a_message_that_does_not_decode_ends_a_read_that_waits, calls_byte_by_byte,
        a_client_sends_64_items_at_first_and_one_more_for_each_credit, a_client_passes_256_kib_once,
        a_client_gives_credit_back_by_half_windows, head_items_and_end_are_told_in_order,
        frames_of_no_open_call_are_skipped, an_item_for_a_call_with_one_reply_is_the_servers_mistake,
        an_item_beyond_the_credit_ends_its_call, an_item_over_the_message_limit_ends_its_call,
        an_item_that_does_not_decode_ends_its_call, the_reply_of_a_client_streaming_call_is_in_its_end,
        what_a_leaving_server_did_not_take_goes_out_again, a_stream_that_waited_for_room_is_told_on_the_next_connection,
        a_lost_connection_ends_its_streams, a_connection_that_ends_inside_an_item_loses_it,
        a_deadline_cancels_at_the_server_too, an_end_behind_waiting_messages_is_told_after_them,
        a_synchronous_stream_reads_what_came_before_the_end, a_synchronous_stream_does_not_lose_a_message_in_silence,
        a_synchronous_stream_and_what_must_not_come, a_synchronous_stream_of_a_lost_connection)
