/* SPDX-License-Identifier: MIT */
/* Decoding and releasing: by plan (schema/plan.h), or by nanopb with its gaps closed; and the public functions on messages. */
#include "schema/codec.h"

#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"

const msgsrv_message_type msgsrv_raw_type = {.name = "bytes",
                                             .nanopb = NULL,
                                             .struct_size = sizeof(msgsrv_bytes),
                                             .fields = NULL,
                                             .field_count = 0,
                                             .has_strings = 0,
                                             .file = NULL};

void msi_release(const msgsrv_message_type *type, const msi_type_traits *traits, void *message)
{
    if (traits->plan.count) {
        msi_plan_release(&traits->plan, message);
        return;
    }
    if (traits->has_views)
        msi_release_views(type, message);
    if (traits->releases)
        pb_release(type->nanopb, message);
}

msgsrv_status msi_decode(const msgsrv_message_type *type, const msi_type_traits *traits, const uint8_t *data,
                         size_t size, uint32_t max_message, void *message, msgsrv_error *error)
{
    if (!data)
        data = (const uint8_t *)""; /* an empty message may come without a place */
    if (traits->raw) {
        *(msgsrv_bytes *)message = (msgsrv_bytes){data, size, NULL};
        return MSGSRV_OK;
    }
    size_t memory = (size_t)(max_message > MSI_DECODE_LEAST ? max_message : MSI_DECODE_LEAST) * MSI_DECODE_FACTOR +
                    type->struct_size;
    if (traits->plan.count && msi_plan_decode(type, &traits->plan, data, size, memory, message))
        return MSGSRV_OK;
    if (!traits->flat) {
        msgsrv_status status = msi_check(type, data, size, memory, error);
        if (status)
            return status;
    }
    pb_istream_t stream = pb_istream_from_buffer(data, size);
    if (pb_decode_ex(&stream, type->nanopb, message, traits->zero_init ? PB_DECODE_NOINIT : 0))
        return MSGSRV_OK;
    /* nanopb up to 0.4.9 does not release everything that it allocated before it failed. */
    if (traits->releases)
        pb_release(type->nanopb, message);
    memset(message, 0, type->struct_size);
    return msi_explain(type, data, size, PB_GET_ERROR(&stream), error);
}

void msgsrv_message_release(const msgsrv_message_type *type, void *message)
{
    if (!message)
        return;
    msi_type_traits traits = msi_type_look(type->nanopb);
    msi_release(type, &traits, message);
    memset(message, 0, type->struct_size);
}

msgsrv_status msgsrv_message_encode(const msgsrv_message_type *type, const void *message, void **data, size_t *size,
                                    msgsrv_error *error)
{
    msi_type_traits traits = msi_type_look(type->nanopb);
    msi_buf out = {0};
    if (!msi_buf_reserve(&out, 1))
        return msi_error_memory(error);
    msgsrv_status status = msi_encode(type, &traits, message, MSI_MESSAGE_CEILING, &out, error);
    if (status) {
        msi_buf_release(&out);
        return status;
    }
    *data = out.data;
    *size = out.len;
    return MSGSRV_OK;
}

msgsrv_status msgsrv_message_decode(const msgsrv_message_type *type, const void *data, size_t size, void *message,
                                    msgsrv_error *error)
{
    if (size > MSI_MESSAGE_CEILING)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "%s: over the message limit of %u bytes", type->name,
                         MSI_MESSAGE_CEILING);
    msi_type_traits traits = msi_type_look(type->nanopb);
    void *decoded = calloc(1, type->struct_size ? type->struct_size : 1);
    if (!decoded)
        return msi_error_memory(error);
    msgsrv_status status = msi_decode(type, &traits, data, size, MSI_MAX_MESSAGE, decoded, error);
    if (status == MSGSRV_OK && traits.has_views && !msi_own_views(type, decoded)) {
        msi_release(type, &traits, decoded);
        status = msi_error_memory(error);
    }
    if (status == MSGSRV_OK)
        memcpy(message, decoded, type->struct_size);
    free(decoded);
    return status;
}
