/* SPDX-License-Identifier: MIT */
/*
 * The client's end of a stream: what it is to its entry, and the synchronous functions. Those hand an operation to the loop's thread (which for a
 * private loop is the calling one), where it is tried at once and again whenever something has changed, and wait for it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "rpc/client_internal.h"

/* What has come of an operation: it waits; it is done; it is done and the entry is gone. */
typedef enum progress { WAITS, DONE, GONE } progress;

/* What a program's thread waits for. On its stack. */
typedef struct msi_stream_op {
    msi_post post;
    msgsrv_stream *stream;
    progress (*try)(msi_client_entry *entry, struct msi_stream_op *op);
    struct msi_stream_op **place; /* where it waits, in the entry; NULL: it never does */
    const void *sent;
    void *received; /* a message, or the response */
    msgsrv_error error;
    msgsrv_status status;
    bool found;
    bool done;
} msi_stream_op;

static msi_client_entry *entry_of(const msgsrv_stream *stream)
{
    return stream->of;
}

/* The owner of a stream, at the client's end. */

static void tell(msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out)
{
    const msi_client_entry *entry = entry_of(stream);
    if (event == MSGSRV_STREAM_CLOSED)
        return; /* told with the entry's end */
    stream->begun = true;
    entry->client->progress++;
    (void)entry->events(entry->stream_closure, stream, event, in, out, NULL);
}

static bool enter(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    const msi_client_entry *entry = entry_of(stream);
    if (!entry || msi_client_drive(entry->client, &bracket->inside, NULL) != MSGSRV_OK)
        return false;
    bracket->before = msi_client_api_enter(entry->client);
    return true;
}

static void leave(msgsrv_stream *stream, msi_stream_bracket *bracket)
{
    msgsrv_client *client = MSI_CONTAINER(stream->loop, msgsrv_client, loop);
    msi_client_api_leave(client, bracket->before);
    msi_client_drive_end(client, bracket->inside);
}

static void fail(msgsrv_stream *stream, msgsrv_status code, const char *text)
{
    msi_client_entry *entry = entry_of(stream);
    if (entry)
        msi_client_end(entry, code, false, text, strlen(text));
}

/* What the server sent does not fit: its mistake, not the caller's. */
static void fault(msgsrv_stream *stream, msgsrv_status code, const char *text)
{
    msi_client_entry *entry = entry_of(stream);
    code = code == MSGSRV_INVALID_ARGUMENT ? MSGSRV_INTERNAL : code;
    if (!entry || !entry->ended || entry->events) {
        fail(stream, code, text);
        return;
    }
    /* A synchronous stream that is read behind its end: what cannot be read, and what comes behind it, is not passed over in silence. */
    if (entry->error.code == MSGSRV_OK)
        msi_error_set(&entry->error, code, false, text, strlen(text));
    msi_stream_discard(stream);
}

static void finish(msgsrv_stream *stream)
{
    if (stream->outlet && msi_conn_open(stream->outlet->conn))
        stream->outlet->protocol->half_close(stream);
}

/* Tries an operation, which may itself be what ends the call. false: the entry is gone. */
static bool attempt(msi_client_entry *entry, msi_stream_op *op)
{
    if (!op)
        return true;
    msgsrv_client *client = entry->client;
    entry->trying = true;
    progress result = op->try(entry, op);
    if (result != GONE)
        entry->trying = false;
    if (result == DONE && op->place)
        *op->place = NULL;
    else if (result == WAITS)
        *op->place = op;
    if (result != WAITS)
        msi_client_serve(client, &op->done);
    return result != GONE;
}

static void try_all(msi_client_entry *entry)
{
    if (entry->trying) {
        entry->try_again = true;
        return;
    }
    do {
        entry->try_again = false;
        if (!attempt(entry, entry->write_op) || !attempt(entry, entry->read_op) || !attempt(entry, entry->close_op))
            return;
    } while (entry->try_again);
}

static void changed(msgsrv_stream *stream)
{
    msi_client_entry *entry = entry_of(stream);
    if (!entry)
        return;
    if (entry->end_waits && !msi_stream_has_input(stream)) {
        msgsrv_error end = entry->error;
        msi_client_end(entry, end.code, end.from_peer, end.text, strlen(end.text));
        return;
    }
    if (entry->events)
        return;
    (void)msgsrv_stream_ref(stream);
    try_all(entry); /* with which the entry may go */
    msgsrv_stream_unref(stream);
}

static const msi_stream_owner owner = {tell, enter, leave, fail, fault, finish, NULL, changed};

bool msi_client_add_stream(msi_client_entry *entry)
{
    const msgsrv_method *method = entry->method;
    msgsrv_client *client = entry->client;
    msgsrv_stream *stream =
        msi_stream_new(&owner, entry, &client->loop, entry->call.streams_responses ? method->response : NULL,
                       entry->call.streams_requests ? method->request : NULL);
    if (!stream)
        return false;
    stream->foreign = client->kind == MSI_CLIENT_THREAD;
    stream->max_message = MSI_MESSAGE_CEILING;
    stream->max_received = client->options.max_message;
    entry->call.stream = stream;
    return true;
}

/* The end. */

bool msi_client_end_waits(msi_client_entry *entry, msgsrv_status code, bool from_peer, const char *text, size_t size)
{
    msgsrv_stream *stream = entry->call.stream;
    if (!stream || !entry->events || !msi_stream_has_input(stream))
        return false;
    msi_error_set(&entry->error, code, from_peer, text, size);
    entry->end_waits = true;
    if (entry->has_timer)
        event_del(&entry->timer); /* it came in time */
    entry->has_timer = false;
    return true;
}

void msi_client_stream_ended(msi_client_entry *entry)
{
    msgsrv_stream *stream = entry->call.stream;
    /* What the server sent before its end is still read, unless it was this side that gave up. */
    msi_stream_over(stream, !entry->events && (entry->error.from_peer || entry->error.code == MSGSRV_OK));
    if (!entry->events)
        changed(stream);
}

void msi_client_stream_closed(msi_client_entry *entry, const msgsrv_reply *reply, void *response)
{
    msgsrv_stream *stream = entry->call.stream;
    if (!stream->begun) {
        stream->begun = true;
        (void)entry->events(entry->stream_closure, stream, MSGSRV_STREAM_BEGIN, NULL, NULL, NULL);
    }
    stream->closed = true;
    (void)entry->events(entry->stream_closure, stream, MSGSRV_STREAM_CLOSED, reply, response, NULL);
    stream->of = NULL;
}

/* A synchronous stream and its entry part. */
static void let_go(msi_client_entry *entry)
{
    msgsrv_client *client = entry->client;
    msgsrv_stream *stream = entry->call.stream;
    TAILQ_REMOVE(&client->kept, entry, kept);
    msi_stream_over(stream, false);
    stream->closed = true;
    stream->of = NULL;
    atomic_fetch_sub(&client->open, 1);
    msi_client_entry_free(entry);
}

void msi_client_orphan_streams(msgsrv_client *client)
{
    msi_client_entry *entry;
    while ((entry = TAILQ_FIRST(&client->kept)) != NULL) {
        if (entry->error.code == MSGSRV_OK && !entry->call.streams_responses)
            msi_release(entry->method->response, &entry->traits, entry->response);
        let_go(entry);
    }
}

/* Opening. */

static msgsrv_status check_open(msgsrv_client *client, const msgsrv_method *method, msgsrv_stream_fn events,
                                const void *closure, size_t closure_size, msgsrv_stream **stream, msgsrv_error *error)
{
    if (!client || !method)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client or method is NULL");
    if (method->kind == MSGSRV_UNARY)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is unary: it is called, not opened", method->path);
    if (closure_size && !closure) /* what a generated function gives without events */
        return msi_error(
            error, MSGSRV_INVALID_ARGUMENT,
            "the events, which are the closure of msgsrv_stream_open(), are NULL; without events a stream is "
            "started synchronously");
    if (closure_size > MSGSRV_STREAM_CLOSURE_SIZE)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the closure is over %u bytes", MSGSRV_STREAM_CLOSURE_SIZE);
    if (events && stream && client->kind == MSI_CLIENT_THREAD)
        return msi_error(
            error, MSGSRV_INVALID_ARGUMENT,
            "the stream of a client with a thread of its own may end before this returns: take it from BEGIN");
    if (!events && !stream)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "a synchronous stream needs a place to be put");
    if (!events)
        return msi_client_check_sync(client, error);
    if (client->free_pending)
        return msi_error(error, MSGSRV_CANCELLED, "the client is being freed");
    return MSGSRV_OK;
}

msgsrv_status msgsrv_stream_open(msgsrv_client *client, const msgsrv_method *method, const void *request,
                                 const msgsrv_call_options *options, msgsrv_stream_fn events, const void *closure,
                                 size_t closure_size, msgsrv_stream **stream, msgsrv_handle *handle, msgsrv_error *error)
{
    msgsrv_status status = check_open(client, method, events, closure, closure_size, stream, error);
    bool inside = false;
    if (status == MSGSRV_OK)
        status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    msi_client_entry *entry = NULL;
    status = msi_client_make(client, method, request, options, &entry, error);
    if (status == MSGSRV_OK) {
        entry->events = events;
        if (closure_size)
            memcpy(entry->stream_closure, closure, closure_size);
        msgsrv_stream *opened = entry->call.stream;
        opened->sync = !events;
        msgsrv_handle number = entry->node.id;
        if (!events) {
            (void)msgsrv_stream_ref(opened); /* the caller's */
            entry->sync_head = options ? options->head : NULL;
            entry->sync_trailer = options ? options->trailer : NULL;
        }
        status = msi_client_launch(client, entry, error);
        if (status == MSGSRV_OK && stream)
            *stream = opened;
        if (status == MSGSRV_OK && handle)
            *handle = number;
        if (status && !events)
            msgsrv_stream_unref(opened);
    }
    msi_client_drive_end(client, inside);
    return status;
}

/* The synchronous functions. */

static void run(msgsrv_client *client, msi_stream_op *op)
{
    msi_client_entry *entry = entry_of(op->stream);
    if (!entry) {
        op->status = msi_error(&op->error, MSGSRV_CANCELLED, "the stream was closed");
        msi_client_serve(client, &op->done);
    } else if (op->place && *op->place) {
        op->status = msi_error(&op->error, MSGSRV_FAILED_PRECONDITION, "another thread does the same with this stream");
        msi_client_serve(client, &op->done);
    } else if (attempt(entry, op) && entry->try_again) {
        try_all(entry);
    }
}

static void on_posted(msi_post *post, msi_loop *loop)
{
    run(loop->owner, MSI_CONTAINER(post, msi_stream_op, post));
}

/* Has an operation carried out and waits for it. */
static msgsrv_status carry_out(msi_stream_op *op)
{
    msi_client_entry *entry = entry_of(op->stream);
    if (!entry)
        return msi_error(&op->error, MSGSRV_CANCELLED, "the client was freed");
    msgsrv_client *client = entry->client;
    if (msi_client_check_sync(client, &op->error))
        return op->error.code;
    if (client->kind == MSI_CLIENT_THREAD) {
        op->post.run = on_posted;
        if (!msi_mailbox_post(client->loop.mailbox, &op->post))
            return msi_error(&op->error, MSGSRV_CANCELLED, "the client is being freed");
        msi_client_wait_for(client, &op->done);
        return op->status;
    }
    bool inside = false;
    msgsrv_status status = msi_client_drive(client, &inside, &op->error);
    if (status)
        return status;
    msi_loop *before = msi_client_api_enter(client);
    run(client, op);
    msi_client_api_leave(client, before);
    msi_client_wait_for(client, &op->done);
    msi_client_drive_end(client, inside);
    return op->status;
}

static bool is_sync(const msgsrv_stream *stream, msgsrv_error *error)
{
    if (stream && stream->sync)
        return true;
    (void)msi_error(error, MSGSRV_INVALID_ARGUMENT, "the stream is NULL, or has events");
    return false;
}

static progress try_write(msi_client_entry *entry, msi_stream_op *op)
{
    if (entry->ended && entry->error.code != MSGSRV_OK) {
        op->error = entry->error;
        op->status = entry->error.code;
        return DONE;
    }
    op->status = msi_stream_send(op->stream, op->sent, &op->error);
    if (op->status == MSGSRV_FAILED_PRECONDITION && entry->ended && entry->error.code != MSGSRV_OK) {
        op->error = entry->error; /* the connection was lost while it was written */
        op->status = entry->error.code;
    }
    return op->status == MSGSRV_AGAIN ? WAITS : DONE;
}

msgsrv_status msgsrv_stream_write(msgsrv_stream *stream, const void *message, msgsrv_error *error)
{
    if (!is_sync(stream, error))
        return MSGSRV_INVALID_ARGUMENT;
    if (!message)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the message is NULL");
    msi_client_entry *entry = entry_of(stream);
    msi_stream_op op = {.stream = stream, .try = try_write, .place = entry ? &entry->write_op : NULL, .sent = message};
    msgsrv_status status = carry_out(&op);
    if (status && error)
        *error = op.error;
    return status;
}

static progress try_read(msi_client_entry *entry, msi_stream_op *op)
{
    msgsrv_stream *stream = op->stream;
    if (!stream->receive.type)
        return DONE;
    if (msi_stream_has_input(stream))
        op->found =
            msi_stream_take(stream, stream->message); /* room that is there: reading cannot fail for memory alone */
    if (op->found)
        memcpy(op->received, stream->message, stream->receive.type->struct_size);
    return op->found || entry->ended ? DONE : WAITS;
}

bool msgsrv_stream_read(msgsrv_stream *stream, void *message)
{
    if (!is_sync(stream, NULL) || !message || !stream->receive.type)
        return false;
    msi_client_entry *entry = entry_of(stream);
    if (!entry)
        return false;
    msi_stream_op op = {.stream = stream, .try = try_read, .place = &entry->read_op, .received = message};
    (void)carry_out(&op);
    return op.found;
}

static progress try_cancel(msi_client_entry *entry, msi_stream_op *op)
{
    static const char text[] = "cancelled";
    (void)op;
    msi_client_end(entry, MSGSRV_CANCELLED, false, text, sizeof text - 1);
    return DONE;
}

void msgsrv_stream_cancel(msgsrv_stream *stream)
{
    if (!stream)
        return;
    if (!stream->sync) {
        (void)msgsrv_stream_fail(stream, MSGSRV_CANCELLED, "cancelled");
        return;
    }
    msi_stream_op op = {.stream = stream, .try = try_cancel};
    (void)carry_out(&op);
}

/* The outcome is moved out, and the entry goes. */
static void take_outcome(msi_client_entry *entry, msi_stream_op *op)
{
    op->error = entry->error;
    op->status = entry->error.code;
    bool response = op->status == MSGSRV_OK && !entry->call.streams_responses;
    if (response && op->received)
        memcpy(op->received, entry->response, entry->method->response->struct_size);
    else if (response)
        msi_release(entry->method->response, &entry->traits, entry->response);
    if (entry->sync_head)
        msi_metadata_move(entry->sync_head, &entry->call.head);
    if (entry->sync_trailer)
        msi_metadata_move(entry->sync_trailer, &entry->call.trailer);
}

static progress try_close(msi_client_entry *entry, msi_stream_op *op)
{
    msgsrv_stream *stream = op->stream;
    if (!entry->ended && stream->send.type && !stream->finished) {
        stream->finished = true;
        finish(stream);
    }
    msi_stream_discard(stream);
    if (!entry->ended)
        return WAITS;
    take_outcome(entry, op);
    let_go(entry);
    return GONE;
}

msgsrv_status msgsrv_stream_close(msgsrv_stream *stream, void *response, msgsrv_error *error)
{
    if (!is_sync(stream, error))
        return MSGSRV_INVALID_ARGUMENT;
    msi_client_entry *entry = entry_of(stream);
    msi_stream_op op = {
        .stream = stream, .try = try_close, .place = entry ? &entry->close_op : NULL, .received = response};
    msgsrv_status status = carry_out(&op);
    if (status && error)
        *error = op.error;
    msgsrv_stream_unref(stream);
    return status;
}
