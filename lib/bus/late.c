/* SPDX-License-Identifier: MIT */
/*
 * What a subscription gets before the live events: what it missed, told as gaps, and what is retained. The oldest of that is read at once, as
 * far as the subscription's own bounds allow, so that it does not go when newer events are retained; the rest is read when it is wanted.
 */
#include <stdlib.h>

#include "bus/core_internal.h"

#define CHUNK 64u

typedef struct lateness {
    msi_sub *sub;
    const msi_sub_spec *spec;
    msi_gap *missed; /* of a subscription that goes on */
    struct seen_node *nodes;
    msi_names seen; /* the nodes, by topic: a peer may have sent many */
    bool failed;
} lateness;

typedef struct seen_node {
    msi_name_node node;
    const msi_seen *seen;
} seen_node;

static bool same_bus(const lateness *of)
{
    return of->spec->resumes && of->spec->resume_epoch == of->sub->core->epoch;
}

/* ---- what was missed ---- */

static void miss(lateness *of, msi_topic_name *name, uint64_t first, uint64_t last, uint64_t count)
{
    if (!of->missed)
        of->missed = msi_gap_new(same_bus(of) ? MSGSRV_GAP_DISCONNECTED : MSGSRV_GAP_RESTARTED);
    if (of->missed)
        msi_gap_add_range(of->missed, name, first, last, count);
    else
        of->failed = true;
}

static const msi_seen *seen_of(const lateness *of, msi_view name)
{
    msi_name_node *node = msi_names_find(&of->seen, name);
    return node ? MSI_CONTAINER(node, seen_node, node)->seen : NULL;
}

static bool index_seen(lateness *of)
{
    size_t count = of->spec->seen_count;
    msi_names_init(&of->seen, msi_random());
    if (!same_bus(of) || !count)
        return true;
    of->nodes = calloc(count, sizeof *of->nodes);
    if (!of->nodes)
        return false;
    for (size_t i = 0; i < count; i++) {
        seen_node *at = &of->nodes[i];
        at->node.name = of->spec->seen[i].topic;
        at->seen = &of->spec->seen[i];
        if (!msi_names_find(&of->seen, at->node.name) && !msi_names_add(&of->seen, &at->node))
            return false;
    }
    return true;
}

/* Topics that were forgotten while it was away, with events that it missed: they go when nobody publishes on them any more. */
static void miss_forgotten(lateness *of)
{
    const msi_sub *sub = of->sub;
    const msi_core *core = sub->core;
    uint64_t position = of->spec->resume_position;
    for (size_t i = 0; i < CORE_FORGOTTEN; i++) {
        const forgotten *gone = &core->forgotten[i];
        msi_view name =
            gone->name ? (msi_view){(const uint8_t *)gone->name->topic, gone->name->topic_size} : (msi_view){0};
        if (gone->last_position <= position || !name.size || !msi_pattern_matches(sub->bound.pattern, name) ||
            (sub->type.size && !msi_view_equal(sub->type, msi_view_of(gone->name->type))))
            continue;
        const msi_seen *seen = seen_of(of, name);
        if (seen && seen->epoch == gone->name->epoch && seen->sequence < gone->sequence)
            miss(of, gone->name, seen->sequence + 1, gone->sequence, gone->sequence - seen->sequence);
        else if (gone->first_position > position)
            miss(of, gone->name, 1, gone->sequence, gone->sequence);
        else
            miss(of, gone->name, 0, gone->sequence, 0);
    }
    if (core->forgotten_before <= position)
        return;
    if (!of->missed)
        of->missed = msi_gap_new(MSGSRV_GAP_DISCONNECTED);
    if (of->missed)
        of->missed->unknown = true; /* of others nothing is known any more */
    else
        of->failed = true;
}

/* What it had when the bus was another one cannot be told: of each of its topics there may be more. */
static void miss_restart(lateness *of)
{
    of->missed = msi_gap_new(MSGSRV_GAP_RESTARTED);
    if (!of->missed) {
        of->failed = true;
        return;
    }
    of->missed->unknown = true;
    for (size_t i = 0; i < of->spec->seen_count && i < MSGSRV_GAP_TOPICS; i++) {
        msi_topic_name *name = msi_topic_name_new(&of->sub->core->pool, of->spec->seen[i].topic, (msi_view){0}, 0);
        if (name)
            msi_gap_add_range(of->missed, name, 0, 0, 0);
        msi_topic_name_unref(name);
    }
}

/* ---- what is retained ---- */

static void add_late(lateness *of, topic *on, uint64_t from)
{
    late *l = of->sub->late;
    if (from > on->sequence)
        return;
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 4;
        late_topic *topics = realloc(l->topics, room * sizeof *topics);
        if (!topics) {
            of->failed = true;
            return;
        }
        l->topics = topics;
        l->room = room;
    }
    l->topics[l->count++] = (late_topic){msi_topic_name_ref(on->name), from, on->sequence + 1};
}

/* The first retained event that came after the bus was at a position; `oldest` at least. `*covered`: an earlier one is retained too. */
static uint64_t first_after(const msi_core *core, const topic *on, uint64_t oldest, uint64_t position, bool *covered)
{
    msi_event *events[CHUNK];
    uint64_t from = oldest;
    uint32_t count;
    *covered = false;
    while ((count = core->ops->read(on->log, from, events, CHUNK)) != 0) {
        for (uint32_t i = 0; i < count; i++) {
            bool later = events[i]->position > position;
            if (!later) {
                *covered = true;
                from = events[i]->sequence + 1;
            }
            msi_event_unref(events[i]);
            if (later) {
                while (++i < count)
                    msi_event_unref(events[i]);
                return from;
            }
        }
    }
    return from;
}

/* A topic of a subscription that goes on, on the same bus. */
static void resume_topic(lateness *of, topic *on, uint64_t oldest, uint32_t retained)
{
    uint64_t position = of->spec->resume_position;
    if (on->last_position <= position)
        return; /* nothing has come since */
    const msi_seen *seen = seen_of(of, on->node.name);
    if ((seen && seen->epoch == on->name->epoch) || on->first_position > position) {
        uint64_t next = seen && seen->epoch == on->name->epoch ? seen->sequence + 1 : 1;
        uint64_t from = retained && oldest > next ? oldest : next;
        if (!retained)
            from = on->sequence + 1;
        if (from > next)
            miss(of, on->name, next, from - 1, from - next);
        add_late(of, on, from);
        return;
    }
    /* It has had no event of it, and there were some before: which of them came since? */
    bool covered = false;
    uint64_t from = retained ? first_after(of->sub->core, on, oldest, position, &covered) : on->sequence + 1;
    if (!covered)
        miss(of, on->name, 0, from - 1, 0);
    add_late(of, on, from);
}

static void look_at(lateness *of, topic *on)
{
    const msi_sub *sub = of->sub;
    const msi_core *core = sub->core;
    if (!on->log || (sub->type.size && !msi_view_equal(sub->type, msi_view_of(on->name->type))))
        return;
    uint64_t oldest = 0;
    uint32_t retained = core->ops->retained(on->log, &oldest);
    if (same_bus(of)) {
        resume_topic(of, on, oldest, retained);
        return;
    }
    uint64_t wanted = of->spec->last;
    if (!retained || of->spec->last == MSGSRV_NONE || wanted == 0)
        return;
    if (retained > wanted)
        oldest = on->sequence - wanted + 1;
    add_late(of, on, oldest);
}

static void look_at_all(lateness *of)
{
    msi_core *core = of->sub->core;
    msi_view pattern = of->sub->bound.pattern;
    topic *on;
    if (msi_pattern_exact(pattern)) {
        if ((on = msi_topic_find(core, pattern)) != NULL)
            look_at(of, on);
    } else if (same_bus(of)) {
        TAILQ_FOREACH(on, &core->all_topics, all)
        {
            if (msi_pattern_matches(pattern, on->node.name))
                look_at(of, on);
        }
    } else {
        TAILQ_FOREACH(on, &core->retainers, retainers)
        {
            if (msi_pattern_matches(pattern, on->node.name))
                look_at(of, on);
        }
    }
}

/* ---- reading ---- */

static topic *topic_of(msi_core *core, const msi_topic_name *name)
{
    topic *on = msi_topic_find(core, (msi_view){(const uint8_t *)name->topic, name->topic_size});
    return on && on->log && on->name->epoch == name->epoch ? on : NULL;
}

/* Of neighbouring topics it is one gap, however many they are. */
static bool pin_gap(msi_waiting *pinned, msi_topic_name *name, uint64_t first, uint64_t last)
{
    msi_gap *gap = msi_waiting_tail_gap(pinned, MSGSRV_GAP_SLOW);
    if (!gap)
        return false;
    msi_gap_add_range(gap, name, first, last, last - first + 1);
    name->lost += last - first + 1;
    pinned->lost += last - first + 1;
    return true;
}

static bool has_room(const msi_waiting *pinned)
{
    return pinned->events < pinned->max_events && pinned->bytes < pinned->max_bytes;
}

static bool pin_events(msi_core *core, late *l, late_topic *from, const topic *on)
{
    msi_event *events[CHUNK];
    uint64_t left = from->end - from->next;
    uint32_t count = core->ops->read(on->log, from->next, events, left < CHUNK ? (uint32_t)left : CHUNK);
    bool done = true;
    for (uint32_t i = 0; i < count; i++) {
        msi_waiting_item item = {.what = events[i], .retained = true};
        if (done && events[i]->sequence < from->end && msi_waiting_append(&l->pinned, &item)) {
            from->next = events[i]->sequence + 1;
        } else {
            done = false;
            msi_event_unref(events[i]);
        }
    }
    if (!count)
        from->next = from->end;
    return done;
}

/* Reads on, until the bounds or the end are reached. */
static void pin(msi_core *core, late *l)
{
    while (l->at < l->count && has_room(&l->pinned)) {
        late_topic *from = &l->topics[l->at];
        const topic *on = topic_of(core, from->name);
        uint64_t oldest = from->end;
        if (on && !core->ops->retained(on->log, &oldest))
            oldest = from->end;
        if (oldest > from->end)
            oldest = from->end;
        if (oldest > from->next) {
            if (!pin_gap(&l->pinned, from->name, from->next, oldest - 1))
                return;
            from->next = oldest;
        }
        if (from->next < from->end && on && !pin_events(core, l, from, on))
            return;
        if (from->next >= from->end)
            l->at++;
    }
}

bool msi_late_pop(msi_sub *sub, msi_waiting_item *item)
{
    if (!msi_waiting_pop(&sub->late->pinned, item)) {
        pin(sub->core, sub->late);
        if (!msi_waiting_pop(&sub->late->pinned, item)) {
            if (sub->late->at == sub->late->count)
                msi_late_free(sub);
            return false;
        }
    }
    return true;
}

void msi_late_free(msi_sub *sub)
{
    late *l = sub->late;
    if (!l)
        return;
    for (uint32_t i = 0; i < l->count; i++)
        msi_topic_name_unref(l->topics[i].name);
    sub->waiting.lost += l->pinned.lost;
    msi_waiting_release(&l->pinned);
    free(l->topics);
    free(l);
    sub->late = NULL;
}

msgsrv_status msi_late_begin(msi_sub *sub, const msi_sub_spec *spec, msgsrv_error *error)
{
    lateness of = {.sub = sub, .spec = spec};
    sub->late = calloc(1, sizeof *sub->late);
    if (!sub->late)
        return msi_error_memory(error);
    msi_waiting_init(&sub->late->pinned, sub->waiting.max_events, sub->waiting.max_bytes, MSGSRV_DROP_OLDEST);
    of.failed = !index_seen(&of);
    if (spec->resumes && !same_bus(&of))
        miss_restart(&of);
    if (!of.failed && same_bus(&of))
        miss_forgotten(&of);
    if (!of.failed)
        look_at_all(&of);
    msi_names_release(&of.seen);
    free(of.nodes);
    if (of.missed && !of.failed) {
        sub->waiting.lost += of.missed->total;
        msi_core_log(sub->core, "the subscription %s of %s has missed %s%llu events while it was away",
                     (const char *)sub->bound.pattern.data, sub->name[0] ? sub->name : "(no name)",
                     of.missed->unknown ? "at least " : "", (unsigned long long)of.missed->total);
        of.failed = !msi_waiting_append(&sub->late->pinned, &(msi_waiting_item){.what = of.missed, .is_gap = true});
        if (!of.failed)
            of.missed = NULL;
    }
    msi_gap_free(of.missed);
    if (of.failed)
        return msi_error_memory(error); /* the subscription is freed with it */
    pin(sub->core, sub->late);
    if (msi_waiting_empty(&sub->late->pinned) && !sub->late->count)
        msi_late_free(sub);
    return MSGSRV_OK;
}
