/* SPDX-License-Identifier: MIT */
/*
 * What subscriptions and consumers have in common: a stream that the server sends on, opened again by itself when it is lost, and an end that is
 * told once.
 *
 *   started ──► stream open ──► ready ──► ...
 *                  ▲   │ UNAVAILABLE, or the server has finished
 *                  │   ▼
 *                a pause        any other end, or the program wants no more ──► ended
 *
 * The first loss after a stream was ready is followed by the next attempt at once; when that one does not last for a second, by pauses
 * that grow as the client's own between connections do. Without a server the stream waits for one, without an end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/error.h"
#include "engines/remote.h"

#define PAUSE_MIN_MS 100u
#define PAUSE_MAX_MS 10000u
#define LASTED_NS 1000000000ull
#define RECEIVE_BYTES (1024u * 1024u) /* that the server may send ahead */
#define MAX_MESSAGE(feed) ((feed)->bus->client->options.max_message)

static void run_end(msi_task *task);
static void on_start(msi_post *post, msi_loop *loop);
static void on_stop(msi_post *post, msi_loop *loop);

static msi_feed *ref(msi_feed *feed)
{
    atomic_fetch_add(&feed->refs, 1);
    return feed;
}

void msi_feed_unref(msi_feed *feed)
{
    if (atomic_fetch_sub(&feed->refs, 1) != 1)
        return;
    msi_remote *bus = feed->bus;
    msi_event_reader_release(&feed->reader);
    free(feed->message);
    feed->ops->free(feed);
    msi_remote_unref(bus);
}

msgsrv_status msi_feed_init(msi_feed *feed, msi_remote *bus, const msi_feed_ops *ops, const msgsrv_message_type *type,
                            void *ctx, msgsrv_error *error)
{
    feed->ops = ops;
    feed->ctx = ctx;
    feed->start_post.run = on_start;
    feed->stop_post.run = on_stop;
    feed->end_task.run = run_end;
    feed->type = type;
    if (type) {
        feed->traits = msi_type_look(type->nanopb);
        feed->message = malloc(type->struct_size ? type->struct_size : 1);
        if (!feed->message)
            return msi_error_memory(error);
    }
    pthread_mutex_lock(&bus->lock);
    feed->node.id = ++bus->last_handle;
    bool added = msi_idmap_add(&bus->feeds, &feed->node);
    pthread_mutex_unlock(&bus->lock);
    if (!added) {
        free(feed->message);
        return msi_error_memory(error);
    }
    atomic_init(&feed->refs, 1);
    feed->bus = msi_remote_ref(bus);
    return MSGSRV_OK;
}

/* The end. */

/* Takes it off what could still do something with it. false: it has ended before. */
static bool let_go(msi_feed *feed)
{
    if (feed->ended)
        return false;
    feed->ended = true;
    pthread_mutex_lock(&feed->bus->lock);
    msi_idmap_remove(&feed->bus->feeds, &feed->node);
    pthread_mutex_unlock(&feed->bus->lock);
    if (feed->has_timer)
        event_del(&feed->timer);
    feed->has_timer = false;
    msi_loop_undefer(&feed->bus->client->loop, &feed->end_task);
    if (feed->lane)
        msi_remote_forget_lane(feed->lane);
    return true;
}

void msi_feed_end(msi_feed *feed, msgsrv_status code, bool from_peer, const char *text)
{
    if (!let_go(feed))
        return;
    msgsrv_error why;
    msi_error_set(&why, code, from_peer, text, strlen(text));
    feed->bus->told++;
    feed->ops->end(feed, &why);
    msi_feed_unref(feed);
}

static void run_end(msi_task *task)
{
    msi_feed *feed = MSI_CONTAINER(task, msi_feed, end_task);
    msi_feed_end(feed, feed->why.code, feed->why.from_peer, feed->why.text);
}

/* Not inside the function that is the reason. */
static void end_soon(msi_feed *feed, const msgsrv_error *why)
{
    feed->why = *why;
    if (feed->has_timer)
        event_del(&feed->timer);
    feed->has_timer = false;
    msi_loop_defer(&feed->bus->client->loop, &feed->end_task);
}

/* The program wants no more. On the loop's thread. */
static void stop(msi_feed *feed)
{
    if (msi_feed_over(feed))
        return;
    feed->stopped = true;
    msgsrv_error why;
    (void)msi_error(&why, MSGSRV_CANCELLED, "unsubscribed");
    if (feed->call)
        msgsrv_client_cancel(feed->bus->client, feed->call); /* its CLOSED is the end */
    else
        end_soon(feed, &why);
}

static void on_stop(msi_post *post, msi_loop *loop)
{
    (void)loop;
    msi_feed *feed = MSI_CONTAINER(post, msi_feed, stop_post);
    if (!msi_remote_closing(feed->bus))
        stop(feed);
    msi_feed_unref(feed);
}

static msi_feed *find(msi_remote *bus, msgsrv_handle handle)
{
    pthread_mutex_lock(&bus->lock);
    msi_idnode *node = msi_idmap_find(&bus->feeds, handle);
    msi_feed *feed = node ? ref(MSI_CONTAINER(node, msi_feed, node)) : NULL;
    pthread_mutex_unlock(&bus->lock);
    return feed;
}

void msi_remote_unsubscribe(msgsrv_bus *handle, msgsrv_handle subscription)
{
    msi_remote *bus = msi_remote_of(handle);
    msi_remote_bracket bracket;
    if (msi_remote_enter(bus, &bracket, NULL) != MSGSRV_OK)
        return;
    msi_feed *feed = find(bus, subscription);
    if (feed && !bracket.foreign)
        stop(feed);
    else if (feed && !atomic_exchange(&feed->stop_posted, true) &&
             msi_mailbox_post(bus->client->loop.mailbox, &feed->stop_post))
        feed = NULL; /* the reference is the post's */
    if (feed)
        msi_feed_unref(feed);
    msi_remote_leave(bus, &bracket);
}

/* The stream. */

static void go_on(msi_feed *feed);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_feed *feed = arg;
    msi_loop *loop = &feed->bus->client->loop;
    msi_loop *before = msi_loop_enter(loop);
    if (!msi_timer_early(loop, &feed->timer, feed->due)) {
        feed->has_timer = false;
        go_on(feed);
    }
    msi_loop_leave(loop, before);
}

/* Another attempt: now, or after a pause. */
static void retry(msi_feed *feed)
{
    msi_loop *loop = &feed->bus->client->loop;
    bool lasted = feed->ready && msi_now() - feed->ready_at >= LASTED_NS;
    uint32_t pause = feed->backoff_ms;
    feed->backoff_ms = pause ? pause + pause / 5 * 3 : PAUSE_MIN_MS;
    if (feed->backoff_ms > PAUSE_MAX_MS)
        feed->backoff_ms = PAUSE_MAX_MS;
    if (!feed->ready && pause == 0)
        pause = PAUSE_MIN_MS;
    feed->ready = false;
    if (lasted) {
        feed->backoff_ms = PAUSE_MIN_MS;
        pause = 0;
    }
    if (pause == 0) {
        go_on(feed);
        return;
    }
    /* The attempts of many after one loss shall not come together: up to a fifth more. */
    uint64_t spread = pause * MSI_MS / 5 * (feed->node.id % 16) / 16;
    feed->due = msi_now() + pause * MSI_MS + spread;
    event_assign(&feed->timer, loop->base, -1, 0, on_timer, feed);
    feed->has_timer = msi_timer_at(loop, &feed->timer, feed->due);
    if (!feed->has_timer) {
        msgsrv_error why;
        (void)msi_error_memory(&why);
        end_soon(feed, &why);
    }
}

static void closed(msi_feed *feed, const msgsrv_reply *reply)
{
    const msgsrv_error *why = reply->error;
    feed->stream = NULL;
    feed->call = 0;
    if (feed->ops->lost)
        feed->ops->lost(feed, why);
    if (feed->ended)
        return;
    if (feed->stopped) {
        msi_feed_end(feed, MSGSRV_CANCELLED, false, "unsubscribed");
    } else if (reply->status == MSGSRV_UNAVAILABLE || reply->status == MSGSRV_OK) {
        msi_log_line(&feed->bus->log, MSGSRV_LOG_INFO, "%s was lost, and is opened again: %s",
                     msi_bus_methods[feed->ops->method].path, why->text);
        msi_publish_forget(feed->bus);
        retry(feed);
    } else {
        msi_feed_end(feed, why->code, why->from_peer, why->text);
    }
}

static void begun(msi_feed *feed, msgsrv_stream *stream)
{
    feed->stream = stream;
    if (feed->lane)
        msi_lane_attach(feed->lane, stream);
}

static msgsrv_status on_event(const void *closure, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                              void *out, void *ctx)
{
    (void)out;
    (void)ctx;
    msi_feed *feed = *(msi_feed *const *)closure;
    if (event == MSGSRV_STREAM_CLOSED) {
        closed(feed, in);
        msi_feed_unref(feed);
        return MSGSRV_OK;
    }
    if (msi_feed_over(feed))
        return MSGSRV_OK;
    (void)ref(feed);
    if (event == MSGSRV_STREAM_MESSAGE) {
        const msgsrv_bytes *body = in;
        feed->ops->message(feed, (msi_view){body->data, body->size});
    } else if (event == MSGSRV_STREAM_BEGIN) {
        begun(feed, stream);
    } else if (event == MSGSRV_STREAM_WRITABLE && feed->lane) {
        msi_lane_pump(feed->lane);
    } else if (event == MSGSRV_STREAM_WOKEN && feed->lane) {
        msi_lane_tick(feed->lane);
    }
    msi_feed_unref(feed);
    return MSGSRV_OK;
}

static msgsrv_status open_stream(msi_feed *feed, msgsrv_error *error)
{
    msi_buf request = {0};
    msi_writer to = {.out = &request};
    msgsrv_call_options options = {.size = sizeof options,
                                   .wait_for_ready = true,
                                   .receive_bytes = RECEIVE_BYTES,
                                   .eager_credit = feed->eager};
    if (!feed->ops->request(feed, &to) || to.failed) {
        msi_buf_release(&request);
        return msi_error_memory(error);
    }
    msgsrv_bytes bytes = {request.data, request.len, NULL};
    if (feed->lane) {
        msi_buf_release(&feed->lane->head);
        feed->lane->head = request;
        msi_lane_open(feed->lane);
    }
    (void)ref(feed);
    msgsrv_status status =
        msgsrv_stream_open(feed->bus->client, &msi_bus_methods[feed->ops->method], feed->lane ? NULL : &bytes, &options,
                           on_event, &feed, sizeof feed, NULL, &feed->call, error);
    if (status)
        msi_feed_unref(feed);
    if (!feed->lane)
        msi_buf_release(&request);
    return status;
}

static void go_on(msi_feed *feed)
{
    msgsrv_error error;
    if (!msi_feed_over(feed) && open_stream(feed, &error) != MSGSRV_OK)
        end_soon(feed, &error);
}

static void on_start(msi_post *post, msi_loop *loop)
{
    (void)loop;
    msi_feed *feed = MSI_CONTAINER(post, msi_feed, start_post);
    go_on(feed);
    msi_feed_unref(feed);
}

/* Without a word to the program, which has been told by the function's result. */
static void drop(msi_feed *feed)
{
    if (let_go(feed))
        msi_feed_unref(feed);
}

msgsrv_status msi_feed_start(msi_feed *feed, msgsrv_handle *handle, msgsrv_error *error)
{
    msi_remote *bus = feed->bus;
    msi_remote_bracket bracket;
    msgsrv_status status = msi_remote_enter(bus, &bracket, error);
    if (status) {
        drop(feed);
        return status;
    }
    *handle = feed->node.id;
    if (bracket.foreign) {
        (void)ref(feed);
        if (!msi_mailbox_post(bus->client->loop.mailbox, &feed->start_post)) {
            msi_feed_unref(feed);
            status = msi_error(error, MSGSRV_CANCELLED, "the bus is being freed");
        }
    } else {
        status = open_stream(feed, error);
    }
    if (status)
        drop(feed);
    msi_remote_leave(bus, &bracket);
    return status;
}

void msi_feed_ready(msi_feed *feed)
{
    feed->ready = true;
    feed->ready_at = msi_now();
}

void msi_feed_fail(msi_feed *feed, const msgsrv_error *error)
{
    if (feed->stream)
        (void)msgsrv_stream_fail(feed->stream, error->code, "%s", error->text);
}

/* Typed events. */

msgsrv_status msi_feed_decode(msi_feed *feed, msgsrv_event *event, msgsrv_error *error)
{
    const msgsrv_message_type *type = feed->type;
    if (strcmp(event->type, type->name) != 0)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: a %s came instead of a %s", event->topic, event->type,
                         type->name);
    if (type->struct_size)
        memset(feed->message, 0, type->struct_size);
    msgsrv_status status =
        msi_decode(type, &feed->traits, event->payload, event->payload_size, MAX_MESSAGE(feed), feed->message, error);
    if (status)
        return status;
    event->message = feed->message;
    event->payload = NULL;
    return MSGSRV_OK;
}

void msi_feed_release_message(msi_feed *feed, msgsrv_event *event)
{
    if (!event->message)
        return;
    msi_release(feed->type, &feed->traits, feed->message);
    event->message = NULL;
}
