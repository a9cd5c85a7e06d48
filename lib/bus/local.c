/* SPDX-License-Identifier: MIT */
/* A handle's life on a core of this process, its three kinds of loop, and the turn in which it tells everything. */
#include "bus/local.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/thread.h"

#define TURN_BUDGET 64u /* lists are looked at so often before the loop gets its turn */

enum { FLAG_END = 1 };

/* ---- buses with a name ---- */

typedef struct local_name {
    struct local_name *next;
    msi_core *core;
    unsigned handles;
    char text[];
} local_name;

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static local_name *names;

static msgsrv_status make_core(const msgsrv_bus_options *options, msi_core **core, msgsrv_error *error)
{
    msi_core_limits limits = {.max_topics = options->max_topics,
                              .max_subscriptions = options->max_subscriptions,
                              .max_queues = options->max_queues,
                              .max_types = options->max_types,
                              .max_requests = options->max_requests,
                              .max_match_nodes = options->max_match_nodes,
                              .max_retained_bytes = options->max_retained_bytes,
                              .topic_idle_ns = options->topic_idle_ms * MSI_MS,
                              .max_event = options->max_event};
    return msi_core_new(&msi_engine_mem, "", &limits, core, error);
}

/* The bus of a name, made by the first handle; with the lock of names. */
static msgsrv_status share_core(const char *text, const msgsrv_bus_options *options, local_bus *local,
                                msgsrv_error *error)
{
    local_name *name = names;
    while (name && strcmp(name->text, text) != 0)
        name = name->next;
    if (!name) {
        size_t size = strlen(text) + 1;
        name = malloc(sizeof *name + size);
        if (!name)
            return msi_error_memory(error);
        msgsrv_status status = make_core(options, &name->core, error);
        if (status != MSGSRV_OK) {
            free(name);
            return status;
        }
        name->handles = 0;
        memcpy(name->text, text, size);
        name->next = names;
        names = name;
    }
    name->handles++;
    local->name = name;
    local->core = msi_core_ref(name->core);
    return MSGSRV_OK;
}

static void leave_name(local_name *name)
{
    pthread_mutex_lock(&names_lock);
    bool last = --name->handles == 0;
    for (local_name **at = &names; last && *at; at = &(*at)->next) {
        if (*at == name) {
            *at = name->next;
            break;
        }
    }
    pthread_mutex_unlock(&names_lock);
    if (last) {
        msi_core_unref(name->core);
        free(name);
    }
}

static msgsrv_status find_core(const char *where, const msgsrv_bus_options *options, local_bus *local,
                               msgsrv_error *error)
{
    const char *text = where + strlen("mem:");
    if (!*text)
        return make_core(options, &local->core, error);
    pthread_mutex_lock(&names_lock);
    msgsrv_status status = share_core(text, options, local, error);
    pthread_mutex_unlock(&names_lock);
    return status;
}

/* ---- the turn ---- */

void msi_local_schedule(local_bus *local)
{
    if (local->turning || local->scheduled)
        return;
    local->scheduled = true;
    if (local->kind == LOCAL_PRIVATE && !local->blocking)
        return; /* whoever drives it looks before it waits */
    if (msi_loop_current == &local->loop)
        msi_loop_before_leave(&local->loop, &local->task);
    else
        (void)msi_mailbox_post(local->loop.mailbox, &local->post);
}

/* The rest of a turn: behind what else the loop has to do, and so not at the end of this bracket. */
static void put_off(local_bus *local)
{
    if (local->scheduled)
        return;
    local->scheduled = true;
    if (local->kind != LOCAL_PRIVATE || local->blocking)
        (void)msi_mailbox_post(local->loop.mailbox, &local->post);
}

/* One thing from the lists. false: there is none. */
static bool tell_next(local_bus *local)
{
    pthread_mutex_lock(&local->lock);
    local_done *done = STAILQ_FIRST(&local->dones);
    local_entry *entry = done ? NULL : TAILQ_FIRST(&local->ready);
    if (done)
        STAILQ_REMOVE_HEAD(&local->dones, next);
    if (entry) {
        TAILQ_REMOVE(&local->ready, entry, ready);
        entry->queued = false;
    }
    pthread_mutex_unlock(&local->lock);
    if (done)
        msi_local_tell_done(local, done);
    if (entry)
        msi_local_dispatch(entry);
    return done || entry;
}

static void set_timer(local_bus *local)
{
    uint64_t now = msi_now();
    uint64_t due = msi_earlier(msi_local_consumers_due(local, now), msi_local_requests_due(local, now));
    if (due == local->timer_due)
        return;
    local->timer_due = due;
    if (due)
        (void)msi_timer_at(&local->loop, local->timer, due);
    else
        (void)event_del(local->timer);
}

/* Tells what there is; in a bracket. */
static void turn(local_bus *local)
{
    pthread_mutex_lock(&local->lock);
    local->scheduled = false;
    local->turning = true;
    pthread_mutex_unlock(&local->lock);
    unsigned left = TURN_BUDGET;
    while (!local->freed && left-- > 0 && tell_next(local))
        continue;
    if (!local->freed)
        set_timer(local);
    pthread_mutex_lock(&local->lock);
    local->turning = false;
    if (!local->freed && (!STAILQ_EMPTY(&local->dones) || !TAILQ_EMPTY(&local->ready)))
        put_off(local);
    pthread_mutex_unlock(&local->lock);
}

static void on_post(msi_post *post, msi_loop *loop)
{
    (void)loop;
    local_bus *local = MSI_CONTAINER(post, local_bus, post);
    if (!local->destroying)
        turn(local);
}

static void on_task(msi_task *task)
{
    turn(MSI_CONTAINER(task, local_bus, task));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    local_bus *local = arg;
    if (msi_timer_early(&local->loop, local->timer, local->timer_due))
        return;
    msi_loop *before = msi_loop_enter(&local->loop);
    local->timer_due = 0;
    set_timer(local); /* queues what is due */
    turn(local);
    msi_loop_leave(&local->loop, before);
}

/* ---- loops ---- */

static void on_flags(msi_loop *loop, unsigned flags)
{
    if (flags & FLAG_END)
        event_base_loopbreak(loop->base);
}

static void destroy(local_bus *local);

static void *thread_main(void *arg)
{
    local_bus *local = arg;
    (void)event_base_loop(local->loop.base, EVLOOP_NO_EXIT_ON_EMPTY);
    if (local->freed) {
        pthread_detach(pthread_self());
        destroy(local);
    }
    return NULL;
}

static void on_poll_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

static void run_turn(local_bus *local)
{
    msi_loop *before = msi_loop_enter(&local->loop);
    turn(local);
    msi_loop_leave(&local->loop, before);
}

/* Lets libevent wait for the timer, another thread, or the time of the poll. */
static void wait_once(local_bus *local, int flags)
{
    pthread_mutex_lock(&local->lock);
    bool wait = !local->scheduled;
    local->blocking = wait;
    pthread_mutex_unlock(&local->lock);
    if (wait)
        (void)event_base_loop(local->loop.base, EVLOOP_ONCE | flags);
    if (local->freed)
        return;
    pthread_mutex_lock(&local->lock);
    local->blocking = false;
    pthread_mutex_unlock(&local->lock);
}

static msgsrv_status poll_until(local_bus *local, uint32_t timeout_ms, msgsrv_error *error)
{
    uint64_t told = local->told;
    run_turn(local);
    if (local->told != told || local->freed)
        return MSGSRV_OK;
    bool late = timeout_ms == 0;
    struct event *timer = NULL;
    if (!late && timeout_ms != MSGSRV_NONE) {
        timer = event_new(local->loop.base, -1, 0, on_poll_timeout, &late);
        if (!timer || !msi_timer_at(&local->loop, timer, msi_now() + timeout_ms * MSI_MS)) {
            if (timer)
                event_free(timer);
            return msi_error_memory(error);
        }
    }
    do {
        wait_once(local, late ? EVLOOP_NONBLOCK : 0);
        if (!local->freed)
            run_turn(local);
    } while (local->told == told && !late && !local->freed);
    if (timer)
        event_free(timer);
    return local->told == told ? MSGSRV_AGAIN : MSGSRV_OK;
}

msgsrv_status msi_local_poll(msgsrv_bus *bus, uint32_t timeout_ms, msgsrv_error *error)
{
    local_bus *local = local_of(bus);
    if (local->kind != LOCAL_PRIVATE || msi_loop_current == &local->loop)
        return msi_error(error, MSGSRV_FAILED_PRECONDITION,
                         "only a private loop is polled, and not inside its callbacks");
    pthread_t nobody = 0;
    if (!atomic_compare_exchange_strong(&local->driver, &nobody, pthread_self()))
        return msi_error(error, MSGSRV_FAILED_PRECONDITION, "another thread polls this handle");
    msgsrv_status status = poll_until(local, timeout_ms, error);
    if (local->freed)
        destroy(local);
    else
        atomic_store(&local->driver, 0);
    return status;
}

/* ---- life ---- */

static void end_what_there_is(local_bus *local)
{
    msi_local_requests_end(local);
    local_entry *entry;
    while ((entry = TAILQ_FIRST(&local->all)) != NULL)
        msi_local_end(entry, MSGSRV_CANCELLED, "the handle was freed", NULL);
    for (;;) {
        pthread_mutex_lock(&local->lock);
        local_done *done = STAILQ_FIRST(&local->dones);
        if (done)
            STAILQ_REMOVE_HEAD(&local->dones, next);
        pthread_mutex_unlock(&local->lock);
        if (!done)
            return;
        msi_local_tell_done(local, done);
    }
}

/* Everything ends, and is told; behind it nothing is logged. */
static void end_all(local_bus *local)
{
    end_what_there_is(local);
    msi_core_close_log(local->core, &local->sink);
    local->loop.log = (msi_log){0};
}

static void destroy(local_bus *local)
{
    local->destroying = true;
    if (local->loop.base) {
        msi_loop *before = msi_loop_enter(&local->loop);
        local->loop.on_leave = NULL;
        local->freed = true;
        end_all(local);
        msi_loop_undefer(&local->loop, &local->task);
        msi_loop_leave(&local->loop, before);
        if (local->timer)
            event_free(local->timer);
        msi_loop_release(&local->loop);
    }
    if (local->core)
        msi_core_close_log(local->core, &local->sink);
    msi_publisher_free(local->publisher);
    msi_idmap_release(&local->entries);
    msi_idmap_release(&local->deliveries);
    pthread_mutex_destroy(&local->lock);
    msi_core_unref(local->core);
    if (local->name)
        leave_name(local->name);
    free(local);
}

static void on_leave_freed(msi_loop *loop)
{
    destroy(loop->owner);
}

void msi_local_free(msgsrv_bus *bus)
{
    local_bus *local = local_of(bus);
    if (msi_loop_current == &local->loop) {
        if (local->freed)
            return;
        local->freed = true;
        end_all(local);
        if (local->kind == LOCAL_BASE)
            local->loop.on_leave = on_leave_freed;
        else if (local->kind == LOCAL_THREAD)
            event_base_loopbreak(local->loop.base);
        return;
    }
    if (local->kind == LOCAL_THREAD) {
        msi_mailbox_raise(local->loop.mailbox, FLAG_END);
        pthread_join(local->thread, NULL);
    }
    destroy(local);
}

static msgsrv_status set_up(local_bus *local, const char *where, const msgsrv_bus_options *options, msgsrv_error *error)
{
    msgsrv_status status = find_core(where, options, local, error);
    if (status != MSGSRV_OK)
        return status;
    msi_core_open_log(local->core, &local->sink, msi_log_make(options->log, options->log_ctx, options->log_level));
    local->publisher = msi_publisher_new(local->core, options->name, "");
    if (!local->publisher)
        return msi_error_memory(error);
    status = msi_loop_init(&local->loop, options->base,
                           msi_log_make(options->log, options->log_ctx, options->log_level), error);
    if (status != MSGSRV_OK) {
        local->loop.base = NULL;
        return status;
    }
    local->loop.owner = local;
    local->loop.on_flags = on_flags;
    local->timer = event_new(local->loop.base, -1, 0, on_timer, local);
    if (!local->timer)
        return msi_error_memory(error);
    if (local->kind == LOCAL_THREAD && !msi_thread_start(&local->thread, thread_main, local))
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "cannot make a thread");
    return MSGSRV_OK;
}

msgsrv_status msi_bus_open_local(const char *where, const msgsrv_bus_options *options, msgsrv_bus **bus,
                                 msgsrv_error *error)
{
    local_bus *local = calloc(1, sizeof *local);
    if (!local)
        return msi_error_memory(error);
    local->bus.ops = &msi_local_ops;
    local->kind = options->base ? LOCAL_BASE : options->thread ? LOCAL_THREAD : LOCAL_PRIVATE;
    local->timeout_ms = options->timeout_ms;
    local->post.run = on_post;
    local->task.run = on_task;
    TAILQ_INIT(&local->all);
    TAILQ_INIT(&local->ready);
    TAILQ_INIT(&local->asked);
    STAILQ_INIT(&local->dones);
    pthread_mutex_init(&local->lock, NULL);
    msgsrv_status status = set_up(local, where, options, error);
    if (status != MSGSRV_OK)
        destroy(local);
    else
        *bus = &local->bus;
    return status;
}

msi_core *msi_bus_core(const msgsrv_bus *bus)
{
    return bus->ops == &msi_local_ops ? ((const local_bus *)(const void *)bus)->core : NULL;
}
