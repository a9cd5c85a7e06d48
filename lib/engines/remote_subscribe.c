/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions of a remote handle. What a server sends that is not a response ends the subscription with INTERNAL. An event of a typed
 * subscription that is of another type, which no server sends, is logged, counted and skipped; one whose payload does not decode, though
 * its type is right, is told as a gap of reason MSGSRV_GAP_UNDECODABLE with its sequence: then it is lost, and not in silence.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "engines/remote_seen.h"

typedef struct subscription {
    msi_feed feed; /* the first */
    msgsrv_subscriber subscriber;
    msgsrv_subscribe_options options; /* texts are its own */
    msi_seen_topics *seen;            /* NULL: a group's member or a responder, which does not go on where it was */
    uint64_t epoch;                   /* of the bus; 0: it was never ready */
    uint64_t position;
    msi_read_gap *gap; /* room for one */
    bool gap_waits;    /* it came last; whether it belongs to the end shows what follows */
} subscription;

static subscription *of(msi_feed *feed)
{
    return (subscription *)(void *)feed;
}

/* The request. */

static bool put_request(msi_feed *feed, msi_writer *to)
{
    const subscription *sub = of(feed);
    const msgsrv_subscribe_options *o = &sub->options;
    msi_put_text(to, 1, o->pattern);
    msi_put_text(to, 2, o->type);
    msi_put_text(to, 3, o->group);
    msi_put_number(to, 4, (uint64_t)o->policy);
    msi_put_number(to, 5, o->max_events);
    msi_put_number(to, 6, o->max_bytes);
    if (o->last != MSI_LAST_ALL)
        msi_put_number_always(to, 7, o->last == MSGSRV_NONE ? 0 : o->last);
    msi_put_number(to, 8, o->responder);
    msi_put_text(to, 9, feed->bus->name);
    if (!sub->epoch || !sub->seen)
        return !to->failed;
    size_t resume = msi_put_begin(to, 10);
    msi_put_fixed64(to, 1, sub->epoch);
    msi_put_number(to, 2, sub->position);
    msi_seen_put(sub->seen, to, 3);
    msi_put_end(to, resume);
    return !to->failed;
}

/* What comes. */

static void tell_gap(subscription *sub, const msgsrv_gap *gap)
{
    msi_remote *bus = sub->feed.bus;
    msi_count_up(&bus->lost, gap->total);
    for (size_t i = 0; sub->seen && i < gap->topic_count; i++)
        msi_seen_gap(sub->seen, gap->topics[i].topic, gap->topics[i].last);
    if (!sub->subscriber.gap)
        return;
    bus->told++;
    sub->subscriber.gap(&bus->bus, gap, sub->feed.ctx);
}

/* A gap that was held back was not the end's. */
static void tell_waiting_gap(subscription *sub)
{
    if (!sub->gap_waits)
        return;
    sub->gap_waits = false;
    tell_gap(sub, &sub->gap->gap);
}

static bool take_gap(subscription *sub, msi_view from, bool alone)
{
    msi_feed *feed = &sub->feed;
    msgsrv_error error;
    if (!sub->gap)
        sub->gap = malloc(sizeof *sub->gap);
    msgsrv_status status = sub->gap ? msi_gap_read(sub->gap, from, &error) : msi_error_memory(&error);
    if (status) {
        msi_feed_fail(feed, &error);
        return false;
    }
    /* Perhaps the end follows, which tells it; but not what was missed without a connection. */
    if (alone && sub->options.policy == MSGSRV_DISCONNECT && sub->gap->gap.reason == MSGSRV_GAP_SLOW)
        sub->gap_waits = true;
    else
        tell_gap(sub, &sub->gap->gap);
    return !msi_feed_over(feed);
}

static void tell_undecodable(subscription *sub, const msgsrv_event *event, const msgsrv_error *error)
{
    msi_remote *bus = sub->feed.bus;
    msi_log_line(&bus->log, MSGSRV_LOG_WARNING, "an event of %s is lost: %s", event->topic, error->text);
    if (strcmp(event->type, sub->feed.type->name) != 0) {
        msi_count_up(&bus->lost, 1);
        return;
    }
    msgsrv_gap_topic topic = {event->topic, event->sequence, event->sequence, 1};
    msgsrv_gap gap = {.total = 1, .reason = MSGSRV_GAP_UNDECODABLE, .topics = &topic, .topic_count = 1};
    tell_gap(sub, &gap);
}

/* false: nothing more may be told. */
static bool take_event(subscription *sub, msi_view from)
{
    msi_feed *feed = &sub->feed;
    msi_remote *bus = feed->bus;
    msgsrv_event event;
    msgsrv_error error;
    if (msi_event_read(&feed->reader, from, &event, &error) != MSGSRV_OK) {
        msi_feed_fail(feed, &error);
        return false;
    }
    if (feed->type && msi_feed_decode(feed, &event, &error) != MSGSRV_OK) {
        tell_undecodable(sub, &event, &error);
    } else {
        msi_count_up(&bus->delivered, 1);
        bus->told++;
        sub->subscriber.event(&bus->bus, &event, feed->ctx);
        msi_feed_release_message(feed, &event);
    }
    if (feed->ended || msi_remote_closing(bus))
        return false;
    if (sub->seen)
        msi_seen_note(sub->seen, feed->reader.topic.text, feed->reader.topic.size, event.epoch, event.sequence);
    return !msi_feed_over(feed);
}

/* What a response has besides events. */
typedef struct response {
    uint64_t position;
    uint64_t epoch;
    msi_view gap;
    bool has_gap;
    bool has_events;
} response;

static bool look(msi_view body, response *said)
{
    msi_reader reader = msi_read(body);
    msi_wire_field field;
    *said = (response){0};
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES)) {
            said->has_events = true;
        } else if (msi_is(&field, 2, MSI_WIRE_BYTES)) {
            said->has_gap = true;
            said->gap = field.bytes;
        } else if (msi_is(&field, 3, MSI_WIRE_VARINT)) {
            said->position = field.value;
        } else if (msi_is(&field, 4, MSI_WIRE_FIXED64)) {
            said->epoch = field.value;
        }
    }
    return !reader.failed;
}

static bool take_events(subscription *sub, msi_view body)
{
    msi_reader reader = msi_read(body);
    msi_wire_field field;
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES) && !take_event(sub, field.bytes))
            return false;
    }
    return true;
}

static bool tell_ready(subscription *sub, uint64_t epoch)
{
    msi_feed *feed = &sub->feed;
    sub->epoch = epoch;
    msi_feed_ready(feed);
    if (!sub->subscriber.ready)
        return true;
    feed->bus->told++;
    sub->subscriber.ready(&feed->bus->bus, feed->ctx);
    return !msi_feed_over(feed);
}

static void on_message(msi_feed *feed, msi_view body)
{
    subscription *sub = of(feed);
    response said;
    if (!look(body, &said)) {
        msgsrv_error error;
        (void)msi_error(&error, MSGSRV_INTERNAL, "the server sent what is no response to Subscribe");
        msi_feed_fail(feed, &error);
        return;
    }
    /* A member of a group has got an event when it says so, and says so at once. */
    msgsrv_stream *stream = feed->stream;
    uint32_t kept = feed->acknowledges ? msgsrv_stream_keep(stream) : 0;
    tell_waiting_gap(sub);
    bool goes_on = !msi_feed_over(feed);
    if (goes_on && said.epoch && !feed->ready)
        goes_on = tell_ready(sub, said.epoch);
    if (goes_on && said.has_gap)
        goes_on = take_gap(sub, said.gap, !said.has_events);
    if (goes_on)
        goes_on = take_events(sub, body);
    if (!goes_on)
        return;
    if (said.position)
        sub->position = said.position;
    if (feed->acknowledges && feed->stream == stream)
        msgsrv_stream_consumed(stream, 1, kept);
}

/* The end. */

static void on_lost(msi_feed *feed, const msgsrv_error *error)
{
    subscription *sub = of(feed);
    bool belongs = error->code != MSGSRV_UNAVAILABLE && error->code != MSGSRV_OK;
    if (!belongs && !msi_feed_over(feed))
        tell_waiting_gap(sub);
}

static void on_end(msi_feed *feed, const msgsrv_error *why)
{
    subscription *sub = of(feed);
    msi_remote *bus = feed->bus;
    atomic_fetch_sub(&bus->subscriptions, 1);
    const msgsrv_gap *gap = sub->gap_waits && !feed->stopped ? &sub->gap->gap : NULL;
    if (gap)
        msi_count_up(&bus->lost, gap->total);
    if (sub->subscriber.end)
        sub->subscriber.end(&bus->bus, why, gap, feed->ctx);
}

static void free_options(msgsrv_subscribe_options *o)
{
    free((char *)(uintptr_t)o->pattern);
    free((char *)(uintptr_t)o->type);
    free((char *)(uintptr_t)o->group);
}

static void on_free(msi_feed *feed)
{
    subscription *sub = of(feed);
    free_options(&sub->options);
    msi_seen_free(sub->seen);
    free(sub->gap);
    free(sub);
}

static const msi_feed_ops feed_ops = {
    .method = MSI_BUS_SUBSCRIBE,
    .request = put_request,
    .message = on_message,
    .lost = on_lost,
    .end = on_end,
    .free = on_free,
};

static bool copy_text(const char **text)
{
    if (*text)
        *text = strdup(*text);
    return *text != NULL;
}

/* The texts are copied; false without memory, and nothing is left. */
static bool copy_options(msgsrv_subscribe_options *to, const msgsrv_subscribe_options *from)
{
    *to = *from;
    bool pattern = copy_text(&to->pattern) || !from->pattern;
    bool type = copy_text(&to->type) || !from->type;
    bool group = copy_text(&to->group) || !from->group;
    if (pattern && type && group)
        return true;
    free_options(to);
    return false;
}

msgsrv_status msi_remote_subscribe(msgsrv_bus *handle, const msgsrv_message_type *type,
                                   const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                   void *ctx, msgsrv_handle *number, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    subscription *sub = calloc(1, sizeof *sub);
    if (!sub || !copy_options(&sub->options, options)) {
        free(sub);
        return msi_error_memory(error);
    }
    sub->subscriber = *subscriber;
    sub->feed.acknowledges = options->group != NULL;
    bool goes_on = !options->group && !options->responder;
    sub->seen = goes_on ? msi_seen_new() : NULL;
    msgsrv_status status = MSGSRV_RESOURCE_EXHAUSTED;
    if (goes_on && !sub->seen)
        (void)msi_error_memory(error);
    else
        status = msi_feed_init(&sub->feed, bus, &feed_ops, type, ctx, error);
    if (status) {
        on_free(&sub->feed);
        return status;
    }
    atomic_fetch_add(&bus->subscriptions, 1);
    status = msi_feed_start(&sub->feed, number, error);
    if (status)
        atomic_fetch_sub(&bus->subscriptions, 1);
    return status;
}
