/* SPDX-License-Identifier: MIT */
/*
 * Streams that were right until some of their bytes were changed: whatever a server makes of them, it answers
 * with well-formed frames, ends the connection, keeps nothing of it, and serves others. The seed is fixed;
 * MSGSRV_TEST_SEED sets another one.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server.h"
#include "suite.h"

enum { ROUNDS = 1500, OTHERS_EVERY = 50 };

static void put_some_frame(ts_bytes *out, uint64_t id)
{
    static const ts_pair pair = {"some-key", "some value", 10};

    switch (rand() % 10) {
    case 0:
        ts_put_plain_echo(out, "plain");
        break;
    case 1:
        ts_put_plain_add(out, rand(), -rand());
        break;
    case 2:
        ts_put_call(out, &(ts_call){.id = id,
                                    .method = TS_ECHO,
                                    .timeout_ms = 50,
                                    .metadata = &pair,
                                    .metadata_count = 1,
                                    .body = "\x0a\x05!hold",
                                    .body_size = 7});
        break;
    case 3:
        ts_put_cancel(out, id - 1);
        break;
    case 4:
        ts_put_ping(out, "ping", 4);
        break;
    case 5:
        ts_put_field(out, 25 + (uint32_t)rand() % 1000, "unknown", 7);
        break;
    case 6:
        ts_put_item(out, id - 1, "item", 4);
        break;
    case 7:
        ts_put_credit(out, id - 1, 1, 1);
        break;
    default:
        ts_put_call_add(out, id, rand(), 1);
    }
}

static void change(ts_bytes *stream)
{
    for (int changes = rand() % 6; changes > 0; changes--) {
        size_t at = (size_t)rand() % stream->size;

        switch (rand() % 4) {
        case 0:
            stream->data[at] = (unsigned char)rand();
            break;
        case 1:
            stream->data[at] ^= (unsigned char)(1 << rand() % 8);
            break;
        case 2:
            stream->data[at] = 0xff;
            break;
        default:
            stream->size = at + 1;
        }
    }
}

/*
 * Sends it in up to three pieces, then the end of input or a reset; reads what comes, which the reader
 * checks.
 */
static void play(ts_server *server, ts_bytes *stream)
{
    ts_peer *peer = ts_server_connect(server);
    size_t at = 0;

    for (int pieces = rand() % 3; pieces >= 0; pieces--) {
        size_t size = pieces ? (stream->size - at) / 2 : stream->size - at;

        if (size && !ts_peer_try_send(peer, stream->data + at, size))
            break;
        at += size;
    }
    if (rand() % 8 == 0) {
        ts_peer_reset(peer);
        return;
    }
    if (!peer->ended)
        shutdown(peer->fd, SHUT_WR);
    while (ts_peer_next(peer))
        ;
    ts_peer_free(peer);
}

START_TEST(changed_streams_do_no_harm)
{
    ts_setup setup = {.options = {.no_http = true, /* whose answers are no frames */
                                  .plain_timeout_ms = 50,
                                  .linger_ms = 50}};
    ts_server *server = ts_server_new(&setup);
    const char *seed = getenv("MSGSRV_TEST_SEED");

    srand(seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    for (int round = 0; round < ROUNDS; round++) {
        ts_bytes stream = {0};
        int frames = 1 + rand() % 12;

        for (int i = 0; i < frames; i++)
            put_some_frame(&stream, (uint64_t)i + 1);
        change(&stream);
        play(server, &stream);
        ts_bytes_release(&stream);
        if (round % OTHERS_EVERY == 0)
            ts_expect_others_served(server);
    }
    ts_wait_stat(server, connections_open, ==, 1);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_random", changed_streams_do_no_harm)
