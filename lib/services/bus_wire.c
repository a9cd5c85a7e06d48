/* SPDX-License-Identifier: MIT */
#include "services/bus_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "base/zero.h"

#define HEADERS_MAX 256u /* each counts 32 bytes of at most 8 KiB */

enum { /* fields of the messages that are read or written as a whole here */
       PUBLICATION_TOPIC = 1,
       PUBLICATION_TYPE = 2,
       PUBLICATION_PAYLOAD = 4,
       PUBLICATION_HEADERS = 8,
       PUBLICATION_ID = 13,
       PUBLICATION_TTL_MS = 14,
       PUBLICATION_DELAY_MS = 15,
       HEADER_KEY = 1,
       HEADER_VALUE = 2,
       GAP_TOTAL = 1,
       GAP_UNKNOWN = 2,
       GAP_REASON = 3,
       GAP_TOPICS = 4,
       GAP_TOPIC_TOPIC = 1,
       GAP_TOPIC_FIRST = 2,
       GAP_TOPIC_LAST = 3,
       GAP_TOPIC_COUNT = 4,
       REFUSAL_NUMBER = 1,
       REFUSAL_CODE = 2,
       REFUSAL_TEXT = 3,
       RECEIPT_NUMBER = 1,
       RECEIPT_SEQUENCE = 2,
       RECEIPT_EPOCH = 3,
       RECEIPT_DUPLICATE = 4,
       EVENT_TOPIC = 1,
       EVENT_TYPE = 2,
       EVENT_EPOCH = 3,
       EVENT_PAYLOAD = 4,
       EVENT_SEQUENCE = 5,
       EVENT_TIME = 6,
       EVENT_PUBLISHER = 7,
       EVENT_HEADERS = 8,
       EVENT_REPLACED = 9,
       EVENT_RETAINED = 10,
       EVENT_REDELIVERED = 11,
       EVENT_REQUEST = 12,
};

static const uint8_t nothing[1];

/* ---- in ---- */

static const uint32_t wire_types[] = {
    [MSI_BUS_TEXT] = MSI_WIRE_BYTES,          [MSI_BUS_BYTES] = MSI_WIRE_BYTES,     [MSI_BUS_U32] = MSI_WIRE_VARINT,
    [MSI_BUS_U64] = MSI_WIRE_VARINT,          [MSI_BUS_FIXED64] = MSI_WIRE_FIXED64, [MSI_BUS_BOOL] = MSI_WIRE_VARINT,
    [MSI_BUS_OPTIONAL_U32] = MSI_WIRE_VARINT, [MSI_BUS_LIST] = MSI_WIRE_BYTES,
};

static msgsrv_status check_text(const char *message, const char *name, msi_view text, msgsrv_error *error)
{
    switch (msi_text_check(text.data, text.size)) {
    case MSI_TEXT_OK:
        return MSGSRV_OK;
    case MSI_TEXT_NUL:
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s.%s has a NUL in it", message, name);
    case MSI_TEXT_NOT_UTF8:
        break;
    }
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s.%s is not UTF-8", message, name);
}

static msgsrv_status store(const msi_bus_message *type, const msi_bus_field *field, const msi_wire_field *from,
                           void *member, msgsrv_error *error)
{
    msgsrv_status status = MSGSRV_OK;
    switch (field->kind) {
    case MSI_BUS_TEXT:
        status = check_text(type->name, field->name, from->bytes, error);
        *(msi_view *)member = from->bytes;
        break;
    case MSI_BUS_BYTES:
        *(msi_view *)member = from->bytes;
        break;
    case MSI_BUS_U32:
        *(uint32_t *)member = (uint32_t)from->value;
        break;
    case MSI_BUS_U64:
    case MSI_BUS_FIXED64:
        *(uint64_t *)member = from->value;
        break;
    case MSI_BUS_BOOL:
        *(bool *)member = from->value != 0;
        break;
    case MSI_BUS_OPTIONAL_U32:
        *(msi_bus_optional *)member = (msi_bus_optional){true, (uint32_t)from->value};
        break;
    case MSI_BUS_LIST:
        ((msi_bus_list *)member)->count++;
        break;
    }
    return status;
}

static const msi_bus_field *find_field(const msi_bus_message *type, uint32_t number)
{
    for (size_t i = 0; i < type->count; i++) {
        if (type->fields[i].number == number)
            return &type->fields[i];
    }
    return NULL;
}

/* What members are without their field. */
static void clear(const msi_bus_message *type, msi_view bytes, void *message)
{
    for (size_t i = 0; i < type->count; i++) {
        const msi_bus_field *field = &type->fields[i];
        void *member = (char *)message + field->offset;
        if (field->kind == MSI_BUS_TEXT || field->kind == MSI_BUS_BYTES)
            *(msi_view *)member = (msi_view){nothing, 0};
        else if (field->kind == MSI_BUS_LIST)
            *(msi_bus_list *)member = (msi_bus_list){bytes, field->number, 0};
    }
}

msgsrv_status msi_bus_parse(const msi_bus_message *type, msi_view bytes, void *message, msgsrv_error *error)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    msi_wire_field from;
    msgsrv_status status = MSGSRV_OK;
    clear(type, bytes, message);
    while (at < end && status == MSGSRV_OK) {
        at = msi_wire_field_get(at, end, &from);
        if (!at)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is not well-formed protobuf", type->name);
        const msi_bus_field *field = find_field(type, from.number);
        if (field && from.type != wire_types[field->kind])
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s.%s has the wire type %u, expected %u", type->name,
                             field->name, from.type, wire_types[field->kind]);
        if (field)
            status = store(type, field, &from, (char *)message + field->offset, error);
    }
    return status;
}

bool msi_bus_next(const msi_bus_list *list, const uint8_t **at, msi_view *element)
{
    const uint8_t *end = list->in.data + list->in.size;
    msi_wire_field from;
    if (!*at)
        *at = list->in.data;
    while (*at && *at < end) {
        *at = msi_wire_field_get(*at, end, &from);
        if (*at && from.number == list->number) {
            *element = from.bytes;
            return true;
        }
    }
    return false;
}

char *msi_bus_string(msi_view text)
{
    char *string = malloc(text.size + 1);
    if (!string)
        return NULL;
    memcpy(string, text.data, text.size);
    string[text.size] = 0;
    return string;
}

/* ---- publications ---- */

typedef struct header {
    msi_view key;
    msi_view value;
} header;

static const msi_bus_field header_fields[] = {
    MSI_BUS_FIELD(header, HEADER_KEY, TEXT, key),
    MSI_BUS_FIELD(header, HEADER_VALUE, BYTES, value),
};
static const msi_bus_message header_message = MSI_BUS_MESSAGE("Header", header_fields);

/* One block: the entries, and behind them their keys, NUL-terminated. Each key is at most as long as the bytes that it came in. */
static msgsrv_status get_headers(const msi_bus_list *list, msi_bus_publication *publication, msgsrv_error *error)
{
    if (list->count > HEADERS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%u headers are more than %u", list->count, HEADERS_MAX);
    const uint8_t *at = NULL;
    msi_view element;
    size_t room = list->count * sizeof *publication->headers;
    while (msi_bus_next(list, &at, &element))
        room += element.size + 1;
    msgsrv_metadata *headers = malloc(room);
    if (!headers)
        return msi_error_memory(error);
    char *key = (char *)(headers + list->count);
    uint32_t count = 0;
    msgsrv_status status = MSGSRV_OK;
    at = NULL;
    while (status == MSGSRV_OK && msi_bus_next(list, &at, &element)) {
        header from;
        status = msi_bus_parse(&header_message, element, &from, error);
        if (status)
            break;
        memcpy(key, from.key.data, from.key.size);
        key[from.key.size] = 0;
        headers[count++] = (msgsrv_metadata){key, from.value.size ? from.value.data : nothing, from.value.size};
        key += from.key.size + 1;
    }
    if (status == MSGSRV_OK)
        status = msi_check_headers(headers, count, error);
    if (status) {
        free(headers);
        return status;
    }
    publication->headers = headers;
    publication->is.headers = headers;
    publication->is.header_count = count;
    return MSGSRV_OK;
}

static msgsrv_status bad_publication(msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the Publication is not well-formed protobuf");
}

/* One field; false: it has the wrong wire type. */
static bool take_field(msi_publication *is, const msi_wire_field *from, uint32_t *headers)
{
    bool number = from->number == PUBLICATION_TTL_MS || from->number == PUBLICATION_DELAY_MS;
    switch (from->number) {
    case PUBLICATION_TOPIC:
        is->topic = from->bytes;
        break;
    case PUBLICATION_TYPE:
        is->type = from->bytes;
        break;
    case PUBLICATION_PAYLOAD:
        is->payload = from->bytes;
        break;
    case PUBLICATION_HEADERS:
        ++*headers;
        break;
    case PUBLICATION_ID:
        is->id = from->bytes;
        break;
    case PUBLICATION_TTL_MS:
        is->ttl_ms = (uint32_t)from->value;
        break;
    case PUBLICATION_DELAY_MS:
        is->delay_ms = (uint32_t)from->value;
        break;
    default:
        return true;
    }
    return from->type == (number ? MSI_WIRE_VARINT : MSI_WIRE_BYTES);
}

/* A field of bytes where and as short as it usually is; otherwise nothing is read. */
static const uint8_t *take_usual(const uint8_t *at, const uint8_t *end, uint32_t number, msi_view *view)
{
    if (end - at < 2 || at[0] != (number << 3 | MSI_WIRE_BYTES) || at[1] >= 0x80 || at[1] > end - at - 2)
        return at;
    *view = (msi_view){at + 2, at[1]};
    return at + 2 + at[1];
}

msgsrv_status msi_bus_get_publication(msi_view bytes, msi_bus_publication *publication, msgsrv_error *error)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    msi_wire_field from = {0};
    uint32_t headers = 0;
    msi_zero(publication, sizeof *publication);
    publication->is.topic.data = publication->is.type.data = publication->is.payload.data = publication->is.id.data =
        nothing;
    at = take_usual(at, end, PUBLICATION_TOPIC, &publication->is.topic);
    at = take_usual(at, end, PUBLICATION_TYPE, &publication->is.type);
    at = take_usual(at, end, PUBLICATION_PAYLOAD, &publication->is.payload);
    while (at < end) {
        at = msi_wire_field_get(at, end, &from);
        if (!at || !take_field(&publication->is, &from, &headers))
            return bad_publication(error);
    }
    if (publication->is.id.size) {
        msgsrv_status status = check_text("Publication", "id", publication->is.id, error);
        if (status)
            return status;
    }
    return headers ? get_headers(&(msi_bus_list){bytes, PUBLICATION_HEADERS, headers}, publication, error) : MSGSRV_OK;
}

/* ---- out ---- */

void msi_bus_put_number(msi_writer *to, uint32_t field, uint64_t value)
{
    if (value)
        msi_write_number(to, field, value);
}

void msi_bus_put_fixed64(msi_writer *to, uint32_t field, uint64_t value)
{
    uint8_t bytes[9] = {(uint8_t)(field << 3 | MSI_WIRE_FIXED64)};
    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (uint8_t)(value >> (8 * i));
    if (value)
        msi_write_raw(to, bytes, sizeof bytes);
}

void msi_bus_put_bytes(msi_writer *to, uint32_t field, const void *data, size_t size)
{
    if (size)
        msi_write_bytes(to, field, data, size);
}

void msi_bus_put_text(msi_writer *to, uint32_t field, const char *text)
{
    if (text)
        msi_bus_put_bytes(to, field, text, strlen(text));
}

/* One byte is left for the length, which most messages need; others are moved. */
size_t msi_bus_open(msi_writer *to, uint32_t field)
{
    msi_write_head(to, field, 0);
    return to->size;
}

void msi_bus_close(msi_writer *to, size_t opened)
{
    if (to->no_memory)
        return;
    static const uint8_t padding[4];
    size_t size = to->size - opened;
    size_t more = msi_varint_size(size) - 1;
    msi_write_raw(to, padding, more);
    if (to->no_memory)
        return;
    if (more)
        memmove(to->data + opened + more, to->data + opened, size);
    (void)msi_varint_put(to->data + opened - 1, size);
}

void msi_bus_put_gap(msi_writer *to, uint32_t field, const msi_gap *gap)
{
    msgsrv_gap view;
    msgsrv_gap_topic topics[MSGSRV_GAP_TOPICS];
    msi_gap_view(gap, &view, topics);
    size_t opened = msi_bus_open(to, field);
    msi_bus_put_number(to, GAP_TOTAL, view.total);
    msi_bus_put_number(to, GAP_UNKNOWN, view.unknown);
    msi_bus_put_number(to, GAP_REASON, (uint64_t)view.reason);
    for (size_t i = 0; i < view.topic_count; i++) {
        size_t entry = msi_bus_open(to, GAP_TOPICS);
        msi_bus_put_text(to, GAP_TOPIC_TOPIC, view.topics[i].topic);
        msi_bus_put_number(to, GAP_TOPIC_FIRST, view.topics[i].first);
        msi_bus_put_number(to, GAP_TOPIC_LAST, view.topics[i].last);
        msi_bus_put_number(to, GAP_TOPIC_COUNT, view.topics[i].count);
        msi_bus_close(to, entry);
    }
    msi_bus_close(to, opened);
}

void msi_bus_put_refusal(msi_writer *to, uint32_t field, uint64_t number, msgsrv_status code, const char *text)
{
    size_t opened = msi_bus_open(to, field);
    msi_bus_put_number(to, REFUSAL_NUMBER, number);
    msi_bus_put_number(to, REFUSAL_CODE, (uint64_t)code);
    msi_bus_put_text(to, REFUSAL_TEXT, text);
    msi_bus_close(to, opened);
}

void msi_bus_put_receipt(msi_writer *to, uint32_t field, uint64_t number, const msgsrv_receipt *receipt)
{
    size_t opened = msi_bus_open(to, field);
    msi_bus_put_number(to, RECEIPT_NUMBER, number);
    msi_bus_put_number(to, RECEIPT_SEQUENCE, receipt->sequence);
    msi_bus_put_fixed64(to, RECEIPT_EPOCH, receipt->epoch);
    msi_bus_put_number(to, RECEIPT_DUPLICATE, receipt->duplicate);
    msi_bus_close(to, opened);
}

void msi_bus_put_event(msi_writer *to, uint32_t field, const msgsrv_event *event)
{
    size_t opened = msi_bus_open(to, field);
    msi_bus_put_text(to, EVENT_TOPIC, event->topic);
    msi_bus_put_text(to, EVENT_TYPE, event->type);
    msi_bus_put_fixed64(to, EVENT_EPOCH, event->epoch);
    msi_bus_put_bytes(to, EVENT_PAYLOAD, event->payload, event->payload_size);
    msi_bus_put_number(to, EVENT_SEQUENCE, event->sequence);
    msi_bus_put_fixed64(to, EVENT_TIME, event->time_us);
    msi_bus_put_text(to, EVENT_PUBLISHER, event->publisher);
    for (size_t i = 0; i < event->header_count; i++) {
        size_t entry = msi_bus_open(to, EVENT_HEADERS);
        msi_bus_put_text(to, HEADER_KEY, event->headers[i].key);
        msi_bus_put_bytes(to, HEADER_VALUE, event->headers[i].value, event->headers[i].size);
        msi_bus_close(to, entry);
    }
    msi_bus_put_number(to, EVENT_REPLACED, event->replaced);
    msi_bus_put_number(to, EVENT_RETAINED, event->retained);
    msi_bus_put_number(to, EVENT_REDELIVERED, event->redelivered);
    msi_bus_put_number(to, EVENT_REQUEST, event->request);
    msi_bus_close(to, opened);
}
