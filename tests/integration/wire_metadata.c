/* SPDX-License-Identifier: MIT */
/*
 * Metadata of calls: which keys and values travel, what is reserved, how much there may be (docs/protocol.md,
 * below the table of frames, and "No negotiation").
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "suite.h"

enum { DEFAULT_LIMIT = 8192, OVERHEAD = 32 };

static void put_echo_with(ts_bytes *out, uint64_t id, const char *text, const ts_pair *pairs, size_t count)
{
    ts_bytes body = {0};

    ts_put_echo_message(&body, text);
    ts_put_call(out, &(ts_call){.id = id,
                                .method = TS_ECHO,
                                .metadata = pairs,
                                .metadata_count = count,
                                .body = body.data,
                                .body_size = body.size});
    ts_bytes_release(&body);
}

static void expect_served(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};

    ts_put_call_add(&out, id, 1, 1);
    ts_peer_send(peer, &out);
    ts_expect_add(peer, id, 2);
}

START_TEST(metadata_reaches_the_handler_and_comes_back)
{
    static const char key64[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-abcdefghijklmnopqrstuvwxy";
    static const ts_pair pairs[] = {
        {"key", "value", 5},    {"a", "", 0},
        {"0_.-z", " ~", 2},     {key64, "longest key", 11},
        {"key", "again", 5},    {"some-bin", "\x00\xff\x80\n", 4},
        {"grpcish", "mine", 4}, {"msgsrv_mine", "mine", 4},
    };
    enum { COUNT = sizeof(pairs) / sizeof(*pairs) };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *end;

    ck_assert_uint_eq(strlen(key64), 64);
    put_echo_with(&out, 1, "!meta", pairs, COUNT);
    ts_peer_send(peer, &out);
    end = ts_expect_echo(peer, 1, "!meta");
    ck_assert_uint_eq(end->metadata_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_str_eq(end->metadata[i].key, pairs[i].key);
        ck_assert_uint_eq(end->metadata[i].size, pairs[i].size);
        ck_assert(!pairs[i].size || !memcmp(end->metadata[i].value, pairs[i].value, pairs[i].size));
    }
    ts_expect_nothing_refused(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(head_metadata_comes_before_the_end)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *head;

    ts_put_call_echo(&out, 3, "!head first something");
    ts_put_call_echo(&out, 4, "!trailer last something");
    ts_peer_send(peer, &out);
    head = ts_expect_frame(peer, TS_HEAD);
    ck_assert_uint_eq(head->id, 3);
    ck_assert_uint_eq(head->metadata_count, 1);
    ck_assert_ptr_nonnull(ts_frame_find(head, "first"));
    ck_assert_uint_eq(ts_expect_echo(peer, 3, "!head first something")->metadata_count, 0);
    ck_assert_ptr_nonnull(ts_frame_find(ts_expect_echo(peer, 4, "!trailer last something"), "last"));
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * Reserved keys are the library's own business: no handler sees them, and those it does not know are ignored.
 */
START_TEST(reserved_keys_do_not_reach_the_handler)
{
    static const ts_pair pairs[] = {{"grpc-timeout", "1S", 2}, {"mine", "1", 1}, {"msgsrv-other", "x", 1}};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    const ts_frame *end;

    put_echo_with(&out, 1, "!meta", pairs, 3);
    ts_peer_send(peer, &out);
    end = ts_expect_echo(peer, 1, "!meta");
    ck_assert_uint_eq(end->metadata_count, 1);
    ck_assert_str_eq(end->metadata[0].key, "mine");
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(a_handler_cannot_send_reserved_keys)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    ts_put_call_echo(&out, 1, "!trailer grpc-status 0");
    ts_put_call_echo(&out, 2, "!head msgsrv-x y");
    ts_put_call_echo(&out, 3, "!head Upper y");
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 2, MSGSRV_INVALID_ARGUMENT);
    ts_expect_end(peer, 3, MSGSRV_INVALID_ARGUMENT);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(what_may_not_travel_ends_its_call)
{
    static const char key65[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-abcdefghijklmnopqrstuvwxyz";
    static const ts_pair bad[] = {
        {"", "v", 1},           {"Key", "v", 1},        {"a key", "v", 1},  {"key:", "v", 1},
        {"k\xc3\xa9y", "v", 1}, {key65, "v", 1},        {"key", "\x1f", 1}, {"key", "\x7f", 1},
        {"key", "\0", 1},       {"key", "\xc3\xa9", 2}, {"key", "a\nb", 3}, {"bin", "\x80", 1},
    };
    enum { COUNT = sizeof(bad) / sizeof(*bad) };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);

    ck_assert_uint_eq(strlen(key65), 65);
    for (size_t i = 0; i < COUNT; i++) {
        ts_bytes out = {0};
        const ts_frame *end;

        put_echo_with(&out, i + 1, "!hold", &bad[i], 1);
        ts_peer_send(peer, &out);
        end = ts_expect_frame(peer, TS_END);
        ck_assert_msg(end->id == i + 1 && end->code == MSGSRV_INVALID_ARGUMENT, "key '%s': id %llu code %u '%s'",
                      bad[i].key, (unsigned long long)end->id, end->code, end->message);
        ts_expect_refused(server, MSGSRV_REFUSED_METADATA, i + 1);
    }
    expect_served(peer, COUNT + 1);
    ck_assert_uint_eq(atomic_load(&server->demo->echo_seen), 0);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* One entry whose key, value and overhead make `size` bytes together. */
static void echo_of_size(ts_peer *peer, uint64_t id, size_t size)
{
    ts_bytes value = {0}, out = {0};
    ts_pair pairs[2] = {{"a", "b", 1}, {"k", NULL, size - OVERHEAD - 1 - (OVERHEAD + 2)}};

    ts_put_fill(&value, 'v', pairs[1].size);
    pairs[1].value = value.data;
    put_echo_with(&out, id, "hi", pairs, 2);
    ts_peer_send(peer, &out);
    ts_bytes_release(&value);
}

static void limit_is(uint32_t option, size_t limit)
{
    ts_setup setup = {.options = {.max_metadata = option}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *peer = ts_server_connect(server);

    echo_of_size(peer, 1, limit);
    ts_expect_echo(peer, 1, "hi");
    ts_expect_nothing_refused(server);
    echo_of_size(peer, 2, limit + 1);
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    ts_expect_refused(server, MSGSRV_REFUSED_METADATA, 1);
    expect_served(peer, 3);
    ts_peer_free(peer);
    ts_server_free(server);
}

START_TEST(metadata_is_limited_to_8_kib)
{
    limit_is(0, DEFAULT_LIMIT);
}
END_TEST

START_TEST(the_limit_of_metadata_is_an_option)
{
    limit_is(100, 100);
    limit_is(12 * 1024, 12 * 1024);
}
END_TEST

/* Each entry counts 32 more than what is in it, so that many empty ones are not free. */
START_TEST(entries_count_with_their_overhead)
{
    enum { FIT = DEFAULT_LIMIT / (OVERHEAD + 1) };
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};
    ts_pair pairs[FIT + 1];

    for (size_t i = 0; i <= FIT; i++)
        pairs[i] = (ts_pair){"k", "", 0};
    put_echo_with(&out, 1, "hi", pairs, FIT);
    put_echo_with(&out, 2, "hi", pairs, FIT + 1);
    ts_peer_send(peer, &out);
    ts_expect_echo(peer, 1, "hi");
    ts_expect_end(peer, 2, MSGSRV_RESOURCE_EXHAUSTED);
    expect_served(peer, 3);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/*
 * What an old server must not ignore is asked for by msgsrv-require; this version knows nothing that may be
 * asked.
 */
START_TEST(a_requirement_that_is_not_known_is_unimplemented)
{
    static const ts_pair pairs[] = {{"mine", "1", 1}, {"msgsrv-require", "time-travel", 11}};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    ts_bytes out = {0};

    put_echo_with(&out, 1, "hi", pairs, 2);
    ts_peer_send(peer, &out);
    ts_expect_end(peer, 1, MSGSRV_UNIMPLEMENTED);
    ck_assert_uint_eq(atomic_load(&server->demo->echo_seen), 0);
    expect_served(peer, 2);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

/* A Metadata that does not decode is a frame that does not decode. */
START_TEST(metadata_that_does_not_decode_is_a_protocol_error)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"\x0a\x05"
                "abc",
                5},
               {"\x0a", 1},
               {"\x0a\x01\xff", 3},
               {"\x0f\x01", 2},
               {"\x0a\xff\xff\xff\xff\xff\xff", 7}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ts_server *server = ts_server_new(NULL);
        ts_peer *peer = ts_server_connect(server);
        ts_bytes inside = {0}, out = {0};

        ts_bystander_open(server);
        ts_put_call_fields(&inside, &(ts_call){.id = 1, .method = TS_ADD});
        ts_put_field(&inside, 4, bad[i].bytes, bad[i].size);
        ts_put_field(&out, TS_CALL, inside.data, inside.size);
        ts_peer_send(peer, &out);
        ts_expect_go_away(peer, MSGSRV_INVALID_ARGUMENT);
        ts_expect_end_of_input(peer);
        ts_expect_refused(server, MSGSRV_REFUSED_MALFORMED, 1);
        ts_expect_others_served(server);
        ts_bytes_release(&inside);
        ts_peer_free(peer);
        ts_server_free(server);
    }
}
END_TEST

TS_MAIN("wire_metadata", metadata_reaches_the_handler_and_comes_back, head_metadata_comes_before_the_end,
        reserved_keys_do_not_reach_the_handler, a_handler_cannot_send_reserved_keys, what_may_not_travel_ends_its_call,
        metadata_is_limited_to_8_kib, the_limit_of_metadata_is_an_option, entries_count_with_their_overhead,
        a_requirement_that_is_not_known_is_unimplemented, metadata_that_does_not_decode_is_a_protocol_error)
