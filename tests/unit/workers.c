/* SPDX-License-Identifier: MIT */
/* base/workers.c: work runs once, beside other work, within the pool's bounds, and all of it before the pool is gone. */
#include "base/workers.h"

#include <signal.h>
#include <stdatomic.h>

#include "api_support.h"

struct piece {
    msi_work work; /* first, so that it is the piece */
    api_event *started;
    api_event *gate; /* NULL: does not wait */
    msi_workers *workers;
    atomic_int runs;
    bool inside;
    bool signals_blocked;
};

static void run(msi_work *work)
{
    struct piece *piece = (struct piece *)(void *)work;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    piece->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT);
    piece->inside = msi_workers_inside(piece->workers);
    atomic_fetch_add(&piece->runs, 1);
    api_event_add(piece->started);
    if (piece->gate != NULL)
        api_event_wait(piece->gate, 1);
}

static void piece_init(struct piece *piece, msi_workers *workers, api_event *started, api_event *gate)
{
    memset(piece, 0, sizeof *piece);
    piece->work.run = run;
    piece->workers = workers;
    piece->started = started;
    piece->gate = gate;
}

START_TEST(pieces_run_beside_each_other_up_to_the_number_of_threads)
{
    api_event started = API_EVENT_INIT, gate = API_EVENT_INIT;
    struct piece pieces[6];
    unsigned threads = api_threads();
    msi_workers *workers = msi_workers_new(3, 3);
    ck_assert_uint_eq(api_threads(), threads); /* none before there is work */
    for (int i = 0; i < 6; i++) {
        piece_init(&pieces[i], workers, &started, &gate);
        ck_assert(msi_workers_submit(workers, &pieces[i].work));
    }
    api_event_wait(&started, 3);
    ck_assert_uint_eq(api_threads(), threads + 3);
    struct piece over;
    piece_init(&over, workers, &started, NULL);
    ck_assert(!msi_workers_submit(workers, &over.work)); /* three run, three wait */
    ck_assert_uint_eq(api_event_count(&started), 3);
    api_event_add(&gate);
    msi_workers_free(workers);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(atomic_load(&pieces[i].runs), 1);
        ck_assert(pieces[i].inside);
        ck_assert(pieces[i].signals_blocked);
    }
    ck_assert_int_eq(atomic_load(&over.runs), 0);
    api_wait_threads(threads);
}
END_TEST

START_TEST(pieces_run_in_their_order)
{
    api_event started = API_EVENT_INIT;
    static struct piece pieces[500];
    msi_workers *workers = msi_workers_new(1, 1000);
    for (int i = 0; i < 500; i++) {
        piece_init(&pieces[i], workers, &started, NULL);
        ck_assert(msi_workers_submit(workers, &pieces[i].work));
    }
    msi_workers_free(workers);
    ck_assert_uint_eq(api_event_count(&started), 500);
}
END_TEST

START_TEST(a_free_thread_is_used_before_another_is_made)
{
    api_event started = API_EVENT_INIT;
    struct piece pieces[20];
    unsigned threads = api_threads();
    msi_workers *workers = msi_workers_new(8, 10);
    for (int i = 0; i < 20; i++) {
        piece_init(&pieces[i], workers, &started, NULL);
        ck_assert(msi_workers_submit(workers, &pieces[i].work));
        api_event_wait(&started, (unsigned)i + 1);
    }
    /* A thread may not be back from its piece when the next one comes; eight are certainly not needed. */
    ck_assert_uint_lt(api_threads(), threads + 8);
    ck_assert(!msi_workers_inside(workers));
    ck_assert(!msi_workers_inside(NULL));
    msi_workers_free(workers);
    msi_workers_free(NULL);
}
END_TEST

START_TEST(what_waits_is_run_before_the_pool_is_gone)
{
    api_event started = API_EVENT_INIT, gate = API_EVENT_INIT;
    struct piece pieces[10];
    msi_workers *workers = msi_workers_new(1, 10);
    for (int i = 0; i < 10; i++) {
        piece_init(&pieces[i], workers, &started, i == 0 ? &gate : NULL);
        ck_assert(msi_workers_submit(workers, &pieces[i].work));
    }
    api_event_wait(&started, 1);
    api_event_add(&gate);
    msi_workers_free(workers);
    ck_assert_uint_eq(api_event_count(&started), 10);
}
END_TEST

TS_MAIN("workers", pieces_run_beside_each_other_up_to_the_number_of_threads, pieces_run_in_their_order,
        a_free_thread_is_used_before_another_is_made, what_waits_is_run_before_the_pool_is_gone)
