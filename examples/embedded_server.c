/* SPDX-License-Identifier: MIT */
/*
 * A server inside the program's own libevent loop, in its own thread, beside its other events: here a clock that ticks
 * and a signal. No thread is made and no lock is needed: handler and timer may share data freely.
 *
 *     ./example-embedded-server [URL]
 */
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>
#include <msgsrv/msgsrv.h>

#include "messages.msgsrv.h"

struct program {
    struct event_base *base;
    msgsrv_server *server;
    unsigned ticks, sums;
};

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *req, messages_AddResponse *resp, void *ctx)
{
    struct program *program = ctx;
    if (__builtin_add_overflow(req->a, req->b, &resp->result))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", req->a, req->b);
    program->sums++;
    return MSGSRV_OK;
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct program *program = ctx;
    (void)fd;
    (void)what;
    program->ticks++;
}

/* No new calls; open ones have ten seconds. */
static void on_term(evutil_socket_t fd, short what, void *ctx)
{
    struct program *program = ctx;
    (void)fd;
    (void)what;
    msgsrv_server_drain(program->server, 10000);
}

/* The drain is over, and with it this program. */
static void on_stopped(msgsrv_server *server, void *ctx)
{
    struct program *program = ctx;
    (void)server;
    event_base_loopbreak(program->base);
}

static msgsrv_status start(struct program *program, const char *url, msgsrv_error *err)
{
    static const messages_Demo_service demo = {.Add = add};
    msgsrv_server_options options = {.base = program->base, .on_stopped = on_stopped, .on_stopped_ctx = program};
    msgsrv_status st = msgsrv_server_new(&options, &program->server, err);
    if (!st)
        st = messages_Demo_register(program->server, &demo, program, err);
    if (!st)
        st = msgsrv_server_listen(program->server, url, err);
    if (!st)
        st = msgsrv_server_start(program->server, err);
    return st;
}

int main(int argc, char **argv)
{
    const struct timeval often = {.tv_usec = 10000};
    struct program program = {.base = event_base_new()};
    struct event *tick = program.base ? event_new(program.base, -1, EV_PERSIST, on_tick, &program) : NULL;
    struct event *term = program.base ? evsignal_new(program.base, SIGTERM, on_term, &program) : NULL;
    msgsrv_error err;
    if (!tick || !term || event_add(tick, &often) != 0 || event_add(term, NULL) != 0)
        return 1;
    msgsrv_status st = start(&program, argc > 1 ? argv[1] : "tcp://127.0.0.1:7070", &err);
    if (!st) {
        printf("listening on %s\n", msgsrv_server_address(program.server, 0));
        fflush(stdout);
        event_base_dispatch(program.base);
        printf("%u sums, %s\n", program.sums, program.ticks ? "and the clock went on" : "the clock stood still");
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    msgsrv_server_free(program.server);
    event_free(tick);
    event_free(term);
    event_base_free(program.base);
    return st != MSGSRV_OK;
}
