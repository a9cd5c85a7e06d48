/* SPDX-License-Identifier: MIT */
/*
 * The fields of an encoding for the JSON mapping, which takes an unknown group for one field, as Google's runtime does. The cursor of
 * wire/varint.h knows no groups: nanopb has none, so only here may one come and not be wrong.
 */
#include "schema/json.h"

/* Passes a group from behind its begin to behind its end; NULL when it has none of its own. */
static const uint8_t *skip_group(const uint8_t *at, const uint8_t *end, uint32_t number, unsigned depth, bool *too_deep)
{
    uint64_t last = (uint64_t)number << 3 | MSI_WIRE_GROUP_END;
    if (depth == 0) {
        *too_deep = true;
        return NULL;
    }
    while (at && at < end) {
        uint64_t tag;
        msi_wire_field field;
        const uint8_t *behind = msi_varint_get(at, end, &tag);
        if (behind && tag == last)
            return behind;
        at = msi_json_field_get(at, end, depth - 1, &field, too_deep);
    }
    return NULL;
}

const uint8_t *msi_json_field_get(const uint8_t *at, const uint8_t *end, unsigned depth, msi_wire_field *field,
                                  bool *too_deep)
{
    uint64_t tag;
    const uint8_t *behind = msi_varint_get(at, end, &tag);
    if (!behind || (tag & 7) != MSI_WIRE_GROUP || tag >> 3 == 0 || tag >> 32)
        return msi_wire_field_get(at, end, field);
    *field = (msi_wire_field){.number = (uint32_t)(tag >> 3), .type = MSI_WIRE_GROUP};
    return skip_group(behind, end, field->number, depth, too_deep);
}
