/* SPDX-License-Identifier: MIT */
/*
 * consume: takes messages from a queue, prints each, and then settles it. It ends when the bus has confirmed what was settled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus_calls.h"
#include "bus_loop.h"
#include "commands.h"
#include "event_print.h"
#include "program.h"

#define PREFETCH 256u

struct consume {
    const struct options *options;
    struct bus_calls calls;
    struct bus_loop loop;
    msgsrv_handle consumer;
    uint64_t printed, unconfirmed;
    bool stopping; /* by us: nothing more is taken, and the end is no failure */
    msgsrv_error error;
};

static void unsubscribe_if_done(struct consume *consume)
{
    if (consume->stopping && consume->unconfirmed == 0)
        msgsrv_bus_unsubscribe(consume->loop.bus, consume->consumer);
}

static void stop(void *ctx)
{
    struct consume *consume = ctx;
    consume->stopping = true;
    unsubscribe_if_done(consume);
}

static void on_settled(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    struct consume *consume = ctx;
    (void)bus;
    consume->unconfirmed--;
    if (status != MSGSRV_OK) {
        bus_fail(&consume->calls, "Consume", error);
        consume->error = *error;
    }
    unsubscribe_if_done(consume);
}

static void settle(struct consume *consume, uint64_t delivery)
{
    const struct options *options = consume->options;
    msgsrv_settlement settlement = options->reject ? MSGSRV_REJECT : options->nak ? MSGSRV_NAK : MSGSRV_ACK;
    msgsrv_error error;
    consume->unconfirmed++;
    if (msgsrv_bus_settle(consume->loop.bus, delivery, settlement, options->nak ? options->delay_ms : 0,
                          options->reason, on_settled, consume, &error) != MSGSRV_OK)
        on_settled(consume->loop.bus, error.code, &error, consume);
}

static void print(struct consume *consume, const msgsrv_delivery *delivery)
{
    char more[64] = "";
    struct app_json json = {.out = stdout};
    if (delivery->count > 1)
        snprintf(more, sizeof more, "delivery %" PRIu32, delivery->count);
    if (!consume->options->json) {
        event_print(&consume->calls, delivery->event, more);
        return;
    }
    app_json_open(&json, NULL);
    app_json_string(&json, "queue", delivery->queue);
    app_json_uint(&json, "delivery", delivery->count);
    event_print_members(&consume->calls, &json, delivery->event);
    app_json_close(&json);
}

/* What is not printed is not settled, and goes back. */
static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    struct consume *consume = ctx;
    (void)bus;
    if (consume->stopping)
        return MSGSRV_DEFERRED;
    print(consume, delivery);
    if (!app_flush()) {
        stop(consume);
        return MSGSRV_DEFERRED;
    }
    consume->printed++;
    consume->stopping = consume->printed == consume->options->count;
    settle(consume, delivery->id);
    return MSGSRV_DEFERRED;
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    struct consume *consume = ctx;
    (void)bus;
    if (!consume->stopping) {
        bus_fail_queue(&consume->calls, "Consume", why, consume->options->name);
        consume->error = *why;
    }
    bus_loop_end(&consume->loop);
}

static int run(struct consume *consume)
{
    static const msgsrv_consumer CONSUMER = {.message = on_message, .end = on_end};
    const struct options *options = consume->options;
    msgsrv_error error;
    uint32_t prefetch = options->prefetch ? options->prefetch : PREFETCH;
    if (options->count > 0 && options->count < prefetch)
        prefetch = options->count;
    msgsrv_consume_options settings = {.size = sizeof settings, .prefetch = prefetch};
    if (msgsrv_bus_consume(consume->loop.bus, options->name, NULL, &settings, &CONSUMER, consume, &consume->consumer,
                           &error) != MSGSRV_OK)
        return bus_fail_queue(&consume->calls, "Consume", &error, options->name);
    bus_loop_run(&consume->loop);
    if (consume->loop.late && consume->error.code == MSGSRV_OK) {
        app_error(&consume->error, MSGSRV_DEADLINE_EXCEEDED, "the time of --timeout is over");
        bus_fail(&consume->calls, "Consume", &consume->error);
    }
    return (int)consume->error.code;
}

int command_consume(const struct options *options)
{
    struct consume consume = {.options = options};
    int status = bus_open(&consume.calls, options, "consume");
    if (status == 0)
        status = bus_need_queue(&consume.calls, "consume", options->name);
    if (status == 0)
        status = bus_loop_open(&consume.loop, options, stop, &consume);
    if (status == 0)
        status = run(&consume);
    bus_loop_close(&consume.loop);
    bus_close(&consume.calls);
    return status;
}
