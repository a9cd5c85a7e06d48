/* SPDX-License-Identifier: MIT */
/* A client's life, and its three kinds of loop: driven by its calls, run by a thread of its own, or the caller's. */
#include <msgsrv/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/option.h"
#include "base/thread.h"
#include "rpc/client_internal.h"

#define FIRST_SIZE (offsetof(msgsrv_client_options, log_level) + sizeof(msgsrv_log_level))

enum { FLAG_END = 1 };

static msgsrv_status check_options(msgsrv_client_options *o, msgsrv_error *error)
{
    const msi_option table[] = {
        {"timeout_ms", &o->timeout_ms, MSI_CALL_TIMEOUT_MS, 1, MSGSRV_NONE - 1, true},
        {"connect_timeout_ms", &o->connect_timeout_ms, MSI_CONNECT_TIMEOUT_MS, 1, MSGSRV_NONE - 1, false},
        {"backoff_min_ms", &o->backoff_min_ms, MSI_BACKOFF_MIN_MS, 1, 3600000, false},
        {"backoff_max_ms", &o->backoff_max_ms, MSI_BACKOFF_MAX_MS, 1, 3600000, false},
        {"max_message", &o->max_message, MSI_MAX_MESSAGE, 1, MSI_MESSAGE_CEILING, false},
        {"max_metadata", &o->max_metadata, MSI_MAX_METADATA, 1, 12 * MSI_KIB, false},
        {"max_calls", &o->max_calls, MSI_CLIENT_MAX_CALLS, 1, MSGSRV_NONE - 1, false},
        {"keepalive_idle_s", &o->keepalive_idle_s, MSI_KEEPALIVE_IDLE_S, 1, 32767, true},
        {"keepalive_interval_s", &o->keepalive_interval_s, MSI_KEEPALIVE_INTERVAL_S, 1, 32767, false},
        {"keepalive_count", &o->keepalive_count, MSI_KEEPALIVE_COUNT, 1, 127, false},
    };
    bool longest_given = o->backoff_max_ms != 0;
    msgsrv_status status = msi_options_check(table, sizeof table / sizeof *table, "msgsrv_client_options", error);
    if (status)
        return status;
    if (!longest_given && o->backoff_max_ms < o->backoff_min_ms)
        o->backoff_max_ms = o->backoff_min_ms;
    if (o->backoff_max_ms < o->backoff_min_ms)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "msgsrv_client_options: backoff_max_ms is %u, expected backoff_min_ms, %u, or more",
                         o->backoff_max_ms, o->backoff_min_ms);
    if (o->base && o->thread)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_client_options: base and thread exclude each other");
    if ((unsigned)o->log_level > MSGSRV_LOG_DEBUG)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_client_options: log_level is %d, expected 0 to %d",
                         (int)o->log_level, (int)MSGSRV_LOG_DEBUG);
    return MSGSRV_OK;
}

msgsrv_status msi_client_take_options(msgsrv_client *client, const msgsrv_client_options *options, msgsrv_error *error)
{
    msgsrv_client_options *o = &client->options;
    msgsrv_status status =
        msi_options_copy(o, sizeof *o, FIRST_SIZE, options, options ? options->size : 0, "msgsrv_client_options", error);
    if (status == MSGSRV_OK)
        status = check_options(o, error);
    if (status)
        return status;
    client->kind = o->base ? MSI_CLIENT_BASE : o->thread ? MSI_CLIENT_THREAD : MSI_CLIENT_PRIVATE;
    /* Calls have deadlines; only a server that takes nothing in is given up by time. */
    client->limits = (msi_conn_limits){
        .output_timeout_ms = MSI_OUTPUT_TIMEOUT_MS,
        .linger_ms = MSI_LINGER_MS,
        .linger_bytes = MSI_LINGER_BYTES,
        .max_output = MSI_MAX_OUTPUT,
        .keepalive_idle_s = o->keepalive_idle_s,
        .keepalive_interval_s = o->keepalive_interval_s,
        .keepalive_count = o->keepalive_count,
    };
    client->client_limits = (msi_client_limits){o->max_message, o->max_metadata, client->authority};
    return MSGSRV_OK;
}

static void on_done_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msgsrv_client *client = arg;
    msi_loop *before = msi_loop_enter(&client->loop);
    client->loop.work_left = true;
    msi_loop_leave(&client->loop, before);
}

static void on_flags(msi_loop *loop, unsigned flags)
{
    msgsrv_client *client = loop->owner;
    if (flags & FLAG_END)
        event_base_loopbreak(client->loop.base);
}

static void *thread_main(void *arg)
{
    msgsrv_client *client = arg;
    (void)event_base_loop(client->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
    if (client->free_pending) {
        pthread_detach(pthread_self());
        (void)msi_client_free_if_pending(client);
    }
    return NULL;
}

/* Everything but the thread: calls have ended, nothing runs. */
static void destroy(msgsrv_client *client)
{
    msi_loop *before = msi_loop_enter(&client->loop);
    client->in_api++;
    client->free_pending = true; /* what its last callbacks start is refused */
    client->loop.before_leave = NULL;
    client->loop.on_leave = NULL;
    msi_client_end_all(client, MSGSRV_CANCELLED, "the client was freed");
    msi_loop_run_posts(&client->loop);
    msi_client_end_all(client, MSGSRV_CANCELLED, "the client was freed");
    msi_client_orphan_streams(client);
    msi_conns_turn(&client->loop); /* servers are told of the cancelled calls */
    msi_client_connect_release(client);
    client->loop.work_left = false;
    msi_loop_leave(&client->loop, before);
    if (client->done_event)
        event_free(client->done_event);
    msi_loop_release(&client->loop);
    msi_idmap_release(&client->calls);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

static msgsrv_status init(msgsrv_client *client, const char *url, const msgsrv_client_options *options,
                          msgsrv_error *error)
{
    msgsrv_status status = msi_client_take_options(client, options, error);
    if (status == MSGSRV_OK)
        status = msi_url_parse(url, &client->url, error);
    if (status == MSGSRV_OK && client->url.kind == MSI_URL_TCP && client->url.port == 0)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "\"%.80s\": port 0 is nobody's", url);
    if (status)
        return status;
    msi_url_authority(&client->url, client->authority);
    snprintf(client->url_text, sizeof client->url_text, "%s", url);
    const msgsrv_client_options *o = &client->options;
    return msi_loop_init(&client->loop, o->base, msi_log_make(o->log, o->log_ctx, o->log_level), error);
}

msgsrv_status msgsrv_client_new(const char *url, const msgsrv_client_options *options, msgsrv_client **out,
                                msgsrv_error *error)
{
    if (!out)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client is NULL");
    msgsrv_client *client = calloc(1, sizeof *client);
    if (!client)
        return msi_error_memory(error);
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->done);
    TAILQ_INIT(&client->kept);
    msgsrv_status status = init(client, url, options, error);
    if (status) {
        free(client);
        return status;
    }
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    client->loop.owner = client;
    client->loop.on_flags = on_flags;
    client->loop.before_leave = msi_client_deliver;
    client->done_event = event_new(client->loop.base, -1, 0, on_done_event, client);
    if (!client->done_event || !msi_client_connect_init(client))
        status = msi_error_memory(error);
    if (status == MSGSRV_OK && client->kind == MSI_CLIENT_THREAD &&
        !msi_thread_start(&client->thread, thread_main, client))
        status = msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "cannot make a thread");
    if (status)
        destroy(client);
    else
        *out = client;
    return status;
}

bool msi_client_inside(const msgsrv_client *client)
{
    if (client->kind == MSI_CLIENT_THREAD)
        return pthread_equal(client->thread, pthread_self());
    if (client->kind == MSI_CLIENT_PRIVATE)
        return pthread_equal(atomic_load(&client->driver), pthread_self());
    return client->loop.depth > 0;
}

msgsrv_status msi_client_drive(msgsrv_client *client, bool *inside, msgsrv_error *error)
{
    *inside = true;
    if (client->kind != MSI_CLIENT_PRIVATE || msi_client_inside(client))
        return MSGSRV_OK;
    pthread_t nobody = 0;
    if (!atomic_compare_exchange_strong(&client->driver, &nobody, pthread_self()))
        return msi_error(
            error, MSGSRV_FAILED_PRECONDITION,
            "another thread is in a call of this client; give it a thread of its own (options.thread) to share it");
    *inside = false;
    return MSGSRV_OK;
}

void msi_client_drive_end(msgsrv_client *client, bool inside)
{
    if (inside)
        return;
    if (msi_client_free_if_pending(client))
        return;
    atomic_store(&client->driver, 0);
}

msi_loop *msi_client_api_enter(msgsrv_client *client)
{
    client->in_api++;
    return msi_loop_enter(&client->loop);
}

void msi_client_api_leave(msgsrv_client *client, msi_loop *before)
{
    /* in_api covers the leaving too: callbacks wait for the loop. */
    msi_loop_leave_quietly(&client->loop, before);
    client->in_api--;
}

static bool served(msgsrv_client *client, const bool *done)
{
    pthread_mutex_lock(&client->lock);
    bool is = *done;
    pthread_mutex_unlock(&client->lock);
    return is;
}

void msi_client_serve(msgsrv_client *client, bool *done)
{
    pthread_mutex_lock(&client->lock);
    *done = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

void msi_client_wait(msgsrv_client *client, msi_waiter *waiter)
{
    msi_client_wait_for(client, &waiter->done);
}

void msi_client_wait_for(msgsrv_client *client, const bool *done)
{
    if (client->kind == MSI_CLIENT_THREAD) {
        pthread_mutex_lock(&client->lock);
        while (!*done)
            pthread_cond_wait(&client->changed, &client->lock);
        pthread_mutex_unlock(&client->lock);
        return;
    }
    while (!served(client, done))
        (void)event_base_loop(client->loop.base, EVLOOP_ONCE);
}

static void on_poll_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* Drives until a callback was called or the time is over. */
static msgsrv_status poll_until(msgsrv_client *client, uint32_t timeout_ms, msgsrv_error *error)
{
    uint64_t progress = client->progress;
    bool late = timeout_ms == 0;
    struct event *timer = NULL;
    if (!late && timeout_ms != MSGSRV_NONE) {
        timer = event_new(client->loop.base, -1, 0, on_poll_timeout, &late);
        if (!timer || !msi_timer_at(&client->loop, timer, msi_now() + timeout_ms * MSI_MS)) {
            if (timer)
                event_free(timer);
            return msi_error_memory(error);
        }
    }
    (void)event_base_loop(client->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    while (client->progress == progress && !late && atomic_load(&client->open) && !client->free_pending)
        (void)event_base_loop(client->loop.base, EVLOOP_ONCE);
    if (timer)
        event_free(timer);
    return client->progress == progress ? MSGSRV_AGAIN : MSGSRV_OK;
}

msgsrv_status msgsrv_client_poll(msgsrv_client *client, uint32_t timeout_ms, msgsrv_error *error)
{
    if (!client)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "client is NULL");
    if (client->kind != MSI_CLIENT_PRIVATE || msi_client_inside(client))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "only a private loop is polled, and not inside its callbacks");
    bool inside;
    msgsrv_status status = msi_client_drive(client, &inside, error);
    if (status)
        return status;
    status = poll_until(client, timeout_ms, error);
    msi_client_drive_end(client, inside);
    return status;
}

bool msi_client_free_if_pending(msgsrv_client *client)
{
    if (!client->free_pending)
        return false;
    destroy(client);
    return true;
}

static void on_leave_freed(msi_loop *loop)
{
    destroy(loop->owner);
}

/* Inside a callback: the calls end now, the memory goes when the stack is unwound. */
static void free_inside(msgsrv_client *client)
{
    if (client->free_pending)
        return;
    client->free_pending = true;
    client->loop.freeing = true;
    msi_client_end_all(client, MSGSRV_CANCELLED, "the client was freed");
    if (client->kind == MSI_CLIENT_BASE)
        client->loop.on_leave = on_leave_freed;
    else if (client->kind == MSI_CLIENT_THREAD)
        event_base_loopbreak(client->loop.base);
}

void msgsrv_client_free(msgsrv_client *client)
{
    if (!client)
        return;
    if (msi_client_inside(client)) {
        free_inside(client);
        return;
    }
    if (client->kind == MSI_CLIENT_THREAD) {
        msi_mailbox_raise(client->loop.mailbox, FLAG_END);
        pthread_join(client->thread, NULL);
    }
    destroy(client);
}
