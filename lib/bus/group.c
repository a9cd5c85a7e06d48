/* SPDX-License-Identifier: MIT */
/*
 * Groups: what comes waits for the group, and is dealt to the least loaded member that has room; a member keeps what was dealt to it until
 * it has got it. What it has not got when it leaves goes back to the front.
 */
#include <stdlib.h>

#include "bus/core_internal.h"

#define FIRST_DEALT 8u

static uint64_t load_of(const msi_sub *member)
{
    return member->dealt_tail - member->dealt_head;
}

static msi_waiting_item *dealt_at(const msi_sub *member, uint64_t place)
{
    return &member->dealt[place & (member->dealt_room - 1)];
}

static msi_sub *least_loaded(const group *of)
{
    msi_sub *best = NULL;
    msi_sub *member;
    TAILQ_FOREACH(member, &of->members, of_group)
    {
        if (!member->ended && load_of(member) < MSI_GROUP_WINDOW && (!best || load_of(member) < load_of(best)))
            best = member;
    }
    return best;
}

static bool deal_room(msi_sub *member)
{
    if (load_of(member) < member->dealt_room)
        return true;
    size_t room = member->dealt_room ? member->dealt_room * 2 : FIRST_DEALT;
    msi_waiting_item *dealt = malloc(room * sizeof *dealt);
    if (!dealt)
        return false;
    for (uint64_t place = member->dealt_head; place != member->dealt_tail; place++)
        dealt[place & (room - 1)] = *dealt_at(member, place);
    free(member->dealt);
    member->dealt = dealt;
    member->dealt_room = room;
    return true;
}

static void deal(group *of)
{
    msi_sub *member;
    msi_waiting_item item;
    while (!msi_waiting_empty(&of->waiting) && (member = least_loaded(of)) != NULL && deal_room(member) &&
           msi_waiting_pop(&of->waiting, &item)) {
        *dealt_at(member, member->dealt_tail++) = item;
        TAILQ_REMOVE(&of->members, member, of_group);
        TAILQ_INSERT_TAIL(&of->members, member, of_group);
        msi_sub_wake(member);
    }
}

/* ---- events ---- */

static void end_members(group *of)
{
    msi_gap *gap = msi_waiting_take_last_gap(&of->waiting);
    msi_sub *member;
    TAILQ_FOREACH(member, &of->members, of_group)
    {
        if (member->ended)
            continue;
        msi_sub_end(member, MSGSRV_RESOURCE_EXHAUSTED, gap, "the group %s was too slow: %u events wait",
                    (const char *)of->node.name.data, of->waiting.events);
        gap = NULL; /* one of them is told */
    }
    if (gap)
        of->waiting.untold += gap->total; /* all have ended before: whoever joins is told */
    msi_gap_free(gap);
}

void msi_group_push(group *to, msi_event *event, uint64_t *hint)
{
    msi_pushed pushed = msi_waiting_push(&to->waiting, event, hint);
    if (pushed != MSI_PUSHED) {
        uint64_t lost = to->waiting.lost;
        if ((lost & (lost - 1)) == 0)
            msi_core_log(to->core, "the group %s has lost %llu events: it is slow", (const char *)to->node.name.data,
                         (unsigned long long)lost);
        if (pushed == MSI_PUSHED_END) {
            end_members(to);
            return;
        }
    }
    deal(to);
}

bool msi_group_pop(msi_sub *member, msi_waiting_item *item, uint64_t *ticket)
{
    if (member->dealt_taken == member->dealt_tail)
        return false;
    *item = *dealt_at(member, member->dealt_taken++);
    *ticket = member->dealt_taken;
    return true;
}

void msi_group_exchange(msi_sub *member, uint64_t ticket, const msi_waiting_item *item)
{
    *dealt_at(member, ticket - 1) = *item;
}

static void drop(const msi_waiting_item *item)
{
    if (!item->what)
        return;
    if (item->is_gap)
        msi_gap_free(item->what);
    else
        msi_event_unref(item->what);
}

void msi_group_got(msi_sub *member, uint64_t ticket)
{
    if (ticket - member->dealt_head > member->dealt_taken - member->dealt_head)
        return;
    while (member->dealt_head != ticket)
        drop(dealt_at(member, member->dealt_head++));
    deal(member->group);
}

/* ---- members ---- */

static group *group_new(msi_core *core, const msi_sub *sub, const msi_sub_spec *spec)
{
    msi_view pattern = sub->bound.pattern;
    group *of = calloc(1, sizeof *of + spec->group.size + pattern.size + spec->type.size + 3);
    if (!of)
        return NULL;
    of->core = core;
    TAILQ_INIT(&of->members);
    char *at = of->text;
    of->node.name = (msi_view){memcpy(at, spec->group.data, spec->group.size), spec->group.size};
    at += spec->group.size + 1;
    of->bound =
        (binding){.kind = BINDS_GROUP, .pattern = {memcpy(at, pattern.data, pattern.size), pattern.size}, .of = of};
    at += pattern.size + 1;
    if (spec->type.size)
        memcpy(at, spec->type.data, spec->type.size);
    of->type = (msi_view){(const uint8_t *)at, spec->type.size};
    of->waiting = sub->waiting; /* empty: its bounds and policy */
    return of;
}

static msgsrv_status group_make(msi_sub *sub, const msi_sub_spec *spec, group **out, msgsrv_error *error)
{
    msi_core *core = sub->core;
    group *of = group_new(core, sub, spec);
    if (!of)
        return msi_error_memory(error);
    msgsrv_status status = msi_matcher_add(core->matcher, of->bound.pattern, &of->bound.entry, error);
    if (status == MSGSRV_OK && !msi_names_add(&core->groups, &of->node)) {
        msi_matcher_remove(core->matcher, &of->bound.entry);
        status = msi_error_memory(error);
    }
    if (status != MSGSRV_OK)
        free(of);
    else
        *out = of;
    return status;
}

msgsrv_status msi_group_join(msi_sub *sub, const msi_sub_spec *spec, msgsrv_error *error)
{
    msi_name_node *node = msi_names_find(&sub->core->groups, spec->group);
    group *of = node ? MSI_CONTAINER(node, group, node) : NULL;
    if (of && (!msi_view_equal(of->bound.pattern, sub->bound.pattern) || !msi_view_equal(of->type, sub->type)))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "the group %s takes the pattern %s and the type %s, not %s and %s",
                         (const char *)of->node.name.data, (const char *)of->bound.pattern.data,
                         of->type.size ? (const char *)of->type.data : "any", (const char *)sub->bound.pattern.data,
                         sub->type.size ? (const char *)sub->type.data : "any");
    if (!of) {
        msgsrv_status status = group_make(sub, spec, &of, error);
        if (status != MSGSRV_OK)
            return status;
    }
    sub->group = of;
    of->member_count++;
    TAILQ_INSERT_HEAD(&of->members, sub, of_group);
    deal(of);
    return MSGSRV_OK;
}

/* Back to the front, in their order. */
static void take_back(group *of, msi_sub *member)
{
    while (member->dealt_tail != member->dealt_head) {
        msi_waiting_item *item = dealt_at(member, --member->dealt_tail);
        item->redelivered = true; /* it may have been seen, and comes behind what others have had since */
        if (!item->is_gap && !msi_waiting_prepend(&of->waiting, item)) {
            msi_waiting_lose(&of->waiting, MSGSRV_GAP_ENGINE, item->what);
            drop(item);
        } else if (item->is_gap && !msi_waiting_prepend(&of->waiting, item)) {
            of->waiting.untold += item->what ? ((const msi_gap *)item->what)->total : 0;
            drop(item);
        }
    }
}

/* Nobody is left: what waits is lost, and nobody can be told but the log. */
static void group_end(group *of)
{
    msi_core *core = of->core;
    msi_waiting_item item;
    uint64_t lost = 0;
    while (msi_waiting_pop(&of->waiting, &item)) {
        if (!item.is_gap) {
            lost++;
            ((msi_event *)item.what)->name->lost++;
        }
        drop(&item);
    }
    if (lost)
        msi_core_log(core, "the last member of the group %s has left: %llu events are lost",
                     (const char *)of->node.name.data, (unsigned long long)lost);
    core->lost += lost + of->waiting.lost;
    msi_waiting_release(&of->waiting);
    msi_matcher_remove(core->matcher, &of->bound.entry);
    msi_names_remove(&core->groups, &of->node);
    free(of);
}

void msi_group_leave(msi_sub *member)
{
    group *of = member->group;
    TAILQ_REMOVE(&of->members, member, of_group);
    of->member_count--;
    take_back(of, member);
    member->group = NULL;
    if (of->member_count)
        deal(of);
    else
        group_end(of);
}
