/* SPDX-License-Identifier: MIT */
/*
 * A loop's spare large buffers. Giving them back to the system after each use costs more than copying what was in them
 * (docs/performance.md), so a few are kept. One thread.
 */
#ifndef MSI_NET_POOL_H
#define MSI_NET_POOL_H

#include "base/buf.h"

#define MSI_POOL_SLOTS 8u
#define MSI_POOL_BYTES (8u * 1024 * 1024)

typedef struct msi_pool {
    msi_buf spare[MSI_POOL_SLOTS];
    size_t bytes; /* of the spare ones */
} msi_pool;

/* An empty buffer with room for at least `size`; `cap` is 0 without memory. */
msi_buf msi_pool_get(msi_pool *pool, size_t size);

/* Takes a buffer back; it is kept or freed, and the caller's is empty. */
void msi_pool_put(msi_pool *pool, msi_buf *buf);

void msi_pool_release(msi_pool *pool);

#endif
