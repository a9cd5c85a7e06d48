/* SPDX-License-Identifier: MIT */
/*
 * A client against servers that misbehave: scripted peers on raw sockets. Whatever comes, each call ends exactly once, a broken
 * connection is given up, and the next call works.
 */
#include <poll.h>

#include "api_client_frame.h"
#include "api_support.h"
#include "peer.h"

/* A client with a thread of its own and the listener that it calls. */
struct stage {
    ts_listener listener;
    msgsrv_client *client;
    ts_peer *peer;
    uint64_t id; /* of the last call read */
};

static void stage_open(struct stage *stage, const msgsrv_client_options *more)
{
    msgsrv_client_options options = {0};
    if (more != NULL)
        options = *more;
    options.thread = true;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 2;
    memset(stage, 0, sizeof *stage);
    ts_listener_open(&stage->listener);
    stage->client = api_client_of(stage->listener.url, &options);
}

static void stage_close(struct stage *stage)
{
    msgsrv_client_free(stage->client);
    ts_peer_free(stage->peer);
    ts_listener_close(&stage->listener);
}

/* Waits for a connection, in the place of the one before. */
static void stage_accept(struct stage *stage)
{
    ts_peer_free(stage->peer);
    stage->peer = ts_listener_accept(&stage->listener);
}

static void stage_read_call(struct stage *stage)
{
    const ts_frame *call = api_client_frame(stage->peer, TS_CALL);
    ck_assert_uint_gt(call->id, stage->id);
    stage->id = call->id;
}

static void put_sum(ts_bytes *out, uint64_t id, int32_t sum)
{
    ts_bytes body = {0};
    ts_put_add_response(&body, sum);
    ts_put_end_status(out, id, 0, NULL, body.data, body.size);
    ts_bytes_release(&body);
}

static void stage_send(struct stage *stage, ts_bytes *out)
{
    ts_peer_send(stage->peer, out);
    ts_bytes_release(out);
}

static void stage_answer(struct stage *stage, int32_t sum)
{
    ts_bytes out = {0};
    put_sum(&out, stage->id, sum);
    stage_send(stage, &out);
}

/* Starts a sum and reads its frame; the first one is preceded by the connection. */
static void stage_call(struct stage *stage, api_result *result)
{
    api_start_add(stage->client, &(msgsrv_call_options){.wait_for_ready = true}, result);
    if (stage->peer == NULL)
        stage_accept(stage);
    stage_read_call(stage);
}

static void expect_result(api_result *result, msgsrv_status status)
{
    api_event_wait(&result->ended, 1);
    api_expect_at(status, result->status, NULL, result->text, __FILE__, __LINE__);
    ck_assert_int_eq(result->had_response, status == MSGSRV_OK);
}

/* The connection still works. */
static void expect_goes_on(struct stage *stage)
{
    api_result result;
    stage_call(stage, &result);
    stage_answer(stage, 5);
    expect_result(&result, MSGSRV_OK);
    ck_assert_int_eq(result.sum, 5);
}

/* The client has given the connection up, and the next one works. */
static void expect_new_connection(struct stage *stage)
{
    api_result result;
    api_start_add(stage->client, &(msgsrv_call_options){.wait_for_ready = true}, &result);
    stage_accept(stage);
    stage->id = 0;
    stage_read_call(stage);
    stage_answer(stage, 5);
    expect_result(&result, MSGSRV_OK);
}

/* ---- what breaks the connection ---- */

/* One call is open when these bytes come, and nothing after them. */
static void break_with(const void *bytes, size_t size, const char *what)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_peer_send_raw(stage.peer, bytes, size);
    api_event_wait_at(&result.ended, 1, what, __FILE__, __LINE__);
    ck_assert_msg(result.status == MSGSRV_UNAVAILABLE, "%s: %s", what, msgsrv_status_name(result.status));
    ck_assert_uint_gt(strlen(result.text), 0);
    expect_new_connection(&stage);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    stage_close(&stage);
}

#define BREAK_WITH(bytes, what) break_with(bytes, sizeof(bytes) - 1, what)

START_TEST(bytes_that_are_no_frames_end_the_connection)
{
    BREAK_WITH("HTTP/1.1 400 Bad Request\r\n\r\n", "a HTTP answer");
    BREAK_WITH("\x90\x01\x05", "wire type 0");
    BREAK_WITH("\x91\x01\1\2\3\4\5\6\7\10", "wire type 1");
    BREAK_WITH("\x93\x01", "wire type 3");
    BREAK_WITH("\2\0", "field number 0");
    BREAK_WITH("\x92\x81\x00\x00", "a tag that is not minimal");
    BREAK_WITH("\x92\x01\x80\x00", "a length that is not minimal");
    BREAK_WITH("\x92\x01\xff\xff\xff\xff\xff\x01", "a length of six bytes");
    BREAK_WITH("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a tag without an end");
}
END_TEST

START_TEST(frames_that_do_not_decode_end_the_connection)
{
    BREAK_WITH("\x92\x01\x02\x08\x80", "an id that is cut off");
    BREAK_WITH("\x92\x01\x03\x1a\x05z", "a message that is longer than its frame");
    BREAK_WITH("\xba\x01\x02\x12\x05", "a GoAway whose text is cut off");
    BREAK_WITH("\x0a\x00", "a plain message that nobody asked for");
}
END_TEST

START_TEST(a_text_that_is_not_utf8_ends_the_connection)
{
    static const char goaway[] = "\xba\x01\x05\x08\x0e\x12\x01\xff";
    BREAK_WITH(goaway, "a GoAway with a broken text");
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_bytes out = {0};
    ts_put_end_status(&out, stage.id, 5, "broken \xff", NULL, 0);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_UNAVAILABLE);
    expect_new_connection(&stage);
    stage_close(&stage);
}
END_TEST

START_TEST(half_a_frame_and_then_the_end_is_unavailable)
{
    ts_bytes whole = {0};
    put_sum(&whole, 1, 5);
    for (size_t cut = 0; cut < whole.size; cut++) {
        struct stage stage;
        api_result result;
        stage_open(&stage, NULL);
        stage_call(&stage, &result);
        ck_assert_uint_eq(stage.id, 1);
        ts_peer_send_raw(stage.peer, whole.data, cut);
        if (cut % 2)
            ts_peer_reset(stage.peer);
        else
            ts_peer_free(stage.peer);
        stage.peer = NULL;
        expect_result(&result, MSGSRV_UNAVAILABLE);
        stage_close(&stage);
    }
    ts_bytes_release(&whole);
}
END_TEST

START_TEST(a_length_that_nobody_may_send_ends_the_connection_before_it_came)
{
    BREAK_WITH("\x92\x01\xff\xff\xff\xff\x07", "an End of 2 GiB");
    BREAK_WITH("\x92\x01\x81\x80\x81\x20", "an End over 64 MiB and 16 KiB");
    BREAK_WITH("\xba\x01\x80\x80\x80\x20", "a GoAway of 64 MiB");
    BREAK_WITH("\x92\x01\x80\x80\xc0\x02\x12", "an End of 5 MiB that does not begin with its id");
}
END_TEST

/* ---- what is passed over ---- */

START_TEST(a_reply_one_byte_at_a_time_is_a_reply)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_bytes out = {0};
    put_sum(&out, stage.id, -7);
    for (size_t i = 0; i < out.size; i++)
        ts_peer_send_raw(stage.peer, out.data + i, 1);
    ts_bytes_release(&out);
    expect_result(&result, MSGSRV_OK);
    ck_assert_int_eq(result.sum, -7);
    stage_close(&stage);
}
END_TEST

START_TEST(replies_for_calls_that_are_not_open_are_passed_over)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_bytes out = {0};
    put_sum(&out, 0, 1);
    put_sum(&out, stage.id + 1, 2);
    put_sum(&out, UINT64_MAX, 3);
    ts_put_head(&out, 999, NULL, 0);
    ts_put_item(&out, 999, "x", 1);
    ts_put_credit(&out, 999, 1, 1);
    ts_put_frame_header(&out, TS_UNKNOWN, 3);
    ts_put(&out, "abc", 3);
    ts_put_frame_header(&out, 500000, 0);
    ts_put_pong(&out, "nobody asked", 12);
    put_sum(&out, stage.id, 5);
    put_sum(&out, stage.id, 6); /* a second end of a call that is over */
    ts_put_head(&out, stage.id, NULL, 0);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_OK);
    ck_assert_int_eq(result.sum, 5);
    expect_goes_on(&stage);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(a_reply_that_comes_after_the_deadline_is_discarded)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    api_start_add(stage.client, &(msgsrv_call_options){.timeout_ms = 80}, &result);
    stage_accept(&stage);
    stage_read_call(&stage);
    expect_result(&result, MSGSRV_DEADLINE_EXCEEDED);
    const ts_frame *cancel = api_client_frame(stage.peer, TS_CANCEL);
    ck_assert_uint_eq(cancel->id, stage.id);
    stage_answer(&stage, 5);
    expect_goes_on(&stage);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(a_cancelled_call_sends_cancel_and_its_reply_is_discarded)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    msgsrv_handle handle = api_start_add(stage.client, NULL, &result);
    stage_accept(&stage);
    stage_read_call(&stage);
    msgsrv_client_cancel(stage.client, handle);
    expect_result(&result, MSGSRV_CANCELLED);
    const ts_frame *cancel = api_client_frame(stage.peer, TS_CANCEL);
    ck_assert_uint_eq(cancel->id, stage.id);
    stage_answer(&stage, 5);
    expect_goes_on(&stage);
    ck_assert_uint_eq(api_event_count(&result.ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(a_servers_ping_is_answered)
{
    struct stage stage;
    api_result result;
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_bytes out = {0};
    ts_put_ping(&out, "are you there", 13);
    ts_put_ping(&out, NULL, 0);
    stage_send(&stage, &out);
    const ts_frame *pong = api_client_frame(stage.peer, TS_PONG);
    ck_assert_uint_eq(pong->body_size, 13);
    ck_assert_mem_eq(pong->body, "are you there", 13);
    pong = api_client_frame(stage.peer, TS_PONG);
    ck_assert_uint_eq(pong->body_size, 0);
    stage_answer(&stage, 5);
    expect_result(&result, MSGSRV_OK);
    stage_close(&stage);
}
END_TEST

/* ---- what ends one call ---- */

START_TEST(an_unknown_code_reads_as_unknown)
{
    static const uint32_t codes[] = {17, 99, 100, 101, UINT32_MAX};
    struct stage stage;
    stage_open(&stage, NULL);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        api_result result;
        ts_bytes out = {0};
        stage_call(&stage, &result);
        ts_put_end_status(&out, stage.id, codes[i], "from the future", NULL, 0);
        stage_send(&stage, &out);
        expect_result(&result, MSGSRV_UNKNOWN);
        api_contains(result.text, "from the future");
        ck_assert(result.from_peer);
    }
    expect_goes_on(&stage);
    stage_close(&stage);
}
END_TEST

START_TEST(a_servers_long_text_is_cut_and_a_bare_code_gets_words)
{
    struct stage stage;
    api_result result;
    ts_bytes out = {0};
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_put_end_status(&out, stage.id, MSGSRV_ABORTED, text, NULL, 0);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_ABORTED);
    ck_assert_uint_eq(strlen(result.text), 255);
    stage_call(&stage, &result);
    ts_put_end_status(&out, stage.id, MSGSRV_NOT_FOUND, NULL, "ignored", 7);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_NOT_FOUND);
    ck_assert_uint_gt(strlen(result.text), 0);
    expect_goes_on(&stage);
    stage_close(&stage);
}
END_TEST

START_TEST(a_reply_that_does_not_decode_ends_its_call_alone)
{
    struct stage stage;
    api_result result;
    ts_bytes out = {0};
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_put_end_status(&out, stage.id, 0, NULL, "\x08\x80", 2);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_INTERNAL);
    ck_assert(!result.from_peer);
    expect_goes_on(&stage);
    stage_close(&stage);
}
END_TEST

START_TEST(a_reply_over_the_limit_ends_its_call_alone_and_is_skipped)
{
    struct stage stage;
    api_result result;
    ts_bytes out = {0};
    static unsigned char body[300000];
    stage_open(&stage, &(msgsrv_client_options){.max_message = 1000});
    stage_call(&stage, &result);
    ts_put_end_status(&out, stage.id, 0, NULL, body, sizeof body);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert(!result.from_peer);
    expect_goes_on(&stage);
    stage_call(&stage, &result);
    ts_put_end_status(&out, stage.id, 0, NULL, body, 1001);
    stage_send(&stage, &out);
    expect_result(&result, MSGSRV_RESOURCE_EXHAUSTED);
    expect_goes_on(&stage);
    stage_close(&stage);
}
END_TEST

/* ---- metadata ---- */

struct heard {
    api_event ended;
    msgsrv_status status;
    size_t head_count;
    size_t trailer_count;
    char first[64];
};

static void hear(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    struct heard *heard = ctx;
    (void)response;
    heard->status = reply->status;
    heard->head_count = msgsrv_metadata_count(reply->head);
    heard->trailer_count = msgsrv_metadata_count(reply->trailer);
    const char *first = msgsrv_metadata_at(reply->trailer, 0).value;
    snprintf(heard->first, sizeof heard->first, "%s", first != NULL ? first : "");
    api_event_add(&heard->ended);
}

static void put_end_metadata(ts_bytes *out, uint64_t id, const ts_pair *pairs, size_t count)
{
    ts_bytes inside = {0};
    ts_put_uint(&inside, 1, id);
    for (size_t i = 0; i < count; i++)
        ts_put_metadata(&inside, 4, &pairs[i]);
    ts_put_field(&inside, 15, "", 0);
    ts_put_field(out, TS_END, inside.data, inside.size);
    ts_bytes_release(&inside);
}

static void stage_call_heard(struct stage *stage, struct heard *heard)
{
    messages_AddRequest request = {.a = 1};
    memset(heard, 0, sizeof *heard);
    api_event_init(&heard->ended);
    api_ok(messages_Demo_Add_async(stage->client, &request, NULL, hear, heard, NULL, NULL), NULL);
    if (stage->peer == NULL)
        stage_accept(stage);
    stage_read_call(stage);
}

START_TEST(head_and_trailers_are_heard_and_reserved_keys_are_kept_back)
{
    static const ts_pair head[] = {{"h", "1", 1}, {"h", "2", 1}};
    static const ts_pair trailer[] = {{"t", "behind", 6}, {"grpc-status", "0", 1}, {"msgsrv-x", "y", 1}};
    struct stage stage;
    struct heard heard;
    ts_bytes out = {0};
    stage_open(&stage, NULL);
    stage_call_heard(&stage, &heard);
    ts_put_head(&out, stage.id, head, 2);
    put_end_metadata(&out, stage.id, trailer, 3);
    stage_send(&stage, &out);
    api_event_wait(&heard.ended, 1);
    api_expect(MSGSRV_OK, heard.status, NULL);
    ck_assert_uint_eq(heard.head_count, 2);
    ck_assert_uint_eq(heard.trailer_count, 1);
    ck_assert_str_eq(heard.first, "behind");
    stage_close(&stage);
}
END_TEST

START_TEST(a_second_head_ends_its_call_alone)
{
    static const ts_pair head[] = {{"h", "1", 1}};
    struct stage stage;
    struct heard heard;
    ts_bytes out = {0};
    stage_open(&stage, NULL);
    stage_call_heard(&stage, &heard);
    ts_put_head(&out, stage.id, head, 1);
    ts_put_head(&out, stage.id, head, 1);
    put_sum(&out, stage.id, 5);
    stage_send(&stage, &out);
    api_event_wait(&heard.ended, 1);
    api_expect(MSGSRV_INVALID_ARGUMENT, heard.status, NULL);
    const ts_frame *cancel = api_client_frame(stage.peer, TS_CANCEL);
    ck_assert_uint_eq(cancel->id, stage.id);
    expect_goes_on(&stage);
    ck_assert_uint_eq(api_event_count(&heard.ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(metadata_that_is_wrong_or_too_much_ends_its_call_alone)
{
    static char large[9000];
    memset(large, 'x', sizeof large);
    static const ts_pair wrong[] = {{"Upper", "1", 1}, {"", "1", 1}, {"ok", "\n", 1}};
    const ts_pair too_much = {"k", large, sizeof large};
    struct stage stage;
    struct heard heard;
    stage_open(&stage, NULL);
    for (int i = 0; i < 8; i++) {
        ts_bytes out = {0};
        const ts_pair *pair = i % 4 < 3 ? &wrong[i % 4] : &too_much;
        stage_call_heard(&stage, &heard);
        if (i < 4)
            ts_put_head(&out, stage.id, pair, 1);
        put_end_metadata(&out, stage.id, pair, i < 4 ? 0 : 1);
        stage_send(&stage, &out);
        api_event_wait(&heard.ended, 1);
        ck_assert_msg(heard.status == (i % 4 < 3 ? MSGSRV_INVALID_ARGUMENT : MSGSRV_RESOURCE_EXHAUSTED),
                      "case %d is %s", i, msgsrv_status_name(heard.status));
        ck_assert_uint_eq(heard.head_count + heard.trailer_count, 0);
        if (i < 4) /* its end was still to come */
            ck_assert_uint_eq(api_client_frame(stage.peer, TS_CANCEL)->id, stage.id);
    }
    expect_goes_on(&stage);
    stage_close(&stage);
}
END_TEST

/* ---- GoAway ---- */

START_TEST(calls_above_last_id_go_out_on_the_next_connection)
{
    struct stage stage;
    api_result results[4];
    uint64_t first;
    stage_open(&stage, NULL);
    stage_call(&stage, &results[0]);
    first = stage.id;
    for (int i = 1; i < 4; i++)
        stage_call(&stage, &results[i]);
    ts_bytes out = {0};
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "draining", first + 1);
    put_sum(&out, first, 1);
    stage_send(&stage, &out);
    expect_result(&results[0], MSGSRV_OK);

    ts_peer *old = stage.peer; /* the second call is still this one's to answer */
    stage.peer = NULL;
    stage_accept(&stage);
    stage.id = 0;
    for (int i = 2; i < 4; i++) {
        stage_read_call(&stage);
        stage_answer(&stage, i);
        expect_result(&results[i], MSGSRV_OK);
        ck_assert_int_eq(results[i].sum, i);
    }
    ck_assert_uint_eq(api_event_count(&results[1].ended), 0);
    put_sum(&out, first + 1, 77);
    ts_peer_send(old, &out);
    ts_bytes_release(&out);
    expect_result(&results[1], MSGSRV_OK);
    ck_assert_int_eq(results[1].sum, 77);
    ts_peer_free(old);
    expect_goes_on(&stage);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(api_event_count(&results[i].ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(a_goaway_for_an_error_ends_the_calls_that_were_taken_with_its_text)
{
    struct stage stage;
    api_result result;
    ts_bytes out = {0};
    stage_open(&stage, NULL);
    stage_call(&stage, &result);
    ts_put_go_away(&out, MSGSRV_INVALID_ARGUMENT, "that was no frame", stage.id);
    stage_send(&stage, &out);
    ts_peer_free(stage.peer);
    stage.peer = NULL;
    expect_result(&result, MSGSRV_UNAVAILABLE);
    api_contains(result.text, "that was no frame");
    expect_new_connection(&stage);
    stage_close(&stage);
}
END_TEST

START_TEST(a_server_that_sends_every_call_away_is_not_asked_for_ever)
{
    struct stage stage;
    api_result result;
    unsigned connections = 0;
    stage_open(&stage, NULL);
    api_start_add(stage.client, &(msgsrv_call_options){.timeout_ms = MSGSRV_NONE}, &result);
    while (api_event_count(&result.ended) == 0) {
        if (poll(&(struct pollfd){.fd = stage.listener.fd, .events = POLLIN}, 1, 10) != 1)
            continue;
        stage_accept(&stage);
        if (api_client_frame_or_end(stage.peer) == NULL)
            continue;
        ts_bytes out = {0};
        ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "not here", 0);
        stage_send(&stage, &out);
        ck_assert_uint_lt(++connections, 100);
    }
    expect_result(&result, MSGSRV_UNAVAILABLE);
    ck_assert_uint_ge(connections, 2);
    stage_close(&stage);
}
END_TEST

START_TEST(an_idle_connection_that_is_sent_away_is_replaced)
{
    struct stage stage;
    ts_bytes out = {0};
    stage_open(&stage, NULL);
    expect_goes_on(&stage);
    ts_put_go_away(&out, MSGSRV_UNAVAILABLE, "draining", stage.id);
    stage_send(&stage, &out);
    ts_expect_end_of_input(stage.peer); /* the client has closed it: nothing is open */
    expect_new_connection(&stage);
    stage_close(&stage);
}
END_TEST

TS_MAIN("api_bad_server", bytes_that_are_no_frames_end_the_connection, frames_that_do_not_decode_end_the_connection,
        a_text_that_is_not_utf8_ends_the_connection, half_a_frame_and_then_the_end_is_unavailable,
        a_length_that_nobody_may_send_ends_the_connection_before_it_came, a_reply_one_byte_at_a_time_is_a_reply,
        replies_for_calls_that_are_not_open_are_passed_over, a_reply_that_comes_after_the_deadline_is_discarded,
        a_cancelled_call_sends_cancel_and_its_reply_is_discarded, a_servers_ping_is_answered,
        an_unknown_code_reads_as_unknown, a_servers_long_text_is_cut_and_a_bare_code_gets_words,
        a_reply_that_does_not_decode_ends_its_call_alone, a_reply_over_the_limit_ends_its_call_alone_and_is_skipped,
        head_and_trailers_are_heard_and_reserved_keys_are_kept_back, a_second_head_ends_its_call_alone,
        metadata_that_is_wrong_or_too_much_ends_its_call_alone, calls_above_last_id_go_out_on_the_next_connection,
        a_goaway_for_an_error_ends_the_calls_that_were_taken_with_its_text,
        a_server_that_sends_every_call_away_is_not_asked_for_ever, an_idle_connection_that_is_sent_away_is_replaced)
