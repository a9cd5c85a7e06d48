/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bus/core_internal.h"

uint64_t msi_core_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---- the lock, and what is done after it ---- */

void msi_core_lock(msi_core *core)
{
    pthread_mutex_lock(&core->lock);
}

void msi_core_log(msi_core *core, const char *format, ...)
{
    if (TAILQ_EMPTY(&core->sinks) || core->log_count == LOG_LINES)
        return;
    va_list arguments;
    va_start(arguments, format);
    char *line = NULL;
    if (vasprintf(&line, format, arguments) >= 0)
        core->log_lines[core->log_count++] = line;
    va_end(arguments);
}

/* Without the lock, but whoever closes the log waits. */
static void write_log(msi_core *core, const msi_log *log, char **lines, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (log->fn)
            msi_log_line(log, MSGSRV_LOG_WARNING, "%s", lines[i]);
        free(lines[i]);
    }
    pthread_mutex_lock(&core->lock);
    if (--core->writing == 0)
        pthread_cond_broadcast(&core->written);
    pthread_mutex_unlock(&core->lock);
}

void msi_core_open_log(msi_core *core, msi_core_sink *sink, msi_log log)
{
    if (!log.fn)
        return;
    sink->log = log;
    sink->open = true;
    msi_core_lock(core);
    TAILQ_INSERT_TAIL(&core->sinks, sink, all);
    msi_core_unlock(core);
}

void msi_core_close_log(msi_core *core, msi_core_sink *sink)
{
    if (!sink->open)
        return;
    sink->open = false;
    msi_core_lock(core);
    TAILQ_REMOVE(&core->sinks, sink, all);
    while (core->writing)
        pthread_cond_wait(&core->written, &core->lock);
    msi_core_unlock(core);
}

void msi_core_unlock(msi_core *core)
{
    if (__builtin_expect(!core->log_count && STAILQ_EMPTY(&core->failed), 1)) {
        pthread_mutex_unlock(&core->lock);
        return;
    }
    char *lines[LOG_LINES];
    unsigned count = core->log_count;
    const msi_core_sink *sink = TAILQ_FIRST(&core->sinks);
    const msi_log log = sink ? sink->log : (msi_log){0};
    core->writing += count != 0;
    memcpy(lines, core->log_lines, count * sizeof *lines);
    core->log_count = 0;
    STAILQ_HEAD(core_failed_copy, core_request) failed = STAILQ_HEAD_INITIALIZER(failed);
    core_request *first;
    while ((first = STAILQ_FIRST(&core->failed)) != NULL) {
        STAILQ_REMOVE_HEAD(&core->failed, failed);
        STAILQ_INSERT_TAIL(&failed, first, failed);
    }
    pthread_mutex_unlock(&core->lock);
    if (count)
        write_log(core, &log, lines, count);
    while ((first = STAILQ_FIRST(&failed)) != NULL) {
        STAILQ_REMOVE_HEAD(&failed, failed);
        first->answer(first->ctx, first->status, first->text, (msi_view){0}, (msi_view){0});
        free(first);
    }
}

/* ---- its life ---- */

static void ignore_appended(void *ctx, msi_append *append, msgsrv_status status, const char *text)
{
    (void)ctx;
    (void)append;
    (void)status;
    (void)text;
}

static void ignore_arrived(void *ctx, msi_event *event)
{
    (void)ctx;
    (void)event;
}

static bool set_up(msi_core *core, const msi_core_limits *limits)
{
    TAILQ_INIT(&core->all_topics);
    TAILQ_INIT(&core->retainers);
    TAILQ_INIT(&core->sinks);
    TAILQ_INIT(&core->all_queues);
    STAILQ_INIT(&core->failed);
    core->epoch = msi_random();
    core->generation = 1;
    msi_names_init(&core->topics, msi_random());
    msi_names_init(&core->groups, msi_random());
    msi_names_init(&core->queues, msi_random());
    core->types = msi_types_new(limits->max_types);
    core->matcher = msi_matcher_new(limits->max_match_nodes);
    return core->types && core->matcher;
}

msgsrv_status msi_core_new(const msi_engine_ops *ops, const char *where, const msi_core_limits *limits, msi_core **out,
                           msgsrv_error *error)
{
    msi_core *core = calloc(1, sizeof *core);
    if (!core)
        return msi_error_memory(error);
    core->limits = *limits;
    core->ops = ops;
    atomic_init(&core->refs, 1);
    pthread_mutex_init(&core->lock, NULL);
    pthread_mutex_init(&core->types_lock, NULL);
    pthread_cond_init(&core->written, NULL);
    msi_engine_host host = {.ctx = core,
                            .max_retained_bytes = limits->max_retained_bytes,
                            .queue_ready = msi_queue_on_ready,
                            .queue_lost = msi_queue_on_lost,
                            .appended = ignore_appended,
                            .arrived = ignore_arrived};
    msgsrv_status status =
        set_up(core, limits) ? ops->open(where, &host, &core->engine, error) : msi_error_memory(error);
    if (status != MSGSRV_OK)
        msi_core_unref(core);
    else
        *out = core;
    return status;
}

msi_core *msi_core_ref(msi_core *core)
{
    atomic_fetch_add_explicit(&core->refs, 1, memory_order_relaxed);
    return core;
}

/* Nobody is there any more: subscriptions, takers and publishers have references. */
void msi_core_unref(msi_core *core)
{
    if (!core || atomic_fetch_sub_explicit(&core->refs, 1, memory_order_acq_rel) != 1)
        return;
    msi_topics_free(core);
    msi_queues_free(core);
    if (core->engine)
        core->ops->close(core->engine);
    for (msi_idnode *node; (node = msi_idmap_any(&core->requests)) != NULL;) {
        msi_idmap_remove(&core->requests, node);
        free(MSI_CONTAINER(node, core_request, node));
    }
    msi_idmap_release(&core->requests);
    msi_matcher_free(core->matcher);
    msi_types_free(core->types);
    msi_names_release(&core->topics);
    msi_names_release(&core->groups);
    msi_names_release(&core->queues);
    msi_event_pool_release(&core->pool);
    for (unsigned i = 0; i < core->log_count; i++)
        free(core->log_lines[i]);
    pthread_cond_destroy(&core->written);
    pthread_mutex_destroy(&core->types_lock);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

const msi_core_limits *msi_core_limits_of(const msi_core *core)
{
    return &core->limits;
}

uint64_t msi_core_epoch(const msi_core *core)
{
    return core->epoch;
}

/* ---- statistics ---- */

static void add_waiting(msgsrv_bus_stats *stats, const msi_waiting *waiting)
{
    stats->lost += waiting->lost;
    stats->waiting_events += waiting->events;
    stats->waiting_bytes += waiting->bytes;
}

static void add_groups(const msi_core *core, msgsrv_bus_stats *stats)
{
    for (size_t i = 0; i < core->groups.size; i++) {
        for (const msi_name_node *node = core->groups.buckets[i]; node; node = node->next)
            add_waiting(stats, &((const group *)(const void *)node)->waiting);
    }
}

void msi_core_stats(msi_core *core, msgsrv_bus_stats *out)
{
    msi_core_lock(core);
    msgsrv_bus_stats stats = {.published = core->published,
                              .refused = core->refused,
                              .delivered = core->delivered,
                              .lost = core->lost,
                              .unmatched = core->unmatched,
                              .topics = core->topics.count,
                              .subscriptions = core->sub_count,
                              .queues = core->queues.count,
                              .consumers = core->taker_count,
                              .retained_bytes = core->ops->retained_bytes(core->engine),
                              .requests = core->requests.count};
    const msi_sub *sub;
    LIST_FOREACH(sub, &core->subs, all)
    {
        add_waiting(&stats, &sub->waiting);
        if (sub->late)
            add_waiting(&stats, &sub->late->pinned);
    }
    add_groups(core, &stats);
    msi_core_unlock(core);
    stats.size = out->size;
    *out = stats;
}
