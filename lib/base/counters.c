/* SPDX-License-Identifier: MIT */
/* Adding up the counters of several loops. */
#include "base/counters.h"

static void most(uint64_t *into, const msi_counter *counter)
{
    uint64_t value = msi_counter_get(counter);
    if (value > *into)
        *into = value;
}

void msi_counters_add(const msi_counters *counters, msgsrv_stats *stats)
{
#define ADD(name) stats->name += msi_counter_get(&counters->name)
    ADD(connections_accepted);
    ADD(connections_open);
    ADD(calls_started);
    ADD(calls_open);
    ADD(plain_calls);
    ADD(bytes_received);
    ADD(bytes_sent);
    ADD(frames_without_effect);
    ADD(pings);
    ADD(input_buffered_bytes);
    ADD(output_buffered_bytes);
    ADD(reads_paused);
    ADD(streams_open);
    ADD(items_received);
    ADD(items_sent);
    ADD(sends_refused);
    ADD(stream_input_items);
    ADD(stream_input_bytes);
#undef ADD
    for (size_t i = 0; i < MSGSRV_STATUS_COUNT; i++)
        stats->calls_ended[i] += msi_counter_get(&counters->calls_ended[i]);
    for (size_t i = 0; i < MSGSRV_REFUSAL_COUNT; i++)
        stats->refused[i] += msi_counter_get(&counters->refused[i]);
    most(&stats->loop_latency_last_us, &counters->loop_latency_last_us);
    most(&stats->loop_latency_max_us, &counters->loop_latency_max_us);
}
