/* SPDX-License-Identifier: MIT */
/*
 * What both sides of the benchmark know of the wire, by hand: varints, fields, and where a frame
 * ends. All of it is inline, nothing allocates, and every read is checked against its end: the
 * limit would not be an honest one if it trusted its peer.
 */
#ifndef MSGSRV_BENCH_WIRE_H
#define MSGSRV_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_MAX (4u * 1024 * 1024 + 16 * 1024) /* bytes: the default message limit, and 16 KiB */
#define FRAME_HEADER_MAX 10                      /* bytes: a tag and a length of 5 bytes each */

enum { FRAME_CALL = 16, FRAME_ITEM = 17, FRAME_END = 18, FRAME_CREDIT = 20, FRAME_GOAWAY = 23 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* Tags of one byte that both sides write. */
enum {
    TAG_ID = 0x08,           /* 1, varint */
    TAG_CODE = 0x10,         /* 2, varint: End */
    TAG_METHOD = 0x12,       /* 2, bytes: Call */
    TAG_TIMEOUT_MS = 0x18,   /* 3, varint: Call */
    TAG_CREDIT = 0x28,       /* 5, varint: Call */
    TAG_STREAMING = 0x30,    /* 6, varint: Call */
    TAG_CREDIT_BYTES = 0x38, /* 7, varint: Call */
    TAG_ITEMS = 0x10,        /* 2, varint: Credit */
    TAG_BYTES = 0x18,        /* 3, varint: Credit */
    TAG_BODY = 0x7a,         /* 15, bytes */
    TAG_FIRST_INT = 0x08,    /* AddRequest.a, AddResponse.result */
    TAG_SECOND_INT = 0x10,   /* AddRequest.b */
    TAG_TEXT = 0x0a          /* EchoMessage.text */
};

#define METHOD_ADD "/messages.Demo/Add"
#define METHOD_ECHO "/messages.Demo/Echo"
#define METHOD_GIVE "/bench.Streams/Give"
#define METHOD_CHAT "/bench.Streams/Chat"

#define FIRST_ITEMS 64u           /* a stream's credit until there is more, each way */
#define FIRST_BYTES (256u * 1024) /* the same */
#define FLOWS_MAX 64u             /* streams of one connection, in the limit */

/* A field as it lies in the buffer. `value` is the varint, or for bytes their length. */
struct field {
    uint32_t number;
    uint32_t type;
    uint64_t value;
    const unsigned char *data;
};

static inline size_t varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static inline unsigned char *put_varint(unsigned char *p, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *p++ = (unsigned char)(value | 0x80);
    *p++ = (unsigned char)value;
    return p;
}

/* A frame's tag of two bytes (numbers 16 and up) and its length. */
static inline unsigned char *put_frame_header(unsigned char *p, unsigned number, size_t len)
{
    unsigned tag = number << 3 | WIRE_BYTES;

    *p++ = (unsigned char)(tag | 0x80);
    *p++ = (unsigned char)(tag >> 7);
    return put_varint(p, len);
}

static inline unsigned char *put_bytes(unsigned char *p, const void *data, size_t len)
{
    memcpy(p, data, len);
    return p + len;
}

/* Returns what follows the varint; NULL when it has over 10 bytes or goes on beyond `end`. */
static inline const unsigned char *get_varint(const unsigned char *p, const unsigned char *end, uint64_t *value)
{
    uint64_t sum = 0;

    if (p < end && *p < 0x80) {
        *value = *p;
        return p + 1;
    }
    for (unsigned shift = 0; p < end && shift < 70; shift += 7) {
        sum |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *value = sum;
            return p;
        }
    }
    return NULL;
}

/* Reads one field of a message; returns what follows it, or NULL when it is malformed. */
static inline const unsigned char *get_field(const unsigned char *p, const unsigned char *end, struct field *field)
{
    uint64_t tag;

    p = get_varint(p, end, &tag);
    if (p == NULL || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return NULL;
    field->number = (uint32_t)(tag >> 3);
    field->type = (uint32_t)(tag & 7);
    field->data = p;
    if (field->type == WIRE_VARINT)
        return get_varint(p, end, &field->value);
    if (field->type == WIRE_BYTES) {
        p = get_varint(p, end, &field->value);
        if (p == NULL || field->value > (uint64_t)(end - p))
            return NULL;
    } else if (field->type == WIRE_FIXED32 || field->type == WIRE_FIXED64) {
        field->value = field->type == WIRE_FIXED32 ? 4 : 8;
        if ((uint64_t)(end - p) < field->value)
            return NULL;
    } else {
        return NULL;
    }
    field->data = p;
    return p + field->value;
}

/* What an Item's body, of a message with one text, has in bytes. */
static inline size_t text_size(size_t len)
{
    return len == 0 ? 0 : 1 + varint_size(len) + len;
}

/* A whole Item with a text. */
static inline unsigned char *put_item(unsigned char *p, uint64_t id, const void *text, size_t len)
{
    size_t body = text_size(len);

    p = put_frame_header(p, FRAME_ITEM, 2 + varint_size(id) + varint_size(body) + body);
    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_BODY;
    p = put_varint(p, body);
    if (len == 0)
        return p;
    *p++ = TAG_TEXT;
    p = put_varint(p, len);
    return put_bytes(p, text, len);
}

static inline unsigned char *put_credit(unsigned char *p, uint64_t id, uint64_t items, uint64_t bytes)
{
    p = put_frame_header(p, FRAME_CREDIT, 3 + varint_size(id) + varint_size(items) + varint_size(bytes));
    *p++ = TAG_ID;
    p = put_varint(p, id);
    *p++ = TAG_ITEMS;
    p = put_varint(p, items);
    *p++ = TAG_BYTES;
    return put_varint(p, bytes);
}

/* An Item or a Credit. */
struct flow_frame {
    uint64_t id, items, bytes;
    const unsigned char *body;
    size_t body_len;
};

static inline bool get_flow_frame(const unsigned char *p, size_t len, struct flow_frame *frame)
{
    const unsigned char *end = p + len;
    struct field field;

    *frame = (struct flow_frame){0, 0, 0, p, 0};
    while (p < end) {
        p = get_field(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT) {
            frame->id = field.value;
        } else if (field.number == 2 && field.type == WIRE_VARINT) {
            frame->items = field.value;
        } else if (field.number == 3 && field.type == WIRE_VARINT) {
            frame->bytes = field.value;
        } else if (field.number == 15 && field.type == WIRE_BYTES) {
            frame->body = field.data;
            frame->body_len = (size_t)field.value;
        }
    }
    return true;
}

enum frame_state { FRAME_WHOLE, FRAME_SHORT, FRAME_BAD };

/* A frame's header as far as it is known: FRAME_SHORT says that more bytes are needed for it. */
struct frame {
    uint32_t number;
    size_t header; /* bytes of tag and length */
    size_t len;    /* bytes after them */
};

static inline enum frame_state get_frame(const unsigned char *p, size_t have, struct frame *frame)
{
    const unsigned char *end = p + have, *after;
    uint64_t tag, len;

    after = get_varint(p, end, &tag);
    if (after != NULL && ((tag & 7) != WIRE_BYTES || tag >> 3 == 0 || tag > UINT32_MAX))
        return FRAME_BAD;
    if (after != NULL)
        after = get_varint(after, end, &len);
    if (after == NULL)
        return have < FRAME_HEADER_MAX ? FRAME_SHORT : FRAME_BAD;
    if (len > FRAME_MAX)
        return FRAME_BAD;
    frame->number = (uint32_t)(tag >> 3);
    frame->header = (size_t)(after - p);
    frame->len = (size_t)len;
    return FRAME_WHOLE;
}

#endif
