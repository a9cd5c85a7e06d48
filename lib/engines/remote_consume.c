/* SPDX-License-Identifier: MIT */
/*
 * Consumers of a remote handle. Each delivery gets an id of the handle's own: the server's may come again after a restart of it, and a
 * settlement of the old one must not be one of the new. What is not settled when the stream is lost has gone back to its queue, and is
 * NOT_FOUND from then on; settlements that are under way then end UNAVAILABLE, and may have been done or not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "base/utf8.h"
#include "engines/remote.h"

#define REASON_MAX 255u
#define SETTLEMENT_BYTES (REASON_MAX + 48u)
#define SETTLING_MAX 1000000u /* without an answer: extensions of one delivery have no bound of their own */

typedef struct consumer {
    msi_feed feed; /* the first */
    msi_lane lane; /* settlements */
    msgsrv_consumer told;
    char queue[80];
    uint32_t prefetch;
    uint32_t nak_delay_ms;
    TAILQ_HEAD(msi_unsettled_list, msi_unsettled) unsettled; /* with the lock */
} consumer;

static consumer *of(msi_feed *feed)
{
    return (consumer *)(void *)feed;
}

/* Settling. */

static size_t cut(const char *reason)
{
    size_t size = strnlen(reason, REASON_MAX + 1);
    if (size <= REASON_MAX)
        return size;
    size = REASON_MAX;
    while (size && ((unsigned char)reason[size] & 0xc0) == 0x80)
        size--;
    return size;
}

static void put_settlement(msi_writer *to, uint64_t id, msgsrv_settlement settlement, uint32_t delay_ms,
                           const char *reason)
{
    size_t begun = msi_put_begin(to, 4);
    msi_put_number(to, 1, id);
    msi_put_number(to, 2, (uint64_t)settlement);
    msi_put_number(to, 3, delay_ms);
    if (reason)
        msi_put_bytes(to, 4, (msi_view){(const uint8_t *)reason, cut(reason)});
    msi_put_end(to, begun);
}

/* With the lock: takes it out of the tables. */
static void forget(msi_remote *bus, msi_unsettled *one)
{
    msi_idmap_remove(&bus->unsettled, &one->node);
    TAILQ_REMOVE(&of(one->consumer)->unsettled, one, of_consumer);
    free(one);
}

/* With the lock. */
static msgsrv_status settle(msi_remote *bus, bool foreign, uint64_t delivery, msgsrv_settlement settlement,
                            uint32_t delay_ms, const char *reason, msi_lane_entry entry, msgsrv_error *error)
{
    msi_idnode *node = msi_idmap_find(&bus->unsettled, delivery);
    if (!node)
        return msi_error(error, MSGSRV_NOT_FOUND,
                         "there is no such delivery: it was settled, or has gone back to its queue");
    msi_unsettled *one = MSI_CONTAINER(node, msi_unsettled, node);
    msi_lane *lane = one->consumer->lane;
    if (msi_lane_unanswered(lane) >= SETTLING_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "%u settlements are without an answer", SETTLING_MAX);
    msi_writer to = {.out = msi_lane_room(lane, SETTLEMENT_BYTES)};
    if (!to.out)
        return msi_error_memory(error);
    put_settlement(&to, one->id, settlement, delay_ms, reason);
    msi_lane_add(lane, entry);
    msi_remote_wake_lane(lane, foreign);
    if (settlement != MSGSRV_EXTEND)
        forget(bus, one);
    return MSGSRV_OK;
}

msgsrv_status msi_remote_settle(msgsrv_bus *handle, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                                const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    msi_remote_bracket bracket;
    msgsrv_status status = msi_remote_enter(bus, &bracket, error);
    if (status)
        return status;
    msgsrv_error why = {.text = ""};
    pthread_mutex_lock(&bus->lock);
    status = settle(bus, bracket.foreign, delivery, settlement, delay_ms, reason,
                    (msi_lane_entry){(void (*)(void))done, ctx}, &why);
    pthread_mutex_unlock(&bus->lock);
    if (status == MSGSRV_NOT_FOUND && done)
        status = msi_remote_later(bus, bracket.foreign, done, ctx, &why) ? MSGSRV_OK : msi_error_memory(&why);
    if (status && error)
        *error = why;
    msi_remote_leave(bus, &bracket);
    return status;
}

static void tell_settled(msi_lane *lane, const msi_lane_entry *entry, const msi_lane_end *end)
{
    msi_remote *bus = lane->bus;
    if (entry->done) {
        bus->told++;
        msgsrv_bus_done_fn done = (msgsrv_bus_done_fn)entry->done;
        done(&bus->bus, end->error->code, end->error, entry->ctx);
    } else if (end->error->code && !msi_remote_closing(bus)) {
        msi_log_line(&bus->log, MSGSRV_LOG_INFO, "a delivery was not settled: %s: %s",
                     msgsrv_status_name(end->error->code), end->error->text);
    }
}

/* Deliveries. */

static uint64_t keep(msi_feed *feed, uint64_t id)
{
    msi_remote *bus = feed->bus;
    msi_unsettled *one = malloc(sizeof *one);
    if (!one)
        return 0;
    pthread_mutex_lock(&bus->lock);
    *one = (msi_unsettled){.node.id = ++bus->last_delivery, .consumer = feed, .id = id};
    bool added = msi_idmap_add(&bus->unsettled, &one->node);
    if (added)
        TAILQ_INSERT_TAIL(&of(feed)->unsettled, one, of_consumer);
    uint64_t own = one->node.id;
    pthread_mutex_unlock(&bus->lock);
    if (added)
        return own;
    free(one);
    return 0;
}

/* What a returned code stands for. */
static void settle_returned(msi_feed *feed, uint64_t delivery, msgsrv_status returned, const char *reason)
{
    msi_remote *bus = feed->bus;
    const consumer *self = of(feed);
    bool rejects = returned == MSGSRV_INVALID_ARGUMENT || returned == MSGSRV_UNIMPLEMENTED;
    msgsrv_settlement settlement = returned == MSGSRV_OK ? MSGSRV_ACK : rejects ? MSGSRV_REJECT : MSGSRV_NAK;
    char text[64];
    if (!reason && returned) {
        snprintf(text, sizeof text, "the consumer returned %s", msgsrv_status_name(returned));
        reason = text;
    }
    uint32_t delay = settlement == MSGSRV_NAK && self->nak_delay_ms != MSGSRV_NONE ? self->nak_delay_ms : 0;
    msgsrv_error error;
    pthread_mutex_lock(&bus->lock);
    msgsrv_status status = settle(bus, false, delivery, settlement, delay, reason, (msi_lane_entry){0}, &error);
    pthread_mutex_unlock(&bus->lock);
    if (status && status != MSGSRV_NOT_FOUND) /* the program has settled it itself */
        msi_log_line(&bus->log, MSGSRV_LOG_WARNING, "a delivery is not settled: %s", error.text);
}

static bool out_of_memory(msi_feed *feed)
{
    /* As if the connection were lost: what is unsettled goes back, and comes again. */
    msgsrv_error error;
    (void)msi_error(&error, MSGSRV_UNAVAILABLE, "no memory for a delivery");
    msi_feed_fail(feed, &error);
    return false;
}

/* false: nothing more may be told. */
static bool tell_delivery(msi_feed *feed, msgsrv_event *event, uint64_t id, uint32_t count)
{
    msi_remote *bus = feed->bus;
    const consumer *self = of(feed);
    uint64_t own = keep(feed, id);
    if (!own)
        return out_of_memory(feed);
    msgsrv_error error;
    if (feed->type && msi_feed_decode(feed, event, &error) != MSGSRV_OK) {
        msi_log_line(&bus->log, MSGSRV_LOG_WARNING, "a message of %s is rejected: %s", self->queue, error.text);
        settle_returned(feed, own, MSGSRV_INVALID_ARGUMENT, error.text);
        return true;
    }
    msgsrv_delivery delivery = {.event = event, .id = own, .count = count, .queue = self->queue};
    msi_count_up(&bus->delivered, 1);
    bus->told++;
    msgsrv_status returned = self->told.message(&bus->bus, &delivery, feed->ctx);
    msi_feed_release_message(feed, event);
    if (msi_remote_closing(bus))
        return false;
    if (returned != MSGSRV_DEFERRED && !feed->ended)
        settle_returned(feed, own, returned, NULL);
    return !msi_feed_over(feed);
}

static bool take_delivery(msi_feed *feed, msi_view from)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    uint64_t id = 0;
    uint64_t count = 0;
    msi_view event_bytes = {NULL, 0};
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_VARINT))
            id = field.value;
        else if (msi_is(&field, 2, MSI_WIRE_VARINT))
            count = field.value;
        else if (msi_is(&field, 3, MSI_WIRE_BYTES))
            event_bytes = field.bytes;
    }
    msgsrv_event event;
    msgsrv_error error;
    if (reader.failed || !event_bytes.data)
        (void)msi_error(&error, MSGSRV_INTERNAL, "the server sent what is not a delivery");
    else if (msi_event_read(&feed->reader, event_bytes, &event, &error) == MSGSRV_OK)
        return tell_delivery(feed, &event, id, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
    msi_feed_fail(feed, &error);
    return false;
}

static bool tell_ready(msi_feed *feed)
{
    msi_feed_ready(feed);
    if (!of(feed)->told.ready)
        return true;
    feed->bus->told++;
    of(feed)->told.ready(&feed->bus->bus, feed->ctx);
    return !msi_feed_over(feed);
}

static void on_message(msi_feed *feed, msi_view body)
{
    bool goes_on = true;
    msi_reader reader = msi_read(body);
    msi_wire_field field;
    if (!msi_lane_answer(feed->lane, body, 2, 3, 0)) { /* looks at all of it first */
        msgsrv_error error;
        (void)msi_error(&error, MSGSRV_INTERNAL, "the server sent what is no response to Consume");
        msi_feed_fail(feed, &error);
        return;
    }
    goes_on = !msi_feed_over(feed) && !msi_remote_closing(feed->bus);
    while (goes_on && msi_read_next(&reader, &field)) {
        if (msi_is(&field, 4, MSI_WIRE_VARINT) && field.value && !feed->ready)
            goes_on = tell_ready(feed);
        else if (msi_is(&field, 1, MSI_WIRE_BYTES))
            goes_on = take_delivery(feed, field.bytes);
    }
}

static bool put_request(msi_feed *feed, msi_writer *to)
{
    const consumer *self = of(feed);
    msi_put_text(to, 1, self->queue);
    msi_put_number(to, 2, self->prefetch);
    msi_put_text(to, 3, feed->bus->name);
    return !to->failed;
}

static void drop_unsettled(msi_feed *feed)
{
    msi_remote *bus = feed->bus;
    msi_unsettled *one;
    pthread_mutex_lock(&bus->lock);
    while ((one = TAILQ_FIRST(&of(feed)->unsettled)) != NULL)
        forget(bus, one);
    pthread_mutex_unlock(&bus->lock);
}

static void on_lost(msi_feed *feed, const msgsrv_error *error)
{
    drop_unsettled(feed);
    msi_lane_lost(feed->lane, error);
}

static void on_end(msi_feed *feed, const msgsrv_error *why)
{
    msi_remote *bus = feed->bus;
    drop_unsettled(feed);
    atomic_fetch_sub(&bus->consumers, 1);
    if (of(feed)->told.end)
        of(feed)->told.end(&bus->bus, why, feed->ctx);
}

static void on_free(msi_feed *feed)
{
    msi_lane_release(&of(feed)->lane);
    free(of(feed));
}

static const msi_feed_ops feed_ops = {
    .method = MSI_BUS_CONSUME,
    .request = put_request,
    .message = on_message,
    .lost = on_lost,
    .end = on_end,
    .free = on_free,
};

msgsrv_status msi_remote_consume(msgsrv_bus *handle, const char *queue, const msgsrv_message_type *type,
                                 const msgsrv_consume_options *options, const msgsrv_consumer *told, void *ctx,
                                 msgsrv_handle *number, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    consumer *self = calloc(1, sizeof *self);
    if (!self)
        return msi_error_memory(error);
    self->told = *told;
    self->prefetch = options->prefetch;
    self->nak_delay_ms = options->nak_delay_ms;
    snprintf(self->queue, sizeof self->queue, "%s", queue);
    TAILQ_INIT(&self->unsettled);
    msi_lane_init(&self->lane, bus, tell_settled);
    self->feed.lane = &self->lane;
    msgsrv_status status = msi_feed_init(&self->feed, bus, &feed_ops, type, ctx, error);
    if (status) {
        on_free(&self->feed);
        return status;
    }
    atomic_fetch_add(&bus->consumers, 1);
    status = msi_feed_start(&self->feed, number, error);
    if (status)
        atomic_fetch_sub(&bus->consumers, 1);
    return status;
}
