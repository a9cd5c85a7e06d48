/* SPDX-License-Identifier: MIT */
/*
 * Plans: made from nanopb's descriptor, carried out with pointers. nanopb walks its descriptor for each message, looks for each field, and
 * calls a function for each byte or write (docs/performance.md). Here is no check that msi_check() or nanopb lacks and no leniency that they
 * have: what this file accepts, both accept with the same result.
 */
#include "schema/plan.h"

#include <pb_common.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "schema/codec.h"
#include "wire/varint.h"

/* How a field is kept in the struct and on the wire. */
enum kind {
    NO_KIND,
    BOOL,
    INT32,
    UINT32,
    SINT32,
    INT64, /* and uint64: the same bits */
    SINT64,
    FIXED32, /* sfixed32 and float */
    FIXED64, /* sfixed64 and double */
    LAST_SCALAR = FIXED64,
    STRING,       /* char * */
    CHARS,        /* char[] */
    VIEW,         /* msgsrv_bytes */
    BYTES,        /* pb_bytes_array_t * */
    BYTES_INSIDE, /* one of nanopb's structs that begin like pb_bytes_array_t */
};

#define KEY_MAX 0x3fffu /* two bytes */
#define NUMBER_MAX (KEY_MAX >> 3)
#define MEMBER_COST 16u /* padding, has_ member and its padding */
#define HEAD_BOUND 12u  /* a key and a varint */

/* ---- making ---- */

static enum kind varint_kind(const pb_field_iter_t *field)
{
    bool wide = field->data_size == 8;
    if (!wide && field->data_size != 4)
        return NO_KIND; /* int_size in the .options */
    switch (PB_LTYPE(field->type)) {
    case PB_LTYPE_VARINT:
        return wide ? INT64 : INT32;
    case PB_LTYPE_UVARINT:
        return wide ? INT64 : UINT32;
    default:
        return wide ? SINT64 : SINT32;
    }
}

static enum kind static_kind(const pb_field_iter_t *field)
{
    switch (PB_LTYPE(field->type)) {
    case PB_LTYPE_BOOL:
        return field->data_size == 1 ? BOOL : NO_KIND;
    case PB_LTYPE_VARINT:
    case PB_LTYPE_UVARINT:
    case PB_LTYPE_SVARINT:
        return varint_kind(field);
    case PB_LTYPE_FIXED32:
        return field->data_size == 4 ? FIXED32 : NO_KIND;
    case PB_LTYPE_FIXED64:
        return field->data_size == 8 ? FIXED64 : NO_KIND;
    case PB_LTYPE_STRING:
        return CHARS;
    case PB_LTYPE_BYTES:
        return BYTES_INSIDE;
    default:
        return NO_KIND;
    }
}

static enum kind kind_of(const pb_field_iter_t *field)
{
    if (PB_HTYPE(field->type) != PB_HTYPE_OPTIONAL || field->tag > NUMBER_MAX)
        return NO_KIND;
    switch (PB_ATYPE(field->type)) {
    case PB_ATYPE_STATIC:
        return static_kind(field);
    case PB_ATYPE_POINTER:
        return PB_LTYPE(field->type) == PB_LTYPE_STRING  ? STRING
               : PB_LTYPE(field->type) == PB_LTYPE_BYTES ? BYTES
                                                         : NO_KIND;
    default:
        return msi_is_view(field) && PB_LTYPE(field->type) == PB_LTYPE_BYTES ? VIEW : NO_KIND;
    }
}

static uint16_t key_of(const pb_field_iter_t *field, enum kind kind)
{
    unsigned wire = kind > LAST_SCALAR ? MSI_WIRE_BYTES
                    : kind == FIXED32  ? MSI_WIRE_FIXED32
                    : kind == FIXED64  ? MSI_WIRE_FIXED64
                                       : MSI_WIRE_VARINT;
    return (uint16_t)(field->tag << 3 | wire);
}

size_t msi_plan_room(const pb_field_iter_t *field)
{
    if (kind_of(field) == NO_KIND)
        return MSI_PLAN_ROOM + 1;
    return MEMBER_COST + (field->data_size > sizeof(void *) ? field->data_size : sizeof(void *));
}

static bool add_field(msi_plan *plan, const pb_field_iter_t *field, const char *phantom)
{
    enum kind kind = kind_of(field);
    bool inside = PB_ATYPE(field->type) == PB_ATYPE_STATIC;
    if (field->pSize && !inside)
        return false; /* nanopb makes no such has_ member */
    plan->fields[plan->count++] =
        (msi_plan_field){.offset = (uint16_t)((const char *)field->pField - phantom),
                         .presence = field->pSize ? (uint16_t)((const char *)field->pSize - phantom) : MSI_PLAN_IMPLICIT,
                         .room = inside ? field->data_size : 0,
                         .key = key_of(field, kind),
                         .kind = kind};
    plan->bound = (uint16_t)(plan->bound + HEAD_BOUND);
    plan->pieces = plan->pieces || kind > LAST_SCALAR;
    return true;
}

msi_plan msi_plan_make(const pb_msgdesc_t *type)
{
    /* The iterator tells of offsets only within a struct, and reads its pointers. */
    static const uint64_t phantom[MSI_PLAN_ROOM / sizeof(uint64_t)];
    msi_plan plan = {0};
    pb_field_iter_t field;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || type->default_value || type->field_count > MSI_PLAN_FIELDS ||
        !pb_field_iter_begin_const(&field, type, phantom))
        return plan;
    do {
        if (!add_field(&plan, &field, (const char *)phantom))
            return (msi_plan){0};
    } while (pb_field_iter_next(&field));
    return plan;
}

/* ---- members of a struct ---- */

static void *get_pointer(const uint8_t *member)
{
    void *pointer;
    memcpy(&pointer, member, sizeof pointer);
    return pointer;
}

static void set_pointer(uint8_t *member, void *pointer)
{
    memcpy(member, &pointer, sizeof pointer);
}

static uint32_t get32(const uint8_t *member)
{
    uint32_t value;
    memcpy(&value, member, sizeof value);
    return value;
}

static uint64_t get64(const uint8_t *member)
{
    uint64_t value;
    memcpy(&value, member, sizeof value);
    return value;
}

static void set32(uint8_t *member, uint32_t value)
{
    memcpy(member, &value, sizeof value);
}

static void set64(uint8_t *member, uint64_t value)
{
    memcpy(member, &value, sizeof value);
}

/* ---- encoding ---- */

/* A scalar as its varint or fixed bytes; 0 just when the member is all zeros. */
static uint64_t get_scalar(const uint8_t *member, unsigned kind)
{
    uint64_t value;
    switch (kind) {
    case BOOL:
        return *member != 0;
    case INT32:
        return (uint64_t)(int64_t)(int32_t)get32(member); /* a negative one takes ten bytes */
    case SINT32:
        value = get32(member);
        return (uint32_t)(value << 1) ^ (value >> 31 ? UINT32_MAX : 0);
    case SINT64:
        value = get64(member);
        return value << 1 ^ (value >> 63 ? UINT64_MAX : 0);
    case UINT32:
    case FIXED32:
        return get32(member);
    default:
        return get64(member);
    }
}

static uint8_t *put_key(uint8_t *at, unsigned key)
{
    if (key >= 0x80) {
        *at++ = (uint8_t)(key | 0x80);
        key >>= 7;
    }
    *at++ = (uint8_t)key;
    return at;
}

static uint8_t *put_scalar(uint8_t *at, const msi_plan_field *field, const uint8_t *message)
{
    uint64_t value = get_scalar(message + field->offset, field->kind);
    if (field->presence == MSI_PLAN_IMPLICIT ? value == 0 : message[field->presence] == 0)
        return at;
    at = put_key(at, field->key);
    if (field->kind < FIXED32)
        return msi_varint_put(at, value);
    size_t size = field->kind == FIXED32 ? 4 : 8;
    if (size == 4)
        set32(at, (uint32_t)value);
    else
        set64(at, value);
    return at + size;
}

static bool bytes_piece(const uint8_t *array, size_t room, msi_view *piece)
{
    pb_size_t size;
    memcpy(&size, array, sizeof size);
    *piece = (msi_view){array + offsetof(pb_bytes_array_t, bytes), size};
    return size + offsetof(pb_bytes_array_t, bytes) <= room;
}

static bool is_good_text(const uint8_t *text, size_t size)
{
    return msi_text_check(text, size) == MSI_TEXT_OK;
}

/* What a text or bytes field holds, as it is in the struct. false: something is wrong with it. */
static bool look_piece(const msi_plan_field *field, const uint8_t *member, msi_view *piece)
{
    const void *pointer;
    msgsrv_bytes view;
    switch (field->kind) {
    case STRING:
        pointer = get_pointer(member);
        *piece = (msi_view){pointer, pointer ? strlen(pointer) : 0};
        return is_good_text(piece->data, piece->size);
    case CHARS:
        pointer = memchr(member, 0, field->room);
        *piece = (msi_view){member, pointer ? (size_t)((const uint8_t *)pointer - member) : 0};
        return pointer && is_good_text(member, piece->size);
    case VIEW:
        memcpy(&view, member, sizeof view);
        *piece = (msi_view){view.data, view.size};
        return view.data || view.size == 0;
    case BYTES:
        pointer = get_pointer(member);
        *piece = (msi_view){NULL, 0};
        return !pointer || bytes_piece(pointer, SIZE_MAX, piece);
    default:
        return bytes_piece(member, field->room, piece);
    }
}

/* The same; `data` is NULL when the field is not to be sent. */
static bool get_piece(const msi_plan_field *field, const uint8_t *message, msi_view *piece)
{
    if (field->presence != MSI_PLAN_IMPLICIT && message[field->presence] == 0) {
        *piece = (msi_view){NULL, 0};
        return true;
    }
    if (!look_piece(field, message + field->offset, piece))
        return false;
    if (field->presence == MSI_PLAN_IMPLICIT && field->room && piece->size == 0)
        piece->data = NULL;
    return true;
}

static uint8_t *put_piece(uint8_t *at, const msi_plan_field *field, const msi_view *piece)
{
    if (!piece->data)
        return at;
    at = msi_varint_put(put_key(at, field->key), piece->size);
    memcpy(at, piece->data, piece->size);
    return at + piece->size;
}

/* All texts and bytes, and the most that the encoding takes. 0: something is wrong with one, or they are too large. */
static size_t get_pieces(const msi_plan *plan, const uint8_t *message, uint32_t max_message, msi_view *pieces)
{
    size_t bound = plan->bound;
    for (unsigned i = 0; i < plan->count; i++) {
        if (plan->fields[i].kind <= LAST_SCALAR)
            continue;
        if (!get_piece(&plan->fields[i], message, &pieces[i]) || pieces[i].size > max_message)
            return 0;
        bound += pieces[i].size;
    }
    return bound;
}

bool msi_plan_encode(const msi_plan *plan, const void *message, uint32_t max_message, msi_buf *out)
{
    msi_view pieces[MSI_PLAN_FIELDS];
    size_t bound = plan->pieces ? get_pieces(plan, message, max_message, pieces) : plan->bound;
    if (bound == 0 || !msi_buf_reserve(out, bound))
        return false;
    uint8_t *start = out->data + out->len;
    uint8_t *at = start;
    for (unsigned i = 0; i < plan->count; i++) {
        const msi_plan_field *field = &plan->fields[i];
        at = field->kind > LAST_SCALAR ? put_piece(at, field, &pieces[i]) : put_scalar(at, field, message);
    }
    if ((size_t)(at - start) > max_message)
        return false;
    out->len += (size_t)(at - start);
    return true;
}

/* ---- decoding ---- */

/* What a decoding is at work with. */
typedef struct work {
    const msgsrv_message_type *type;
    const msi_plan *plan;
    uint8_t *message;
    size_t memory; /* still allowed */
} work;

/* A varint's value into its member. false: it does not fit. */
static bool set_varint(uint8_t *member, unsigned kind, uint64_t value)
{
    /* int32 is cut to its low half, as negative ones come with ten bytes; of the other kinds too much is an error. */
    bool fits = value <= UINT32_MAX;
    switch (kind) {
    case BOOL:
        *member = value != 0;
        return fits;
    case INT32:
        set32(member, (uint32_t)value);
        return true;
    case UINT32:
        set32(member, (uint32_t)value);
        return fits;
    case SINT32:
        set32(member, (uint32_t)(value >> 1) ^ (value & 1 ? UINT32_MAX : 0));
        return fits;
    case SINT64:
        set64(member, value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
        return true;
    default:
        set64(member, value);
        return true;
    }
}

static const uint8_t *take_scalar(const msi_plan_field *field, uint8_t *member, const uint8_t *at, const uint8_t *end)
{
    uint64_t value;
    if (field->kind < FIXED32) {
        at = msi_varint_get(at, end, &value);
        return at && set_varint(member, field->kind, value) ? at : NULL;
    }
    size_t size = field->kind == FIXED32 ? 4 : 8;
    if ((size_t)(end - at) < size)
        return NULL;
    memcpy(member, at, size);
    return at + size;
}

/* Of a field that comes twice the last counts; its memory is used again, as nanopb does. */
static uint8_t *renew(uint8_t *member, size_t size)
{
    uint8_t *block = realloc(get_pointer(member), size);
    if (block)
        set_pointer(member, block);
    return block;
}

static bool set_text(uint8_t *text, const msi_view *piece)
{
    if (!text)
        return false;
    if (piece->size)
        memcpy(text, piece->data, piece->size);
    text[piece->size] = 0;
    return true;
}

static bool set_bytes(uint8_t *array, const msi_view *piece)
{
    pb_size_t size = (pb_size_t)piece->size;
    if (!array)
        return false;
    memcpy(array, &size, sizeof size);
    if (size)
        memcpy(array + offsetof(pb_bytes_array_t, bytes), piece->data, size);
    return true;
}

static bool set_piece(const msi_plan_field *field, uint8_t *member, const msi_view *piece)
{
    size_t array_size = piece->size + offsetof(pb_bytes_array_t, bytes);
    msgsrv_bytes view = {piece->data, piece->size, NULL};
    switch (field->kind) {
    case STRING:
        return is_good_text(piece->data, piece->size) && set_text(renew(member, piece->size + 1), piece);
    case CHARS:
        return piece->size < field->room && is_good_text(piece->data, piece->size) && set_text(member, piece);
    case VIEW:
        memcpy(member, &view, sizeof view);
        return true;
    case BYTES:
        return piece->size <= PB_SIZE_MAX && set_bytes(renew(member, array_size), piece);
    default:
        return piece->size <= PB_SIZE_MAX && array_size <= field->room && set_bytes(member, piece);
    }
}

static const uint8_t *take_piece(work *state, const msi_plan_field *field, const uint8_t *at, const uint8_t *end)
{
    uint64_t size;
    at = msi_varint_get(at, end, &size);
    if (!at || size > (uint64_t)(end - at) || size + MSI_BLOCK_COST > state->memory)
        return NULL;
    state->memory -= (size_t)size + MSI_BLOCK_COST;
    msi_view piece = {at, (size_t)size};
    return set_piece(field, state->message + field->offset, &piece) ? at + size : NULL;
}

/* Passes a field that the plan does not have. What the type has all the same is of another wire type here, or unknown to nanopb alone. */
static const uint8_t *skip(const work *state, const uint8_t *at, const uint8_t *end)
{
    msi_wire_field found;
    at = msi_wire_field_get(at, end, &found);
    return at && !msi_field_find(state->type, found.number) ? at : NULL;
}

/* Fields mostly come in order, so each is looked for from where the last one was. */
static const msi_plan_field *find(const msi_plan *plan, uint64_t key, unsigned *next)
{
    for (unsigned i = 0; i < plan->count; i++) {
        unsigned place = *next;
        *next = place + 1 == plan->count ? 0 : place + 1;
        if (plan->fields[place].key == key)
            return &plan->fields[place];
    }
    return NULL;
}

static bool decode(work *state, const uint8_t *at, const uint8_t *end)
{
    unsigned next = 0;
    while (at && at < end) {
        uint64_t key;
        const uint8_t *value = msi_varint_get(at, end, &key);
        if (!value)
            return false;
        const msi_plan_field *field = find(state->plan, key, &next);
        if (!field) {
            at = skip(state, at, end);
            continue;
        }
        if (field->presence != MSI_PLAN_IMPLICIT)
            state->message[field->presence] = true;
        at = field->kind > LAST_SCALAR ? take_piece(state, field, value, end)
                                       : take_scalar(field, state->message + field->offset, value, end);
    }
    return at != NULL;
}

bool msi_plan_decode(const msgsrv_message_type *type, const msi_plan *plan, const uint8_t *data, size_t size,
                     size_t memory, void *message)
{
    size_t own = type->struct_size + MSI_BLOCK_COST;
    work state = {type, plan, message, memory};
    if (plan->pieces) {
        if (own > memory)
            return false;
        state.memory -= own;
    }
    if (decode(&state, data, data + size))
        return true;
    msi_plan_release(plan, message);
    memset(message, 0, type->struct_size);
    return false;
}

/* ---- releasing ---- */

void msi_plan_release(const msi_plan *plan, void *message)
{
    if (!plan->pieces)
        return;
    for (unsigned i = 0; i < plan->count; i++) {
        uint8_t *member = (uint8_t *)message + plan->fields[i].offset;
        switch (plan->fields[i].kind) {
        case STRING:
        case BYTES:
            free(get_pointer(member));
            set_pointer(member, NULL);
            break;
        case VIEW:
            (void)msi_release_view((msgsrv_bytes *)(void *)member);
            break;
        default:
            break;
        }
    }
}
