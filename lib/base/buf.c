/* SPDX-License-Identifier: MIT */
/* The growable buffer's two slow functions. */
#include "base/buf.h"

#include <stdlib.h>

#define FIRST_CAP 256u

bool msi_buf_grow(msi_buf *buf, size_t more)
{
    if (more > SIZE_MAX / 2 - buf->len)
        return false;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap < buf->len + more)
        cap *= 2;
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return false;
    buf->data = data;
    buf->cap = cap;
    return true;
}

void msi_buf_free(msi_buf *buf)
{
    free(buf->data);
    *buf = (msi_buf){0};
}

void msi_buf_shrink(msi_buf *buf)
{
    if (buf->len == 0 || buf->cap - buf->len < FIRST_CAP)
        return;
    uint8_t *data = realloc(buf->data, buf->len);
    if (data) {
        buf->data = data;
        buf->cap = buf->len;
    }
}
