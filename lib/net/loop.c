/* SPDX-License-Identifier: MIT */
/* The loop: brackets, the mailbox's end on this side, and the tick that measures latency. */
#include "net/loop.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "net/conn.h"

#define TICK_NS 1000000000ull
#define BASE_DESCRIPTORS 6 /* epoll, a timer, a pair for signals, and one or two in reserve */

_Thread_local msi_loop *msi_loop_current;

bool msi_timer_at(msi_loop *loop, struct event *timer, uint64_t moment)
{
    uint64_t now = msi_now();
    /* libevent counts from the time at which its turn began; a handler may have worked long since. */
    (void)event_base_update_cache_time(loop->base);
    /* A microsecond more, so that the moment has surely passed when the timer fires. */
    uint64_t wait = moment > now ? (moment - now) / 1000 + 1 : 0;
    struct timeval after = {.tv_sec = (time_t)(wait / 1000000), .tv_usec = (suseconds_t)(wait % 1000000)};
    return event_add(timer, &after) == 0;
}

bool msi_timer_early(msi_loop *loop, struct event *timer, uint64_t moment)
{
    return msi_now() < moment && msi_timer_at(loop, timer, moment);
}

static void start_tick(msi_loop *loop)
{
    loop->tick_due = msi_loop_now(loop) + TICK_NS;
    loop->tick_active = msi_timer_at(loop, loop->tick_event, loop->tick_due);
}

/* How late the timer is, is how long an event waits here. It runs again only when something happens, so an idle loop sleeps. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_loop *loop = arg;
    uint64_t now = msi_now();
    uint64_t late = now > loop->tick_due ? (now - loop->tick_due) / 1000 : 0;
    loop->tick_active = false;
    msi_counter_set(&loop->counters.loop_latency_last_us, late);
    if (late > msi_counter_get(&loop->counters.loop_latency_max_us))
        msi_counter_set(&loop->counters.loop_latency_max_us, late);
}

msi_loop *msi_loop_enter(msi_loop *loop)
{
    msi_loop *before = msi_loop_current;
    msi_loop_current = loop;
    if (loop->depth++ == 0) {
        loop->now = 0;
        loop->turn++;
    }
    return before;
}

/* What waits for the end of the bracket: each once, or put off; in a quiet bracket, those that tell the program something are. */
static void run_leaving(msi_loop *loop, bool quiet, bool put_off)
{
    msi_task *task;
    loop->runs_leaving = true;
    while ((task = TAILQ_FIRST(&loop->leaving)) != NULL) {
        msi_loop_undefer(loop, task);
        if (put_off || (quiet && !task->silent)) {
            msi_loop_defer(loop, task);
            continue;
        }
        task->run(task);
        msi_conns_relieve(loop);
    }
    loop->runs_leaving = false;
}

static void end_bracket(msi_loop *loop)
{
    bool quiet = loop->quiet || loop->in_api;
    loop->quiet = false;
    do {
        if (loop->before_leave)
            loop->before_leave(loop);
        run_leaving(loop, quiet, false);
        msi_conns_turn(loop);
    } while (loop->work_left);
    run_leaving(loop, true, true); /* what sending and reading on have queued */
}

void msi_loop_leave(msi_loop *loop, msi_loop *before)
{
    if (loop->depth == 1) {
        end_bracket(loop);
        if (!loop->tick_active && !TAILQ_EMPTY(&loop->conns))
            start_tick(loop);
    }
    loop->depth--;
    msi_loop_current = before;
    if (loop->depth == 0 && loop->on_leave)
        loop->on_leave(loop);
}

void msi_loop_leave_quietly(msi_loop *loop, msi_loop *before)
{
    loop->quiet = loop->depth == 1;
    msi_loop_leave(loop, before);
}

void msi_loop_want_turn(msi_loop *loop)
{
    if (loop->depth == 0 && !loop->turn_active) {
        loop->turn_active = true;
        event_active(loop->turn_event, EV_TIMEOUT, 0);
    }
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_loop *loop = arg;
    loop->turn_active = false;
    msi_loop *before = msi_loop_enter(loop);
    msi_loop_leave(loop, before);
}

/* A timer, because what is made active is run before the loop looks at its descriptors again. */
static void want_task_event(msi_loop *loop)
{
    if (event_add(loop->task_event, &(struct timeval){0}) != 0)
        event_active(loop->task_event, EV_TIMEOUT, 0);
}

void msi_loop_defer(msi_loop *loop, msi_task *task)
{
    if (task->queued)
        return;
    if (TAILQ_EMPTY(&loop->tasks))
        want_task_event(loop);
    task->queued = true;
    TAILQ_INSERT_TAIL(&loop->tasks, task, next);
}

void msi_loop_before_leave(msi_loop *loop, msi_task *task)
{
    if (task->queued)
        return;
    if (loop->runs_leaving || loop->depth == 0) {
        msi_loop_defer(loop, task);
        return;
    }
    task->queued = task->at_leave = true;
    TAILQ_INSERT_TAIL(&loop->leaving, task, next);
}

void msi_loop_undefer(msi_loop *loop, msi_task *task)
{
    if (task->queued && task->at_leave)
        TAILQ_REMOVE(&loop->leaving, task, next);
    else if (task->queued)
        TAILQ_REMOVE(&loop->tasks, task, next);
    task->queued = task->at_leave = false;
}

static bool run_task(msi_loop *loop)
{
    msi_task *task = TAILQ_FIRST(&loop->tasks);
    if (!task)
        return false;
    TAILQ_REMOVE(&loop->tasks, task, next);
    task->queued = false;
    task->run(task);
    return true;
}

void msi_loop_run_tasks(msi_loop *loop)
{
    while (run_task(loop))
        continue;
}

static void on_tasks(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_loop *loop = arg;
    size_t count = 0;
    const msi_task *task;
    TAILQ_FOREACH(task, &loop->tasks, next)
    count++;
    msi_loop *before = msi_loop_enter(loop);
    while (count-- && run_task(loop))
        continue;
    if (!TAILQ_EMPTY(&loop->tasks))
        want_task_event(loop);
    msi_loop_leave(loop, before);
}

static void run_list(msi_loop *loop, msi_post *posts)
{
    while (posts) {
        msi_post *post = posts;
        posts = post->next;
        post->run(post, loop);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    msi_loop *loop = arg;
    msi_loop *before = msi_loop_enter(loop);
    msi_post *posts;
    unsigned flags = msi_mailbox_take(loop->mailbox, &posts);
    run_list(loop, posts);
    if (flags && loop->on_flags)
        loop->on_flags(loop, flags);
    msi_loop_leave(loop, before);
}

void msi_loop_run_posts(msi_loop *loop)
{
    msi_post *posts;
    for (;;) {
        (void)msi_mailbox_take(loop->mailbox, &posts);
        if (!posts)
            break;
        run_list(loop, posts);
    }
}

/* libevent 2.1.12 calls exit() when it cannot make the descriptors of a new base, so we first see whether there are some. */
static bool have_descriptors(void)
{
    int fds[BASE_DESCRIPTORS];
    int count = 0;
    while (count < BASE_DESCRIPTORS && (fds[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
        count++;
    bool all = count == BASE_DESCRIPTORS;
    while (count > 0)
        close(fds[--count]);
    return all;
}

/* Our own bases are used by one thread, so they need no locks (which cost 5 to 10 %, docs/performance.md). */
static struct event_base *make_base(void)
{
    struct event_config *config = have_descriptors() ? event_config_new() : NULL;
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void release_events(msi_loop *loop)
{
    struct event *events[] = {loop->wake_event, loop->turn_event, loop->tick_event, loop->task_event};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i])
            event_free(events[i]);
    }
    loop->wake_event = loop->turn_event = loop->tick_event = loop->task_event = NULL;
}

static void release_base(msi_loop *loop)
{
    release_events(loop);
    if (loop->base && loop->owns_base) {
        /* What libevent put off, such as the end of a cancelled lookup, it would leak otherwise. */
        (void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
        event_base_free(loop->base);
    }
    loop->base = NULL;
}

static bool make_events(msi_loop *loop)
{
    loop->wake_event = event_new(loop->base, msi_mailbox_fd(loop->mailbox), EV_READ | EV_PERSIST, on_wake, loop);
    loop->turn_event = event_new(loop->base, -1, 0, on_turn, loop);
    loop->tick_event = event_new(loop->base, -1, 0, on_tick, loop);
    loop->task_event = event_new(loop->base, -1, 0, on_tasks, loop);
    return loop->wake_event && loop->turn_event && loop->tick_event && loop->task_event &&
           event_add(loop->wake_event, NULL) == 0;
}

msgsrv_status msi_loop_init(msi_loop *loop, struct event_base *base, msi_log log, msgsrv_error *error)
{
    *loop = (msi_loop){.base = base, .owns_base = !base, .log = log};
    TAILQ_INIT(&loop->dirty);
    TAILQ_INIT(&loop->conns);
    TAILQ_INIT(&loop->tasks);
    TAILQ_INIT(&loop->leaving);
    if (!base)
        loop->base = make_base();
    loop->mailbox = loop->base ? msi_mailbox_new() : NULL;
    if (loop->mailbox && make_events(loop))
        return MSGSRV_OK;
    release_base(loop);
    msi_mailbox_unref(loop->mailbox);
    return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "cannot make an event loop: no memory or descriptors");
}

void msi_loop_release(msi_loop *loop)
{
    msi_post *posts;
    msi_loop_run_tasks(loop);
    while ((posts = msi_mailbox_close(loop->mailbox)) != NULL)
        run_list(loop, posts);
    release_base(loop);
    msi_mailbox_unref(loop->mailbox);
    for (unsigned i = 0; i < MSI_LOOP_OUTS; i++)
        msi_buf_release(&loop->outs[i].buf);
    msi_buf_release(&loop->scratch);
    msi_pool_release(&loop->pool);
    free(loop->recv_buf);
}
