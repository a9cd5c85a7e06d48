/* SPDX-License-Identifier: MIT */
/*
 * The public functions of include/msgsrv/bus.h: they look at arguments and options, so that a handle (local.c, lib/engines/remote.c) gets
 * sound ones, and encode what has to be. Any thread. Opening is lib/engines/open.c's, serving lib/services'.
 */
#include "bus/bus.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/metadata.h"
#include "base/option.h"
#include "bus/publication.h"

#define RETAIN_MAX 1000u

static msgsrv_status missing(const char *what, msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", what);
}

void msgsrv_bus_free(msgsrv_bus *bus)
{
    if (bus)
        bus->ops->free(bus);
}

msgsrv_status msgsrv_bus_poll(msgsrv_bus *bus, uint32_t timeout_ms, msgsrv_error *error)
{
    return bus ? bus->ops->poll(bus, timeout_ms, error) : missing("bus", error);
}

msgsrv_status msgsrv_bus_publish(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                 const void *message, const msgsrv_publish_options *options, msgsrv_receipt *receipt,
                                 msgsrv_error *error)
{
    msi_made made;
    msgsrv_status status = msi_publication_make(&made, bus, topic, type, message, options, error);
    if (status)
        return status;
    status = bus->ops->publish(bus, &made.publication, true, receipt, NULL, NULL, error);
    msi_publication_release(&made);
    return status;
}

msgsrv_status msgsrv_bus_publish_async(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                       const void *message, const msgsrv_publish_options *options,
                                       msgsrv_published_fn done, void *ctx, msgsrv_error *error)
{
    msi_made made;
    msgsrv_status status = msi_publication_make(&made, bus, topic, type, message, options, error);
    if (status)
        return status;
    status = bus->ops->publish(bus, &made.publication, false, NULL, done, ctx, error);
    msi_publication_release(&made);
    return status;
}

msgsrv_status msgsrv_bus_request(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                 const void *message, const msgsrv_publish_options *options, uint32_t timeout_ms,
                                 msgsrv_replied_fn done, void *ctx, msgsrv_error *error)
{
    if (!done)
        return missing("done", error);
    msi_made made;
    msgsrv_status status = msi_publication_make(&made, bus, topic, type, message, options, error);
    if (status)
        return status;
    status = bus->ops->request(bus, &made.publication, timeout_ms, done, ctx, error);
    msi_publication_release(&made);
    return status;
}

msgsrv_status msgsrv_bus_reply(msgsrv_bus *bus, uint64_t request, const msgsrv_message_type *type, const void *message,
                               const char *type_name, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    if (!bus)
        return missing("bus", error);
    msi_made made;
    msgsrv_status status = msi_payload_make(&made, type, message, type_name, error);
    if (status)
        return status;
    status = bus->ops->reply(bus, request, made.publication.type, made.publication.payload, done, ctx, error);
    msi_publication_release(&made);
    return status;
}

/* Subscribing. */

/* A type whose messages a program gets as structs. */
static msgsrv_status check_typed(const msgsrv_message_type *type, msgsrv_error *error)
{
    if (!type->nanopb)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "type is msgsrv_raw_type: NULL is what says that messages are wanted as bytes");
    if (!msi_type_look(type->nanopb).decodable)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "%s has callback fields, which nothing can be decoded into; type:FT_POINTER in its .options "
                         "file helps",
                         type->name);
    return MSGSRV_OK;
}

static msgsrv_status check_subscribe_options(msgsrv_subscribe_options *o, msgsrv_error *error)
{
    static const char owner[] = "msgsrv_subscribe_options";
    const msi_option table[] = {
        {"max_events", &o->max_events, 1024, 1, 1000000, false},
        {"max_bytes", &o->max_bytes, 8 * MSI_MIB, 4 * MSI_KIB, MSGSRV_NONE - 1, false},
        {"last", &o->last, MSI_LAST_ALL, 1, MSI_LAST_ALL, true},
    };
    msgsrv_status status = msi_options_check(table, sizeof table / sizeof *table, owner, error);
    if (status)
        return status;
    if ((unsigned)o->policy > MSGSRV_DISCONNECT)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: policy is %d, expected 0 to %d", owner, (int)o->policy,
                         (int)MSGSRV_DISCONNECT);
    if (o->pattern)
        status = msi_check_pattern(msi_view_of(o->pattern), error);
    if (status == MSGSRV_OK && o->type)
        status = msi_check_type_name(msi_view_of(o->type), error);
    if (status == MSGSRV_OK && o->group)
        status = msi_check_group(msi_view_of(o->group), error);
    if (status == MSGSRV_OK)
        status = msi_check_responder(o->responder, o->group != NULL, error);
    return status;
}

msgsrv_status msgsrv_bus_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type,
                                   const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                   void *ctx, msgsrv_handle *subscription, msgsrv_error *error)
{
    if (!bus)
        return missing("bus", error);
    if (!subscriber || !subscriber->event)
        return missing(subscriber ? "subscriber->event" : "subscriber", error);
    msgsrv_subscribe_options o;
    msgsrv_status status =
        msi_options_copy(&o, sizeof o, offsetof(msgsrv_subscribe_options, responder) + sizeof o.responder, options,
                         options ? options->size : 0, "msgsrv_subscribe_options", error);
    if (status == MSGSRV_OK && type) {
        status = check_typed(type, error);
        o.type = type->name;
    }
    if (status == MSGSRV_OK)
        status = check_subscribe_options(&o, error);
    if (status)
        return status;
    o.size = sizeof o;
    msgsrv_handle handle;
    return bus->ops->subscribe(bus, type, &o, subscriber, ctx, subscription ? subscription : &handle, error);
}

void msgsrv_bus_unsubscribe(msgsrv_bus *bus, msgsrv_handle subscription)
{
    if (bus && subscription)
        bus->ops->unsubscribe(bus, subscription);
}

/* Topics and queues. */

static msgsrv_status check_queue(const msgsrv_bus *bus, const char *queue, bool dead_letters_too, msgsrv_error *error)
{
    if (!bus || !queue)
        return missing(bus ? "queue" : "bus", error);
    return msi_check_queue_name(msi_view_of(queue), dead_letters_too, error);
}

msgsrv_status msgsrv_bus_declare_topic(msgsrv_bus *bus, const char *topic, const char *type_name,
                                       const msgsrv_proto_file *file, uint32_t retain, msgsrv_bus_done_fn done,
                                       void *ctx, msgsrv_error *error)
{
    if (!bus || !topic)
        return missing(bus ? "topic" : "bus", error);
    msgsrv_status status = msi_check_topic(msi_view_of(topic), error);
    if (status == MSGSRV_OK && type_name)
        status = msi_check_type_name(msi_view_of(type_name), error);
    if (status)
        return status;
    if (file && !type_name)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "file is given, and type_name, which is described there, is NULL");
    if (retain > RETAIN_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "retain is %u, expected 0 to %u", retain, RETAIN_MAX);
    return bus->ops->declare_topic(bus, topic, type_name, file, retain, done, ctx, error);
}

msgsrv_status msgsrv_bus_declare_queue(msgsrv_bus *bus, const char *queue, const msgsrv_queue_options *options,
                                       msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    msgsrv_queue_options o;
    msgsrv_status status = check_queue(bus, queue, true, error);
    if (status == MSGSRV_OK)
        status = msi_check_queue_options(options, &o, error);
    return status ? status : bus->ops->declare_queue(bus, queue, &o, done, ctx, error);
}

msgsrv_status msgsrv_bus_delete_queue(msgsrv_bus *bus, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                      msgsrv_error *error)
{
    msgsrv_status status = check_queue(bus, queue, false, error);
    return status ? status : bus->ops->delete_queue(bus, queue, done, ctx, error);
}

msgsrv_status msgsrv_bus_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                 const msgsrv_consume_options *options, const msgsrv_consumer *consumer, void *ctx,
                                 msgsrv_handle *handle, msgsrv_error *error)
{
    static const char owner[] = "msgsrv_consume_options";
    msgsrv_consume_options o;
    const msi_option table[] = {
        {"prefetch", &o.prefetch, 256, 1, 100000, false},
        {"nak_delay_ms", &o.nak_delay_ms, 1000, 1, MSGSRV_NONE - 1, true},
    };
    msgsrv_status status = check_queue(bus, queue, true, error);
    if (status)
        return status;
    if (!consumer || !consumer->message)
        return missing(consumer ? "consumer->message" : "consumer", error);
    status = msi_options_copy(&o, sizeof o, offsetof(msgsrv_consume_options, nak_delay_ms) + sizeof o.nak_delay_ms,
                              options, options ? options->size : 0, owner, error);
    if (status == MSGSRV_OK)
        status = msi_options_check(table, sizeof table / sizeof *table, owner, error);
    if (status == MSGSRV_OK && type)
        status = check_typed(type, error);
    if (status)
        return status;
    o.size = sizeof o;
    msgsrv_handle unnamed;
    return bus->ops->consume(bus, queue, type, &o, consumer, ctx, handle ? handle : &unnamed, error);
}

msgsrv_status msgsrv_bus_settle(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                                const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)
{
    if (!bus)
        return missing("bus", error);
    if (settlement < MSGSRV_ACK || settlement > MSGSRV_EXTEND)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "settlement is %d, expected %d to %d", (int)settlement,
                         (int)MSGSRV_ACK, (int)MSGSRV_EXTEND);
    return bus->ops->settle(bus, delivery, settlement, settlement == MSGSRV_NAK ? delay_ms : 0, reason, done, ctx, error);
}

msgsrv_status msgsrv_bus_peek(msgsrv_bus *bus, const char *queue, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                              msgsrv_error *error)
{
    msgsrv_status status = check_queue(bus, queue, true, error);
    if (status == MSGSRV_OK && !fn)
        status = missing("fn", error);
    return status ? status : bus->ops->peek(bus, queue, max ? max : 1000, fn, ctx, error);
}

msgsrv_status msgsrv_bus_retry(msgsrv_bus *bus, const char *queue, uint64_t id, uint64_t *count, msgsrv_error *error)
{
    uint64_t ignored;
    msgsrv_status status = check_queue(bus, queue, false, error);
    return status ? status : bus->ops->retry(bus, queue, id, count ? count : &ignored, error);
}

msgsrv_status msgsrv_bus_purge(msgsrv_bus *bus, const char *queue, uint64_t *count, msgsrv_error *error)
{
    uint64_t ignored;
    msgsrv_status status = check_queue(bus, queue, true, error);
    return status ? status : bus->ops->purge(bus, queue, count ? count : &ignored, error);
}

msgsrv_status msgsrv_bus_queue_info(msgsrv_bus *bus, const char *queue, msgsrv_queue_info *info, msgsrv_error *error)
{
    msgsrv_status status = check_queue(bus, queue, true, error);
    if (status == MSGSRV_OK && !info)
        status = missing("info", error);
    if (status)
        return status;
    msgsrv_queue_info filled = {0};
    status = bus->ops->queue_info(bus, queue, &filled, error);
    if (status == MSGSRV_OK) {
        *info = filled;
        info->name = queue;
    }
    return status;
}

void msgsrv_bus_get_stats(msgsrv_bus *bus, msgsrv_bus_stats *stats)
{
    if (!bus || !stats)
        return;
    msgsrv_bus_stats all = {.size = sizeof all};
    size_t size = stats->size && stats->size < sizeof all ? stats->size : sizeof all;
    bus->ops->stats(bus, &all);
    all.size = stats->size;
    memcpy(stats, &all, size);
}
