/* SPDX-License-Identifier: MIT */
/*
 * Counters of each method. Each thread that serves calls has a shard of them, which nobody else writes, so that counting takes neither a lock
 * nor a locked instruction; a call ends on the thread that it began on. Readers add the shards up. They read one counter after another: what
 * was ended before what was started, so that the difference is never below zero.
 */
#include "services/method_stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "services/internal.h"

const uint64_t msi_duration_bounds_us[MSI_DURATION_BOUNDS] = {
    10,    20,    50,     100,    200,    500,     1000,    2000,    5000,    10000,
    20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000};

/* One method's, of one shard. */
typedef struct method_counters {
    atomic_uint_fast64_t started;
    atomic_uint_fast64_t ended[MSGSRV_STATUS_COUNT];
    atomic_uint_fast64_t received;
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t duration_total_ns;
    atomic_uint_fast64_t duration_max_ns;
    atomic_uint_fast64_t durations[MSI_DURATION_COUNTS];
} method_counters;

typedef struct stats_shard {
    struct stats_shard *next; /* constant once it is in the list */
    pthread_t thread;
    method_counters methods[]; /* in the order of registration */
} stats_shard;

/* Where a method is found by the address of its path, which mostly is the registered one itself. */
typedef struct stats_slot {
    const char *path; /* NULL: free */
    size_t index;
} stats_slot;

struct msi_method_stats {
    uint64_t identity;  /* never that of another one, so that threads may remember it */
    const char **paths; /* in the order of registration */
    size_t count;
    stats_slot *slots;
    size_t slot_mask;
    bool attached;
    pthread_mutex_t lock; /* of whoever adds a shard */
    _Atomic(stats_shard *) shards;
};

/* The shard that a thread has counted in last. */
static _Thread_local struct {
    uint64_t identity;
    stats_shard *shard;
} last_used;

static uint64_t new_identity(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

/* Only the shard's own thread adds. */
static void add(atomic_uint_fast64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + value, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- finding a call's counters ---- */

static size_t slot_of(const msi_method_stats *stats, const char *path)
{
    return (size_t)(((uint64_t)(uintptr_t)path * 0x9e3779b97f4a7c15u) >> 32) & stats->slot_mask;
}

/* A method's index; the count for one that is not known. */
static size_t find(const msi_method_stats *stats, const char *path)
{
    if (!stats->count)
        return 0;
    for (size_t at = slot_of(stats, path); stats->slots[at].path; at = (at + 1) & stats->slot_mask) {
        if (stats->slots[at].path == path)
            return stats->slots[at].index;
    }
    size_t index = 0;
    while (index < stats->count && strcmp(stats->paths[index], path) != 0)
        index++;
    return index;
}

/* The calling thread's shard, made when it is the first time; NULL without memory. */
static stats_shard *find_shard(msi_method_stats *stats)
{
    pthread_mutex_lock(&stats->lock);
    stats_shard *shard = atomic_load(&stats->shards);
    while (shard && !pthread_equal(shard->thread, pthread_self()))
        shard = shard->next;
    if (!shard) {
        shard = calloc(1, sizeof *shard + stats->count * sizeof shard->methods[0]);
        if (shard) {
            shard->thread = pthread_self();
            shard->next = atomic_load(&stats->shards);
            atomic_store(&stats->shards, shard);
        }
    }
    pthread_mutex_unlock(&stats->lock);
    return shard;
}

static stats_shard *own_shard(msi_method_stats *stats)
{
    if (last_used.identity == stats->identity)
        return last_used.shard;
    stats_shard *shard = find_shard(stats);
    if (shard) {
        last_used.identity = stats->identity;
        last_used.shard = shard;
    }
    return shard;
}

/* ---- counting ---- */

static msgsrv_status begin(const msgsrv_call_info *info, void *ctx, void **data, msgsrv_error *error)
{
    (void)error;
    msi_method_stats *stats = ctx;
    size_t index = find(stats, info->method);
    stats_shard *shard = index < stats->count ? own_shard(stats) : NULL;
    if (!shard)
        return MSGSRV_OK; /* rather not counted than not served */
    add(&shard->methods[index].started, 1);
    *data = &shard->methods[index];
    return MSGSRV_OK;
}

static unsigned duration_index(uint64_t duration_ns)
{
    unsigned index = 0;
    while (index < MSI_DURATION_BOUNDS && duration_ns > msi_duration_bounds_us[index] * 1000)
        index++;
    return index;
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
    if (outcome->duration_ns > get(&method->duration_max_ns))
        add(&method->duration_max_ns, outcome->duration_ns - get(&method->duration_max_ns));
    add(&method->durations[duration_index(outcome->duration_ns)], 1);
    unsigned code = (unsigned)outcome->status < MSGSRV_STATUS_COUNT ? (unsigned)outcome->status : MSGSRV_UNKNOWN;
    add(&method->ended[code], 1);
}

/* ---- its life ---- */

msi_method_stats *msi_method_stats_new(void)
{
    msi_method_stats *stats = calloc(1, sizeof *stats);
    if (!stats)
        return NULL;
    pthread_mutex_init(&stats->lock, NULL);
    return stats;
}

static void free_shards(msi_method_stats *stats)
{
    stats_shard *shard = atomic_load(&stats->shards);
    while (shard) {
        stats_shard *next = shard->next;
        free(shard);
        shard = next;
    }
    atomic_store(&stats->shards, NULL);
}

void msi_method_stats_free(msi_method_stats *stats)
{
    if (!stats)
        return;
    free_shards(stats);
    free(stats->paths);
    free(stats->slots);
    pthread_mutex_destroy(&stats->lock);
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
            stats->paths[stats->count++] = service->methods[j].method->path;
    }
    for (size_t i = 0; i < stats->count; i++) {
        size_t at = slot_of(stats, stats->paths[i]);
        while (stats->slots[at].path)
            at = (at + 1) & stats->slot_mask;
        stats->slots[at] = (stats_slot){stats->paths[i], i};
    }
}

msgsrv_status msi_method_stats_ready(msi_method_stats *stats, const msgsrv_server *server, msgsrv_error *error)
{
    size_t count = count_methods(server);
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    const char **paths = calloc(count ? count : 1, sizeof *paths);
    stats_slot *table = calloc(slots, sizeof *table);
    if (!paths || !table) {
        free(paths);
        free(table);
        return msi_services_no_memory(error);
    }
    free_shards(stats);
    free(stats->paths);
    free(stats->slots);
    stats->identity = new_identity();
    stats->paths = paths;
    stats->count = 0;
    stats->slots = table;
    stats->slot_mask = slots - 1;
    name_methods(stats, server);
    return MSGSRV_OK;
}

/* ---- reading ---- */

size_t msi_method_stats_count(const msi_method_stats *stats)
{
    return stats->count;
}

static void add_shard(msi_method_counts *counts, const method_counters *method)
{
    uint64_t ended = 0;
    for (unsigned i = 0; i < MSI_DURATION_COUNTS; i++)
        counts->durations[i] += get(&method->durations[i]);
    for (unsigned i = 0; i < MSGSRV_STATUS_COUNT; i++) {
        uint64_t count = get(&method->ended[i]);
        counts->ended[i] += count;
        ended += count;
    }
    uint64_t started = get(&method->started);
    counts->started += started;
    counts->open += started > ended ? started - ended : 0;
    counts->received += get(&method->received);
    counts->sent += get(&method->sent);
    counts->duration_total_ns += get(&method->duration_total_ns);
    if (get(&method->duration_max_ns) > counts->duration_max_ns)
        counts->duration_max_ns = get(&method->duration_max_ns);
}

void msi_method_stats_read(const msi_method_stats *stats, size_t index, msi_method_counts *counts)
{
    *counts = (msi_method_counts){.path = stats->paths[index]};
    for (const stats_shard *shard = atomic_load(&stats->shards); shard; shard = shard->next)
        add_shard(counts, &shard->methods[index]);
}
