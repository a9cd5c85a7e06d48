/* SPDX-License-Identifier: MIT */
/*
 * What is generated for a message's way over the event bus: inline wrappers of include/msgsrv/bus.h, and for subscriptions and consumers one
 * function each that gives the message its type back.
 */
#include "emit.h"

/* The templates look like what they make. */
/* clang-format off */

static const char publish_text[] =
    "\n"
    "/** Publishes a $full$, which is borrowed, and waits until the bus has accepted it. As msgsrv_bus_publish(). */\n"
    "static inline msgsrv_status $message$_publish(\n"
    "    msgsrv_bus *bus, const char *topic, const $message$ *message, const msgsrv_publish_options *options,\n"
    "    msgsrv_receipt *receipt, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_bus_publish(bus, topic, &$message$_type, message, options, receipt, error);\n"
    "}\n"
    "\n"
    "/** Publishes without waiting; `done` may be NULL. As msgsrv_bus_publish_async(). */\n"
    "static inline msgsrv_status $message$_publish_async(\n"
    "    msgsrv_bus *bus, const char *topic, const $message$ *message, const msgsrv_publish_options *options,\n"
    "    msgsrv_published_fn done, void *ctx, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_bus_publish_async(bus, topic, &$message$_type, message, options, done, ctx, error);\n"
    "}\n"
    "\n"
    "/** Binds a topic to $full$ and retains its last events; `done` may be NULL. As msgsrv_bus_declare_topic(). */\n"
    "static inline msgsrv_status $message$_declare(\n"
    "    msgsrv_bus *bus, const char *topic, uint32_t retain, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_bus_declare_topic(bus, topic, $message$_type.name, $message$_type.file, retain,\n"
    "                                    done, ctx, error);\n"
    "}\n";

static const char subscribe_text[] =
    "\n"
    "/** What a subscription to $full$ is told, on the loop's thread; each may be NULL but `event`. */\n"
    "typedef struct $message$_subscriber {\n"
    "    /** An event. The message is shared: not to be changed, released or kept. */\n"
    "    void (*event)(msgsrv_bus *bus, const $message$ *message, const msgsrv_event *event, void *ctx);\n"
    "    /** Events are missing here. */\n"
    "    void (*gap)(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx);\n"
    "    /** The bus knows the subscription; again after each reconnection. */\n"
    "    void (*ready)(msgsrv_bus *bus, void *ctx);\n"
    "    /** It has ended, as `why` says: exactly once, and the last one. `gap` may be NULL. */\n"
    "    void (*end)(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx);\n"
    "} $message$_subscriber;\n"
    "\n"
    "/** What a subscription to $full$ remembers; the library copies it. */\n"
    "typedef struct $message$_subscriber_closure {\n"
    "    void (*event)(msgsrv_bus *bus, const $message$ *message, const msgsrv_event *event, void *ctx);\n"
    "    void *ctx;\n"
    "} $message$_subscriber_closure;\n"
    "\n"
    "/** For the library: tells an event to a closure's function. */\n"
    "void $message$_subscriber_event(msgsrv_bus *bus, const msgsrv_event *event, void *closure);\n"
    "\n"
    "/** Subscribes to events that are a $full$. The struct of functions is copied. As msgsrv_bus_subscribe(). */\n"
    "static inline msgsrv_status $message$_subscribe(\n"
    "    msgsrv_bus *bus, const msgsrv_subscribe_options *options, const $message$_subscriber *subscriber,\n"
    "    void *ctx, msgsrv_handle *handle, msgsrv_error *error)\n"
    "{\n"
    "    $message$_subscriber_closure closure;\n"
    "    msgsrv_subscriber untyped;\n"
    "\n"
    "    if (subscriber == NULL)\n"
    "        return msgsrv_bus_subscribe_typed(bus, &$message$_type, options, NULL, ctx,\n"
    "                                          NULL, 0, handle, error);\n"
    "    closure.event = subscriber->event;\n"
    "    closure.ctx = ctx;\n"
    "    untyped.event = subscriber->event ? $message$_subscriber_event : NULL;\n"
    "    untyped.gap = subscriber->gap;\n"
    "    untyped.ready = subscriber->ready;\n"
    "    untyped.end = subscriber->end;\n"
    "    return msgsrv_bus_subscribe_typed(bus, &$message$_type, options, &untyped, ctx,\n"
    "                                      &closure, sizeof closure, handle, error);\n"
    "}\n";

static const char consume_text[] =
    "\n"
    "/** What a consumer of $full$ is told, on the loop's thread; each may be NULL but `message`. */\n"
    "typedef struct $message$_consumer {\n"
    "    /**\n"
    "     * A message, which is shared: not to be changed, released or kept. What is returned settles the delivery, as\n"
    "     * msgsrv_consumer says: MSGSRV_OK acks it, MSGSRV_DEFERRED leaves it to msgsrv_bus_settle().\n"
    "     */\n"
    "    msgsrv_status (*message)(\n"
    "        msgsrv_bus *bus, const $message$ *message, const msgsrv_delivery *delivery, void *ctx);\n"
    "    /** The bus knows the consumer; again after each reconnection. */\n"
    "    void (*ready)(msgsrv_bus *bus, void *ctx);\n"
    "    /** It has ended, as `why` says: exactly once, and the last one. */\n"
    "    void (*end)(msgsrv_bus *bus, const msgsrv_error *why, void *ctx);\n"
    "} $message$_consumer;\n"
    "\n"
    "/** What a consumer of $full$ remembers; the library copies it. */\n"
    "typedef struct $message$_consumer_closure {\n"
    "    msgsrv_status (*message)(\n"
    "        msgsrv_bus *bus, const $message$ *message, const msgsrv_delivery *delivery, void *ctx);\n"
    "    void *ctx;\n"
    "} $message$_consumer_closure;\n"
    "\n"
    "/** For the library: hands a delivery to a closure's function. */\n"
    "msgsrv_status $message$_consumer_message(\n"
    "    msgsrv_bus *bus, const msgsrv_delivery *delivery, void *closure);\n"
    "\n"
    "/** Consumes from a queue of $full$; others are rejected. The struct of functions is copied. As msgsrv_bus_consume(). */\n"
    "static inline msgsrv_status $message$_consume(\n"
    "    msgsrv_bus *bus, const char *queue, const msgsrv_consume_options *options,\n"
    "    const $message$_consumer *consumer, void *ctx, msgsrv_handle *handle, msgsrv_error *error)\n"
    "{\n"
    "    $message$_consumer_closure closure;\n"
    "    msgsrv_consumer untyped;\n"
    "\n"
    "    if (consumer == NULL)\n"
    "        return msgsrv_bus_consume_typed(bus, queue, &$message$_type, options, NULL, ctx,\n"
    "                                        NULL, 0, handle, error);\n"
    "    closure.message = consumer->message;\n"
    "    closure.ctx = ctx;\n"
    "    untyped.message = consumer->message ? $message$_consumer_message : NULL;\n"
    "    untyped.ready = consumer->ready;\n"
    "    untyped.end = consumer->end;\n"
    "    return msgsrv_bus_consume_typed(bus, queue, &$message$_type, options, &untyped, ctx,\n"
    "                                    &closure, sizeof closure, handle, error);\n"
    "}\n";

static const char request_text[] =
    "\n"
    "/** Asks with a $full$ whoever answers on the topic; `done` gets the reply, once. As msgsrv_bus_request(). */\n"
    "static inline msgsrv_status $message$_request(\n"
    "    msgsrv_bus *bus, const char *topic, const $message$ *message, const msgsrv_publish_options *options,\n"
    "    uint32_t timeout_ms, msgsrv_replied_fn done, void *ctx, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_bus_request(bus, topic, &$message$_type, message, options, timeout_ms, done, ctx, error);\n"
    "}\n"
    "\n"
    "/** Answers a request, msgsrv_event::request, with a $full$; `done` may be NULL. As msgsrv_bus_reply(). */\n"
    "static inline msgsrv_status $message$_reply(\n"
    "    msgsrv_bus *bus, uint64_t request, const $message$ *message, msgsrv_bus_done_fn done, void *ctx,\n"
    "    msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_bus_reply(bus, request, &$message$_type, message, NULL, done, ctx, error);\n"
    "}\n"
    "\n"
    "/**\n"
    " * The $full$ of an event that must be one. On MSGSRV_OK it is the caller's, to be released with\n"
    " * $message$_release(); otherwise it is untouched. As msgsrv_event_decode().\n"
    " */\n"
    "static inline msgsrv_status $message$_from_event(\n"
    "    const msgsrv_event *event, $message$ *message, msgsrv_error *error)\n"
    "{\n"
    "    return msgsrv_event_decode(event, &$message$_type, message, error);\n"
    "}\n";

static const char source_text[] =
    "\n"
    "void $message$_subscriber_event(msgsrv_bus *bus, const msgsrv_event *event, void *closure)\n"
    "{\n"
    "    const $message$_subscriber_closure *typed = (const $message$_subscriber_closure *)closure;\n"
    "\n"
    "    typed->event(bus, (const $message$ *)event->message, event, typed->ctx);\n"
    "}\n"
    "\n"
    "msgsrv_status $message$_consumer_message(\n"
    "    msgsrv_bus *bus, const msgsrv_delivery *delivery, void *closure)\n"
    "{\n"
    "    const $message$_consumer_closure *typed = (const $message$_consumer_closure *)closure;\n"
    "\n"
    "    return typed->message(bus, (const $message$ *)delivery->event->message, delivery, typed->ctx);\n"
    "}\n";

/* clang-format on */

void msi_emit_bus_functions(msi_buffer *out, const msi_value *values)
{
    msi_template(out, values, publish_text);
    msi_template(out, values, subscribe_text);
    msi_template(out, values, consume_text);
    msi_template(out, values, request_text);
}

void msi_emit_bus_source(msi_buffer *out, const msi_value *values)
{
    msi_template(out, values, source_text);
}
