/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 where it meets the rest of a server: calls that are answered later, deadlines, metadata, back-pressure, a lost connection, a drain.
 * What is refused, and the protocol's forms, are in tests/http.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/services.h>

#include "guard.h"
#include "server.h"
#include "suite.h"

#define HEALTHZ "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

/* One answer. */
typedef struct answer {
    unsigned status;
    char head[4096];
    char *body; /* freed by the next one */
} answer;

static void send_text(ts_peer *peer, const char *text)
{
    ts_peer_send_raw(peer, text, strlen(text));
}

/* A POST of {"text": TEXT} to Echo; `lines` end in CRLF. */
static void put_echo(ts_bytes *out, const char *lines, const char *text)
{
    char head[1024];
    int size =
        snprintf(head, sizeof(head),
                 "POST /messages.Demo/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: "
                 "%zu\r\n\r\n{\"text\":\"%s\"}",
                 lines, strlen(text) + 11, text);

    ts_put(out, head, (size_t)size);
}

static void send_echo(ts_peer *peer, const char *lines, const char *text)
{
    ts_bytes out = {0};

    put_echo(&out, lines, text);
    ts_peer_send(peer, &out);
    ts_bytes_release(&out);
}

static const char *unread(const ts_peer *peer, size_t *size)
{
    *size = peer->in.size - peer->taken;
    return (const char *)peer->in.data + peer->taken;
}

static void read_answer(ts_peer *peer, answer *got)
{
    size_t size, body;
    const char *data, *end;
    const char *length;

    free(got->body);
    for (;;) {
        data = unread(peer, &size);
        end = size ? memmem(data, size, "\r\n\r\n", 4) : NULL;
        if (end)
            break;
        ts_peer_fill(peer, size + 1);
        unread(peer, &body);
        ck_assert_msg(body > size, "the connection has ended before an answer");
    }
    ck_assert_uint_lt((size_t)(end + 4 - data), sizeof(got->head));
    memcpy(got->head, data, (size_t)(end + 4 - data));
    got->head[end + 4 - data] = '\0';
    ck_assert_int_eq(sscanf(got->head, "HTTP/1.1 %u ", &got->status), 1);
    length = strstr(got->head, "\r\nContent-Length: ");
    ck_assert_ptr_nonnull(length);
    body = strtoul(length + 18, NULL, 10);
    peer->taken += (size_t)(end + 4 - data);
    ts_peer_fill(peer, body);
    data = unread(peer, &size);
    ck_assert_uint_ge(size, body);
    got->body = calloc(1, body + 1);
    ck_assert_ptr_nonnull(got->body);
    memcpy(got->body, data, body);
    peer->taken += body;
}

static void expect_answer(ts_peer *peer, answer *got, unsigned status, const char *body)
{
    read_answer(peer, got);
    ck_assert_uint_eq(got->status, status);
    if (body)
        ck_assert_str_eq(got->body, body);
}

/* Nothing is left of a peer. */
static void expect_nothing_left(ts_server *server)
{
    ts_wait_stat(server, connections_open, ==, 0);
    ts_wait_stat(server, calls_open, ==, 0);
    ts_wait_stat(server, input_buffered_bytes, ==, 0);
    ts_wait_stat(server, output_buffered_bytes, ==, 0);
}

static void end(ts_server *server, ts_peer *peer, answer *got)
{
    free(got->body);
    ts_peer_free(peer);
    expect_nothing_left(server);
    ts_server_free(server);
}

START_TEST(what_is_pipelined_behind_a_held_call_waits)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!hold 1");
    ts_demo_wait_held(server->demo, 1);
    send_echo(peer, "", "!hold 2");
    send_text(peer, HEALTHZ);
    ts_wait_stat(server, reads_paused, >=, 1);
    ck_assert_uint_eq(ts_demo_held(server->demo), 1);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    expect_answer(peer, &got, 200, "{\"text\":\"!hold 1\"}");
    ts_demo_wait_held(server->demo, 2);
    ck_assert_int_eq(ts_demo_fail(server->demo, 1, MSGSRV_ABORTED, "no"), MSGSRV_OK);
    expect_answer(peer, &got, 409, "{\"code\":\"aborted\",\"message\":\"no\"}");
    expect_answer(peer, &got, 200, "ok\n");
    end(server, peer, &got);
}
END_TEST

START_TEST(a_half_closed_client_gets_its_answer)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!hold");
    ts_demo_wait_held(server->demo, 1);
    ts_peer_half_close(peer);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    expect_answer(peer, &got, 200, "{\"text\":\"!hold\"}");
    ts_expect_end_of_input(peer);
    end(server, peer, &got);
}
END_TEST

START_TEST(a_deadline_ends_a_call_and_not_its_connection)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "Connect-Timeout-Ms: 20\r\n", "!hold");
    expect_answer(peer, &got, 504, NULL);
    ck_assert_ptr_nonnull(strstr(got.body, "\"code\":\"deadline_exceeded\""));
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_DEADLINE_EXCEEDED);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    send_text(peer, HEALTHZ);
    expect_answer(peer, &got, 200, "ok\n");
    end(server, peer, &got);
}
END_TEST

START_TEST(a_reset_cancels_the_call)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!hold");
    ts_demo_wait_held(server->demo, 1);
    ts_peer_reset(peer);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_UNAVAILABLE);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_CANCELLED);
    end(server, NULL, &got);
}
END_TEST

START_TEST(blocking_handlers_are_served_too)
{
    ts_server *server = ts_server_new(&(ts_setup){.blocking = true});
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!block");
    send_echo(peer, "", "more");
    ts_demo_wait_blocked(server->demo, 1);
    ts_demo_unblock(server->demo, 1);
    expect_answer(peer, &got, 200, "{\"text\":\"!block\"}");
    expect_answer(peer, &got, 200, "{\"text\":\"more\"}");
    end(server, peer, &got);
}
END_TEST

START_TEST(metadata_goes_both_ways)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "Some-Key: a value\r\nDATA-bin: AAEC, _w\r\nHost2: y\r\n", "!meta");
    expect_answer(peer, &got, 200, NULL);
    ck_assert_ptr_nonnull(strstr(got.head, "\r\ntrailer-some-key: a value\r\n"));
    ck_assert_ptr_nonnull(strstr(got.head, "\r\ntrailer-data-bin: AAEC\r\n"));
    ck_assert_ptr_nonnull(strstr(got.head, "\r\ntrailer-data-bin: /w\r\n"));
    ck_assert_ptr_null(strstr(got.head, "trailer-content"));
    ck_assert_ptr_null(strstr(got.head, "trailer-host:"));
    send_echo(peer, "", "!head some-key value");
    expect_answer(peer, &got, 200, NULL);
    ck_assert_ptr_nonnull(strstr(got.head, "\r\nsome-key: value\r\n"));
    send_echo(peer, "", "!trailer some-key value");
    expect_answer(peer, &got, 200, NULL);
    ck_assert_ptr_nonnull(strstr(got.head, "\r\ntrailer-some-key: value\r\n"));
    end(server, peer, &got);
}
END_TEST

/* A handler that gives what a client sent back as head metadata must not be able to write HTTP with it. */
START_TEST(metadata_does_not_change_the_answers_form)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection", "content-encoding",
                                        "content-type",   "connect-x",         "upgrade",    "trailer"};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char text[64];

        snprintf(text, sizeof(text), "!head %s chunked", names[i]);
        send_echo(peer, "", text);
        expect_answer(peer, &got, 200, NULL);
        ck_assert_ptr_null(strstr(got.head, "chunked"));
    }
    end(server, peer, &got);
}
END_TEST

START_TEST(it_may_come_in_any_pieces)
{
    static const char text[] =
        HEALTHZ "POST /messages.Demo/Add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n3;x\r\n{\"a\r\n4\r\n\":2}\r\n0\r\nA: b\r\n\r\n"
                "POST /messages.Demo/Add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Content-Length: 7\r\n\r\n{\"a\":3}";
    ts_server *server = ts_server_new(NULL);
    answer got = {0};

    for (size_t at = 0; at <= sizeof(text) - 1; at++) {
        ts_peer *peer = ts_server_connect(server);
        ts_bytes bytes = {0};

        ts_put(&bytes, text, sizeof(text) - 1);
        ts_send_split(server, peer, &bytes, at);
        expect_answer(peer, &got, 200, "ok\n");
        expect_answer(peer, &got, 200, "{\"result\":2}");
        expect_answer(peer, &got, 200, "{\"result\":3}");
        ts_bytes_release(&bytes);
        ts_peer_free(peer);
    }
    ts_expect_nothing_refused(server);
    end(server, NULL, &got);
}
END_TEST

START_TEST(a_slow_reader_is_not_read_from)
{
    enum { COUNT = 200 };
    ts_server *server = ts_server_new(&(ts_setup){.options = {.max_output = 64 * 1024}});
    ts_peer *peer = ts_peer_connect_small(server->url);
    answer got = {0};
    char body[100000 + 16];
    ts_bytes out = {0};

    peer->deaf = true;
    for (int i = 0; i < COUNT; i++)
        put_echo(&out, "", "!big 100000");
    ts_peer_send(peer, &out);
    ts_wait_stat(server, reads_paused, >=, 1);
    ck_assert_uint_lt(atomic_load(&server->demo->echo_seen), COUNT);
    peer->deaf = false;
    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"text\":\"", 9);
    memcpy(body + 9 + 100000, "\"}", 3);
    for (int i = 0; i < COUNT; i++)
        expect_answer(peer, &got, 200, body);
    ts_bytes_release(&out);
    end(server, peer, &got);
}
END_TEST

/* The drain lets what has begun come to its end, and says so. */
START_TEST(a_drain_answers_what_has_begun)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *idle = ts_server_connect(server);
    ts_peer *busy = ts_server_connect(server);
    ts_peer *half = ts_server_connect(server);
    answer got = {0};

    send_text(idle, HEALTHZ);
    expect_answer(idle, &got, 200, "ok\n");
    send_echo(busy, "", "!hold");
    ts_demo_wait_held(server->demo, 1);
    send_text(half, "GET /readyz HTTP/1.1\r\n");
    ts_wait_stat(server, input_buffered_bytes, ==, 22);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ts_expect_end_of_input(idle);
    send_text(half, "Host: x\r\n\r\n");
    expect_answer(half, &got, 503, "draining\n");
    ck_assert_ptr_nonnull(strstr(got.head, "\r\nConnection: close\r\n"));
    ts_expect_end_of_input(half);
    ck_assert_int_eq(ts_demo_release(server->demo, 0), MSGSRV_OK);
    expect_answer(busy, &got, 200, "{\"text\":\"!hold\"}");
    ck_assert_ptr_nonnull(strstr(got.head, "\r\nConnection: close\r\n"));
    ts_expect_end_of_input(busy);
    ts_peer_free(idle);
    ts_peer_free(half);
    end(server, busy, &got);
}
END_TEST

START_TEST(a_stop_cancels_the_call)
{
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!hold");
    ts_demo_wait_held(server->demo, 1);
    msgsrv_server_stop(server->handle);
    ck_assert_int_eq(ts_demo_wait_cancelled(server->demo, 0), MSGSRV_UNAVAILABLE);
    ts_demo_release_all(server->demo);
    end(server, peer, &got);
}
END_TEST

START_TEST(readiness_is_the_health_of_the_server)
{
    static const struct {
        msgsrv_health health;
        unsigned status;
    } rows[] = {{MSGSRV_HEALTH_SERVING, 200},
                {MSGSRV_HEALTH_NOT_SERVING, 503},
                {MSGSRV_HEALTH_UNKNOWN, 503},
                {MSGSRV_HEALTH_SERVING, 200}};
    ts_server *server = ts_server_new(NULL);
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ck_assert_int_eq(msgsrv_server_set_health(server->handle, "", rows[i].health, NULL), MSGSRV_OK);
        send_text(peer, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" HEALTHZ);
        expect_answer(peer, &got, rows[i].status, NULL);
        expect_answer(peer, &got, 200, "ok\n");
    }
    end(server, peer, &got);
}
END_TEST

START_TEST(a_response_over_the_limit_is_an_error)
{
    ts_server *server = ts_server_new(&(ts_setup){.options = {.max_message = 5000}});
    ts_peer *peer = ts_server_connect(server);
    answer got = {0};

    send_echo(peer, "", "!big 6000");
    expect_answer(peer, &got, 429, NULL);
    ck_assert_ptr_nonnull(strstr(got.body, "resource_exhausted"));
    send_echo(peer, "Accept-Encoding: gzip\r\n", "!big 4000");
    expect_answer(peer, &got, 200, NULL);
    ck_assert_ptr_nonnull(strstr(got.head, "\r\nContent-Encoding: gzip\r\n"));
    end(server, peer, &got);
}
END_TEST

TS_MAIN("wire_http", what_is_pipelined_behind_a_held_call_waits, a_half_closed_client_gets_its_answer,
        a_deadline_ends_a_call_and_not_its_connection, a_reset_cancels_the_call, blocking_handlers_are_served_too,
        metadata_goes_both_ways, metadata_does_not_change_the_answers_form, it_may_come_in_any_pieces,
        a_slow_reader_is_not_read_from, a_drain_answers_what_has_begun, a_stop_cancels_the_call,
        readiness_is_the_health_of_the_server, a_response_over_the_limit_is_an_error)
