/* SPDX-License-Identifier: MIT */
/*
 * Encoding of what has no plan (schema/plan.h). nanopb does it, but for the outermost message's long strings: nanopb takes a string's length byte by byte, which at 64 KiB is most
 * of a call's cost (docs/performance.md). So runs of other fields go to nanopb through a descriptor of just those fields, and the strings
 * between them are written here. The descriptor's layout is nanopb's; registration checks that it is the one we were compiled for.
 */
#include <pb_common.h>
#include <pb_encode.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "schema/codec.h"

/* Where an encoding goes; nanopb's stream points to it. */
typedef struct sink {
    msi_buf *out;
    bool no_memory;
} sink;

static bool sink_write(pb_ostream_t *stream, const pb_byte_t *data, size_t size)
{
    sink *to = stream->state;
    if (msi_buf_append(to->out, data, size))
        return true;
    to->no_memory = true;
    return false;
}

/* Whether a field is one of those that are written here. */
static bool is_text(const pb_field_iter_t *field)
{
    return PB_LTYPE(field->type) == PB_LTYPE_STRING && PB_ATYPE(field->type) == PB_ATYPE_POINTER &&
           PB_HTYPE(field->type) != PB_HTYPE_REPEATED;
}

static bool encode_text(pb_ostream_t *stream, const pb_field_iter_t *field)
{
    bool chosen = PB_HTYPE(field->type) != PB_HTYPE_ONEOF || *(const pb_size_t *)field->pSize == field->tag;
    if (!chosen || (!field->pData && PB_HTYPE(field->type) != PB_HTYPE_REQUIRED))
        return true;
    if (!field->pData)
        PB_RETURN_ERROR(stream, "missing required field");
    return pb_encode_tag(stream, PB_WT_STRING, field->tag) &&
           pb_encode_string(stream, field->pData, strlen(field->pData));
}

/* A run of fields, from where the iterator stood at its first. */
typedef struct field_run {
    pb_msgdesc_t part;
    pb_size_t first; /* index of its first field */
} field_run;

static void begin_run(field_run *run, const pb_msgdesc_t *type, const pb_field_iter_t *at)
{
    run->part = *type;
    run->part.field_info = type->field_info + at->field_info_index;
    run->part.submsg_info = type->submsg_info ? type->submsg_info + at->submessage_index : NULL;
    run->first = at->index;
}

static bool end_run(pb_ostream_t *stream, field_run *run, pb_size_t end, const void *message)
{
    run->part.field_count = (pb_size_t)(end - run->first);
    return run->part.field_count == 0 || pb_encode(stream, &run->part, message);
}

static bool encode_with_text(pb_ostream_t *stream, const pb_msgdesc_t *type, const void *message)
{
    pb_field_iter_t field;
    field_run run;
    if (!pb_field_iter_begin_const(&field, type, message))
        return true;
    begin_run(&run, type, &field);
    pb_field_iter_t next;
    do {
        next = field;
        if (!is_text(&field))
            continue;
        if (!end_run(stream, &run, field.index, message) || !encode_text(stream, &field))
            return false;
        if (!pb_field_iter_next(&next))
            return true; /* the last field was a string */
        begin_run(&run, type, &next);
    } while (pb_field_iter_next(&field));
    return end_run(stream, &run, type->field_count, message);
}

static msgsrv_status append_raw(const msgsrv_bytes *bytes, uint32_t max_message, msi_buf *out, msgsrv_error *error)
{
    if (bytes->size && !bytes->data)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "bytes of size %zu without data", bytes->size);
    if (bytes->size > max_message)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "bytes: over the message limit of %u bytes", max_message);
    return msi_buf_append(out, bytes->data, bytes->size) ? MSGSRV_OK : msi_error_memory(error);
}

msgsrv_status msi_encode(const msgsrv_message_type *type, const msi_type_traits *traits, const void *message,
                         uint32_t max_message, msi_buf *out, msgsrv_error *error)
{
    if (traits->raw)
        return append_raw(message, max_message, out, error);
    if (traits->plan.count && msi_plan_encode(&traits->plan, message, max_message, out))
        return MSGSRV_OK;
    size_t start = out->len;
    sink to = {out, false};
    pb_ostream_t stream = {.callback = sink_write, .state = &to, .max_size = max_message};
    msgsrv_status status = MSGSRV_OK;
    bool encoded =
        traits->has_text ? encode_with_text(&stream, type->nanopb, message) : pb_encode(&stream, type->nanopb, message);
    if (!encoded) {
        if (to.no_memory)
            status = msi_error_memory(error);
        else if (strcmp(PB_GET_ERROR(&stream), "stream full") == 0)
            status = msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "%s: over the message limit of %u bytes", type->name,
                               max_message);
        else
            status =
                msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: does not encode: %s", type->name, PB_GET_ERROR(&stream));
    } else if (!traits->flat) {
        status = msi_check(type, out->data + start, out->len - start, SIZE_MAX, error);
    }
    if (status)
        out->len = start;
    return status;
}
