/* SPDX-License-Identifier: MIT */
/* The message Stats in one piece of memory that can be filled again and again: all its lists have a greatest length. */
#include "services/info_stats.h"

#include <string.h>

#include "services/internal.h"

/* The message, and the lists that every server has; behind it one method_part for each method. */
typedef struct stats_memory {
    msgsrv_info_v1_Stats stats;
    msgsrv_info_v1_StatusCount ended[MSGSRV_STATUS_COUNT];
    msgsrv_info_v1_RefusalCount refused[MSGSRV_REFUSAL_COUNT];
    uint64_t bounds[MSI_DURATION_BOUNDS];
} stats_memory;

typedef struct method_part {
    msgsrv_info_v1_StatusCount ended[MSGSRV_STATUS_COUNT];
    uint64_t durations[MSI_DURATION_COUNTS];
} method_part;

/* The list of the methods has to be in one piece, so the parts lie behind it. */
size_t msi_info_stats_size(const msi_method_stats *methods)
{
    return sizeof(stats_memory) +
           msi_method_stats_count(methods) * (sizeof(msgsrv_info_v1_MethodStats) + sizeof(method_part));
}

/* Those that are not 0; returns how many. */
static pb_size_t fill_ended(msgsrv_info_v1_StatusCount *to, const uint64_t *counts)
{
    pb_size_t used = 0;
    for (unsigned i = 0; i < MSGSRV_STATUS_COUNT; i++) {
        if (counts[i])
            to[used++] = (msgsrv_info_v1_StatusCount){msi_text(msgsrv_status_name((msgsrv_status)i)), counts[i]};
    }
    return used;
}

static pb_size_t fill_refused(msgsrv_info_v1_RefusalCount *to, const uint64_t *counts)
{
    pb_size_t used = 0;
    for (unsigned i = 0; i < MSGSRV_REFUSAL_COUNT; i++) {
        if (counts[i])
            to[used++] = (msgsrv_info_v1_RefusalCount){msi_text(msgsrv_refusal_name((msgsrv_refusal)i)), counts[i]};
    }
    return used;
}

static void fill_server(stats_memory *memory, const msgsrv_server *server)
{
    msgsrv_stats counted = {.size = sizeof counted};
    msgsrv_server_stats(server, &counted);
    memcpy(memory->bounds, msi_duration_bounds_us, sizeof memory->bounds);
    memory->stats = (msgsrv_info_v1_Stats){
        .uptime_ms = counted.uptime_ms,
        .connections_accepted = counted.connections_accepted,
        .connections_open = counted.connections_open,
        .calls_started = counted.calls_started,
        .calls_open = counted.calls_open,
        .calls_ended_count = fill_ended(memory->ended, counted.calls_ended),
        .calls_ended = memory->ended,
        .plain_calls = counted.plain_calls,
        .bytes_received = counted.bytes_received,
        .bytes_sent = counted.bytes_sent,
        .frames_without_effect = counted.frames_without_effect,
        .pings = counted.pings,
        .input_buffered_bytes = counted.input_buffered_bytes,
        .output_buffered_bytes = counted.output_buffered_bytes,
        .reads_paused = counted.reads_paused,
        .loop_latency_last_us = counted.loop_latency_last_us,
        .loop_latency_max_us = counted.loop_latency_max_us,
        .refused_count = fill_refused(memory->refused, counted.refused),
        .refused = memory->refused,
        .streams_open = counted.streams_open,
        .items_received = counted.items_received,
        .items_sent = counted.items_sent,
        .sends_refused = counted.sends_refused,
        .stream_input_items = counted.stream_input_items,
        .stream_input_bytes = counted.stream_input_bytes,
        .duration_bounds_us_count = MSI_DURATION_BOUNDS,
        .duration_bounds_us = memory->bounds,
    };
}

static void fill_method(msgsrv_info_v1_MethodStats *to, method_part *part, const msi_method_counts *counts)
{
    *to = (msgsrv_info_v1_MethodStats){
        .path = msi_text(counts->path),
        .calls_started = counts->started,
        .calls_open = counts->open,
        .calls_ended_count = fill_ended(part->ended, counts->ended),
        .calls_ended = part->ended,
        .messages_received = counts->received,
        .messages_sent = counts->sent,
        .duration_total_ns = counts->duration_total_ns,
        .duration_max_ns = counts->duration_max_ns,
        .durations = part->durations,
    };
    memcpy(part->durations, counts->durations, sizeof part->durations);
    if (to->calls_ended_count)
        to->durations_count = MSI_DURATION_COUNTS;
}

const msgsrv_info_v1_Stats *msi_info_stats_fill(void *memory, const msgsrv_server *server,
                                                const msi_method_stats *methods)
{
    stats_memory *all = memory;
    size_t count = msi_method_stats_count(methods);
    msgsrv_info_v1_MethodStats *list = (msgsrv_info_v1_MethodStats *)(all + 1);
    method_part *parts = (method_part *)(list + count);
    fill_server(all, server);
    all->stats.methods_count = (pb_size_t)count;
    all->stats.methods = list;
    for (size_t i = 0; i < count; i++) {
        msi_method_counts counts;
        msi_method_stats_read(methods, i, &counts);
        fill_method(&list[i], &parts[i], &counts);
    }
    return &all->stats;
}
