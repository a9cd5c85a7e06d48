/* SPDX-License-Identifier: MIT */
/*
 * A handle on a core of this process, shared by the files that it is made of:
 *
 *   local.c          its life, its loop, and the turn in which it tells everything
 *   local_entry.c    subscriptions and consumers
 *   local_ops.c      what is done at once and perhaps told later: publishing, declaring, requests, looking at queues
 *
 * Whatever is to be told waits in one of two lists, under the handle's lock, and the loop's thread goes through them in local_turn(). Locks are
 * taken in this order: the core's, then the handle's. No function of the program's is called with either.
 */
#ifndef MSI_BUS_LOCAL_H
#define MSI_BUS_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/idmap.h"
#include "bus/bus.h"
#include "net/loop.h"

typedef enum local_kind { LOCAL_PRIVATE, LOCAL_THREAD, LOCAL_BASE } local_kind;

/* A delivery that a program may settle. */
typedef struct local_delivery {
    msi_idnode node;
    TAILQ_ENTRY(local_delivery) of_entry; /* those that were touched longest ago come first */
    struct local_entry *entry;
} local_delivery;

/* A subscription, or a consumer. Freed on the loop's thread. */
typedef struct local_entry {
    msi_idnode node; /* by its handle */
    TAILQ_ENTRY(local_entry) all;
    TAILQ_ENTRY(local_entry) ready;
    struct local_bus *bus;
    bool queued;    /* in the list of those to look at; with the lock */
    bool cancelled; /* by the program; with the lock */
    bool ready_due; /* `ready` is to be told */
    bool over;      /* nothing is told any more but the end */
    bool ended;     /* and that was told */
    unsigned holds; /* it is on the stack */
    void *ctx;
    const msgsrv_message_type *type;
    msi_sub *sub; /* of a subscription */
    msgsrv_subscriber subscriber;
    msi_taker *taker; /* of a consumer */
    msgsrv_consumer consumer;
    uint32_t prefetch;
    uint32_t nak_delay_ms;
    uint32_t delivery_count;
    TAILQ_HEAD(entry_deliveries, local_delivery) deliveries; /* with the lock */
    char queue[];
} local_entry;

/* The end of an operation, to be told. */
typedef struct local_done {
    STAILQ_ENTRY(local_done) next;
    void *ctx;
    msgsrv_bus_done_fn done; /* one of these three */
    msgsrv_published_fn published;
    msgsrv_replied_fn replied;
    msgsrv_status status;
    msgsrv_error error;
    msgsrv_receipt receipt;
    /* Of a request. */
    TAILQ_ENTRY(local_done) asked; /* while it waits; by deadline */
    uint64_t request;
    uint64_t deadline;
    struct local_bus *bus;
    char *type;
    uint8_t *payload;
    size_t payload_size;
} local_done;

typedef struct local_bus {
    msgsrv_bus bus;
    msi_core *core;
    msi_core_sink sink;
    struct local_name *name;  /* of "mem:NAME"; NULL */
    msi_publisher *publisher; /* used with the core's lock */
    msi_loop loop;
    local_kind kind;
    pthread_t thread;
    _Atomic(pthread_t) driver; /* of a private loop */
    struct event *timer;
    uint32_t timeout_ms;
    uint64_t told; /* functions of the program's that were called */
    bool freed;    /* inside one of them: memory goes when the stack is unwound */
    bool destroying;
    pthread_mutex_t lock; /* guards what follows */
    msi_idmap entries;
    msi_idmap deliveries;
    uint64_t last_handle;
    TAILQ_HEAD(local_entries, local_entry) all;
    TAILQ_HEAD(local_ready, local_entry) ready;
    STAILQ_HEAD(local_dones, local_done) dones;
    TAILQ_HEAD(local_asked, local_done) asked;
    uint64_t timer_due; /* what the timer is set for; the loop's thread alone */
    bool turning;       /* local_turn() is at work and looks at the lists again */
    bool scheduled;     /* it will be called */
    bool blocking;      /* a private loop is in libevent's hands */
    msi_post post;
    msi_task task;
} local_bus;

static inline local_bus *local_of(msgsrv_bus *bus)
{
    return (local_bus *)(void *)bus;
}

/* local.c. With the handle's lock: something is to be told, or to be looked at. */
void msi_local_schedule(local_bus *local);

/* What would be told later is not begun any more once the handle is being freed: it would never end. */
static inline msgsrv_status msi_local_refuse_freed(const local_bus *local, msgsrv_error *error)
{
    return local->freed ? msi_error(error, MSGSRV_FAILED_PRECONDITION, "the handle is being freed") : MSGSRV_OK;
}

/* local_entry.c */
extern void msi_local_dispatch(local_entry *entry);
void msi_local_end(local_entry *entry, msgsrv_status status, const char *text, const msi_gap *gap);
void msi_local_queue_entry(local_entry *entry); /* with the handle's lock */
uint64_t msi_local_consumers_due(local_bus *local,
                                 uint64_t now); /* those whose time has come are queued; when to come back */
msgsrv_status msi_local_subscribe(msgsrv_bus *bus, const msgsrv_message_type *type,
                                  const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                  void *ctx, msgsrv_handle *handle, msgsrv_error *error);
msgsrv_status msi_local_consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type,
                                const msgsrv_consume_options *options, const msgsrv_consumer *consumer, void *ctx,
                                msgsrv_handle *handle, msgsrv_error *error);
void msi_local_unsubscribe(msgsrv_bus *bus, msgsrv_handle handle);
msgsrv_status msi_local_settle(msgsrv_bus *bus, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                               const char *reason, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);

/* local_ops.c */
void msi_local_tell_done(local_bus *local, local_done *done);
uint64_t msi_local_requests_due(local_bus *local, uint64_t now);
void msi_local_requests_end(local_bus *local);
/* What became of an operation: told by `done`, or returned. */
msgsrv_status msi_local_outcome(local_bus *local, msgsrv_status status, const msgsrv_error *why,
                                msgsrv_bus_done_fn done, void *ctx, msgsrv_error *error);
extern const msi_bus_ops msi_local_ops;
void msi_local_free(msgsrv_bus *bus);
msgsrv_status msi_local_poll(msgsrv_bus *bus, uint32_t timeout_ms, msgsrv_error *error);

#endif
