/* SPDX-License-Identifier: MIT */
/* A queue in memory: what is put, taken and settled, and what time brings. */
#include "bus/queue_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Ids of deliveries are one series for all queues of the process, of which each queue takes so many at a time. */
#define DELIVERY_BLOCK 1024u

/* ---- its life ---- */

/* Adding to a map can fail only while it has no table. */
static bool prepare(msi_idmap *map)
{
    msi_idnode node = {0};
    if (!msi_idmap_add(map, &node))
        return false;
    msi_idmap_remove(map, &node);
    return true;
}

msi_queue *msi_queue_new(const char *name, const msi_queue_settings *settings, msi_queue_ready_fn ready,
                         msi_queue_lost_fn lost, void *ctx)
{
    msi_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->settings = *settings;
    queue->ready = ready;
    queue->lost = lost;
    queue->ctx = ctx;
    queue->name = strdup(name);
    if (!queue->name || !prepare(&queue->deliveries) || !prepare(&queue->letters)) {
        msi_queue_free(queue);
        return NULL;
    }
    return queue;
}

void msi_queue_free(msi_queue *queue)
{
    if (!queue)
        return;
    while (queue->unsettled.first)
        msi_message_detach(queue, queue->unsettled.first); /* its consumer may live longer */
    for (int dead = 0; dead < 2; dead++) {
        for (msi_message *message = queue->box[dead].oldest, *newer; message; message = newer) {
            newer = message->newer;
            msi_message_free(queue, message);
        }
    }
    while (queue->spare) {
        msi_message *spare = queue->spare;
        queue->spare = spare->next;
        free(spare);
    }
    msi_ids_release(queue);
    msi_idmap_release(&queue->deliveries);
    msi_idmap_release(&queue->letters);
    free(queue->name);
    free(queue);
}

const char *msi_queue_name(const msi_queue *queue)
{
    return queue->name;
}

const msi_queue_settings *msi_queue_settings_of(const msi_queue *queue)
{
    return &queue->settings;
}

void msi_queue_tell(msi_queue *queue)
{
    bool news = false;
    for (int dead = 0; dead < 2; dead++) {
        msi_box *box = &queue->box[dead];
        news |= box->ready > 0 && !box->told;
        box->told |= box->ready > 0;
    }
    if (news && queue->ready)
        queue->ready(queue, queue->ctx);
}

/* ---- what time brings ---- */

/* A message in no state comes back from its consumer. */
static void come_back(msi_queue *queue, msi_message *message, uint64_t delay_ns)
{
    uint32_t max_deliver = queue->settings.max_deliver;
    if (!message->dead && max_deliver > 0 && message->count >= max_deliver) {
        msi_message_die(queue, message, "max-deliver");
    } else if (message->expires && message->expires <= queue->now) {
        queue->info.expired++;
        msi_message_die(queue, message, "expired");
    } else if (delay_ns > 0) {
        msi_message_delay(queue, message, msi_later(queue->now, delay_ns));
    } else {
        msi_message_return(queue, message);
        if (message->dead)
            msi_dead_trim(queue);
    }
}

/* A delayed one's time has come, or the life of one that can be taken is over; or both. */
static void on_timer(msi_queue *queue, msi_message *message)
{
    msi_message_detach(queue, message);
    if (message->expires && message->expires <= queue->now) {
        queue->info.expired++;
        msi_message_die(queue, message, "expired");
        return;
    }
    msi_message_return(queue, message);
    if (message->dead)
        msi_dead_trim(queue);
}

/* Each step has its end: what comes back waits for a later time, or for a consumer. */
static void advance(msi_queue *queue, uint64_t now)
{
    if (now > queue->now)
        queue->now = now;
    while (queue->unsettled.first && queue->unsettled.first->ack_end <= queue->now) {
        msi_message *message = queue->unsettled.first;
        queue->box[message->dead].told = false; /* its consumer may have stopped for want of credit, and has some now */
        msi_message_detach(queue, message);
        queue->box[message->dead].told = false; /* its consumer has room again, and does not know it */
        come_back(queue, message, 0);
    }
    while (queue->timers.first && queue->timers.first->key <= queue->now)
        on_timer(queue, MSI_CONTAINER(queue->timers.first, msi_message, timer));
    msi_ids_expire(queue);
}

void msi_queue_advance(msi_queue *queue, uint64_t now)
{
    advance(queue, now);
    msi_queue_tell(queue);
}

/* Ids that are over take only memory: it is enough to come back for the last one, as all that happens meanwhile sees to the others. */
uint64_t msi_queue_due(const msi_queue *queue)
{
    uint64_t due = queue->unsettled.first ? queue->unsettled.first->ack_end : 0;
    if (queue->timers.first)
        due = msi_earlier(due, queue->timers.first->key);
    if (queue->ids.newest)
        due = msi_earlier(due, queue->ids.newest->end);
    return due;
}

/* ---- putting ---- */

bool msi_queue_fits(const msi_queue *queue, size_t size, bool dropping)
{
    const msi_box *box = &queue->box[false];
    uint64_t count = box->count - (dropping ? box->ready : 0);
    uint64_t bytes = box->bytes - (dropping ? box->ready_bytes : 0);
    return count < queue->settings.max_messages && bytes <= queue->settings.max_bytes &&
           size <= queue->settings.max_bytes - bytes;
}

msgsrv_status msi_queue_check(msi_queue *queue, uint64_t now, size_t size, msi_view id, uint64_t *sequence)
{
    msi_queue_advance(queue, now);
    const msi_known_id *known = msi_ids_find(queue, id);
    if (known) {
        queue->info.duplicates++;
        if (sequence)
            *sequence = known->sequence;
        return MSGSRV_ALREADY_EXISTS;
    }
    if (!msi_queue_fits(queue, size, queue->settings.drop_oldest)) {
        queue->info.refused++;
        return MSGSRV_RESOURCE_EXHAUSTED;
    }
    return msi_message_reserve(queue) && msi_ids_reserve(queue, id) ? MSGSRV_OK : MSGSRV_UNAVAILABLE;
}

static void make_room(msi_queue *queue, size_t size)
{
    while (!msi_queue_fits(queue, size, false) && queue->box[false].ready > 0) {
        msi_message *message = msi_box_first(&queue->box[false]);
        msi_message_detach(queue, message);
        msi_message_die(queue, message, "full");
    }
}

void msi_queue_put_event(msi_queue *queue, uint64_t now, msi_event *event, const msi_queue_put *how)
{
    advance(queue, now);
    msi_message *message = msi_message_new(queue);
    if (!message)
        return; /* nobody has checked */
    make_room(queue, event->size);
    message->event = msi_event_ref(event);
    message->ttl_ns = how->ttl_ns ? how->ttl_ns : queue->settings.ttl_ns;
    if (message->ttl_ns)
        message->expires = msi_later(queue->now, message->ttl_ns);
    msi_message_enter(queue, message, false);
    if (how->delay_ns)
        msi_message_delay(queue, message, msi_later(queue->now, how->delay_ns));
    else
        msi_message_fresh(queue, message);
    queue->info.published++;
    msi_ids_add(queue, how->id, event->sequence);
    msi_queue_tell(queue);
}

/* ---- taking and settling ---- */

static uint64_t next_delivery(msi_queue *queue)
{
    static _Atomic uint64_t blocks;
    if (queue->deliveries_left == 0) {
        queue->next_delivery = atomic_fetch_add(&blocks, 1) * DELIVERY_BLOCK + 1;
        queue->deliveries_left = DELIVERY_BLOCK;
    }
    queue->deliveries_left--;
    return queue->next_delivery++;
}

bool msi_queue_take(msi_queue *queue, bool dead, uint64_t now, msi_queue_consumer *consumer, msi_queue_delivery *delivery)
{
    msi_queue_advance(queue, now);
    msi_message *message = msi_box_first(&queue->box[dead]);
    if (!message) {
        queue->box[dead].told = false;
        return false;
    }
    msi_message_detach(queue, message);
    if (dead) {
        delivery->count = ++message->dead_count;
    } else {
        delivery->count = ++message->count;
        queue->info.delivered++;
        queue->info.redelivered += message->count > 1;
    }
    delivery->id = next_delivery(queue);
    delivery->event = message->event;
    msi_message_hand_out(queue, message, consumer, delivery->id);
    return true;
}

static void remove_message(msi_queue *queue, msi_message *message)
{
    msi_message_leave(queue, message);
    msi_message_free(queue, message);
}

static void reject(msi_queue *queue, msi_message *message, const char *reason)
{
    if (message->dead) {
        remove_message(queue, message);
        return;
    }
    queue->info.rejected++;
    msi_message_said(message, reason);
    msi_message_die(queue, message, "rejected");
}

static msi_message *find_delivery(const msi_queue *queue, uint64_t delivery, msi_queue_consumer *consumer)
{
    msi_idnode *node = msi_idmap_find(&queue->deliveries, delivery);
    msi_message *message = node ? MSI_CONTAINER(node, msi_message, delivery) : NULL;
    return message && message->consumer == consumer ? message : NULL;
}

msgsrv_status msi_queue_settle(msi_queue *queue, uint64_t now, uint64_t delivery, msi_queue_consumer *consumer,
                               msgsrv_settlement settlement, uint64_t delay_ns, const char *reason)
{
    if (settlement < MSGSRV_ACK || settlement > MSGSRV_EXTEND)
        return MSGSRV_INVALID_ARGUMENT;
    msi_queue_advance(queue, now);
    msi_message *message = find_delivery(queue, delivery, consumer);
    if (!message)
        return MSGSRV_NOT_FOUND;
    if (settlement == MSGSRV_EXTEND) {
        msi_message_extend(queue, message);
        return MSGSRV_OK;
    }
    msi_message_detach(queue, message);
    if (settlement == MSGSRV_ACK) {
        queue->info.acked += !message->dead;
        remove_message(queue, message);
    } else if (settlement == MSGSRV_NAK) {
        msi_message_said(message, reason);
        come_back(queue, message, delay_ns);
    } else {
        reject(queue, message, reason);
    }
    msi_queue_tell(queue);
    return MSGSRV_OK;
}

void msi_queue_consumer_gone(msi_queue *queue, uint64_t now, msi_queue_consumer *consumer)
{
    msi_queue_advance(queue, now);
    for (msi_message *message; (message = consumer->oldest) != NULL;) {
        msi_message_detach(queue, message);
        come_back(queue, message, 0);
    }
    msi_queue_tell(queue);
}
