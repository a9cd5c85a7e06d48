/* SPDX-License-Identifier: MIT */
/*
 * Count, Sum and Chat. A stream's state is memory of its call, freed after its end; all runs on the loop's thread, and nothing waits there.
 */
#include "demo_streams.h"

#include <stdlib.h>
#include <string.h>

/* A stream's state, zeroed and remembered with it; NULL without memory. */
static void *new_state(msgsrv_stream *stream, size_t size)
{
    void *state = msgsrv_call_alloc(msgsrv_stream_call(stream), size);
    msgsrv_stream_set_data(stream, state);
    return state;
}

/* Streams that may last end when the server drains, which would wait for them. */
static msgsrv_status shut_down(msgsrv_stream *stream)
{
    return msgsrv_stream_fail(stream, MSGSRV_UNAVAILABLE, "the server is shutting down");
}

/* ---- Count ---- */

struct count {
    int64_t next, last;
    uint32_t interval_ms;
};

/* Sends one number, and says when the next one is due. */
static msgsrv_status count_one(messages_Demo_Count_server call, struct count *count)
{
    messages_CountReply reply = {.number = (int32_t)count->next};
    msgsrv_status status = messages_Demo_Count_server_send(call, &reply, NULL);
    if (status != MSGSRV_OK)
        return status;
    count->next++;
    if (count->interval_ms > 0 && count->next <= count->last)
        msgsrv_stream_wake_after(call.stream, count->interval_ms);
    return MSGSRV_OK;
}

/* Sends until the client has had enough for now (AGAIN, after which `writable` comes), the next number is not due, or all are sent. */
static msgsrv_status count_on(messages_Demo_Count_server call, void *ctx)
{
    struct count *count = msgsrv_stream_data(call.stream);
    (void)ctx;
    while (count->next <= count->last) {
        msgsrv_status status = count_one(call, count);
        if (status != MSGSRV_OK || (count->interval_ms > 0 && count->next <= count->last))
            return status;
    }
    return msgsrv_stream_finish(call.stream);
}

static msgsrv_status count_begin(messages_Demo_Count_server call, const messages_CountRequest *request, void *ctx)
{
    if (request->interval_ms < 0)
        return msgsrv_stream_fail(call.stream, MSGSRV_INVALID_ARGUMENT, "interval_ms is negative");
    struct count *count = new_state(call.stream, sizeof *count);
    if (!count)
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    *count =
        (struct count){.next = request->first, .last = request->last, .interval_ms = (uint32_t)request->interval_ms};
    return count_on(call, ctx);
}

static msgsrv_status count_draining(messages_Demo_Count_server call, void *ctx)
{
    (void)ctx;
    return shut_down(call.stream);
}

/* ---- Sum ---- */

static msgsrv_status sum_begin(messages_Demo_Sum_server call, void *ctx)
{
    (void)ctx;
    if (!new_state(call.stream, sizeof(int64_t)))
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return MSGSRV_OK;
}

static msgsrv_status sum_message(messages_Demo_Sum_server call, const messages_SumRequest *message, void *ctx)
{
    int64_t *sum = msgsrv_stream_data(call.stream);
    (void)ctx;
    if (__builtin_add_overflow(*sum, message->value, sum))
        return msgsrv_stream_fail(call.stream, MSGSRV_OUT_OF_RANGE, "the sum does not fit int64");
    return MSGSRV_OK;
}

static msgsrv_status sum_half_close(messages_Demo_Sum_server call, messages_SumReply *response, void *ctx)
{
    (void)ctx;
    response->sum = *(const int64_t *)msgsrv_stream_data(call.stream);
    return MSGSRV_OK;
}

/* ---- Chat ---- */

struct chat {
    char *waiting; /* a text that found no room; no more come meanwhile */
    bool ended;    /* the client has sent all */
};

static msgsrv_status chat_begin(messages_Demo_Chat_server call, void *ctx)
{
    (void)ctx;
    if (!new_state(call.stream, sizeof(struct chat)))
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return MSGSRV_OK;
}

static msgsrv_status chat_message(messages_Demo_Chat_server call, const messages_EchoMessage *message, void *ctx)
{
    struct chat *chat = msgsrv_stream_data(call.stream);
    (void)ctx;
    msgsrv_status status = messages_Demo_Chat_server_send(call, message, NULL);
    if (status != MSGSRV_AGAIN)
        return status;
    chat->waiting = strdup(message->text ? message->text : "");
    if (!chat->waiting)
        return msgsrv_stream_fail(call.stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    msgsrv_stream_pause(call.stream);
    return MSGSRV_OK;
}

static msgsrv_status chat_writable(messages_Demo_Chat_server call, void *ctx)
{
    struct chat *chat = msgsrv_stream_data(call.stream);
    (void)ctx;
    if (!chat->waiting)
        return MSGSRV_OK;
    messages_EchoMessage message = {.text = chat->waiting};
    msgsrv_status status = messages_Demo_Chat_server_send(call, &message, NULL);
    if (status != MSGSRV_OK)
        return status;
    free(chat->waiting);
    chat->waiting = NULL;
    if (chat->ended)
        return msgsrv_stream_finish(call.stream);
    msgsrv_stream_resume(call.stream);
    return MSGSRV_OK;
}

static msgsrv_status chat_half_close(messages_Demo_Chat_server call, void *ctx)
{
    struct chat *chat = msgsrv_stream_data(call.stream);
    (void)ctx;
    chat->ended = true;
    return chat->waiting ? MSGSRV_OK : msgsrv_stream_finish(call.stream);
}

static msgsrv_status chat_draining(messages_Demo_Chat_server call, void *ctx)
{
    (void)ctx;
    return shut_down(call.stream);
}

static void chat_closed(messages_Demo_Chat_server call, const msgsrv_error *error, void *ctx)
{
    struct chat *chat = msgsrv_stream_data(call.stream);
    (void)error;
    (void)ctx;
    if (chat)
        free(chat->waiting);
}

void demo_streams_fill(messages_Demo_service *demo)
{
    demo->Count.begin = count_begin;
    demo->Count.writable = count_on;
    demo->Count.woken = count_on;
    demo->Count.draining = count_draining;
    demo->Sum.begin = sum_begin;
    demo->Sum.message = sum_message;
    demo->Sum.half_close = sum_half_close;
    demo->Chat.begin = chat_begin;
    demo->Chat.message = chat_message;
    demo->Chat.writable = chat_writable;
    demo->Chat.half_close = chat_half_close;
    demo->Chat.draining = chat_draining;
    demo->Chat.closed = chat_closed;
}
