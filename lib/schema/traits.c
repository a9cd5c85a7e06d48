/* SPDX-License-Identifier: MIT */
/* Looking through a type's nanopb descriptors once, so that calls need not. Types may be recursive. */
#include <pb_common.h>

#include "base/limits.h"
#include "schema/codec.h"

#define TYPES_MAX 256u /* more types than this below one message: assume everything */

typedef struct seen_types {
    const pb_msgdesc_t *types[TYPES_MAX];
    size_t count;
    size_t room; /* what the fields of the outermost one take; see msi_plan_room() */
} seen_types;

bool msi_is_view(const pb_field_iter_t *field)
{
    return field->descriptor->field_callback == msgsrv_field_callback && field->data_size == sizeof(msgsrv_bytes);
}

static void look_field(const pb_field_iter_t *field, bool outermost, msi_type_traits *traits)
{
    bool pointer = PB_ATYPE(field->type) == PB_ATYPE_POINTER && PB_HTYPE(field->type) != PB_HTYPE_REPEATED;
    if (outermost && pointer && PB_LTYPE(field->type) == PB_LTYPE_STRING)
        traits->has_text = true;
    switch (PB_ATYPE(field->type)) {
    case PB_ATYPE_POINTER:
        traits->releases = true;
        traits->flat = false;
        break;
    case PB_ATYPE_CALLBACK:
        traits->flat = false;
        if (msi_is_view(field))
            traits->has_views = true;
        else
            traits->decodable = false;
        break;
    default:
        break;
    }
    /* Static texts need a look as well, and so does nesting. */
    if (PB_LTYPE(field->type) == PB_LTYPE_STRING || PB_LTYPE_IS_SUBMSG(field->type))
        traits->flat = false;
    if (PB_LTYPE(field->type) == PB_LTYPE_EXTENSION || PB_LTYPE(field->type) == PB_LTYPE_SUBMSG_W_CB)
        traits->decodable = false;
}

static void look(const pb_msgdesc_t *type, msi_type_traits *traits, seen_types *seen)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->types[i] == type)
            return;
    }
    if (seen->count == TYPES_MAX) {
        *traits = (msi_type_traits){
            .releases = true, .has_views = true, .has_text = traits->has_text, .decodable = traits->decodable};
        return;
    }
    bool outermost = seen->count == 0;
    seen->types[seen->count++] = type;
    if (type->default_value)
        traits->zero_init = false;
    pb_field_iter_t field;
    /* Without a struct, the iterator tells of the type alone. */
    if (!pb_field_iter_begin(&field, type, NULL))
        return;
    do {
        look_field(&field, outermost, traits);
        if (outermost)
            seen->room += msi_plan_room(&field);
        if (PB_LTYPE_IS_SUBMSG(field.type) && field.submsg_desc)
            look(field.submsg_desc, traits, seen);
    } while (pb_field_iter_next(&field));
}

msi_type_traits msi_type_look(const pb_msgdesc_t *type)
{
    if (!type)
        return (msi_type_traits){.raw = true, .has_views = true, .zero_init = true, .decodable = true};
    msi_type_traits traits = {.flat = true, .zero_init = true, .decodable = true};
    seen_types seen;
    seen.count = 0; /* its types need not be cleared: a client looks for each call */
    seen.room = 0;
    look(type, &traits, &seen);
    if (seen.room <= MSI_PLAN_ROOM)
        traits.plan = msi_plan_make(type);
    return traits;
}
