/* SPDX-License-Identifier: MIT */
/* The call's states. Everything but what call/held.c does runs on the loop's thread. */
#include "call/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/zero.h"

/* Calls a loop keeps for later; 0 where AddressSanitizer is to see each use of a freed one. */
#ifndef MSI_CALL_SPARE_MAX
#define MSI_CALL_SPARE_MAX 1024u
#endif
#define SPARE_ROOM_MAX 4096u /* of messages behind a kept call; larger ones are freed */
#define ALIGNMENT _Alignof(max_align_t)

/* Memory of msgsrv_call_alloc(). */
typedef struct msi_call_block {
    struct msi_call_block *next;
    max_align_t data[];
} msi_call_block;

void msi_call_host_init(msi_call_host *host, msi_loop *loop, const msi_service_ops *service, void *services)
{
    *host = (msi_call_host){.loop = loop, .service = service, .services = services};
}

void msi_call_host_release(msi_call_host *host)
{
    while (host->spare) {
        msgsrv_call *call = host->spare;
        host->spare = call->next_spare;
        free(call);
    }
}

static size_t rounded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static msgsrv_call *take_spare(msi_call_host *host, size_t room)
{
    msgsrv_call *call = host->spare;
    if (!call || call->room < room)
        return NULL;
    host->spare = call->next_spare;
    host->spare_count--;
    return call;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msgsrv_call *call = arg;
    msi_loop *loop = call->host->loop;
    msi_loop *before = msi_loop_enter(loop);
    if (!msi_timer_early(loop, &call->timer, call->deadline))
        msi_call_cancel(call, MSGSRV_DEADLINE_EXCEEDED, "the deadline has passed");
    msi_loop_leave(loop, before);
}

/* Clears all but the texts, which are written before they are read. */
static void clear(msgsrv_call *call)
{
    size_t room = call->room;
    msi_zero(call, offsetof(msgsrv_call, timer));
    call->held.mailbox = NULL;
    call->held.body = (msi_buf){0};
    call->held.trailer = (msgsrv_metadata_set){0};
    call->room = room;
}

msgsrv_call *msi_call_new(msi_call_host *host, msi_method *method, const msi_call_protocol *protocol, void *session,
                          const msi_address *peer)
{
    size_t base = rounded(sizeof(msgsrv_call));
    size_t request = rounded(method->description->request->struct_size);
    size_t response = rounded(method->description->response->struct_size);
    msgsrv_call *call = take_spare(host, request + response);
    if (!call) {
        size_t room = request + response < 256 ? 256 : request + response;
        call = malloc(base + room);
        if (!call)
            return NULL;
        call->room = room;
    }
    clear(call);
    call->host = host;
    call->mailbox = host->loop->mailbox;
    call->service = host->service;
    call->method = method;
    call->description = method->description;
    call->request_traits = method->request_traits;
    call->response_traits = method->response_traits;
    call->max_message = host->max_message;
    call->max_metadata = host->max_metadata;
    call->protocol = protocol;
    call->session = session;
    call->peer = *peer;
    call->refs = 1;
    call->request = (char *)call + base;
    call->response = (char *)call + base + request;
    memset(call->request, 0, request + response);
    msi_count(&host->loop->counters.calls_started, 1);
    msi_count(&host->loop->counters.calls_open, 1);
    return call;
}

void msi_call_ref(msgsrv_call *call)
{
    call->refs++;
}

static void drop_children(msgsrv_call *call)
{
    while (call->children) {
        msi_child *child = call->children;
        call->children = child->next;
        msi_mailbox_unref(child->mailbox);
        free(child);
    }
}

msi_call_slots *msi_call_slots_new(void)
{
    msi_call_slots *slots = calloc(1, sizeof *slots);
    if (slots)
        atomic_init(&slots->refs, 1);
    return slots;
}

void msi_call_slots_unref(msi_call_slots *slots)
{
    if (slots && atomic_fetch_sub(&slots->refs, 1) == 1)
        free(slots);
}

void msi_call_take_slot(msgsrv_call *call, msi_call_slots *slots)
{
    atomic_fetch_add(&slots->refs, 1);
    slots->used++;
    call->slots = slots;
}

static void free_slot(msgsrv_call *call)
{
    if (!call->slots)
        return;
    if (call->host) /* else its loop is gone, and the session with it, and other threads may be doing the same */
        call->slots->used--;
    msi_call_slots_unref(call->slots);
    call->slots = NULL;
}

static void release(msgsrv_call *call)
{
    free_slot(call);
    call->service->release(call);
    while (call->blocks) {
        msi_call_block *block = call->blocks;
        call->blocks = block->next;
        free(block);
    }
    drop_children(call);
    msi_stream_drop(call->stream);
    if (call->is_intercepted)
        msi_intercept_release(&call->intercepted);
    msi_metadata_clear(&call->received);
    msi_metadata_clear(&call->head);
    msi_metadata_clear(&call->trailer);
    msi_metadata_clear(&call->held.trailer);
    msi_buf_release(&call->held.body);
    msi_buf_release(&call->answer);
    msi_mailbox_unref(call->held.mailbox);
}

void msi_call_unref(msgsrv_call *call)
{
    if (--call->refs)
        return;
    msi_call_host *host = call->host;
    release(call);
    if (host && host->spare_count + 1 <= MSI_CALL_SPARE_MAX && call->room <= SPARE_ROOM_MAX) {
        call->next_spare = host->spare;
        host->spare = call;
        host->spare_count++;
    } else {
        free(call);
    }
}

void msi_call_park(msgsrv_call *call)
{
    if (call->parked || call->ended)
        return;
    call->parked = true;
    if (call->session && !call->protocol->park(call)) {
        msi_call_cancel(call, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
        return;
    }
    if (!call->deadline)
        return;
    event_assign(&call->timer, call->host->loop->base, -1, 0, on_deadline, call);
    call->has_timer = true;
    if (!msi_timer_at(call->host->loop, &call->timer, call->deadline))
        msi_call_cancel(call, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
}

static void cancel_children(msgsrv_call *call);

/* The stream is told last; until then it holds the call. */
static void end_stream(msgsrv_call *call, const char *message)
{
    if (message && message != call->text)
        snprintf(call->text, sizeof call->text, "%s", message);
    else if (!message)
        call->text[0] = '\0';
    msi_stream_over(call->stream, false);
    cancel_children(call);
    msi_call_ref(call);
    msi_stream_close_soon(call->stream);
}

void msi_call_end(msgsrv_call *call, msgsrv_status code, const char *message)
{
    if (call->ended)
        return;
    call->ended = true;
    call->outcome = code;
    if (call->has_timer)
        event_del(&call->timer);
    if (call->stream) {
        call->stream->finished = true;
        msi_stream_detach(call->stream); /* writing the end may close the connection, and its outlet goes with it */
    }
    if (call->session) {
        /* Of a cancelled call the handler may still be at work on its metadata, on another thread. */
        bool whole = !atomic_load(&call->cancelled) && call->trailer.count;
        msi_final final = {code, message, whole ? &call->trailer : NULL};
        call->protocol->end(call, &final);
    }
    call->session = NULL;
    msi_counters *counters = &call->host->loop->counters;
    msi_uncount(&counters->calls_open, 1);
    msi_count(&counters->calls_ended[code], 1);
    if (call->is_intercepted)
        msi_call_intercept_end(call, code, message);
    if (call->stream)
        end_stream(call, message);
    msi_call_unref(call);
}

/*
 * Tells the program, at most once; for a handler on the pool not after it has returned, and for a held call not after it was consumed.
 * The program's function runs without the lock: it may free the server, and the other thread may be waiting for it.
 */
static void tell_program(msgsrv_call *call, msgsrv_status reason)
{
    msi_mailbox *mailbox = call->mailbox;
    msi_mailbox_lock(mailbox);
    atomic_store(&call->cancelled, (int)reason);
    bool over = call->on_pool && call->pool_done && !call->hold_taken;
    msgsrv_cancel_fn fn = over ? NULL : call->on_cancel;
    call->on_cancel = NULL;
    call->telling = fn != NULL;
    msi_mailbox_unlock(mailbox);
    if (!fn)
        return;
    fn(reason, call->on_cancel_ctx);
    msi_mailbox_lock(mailbox);
    call->telling = false;
    msi_mailbox_wake_all(mailbox);
    msi_mailbox_unlock(mailbox);
}

static void cancel_children(msgsrv_call *call)
{
    msi_mailbox_lock(call->mailbox);
    msi_child *child = call->children;
    call->children = NULL;
    msi_mailbox_unlock(call->mailbox);
    while (child) {
        msi_child *next = child->next;
        msi_mailbox *mailbox = child->mailbox;
        if (!msi_mailbox_post(mailbox, &child->post)) {
            msi_mailbox_unref(mailbox);
            free(child);
        }
        child = next;
    }
}

static void cancel(msgsrv_call *call, msgsrv_status reason, msgsrv_status code, const char *message)
{
    if (call->ended || atomic_load(&call->cancelled))
        return;
    msi_call_ref(call);
    tell_program(call, reason);
    cancel_children(call);
    msi_call_end(call, code, message);
    msi_call_unref(call);
}

void msi_call_cancel(msgsrv_call *call, msgsrv_status reason, const char *message)
{
    /* The program hears of three reasons only; whatever else ends a call early is a cancellation to it. */
    msgsrv_status told = reason == MSGSRV_DEADLINE_EXCEEDED || reason == MSGSRV_UNAVAILABLE ? reason : MSGSRV_CANCELLED;
    cancel(call, told, reason, message);
}

void msi_call_leave(msgsrv_call *call)
{
    if (call->stream)
        msi_stream_detach(call->stream);
    call->session = NULL;
    cancel(call, MSGSRV_UNAVAILABLE, MSGSRV_CANCELLED, NULL);
}

bool msi_call_add_child(msgsrv_call *parent, msi_child *child)
{
    msi_mailbox_lock(parent->mailbox);
    bool alive = !atomic_load(&parent->cancelled);
    if (alive) {
        child->next = parent->children;
        parent->children = child;
    }
    msi_mailbox_unlock(parent->mailbox);
    return alive;
}

/* What a handler may do with its call. */

msgsrv_status msgsrv_call_error(msgsrv_call *call, msgsrv_status code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(call->text, format, arguments);
    va_end(arguments);
    call->has_text = true;
    if (msi_failure_code((int)code) != code)
        msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: failed with %d, which is no status code: %s",
                     call->description->path, (int)code, call->text);
    return msi_failure_code((int)code);
}

const char *msgsrv_call_method(const msgsrv_call *call)
{
    return call->description->path;
}

int64_t msgsrv_call_time_left_ms(const msgsrv_call *call)
{
    return call->deadline ? msi_ms_until(call->deadline, msi_now()) : -1;
}

bool msgsrv_call_cancelled(const msgsrv_call *call)
{
    return atomic_load(&call->cancelled) != 0;
}

void msgsrv_call_on_cancel(msgsrv_call *call, msgsrv_cancel_fn fn, void *ctx)
{
    msi_mailbox_lock(call->mailbox);
    int reason = atomic_load(&call->cancelled);
    call->on_cancel = reason ? NULL : fn;
    if (!reason)
        call->on_cancel_ctx = ctx;
    msi_mailbox_unlock(call->mailbox);
    if (reason && fn)
        fn((msgsrv_status)reason, ctx);
}

void msgsrv_call_peer(const msgsrv_call *call, msgsrv_peer *peer)
{
    msi_address_peer(&call->peer, peer);
}

const msgsrv_metadata_set *msgsrv_call_metadata(const msgsrv_call *call)
{
    return call->received.count ? &call->received : NULL;
}

bool msgsrv_call_compress(msgsrv_call *call, bool on)
{
    if (call->takes_compressed && !call->head_sent)
        call->may_compress = true;
    if (!call->may_compress)
        return !on;
    call->compresses = on;
    return true;
}

bool msgsrv_call_came_compressed(const msgsrv_call *call)
{
    return call->came_compressed;
}

msgsrv_status msgsrv_call_add_head(msgsrv_call *call, msgsrv_metadata entry, msgsrv_error *error)
{
    if (call->head_sent)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the head has gone out with the first message");
    return msi_metadata_add(&call->head, &entry, call->max_metadata, error);
}

msgsrv_status msgsrv_call_add_trailer(msgsrv_call *call, msgsrv_metadata entry, msgsrv_error *error)
{
    return msi_metadata_add(&call->trailer, &entry, call->max_metadata, error);
}

void *msgsrv_call_alloc(msgsrv_call *call, size_t size)
{
    if (size > SIZE_MAX - sizeof(msi_call_block))
        return NULL;
    msi_call_block *block = calloc(1, sizeof *block + size);
    if (!block)
        return NULL;
    block->next = call->blocks;
    call->blocks = block;
    return block->data;
}
