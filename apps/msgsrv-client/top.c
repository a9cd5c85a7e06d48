/* SPDX-License-Identifier: MIT */
/*
 * top: topics and queues, again and again: on a terminal as a screen that is redrawn in place, else a line each time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bus_print.h"
#include "bus_watch.h"
#include "commands.h"
#include "program.h"

struct top {
    struct bus_calls calls; /* whose client asks for the queues, while a sample is taken */
    struct screen screen;
    struct topic_counts before;
    bool terminal;
    int status;
};

static void draw_bus(struct top *top, const msgsrv_bus_v1_TopicsResponse *sample)
{
    const msgsrv_bus_v1_BusInfo *bus = &sample->bus;
    const struct topic_counts *before = &top->before;
    char a[32], b[32], c[32];
    screen_line(&top->screen, "%s", top->calls.options->server);
    screen_line(&top->screen,
                "topics       %" PRIu64 "; subscriptions %" PRIu64 ", queues %" PRIu64 ", consumers %" PRIu64,
                bus->topics, bus->subscriptions, bus->queues, bus->consumers);
    screen_line(&top->screen, "events       published %s/s, delivered %s/s, lost %s/s; refused %" PRIu64,
                rate_text(a, topic_counts_grown(before, sample, before->published, bus->published)),
                rate_text(b, topic_counts_grown(before, sample, before->delivered, bus->delivered)),
                rate_text(c, topic_counts_grown(before, sample, before->lost, bus->lost)), bus->refused);
    screen_line(&top->screen, "waiting      %" PRIu64 " events, %" PRIu64 " B; retained %" PRIu64 " B",
                bus->waiting_events, bus->waiting_bytes, bus->retained_bytes);
    screen_line(&top->screen, " ");
}

static void print_line(const struct top *top, const msgsrv_bus_v1_TopicsResponse *sample,
                       const msgsrv_bus_v1_QueuesResponse *queues)
{
    const msgsrv_bus_v1_BusInfo *bus = &sample->bus;
    const struct topic_counts *before = &top->before;
    char a[32], b[32], c[32];
    uint64_t messages = 0, dead = 0;
    for (size_t i = 0; i < queues->queues_count; i++) {
        messages += queues->queues[i].messages;
        dead += queues->queues[i].dead;
    }
    printf("topics %" PRIu64 "  subscriptions %" PRIu64 "  queues %" PRIu64 "  consumers %" PRIu64
           "  published/s %s  delivered/s %s  lost/s %s  refused %" PRIu64 "  waiting %" PRIu64 "  messages %" PRIu64
           "  dead %" PRIu64 "\n",
           bus->topics, bus->subscriptions, bus->queues, bus->consumers,
           rate_text(a, topic_counts_grown(before, sample, before->published, bus->published)),
           rate_text(b, topic_counts_grown(before, sample, before->delivered, bus->delivered)),
           rate_text(c, topic_counts_grown(before, sample, before->lost, bus->lost)), bus->refused, bus->waiting_events,
           messages, dead);
}

static void print_json(const struct top *top, const msgsrv_bus_v1_TopicsResponse *sample,
                       const msgsrv_bus_v1_QueuesResponse *queues)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    bus_print_topics_json(&json, &top->before, sample);
    bus_print_queues_json(&json, queues, NULL);
    app_json_close(&json);
}

static bool on_sample(void *ctx, const msgsrv_bus_v1_TopicsResponse *sample)
{
    struct top *top = ctx;
    msgsrv_bus_v1_QueuesResponse queues;
    top->status = bus_queues(&top->calls, "top", &queues);
    if (top->status == 0) {
        if (top->calls.options->json) {
            print_json(top, sample, &queues);
        } else if (top->terminal) {
            screen_begin(&top->screen);
            draw_bus(top, sample);
            bus_draw_topics(&top->screen, &top->before, sample);
            bus_draw_queues(&top->screen, &queues);
            screen_end();
        } else {
            print_line(top, sample, &queues);
        }
    }
    msgsrv_bus_v1_QueuesResponse_release(&queues);
    if (top->status == 0 && !topic_counts_keep(&top->before, sample)) {
        app_line("top: RESOURCE_EXHAUSTED: no memory");
        top->status = MSGSRV_RESOURCE_EXHAUSTED;
    }
    return top->status == 0;
}

int command_top(const struct options *options)
{
    struct top top = {.terminal = !options->json && isatty(STDOUT_FILENO)};
    int status = bus_open(&top.calls, options, "top");
    if (status == 0)
        status = bus_watch(&top.calls, "top", options->name, top.terminal, on_sample, &top);
    topic_counts_free(&top.before);
    bus_close(&top.calls);
    return top.status != 0 ? top.status : status;
}
