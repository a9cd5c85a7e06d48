/* SPDX-License-Identifier: MIT */
/*
 * The engine of this process's memory, and the reference for the semantics: logs that number their events and retain the last ones, and
 * queues as they are in queue.h. Nothing here waits, so nothing is deferred.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/random.h"
#include "bus/engine.h"
#include "bus/names.h"

#define RETAINED_EVENTS_MAX 1000u     /* of a topic */
#define RETAINED_BYTES_MAX (1u << 20) /* the same */
#define FIRST_ROOM 8u

struct msi_engine_log {
    msi_name_node node;
    uint64_t epoch;
    uint64_t last; /* sequence */
    uint32_t retain;
    /* What is retained: the last `count` events, as no sequence is left out. A ring of `room`, a power of two. */
    msi_event **events;
    uint32_t room;
    uint32_t count;
    uint64_t bytes;
    char topic[];
};

struct msi_engine_queue {
    msi_engine *engine;
    msi_queue *queue;
    void *ctx;
    msi_engine_queue *previous;
    msi_engine_queue *next;
    bool takes; /* the event that is being appended */
};

struct msi_engine {
    msi_engine_host host;
    msi_names logs;
    msi_engine_queue *queues;
    uint64_t retained_bytes;
};

const char *msi_capability_name(msi_capability capability)
{
    static const char *const names[] = {
#define MSI_CAPABILITY(NAME, name) name,
        MSI_CAPABILITY_LIST(MSI_CAPABILITY)
#undef MSI_CAPABILITY
    };
    return (unsigned)capability < MSI_CAPABILITY_COUNT ? names[capability] : "";
}

/* ---- what is retained ---- */

static msi_event **slot(const msi_engine_log *log, uint64_t sequence)
{
    return &log->events[sequence & (log->room - 1)];
}

static void drop_oldest(msi_engine *engine, msi_engine_log *log)
{
    msi_event *event = *slot(log, log->last - log->count + 1);
    log->count--;
    log->bytes -= event->size;
    engine->retained_bytes -= event->size;
    msi_event_unref(event);
}

static void drop_to(msi_engine *engine, msi_engine_log *log, uint32_t count)
{
    while (log->count > count)
        drop_oldest(engine, log);
}

/* Room in the ring for one more. */
static bool reserve(msi_engine_log *log)
{
    if (log->retain == 0 || log->count < log->room)
        return true;
    uint32_t room = log->room ? log->room * 2 : FIRST_ROOM;
    msi_event **events = calloc(room, sizeof(*events));
    if (!events)
        return false;
    for (uint32_t i = 0; i < log->count; i++) {
        uint64_t sequence = log->last - i;
        events[sequence & (room - 1)] = *slot(log, sequence);
    }
    free(log->events);
    log->events = events;
    log->room = room;
    return true;
}

/* The newest event. What is too much goes from this topic, though it be the newest itself. */
static void keep(msi_engine *engine, msi_engine_log *log, msi_event *event)
{
    if (log->retain == 0)
        return;
    *slot(log, log->last) = msi_event_ref(event);
    log->count++;
    log->bytes += event->size;
    engine->retained_bytes += event->size;
    drop_to(engine, log, log->retain);
    while (log->count > 0 &&
           (log->bytes > RETAINED_BYTES_MAX || engine->retained_bytes > engine->host.max_retained_bytes))
        drop_oldest(engine, log);
}

static msgsrv_status retain(msi_engine *engine, msi_engine_log *log, uint32_t events, msgsrv_error *error)
{
    if (events > RETAINED_EVENTS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "a topic retains at most %u events", RETAINED_EVENTS_MAX);
    log->retain = events;
    drop_to(engine, log, events);
    if (events == 0) {
        free(log->events);
        log->events = NULL;
        log->room = 0;
    }
    return MSGSRV_OK;
}

static uint32_t retained(const msi_engine_log *log, uint64_t *oldest)
{
    if (oldest)
        *oldest = log->last - log->count + 1;
    return log->count;
}

static uint32_t read_events(msi_engine_log *log, uint64_t from, msi_event **events, uint32_t max)
{
    uint64_t oldest;
    uint32_t count = 0;
    (void)retained(log, &oldest);
    for (uint64_t at = from > oldest ? from : oldest; at <= log->last && count < max; at++)
        events[count++] = msi_event_ref(*slot(log, at));
    return count;
}

static uint64_t retained_bytes(const msi_engine *engine)
{
    return engine->retained_bytes;
}

/* ---- logs ---- */

static msi_engine_log *new_log(msi_engine *engine, const char *topic)
{
    size_t size = strlen(topic);
    msi_engine_log *log = calloc(1, sizeof *log + size + 1);
    if (!log)
        return NULL;
    memcpy(log->topic, topic, size + 1);
    log->node.name = msi_view_of(log->topic);
    log->epoch = msi_random();
    if (!msi_names_add(&engine->logs, &log->node)) {
        free(log);
        return NULL;
    }
    return log;
}

static msgsrv_status log_open(msi_engine *engine, const char *topic, msi_engine_log **log, uint64_t *epoch,
                              uint64_t *last_sequence, msgsrv_error *error)
{
    msi_name_node *node = msi_names_find(&engine->logs, msi_view_of(topic));
    *log = node ? MSI_CONTAINER(node, msi_engine_log, node) : new_log(engine, topic);
    if (!*log)
        return msi_error_memory(error);
    *epoch = (*log)->epoch;
    *last_sequence = (*log)->last;
    return MSGSRV_OK;
}

static void log_forget(msi_engine *engine, msi_engine_log *log)
{
    drop_to(engine, log, 0);
    msi_names_remove(&engine->logs, &log->node);
    free(log->events);
    free(log);
}

/* ---- queues ---- */

static void on_ready(msi_queue *queue, void *ctx)
{
    msi_engine_queue *self = ctx;
    (void)queue;
    if (self->engine->host.queue_ready)
        self->engine->host.queue_ready(self->engine->host.ctx, self->ctx);
}

static void on_lost(msi_queue *queue, const msi_event *event, const char *reason, void *ctx)
{
    msi_engine_queue *self = ctx;
    (void)queue;
    if (self->engine->host.queue_lost)
        self->engine->host.queue_lost(self->engine->host.ctx, self->ctx, event, reason);
}

static msgsrv_status queue_open(msi_engine *engine, const char *name, const msi_queue_settings *settings, void *ctx,
                                msi_engine_queue **queue, msgsrv_error *error)
{
    for (msi_engine_queue *other = engine->queues; other; other = other->next) {
        if (strcmp(msi_queue_name(other->queue), name) == 0)
            return msi_error(error, MSGSRV_ALREADY_EXISTS, "there is a queue %s", name);
    }
    msi_engine_queue *self = calloc(1, sizeof *self);
    if (!self)
        return msi_error_memory(error);
    self->engine = engine;
    self->ctx = ctx;
    self->queue = msi_queue_new(name, settings, on_ready, on_lost, self);
    if (!self->queue) {
        free(self);
        return msi_error_memory(error);
    }
    self->next = engine->queues;
    if (self->next)
        self->next->previous = self;
    engine->queues = self;
    *queue = self;
    return MSGSRV_OK;
}

static void queue_delete(msi_engine *engine, msi_engine_queue *queue)
{
    if (queue->previous)
        queue->previous->next = queue->next;
    else
        engine->queues = queue->next;
    if (queue->next)
        queue->next->previous = queue->previous;
    msi_queue_free(queue->queue);
    free(queue);
}

static bool take(msi_engine_queue *queue, bool dead, uint64_t now, msi_queue_consumer *consumer,
                 msi_queue_delivery *delivery)
{
    return msi_queue_take(queue->queue, dead, now, consumer, delivery);
}

static msgsrv_status settle(msi_engine_queue *queue, uint64_t now, uint64_t delivery, msi_queue_consumer *consumer,
                            msgsrv_settlement settlement, uint64_t delay_ns, const char *reason)
{
    return msi_queue_settle(queue->queue, now, delivery, consumer, settlement, delay_ns, reason);
}

static void consumer_gone(msi_engine_queue *queue, uint64_t now, msi_queue_consumer *consumer)
{
    msi_queue_consumer_gone(queue->queue, now, consumer);
}

static void advance(msi_engine_queue *queue, uint64_t now)
{
    msi_queue_advance(queue->queue, now);
}

static uint64_t due(const msi_engine_queue *queue)
{
    return msi_queue_due(queue->queue);
}

static void peek(msi_engine_queue *queue, bool dead, uint64_t now, uint64_t wall_us, uint64_t after, uint32_t max,
                 msgsrv_queued_fn fn, void *ctx)
{
    msi_queue_peek(queue->queue, dead, now, wall_us, after, max, fn, ctx);
}

static msgsrv_status retry(msi_engine_queue *queue, uint64_t now, uint64_t id, uint64_t *count)
{
    return msi_queue_retry(queue->queue, now, id, count);
}

static uint64_t purge(msi_engine_queue *queue, bool dead, uint64_t now)
{
    return msi_queue_purge(queue->queue, dead, now);
}

static void bound_dead(msi_engine_queue *queue, uint64_t now, uint32_t max_dead_letters)
{
    msi_queue_bound_dead(queue->queue, now, max_dead_letters);
}

static void info(msi_engine_queue *queue, uint64_t now, msgsrv_queue_info *info)
{
    msi_queue_info_get(queue->queue, now, info);
}

/* ---- appending ---- */

/* Asks all queues first: OK when each takes it or has it, and one takes it, or there are none. */
static msgsrv_status ask_queues(msi_append *append, uint64_t now)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < append->queue_count; i++) {
        msi_engine_queue *queue = append->queues[i];
        uint64_t sequence = 0;
        msgsrv_status status = msi_queue_check(queue->queue, now, append->event->size, append->put.id, &sequence);
        queue->takes = status == MSGSRV_OK;
        if (status == MSGSRV_OK)
            continue;
        if (status != MSGSRV_ALREADY_EXISTS) {
            if (status == MSGSRV_RESOURCE_EXHAUSTED)
                append->refused_by = msi_queue_name(queue->queue);
            return MSGSRV_RESOURCE_EXHAUSTED;
        }
        if (known++ == 0)
            append->sequence = sequence;
    }
    append->duplicate = known > 0 && known == append->queue_count;
    return append->duplicate ? MSGSRV_ALREADY_EXISTS : MSGSRV_OK;
}

static msgsrv_status append(msi_engine *engine, msi_engine_log *log, msi_append *append)
{
    append->sequence = 0;
    append->duplicate = false;
    append->refused_by = NULL;
    if (append->level != MSI_ACCEPTED)
        return MSGSRV_UNIMPLEMENTED;
    uint64_t now = append->queue_count ? msi_now() : 0;
    msgsrv_status status = ask_queues(append, now);
    if (status != MSGSRV_OK)
        return status;
    if (!reserve(log))
        return MSGSRV_RESOURCE_EXHAUSTED;

    /* From here on nothing fails. */
    append->event->sequence = append->sequence = ++log->last;
    keep(engine, log, append->event);
    for (uint32_t i = 0; i < append->queue_count; i++) {
        if (append->queues[i]->takes)
            msi_queue_put_event(append->queues[i]->queue, now, append->event, &append->put);
    }
    return MSGSRV_OK;
}

/* ---- its life ---- */

static msgsrv_status open_engine(const char *where, const msi_engine_host *host, msi_engine **engine, msgsrv_error *error)
{
    (void)where; /* handles that share a name share the bus above */
    *engine = calloc(1, sizeof **engine);
    if (!*engine)
        return msi_error_memory(error);
    (*engine)->host = *host;
    msi_names_init(&(*engine)->logs, msi_random());
    return MSGSRV_OK;
}

static void close_engine(msi_engine *engine)
{
    if (!engine)
        return;
    while (engine->queues)
        queue_delete(engine, engine->queues);
    for (size_t i = 0; i < engine->logs.size; i++) {
        while (engine->logs.buckets[i])
            log_forget(engine, MSI_CONTAINER(engine->logs.buckets[i], msi_engine_log, node));
    }
    msi_names_release(&engine->logs);
    free(engine);
}

const msi_engine_ops msi_engine_mem = {
    .scheme = "mem",
    .capabilities = ((1u << MSI_CAPABILITY_COUNT) - 1) & ~(1u << MSI_CAN_SYNC_LEVEL),
    .open = open_engine,
    .close = close_engine,
    .log_open = log_open,
    .log_forget = log_forget,
    .retain = retain,
    .retained = retained,
    .read = read_events,
    .append = append,
    .queue_open = queue_open,
    .queue_delete = queue_delete,
    .take = take,
    .settle = settle,
    .consumer_gone = consumer_gone,
    .advance = advance,
    .due = due,
    .peek = peek,
    .retry = retry,
    .purge = purge,
    .bound_dead = bound_dead,
    .info = info,
    .retained_bytes = retained_bytes,
};
