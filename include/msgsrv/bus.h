/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The event bus: programs that know nothing of each other exchange typed events. docs/bus.md tells what it guarantees.
 *
 * A publisher names a **topic**; a subscriber names a **pattern** of topics, a message **type**, or both. A **queue** keeps messages until a
 * consumer has dealt with each. Nothing is lost in silence: whatever a subscription does not get is told to it as a #msgsrv_gap, at the
 * place where it is missing.
 *
 * A #msgsrv_bus is one program's end of a bus. Where the bus itself is, its URL says:
 *
 * - `mem:` in this process, for this handle alone; no server, no socket, no thread. `mem:NAME`: all handles of that name in this
 *   process share one bus, each with its own loop.
 * - `tcp://host:port`, `unix:///path`, `unix:@name`: in a msgsrv-server, or in any program that called msgsrv_bus_serve().
 *
 * Programs publish and subscribe through the typed functions that protoc-gen-msgsrv generates for each message, `package_Message_publish()`,
 * `package_Message_subscribe()` and so on; here is what they have in common, and the untyped forms.
 *
 * **Loops and threads.** A handle has one of three kinds of loop, as a client has (client.h): a private one that msgsrv_bus_poll() drives,
 * a thread of its own (options.thread), or the caller's `event_base` (options.base). All callbacks run on that loop's thread, and never
 * inside the function that caused them; freeing is the one exception. Publishing to a `mem:` bus is for any thread, always; all other
 * functions are for the threads on which a client of that kind may be called. Functions with a `done` callback are asynchronous with it,
 * and synchronous without: they wait for the answer, which for a remote bus is #MSGSRV_FAILED_PRECONDITION on the caller's base and
 * inside callbacks, instead of a hang. On a private loop they drive it meanwhile, so other callbacks may run inside of them. A `mem:` bus never
 * waits for anything.
 *
 * Subscribing, unsubscribing, publishing, settling and freeing inside any callback are allowed.
 */
#ifndef MSGSRV_BUS_H
#define MSGSRV_BUS_H

#include <msgsrv/service.h>

/** One program's end of a bus. Opaque. */
typedef struct msgsrv_bus msgsrv_bus;

/** What is done when a subscription's queue is full. */
typedef enum msgsrv_bus_policy {
    MSGSRV_DROP_OLDEST = 0, /**< The oldest waiting event goes; a gap at the head of the queue tells it. The default. */
    MSGSRV_DROP_NEWEST = 1, /**< The new event goes; a gap at the tail tells it. */
    MSGSRV_LATEST =
        2, /**< The last waiting event of the same topic is replaced; msgsrv_event::replaced says how many were. Without
                            one, as #MSGSRV_DROP_OLDEST. */
    MSGSRV_DISCONNECT = 3 /**< The subscription ends with #MSGSRV_RESOURCE_EXHAUSTED and the gap. */
} msgsrv_bus_policy;

/** Why a subscription did not get events. */
typedef enum msgsrv_gap_reason {
    MSGSRV_GAP_SLOW = 1,         /**< Its queue was full. */
    MSGSRV_GAP_DISCONNECTED = 2, /**< They came while it had no connection. */
    MSGSRV_GAP_RESTARTED = 3,    /**< The bus began anew: what it had published meanwhile cannot be told. */
    MSGSRV_GAP_ENGINE = 4,       /**< The engine lost or forgot them: without memory for them, for one. */
    MSGSRV_GAP_UNDECODABLE = 5   /**< Told here, at a typed subscription's end: they are not messages of its type. */
} msgsrv_gap_reason;

/** What a gap knows of one topic. */
typedef struct msgsrv_gap_topic {
    const char *topic; /**< Its name. */
    uint64_t first;    /**< The sequence of the first event that is missing; 0 when it is not known. */
    uint64_t last;     /**< And of the last one. */
    uint64_t count; /**< How many are; 0 when it is not known. Between first and last there may be some that the subscription got. */
} msgsrv_gap_topic;

/** Topics that a gap tells one by one. */
#define MSGSRV_GAP_TOPICS 32

/** Events that a subscription did not get. Holes in sequences are not losses; only a gap is. Valid during the callback. */
typedef struct msgsrv_gap {
    uint64_t total;                 /**< Events, those that can be counted. */
    bool unknown;                   /**< There are, or may be, more that cannot. */
    msgsrv_gap_reason reason;       /**< Why. */
    const msgsrv_gap_topic *topics; /**< At most #MSGSRV_GAP_TOPICS; those beyond count in `total` alone. */
    size_t topic_count;             /**< How many. */
} msgsrv_gap;

/** An event, as a subscriber or consumer gets it. Valid during the callback. */
typedef struct msgsrv_event {
    const char *topic;     /**< "sensors.kitchen.temperature" */
    const char *type;      /**< "package.Message" */
    const void *payload;   /**< Its encoding; NULL for a typed subscription or consumer, which gets `message`. */
    size_t payload_size;   /**< In bytes. */
    const void *message;   /**< The struct, for a typed one; else NULL. Shared: not to be changed or released. */
    uint64_t sequence;     /**< Of the topic, from 1. */
    uint64_t epoch;        /**< Sequences are comparable within one. */
    uint64_t time_us;      /**< When the bus accepted it: microseconds since 1970. */
    const char *publisher; /**< Its name, as msgsrv_bus_options::name; "" when it gave none. */
    const msgsrv_metadata *headers; /**< The publisher's; NULL when there are none. */
    size_t header_count;            /**< How many. */
    uint64_t replaced; /**< Policy #MSGSRV_LATEST: how many events of the topic it stands for besides itself. */
    bool retained;     /**< It was there before the subscription. */
    bool redelivered;  /**< Groups and queues: another, or this one, may have had it before. */
    uint64_t request;  /**< A request: to be answered with msgsrv_bus_reply(); else 0. */
} msgsrv_event;

/** What the bus says of a published event. */
typedef struct msgsrv_receipt {
    uint64_t sequence; /**< Of the topic. Of a duplicate: the first one's. */
    uint64_t epoch;    /**< See msgsrv_event::epoch. */
    bool duplicate;    /**< The bus had its msgsrv_publish_options::id already, and did nothing. */
} msgsrv_receipt;

/** Options of a handle; zero is the default, and a bad value is named. */
typedef struct msgsrv_bus_options {
    size_t size; /**< sizeof(msgsrv_bus_options), or 0 for its size in 1.0. It grows only at the end. */

    struct event_base *base; /**< The caller's loop. Must outlive the handle. Not together with `thread`. */
    bool thread;             /**< A thread of the handle's own. */
    const char *name; /**< Who publishes and subscribes, for people who look; at most 63 bytes of printable ASCII; copied. */

    uint32_t timeout_ms; /**< Remote: for publishing and for all that is declared, asked and settled; default 30,000, from 1. */
    uint32_t max_unanswered; /**< Remote: events that msgsrv_bus_publish_async() may have under way; default 10,000, from 1. */
    void (*on_writable)(msgsrv_bus *bus,
                        void *ctx); /**< After msgsrv_bus_publish_async() said #MSGSRV_AGAIN: once, when it may go on. */
    void *ctx;                      /**< Its argument. */

    msgsrv_log_fn log; /**< Takes the log; default none. Of a bus that handles share: that of the oldest one that has one. */
    void *log_ctx;              /**< Its context; must outlive the handle. */
    msgsrv_log_level log_level; /**< Default #MSGSRV_LOG_WARNING. */

    /* `mem:`; for `mem:NAME` those of the handle that opened it first hold. */
    uint32_t max_topics;         /**< Default 100,000, from 1. */
    uint32_t max_subscriptions;  /**< Default 100,000, from 1. Consumers count too. */
    uint32_t max_queues;         /**< Default 1,000, from 1; dead-letter queues do not count. */
    uint32_t max_types;          /**< Message types with a descriptor; default 10,000, from 1. */
    uint32_t max_requests;       /**< Requests without an answer; default 10,000, from 1. */
    uint32_t max_match_nodes;    /**< Nodes of the pattern tree that one publish may visit; default 4,096, from 64. */
    uint64_t max_retained_bytes; /**< Of all topics; default 256 MiB, from 1. */
    uint32_t topic_idle_ms; /**< A topic without publisher, subscriber, declaration and retained event is forgotten; default 60,000. */
    uint32_t max_event; /**< Bytes of one payload; default 4 MiB less 64 KiB, 1 to 63 MiB. */
} msgsrv_bus_options;

/** Options of one publication. `{0}` and NULL are all defaults. */
typedef struct msgsrv_publish_options {
    size_t size; /**< sizeof(msgsrv_publish_options), or 0 for its size in 1.0. It grows only at the end. */

    const char *type;               /**< For #msgsrv_raw_type: the message's full name. Else ignored. */
    const msgsrv_metadata *headers; /**< Copied; keys as for metadata, 8 KiB in all. */
    size_t header_count;            /**< How many. */

    /* For the queues that take it; without a queue they do nothing. */
    const char *id;  /**< Recognises a second publication: at most 128 bytes; the topic's queues keep it for a while. */
    uint32_t ttl_ms; /**< It expires after this; default the queue's own. */
    uint32_t delay_ms; /**< It is not delivered before. */
} msgsrv_publish_options;

/** Options of a subscription. */
typedef struct msgsrv_subscribe_options {
    size_t size; /**< sizeof(msgsrv_subscribe_options), or 0 for its size in 1.0. It grows only at the end. */

    const char *pattern; /**< "sensors.*.temperature", "logs.>"; default all topics but the library's own. */
    const char *type;    /**< Of an untyped subscription: this type alone; default any. */
    const char *group; /**< Shares the events with the other members; 1 to 64 bytes of `[A-Za-z0-9_.-]`; default none. */
    msgsrv_bus_policy policy; /**< When its queue is full. In a group, the queue is the group's, and its first member's options hold. */
    uint32_t max_events; /**< That may wait; default 1,024, 1 to 1,000,000. */
    uint32_t max_bytes;  /**< The same in bytes of payload and overhead; default 8 MiB, from 4 KiB. */
    uint32_t last; /**< Retained events of each topic that it gets first; default all that there are, or NONE. Groups get none. */
    bool responder; /**< It answers requests: it gets those, and no other events. */
} msgsrv_subscribe_options;

/** What a subscription is told; each is optional but `event`. On the loop's thread. */
typedef struct msgsrv_subscriber {
    void (*event)(msgsrv_bus *bus, const msgsrv_event *event, void *ctx); /**< An event. */
    void (*gap)(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx);       /**< Events are missing here. */
    /** The bus knows the subscription: from now on nothing passes it. Again after each reconnection. */
    void (*ready)(msgsrv_bus *bus, void *ctx);
    /**
     * The last, exactly once: it has ended. #MSGSRV_CANCELLED after msgsrv_bus_unsubscribe() and msgsrv_bus_free(), else why the bus
     * ended or refused it. `gap`, for #MSGSRV_DISCONNECT, or NULL.
     */
    void (*end)(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx);
} msgsrv_subscriber;

/** What to do with a delivery. */
typedef enum msgsrv_settlement {
    MSGSRV_ACK = 1,    /**< Dealt with: it goes. Once confirmed, it never comes again. */
    MSGSRV_NAK = 2,    /**< Again, after a delay. */
    MSGSRV_REJECT = 3, /**< Not again: to the dead-letter queue. */
    MSGSRV_EXTEND = 4  /**< More time: its ack-wait begins anew. */
} msgsrv_settlement;

/** A message from a queue. Valid during the callback. */
typedef struct msgsrv_delivery {
    const msgsrv_event *event; /**< Never NULL. */
    uint64_t id;               /**< Of this delivery, for msgsrv_bus_settle(). */
    uint32_t count;            /**< How often the message has been delivered, this time included. */
    const char *queue;         /**< Its name. */
} msgsrv_delivery;

/** What a consumer is told. On the loop's thread. */
typedef struct msgsrv_consumer {
    /**
     * A message. What it returns settles it: #MSGSRV_OK acks, #MSGSRV_DEFERRED leaves it to msgsrv_bus_settle(), #MSGSRV_INVALID_ARGUMENT
     * and #MSGSRV_UNIMPLEMENTED reject it, any other code naks it with the consumer's `nak_delay_ms`.
     */
    msgsrv_status (*message)(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx);
    void (*ready)(msgsrv_bus *bus, void *ctx); /**< The bus knows the consumer. Again after each reconnection. Optional. */
    /** The last, exactly once; as msgsrv_subscriber::end. Optional. */
    void (*end)(msgsrv_bus *bus, const msgsrv_error *why, void *ctx);
} msgsrv_consumer;

/** Options of a consumer. */
typedef struct msgsrv_consume_options {
    size_t size;           /**< sizeof(msgsrv_consume_options), or 0 for its size in 1.0. It grows only at the end. */
    uint32_t prefetch;     /**< Deliveries that are not settled; default 256, 1 to 100,000. */
    uint32_t nak_delay_ms; /**< Of naks that a returned code stands for; default 1,000; NONE: none. */
} msgsrv_consume_options;

/** What a full queue does with one more message. */
typedef enum msgsrv_queue_full {
    MSGSRV_QUEUE_REFUSE =
        0, /**< The publication is refused, #MSGSRV_RESOURCE_EXHAUSTED, and nothing of it is accepted anywhere. */
    MSGSRV_QUEUE_DROP_OLDEST = 1 /**< Its oldest message goes to the dead-letter queue. */
} msgsrv_queue_full;

/** Options of a queue. */
typedef struct msgsrv_queue_options {
    size_t size; /**< sizeof(msgsrv_queue_options), or 0 for its size in 1.0. It grows only at the end. */

    const char *const *patterns; /**< The topics it takes; NULL with types: all but the library's own. */
    size_t pattern_count;        /**< How many; at most 64. */
    const char *const *types;    /**< The types it takes; NULL: any. */
    size_t type_count;           /**< How many; at most 64. */
    uint32_t max_messages;       /**< Default 10,000, 1 to 10,000,000. */
    uint64_t max_bytes;          /**< Of payloads and overhead; default 64 MiB, from 4 KiB. */
    msgsrv_queue_full full;      /**< Over either. */
    uint32_t ack_wait_ms; /**< A delivery that is not settled in this time comes again; default 30,000, from 1. */
    uint32_t max_deliver; /**< After so many deliveries it goes to the dead-letter queue; default 5, from 1, or NONE. */
    uint32_t ttl_ms;      /**< Of messages without one of their own; default none. */
    bool no_dead_letters; /**< What would go to the dead-letter queue is dropped, counted and logged instead. */
    uint32_t max_dead_letters; /**< Of the dead-letter queue, which drops its oldest; default 10,000, from 1. */
    uint32_t dedup_ms;         /**< For how long an id is recognised; default 120,000, or NONE. */
    uint32_t dedup_ids;        /**< And how many of the last ones; default 100,000, from 1. */
} msgsrv_queue_options;

/** What a queue holds and has done. */
typedef struct msgsrv_queue_info {
    const char *name;
    uint64_t messages;    /**< That it holds, those with consumers included. */
    uint64_t bytes;       /**< Their size. */
    uint64_t unsettled;   /**< Of them, with a consumer. */
    uint64_t delayed;     /**< Of them, waiting for their time. */
    uint64_t dead;        /**< In its dead-letter queue. */
    uint32_t consumers;   /**< Now. */
    uint64_t published;   /**< Ever taken in. */
    uint64_t delivered;   /**< Deliveries, repeated ones included. */
    uint64_t redelivered; /**< Of them, repeated ones. */
    uint64_t acked;
    uint64_t rejected;
    uint64_t expired;
    uint64_t refused;       /**< Publications, because it was full. */
    uint64_t dropped;       /**< Gone without a dead-letter queue, or out of it. */
    uint64_t duplicates;    /**< Recognised. */
    uint64_t dedup_evicted; /**< Ids forgotten before their time because there were too many. */
} msgsrv_queue_info;

/** One message of a queue, as msgsrv_bus_peek() shows it. */
typedef struct msgsrv_queued {
    const msgsrv_event *event; /**< With `payload`. */
    uint64_t id;               /**< Of the message within its queue; for msgsrv_bus_retry(). */
    uint32_t count;            /**< Deliveries so far; of a dead letter, those in its queue. */
    bool unsettled;            /**< It is with a consumer. */
    uint64_t not_before_us;    /**< Microseconds since 1970; 0: now. */
    uint64_t expires_us;       /**< The same; 0: never. */
    const char *reason;        /**< Of a dead letter: "rejected", "max-deliver", "expired", "full"; else "". */
    const char *first_error;   /**< What was said when it was first nak'ed or rejected; else "". */
    const char *last_error;    /**< And last. */
    uint64_t died_us;          /**< Of a dead letter: when. */
    uint32_t deaths;           /**< How often it has been one. */
} msgsrv_queued;

/** What a bus counts; of a remote one, what this handle does. */
typedef struct msgsrv_bus_stats {
    size_t size;             /**< sizeof(msgsrv_bus_stats), set by the caller. */
    uint64_t published;      /**< Events accepted. */
    uint64_t refused;        /**< Publications that were not. */
    uint64_t delivered;      /**< Handed to subscriptions. */
    uint64_t lost;           /**< Told as gaps, or gone with a group's last member. */
    uint64_t unmatched;      /**< Accepted, and nobody there: no subscription, queue or retention. */
    uint64_t topics;         /**< Now. */
    uint64_t subscriptions;  /**< Now. */
    uint64_t queues;         /**< Now, without dead-letter queues. */
    uint64_t consumers;      /**< Now. */
    uint64_t retained_bytes; /**< Now. */
    uint64_t waiting_events; /**< Now, in subscriptions' queues. */
    uint64_t waiting_bytes;  /**< The same. */
    uint64_t requests;       /**< Now, without an answer. */
} msgsrv_bus_stats;

/** Ends an asynchronous operation, exactly once. `error` is never NULL; its code is `status`. */
typedef void (*msgsrv_bus_done_fn)(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx);

/** Ends an asynchronous publication, exactly once. `receipt` is valid for #MSGSRV_OK, else NULL. */
typedef void (*msgsrv_published_fn)(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                                    const msgsrv_error *error, void *ctx);

/** Ends a request, exactly once. `reply`, for #MSGSRV_OK: topic "", type and payload; else NULL. */
typedef void (*msgsrv_replied_fn)(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply,
                                  const msgsrv_error *error, void *ctx);

/** Shows one message of a queue; returns whether to go on. */
typedef bool (*msgsrv_queued_fn)(const msgsrv_queued *message, void *ctx);

MSGSRV_BEGIN_DECLS

/**
 * Opens a handle. A remote one connects when it is first used, and again by itself.
 *
 * @param url  see above; borrowed
 * @param options  borrowed and copied; NULL for all defaults
 * @param[out] bus  the caller's, to be freed with msgsrv_bus_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a bad URL or option; #MSGSRV_UNIMPLEMENTED for an engine that this build has not;
 *         #MSGSRV_RESOURCE_EXHAUSTED without memory, threads or descriptors
 */
MSGSRV_API msgsrv_status msgsrv_bus_open(const char *url, const msgsrv_bus_options *options, msgsrv_bus **bus,
                                         msgsrv_error *error);

/**
 * Frees a handle: its subscriptions and consumers end #MSGSRV_CANCELLED, what is under way ends the same, all before it returns.
 * Deliveries that are not settled go to others. On the threads of msgsrv_client_free(); in callbacks too. Not while another thread
 * publishes on it.
 *
 * @param bus  may be NULL
 */
MSGSRV_API void msgsrv_bus_free(msgsrv_bus *bus);

/**
 * Drives a private loop in the calling thread: until something was told or the time is over. As msgsrv_client_poll().
 *
 * @param timeout_ms  0: only what is ready now; #MSGSRV_NONE: as long as it takes
 * @return #MSGSRV_OK when something was told; #MSGSRV_AGAIN when the time passed; #MSGSRV_FAILED_PRECONDITION for another kind of loop, inside
 *         a callback, or while another thread drives it
 */
MSGSRV_API msgsrv_status msgsrv_bus_poll(msgsrv_bus *bus, uint32_t timeout_ms, msgsrv_error *error);

/**
 * Serves a bus as msgsrv.bus.v1.Bus (proto/msgsrv/bus.proto), to every protocol of a server. Before the server's start.
 *
 * @param bus  a `mem:` one; may be freed before the server: the bus goes on for it
 * @param server  not started yet
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_INVALID_ARGUMENT for a remote bus; as msgsrv_server_register()
 */
MSGSRV_API msgsrv_status msgsrv_bus_serve(msgsrv_bus *bus, msgsrv_server *server, msgsrv_error *error);

/**
 * Publishes an event and waits until the bus has accepted it. Behind the generated `_publish`.
 *
 * @param topic  1 to 16 tokens of `[A-Za-z0-9_-]` joined by `.`, 255 bytes; not one that begins with `$`; copied
 * @param type  of the message; or #msgsrv_raw_type, whose message is a #msgsrv_bytes, with options.type
 * @param message  borrowed
 * @param options  optional; borrowed
 * @param[out] receipt  optional; filled on #MSGSRV_OK
 * @param[out] error  optional; names what was wrong
 * @return #MSGSRV_OK: accepted by all queues that match and handed to all subscriptions; #MSGSRV_INVALID_ARGUMENT for a bad topic, type,
 *         header or payload; #MSGSRV_FAILED_PRECONDITION when the topic is bound to another type (both are named), or where it would
 *         have to wait and may not; #MSGSRV_RESOURCE_EXHAUSTED over a limit, which is named, as is a queue that is full; or what became
 *         of a remote bus's call: then it may have been accepted. On failure nothing else has happened.
 */
MSGSRV_API msgsrv_status msgsrv_bus_publish(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                            const void *message, const msgsrv_publish_options *options,
                                            msgsrv_receipt *receipt, msgsrv_error *error);

/**
 * Publishes without waiting. A `mem:` bus has done it when the function returns. Events of one thread keep their order.
 *
 * @param done  optional. Without it, and remote, a refusal is logged and counted in msgsrv_bus_stats::refused alone
 * @param[out] error  optional
 * @return #MSGSRV_OK: under way, `done` follows; #MSGSRV_AGAIN: max_unanswered are, nothing was kept, and on_writable follows; else as
 *         msgsrv_bus_publish(), and `done` is not called
 */
MSGSRV_API msgsrv_status msgsrv_bus_publish_async(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                                  const void *message, const msgsrv_publish_options *options,
                                                  msgsrv_published_fn done, void *ctx, msgsrv_error *error);

/**
 * Subscribes. Behind the generated `_subscribe`. A remote bus is asked later: a refusal ends the subscription.
 *
 * @param type  of the messages wanted: `event` gets them as structs, and options.type is not looked at; NULL for an untyped subscription
 * @param options  optional; borrowed
 * @param subscriber  copied; `event` is required
 * @param ctx  passed to its functions; must live until `end`
 * @param[out] subscription  optional: names it for msgsrv_bus_unsubscribe(); never 0
 * @param[out] error  optional
 * @return #MSGSRV_OK: `end` follows exactly once, some day. Else nothing is called: #MSGSRV_INVALID_ARGUMENT for a bad pattern, type, group or
 *         option; #MSGSRV_FAILED_PRECONDITION for an exact topic that is bound to another type (both are named);
 *         #MSGSRV_RESOURCE_EXHAUSTED over a limit, of the pattern tree for one, or without memory
 */
MSGSRV_API msgsrv_status msgsrv_bus_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type,
                                              const msgsrv_subscribe_options *options,
                                              const msgsrv_subscriber *subscriber, void *ctx,
                                              msgsrv_handle *subscription, msgsrv_error *error);

/**
 * Subscribes for typed code, whose function and context travel in a closure. Behind the generated `_subscribe`.
 *
 * @param type  required
 * @param subscriber  copied; `event` is called with the library's copy of the closure as its ctx, the others with `ctx`
 * @param ctx  must live until `end`
 * @param closure  copied, to where any type may be; the copy lives until `end` is called
 * @param closure_size  at most #MSGSRV_CLOSURE_SIZE
 * @return as msgsrv_bus_subscribe(), as are the other parameters
 */
MSGSRV_API msgsrv_status msgsrv_bus_subscribe_typed(msgsrv_bus *bus, const msgsrv_message_type *type,
                                                    const msgsrv_subscribe_options *options,
                                                    const msgsrv_subscriber *subscriber, void *ctx, const void *closure,
                                                    size_t closure_size, msgsrv_handle *subscription,
                                                    msgsrv_error *error);

/**
 * Ends a subscription or a consumer: no event comes any more; `end` comes, once, not inside this function.
 *
 * @param subscription  one that is over, or 0, is ignored
 */
MSGSRV_API void msgsrv_bus_unsubscribe(msgsrv_bus *bus, msgsrv_handle subscription);

/**
 * Asks whoever answers requests on a topic. One responder gets it, the least loaded.
 *
 * @param type, message, options  as for msgsrv_bus_publish(); of the options, headers and type
 * @param timeout_ms  0: msgsrv_bus_options::timeout_ms
 * @param done  required; called once: #MSGSRV_OK with the reply; #MSGSRV_UNAVAILABLE at once when nobody answers there, or when the one that
 *              was chosen went away; #MSGSRV_DEADLINE_EXCEEDED; or as msgsrv_bus_publish()
 * @param[out] error  optional
 * @return #MSGSRV_OK: `done` follows. Else as msgsrv_bus_publish_async()
 */
MSGSRV_API msgsrv_status msgsrv_bus_request(msgsrv_bus *bus, const char *topic, const msgsrv_message_type *type,
                                            const void *message, const msgsrv_publish_options *options,
                                            uint32_t timeout_ms, msgsrv_replied_fn done, void *ctx, msgsrv_error *error);

/**
 * A copy of an event's message. Behind the generated `_from_event`: for untyped subscriptions, replies, and to keep a message after the callback.
 *
 * @param event  during its callback
 * @param type  that it shall have
 * @param[out] message  the caller's struct, on success to be released with msgsrv_message_release(); untouched otherwise
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_FAILED_PRECONDITION for an event of another type (both are named); as msgsrv_message_decode()
 */
MSGSRV_API msgsrv_status msgsrv_event_decode(const msgsrv_event *event, const msgsrv_message_type *type, void *message,
                                             msgsrv_error *error);

/**
 * Answers a request.
 *
 * @param request  msgsrv_event::request; also later than in the callback
 * @param type, message  as for msgsrv_bus_publish(), for #msgsrv_raw_type with `type_name`
 * @param type_name  the full name of a raw message's type; else NULL
 * @param done  optional. #MSGSRV_NOT_FOUND for a request that was answered, or that nobody waits for any more
 * @return without `done`: as said there. With it, #MSGSRV_OK: `done` follows
 */
MSGSRV_API msgsrv_status msgsrv_bus_reply(msgsrv_bus *bus, uint64_t request, const msgsrv_message_type *type,
                                          const void *message, const char *type_name, msgsrv_bus_done_fn done,
                                          void *ctx, msgsrv_error *error);

/**
 * Declares a topic: binds it to a type, and retains its last events.
 *
 * @param topic  as for msgsrv_bus_publish()
 * @param type_name  the full name; NULL: bound by the first publication
 * @param file  the .proto of the type, for those who decode it later and for compatibility; NULL: not known
 * @param retain  events that new subscribers get, 0 to 1,000; they are also bounded by 1 MiB
 * @param done  optional: asynchronous
 * @return #MSGSRV_OK, also when it was declared the same before (`retain` is then the new one);
 *         #MSGSRV_FAILED_PRECONDITION when it is bound to another type or its descriptor is not compatible; #MSGSRV_INVALID_ARGUMENT;
 *         #MSGSRV_RESOURCE_EXHAUSTED over a limit; #MSGSRV_UNIMPLEMENTED when the engine cannot retain
 */
MSGSRV_API msgsrv_status msgsrv_bus_declare_topic(msgsrv_bus *bus, const char *topic, const char *type_name,
                                                  const msgsrv_proto_file *file, uint32_t retain,
                                                  msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);

/**
 * Declares a queue, and binds it.
 *
 * @param queue  1 to 64 bytes of `[A-Za-z0-9_.-]`, or a `$dlq.` one to set its bounds; copied
 * @param options  NULL: no patterns, which takes the topic of its own name
 * @param done  optional: asynchronous
 * @return #MSGSRV_OK, also when it was declared the same before; #MSGSRV_ALREADY_EXISTS when it was declared otherwise, naming the option;
 *         #MSGSRV_INVALID_ARGUMENT; #MSGSRV_NOT_FOUND for the `$dlq.` of a queue that is not there; #MSGSRV_RESOURCE_EXHAUSTED over a limit;
 *         #MSGSRV_UNIMPLEMENTED naming what the engine lacks
 */
MSGSRV_API msgsrv_status msgsrv_bus_declare_queue(msgsrv_bus *bus, const char *queue,
                                                  const msgsrv_queue_options *options, msgsrv_bus_done_fn done,
                                                  void *ctx, msgsrv_error *error);

/**
 * Deletes a queue, its dead letters, and what they hold; its consumers end #MSGSRV_NOT_FOUND.
 *
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND
 */
MSGSRV_API msgsrv_status msgsrv_bus_delete_queue(msgsrv_bus *bus, const char *queue, msgsrv_bus_done_fn done, void *ctx,
                                                 msgsrv_error *error);

/**
 * Consumes from a queue. Behind the generated `_consume`.
 *
 * @param queue  that was declared, also the dead-letter one of a queue, "$dlq.NAME"
 * @param type  of the messages: `message` gets structs, and one of another type is rejected; NULL: untyped, `message` gets bytes
 * @param options  optional
 * @param consumer  copied; `message` is required
 * @param[out] handle  optional: for msgsrv_bus_unsubscribe(), which gives back what is not settled
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND without such a queue (remote: `end` tells it); as msgsrv_bus_subscribe()
 */
MSGSRV_API msgsrv_status msgsrv_bus_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                            const msgsrv_consume_options *options, const msgsrv_consumer *consumer,
                                            void *ctx, msgsrv_handle *handle, msgsrv_error *error);

/**
 * Consumes for typed code. Behind the generated `_consume`.
 *
 * @param type  required
 * @param consumer  copied; `message` is called with the library's copy of the closure as its ctx, the others with `ctx`
 * @param ctx  must live until `end`
 * @param closure, closure_size  as for msgsrv_bus_subscribe_typed()
 * @return as msgsrv_bus_consume(), as are the other parameters
 */
MSGSRV_API msgsrv_status msgsrv_bus_consume_typed(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                                  const msgsrv_consume_options *options,
                                                  const msgsrv_consumer *consumer, void *ctx, const void *closure,
                                                  size_t closure_size, msgsrv_handle *handle, msgsrv_error *error);

/**
 * Settles a delivery. Once, but for #MSGSRV_EXTEND.
 *
 * @param delivery  msgsrv_delivery::id of this handle's consumers; also later than in the callback
 * @param settlement  what to do
 * @param delay_ms  of #MSGSRV_NAK: not again before
 * @param reason  optional: why, of a nak or reject; kept with the message, cut at 255 bytes; copied
 * @param done  optional: its confirmation. #MSGSRV_OK: the bus has done it; #MSGSRV_NOT_FOUND: the delivery has gone to another meanwhile, or
 *              was settled before; or what became of a remote bus
 * @return with `done`: #MSGSRV_OK, and `done` follows. Without it, what is known at once: `mem:` the outcome, remote #MSGSRV_OK
 */
MSGSRV_API msgsrv_status msgsrv_bus_settle(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement,
                                           uint32_t delay_ms, const char *reason, msgsrv_bus_done_fn done, void *ctx,
                                           msgsrv_error *error);

/**
 * Shows messages of a queue, without taking them, oldest first. Synchronous.
 *
 * @param queue  also "$dlq.NAME", whose messages are dead letters
 * @param max  at most so many; 0: 1,000
 * @param fn  called on this thread before the function returns
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND; as synchronous functions of a remote bus
 */
MSGSRV_API msgsrv_status msgsrv_bus_peek(msgsrv_bus *bus, const char *queue, uint32_t max, msgsrv_queued_fn fn,
                                         void *ctx, msgsrv_error *error);

/**
 * Puts dead letters back into their queue: deliveries counted from 0, what happened to them kept. Synchronous.
 *
 * @param queue  the queue, without "$dlq."
 * @param id  of one, as msgsrv_bus_peek() shows it; 0: all
 * @param[out] count  optional: how many were
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND; #MSGSRV_RESOURCE_EXHAUSTED when the queue is full: those that fitted have gone
 */
MSGSRV_API msgsrv_status msgsrv_bus_retry(msgsrv_bus *bus, const char *queue, uint64_t id, uint64_t *count,
                                          msgsrv_error *error);

/**
 * Throws away what a queue holds, but for what is with consumers. Synchronous.
 *
 * @param queue  also "$dlq.NAME"
 * @param[out] count  optional: how many were
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND
 */
MSGSRV_API msgsrv_status msgsrv_bus_purge(msgsrv_bus *bus, const char *queue, uint64_t *count, msgsrv_error *error);

/**
 * What a queue holds. Synchronous.
 *
 * @param[out] info  filled; its `name` is the argument
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND
 */
MSGSRV_API msgsrv_status msgsrv_bus_queue_info(msgsrv_bus *bus, const char *queue, msgsrv_queue_info *info,
                                               msgsrv_error *error);

/** What the bus counts. Any thread. @param[in,out] stats  its `size` says how much is filled */
MSGSRV_API void msgsrv_bus_get_stats(msgsrv_bus *bus, msgsrv_bus_stats *stats);

MSGSRV_END_DECLS

#endif
