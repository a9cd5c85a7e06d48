/* SPDX-License-Identifier: MIT */
/*
 * A loop: one event_base, the thread that runs it, and what its connections share. Everything here but the mailbox belongs to
 * that thread. Each callback of libevent's into the library is bracketed by enter and leave: leaving the outermost one sends what was
 * collected, so that the answers of a wake-up go out together.
 */
#ifndef MSI_NET_LOOP_H
#define MSI_NET_LOOP_H

#include <event2/event.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "net/mailbox.h"
#include "net/pool.h"

struct msi_conn;

/*
 * Work for later, embedded in what it is about: for the loop's next turn (tasks that are queued meanwhile wait for the turn after), or for the end
 * of the outermost bracket, before its output goes out.
 */
typedef struct msi_task {
    TAILQ_ENTRY(msi_task) next;
    void (*run)(struct msi_task *task); /* in a bracket; the task may be gone afterwards */
    bool queued;
    bool at_leave; /* in `leaving`, not in `tasks` */
    bool silent;   /* it tells the program nothing, and so may run when one of its own functions leaves a bracket */
} msi_task;

/* Output of one connection, collected until the end of a bracket. */
typedef struct msi_out {
    msi_buf buf;
    struct msi_conn *owner; /* NULL: it is free */
} msi_out;
#define MSI_LOOP_OUTS 16u

typedef struct msi_loop {
    struct event_base *base;
    bool owns_base;
    unsigned depth;   /* brackets that are open */
    bool turn_active; /* the turn event will run */
    bool tick_active; /* the tick timer is set */
    bool work_left;   /* the owner's: before_leave has more to do */
    bool in_read;     /* the receive buffer is in use */
    unsigned in_api;  /* functions of the program's that are at work on a stream: nothing is told inside them */
    bool freeing;     /* the owner is being freed inside a callback: what ends is told at once */
    unsigned turn;    /* counts outermost brackets */
    msi_mailbox *mailbox;
    struct event *wake_event; /* the mailbox has something */
    struct event *turn_event; /* collected output waits, and we are outside of our brackets */
    struct event *tick_event; /* measures how late the loop is */
    struct event *task_event; /* there are tasks */
    TAILQ_HEAD(msi_task_list, msi_task) tasks;
    struct msi_task_list leaving; /* for the end of the outermost bracket */
    bool runs_leaving;            /* they are being run: more of them wait for the next turn */
    bool quiet;                   /* the bracket is a function of the program's: nothing is told when it is left */
    uint64_t tick_due;
    uint64_t now;      /* of this bracket; 0: not looked at yet */
    uint8_t *recv_buf; /* MSI_RECV_SIZE behind room for MSI_STASH_SMALL; made by the first read */
    msi_out outs[MSI_LOOP_OUTS];
    msi_buf scratch; /* for output to connections that have none of `outs` */
    msi_pool pool;
    TAILQ_HEAD(msi_conn_list, msi_conn) dirty; /* connections with something to send or to go on reading */
    TAILQ_HEAD(msi_all_conns, msi_conn) conns;
    msi_counters counters;
    msi_log log;
    void (*on_flags)(struct msi_loop *loop, unsigned flags); /* flags were raised on the mailbox */
    void (*before_leave)(
        struct msi_loop *loop); /* the outermost bracket is about to be left: the owner's last work in it. Optional. */
    void (*on_leave)(struct msi_loop *loop); /* the outermost bracket was left; may free the loop. Optional. */
    void *owner;                             /* the server's or client's, for the two above */
} msi_loop;

/* The loop whose bracket the calling thread is in, or NULL. */
extern _Thread_local msi_loop *msi_loop_current;

/* Sets a loop up on `base`, or on a base of its own when it is NULL. On failure nothing is left. */
msgsrv_status msi_loop_init(msi_loop *loop, struct event_base *base, msi_log log, msgsrv_error *error);

/* Closes the mailbox after running what was posted, and frees all. No connection may be left. Not inside a bracket. */
void msi_loop_release(msi_loop *loop);

/* Runs what is posted, as often as there is some; for a loop that does not run (any more). */
void msi_loop_run_posts(msi_loop *loop);

/* Opens a bracket; `leave` gets what it returned. */
msi_loop *msi_loop_enter(msi_loop *loop);

/* Closes it. When it was the outermost, the loop may be gone afterwards. */
void msi_loop_leave(msi_loop *loop, msi_loop *before);

/* The same of a bracket that a function called by the program has opened: what waits for its end runs in the loop's next turn. */
void msi_loop_leave_quietly(msi_loop *loop, msi_loop *before);

/*
 * Has a task run before the outermost bracket is left: in one, on the loop's thread. What such tasks queue meanwhile runs in the next turn, so that
 * two which wake each other do not keep the loop. One that is queued already stays where it is.
 */
void msi_loop_before_leave(msi_loop *loop, msi_task *task);

/* Has a task run in the loop's next turn; one that is queued already stays where it is. And takes one back, of either kind. */
void msi_loop_defer(msi_loop *loop, msi_task *task);
void msi_loop_undefer(msi_loop *loop, msi_task *task);

/* Runs tasks until there are none; in a bracket, of a loop that does not run (any more). */
void msi_loop_run_tasks(msi_loop *loop);

/* Sees to it that leaving a bracket comes soon, when we are outside of any. */
void msi_loop_want_turn(msi_loop *loop);

/* The time, looked at once per bracket. */
static inline uint64_t msi_loop_now(msi_loop *loop)
{
    if (loop->now == 0 || loop->depth == 0)
        loop->now = msi_now();
    return loop->now;
}

/* (Re)starts a libevent timer for a moment. false without memory. */
bool msi_timer_at(msi_loop *loop, struct event *timer, uint64_t moment);

/* For a timer's callback: whether it came before its moment, as libevent's coarse clock has it, and was set again. */
bool msi_timer_early(msi_loop *loop, struct event *timer, uint64_t moment);

#endif
