/* SPDX-License-Identifier: MIT */
/*
 * A walk over the bytes of a request; see raw_files.h.
 */
#include <stdint.h>

#include "raw_files.h"

/* Field numbers of plugin.proto and descriptor.proto. */
enum {
    REQUEST_FILE = 15,
    FILE_SOURCE_CODE_INFO = 9,
    INFO_LOCATION = 1,
    LOCATION_SPAN = 2,
    LOCATION_LEADING = 3,
    LOCATION_TRAILING = 4,
    LOCATION_DETACHED = 6
};

#define MAX_INFO ((size_t)64 * 1024 * 1024)

/* One field: the whole of it, and of a length-delimited one what is inside. */
typedef struct raw_field {
    uint64_t number;
    const unsigned char *start;
    size_t whole;
    const unsigned char *inside; /* NULL: it is not length-delimited */
    size_t size;
} raw_field;

static bool read_varint(const unsigned char *data, size_t size, size_t *at, uint64_t *value)
{
    unsigned shift = 0;

    for (*value = 0; *at < size && shift < 64; shift += 7) {
        unsigned char byte = data[(*at)++];

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* Of any length, as nanopb skips them. */
static bool skip_varint(const unsigned char *data, size_t size, size_t *at)
{
    while (*at < size)
        if (data[(*at)++] < 0x80)
            return true;
    return false;
}

/* The field at a place, which moves behind it. False at the end, and for what is no field: then it stays. */
static bool next_field(const unsigned char *data, size_t size, size_t *at, raw_field *field)
{
    size_t end = *at;
    uint64_t tag, length = 0;

    if (!read_varint(data, size, &end, &tag))
        return false;
    *field = (raw_field){.number = tag >> 3, .start = data + *at};
    if ((tag & 7) == 0) {
        if (!skip_varint(data, size, &end))
            return false;
    } else if ((tag & 7) == 1) {
        length = 8;
    } else if ((tag & 7) == 5) {
        length = 4;
    } else if ((tag & 7) != 2 || !read_varint(data, size, &end, &length)) {
        return false;
    }
    if (length > size - end)
        return false;
    if ((tag & 7) == 2) {
        field->inside = data + end;
        field->size = (size_t)length;
    }
    field->whole = end + (size_t)length - *at;
    *at += field->whole;
    return true;
}

static void put_varint(msi_buffer *out, uint64_t value)
{
    char bytes[10];
    size_t count = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (char)(0x80 | (value & 0x7f));
    bytes[count++] = (char)value;
    msi_buffer_add(out, bytes, count);
}

static void put_bytes(msi_buffer *out, uint64_t number, const msi_buffer *bytes)
{
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes->size);
    msi_buffer_add(out, bytes->data, bytes->size);
}

static void put_whole(msi_buffer *out, const raw_field *field)
{
    msi_buffer_add(out, (const char *)field->start, field->whole);
}

/* Where a line stands matters to nobody at run time. */
static void put_location(msi_buffer *out, const raw_field *location)
{
    raw_field field;
    msi_buffer kept;
    bool comments = false;
    size_t at = 0;

    msi_buffer_init(&kept, MAX_INFO);
    while (next_field(location->inside, location->size, &at, &field)) {
        comments = comments || field.number == LOCATION_LEADING || field.number == LOCATION_TRAILING ||
                   field.number == LOCATION_DETACHED;
        if (field.number != LOCATION_SPAN)
            put_whole(&kept, &field);
    }
    if (comments)
        put_bytes(out, INFO_LOCATION, &kept);
    msi_buffer_release(&kept);
}

static void put_info(msi_buffer *out, const raw_field *info)
{
    raw_field field;
    msi_buffer kept;
    size_t at = 0;

    msi_buffer_init(&kept, MAX_INFO);
    while (next_field(info->inside, info->size, &at, &field))
        if (field.number == INFO_LOCATION && field.inside != NULL)
            put_location(&kept, &field);
    if (kept.size > 0)
        put_bytes(out, FILE_SOURCE_CODE_INFO, &kept);
    msi_buffer_release(&kept);
}

static bool put_file(msi_buffer *out, const raw_field *file, bool comments)
{
    raw_field field;
    size_t at = 0;

    while (next_field(file->inside, file->size, &at, &field)) {
        if (field.number != FILE_SOURCE_CODE_INFO || field.inside == NULL)
            put_whole(out, &field);
        else if (comments)
            put_info(out, &field);
    }
    return at == file->size;
}

bool msi_raw_file(const unsigned char *request, size_t size, size_t index, bool comments, msi_buffer *out)
{
    raw_field field;
    size_t at = 0;

    while (next_field(request, size, &at, &field)) {
        if (field.number != REQUEST_FILE || field.inside == NULL || index-- > 0)
            continue;
        return put_file(out, &field, comments);
    }
    return false;
}
