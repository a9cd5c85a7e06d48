/* SPDX-License-Identifier: MIT */
/* Varints and fields. */
#include "wire/varint.h"

#include <endian.h>
#include <string.h>

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

const uint8_t *msi_wire_fixed_get(const uint8_t *at, const uint8_t *end, msi_wire_field *field)
{
    uint64_t eight;
    uint32_t four;
    if (field->type == MSI_WIRE_FIXED64 && (size_t)(end - at) >= sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        field->value = le64toh(eight);
        return at + sizeof eight;
    }
    if (field->type == MSI_WIRE_FIXED32 && (size_t)(end - at) >= sizeof four) {
        memcpy(&four, at, sizeof four);
        field->value = le32toh(four);
        return at + sizeof four;
    }
    return NULL;
}
