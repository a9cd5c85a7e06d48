/* SPDX-License-Identifier: MIT */
/* Reading frames. Known fields of another wire type are unknown fields, as in every protobuf library; of repeated ones the last counts. */
#include "wire/frame.h"

#include "base/utf8.h"
#include "base/zero.h"

/* A varint of at most 5 bytes and 32 bits that is minimal. 1: read; 0: cut off; -1: not one. */
static int get_minimal(const uint8_t *data, size_t size, uint32_t *value, size_t *used)
{
    if (size >= 2 && data[0] >= 0x80 && data[1] < 0x80 && data[1] > 0) { /* the tag of every frame, and most lengths */
        *value = (uint32_t)(data[0] & 0x7f) | (uint32_t)data[1] << 7;
        *used = 2;
        return 1;
    }
    uint64_t result = 0;
    for (size_t i = 0; i < 5; i++) {
        if (i == size)
            return 0;
        uint8_t byte = data[i];
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if ((byte == 0 && i > 0) || result > UINT32_MAX)
                return -1;
            *value = (uint32_t)result;
            *used = i + 1;
            return 1;
        }
    }
    return -1;
}

msi_head_result msi_head_get(const uint8_t *data, size_t size, msi_head *head)
{
    uint32_t tag = 0;
    size_t tag_size = 0;
    size_t length_size = 0;
    if (size == 0)
        return MSI_HEAD_MORE;
    if ((data[0] & 7) != MSI_WIRE_BYTES)
        return MSI_HEAD_WIRE_TYPE;
    int got = get_minimal(data, size, &tag, &tag_size);
    if (got <= 0)
        return got == 0 ? MSI_HEAD_MORE : MSI_HEAD_VARINT;
    if (tag >> 3 == 0)
        return MSI_HEAD_WIRE_TYPE;
    got = get_minimal(data + tag_size, size - tag_size, &head->length, &length_size);
    if (got <= 0)
        return got == 0 ? MSI_HEAD_MORE : MSI_HEAD_VARINT;
    head->number = tag >> 3;
    head->size = tag_size + length_size;
    return MSI_HEAD_OK;
}

/* A NUL is a character like any other here; there is hardly ever one. */
static bool text_ok(msi_view text)
{
    const uint8_t *end = text.data + text.size;
    const uint8_t *at = text.data;
    for (;;) {
        switch (msi_text_check(at, (size_t)(end - at))) {
        case MSI_TEXT_OK:
            return true;
        case MSI_TEXT_NOT_UTF8:
            return false;
        case MSI_TEXT_NUL:
            break;
        }
        /* What is before the NUL is fine: the check goes from the front. */
        at = (const uint8_t *)memchr(at, 0, (size_t)(end - at)) + 1;
    }
}

/* A metadata entry's key and value. */
static bool get_entry(msi_view entry, msi_view *key, msi_view *value)
{
    *key = (msi_view){entry.data, 0};
    *value = (msi_view){entry.data, 0};
    const uint8_t *end = entry.data + entry.size;
    for (const uint8_t *at = entry.data; at < end;) {
        msi_wire_field field;
        at = msi_wire_field_get(at, end, &field);
        if (!at)
            return false;
        if (field.type == MSI_WIRE_BYTES && field.number == 1)
            *key = field.bytes;
        else if (field.type == MSI_WIRE_BYTES && field.number == 2)
            *value = field.bytes;
    }
    return text_ok(*key);
}

/* Entries are only counted here, and read again by msi_frame_metadata(); but a frame with a bad one does not decode. */
static bool count_entry(msi_view entry, msi_frame *frame)
{
    msi_view key;
    msi_view value;
    frame->metadata_count++;
    return get_entry(entry, &key, &value);
}

static bool get_call(const msi_wire_field *field, msi_frame *frame)
{
    if (field->type == MSI_WIRE_BYTES) {
        switch (field->number) {
        case 2:
            frame->method = field->bytes;
            return text_ok(field->bytes);
        case 4:
            return count_entry(field->bytes, frame);
        case MSI_FRAME_BODY:
            frame->body = field->bytes;
            frame->has_body = true;
            break;
        default:
            break;
        }
    } else if (field->type == MSI_WIRE_VARINT) {
        switch (field->number) {
        case 1:
            frame->id = field->value;
            break;
        case 3:
            frame->timeout_ms = (uint32_t)field->value;
            break;
        case 5:
            frame->credit = (uint32_t)field->value;
            frame->has_credit = true;
            break;
        case 6:
            frame->streaming = field->value != 0;
            break;
        case 7:
            frame->credit_bytes = (uint32_t)field->value;
            frame->has_credit_bytes = true;
            break;
        default:
            break;
        }
    }
    return true;
}

/* Item, End and Head share their numbers, so that one function reads them. */
static bool get_reply(const msi_wire_field *field, msi_frame *frame)
{
    if (field->type == MSI_WIRE_VARINT) {
        if (field->number == 1)
            frame->id = field->value;
        else if (field->number == 2)
            frame->code = (uint32_t)field->value;
    } else if (field->type == MSI_WIRE_BYTES) {
        if (field->number == 3) {
            frame->message = field->bytes;
            return text_ok(field->bytes);
        }
        if (field->number == 4)
            return count_entry(field->bytes, frame);
        if (field->number == MSI_FRAME_BODY) {
            frame->body = field->bytes;
            frame->has_body = true;
        }
    }
    return true;
}

static bool get_control(uint32_t number, const msi_wire_field *field, msi_frame *frame)
{
    if (number == MSI_FRAME_PING || number == MSI_FRAME_PONG) {
        if (field->number == 1 && field->type == MSI_WIRE_BYTES)
            frame->data = field->bytes;
        return true;
    }
    if (number == MSI_FRAME_GOAWAY) {
        if (field->number == 1 && field->type == MSI_WIRE_VARINT)
            frame->code = (uint32_t)field->value;
        else if (field->number == 3 && field->type == MSI_WIRE_VARINT)
            frame->last_id = field->value;
        else if (field->number == 2 && field->type == MSI_WIRE_BYTES) {
            frame->message = field->bytes;
            return text_ok(field->bytes);
        }
        return true;
    }
    if (field->type == MSI_WIRE_VARINT) {
        if (field->number == 1)
            frame->id = field->value;
        else if (number == MSI_FRAME_CREDIT && field->number == 2)
            frame->items = (uint32_t)field->value;
        else if (number == MSI_FRAME_CREDIT && field->number == 3)
            frame->bytes = (uint32_t)field->value;
    }
    return true;
}

bool msi_frame_get(uint32_t number, const uint8_t *payload, size_t size, msi_frame *frame)
{
    msi_zero(frame, sizeof *frame);
    frame->payload = (msi_view){payload, size};
    const uint8_t *end = payload + size;
    for (const uint8_t *at = payload; at < end;) {
        msi_wire_field field;
        at = msi_wire_field_get(at, end, &field);
        if (!at)
            return false;
        bool ok;
        if (number == MSI_FRAME_CALL)
            ok = get_call(&field, frame);
        else if (number == MSI_FRAME_ITEM || number == MSI_FRAME_END || number == MSI_FRAME_HEAD)
            ok = get_reply(&field, frame);
        else
            ok = get_control(number, &field, frame);
        if (!ok)
            return false;
    }
    return true;
}

int msi_frame_first_id(const uint8_t *payload, size_t size, uint64_t *id)
{
    if (size == 0)
        return 0;
    if (payload[0] != (1u << 3 | MSI_WIRE_VARINT))
        return -1;
    const uint8_t *end = payload + size;
    if (msi_varint_get(payload + 1, end, id))
        return 1;
    return size > 10 ? -1 : 0;
}

bool msi_frame_metadata(const msi_frame *frame, const uint8_t **at, msi_view *key, msi_view *value)
{
    const uint8_t *place = *at ? *at : frame->payload.data;
    const uint8_t *end = frame->payload.data + frame->payload.size;
    while (place < end) {
        msi_wire_field field;
        place = msi_wire_field_get(place, end, &field);
        if (!place)
            break;
        *at = place;
        if (field.number == 4 && field.type == MSI_WIRE_BYTES)
            return get_entry(field.bytes, key, value);
    }
    return false;
}
