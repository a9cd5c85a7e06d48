/* SPDX-License-Identifier: MIT */
/*
 * The bus itself: topics, subscriptions, groups, requests, and the queues of its engine. It has no loop and no thread: publishers call it from
 * any thread, and whoever takes events from it is told, with the lock held, that there are some, and comes for them on its own loop. All
 * functions take the one lock, but where they say that they are called with it.
 *
 *   msi_bus_publish() ──► types, topic ──► engine: sequence, retained, queues ──► subscriptions' queues ──► ready()
 *   ready() ──► the taker's loop ──► msi_sub_take() / msi_take_deliveries()
 *
 * Two kinds of taker: a program's own subscriptions (local.c) and the streams of the service msgsrv.bus.v1.Bus (lib/services/bus_*.c).
 */
#ifndef MSI_BUS_CORE_H
#define MSI_BUS_CORE_H

#include <sys/queue.h>

#include "base/log.h"
#include "bus/engine.h"
#include "bus/gap.h"
#include "bus/types.h"

typedef struct msi_core msi_core;

/* Resolved options. */
typedef struct msi_core_limits {
    uint32_t max_topics;
    uint32_t max_subscriptions;
    uint32_t max_queues;
    uint32_t max_types;
    uint32_t max_requests;
    uint32_t max_match_nodes;
    uint64_t max_retained_bytes;
    uint64_t topic_idle_ns;
    uint32_t max_event;
} msi_core_limits;

/* Where lines go: a handle's log. */
typedef struct msi_core_sink {
    msi_log log;
    bool open;
    TAILQ_ENTRY(msi_core_sink) all;
} msi_core_sink;

msgsrv_status msi_core_new(const msi_engine_ops *ops, const char *where, const msi_core_limits *limits, msi_core **core,
                           msgsrv_error *error);
/* Lines go to the oldest log that is open. When it is closed, no line is being written and none follows. */
void msi_core_open_log(msi_core *core, msi_core_sink *sink, msi_log log);
void msi_core_close_log(msi_core *core, msi_core_sink *sink);
msi_core *msi_core_ref(msi_core *core); /* references: any thread */
void msi_core_unref(msi_core *core);
void msi_core_lock(msi_core *core);
void msi_core_unlock(msi_core *core);
const msi_core_limits *msi_core_limits_of(const msi_core *core);
uint64_t msi_core_epoch(const msi_core *core); /* a random number of the core's own, not 0 */
void msi_core_stats(msi_core *core, msgsrv_bus_stats *stats);

/* ---- publishing ---- */

/* One who publishes, for those who look; and what it published on last, for speed. One thread at a time. */
typedef struct msi_publisher msi_publisher;
msi_publisher *msi_publisher_new(msi_core *core, const char *name,
                                 const char *peer); /* both copied; NULL without memory */
void msi_publisher_free(msi_publisher *publisher);
const char *msi_publisher_name(const msi_publisher *publisher);

/* A publication. All borrowed. */
typedef struct msi_publication {
    msi_view topic;
    msi_view type;
    msi_view payload;                       /* data NULL: `message` is to be encoded when somebody needs bytes */
    const msgsrv_message_type *struct_type; /* NULL: there are only bytes */
    const void *message;
    const msgsrv_message_type *described; /* whose descriptors are to be known; NULL: none are told */
    const msgsrv_metadata *headers;
    uint32_t header_count;
    msi_view id;
    uint32_t ttl_ms;
    uint32_t delay_ms;
} msi_publication;

/* Checks a payload for being protobuf. Without the lock; msi_bus_publish() does it for bytes. */
bool msi_payload_valid(msi_view payload);

/*
 * Publishes. The locked form is for several under one lock: the caller then knows the payloads to be valid, and `wall_us` is the time in
 * microseconds since 1970. Statuses as msgsrv_bus_publish().
 */
msgsrv_status msi_core_publish(msi_publisher *publisher, const msi_publication *publication, msgsrv_receipt *receipt,
                               msgsrv_error *error);
msgsrv_status msi_core_publish_locked(msi_publisher *publisher, const msi_publication *publication, uint64_t wall_us,
                                      msgsrv_receipt *receipt, msgsrv_error *error);

/* ---- subscriptions ---- */

typedef struct msi_sub msi_sub;

typedef struct msi_seen {
    msi_view topic;
    uint64_t epoch;
    uint64_t sequence;
} msi_seen;

typedef struct msi_sub_spec {
    msi_view pattern; /* empty: all */
    msi_view type;    /* empty: any */
    msi_view group;   /* empty: none */
    msgsrv_bus_policy policy;
    uint32_t max_events; /* 0: default */
    uint32_t max_bytes;  /* 0: default */
    uint32_t last;       /* MSGSRV_NONE: nothing retained; UINT32_MAX - 1 or more than there is: all */
    bool responder;
    bool wants_bytes;                       /* its events are to be encoded */
    const msgsrv_message_type *struct_type; /* its events are to be decoded; its name is `type` */
    const char *name;                       /* copied */
    const char *peer;                       /* copied */
    bool resumes;                           /* the rest is set */
    uint64_t resume_epoch;                  /* of the core that it was subscribed to */
    uint64_t resume_position;
    const msi_seen *seen;
    size_t seen_count;
    /* With the lock held: there is something to take. Once, until a take has found nothing more. Only schedules. */
    void (*ready)(msi_sub *sub, void *ctx);
    void *ctx;
} msi_sub_spec;

#define MSI_LAST_ALL (UINT32_MAX - 1)

typedef enum msi_taken_kind {
    MSI_TAKEN_EVENT,
    MSI_TAKEN_GAP,
    MSI_TAKEN_END /* the bus has ended it: `status`, `text`, and perhaps `gap`; the last */
} msi_taken_kind;

/* What was taken; it lives until the next take or the end of the subscription. */
typedef struct msi_taken {
    msi_taken_kind kind;
    msi_event *event;
    msi_event_extra extra;
    uint64_t ticket; /* of a group: for msi_sub_got() */
    msi_gap *gap;
    msgsrv_status status;
    const char *text;
} msi_taken;

/* Subscribes. FAILED_PRECONDITION, INVALID_ARGUMENT and RESOURCE_EXHAUSTED as msgsrv_bus_subscribe(). */
msgsrv_status msi_core_subscribe(msi_core *core, const msi_sub_spec *spec, msi_sub **sub, msgsrv_error *error);

/*
 * Takes up to `max` items, or events of `max_bytes` in all (one at least); gives those of the last take back first. Fewer than `max` (and
 * max_bytes not reached): there is no more, and ready() will tell. `*position`: where the bus is, once all taken ones are handled. One thread at a time.
 */
size_t msi_sub_take(msi_sub *sub, msi_taken *items, size_t max, size_t max_bytes, uint64_t *position);

/* Where the bus is, for a subscription for which nothing waits: what came before does not concern it. 0: something waits. */
uint64_t msi_sub_position(msi_sub *sub);

/* An event that was taken could not be told: counts it. */
void msi_sub_lost(msi_sub *sub, const msi_event *event);

/* Gives the last take's items back, early. */
void msi_sub_release(msi_sub *sub);

/* A member of a group has got the events up to a ticket. */
void msi_sub_got(msi_sub *sub, uint64_t ticket);

/* Ends it: no ready() is running or comes afterwards. What a member of a group has not got, another gets. */
void msi_sub_close(msi_sub *sub);

/* The same in two steps: between them the last take's events are still there, for a function of the program's that has one. */
void msi_sub_leave(msi_sub *sub);
void msi_sub_free(msi_sub *sub);

/* ---- requests ---- */

/* Tells who asked, exactly once and without the lock: on any thread. `type` and `payload` for OK. */
typedef void (*msi_answer_fn)(void *ctx, msgsrv_status status, const char *text, msi_view type, msi_view payload);

/* Sends a request to one responder. OK: `answer` follows, perhaps before this returns; `*request` names it. Else UNAVAILABLE and so on, and nothing follows. */
msgsrv_status msi_core_request(msi_publisher *publisher, const msi_publication *publication, msi_answer_fn answer,
                               void *ctx, uint64_t *request, msgsrv_error *error);

/* The same with the lock: `answer` comes after it was given back. */
msgsrv_status msi_core_request_locked(msi_publisher *publisher, const msi_publication *publication,
                                      msi_answer_fn answer, void *ctx, uint64_t *request, msgsrv_error *error);

/* Nobody waits any more: `answer` is not called, or has been. Returns whether it was not. */
bool msi_core_request_cancel(msi_core *core, uint64_t request);

/* Answers. OK; NOT_FOUND; INVALID_ARGUMENT. */
msgsrv_status msi_core_reply(msi_core *core, uint64_t request, msi_view type, msi_view payload, msgsrv_error *error);

/* ---- topics ---- */

/* `set`: a FileDescriptorSet, or empty. `retain` < 0: as it is. The receipt's sequence is the last one. */
msgsrv_status msi_core_declare_topic(msi_core *core, msi_view topic, msi_view type, msi_view set, int64_t retain,
                                     msgsrv_receipt *receipt, msgsrv_error *error);

/* The descriptors of a type; appended. false: it is not known. */
bool msi_core_describe_type(msi_core *core, msi_view type, msi_buf *set);

typedef struct msi_topic_info {
    const char *topic;
    const char *type; /* "" */
    uint64_t epoch;
    uint64_t sequence;
    uint32_t publishers;
    uint32_t subscribers;
    uint32_t queues;
    uint64_t events;
    uint64_t bytes;
    uint32_t retained;
    uint32_t retain;
    uint64_t lost;
    uint64_t last_time_us;
    bool described;
    bool exists; /* false: there is only somebody who would like it */
} msi_topic_info;

/* Visits topics that match a pattern (empty: all), sorted by name, at most `max`; returns whether there were more. With the lock: short work. */
bool msi_core_topics(msi_core *core, msi_view pattern, uint32_t max,
                     void (*visit)(const msi_topic_info *info, void *ctx), void *ctx);

typedef struct msi_sub_info {
    const char *name;
    const char *peer;
    const char *pattern;
    const char *type;
    const char *group;
    msgsrv_bus_policy policy;
    bool responder;
    bool matches;       /* pattern and type */
    bool matches_topic; /* the pattern alone */
    unsigned nearness;  /* of the pattern, when it does not match */
    bool stalled;       /* events wait, and it has not come for them for 1 s */
    uint32_t waiting_events;
    uint64_t waiting_bytes;
    uint64_t delivered;
    uint64_t lost;
} msi_sub_info;

typedef struct msi_publisher_info {
    const char *name;
    const char *peer;
    uint64_t events; /* on this topic */
} msi_publisher_info;

typedef struct msi_queue_look {
    msgsrv_queue_info info;
    bool full;
} msi_queue_look;

/* Looks at a topic from all sides. With the lock, each visit: short work. `topic->exists` says whether there is one. */
typedef struct msi_look {
    void (*topic)(const msi_topic_info *info, void *ctx);
    void (*subscription)(const msi_sub_info *info, void *ctx);
    void (*publisher)(const msi_publisher_info *info, void *ctx);
    void (*queue)(const msi_queue_look *look, void *ctx);
} msi_look;
void msi_core_look(msi_core *core, msi_view topic, msi_view type, const msi_look *look, void *ctx);

/* ---- queues ---- */

/* The public options resolved and checked: names the option that is wrong. */
msgsrv_status msi_queue_settings_resolve(const msgsrv_queue_options *options, msi_queue_settings *settings,
                                         msgsrv_error *error);

/* `existed` optional. */
msgsrv_status msi_core_declare_queue(msi_core *core, msi_view name, const msgsrv_queue_options *options, bool *existed,
                                     msgsrv_error *error);
msgsrv_status msi_core_delete_queue(msi_core *core, msi_view name, msgsrv_error *error);

typedef struct msi_taker msi_taker; /* a consumer */

typedef struct msi_taker_spec {
    msi_view queue;    /* or "$dlq.NAME" */
    uint32_t prefetch; /* 0: default */
    bool wants_bytes;
    const char *name;
    const char *peer;
    void (*ready)(msi_taker *taker, void *ctx); /* as msi_sub_spec.ready */
    void *ctx;
} msi_taker_spec;

msgsrv_status msi_core_consume(msi_core *core, const msi_taker_spec *spec, msi_taker **taker, msgsrv_error *error);

/*
 * Takes up to `max` deliveries, within the prefetch. Each event lives until its delivery is settled by this taker, or the taker is closed:
 * also when the delivery has meanwhile gone to another. Returns how many; `*ended`: the queue was deleted, and none will come.
 */
size_t msi_take_deliveries(msi_taker *taker, msi_queue_delivery *deliveries, size_t max, bool *ended);

/* OK; NOT_FOUND. */
msgsrv_status msi_taker_settle(msi_taker *taker, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                               const char *reason);
/* The same with the lock, which keeps the taker from closing meanwhile. */
msgsrv_status msi_taker_settle_locked(msi_taker *taker, uint64_t delivery, msgsrv_settlement settlement,
                                      uint32_t delay_ms, const char *reason);

/* When to try again though nothing was told: a moment of msi_now(), 0: never. After a take that found nothing. */
uint64_t msi_taker_due(msi_taker *taker);

void msi_taker_close(msi_taker *taker);
void msi_taker_leave(msi_taker *taker); /* in two steps, as msi_sub_leave() */
void msi_taker_free(msi_taker *taker);

msgsrv_status msi_core_peek(msi_core *core, msi_view queue, uint64_t after, uint32_t max, msgsrv_queued_fn fn,
                            void *ctx, msgsrv_error *error);
msgsrv_status msi_core_retry(msi_core *core, msi_view queue, uint64_t id, uint64_t *count, msgsrv_error *error);
msgsrv_status msi_core_purge(msi_core *core, msi_view queue, uint64_t *count, msgsrv_error *error);
msgsrv_status msi_core_queue_info(msi_core *core, msi_view queue, msgsrv_queue_info *info, msgsrv_error *error);

/* One queue (not a dead-letter one), or all for an empty name. With the lock: short work. NOT_FOUND. */
typedef struct msi_queue_entry {
    msgsrv_queue_info info;
    const msi_queue_settings *settings;
    const char *const *patterns;
    size_t pattern_count;
    const char *const *types;
    size_t type_count;
} msi_queue_entry;
msgsrv_status msi_core_queues(msi_core *core, msi_view name, void (*visit)(const msi_queue_entry *entry, void *ctx),
                              void *ctx, msgsrv_error *error);

/* The clock of the events' times: microseconds since 1970. */
uint64_t msi_core_wall_us(void);

#endif
