/* SPDX-License-Identifier: MIT */
/*
 * What nanopb does not check, checked on the wire bytes with the generated field tables: texts are UTF-8 without a NUL inside, nesting stays
 * under MSI_DEPTH_MAX (nanopb recurses), and what the message will take in memory stays under a bound.
 */
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "schema/codec.h"
#include "wire/varint.h"

typedef struct check {
    size_t memory; /* still allowed */
    msgsrv_error *error;
} check;

const msgsrv_field *msi_field_find(const msgsrv_message_type *type, uint32_t number)
{
    /* Numbers mostly run from 1 without holes. */
    if (number - 1 < type->field_count && type->fields[number - 1].number == number)
        return &type->fields[number - 1];
    size_t low = 0;
    size_t high = type->field_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (type->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < type->field_count && type->fields[low].number == number ? &type->fields[low] : NULL;
}

msgsrv_status msi_wire_type_error(const msgsrv_message_type *type, const msgsrv_field *field, uint32_t wire_type,
                                  msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s.%s: wire type %u, expected 2 (length-delimited)", type->name,
                     field->name, wire_type);
}

static msgsrv_status check_text(const msgsrv_message_type *type, const msgsrv_field *field, msi_view text,
                                msgsrv_error *error)
{
    switch (msi_text_check(text.data, text.size)) {
    case MSI_TEXT_OK:
        break;
    case MSI_TEXT_NUL:
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "%s.%s: a NUL inside a string, which a C string cannot hold; use a bytes field for such data",
                         type->name, field->name);
    case MSI_TEXT_NOT_UTF8:
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "%s.%s: the string is not valid UTF-8; use a bytes field for such data", type->name,
                         field->name);
    }
    return MSGSRV_OK;
}

static bool take_memory(check *state, size_t bytes)
{
    if (bytes > state->memory)
        return false;
    state->memory -= bytes;
    return true;
}

static msgsrv_status too_large(const check *state, const msgsrv_message_type *type)
{
    return msi_error(state->error, MSGSRV_RESOURCE_EXHAUSTED, "%s: the message would take too much memory", type->name);
}

static msgsrv_status check_message(check *state, const msgsrv_message_type *type, msi_view data, unsigned depth)
{
    if (depth > MSI_DEPTH_MAX)
        return msi_error(state->error, MSGSRV_INVALID_ARGUMENT, "%s: messages are nested more than %u deep", type->name,
                         MSI_DEPTH_MAX);
    if (!take_memory(state, type->struct_size + MSI_BLOCK_COST))
        return too_large(state, type);
    const uint8_t *end = data.data + data.size;
    for (const uint8_t *at = data.data; at < end;) {
        msi_wire_field found;
        at = msi_wire_field_get(at, end, &found);
        if (!at) /* groups, too; nanopb is more lenient with what it skips */
            return msi_error(state->error, MSGSRV_INVALID_ARGUMENT, "%s: malformed protobuf", type->name);
        const msgsrv_field *field = msi_field_find(type, found.number);
        if (!field || (found.type != MSI_WIRE_BYTES && field->kind == MSGSRV_FIELD_SCALAR))
            continue;
        msgsrv_status status = MSGSRV_OK;
        if (found.type != MSI_WIRE_BYTES) /* of a msgsrv_bytes nanopb would take it, as a copy on its stack */
            status = msi_wire_type_error(type, field, found.type, state->error);
        else if (field->kind != MSGSRV_FIELD_MESSAGE && !take_memory(state, found.bytes.size + MSI_BLOCK_COST))
            status = too_large(state, type);
        else if (field->kind == MSGSRV_FIELD_STRING)
            status = check_text(type, field, found.bytes, state->error);
        else if (field->kind == MSGSRV_FIELD_MESSAGE)
            status = check_message(state, field->message, found.bytes, depth + 1);
        if (status)
            return status;
    }
    return MSGSRV_OK;
}

msgsrv_status msi_check(const msgsrv_message_type *type, const uint8_t *data, size_t size, size_t max_memory,
                        msgsrv_error *error)
{
    check state = {max_memory, error};
    return check_message(&state, type, (msi_view){data, size}, 0);
}
