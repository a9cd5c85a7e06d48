/* SPDX-License-Identifier: MIT */
/* From a publication to the engine, and to what waits for subscriptions. */
#include <stddef.h>
#include <stdlib.h>

#include "bus/core_internal.h"
#include "base/limits.h"

#define USES_MAX 4096u /* topics that one publisher is known to publish on */
#define ID_MAX 128u

/* ---- publishers ---- */

msi_publisher *msi_publisher_new(msi_core *core, const char *name, const char *peer)
{
    size_t name_size = strlen(name);
    size_t peer_size = strlen(peer);
    msi_publisher *publisher = calloc(1, sizeof *publisher + name_size + peer_size + 2);
    if (!publisher)
        return NULL;
    publisher->core = msi_core_ref(core);
    publisher->name_size = name_size;
    memcpy(publisher->name, name, name_size + 1);
    publisher->peer = memcpy(publisher->name + name_size + 1, peer, peer_size + 1);
    msi_core_lock(core);
    LIST_INSERT_HEAD(&core->publishers, publisher, all);
    msi_core_unlock(core);
    return publisher;
}

void msi_use_free(use *u)
{
    msi_publisher *publisher = u->publisher;
    if (publisher->last == u)
        publisher->last = NULL;
    msi_idmap_remove(&publisher->uses, &u->node);
    free(u);
}

void msi_publisher_free(msi_publisher *publisher)
{
    if (!publisher)
        return;
    msi_core *core = publisher->core;
    msi_core_lock(core);
    for (msi_idnode *node; (node = msi_idmap_any(&publisher->uses)) != NULL;) {
        use *u = MSI_CONTAINER(node, use, node);
        u->on->publishers--;
        u->on->touched = true;
        SLIST_REMOVE(&u->on->uses, u, use, of_topic);
        msi_use_free(u);
    }
    LIST_REMOVE(publisher, all);
    msi_core_unlock(core);
    msi_idmap_release(&publisher->uses);
    free(publisher);
    msi_core_unref(core);
}

const char *msi_publisher_name(const msi_publisher *publisher)
{
    return publisher->name;
}

use *msi_publisher_use(msi_publisher *publisher, topic *on)
{
    if (publisher->last && publisher->last->on == on)
        return publisher->last;
    uint64_t id = (uint64_t)(uintptr_t)on / sizeof(max_align_t); /* the map takes the low bits */
    msi_idnode *node = msi_idmap_find(&publisher->uses, id);
    use *u = node ? MSI_CONTAINER(node, use, node) : NULL;
    if (!u && publisher->uses.count < USES_MAX && (u = calloc(1, sizeof *u)) != NULL) {
        u->node.id = id;
        u->publisher = publisher;
        u->on = on;
        if (msi_idmap_add(&publisher->uses, &u->node)) {
            SLIST_INSERT_HEAD(&on->uses, u, of_topic);
            on->publishers++;
        } else {
            free(u);
            u = NULL;
        }
    }
    publisher->last = u;
    return u;
}

/* ---- payloads ---- */

/* Over a group's fields, to the end of it. NULL: it is not well-formed. */
static const uint8_t *skip_group(const uint8_t *at, const uint8_t *end, uint64_t number)
{
    uint64_t open[MSI_DEPTH_MAX];
    size_t depth = 0;
    open[depth++] = number;
    while (depth && at && at < end) {
        uint64_t tag;
        msi_wire_field field;
        const uint8_t *behind = msi_varint_get(at, end, &tag);
        if (!behind || tag >> 3 == 0 || tag >> 32)
            return NULL;
        if ((tag & 7) == 3) {
            if (depth == MSI_DEPTH_MAX)
                return NULL;
            open[depth++] = tag >> 3;
            at = behind;
        } else if ((tag & 7) == 4) {
            if (open[--depth] != tag >> 3)
                return NULL;
            at = behind;
        } else {
            at = msi_wire_field_get(at, end, &field);
        }
    }
    return depth ? NULL : at;
}

bool msi_payload_valid(msi_view payload)
{
    const uint8_t *at = payload.data;
    const uint8_t *end = at + payload.size;
    while (at < end) {
        msi_wire_field field;
        const uint8_t *behind = msi_wire_field_get(at, end, &field);
        if (!behind) {
            uint64_t tag;
            behind = msi_varint_get(at, end, &tag);
            if (!behind || (tag & 7) != 3 || tag >> 3 == 0 || tag >> 32)
                return false;
            behind = skip_group(behind, end, tag >> 3);
            if (!behind)
                return false;
        }
        at = behind;
    }
    return true;
}

/* ---- checks ---- */

static msgsrv_status check_publication(msi_core *core, const msi_publication *publication, msgsrv_error *error)
{
    if (publication->payload.size > core->limits.max_event)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a payload of %zu bytes is over the limit of %u (max_event)",
                         publication->payload.size, core->limits.max_event);
    if (publication->id.size > ID_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "an id of %zu bytes is longer than %u", publication->id.size,
                         ID_MAX);
    return MSGSRV_OK;
}

/*
 * The type's descriptors, told by the code that publishes it: once for each topic, and then its address says that they are known. What is
 * known of other topics is asked first, as many may carry one type.
 */
static msgsrv_status learn(msi_core *core, topic *on, const msgsrv_message_type *type, msgsrv_error *error)
{
    known_type *known = &core->known_types[((uintptr_t)type / sizeof(max_align_t)) % CORE_KNOWN_TYPES];
    msgsrv_status status = MSGSRV_OK;
    if (known->type != type || known->file != type->file) {
        msi_buf set = {0};
        if (pthread_mutex_trylock(&core->types_lock) != 0)
            return MSGSRV_OK; /* somebody's descriptors are being looked at: with another publication */
        status = msi_types_put_file(&set, type->file)
                     ? msi_types_learn(core->types, msi_view_of(type->name), (msi_view){set.data, set.len}, error)
                     : MSGSRV_RESOURCE_EXHAUSTED;
        pthread_mutex_unlock(&core->types_lock);
        msi_buf_free(&set);
        if (status == MSGSRV_OK)
            *known = (known_type){type, type->file};
    }
    if (status == MSGSRV_OK || status == MSGSRV_RESOURCE_EXHAUSTED)
        on->described = type; /* without room it is published all the same, and not to be decoded by those who look */
    return status == MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_OK : status;
}

static bool is_bound_to(const topic *on, msi_view type)
{
    return on->name->type_size == type.size && memcmp(on->name->type, type.data, type.size) == 0;
}

/* The topic of a publication, bound to its type, with its routes; and what was done for that, to be undone if it is not accepted. */
static msgsrv_status find_topic(msi_publisher *publisher, const msi_publication *publication, found_topic *found,
                                msgsrv_error *error)
{
    msi_core *core = publisher->core;
    topic *on = publisher->last && msi_view_equal(publisher->last->on->node.name, publication->topic)
                    ? publisher->last->on
                    : msi_topic_find(core, publication->topic);
    msgsrv_status status = MSGSRV_OK;
    *found = (found_topic){.on = on};
    if (!on || !is_bound_to(on, publication->type)) {
        status = msi_check_type_name(publication->type, error);
        if (status == MSGSRV_OK && !on)
            status = msi_check_topic(publication->topic, error);
        if (status == MSGSRV_OK && on) {
            msi_topics_sweep(core, msi_now()); /* nobody may miss what it is bound to */
            found->on = on = msi_topic_find(core, publication->topic);
        }
        if (status == MSGSRV_OK && !on) {
            found->on = on = msi_topic_get(core, publication->topic, error);
            found->made = on != NULL;
        }
        if (status != MSGSRV_OK || !on)
            return status ? status : MSGSRV_RESOURCE_EXHAUSTED;
        bool unbound = on->name->type_size == 0;
        status = msi_topic_bind(core, on, publication->type, error);
        found->bound = status == MSGSRV_OK && unbound;
    }
    if (status == MSGSRV_OK && publication->described && on->described != publication->described)
        status = learn(core, on, publication->described, error);
    if (status == MSGSRV_OK && !msi_topic_route(core, on))
        status = msi_error_memory(error);
    return status;
}

void msi_topic_settle(msi_core *core, const found_topic *found, bool accepted)
{
    if (accepted && found->bound)
        msi_topic_bound(core, found->on);
    else if (!accepted && found->made)
        msi_topic_drop(core, found->on);
    else if (!accepted && found->bound)
        msi_topic_unbind(core, found->on);
}

static msi_event *make_event(const msi_publisher *publisher, const msi_publication *publication, const topic *on,
                             uint64_t wall_us, uint64_t request)
{
    msi_event_parts parts = {.name = on->name,
                             .time_us = wall_us,
                             .request = request,
                             .payload = publication->payload,
                             .struct_type = publication->struct_type,
                             .message = publication->message,
                             .publisher = {(const uint8_t *)publisher->name, publisher->name_size},
                             .headers = publication->headers,
                             .header_count = publication->header_count};
    if (!parts.message && !parts.payload.data)
        parts.payload.data = (const uint8_t *)""; /* a message without fields */
    return msi_event_new(&parts);
}

/* ---- publishing ---- */

static void fan_out(msi_core *core, topic *on, msi_event *event)
{
    route *end = on->routes + on->route_count;
    for (route *to = on->routes; to != end; to++) {
        if (to->is_group)
            msi_group_push(to->to, event, &to->hint);
        else
            msi_sub_push(to->to, event, &to->hint);
    }
    if (!on->route_count && !on->queue_count && !on->retain)
        core->unmatched++;
}

static void count_in(msi_publisher *publisher, topic *on, const msi_event *event)
{
    use *u = msi_publisher_use(publisher, on);
    if (u)
        u->events++;
    on->touched = true;
    on->events++;
    on->bytes += event->payload.data ? event->payload.size : event->struct_type->struct_size;
    on->last_time_us = event->time_us;
    on->sequence = event->sequence;
    on->last_position = event->position;
    if (!on->first_position)
        on->first_position = event->position;
    publisher->core->published++;
}

static msgsrv_status append(msi_core *core, topic *on, msi_event *event, const msi_publication *publication,
                            msi_append *appended, msgsrv_error *error)
{
    *appended = (msi_append){.event = event,
                             .queues = on->engine_queues,
                             .queue_count = on->queue_count,
                             .put = {.id = publication->id,
                                     .ttl_ns = publication->ttl_ms * MSI_MS,
                                     .delay_ns = publication->delay_ms * MSI_MS}};
    msgsrv_status status = core->ops->append(core->engine, on->log, appended);
    if (status == MSGSRV_RESOURCE_EXHAUSTED && appended->refused_by) {
        for (uint32_t i = 0; i < on->queue_count; i++) {
            if (strcmp((const char *)on->queues[i]->node.name.data, appended->refused_by) == 0)
                on->queues[i]->refused++;
        }
        return msi_error(error, status, "the queue %s is full", appended->refused_by);
    }
    if (status != MSGSRV_OK && status != MSGSRV_ALREADY_EXISTS)
        return msi_error_memory(error);
    return status;
}

/* Gives it to the engine, and to what waits. OK; ALREADY_EXISTS for a duplicate; or why not. */
static msgsrv_status hand_on(msi_publisher *publisher, const msi_publication *publication, topic *on, uint64_t wall_us,
                             msi_append *appended, msgsrv_error *error)
{
    msi_core *core = publisher->core;
    msgsrv_status status = on->log ? MSGSRV_OK : msi_topic_open_log(core, on, error);
    if (status != MSGSRV_OK)
        return status;
    msi_event *event = make_event(publisher, publication, on, wall_us, 0);
    if (!event)
        return msi_error_memory(error);
    status = append(core, on, event, publication, appended, error);
    if (status == MSGSRV_OK) {
        event->position = ++core->position;
        msi_event_seal(event);
        count_in(publisher, on, event);
        fan_out(core, on, event);
    }
    msi_event_unref(event);
    return status;
}

static msgsrv_status publish(msi_publisher *publisher, const msi_publication *publication, uint64_t wall_us,
                             msgsrv_receipt *receipt, msgsrv_error *error)
{
    found_topic found = {.on = NULL};
    msi_append appended = {.sequence = 0};
    msgsrv_status status = check_publication(publisher->core, publication, error);
    if (status == MSGSRV_OK)
        status = find_topic(publisher, publication, &found, error);
    if (status == MSGSRV_OK)
        status = hand_on(publisher, publication, found.on, wall_us, &appended, error);
    bool accepted = status == MSGSRV_OK || status == MSGSRV_ALREADY_EXISTS;
    if (receipt && accepted)
        *receipt = (msgsrv_receipt){
            .sequence = appended.sequence, .epoch = found.on->name->epoch, .duplicate = status == MSGSRV_ALREADY_EXISTS};
    if (__builtin_expect(found.made || found.bound, 0))
        msi_topic_settle(publisher->core, &found, accepted);
    return accepted ? MSGSRV_OK : status;
}

msgsrv_status msi_core_publish_locked(msi_publisher *publisher, const msi_publication *publication, uint64_t wall_us,
                                      msgsrv_receipt *receipt, msgsrv_error *error)
{
    msgsrv_status status = publish(publisher, publication, wall_us, receipt, error);
    if (status != MSGSRV_OK)
        publisher->core->refused++;
    return status;
}

static msgsrv_status invalid_payload(msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the payload is not well-formed protobuf");
}

msgsrv_status msi_core_publish(msi_publisher *publisher, const msi_publication *publication, msgsrv_receipt *receipt,
                               msgsrv_error *error)
{
    bool valid = !publication->payload.data || msi_payload_valid(publication->payload);
    uint64_t wall_us = msi_core_wall_us();
    msi_core_lock(publisher->core);
    msgsrv_status status;
    if (valid) {
        status = msi_core_publish_locked(publisher, publication, wall_us, receipt, error);
    } else {
        publisher->core->refused++;
        status = invalid_payload(error);
    }
    msi_core_unlock(publisher->core);
    return status;
}

/* ---- requests ---- */

msgsrv_status msi_core_make_request(msi_publisher *publisher, const msi_publication *publication, uint64_t request,
                                    found_topic *found, msi_event **event, msgsrv_error *error)
{
    msgsrv_status status = check_publication(publisher->core, publication, error);
    if (status == MSGSRV_OK && publication->payload.data && !msi_payload_valid(publication->payload))
        status = invalid_payload(error);
    if (status == MSGSRV_OK)
        status = find_topic(publisher, publication, found, error);
    if (status != MSGSRV_OK)
        return status;
    *event = make_event(publisher, publication, found->on, msi_core_wall_us(), request);
    if (!*event)
        return msi_error_memory(error);
    (*event)->position = publisher->core->position;
    msi_event_seal(*event);
    found->on->touched = true;
    return MSGSRV_OK;
}
