/* SPDX-License-Identifier: MIT */
/*
 * The frames of frames.h. A writer builds the inside of a frame first and then wraps it; the reader walks the
 * fields once, checking what docs/protocol.md asks of writers: fields in the order of their numbers, minimal
 * varints, wire types.
 */
#include "frames.h"

#include <string.h>

#include "guard.h"

enum { TAG_MAX = 5, LENGTH_MAX = 5, VARINT_MAX = 10, LAST_PLAIN = 15 };

static void put_frame(ts_bytes *out, uint32_t number, ts_bytes *inside)
{
    ts_put_field(out, number, inside->data, inside->size);
    ts_bytes_release(inside);
}

void ts_put_frame_header(ts_bytes *out, uint32_t number, uint64_t length)
{
    ts_put_tag(out, number, TS_LENGTH);
    ts_put_varint(out, length);
}

void ts_put_metadata(ts_bytes *out, uint32_t number, const ts_pair *pair)
{
    ts_bytes inside = {0};

    ts_put_text(&inside, 1, pair->key);
    ts_put_field(&inside, 2, pair->value, pair->size);
    put_frame(out, number, &inside);
}

void ts_put_call_fields(ts_bytes *out, const ts_call *call)
{
    if (call->id)
        ts_put_uint(out, 1, call->id);
    if (call->method)
        ts_put_text(out, 2, call->method);
    if (call->timeout_ms)
        ts_put_uint(out, 3, call->timeout_ms);
    for (size_t i = 0; i < call->metadata_count; i++)
        ts_put_metadata(out, 4, &call->metadata[i]);
    if (call->credit || call->no_credit)
        ts_put_uint(out, 5, call->credit);
    if (call->streaming)
        ts_put_uint(out, 6, 1);
    if (call->credit_bytes || call->no_credit_bytes)
        ts_put_uint(out, 7, call->credit_bytes);
    if (call->body)
        ts_put_field(out, 15, call->body, call->body_size);
}

void ts_put_call(ts_bytes *out, const ts_call *call)
{
    ts_bytes inside = {0};

    ts_put_call_fields(&inside, call);
    put_frame(out, TS_CALL, &inside);
}

static void put_call_of(ts_bytes *out, uint64_t id, const char *method, ts_bytes *body)
{
    ts_put_call(out, &(ts_call){.id = id,
                                .method = method,
                                .body = body->data ? body->data : (const unsigned char *)"",
                                .body_size = body->size});
    ts_bytes_release(body);
}

void ts_put_call_add(ts_bytes *out, uint64_t id, int32_t a, int32_t b)
{
    ts_bytes body = {0};

    ts_put_add_request(&body, a, b);
    put_call_of(out, id, TS_ADD, &body);
}

void ts_put_call_echo(ts_bytes *out, uint64_t id, const char *text)
{
    ts_bytes body = {0};

    ts_put_echo_message(&body, text);
    put_call_of(out, id, TS_ECHO, &body);
}

void ts_put_item(ts_bytes *out, uint64_t id, const void *body, size_t size)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    ts_put_field(&inside, 15, body, size);
    put_frame(out, TS_ITEM, &inside);
}

void ts_put_end(ts_bytes *out, uint64_t id)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    put_frame(out, TS_END, &inside);
}

void ts_put_end_status(ts_bytes *out, uint64_t id, uint32_t code, const char *message, const void *body, size_t size)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    if (code)
        ts_put_uint(&inside, 2, code);
    if (message)
        ts_put_text(&inside, 3, message);
    if (body)
        ts_put_field(&inside, 15, body, size);
    put_frame(out, TS_END, &inside);
}

void ts_put_cancel(ts_bytes *out, uint64_t id)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    put_frame(out, TS_CANCEL, &inside);
}

void ts_put_credit(ts_bytes *out, uint64_t id, uint32_t items, uint32_t bytes)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    ts_put_uint(&inside, 2, items);
    ts_put_uint(&inside, 3, bytes);
    put_frame(out, TS_CREDIT, &inside);
}

void ts_put_ping(ts_bytes *out, const void *data, size_t size)
{
    ts_bytes inside = {0};

    ts_put_field(&inside, 1, data, size);
    put_frame(out, TS_PING, &inside);
}

void ts_put_pong(ts_bytes *out, const void *data, size_t size)
{
    ts_bytes inside = {0};

    ts_put_field(&inside, 1, data, size);
    put_frame(out, TS_PONG, &inside);
}

void ts_put_go_away(ts_bytes *out, uint32_t code, const char *message, uint64_t last_id)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, code);
    ts_put_text(&inside, 2, message);
    ts_put_uint(&inside, 3, last_id);
    put_frame(out, TS_GO_AWAY, &inside);
}

void ts_put_head(ts_bytes *out, uint64_t id, const ts_pair *metadata, size_t count)
{
    ts_bytes inside = {0};

    ts_put_uint(&inside, 1, id);
    for (size_t i = 0; i < count; i++)
        ts_put_metadata(&inside, 4, &metadata[i]);
    put_frame(out, TS_HEAD, &inside);
}

void ts_put_add_request(ts_bytes *out, int32_t a, int32_t b)
{
    ts_put_int(out, 1, a);
    ts_put_int(out, 2, b);
}

void ts_put_add_response(ts_bytes *out, int32_t result)
{
    ts_put_int(out, 1, result);
}

void ts_put_echo_message(ts_bytes *out, const char *text)
{
    if (*text)
        ts_put_text(out, 1, text);
}

void ts_put_plain_add(ts_bytes *out, int32_t a, int32_t b)
{
    ts_bytes body = {0};

    ts_put_add_request(&body, a, b);
    put_frame(out, TS_PLAIN_ADD, &body);
}

void ts_put_plain_echo(ts_bytes *out, const char *text)
{
    ts_bytes body = {0};

    ts_put_echo_message(&body, text);
    put_frame(out, TS_PLAIN_ECHO, &body);
}

/* Where the reader is inside one frame or one Metadata. */
typedef struct cursor {
    const unsigned char *at;
    size_t left;
    uint32_t last; /* the number of the field before */
} cursor;

/* A field of a frame: `value` is the varint, or the length of what `data` points to. */
typedef struct field {
    uint32_t number;
    unsigned wire_type;
    uint64_t value;
    const unsigned char *data;
} field;

static uint64_t take_varint(cursor *in, const char *what)
{
    uint64_t value = 0;
    size_t size = ts_get_varint(in->at, in->left, VARINT_MAX, &value);

    TS_CHECK(size > 0 && size <= VARINT_MAX, "the server sent a %s that does not end inside its frame", what);
    TS_CHECK(size == ts_varint_size(value), "the server sent a %s of %zu bytes for %llu", what, size,
             (unsigned long long)value);
    in->at += size;
    in->left -= size;
    return value;
}

static bool next_field(cursor *in, field *out)
{
    uint64_t tag;

    if (!in->left)
        return false;
    tag = take_varint(in, "tag");
    *out = (field){.number = (uint32_t)(tag >> 3), .wire_type = (unsigned)(tag & 7)};
    TS_CHECK(out->number >= in->last, "the server sent field %u behind field %u", out->number, in->last);
    in->last = out->number;
    out->value = take_varint(in, "value");
    if (out->wire_type == TS_LENGTH) {
        TS_CHECK(out->value <= in->left, "the server sent a field of %llu bytes where %zu are left",
                 (unsigned long long)out->value, in->left);
        out->data = in->at;
        in->at += out->value;
        in->left -= out->value;
    } else {
        TS_CHECK(out->wire_type == TS_VARINT, "the server sent wire type %u", out->wire_type);
    }
    return true;
}

static void read_metadata(ts_frame *frame, const field *entry)
{
    cursor in = {entry->data, entry->value, 0};
    ts_entry *out;
    field part;

    TS_CHECK(frame->metadata_count < TS_METADATA_ROOM, "the server sent more than %d metadata entries", TS_METADATA_ROOM);
    out = &frame->metadata[frame->metadata_count++];
    *out = (ts_entry){.value = (const unsigned char *)""};
    while (next_field(&in, &part)) {
        TS_CHECK(part.wire_type == TS_LENGTH, "the server sent metadata of wire type %u", part.wire_type);
        if (part.number == 1) {
            TS_CHECK(part.value < TS_KEY_ROOM, "the server sent a key of %llu bytes", (unsigned long long)part.value);
            memcpy(out->key, part.data, part.value);
        } else {
            TS_CHECK(part.number == 2, "the server sent field %u in a Metadata", part.number);
            out->value = part.data;
            out->size = part.value;
        }
    }
}

static void read_text(ts_frame *frame, const field *text)
{
    TS_CHECK(text->value < TS_MESSAGE_ROOM, "the server sent a text of %llu bytes", (unsigned long long)text->value);
    memcpy(frame->message, text->data, text->value);
    frame->message[text->value] = '\0';
}

static void read_id(ts_frame *frame, const field *part)
{
    frame->id = part->value;
    frame->has_id = true;
    TS_CHECK(part->value > 0, "the server sent an id of 0 in a frame %s", ts_frame_name(frame->number));
}

static void read_body(ts_frame *frame, const field *part)
{
    frame->has_body = true;
    frame->body = part->data;
    frame->body_size = part->value;
}

/* Every pair of a frame and a field that a server may write, with the wire type it has. */
static bool read_part(ts_frame *frame, const field *part)
{
    if (part->number > 15)
        return false;
    switch (frame->number << 8 | part->number << 4 | part->wire_type) {
    case TS_ITEM << 8 | 1 << 4 | TS_VARINT:
    case TS_END << 8 | 1 << 4 | TS_VARINT:
    case TS_CREDIT << 8 | 1 << 4 | TS_VARINT:
    case TS_HEAD << 8 | 1 << 4 | TS_VARINT:
        read_id(frame, part);
        return true;
    case TS_END << 8 | 2 << 4 | TS_VARINT:
    case TS_GO_AWAY << 8 | 1 << 4 | TS_VARINT:
        frame->code = (uint32_t)part->value;
        return true;
    case TS_END << 8 | 3 << 4 | TS_LENGTH:
    case TS_GO_AWAY << 8 | 2 << 4 | TS_LENGTH:
        read_text(frame, part);
        return true;
    case TS_END << 8 | 4 << 4 | TS_LENGTH:
    case TS_HEAD << 8 | 4 << 4 | TS_LENGTH:
        read_metadata(frame, part);
        return true;
    case TS_ITEM << 8 | 15 << 4 | TS_LENGTH:
    case TS_END << 8 | 15 << 4 | TS_LENGTH:
    case TS_PING << 8 | 1 << 4 | TS_LENGTH:
    case TS_PONG << 8 | 1 << 4 | TS_LENGTH:
        read_body(frame, part);
        return true;
    case TS_CREDIT << 8 | 2 << 4 | TS_VARINT:
        frame->items = (uint32_t)part->value;
        return true;
    case TS_CREDIT << 8 | 3 << 4 | TS_VARINT:
        frame->bytes = (uint32_t)part->value;
        return true;
    case TS_GO_AWAY << 8 | 3 << 4 | TS_VARINT:
        frame->last_id = part->value;
        return true;
    default:
        return false;
    }
}

static void read_inside(ts_frame *frame)
{
    cursor in = {frame->payload, frame->payload_size, 0};
    field part;

    TS_CHECK(frame->number >= TS_ITEM && frame->number <= TS_HEAD && frame->number != TS_CANCEL,
             "the server sent a frame of number %u", frame->number);
    while (next_field(&in, &part))
        TS_CHECK(read_part(frame, &part), "the server sent field %u of wire type %u in a frame %s", part.number,
                 part.wire_type, ts_frame_name(frame->number));
    TS_CHECK(frame->number == TS_END || frame->has_id || frame->number > TS_CREDIT,
             "the server sent a frame %s without an id", ts_frame_name(frame->number));
}

size_t ts_frame_read(const unsigned char *data, size_t size, ts_frame *frame)
{
    uint64_t tag = 0, length = 0;
    size_t tag_size = ts_get_varint(data, size, TAG_MAX, &tag);
    size_t length_size;

    if (!tag_size)
        return 0;
    TS_CHECK(tag_size <= TAG_MAX && tag_size == ts_varint_size(tag), "the server sent a tag of %zu bytes", tag_size);
    TS_CHECK((tag & 7) == TS_LENGTH, "the server sent wire type %u", (unsigned)(tag & 7));
    length_size = ts_get_varint(data + tag_size, size - tag_size, LENGTH_MAX, &length);
    if (!length_size)
        return 0;
    TS_CHECK(length_size <= LENGTH_MAX && length_size == ts_varint_size(length),
             "the server sent a length of %zu bytes", length_size);
    if (size - tag_size - length_size < length)
        return 0;
    memset(frame, 0, offsetof(ts_frame, metadata));
    frame->number = (uint32_t)(tag >> 3);
    frame->payload = data + tag_size + length_size;
    frame->payload_size = length;
    if (frame->number > LAST_PLAIN) {
        read_inside(frame);
    } else {
        frame->has_body = true;
        frame->body = frame->payload;
        frame->body_size = frame->payload_size;
    }
    return tag_size + length_size + length;
}

const char *ts_frame_name(uint32_t number)
{
    static const char *const names[] = {"Call", "Item", "End", "Cancel", "Credit", "Ping", "Pong", "GoAway", "Head"};

    if (number <= LAST_PLAIN)
        return "plain";
    return number <= TS_HEAD ? names[number - TS_CALL] : "unknown";
}

const ts_entry *ts_frame_find(const ts_frame *frame, const char *key)
{
    for (size_t i = 0; i < frame->metadata_count; i++)
        if (!strcmp(frame->metadata[i].key, key))
            return &frame->metadata[i];
    return NULL;
}
