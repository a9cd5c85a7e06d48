/* SPDX-License-Identifier: MIT */
/*
 * The loop; see bus_loop.h.
 */
#include "bus_loop.h"

#include <event2/event.h>
#include <signal.h>

#include "bus_calls.h"
#include "program.h"

static void on_log(msgsrv_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    app_line("%s: %s", msgsrv_log_level_name(level), text);
}

/* The next one kills: our output may be stuck. */
static void forget_signals(struct bus_loop *loop)
{
    for (size_t i = 0; i < 2; i++) {
        if (loop->signals[i])
            event_del(loop->signals[i]);
    }
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct bus_loop *loop = ctx;
    (void)number;
    (void)what;
    forget_signals(loop);
    loop->stop(loop->ctx);
}

static void on_deadline(evutil_socket_t number, short what, void *ctx)
{
    struct bus_loop *loop = ctx;
    (void)number;
    (void)what;
    loop->late = true;
    loop->stop(loop->ctx);
}

static bool make_events(struct bus_loop *loop, const struct options *options)
{
    struct timeval time = {.tv_sec = options->timeout_ms / 1000,
                           .tv_usec = (suseconds_t)(options->timeout_ms % 1000) * 1000};
    loop->base = event_base_new();
    if (!loop->base)
        return false;
    loop->signals[0] = evsignal_new(loop->base, SIGINT, on_signal, loop);
    loop->signals[1] = evsignal_new(loop->base, SIGTERM, on_signal, loop);
    loop->deadline = evtimer_new(loop->base, on_deadline, loop);
    if (!loop->signals[0] || !loop->signals[1] || !loop->deadline)
        return false;
    return event_add(loop->signals[0], NULL) == 0 && event_add(loop->signals[1], NULL) == 0 &&
           (!options->timeout_given || event_add(loop->deadline, &time) == 0);
}

int bus_loop_open(struct bus_loop *loop, const struct options *options, void (*stop)(void *ctx), void *ctx)
{
    msgsrv_error error;
    *loop = (struct bus_loop){.stop = stop, .ctx = ctx};
    bool made = make_events(loop, options);
    msgsrv_bus_options settings = {
        .size = sizeof settings, .base = loop->base, .name = BUS_NAME, .timeout_ms = options->timeout_ms, .log = on_log};
    msgsrv_status status = made ? msgsrv_bus_open(options->server, &settings, &loop->bus, &error)
                                : app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return status == MSGSRV_OK ? 0 : app_fail("bus", &error, options->server);
}

void bus_loop_run(struct bus_loop *loop)
{
    event_base_dispatch(loop->base);
}

void bus_loop_end(struct bus_loop *loop)
{
    event_base_loopbreak(loop->base);
}

void bus_loop_close(struct bus_loop *loop)
{
    msgsrv_bus_free(loop->bus);
    for (size_t i = 0; i < 2; i++) {
        if (loop->signals[i])
            event_free(loop->signals[i]);
    }
    if (loop->deadline)
        event_free(loop->deadline);
    if (loop->base)
        event_base_free(loop->base);
    *loop = (struct bus_loop){.base = NULL};
}
