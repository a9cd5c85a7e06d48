/* SPDX-License-Identifier: MIT */
/*
 * A growable buffer of bytes. It grows by doubling and can be asked to give large memory back. Allocation failures are
 * returned and leave it as it was. One thread at a time.
 */
#ifndef MSI_BASE_BUF_H
#define MSI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct msi_buf {
    uint8_t *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
} msi_buf;

/* Makes room for `more` bytes behind `len`; the slow way of msi_buf_reserve(). */
bool msi_buf_grow(msi_buf *buf, size_t more);

/* Frees the memory; the buffer is empty and usable. */
void msi_buf_free(msi_buf *buf);
static inline void msi_buf_release(msi_buf *buf)
{
    if (buf->data)
        msi_buf_free(buf);
}

/* Gives back what is not in use, if it is much. */
void msi_buf_shrink(msi_buf *buf);

static inline bool msi_buf_reserve(msi_buf *buf, size_t more)
{
    return buf->cap - buf->len >= more || msi_buf_grow(buf, more);
}

static inline bool msi_buf_append(msi_buf *buf, const void *data, size_t size)
{
    if (!msi_buf_reserve(buf, size))
        return false;
    if (size)
        memcpy(buf->data + buf->len, data, size);
    buf->len += size;
    return true;
}

#endif
