/* SPDX-License-Identifier: MIT */
/* Looking at a queue. */
#include "bus/queue_internal.h"

/*
 * The oldest one with an id above `after`. Whoever shows a queue page by page goes on where the last page ended, so that place is remembered: else
 * each page would walk over all before it.
 */
static msi_message *first_after(const msi_box *box, uint64_t after)
{
    msi_message *message = box->shown;
    if (message && message->letter.id > after && (!message->older || message->older->letter.id <= after))
        return message;
    if (!box->newest || box->newest->letter.id <= after)
        return NULL;
    if (!message || message->letter.id > after)
        message = box->oldest;
    while (message->letter.id <= after)
        message = message->newer;
    return message;
}

/* A moment in microseconds since 1970; 0 stays 0. */
static uint64_t wall(const msi_queue *queue, uint64_t wall_us, uint64_t moment)
{
    if (moment == 0)
        return 0;
    if (moment >= queue->now)
        return msi_later(wall_us, (moment - queue->now) / 1000);
    uint64_t ago = (queue->now - moment) / 1000;
    return ago < wall_us ? wall_us - ago : 1;
}

static bool show(const msi_queue *queue, const msi_message *message, uint64_t wall_us, msgsrv_queued_fn fn, void *ctx)
{
    msgsrv_event event;
    const char *first = message->first_error ? message->first_error : "";
    (void)msi_event_encode(message->event); /* without memory it is shown without payload */
    msi_event_view(message->event, false, &event);
    const msgsrv_queued queued = {
        .event = &event,
        .id = message->letter.id,
        .count = message->count,
        .unsettled = message->state == MSI_UNSETTLED,
        .not_before_us = message->state == MSI_DELAYED ? wall(queue, wall_us, message->not_before) : 0,
        .expires_us = wall(queue, wall_us, message->expires),
        .reason = message->reason ? message->reason : "",
        .first_error = first,
        .last_error = message->last_error ? message->last_error : first,
        .died_us = message->dead ? wall(queue, wall_us, message->died) : 0,
        .deaths = message->deaths,
    };
    return fn(&queued, ctx);
}

void msi_queue_peek(msi_queue *queue, bool dead, uint64_t now, uint64_t wall_us, uint64_t after, uint32_t max,
                    msgsrv_queued_fn fn, void *ctx)
{
    msi_queue_advance(queue, now);
    msi_message *message = first_after(&queue->box[dead], after);
    bool more = true;
    for (uint32_t i = 0; more && message && i < max; i++) {
        more = show(queue, message, wall_us, fn, ctx);
        queue->box[dead].shown = message; /* the last one: perhaps it was not wanted yet */
        message = message->newer;
    }
}

void msi_queue_info_get(msi_queue *queue, uint64_t now, msgsrv_queue_info *info)
{
    msi_queue_advance(queue, now);
    *info = queue->info;
    info->name = queue->name;
    info->messages = queue->box[false].count;
    info->bytes = queue->box[false].bytes;
    info->unsettled = queue->box[false].unsettled;
    info->delayed = queue->box[false].delayed;
    info->dead = queue->box[true].count;
}
