/* SPDX-License-Identifier: MIT */
/* Base-128 varints (protobuf's encoding guide, "Base 128 Varints") and a cursor over protobuf fields. */
#ifndef MSI_WIRE_VARINT_H
#define MSI_WIRE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Wire types of protobuf's encoding. */
enum {
    MSI_WIRE_VARINT = 0,
    MSI_WIRE_FIXED64 = 1,
    MSI_WIRE_BYTES = 2,
    MSI_WIRE_GROUP = 3,
    MSI_WIRE_GROUP_END = 4,
    MSI_WIRE_FIXED32 = 5
};

/* A view of bytes that belong to somebody else. */
typedef struct msi_view {
    const uint8_t *data;
    size_t size;
} msi_view;

/* A view of a text; NULL is empty. */
static inline msi_view msi_view_of(const char *text)
{
    return (msi_view){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline bool msi_view_equal(msi_view a, msi_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* One field as a cursor finds it. */
typedef struct msi_wire_field {
    uint32_t number;
    uint32_t type;
    uint64_t value; /* of a varint or fixed field */
    msi_view bytes; /* of a length-delimited one */
} msi_wire_field;

/* Bytes of a varint. */
static inline size_t msi_varint_size(uint64_t value)
{
    return ((size_t)(63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

/* Writes a varint and returns the place behind it. */
static inline uint8_t *msi_varint_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Reads a varint of at most 10 bytes. NULL when it does not end before `end` or is too long. */
const uint8_t *msi_varint_get_slow(const uint8_t *at, const uint8_t *end, uint64_t *value);

static inline const uint8_t *msi_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    if (at < end && *at < 0x80) {
        *value = *at;
        return at + 1;
    }
    if (end - at >= 2 && at[1] < 0x80) {
        *value = (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
        return at + 2;
    }
    return msi_varint_get_slow(at, end, value);
}

/* A fixed field's value; see msi_wire_field_get(). */
const uint8_t *msi_wire_fixed_get(const uint8_t *at, const uint8_t *end, msi_wire_field *field);

/* Reads the next field of a message: groups and what is cut off do not decode. NULL then; `at` < `end`. */
static inline const uint8_t *msi_wire_field_get(const uint8_t *at, const uint8_t *end, msi_wire_field *field)
{
    uint64_t value;
    at = msi_varint_get(at, end, &value);
    if (!at || value >> 3 == 0 || value >> 32)
        return NULL;
    field->number = (uint32_t)(value >> 3);
    field->type = (uint32_t)(value & 7);
    if (field->type == MSI_WIRE_VARINT)
        return msi_varint_get(at, end, &field->value);
    if (field->type != MSI_WIRE_BYTES)
        return msi_wire_fixed_get(at, end, field);
    at = msi_varint_get(at, end, &value);
    if (!at || value > (uint64_t)(end - at))
        return NULL;
    field->bytes.data = at;
    field->bytes.size = (size_t)value;
    return at + value;
}

#endif
