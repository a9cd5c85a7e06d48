/* SPDX-License-Identifier: MIT */
/*
 * sub: prints the events of a pattern, a type, or both, as they come. A connection that is lost is made again; the gap that comes then
 * tells what was missed.
 */
#include <stdio.h>
#include <string.h>

#include "bus_calls.h"
#include "bus_loop.h"
#include "commands.h"
#include "event_print.h"
#include "program.h"

struct sub {
    const struct options *options;
    struct bus_calls calls;
    struct bus_loop loop;
    msgsrv_handle subscription;
    uint64_t printed;
    bool stopping; /* by us: the end is no failure */
    msgsrv_error error;
};

static void stop(void *ctx)
{
    struct sub *sub = ctx;
    sub->stopping = true;
    msgsrv_bus_unsubscribe(sub->loop.bus, sub->subscription);
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct sub *sub = ctx;
    struct app_json json = {.out = stdout};
    (void)bus;
    if (sub->stopping)
        return;
    if (sub->options->json) {
        app_json_open(&json, NULL);
        event_print_members(&sub->calls, &json, event);
        app_json_close(&json);
    } else {
        event_print(&sub->calls, event, "");
    }
    sub->printed++;
    if (!app_flush() || sub->printed == sub->options->count)
        stop(sub);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    struct sub *sub = ctx;
    (void)bus;
    if (sub->stopping)
        return;
    event_print_gap(&sub->calls, gap);
    if (!app_flush())
        stop(sub);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    struct sub *sub = ctx;
    if (gap)
        on_gap(bus, gap, sub);
    if (!sub->stopping)
        sub->error = *why;
    bus_loop_end(&sub->loop);
}

/* Asks the bus what it knows of the pattern; a name that is not there may be a mistake, or come later. */
static int check_pattern(const struct sub *sub)
{
    char near[512];
    const char *pattern = sub->options->name;
    msgsrv_bus_v1_TopicsResponse topics;
    int status = bus_topics(&sub->calls, "sub", pattern, &topics);
    bool none = topics.topics_count == 0;
    msgsrv_bus_v1_TopicsResponse_release(&topics);
    if (status == 0 && none && pattern && bus_nearest_topic(&sub->calls, pattern, near, sizeof near))
        app_line("sub: no topic \"%s\" is known yet (did you mean %s?)", pattern, near);
    return status;
}

static int subscribe(struct sub *sub, const char *type)
{
    static const msgsrv_subscriber SUBSCRIBER = {.event = on_event, .gap = on_gap, .end = on_end};
    const struct options *options = sub->options;
    msgsrv_error error;
    msgsrv_subscribe_options settings = {.size = sizeof settings,
                                         .pattern = options->name,
                                         .type = type,
                                         .group = options->group,
                                         .policy = (msgsrv_bus_policy)options->policy,
                                         .max_events = options->max_events,
                                         .max_bytes = options->bounds.max_bytes,
                                         .last = options->last};
    if (msgsrv_bus_subscribe(sub->loop.bus, NULL, &settings, &SUBSCRIBER, sub, &sub->subscription, &error) != MSGSRV_OK)
        return bus_fail(&sub->calls, "Subscribe", &error);
    bus_loop_run(&sub->loop);
    if (sub->loop.late)
        app_error(&sub->error, MSGSRV_DEADLINE_EXCEEDED, "the time of --timeout is over");
    return sub->error.code == MSGSRV_OK ? 0 : bus_fail(&sub->calls, "Subscribe", &sub->error);
}

int command_sub(const struct options *options)
{
    struct sub sub = {.options = options};
    const char *type = NULL;
    int status = bus_open(&sub.calls, options, "sub");
    if (status == 0)
        status = check_pattern(&sub);
    if (status == 0 && options->types.count > 0)
        status = bus_expand_type(&sub.calls, "sub", options->types.texts[0], &type);
    if (status == 0)
        status = bus_loop_open(&sub.loop, options, stop, &sub);
    if (status == 0)
        status = subscribe(&sub, type);
    bus_loop_close(&sub.loop);
    bus_close(&sub.calls);
    return status;
}
