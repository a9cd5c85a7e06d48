/* SPDX-License-Identifier: MIT */
/* The worker pool: one mutex, one condition, a list. */
#include "base/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

struct msi_workers {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    msi_work *first;
    msi_work **last;
    uint32_t waiting;
    uint32_t running; /* threads that are at work */
    uint32_t started; /* threads made */
    uint32_t threads;
    uint32_t queue;
    bool closing;
    pthread_t *ids;
};

static _Thread_local const msi_workers *inside;

static void *worker(void *arg)
{
    msi_workers *workers = arg;
    inside = workers;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (!workers->first && !workers->closing)
            pthread_cond_wait(&workers->ready, &workers->lock);
        msi_work *work = workers->first;
        if (!work)
            break;
        workers->first = work->next;
        if (!workers->first)
            workers->last = &workers->first;
        workers->waiting--;
        workers->running++;
        pthread_mutex_unlock(&workers->lock);
        work->run(work);
        pthread_mutex_lock(&workers->lock);
        workers->running--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

msi_workers *msi_workers_new(uint32_t threads, uint32_t queue)
{
    msi_workers *workers = calloc(1, sizeof *workers);
    if (!workers)
        return NULL;
    workers->ids = calloc(threads, sizeof *workers->ids);
    if (!workers->ids) {
        free(workers);
        return NULL;
    }
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->ready, NULL);
    workers->last = &workers->first;
    workers->threads = threads;
    workers->queue = queue;
    return workers;
}

static bool start_thread(msi_workers *workers)
{
    bool made = msi_thread_start(&workers->ids[workers->started], worker, workers);
    workers->started += made;
    return made;
}

bool msi_workers_submit(msi_workers *workers, msi_work *work)
{
    pthread_mutex_lock(&workers->lock);
    bool busy = workers->waiting >= workers->started - workers->running;
    if (busy && !workers->closing && workers->started < workers->threads)
        (void)start_thread(workers);
    /* Free threads take one each; only what they cannot take waits. */
    bool room = workers->waiting < workers->queue + (workers->started - workers->running);
    bool taken = !workers->closing && workers->started > 0 && room;
    if (taken) {
        work->next = NULL;
        *workers->last = work;
        workers->last = &work->next;
        workers->waiting++;
        pthread_cond_signal(&workers->ready);
    }
    pthread_mutex_unlock(&workers->lock);
    return taken;
}

bool msi_workers_inside(const msi_workers *workers)
{
    return workers && inside == workers;
}

void msi_workers_free(msi_workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    pthread_cond_broadcast(&workers->ready);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->started; i++)
        pthread_join(workers->ids[i], NULL);
    pthread_cond_destroy(&workers->ready);
    pthread_mutex_destroy(&workers->lock);
    free(workers->ids);
    free(workers);
}
