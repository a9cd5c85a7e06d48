/* SPDX-License-Identifier: MIT */
/* Topics: finding, binding to a type, forgetting, and who gets their events. */
#include <stdlib.h>

#include "bus/core_internal.h"

#define SWEEP_NS 1000000000ull /* between two looks for idle topics */
#define VIEW_FORMAT "%.*s"
#define VIEW(view) (int)(view).size, (const char *)(view).data

static topic *of_node(msi_name_node *node)
{
    return node ? MSI_CONTAINER(node, topic, node) : NULL;
}

topic *msi_topic_find(msi_core *core, msi_view name)
{
    return of_node(msi_names_find(&core->topics, name));
}

/* ---- making and forgetting ---- */

void msi_topic_drop(msi_core *core, topic *gone)
{
    use *u;
    while ((u = SLIST_FIRST(&gone->uses)) != NULL) {
        SLIST_REMOVE_HEAD(&gone->uses, of_topic);
        msi_use_free(u);
    }
    if (gone->log)
        core->ops->log_forget(core->engine, gone->log);
    if (gone->retaining)
        TAILQ_REMOVE(&core->retainers, gone, retainers);
    TAILQ_REMOVE(&core->all_topics, gone, all);
    msi_names_remove(&core->topics, &gone->node);
    msi_topic_name_unref(gone->name);
    free(gone->routes);
    free(gone->queues);
    free(gone->engine_queues);
    free(gone->responders);
    free(gone);
}

void msi_topics_free(msi_core *core)
{
    topic *first;
    while ((first = TAILQ_FIRST(&core->all_topics)) != NULL)
        msi_topic_drop(core, first);
    for (size_t i = 0; i < CORE_FORGOTTEN; i++)
        msi_topic_name_unref(core->forgotten[i].name);
}

static uint32_t retained_of(const msi_core *core, const topic *on)
{
    uint64_t oldest;
    return on->log ? core->ops->retained(on->log, &oldest) : 0;
}

/* Whether nobody would miss it. */
static bool is_idle(msi_core *core, topic *on)
{
    if (on->publishers || on->declared || retained_of(core, on) || !msi_topic_route(core, on))
        return false;
    return on->route_count == 0 && on->queue_count == 0 && on->responder_count == 0;
}

/* It goes, but what was on it is remembered: somebody may be away who missed some. */
static void bury(msi_core *core, const topic *on)
{
    if (!on->last_position)
        return;
    forgotten *at = &core->forgotten[core->forgotten_at++ % CORE_FORGOTTEN];
    if (at->name && at->last_position > core->forgotten_before)
        core->forgotten_before = at->last_position;
    msi_topic_name_unref(at->name);
    *at = (forgotten){msi_topic_name_ref(on->name), on->sequence, on->first_position, on->last_position};
}

void msi_topics_sweep(msi_core *core, uint64_t now)
{
    if (now - core->swept < SWEEP_NS && core->topics.count < core->limits.max_topics)
        return;
    core->swept = now;
    topic *on = TAILQ_FIRST(&core->all_topics);
    while (on && now - on->active >= core->limits.topic_idle_ns) {
        topic *next = TAILQ_NEXT(on, all);
        if (!on->touched && is_idle(core, on)) {
            bury(core, on);
            msi_topic_drop(core, on);
        } else {
            /* Looked at again in as long a time. */
            on->touched = false;
            on->active = now;
            TAILQ_REMOVE(&core->all_topics, on, all);
            TAILQ_INSERT_TAIL(&core->all_topics, on, all);
        }
        on = next;
    }
}

topic *msi_topic_get(msi_core *core, msi_view name, msgsrv_error *error)
{
    topic *on = msi_topic_find(core, name);
    if (on)
        return on;
    uint64_t now = msi_now();
    msi_topics_sweep(core, now);
    if (core->topics.count >= core->limits.max_topics) {
        (void)msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the bus has %u topics, which is its limit (max_topics)",
                        core->limits.max_topics);
        return NULL;
    }
    on = calloc(1, sizeof *on);
    msi_topic_name *named = on ? msi_topic_name_new(&core->pool, name, (msi_view){0}, msi_random()) : NULL;
    if (named) {
        on->node.name = (msi_view){(const uint8_t *)named->topic, named->topic_size};
        if (msi_names_add(&core->topics, &on->node)) {
            on->name = named;
            on->active = now;
            SLIST_INIT(&on->uses);
            TAILQ_INSERT_TAIL(&core->all_topics, on, all);
            return on;
        }
    }
    msi_topic_name_unref(named);
    free(on);
    (void)msi_error_memory(error);
    return NULL;
}

/* ---- binding ---- */

/* Another name object, with the type or epoch that it has now; earlier events keep theirs. */
static bool rename_topic(msi_core *core, topic *on, msi_view type, uint64_t epoch)
{
    msi_view text = on->node.name;
    msi_topic_name *name = msi_topic_name_new(&core->pool, text, type, epoch);
    if (!name)
        return false;
    name->lost = on->name->lost;
    on->node.name.data = (const uint8_t *)name->topic;
    msi_topic_name_unref(on->name);
    on->name = name;
    return true;
}

typedef struct unfit {
    topic *on;
    msi_view type;
} unfit;

/* A subscription to exactly this topic, with another type, can get nothing any more. */
static void end_unfit(msi_match_entry *entry, void *ctx)
{
    const unfit *now = ctx;
    binding *bound = MSI_CONTAINER(entry, binding, entry);
    if (bound->kind == BINDS_QUEUE || !msi_pattern_exact(bound->pattern))
        return;
    if (bound->kind == BINDS_SUB) {
        msi_sub *sub = bound->of;
        if (sub->type.size && !msi_view_equal(sub->type, now->type))
            msi_sub_end(sub, MSGSRV_FAILED_PRECONDITION, NULL,
                        "the topic " VIEW_FORMAT " is bound to the type " VIEW_FORMAT " now, not to " VIEW_FORMAT,
                        VIEW(bound->pattern), VIEW(now->type), VIEW(sub->type));
        return;
    }
    group *of = bound->of;
    msi_sub *member;
    if (!of->type.size || msi_view_equal(of->type, now->type))
        return;
    TAILQ_FOREACH(member, &of->members, of_group)
    {
        msi_sub_end(member, MSGSRV_FAILED_PRECONDITION, NULL,
                    "the topic " VIEW_FORMAT " is bound to the type " VIEW_FORMAT " now, not to " VIEW_FORMAT,
                    VIEW(bound->pattern), VIEW(now->type), VIEW(of->type));
    }
}

msgsrv_status msi_topic_bind(msi_core *core, topic *on, msi_view type, msgsrv_error *error)
{
    msi_view bound = {(const uint8_t *)on->name->type, on->name->type_size};
    if (msi_view_equal(bound, type))
        return MSGSRV_OK;
    if (bound.size)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the topic %s is bound to the type %s, not to " VIEW_FORMAT,
                         on->name->topic, on->name->type, VIEW(type));
    if (!rename_topic(core, on, type, on->name->epoch))
        return msi_error_memory(error);
    on->generation = 0;
    return MSGSRV_OK;
}

void msi_topic_bound(msi_core *core, topic *on)
{
    unfit now = {on, {(const uint8_t *)on->name->type, on->name->type_size}};
    msi_matcher_find(core->matcher, on->node.name, end_unfit, &now);
}

void msi_topic_unbind(msi_core *core, topic *on)
{
    if (rename_topic(core, on, (msi_view){0}, on->name->epoch))
        on->generation = 0;
    else
        msi_topic_bound(core, on); /* without memory it stays so, and then all of it */
}

msgsrv_status msi_topic_open_log(msi_core *core, topic *on, msgsrv_error *error)
{
    if (on->log)
        return MSGSRV_OK;
    uint64_t epoch;
    uint64_t sequence;
    msgsrv_status status = core->ops->log_open(core->engine, on->name->topic, &on->log, &epoch, &sequence, error);
    if (status != MSGSRV_OK)
        return status;
    msi_view type = {(const uint8_t *)on->name->type, on->name->type_size};
    if (epoch != on->name->epoch && !rename_topic(core, on, type, epoch)) {
        core->ops->log_forget(core->engine, on->log);
        on->log = NULL;
        return msi_error_memory(error);
    }
    on->sequence = sequence;
    return MSGSRV_OK;
}

/* ---- routes ---- */

typedef struct routing {
    topic *on;
    msi_view type;
    bool failed;
} routing;

/* The array, grown if it is full; NULL without memory. */
static void *with_room(void *array, uint32_t *room, uint32_t count, size_t size)
{
    if (count < *room)
        return array;
    uint32_t wanted = *room ? *room * 2 : 4;
    void *grown = realloc(array, wanted * size);
    if (grown)
        *room = wanted;
    return grown;
}

static bool type_fits(msi_view wanted, msi_view type)
{
    return wanted.size == 0 || msi_view_equal(wanted, type);
}

static bool queue_takes(const core_queue *queue, msi_view type)
{
    for (uint32_t i = 0; i < queue->type_count; i++) {
        if (msi_view_equal(msi_view_of(queue->types[i]), type))
            return true;
    }
    return queue->type_count == 0;
}

static bool add_queue(topic *on, core_queue *queue)
{
    for (uint32_t i = 0; i < on->queue_count; i++) {
        if (on->queues[i] == queue)
            return true; /* by another of its patterns */
    }
    uint32_t room = on->queue_room;
    core_queue **queues = with_room(on->queues, &room, on->queue_count, sizeof *queues);
    if (!queues)
        return false;
    on->queues = queues;
    msi_engine_queue **engine_queues =
        with_room(on->engine_queues, &on->queue_room, on->queue_count, sizeof *engine_queues);
    if (!engine_queues)
        return false;
    on->engine_queues = engine_queues;
    on->queues[on->queue_count] = queue;
    on->engine_queues[on->queue_count++] = queue->queue;
    return true;
}

static bool add_responder(topic *on, msi_sub *sub)
{
    msi_sub **responders = with_room(on->responders, &on->responder_room, on->responder_count, sizeof *responders);
    if (!responders)
        return false;
    on->responders = responders;
    on->responders[on->responder_count++] = sub;
    return true;
}

static bool add_route(topic *on, void *to, bool is_group)
{
    route *routes = with_room(on->routes, &on->route_room, on->route_count, sizeof *routes);
    if (!routes)
        return false;
    on->routes = routes;
    on->routes[on->route_count++] = (route){.to = to, .is_group = is_group, .hint = UINT64_MAX};
    return true;
}

static void add_match(msi_match_entry *entry, void *ctx)
{
    routing *way = ctx;
    const binding *bound = MSI_CONTAINER(entry, binding, entry);
    bool done = true;
    if (bound->kind == BINDS_QUEUE) {
        if (queue_takes(bound->of, way->type))
            done = add_queue(way->on, bound->of);
    } else if (bound->kind == BINDS_GROUP) {
        if (type_fits(((const group *)bound->of)->type, way->type))
            done = add_route(way->on, bound->of, true);
    } else {
        msi_sub *sub = bound->of;
        if (type_fits(sub->type, way->type) && !sub->ended)
            done = sub->responder ? add_responder(way->on, sub) : add_route(way->on, sub, false);
    }
    if (!done)
        way->failed = true;
}

bool msi_topic_route(msi_core *core, topic *on)
{
    if (topic_routed(core, on))
        return true;
    routing way = {.on = on, .type = {(const uint8_t *)on->name->type, on->name->type_size}};
    on->route_count = on->queue_count = on->responder_count = 0;
    msi_matcher_find(core->matcher, on->node.name, add_match, &way);
    on->generation = way.failed ? 0 : core->generation;
    return !way.failed;
}
