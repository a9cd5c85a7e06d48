/* SPDX-License-Identifier: MIT */
/* gzip, both ways, by zlib. What comes out of a peer's bytes is bounded, and its memory grows with what has come out. */
#include <zlib.h>

#include "base/error.h"
#include "protocol/connect.h"

#define GZIP_WINDOW (MAX_WBITS + 16) /* with gzip's head and tail, and nothing else */
#define STEP 16384u

/* Inflates until the end of the data; several members are one after another. */
static msgsrv_status inflate_all(z_stream *stream, size_t limit, msi_buf *to, msgsrv_error *error)
{
    for (;;) {
        if (to->len > limit)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a message of more than %zu bytes when decompressed",
                             limit);
        size_t room = limit + 1 - to->len;
        if (!msi_buf_reserve(to, room < STEP ? room : STEP))
            return msi_error_memory(error);
        room = to->cap - to->len < room ? to->cap - to->len : room;
        stream->next_out = to->data + to->len;
        stream->avail_out = (uInt)room;
        int result = inflate(stream, Z_NO_FLUSH);
        to->len += room - stream->avail_out;
        if (result == Z_STREAM_END && stream->avail_in == 0)
            break;
        if (result == Z_STREAM_END)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "there is something behind the gzip data");
        if (result == Z_MEM_ERROR)
            return msi_error_memory(error);
        if (result != Z_OK && result != Z_BUF_ERROR)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the body is not gzip");
        if (stream->avail_in == 0 && stream->avail_out)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the gzip data is cut off");
    }
    if (to->len > limit)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a message of more than %zu bytes when decompressed", limit);
    return MSGSRV_OK;
}

msgsrv_status msi_connect_gunzip(const msi_buf *from, size_t limit, msi_buf *to, msgsrv_error *error)
{
    z_stream stream = {.next_in = from->data, .avail_in = (uInt)from->len};
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return msi_error_memory(error);
    msgsrv_status status = inflate_all(&stream, limit, to, error);
    (void)inflateEnd(&stream);
    return status;
}

bool msi_connect_gzip(const void *data, size_t size, msi_buf *to)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t bound = deflateBound(&stream, size);
    bool good = msi_buf_reserve(to, bound);
    if (good) {
        stream.next_out = to->data + to->len;
        stream.avail_out = (uInt)bound;
        good = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        to->len += bound - stream.avail_out;
    }
    (void)deflateEnd(&stream);
    return good;
}
