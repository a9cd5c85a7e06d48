/* SPDX-License-Identifier: MIT */
/*
 * What one loop counts. Only its thread writes, so counting is a plain load and store; any thread may read. Gauges are kept as
 * numbers that go up and down.
 */
#ifndef MSI_BASE_COUNTERS_H
#define MSI_BASE_COUNTERS_H

#include <stdatomic.h>

#include <msgsrv/stats.h>

typedef _Atomic uint64_t msi_counter;

typedef struct msi_counters {
    msi_counter connections_accepted;
    msi_counter connections_open;
    msi_counter calls_started;
    msi_counter calls_open;
    msi_counter calls_ended[MSGSRV_STATUS_COUNT];
    msi_counter plain_calls;
    msi_counter bytes_received;
    msi_counter bytes_sent;
    msi_counter frames_without_effect;
    msi_counter pings;
    msi_counter input_buffered_bytes;
    msi_counter output_buffered_bytes;
    msi_counter reads_paused;
    msi_counter loop_latency_last_us;
    msi_counter loop_latency_max_us;
    msi_counter refused[MSGSRV_REFUSAL_COUNT];
    msi_counter streams_open;
    msi_counter items_received;
    msi_counter items_sent;
    msi_counter sends_refused;
    msi_counter stream_input_items;
    msi_counter stream_input_bytes;
} msi_counters;

static inline uint64_t msi_counter_get(const msi_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void msi_counter_set(msi_counter *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline void msi_count(msi_counter *counter, uint64_t more)
{
    msi_counter_set(counter, msi_counter_get(counter) + more);
}

static inline void msi_uncount(msi_counter *counter, uint64_t less)
{
    msi_counter_set(counter, msi_counter_get(counter) - less);
}

/* Adds one loop's counters to a snapshot. */
void msi_counters_add(const msi_counters *counters, msgsrv_stats *stats);

#endif
