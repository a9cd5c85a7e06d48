/* SPDX-License-Identifier: MIT */
/*
 * What subscriptions and consumers of the bus under test were told, and the end of it all.
 */
#include "world.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>

static void *grown(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room == 0 ? 64 : *room * 2;
    items = realloc(items, *room * size);
    ck_assert_ptr_nonnull(items);
    return items;
}

/* ---- subscriptions ---- */

static bt_item *next_item(bt_sub *sub)
{
    sub->items = grown(sub->items, sub->count, &sub->room, sizeof *sub->items);
    bt_item *item = &sub->items[sub->count++];
    memset(item, 0, sizeof *item);
    bt.told++;
    TS_CHECK(sub->ended == 0, "something was told after the end");
    return item;
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    bt_sub *sub = ctx;
    (void)bus;
    bt_item *item = next_item(sub);
    sub->events++;
    item->topic = strdup(event->topic);
    item->type = strdup(event->type);
    snprintf(item->publisher, sizeof item->publisher, "%s", event->publisher);
    item->sequence = event->sequence;
    item->epoch = event->epoch;
    item->time_us = event->time_us;
    item->replaced = event->replaced;
    item->request = event->request;
    item->value = event->payload == NULL ? 0 : bt_decode(event->payload, event->payload_size);
    item->size = event->payload_size;
    item->retained = event->retained;
    item->redelivered = event->redelivered;
    if (sub->on_event != NULL)
        sub->on_event(sub, event);
}

static bt_gap *copy_gap(const msgsrv_gap *gap)
{
    bt_gap *copy = calloc(1, sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    TS_CHECK(gap->topic_count <= MSGSRV_GAP_TOPICS, "a gap of %zu topics", gap->topic_count);
    copy->total = gap->total;
    copy->unknown = gap->unknown;
    copy->reason = gap->reason;
    copy->topic_count = gap->topic_count;
    for (size_t i = 0; i < gap->topic_count; i++)
        copy->topics[i] = (bt_gap_topic){strdup(gap->topics[i].topic), gap->topics[i].first, gap->topics[i].last,
                                         gap->topics[i].count};
    return copy;
}

static void free_gap(bt_gap *gap)
{
    for (size_t i = 0; gap != NULL && i < gap->topic_count; i++)
        free(gap->topics[i].topic);
    free(gap);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    bt_sub *sub = ctx;
    (void)bus;
    next_item(sub)->gap = copy_gap(gap);
    sub->gaps++;
    if (sub->on_gap != NULL)
        sub->on_gap(sub, gap);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    bt_sub *sub = ctx;
    (void)bus;
    bt.told++;
    TS_CHECK(sub->ended == 0, "ready after the end");
    sub->ready++;
    if (sub->on_ready != NULL)
        sub->on_ready(sub);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    bt_sub *sub = ctx;
    (void)bus;
    bt.told++;
    TS_CHECK(sub->ended == 0, "a second end");
    sub->ended++;
    sub->status = why->code;
    snprintf(sub->text, sizeof sub->text, "%s", why->text);
    if (gap != NULL)
        sub->end_gap = copy_gap(gap);
    if (sub->on_end != NULL)
        sub->on_end(sub);
}

bt_sub *bt_subscribe_start(bt_handle *handle, const msgsrv_message_type *type, const msgsrv_subscribe_options *options,
                           const bt_sub *hooks)
{
    static const msgsrv_subscriber subscriber = {on_event, on_gap, on_ready, on_end};
    msgsrv_error error = {0};
    bt_sub *sub = calloc(1, sizeof *sub);
    ck_assert_ptr_nonnull(sub);
    if (hooks != NULL)
        *sub = *hooks;
    sub->handle = handle;
    sub->next = bt.subs;
    bt.subs = sub;
    sub->status = msgsrv_bus_subscribe(handle->bus, type, options, &subscriber, sub, &sub->id, &error);
    if (sub->status != MSGSRV_OK) {
        sub->ended = 1;
        snprintf(sub->text, sizeof sub->text, "%s", error.text);
    } else {
        ck_assert_uint_ne(sub->id, 0);
        ck_assert_uint_eq(sub->ready + sub->ended + sub->count, 0); /* nothing is called inside the function */
    }
    return sub;
}

bt_sub *bt_subscribe(bt_handle *handle, const msgsrv_subscribe_options *options)
{
    bt_sub *sub = bt_subscribe_start(handle, NULL, options, NULL);
    BT_UNTIL(sub->ready + sub->ended != 0);
    ck_assert_msg(sub->ended == 0, "the subscription ended: %s", sub->text);
    return sub;
}

bt_sub *bt_subscribe_to(bt_handle *handle, const char *pattern)
{
    return bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = pattern});
}

void bt_subscribe_refused(bt_handle *handle, const msgsrv_subscribe_options *options, msgsrv_status status,
                          const char *part, const char *other)
{
    bt_sub *sub = bt_subscribe_start(handle, NULL, options, NULL);
    BT_UNTIL(sub->ready + sub->ended != 0);
    ck_assert_msg(sub->ended == 1, "a subscription that is wrong was accepted");
    BT_STATUS(status, sub->status, sub->text);
    BT_CONTAINS(sub->text, part);
    BT_CONTAINS(sub->text, other);
}

void bt_unsubscribe(bt_sub *sub)
{
    unsigned before = sub->ended;
    msgsrv_bus_unsubscribe(sub->handle->bus, sub->id);
    ck_assert_uint_eq(sub->ended, before); /* not inside the function */
    size_t count = sub->count;
    BT_UNTIL(sub->ended != 0);
    ck_assert_uint_eq(sub->count, count);
    BT_STATUS(MSGSRV_CANCELLED, sub->status, sub->text);
}

static const bt_item *item_at(const bt_sub *sub, size_t index, bool gap)
{
    for (size_t i = 0; i < sub->count; i++)
        if ((sub->items[i].gap != NULL) == gap && index-- == 0)
            return &sub->items[i];
    ck_abort_msg("there is no such item");
    return NULL;
}

const bt_item *bt_event_at(const bt_sub *sub, size_t index)
{
    return item_at(sub, index, false);
}

const bt_gap *bt_gap_at(const bt_sub *sub, size_t index)
{
    return item_at(sub, index, true)->gap;
}

uint64_t bt_gap_total(const bt_sub *sub)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sub->count; i++)
        total += sub->items[i].gap == NULL ? 0 : sub->items[i].gap->total;
    return total;
}

static const bt_gap_topic *find_topic(const bt_gap *gap, const char *topic)
{
    for (size_t i = 0; i < gap->topic_count; i++)
        if (strcmp(gap->topics[i].topic, topic) == 0)
            return &gap->topics[i];
    return NULL;
}

const bt_gap_topic *bt_gap_of(const bt_gap *gap, const char *topic)
{
    const bt_gap_topic *found = find_topic(gap, topic);
    ck_assert_msg(found != NULL, "%s is not in the gap", topic);
    return found;
}

/* What one item says of a topic: how far it goes on from `at`; fails when it does not follow. */
static uint64_t follow(const bt_item *item, const char *topic, uint64_t at)
{
    if (item->gap == NULL) {
        if (strcmp(item->topic, topic) != 0)
            return at;
        TS_CHECK(item->sequence == at + 1 + item->replaced, "%s: %llu after %llu, in place of %llu others", topic,
                 (unsigned long long)item->sequence, (unsigned long long)at, (unsigned long long)item->replaced);
        return item->sequence;
    }
    const bt_gap_topic *entry = find_topic(item->gap, topic);
    if (entry == NULL)
        return at;
    if (entry->first == 0 && item->gap->unknown && entry->last >= at)
        return entry->last; /* all that may be known after a lost connection */
    TS_CHECK(entry->first == at + 1 && entry->last - entry->first + 1 == entry->count,
             "%s: a gap of %llu from %llu to %llu after %llu", topic, (unsigned long long)entry->count,
             (unsigned long long)entry->first, (unsigned long long)entry->last, (unsigned long long)at);
    return entry->last;
}

void bt_check_told(const bt_sub *sub, const char *topic, uint64_t first, uint64_t last)
{
    uint64_t at = first - 1;
    for (size_t i = 0; i < sub->count; i++)
        at = follow(&sub->items[i], topic, at);
    TS_CHECK(at == last, "%s: told up to %llu instead of %llu", topic, (unsigned long long)at, (unsigned long long)last);
}

uint64_t bt_told_last(const bt_sub *sub, const char *topic)
{
    for (size_t i = sub->count; i-- > 0;) {
        const bt_item *item = &sub->items[i];
        const bt_gap_topic *entry = item->gap == NULL ? NULL : find_topic(item->gap, topic);
        if (entry != NULL)
            return entry->last;
        if (item->gap == NULL && strcmp(item->topic, topic) == 0)
            return item->sequence;
    }
    return 0;
}

/* ---- queues ---- */

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    bt_consumer *consumer = ctx;
    (void)bus;
    bt.told++;
    TS_CHECK(consumer->ended == 0, "a delivery after the end");
    consumer->items = grown(consumer->items, consumer->count, &consumer->room, sizeof *consumer->items);
    const msgsrv_event *event = delivery->event;
    consumer->items[consumer->count++] = (bt_delivery){
        .id = delivery->id,
        .count = delivery->count,
        .value = event->payload == NULL ? 0 : bt_decode(event->payload, event->payload_size),
        .sequence = event->sequence,
        .at_ms = ts_now_ms(),
        .redelivered = event->redelivered,
        .topic = strdup(event->topic),
    };
    return consumer->on_message == NULL ? consumer->answer : consumer->on_message(consumer, delivery);
}

static void on_consumer_ready(msgsrv_bus *bus, void *ctx)
{
    bt_consumer *consumer = ctx;
    (void)bus;
    bt.told++;
    consumer->ready++;
    if (consumer->on_ready != NULL)
        consumer->on_ready(consumer);
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    bt_consumer *consumer = ctx;
    (void)bus;
    bt.told++;
    TS_CHECK(consumer->ended == 0, "a second end");
    consumer->ended++;
    consumer->status = why->code;
    snprintf(consumer->text, sizeof consumer->text, "%s", why->text);
    if (consumer->on_end != NULL)
        consumer->on_end(consumer);
}

bt_consumer *bt_consume_start(bt_handle *handle, const char *queue, const msgsrv_message_type *type,
                              const msgsrv_consume_options *options, const bt_consumer *hooks)
{
    static const msgsrv_consumer functions = {on_message, on_consumer_ready, on_consumer_end};
    msgsrv_error error = {0};
    bt_consumer *consumer = calloc(1, sizeof *consumer);
    ck_assert_ptr_nonnull(consumer);
    if (hooks != NULL)
        *consumer = *hooks;
    consumer->handle = handle;
    consumer->next = bt.consumers;
    bt.consumers = consumer;
    consumer->status =
        msgsrv_bus_consume(handle->bus, queue, type, options, &functions, consumer, &consumer->id, &error);
    if (consumer->status != MSGSRV_OK) {
        consumer->ended = 1;
        snprintf(consumer->text, sizeof consumer->text, "%s", error.text);
    }
    return consumer;
}

bt_consumer *bt_consume(bt_handle *handle, const char *queue, uint32_t prefetch, msgsrv_status answer)
{
    bt_consumer *consumer = bt_consume_start(
        handle, queue, NULL, &(msgsrv_consume_options){.prefetch = prefetch, .nak_delay_ms = MSGSRV_NONE},
        &(bt_consumer){.answer = answer});
    BT_UNTIL(consumer->ready + consumer->ended != 0);
    ck_assert_msg(consumer->ended == 0, "the consumer ended: %s", consumer->text);
    return consumer;
}

void bt_consume_end(bt_consumer *consumer)
{
    msgsrv_bus_unsubscribe(consumer->handle->bus, consumer->id);
    BT_UNTIL(consumer->ended != 0);
    BT_STATUS(MSGSRV_CANCELLED, consumer->status, consumer->text);
}

void bt_on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    bt_done *done = ctx;
    (void)bus;
    bt.told++;
    done->done++;
    done->status = status;
    ck_assert_ptr_nonnull(error);
    snprintf(done->text, sizeof done->text, "%s", error->text);
}

/* What became of an asynchronous function that returned a status. */
static msgsrv_status finish(msgsrv_status status, bt_done *done, msgsrv_error *error)
{
    if (status != MSGSRV_OK)
        return status;
    BT_UNTIL(done->done != 0);
    ck_assert_uint_eq(done->done, 1);
    snprintf(error->text, sizeof error->text, "%s", done->text);
    return done->status;
}

msgsrv_status bt_settle(bt_handle *handle, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                        const char *reason)
{
    bt_done done = {0};
    msgsrv_error error;
    return finish(msgsrv_bus_settle(handle->bus, delivery, settlement, delay_ms, reason, bt_on_done, &done, &error),
                  &done, &error);
}

msgsrv_status bt_try_declare_queue(const char *queue, const msgsrv_queue_options *options, msgsrv_error *error)
{
    bt_done done = {0};
    return finish(msgsrv_bus_declare_queue(bt.pub->bus, queue, options, bt_on_done, &done, error), &done, error);
}

void bt_declare_queue(const char *queue, const msgsrv_queue_options *options)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, bt_try_declare_queue(queue, options, &error), error.text);
}

msgsrv_status bt_try_declare_topic(const char *topic, const char *type, const msgsrv_proto_file *file, uint32_t retain,
                                   msgsrv_error *error)
{
    bt_done done = {0};
    return finish(msgsrv_bus_declare_topic(bt.pub->bus, topic, type, file, retain, bt_on_done, &done, error), &done,
                  error);
}

void bt_declare_topic(const char *topic, const char *type, const msgsrv_proto_file *file, uint32_t retain)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, bt_try_declare_topic(topic, type, file, retain, &error), error.text);
}

void bt_queue_of(const char *queue, const msgsrv_queue_options *options, const char *pattern, ...)
{
    const char *patterns[16];
    msgsrv_queue_options all = options == NULL ? (msgsrv_queue_options){0} : *options;
    va_list args;
    va_start(args, pattern);
    size_t count = 0;
    for (; pattern != NULL; pattern = va_arg(args, const char *))
        patterns[count++] = pattern;
    va_end(args);
    all.patterns = patterns;
    all.pattern_count = count;
    bt_declare_queue(queue, &all);
}

msgsrv_queue_info bt_info(const char *queue)
{
    msgsrv_queue_info info;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_queue_info(bt.admin->bus, queue, &info, &error), error.text);
    return info;
}

static bool on_peeked(const msgsrv_queued *message, void *ctx)
{
    bt_peeked *peeked = ctx;
    size_t i = peeked->count++;
    ck_assert_uint_lt(i, sizeof peeked->at / sizeof *peeked->at);
    peeked->at[i].value = bt_decode(message->event->payload, message->event->payload_size);
    peeked->at[i].id = message->id;
    peeked->at[i].count = message->count;
    peeked->at[i].unsettled = message->unsettled;
    peeked->at[i].not_before_us = message->not_before_us;
    peeked->at[i].expires_us = message->expires_us;
    peeked->at[i].died_us = message->died_us;
    peeked->at[i].deaths = message->deaths;
    snprintf(peeked->at[i].reason, sizeof peeked->at[i].reason, "%s", message->reason);
    snprintf(peeked->at[i].first_error, sizeof peeked->at[i].first_error, "%s", message->first_error);
    snprintf(peeked->at[i].last_error, sizeof peeked->at[i].last_error, "%s", message->last_error);
    snprintf(peeked->at[i].topic, sizeof peeked->at[i].topic, "%s", message->event->topic);
    return true;
}

bt_peeked *bt_peek(const char *queue)
{
    static bt_peeked peeked;
    msgsrv_error error = {0};
    memset(&peeked, 0, sizeof peeked);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_peek(bt.admin->bus, queue, 64, on_peeked, &peeked, &error), error.text);
    return &peeked;
}

/* ---- the end ---- */

static void free_sub(bt_sub *sub)
{
    ck_assert_msg(sub->ended == 1, "a subscription has not ended with its handle");
    for (size_t i = 0; i < sub->count; i++) {
        free_gap(sub->items[i].gap);
        free(sub->items[i].topic);
        free(sub->items[i].type);
    }
    free_gap(sub->end_gap);
    free(sub->items);
    free(sub);
}

static void free_consumer(bt_consumer *consumer)
{
    ck_assert_msg(consumer->ended == 1, "a consumer has not ended with its handle");
    for (size_t i = 0; i < consumer->count; i++)
        free(consumer->items[i].topic);
    free(consumer->items);
    free(consumer);
}

void bt_clean(void)
{
    for (bt_sub **at = &bt.subs, *sub; (sub = *at) != NULL;) {
        if (sub->ended == 0) {
            at = &sub->next;
            continue;
        }
        *at = sub->next;
        free_sub(sub);
    }
    for (bt_consumer **at = &bt.consumers, *consumer; (consumer = *at) != NULL;) {
        if (consumer->ended == 0) {
            at = &consumer->next;
            continue;
        }
        *at = consumer->next;
        free_consumer(consumer);
    }
}

void bt_close(void)
{
    for (size_t i = bt.handle_count; i-- > 0;)
        bt_free(&bt.handles[i]);
    for (size_t i = 0; i < bt.handle_count; i++)
        if (bt.handles[i].base != NULL) {
            event_base_loop(bt.handles[i].base, EVLOOP_NONBLOCK); /* what libevent frees a turn later */
            event_base_free(bt.handles[i].base);
        }
    bt_server_stop();
    msgsrv_bus_free(bt.host);
    for (bt_sub *sub = bt.subs, *next; sub != NULL; sub = next) {
        next = sub->next;
        free_sub(sub);
    }
    for (bt_consumer *consumer = bt.consumers, *next; consumer != NULL; consumer = next) {
        next = consumer->next;
        free_consumer(consumer);
    }
    pthread_mutex_destroy(&bt.log_mutex);
    bt.subs = NULL;
    bt.consumers = NULL;
    bt.handle_count = 0;
}

void bt_reopen(const msgsrv_bus_options *options)
{
    bt_close();
    bt_open(options);
}
