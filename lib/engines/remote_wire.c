/* SPDX-License-Identifier: MIT */
/* Bytes of msgsrv.bus.v1.Bus. */
#include "engines/remote_wire.h"

#include <stdlib.h>

#include "base/error.h"

#define HEADERS_MAX 248u /* of 8 KiB, each 33 bytes at least */

#define METHOD(KIND, NAME)                                                                                  \
    {                                                                                                       \
        MSGSRV_GENERATED_ABI, MSGSRV_##KIND, "/msgsrv.bus.v1.Bus/" NAME, &msgsrv_raw_type, &msgsrv_raw_type \
    }

const msgsrv_method msi_bus_methods[MSI_BUS_METHOD_COUNT] = {
    [MSI_BUS_PUBLISH] = METHOD(UNARY, "Publish"),
    [MSI_BUS_PUBLISH_STREAM] = METHOD(BIDI_STREAMING, "PublishStream"),
    [MSI_BUS_SUBSCRIBE] = METHOD(SERVER_STREAMING, "Subscribe"),
    [MSI_BUS_CONSUME] = METHOD(BIDI_STREAMING, "Consume"),
    [MSI_BUS_REQUEST] = METHOD(UNARY, "Request"),
    [MSI_BUS_REPLY] = METHOD(UNARY, "Reply"),
    [MSI_BUS_DECLARE_TOPIC] = METHOD(UNARY, "DeclareTopic"),
    [MSI_BUS_DECLARE_QUEUE] = METHOD(UNARY, "DeclareQueue"),
    [MSI_BUS_DELETE_QUEUE] = METHOD(UNARY, "DeleteQueue"),
    [MSI_BUS_QUEUES] = METHOD(UNARY, "Queues"),
    [MSI_BUS_PEEK] = METHOD(UNARY, "Peek"),
    [MSI_BUS_RETRY] = METHOD(UNARY, "Retry"),
    [MSI_BUS_PURGE] = METHOD(UNARY, "Purge"),
};

/* Writing. */

static uint8_t *room_for(msi_writer *to, size_t size)
{
    if (to->failed || !msi_buf_reserve(to->out, size)) {
        to->failed = true;
        return NULL;
    }
    return to->out->data + to->out->len;
}

static void wrote(msi_writer *to, const uint8_t *end)
{
    to->out->len = (size_t)(end - to->out->data);
}

void msi_put_number_always(msi_writer *to, uint32_t field, uint64_t value)
{
    uint8_t *at = room_for(to, 15);
    if (at)
        wrote(to, msi_varint_put(msi_varint_put(at, field << 3 | MSI_WIRE_VARINT), value));
}

void msi_put_number(msi_writer *to, uint32_t field, uint64_t value)
{
    if (value)
        msi_put_number_always(to, field, value);
}

void msi_put_fixed64(msi_writer *to, uint32_t field, uint64_t value)
{
    uint8_t *at = value ? room_for(to, 13) : NULL;
    if (!at)
        return;
    at = msi_varint_put(at, field << 3 | MSI_WIRE_FIXED64);
    for (unsigned i = 0; i < 8; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    wrote(to, at);
}

static uint8_t *put_view(uint8_t *at, uint32_t field, msi_view value)
{
    at = msi_varint_put(at, field << 3 | MSI_WIRE_BYTES);
    at = msi_varint_put(at, value.size);
    if (value.size)
        memcpy(at, value.data, value.size);
    return at + value.size;
}

void msi_put_bytes(msi_writer *to, uint32_t field, msi_view value)
{
    uint8_t *at = value.size ? room_for(to, value.size + 15) : NULL;
    if (at)
        wrote(to, put_view(at, field, value));
}

void msi_put_text(msi_writer *to, uint32_t field, const char *text)
{
    if (text)
        msi_put_bytes(to, field, msi_view_of(text));
}

/* The length of a message within is written in five bytes, so that nothing has to be moved: longer than need be, which protobuf allows. */
#define LENGTH_BYTES 5u

size_t msi_put_begin(msi_writer *to, uint32_t field)
{
    uint8_t *at = room_for(to, 5 + LENGTH_BYTES);
    if (!at)
        return 0;
    at = msi_varint_put(at, field << 3 | MSI_WIRE_BYTES);
    wrote(to, at + LENGTH_BYTES);
    return to->out->len;
}

void msi_put_end(msi_writer *to, size_t begun)
{
    if (to->failed)
        return;
    size_t size = to->out->len - begun;
    uint8_t *at = to->out->data + begun - LENGTH_BYTES;
    for (unsigned i = 0; i < LENGTH_BYTES - 1; i++, size >>= 7)
        *at++ = (uint8_t)(size | 0x80);
    *at = (uint8_t)(size & 0x7f);
}

static size_t view_size(msi_view value)
{
    return value.size ? 1 + msi_varint_size(value.size) + value.size : 0;
}

static size_t number_size(uint64_t value)
{
    return value ? 1 + msi_varint_size(value) : 0;
}

static msi_view value_of(const msgsrv_metadata *header)
{
    return (msi_view){header->value, header->size};
}

static size_t header_size(const msgsrv_metadata *header)
{
    return view_size(msi_view_of(header->key)) + view_size(value_of(header));
}

static size_t inner_size(const msi_publication *publication)
{
    size_t size = view_size(publication->topic) + view_size(publication->type) + view_size(publication->payload) +
                  view_size(publication->id) + number_size(publication->ttl_ms) + number_size(publication->delay_ms);
    for (uint32_t i = 0; i < publication->header_count; i++) {
        size_t one = header_size(&publication->headers[i]);
        size += 1 + msi_varint_size(one) + one;
    }
    return size;
}

size_t msi_publication_size(const msi_publication *publication)
{
    size_t inner = inner_size(publication);
    return 1 + msi_varint_size(inner) + inner;
}

static uint8_t *put_some(uint8_t *at, uint32_t field, msi_view value)
{
    return value.size ? put_view(at, field, value) : at;
}

static uint8_t *put_some_number(uint8_t *at, uint32_t field, uint64_t value)
{
    return value ? msi_varint_put(msi_varint_put(at, field << 3 | MSI_WIRE_VARINT), value) : at;
}

static uint8_t *put_header(uint8_t *at, const msgsrv_metadata *header)
{
    at = msi_varint_put(at, 8 << 3 | MSI_WIRE_BYTES);
    at = msi_varint_put(at, header_size(header));
    at = put_some(at, 1, msi_view_of(header->key));
    return put_some(at, 2, value_of(header));
}

void msi_put_publication(msi_writer *to, const msi_publication *publication)
{
    size_t inner = inner_size(publication);
    uint8_t *at = room_for(to, inner + 1 + msi_varint_size(inner));
    if (!at)
        return;
    at = msi_varint_put(at, 1 << 3 | MSI_WIRE_BYTES);
    at = msi_varint_put(at, inner);
    at = put_some(at, 1, publication->topic);
    at = put_some(at, 2, publication->type);
    at = put_some(at, 4, publication->payload);
    for (uint32_t i = 0; i < publication->header_count; i++)
        at = put_header(at, &publication->headers[i]);
    at = put_some(at, 13, publication->id);
    at = put_some_number(at, 14, publication->ttl_ms);
    wrote(to, put_some_number(at, 15, publication->delay_ms));
}

/* Reading. */

bool msi_read_next(msi_reader *from, msi_wire_field *field)
{
    if (from->failed || from->at >= from->end)
        return false;
    from->at = msi_wire_field_get(from->at, from->end, field);
    from->failed = from->at == NULL;
    return !from->failed;
}

static msgsrv_status malformed(const char *what, msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INTERNAL, "the server sent what is not %s", what);
}

/* What a name may be made of at least: it is shown to people and compared as a C string. */
static bool printable(msi_view name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < 0x20 || name.data[i] > 0x7e)
            return false;
    }
    return true;
}

static bool keep_name(msi_kept_name *kept, msi_view name)
{
    if (kept->size == name.size && memcmp(kept->text, name.data, name.size) == 0)
        return true;
    if (name.size >= sizeof kept->text || !printable(name))
        return false;
    memcpy(kept->text, name.data, name.size);
    kept->text[name.size] = '\0';
    kept->size = name.size;
    return true;
}

static void forget_name(msi_kept_name *kept)
{
    kept->size = 0;
    kept->text[0] = '\0';
}

static bool read_header(msi_view from, msi_view *key, msi_view *value)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    *key = *value = (msi_view){(const uint8_t *)"", 0};
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES))
            *key = field.bytes;
        else if (msi_is(&field, 2, MSI_WIRE_BYTES))
            *value = field.bytes;
    }
    return !reader.failed && key->size && printable(*key);
}

/* Headers: copies with NULs, in one piece of memory whose size is known before. */
static msgsrv_status read_headers(msi_event_reader *to, msi_view from, msgsrv_event *event, msgsrv_error *error)
{
    if (event->header_count > HEADERS_MAX)
        return malformed("an event: it has too many headers", error);
    if (!to->headers)
        to->headers = calloc(HEADERS_MAX, sizeof *to->headers);
    to->text.len = 0;
    if (!to->headers || !msi_buf_reserve(&to->text, from.size + 2 * HEADERS_MAX))
        return msi_error_memory(error);
    char *at = (char *)to->text.data;
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    size_t count = 0;
    while (msi_read_next(&reader, &field) && count < event->header_count) {
        msi_view key;
        msi_view value;
        if (!msi_is(&field, 8, MSI_WIRE_BYTES))
            continue;
        if (!read_header(field.bytes, &key, &value))
            return malformed("a header", error);
        char *key_at = at;
        memcpy(at, key.data, key.size);
        at[key.size] = '\0';
        at += key.size + 1;
        if (value.size)
            memcpy(at, value.data, value.size);
        at[value.size] = '\0';
        to->headers[count++] = (msgsrv_metadata){key_at, at, value.size};
        at += value.size + 1;
    }
    event->headers = to->headers;
    return MSGSRV_OK;
}

static bool take_text(msi_event_reader *to, const msi_wire_field *field, msgsrv_event *event)
{
    switch (field->number) {
    case 1:
        return keep_name(&to->topic, field->bytes);
    case 2:
        return keep_name(&to->type, field->bytes);
    case 4:
        event->payload = field->bytes.data;
        event->payload_size = field->bytes.size;
        return true;
    case 7:
        return keep_name(&to->publisher, field->bytes);
    case 8:
        event->header_count++;
        return true;
    default:
        return true;
    }
}

static void take_number(const msi_wire_field *field, msgsrv_event *event)
{
    bool fixed = field->type == MSI_WIRE_FIXED64;
    switch (field->number) {
    case 3:
        event->epoch = fixed ? field->value : 0;
        break;
    case 5:
        event->sequence = field->value;
        break;
    case 6:
        event->time_us = fixed ? field->value : 0;
        break;
    case 9:
        event->replaced = field->value;
        break;
    case 10:
        event->retained = field->value != 0;
        break;
    case 11:
        event->redelivered = field->value != 0;
        break;
    case 12:
        event->request = field->value;
        break;
    default:
        break;
    }
}

msgsrv_status msi_event_read(msi_event_reader *to, msi_view from, msgsrv_event *event, msgsrv_error *error)
{
    *event = (msgsrv_event){.payload = ""};
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    unsigned names = 0;
    while (msi_read_next(&reader, &field)) {
        if (field.type != MSI_WIRE_BYTES)
            take_number(&field, event);
        else if (!take_text(to, &field, event))
            return malformed("an event: a name in it is not printable, or too long", error);
        if (field.type == MSI_WIRE_BYTES && (field.number == 1 || field.number == 2 || field.number == 7))
            names |= 1u << field.number;
    }
    if (reader.failed || !(names & 1u << 1) || to->topic.size == 0)
        return malformed(reader.failed ? "an event" : "an event: it has no topic", error);
    if (!(names & 1u << 2))
        forget_name(&to->type);
    if (!(names & 1u << 7))
        forget_name(&to->publisher);
    event->topic = to->topic.text;
    event->type = to->type.text;
    event->publisher = to->publisher.text;
    return event->header_count ? read_headers(to, from, event, error) : MSGSRV_OK;
}

void msi_event_reader_release(msi_event_reader *reader)
{
    msi_buf_release(&reader->text);
    free(reader->headers);
    reader->headers = NULL;
}

static bool read_gap_topic(msi_view from, msgsrv_gap_topic *topic, char *name)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    *topic = (msgsrv_gap_topic){.topic = name};
    name[0] = '\0';
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_BYTES)) {
            if (field.bytes.size > 255 || !printable(field.bytes))
                return false;
            memcpy(name, field.bytes.data, field.bytes.size);
            name[field.bytes.size] = '\0';
        } else if (msi_is(&field, 2, MSI_WIRE_VARINT)) {
            topic->first = field.value;
        } else if (msi_is(&field, 3, MSI_WIRE_VARINT)) {
            topic->last = field.value;
        } else if (msi_is(&field, 4, MSI_WIRE_VARINT)) {
            topic->count = field.value;
        }
    }
    return !reader.failed;
}

msgsrv_status msi_gap_read(msi_read_gap *to, msi_view from, msgsrv_error *error)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    to->gap = (msgsrv_gap){.reason = MSGSRV_GAP_ENGINE, .topics = to->topics};
    while (msi_read_next(&reader, &field)) {
        size_t count = to->gap.topic_count;
        if (msi_is(&field, 1, MSI_WIRE_VARINT))
            to->gap.total = field.value;
        else if (msi_is(&field, 2, MSI_WIRE_VARINT))
            to->gap.unknown = field.value != 0;
        else if (msi_is(&field, 3, MSI_WIRE_VARINT) && field.value >= MSGSRV_GAP_SLOW && field.value <= MSGSRV_GAP_ENGINE)
            to->gap.reason = (msgsrv_gap_reason)field.value;
        if (!msi_is(&field, 4, MSI_WIRE_BYTES) || count == MSGSRV_GAP_TOPICS)
            continue;
        if (!read_gap_topic(field.bytes, &to->topics[count], to->names[count]))
            return malformed("a gap", error);
        to->gap.topic_count++;
    }
    return reader.failed ? malformed("a gap", error) : MSGSRV_OK;
}

void msi_text_copy(char *to, size_t room, msi_view from)
{
    size_t size = from.size < room - 1 ? from.size : room - 1;
    const uint8_t *nul = size ? memchr(from.data, 0, size) : NULL;
    if (nul)
        size = (size_t)(nul - from.data);
    if (size)
        memcpy(to, from.data, size);
    to[size] = '\0';
}
