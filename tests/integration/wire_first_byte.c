/* SPDX-License-Identifier: MIT */
/*
 * The first byte chooses the protocol (docs/protocol.md, "Which protocol is it?"): native ones are served,
 * HTTP/1.1 is answered, and the others are closed without a byte and counted by their name. Every one of the 256 is tried.
 */
#include <check.h>
#include <string.h>

#include "server.h"
#include "suite.h"

/* What the table says of a first byte; MSGSRV_REFUSAL_COUNT for native. */
static msgsrv_refusal refusal_of(unsigned byte)
{
    if ((byte & 7) == TS_LENGTH && byte >> 3)
        return MSGSRV_REFUSAL_COUNT;
    if ((byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'))
        return MSGSRV_REFUSED_PROTOCOL_HTTP1;
    return byte == 0x16 ? MSGSRV_REFUSED_PROTOCOL_TLS : MSGSRV_REFUSED_PROTOCOL_UNKNOWN;
}

static uint64_t all_refused(const ts_server *server)
{
    msgsrv_stats stats = ts_stats(server);
    uint64_t sum = 0;

    for (int i = 0; i < MSGSRV_REFUSAL_COUNT; i++)
        sum += stats.refused[i];
    return sum;
}

/* Followed by something that is neither HTTP nor TLS; 'P' alone could still become PRI. */
START_TEST(every_byte_that_is_not_native_is_closed_and_counted)
{
    ts_server *server = ts_server_new(&(ts_setup){.options = {.no_http = true}});
    uint64_t expected[MSGSRV_REFUSAL_COUNT] = {0}, sum = 0;

    ts_bystander_open(server);
    for (unsigned byte = 0; byte < 256; byte++) {
        msgsrv_refusal refusal = refusal_of(byte);
        const unsigned char bytes[] = {(unsigned char)byte, 'x', 'x'};
        ts_peer *peer;

        if (refusal == MSGSRV_REFUSAL_COUNT)
            continue;
        peer = ts_server_connect(server);
        ts_peer_send_raw(peer, bytes, sizeof(bytes));
        ts_expect_gone(peer);
        ts_expect_refused(server, refusal, ++expected[refusal]);
        sum++;
        ts_peer_free(peer);
    }
    ck_assert_uint_eq(all_refused(server), sum);
    ts_wait_stat(server, connections_open, ==, 1);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

/*
 * 'B', 'J', 'R' and 'Z' are letters and native at once: native. The bytes are the start of a frame, so the
 * server waits for more.
 */
START_TEST(every_native_byte_waits_for_its_frame)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peers[256] = {0};
    uint64_t natives = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        const unsigned char first = (unsigned char)byte;

        if (refusal_of(byte) != MSGSRV_REFUSAL_COUNT)
            continue;
        peers[byte] = ts_server_connect(server);
        ts_peer_send_raw(peers[byte], &first, 1);
        natives++;
    }
    ts_wait_stat(server, bytes_received, ==, natives);
    ts_expect_others_served(server);
    ck_assert_uint_eq(natives, 31);
    ck_assert_uint_eq(all_refused(server), 0);
    for (unsigned byte = 0; byte < 256; byte++) {
        if (!peers[byte])
            continue;
        ts_peer_look(peers[byte]);
        ck_assert_msg(!peers[byte]->ended && !peers[byte]->in.size, "byte %02x was not waited with", byte);
        ts_peer_free(peers[byte]);
    }
    ts_server_free(server);
}
END_TEST

/* The first byte alone, then the rest: what it chose is served. */
START_TEST(native_frames_are_served_from_their_first_byte_on)
{
    ts_server *server = ts_server_new(NULL);
    ts_bytes frames[4] = {{0}};

    ts_put_plain_echo(&frames[0], "x");
    ts_put_plain_add(&frames[1], 1, 1);
    ts_put_call_add(&frames[2], 1, 1, 1);
    ts_put_ping(&frames[3], "x", 1);
    for (int i = 0; i < 4; i++) {
        ts_peer *peer = ts_server_connect(server);

        ts_send_split(server, peer, &frames[i], 1);
        switch (i) {
        case 0:
            ts_expect_plain_echo(peer, "x");
            break;
        case 1:
            ts_expect_plain_add(peer, 2);
            break;
        case 2:
            ts_expect_add(peer, 1, 2);
            break;
        default:
            ts_expect_pong(peer, "x", 1);
        }
        ts_bytes_release(&frames[i]);
        ts_peer_free(peer);
    }
    ts_expect_nothing_refused(server);
    ts_server_free(server);
}
END_TEST

static void expect_named(const char *const *openings, size_t count, msgsrv_refusal refusal)
{
    ts_server *server = ts_server_new(&(ts_setup){.options = {.no_http = true}});

    ts_bystander_open(server);
    for (size_t i = 0; i < count; i++) {
        ts_peer *peer = ts_server_connect(server);

        ts_peer_send_raw(peer, openings[i], strlen(openings[i]));
        ts_expect_gone(peer);
        ts_expect_refused(server, refusal, i + 1);
        ts_peer_free(peer);
        ts_expect_others_served(server);
    }
    ck_assert_uint_eq(all_refused(server), count);
    ts_server_free(server);
}

START_TEST(http2_is_told_from_http1)
{
    static const char *const nearly[] = {"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n"};
    static const char *const http1[] = {"GET / HTTP/1.1\r\n\r\n",      "POST / HTTP/1.1\r\n\r\n",
                                        "PUT / HTTP/1.1\r\n\r\n",      "PATCH / HTTP/1.1\r\n\r\n",
                                        "PROPFIND / HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n",
                                        "HEAD / HTTP/1.0\r\n\r\n"};

    expect_named(nearly, 2, MSGSRV_REFUSED_PROTOCOL_HTTP1);
    expect_named(http1, sizeof(http1) / sizeof(*http1), MSGSRV_REFUSED_PROTOCOL_HTTP1);
}
END_TEST

/* However its bytes come. */
START_TEST(http2_is_known_byte_by_byte)
{
    static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);

    for (size_t i = 0; i < sizeof(opening) - 1; i++)
        ck_assert(ts_peer_try_send(peer, &opening[i], 1));
    ts_wait_stat(server, bytes_sent, >, 9); /* its SETTINGS: tests/grpc has the rest */
    ck_assert_uint_eq(all_refused(server), 0);
    ts_expect_others_served(server);
    ts_peer_free(peer);
    ts_server_free(server);
}
END_TEST

START_TEST(tls_is_counted_as_tls)
{
    static const char *const hello[] = {"\x16\x03\x01\x02", "\x16"};

    expect_named(hello, 2, MSGSRV_REFUSED_PROTOCOL_TLS);
}
END_TEST

START_TEST(without_a_first_byte_a_connection_is_closed)
{
    ts_setup setup = {.options = {.first_byte_timeout_ms = 400}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *silent[3];

    for (int i = 0; i < 3; i++)
        silent[i] = ts_server_connect(server);
    for (int i = 0; i < 3; i++) {
        ts_expect_end_of_input(silent[i]);
        ts_peer_free(silent[i]);
    }
    ts_expect_refused(server, MSGSRV_REFUSED_FIRST_BYTE, 3);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

/* The limit is of the first byte alone: one that has sent something may be silent as long as it likes. */
START_TEST(the_first_byte_timeout_ends_with_the_first_byte)
{
    ts_setup setup = {.options = {.first_byte_timeout_ms = 400}};
    ts_server *server = ts_server_new(&setup);
    ts_peer *old = ts_server_connect(server), *silent;
    ts_bytes out = {0};

    ts_put_plain_add(&out, 1, 1);
    ts_peer_send(old, &out);
    ts_expect_plain_add(old, 2);
    for (int i = 0; i < 3; i++) {
        silent = ts_server_connect(server);
        ts_expect_end_of_input(silent);
        ts_peer_free(silent);
    }
    ts_put_plain_add(&out, 2, 2);
    ts_peer_send(old, &out);
    ts_expect_plain_add(old, 4);
    ts_peer_free(old);
    ts_server_free(server);
}
END_TEST

/* Scanners connect and leave. */
START_TEST(connections_without_a_byte_are_no_error)
{
    ts_server *server = ts_server_new(NULL);

    for (int i = 0; i < 20; i++) {
        ts_peer *peer = ts_server_connect(server);

        if (i % 2) {
            ts_peer_half_close(peer);
            ts_expect_end_of_input(peer);
        }
        ts_peer_free(peer);
    }
    ts_wait_stat(server, connections_accepted, ==, 20);
    ts_wait_stat(server, connections_open, ==, 0);
    ts_expect_nothing_refused(server);
    ts_expect_others_served(server);
    ts_server_free(server);
}
END_TEST

TS_MAIN("wire_first_byte", every_byte_that_is_not_native_is_closed_and_counted, every_native_byte_waits_for_its_frame,
        native_frames_are_served_from_their_first_byte_on, http2_is_told_from_http1, http2_is_known_byte_by_byte,
        tls_is_counted_as_tls, without_a_first_byte_a_connection_is_closed,
        the_first_byte_timeout_ends_with_the_first_byte, connections_without_a_byte_are_no_error)
