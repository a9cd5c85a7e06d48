/* SPDX-License-Identifier: MIT */
/*
 * ./example-sensor-subscriber [URL [COUNT]] prints all temperatures that are published on the bus of a server, whatever
 * their topics; the first COUNT, or all. It connects again by itself, and tells when it has missed something.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <msgsrv/msgsrv.h>

#include "sensor.msgsrv.h"

typedef struct state {
    long wanted; /* events; negative: all */
    msgsrv_handle subscription;
    msgsrv_status status;
    bool ended;
} state;

static void on_temperature(msgsrv_bus *bus, const sensor_Temperature *temperature, const msgsrv_event *event, void *ctx)
{
    state *s = ctx;
    printf("%s: %.1f\n", event->topic, temperature->celsius);
    if (s->wanted > 0 && --s->wanted == 0)
        msgsrv_bus_unsubscribe(bus, s->subscription); /* on_end follows */
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    (void)bus, (void)ctx;
    printf("missing here: %" PRIu64 "%s\n", gap->total, gap->unknown ? ", or more" : "");
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus, (void)ctx;
    printf("listening\n");
    fflush(stdout);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    state *s = ctx;
    (void)bus, (void)gap;
    s->ended = true;
    if (why->code != MSGSRV_CANCELLED) { /* not by us */
        s->status = why->code;
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(why->code), why->text);
    }
}

int main(int argc, char **argv)
{
    static const sensor_Temperature_subscriber subscriber = {on_temperature, on_gap, on_ready, on_end};
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7070";
    state s = {.wanted = argc > 2 ? atol(argv[2]) : -1};
    msgsrv_bus *bus = NULL;
    msgsrv_error err;
    msgsrv_status st = msgsrv_bus_open(url, NULL, &bus, &err);
    if (!st)
        st = sensor_Temperature_subscribe(bus, NULL, &subscriber, &s, &s.subscription, &err);
    while (!st && !s.ended) {
        st = msgsrv_bus_poll(bus, MSGSRV_NONE, &err);
        fflush(stdout);
    }
    if (st)
        fprintf(stderr, "%s: %s\n", msgsrv_status_name(st), err.text);
    msgsrv_bus_free(bus);
    return st || s.status;
}
