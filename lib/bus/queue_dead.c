/* SPDX-License-Identifier: MIT */
/* How a message dies, and what becomes of dead letters. */
#include "bus/queue_internal.h"

#include <stdlib.h>
#include <string.h>

/* What is kept of a text: all of it, or what is whole of its beginning. NULL without memory. */
static char *kept(const char *text)
{
    size_t size = strnlen(text, MSI_QUEUE_ERROR_MAX + 1);
    if (size > MSI_QUEUE_ERROR_MAX) {
        size = MSI_QUEUE_ERROR_MAX;
        while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
            size--;
    }
    char *copy = malloc(size + 1);
    if (copy) {
        memcpy(copy, text, size);
        copy[size] = 0;
    }
    return copy;
}

void msi_message_said(msi_message *message, const char *reason)
{
    if (!reason || !*reason)
        return;
    char *text = kept(reason);
    if (!text)
        return;
    if (!message->first_error) {
        message->first_error = text;
        return;
    }
    free(message->last_error);
    message->last_error = text;
}

static void drop(msi_queue *queue, msi_message *message, const char *reason)
{
    queue->info.dropped++;
    if (queue->lost)
        queue->lost(queue, message->event, reason, queue->ctx);
    msi_message_free(queue, message);
}

void msi_message_die(msi_queue *queue, msi_message *message, const char *reason)
{
    msi_message_leave(queue, message);
    if (queue->settings.no_dead_letters) {
        drop(queue, message, reason);
        return;
    }
    message->reason = reason;
    message->died = queue->now;
    message->expires = 0;
    message->dead_count = 0;
    message->deaths++;
    msi_message_enter(queue, message, true);
    msi_message_fresh(queue, message);
    msi_dead_trim(queue);
}

/* Those that are with a consumer, or wait for their time, are spared as in any queue; then there are too many until they come back. */
void msi_dead_trim(msi_queue *queue)
{
    msi_box *box = &queue->box[true];
    const msi_queue_settings *settings = &queue->settings;
    while ((box->count > settings->max_dead_letters || box->bytes > settings->max_bytes) && box->ready > 0) {
        msi_message *message = msi_box_first(box);
        msi_message_detach(queue, message);
        msi_message_leave(queue, message);
        drop(queue, message, "dead-letters-full");
    }
}

/* Back into the queue, as if it were new, but for its history. */
static bool revive(msi_queue *queue, msi_message *message)
{
    if (!msi_queue_fits(queue, message->event->size, false))
        return false;
    msi_message_detach(queue, message);
    msi_message_leave(queue, message);
    message->count = 0;
    message->reason = NULL;
    message->expires = message->ttl_ns ? msi_later(queue->now, message->ttl_ns) : 0;
    msi_message_enter(queue, message, false);
    msi_message_fresh(queue, message);
    return true;
}

static msgsrv_status revive_all(msi_queue *queue, uint64_t *count)
{
    for (msi_message *message = queue->box[true].oldest, *newer; message; message = newer) {
        newer = message->newer;
        if (message->state == MSI_UNSETTLED)
            continue;
        if (!revive(queue, message))
            return MSGSRV_RESOURCE_EXHAUSTED;
        ++*count;
    }
    return MSGSRV_OK;
}

static msgsrv_status revive_one(msi_queue *queue, uint64_t id, uint64_t *count)
{
    msi_idnode *node = msi_idmap_find(&queue->letters, id);
    msi_message *message = node ? MSI_CONTAINER(node, msi_message, letter) : NULL;
    if (!message || message->state == MSI_UNSETTLED)
        return MSGSRV_NOT_FOUND;
    if (!revive(queue, message))
        return MSGSRV_RESOURCE_EXHAUSTED;
    ++*count;
    return MSGSRV_OK;
}

msgsrv_status msi_queue_retry(msi_queue *queue, uint64_t now, uint64_t id, uint64_t *count)
{
    uint64_t done = 0;
    msi_queue_advance(queue, now);
    msgsrv_status status = id ? revive_one(queue, id, &done) : revive_all(queue, &done);
    if (count)
        *count = done;
    msi_queue_tell(queue);
    return status;
}

uint64_t msi_queue_purge(msi_queue *queue, bool dead, uint64_t now)
{
    uint64_t count = 0;
    msi_queue_advance(queue, now);
    for (msi_message *message = queue->box[dead].oldest, *newer; message; message = newer) {
        newer = message->newer;
        if (message->state == MSI_UNSETTLED)
            continue;
        msi_message_detach(queue, message);
        msi_message_leave(queue, message);
        msi_message_free(queue, message);
        count++;
    }
    return count;
}

void msi_queue_bound_dead(msi_queue *queue, uint64_t now, uint32_t max_dead_letters)
{
    msi_queue_advance(queue, now);
    queue->settings.max_dead_letters = max_dead_letters;
    msi_dead_trim(queue);
}
