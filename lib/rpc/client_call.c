/* SPDX-License-Identifier: MIT */
/*
 * A client's calls: started on any thread, sent and ended on the loop's. Each ends exactly once, in msi_client_end(); its callback comes
 * from msi_client_deliver(), never inside the call that started it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/option.h"
#include "rpc/client_internal.h"
#include "rpc/methods.h"

#define CALL_OPTIONS_FIRST_SIZE (offsetof(msgsrv_call_options, trailer) + sizeof(void *))
#define ITEMS_MOST 1000000u

msi_client_entry *msi_client_entry_of(msi_client_call *call)
{
    return MSI_CONTAINER(call, msi_client_entry, call);
}

msi_client_entry *msi_client_entry_new(msgsrv_client *client, const msgsrv_method *method)
{
    size_t response = method ? method->response->struct_size : 0;
    msi_client_entry *entry = calloc(1, sizeof *entry + response);
    if (!entry)
        return NULL;
    entry->client = client;
    entry->method = method;
    if (method) {
        entry->call.method = method->path;
        entry->call.streams_requests = msi_streams_requests(method);
        entry->call.streams_responses = msi_streams_responses(method);
        entry->traits = msi_type_look(method->response->nanopb);
    }
    entry->node.id = atomic_fetch_add(&client->next_handle, 1) + 1;
    return entry;
}

void msi_client_entry_free(msi_client_entry *entry)
{
    if (entry->child) {
        msi_mailbox_unref(entry->child->mailbox);
        free(entry->child);
    }
    msgsrv_stream_unref(entry->call.stream);
    msi_intercept_release(&entry->intercepted);
    msi_buf_release(&entry->call.body);
    msi_metadata_clear(&entry->call.metadata);
    msi_metadata_clear(&entry->call.head);
    msi_metadata_clear(&entry->call.trailer);
    free(entry);
}

/* Takes an entry off everything that could still do something with it. */
static void detach(msi_client_entry *entry)
{
    msgsrv_client *client = entry->client;
    msi_idmap_remove(&client->calls, &entry->node);
    if (entry->has_timer)
        event_del(&entry->timer);
    entry->has_timer = false;
    if (entry->waiting)
        TAILQ_REMOVE(&client->waiting, &entry->call, open);
    entry->waiting = false;
    if (entry->call.session)
        client->protocol->cancel(entry->call.session, &entry->call);
}

/* Hands the outcome to the thread that waits for it. */
static void serve_waiter(msi_client_entry *entry)
{
    msgsrv_client *client = entry->client;
    msi_waiter *waiter = entry->waiter;
    waiter->status = entry->error.code;
    waiter->error = entry->error;
    if (waiter->status == MSGSRV_OK && entry->method)
        memcpy(waiter->response, entry->response, entry->method->response->struct_size);
    if (waiter->head)
        msi_metadata_move(waiter->head, &entry->call.head);
    if (waiter->trailer)
        msi_metadata_move(waiter->trailer, &entry->call.trailer);
    client->progress++;
    atomic_fetch_sub(&client->open, 1);
    msi_client_entry_free(entry);
    msi_client_serve(client, &waiter->done);
}

void msi_client_end(msi_client_entry *entry, msgsrv_status code, bool from_peer, const char *text, size_t size)
{
    msgsrv_client *client = entry->client;
    if (entry->ended)
        return;
    entry->ended = true;
    entry->end_waits = false;
    msi_error_set(&entry->error, code, from_peer, text, size);
    detach(entry);
    if (entry->intercepted.interceptors)
        msi_client_intercept_end(entry);
    bool kept = entry->call.stream && !entry->events; /* until it is closed, which may be now */
    if (entry->call.stream)
        msi_client_stream_ended(entry);
    if (kept)
        return;
    if (entry->waiter) {
        serve_waiter(entry);
        return;
    }
    TAILQ_INSERT_TAIL(&client->done, entry, done);
    client->done_count++;
    /* Outside of the loop's callbacks nobody would look, and inside of ours its next turn must come first: a callback whose new call fails at
     * once and that tries again would keep the loop from everything else. A timer, because what is active runs in the same turn. */
    if (!client->in_api && !client->delivering)
        client->loop.work_left = true;
    else if (event_add(client->done_event, &(struct timeval){0}) != 0)
        event_active(client->done_event, EV_TIMEOUT, 0);
}

static void call_back(msi_client_entry *entry)
{
    msgsrv_reply reply = {entry->error.code, &entry->error, entry->call.head.count ? &entry->call.head : NULL,
                          entry->call.trailer.count ? &entry->call.trailer : NULL};
    bool ok = reply.status == MSGSRV_OK && !entry->call.streams_responses;
    if (entry->call.stream)
        msi_client_stream_closed(entry, &reply, ok ? entry->response : NULL);
    else
        entry->complete(&reply, ok ? entry->response : NULL, entry->closure);
    if (ok)
        msi_release(entry->method->response, &entry->traits, entry->response);
}

/* Calls back for what had ended when it began. */
static void deliver_all(msgsrv_client *client)
{
    size_t count = client->done_count;
    msi_client_entry *entry;
    client->delivering = true;
    while (count-- && (entry = TAILQ_FIRST(&client->done)) != NULL) {
        TAILQ_REMOVE(&client->done, entry, done);
        client->done_count--;
        client->progress++;
        client->loop.now = 0; /* the one before may have taken long */
        atomic_fetch_sub(&client->open, 1);
        call_back(entry);
        msi_client_entry_free(entry);
    }
    client->delivering = false;
}

void msi_client_deliver(msi_loop *loop)
{
    msgsrv_client *client = loop->owner;
    loop->work_left = false;
    msi_client_connect_again(client);
    if (client->in_api == 0 && !client->delivering)
        deliver_all(client);
}

void msi_client_end_all(msgsrv_client *client, msgsrv_status code, const char *text)
{
    msi_idnode *node;
    while ((node = msi_idmap_any(&client->calls)) != NULL) {
        msi_client_entry *entry = MSI_CONTAINER(node, msi_client_entry, node);
        msi_client_end(entry, code, false, text, strlen(text));
    }
    while (!TAILQ_EMPTY(&client->done))
        deliver_all(client);
}

/* Starting. */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    static const char text[] = "the deadline has passed";
    msi_client_entry *entry = arg;
    msi_loop *loop = &entry->client->loop;
    msi_loop *before = msi_loop_enter(loop);
    if (!msi_timer_early(loop, &entry->timer, entry->call.deadline))
        msi_client_end(entry, MSGSRV_DEADLINE_EXCEEDED, false, text, sizeof text - 1);
    msi_loop_leave(loop, before);
}

static void end_without_memory(msi_client_entry *entry)
{
    static const char text[] = "no memory";
    msi_client_end(entry, MSGSRV_RESOURCE_EXHAUSTED, false, text, sizeof text - 1);
}

/* The first thing that happens to a call on its loop. */
static void begin(msgsrv_client *client, msi_client_entry *entry)
{
    static const char freed[] = "the client was freed";
    if (entry->call.stream && !entry->events)
        TAILQ_INSERT_TAIL(&client->kept, entry, kept);
    else if (entry->call.stream)
        msi_loop_defer(&client->loop, &entry->call.stream->task); /* tells BEGIN */
    if (client->free_pending) {
        msi_client_end(entry, MSGSRV_CANCELLED, false, freed, sizeof freed - 1);
        return;
    }
    if (!msi_idmap_add(&client->calls, &entry->node)) {
        end_without_memory(entry);
        return;
    }
    if (entry->call.deadline) {
        event_assign(&entry->timer, client->loop.base, -1, 0, on_deadline, entry);
        entry->has_timer = true;
        if (!msi_timer_at(&client->loop, &entry->timer, entry->call.deadline)) {
            end_without_memory(entry);
            return;
        }
    }
    msi_client_submit(client, entry);
}

static void on_begin_posted(msi_post *post, msi_loop *loop)
{
    msi_client_entry *entry = MSI_CONTAINER(post, msi_client_entry, post);
    begin(loop->owner, entry);
}

/* Cancelling by handle, from any thread. */

static void cancel_here(msgsrv_client *client, msgsrv_handle handle)
{
    static const char text[] = "cancelled";
    msi_idnode *node = msi_idmap_find(&client->calls, handle);
    if (node)
        msi_client_end(MSI_CONTAINER(node, msi_client_entry, node), MSGSRV_CANCELLED, false, text, sizeof text - 1);
}

typedef struct cancellation {
    msi_post post;
    msgsrv_handle handle;
} cancellation;

static void on_cancel_posted(msi_post *post, msi_loop *loop)
{
    cancellation *sent = (cancellation *)(void *)post;
    cancel_here(loop->owner, sent->handle);
    free(sent);
}

void msgsrv_client_cancel(msgsrv_client *client, msgsrv_handle handle)
{
    if (!client || !handle)
        return;
    if (client->kind == MSI_CLIENT_THREAD && !msi_client_inside(client)) {
        cancellation *sent = malloc(sizeof *sent);
        if (!sent)
            return; /* its deadline still ends it */
        *sent = (cancellation){{NULL, on_cancel_posted}, handle};
        if (!msi_mailbox_post(client->loop.mailbox, &sent->post))
            free(sent);
        return;
    }
    bool inside;
    if (msi_client_drive(client, &inside, NULL))
        return;
    msi_loop *before = msi_client_api_enter(client);
    cancel_here(client, handle);
    msi_client_api_leave(client, before);
    msi_client_drive_end(client, inside);
}

/* A parent's cancellation. */

static void on_parent_cancelled(msi_post *post, msi_loop *loop)
{
    msi_child *child = MSI_CONTAINER(post, msi_child, post);
    cancel_here(loop->owner, child->handle);
    msi_mailbox *mailbox = child->mailbox;
    free(child);
    msi_mailbox_unref(mailbox);
}

static msi_child *new_child(msgsrv_client *client, msgsrv_handle handle)
{
    msi_child *child = calloc(1, sizeof *child);
    if (!child)
        return NULL;
    child->post.run = on_parent_cancelled;
    child->mailbox = msi_mailbox_ref(client->loop.mailbox);
    child->handle = handle;
    return child;
}

static void free_child(msi_child *child)
{
    msi_mailbox_unref(child->mailbox);
    free(child);
}

/* After the call was launched, so that a cancellation finds it; a parent that is cancelled already cancels it now. */
static void tie_to_parent(msgsrv_client *client, msgsrv_call *parent, msi_child *child)
{
    msgsrv_handle handle = child->handle;
    if (msi_call_add_child(parent, child))
        return;
    free_child(child);
    msgsrv_client_cancel(client, handle);
}

static uint64_t deadline_of(const msgsrv_client *client, const msi_client_entry *entry,
                            const msgsrv_call_options *options)
{
    bool streams = entry->method->kind != MSGSRV_UNARY;
    uint32_t timeout = options->timeout_ms ? options->timeout_ms : streams ? MSGSRV_NONE : client->options.timeout_ms;
    uint64_t deadline = msi_after(msi_now(), timeout);
    return options->parent ? msi_earlier(deadline, options->parent->deadline) : deadline;
}

/* What the server may send ahead. */
static msgsrv_status set_window(msi_client_entry *entry, const msgsrv_call_options *options, msgsrv_error *error)
{
    msi_call_credit credit = {options->receive_items, options->receive_bytes};
    if (credit.items > ITEMS_MOST || credit.bytes > MSI_MESSAGE_CEILING)
        return msi_error(
            error, MSGSRV_INVALID_ARGUMENT,
            "msgsrv_call_options: receive_items is %u, expected 1 to %u; receive_bytes is %u, expected 1 to %u",
            credit.items, ITEMS_MOST, credit.bytes, MSI_MESSAGE_CEILING);
    if (!msi_client_add_stream(entry))
        return msi_error_memory(error);
    entry->call.credit = credit;
    msgsrv_stream *stream = entry->call.stream;
    stream->eager = options->eager_credit;
    stream->window_items = credit.items ? credit.items : MSI_STREAM_ITEMS;
    stream->window_bytes = credit.bytes ? credit.bytes : MSI_STREAM_BYTES;
    stream->receive.items = stream->window_items;
    stream->receive.bytes = stream->window_bytes;
    return MSGSRV_OK;
}

static msgsrv_call_info info_of(const msi_client_entry *entry)
{
    return (msgsrv_call_info){
        .method = entry->method->path,
        .metadata = entry->call.metadata.count ? &entry->call.metadata : NULL,
        .time_left_ms = entry->call.deadline ? msi_ms_until(entry->call.deadline, msi_now()) : -1,
        .kind = entry->method->kind,
        .url = entry->client->url_text,
    };
}

void msi_client_intercept_end(msi_client_entry *entry)
{
    const msgsrv_stream *stream = entry->call.stream;
    bool ok = entry->error.code == MSGSRV_OK;
    msgsrv_call_info info = info_of(entry);
    msgsrv_call_outcome outcome = {
        .status = entry->error.code,
        .text = entry->error.text,
        .messages_received = entry->call.streams_responses ? stream->received : ok,
        .messages_sent = entry->call.streams_requests ? stream->sent : 1,
    };
    msi_intercept_end(&entry->intercepted, &info, &outcome, msi_now());
}

static msgsrv_status intercept(msi_client_entry *entry, msgsrv_error *error)
{
    const msi_interceptors *interceptors = &entry->client->interceptors;
    if (interceptors->count == 0)
        return MSGSRV_OK;
    msgsrv_error said = {.code = MSGSRV_OK};
    msgsrv_call_info info = info_of(entry);
    msgsrv_status status = msi_intercept_begin(&entry->intercepted, interceptors, &info, msi_now(), &said);
    if (status == MSGSRV_OK)
        return MSGSRV_OK;
    entry->error = said;
    msi_client_intercept_end(entry);
    if (error)
        *error = said;
    return status;
}

msgsrv_status msgsrv_client_intercept(msgsrv_client *client, const msgsrv_interceptor *interceptor, msgsrv_error *error)
{
    if (!client)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client is NULL");
    if (atomic_load(&client->next_handle) != 0)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the client has made calls already");
    return msi_interceptors_add(&client->interceptors, interceptor, error);
}

static msgsrv_status fill(msgsrv_client *client, msi_client_entry *entry, const void *request,
                          const msgsrv_call_options *options, msgsrv_error *error)
{
    msi_type_traits traits = msi_type_look(entry->method->request->nanopb);
    if (!traits.decodable || !entry->traits.decodable)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "%s: a message has fields of nanopb's callback type; give nanopb fallback_type:FT_POINTER, as "
                         "msgsrv_generate() does",
                         entry->method->path);
    msgsrv_status status = MSGSRV_OK;
    if (!entry->call.streams_requests)
        status = msi_encode(entry->method->request, &traits, request, MSI_MESSAGE_CEILING, &entry->call.body, error);
    if (status == MSGSRV_OK && entry->method->kind != MSGSRV_UNARY)
        status = set_window(entry, options, error);
    if (status == MSGSRV_OK && options->metadata_count && !options->metadata)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT,
                           "msgsrv_call_options: metadata is NULL, metadata_count is %zu", options->metadata_count);
    for (size_t i = 0; i < options->metadata_count && status == MSGSRV_OK; i++)
        status = msi_metadata_add(&entry->call.metadata, &options->metadata[i], client->options.max_metadata, error);
    if (status)
        return status;
    entry->call.compresses = options->compress;
    entry->call.deadline = deadline_of(client, entry, options);
    entry->wait_for_ready = options->wait_for_ready || client->options.wait_for_ready;
    if (!options->parent)
        return intercept(entry, error);
    if (msgsrv_call_cancelled(options->parent))
        return msi_error(error, MSGSRV_CANCELLED, "the call that this one is made for was cancelled");
    entry->parent = options->parent;
    entry->child = new_child(client, entry->node.id);
    return entry->child ? intercept(entry, error) : msi_error_memory(error);
}

msgsrv_status msi_client_make(msgsrv_client *client, const msgsrv_method *method, const void *request,
                              const msgsrv_call_options *given, msi_client_entry **made, msgsrv_error *error)
{
    msgsrv_call_options options;
    msgsrv_status status = msi_method_check(method, error);
    if (status == MSGSRV_OK && !request && !msi_streams_requests(method))
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: the request is NULL", method->path);
    if (status == MSGSRV_OK)
        status = msi_options_copy(&options, sizeof options, CALL_OPTIONS_FIRST_SIZE, given, given ? given->size : 0,
                                  "msgsrv_call_options", error);
    if (status)
        return status;
    if (atomic_fetch_add(&client->open, 1) >= client->options.max_calls)
        status = msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "more than %u calls are open in this client",
                           client->options.max_calls);
    msi_client_entry *entry = status ? NULL : msi_client_entry_new(client, method);
    if (!entry && status == MSGSRV_OK)
        status = msi_error_memory(error);
    if (status == MSGSRV_OK)
        status = fill(client, entry, request, &options, error);
    if (status == MSGSRV_OK) {
        *made = entry;
        return MSGSRV_OK;
    }
    if (entry)
        msi_client_entry_free(entry);
    atomic_fetch_sub(&client->open, 1);
    return status;
}

static void discard(msi_client_entry *entry)
{
    atomic_fetch_sub(&entry->client->open, 1);
    msi_client_entry_free(entry);
}

/* Gives an entry to its loop, in the way of the client's kind. */
static msgsrv_status give(msgsrv_client *client, msi_client_entry *entry, msgsrv_error *error)
{
    if (client->kind == MSI_CLIENT_THREAD && !msi_client_inside(client)) {
        entry->post.run = on_begin_posted;
        if (msi_mailbox_post(client->loop.mailbox, &entry->post))
            return MSGSRV_OK;
        discard(entry);
        return msi_error(error, MSGSRV_CANCELLED, "the client is being freed");
    }
    msi_loop *before = msi_client_api_enter(client);
    begin(client, entry);
    msi_client_api_leave(client, before);
    return MSGSRV_OK;
}

msgsrv_status msi_client_launch(msgsrv_client *client, msi_client_entry *entry, msgsrv_error *error)
{
    msgsrv_call *parent = entry->parent;
    msi_child *child = entry->child;
    entry->child = NULL;
    msgsrv_status status = give(client, entry, error); /* the entry may be gone now */
    if (child && status == MSGSRV_OK)
        tie_to_parent(client, parent, child);
    else if (child)
        free_child(child);
    return status;
}

msgsrv_status msgsrv_client_start(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                  const msgsrv_call_options *options, msgsrv_complete_fn complete, const void *closure,
                                  size_t closure_size, msgsrv_handle *handle, msgsrv_error *error)
{
    if (method && method->kind != MSGSRV_UNARY)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s streams: it is opened, not started", method->path);
    if (!client || !complete || closure_size > MSGSRV_CLOSURE_SIZE || (closure_size && !closure))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client or complete is NULL, or the closure is over %u bytes",
                         MSGSRV_CLOSURE_SIZE);
    if (client->free_pending)
        return msi_error(error, MSGSRV_CANCELLED, "the client is being freed");
    bool inside;
    msi_client_entry *entry = NULL;
    msgsrv_status status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    status = msi_client_make(client, method, request, options, &entry, error);
    if (status == MSGSRV_OK) {
        entry->complete = complete;
        if (closure_size)
            memcpy(entry->closure, closure, closure_size);
        msgsrv_handle number = entry->node.id;
        status = msi_client_launch(client, entry, error);
        if (status == MSGSRV_OK && handle)
            *handle = number;
    }
    msi_client_drive_end(client, inside);
    return status;
}

/* Synchronous calls. */

msgsrv_status msi_client_check_sync(msgsrv_client *client, msgsrv_error *error)
{
    if (!client)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client is NULL");
    if (client->kind == MSI_CLIENT_BASE)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "a synchronous call on the caller's event_base would stop it; use its asynchronous form");
    if (msi_client_inside(client))
        return msi_error(
            error, MSGSRV_FAILED_PRECONDITION,
            "a synchronous call inside a callback of the same client would wait for itself; use its asynchronous form");
    return MSGSRV_OK;
}

/* Launches and waits. The entry is gone afterwards. */
static msgsrv_status finish_sync(msgsrv_client *client, msi_client_entry *entry, msi_waiter *waiter, msgsrv_error *error)
{
    entry->waiter = waiter;
    msgsrv_status status = msi_client_launch(client, entry, error);
    if (status)
        return status;
    msi_client_wait(client, waiter);
    if (waiter->status && error)
        *error = waiter->error;
    return waiter->status;
}

msgsrv_status msgsrv_client_call(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                 const msgsrv_call_options *options, void *response, msgsrv_error *error)
{
    msgsrv_status status = msi_client_check_sync(client, error);
    bool inside = false;
    if (status == MSGSRV_OK && method && method->kind != MSGSRV_UNARY)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s streams: it is opened, not called", method->path);
    if (status == MSGSRV_OK && !response)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "the response is NULL");
    if (status == MSGSRV_OK)
        status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    msi_client_entry *entry = NULL;
    status = msi_client_make(client, method, request, options, &entry, error);
    if (status == MSGSRV_OK) {
        bool old = !options || (options->size && options->size < CALL_OPTIONS_FIRST_SIZE);
        msi_waiter waiter = {
            .response = response, .head = old ? NULL : options->head, .trailer = old ? NULL : options->trailer};
        status = finish_sync(client, entry, &waiter, error);
    }
    msi_client_drive_end(client, inside);
    return status;
}

msgsrv_status msgsrv_client_ping(msgsrv_client *client, uint32_t timeout_ms, uint64_t *round_trip_ns, msgsrv_error *error)
{
    msgsrv_status status = msi_client_check_sync(client, error);
    bool inside = false;
    if (status == MSGSRV_OK && !round_trip_ns)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "round_trip_ns is NULL");
    if (status == MSGSRV_OK)
        status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    msi_client_entry *entry = msi_client_entry_new(client, NULL);
    if (entry) {
        msi_waiter waiter = {.done = false};
        atomic_fetch_add(&client->open, 1);
        entry->call.deadline = msi_after(msi_now(), timeout_ms ? timeout_ms : client->options.timeout_ms);
        entry->wait_for_ready = client->options.wait_for_ready;
        status = finish_sync(client, entry, &waiter, error);
        if (status == MSGSRV_OK)
            *round_trip_ns = waiter.round_trip;
    } else {
        status = msi_error_memory(error);
    }
    msi_client_drive_end(client, inside);
    return status;
}
