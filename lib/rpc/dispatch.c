/* SPDX-License-Identifier: MIT */
/*
 * Decoding, the handler, encoding. A handler runs on the loop's thread, right in the middle of reading, or on a worker's; what it
 * returned is looked at on the loop's thread in both cases.
 */
#include "rpc/dispatch.h"

#include <stddef.h>

#include "base/container.h"
#include "base/error.h"

static msi_method *find(void *services, const uint8_t *path, size_t size)
{
    return msi_methods_find(services, path, size);
}

static void misused(msgsrv_call *call, const char *what)
{
    msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: %s", call->description->path, what);
    atomic_store(&call->cancelled, MSGSRV_CANCELLED); /* a hold that is out learns that nobody waits for it */
    msi_call_end(call, MSGSRV_INTERNAL, what);
}

/* Does what the handler's result says. */
static void settle(msgsrv_call *call, msgsrv_status result)
{
    if (call->ended)
        return;
    if (call->hold_taken && result == MSGSRV_DEFERRED)
        msi_call_park(call);
    else if (call->hold_taken)
        misused(call, "the handler held the call and did not return MSGSRV_DEFERRED");
    else if (result == MSGSRV_DEFERRED)
        misused(call, "the handler returned MSGSRV_DEFERRED without holding the call");
    else if (result == MSGSRV_OK)
        msi_call_end(call, MSGSRV_OK, NULL);
    else if (msi_failure_code((int)result) == result)
        msi_call_end(call, result, call->has_text ? call->text : NULL);
    else
        misused(call, "the handler returned a value that is no status code");
}

static msgsrv_status invoke(msgsrv_call *call)
{
    const msi_method *method = call->method;
    return method->service_method->invoke(method->implementation, call, call->request, call->response, method->ctx);
}

/* Back on the loop's thread after a worker. */
static void on_worked(msi_post *post, msi_loop *loop)
{
    (void)loop;
    msgsrv_call *call = MSI_CONTAINER(post, msgsrv_call, post);
    settle(call, call->handler_status);
    if (!call->hold_taken)
        msi_call_unref(call);
    msi_call_unref(call);
}

/* On a worker's thread. A call that nobody waits for any more is not started. */
static void work(msi_work *piece)
{
    msgsrv_call *call = MSI_CONTAINER(piece, msgsrv_call, work);
    msi_mailbox *mailbox = call->mailbox;
    bool late = call->deadline && msi_now() >= call->deadline;
    msgsrv_status result = MSGSRV_DEADLINE_EXCEEDED;
    if (!late && !atomic_load(&call->cancelled))
        result = invoke(call);
    msi_mailbox_lock(mailbox);
    call->pool_done = true;
    while (call->telling && !call->hold_taken)
        msi_mailbox_wait(mailbox);
    msi_mailbox_unlock(mailbox);
    call->handler_status = result;
    call->post.run = on_worked;
    /* The mailbox is open: the server frees the pool first, and with it waits for us. */
    (void)msi_mailbox_post(mailbox, &call->post);
}

static void refuse(msgsrv_call *call, msgsrv_refusal why, msgsrv_status code, const char *text)
{
    msi_count(&call->host->loop->counters.refused[why], 1);
    msi_call_end(call, code, text);
}

static void start_work(msgsrv_call *call)
{
    call->on_pool = true;
    if (call->request_traits.has_views && !msi_own_views(call->description->request, call->request)) {
        msi_call_end(call, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
        return;
    }
    call->work.run = work;
    msi_call_ref(call); /* the worker's */
    msi_call_ref(call); /* for a hold, which a worker may not count for itself */
    msi_call_park(call);
    if (!call->ended && msi_workers_submit(*call->host->workers, &call->work))
        return;
    msi_call_unref(call);
    if (!call->ended)
        refuse(call, MSGSRV_REFUSED_WORKERS, MSGSRV_RESOURCE_EXHAUSTED, "too many calls wait for a worker");
    msi_call_unref(call);
}

static void run_here(msgsrv_call *call)
{
    msi_call_ref(call);
    call->running = true;
    msgsrv_status result = invoke(call);
    call->running = false;
    settle(call, result);
    msi_call_unref(call);
}

/* An event of a stream. What its function returned goes on, or fails the call. */
static void event(msgsrv_call *call, msgsrv_stream_event event, const void *in, void *out)
{
    const msi_method *method = call->method;
    bool answers = event == MSGSRV_STREAM_HALF_CLOSE && !msi_streams_responses(method->description);
    msi_call_ref(call);
    msgsrv_status result = method->service_method->serve(method->implementation, call->stream, event, in,
                                                         answers ? call->response : out, method->ctx);
    if (call->ended || event == MSGSRV_STREAM_CLOSED)
        ; /* by the function itself, or before */
    else if (result == MSGSRV_OK && answers)
        msi_call_end(call, MSGSRV_OK, NULL);
    else if (result == MSGSRV_OK || result == MSGSRV_AGAIN || result == MSGSRV_DEFERRED)
        ; /* goes on */
    else if (msi_failure_code((int)result) == result)
        msi_call_end(call, result, call->has_text ? call->text : NULL);
    else
        misused(call, "the handler returned a value that is no status code");
    msi_call_unref(call);
}

static void begin_stream(msgsrv_call *call, msi_view body)
{
    const msgsrv_method *method = call->description;
    msgsrv_error error;
    msgsrv_status status = MSGSRV_OK;
    bool one_request = !msi_streams_requests(method);
    if (one_request)
        status = msi_decode(method->request, &call->request_traits, body.data, body.size, call->max_message,
                            call->request, &error);
    /* The request lives as long as the stream, the receive buffer does not. */
    if (status == MSGSRV_OK && one_request && call->request_traits.has_views &&
        !msi_own_views(method->request, call->request))
        status = msi_error_memory(&error);
    if (status) {
        refuse(call, MSGSRV_REFUSED_DECODE, status, error.text);
        return;
    }
    msi_call_ref(call);
    msi_call_park(call);
    if (!call->ended)
        msi_stream_tell(call->stream, MSGSRV_STREAM_BEGIN, one_request ? call->request : NULL, NULL);
    msi_call_unref(call);
}

static void begin(msgsrv_call *call, msi_view body)
{
    const msi_method *method = call->method;
    if (call->host->interceptors->count && !msi_call_intercept_begin(call))
        return;
    if (!method->implemented) {
        refuse(call, MSGSRV_REFUSED_METHOD, MSGSRV_UNIMPLEMENTED, "the method is not implemented by this server");
        return;
    }
    if (call->stream) {
        begin_stream(call, body);
        return;
    }
    msgsrv_error error;
    msgsrv_status status = msi_decode(method->description->request, &call->request_traits, body.data, body.size,
                                      call->max_message, call->request, &error);
    if (status)
        refuse(call, MSGSRV_REFUSED_DECODE, status, error.text);
    else if (method->blocking)
        start_work(call);
    else
        run_here(call);
}

static msgsrv_status append(msgsrv_call *call, msi_buf *out, msgsrv_error *error)
{
    if (!call->encoded)
        return msi_encode(call->description->response, &call->response_traits, call->response, call->max_message, out,
                          error);
    if (!msi_buf_append(out, call->held.body.data, call->held.body.len))
        return msi_error_memory(error);
    return MSGSRV_OK;
}

static void release(msgsrv_call *call)
{
    msi_release(call->description->request, &call->request_traits, call->request);
}

const msi_service_ops msi_dispatch_ops = {find, begin, event, append, release};
