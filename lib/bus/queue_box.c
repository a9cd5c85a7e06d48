/* SPDX-License-Identifier: MIT */
/* The states of a message: see queue_internal.h for where it is in each. */
#include "bus/queue_internal.h"

#include <stdlib.h>

/* ---- memory ---- */

bool msi_message_reserve(msi_queue *queue)
{
    if (queue->spare)
        return true;
    msi_message *message = malloc(sizeof *message);
    if (!message)
        return false;
    message->next = NULL;
    queue->spare = message;
    queue->spare_count = 1;
    return true;
}

msi_message *msi_message_new(msi_queue *queue)
{
    msi_message *message = queue->spare;
    if (!message)
        return NULL;
    queue->spare = message->next;
    queue->spare_count--;
    *message = (msi_message){0};
    return message;
}

void msi_message_free(msi_queue *queue, msi_message *message)
{
    free(message->first_error);
    free(message->last_error);
    msi_event_unref(message->event);
    if (queue->spare_count + 1 > MSI_QUEUE_SPARE_MAX) {
        free(message);
        return;
    }
    message->next = queue->spare;
    queue->spare = message;
    queue->spare_count++;
}

/* ---- boxes ---- */

void msi_message_enter(msi_queue *queue, msi_message *message, bool dead)
{
    msi_box *box = &queue->box[dead];
    message->dead = dead;
    message->letter.id = ++queue->last_id;
    message->newer = NULL;
    message->older = box->newest;
    if (box->newest)
        box->newest->newer = message;
    else
        box->oldest = message;
    box->newest = message;
    box->count++;
    box->bytes += message->event->size;
    if (dead)
        (void)msi_idmap_add(&queue->letters, &message->letter); /* msi_queue_new() has seen to its table */
}

void msi_message_leave(msi_queue *queue, msi_message *message)
{
    msi_box *box = &queue->box[message->dead];
    if (message->older)
        message->older->newer = message->newer;
    else
        box->oldest = message->newer;
    if (message->newer)
        message->newer->older = message->older;
    else
        box->newest = message->older;
    if (box->shown == message)
        box->shown = message->newer;
    box->count--;
    box->bytes -= message->event->size;
    if (message->dead)
        msi_idmap_remove(&queue->letters, &message->letter);
}

msi_message *msi_box_first(const msi_box *box)
{
    msi_message *fresh = box->fresh.first;
    if (!box->returned.first)
        return fresh;
    msi_message *returned = MSI_CONTAINER(box->returned.first, msi_message, place);
    return fresh && fresh->letter.id < returned->letter.id ? fresh : returned;
}

/* ---- states ---- */

static void append(msi_message_list *list, msi_message *message)
{
    message->next = NULL;
    message->previous = list->last;
    if (list->last)
        list->last->next = message;
    else
        list->first = message;
    list->last = message;
}

static void cut(msi_message_list *list, msi_message *message)
{
    if (message->previous)
        message->previous->next = message->next;
    else
        list->first = message->next;
    if (message->next)
        message->next->previous = message->previous;
    else
        list->last = message->previous;
}

static void set_timer(msi_queue *queue, msi_message *message, uint64_t when)
{
    if (when == 0)
        return;
    msi_order_add(&queue->timers, &message->timer, when, message->letter.id);
    message->timed = true;
}

static void count_ready(msi_queue *queue, msi_message *message)
{
    msi_box *box = &queue->box[message->dead];
    box->ready++;
    box->ready_bytes += message->event->size;
    set_timer(queue, message, message->expires);
}

void msi_message_fresh(msi_queue *queue, msi_message *message)
{
    message->state = MSI_FRESH;
    append(&queue->box[message->dead].fresh, message);
    count_ready(queue, message);
}

void msi_message_return(msi_queue *queue, msi_message *message)
{
    message->state = MSI_RETURNED;
    msi_order_add(&queue->box[message->dead].returned, &message->place, message->letter.id, 0);
    count_ready(queue, message);
}

void msi_message_delay(msi_queue *queue, msi_message *message, uint64_t until)
{
    message->state = MSI_DELAYED;
    message->not_before = until;
    queue->box[message->dead].delayed++;
    set_timer(queue, message, message->expires && message->expires < until ? message->expires : until);
}

static void begin_ack_wait(msi_queue *queue, msi_message *message)
{
    message->ack_end = msi_later(queue->now, queue->settings.ack_wait_ns);
    append(&queue->unsettled, message); /* the wait is the same for all, and time does not go back: so this is in order */
}

/* A consumer's ring: the oldest one's predecessor is the newest. */
static void hold(msi_queue_consumer *consumer, msi_message *message)
{
    msi_message *oldest = consumer->oldest;
    consumer->unsettled++;
    if (!oldest) {
        consumer->oldest = message->holder_previous = message->holder_next = message;
        return;
    }
    message->holder_next = oldest;
    message->holder_previous = oldest->holder_previous;
    message->holder_previous->holder_next = message;
    oldest->holder_previous = message;
}

static void let_go(msi_queue_consumer *consumer, msi_message *message)
{
    consumer->unsettled--;
    if (consumer->oldest == message)
        consumer->oldest = message->holder_next == message ? NULL : message->holder_next;
    message->holder_previous->holder_next = message->holder_next;
    message->holder_next->holder_previous = message->holder_previous;
}

void msi_message_hand_out(msi_queue *queue, msi_message *message, msi_queue_consumer *consumer, uint64_t delivery)
{
    message->state = MSI_UNSETTLED;
    message->consumer = consumer;
    message->delivery.id = delivery;
    queue->box[message->dead].unsettled++;
    begin_ack_wait(queue, message);
    hold(consumer, message);
    (void)msi_idmap_add(&queue->deliveries, &message->delivery); /* msi_queue_new() has seen to its table */
}

void msi_message_extend(msi_queue *queue, msi_message *message)
{
    cut(&queue->unsettled, message);
    begin_ack_wait(queue, message);
}

void msi_message_detach(msi_queue *queue, msi_message *message)
{
    msi_box *box = &queue->box[message->dead];
    if (message->timed)
        msi_order_remove(&queue->timers, &message->timer);
    message->timed = false;
    switch (message->state) {
    case MSI_FRESH:
        cut(&box->fresh, message);
        break;
    case MSI_RETURNED:
        msi_order_remove(&box->returned, &message->place);
        break;
    case MSI_DELAYED:
        box->delayed--;
        return;
    default:
        box->unsettled--;
        cut(&queue->unsettled, message);
        let_go(message->consumer, message);
        msi_idmap_remove(&queue->deliveries, &message->delivery);
        return;
    }
    box->ready--;
    box->ready_bytes -= message->event->size;
}
