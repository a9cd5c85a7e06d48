/* SPDX-License-Identifier: MIT */
/* Subscriptions: subscribing, taking, ending. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/core_internal.h"

#define FIRST_GIVEN 64u
#define ALL_TOPICS ">"

/* ---- waking and ending ---- */

void msi_sub_wake(msi_sub *sub)
{
    if (!sub->armed)
        return;
    sub->armed = false;
    sub->ready(sub, sub->ctx);
}

void msi_sub_end(msi_sub *sub, msgsrv_status status, msi_gap *gap, const char *format, ...)
{
    if (sub->ended) {
        msi_gap_free(gap);
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(sub->end_text, format, arguments);
    va_end(arguments);
    sub->ended = true;
    sub->end_status = status;
    sub->end_gap = gap;
    sub->core->generation++; /* it gets nothing any more */
    msi_sub_wake(sub);
}

/* The first loss is logged, and then each time that there are twice as many. */
static void log_lost(msi_sub *sub)
{
    uint64_t lost = sub->waiting.lost;
    if ((lost & (lost - 1)) == 0)
        msi_core_log(sub->core, "the subscription %s of %s%s%s has lost %llu events: it is slow",
                     (const char *)sub->bound.pattern.data, sub->name[0] ? sub->name : "(no name)",
                     sub->peer[0] ? " at " : "", sub->peer, (unsigned long long)lost);
}

void msi_sub_push(msi_sub *sub, msi_event *event, uint64_t *hint)
{
    if (sub->ended)
        return;
    msi_pushed pushed = msi_waiting_push(&sub->waiting, event, hint);
    if (__builtin_expect(pushed != MSI_PUSHED, 0)) {
        log_lost(sub);
        if (pushed == MSI_PUSHED_END) {
            msi_sub_end(sub, MSGSRV_RESOURCE_EXHAUSTED, msi_waiting_take_last_gap(&sub->waiting),
                        "the subscription was too slow: %u events of %llu bytes wait", sub->waiting.events,
                        (unsigned long long)sub->waiting.bytes);
            return;
        }
    }
    msi_sub_wake(sub);
}

/* ---- subscribing ---- */

static msgsrv_status check_bounds(const msi_sub_spec *spec, msgsrv_error *error)
{
    if (spec->max_events > MSI_SUB_EVENTS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "max_events is %u; it may be 1 to %u", spec->max_events,
                         MSI_SUB_EVENTS_MAX);
    if (spec->max_bytes && spec->max_bytes < MSI_SUB_BYTES_MIN)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "max_bytes is %u; it may be %u or more", spec->max_bytes,
                         MSI_SUB_BYTES_MIN);
    if ((unsigned)spec->policy > MSGSRV_DISCONNECT)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%u is not a policy", (unsigned)spec->policy);
    return msi_check_responder(spec->responder, spec->group.size != 0, error);
}

static msgsrv_status check_spec(const msi_sub_spec *spec, msgsrv_error *error)
{
    char wrong[MSGSRV_ERROR_TEXT];
    if (spec->pattern.size && !msi_pattern_valid(spec->pattern, wrong, sizeof wrong))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the pattern \"%.*s\" %s",
                         (int)(spec->pattern.size < MSI_TOPIC_MAX ? spec->pattern.size : MSI_TOPIC_MAX),
                         (const char *)spec->pattern.data, wrong);
    msgsrv_status status = spec->type.size ? msi_check_type_name(spec->type, error) : MSGSRV_OK;
    if (status == MSGSRV_OK && spec->group.size)
        status = msi_check_group(spec->group, error);
    if (status == MSGSRV_OK)
        status = check_bounds(spec, error);
    return status;
}

static char *put_text(char **at, msi_view text)
{
    char *begin = *at;
    if (text.size)
        memcpy(begin, text.data, text.size);
    begin[text.size] = 0;
    *at = begin + text.size + 1;
    return begin;
}

static msi_sub *sub_new(msi_core *core, const msi_sub_spec *spec)
{
    msi_view pattern = spec->pattern.size ? spec->pattern : msi_view_of(ALL_TOPICS);
    msi_view name = msi_view_of(spec->name);
    msi_view peer = msi_view_of(spec->peer);
    size_t text = pattern.size + spec->type.size + spec->group.size + name.size + peer.size + 5;
    msi_sub *sub = calloc(1, sizeof *sub + text);
    if (!sub)
        return NULL;
    sub->given = malloc(FIRST_GIVEN * sizeof *sub->given);
    if (!sub->given) {
        free(sub);
        return NULL;
    }
    sub->given_room = FIRST_GIVEN;
    char *at = sub->text;
    sub->bound = (binding){.kind = BINDS_SUB, .pattern = {(uint8_t *)put_text(&at, pattern), pattern.size}, .of = sub};
    sub->type = (msi_view){(uint8_t *)put_text(&at, spec->type), spec->type.size};
    sub->group_name = put_text(&at, spec->group);
    sub->name = put_text(&at, name);
    sub->peer = put_text(&at, peer);
    sub->responder = spec->responder;
    sub->wants_bytes = spec->wants_bytes;
    sub->struct_type = spec->struct_type;
    sub->ready = spec->ready;
    sub->ctx = spec->ctx;
    sub->core = core;
    LIST_INIT(&sub->requests);
    msi_waiting_init(&sub->waiting, spec->max_events ? spec->max_events : MSI_SUB_EVENTS,
                     spec->max_bytes ? spec->max_bytes : MSI_SUB_BYTES, spec->policy);
    return sub;
}

static void sub_free(msi_sub *sub)
{
    msi_late_free(sub);
    msi_waiting_release(&sub->waiting);
    msi_gap_free(sub->end_gap);
    free(sub->given);
    free(sub->dealt);
    free(sub);
}

/* An exact topic that is bound to another type will never have anything for it. */
static msgsrv_status check_bound(msi_core *core, const msi_sub *sub, msgsrv_error *error)
{
    if (!sub->type.size || !msi_pattern_exact(sub->bound.pattern))
        return MSGSRV_OK;
    msi_topics_sweep(core, msi_now()); /* perhaps nobody misses what it is bound to */
    const topic *on = msi_topic_find(core, sub->bound.pattern);
    if (!on || !on->name->type_size || msi_view_equal(sub->type, msi_view_of(on->name->type)))
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the topic %s is bound to the type %s, not to %s",
                     on->name->topic, on->name->type, (const char *)sub->type.data);
}

static msgsrv_status join(msi_sub *sub, const msi_sub_spec *spec, msgsrv_error *error)
{
    msi_core *core = sub->core;
    if (core->sub_count + core->taker_count >= core->limits.max_subscriptions)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "the bus has %u subscriptions and consumers, which is its limit (max_subscriptions)",
                         core->limits.max_subscriptions);
    msgsrv_status status = check_bound(core, sub, error);
    if (status == MSGSRV_OK && spec->group.size)
        return msi_group_join(sub, spec, error);
    if (status == MSGSRV_OK && !spec->responder)
        status = msi_late_begin(sub, spec, error);
    if (status == MSGSRV_OK)
        status = msi_matcher_add(core->matcher, sub->bound.pattern, &sub->bound.entry, error);
    return status;
}

msgsrv_status msi_core_subscribe(msi_core *core, const msi_sub_spec *spec, msi_sub **out, msgsrv_error *error)
{
    msgsrv_status status = check_spec(spec, error);
    if (status != MSGSRV_OK)
        return status;
    msi_sub *sub = sub_new(core, spec);
    if (!sub)
        return msi_error_memory(error);
    msi_core_lock(core);
    status = join(sub, spec, error);
    if (status == MSGSRV_OK) {
        msi_core_ref(core);
        LIST_INSERT_HEAD(&core->subs, sub, all);
        core->sub_count++;
        core->generation++;
        *out = sub;
        sub->armed = true;
        if (sub->late || !msi_waiting_empty(&sub->waiting) || sub->dealt_tail != sub->dealt_taken)
            msi_sub_wake(sub);
    } else {
        sub_free(sub);
    }
    msi_core_unlock(core);
    return status;
}

/* What a group's member was given goes to others, or nowhere; its events live as long as the member has references of its own. */
static void keep_given(msi_sub *sub)
{
    sub->given_count = 0;
    for (uint64_t place = sub->dealt_head; place != sub->dealt_taken && sub->given_count < sub->given_room; place++) {
        const msi_waiting_item *item = &sub->dealt[place & (sub->dealt_room - 1)];
        if (!item->is_gap)
            sub->given[sub->given_count++] = (msi_waiting_item){.what = msi_event_ref(item->what)};
    }
}

void msi_sub_leave(msi_sub *sub)
{
    if (!sub)
        return;
    msi_core *core = sub->core;
    msi_core_lock(core);
    sub->armed = false;
    sub->ended = true;
    LIST_REMOVE(sub, all);
    core->sub_count--;
    core->generation++;
    msi_requests_of_gone(sub);
    if (sub->group) {
        keep_given(sub);
        msi_group_leave(sub);
    } else {
        msi_matcher_remove(core->matcher, &sub->bound.entry);
    }
    msi_late_free(sub); /* what it has lost counts as well */
    core->lost += sub->waiting.lost;
    msi_core_unlock(core);
}

/* ---- taking ---- */

static void give_back(msi_sub *sub)
{
    if (!sub->group) { /* a group's are given back when they are got */
        for (size_t i = 0; i < sub->given_count; i++) {
            msi_waiting_item *item = &sub->given[i];
            if (item->is_gap)
                msi_gap_free(item->what);
            else
                msi_event_unref(item->what);
        }
    }
    sub->given_count = 0;
}

void msi_sub_free(msi_sub *sub)
{
    if (!sub)
        return;
    msi_core *core = sub->core;
    msi_core_lock(core);
    give_back(sub);
    sub_free(sub);
    msi_core_unlock(core);
    msi_core_unref(core);
}

void msi_sub_close(msi_sub *sub)
{
    msi_sub_leave(sub);
    msi_sub_free(sub);
}

void msi_sub_release(msi_sub *sub)
{
    if (!sub->given_count)
        return;
    msi_core_lock(sub->core);
    give_back(sub);
    msi_core_unlock(sub->core);
}

/* Room for what one take gives; less than that when memory is short. */
static size_t given_room(msi_sub *sub, size_t max)
{
    if (max <= sub->given_room)
        return max;
    msi_waiting_item *given = realloc(sub->given, max * sizeof *given);
    if (!given)
        return sub->given_room;
    sub->given = given;
    sub->given_room = max;
    return max;
}

/* Whether an event has the form in which the taker wants it. */
static inline bool is_prepared(const msi_sub *sub, const msi_event *event)
{
    return !sub->struct_type && (!sub->wants_bytes || event->wire.data);
}

/* Brings it into that form. false: it has become a gap. */
static bool prepare(msi_sub *sub, msi_waiting_item *item)
{
    msi_event *event = item->what;
    msgsrv_error why;
    msgsrv_status status = MSGSRV_OK;
    why.text[0] = 0; /* all of it would be cleared for each event */
    if ((sub->wants_bytes || (sub->struct_type && event->struct_type && event->struct_type != sub->struct_type)) &&
        !event->wire.data)
        status = msi_event_encode(event) ? MSGSRV_OK : MSGSRV_RESOURCE_EXHAUSTED;
    if (status == MSGSRV_OK && sub->struct_type)
        status = msi_event_decode(event, sub->struct_type, &why);
    if (status == MSGSRV_OK || status == MSGSRV_FAILED_PRECONDITION)
        return true;
    msgsrv_gap_reason reason = status == MSGSRV_INVALID_ARGUMENT ? MSGSRV_GAP_UNDECODABLE : MSGSRV_GAP_ENGINE;
    msi_core_log(sub->core, "an event of the topic %s does not decode as %s: %s", event->name->topic, event->name->type,
                 why.text);
    sub->waiting.lost++;
    event->name->lost++;
    msi_gap *gap = msi_gap_new(reason);
    if (gap)
        msi_gap_add(gap, event->name, event->sequence);
    else
        (sub->group ? &sub->group->waiting : &sub->waiting)->untold++;
    msi_event_unref(event);
    item->what = gap;
    item->is_gap = true;
    return false;
}

static bool pop(msi_sub *sub, msi_waiting_item *item, uint64_t *ticket)
{
    *ticket = 0;
    if (sub->group)
        return msi_group_pop(sub, item, ticket);
    return (sub->late && msi_late_pop(sub, item)) || msi_waiting_pop(&sub->waiting, item);
}

static void fill(msi_taken *taken, const msi_waiting_item *item, uint64_t ticket)
{
    *taken = (msi_taken){.kind = item->is_gap ? MSI_TAKEN_GAP : MSI_TAKEN_EVENT,
                         .extra = {item->replaced, item->retained, item->redelivered},
                         .ticket = ticket};
    if (item->is_gap)
        taken->gap = item->what;
    else
        taken->event = item->what;
}

static size_t take(msi_sub *sub, msi_taken *items, size_t max, size_t max_bytes)
{
    size_t count = 0;
    size_t bytes = 0;
    size_t events = 0;
    uint64_t ticket;
    while (count < max && bytes < max_bytes) {
        msi_waiting_item *item = &sub->given[count];
        if (!pop(sub, item, &ticket)) {
            if (sub->ended && !sub->end_taken && count < max) {
                sub->end_taken = true;
                items[count] = (msi_taken){
                    .kind = MSI_TAKEN_END, .gap = sub->end_gap, .status = sub->end_status, .text = sub->end_text};
                sub->given_count = count;
                sub->delivered += events;
                sub->core->delivered += events;
                return count + 1;
            }
            sub->armed = true;
            break;
        }
        if (!item->is_gap && (is_prepared(sub, item->what) || prepare(sub, item))) {
            bytes += ((msi_event *)item->what)->size;
            events++;
        } else if (sub->group) {
            msi_group_exchange(sub, ticket, item);
        }
        if (!item->what)
            continue; /* lost without memory to tell it: told later */
        fill(&items[count++], item, ticket);
    }
    sub->given_count = count;
    sub->delivered += events;
    sub->core->delivered += events;
    return count;
}

size_t msi_sub_take(msi_sub *sub, msi_taken *items, size_t max, size_t max_bytes, uint64_t *position)
{
    msi_core *core = sub->core;
    msi_core_lock(core);
    give_back(sub);
    max = given_room(sub, max);
    size_t count = take(sub, items, max, max_bytes);
    *position = core->position;
    if (!sub->armed) {
        /* More waits: only what was taken counts, and what is retained comes before its position. */
        *position = 0;
        if (!sub->late && count && items[count - 1].kind == MSI_TAKEN_EVENT)
            *position = items[count - 1].event->position;
    }
    msi_core_unlock(core);
    return count;
}

uint64_t msi_sub_position(msi_sub *sub)
{
    msi_core_lock(sub->core);
    uint64_t position = sub->late || !msi_waiting_empty(&sub->waiting) ? 0 : sub->core->position;
    msi_core_unlock(sub->core);
    return position;
}

void msi_sub_got(msi_sub *sub, uint64_t ticket)
{
    msi_core_lock(sub->core);
    if (sub->group)
        msi_group_got(sub, ticket);
    msi_core_unlock(sub->core);
}

void msi_sub_lost(msi_sub *sub, const msi_event *event)
{
    msi_core_lock(sub->core);
    sub->waiting.lost++;
    event->name->lost++;
    msi_core_unlock(sub->core);
}
