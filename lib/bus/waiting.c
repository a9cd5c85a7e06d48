/* SPDX-License-Identifier: MIT */
#include "bus/waiting.h"

#include <stdlib.h>

#define FIRST_ROOM 16u

void msi_waiting_init(msi_waiting *waiting, uint32_t max_events, uint64_t max_bytes, msgsrv_bus_policy policy)
{
    *waiting = (msi_waiting){.max_events = max_events, .max_bytes = max_bytes, .policy = policy};
}

static msi_waiting_item *at(const msi_waiting *waiting, uint64_t place)
{
    return &waiting->items[place & (waiting->room - 1)];
}

static void drop_item(msi_waiting_item *item)
{
    if (!item->what)
        return;
    if (item->is_gap)
        msi_gap_free(item->what);
    else
        msi_event_unref(item->what);
}

void msi_waiting_release(msi_waiting *waiting)
{
    for (uint64_t place = waiting->head; place != waiting->tail; place++)
        drop_item(at(waiting, place));
    free(waiting->items);
    waiting->items = NULL;
    waiting->room = 0;
    waiting->head = waiting->tail = 0;
    waiting->events = 0;
    waiting->bytes = 0;
}

/* Closes the holes that LATEST leaves, so that the ring stays as small as what is in it. Places change: hints are looked at before use. */
static void compact(msi_waiting *waiting)
{
    uint64_t to = waiting->head;
    for (uint64_t place = waiting->head; place != waiting->tail; place++) {
        if (at(waiting, place)->what)
            *at(waiting, to++) = *at(waiting, place);
    }
    waiting->tail = to;
}

static bool grow(msi_waiting *waiting)
{
    uint64_t used = waiting->tail - waiting->head;
    if (used > 2 * (uint64_t)waiting->events + FIRST_ROOM) {
        compact(waiting);
        if (waiting->tail - waiting->head <= waiting->room / 2)
            return true; /* else they were gaps more than holes */
    }
    size_t room = waiting->room ? waiting->room * 2 : FIRST_ROOM;
    msi_waiting_item *items = malloc(room * sizeof *items);
    if (!items)
        return false;
    for (uint64_t place = waiting->head; place != waiting->tail; place++)
        items[place & (room - 1)] = *at(waiting, place);
    free(waiting->items);
    waiting->items = items;
    waiting->room = room;
    return true;
}

static inline bool make_room(msi_waiting *waiting)
{
    return waiting->tail - waiting->head < waiting->room || grow(waiting);
}

static void count_in(msi_waiting *waiting, const msi_waiting_item *item)
{
    if (item->is_gap)
        return;
    waiting->events++;
    waiting->bytes += ((const msi_event *)item->what)->size;
}

static void count_out(msi_waiting *waiting, const msi_waiting_item *item)
{
    if (item->is_gap)
        return;
    waiting->events--;
    waiting->bytes -= ((const msi_event *)item->what)->size;
}

bool msi_waiting_append(msi_waiting *waiting, const msi_waiting_item *item)
{
    if (!make_room(waiting))
        return false;
    *at(waiting, waiting->tail++) = *item;
    count_in(waiting, item);
    return true;
}

bool msi_waiting_prepend(msi_waiting *waiting, const msi_waiting_item *item)
{
    if (!make_room(waiting))
        return false;
    *at(waiting, --waiting->head) = *item;
    count_in(waiting, item);
    return true;
}

bool msi_waiting_pop_slow(msi_waiting *waiting, msi_waiting_item *item)
{
    while (waiting->head != waiting->tail) {
        *item = *at(waiting, waiting->head++);
        if (item->what) {
            count_out(waiting, item);
            return true;
        }
    }
    if (!waiting->untold)
        return false;
    /* What could not be told before for want of memory. */
    msi_gap *gap = msi_gap_new(MSGSRV_GAP_ENGINE);
    if (!gap)
        return false;
    gap->total = waiting->untold;
    gap->unknown = true;
    waiting->untold = 0;
    *item = (msi_waiting_item){.what = gap, .is_gap = true};
    return true;
}

static msi_gap *gap_of(msi_waiting_item *item, msgsrv_gap_reason reason)
{
    msi_gap *gap = item->is_gap ? item->what : NULL;
    return gap && gap->reason == reason ? gap : NULL;
}

/* An event is lost, and with it those that it stood for, which were counted when it replaced them. */
static void count_lost(msi_waiting *waiting, msi_event *event, uint32_t replaced, msi_gap *gap)
{
    waiting->lost++;
    event->name->lost++;
    if (!gap)
        waiting->untold += replaced + 1ull;
    else if (replaced)
        msi_gap_add_range(gap, event->name, event->sequence - replaced, event->sequence, replaced + 1ull);
    else
        msi_gap_add(gap, event->name, event->sequence);
}

msi_gap *msi_waiting_tail_gap(msi_waiting *waiting, msgsrv_gap_reason reason)
{
    msi_gap *gap = waiting->tail != waiting->head ? gap_of(at(waiting, waiting->tail - 1), reason) : NULL;
    if (gap)
        return gap;
    gap = msi_gap_new(reason);
    if (gap && !msi_waiting_append(waiting, &(msi_waiting_item){.what = gap, .is_gap = true})) {
        msi_gap_free(gap);
        gap = NULL;
    }
    return gap;
}

void msi_waiting_lose(msi_waiting *waiting, msgsrv_gap_reason reason, msi_event *event)
{
    count_lost(waiting, event, 0, msi_waiting_tail_gap(waiting, reason));
}

msi_gap *msi_waiting_take_last_gap(msi_waiting *waiting)
{
    if (waiting->head == waiting->tail || !at(waiting, waiting->tail - 1)->is_gap)
        return NULL;
    return at(waiting, --waiting->tail)->what;
}

/* Moves what stands before a place up to it, so that no holes are left in front: the next search begins at the head. */
static void close_up(msi_waiting *waiting, uint64_t place)
{
    uint64_t to = place;
    for (uint64_t from = place; from != waiting->head;) {
        msi_waiting_item item = *at(waiting, --from);
        if (!item.what)
            continue;
        at(waiting, from)->what = NULL;
        *at(waiting, --to) = item;
    }
    waiting->head = to;
}

/* The gap at a place has become the neighbour of one behind it. */
static void merge_behind(msi_waiting *waiting, msi_gap *gap, uint64_t place)
{
    while (place != waiting->tail && !at(waiting, place)->what)
        place++;
    msi_gap *behind = place != waiting->tail ? gap_of(at(waiting, place), gap->reason) : NULL;
    if (!behind)
        return;
    msi_gap_merge(gap, behind);
    msi_gap_free(behind);
    at(waiting, place)->what = NULL;
}

/* The oldest event goes, and a gap takes its place at the head. There is one. */
static void lose_oldest(msi_waiting *waiting)
{
    msi_gap *gap = NULL;
    uint64_t place = waiting->head;
    for (;; place++) {
        msi_waiting_item *item = at(waiting, place);
        if (item->what && !item->is_gap)
            break;
        if (item->what)
            gap = gap_of(item, MSGSRV_GAP_SLOW);
    }
    msi_waiting_item *gone = at(waiting, place);
    msi_event *event = gone->what;
    uint32_t replaced = gone->replaced;
    count_out(waiting, gone);
    gone->what = NULL;
    uint64_t behind = place + 1;
    if (!gap && (gap = msi_gap_new(MSGSRV_GAP_SLOW)) != NULL)
        *gone = (msi_waiting_item){.what = gap, .is_gap = true};
    else
        place++;
    count_lost(waiting, event, replaced, gap);
    msi_event_unref(event);
    close_up(waiting, place);
    if (gap)
        merge_behind(waiting, gap, behind);
}

/* The place of the last waiting event of a topic; `waiting->tail` when there is none. */
static uint64_t last_of(const msi_waiting *waiting, const msi_topic_name *name, uint64_t hint)
{
    if (hint - waiting->head < waiting->tail - waiting->head) {
        const msi_waiting_item *item = at(waiting, hint);
        const msi_event *event = item->is_gap ? NULL : item->what;
        if (event && event->name == name)
            return hint;
    }
    for (uint64_t place = waiting->tail; place-- != waiting->head;) {
        const msi_waiting_item *item = at(waiting, place);
        const msi_event *event = item->is_gap ? NULL : item->what;
        if (event && event->name == name)
            return place;
    }
    return waiting->tail;
}

static bool is_full(const msi_waiting *waiting, const msi_event *event)
{
    return waiting->events >= waiting->max_events ||
           (waiting->events && waiting->bytes + event->size > waiting->max_bytes);
}

static msi_pushed push(msi_waiting *waiting, msi_event *event, uint32_t replaced, uint64_t *hint)
{
    msi_waiting_item item = {.what = event, .replaced = replaced};
    if (!msi_waiting_append(waiting, &item)) {
        msi_waiting_lose(waiting, MSGSRV_GAP_ENGINE, event);
        return MSI_PUSHED_FULL;
    }
    msi_event_ref(event);
    *hint = waiting->tail - 1;
    return replaced ? MSI_PUSHED_FULL : MSI_PUSHED;
}

static msi_pushed replace(msi_waiting *waiting, uint64_t place, msi_event *event, uint64_t *hint)
{
    msi_waiting_item old = *at(waiting, place);
    msi_event *gone = old.what;
    count_out(waiting, &old);
    at(waiting, place)->what = NULL;
    while (waiting->head != waiting->tail && !at(waiting, waiting->head)->what)
        waiting->head++;
    uint32_t replaced = old.replaced < UINT32_MAX ? old.replaced + 1 : UINT32_MAX;
    waiting->lost++;
    gone->name->lost++;
    msi_event_unref(gone);
    while (waiting->events && is_full(waiting, event))
        lose_oldest(waiting);
    return push(waiting, event, replaced, hint);
}

msi_pushed msi_waiting_push_slow(msi_waiting *waiting, msi_event *event, uint64_t *hint)
{
    if (!is_full(waiting, event))
        return push(waiting, event, 0, hint);
    switch (waiting->policy) {
    case MSGSRV_DROP_NEWEST:
        msi_waiting_lose(waiting, MSGSRV_GAP_SLOW, event);
        return MSI_PUSHED_FULL;
    case MSGSRV_DISCONNECT:
        msi_waiting_lose(waiting, MSGSRV_GAP_SLOW, event);
        return MSI_PUSHED_END;
    case MSGSRV_LATEST: {
        uint64_t place = last_of(waiting, event->name, *hint);
        if (place != waiting->tail)
            return replace(waiting, place, event, hint);
        break;
    }
    case MSGSRV_DROP_OLDEST:
        break;
    }
    while (waiting->events && is_full(waiting, event))
        lose_oldest(waiting);
    (void)push(waiting, event, 0, hint);
    return MSI_PUSHED_FULL;
}
