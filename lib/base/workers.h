/* SPDX-License-Identifier: MIT */
/*
 * A pool of threads for work that blocks. Threads are made when there is work and none is free. Work is embedded in what it is
 * about, so that handing it over cannot fail for memory.
 */
#ifndef MSI_BASE_WORKERS_H
#define MSI_BASE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct msi_workers msi_workers;

typedef struct msi_work {
    struct msi_work *next;
    void (*run)(struct msi_work *work); /* on a worker's thread; the work may be gone when it returns */
} msi_work;

/* A pool of up to `threads`, with up to `queue` pieces waiting; NULL without memory. */
msi_workers *msi_workers_new(uint32_t threads, uint32_t queue);

/* Hands a piece over; any thread. false when too many wait, when no thread can be made, or when the pool is closing. */
bool msi_workers_submit(msi_workers *workers, msi_work *work);

/* Whether the calling thread is one of the pool's. */
bool msi_workers_inside(const msi_workers *workers);

/* Runs what waits, ends the threads and frees the pool. Not on one of its threads. */
void msi_workers_free(msi_workers *workers);

#endif
