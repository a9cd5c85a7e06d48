/* SPDX-License-Identifier: MIT */
/*
 * Which deliveries a consumer has: the unsettled messages, hashed by consumer into rings, of which there are the more the more messages there
 * are. So that nothing need be allocated to hand a message out: without memory the rings get longer.
 */
#include "bus/queue_internal.h"

#include <stdlib.h>

#define RING_MESSAGES 64u /* on average; then there are to be more rings */
#define RINGS_MAX 65536u

static msi_message **ring_of(const msi_queue *queue, const void *consumer)
{
    if (!queue->holders)
        return (msi_message **)(uintptr_t)&queue->one_holder;
    uint64_t hash = (uint64_t)(uintptr_t)consumer * 0x9e3779b97f4a7c15u;
    return &queue->holders[(hash >> 32) & (queue->holder_size - 1)];
}

/* At the end: the first one's predecessor is the last. */
static void append(msi_message **ring, msi_message *message)
{
    msi_message *first = *ring;
    if (!first) {
        message->holder_previous = message->holder_next = message;
        *ring = message;
        return;
    }
    message->holder_next = first;
    message->holder_previous = first->holder_previous;
    message->holder_previous->holder_next = message;
    first->holder_previous = message;
}

static msi_message *take_first(msi_message **ring)
{
    msi_message *first = *ring;
    *ring = first->holder_next == first ? NULL : first->holder_next;
    first->holder_previous->holder_next = first->holder_next;
    first->holder_next->holder_previous = first->holder_previous;
    return first;
}

/* Each old ring is dealt out in its order, and no two old ones meet in a new one: so each consumer's order remains. */
static void grow(msi_queue *queue)
{
    size_t old_size = queue->holders ? queue->holder_size : 1;
    msi_message **old = queue->holders ? queue->holders : &queue->one_holder;
    msi_message **rings = calloc(old_size * 2, sizeof(*rings));
    if (!rings)
        return;
    bool allocated = queue->holders != NULL;
    queue->holders = rings;
    queue->holder_size = old_size * 2;
    for (size_t i = 0; i < old_size; i++) {
        while (old[i]) {
            msi_message *message = take_first(&old[i]);
            append(ring_of(queue, message->consumer), message);
        }
    }
    if (allocated)
        free(old);
}

void msi_holder_add(msi_queue *queue, msi_message *message)
{
    size_t rings = queue->holders ? queue->holder_size : 1;
    if (queue->deliveries.count >= rings * RING_MESSAGES && rings < RINGS_MAX)
        grow(queue);
    append(ring_of(queue, message->consumer), message);
}

void msi_holder_remove(msi_queue *queue, msi_message *message)
{
    msi_message **ring = ring_of(queue, message->consumer);
    if (*ring == message) {
        (void)take_first(ring);
        return;
    }
    message->holder_previous->holder_next = message->holder_next;
    message->holder_next->holder_previous = message->holder_previous;
}

msi_message *msi_holder_next(const msi_queue *queue, const void *consumer, const msi_message *after)
{
    msi_message *first = *ring_of(queue, consumer);
    msi_message *message = after ? after->holder_next : first;
    if (!message || (after && message == first))
        return NULL;
    while (message->consumer != consumer) {
        message = message->holder_next;
        if (message == first)
            return NULL;
    }
    return message;
}
