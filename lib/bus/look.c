/* SPDX-License-Identifier: MIT */
/* For those who look: topics with what has happened on them, and one topic from all sides. */
#include <stdlib.h>

#include "bus/core_internal.h"

/* ---- topics ---- */

/* Without waiting for descriptors that are being looked at: then it is not known yet. */
static bool is_described(msi_core *core, msi_view type)
{
    if (!type.size || pthread_mutex_trylock(&core->types_lock) != 0)
        return false;
    bool known = msi_types_known(core->types, type);
    pthread_mutex_unlock(&core->types_lock);
    return known;
}

static void fill_topic(msi_core *core, topic *on, msi_topic_info *info)
{
    msi_view type = {(const uint8_t *)on->name->type, on->name->type_size};
    (void)msi_topic_route(core, on);
    uint64_t oldest;
    *info = (msi_topic_info){.topic = on->name->topic,
                             .type = on->name->type,
                             .epoch = on->name->epoch,
                             .sequence = on->sequence,
                             .publishers = on->publishers,
                             .subscribers = on->responder_count,
                             .queues = on->queue_count,
                             .events = on->events,
                             .bytes = on->bytes,
                             .retained = on->log ? core->ops->retained(on->log, &oldest) : 0,
                             .retain = on->retain,
                             .lost = on->name->lost,
                             .last_time_us = on->last_time_us,
                             .described = is_described(core, type),
                             .exists = true};
    for (uint32_t i = 0; i < on->route_count; i++)
        info->subscribers += on->routes[i].is_group ? ((const group *)on->routes[i].to)->member_count : 1;
}

static int by_name(const void *a, const void *b)
{
    const topic *const *left = a;
    const topic *const *right = b;
    return strcmp((*left)->name->topic, (*right)->name->topic);
}

bool msi_core_topics(msi_core *core, msi_view pattern, uint32_t max,
                     void (*visit)(const msi_topic_info *info, void *ctx), void *ctx)
{
    msi_core_lock(core);
    msi_topics_sweep(core, msi_now());
    topic **found = malloc((core->topics.count + 1) * sizeof(topic *));
    size_t count = 0;
    topic *on;
    if (found) {
        TAILQ_FOREACH(on, &core->all_topics, all)
        {
            if (!pattern.size || msi_pattern_matches(pattern, on->node.name))
                found[count++] = on;
        }
        qsort(found, count, sizeof(topic *), by_name);
        for (size_t i = 0; i < count && i < max; i++) {
            msi_topic_info info;
            fill_topic(core, found[i], &info);
            visit(&info, ctx);
        }
    }
    msi_core_unlock(core);
    free(found);
    return count > max;
}

msgsrv_status msi_core_declare_topic(msi_core *core, msi_view name, msi_view type, msi_view set, int64_t retain,
                                     msgsrv_receipt *receipt, msgsrv_error *error)
{
    msgsrv_status status = msi_check_topic(name, error);
    if (status == MSGSRV_OK && type.size)
        status = msi_check_type_name(type, error);
    if (status == MSGSRV_OK && set.size && !type.size)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "descriptors without the type that they are for");
    if (status == MSGSRV_OK && retain > MSI_RETAIN_MAX)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "retain is %lld; it may be 0 to %u", (long long)retain,
                           MSI_RETAIN_MAX);
    if (status == MSGSRV_OK && retain > 0 && !(core->ops->capabilities & 1u << MSI_CAN_RETAINED))
        status = msi_error(error, MSGSRV_UNIMPLEMENTED, "the engine %s has no %s", core->ops->scheme,
                           msi_capability_name(MSI_CAN_RETAINED));
    if (status != MSGSRV_OK)
        return status;
    if (set.size) {
        pthread_mutex_lock(&core->types_lock);
        status = msi_types_learn(core->types, type, set, error);
        pthread_mutex_unlock(&core->types_lock);
        if (status != MSGSRV_OK)
            return status;
    }
    msi_core_lock(core);
    msi_topics_sweep(core, msi_now());
    bool fresh = !msi_topic_find(core, name);
    topic *on = msi_topic_get(core, name, error);
    status = on ? msi_topic_open_log(core, on, error) : MSGSRV_RESOURCE_EXHAUSTED;
    msi_view bound = on ? msi_view_of(on->name->type) : (msi_view){0};
    if (status == MSGSRV_OK && type.size)
        status = msi_topic_bind(core, on, type, error);
    bool binds = status == MSGSRV_OK && type.size && !bound.size;
    if (status == MSGSRV_OK && retain >= 0)
        status = core->ops->retain(core->engine, on->log, (uint32_t)retain, error);
    if (status == MSGSRV_OK) {
        if (binds)
            msi_topic_bound(core, on);
        on->declared |= retain >= 0; /* a publisher that tells its type does not keep the topic */
        on->touched = true;
        if (retain >= 0)
            on->retain = (uint32_t)retain;
        if (on->retain && !on->retaining) {
            on->retaining = true;
            TAILQ_INSERT_TAIL(&core->retainers, on, retainers);
        }
        if (receipt)
            *receipt = (msgsrv_receipt){.sequence = on->sequence, .epoch = on->name->epoch};
    } else if (on && fresh) {
        msi_topic_drop(core, on);
    } else if (binds) {
        msi_topic_unbind(core, on);
    }
    msi_core_unlock(core);
    return status;
}

bool msi_core_describe_type(msi_core *core, msi_view type, msi_buf *set)
{
    pthread_mutex_lock(&core->types_lock);
    msi_view known = msi_types_describe(core->types, type);
    bool done = known.size && msi_buf_append(set, known.data, known.size);
    pthread_mutex_unlock(&core->types_lock);
    return done;
}

/* ---- one topic, from all sides ---- */

static void look_at_sub(const msi_core *core, const msi_sub *sub, msi_view name, msi_view type, uint64_t wall_us,
                        const msi_look *look, void *ctx)
{
    const msi_waiting *waiting = sub->group ? &sub->group->waiting : &sub->waiting;
    uint64_t dealt = sub->dealt_tail - sub->dealt_head;
    msi_sub_info info = {.name = sub->name,
                         .peer = sub->peer,
                         .pattern = (const char *)sub->bound.pattern.data,
                         .type = (const char *)sub->type.data,
                         .group = sub->group_name,
                         .policy = waiting->policy,
                         .responder = sub->responder,
                         .matches_topic = msi_pattern_matches(sub->bound.pattern, name),
                         .waiting_events = waiting->events + (uint32_t)dealt,
                         .waiting_bytes = waiting->bytes,
                         .delivered = sub->delivered,
                         .lost = waiting->lost};
    (void)core;
    info.matches = info.matches_topic && (!sub->type.size || !type.size || msi_view_equal(sub->type, type));
    if (!info.matches_topic)
        info.nearness = msi_pattern_nearness(sub->bound.pattern, name);
    if (waiting->events && waiting->head != waiting->tail) {
        const msi_waiting_item *first = &waiting->items[waiting->head & (waiting->room - 1)];
        const msi_event *oldest = first->is_gap ? NULL : first->what;
        info.stalled = (oldest && wall_us > oldest->time_us + MSI_STALLED_NS / 1000) || waiting->lost > 0;
    }
    if (info.matches_topic || info.nearness)
        look->subscription(&info, ctx);
}

static void look_at_publishers(topic *on, const msi_look *look, void *ctx)
{
    const use *u;
    SLIST_FOREACH(u, &on->uses, of_topic)
    {
        look->publisher(&(msi_publisher_info){u->publisher->name, u->publisher->peer, u->events}, ctx);
    }
}

static void look_at_queues(topic *on, const msi_look *look, void *ctx)
{
    for (uint32_t i = 0; i < on->queue_count; i++) {
        core_queue *queue = on->queues[i];
        msi_queue_look seen = {.full = false};
        msi_queue_info(queue, &seen.info);
        seen.full = seen.info.messages >= queue->settings.max_messages || seen.info.bytes >= queue->settings.max_bytes;
        look->queue(&seen, ctx);
    }
}

void msi_core_look(msi_core *core, msi_view name, msi_view type, const msi_look *look, void *ctx)
{
    msi_core_lock(core);
    uint64_t wall_us = msi_core_wall_us();
    topic *on = msi_topic_find(core, name);
    msi_topic_info info = {.topic = "", .type = ""};
    if (on) {
        fill_topic(core, on, &info);
        type = msi_view_of(on->name->type);
    }
    look->topic(&info, ctx);
    const msi_sub *sub;
    LIST_FOREACH(sub, &core->subs, all)
    {
        look_at_sub(core, sub, name, type, wall_us, look, ctx);
    }
    if (on) {
        look_at_publishers(on, look, ctx);
        look_at_queues(on, look, ctx);
    }
    msi_core_unlock(core);
}
