/* SPDX-License-Identifier: MIT */
/*
 * The server of server.h, on the public API alone. TS_LOG=1 in the environment prints its log, to find out
 * why a test fails.
 */
#include "server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_log(msgsrv_log_level level, const char *text, void *ctx)
{
    ts_server *server = ctx;

    if (level <= MSGSRV_LOG_WARNING)
        atomic_fetch_add(&server->log_lines, 1);
    if (getenv("TS_LOG"))
        fprintf(stderr, "server: %s: %s\n", msgsrv_log_level_name(level), text);
}

static void check(msgsrv_status status, const msgsrv_error *error, const char *what)
{
    ck_assert_msg(status == MSGSRV_OK, "%s: %s: %s", what, msgsrv_status_name(status), error->text);
}

static void bind_plain(ts_server *server)
{
    msgsrv_error error = {0};

    check(msgsrv_server_bind_plain(server->handle, TS_PLAIN_ECHO, TS_ECHO, TS_PLAIN_ECHO, &error), &error, "bind");
    check(msgsrv_server_bind_plain(server->handle, TS_PLAIN_ADD, TS_ADD, TS_PLAIN_ADD, &error), &error, "bind");
}

ts_server *ts_server_new(const ts_setup *setup)
{
    static const ts_setup defaults;
    ts_server *server = calloc(1, sizeof(*server));
    msgsrv_server_options options;
    msgsrv_error error = {0};

    ck_assert_ptr_nonnull(server);
    if (!setup)
        setup = &defaults;
    options = setup->options;
    options.size = sizeof(options);
    if (!options.log) {
        options.log = take_log;
        options.log_ctx = server;
    }
    server->demo = ts_demo_new();
    check(msgsrv_server_new(&options, &server->handle, &error), &error, "new");
    if (!setup->no_service)
        check(ts_demo_register(server->demo, server->handle, setup->blocking, &error), &error, "register");
    server->streams = setup->streams;
    if (setup->streams) {
        ts_streams_init(setup->streams);
        check(ts_streams_register(setup->streams, server->handle, &error), &error, "register streams");
    }
    if (!setup->no_service && !setup->no_plain)
        bind_plain(server);
    check(msgsrv_server_listen(server->handle, setup->url ? setup->url : "tcp://127.0.0.1:0", &error), &error, "listen");
    server->url = msgsrv_server_address(server->handle, 0);
    if (!setup->not_started)
        check(msgsrv_server_start(server->handle, &error), &error, "start");
    return server;
}

void ts_server_free(ts_server *server)
{
    ts_peer_free(server->bystander);
    ts_demo_unblock(server->demo, SIZE_MAX / 2);
    msgsrv_server_free(server->handle);
    if (server->streams)
        ts_streams_resume(server->streams);
    ts_demo_free(server->demo);
    free(server);
}

ts_peer *ts_server_connect(ts_server *server)
{
    return ts_peer_connect(server->url);
}

msgsrv_stats ts_stats(const ts_server *server)
{
    msgsrv_stats stats = {.size = sizeof(stats)};

    msgsrv_server_stats(server->handle, &stats);
    return stats;
}

uint64_t ts_refused(const ts_server *server, msgsrv_refusal refusal)
{
    return ts_stats(server).refused[refusal];
}

void ts_expect_refused_(const ts_server *server, msgsrv_refusal refusal, uint64_t count)
{
    uint64_t until = ts_guard(), is;

    while ((is = ts_refused(server, refusal)) < count && ts_now_ms() < until)
        ts_nap();
    if (is != count)
        ts_fail("refused '%s': expected %llu, is %llu", msgsrv_refusal_name(refusal), (unsigned long long)count,
                (unsigned long long)is);
}

void ts_expect_nothing_refused_(const ts_server *server)
{
    msgsrv_stats stats = ts_stats(server);

    for (int i = 0; i < MSGSRV_REFUSAL_COUNT; i++)
        if (stats.refused[i])
            ts_fail("refused '%s': expected 0, is %llu", msgsrv_refusal_name((msgsrv_refusal)i),
                    (unsigned long long)stats.refused[i]);
}

static void add_on(ts_peer *peer, uint64_t id)
{
    ts_bytes out = {0};

    ts_put_call_add(&out, id, (int32_t)id, 1);
    ts_peer_send(peer, &out);
    ts_expect_add_(peer, id, (int32_t)id + 1);
}

void ts_bystander_open(ts_server *server)
{
    if (server->bystander)
        return;
    server->bystander = ts_server_connect(server);
    add_on(server->bystander, ++server->bystander_id);
}

void ts_expect_others_served_(ts_server *server)
{
    ts_peer *fresh = ts_server_connect(server);

    ts_bystander_open(server);
    add_on(server->bystander, ++server->bystander_id);
    add_on(fresh, 1);
    ts_peer_free(fresh);
}

void ts_send_in_chunks(ts_server *server, ts_peer *peer, const ts_bytes *bytes, size_t chunk)
{
    uint64_t received = ts_stats(server).bytes_received;

    for (size_t at = 0; at < bytes->size; at += chunk) {
        size_t size = bytes->size - at < chunk ? bytes->size - at : chunk;

        ts_peer_send_raw(peer, bytes->data + at, size);
        received += size;
        ts_wait_stat(server, bytes_received, >=, received);
    }
}

void ts_send_split(ts_server *server, ts_peer *peer, const ts_bytes *bytes, size_t at)
{
    uint64_t received = ts_stats(server).bytes_received;

    ts_peer_send_raw(peer, bytes->data, at);
    ts_wait_stat(server, bytes_received, >=, received + at);
    ts_peer_send_raw(peer, bytes->data + at, bytes->size - at);
}

void ts_barrier_(ts_peer *peer)
{
    ts_bytes out = {0};

    ts_put_ping(&out, "barrier", 7);
    ts_peer_send(peer, &out);
    ts_expect_pong_(peer, "barrier", 7);
}
