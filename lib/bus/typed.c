/* SPDX-License-Identifier: MIT */
/*
 * What is behind the typed functions of generated code: subscriptions and consumers whose typed function and context are in a closure. An event
 * goes straight to the generated function, which gets the closure; all else comes by here. The memory of both is freed as they end.
 */
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/bus.h>

#include "base/error.h"

/* The closure comes first: its address is the ctx of all functions, and the generated ones know nothing of the rest. */
typedef struct typed_subscription {
    alignas(max_align_t) unsigned char closure[MSGSRV_CLOSURE_SIZE];
    msgsrv_subscriber subscriber;
    void *ctx;
} typed_subscription;

typedef struct typed_consumer {
    alignas(max_align_t) unsigned char closure[MSGSRV_CLOSURE_SIZE];
    msgsrv_consumer consumer;
    void *ctx;
} typed_consumer;

static msgsrv_status check(const msgsrv_message_type *type, const void *functions, const void *closure, size_t size,
                           msgsrv_error *error)
{
    if (!type || !functions || !closure)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL",
                         !type        ? "the type"
                         : !functions ? "the struct of functions"
                                      : "the closure");
    if (size > MSGSRV_CLOSURE_SIZE)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the closure has %zu bytes; there is room for %d", size,
                         MSGSRV_CLOSURE_SIZE);
    return MSGSRV_OK;
}

/* Any of the program's functions may free the handle, which ends what is open: nothing is touched once it has been called. */

static void subscription_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    const typed_subscription *typed = ctx;
    typed->subscriber.gap(bus, gap, typed->ctx);
}

static void subscription_ready(msgsrv_bus *bus, void *ctx)
{
    const typed_subscription *typed = ctx;
    typed->subscriber.ready(bus, typed->ctx);
}

static void subscription_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    typed_subscription *typed = ctx;
    msgsrv_subscriber subscriber = typed->subscriber;
    void *own_ctx = typed->ctx;
    free(typed);
    if (subscriber.end)
        subscriber.end(bus, why, gap, own_ctx);
}

msgsrv_status msgsrv_bus_subscribe_typed(msgsrv_bus *bus, const msgsrv_message_type *type,
                                         const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                         void *ctx, const void *closure, size_t closure_size,
                                         msgsrv_handle *subscription, msgsrv_error *error)
{
    msgsrv_status status = check(type, subscriber, closure, closure_size, error);
    if (status != MSGSRV_OK)
        return status;
    typed_subscription *typed = malloc(sizeof *typed);
    if (!typed)
        return msi_error_memory(error);
    memcpy(typed->closure, closure, closure_size);
    typed->subscriber = *subscriber;
    typed->ctx = ctx;
    const msgsrv_subscriber inner = {.event = subscriber->event,
                                     .gap = subscriber->gap ? subscription_gap : NULL,
                                     .ready = subscriber->ready ? subscription_ready : NULL,
                                     .end = subscription_end};
    status = msgsrv_bus_subscribe(bus, type, options, &inner, typed, subscription, error);
    if (status != MSGSRV_OK)
        free(typed);
    return status;
}

static void consumer_ready(msgsrv_bus *bus, void *ctx)
{
    const typed_consumer *typed = ctx;
    typed->consumer.ready(bus, typed->ctx);
}

static void consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    typed_consumer *typed = ctx;
    msgsrv_consumer consumer = typed->consumer;
    void *own_ctx = typed->ctx;
    free(typed);
    if (consumer.end)
        consumer.end(bus, why, own_ctx);
}

msgsrv_status msgsrv_bus_consume_typed(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                       const msgsrv_consume_options *options, const msgsrv_consumer *consumer,
                                       void *ctx, const void *closure, size_t closure_size, msgsrv_handle *handle,
                                       msgsrv_error *error)
{
    msgsrv_status status = check(type, consumer, closure, closure_size, error);
    if (status != MSGSRV_OK)
        return status;
    typed_consumer *typed = malloc(sizeof *typed);
    if (!typed)
        return msi_error_memory(error);
    memcpy(typed->closure, closure, closure_size);
    typed->consumer = *consumer;
    typed->ctx = ctx;
    const msgsrv_consumer inner = {
        .message = consumer->message, .ready = consumer->ready ? consumer_ready : NULL, .end = consumer_end};
    status = msgsrv_bus_consume(bus, queue, type, options, &inner, typed, handle, error);
    if (status != MSGSRV_OK)
        free(typed);
    return status;
}

/* A struct is copied by way of its encoding: what it points to is shared. */
static msgsrv_status copy_message(const msgsrv_event *event, const msgsrv_message_type *type, void *message,
                                  msgsrv_error *error)
{
    void *data;
    size_t size;
    msgsrv_status status = msgsrv_message_encode(type, event->message, &data, &size, error);
    if (status != MSGSRV_OK)
        return status;
    status = msgsrv_message_decode(type, data, size, message, error);
    free(data);
    return status;
}

msgsrv_status msgsrv_event_decode(const msgsrv_event *event, const msgsrv_message_type *type, void *message,
                                  msgsrv_error *error)
{
    if (!event || !type || !message)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL",
                         !event  ? "the event"
                         : !type ? "the type"
                                 : "the message");
    if (!event->type || strcmp(event->type, type->name) != 0)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the event is a %s, not a %s",
                         event->type ? event->type : "message without a type", type->name);
    if (event->message)
        return copy_message(event, type, message, error);
    return msgsrv_message_decode(type, event->payload, event->payload_size, message, error);
}
