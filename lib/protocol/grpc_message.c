/* SPDX-License-Identifier: MIT */
/* Messages in and out of a stream of bytes, and gzip; see grpc_message.h. */
#include "protocol/grpc_message.h"

#include <zlib.h>

#include "base/error.h"
#include "base/limits.h"

#define KEEP_MAX (64 * MSI_KIB) /* a buffer that is longer is freed behind its message */
#define GZIP_HEADER 16          /* what to add to zlib's window bits for gzip alone, and for gzip or zlib */
#define ANY_HEADER 32
#define WINDOW_BITS 15

static uint32_t get_length(const uint8_t *head)
{
    return (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
}

static void forget(msi_grpc_reader *reader)
{
    reader->returned = false;
    if (reader->body.cap > KEEP_MAX)
        msi_buf_release(&reader->body);
    reader->body.len = 0;
}

static size_t take(msi_view *data, size_t most, const uint8_t **at)
{
    size_t size = data->size < most ? data->size : most;
    *at = data->data;
    if (size)
        data->data += size;
    data->size -= size;
    return size;
}

/* Completes the prefix. */
static msi_grpc_read read_head(msi_grpc_reader *reader, msi_view *data, uint32_t limit)
{
    const uint8_t *at;
    size_t size = take(data, MSI_GRPC_PREFIX - reader->head_size, &at);
    if (size)
        memcpy(reader->head + reader->head_size, at, size);
    reader->head_size += (uint8_t)size;
    if (reader->head_size && reader->head[0] > 1)
        return MSI_GRPC_BAD_FLAG;
    if (reader->head_size < MSI_GRPC_PREFIX)
        return MSI_GRPC_MORE;
    reader->length = get_length(reader->head);
    return reader->length > limit ? MSI_GRPC_TOO_LONG : MSI_GRPC_MESSAGE;
}

msi_grpc_read msi_grpc_read_next(msi_grpc_reader *reader, msi_view *data, uint32_t limit, msi_view *message,
                                 bool *compressed)
{
    if (reader->returned)
        forget(reader);
    if (reader->head_size < MSI_GRPC_PREFIX) {
        msi_grpc_read result = read_head(reader, data, limit);
        if (result != MSI_GRPC_MESSAGE)
            return result;
    }
    *compressed = reader->head[0] == 1;
    size_t missing = reader->length - reader->body.len;
    const uint8_t *at;
    if (reader->body.len == 0 && data->size >= missing) {
        take(data, missing, &at);
        *message = (msi_view){at, missing};
        reader->head_size = 0;
        return MSI_GRPC_MESSAGE;
    }
    size_t size = take(data, missing, &at);
    if (!msi_buf_append(&reader->body, at, size))
        return MSI_GRPC_MEMORY;
    if (size < missing)
        return MSI_GRPC_MORE;
    *message = (msi_view){reader->body.data, reader->body.len};
    reader->returned = true;
    reader->head_size = 0;
    return MSI_GRPC_MESSAGE;
}

size_t msi_grpc_reader_missing(const msi_grpc_reader *reader)
{
    return reader->head_size < MSI_GRPC_PREFIX || reader->returned ? 0 : reader->length - reader->body.len;
}

bool msi_grpc_reader_inside(const msi_grpc_reader *reader)
{
    return reader->head_size > 0;
}

void msi_grpc_reader_release(msi_grpc_reader *reader)
{
    msi_buf_release(&reader->body);
    *reader = (msi_grpc_reader){0};
}

bool msi_grpc_prefix_open(msi_buf *out, size_t *start)
{
    *start = out->len;
    static const uint8_t room[MSI_GRPC_PREFIX];
    return msi_buf_append(out, room, sizeof room);
}

void msi_grpc_prefix_close(msi_buf *out, size_t start, bool compressed)
{
    uint8_t *head = out->data + start;
    size_t length = out->len - start - MSI_GRPC_PREFIX;
    head[0] = compressed;
    head[1] = (uint8_t)(length >> 24);
    head[2] = (uint8_t)(length >> 16);
    head[3] = (uint8_t)(length >> 8);
    head[4] = (uint8_t)length;
}

/* Makes room for more of the result, at most one byte over the limit, which tells that there is too much. */
static bool more_room(msi_buf *out, size_t start, size_t first, uint32_t limit)
{
    size_t have = out->len - start;
    size_t want = have ? have : first;
    size_t most = (size_t)limit + 1 - have;
    return msi_buf_reserve(out, want < most ? want : most);
}

static msgsrv_status inflate_all(z_stream *z, uint32_t limit, msi_buf *out, size_t start, msgsrv_error *error)
{
    size_t first = (size_t)z->avail_in * 4 + 256;
    for (;;) {
        if (!more_room(out, start, first, limit))
            return msi_error_memory(error);
        size_t room = out->cap - out->len;
        size_t most = (size_t)limit + 1 - (out->len - start);
        z->next_out = out->data + out->len;
        z->avail_out = (uInt)(room < most ? room : most);
        int result = inflate(z, Z_NO_FLUSH);
        out->len = (size_t)(z->next_out - out->data);
        if (out->len - start > limit)
            return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                             "a compressed message is over the limit of %u bytes when it is not", limit);
        if (result == Z_STREAM_END && z->avail_in == 0)
            return MSGSRV_OK;
        if (result == Z_MEM_ERROR)
            return msi_error_memory(error);
        /* Neither the end nor more to come of it: it is cut short, or something else. */
        if (result != Z_OK || (z->avail_out && z->avail_in == 0))
            return msi_error(error, MSGSRV_INTERNAL, "a compressed message does not decompress");
    }
}

msgsrv_status msi_gunzip(msi_view data, uint32_t limit, msi_buf *out, msgsrv_error *error)
{
    z_stream z = {0};
    if (data.size > UINT32_MAX || inflateInit2(&z, WINDOW_BITS + ANY_HEADER) != Z_OK)
        return msi_error_memory(error);
    z.next_in = (Bytef *)(uintptr_t)data.data;
    z.avail_in = (uInt)data.size;
    size_t start = out->len;
    msgsrv_status status = inflate_all(&z, limit, out, start, error);
    inflateEnd(&z);
    if (status)
        out->len = start;
    return status;
}

bool msi_gzip_tail(msi_buf *out, size_t start)
{
    size_t size = out->len - start;
    z_stream z = {0};
    if (size == 0 || size > UINT32_MAX / 2 || !msi_buf_reserve(out, size))
        return false;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS + GZIP_HEADER, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    z.next_in = out->data + start;
    z.avail_in = (uInt)size;
    z.next_out = out->data + out->len;
    z.avail_out = (uInt)size; /* what does not become shorter is not worth it */
    bool shorter = deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < size;
    if (shorter) {
        memmove(out->data + start, out->data + out->len, z.total_out);
        out->len = start + z.total_out;
    }
    deflateEnd(&z);
    return shorter;
}
