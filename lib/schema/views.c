/* SPDX-License-Identifier: MIT */
/*
 * msgsrv_bytes: nanopb's callback for them, and the walk over a decoded message that copies or frees them. nanopb does not release callback
 * fields, so the walk comes before pb_release().
 */
#include <pb_common.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "schema/codec.h"

static bool decode_view(pb_istream_t *input, const pb_field_iter_t *field, msgsrv_bytes *view)
{
    /* A memory stream's state is the place where it reads; the library decodes from nothing else. */
    size_t size = input->bytes_left;
    const void *data = input->state;
    if (!pb_read(input, NULL, size))
        return false;
    /* Of a field that came twice the last counts; the first one may not own anything yet. */
    *view = (msgsrv_bytes){data, size, NULL};
    if (PB_HTYPE(field->type) == PB_HTYPE_ONEOF)
        *(pb_size_t *)field->pSize = field->tag;
    return true;
}

static bool encode_view(pb_ostream_t *output, const pb_field_iter_t *field, const msgsrv_bytes *view)
{
    bool chosen = PB_HTYPE(field->type) == PB_HTYPE_ONEOF;
    if (!view->data && view->size == 0 && !chosen)
        return true;
    if (!view->data && view->size)
        PB_RETURN_ERROR(output, "msgsrv_bytes without data");
    return pb_encode_tag_for_field(output, field) && pb_encode_string(output, view->data, view->size);
}

bool msgsrv_field_callback(pb_istream_t *input, pb_ostream_t *output, const pb_field_t *field)
{
    if (field->data_size != sizeof(msgsrv_bytes))
        return pb_default_field_callback(input, output, field);
    if (input)
        return decode_view(input, field, field->pData);
    return output ? encode_view(output, field, field->pData) : true;
}

typedef bool (*visit_fn)(msgsrv_bytes *view);

static bool walk(const pb_msgdesc_t *type, void *message, visit_fn visit);

static bool walk_elements(const pb_field_iter_t *field, visit_fn visit)
{
    pb_size_t count = 1;
    if (PB_HTYPE(field->type) == PB_HTYPE_REPEATED)
        count = *(const pb_size_t *)field->pSize;
    char *element = field->pData;
    bool ok = true;
    for (pb_size_t i = 0; element && i < count; i++, element += field->data_size)
        ok = walk(field->submsg_desc, element, visit) && ok;
    return ok;
}

/* Whether the field is there to be walked: of a oneof only the chosen one is. */
static bool present(const pb_field_iter_t *field)
{
    if (PB_HTYPE(field->type) == PB_HTYPE_ONEOF)
        return *(const pb_size_t *)field->pSize == field->tag;
    return true;
}

static bool walk(const pb_msgdesc_t *type, void *message, visit_fn visit)
{
    pb_field_iter_t field;
    bool ok = true;
    if (!pb_field_iter_begin(&field, type, message))
        return true;
    do {
        if (!present(&field))
            continue;
        if (PB_ATYPE(field.type) == PB_ATYPE_CALLBACK) {
            if (type->field_callback == msgsrv_field_callback && field.data_size == sizeof(msgsrv_bytes))
                ok = visit(field.pData) && ok;
        } else if (PB_LTYPE_IS_SUBMSG(field.type)) {
            ok = walk_elements(&field, visit) && ok;
        }
    } while (pb_field_iter_next(&field));
    return ok;
}

bool msi_own_view(msgsrv_bytes *view)
{
    if (view->owned || !view->data)
        return true;
    void *copy = malloc(view->size ? view->size : 1);
    if (!copy) {
        *view = (msgsrv_bytes){0}; /* a view into memory that goes away must not stay */
        return false;
    }
    if (view->size)
        memcpy(copy, view->data, view->size);
    view->data = copy;
    view->owned = copy;
    return true;
}

bool msi_release_view(msgsrv_bytes *view)
{
    free(view->owned);
    *view = (msgsrv_bytes){0};
    return true;
}

bool msi_own_views(const msgsrv_message_type *type, void *message)
{
    return type->nanopb ? walk(type->nanopb, message, msi_own_view) : msi_own_view(message);
}

void msi_release_views(const msgsrv_message_type *type, void *message)
{
    (void)(type->nanopb ? walk(type->nanopb, message, msi_release_view) : msi_release_view(message));
}
