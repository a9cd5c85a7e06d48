/* SPDX-License-Identifier: MIT */
/*
 * A growing buffer and protobuf's varints and fields, written by hand so that the tests share no line with
 * lib/wire: a mistake there cannot hide behind the same mistake here. Running out of memory ends the test.
 */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TS_VARINT = 0, TS_FIXED64 = 1, TS_LENGTH = 2, TS_GROUP = 3, TS_GROUP_END = 4, TS_FIXED32 = 5 };

/* `{0}` is an empty one. */
typedef struct ts_bytes {
    unsigned char *data; /* owned; NULL while nothing was put */
    size_t size;
    size_t room;
} ts_bytes;

void ts_bytes_release(ts_bytes *bytes);
void ts_bytes_clear(ts_bytes *bytes); /* keeps the memory */

void ts_put(ts_bytes *out, const void *data, size_t size);
void ts_put_fill(ts_bytes *out, unsigned char byte, size_t count);
void ts_put_all(ts_bytes *out, const ts_bytes *more);

void ts_put_varint(ts_bytes *out, uint64_t value);
void ts_put_varint_in(ts_bytes *out, uint64_t value, size_t bytes); /* in exactly so many bytes: not minimal */
void ts_put_tag(ts_bytes *out, uint32_t number, unsigned wire_type);
void ts_put_uint(ts_bytes *out, uint32_t number, uint64_t value); /* a varint field, also when value is 0 */
void ts_put_int(ts_bytes *out, uint32_t number, int32_t value);   /* an int32 field as proto3 does: none when 0 */
void ts_put_field(ts_bytes *out, uint32_t number, const void *data, size_t size);
void ts_put_text(ts_bytes *out, uint32_t number, const char *text);

size_t ts_varint_size(uint64_t value);

/*
 * Reads a varint of at most `max` bytes. Returns its bytes, 0 when `size` ends before it, and more than `max`
 * when it is too long.
 */
size_t ts_get_varint(const unsigned char *data, size_t size, size_t max, uint64_t *value);

#endif
