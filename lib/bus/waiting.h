/* SPDX-License-Identifier: MIT */
/*
 * What waits for one subscription, or for a group: events and gaps in their order, bounded, with a policy for when it is full. With the
 * bus's lock.
 */
#ifndef MSI_BUS_WAITING_H
#define MSI_BUS_WAITING_H

#include "bus/gap.h"

typedef struct msi_waiting_item {
    void *what; /* msi_event, msi_gap; NULL: it was taken out of the middle */
    uint32_t replaced;
    bool is_gap;
    bool redelivered;
    bool retained;
} msi_waiting_item;

typedef struct msi_waiting {
    msi_waiting_item *items; /* a ring of a power of two */
    size_t room;
    uint64_t head; /* places count for ever; the ring's are these modulo its room */
    uint64_t tail;
    uint32_t events; /* without gaps and holes */
    uint64_t bytes;  /* of events */
    uint32_t max_events;
    uint64_t max_bytes;
    msgsrv_bus_policy policy;
    uint64_t lost;   /* events, ever */
    uint64_t untold; /* of them, those for which there was no memory to tell them */
} msi_waiting;

typedef enum msi_pushed {
    MSI_PUSHED,      /* it waits */
    MSI_PUSHED_FULL, /* it waits, or not; something was lost, and a gap tells it or replaced counts it */
    MSI_PUSHED_END   /* policy DISCONNECT: it was not taken, and the gap of what is lost is the last item */
} msi_pushed;

void msi_waiting_init(msi_waiting *waiting, uint32_t max_events, uint64_t max_bytes, msgsrv_bus_policy policy);
void msi_waiting_release(msi_waiting *waiting);

static inline bool msi_waiting_empty(const msi_waiting *waiting)
{
    return waiting->head == waiting->tail && !waiting->untold;
}

/* An event has come: takes a reference if it is to wait. `hint`: where the last event of its topic was pushed; see LATEST. */
msi_pushed msi_waiting_push_slow(msi_waiting *waiting, msi_event *event, uint64_t *hint);
static inline msi_pushed msi_waiting_push(msi_waiting *waiting, msi_event *event, uint64_t *hint)
{
    bool fits = waiting->events < waiting->max_events && waiting->bytes + event->size <= waiting->max_bytes &&
                waiting->tail - waiting->head < waiting->room;
    if (__builtin_expect(!fits, 0))
        return msi_waiting_push_slow(waiting, event, hint);
    waiting->items[waiting->tail & (waiting->room - 1)] = (msi_waiting_item){.what = msi_event_ref(event)};
    waiting->events++;
    waiting->bytes += event->size;
    *hint = waiting->tail++;
    return MSI_PUSHED;
}

/* Puts an item behind all others, or in front of them, without looking at bounds; the item's reference goes with it. false without memory. */
bool msi_waiting_append(msi_waiting *waiting, const msi_waiting_item *item);
bool msi_waiting_prepend(msi_waiting *waiting, const msi_waiting_item *item);

/* The first item, whose reference is then the caller's. false: there is none. */
bool msi_waiting_pop_slow(msi_waiting *waiting, msi_waiting_item *item);
static inline bool msi_waiting_pop(msi_waiting *waiting, msi_waiting_item *item)
{
    if (waiting->head == waiting->tail)
        return waiting->untold && msi_waiting_pop_slow(waiting, item);
    const msi_waiting_item *first = &waiting->items[waiting->head & (waiting->room - 1)];
    if (!first->what || first->is_gap)
        return msi_waiting_pop_slow(waiting, item);
    *item = *first;
    waiting->head++;
    waiting->events--;
    waiting->bytes -= ((const msi_event *)item->what)->size;
    return true;
}

/* The gap that is the last item, taken out; NULL: it is not one. */
msi_gap *msi_waiting_take_last_gap(msi_waiting *waiting);

/* The gap of this reason at the tail, made if there is none; NULL without memory. */
msi_gap *msi_waiting_tail_gap(msi_waiting *waiting, msgsrv_gap_reason reason);

/* An event is lost: told by the gap at the tail. */
void msi_waiting_lose(msi_waiting *waiting, msgsrv_gap_reason reason, msi_event *event);

#endif
