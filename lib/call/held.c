/* SPDX-License-Identifier: MIT */
/*
 * Holds: answers from any thread. The thread that consumes a hold owns `call->held` until it has posted it; then the loop does. Nothing
 * else of the call is written here, and nothing of the server is looked at, which may be gone.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "call/call.h"

msgsrv_call *msi_held_call(msgsrv_held *held)
{
    return MSI_CONTAINER(held, msgsrv_call, held);
}

static const msgsrv_call *call_of(const msgsrv_held *held)
{
    return (const msgsrv_call *)(const void *)((const char *)held - offsetof(msgsrv_call, held));
}

static void end_with_hold(msgsrv_call *call)
{
    msgsrv_held *held = &call->held;
    if (call->ended || atomic_load(&call->cancelled))
        return; /* thrown away: it has another end already, or is about to */
    if (held->code == MSGSRV_DEFERRED) {
        msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: a held call was dropped without an answer",
                     call->description->path);
        msi_call_end(call, MSGSRV_INTERNAL, "the handler gave no answer");
        return;
    }
    for (size_t i = 0; i < held->trailer.count; i++)
        (void)msi_metadata_add(&call->trailer, &held->trailer.entries[i], call->max_metadata, NULL);
    call->encoded = held->code == MSGSRV_OK;
    msi_call_end(call, held->code, held->code ? held->text : NULL);
}

void msi_call_consume_hold(msgsrv_call *call)
{
    end_with_hold(call);
    msi_call_unref(call);
}

static void run_on_loop(msi_post *post, msi_loop *loop)
{
    (void)loop;
    msgsrv_held *held = MSI_CONTAINER(post, msgsrv_held, post);
    msi_call_consume_hold(msi_held_call(held));
}

/* The loop is gone, and with it everybody else who referred to the call. */
static void consume_orphan(msgsrv_call *call)
{
    call->host = NULL;
    msi_call_unref(call);
}

/*
 * Hands the hold over. Whether it came in time is decided here, for the program to rely on: either the call was not cancelled, and on_cancel
 * will not be called any more; or it was, and on_cancel, if there is one, has been called or is being called.
 */
static msgsrv_status hand_over(msgsrv_held *held)
{
    msgsrv_call *call = msi_held_call(held);
    /* The call may be gone as soon as it is posted, and its reference to the mailbox with it. */
    msi_mailbox *mailbox = msi_mailbox_ref(held->mailbox);
    msi_mailbox_lock(mailbox);
    bool waited_for = atomic_load(&call->cancelled) == 0;
    call->on_cancel = NULL;
    msi_mailbox_unlock(mailbox);
    bool here = msi_loop_current && msi_loop_current->mailbox == mailbox;
    held->post.run = run_on_loop;
    if (here && !call->running)
        msi_call_consume_hold(call); /* in a callback of the loop itself: no need to wake it */
    else if (!msi_mailbox_post(mailbox, &held->post))
        consume_orphan(call);
    msi_mailbox_unref(mailbox);
    return waited_for ? MSGSRV_OK : MSGSRV_CANCELLED;
}

msgsrv_held *msgsrv_call_hold(msgsrv_call *call)
{
    if (call->stream) {
        msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: a streaming call cannot be held; keep its stream",
                     call->description->path);
        return NULL;
    }
    if (call->hold_taken) {
        msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: held twice", call->description->path);
        return NULL;
    }
    /* Views point into the receive buffer, which the handler's return gives back. On the pool they are copies already. */
    if (call->request_traits.has_views && !call->on_pool && !msi_own_views(call->description->request, call->request))
        return NULL;
    msi_mailbox_lock(call->mailbox);
    call->hold_taken = true;
    msi_mailbox_unlock(call->mailbox);
    if (!call->on_pool)
        msi_call_ref(call); /* on the pool a reference was put aside for it */
    call->held.mailbox = msi_mailbox_ref(call->host->loop->mailbox);
    call->held.code = MSGSRV_DEFERRED;
    return &call->held;
}

msgsrv_status msgsrv_held_reply(msgsrv_held *held, const msgsrv_method *method, const void *response)
{
    if (!held)
        return MSGSRV_INVALID_ARGUMENT;
    msgsrv_call *call = msi_held_call(held);
    msgsrv_status status = MSGSRV_OK;
    msgsrv_error error = {.code = MSGSRV_OK};
    if (method != call->description)
        status = msi_error(&error, MSGSRV_INVALID_ARGUMENT, "the answer of another method, %s", method->path);
    else
        status = msi_encode(method->response, &call->response_traits, response, call->max_message, &held->body, &error);
    held->code = status && status != MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_INTERNAL : status;
    if (status)
        memcpy(held->text, error.text, sizeof held->text);
    msgsrv_status handed = hand_over(held);
    return status ? status : handed;
}

msgsrv_status msgsrv_held_fail(msgsrv_held *held, msgsrv_status code, const char *format, ...)
{
    if (!held)
        return MSGSRV_INVALID_ARGUMENT;
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(held->text, format, arguments);
    va_end(arguments);
    held->code = msi_failure_code((int)code);
    return hand_over(held);
}

void msgsrv_held_drop(msgsrv_held *held)
{
    if (held)
        (void)hand_over(held);
}

bool msgsrv_held_cancelled(const msgsrv_held *held)
{
    return atomic_load(&call_of(held)->cancelled) != 0;
}

int64_t msgsrv_held_time_left_ms(const msgsrv_held *held)
{
    uint64_t deadline = call_of(held)->deadline;
    return deadline ? msi_ms_until(deadline, msi_now()) : -1;
}

msgsrv_status msgsrv_held_add_trailer(msgsrv_held *held, msgsrv_metadata entry, msgsrv_error *error)
{
    return msi_metadata_add(&held->trailer, &entry, call_of(held)->max_metadata, error);
}
