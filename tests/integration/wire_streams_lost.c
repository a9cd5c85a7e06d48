/* SPDX-License-Identifier: MIT */
/* Streams whose connection is lost in the middle of something else, such as the writing of their own end. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"
#include "suite.h"

static ts_streams streams;
static ts_server *server;
static ts_peer *peer;
static ts_bytes out;

/* On a local socket a peer that reads no more is noticed with the next write, while its own output still comes. */
static void start(void)
{
    char url[64];
    snprintf(url, sizeof url, "unix:@msgsrv-lost-%ld", (long)getpid());
    server = ts_server_new(&(ts_setup){.url = url, .streams = &streams});
    peer = ts_server_connect(server);
    out = (ts_bytes){0};
}

static void finish(void)
{
    msgsrv_error error = {0};
    ck_assert_int_eq(msgsrv_server_wait(server->handle, &error), MSGSRV_OK);
    ts_wait_stat(server, streams_open, ==, 0);
    ts_peer_free(peer);
    ts_server_free(server);
    ck_assert_uint_eq(streams.begun, streams.closed);
}

START_TEST(the_last_stream_of_a_drain_ends_on_a_dead_connection)
{
    start();
    ts_put_call(&out, &(ts_call){.id = 1, .method = TS_CHAT, .streaming = true, .timeout_ms = 300});
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, begun, 1);
    ck_assert_int_eq(shutdown(peer->fd, SHUT_RD), 0);
    ts_put_item(&out, 1, "sent back in vain", 17);
    ts_peer_send(peer, &out);
    ts_streams_wait(&streams, messages, 1);
    msgsrv_server_drain(server->handle, MSGSRV_NONE);
    ts_streams_wait(&streams, closed, 1);
    ck_assert_int_eq(streams.last_closed, MSGSRV_DEADLINE_EXCEEDED);
    finish();
}
END_TEST

TS_MAIN("wire_streams_lost", the_last_stream_of_a_drain_ends_on_a_dead_connection)
