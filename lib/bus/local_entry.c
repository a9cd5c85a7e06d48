/* SPDX-License-Identifier: MIT */
/* Subscriptions and consumers of a handle: made by any thread that may, told and freed by the loop's. */
#include <stdlib.h>

#include "bus/local.h"

#define BATCH 64u

/* ---- lists ---- */

void msi_local_queue_entry(local_entry *entry)
{
    if (entry->queued)
        return;
    entry->queued = true;
    TAILQ_INSERT_TAIL(&entry->bus->ready, entry, ready);
    msi_local_schedule(entry->bus);
}

static void queue_entry(local_entry *entry)
{
    pthread_mutex_lock(&entry->bus->lock);
    msi_local_queue_entry(entry);
    pthread_mutex_unlock(&entry->bus->lock);
}

static void sub_ready(msi_sub *sub, void *ctx)
{
    (void)sub;
    queue_entry(ctx);
}

static void taker_ready(msi_taker *taker, void *ctx)
{
    (void)taker;
    queue_entry(ctx);
}

static void free_delivery(local_bus *local, local_delivery *delivery)
{
    msi_idmap_remove(&local->deliveries, &delivery->node);
    TAILQ_REMOVE(&delivery->entry->deliveries, delivery, of_entry);
    delivery->entry->delivery_count--;
    free(delivery);
}

static bool should_stop(const local_entry *entry)
{
    return entry->over || entry->bus->freed;
}

static bool is_cancelled(local_entry *entry)
{
    pthread_mutex_lock(&entry->bus->lock);
    bool cancelled = entry->cancelled;
    pthread_mutex_unlock(&entry->bus->lock);
    return cancelled;
}

/* ---- ending ---- */

static void drop(local_entry *entry)
{
    if (!entry->ended || entry->holds)
        return;
    msi_sub_free(entry->sub);
    msi_taker_free(entry->taker);
    free(entry);
}

/* Out of all lists; then the program is told. The memory, with the events that were taken, stays while the entry is on the stack. */
void msi_local_end(local_entry *entry, msgsrv_status status, const char *text, const msi_gap *gap)
{
    local_bus *local = entry->bus;
    msgsrv_gap view;
    msgsrv_gap_topic topics[MSGSRV_GAP_TOPICS];
    msgsrv_error why;
    if (entry->ended)
        return;
    msi_error_set(&why, status, false, text, strlen(text));
    if (gap)
        msi_gap_view(gap, &view, topics);
    entry->over = entry->ended = true;
    pthread_mutex_lock(&local->lock);
    if (entry->queued)
        TAILQ_REMOVE(&local->ready, entry, ready);
    entry->queued = true; /* never again */
    TAILQ_REMOVE(&local->all, entry, all);
    msi_idmap_remove(&local->entries, &entry->node);
    local_delivery *delivery;
    while ((delivery = TAILQ_FIRST(&entry->deliveries)) != NULL)
        free_delivery(local, delivery);
    pthread_mutex_unlock(&local->lock);
    entry->holds++;
    local->told++;
    if (entry->sub && entry->subscriber.end)
        entry->subscriber.end(&local->bus, &why, gap ? &view : NULL, entry->ctx);
    else if (entry->taker && entry->consumer.end)
        entry->consumer.end(&local->bus, &why, entry->ctx);
    entry->holds--;
    msi_sub_leave(entry->sub);
    msi_taker_leave(entry->taker);
    drop(entry);
}

/* ---- subscriptions ---- */

static void tell_gap(local_entry *entry, const msi_gap *gap)
{
    if (!entry->subscriber.gap)
        return;
    msgsrv_gap view;
    msgsrv_gap_topic topics[MSGSRV_GAP_TOPICS];
    msi_gap_view(gap, &view, topics);
    entry->bus->told++;
    entry->subscriber.gap(&entry->bus->bus, &view, entry->ctx);
}

static void tell_undecodable(local_entry *entry, const msi_event *event, msgsrv_gap_reason reason)
{
    msi_log_line(&entry->bus->loop.log, MSGSRV_LOG_ERROR, "an event of the topic %s could not be decoded again",
                 event->name->topic);
    msi_sub_lost(entry->sub, event);
    const msgsrv_gap_topic topic = {event->name->topic, event->sequence, event->sequence, 1};
    const msgsrv_gap gap = {.total = 1, .reason = reason, .topics = &topic, .topic_count = 1};
    if (entry->subscriber.gap)
        entry->subscriber.gap(&entry->bus->bus, &gap, entry->ctx);
}

/* Another part of this process has made a struct of the same type, with other code: decoded once more, for this subscription. */
static void tell_decoded(local_entry *entry, const msi_event *event, msgsrv_event *view)
{
    void *message = calloc(1, entry->type->struct_size ? entry->type->struct_size : 1);
    msgsrv_status status = MSGSRV_RESOURCE_EXHAUSTED;
    if (message)
        status = msgsrv_message_decode(entry->type, event->payload.data, event->payload.size, message, NULL);
    if (status != MSGSRV_OK) {
        free(message);
        tell_undecodable(entry, event, status == MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_GAP_ENGINE : MSGSRV_GAP_UNDECODABLE);
        return;
    }
    view->message = message;
    entry->subscriber.event(&entry->bus->bus, view, entry->ctx);
    msgsrv_message_release(entry->type, message);
    free(message);
}

static void tell_event(local_entry *entry, const msi_taken *taken)
{
    msgsrv_event view;
    const msi_event *event = taken->event;
    msi_event_view(event, entry->type != NULL, &view);
    view.replaced = taken->extra.replaced;
    view.retained = taken->extra.retained;
    view.redelivered = taken->extra.redelivered;
    entry->bus->told++;
    if (entry->type && event->struct_type != entry->type)
        tell_decoded(entry, event, &view);
    else
        entry->subscriber.event(&entry->bus->bus, &view, entry->ctx);
}

static void dispatch_sub(local_entry *entry)
{
    msi_taken items[BATCH];
    uint64_t position;
    size_t count = msi_sub_take(entry->sub, items, BATCH, SIZE_MAX, &position);
    for (size_t i = 0; i < count && !should_stop(entry); i++) {
        const msi_taken *taken = &items[i];
        if (taken->kind == MSI_TAKEN_END) {
            msi_local_end(entry, taken->status, taken->text, taken->gap);
            return;
        }
        if (taken->kind == MSI_TAKEN_GAP)
            tell_gap(entry, taken->gap);
        else
            tell_event(entry, taken);
        if (taken->ticket && !entry->ended)
            msi_sub_got(entry->sub, taken->ticket);
    }
    if (entry->ended)
        return;
    msi_sub_release(entry->sub);
    if (count == BATCH)
        queue_entry(entry); /* perhaps there is more; others first */
}

/* ---- consumers ---- */

/* Those that the program never settles come back to it under another id: their old ones are forgotten, which says the same. */
static void forget_old(local_entry *entry)
{
    if (entry->delivery_count < 2 * entry->prefetch + BATCH)
        return;
    while (entry->delivery_count > entry->prefetch + BATCH)
        free_delivery(entry->bus, TAILQ_FIRST(&entry->deliveries));
}

static bool remember(local_entry *entry, uint64_t id)
{
    local_bus *local = entry->bus;
    local_delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        return false;
    delivery->node.id = id;
    delivery->entry = entry;
    pthread_mutex_lock(&local->lock);
    bool added = msi_idmap_add(&local->deliveries, &delivery->node);
    if (added) {
        TAILQ_INSERT_TAIL(&entry->deliveries, delivery, of_entry);
        entry->delivery_count++;
        forget_old(entry);
    }
    pthread_mutex_unlock(&local->lock);
    if (!added)
        free(delivery);
    return added;
}

/* Takes it out of those that may be settled; NULL: it is not there. The entry lives until the lock is given back. */
static local_entry *recall(local_bus *local, uint64_t id, bool keep)
{
    msi_idnode *node = msi_idmap_find(&local->deliveries, id);
    if (!node)
        return NULL;
    local_delivery *delivery = MSI_CONTAINER(node, local_delivery, node);
    local_entry *entry = delivery->entry;
    if (keep) {
        TAILQ_REMOVE(&entry->deliveries, delivery, of_entry);
        TAILQ_INSERT_TAIL(&entry->deliveries, delivery, of_entry);
    } else {
        free_delivery(local, delivery);
    }
    return entry;
}

/* What the program's function has returned settles it, unless the program has. */
static void settle_by(local_entry *entry, uint64_t id, msgsrv_status status)
{
    if (status == MSGSRV_DEFERRED)
        return;
    pthread_mutex_lock(&entry->bus->lock);
    bool open = recall(entry->bus, id, false) != NULL;
    pthread_mutex_unlock(&entry->bus->lock);
    if (!open)
        return;
    if (status == MSGSRV_OK)
        (void)msi_taker_settle(entry->taker, id, MSGSRV_ACK, 0, NULL);
    else if (status == MSGSRV_INVALID_ARGUMENT || status == MSGSRV_UNIMPLEMENTED)
        (void)msi_taker_settle(entry->taker, id, MSGSRV_REJECT, 0, msgsrv_status_name(status));
    else
        (void)msi_taker_settle(entry->taker, id, MSGSRV_NAK, entry->nak_delay_ms, msgsrv_status_name(status));
}

/* The struct for a typed consumer. false: it was rejected. */
static bool decode(local_entry *entry, const msi_queue_delivery *delivery, msgsrv_event *view, void **own)
{
    msi_event *event = delivery->event;
    msgsrv_error why = {.code = MSGSRV_OK};
    msgsrv_status status = MSGSRV_INVALID_ARGUMENT;
    if (strcmp(event->name->type, entry->type->name) != 0) {
        (void)msi_error(&why, status, "its type is %s, not %s", event->name->type, entry->type->name);
    } else {
        msi_core_lock(entry->bus->core);
        status = msi_event_decode(event, entry->type, &why);
        if (status == MSGSRV_FAILED_PRECONDITION && msi_event_encode(event))
            *own = calloc(1, entry->type->struct_size);
        msi_core_unlock(entry->bus->core);
        view->message = event->message;
        if (*own) {
            status = msgsrv_message_decode(entry->type, event->payload.data, event->payload.size, *own, &why);
            view->message = *own;
        }
    }
    if (status == MSGSRV_OK)
        return true;
    free(*own);
    *own = NULL;
    (void)msi_taker_settle(entry->taker, delivery->id, status == MSGSRV_INVALID_ARGUMENT ? MSGSRV_REJECT : MSGSRV_NAK,
                           100, why.text);
    return false;
}

static void tell_delivery(local_entry *entry, const msi_queue_delivery *taken)
{
    msgsrv_event view;
    void *own = NULL;
    msi_event_view(taken->event, entry->type != NULL, &view);
    view.redelivered = taken->count > 1;
    if (entry->type && !decode(entry, taken, &view, &own))
        return;
    if (remember(entry, taken->id)) {
        msgsrv_delivery delivery = {.event = &view, .id = taken->id, .count = taken->count, .queue = entry->queue};
        entry->bus->told++;
        settle_by(entry, taken->id, entry->consumer.message(&entry->bus->bus, &delivery, entry->ctx));
    } else {
        (void)msi_taker_settle(entry->taker, taken->id, MSGSRV_NAK, 100, "no memory");
    }
    if (own) {
        msgsrv_message_release(entry->type, own);
        free(own);
    }
}

static void dispatch_taker(local_entry *entry)
{
    msi_queue_delivery deliveries[BATCH];
    bool gone;
    size_t count = msi_take_deliveries(entry->taker, deliveries, BATCH, &gone);
    if (gone) {
        msi_local_end(entry, MSGSRV_NOT_FOUND, "the queue was deleted", NULL);
        return;
    }
    for (size_t i = 0; i < count && !should_stop(entry) && !is_cancelled(entry); i++)
        tell_delivery(entry, &deliveries[i]);
    /* Those that were not told any more go back as it ends. */
    if (count == BATCH && !should_stop(entry))
        queue_entry(entry);
}

uint64_t msi_local_consumers_due(local_bus *local, uint64_t now)
{
    uint64_t due = 0;
    local_entry *entry;
    TAILQ_FOREACH(entry, &local->all, all)
    {
        if (!entry->taker || entry->over)
            continue;
        uint64_t moment = msi_taker_due(entry->taker);
        if (moment && moment <= now)
            queue_entry(entry);
        else
            due = msi_earlier(due, moment);
    }
    return due;
}

/* ---- the turn's part ---- */

void msi_local_dispatch(local_entry *entry)
{
    entry->holds++;
    if (is_cancelled(entry)) {
        msi_local_end(entry, MSGSRV_CANCELLED, "unsubscribed", NULL);
    } else if (entry->ready_due) {
        entry->ready_due = false;
        entry->bus->told++;
        if (entry->sub && entry->subscriber.ready)
            entry->subscriber.ready(&entry->bus->bus, entry->ctx);
        else if (entry->taker && entry->consumer.ready)
            entry->consumer.ready(&entry->bus->bus, entry->ctx);
        if (!entry->ended)
            queue_entry(entry);
    } else if (entry->sub) {
        dispatch_sub(entry);
    } else {
        dispatch_taker(entry);
    }
    entry->holds--;
    drop(entry);
}

/* ---- making ---- */

static local_entry *entry_new(local_bus *local, const msgsrv_message_type *type, void *ctx, const char *queue)
{
    size_t size = strlen(queue) + 1;
    local_entry *entry = calloc(1, sizeof *entry + size);
    if (!entry)
        return NULL;
    entry->bus = local;
    entry->type = type;
    entry->ctx = ctx;
    entry->queued = true; /* until it is in place */
    memcpy(entry->queue, queue, size);
    TAILQ_INIT(&entry->deliveries);
    return entry;
}

/* In place: from now on it may be told things. */
static void enter(local_entry *entry, msgsrv_handle *handle)
{
    local_bus *local = entry->bus;
    bool tells = entry->sub ? entry->subscriber.ready != NULL : entry->consumer.ready != NULL;
    pthread_mutex_lock(&local->lock);
    TAILQ_INSERT_TAIL(&local->all, entry, all);
    if (handle)
        *handle = entry->node.id;
    entry->ready_due = tells;
    entry->queued = false;
    msi_local_queue_entry(entry); /* it looks for itself what there is */
    pthread_mutex_unlock(&local->lock);
}

/* A handle for it, before there is anything that could be told. */
static bool number(local_entry *entry)
{
    local_bus *local = entry->bus;
    pthread_mutex_lock(&local->lock);
    entry->node.id = ++local->last_handle;
    bool done = msi_idmap_add(&local->entries, &entry->node);
    pthread_mutex_unlock(&local->lock);
    return done;
}

static void abandon(local_entry *entry)
{
    pthread_mutex_lock(&entry->bus->lock);
    msi_idmap_remove(&entry->bus->entries, &entry->node);
    pthread_mutex_unlock(&entry->bus->lock);
    free(entry);
}

msgsrv_status msi_local_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type,
                                  const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                  void *ctx, msgsrv_handle *handle, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    msgsrv_status status = msi_local_refuse_freed(local, error);
    if (status != MSGSRV_OK)
        return status;
    local_entry *entry = entry_new(local, type, ctx, "");
    if (!entry || !number(entry)) {
        free(entry);
        return msi_error_memory(error);
    }
    entry->subscriber = *subscriber;
    msi_sub_spec spec = {.pattern = msi_view_of(options->pattern),
                         .type = msi_view_of(options->type),
                         .group = msi_view_of(options->group),
                         .policy = options->policy,
                         .max_events = options->max_events,
                         .max_bytes = options->max_bytes,
                         .last = options->last,
                         .responder = options->responder,
                         .wants_bytes = !type,
                         .struct_type = type,
                         .name = msi_publisher_name(local->publisher),
                         .peer = "",
                         .ready = sub_ready,
                         .ctx = entry};
    status = msi_core_subscribe(local->core, &spec, &entry->sub, error);
    if (status != MSGSRV_OK)
        abandon(entry);
    else
        enter(entry, handle);
    return status;
}

msgsrv_status msi_local_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                const msgsrv_consume_options *options, const msgsrv_consumer *consumer, void *ctx,
                                msgsrv_handle *handle, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    msgsrv_status status = msi_local_refuse_freed(local, error);
    if (status != MSGSRV_OK)
        return status;
    local_entry *entry = entry_new(local, type, ctx, queue);
    if (!entry || !number(entry)) {
        free(entry);
        return msi_error_memory(error);
    }
    entry->consumer = *consumer;
    entry->prefetch = options->prefetch;
    entry->nak_delay_ms = options->nak_delay_ms == MSGSRV_NONE ? 0 : options->nak_delay_ms;
    msi_taker_spec spec = {.queue = msi_view_of(queue),
                           .prefetch = options->prefetch,
                           .wants_bytes = !type,
                           .name = msi_publisher_name(local->publisher),
                           .peer = "",
                           .ready = taker_ready,
                           .ctx = entry};
    status = msi_core_consume(local->core, &spec, &entry->taker, error);
    if (status != MSGSRV_OK)
        abandon(entry);
    else
        enter(entry, handle);
    return status;
}

void msi_local_unsubscribe(msgsrv_bus *bus, msgsrv_handle handle)
{
    local_bus *local = local_of(bus);
    pthread_mutex_lock(&local->lock);
    msi_idnode *node = msi_idmap_find(&local->entries, handle);
    if (node) {
        local_entry *entry = MSI_CONTAINER(node, local_entry, node);
        entry->cancelled = true;
        if (msi_loop_current == &local->loop)
            entry->over = true; /* nothing more of what was taken already, either */
        msi_local_queue_entry(entry);
    }
    pthread_mutex_unlock(&local->lock);
}

/* ---- settling ---- */

msgsrv_status msi_local_settle(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                               const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (done && local->freed)
        return msi_local_refuse_freed(local, error);
    msgsrv_status status = MSGSRV_NOT_FOUND;
    msgsrv_error why = {.code = MSGSRV_OK};
    /* With the core's lock, so that the consumer does not go when it has been found. */
    msi_core_lock(local->core);
    pthread_mutex_lock(&local->lock);
    local_entry *entry = recall(local, delivery, settlement == MSGSRV_EXTEND);
    msi_taker *taker = entry ? entry->taker : NULL;
    pthread_mutex_unlock(&local->lock);
    if (taker)
        status = msi_taker_settle_locked(taker, delivery, settlement, delay_ms, reason);
    msi_core_unlock(local->core);
    if (status == MSGSRV_NOT_FOUND)
        (void)msi_error(&why, status, "there is no such delivery: it was settled, or has gone back to its queue");
    return msi_local_outcome(local, status, &why, done, ctx, error);
}
