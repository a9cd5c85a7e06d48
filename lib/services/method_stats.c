/* SPDX-License-Identifier: MIT */
/*
 * Counters of each method. They are added to on the loops' threads and read on any, one after another: what was ended is read before what was
 * started, so that the difference is never below zero.
 */
#include "services/method_stats.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "services/internal.h"

const uint64_t msi_duration_bounds_us[MSI_DURATION_BOUNDS] = {
    10,    20,    50,     100,    200,    500,     1000,    2000,    5000,    10000,
    20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000};

typedef struct method_counters {
    const char *path;
    atomic_uint_fast64_t started;
    atomic_uint_fast64_t ended[MSGSRV_STATUS_COUNT];
    atomic_uint_fast64_t received;
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t duration_total_ns;
    atomic_uint_fast64_t duration_max_ns;
    atomic_uint_fast64_t durations[MSI_DURATION_COUNTS];
} method_counters;

struct msi_method_stats {
    method_counters *methods; /* in the order of registration */
    size_t count;
    method_counters **slots; /* by the address of the path, which mostly is the same as the registered one's */
    size_t slot_mask;
    bool attached;
};

static void add(atomic_uint_fast64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static size_t slot_of(const msi_method_stats *stats, const char *path)
{
    return (size_t)(((uint64_t)(uintptr_t)path * 0x9e3779b97f4a7c15u) >> 32) & stats->slot_mask;
}

static method_counters *find(const msi_method_stats *stats, const char *path)
{
    if (!stats->count)
        return NULL;
    for (size_t at = slot_of(stats, path); stats->slots[at]; at = (at + 1) & stats->slot_mask) {
        if (stats->slots[at]->path == path)
            return stats->slots[at];
    }
    for (size_t i = 0; i < stats->count; i++) {
        if (strcmp(stats->methods[i].path, path) == 0)
            return &stats->methods[i];
    }
    return NULL;
}

static msgsrv_status begin(const msgsrv_call_info *info, void *ctx, void **data, msgsrv_error *error)
{
    (void)error;
    method_counters *method = find(ctx, info->method);
    if (method)
        add(&method->started, 1);
    *data = method;
    return MSGSRV_OK;
}

static unsigned duration_index(uint64_t duration_ns)
{
    unsigned index = 0;
    while (index < MSI_DURATION_BOUNDS && duration_ns > msi_duration_bounds_us[index] * 1000)
        index++;
    return index;
}

static void raise(atomic_uint_fast64_t *most, uint64_t value)
{
    uint_fast64_t known = get(most);
    while (value > known &&
           !atomic_compare_exchange_weak_explicit(most, &known, value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void end(const msgsrv_call_info *info, const msgsrv_call_outcome *outcome, void *ctx, void *data)
{
    (void)info;
    (void)ctx;
    method_counters *method = data;
    if (!method)
        return;
    add(&method->received, outcome->messages_received);
    add(&method->sent, outcome->messages_sent);
    add(&method->duration_total_ns, outcome->duration_ns);
    raise(&method->duration_max_ns, outcome->duration_ns);
    add(&method->durations[duration_index(outcome->duration_ns)], 1);
    unsigned code = (unsigned)outcome->status < MSGSRV_STATUS_COUNT ? (unsigned)outcome->status : MSGSRV_UNKNOWN;
    add(&method->ended[code], 1);
}

msi_method_stats *msi_method_stats_new(void)
{
    return calloc(1, sizeof(msi_method_stats));
}

void msi_method_stats_free(msi_method_stats *stats)
{
    if (!stats)
        return;
    free(stats->methods);
    free(stats->slots);
    free(stats);
}

msgsrv_status msi_method_stats_attach(msi_method_stats *stats, msgsrv_server *server, msgsrv_error *error)
{
    if (stats->attached)
        return MSGSRV_OK;
    msgsrv_interceptor interceptor = {.size = sizeof interceptor, .begin = begin, .end = end, .ctx = stats};
    msgsrv_status status = msgsrv_server_intercept(server, &interceptor, error);
    stats->attached = status == MSGSRV_OK;
    /* A program that has as many as there may be goes without our counters. */
    return status == MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_OK : status;
}

static size_t count_methods(const msgsrv_server *server)
{
    size_t count = 0;
    const msgsrv_service *service;
    for (size_t i = 0; (service = msgsrv_server_service(server, i)) != NULL; i++)
        count += service->method_count;
    return count;
}

static void name_methods(msi_method_stats *stats, const msgsrv_server *server)
{
    const msgsrv_service *service;
    for (size_t i = 0; (service = msgsrv_server_service(server, i)) != NULL; i++) {
        for (size_t j = 0; j < service->method_count; j++)
            stats->methods[stats->count++].path = service->methods[j].method->path;
    }
    for (size_t i = 0; i < stats->count; i++) {
        size_t at = slot_of(stats, stats->methods[i].path);
        while (stats->slots[at])
            at = (at + 1) & stats->slot_mask;
        stats->slots[at] = &stats->methods[i];
    }
}

msgsrv_status msi_method_stats_ready(msi_method_stats *stats, const msgsrv_server *server, msgsrv_error *error)
{
    size_t count = count_methods(server);
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    method_counters *methods = calloc(count ? count : 1, sizeof *methods);
    method_counters **table = calloc(slots, sizeof(method_counters *));
    if (!methods || !table) {
        free(methods);
        free(table);
        return msi_services_no_memory(error);
    }
    free(stats->methods);
    free(stats->slots);
    *stats = (msi_method_stats){methods, 0, table, slots - 1, stats->attached};
    name_methods(stats, server);
    return MSGSRV_OK;
}

size_t msi_method_stats_count(const msi_method_stats *stats)
{
    return stats->count;
}

void msi_method_stats_read(const msi_method_stats *stats, size_t index, msi_method_counts *counts)
{
    const method_counters *method = &stats->methods[index];
    uint64_t ended = 0;
    for (unsigned i = 0; i < MSGSRV_STATUS_COUNT; i++) {
        counts->ended[i] = get(&method->ended[i]);
        ended += counts->ended[i];
    }
    counts->path = method->path;
    counts->started = get(&method->started);
    counts->open = counts->started > ended ? counts->started - ended : 0;
    counts->received = get(&method->received);
    counts->sent = get(&method->sent);
    counts->duration_total_ns = get(&method->duration_total_ns);
    counts->duration_max_ns = get(&method->duration_max_ns);
    for (unsigned i = 0; i < MSI_DURATION_COUNTS; i++)
        counts->durations[i] = get(&method->durations[i]);
}
