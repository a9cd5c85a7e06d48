/* SPDX-License-Identifier: MIT */
/*
 * Samples; see stats_sample.h.
 */
#include "stats_sample.h"

#include <stdlib.h>
#include <string.h>

/* All that ended, and of them those that failed. A caller who has enough is no failure: so every watch ends. */
static uint64_t count_ended(const msgsrv_info_v1_StatusCount *ended, size_t count, uint64_t *errors)
{
    uint64_t all = 0;
    *errors = 0;
    for (size_t i = 0; i < count; i++) {
        all += ended[i].count;
        const char *status = ended[i].status ? ended[i].status : "";
        if (strcmp(status, "OK") != 0 && strcmp(status, "CANCELLED") != 0)
            *errors += ended[i].count;
    }
    return all;
}

static bool take_method(struct method_sample *sample, const msgsrv_info_v1_MethodStats *stats)
{
    const char *path = stats->path ? stats->path : "";
    sample->started = stats->calls_started;
    sample->open = stats->calls_open;
    sample->ended = count_ended(stats->calls_ended, stats->calls_ended_count, &sample->errors);
    sample->duration_ns = stats->duration_total_ns;
    sample->duration_max_ns = stats->duration_max_ns;
    sample->path = strdup(*path == '/' ? path + 1 : path);
    return sample->path;
}

bool sample_take(struct sample *sample, const msgsrv_info_v1_Stats *stats)
{
    *sample = (struct sample){.uptime_ms = stats->uptime_ms,
                              .connections_open = stats->connections_open,
                              .connections_accepted = stats->connections_accepted,
                              .started = stats->calls_started,
                              .open = stats->calls_open,
                              .streams = stats->streams_open,
                              .received = stats->bytes_received,
                              .sent = stats->bytes_sent,
                              .latency_us = stats->loop_latency_last_us,
                              .latency_max_us = stats->loop_latency_max_us};
    count_ended(stats->calls_ended, stats->calls_ended_count, &sample->errors);
    for (size_t i = 0; i < stats->refused_count; i++)
        sample->refused += stats->refused[i].count;
    sample->methods = calloc((size_t)stats->methods_count + 1, sizeof *sample->methods);
    bool good = sample->methods;
    for (size_t i = 0; good && i < stats->methods_count; i++) {
        good = take_method(&sample->methods[i], &stats->methods[i]);
        sample->method_count++;
    }
    if (!good)
        sample_free(sample);
    return good;
}

void sample_free(struct sample *sample)
{
    for (size_t i = 0; i < sample->method_count; i++)
        free(sample->methods[i].path);
    free(sample->methods);
    *sample = (struct sample){.methods = NULL};
}

double sample_rate(const struct sample *before, const struct sample *now, uint64_t from, uint64_t to)
{
    if (!before->methods || now->uptime_ms <= before->uptime_ms || to < from)
        return -1;
    return (double)(to - from) * 1000 / (double)(now->uptime_ms - before->uptime_ms);
}

const struct method_sample *sample_method(const struct sample *sample, size_t index, const char *path)
{
    bool same = index < sample->method_count && strcmp(sample->methods[index].path, path) == 0;
    return same ? &sample->methods[index] : NULL;
}
