/* SPDX-License-Identifier: MIT */
/* Writing frames: fields in the order of their numbers, minimal varints, the body last. */
#include "wire/frame.h"

#define TAG(number, type) ((uint8_t)((number) << 3 | (type)))
#define HEAD_ROOM 16u   /* a frame's tag and length, a body's tag and length */
#define VARINT_ROOM 11u /* a one-byte tag and a varint of 64 bits */

static uint8_t *put_varint_field(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = TAG(number, MSI_WIRE_VARINT);
    return msi_varint_put(at, value);
}

static uint8_t *put_bytes_field(uint8_t *at, uint32_t number, const void *data, size_t size)
{
    *at++ = TAG(number, MSI_WIRE_BYTES);
    at = msi_varint_put(at, size);
    if (size)
        memcpy(at, data, size);
    return at + size;
}

static size_t entry_size(const msgsrv_metadata *entry)
{
    size_t key = strlen(entry->key);
    return 1 + msi_varint_size(key) + key + 1 + msi_varint_size(entry->size) + entry->size;
}

static size_t metadata_room(const msgsrv_metadata_set *set)
{
    size_t room = 0;
    for (size_t i = 0; i < msgsrv_metadata_count(set); i++)
        room += 6 + entry_size(&set->entries[i]);
    return room;
}

static uint8_t *put_metadata(uint8_t *at, const msgsrv_metadata_set *set)
{
    for (size_t i = 0; i < msgsrv_metadata_count(set); i++) {
        const msgsrv_metadata *entry = &set->entries[i];
        *at++ = TAG(4, MSI_WIRE_BYTES);
        at = msi_varint_put(at, entry_size(entry));
        at = put_bytes_field(at, 1, entry->key, strlen(entry->key));
        at = put_bytes_field(at, 2, entry->value, entry->size);
    }
    return at;
}

static uint32_t frame_tag(uint32_t number)
{
    return number << 3 | MSI_WIRE_BYTES;
}

/* Decides how much room lengths get and leaves `open->body` behind it; the fields go to the place that is returned. */
static uint8_t *open_frame(msi_buf *out, uint32_t number, size_t fields_room, size_t hint, msi_open_frame *open)
{
    if (!msi_buf_reserve(out, HEAD_ROOM + fields_room + hint))
        return NULL;
    open->start = out->len;
    open->number = number;
    open->length_size = (uint8_t)msi_varint_size(fields_room + 6 + hint);
    return out->data + out->len + msi_varint_size(frame_tag(number)) + open->length_size;
}

/* Ends the fields: the body's tag, and room for its length. */
static void open_body(msi_buf *out, uint8_t *at, size_t hint, msi_open_frame *open)
{
    size_t fields_start = open->start + msi_varint_size(frame_tag(open->number)) + open->length_size;
    open->fields = (uint32_t)(at - out->data - (ptrdiff_t)fields_start);
    open->body_length_size = (uint8_t)msi_varint_size(hint);
    *at++ = TAG(MSI_FRAME_BODY, MSI_WIRE_BYTES);
    open->body = (size_t)(at - out->data) + open->body_length_size;
    out->len = open->body;
}

bool msi_plain_open(msi_buf *out, uint32_t number, size_t hint, msi_open_frame *open)
{
    if (!msi_buf_reserve(out, HEAD_ROOM + hint))
        return false;
    open->start = out->len;
    open->number = number;
    open->fields = 0;
    open->length_size = (uint8_t)msi_varint_size(hint);
    open->body_length_size = 0;
    open->body = out->len + msi_varint_size(frame_tag(number)) + open->length_size;
    out->len = open->body;
    return true;
}

static size_t final_room(const msi_final *final)
{
    size_t message = final->message ? strlen(final->message) : 0;
    return 3 * VARINT_ROOM + message + metadata_room(final->trailer);
}

static uint8_t *put_final(uint8_t *at, uint64_t id, const msi_final *final)
{
    if (id)
        at = put_varint_field(at, 1, id);
    if (final->code)
        at = put_varint_field(at, 2, (uint64_t) final->code);
    if (final->message && *final->message)
        at = put_bytes_field(at, 3, final->message, strlen(final->message));
    return put_metadata(at, final->trailer);
}

bool msi_end_open(msi_buf *out, uint64_t id, const msi_final *final, size_t hint, msi_open_frame *open)
{
    bool bare = !final->message && !final->trailer;
    size_t fields = bare ? 1 + msi_varint_size(id) + (final->code ? 2 : 0) : final_room(final);
    uint8_t *at = open_frame(out, MSI_FRAME_END, fields, hint, open);
    if (!at)
        return false;
    open_body(out, put_final(at, id, final), hint, open);
    return true;
}

static size_t call_room(const char *method, const msgsrv_metadata_set *metadata, const msi_call_credit *credit)
{
    size_t numbers = 2u + (credit->items != 0) + (credit->bytes != 0);
    return numbers * VARINT_ROOM + 8 + strlen(method) + metadata_room(metadata);
}

static uint8_t *put_call(uint8_t *at, uint64_t id, const char *method, uint32_t timeout_ms,
                         const msgsrv_metadata_set *metadata, const msi_call_credit *credit, bool streaming)
{
    at = put_varint_field(at, 1, id);
    at = put_bytes_field(at, 2, method, strlen(method));
    if (timeout_ms)
        at = put_varint_field(at, 3, timeout_ms);
    at = put_metadata(at, metadata);
    if (credit->items)
        at = put_varint_field(at, 5, credit->items);
    if (streaming)
        at = put_varint_field(at, 6, 1);
    if (credit->bytes)
        at = put_varint_field(at, 7, credit->bytes);
    return at;
}

bool msi_call_open(msi_buf *out, uint64_t id, const char *method, uint32_t timeout_ms,
                   const msgsrv_metadata_set *metadata, const msi_call_credit *credit, size_t hint, msi_open_frame *open)
{
    uint8_t *at = open_frame(out, MSI_FRAME_CALL, call_room(method, metadata, credit), hint, open);
    if (!at)
        return false;
    open_body(out, put_call(at, id, method, timeout_ms, metadata, credit, false), hint, open);
    return true;
}

/* As open_frame() and open_body() would, in one go: streams are made of these. */
bool msi_item_open(msi_buf *out, uint64_t id, size_t hint, msi_open_frame *open)
{
    if (!msi_buf_reserve(out, HEAD_ROOM + VARINT_ROOM + hint))
        return false;
    open->start = out->len;
    open->number = MSI_FRAME_ITEM;
    open->fields = 1u + (uint32_t)msi_varint_size(id);
    open->body_length_size = (uint8_t)msi_varint_size(hint);
    open->length_size = (uint8_t)msi_varint_size(open->fields + 1u + open->body_length_size + hint);
    uint8_t *at = out->data + out->len + msi_varint_size(frame_tag(MSI_FRAME_ITEM)) + open->length_size;
    at = put_varint_field(at, 1, id);
    *at++ = TAG(MSI_FRAME_BODY, MSI_WIRE_BYTES);
    open->body = (size_t)(at - out->data) + open->body_length_size;
    out->len = open->body;
    return true;
}

/* The lengths are not as large as was guessed: moves what is behind them. */
static bool close_moved(msi_buf *out, const msi_open_frame *open, size_t body, size_t length)
{
    bool framed = open->body_length_size != 0;
    size_t body_length_size = framed ? msi_varint_size(body) : 0;
    size_t length_size = msi_varint_size(length);
    size_t before = (size_t)open->length_size + open->body_length_size;
    size_t after = length_size + body_length_size;
    if (after > before && !msi_buf_reserve(out, after - before))
        return false;
    uint8_t *start = out->data + open->start;
    size_t tag_size = msi_varint_size(frame_tag(open->number));
    /* The order of the moves keeps them from overwriting each other: the outer part first when shrinking, last when growing. */
    uint8_t *fields_from = start + tag_size + open->length_size;
    uint8_t *fields_to = start + tag_size + length_size;
    size_t fields = framed ? open->fields + 1u : 0;
    uint8_t *body_from = out->data + open->body;
    uint8_t *body_to = fields_to + fields + body_length_size;
    if (body_to > body_from)
        memmove(body_to, body_from, body);
    if (fields_to != fields_from)
        memmove(fields_to, fields_from, fields);
    if (body_to < body_from)
        memmove(body_to, body_from, body);
    uint8_t *at = msi_varint_put(start, frame_tag(open->number));
    (void)msi_varint_put(at, length);
    if (framed)
        (void)msi_varint_put(fields_to + fields, body);
    out->len = (size_t)(body_to - out->data) + body;
    return true;
}

bool msi_frame_close(msi_buf *out, const msi_open_frame *open)
{
    size_t body = out->len - open->body;
    bool framed = open->body_length_size != 0;
    size_t body_length_size = framed ? msi_varint_size(body) : 0;
    size_t length = framed ? open->fields + 1 + body_length_size + body : body;
    if (body_length_size != open->body_length_size || msi_varint_size(length) != open->length_size)
        return close_moved(out, open, body, length);
    (void)msi_varint_put(msi_varint_put(out->data + open->start, frame_tag(open->number)), length);
    if (framed)
        (void)msi_varint_put(out->data + open->body - body_length_size, body);
    return true;
}

/* Finishes a frame of fields only, which were put with `room` left for the length. */
static void close_fields(msi_buf *out, uint32_t number, uint8_t *fields, uint8_t *at)
{
    size_t size = (size_t)(at - fields);
    uint8_t *start = out->data + out->len;
    uint8_t *to = msi_varint_put(msi_varint_put(start, frame_tag(number)), size);
    memmove(to, fields, size);
    out->len = (size_t)(to - out->data) + size;
}

/* Room for a frame of fields; they are put behind the largest head and moved when their size is known. */
static uint8_t *open_fields(msi_buf *out, size_t room)
{
    return msi_buf_reserve(out, HEAD_ROOM + room) ? out->data + out->len + HEAD_ROOM : NULL;
}

bool msi_end_put(msi_buf *out, uint64_t id, const msi_final *final)
{
    uint8_t *fields = open_fields(out, final_room(final));
    if (!fields)
        return false;
    close_fields(out, MSI_FRAME_END, fields, put_final(fields, id, final));
    return true;
}

bool msi_head_put(msi_buf *out, uint64_t id, const msgsrv_metadata_set *metadata)
{
    uint8_t *fields = open_fields(out, VARINT_ROOM + metadata_room(metadata));
    if (!fields)
        return false;
    close_fields(out, MSI_FRAME_HEAD, fields, put_metadata(put_varint_field(fields, 1, id), metadata));
    return true;
}

bool msi_cancel_put(msi_buf *out, uint64_t id)
{
    uint8_t *fields = open_fields(out, VARINT_ROOM);
    if (!fields)
        return false;
    close_fields(out, MSI_FRAME_CANCEL, fields, put_varint_field(fields, 1, id));
    return true;
}

bool msi_credit_put(msi_buf *out, uint64_t id, uint32_t items, uint32_t bytes)
{
    uint8_t *fields = open_fields(out, 3 * VARINT_ROOM);
    if (!fields)
        return false;
    uint8_t *at = put_varint_field(fields, 1, id);
    if (items)
        at = put_varint_field(at, 2, items);
    if (bytes)
        at = put_varint_field(at, 3, bytes);
    close_fields(out, MSI_FRAME_CREDIT, fields, at);
    return true;
}

bool msi_streaming_call_put(msi_buf *out, uint64_t id, const char *method, uint32_t timeout_ms,
                            const msgsrv_metadata_set *metadata, const msi_call_credit *credit)
{
    uint8_t *fields = open_fields(out, call_room(method, metadata, credit));
    if (!fields)
        return false;
    close_fields(out, MSI_FRAME_CALL, fields, put_call(fields, id, method, timeout_ms, metadata, credit, true));
    return true;
}

bool msi_ping_put(msi_buf *out, uint32_t number, const uint8_t *data, size_t size)
{
    uint8_t *fields = open_fields(out, VARINT_ROOM + size);
    if (!fields)
        return false;
    close_fields(out, number, fields, size ? put_bytes_field(fields, 1, data, size) : fields);
    return true;
}

bool msi_goaway_put(msi_buf *out, msgsrv_status code, const char *message, uint64_t last_id)
{
    size_t size = message ? strlen(message) : 0;
    uint8_t *fields = open_fields(out, 3 * VARINT_ROOM + size);
    if (!fields)
        return false;
    uint8_t *at = put_varint_field(fields, 1, (uint64_t)code);
    if (size)
        at = put_bytes_field(at, 2, message, size);
    if (last_id)
        at = put_varint_field(at, 3, last_id);
    close_fields(out, MSI_FRAME_GOAWAY, fields, at);
    return true;
}
