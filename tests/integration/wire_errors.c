/* SPDX-License-Identifier: MIT */
/*
 * Protocol errors: each gets a GoAway that says why, as the last bytes; its own calls are cancelled, and
 * other connections notice nothing (docs/protocol.md, "Protocol errors").
 */
#include <check.h>
#include <string.h>

#include "server.h"
#include "suite.h"

/* Something that must not be sent, behind a first call that is fine. */
typedef struct bad_input {
    const char *what;
    const char *bytes;
    size_t size;
    uint32_t code;
    msgsrv_refusal refusal;
} bad_input;

#define BYTES(text) text, sizeof(text) - 1
#define MALFORMED MSGSRV_INVALID_ARGUMENT, MSGSRV_REFUSED_MALFORMED
#define TOO_LONG MSGSRV_RESOURCE_EXHAUSTED, MSGSRV_REFUSED_FRAME_SIZE

/* Each is tried on a server of its own, behind one call that is held and one that is answered. */
static void expect_refused_input(const bad_input *bad)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *last;

    ts_bystander_open(server);
    ts_put_call_echo(&out, 10, "!hold");
    ts_put_call_add(&out, 11, 1, 1);
    ts_put(&out, bad->bytes, bad->size);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 11, 2);
    last = ts_peer_next(peer);
    ck_assert_msg(last && last->number == TS_GO_AWAY && last->code == bad->code && last->message[0],
                  "%s: expected a GoAway %u, got %s %u code %u '%s'", bad->what, bad->code,
                  last ? ts_frame_name(last->number) : "the end", last ? last->number : 0, last ? last->code : 0,
                  last ? last->message : "");
    ts_expect_end_of_input(peer);
    ts_demo_wait_cancelled(server->demo, 0);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    ts_expect_refused(server, bad->refusal, 1);
    ts_peer_free(peer);
    ts_wait_stat(server, connections_open, ==, 1);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}

static const bad_input bad_headers[] = {
    {"wire type 0", BYTES("\x80\x01\x01"), MALFORMED},
    {"wire type 1", BYTES("\x81\x01"), MALFORMED},
    {"wire type 3", BYTES("\x83\x01"), MALFORMED},
    {"wire type 4", BYTES("\x84\x01"), MALFORMED},
    {"wire type 5", BYTES("\x85\x01"), MALFORMED},
    {"wire type 6", BYTES("\x86\x01"), MALFORMED},
    {"wire type 7", BYTES("\x87\x01"), MALFORMED},
    {"a plain field of wire type 0", BYTES("\x08\x01"), MALFORMED},
    {"an unknown frame of wire type 5", BYTES("\xcd\x01\x00\x00\x00\x00"), MALFORMED},
    {"field number 0", BYTES("\x02\x01x"), MALFORMED},
    {"a NUL", BYTES("\x00"), MALFORMED},
    {"a tag of two bytes that fits into one", BYTES("\x92\x00\x01x"), MALFORMED},
    {"a tag of three bytes that fits into two", BYTES("\xaa\x81\x00\x00"), MALFORMED},
    {"a tag of six bytes", BYTES("\xaa\x81\x80\x80\x80\x00\x00"), MALFORMED},
    {"a tag that does not end", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), MALFORMED},
    {"a tag of five bytes above the highest number", BYTES("\xfa\xff\xff\xff\x7f\x01x"), MALFORMED},
    {"a length of two bytes that fits into one", BYTES("\xaa\x01\x82\x00xx"), MALFORMED},
    {"a length of five bytes that fits into one", BYTES("\xaa\x01\x82\x80\x80\x80\x00xx"), MALFORMED},
    {"a length of six bytes", BYTES("\xaa\x01\x82\x80\x80\x80\x80\x00xx"), MALFORMED},
    {"a length that does not end", BYTES("\xaa\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), MALFORMED},
};

START_TEST(bad_tags_and_lengths)
{
    expect_refused_input(&bad_headers[_i]);
}
END_TEST

static const bad_input long_frames[] = {
    {"an unknown frame of 2 GiB", BYTES("\xca\x01\x80\x80\x80\x80\x08"), TOO_LONG},
    {"an unknown frame of 4 GiB - 1", BYTES("\xca\x01\xff\xff\xff\xff\x0f"), TOO_LONG},
    {"a Ping of 1 GiB", BYTES("\xaa\x01\x80\x80\x80\x80\x04"), TOO_LONG},
    {"a Cancel of 64 MiB", BYTES("\x9a\x01\x80\x80\x80\x20"), TOO_LONG},
    {"a Call of 2 GiB", BYTES("\x82\x01\x80\x80\x80\x80\x08\x08\x0c"), TOO_LONG},
    {"a Call of 4 GiB - 1", BYTES("\x82\x01\xff\xff\xff\xff\x0f\x08\x0c"), TOO_LONG},
    {"a Call of 64 MiB and 32 KiB", BYTES("\x82\x01\x80\x80\x82\x20\x08\x0c"), TOO_LONG},
    {"a Call over the limit with its method first", BYTES("\x82\x01\x80\x80\x80\x04\x12\x12"), TOO_LONG},
    {"an Item over the limit with its body first", BYTES("\x8a\x01\x80\x80\x80\x04\x7a\x80"), TOO_LONG},
    {"an End over the limit with an unknown field first", BYTES("\x92\x01\x80\x80\x80\x04\x40\x01"), TOO_LONG},
    {"a plain message of 5 MiB", BYTES("\x0a\x80\x80\xc0\x02"), TOO_LONG},
    {"a plain message of 2 GiB", BYTES("\x0a\x80\x80\x80\x80\x08"), TOO_LONG},
};

START_TEST(lengths_over_the_limit)
{
    expect_refused_input(&long_frames[_i]);
}
END_TEST

static const bad_input bad_frames[] = {
    {"an id of 0", BYTES("\x82\x01\x16\x08\x00\x12\x12/messages.Demo/Add"), MALFORMED},
    {"no id", BYTES("\x82\x01\x14\x12\x12/messages.Demo/Add"), MALFORMED},
    {"an empty Call", BYTES("\x82\x01\x00"), MALFORMED},
    {"an id that was used", BYTES("\x82\x01\x16\x08\x0b\x12\x12/messages.Demo/Add"), MALFORMED},
    {"an id that is open", BYTES("\x82\x01\x16\x08\x0a\x12\x12/messages.Demo/Add"), MALFORMED},
    {"an id below the last", BYTES("\x82\x01\x16\x08\x09\x12\x12/messages.Demo/Add"), MALFORMED},
    {"an id that is cut off", BYTES("\x82\x01\x02\x08\x8c"), MALFORMED},
    {"an id of eleven bytes", BYTES("\x82\x01\x0c\x08\x8c\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), MALFORMED},
    {"a method that is not UTF-8", BYTES("\x82\x01\x08\x08\x0c\x12\x04/\xc3\x28/"), MALFORMED},
    {"a method with a surrogate", BYTES("\x82\x01\x09\x08\x0c\x12\x05/\xed\xa0\x80/"), MALFORMED},
    {"a method that is overlong", BYTES("\x82\x01\x07\x08\x0c\x12\x03/\xc0\xaf"), MALFORMED},
    {"a method that is longer than its frame", BYTES("\x82\x01\x06\x08\x0c\x12\x7f/m"), MALFORMED},
    {"a body that is longer than its frame", BYTES("\x82\x01\x06\x08\x0c\x7a\xff\xff\x03"), MALFORMED},
    {"a field of wire type 7", BYTES("\x82\x01\x04\x08\x0c\x47\x01"), MALFORMED},
    {"a field number 0", BYTES("\x82\x01\x04\x08\x0c\x00\x01"), MALFORMED},
    {"a fixed64 that is cut off", BYTES("\x82\x01\x04\x08\x0c\x41\x01"), MALFORMED},
    {"a fixed32 that is cut off", BYTES("\x82\x01\x05\x08\x0c\x45\x01\x02"), MALFORMED},
    {"a Cancel that is cut off", BYTES("\x9a\x01\x01\x08"), MALFORMED},
    {"a Credit that is cut off", BYTES("\xa2\x01\x03\x08\x0a\x10"), MALFORMED},
    {"an Item that is cut off", BYTES("\x8a\x01\x04\x08\x0a\x7a\x09"), MALFORMED},
    {"an End with a text that is not UTF-8", BYTES("\x92\x01\x06\x08\x0a\x1a\x02\xc3\x28"), MALFORMED},
    {"a Ping that is cut off", BYTES("\xaa\x01\x02\x0a\x09"), MALFORMED},
    {"a Ping of 65 bytes",
     BYTES("\xaa\x01\x43\x0a\x41"
           "0123456789012345678901234567890123456789012345678901234567890123x"),
     MALFORMED},
};

START_TEST(frames_that_do_not_decode)
{
    expect_refused_input(&bad_frames[_i]);
}
END_TEST

/* The answers that were finished before the error arrive before the GoAway, and nothing after it. */
START_TEST(finished_answers_come_before_the_go_away)
{
    enum { COUNT = 2000 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    for (uint64_t id = 1; id <= COUNT; id++)
        ts_put_call_add(&out, id, 1, (int32_t)id);
    ts_put_uint(&out, 16, 0);
    ts_put_call_add(&out, COUNT + 1, 1, 1);
    ts_peer_send(peer, &out);
    for (uint64_t id = 1; id <= COUNT; id++)
        ts_expect_add(peer, id, 1 + (int32_t)id);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, calls_started, ==, COUNT);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * A peer that is still sending must be able to read why: what it sends is discarded, not answered with a
 * reset.
 */
START_TEST(the_go_away_survives_what_the_peer_still_sends)
{
    enum { STILL = 512 * 1024 };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_bystander_open(server);
    ts_put_call_add(&out, 1, 1, 1);
    ts_put_uint(&out, 16, 0);
    ts_put_fill(&out, 'x', STILL);
    peer->deaf = true;
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 1, 2);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_expect_refused(server, MSGSRV_REFUSED_MALFORMED, 1);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

/* Input is discarded for so long ... */
START_TEST(a_peer_that_does_not_leave_is_closed_after_the_linger_time)
{
    ts_setup setup = {.options = {.linger_ms = 30}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);

    ts_peer_send_raw(peer, "\x82\x01\x00", 3);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* ... and so many bytes. */
START_TEST(a_peer_that_goes_on_sending_is_closed_after_the_linger_bytes)
{
    enum { CHUNK = 64 * 1024 };
    static const unsigned char more[CHUNK];
    ts_setup setup = {.options = {.linger_ms = 60000, .linger_bytes = CHUNK}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);
    uint64_t until = ts_guard();

    ts_peer_send_raw(peer, "\x82\x01\x00", 3);
    ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end_of_input(peer);
    while (ts_peer_try_send(peer, more, sizeof(more)))
        ck_assert_msg(ts_now_ms() < until, "the server takes bytes for ever");
    ts_wait_stat(server, connections_open, ==, 0);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A peer that is gone before its GoAway can be written is no harm either. */
START_TEST(a_peer_that_resets_after_an_error_is_no_harm)
{
    ts_server *server = ts_server_new(NULL);

    for (int i = 0; i < 50; i++) {
        ts_peer *peer = ts_server_connect(server);
        ts_bytes out = {0};

        ts_put_call_echo(&out, 1, "!hold");
        ts_put_call_add(&out, 2, 1, 1);
        if (i % 2)
            ts_put_uint(&out, 16, 0);
        ts_peer_send(peer, &out);
        ts_peer_reset(peer);
    }
    ts_wait_stat(server, connections_open, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

START_TEST(the_last_id_of_a_go_away_is_that_of_the_last_call)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_add(&out, 5, 1, 1);
    ts_put_call_add(&out, 77, 1, 1);
    ts_put_uint(&out, 16, 0);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, 5, 2);
    ts_expect_add(peer, 77, 2);
    ck_assert_uint_eq(ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT)->last_id, 77);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* Each bad input is a test of its own, in a process of its own; _i is its index. */
int main(void)
{
    Suite *suite = suite_create("wire_errors");
    TCase *all = tcase_create("wire_errors");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(all, TS_TEST_S);
    tcase_add_loop_test(all, bad_tags_and_lengths, 0, sizeof(bad_headers) / sizeof(*bad_headers));
    tcase_add_loop_test(all, lengths_over_the_limit, 0, sizeof(long_frames) / sizeof(*long_frames));
    tcase_add_loop_test(all, frames_that_do_not_decode, 0, sizeof(bad_frames) / sizeof(*bad_frames));
    tcase_add_test(all, finished_answers_come_before_the_go_away);
    tcase_add_test(all, the_go_away_survives_what_the_peer_still_sends);
    tcase_add_test(all, a_peer_that_does_not_leave_is_closed_after_the_linger_time);
    tcase_add_test(all, a_peer_that_goes_on_sending_is_closed_after_the_linger_bytes);
    tcase_add_test(all, a_peer_that_resets_after_an_error_is_no_harm);
    tcase_add_test(all, the_last_id_of_a_go_away_is_that_of_the_last_call);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
