/* SPDX-License-Identifier: MIT */
/*
 * What an event costs in one process, on one thread: published on a `mem:` bus, and handled by a subscription of the same handle. Typed,
 * the struct is handed over; `encoded`, it is published as a struct and a subscription wants bytes; `bytes`, it is bytes on both
 * sides. Published by turns of TURN, then polled until all have come. Every event is looked at. Prints one line of JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <msgsrv/bus.h>
#include <msgsrv/msgsrv.h>

#include "bench.msgsrv.h"

#define TOPIC "bench.events"
#define TURN 512u /* events; half of what a subscription's queue takes */

enum way { TYPED, ENCODED, BYTES };

struct run {
    uint64_t got;
    uint64_t sum; /* of stamps: every event was looked at */
    uint64_t lost;
};

static const unsigned char encoded_tick[16] = {0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x12, 5, 'x', 'x', 'x', 'x', 'x'};

static void fail(const char *what, const msgsrv_error *error)
{
    fprintf(stderr, "bus-cost: %s: %s\n", what, error->text);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_typed(msgsrv_bus *bus, const bench_Tick *tick, const msgsrv_event *event, void *ctx)
{
    struct run *run = ctx;
    (void)bus;
    (void)event;
    run->got++;
    run->sum += tick->stamp;
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct run *run = ctx;
    (void)bus;
    run->got++;
    run->sum += event->payload_size == sizeof encoded_tick ? ((const unsigned char *)event->payload)[1] : 0;
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    struct run *run = ctx;
    (void)bus;
    run->lost += gap->total + gap->unknown;
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    (void)why;
    (void)gap;
    (void)ctx;
}

static void subscribe(msgsrv_bus *bus, enum way way, struct run *run)
{
    static const bench_Tick_subscriber typed = {.event = on_typed, .gap = on_gap, .end = on_end};
    static const msgsrv_subscriber untyped = {.event = on_event, .gap = on_gap, .end = on_end};
    static const msgsrv_subscribe_options options = {.pattern = TOPIC};
    msgsrv_error error;
    msgsrv_status status = way == TYPED ? bench_Tick_subscribe(bus, &options, &typed, run, NULL, &error)
                                        : msgsrv_bus_subscribe(bus, NULL, &options, &untyped, run, NULL, &error);
    if (status)
        fail("subscribe", &error);
}

static void publish(msgsrv_bus *bus, enum way way)
{
    static const bench_Tick tick = {.stamp = 1, .text = {.size = 5, .bytes = "xxxxx"}};
    static const msgsrv_bytes bytes = {.data = encoded_tick, .size = sizeof encoded_tick};
    static const msgsrv_publish_options options = {.type = "bench.Tick"};
    msgsrv_error error;
    msgsrv_status status =
        way == BYTES ? msgsrv_bus_publish_async(bus, TOPIC, &msgsrv_raw_type, &bytes, &options, NULL, NULL, &error)
                     : bench_Tick_publish_async(bus, TOPIC, &tick, NULL, NULL, NULL, &error);
    if (status)
        fail("publish", &error);
}

/* Publishes and handles until the time is over; events handled per second of this process's time. */
static double measure(enum way way, unsigned subscribers, double seconds)
{
    msgsrv_bus *bus = NULL;
    msgsrv_error error;
    struct run run = {0};
    uint64_t published = 0;
    if (msgsrv_bus_open("mem:", NULL, &bus, &error))
        fail("open", &error);
    for (unsigned i = 0; i < subscribers; i++)
        subscribe(bus, way, &run);
    double begin = now_s(), now = begin;
    while (now < begin + seconds) {
        for (unsigned i = 0; i < TURN; i++)
            publish(bus, way);
        published += TURN;
        while (run.got < published * subscribers)
            if (msgsrv_bus_poll(bus, 1000, &error))
                fail("poll", &error);
        now = now_s();
    }
    msgsrv_bus_free(bus);
    if (run.lost || run.sum != run.got) {
        fprintf(stderr, "bus-cost: %" PRIu64 " events lost, %" PRIu64 " of %" PRIu64 " wrong\n", run.lost,
                run.got - run.sum, run.got);
        exit(1);
    }
    return (double)run.got / (now - begin);
}

int main(int argc, char **argv)
{
    double seconds = argc == 2 ? atof(argv[1]) : 0.5;
    if (argc > 2 || !(seconds > 0 && seconds < 3600)) {
        fprintf(stderr, "usage: %s [SECONDS]\n", argv[0]);
        return 2;
    }
    printf("{\"typed\": %.0f, ", measure(TYPED, 1, seconds));
    printf("\"encoded\": %.0f, ", measure(ENCODED, 1, seconds));
    printf("\"bytes\": %.0f, ", measure(BYTES, 1, seconds));
    printf("\"typed_to_8\": %.0f, ", measure(TYPED, 8, seconds));
    printf("\"bytes_to_8\": %.0f}\n", measure(BYTES, 8, seconds));
    return 0;
}
