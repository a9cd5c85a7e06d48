/* SPDX-License-Identifier: MIT */
/*
 * hz and bw: how many events, and how many bytes, a topic has a second. Mean, least and most over the window, which is the last samples.
 */
#include <stdio.h>
#include <string.h>

#include "bus_watch.h"
#include "commands.h"
#include "json.h"
#include "program.h"

#define WINDOW 60 /* samples */

/* What a sample said. */
struct point {
    uint64_t time_ns, events, bytes;
};

struct rates {
    struct bus_calls calls;
    const char *what;
    struct point points[WINDOW + 1]; /* the last ones, in their order */
    size_t count;
    uint64_t epoch, printed;
};

/* The numbers of a window. */
struct window {
    double mean, least, most, seconds;
    uint64_t events, bytes;
};

static double per_second(uint64_t from, uint64_t to, const struct point *a, const struct point *b)
{
    return (double)(to - from) * 1e9 / (double)(b->time_ns - a->time_ns);
}

static struct window window_of(const struct rates *rates, bool bytes)
{
    const struct point *first = &rates->points[0], *last = &rates->points[rates->count - 1];
    struct window window = {.seconds = (double)(last->time_ns - first->time_ns) / 1e9,
                            .events = last->events - first->events,
                            .bytes = last->bytes - first->bytes};
    for (const struct point *p = first; p < last; p++) {
        double rate =
            bytes ? per_second(p[0].bytes, p[1].bytes, p, p + 1) : per_second(p[0].events, p[1].events, p, p + 1);
        if (p == first || rate < window.least)
            window.least = rate;
        if (rate > window.most)
            window.most = rate;
    }
    window.mean = (double)(bytes ? window.bytes : window.events) / window.seconds;
    return window;
}

static void print_json(const struct rates *rates, const struct window *window)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_string(&json, "topic", rates->calls.options->name);
    app_json_fixed(&json, "mean", window->mean, 1);
    app_json_fixed(&json, "min", window->least, 1);
    app_json_fixed(&json, "max", window->most, 1);
    app_json_fixed(&json, "window_seconds", window->seconds, 3);
    app_json_uint(&json, "events", window->events);
    app_json_uint(&json, "bytes", window->bytes);
    app_json_close(&json);
}

static void print(const struct rates *rates)
{
    bool bytes = rates->calls.options->command == COMMAND_BW;
    const char *unit = bytes ? "B/s" : "events/s";
    struct window window = window_of(rates, bytes);
    if (rates->calls.options->json) {
        print_json(rates, &window);
        return;
    }
    printf("mean %.1f %s  min %.1f  max %.1f  window %.1f s", window.mean, unit, window.least, window.most,
           window.seconds);
    if (bytes && window.events > 0)
        printf("  mean event %.1f B", (double)window.bytes / (double)window.events);
    putchar('\n');
}

/* The topic in a sample; one that was forgotten meanwhile has begun anew, with nothing. */
static bool on_sample(void *ctx, const msgsrv_bus_v1_TopicsResponse *sample)
{
    struct rates *rates = ctx;
    struct point point = {.time_ns = sample->time_ns};
    uint64_t epoch = rates->epoch;
    if (sample->topics_count > 0) {
        point.events = sample->topics[0].events;
        point.bytes = sample->topics[0].bytes;
        epoch = sample->topics[0].epoch;
    }
    const struct point *last = rates->count > 0 ? &rates->points[rates->count - 1] : NULL;
    if (last && point.time_ns <= last->time_ns)
        return true;
    if (last && (epoch != rates->epoch || point.events < last->events || point.bytes < last->bytes))
        rates->count = 0;
    rates->epoch = epoch;
    if (rates->count == WINDOW + 1)
        memmove(rates->points, rates->points + 1, --rates->count * sizeof *rates->points);
    rates->points[rates->count++] = point;
    if (rates->count < 2)
        return true;
    print(rates);
    return ++rates->printed != rates->calls.options->count;
}

/* Only a topic that is there, by its whole name. */
static int check_topic(const struct rates *rates)
{
    msgsrv_bus_v1_TopicsResponse topics;
    const char *name = rates->calls.options->name;
    if (strpbrk(name, "*>")) {
        app_line("%s: INVALID_ARGUMENT: \"%s\" is a pattern; one topic is wanted", rates->what, name);
        return MSGSRV_INVALID_ARGUMENT;
    }
    int status = bus_topics(&rates->calls, rates->what, name, &topics);
    if (status == 0 && topics.topics_count == 0)
        status = bus_no_topic(&rates->calls, rates->what, name, "");
    msgsrv_bus_v1_TopicsResponse_release(&topics);
    return status;
}

int command_rates(const struct options *options)
{
    struct rates rates = {.what = options->command == COMMAND_HZ ? "hz" : "bw"};
    int status = bus_open(&rates.calls, options, rates.what);
    if (status == 0)
        status = check_topic(&rates);
    if (status == 0)
        status = bus_watch(&rates.calls, rates.what, options->name, false, on_sample, &rates);
    bus_close(&rates.calls);
    return status;
}
