/* SPDX-License-Identifier: MIT */
/*
 * bench pubsub: one publisher and some subscribers, each a handle with a connection of its own, all on one event_base. The publisher keeps a
 * number of events unanswered. When the window is over and all is answered, it publishes a last event, without a time: whoever has got
 * that has got, or been told to have lost, all others. A drop never takes the newest event.
 */
#include "commands.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <msgsrv/bus.h>

#include "bench_latency.h"
#include "bus_calls.h"
#include "program.h"

#define BENCH_NAME "msgsrv-bench"
#define BENCH_TYPE "msgsrv.bench.Event"
#define STAMP_TAG 0x09 /* field 1, fixed64: when it was published */
#define STAMP_BYTES 9u
#define FILL_TAG 0x12 /* field 2, bytes: the rest of the size */

struct bench;

struct reader {
    struct bench *bench;
    msgsrv_bus *bus;
    bool ready, done;
};

enum phase { CONNECTING, MEASURING, ENDING };

struct bench {
    const struct options *options;
    struct bus_calls calls;
    struct event_base *base;
    struct event *end, *guard; /* timers */
    msgsrv_bus *publisher;
    struct reader *readers;
    char topic[64];
    unsigned char *payload;
    size_t size;
    enum phase phase;
    uint32_t ready, done, unanswered;
    uint64_t begin_ns, end_ns;
    uint64_t published, delivered, lost, failed[MSGSRV_STATUS_COUNT], failures;
    bool unknown_losses, last_sent;
    msgsrv_error first; /* failure */
    struct histogram latency;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void note_failure(struct bench *bench, const msgsrv_error *error)
{
    if (bench->failures++ == 0)
        bench->first = *error;
    bench->failed[error->code < MSGSRV_STATUS_COUNT ? error->code : MSGSRV_INTERNAL]++;
}

static void stop(struct bench *bench)
{
    event_base_loopbreak(bench->base);
}

/* The payload: a stamp, and as many bytes as the size asks for; a byte less where no length fits. */
static bool make_payload(struct bench *bench)
{
    size_t rest = bench->options->size - STAMP_BYTES - 1;
    size_t digits = 1;
    while (digits < 5 && rest - digits >= (size_t)1 << 7 * digits)
        digits++;
    size_t fill = rest - digits;
    unsigned char *p = bench->payload = calloc(1, bench->options->size);
    if (!p)
        return false;
    *p = STAMP_TAG;
    p += STAMP_BYTES;
    *p++ = FILL_TAG;
    size_t left = fill;
    for (; left > 0x7f; left >>= 7)
        *p++ = (unsigned char)(0x80 | (left & 0x7f));
    *p++ = (unsigned char)left;
    bench->size = (size_t)(p - bench->payload) + fill;
    return true;
}

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx);

/* False when it was not taken. The time 0 marks the last one. */
static bool publish(struct bench *bench, uint64_t stamp)
{
    msgsrv_error error;
    msgsrv_bytes message = {.data = bench->payload, .size = bench->size};
    msgsrv_publish_options options = {.size = sizeof options, .type = BENCH_TYPE};
    for (unsigned i = 0; i < 8; i++)
        bench->payload[1 + i] = (unsigned char)(stamp >> 8 * i);
    msgsrv_status status = msgsrv_bus_publish_async(bench->publisher, bench->topic, &msgsrv_raw_type, &message,
                                                    &options, on_published, bench, &error);
    if (status == MSGSRV_OK)
        bench->unanswered++;
    else if (status != MSGSRV_AGAIN)
        note_failure(bench, &error);
    return status == MSGSRV_OK;
}

/* Publishes as many as may be unanswered; in the end, when all is answered, the last one. */
static void publish_more(struct bench *bench)
{
    bool going = true;
    while (going && bench->phase == MEASURING && bench->failures == 0 && bench->unanswered < bench->options->outstanding)
        going = publish(bench, now_ns());
    if (bench->phase == ENDING && bench->unanswered == 0 && !bench->last_sent)
        bench->last_sent = publish(bench, 0);
    if (bench->failures > 0 && bench->unanswered == 0)
        stop(bench);
}

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    struct bench *bench = ctx;
    (void)bus;
    (void)receipt;
    bench->unanswered--;
    if (status != MSGSRV_OK)
        note_failure(bench, error);
    else if (bench->phase == MEASURING)
        bench->published++;
    publish_more(bench);
}

static void on_writable(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    publish_more(ctx);
}

static uint64_t stamp_of(const msgsrv_event *event)
{
    const unsigned char *payload = event->payload;
    uint64_t stamp = 0;
    for (unsigned i = 0; event->payload_size >= STAMP_BYTES && i < 8; i++)
        stamp |= (uint64_t)payload[1 + i] << 8 * i;
    return stamp;
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct reader *reader = ctx;
    struct bench *bench = reader->bench;
    uint64_t stamp = stamp_of(event), now = now_ns();
    (void)bus;
    if (stamp > 0 && bench->phase == MEASURING) {
        bench->delivered++;
        histogram_add(&bench->latency, now > stamp ? now - stamp : 0);
    }
    if (stamp > 0 || reader->done)
        return;
    reader->done = true;
    if (++bench->done == bench->options->subscribers)
        stop(bench);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    struct reader *reader = ctx;
    (void)bus;
    reader->bench->lost += gap->total;
    reader->bench->unknown_losses |= gap->unknown;
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    struct reader *reader = ctx;
    struct bench *bench = reader->bench;
    uint32_t ms = bench->options->duration_ms;
    struct timeval length = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    (void)bus;
    bench->ready += !reader->ready;
    reader->ready = true;
    if (bench->phase != CONNECTING || bench->ready < bench->options->subscribers)
        return;
    event_del(bench->guard);
    bench->phase = MEASURING;
    bench->begin_ns = now_ns();
    event_add(bench->end, &length);
    publish_more(bench);
}

static void on_closed(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    struct reader *reader = ctx;
    (void)bus;
    (void)gap;
    if (why->code == MSGSRV_CANCELLED)
        return;
    note_failure(reader->bench, why);
    stop(reader->bench);
}

static void start_guard(struct bench *bench)
{
    uint32_t ms = bench->options->timeout_ms;
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    event_add(bench->guard, &time);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
    struct bench *bench = ctx;
    (void)fd;
    (void)what;
    bench->phase = ENDING;
    bench->end_ns = now_ns();
    start_guard(bench);
    publish_more(bench);
}

static void on_guard(evutil_socket_t fd, short what, void *ctx)
{
    struct bench *bench = ctx;
    msgsrv_error error;
    (void)fd;
    (void)what;
    app_error(&error, MSGSRV_DEADLINE_EXCEEDED,
              bench->phase == CONNECTING ? "not all subscriptions are there"
                                         : "not all subscribers have got the last event");
    note_failure(bench, &error);
    stop(bench);
}

static msgsrv_status open_reader(struct bench *bench, struct reader *reader, const msgsrv_bus_options *settings,
                                 msgsrv_error *error)
{
    static const msgsrv_subscriber SUBSCRIBER = {.event = on_event, .gap = on_gap, .ready = on_ready, .end = on_closed};
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = bench->topic};
    reader->bench = bench;
    msgsrv_status status = msgsrv_bus_open(bench->options->server, settings, &reader->bus, error);
    return status == MSGSRV_OK ? msgsrv_bus_subscribe(reader->bus, NULL, &options, &SUBSCRIBER, reader, NULL, error)
                               : status;
}

static msgsrv_status prepare(struct bench *bench, msgsrv_error *error)
{
    const struct options *options = bench->options;
    msgsrv_bus_options settings = {.size = sizeof settings,
                                   .name = BENCH_NAME,
                                   .timeout_ms = options->timeout_ms,
                                   .max_unanswered = options->outstanding,
                                   .on_writable = on_writable,
                                   .ctx = bench};
    snprintf(bench->topic, sizeof bench->topic, "%s.%ld", BENCH_NAME, (long)getpid());
    bench->base = settings.base = event_base_new();
    bench->readers = calloc(options->subscribers, sizeof *bench->readers);
    bench->end = bench->base ? evtimer_new(bench->base, on_end, bench) : NULL;
    bench->guard = bench->base ? evtimer_new(bench->base, on_guard, bench) : NULL;
    if (!bench->readers || !bench->end || !bench->guard || !make_payload(bench))
        return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    start_guard(bench);
    msgsrv_status status = msgsrv_bus_open(options->server, &settings, &bench->publisher, error);
    settings.on_writable = NULL;
    for (uint32_t i = 0; status == MSGSRV_OK && i < options->subscribers; i++)
        status = open_reader(bench, &bench->readers[i], &settings, error);
    return status;
}

static void release(struct bench *bench)
{
    bus_close(&bench->calls);
    for (uint32_t i = 0; bench->readers && i < bench->options->subscribers; i++)
        msgsrv_bus_free(bench->readers[i].bus);
    msgsrv_bus_free(bench->publisher);
    if (bench->end)
        event_free(bench->end);
    if (bench->guard)
        event_free(bench->guard);
    if (bench->base)
        event_base_free(bench->base);
    free(bench->readers);
    free(bench->payload);
    free(bench);
}

static void print_json(const struct bench *bench, double seconds)
{
    const struct options *options = bench->options;
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_string(&json, "server", options->server);
    app_json_uint(&json, "subscribers", options->subscribers);
    app_json_uint(&json, "outstanding", options->outstanding);
    app_json_uint(&json, "size", bench->size);
    app_json_fixed(&json, "seconds", seconds, 3);
    app_json_uint(&json, "published", bench->published);
    app_json_fixed(&json, "published_per_second", (double)bench->published / seconds, 1);
    app_json_uint(&json, "delivered", bench->delivered);
    app_json_fixed(&json, "delivered_per_second", (double)bench->delivered / seconds, 1);
    app_json_uint(&json, "lost", bench->lost);
    app_json_bool(&json, "lost_more", bench->unknown_losses);
    app_json_open(&json, "failed");
    for (int code = 1; code < MSGSRV_STATUS_COUNT; code++) {
        if (bench->failed[code])
            app_json_uint(&json, msgsrv_status_name((msgsrv_status)code), bench->failed[code]);
    }
    app_json_close(&json);
    bench_latency_json(&json, &bench->latency);
    app_json_close(&json);
}

static void print_text(const struct bench *bench, double seconds)
{
    const struct options *options = bench->options;
    printf("subscribers  %" PRIu32 ", events of %zu B, %" PRIu32 " unanswered\n", options->subscribers, bench->size,
           options->outstanding);
    printf("published    %" PRIu64 " in %.3f s: %.0f/s\n", bench->published, seconds, (double)bench->published / seconds);
    printf("delivered    %" PRIu64 ": %.0f/s\n", bench->delivered, (double)bench->delivered / seconds);
    printf("lost         %" PRIu64 "%s, failed %" PRIu64 "\n", bench->lost, bench->unknown_losses ? " or more" : "",
           bench->failures);
    bench_latency_print(&bench->latency);
}

/* Prints what was measured, if the window was reached, and reports what went wrong. Returns the exit status. */
static int conclude(const struct bench *bench)
{
    if (bench->begin_ns > 0) {
        uint64_t end_ns = bench->phase == ENDING ? bench->end_ns : now_ns();
        double seconds = (double)(end_ns - bench->begin_ns) / 1e9;
        (bench->options->json ? print_json : print_text)(bench, seconds);
    }
    return bench->failures == 0 ? 0 : bus_fail(&bench->calls, "bench", &bench->first);
}

int command_bench_pubsub(const struct options *options)
{
    msgsrv_error error = {0};
    msgsrv_bus_v1_TopicsResponse topics;
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) {
        app_error(&error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
        return app_fail("bench", &error, "");
    }
    bench->options = options;
    int status = bus_open(&bench->calls, options, "bench");
    if (status == 0) { /* handles would wait for a server that is not there */
        status = bus_topics(&bench->calls, "bench", NULL, &topics);
        msgsrv_bus_v1_TopicsResponse_release(&topics);
    }
    if (status == 0 && prepare(bench, &error) != MSGSRV_OK)
        status = bus_fail(&bench->calls, "bench", &error);
    if (status == 0) {
        event_base_dispatch(bench->base);
        status = conclude(bench);
    }
    release(bench);
    return status;
}
