/* SPDX-License-Identifier: MIT */
/* Finding out what nanopb disliked, after it said no: it names no field. Slow, and only on the way to an error. */
#include <pb_common.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "schema/codec.h"
#include "wire/varint.h"

#define COUNT_MAX 65535u /* of a 16-bit pb_size_t, as Debian builds nanopb */

/* How nanopb stores a field, for its limits. */
static bool stored(const msgsrv_message_type *type, uint32_t number, pb_field_iter_t *field)
{
    return pb_field_iter_begin(field, type->nanopb, NULL) && pb_field_iter_find(field, number);
}

static msgsrv_status explain_length(const msgsrv_message_type *type, const msgsrv_field *field,
                                    const pb_field_iter_t *iter, size_t size, msgsrv_error *error)
{
    if (PB_ATYPE(iter->type) == PB_ATYPE_STATIC) {
        size_t room = 0;
        if (PB_LTYPE(iter->type) == PB_LTYPE_STRING)
            room = iter->data_size - 1u;
        else if (PB_LTYPE(iter->type) == PB_LTYPE_BYTES)
            room = iter->data_size - offsetof(pb_bytes_array_t, bytes);
        else if (PB_LTYPE(iter->type) == PB_LTYPE_FIXED_LENGTH_BYTES)
            room = iter->data_size;
        else
            return MSGSRV_OK;
        if (size > room)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                             "%s.%s: %zu bytes, but its .options give it room for %zu (max_size)", type->name,
                             field->name, size, room);
    }
    if (PB_ATYPE(iter->type) == PB_ATYPE_POINTER && field->kind == MSGSRV_FIELD_BYTES && size > COUNT_MAX)
        return msi_error(
            error, MSGSRV_INVALID_ARGUMENT,
            "%s.%s: %zu bytes, but a bytes field ends at %u; give it the type msgsrv_bytes in the .options", type->name,
            field->name, size, COUNT_MAX);
    return MSGSRV_OK;
}

/* How often a field occurs in a message; packed scalars count by their bytes, which is enough to see too many. */
static size_t occurrences(const msi_view *data, uint32_t number, bool scalar)
{
    size_t count = 0;
    const uint8_t *end = data->data + data->size;
    for (const uint8_t *at = data->data; at && at < end;) {
        msi_wire_field found;
        at = msi_wire_field_get(at, end, &found);
        if (!at || found.number != number)
            continue;
        if (!scalar || found.type != MSI_WIRE_BYTES) {
            count++;
            continue;
        }
        for (size_t i = 0; i < found.bytes.size; i++)
            count += found.bytes.data[i] < 0x80;
    }
    return count;
}

static msgsrv_status explain_count(const msgsrv_message_type *type, const msgsrv_field *field,
                                   const pb_field_iter_t *iter, const msi_view *data, msgsrv_error *error)
{
    size_t room = PB_ATYPE(iter->type) == PB_ATYPE_STATIC ? iter->array_size : COUNT_MAX;
    if (data->size <= room) /* an element takes a byte at least */
        return MSGSRV_OK;
    size_t count = occurrences(data, field->number, field->kind == MSGSRV_FIELD_SCALAR);
    if (count <= room)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "%s.%s: %zu elements, but the field holds %zu at most; split the message", type->name, field->name,
                     count, room);
}

static msgsrv_status explain_message(const msgsrv_message_type *type, msi_view data, unsigned depth, msgsrv_error *error);

static msgsrv_status explain_field(const msgsrv_message_type *type, const msi_wire_field *found, unsigned depth,
                                   msgsrv_error *error)
{
    const msgsrv_field *field = msi_field_find(type, found->number);
    pb_field_iter_t iter;
    if (!field || !stored(type, found->number, &iter))
        return MSGSRV_OK;
    if (found->type != MSI_WIRE_BYTES) {
        if (field->kind == MSGSRV_FIELD_SCALAR)
            return MSGSRV_OK;
        return msi_wire_type_error(type, field, found->type, error);
    }
    if (field->kind == MSGSRV_FIELD_MESSAGE)
        return explain_message(field->message, found->bytes, depth + 1, error);
    return explain_length(type, field, &iter, found->bytes.size, error);
}

/* Each repeated field is counted once per message: what a peer sends may not cost more than its size. */
static msgsrv_status explain_counts(const msgsrv_message_type *type, const msi_view *data, msgsrv_error *error)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        pb_field_iter_t iter;
        if (!type->fields[i].repeated || !stored(type, type->fields[i].number, &iter))
            continue;
        msgsrv_status status = explain_count(type, &type->fields[i], &iter, data, error);
        if (status)
            return status;
    }
    return MSGSRV_OK;
}

static msgsrv_status explain_message(const msgsrv_message_type *type, msi_view data, unsigned depth, msgsrv_error *error)
{
    if (depth > MSI_DEPTH_MAX)
        return MSGSRV_OK;
    const uint8_t *end = data.data + data.size;
    for (const uint8_t *at = data.data; at < end;) {
        msi_wire_field found;
        at = msi_wire_field_get(at, end, &found);
        if (!at)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: malformed protobuf", type->name);
        msgsrv_status status = explain_field(type, &found, depth, error);
        if (status)
            return status;
    }
    return explain_counts(type, &data, error);
}

msgsrv_status msi_explain(const msgsrv_message_type *type, const uint8_t *data, size_t size, const char *nanopb_said,
                          msgsrv_error *error)
{
    if (strcmp(nanopb_said, "realloc failed") == 0)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "%s: no memory to decode it", type->name);
    msgsrv_status status = explain_message(type, (msi_view){data, size}, 0, error);
    return status ? status
                  : msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: malformed protobuf (%s)", type->name, nanopb_said);
}
