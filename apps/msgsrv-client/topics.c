/* SPDX-License-Identifier: MIT */
/*
 * topics: what there is, who publishes and who listens; once, or again and again with rates.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus_print.h"
#include "bus_watch.h"
#include "commands.h"
#include "program.h"

struct topics {
    struct bus_calls calls;
    struct screen screen;
    struct topic_counts before;
    bool terminal, no_memory;
};

static bool on_sample(void *ctx, const msgsrv_bus_v1_TopicsResponse *sample)
{
    struct topics *topics = ctx;
    if (topics->calls.options->json) {
        struct app_json json = {.out = stdout};
        app_json_open(&json, NULL);
        bus_print_topics_json(&json, &topics->before, sample);
        app_json_close(&json);
    } else if (topics->terminal) {
        screen_begin(&topics->screen);
        bus_draw_topics(&topics->screen, &topics->before, sample);
        screen_end();
    } else {
        bus_print_topic_lines(&topics->before, sample);
    }
    topics->no_memory = !topic_counts_keep(&topics->before, sample);
    return !topics->no_memory;
}

static int watch(struct topics *topics)
{
    int status = bus_watch(&topics->calls, "topics", topics->calls.options->name, topics->terminal, on_sample, topics);
    if (!topics->no_memory)
        return status;
    app_line("topics: RESOURCE_EXHAUSTED: no memory");
    return MSGSRV_RESOURCE_EXHAUSTED;
}

static int print_once(struct topics *topics)
{
    const struct options *options = topics->calls.options;
    msgsrv_bus_v1_TopicsResponse sample;
    struct app_json json = {.out = stdout};
    int status = bus_topics(&topics->calls, "topics", options->name, &sample);
    /* A name that is not there may be a mistake; a pattern may well match nothing. */
    if (status == 0 && sample.topics_count == 0 && options->name && !strpbrk(options->name, "*>"))
        status = bus_no_topic(&topics->calls, "topics", options->name, "");
    if (status == 0 && options->json) {
        app_json_open(&json, NULL);
        bus_print_topics_json(&json, &topics->before, &sample);
        app_json_close(&json);
    } else if (status == 0) {
        bus_print_topics(&sample);
    }
    msgsrv_bus_v1_TopicsResponse_release(&sample);
    return status;
}

int command_topics(const struct options *options)
{
    struct topics topics = {.terminal = options->watch && !options->json && isatty(STDOUT_FILENO)};
    int status = bus_open(&topics.calls, options, "topics");
    if (status == 0)
        status = options->watch ? watch(&topics) : print_once(&topics);
    topic_counts_free(&topics.before);
    bus_close(&topics.calls);
    return status;
}
