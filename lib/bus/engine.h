/* SPDX-License-Identifier: MIT */
/*
 * The engine: what a bus keeps its events in. The author of a new engine reads this header and docs/engines.md. Above it are matching, subscriptions,
 * policies, gaps, groups, requests and the binding of types; below it are sequences, what is retained, and queues.
 *
 * All functions are called with the bus's lock held, from any thread. An engine that must wait for something outside (a disk, a network)
 * says MSGSRV_DEFERRED where that is allowed, and comes back with the host's functions, which take the lock themselves.
 */
#ifndef MSI_BUS_ENGINE_H
#define MSI_BUS_ENGINE_H

#include "bus/event.h"
#include "bus/queue.h"

/* What an engine can: declaring what it cannot is UNIMPLEMENTED, with the name. X(NAME, name) */
#define MSI_CAPABILITY_LIST(X)                        \
    X(DENSE_SEQUENCE, "dense_sequence")               \
    X(PUBLISH_SEQUENCE, "publish_sequence")           \
    X(CONFIRMED_ACK, "confirmed_ack")                 \
    X(ACK_WAIT, "ack_wait")                           \
    X(EXTEND, "extend")                               \
    X(NAK_DELAY, "nak_delay")                         \
    X(DELIVERY_COUNT, "delivery_count")               \
    X(DEAD_LETTER, "dead_letter")                     \
    X(TTL, "ttl")                                     \
    X(NOT_BEFORE, "not_before")                       \
    X(DEDUP, "dedup")                                 \
    X(RETAINED, "retained")                           \
    X(MANY_QUEUES_PER_TOPIC, "many_queues_per_topic") \
    X(FULL_REFUSE, "full_refuse")                     \
    X(FULL_DROP, "full_drop")                         \
    X(PURGE, "purge")                                 \
    X(SYNC_LEVEL, "sync_level")

typedef enum msi_capability {
#define MSI_CAPABILITY(NAME, name) MSI_CAN_##NAME,
    MSI_CAPABILITY_LIST(MSI_CAPABILITY)
#undef MSI_CAPABILITY
        MSI_CAPABILITY_COUNT
} msi_capability;

/* What must have happened before an append or a settlement is confirmed. */
typedef enum msi_ack_level {
    MSI_ACCEPTED = 0, /* the engine has it */
    MSI_SYNCED = 1    /* and it survives a loss of power; needs MSI_CAN_SYNC_LEVEL */
} msi_ack_level;

typedef struct msi_engine msi_engine;
typedef struct msi_engine_log msi_engine_log;     /* one topic's events */
typedef struct msi_engine_queue msi_engine_queue; /* one queue */

/* One append. In: all but `sequence`. It lives until it is confirmed. */
typedef struct msi_append {
    msi_event *event;                /* its sequence is set by the engine, before it is confirmed */
    msi_engine_queue *const *queues; /* that take it: all or none */
    uint32_t queue_count;
    msi_queue_put put;
    msi_ack_level level;
    void *ctx; /* the host's */
    /* Out. */
    uint64_t sequence;      /* of a duplicate: the first one's */
    bool duplicate;         /* every queue knew its id: nothing was appended */
    const char *refused_by; /* with RESOURCE_EXHAUSTED: the queue that is full */
} msi_append;

/* What an engine may call. */
typedef struct msi_engine_host {
    void *ctx;
    uint64_t max_retained_bytes; /* of all logs */
    /* With the lock: a queue has something to take that it had not. */
    void (*queue_ready)(void *ctx, void *queue_ctx);
    /* With the lock: a message of a queue was dropped without a dead letter, or a dead letter was; for counting and logging. */
    void (*queue_lost)(void *ctx, void *queue_ctx, const msi_event *event, const char *reason);
    /* Without the lock: a deferred append has come to its end. */
    void (*appended)(void *ctx, msi_append *append, msgsrv_status status, const char *text);
    /* Without the lock: an event that another process has published on a distributed engine; its name and sequence are set. Takes the reference. */
    void (*arrived)(void *ctx, msi_event *event);
} msi_engine_host;

typedef struct msi_engine_ops {
    const char *scheme;    /* "mem" */
    uint32_t capabilities; /* a bit for each msi_capability */

    /* `where` is what stands behind "scheme:" in the URL. The host's table is copied. */
    msgsrv_status (*open)(const char *where, const msi_engine_host *host, msi_engine **engine, msgsrv_error *error);
    void (*close)(msi_engine *engine); /* all logs and queues are closed with it */

    /* Opens a topic's log, making it if need be. Its epoch and last sequence are known afterwards. */
    msgsrv_status (*log_open)(msi_engine *engine, const char *topic, msi_engine_log **log, uint64_t *epoch,
                              uint64_t *last_sequence, msgsrv_error *error);
    /* Forgets it with what it holds. */
    void (*log_forget)(msi_engine *engine, msi_engine_log *log);
    /* Retains the last `events`, at most 1 MiB, from now on; 0: none. */
    msgsrv_status (*retain)(msi_engine *engine, msi_engine_log *log, uint32_t events, msgsrv_error *error);
    /* What is retained: the lowest sequence that can be read, and how many. */
    uint32_t (*retained)(const msi_engine_log *log, uint64_t *oldest);
    /*
     * Reads from a sequence on, or from the oldest that there is: at most `max` events, in order, with a reference each. Returns how many;
     * fewer than there are only when `max` says so.
     */
    uint32_t (*read)(msi_engine_log *log, uint64_t from, msi_event **events, uint32_t max);

    /*
     * Appends to a log and to queues: all or nothing. OK: done, the sequence is set. DEFERRED: host->appended() follows. ALREADY_EXISTS:
     * duplicate, see msi_append. RESOURCE_EXHAUSTED: a queue is full, or no memory.
     */
    msgsrv_status (*append)(msi_engine *engine, msi_engine_log *log, msi_append *append);

    /* Queues: see queue.h, whose words these are. `ctx` is what the host's functions are told. */
    msgsrv_status (*queue_open)(msi_engine *engine, const char *name, const msi_queue_settings *settings, void *ctx,
                                msi_engine_queue **queue, msgsrv_error *error);
    void (*queue_delete)(msi_engine *engine, msi_engine_queue *queue);
    bool (*take)(msi_engine_queue *queue, bool dead, uint64_t now, msi_queue_consumer *consumer,
                 msi_queue_delivery *delivery);
    msgsrv_status (*settle)(msi_engine_queue *queue, uint64_t now, uint64_t delivery, msi_queue_consumer *consumer,
                            msgsrv_settlement settlement, uint64_t delay_ns, const char *reason);
    void (*consumer_gone)(msi_engine_queue *queue, uint64_t now, msi_queue_consumer *consumer);
    void (*advance)(msi_engine_queue *queue, uint64_t now);
    uint64_t (*due)(const msi_engine_queue *queue);
    void (*peek)(msi_engine_queue *queue, bool dead, uint64_t now, uint64_t wall_us, uint64_t after, uint32_t max,
                 msgsrv_queued_fn fn, void *ctx);
    msgsrv_status (*retry)(msi_engine_queue *queue, uint64_t now, uint64_t id, uint64_t *count);
    uint64_t (*purge)(msi_engine_queue *queue, bool dead, uint64_t now);
    void (*bound_dead)(msi_engine_queue *queue, uint64_t now, uint32_t max_dead_letters);
    void (*info)(msi_engine_queue *queue, uint64_t now, msgsrv_queue_info *info);

    /* Bytes that all logs retain. */
    uint64_t (*retained_bytes)(const msi_engine *engine);
} msi_engine_ops;

/* The engine of this process's memory: lib/bus/mem.c. */
extern const msi_engine_ops msi_engine_mem;

/* "nak_delay" */
const char *msi_capability_name(msi_capability capability);

#endif
