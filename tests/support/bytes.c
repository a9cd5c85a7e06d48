/* SPDX-License-Identifier: MIT */
/*
 * The buffer and the varints of bytes.h. Nothing here knows of frames.
 */
#include "bytes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

void ts_bytes_release(ts_bytes *bytes)
{
    free(bytes->data);
    *bytes = (ts_bytes){0};
}

void ts_bytes_clear(ts_bytes *bytes)
{
    bytes->size = 0;
}

static unsigned char *make_room(ts_bytes *out, size_t size)
{
    size_t room = out->room ? out->room : FIRST_ROOM;

    while (room - out->size < size)
        room *= 2;
    if (room != out->room) {
        out->data = realloc(out->data, room);
        ck_assert_ptr_nonnull(out->data);
        out->room = room;
    }
    out->size += size;
    return out->data + out->size - size;
}

void ts_put(ts_bytes *out, const void *data, size_t size)
{
    if (size)
        memcpy(make_room(out, size), data, size);
}

void ts_put_fill(ts_bytes *out, unsigned char byte, size_t count)
{
    if (count)
        memset(make_room(out, count), byte, count);
}

void ts_put_all(ts_bytes *out, const ts_bytes *more)
{
    ts_put(out, more->data, more->size);
}

size_t ts_varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

void ts_put_varint(ts_bytes *out, uint64_t value)
{
    ts_put_varint_in(out, value, ts_varint_size(value));
}

void ts_put_varint_in(ts_bytes *out, uint64_t value, size_t bytes)
{
    unsigned char *p = make_room(out, bytes);

    for (; bytes > 1; bytes--, value >>= 7)
        *p++ = (unsigned char)((value & 0x7f) | 0x80);
    *p = (unsigned char)(value & 0x7f);
}

void ts_put_tag(ts_bytes *out, uint32_t number, unsigned wire_type)
{
    ts_put_varint(out, (uint64_t)number << 3 | wire_type);
}

void ts_put_uint(ts_bytes *out, uint32_t number, uint64_t value)
{
    ts_put_tag(out, number, TS_VARINT);
    ts_put_varint(out, value);
}

void ts_put_int(ts_bytes *out, uint32_t number, int32_t value)
{
    if (value)
        ts_put_uint(out, number, (uint64_t)(int64_t)value);
}

void ts_put_field(ts_bytes *out, uint32_t number, const void *data, size_t size)
{
    ts_put_tag(out, number, TS_LENGTH);
    ts_put_varint(out, size);
    ts_put(out, data, size);
}

void ts_put_text(ts_bytes *out, uint32_t number, const char *text)
{
    ts_put_field(out, number, text, strlen(text));
}

size_t ts_get_varint(const unsigned char *data, size_t size, size_t max, uint64_t *value)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < max; i++) {
        if (i == size)
            return 0;
        sum |= (uint64_t)(data[i] & 0x7f) << (7 * i);
        if (!(data[i] & 0x80)) {
            *value = sum;
            return i + 1;
        }
    }
    return max + 1;
}
