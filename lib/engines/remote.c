/* SPDX-License-Identifier: MIT */
/* A handle on a bus in a server: its life, its loop, and what is done there for functions that were called elsewhere. See remote.h. */
#include "engines/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"

#define ANSWER_SLACK (64 * MSI_KIB) /* what a message with one event has besides its payload, with room to spare */

/* References. */

static void free_laters(msi_later *later)
{
    while (later) {
        msi_later *next = later->next;
        free(later);
        later = next;
    }
}

void msi_remote_unref(msi_remote *bus)
{
    if (atomic_fetch_sub(&bus->refs, 1) != 1)
        return;
    msi_lane_release(&bus->publish);
    msi_declarations_free(bus->declarations);
    free_laters(bus->laters);
    msi_publish_forget(bus);
    msi_idmap_release(&bus->feeds);
    msi_idmap_release(&bus->unsettled);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* The program's functions. */

msgsrv_status msi_remote_enter(msi_remote *bus, msi_remote_bracket *bracket, msgsrv_error *error)
{
    *bracket = (msi_remote_bracket){.foreign = false};
    if (msi_remote_closing(bus))
        return msi_error(error, MSGSRV_CANCELLED, "the bus is being freed");
    msgsrv_client *client = bus->client;
    if (client->kind == MSI_CLIENT_THREAD && !msi_client_inside(client)) {
        bracket->foreign = true;
        return MSGSRV_OK;
    }
    msgsrv_status status = msi_client_drive(client, &bracket->inside, error);
    if (status == MSGSRV_OK)
        bracket->before = msi_client_api_enter(client);
    return status;
}

void msi_remote_leave(msi_remote *bus, const msi_remote_bracket *bracket)
{
    if (bracket->foreign)
        return;
    msi_client_api_leave(bus->client, bracket->before);
    msi_client_drive_end(bus->client, bracket->inside);
}

/* Work for the loop. */

static void on_wake(msi_post *post, msi_loop *loop)
{
    (void)loop;
    msi_remote *bus = MSI_CONTAINER(post, msi_remote, wake_post);
    pthread_mutex_lock(&bus->lock);
    bus->wake_posted = false;
    bool laters = bus->laters != NULL;
    pthread_mutex_unlock(&bus->lock);
    if (!msi_remote_closing(bus)) {
        if (laters) /* the program is not called inside of a post */
            msi_loop_defer(&bus->client->loop, &bus->task);
        msi_remote_work(bus);
    }
    msi_remote_unref(bus);
}

void msi_remote_wake(msi_remote *bus, bool foreign)
{
    if (!foreign) {
        msi_loop_defer(&bus->client->loop, &bus->task);
        return;
    }
    if (bus->wake_posted)
        return;
    bus->wake_posted = true;
    (void)msi_remote_ref(bus);
    if (!msi_mailbox_post(bus->client->loop.mailbox, &bus->wake_post))
        atomic_fetch_sub(&bus->refs, 1); /* it is being freed; the caller has a reference */
}

void msi_remote_wake_lane(msi_lane *lane, bool foreign)
{
    msi_remote *bus = lane->bus;
    if (lane->gone)
        return;
    if (!lane->queued) {
        lane->queued = true;
        lane->next_queued = bus->queued;
        bus->queued = lane;
    }
    msi_remote_wake(bus, foreign);
}

void msi_remote_forget_lane(msi_lane *lane)
{
    msi_remote *bus = lane->bus;
    pthread_mutex_lock(&bus->lock);
    lane->gone = true;
    msi_lane **at = &bus->queued;
    while (*at && *at != lane)
        at = &(*at)->next_queued;
    if (*at)
        *at = lane->next_queued;
    lane->queued = false;
    pthread_mutex_unlock(&bus->lock);
}

void msi_remote_work(msi_remote *bus)
{
    msi_declarations_send(bus);
    for (;;) {
        pthread_mutex_lock(&bus->lock);
        msi_lane *lane = bus->queued;
        if (lane) {
            bus->queued = lane->next_queued;
            lane->queued = false;
        }
        pthread_mutex_unlock(&bus->lock);
        if (!lane)
            return;
        if (lane == &bus->publish)
            msi_publish_pump(bus);
        else
            msi_lane_pump(lane);
    }
}

static msi_later *take_later(msi_remote *bus)
{
    pthread_mutex_lock(&bus->lock);
    msi_later *later = bus->laters;
    if (later)
        bus->laters = later->next;
    if (!bus->laters)
        bus->laters_end = &bus->laters;
    pthread_mutex_unlock(&bus->lock);
    return later;
}

/* One after the other, so that whoever frees the bus finds those that are left. */
static void tell_laters(msi_remote *bus)
{
    msi_later *later;
    while ((later = take_later(bus)) != NULL) {
        bus->told++;
        later->done(&bus->bus, later->error.code, &later->error, later->ctx);
        free(later);
    }
}

static void run_task(msi_task *task)
{
    msi_remote *bus = msi_remote_ref(MSI_CONTAINER(task, msi_remote, task));
    msi_remote_work(bus);
    msi_publish_tell_failed(bus);
    tell_laters(bus);
    msi_remote_unref(bus);
}

bool msi_remote_later(msi_remote *bus, bool foreign, msgsrv_bus_done_fn done, void *ctx, const msgsrv_error *error)
{
    msi_later *later = malloc(sizeof *later);
    if (!later)
        return false;
    *later = (msi_later){.done = done, .ctx = ctx, .error = *error};
    pthread_mutex_lock(&bus->lock);
    *bus->laters_end = later;
    bus->laters_end = &later->next;
    msi_remote_wake(bus, foreign);
    pthread_mutex_unlock(&bus->lock);
    return true;
}

/* The end. */

/* On the loop's thread: everything that is not a unary call is told its end now. */
static void shut(msi_remote *bus)
{
    msgsrv_error why;
    (void)msi_error(&why, MSGSRV_CANCELLED, "the handle was freed");
    msi_loop_run_posts(&bus->client->loop); /* what other threads have begun before */
    atomic_store(&bus->closing, true);
    msi_loop_undefer(&bus->client->loop, &bus->task);
    msi_lane_lost(&bus->publish, &why);
    for (;;) {
        pthread_mutex_lock(&bus->lock);
        msi_idnode *node = msi_idmap_any(&bus->feeds);
        pthread_mutex_unlock(&bus->lock);
        if (!node)
            break;
        msi_feed *feed = MSI_CONTAINER(node, msi_feed, node);
        feed->stopped = true;
        if (feed->lane)
            msi_lane_lost(feed->lane, &why);
        msi_feed_end(feed, why.code, false, why.text);
    }
    tell_laters(bus);
}

typedef struct shutting {
    msi_post post;
    msi_remote *bus;
    bool done;
} shutting;

static void on_shut(msi_post *post, msi_loop *loop)
{
    shutting *work = MSI_CONTAINER(post, shutting, post);
    msgsrv_client *client = work->bus->client;
    (void)loop;
    shut(work->bus);
    msi_client_serve(client, &work->done);
}

static void bus_free(msgsrv_bus *handle)
{
    msi_remote *bus = msi_remote_of(handle);
    msgsrv_client *client = bus->client;
    if (msi_remote_closing(bus))
        return; /* inside of a callback that freeing it calls */
    if (client->kind == MSI_CLIENT_THREAD && !msi_client_inside(client)) {
        shutting work = {.post.run = on_shut, .bus = bus};
        if (msi_mailbox_post(client->loop.mailbox, &work.post))
            msi_client_wait_for(client, &work.done);
    } else {
        shut(bus);
    }
    msgsrv_client_free(client);
    msi_remote_unref(bus);
}

/* Polling: as msgsrv_client_poll(), until the program was told something. */

static void on_poll_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* Whether anything may still be told. */
static bool pending(msi_remote *bus)
{
    pthread_mutex_lock(&bus->lock);
    bool is = bus->feeds.count || bus->laters || msi_lane_unanswered(&bus->publish);
    pthread_mutex_unlock(&bus->lock);
    return is || atomic_load(&bus->client->open) || bus->task.queued;
}

static msgsrv_status poll_until(msi_remote *bus, uint32_t timeout_ms, msgsrv_error *error)
{
    msi_loop *loop = &bus->client->loop;
    uint64_t told = bus->told;
    bool late = timeout_ms == 0;
    struct event *timer = NULL;
    if (!late && timeout_ms != MSGSRV_NONE) {
        timer = event_new(loop->base, -1, 0, on_poll_timeout, &late);
        if (!timer || !msi_timer_at(loop, timer, msi_now() + timeout_ms * MSI_MS)) {
            if (timer)
                event_free(timer);
            return msi_error_memory(error);
        }
    }
    (void)event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    while (bus->told == told && !late && !msi_remote_closing(bus) && pending(bus))
        (void)event_base_loop(loop->base, EVLOOP_ONCE);
    if (timer)
        event_free(timer);
    return bus->told == told ? MSGSRV_AGAIN : MSGSRV_OK;
}

static msgsrv_status bus_poll(msgsrv_bus *handle, uint32_t timeout_ms, msgsrv_error *error)
{
    msi_remote *bus = msi_remote_of(handle);
    msgsrv_client *client = bus->client;
    if (client->kind != MSI_CLIENT_PRIVATE || msi_client_inside(client))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "only a private loop is polled, and not inside its callbacks");
    bool inside;
    msgsrv_status status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    (void)msi_remote_ref(bus);
    status = poll_until(bus, timeout_ms, error);
    msi_client_drive_end(client, inside);
    msi_remote_unref(bus);
    return status;
}

static void bus_stats(msgsrv_bus *handle, msgsrv_bus_stats *stats)
{
    msi_remote *bus = msi_remote_of(handle);
    stats->published = atomic_load(&bus->published);
    stats->refused = atomic_load(&bus->refused);
    stats->delivered = atomic_load(&bus->delivered);
    stats->lost = atomic_load(&bus->lost);
    stats->subscriptions = atomic_load(&bus->subscriptions);
    stats->consumers = atomic_load(&bus->consumers);
    stats->requests = atomic_load(&bus->requests);
}

static const msi_bus_ops remote_ops = {
    .free = bus_free,
    .poll = bus_poll,
    .publish = msi_remote_publish,
    .subscribe = msi_remote_subscribe,
    .unsubscribe = msi_remote_unsubscribe,
    .request = msi_remote_request,
    .reply = msi_remote_reply,
    .declare_topic = msi_remote_declare_topic,
    .declare_queue = msi_remote_declare_queue,
    .delete_queue = msi_remote_delete_queue,
    .consume = msi_remote_consume,
    .settle = msi_remote_settle,
    .peek = msi_remote_peek,
    .retry = msi_remote_retry,
    .purge = msi_remote_purge,
    .queue_info = msi_remote_queue_info,
    .stats = bus_stats,
};

static void take_options(msi_remote *bus, const msgsrv_bus_options *options)
{
    bus->bus.ops = &remote_ops;
    bus->log = msi_log_make(options->log, options->log_ctx, options->log_level);
    snprintf(bus->name, sizeof bus->name, "%s", options->name);
    bus->timeout_ms = options->timeout_ms;
    bus->max_unanswered = options->max_unanswered;
    bus->max_event = options->max_event;
    bus->on_writable = options->on_writable;
    bus->ctx = options->ctx;
    atomic_init(&bus->refs, 1);
    bus->laters_end = &bus->laters;
    bus->declarations_end = &bus->declarations;
    bus->wake_post.run = on_wake;
    bus->task.run = run_task;
    pthread_mutex_init(&bus->lock, NULL);
    msi_publish_init(bus);
}

msgsrv_status msi_bus_open_remote(const char *url, const msgsrv_bus_options *options, msgsrv_bus **out,
                                  msgsrv_error *error)
{
    msi_remote *bus = calloc(1, sizeof *bus);
    if (!bus)
        return msi_error_memory(error);
    take_options(bus, options);
    uint32_t message = options->max_event + ANSWER_SLACK;
    msgsrv_client_options of_client = {
        .size = sizeof of_client,
        .base = options->base,
        .thread = options->thread,
        .timeout_ms = options->timeout_ms,
        .max_message = message > MSI_MAX_MESSAGE ? message : MSI_MAX_MESSAGE,
        .log = options->log,
        .log_ctx = options->log_ctx,
        .log_level = options->log_level,
    };
    msgsrv_status status = msgsrv_client_new(url, &of_client, &bus->client, error);
    if (status)
        msi_remote_unref(bus);
    else
        *out = &bus->bus;
    return status;
}
