/* SPDX-License-Identifier: MIT */
/* Varints and fields. */
#include "wire/varint.h"

const uint8_t *msi_varint_get_slow(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == end)
            return NULL;
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

/* A little-endian number of 4 or 8 bytes. */
static const uint8_t *get_fixed(const uint8_t *at, const uint8_t *end, size_t size, uint64_t *value)
{
    if ((size_t)(end - at) < size)
        return NULL;
    uint64_t result = 0;
    for (size_t i = 0; i < size; i++)
        result |= (uint64_t)at[i] << (8 * i);
    *value = result;
    return at + size;
}

const uint8_t *msi_wire_fixed_get(const uint8_t *at, const uint8_t *end, msi_wire_field *field)
{
    if (field->type == MSI_WIRE_FIXED64)
        return get_fixed(at, end, 8, &field->value);
    if (field->type == MSI_WIRE_FIXED32)
        return get_fixed(at, end, 4, &field->value);
    return NULL;
}
