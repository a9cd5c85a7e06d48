/* SPDX-License-Identifier: MIT */
/* Spare buffers: the smallest that fits is taken. */
#include "net/pool.h"

#include "base/limits.h"

msi_buf msi_pool_get(msi_pool *pool, size_t size)
{
    msi_buf *best = NULL;
    for (size_t i = 0; i < MSI_POOL_SLOTS; i++) {
        msi_buf *spare = &pool->spare[i];
        if (spare->cap >= size && spare->cap && (!best || spare->cap < best->cap))
            best = spare;
    }
    msi_buf buf = {0};
    if (best) {
        buf = *best;
        *best = (msi_buf){0};
        pool->bytes -= buf.cap;
    } else {
        (void)msi_buf_grow(&buf, size);
    }
    return buf;
}

void msi_pool_put(msi_pool *pool, msi_buf *buf)
{
    buf->len = 0;
    if (buf->cap > MSI_STASH_SMALL && buf->cap <= MSI_POOL_BYTES - pool->bytes) {
        for (size_t i = 0; i < MSI_POOL_SLOTS; i++) {
            if (pool->spare[i].cap)
                continue;
            pool->spare[i] = *buf;
            pool->bytes += buf->cap;
            *buf = (msi_buf){0};
            return;
        }
    }
    msi_buf_release(buf);
}

void msi_pool_release(msi_pool *pool)
{
    for (size_t i = 0; i < MSI_POOL_SLOTS; i++)
        msi_buf_release(&pool->spare[i]);
    pool->bytes = 0;
}
