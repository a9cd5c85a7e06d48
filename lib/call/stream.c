/* SPDX-License-Identifier: MIT */
/* The stream's flow: credit both ways, what waits to be handled, and the order of events. Its public functions are in stream_api.c. */
#include "call/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"

#define CREDIT_MAX INT32_MAX /* sums saturate here (docs/protocol.md) */

static void run_task(msi_task *task);
static void on_wake_post(msi_post *post, msi_loop *loop);
static void on_wake_task(msi_task *task);
static void on_credit_task(msi_task *task);

static void set_flow(msi_stream_flow *flow, const msgsrv_message_type *type)
{
    flow->type = type;
    if (type)
        flow->traits = msi_type_look(type->nanopb);
    flow->items = MSI_STREAM_ITEMS;
    flow->bytes = MSI_STREAM_BYTES;
}

msgsrv_stream *msi_stream_new(const msi_stream_owner *owner, void *of, msi_loop *loop,
                              const msgsrv_message_type *receives, const msgsrv_message_type *sends)
{
    msgsrv_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    if (receives)
        stream->message = malloc(receives->struct_size ? receives->struct_size : 1);
    if (receives && !stream->message) {
        free(stream);
        return NULL;
    }
    atomic_init(&stream->refs, 1);
    stream->owner = owner;
    stream->of = of;
    stream->loop = loop;
    stream->mailbox = msi_mailbox_ref(loop->mailbox);
    stream->window_items = MSI_STREAM_ITEMS;
    stream->window_bytes = MSI_STREAM_BYTES;
    set_flow(&stream->send, sends);
    set_flow(&stream->receive, receives);
    stream->waits = MSI_WAITS_NOT;
    TAILQ_INIT(&stream->inbox);
    stream->task.run = run_task;
    stream->wake_post.run = on_wake_post;
    stream->wake_task.run = on_wake_task;
    stream->credit_task.run = on_credit_task;
    stream->credit_task.silent = true;
    msi_count(&loop->counters.streams_open, 1);
    return stream;
}

msgsrv_stream *msgsrv_stream_ref(msgsrv_stream *stream)
{
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    return stream;
}

void msgsrv_stream_unref(msgsrv_stream *stream)
{
    if (!stream || atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) != 1)
        return;
    msi_mailbox_unref(stream->mailbox);
    free(stream->message);
    free(stream);
}

/* Events. */

static void tell_closed(msgsrv_stream *stream)
{
    if (stream->closed)
        return;
    stream->close_due = false;
    stream->closed = true;
    stream->owner->event(stream, MSGSRV_STREAM_CLOSED, NULL, NULL);
}

void msi_stream_tell(msgsrv_stream *stream, msgsrv_stream_event event, const void *in, void *out)
{
    if (stream->over)
        return;
    if (stream->sync) {
        stream->owner->changed(stream);
        return;
    }
    msi_stream_hold(stream);
    if (!stream->begun && event != MSGSRV_STREAM_BEGIN)
        msi_stream_tell(stream, MSGSRV_STREAM_BEGIN, NULL, NULL);
    if (!stream->over) {
        stream->begun = true;
        stream->busy++;
        stream->owner->event(stream, event, in, out);
        stream->busy--;
    }
    if (stream->close_due && stream->busy == 0)
        tell_closed(stream);
    msi_stream_unhold(stream);
}

void msi_stream_close_soon(msgsrv_stream *stream)
{
    if (stream->closed)
        return;
    stream->close_due = true;
    bool later = stream->loop->in_api !=
                 0; /* this stream's, or of another stream of the connection, say, which sending has closed */
    if (stream->loop->freeing || (stream->busy == 0 && !later))
        tell_closed(stream);
    else if (stream->busy == 0)
        msi_loop_defer(stream->loop, &stream->task);
}

static void run_task(msi_task *task)
{
    msgsrv_stream *stream = MSI_CONTAINER(task, msgsrv_stream, task);
    msi_stream_hold(stream);
    if (stream->close_due)
        tell_closed(stream);
    else if (!stream->begun && !stream->sync)
        msi_stream_tell(stream, MSGSRV_STREAM_BEGIN, NULL, NULL);
    if (!stream->closed)
        msi_stream_go_on(stream);
    msi_stream_unhold(stream);
}

/* Sending. */

void msi_stream_attach(msgsrv_stream *stream, msi_outlet *outlet, uint64_t id)
{
    stream->outlet = outlet;
    stream->id = id;
    if (stream->sent == 0) { /* what another server may have granted before is not this one's */
        stream->send.items = MSI_STREAM_ITEMS;
        stream->send.bytes = MSI_STREAM_BYTES;
    }
    outlet->unread += stream->inbox_bytes;
    if (stream->waits != MSI_WAITS_CONNECTION)
        return;
    msi_outlet_wait(outlet, stream);
}

void msi_stream_detach(msgsrv_stream *stream)
{
    msi_outlet *outlet = stream->outlet;
    if (!outlet)
        return;
    bool waited = stream->waits != MSI_WAITS_NOT;
    msi_outlet_leave(outlet, stream);
    if (waited)
        stream->waits = MSI_WAITS_CONNECTION; /* the promised WRITABLE comes on the next one, if there is one */
    outlet->unread -= stream->inbox_bytes;
    stream->outlet = NULL;
}

static msgsrv_status append_parts(const msgsrv_bytes *parts, size_t count, uint32_t max_message, msi_buf *out,
                                  msgsrv_error *error)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size && !parts[i].data)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "bytes of size %zu without data", parts[i].size);
        if (parts[i].size > max_message - size)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "bytes: over the message limit of %u bytes", max_message);
        size += parts[i].size;
    }
    if (!msi_buf_reserve(out, size))
        return msi_error_memory(error);
    uint8_t *at = out->data + out->len;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    out->len += size;
    return MSGSRV_OK;
}

msgsrv_status msi_stream_append(msgsrv_stream *stream, const void *message, msi_buf *out, msgsrv_error *error)
{
    if (stream->part_count)
        return append_parts(message, stream->part_count, stream->max_message, out, error);
    return msi_encode(stream->send.type, &stream->send.traits, message, stream->max_message, out, error);
}

/* Whether the stream may send now; if not, why. */
static msi_stream_waits obstacle(msgsrv_stream *stream)
{
    if (!stream->outlet || !msi_conn_open(stream->outlet->conn))
        return MSI_WAITS_CONNECTION;
    if (stream->send.items <= 0 || stream->send.bytes <= 0)
        return MSI_WAITS_CREDIT;
    if (msi_outlet_room(stream->outlet, stream))
        return MSI_WAITS_NOT;
    return stream->outlet ? MSI_WAITS_OUTPUT : MSI_WAITS_CONNECTION; /* making room may close the connection */
}

/* WRITABLE is to come. A stream that waits already stays where it is. */
static void wait_for_room(msgsrv_stream *stream, msi_stream_waits why)
{
    if (stream->waits == MSI_WAITS_NOT && why == MSI_WAITS_OUTPUT && !stream->over)
        msi_outlet_wait(stream->outlet, stream);
    else if (stream->waits == MSI_WAITS_NOT)
        stream->waits = why;
}

static msgsrv_status refuse(msgsrv_stream *stream, msi_stream_waits why, msgsrv_error *error)
{
    msi_count(&stream->loop->counters.sends_refused, 1);
    wait_for_room(stream, why);
    static const char *const reasons[] = {
        [MSI_WAITS_NOT] = "",
        [MSI_WAITS_CONNECTION] = "not connected yet",
        [MSI_WAITS_CREDIT] = "the peer takes no more messages now",
        [MSI_WAITS_OUTPUT] = "too much output waits already",
    };
    return msi_error(error, MSGSRV_AGAIN, "%s", reasons[why]);
}

bool msi_stream_ask(msgsrv_stream *stream)
{
    if (!stream->send.type || stream->over || stream->finished || stream->sync)
        return false;
    /* One that was refused is told when it may go on, and has to wait for that. */
    msi_stream_waits why = stream->waits == MSI_WAITS_NOT ? obstacle(stream) : stream->waits;
    if (stream->over)
        return false;
    if (why != MSI_WAITS_NOT)
        wait_for_room(stream, why);
    return why == MSI_WAITS_NOT;
}

static msgsrv_status send_message(msgsrv_stream *stream, const void *message, size_t parts, msgsrv_error *error)
{
    if (!stream->send.type)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "this end of the call sends no messages");
    if (stream->over)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the call is over");
    if (stream->finished)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the stream was finished already");
    /* One that was refused is told when it may go on, and has to wait for that. */
    msi_stream_waits why = stream->waits == MSI_WAITS_NOT ? obstacle(stream) : stream->waits;
    if (stream->over)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "the call is over");
    if (why != MSI_WAITS_NOT)
        return refuse(stream, why, error);
    size_t body = 0;
    stream->part_count = parts;
    msgsrv_status status = stream->outlet->protocol->item(stream, message, &body, error);
    stream->part_count = 0;
    if (status == MSGSRV_AGAIN)
        return refuse(stream, MSI_WAITS_CONNECTION, error);
    if (status)
        return status;
    stream->send.items--;
    stream->send.bytes -= (int64_t)body;
    stream->sent++;
    msi_count(&stream->loop->counters.items_sent, 1);
    return MSGSRV_OK;
}

msgsrv_status msi_stream_send(msgsrv_stream *stream, const void *message, msgsrv_error *error)
{
    return send_message(stream, message, 0, error);
}

msgsrv_status msi_stream_send_parts(msgsrv_stream *stream, const msgsrv_bytes *parts, size_t count, msgsrv_error *error)
{
    return send_message(stream, parts, count, error);
}

static int64_t saturated(int64_t credit, uint32_t more)
{
    int64_t sum = credit + more;
    return sum > CREDIT_MAX ? CREDIT_MAX : sum;
}

void msi_stream_credit(msgsrv_stream *stream, uint32_t items, uint32_t bytes)
{
    stream->send.items = saturated(stream->send.items, items);
    stream->send.bytes = saturated(stream->send.bytes, bytes);
    if (stream->wakes_on_ack && items && stream->granted < stream->sent)
        msgsrv_stream_wake(stream);
    stream->granted += items;
    if (stream->waits != MSI_WAITS_CREDIT || stream->send.items <= 0 || stream->send.bytes <= 0 || !stream->outlet)
        return;
    stream->waits = MSI_WAITS_NOT;
    if (msi_outlet_room(stream->outlet, stream))
        msi_stream_tell(stream, MSGSRV_STREAM_WRITABLE, NULL, NULL);
    else if (!stream->outlet)
        stream->waits = MSI_WAITS_CONNECTION;
    else if (!stream->over)
        msi_outlet_wait(stream->outlet, stream);
}

/* Receiving. */

static void grant(msgsrv_stream *stream)
{
    if (stream->over || stream->peer_done || !stream->outlet || !msi_conn_open(stream->outlet->conn))
        return;
    uint32_t more = stream->owed_bytes > CREDIT_MAX ? CREDIT_MAX : (uint32_t)stream->owed_bytes;
    uint32_t owed = stream->owed_items;
    stream->receive.items += owed;
    stream->receive.bytes += more;
    stream->owed_items = 0;
    stream->owed_bytes -= more;
    stream->outlet->protocol->credit(stream, owed, more);
}

static void on_credit_task(msi_task *task)
{
    msgsrv_stream *stream = MSI_CONTAINER(task, msgsrv_stream, credit_task);
    if (stream->owed_items || stream->owed_bytes)
        grant(stream);
}

/* Gives credit back when half the window is owed: seldom enough, and before the peer has to stop. An eager stream does it once a wake-up. */
void msi_stream_give_credit(msgsrv_stream *stream, uint32_t items, uint64_t bytes)
{
    stream->owed_items += items;
    stream->owed_bytes += bytes;
    if (stream->owed_items * 2ull >= stream->window_items || stream->owed_bytes * 2 >= stream->window_bytes)
        grant(stream);
    else if (stream->eager && !stream->over && items)
        msi_loop_before_leave(stream->loop, &stream->credit_task);
}

static msgsrv_status decode(msgsrv_stream *stream, msi_view body, void *message, msgsrv_error *error)
{
    const msi_stream_flow *flow = &stream->receive;
    if (flow->type->struct_size)
        memset(message, 0, flow->type->struct_size);
    return msi_decode(flow->type, &flow->traits, body.data, body.size, stream->max_received, message, error);
}

/* Tells one message. */
static void hand_over(msgsrv_stream *stream, msi_view body)
{
    msgsrv_error error;
    msgsrv_status status = decode(stream, body, stream->message, &error);
    if (status) {
        stream->owner->fault(stream, status, error.text);
        return;
    }
    msi_stream_hold(stream);
    stream->handling = (uint32_t)body.size;
    stream->handles = true;
    msi_stream_tell(stream, MSGSRV_STREAM_MESSAGE, stream->message, NULL);
    msi_release(stream->receive.type, &stream->receive.traits, stream->message);
    bool handled = stream->handles;
    stream->handles = false;
    if (handled)
        msi_stream_give_credit(stream, 1, body.size);
    msi_stream_unhold(stream);
}

static void count_inbox(msgsrv_stream *stream, size_t size, bool more)
{
    msi_counters *counters = &stream->loop->counters;
    if (more) {
        stream->inbox_bytes += size;
        msi_count(&counters->stream_input_items, 1);
        msi_count(&counters->stream_input_bytes, size);
    } else {
        stream->inbox_bytes -= size;
        msi_uncount(&counters->stream_input_items, 1);
        msi_uncount(&counters->stream_input_bytes, size);
    }
    if (stream->outlet)
        stream->outlet->unread += more ? size : 0 - size;
}

static msi_stream_item *take_item(msgsrv_stream *stream)
{
    msi_stream_item *item = TAILQ_FIRST(&stream->inbox);
    if (!item)
        return NULL;
    TAILQ_REMOVE(&stream->inbox, item, next);
    count_inbox(stream, item->size, false);
    return item;
}

static void keep_item(msgsrv_stream *stream, msi_view body)
{
    msi_outlet *outlet = stream->outlet;
    if (outlet && outlet->unread + body.size > outlet->max_unread) {
        msi_count(&stream->loop->counters.refused[MSGSRV_REFUSED_UNREAD], 1);
        stream->owner->fault(stream, MSGSRV_RESOURCE_EXHAUSTED,
                             "too many messages of this connection wait to be handled");
        return;
    }
    msi_stream_item *item = malloc(sizeof *item + body.size);
    if (!item) {
        stream->owner->fault(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
        return;
    }
    item->size = body.size;
    if (body.size)
        memcpy(item->data, body.data, body.size);
    TAILQ_INSERT_TAIL(&stream->inbox, item, next);
    count_inbox(stream, item->size, true);
}

/* Whether the program can be told something now. */
static bool may_tell(const msgsrv_stream *stream)
{
    return !stream->paused && !stream->sync && !stream->over && stream->busy == 0;
}

static void take_in(msgsrv_stream *stream, msi_view body)
{
    msi_counters *counters = &stream->loop->counters;
    if (stream->over)
        return;
    if (!stream->receive.type || stream->peer_done) {
        msi_count(&counters->refused[MSGSRV_REFUSED_HALF_CLOSED], 1);
        stream->owner->fault(stream, MSGSRV_INVALID_ARGUMENT, "a message came where none may come any more");
        return;
    }
    if (stream->receive.items <= 0 || stream->receive.bytes <= 0) {
        msi_count(&counters->refused[MSGSRV_REFUSED_CREDIT], 1);
        stream->owner->fault(stream, MSGSRV_RESOURCE_EXHAUSTED, "a message came beyond the credit");
        return;
    }
    stream->receive.items--;
    stream->receive.bytes -= (int64_t)body.size;
    stream->received++;
    msi_count(&counters->items_received, 1);
    if (may_tell(stream) && !msi_stream_has_input(stream)) {
        hand_over(stream, body);
        return;
    }
    keep_item(stream, body);
    if (stream->sync && !stream->over)
        stream->owner->changed(stream);
}

void msi_stream_receive(msgsrv_stream *stream, msi_view body)
{
    (void)msgsrv_stream_ref(stream);
    /* BEGIN may pause or end it. */
    if (!stream->begun && may_tell(stream))
        msi_stream_tell(stream, MSGSRV_STREAM_BEGIN, NULL, NULL);
    take_in(stream, body);
    msgsrv_stream_unref(stream);
}

bool msi_stream_take(msgsrv_stream *stream, void *message)
{
    msi_stream_item *item = take_item(stream);
    if (!item)
        return false;
    msgsrv_error error;
    msgsrv_status status = decode(stream, (msi_view){item->data, item->size}, message, &error);
    if (status == MSGSRV_OK && stream->receive.traits.has_views && !msi_own_views(stream->receive.type, message)) {
        msi_release(stream->receive.type, &stream->receive.traits, message);
        status = msi_error_memory(&error);
    }
    size_t size = item->size;
    free(item);
    if (status)
        stream->owner->fault(stream, status, error.text);
    else
        msi_stream_give_credit(stream, 1, size);
    return status == MSGSRV_OK;
}

void msi_stream_discard(msgsrv_stream *stream)
{
    msi_stream_item *item;
    while ((item = take_item(stream)) != NULL) {
        msi_stream_give_credit(stream, 1, item->size);
        free(item);
    }
}

/* Behind all messages: that no more come. */
static void tell_half_close(msgsrv_stream *stream)
{
    if (!stream->peer_done || stream->peer_done_told)
        return;
    stream->peer_done_told = true;
    msi_stream_tell(stream, MSGSRV_STREAM_HALF_CLOSE, NULL, NULL);
}

void msi_stream_go_on(msgsrv_stream *stream)
{
    msi_stream_hold(stream);
    while (may_tell(stream) && msi_stream_has_input(stream)) {
        msi_stream_item *item = take_item(stream);
        hand_over(stream, (msi_view){item->data, item->size});
        free(item);
    }
    if (may_tell(stream) && !msi_stream_has_input(stream)) {
        tell_half_close(stream);
        if (!stream->over && stream->owner->changed)
            stream->owner->changed(stream);
    }
    msi_stream_unhold(stream);
}

void msi_stream_half_closed(msgsrv_stream *stream)
{
    if (stream->over)
        return;
    if (!stream->receive.type || stream->peer_done) {
        msi_count(&stream->loop->counters.refused[MSGSRV_REFUSED_HALF_CLOSED], 1);
        stream->owner->fault(stream, MSGSRV_INVALID_ARGUMENT, "the client finished a second time");
        return;
    }
    stream->peer_done = true;
    if (may_tell(stream) && !msi_stream_has_input(stream))
        tell_half_close(stream);
}

/* The end. */

static void drop_inbox(msgsrv_stream *stream)
{
    msi_stream_item *item;
    while ((item = take_item(stream)) != NULL)
        free(item);
}

void msi_stream_over(msgsrv_stream *stream, bool keep_inbox)
{
    if (!keep_inbox)
        drop_inbox(stream);
    if (stream->over)
        return;
    stream->over = true;
    msi_uncount(&stream->loop->counters.streams_open, 1);
    msi_stream_detach(stream);
    stream->waits = MSI_WAITS_NOT;
    msi_loop_undefer(stream->loop, &stream->task);
    msi_loop_undefer(stream->loop, &stream->credit_task);
    if (stream->has_timer)
        event_del(&stream->timer);
    stream->has_timer = false;
}

/* Waking. */

static void tell_woken(msgsrv_stream *stream)
{
    atomic_store(&stream->wake_posted, false);
    msi_stream_tell(stream, MSGSRV_STREAM_WOKEN, NULL, NULL);
    msgsrv_stream_unref(stream);
}

static void on_wake_post(msi_post *post, msi_loop *loop)
{
    (void)loop;
    tell_woken(MSI_CONTAINER(post, msgsrv_stream, wake_post));
}

static void on_wake_task(msi_task *task)
{
    tell_woken(MSI_CONTAINER(task, msgsrv_stream, wake_task));
}

void msgsrv_stream_wake(msgsrv_stream *stream)
{
    if (!stream || atomic_exchange(&stream->wake_posted, true))
        return;
    (void)msgsrv_stream_ref(stream);
    /* On the loop's own thread it needs no system call, and comes before what is sent now goes out. */
    if (msi_loop_current == stream->loop)
        msi_loop_before_leave(stream->loop, &stream->wake_task);
    else if (!msi_mailbox_post(stream->mailbox, &stream->wake_post))
        msgsrv_stream_unref(stream); /* the loop is gone, and the stream over */
}
