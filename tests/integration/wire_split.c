/* SPDX-License-Identifier: MIT */
/*
 * However the bytes of a connection are cut into pieces, the answers are the same: every position is tried as
 * a cut, and as the end of input. The server is known to have read one piece before the next is sent.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server.h"
#include "suite.h"

/*
 * One of everything that is answered at once, so that the answers come in one order and are the same every
 * time.
 */
static void put_stream(ts_bytes *out, ts_bytes *ends)
{
    static const ts_pair pair = {"some-key", "some value", 10};
    ts_bytes frame = {0};

    for (int i = 0; i < 9; i++) {
        switch (i) {
        case 0:
            ts_put_plain_echo(&frame, "plain");
            break;
        case 1:
            ts_put_call_add(&frame, 1, 1000, 337);
            break;
        case 2:
            ts_put_field(&frame, 1000, "unknown", 7);
            break;
        case 3:
            ts_put_ping(&frame, "ping", 4);
            break;
        case 4:
            ts_put_call(&frame, &(ts_call){.id = 300,
                                           .method = TS_ECHO,
                                           .timeout_ms = 60000,
                                           .metadata = &pair,
                                           .metadata_count = 1,
                                           .body = "\x0a\x05!meta",
                                           .body_size = 7});
            break;
        case 5:
            ts_put_cancel(&frame, 299);
            break;
        case 6:
            ts_put_plain_add(&frame, -1, -1);
            break;
        case 7:
            ts_put_call(&frame, &(ts_call){.id = 70000, .method = "/no.Such/Method"});
            break;
        default:
            ts_put_plain_add(&frame, INT32_MAX, 1);
        }
        ts_put_all(out, &frame);
        ts_bytes_release(&frame);
        ts_put(ends, &out->size, sizeof(out->size));
    }
}

enum { OVER_TCP, OVER_UNIX, TRANSPORTS };

static ts_server *server_on(int transport)
{
    char url[64] = "tcp://127.0.0.1:0";

    if (transport == OVER_UNIX)
        snprintf(url, sizeof(url), "unix:@msgsrv-test-split-%d", (int)getpid());
    return ts_server_new(&(ts_setup){.url = url});
}

/* All answers to the stream when it comes in one piece. */
static void whole_answers(ts_server *server, const ts_bytes *stream, ts_bytes *answers)
{
    ts_peer *peer = ts_server_connect(server);
    const unsigned char *rest;
    size_t size;

    ts_peer_send_raw(peer, stream->data, stream->size);
    ts_peer_half_close(peer);
    rest = ts_peer_rest(peer, &size);
    ck_assert_uint_gt(size, 0);
    ts_put(answers, rest, size);
    ts_peer_free(peer);
}

static void expect_same(ts_peer *peer, const ts_bytes *answers)
{
    ts_expect_bytes(peer, answers);
    ts_expect_end_of_input(peer);
    ts_peer_free(peer);
}

START_TEST(every_position_as_a_cut)
{
    ts_server *server = server_on(_i);
    ts_bytes stream = {0}, ends = {0}, answers = {0};

    put_stream(&stream, &ends);
    whole_answers(server, &stream, &answers);
    for (size_t at = 1; at < stream.size; at++) {
        ts_peer *peer = ts_server_connect(server);

        ts_send_split(server, peer, &stream, at);
        ts_peer_half_close(peer);
        expect_same(peer, &answers);
    }
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ck_assert_uint_eq(ts_refused(server, MSGSRV_REFUSED_MALFORMED), 0);
    ts_bytes_release(&stream);
    ts_bytes_release(&ends);
    ts_bytes_release(&answers);
    ts_server_free(server);
}
END_TEST

START_TEST(pieces_of_every_size)
{
    ts_server *server = server_on(_i);
    ts_bytes stream = {0}, ends = {0}, answers = {0};

    put_stream(&stream, &ends);
    whole_answers(server, &stream, &answers);
    for (size_t chunk = 1; chunk < 40; chunk++) {
        ts_peer *peer = ts_server_connect(server);

        ts_send_in_chunks(server, peer, &stream, chunk);
        ts_peer_half_close(peer);
        expect_same(peer, &answers);
    }
    ts_bytes_release(&stream);
    ts_bytes_release(&ends);
    ts_bytes_release(&answers);
    ts_server_free(server);
}
END_TEST

/* Many streams' worth of calls behind one another, cut at random; a failure names the seed. */
START_TEST(random_pieces_of_a_long_stream)
{
    enum { CALLS = 3000, PIECE = 5000, ROUNDS = 5 };
    ts_server *server = server_on(_i);
    unsigned seed = (unsigned)time(NULL);

    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < ROUNDS; round++) {
        ts_peer *peer = ts_server_connect(server);
        ts_bytes out = {0};
        char text[200];

        for (uint64_t id = 1; id <= CALLS; id++) {
            memset(text, 'a' + (int)(id % 26), sizeof(text));
            text[id % sizeof(text)] = '\0';
            ts_put_call_echo(&out, id, text);
        }
        for (size_t at = 0; at < out.size;) {
            size_t size = 1 + (size_t)rand() % PIECE;

            size = out.size - at < size ? out.size - at : size;
            ts_peer_send_raw(peer, out.data + at, size);
            ts_peer_look(peer);
            at += size;
        }
        for (uint64_t id = 1; id <= CALLS; id++) {
            memset(text, 'a' + (int)(id % 26), sizeof(text));
            text[id % sizeof(text)] = '\0';
            ts_expect_echo(peer, id, text);
        }
        ts_bytes_release(&out);
        ts_peer_free(peer);
    }
    ts_server_free(server);
}
END_TEST

/*
 * One frame that is larger than anything the server reads at once, cut near what might be its buffers' sizes.
 */
START_TEST(a_large_frame_cut_near_round_sizes)
{
    enum { SIZE = 1200000 };
    static const size_t rounds[] = {4096, 16384, 65536, 131072, 262144, 524288, 1048576};
    ts_server *server = server_on(_i);
    ts_bytes body = {0}, out = {0};
    uint64_t id = 0;

    ts_put_frame_header(&body, 1, SIZE);
    ts_put_fill(&body, 'z', SIZE);
    for (size_t i = 0; i < sizeof(rounds) / sizeof(*rounds); i++)
        for (size_t at = rounds[i] - 1; at <= rounds[i] + 1; at++) {
            ts_peer *peer = ts_server_connect(server);

            ts_put_call(&out, &(ts_call){.id = ++id, .method = TS_ECHO, .body = body.data, .body_size = body.size});
            ts_send_split(server, peer, &out, at);
            ck_assert_uint_eq(ts_expect_end(peer, id, MSGSRV_OK)->body_size, body.size);
            ts_bytes_release(&out);
            ts_peer_free(peer);
        }
    ts_bytes_release(&body);
    ts_server_free(server);
}
END_TEST

static bool is_boundary(const ts_bytes *ends, size_t at)
{
    for (size_t i = 0; i < ends->size / sizeof(size_t); i++)
        if (((const size_t *)(const void *)ends->data)[i] == at)
            return true;
    return at == 0;
}

/* At a boundary the answers so far and the end; inside a frame the answers so far, a GoAway and the end. */
START_TEST(every_position_as_the_end_of_input)
{
    ts_server *server = server_on(_i);
    ts_bytes stream = {0}, ends = {0};
    uint64_t inside = 0;

    put_stream(&stream, &ends);
    for (size_t at = 0; at <= stream.size; at++) {
        ts_peer *peer = ts_server_connect(server);
        const ts_frame *frame;
        uint32_t last = 0;

        ts_peer_send_raw(peer, stream.data, at);
        ts_peer_half_close(peer);
        while ((frame = ts_peer_next(peer))) {
            ck_assert_uint_ne(last, TS_GO_AWAY);
            last = frame->number;
            ck_assert(last != TS_GO_AWAY || frame->code == MSGSRV_INVALID_ARGUMENT);
        }
        ck_assert_msg((last == TS_GO_AWAY) == !is_boundary(&ends, at), "the end of input after %zu of %zu bytes: %s",
                      at, stream.size, last == TS_GO_AWAY ? "a GoAway" : "no GoAway");
        ck_assert(!peer->reset);
        inside += last == TS_GO_AWAY;
        ts_peer_free(peer);
    }
    ts_expect_refused(server, MSGSRV_REFUSED_MALFORMED, inside);
    ts_expect_others_served(server);
    ts_bytes_release(&stream);
    ts_bytes_release(&ends);
    ts_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire_split");
    TCase *all = tcase_create("wire_split");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(all, TS_TEST_S);
    tcase_add_loop_test(all, every_position_as_a_cut, 0, TRANSPORTS);
    tcase_add_loop_test(all, pieces_of_every_size, 0, TRANSPORTS);
    tcase_add_loop_test(all, random_pieces_of_a_long_stream, 0, TRANSPORTS);
    tcase_add_loop_test(all, a_large_frame_cut_near_round_sizes, 0, TRANSPORTS);
    tcase_add_loop_test(all, every_position_as_the_end_of_input, 0, TRANSPORTS);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
