/* SPDX-License-Identifier: MIT */
/* Interceptors around calls. */
#include "call/intercept.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "call/call.h"

#define FIRST_SIZE (offsetof(msgsrv_interceptor, ctx) + sizeof(void *))

msgsrv_status msi_interceptors_add(msi_interceptors *interceptors, const msgsrv_interceptor *interceptor,
                                   msgsrv_error *error)
{
    size_t size = interceptor && interceptor->size ? interceptor->size : FIRST_SIZE;
    if (!interceptor || size < FIRST_SIZE)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the interceptor is NULL, or its size is wrong");
    if (interceptors->count == MSGSRV_INTERCEPTORS_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "more than %d interceptors", MSGSRV_INTERCEPTORS_MAX);
    msgsrv_interceptor *to = &interceptors->list[interceptors->count++];
    memcpy(to, interceptor, size < sizeof *to ? size : sizeof *to);
    return MSGSRV_OK;
}

msgsrv_status msi_intercept_begin(msi_intercepted *into, const msi_interceptors *interceptors,
                                  const msgsrv_call_info *info, uint64_t now, msgsrv_error *error)
{
    *into = (msi_intercepted){.interceptors = interceptors, .began_at = now};
    into->data = interceptors->count <= MSI_INTERCEPTED_FEW ? into->few : calloc(interceptors->count, sizeof(void *));
    if (!into->data)
        return msi_error_memory(error);
    while (into->begun < interceptors->count) {
        const msgsrv_interceptor *at = &interceptors->list[into->begun];
        void **data = &into->data[into->begun++];
        if (!at->begin)
            continue;
        msgsrv_error said;
        said.text[0] = '\0';
        msgsrv_status status = at->begin(info, at->ctx, data, &said);
        if (status == MSGSRV_OK)
            continue;
        said.text[sizeof said.text - 1] = '\0';
        if (msi_failure_code((int)status) != status)
            return msi_error(error, MSGSRV_INTERNAL, "an interceptor returned a value that is no status code");
        return msi_error(error, status, "%s", *said.text ? said.text : msgsrv_status_text(status));
    }
    return MSGSRV_OK;
}

void msi_intercept_end(msi_intercepted *intercepted, const msgsrv_call_info *info, msgsrv_call_outcome *outcome,
                       uint64_t now)
{
    outcome->duration_ns = now > intercepted->began_at ? now - intercepted->began_at : 0;
    if (!outcome->text)
        outcome->text = "";
    while (intercepted->begun > 0) {
        size_t index = --intercepted->begun;
        const msgsrv_interceptor *at = &intercepted->interceptors->list[index];
        if (at->end)
            at->end(info, outcome, at->ctx, intercepted->data[index]);
    }
}

void msi_intercept_release(msi_intercepted *intercepted)
{
    if (intercepted->data != intercepted->few)
        free(intercepted->data);
    intercepted->data = NULL;
}

static msgsrv_call_info info_of(const msgsrv_call *call, uint64_t now)
{
    return (msgsrv_call_info){
        .method = call->description->path,
        .metadata = msgsrv_call_metadata(call),
        .time_left_ms = call->deadline ? msi_ms_until(call->deadline, now) : -1,
        .kind = call->description->kind,
        .plain = call->plain_answer != 0,
        .call = call,
    };
}

bool msi_call_intercept_begin(msgsrv_call *call)
{
    msgsrv_error error;
    uint64_t now = msi_loop_now(call->host->loop);
    msgsrv_call_info info = info_of(call, now);
    call->is_intercepted = true;
    msi_call_ref(call); /* an interceptor may free the server */
    msgsrv_status status = msi_intercept_begin(&call->intercepted, call->host->interceptors, &info, now, &error);
    if (status)
        msi_call_end(call, status, error.text);
    bool goes_on = !call->ended;
    msi_call_unref(call);
    return goes_on;
}

void msi_call_intercept_end(msgsrv_call *call, msgsrv_status code, const char *message)
{
    uint64_t now = msi_now();
    call->host->loop->now = now; /* the next call of this wake-up begins now */
    msgsrv_call_info info = info_of(call, now);
    msgsrv_call_outcome outcome = {
        .status = code,
        .text = message,
        .messages_received = call->stream && msi_streams_requests(call->description) ? call->stream->received : 1,
        .messages_sent = call->stream && msi_streams_responses(call->description) ? call->stream->sent
                         : code == MSGSRV_OK                                      ? 1
                                                                                  : 0,
    };
    msi_intercept_end(&call->intercepted, &info, &outcome, now);
}
