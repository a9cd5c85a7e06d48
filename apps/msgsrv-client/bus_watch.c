/* SPDX-License-Identifier: MIT */
/*
 * Watching topics; see bus_watch.h.
 */
#include "bus_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "live.h"
#include "program.h"
#include "screen.h"

void topic_counts_free(struct topic_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++)
        free(counts->topics[i].name);
    free(counts->topics);
    *counts = (struct topic_counts){.topics = NULL};
}

bool topic_counts_keep(struct topic_counts *counts, const msgsrv_bus_v1_TopicsResponse *sample)
{
    struct topic_counts kept = {.time_ns = sample->time_ns,
                                .published = sample->bus.published,
                                .delivered = sample->bus.delivered,
                                .lost = sample->bus.lost};
    kept.topics = calloc((size_t)sample->topics_count + 1, sizeof *kept.topics);
    for (size_t i = 0; kept.topics && i < sample->topics_count; i++) {
        const msgsrv_bus_v1_TopicInfo *topic = &sample->topics[i];
        kept.topics[i] = (struct topic_count){.name = strdup(bus_text(topic->topic)),
                                              .epoch = topic->epoch,
                                              .events = topic->events,
                                              .bytes = topic->bytes};
        kept.count = i + 1;
        if (!kept.topics[i].name)
            break;
    }
    bool good = kept.topics && (kept.count == 0 || kept.topics[kept.count - 1].name);
    if (good) {
        topic_counts_free(counts);
        *counts = kept;
    } else {
        topic_counts_free(&kept);
    }
    return good;
}

/* They come sorted. */
static const struct topic_count *find(const struct topic_counts *counts, const char *name)
{
    size_t low = 0, high = counts->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(counts->topics[middle].name, name);
        if (order == 0)
            return &counts->topics[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

double topic_counts_grown(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *now, uint64_t from,
                          uint64_t to)
{
    if (before->time_ns == 0 || now->time_ns <= before->time_ns || to < from)
        return -1;
    return (double)(to - from) * 1e9 / (double)(now->time_ns - before->time_ns);
}

struct topic_rate topic_counts_rate(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *now,
                                    const msgsrv_bus_v1_TopicInfo *topic)
{
    const struct topic_count *kept = find(before, bus_text(topic->topic));
    bool same = kept && kept->epoch == topic->epoch; /* else it began meanwhile, from 0 */
    return (struct topic_rate){topic_counts_grown(before, now, same ? kept->events : 0, topic->events),
                               topic_counts_grown(before, now, same ? kept->bytes : 0, topic->bytes)};
}

const char *rate_text(char room[32], double rate)
{
    if (rate < 0)
        return "-";
    snprintf(room, 32, "%.1f", rate);
    return room;
}

/* What live_run() is given. */
struct watch {
    bool (*sample)(void *ctx, const msgsrv_bus_v1_TopicsResponse *topics);
    void *ctx;
};

static bool on_message(void *ctx, const void *message)
{
    const struct watch *watch = ctx;
    return watch->sample(watch->ctx, message) && app_flush();
}

int bus_watch(struct bus_calls *bus, const char *what, const char *pattern, bool screen,
              bool (*sample)(void *ctx, const msgsrv_bus_v1_TopicsResponse *topics), void *ctx)
{
    const struct options *options = bus->options;
    struct watch watch = {sample, ctx};
    msgsrv_error error;
    msgsrv_client *client = NULL;
    msgsrv_client_options settings = {.size = sizeof settings, .thread = true, .max_message = COMMANDS_MESSAGE_MAX};
    msgsrv_bus_v1_WatchTopicsRequest request = {.pattern = (char *)(uintptr_t)(pattern ? pattern : ">"),
                                                .interval_ms = options->interval_ms};
    msgsrv_call_options call_options = {.size = sizeof call_options,
                                        .timeout_ms = options->timeout_given ? options->timeout_ms : 0};
    struct live_call live = {.method = &msgsrv_bus_v1_Bus_WatchTopics_method,
                             .request = &request,
                             .options = &call_options,
                             .message = on_message,
                             .ctx = &watch};
    enum live_end end = LIVE_ENDED;
    msgsrv_status status = msgsrv_client_new(options->server, &settings, &client, &error);
    live.client = client;
    if (screen)
        screen_open();
    if (status == MSGSRV_OK)
        status = live_run(&live, &end, &error);
    if (screen)
        screen_close();
    app_flush();
    msgsrv_client_free(client);
    return status == MSGSRV_OK || end == LIVE_INTERRUPTED || end == LIVE_UNWANTED ? 0 : bus_fail(bus, what, &error);
}
