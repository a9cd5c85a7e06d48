/* SPDX-License-Identifier: MIT */
/*
 * A queue in memory: messages, deliveries, settlements, dead letters. A state machine without locks, clocks or callbacks: the caller has the
 * lock, says what time it is (nanoseconds of CLOCK_MONOTONIC), and asks afterwards when to come back. Engines that keep queues in this
 * process are made of it.
 *
 *   put ──► ready ──take──► unsettled ──ack──► gone
 *            ▲ ▲               │ │
 *            │ └── delayed ◄─nak │ ack-wait over, consumer gone: ready again, at its old place
 *            │                   └─ reject, max-deliver, expired, full ──► the dead-letter queue ──retry──► ready
 *
 * A message has an id, that counts up, from when it comes into the queue; dying and being put back it comes into another, and gets a new one. What
 * can be taken is taken in the order of these ids. What can be taken, and that alone, is dropped from a full queue.
 */
#ifndef MSI_BUS_QUEUE_H
#define MSI_BUS_QUEUE_H

#include "bus/event.h"

typedef struct msi_queue msi_queue;

/* Resolved settings: no defaults, 0 is 0. */
typedef struct msi_queue_settings {
    uint32_t max_messages;
    uint64_t max_bytes;
    bool drop_oldest;
    uint64_t ack_wait_ns;
    uint32_t max_deliver; /* 0: none */
    uint64_t ttl_ns;      /* 0: none */
    bool no_dead_letters;
    uint32_t max_dead_letters;
    uint64_t dedup_ns; /* 0: none */
    uint32_t dedup_ids;
} msi_queue_settings;

/*
 * Told when something can be taken that could not before; with the lock; once until the next take that finds nothing. Messages and dead
 * letters are two things here: there may be either. Whoever stops before a take has found nothing, for want of credit, comes back by itself when it
 * settles; when it has credit again because time has taken a delivery from it, and there is something to take, all are told anew.
 */
typedef void (*msi_queue_ready_fn)(msi_queue *queue, void *ctx);

/* How a message is put. */
typedef struct msi_queue_put {
    msi_view id;     /* for recognition; empty: none */
    uint64_t ttl_ns; /* 0: the queue's own */
    uint64_t delay_ns;
} msi_queue_put;

/*
 * Who takes, of one queue; embedded there, all zero at first. The queue counts in it what it has and has not settled. It lives until it is gone
 * or the queue is freed.
 */
typedef struct msi_queue_consumer {
    uint32_t unsettled;
    struct msi_message *oldest; /* of those, linked as a ring */
} msi_queue_consumer;

/* A delivery. The event is the queue's; it lives until the delivery is settled or given back. */
typedef struct msi_queue_delivery {
    uint64_t id; /* never used twice within a process */
    uint32_t count;
    msi_event *event;
} msi_queue_delivery;

/*
 * What became of a message that left for good without an ack: for counting and logging. `reason`: of its death, where there are no dead
 * letters, or "dead-letters-full". Not told: what is purged, or rejected as a dead letter.
 */
typedef void (*msi_queue_lost_fn)(msi_queue *queue, const msi_event *event, const char *reason, void *ctx);

/* `name` is copied. NULL without memory. A queue has its dead letters in itself; see the functions with `dead`. */
msi_queue *msi_queue_new(const char *name, const msi_queue_settings *settings, msi_queue_ready_fn ready,
                         msi_queue_lost_fn lost, void *ctx);
void msi_queue_free(msi_queue *queue); /* its consumers have nothing any more */
const char *msi_queue_name(const msi_queue *queue);
const msi_queue_settings *msi_queue_settings_of(const msi_queue *queue);

/*
 * Whether a message of this size would be taken: OK; ALREADY_EXISTS, with the first one's sequence, for an id that is known;
 * RESOURCE_EXHAUSTED when it is full and refuses, or has nothing that it could drop; UNAVAILABLE without memory (it is taken here, so that
 * the put that follows cannot fail).
 */
msgsrv_status msi_queue_check(msi_queue *queue, uint64_t now, size_t size, msi_view id, uint64_t *sequence);

/* Takes it, after a check that said OK. Takes a reference of the event. */
void msi_queue_put_event(msi_queue *queue, uint64_t now, msi_event *event, const msi_queue_put *how);

/* The next delivery for a consumer. false: nothing now. `dead`: of the dead letters. */
bool msi_queue_take(msi_queue *queue, bool dead, uint64_t now, msi_queue_consumer *consumer,
                    msi_queue_delivery *delivery);

/*
 * Settles. OK, or NOT_FOUND: it is not (any more) a delivery of this consumer. `reason`, of a nak or reject, may be NULL; 255 bytes of it are kept.
 * An ack or reject of a dead letter removes it.
 */
msgsrv_status msi_queue_settle(msi_queue *queue, uint64_t now, uint64_t delivery, msi_queue_consumer *consumer,
                               msgsrv_settlement settlement, uint64_t delay_ns, const char *reason);

/* All its deliveries are ready again, at their old places, and count as redelivered; or dead, if that was the last one they could have. */
void msi_queue_consumer_gone(msi_queue *queue, uint64_t now, msi_queue_consumer *consumer);

/* Does what time brings: ends of ack-wait, of delays, of lives, of ids. All functions with `now` do it first. Time that goes back stands still. */
void msi_queue_advance(msi_queue *queue, uint64_t now);

/* When to come back for it; 0: never. */
uint64_t msi_queue_due(const msi_queue *queue);

/* Shows messages with an id above `after`, oldest id first. `wall_us` is now, in microseconds since 1970. */
void msi_queue_peek(msi_queue *queue, bool dead, uint64_t now, uint64_t wall_us, uint64_t after, uint32_t max,
                    msgsrv_queued_fn fn, void *ctx);

/*
 * Puts dead letters back: one, or all for 0, but not those with a consumer. OK; NOT_FOUND; RESOURCE_EXHAUSTED when those left do not fit, for which
 * nothing is dropped. Their lives begin anew.
 */
msgsrv_status msi_queue_retry(msi_queue *queue, uint64_t now, uint64_t id, uint64_t *count);

/* Throws away what is not with a consumer; returns how many. */
uint64_t msi_queue_purge(msi_queue *queue, bool dead, uint64_t now);

/* Sets max_dead_letters; drops what is over it. */
void msi_queue_bound_dead(msi_queue *queue, uint64_t now, uint32_t max_dead_letters);

/* Counts; `consumers` is the caller's to fill, afterwards. */
void msi_queue_info_get(msi_queue *queue, uint64_t now, msgsrv_queue_info *info);

#endif
