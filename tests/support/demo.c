/* SPDX-License-Identifier: MIT */
/*
 * The service of demo.h. The mutex is never held while a function of the library is called: it may call back
 * at once.
 */
#include "demo.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "messages.msgsrv.h"

enum { NOT_CANCELLED = -1, KEY_ROOM = 128, VALUE_ROOM = 1024 };

/* A held Echo. Its address is the context of the cancellation, so it stays where it is. */
struct ts_held {
    ts_demo *demo;
    msgsrv_held *held; /* NULL once consumed */
    char *text;
    int reason;
};

static void on_cancel(msgsrv_status reason, void *ctx)
{
    ts_held *held = ctx;

    pthread_mutex_lock(&held->demo->mutex);
    held->reason = (int)reason;
    pthread_cond_broadcast(&held->demo->changed);
    pthread_mutex_unlock(&held->demo->mutex);
}

static ts_held *remember(ts_demo *demo, const char *text)
{
    ts_held *held = calloc(1, sizeof(*held));

    if (!held)
        return NULL;
    *held = (ts_held){.demo = demo, .text = strdup(text), .reason = NOT_CANCELLED};
    return held;
}

static void append(ts_demo *demo, ts_held *held)
{
    pthread_mutex_lock(&demo->mutex);
    if (demo->held_count == demo->held_room) {
        demo->held_room = demo->held_room ? demo->held_room * 2 : 64;
        demo->held = realloc(demo->held, demo->held_room * sizeof(ts_held *));
        if (!demo->held)
            abort();
    }
    demo->held[demo->held_count++] = held;
    pthread_cond_broadcast(&demo->changed);
    pthread_mutex_unlock(&demo->mutex);
}

static msgsrv_status hold(ts_demo *demo, msgsrv_call *call, const char *text)
{
    ts_held *held = remember(demo, text);

    if (!held)
        return MSGSRV_RESOURCE_EXHAUSTED;
    msgsrv_call_on_cancel(call, on_cancel, held);
    held->held = msgsrv_call_hold(call);
    append(demo, held);
    return MSGSRV_DEFERRED;
}

/* A "!block" handler while it waits. */
typedef struct blocked {
    ts_demo *demo;
    bool cancelled;
} blocked;

static void on_cancel_blocked(msgsrv_status reason, void *ctx)
{
    blocked *call = ctx;

    (void)reason;
    pthread_mutex_lock(&call->demo->mutex);
    call->cancelled = true;
    pthread_cond_broadcast(&call->demo->changed);
    pthread_mutex_unlock(&call->demo->mutex);
}

static void block(ts_demo *demo, msgsrv_call *call)
{
    blocked here = {demo, false};
    size_t mine;

    msgsrv_call_on_cancel(call, on_cancel_blocked, &here);
    pthread_mutex_lock(&demo->mutex);
    mine = demo->blocked++;
    pthread_cond_broadcast(&demo->changed);
    while (demo->unblocked <= mine && !here.cancelled)
        pthread_cond_wait(&demo->changed, &demo->mutex);
    pthread_mutex_unlock(&demo->mutex);
    msgsrv_call_on_cancel(call, NULL, NULL);
    pthread_mutex_lock(&demo->mutex);
    demo->blocked_ended++;
    pthread_cond_broadcast(&demo->changed);
    pthread_mutex_unlock(&demo->mutex);
}

static msgsrv_status fail_with(msgsrv_call *call, const char *arguments)
{
    char *text;
    unsigned long code = strtoul(arguments, &text, 10);

    return msgsrv_call_error(call, (msgsrv_status)code, "%s", text + (*text == ' '));
}

static msgsrv_status big(msgsrv_call *call, const char *argument, messages_EchoMessage *response)
{
    size_t size = strtoul(argument, NULL, 10);

    response->text = msgsrv_call_alloc(call, size + 1);
    if (!response->text)
        return MSGSRV_RESOURCE_EXHAUSTED;
    memset(response->text, 'x', size);
    return MSGSRV_OK;
}

static msgsrv_status metadata_back(msgsrv_call *call)
{
    const msgsrv_metadata_set *set = msgsrv_call_metadata(call);
    msgsrv_status status = MSGSRV_OK;

    for (size_t i = 0; !status && i < msgsrv_metadata_count(set); i++)
        status = msgsrv_call_add_trailer(call, msgsrv_metadata_at(set, i), NULL);
    return status;
}

static msgsrv_status add_metadata(msgsrv_call *call, const char *arguments, bool head)
{
    char key[KEY_ROOM], value[VALUE_ROOM];
    msgsrv_metadata entry = {key, value, 0};

    if (sscanf(arguments, "%127s %1023s", key, value) != 2)
        return MSGSRV_INVALID_ARGUMENT;
    entry.size = strlen(value);
    return head ? msgsrv_call_add_head(call, entry, NULL) : msgsrv_call_add_trailer(call, entry, NULL);
}

/* What follows the command in a text, or NULL when it is another one. */
static const char *after(const char *text, const char *command)
{
    size_t size = strlen(command);

    if (strncmp(text, command, size) || (text[size] && text[size] != ' '))
        return NULL;
    return text + size + (text[size] == ' ');
}

static msgsrv_status command(ts_demo *demo, msgsrv_call *call, const char *text, messages_EchoMessage *response)
{
    const char *arguments;

    if (after(text, "!hold"))
        return hold(demo, call, text);
    if (after(text, "!block"))
        block(demo, call);
    else if ((arguments = after(text, "!fail")))
        return fail_with(call, arguments);
    else if ((arguments = after(text, "!big")))
        return big(call, arguments, response);
    else if (after(text, "!meta"))
        return metadata_back(call);
    else if ((arguments = after(text, "!head")))
        return add_metadata(call, arguments, true);
    else if ((arguments = after(text, "!trailer")))
        return add_metadata(call, arguments, false);
    return MSGSRV_OK;
}

static msgsrv_status echo(msgsrv_call *call, const messages_EchoMessage *request, messages_EchoMessage *response,
                          void *ctx)
{
    ts_demo *demo = ctx;

    atomic_fetch_add(&demo->echo_seen, 1);
    response->text = request->text;
    return request->text && request->text[0] == '!' ? command(demo, call, request->text, response) : MSGSRV_OK;
}

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx)
{
    (void)ctx;
    if (__builtin_add_overflow(request->a, request->b, &response->result))
        return msgsrv_call_error(call, MSGSRV_OUT_OF_RANGE, "%d + %d does not fit int32", request->a, request->b);
    return MSGSRV_OK;
}

ts_demo *ts_demo_new(void)
{
    ts_demo *demo = calloc(1, sizeof(*demo));

    ck_assert_ptr_nonnull(demo);
    pthread_mutex_init(&demo->mutex, NULL);
    pthread_cond_init(&demo->changed, NULL);
    return demo;
}

void ts_demo_free(ts_demo *demo)
{
    for (size_t i = 0; i < demo->held_count; i++) {
        msgsrv_held_drop(demo->held[i]->held);
        free(demo->held[i]->text);
        free(demo->held[i]);
    }
    free(demo->held);
    pthread_cond_destroy(&demo->changed);
    pthread_mutex_destroy(&demo->mutex);
    free(demo);
}

msgsrv_status ts_demo_register(ts_demo *demo, msgsrv_server *server, bool blocking, msgsrv_error *error)
{
    messages_Demo_service service = {.Echo = echo, .Add = add};

    service.blocking.Echo = blocking;
    return messages_Demo_register(server, &service, demo, error);
}

/* Waits until a counter of the demo has reached a number. */
static void wait_count(ts_demo *demo, const size_t *counter, size_t count, const char *what)
{
    pthread_mutex_lock(&demo->mutex);
    while (*counter < count)
        ts_cond_wait(&demo->changed, &demo->mutex, what);
    pthread_mutex_unlock(&demo->mutex);
}

void ts_demo_wait_held(ts_demo *demo, size_t count)
{
    wait_count(demo, &demo->held_count, count, "calls to be held");
}

size_t ts_demo_held(ts_demo *demo)
{
    size_t count;

    pthread_mutex_lock(&demo->mutex);
    count = demo->held_count;
    pthread_mutex_unlock(&demo->mutex);
    return count;
}

static ts_held *at(ts_demo *demo, size_t index)
{
    ts_held *held;

    pthread_mutex_lock(&demo->mutex);
    ck_assert_uint_lt(index, demo->held_count);
    held = demo->held[index];
    pthread_mutex_unlock(&demo->mutex);
    return held;
}

static msgsrv_held *take(ts_held *held)
{
    msgsrv_held *taken = held->held;

    ck_assert_ptr_nonnull(taken);
    held->held = NULL;
    return taken;
}

static msgsrv_status release(ts_held *held)
{
    messages_EchoMessage response = messages_EchoMessage_init_zero;

    response.text = held->text;
    return messages_Demo_Echo_reply(take(held), &response);
}

msgsrv_status ts_demo_release(ts_demo *demo, size_t index)
{
    return release(at(demo, index));
}

void ts_demo_release_all(ts_demo *demo)
{
    size_t count = ts_demo_held(demo);

    for (size_t i = 0; i < count; i++) {
        ts_held *held = at(demo, i);

        if (held->held)
            release(held);
    }
}

msgsrv_status ts_demo_fail(ts_demo *demo, size_t index, msgsrv_status code, const char *text)
{
    return msgsrv_held_fail(take(at(demo, index)), code, "%s", text);
}

void ts_demo_drop(ts_demo *demo, size_t index)
{
    msgsrv_held_drop(take(at(demo, index)));
}

msgsrv_status ts_demo_wait_cancelled(ts_demo *demo, size_t index)
{
    ts_held *held = at(demo, index);
    int reason;

    pthread_mutex_lock(&demo->mutex);
    while (held->reason == NOT_CANCELLED)
        ts_cond_wait(&demo->changed, &demo->mutex, "a held call to be cancelled");
    reason = held->reason;
    pthread_mutex_unlock(&demo->mutex);
    return (msgsrv_status)reason;
}

void ts_demo_wait_blocked(ts_demo *demo, size_t count)
{
    wait_count(demo, &demo->blocked, count, "blocking handlers to begin");
}

void ts_demo_wait_unblocked(ts_demo *demo, size_t count)
{
    wait_count(demo, &demo->blocked_ended, count, "blocking handlers to return");
}

void ts_demo_unblock(ts_demo *demo, size_t count)
{
    pthread_mutex_lock(&demo->mutex);
    demo->unblocked += count;
    pthread_cond_broadcast(&demo->changed);
    pthread_mutex_unlock(&demo->mutex);
}
