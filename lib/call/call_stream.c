/* SPDX-License-Identifier: MIT */
/* The server's end of a stream: what it is to its call. */
#include <stdlib.h>

#include "base/error.h"
#include "call/call.h"

static msgsrv_call *call_of(const msgsrv_stream *stream)
{
    return stream->of;
}

static void event(msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out)
{
    msgsrv_call *call = call_of(stream);
    if (event != MSGSRV_STREAM_CLOSED) {
        call->service->event(call, event, in, out);
        return;
    }
    msgsrv_error outcome;
    msi_error_set(&outcome, call->outcome, atomic_load(&call->cancelled) == MSGSRV_CANCELLED, call->text,
                  strlen(call->text));
    if (stream->begun) /* a call that was refused before the program heard of it ends unheard */
        call->service->event(call, event, &outcome, NULL);
    stream->of = NULL;
    msi_call_unref(call); /* what end_stream() took */
}

static bool enter(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    bracket->before = msi_loop_enter(stream->loop);
    return true;
}

static void leave(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    msi_loop_leave_quietly(stream->loop, bracket->before);
}

/* Ends the call for the program or because of the peer. What follows is not told inside of a function of the program's. */
static void fail(msgsrv_stream *stream, msgsrv_status code, const char *text)
{
    msgsrv_call *call = call_of(stream);
    if (!call || call->ended)
        return;
    msi_call_end(call, code, text);
}

/* The peer has broken a rule. */
static void fault(msgsrv_stream *stream, msgsrv_status code, const char *text)
{
    msgsrv_call *call = call_of(stream);
    if (call)
        msi_call_cancel(call, code, text);
}

static void finish(msgsrv_stream *stream)
{
    fail(stream, MSGSRV_OK, NULL);
}

static msgsrv_status reply(msgsrv_stream *stream, const void *response, msgsrv_error *error)
{
    msgsrv_call *call = call_of(stream);
    if (msi_streams_responses(call->description))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "%s answers with a stream: send and finish",
                         call->description->path);
    msgsrv_error found;
    msgsrv_status status = msi_encode(call->description->response, &call->response_traits, response, call->max_message,
                                      &call->held.body, &found);
    if (status && error)
        *error = found;
    call->encoded = status == MSGSRV_OK;
    fail(stream, status && status != MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_INTERNAL : status, status ? found.text : NULL);
    return status;
}

static const msi_stream_owner owner = {event, enter, leave, fail, fault, finish, reply, NULL};

bool msi_call_add_stream(msgsrv_call *call, msi_outlet *outlet)
{
    const msgsrv_method *method = call->description;
    msgsrv_stream *stream =
        msi_stream_new(&owner, call, call->host->loop, msi_streams_requests(method) ? method->request : NULL,
                       msi_streams_responses(method) ? method->response : NULL);
    if (!stream)
        return false;
    stream->owned = true;
    stream->foreign = call->host->loop->owns_base;
    stream->max_message = stream->max_received = call->max_message;
    call->stream = stream;
    msi_stream_attach(stream, outlet, call->node.id);
    return true;
}

msgsrv_call *msgsrv_stream_call(const msgsrv_stream *stream)
{
    return stream->owner == &owner ? stream->of : NULL;
}
