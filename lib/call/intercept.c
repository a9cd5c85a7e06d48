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

msgsrv_status msi_intercept_begin(const msi_interceptors *interceptors, const msgsrv_call_info *info,
                                  msi_intercepted **made, msgsrv_error *error)
{
    msi_intercepted *intercepted = calloc(1, sizeof *intercepted + interceptors->count * sizeof(void *));
    if (!intercepted)
        return msi_error_memory(error);
    intercepted->interceptors = interceptors;
    intercepted->began_at = msi_now();
    *made = intercepted;
    while (intercepted->begun < interceptors->count) {
        const msgsrv_interceptor *at = &interceptors->list[intercepted->begun];
        void **data = &intercepted->data[intercepted->begun++];
        if (!at->begin)
            continue;
        msgsrv_error said = {.code = MSGSRV_OK};
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

void msi_intercept_end(msi_intercepted *intercepted, const msgsrv_call_info *info, msgsrv_call_outcome *outcome)
{
    outcome->duration_ns = msi_now() - intercepted->began_at;
    if (!outcome->text)
        outcome->text = "";
    while (intercepted->begun > 0) {
        size_t index = --intercepted->begun;
        const msgsrv_interceptor *at = &intercepted->interceptors->list[index];
        if (at->end)
            at->end(info, outcome, at->ctx, intercepted->data[index]);
    }
}

static msgsrv_call_info info_of(const msgsrv_call *call)
{
    return (msgsrv_call_info){
        .method = call->description->path,
        .metadata = msgsrv_call_metadata(call),
        .time_left_ms = msgsrv_call_time_left_ms(call),
        .kind = call->description->kind,
        .plain = call->plain_answer != 0,
        .call = call,
    };
}

bool msi_call_intercept_begin(msgsrv_call *call)
{
    msgsrv_error error;
    msgsrv_call_info info = info_of(call);
    msi_call_ref(call); /* an interceptor may free the server */
    msgsrv_status status = msi_intercept_begin(call->host->interceptors, &info, &call->intercepted, &error);
    if (status)
        msi_call_end(call, status, error.text);
    bool goes_on = !call->ended;
    msi_call_unref(call);
    return goes_on;
}

void msi_call_intercept_end(msgsrv_call *call, msgsrv_status code, const char *message)
{
    msgsrv_call_info info = info_of(call);
    msgsrv_call_outcome outcome = {
        .status = code,
        .text = message,
        .messages_received = call->stream && msi_streams_requests(call->description) ? call->stream->received : 1,
        .messages_sent = call->stream && msi_streams_responses(call->description) ? call->stream->sent
                         : code == MSGSRV_OK                                      ? 1
                                                                                  : 0,
    };
    msi_intercept_end(call->intercepted, &info, &outcome);
}
