/* SPDX-License-Identifier: MIT */
/* The public functions of streams that both ends have in common: each opens a bracket if need be, and asks stream.c or the owner. */
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "call/call.h"
#include "call/stream.h"

bool msi_stream_enter(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    *bracket = (msi_stream_bracket){.opened = false};
    if (msi_loop_current == stream->loop) {
        msi_stream_hold(stream);
        stream->loop->in_api++;
        return true;
    }
    /* A loop of the library's own runs on another thread, and this stream may not even be looked at. */
    if (stream->foreign || stream->closed)
        return false;
    bracket->opened = true;
    if (!stream->owner->enter(stream, bracket))
        return false;
    stream->loop->in_api++;
    (void)msgsrv_stream_ref(stream); /* no hold: once the bracket is closed, another thread may drive the loop */
    return true;
}

void msi_stream_leave(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    stream->loop->in_api--;
    if (!bracket->opened) {
        msi_stream_unhold(stream);
        return;
    }
    stream->owner->leave(stream, bracket);
    msgsrv_stream_unref(stream);
}

static msgsrv_status not_here(msgsrv_error *error)
{
    return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                     "the stream is closed, or this is not its loop's thread; msgsrv_stream_wake() reaches that");
}

msgsrv_status msgsrv_stream_send(msgsrv_stream *stream, const void *message, msgsrv_error *error)
{
    if (!stream || !message)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the stream or the message is NULL");
    if (stream->sync)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "a synchronous stream is written with msgsrv_stream_write()");
    msi_stream_bracket bracket;
    if (!msi_stream_enter(stream, &bracket))
        return not_here(error);
    msgsrv_status status = msi_stream_send(stream, message, error);
    msi_stream_leave(stream, &bracket);
    return status;
}

msgsrv_status msgsrv_stream_send_parts(msgsrv_stream *stream, const msgsrv_bytes *parts, size_t count,
                                       msgsrv_error *error)
{
    if (!stream || !parts || !count)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the stream is NULL, or there are no parts");
    if (stream->sync)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "a synchronous stream is written with msgsrv_stream_write()");
    if (stream->send.type && !stream->send.traits.raw)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "messages in parts are bytes, not %s", stream->send.type->name);
    msi_stream_bracket bracket;
    if (!msi_stream_enter(stream, &bracket))
        return not_here(error);
    msgsrv_status status = msi_stream_send_parts(stream, parts, count, error);
    msi_stream_leave(stream, &bracket);
    return status;
}

msgsrv_status msgsrv_stream_reply(msgsrv_stream *stream, const void *response, msgsrv_error *error)
{
    if (!stream || !response)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the stream or the response is NULL");
    msi_stream_bracket bracket;
    if (!msi_stream_enter(stream, &bracket))
        return not_here(error);
    msgsrv_status status;
    if (stream->over || !stream->owner->reply)
        status = msi_error(error, MSGSRV_FAILED_PRECONDITION, "the call is over, or this is not the server's end of it");
    else
        status = stream->owner->reply(stream, response, error);
    msi_stream_leave(stream, &bracket);
    return status;
}

msgsrv_status msgsrv_stream_finish(msgsrv_stream *stream)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return MSGSRV_FAILED_PRECONDITION;
    bool can = !stream->over && !stream->finished && stream->send.type;
    if (can) {
        stream->finished = true;
        stream->owner->finish(stream);
    }
    msi_stream_leave(stream, &bracket);
    return can ? MSGSRV_OK : MSGSRV_FAILED_PRECONDITION;
}

static void fail(msgsrv_stream *stream, msgsrv_status code, const char *text)
{
    msi_stream_bracket bracket;
    if (!msi_stream_enter(stream, &bracket))
        return;
    if (!stream->closed)
        stream->owner->fail(stream, code, text);
    msi_stream_leave(stream, &bracket);
}

msgsrv_status msgsrv_stream_fail(msgsrv_stream *stream, msgsrv_status code, const char *format, ...)
{
    char text[MSGSRV_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(text, format, arguments);
    va_end(arguments);
    code = msi_failure_code((int)code);
    if (stream)
        fail(stream, code, text);
    return code;
}

void msgsrv_stream_set_data(msgsrv_stream *stream, void *data)
{
    stream->data = data;
}

void *msgsrv_stream_data(const msgsrv_stream *stream)
{
    return stream->data;
}

bool msgsrv_stream_can_send(const msgsrv_stream *stream)
{
    if (!stream->send.type || stream->over || stream->finished || stream->waits != MSI_WAITS_NOT || !stream->outlet)
        return false;
    return msi_conn_open(stream->outlet->conn) && stream->send.items > 0 && stream->send.bytes > 0 &&
           msi_outlet_has_room(stream->outlet, stream);
}

bool msgsrv_stream_ask_to_send(msgsrv_stream *stream)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return false;
    bool can = msi_stream_ask(stream);
    msi_stream_leave(stream, &bracket);
    return can;
}

void msgsrv_stream_pause(msgsrv_stream *stream)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return;
    stream->paused = true;
    msi_stream_leave(stream, &bracket);
}

void msgsrv_stream_resume(msgsrv_stream *stream)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return;
    if (stream->paused && !stream->closed) {
        stream->paused = false;
        msi_loop_defer(stream->loop, &stream->task);
    }
    msi_stream_leave(stream, &bracket);
}

uint32_t msgsrv_stream_keep(msgsrv_stream *stream)
{
    if (!stream || !stream->handles || msi_loop_current != stream->loop)
        return 0;
    stream->handles = false;
    stream->kept_items++;
    stream->kept_bytes += stream->handling;
    return stream->handling;
}

void msgsrv_stream_consumed(msgsrv_stream *stream, uint32_t items, uint32_t bytes)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return;
    items = items < stream->kept_items ? items : stream->kept_items;
    bytes = bytes < stream->kept_bytes ? bytes : (uint32_t)stream->kept_bytes;
    stream->kept_items -= items;
    stream->kept_bytes -= bytes;
    msi_stream_give_credit(stream, items, bytes);
    msi_stream_leave(stream, &bracket);
}

uint64_t msgsrv_stream_acknowledged(const msgsrv_stream *stream)
{
    return stream->granted < stream->sent ? stream->granted : stream->sent;
}

void msgsrv_stream_wake_on_acknowledged(msgsrv_stream *stream)
{
    if (stream && msi_loop_current == stream->loop)
        stream->wakes_on_ack = true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msgsrv_stream *stream = arg;
    msi_loop *loop = stream->loop;
    msi_loop *before = msi_loop_enter(loop);
    if (!msi_timer_early(loop, &stream->timer, stream->timer_due))
        msi_stream_tell(stream, MSGSRV_STREAM_WOKEN, NULL, NULL);
    msi_loop_leave(loop, before);
}

void msgsrv_stream_wake_after(msgsrv_stream *stream, uint32_t delay_ms)
{
    msi_stream_bracket bracket;
    if (!stream || !msi_stream_enter(stream, &bracket))
        return;
    if (stream->has_timer)
        event_del(&stream->timer);
    if (!stream->over && delay_ms != MSGSRV_NONE) {
        if (!stream->has_timer)
            event_assign(&stream->timer, stream->loop->base, -1, 0, on_timer, stream);
        stream->has_timer = true;
        stream->timer_due = msi_now() + delay_ms * MSI_MS;
        if (!msi_timer_at(stream->loop, &stream->timer, stream->timer_due))
            msgsrv_stream_wake(stream); /* without memory for a timer it comes early, which is better than never */
    }
    msi_stream_leave(stream, &bracket);
}
