/* SPDX-License-Identifier: MIT */
/*
 * Fields; see fields.h. Groups, which nothing here has, count as malformed.
 */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static bool next_varint(struct fields *fields, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && fields->size > 0; shift += 7) {
        uint8_t byte = *fields->data++;
        fields->size--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool skip(struct fields *fields, uint64_t size)
{
    if (size > fields->size)
        return false;
    fields->data += size;
    fields->size -= (size_t)size;
    return true;
}

static bool next_value(struct fields *fields, unsigned wire_type, struct field *field)
{
    uint64_t size = 0;
    switch (wire_type) {
    case VARINT:
        return next_varint(fields, &field->value);
    case FIXED64:
        return skip(fields, 8);
    case FIXED32:
        return skip(fields, 4);
    case BYTES:
        if (!next_varint(fields, &size))
            return false;
        field->bytes = (struct fields){.data = fields->data, .size = (size_t)size};
        field->has_bytes = true;
        return skip(fields, size);
    default:
        return false;
    }
}

bool fields_next(struct fields *fields, struct field *field)
{
    uint64_t tag = 0;
    *field = (struct field){.number = 0};
    if (fields->size == 0 || fields->malformed)
        return false;
    if (next_varint(fields, &tag) && tag >> 3 > 0 && tag >> 3 <= UINT32_MAX &&
        next_value(fields, (unsigned)(tag & 7), field)) {
        field->number = (uint32_t)(tag >> 3);
        return true;
    }
    fields->malformed = true;
    return false;
}

bool field_is(const struct field *field, uint32_t number)
{
    return field->number == number && field->has_bytes;
}

char *field_text(const struct field *field)
{
    size_t size = field->bytes.size;
    if (size > 0 && memchr(field->bytes.data, '\0', size))
        return NULL;
    char *text = malloc(size + 1);
    if (text) {
        if (size > 0)
            memcpy(text, field->bytes.data, size);
        text[size] = '\0';
    }
    return text;
}
