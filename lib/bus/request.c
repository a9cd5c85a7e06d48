/* SPDX-License-Identifier: MIT */
/* Requests: each goes to one responder, and is answered once. */
#include <stdlib.h>

#include "bus/core_internal.h"

static bool is_full(const msi_waiting *waiting, const msi_event *event)
{
    return waiting->events >= waiting->max_events ||
           (waiting->events && waiting->bytes + event->size > waiting->max_bytes);
}

static msi_sub *choose(const topic *on, const msi_event *event, bool *all_full)
{
    msi_sub *best = NULL;
    *all_full = on->responder_count > 0;
    for (uint32_t i = 0; i < on->responder_count; i++) {
        msi_sub *sub = on->responders[i];
        if (sub->ended || is_full(&sub->waiting, event))
            continue;
        if (!best || sub->open_requests < best->open_requests)
            best = sub;
    }
    return best;
}

static void forget(msi_core *core, core_request *gone)
{
    msi_idmap_remove(&core->requests, &gone->node);
    LIST_REMOVE(gone, of_responder);
    gone->responder->open_requests--;
}

/* Gives it to the responder. */
static msgsrv_status hand_over(msi_core *core, msi_sub *responder, msi_event *event, core_request *made,
                               msgsrv_error *error)
{
    if (!msi_idmap_add(&core->requests, &made->node))
        return msi_error_memory(error);
    if (!msi_waiting_append(&responder->waiting, &(msi_waiting_item){.what = event})) {
        msi_idmap_remove(&core->requests, &made->node);
        return msi_error_memory(error);
    }
    msi_event_ref(event);
    made->responder = responder;
    LIST_INSERT_HEAD(&responder->requests, made, of_responder);
    responder->open_requests++;
    msi_sub_wake(responder);
    return MSGSRV_OK;
}

static msgsrv_status send(msi_publisher *publisher, const msi_publication *publication, core_request *made,
                          msgsrv_error *error)
{
    msi_core *core = publisher->core;
    if (core->requests.count >= core->limits.max_requests)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "%u requests wait for an answer, which is the limit (max_requests)", core->limits.max_requests);
    found_topic found = {.on = NULL};
    msi_event *event = NULL;
    bool all_full = false;
    msi_sub *responder = NULL;
    msgsrv_status status = msi_core_make_request(publisher, publication, made->node.id, &found, &event, error);
    if (status == MSGSRV_OK)
        responder = choose(found.on, event, &all_full);
    if (responder)
        status = hand_over(core, responder, event, made, error);
    else if (status == MSGSRV_OK && all_full)
        status = msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                           "every responder of the topic %s has too many requests waiting", found.on->name->topic);
    else if (status == MSGSRV_OK)
        status = msi_error(error, MSGSRV_UNAVAILABLE, "nobody answers requests of the type %s on the topic %s",
                           found.on->name->type, found.on->name->topic);
    if (event)
        msi_event_unref(event);
    msi_topic_settle(core, &found, status == MSGSRV_OK);
    return status;
}

msgsrv_status msi_core_request_locked(msi_publisher *publisher, const msi_publication *publication,
                                      msi_answer_fn answer, void *ctx, uint64_t *request, msgsrv_error *error)
{
    core_request *made = calloc(1, sizeof *made);
    if (!made)
        return msi_error_memory(error);
    made->answer = answer;
    made->ctx = ctx;
    made->node.id = msi_random(); /* not to be guessed by others who might answer */
    *request = made->node.id;
    msgsrv_status status = send(publisher, publication, made, error);
    if (status != MSGSRV_OK)
        free(made);
    return status;
}

msgsrv_status msi_core_request(msi_publisher *publisher, const msi_publication *publication, msi_answer_fn answer,
                               void *ctx, uint64_t *request, msgsrv_error *error)
{
    msi_core_lock(publisher->core);
    msgsrv_status status = msi_core_request_locked(publisher, publication, answer, ctx, request, error);
    msi_core_unlock(publisher->core);
    return status;
}

static core_request *find(msi_core *core, uint64_t id)
{
    msi_idnode *node = msi_idmap_find(&core->requests, id);
    return node ? MSI_CONTAINER(node, core_request, node) : NULL;
}

bool msi_core_request_cancel(msi_core *core, uint64_t request)
{
    msi_core_lock(core);
    core_request *gone = find(core, request);
    if (gone)
        forget(core, gone);
    msi_core_unlock(core);
    free(gone);
    return gone != NULL;
}

msgsrv_status msi_core_reply(msi_core *core, uint64_t request, msi_view type, msi_view payload, msgsrv_error *error)
{
    msgsrv_status status = msi_check_type_name(type, error);
    if (status != MSGSRV_OK)
        return status;
    if (payload.data && !msi_payload_valid(payload))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the payload is not well-formed protobuf");
    msi_core_lock(core);
    core_request *answered = find(core, request);
    if (answered)
        forget(core, answered);
    msi_core_unlock(core);
    if (!answered)
        return msi_error(error, MSGSRV_NOT_FOUND, "the request was answered, or nobody waits for it any more");
    answered->answer(answered->ctx, MSGSRV_OK, NULL, type, payload);
    free(answered);
    return MSGSRV_OK;
}

void msi_requests_of_gone(msi_sub *responder)
{
    core_request *gone;
    while ((gone = LIST_FIRST(&responder->requests)) != NULL) {
        forget(responder->core, gone);
        gone->status = MSGSRV_UNAVAILABLE;
        gone->text = "the responder went away";
        STAILQ_INSERT_TAIL(&responder->core->failed, gone, failed);
    }
}
