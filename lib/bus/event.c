/* SPDX-License-Identifier: MIT */
#include "bus/event.h"

#include <endian.h>
#include <stdlib.h>

#include "base/zero.h"
#include "schema/codec.h"

/* Field numbers of msgsrv.bus.v1.Event (proto/msgsrv/bus.proto), and of its Header. */
enum {
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
    HEADER_KEY = 1,
    HEADER_VALUE = 2
};

#define VARINT_MAX 10u
#define SEQUENCE_ROOM (1 + VARINT_MAX)
#define FIXED_ROOM 9u /* a fixed64 with its tag */
#define HEAD_ROOM 6u  /* in front of `wire`: a tag and a length */

#ifndef MSI_EVENT_SPARE_BYTES
#define MSI_EVENT_SPARE_BYTES (4u * 1024 * 1024) /* what a busy bus has under way at once */
#endif

#define TAG(number, type) ((uint8_t)((number) << 3 | (type)))

/* ---- memory ---- */

static uint32_t class_of(size_t room)
{
    return (uint32_t)((room + MSI_EVENT_CLASS - 1) / MSI_EVENT_CLASS);
}

static msi_event *take_memory(msi_event_pool *pool, size_t room)
{
    uint32_t class = class_of(room);
    if (class < MSI_EVENT_CLASSES && pool->spare[class]) {
        msi_event *event = pool->spare[class];
        pool->spare[class] = event->next_spare;
        pool->bytes -= sizeof *event + event->room;
        return event;
    }
    room = (size_t) class * MSI_EVENT_CLASS;
    msi_event *event = malloc(sizeof *event + room);
    if (event)
        event->room = (uint32_t)room;
    return event;
}

static void give_memory(msi_event_pool *pool, msi_event *event)
{
    uint32_t class = event->room / MSI_EVENT_CLASS;
    size_t size = sizeof *event + event->room;
    if (class >= MSI_EVENT_CLASSES || size > MSI_EVENT_SPARE_BYTES - pool->bytes) {
        free(event);
        return;
    }
    event->next_spare = pool->spare[class];
    pool->spare[class] = event;
    pool->bytes += size;
}

void msi_event_pool_release(msi_event_pool *pool)
{
    for (size_t i = 0; i < MSI_EVENT_CLASSES; i++) {
        while (pool->spare[i]) {
            msi_event *event = pool->spare[i];
            pool->spare[i] = event->next_spare;
            free(event);
        }
    }
    pool->bytes = 0;
}

/* ---- names ---- */

static uint8_t *put_bytes(uint8_t *at, uint32_t number, const void *data, size_t size)
{
    *at++ = TAG(number, MSI_WIRE_BYTES);
    at = msi_varint_put(at, size);
    if (size)
        memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_fixed64(uint8_t *at, uint32_t number, uint64_t value)
{
    uint64_t little = htole64(value);
    *at++ = TAG(number, MSI_WIRE_FIXED64);
    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

static uint8_t *put_varint(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = TAG(number, MSI_WIRE_VARINT);
    return msi_varint_put(at, value);
}

static size_t bytes_size(size_t size)
{
    return 1 + msi_varint_size(size) + size;
}

msi_topic_name *msi_topic_name_new(msi_event_pool *pool, msi_view topic, msi_view type, uint64_t epoch)
{
    size_t head = bytes_size(topic.size) + bytes_size(type.size) + FIXED_ROOM;
    msi_topic_name *name = malloc(sizeof *name + topic.size + 1 + type.size + 1 + head);
    if (!name)
        return NULL;
    *name = (msi_topic_name){.pool = pool,
                             .refs = 1,
                             .topic_size = (uint32_t)topic.size,
                             .type_size = (uint32_t)type.size,
                             .head_size = (uint32_t)head,
                             .epoch = epoch};
    uint8_t *at = name->bytes;
    name->topic = memcpy(at, topic.data, topic.size);
    at[topic.size] = 0;
    at += topic.size + 1;
    name->type = (char *)at;
    if (type.size)
        memcpy(at, type.data, type.size);
    at[type.size] = 0;
    at += type.size + 1;
    name->head = at;
    at = put_bytes(at, EVENT_TOPIC, topic.data, topic.size);
    at = put_bytes(at, EVENT_TYPE, type.data, type.size);
    put_fixed64(at, EVENT_EPOCH, epoch);
    return name;
}

void msi_topic_name_unref(msi_topic_name *name)
{
    if (name && --name->refs == 0)
        free(name);
}

/* ---- making ---- */

static size_t header_size(const msgsrv_metadata *header)
{
    return bytes_size(strlen(header->key)) + bytes_size(header->size);
}

/* Bytes of `wire` at most, with what may be in front of it, without the payload's own. */
static size_t wire_room(const msi_event_parts *parts, msi_view payload)
{
    size_t room = HEAD_ROOM + parts->name->head_size + bytes_size(payload.size) + FIXED_ROOM + SEQUENCE_ROOM;
    if (parts->publisher.size)
        room += bytes_size(parts->publisher.size);
    if (parts->request)
        room += 1 + VARINT_MAX;
    for (uint32_t i = 0; i < parts->header_count; i++)
        room += bytes_size(header_size(&parts->headers[i]));
    return room;
}

/* Writes `wire` but for the sequence; the payload in it becomes the event's. */
static void put_wire(msi_event *event, uint8_t *at, const msi_event_parts *parts, msi_view payload)
{
    at += HEAD_ROOM;
    event->wire.data = at;
    memcpy(at, parts->name->head, parts->name->head_size);
    at = put_bytes(at + parts->name->head_size, EVENT_PAYLOAD, payload.data, payload.size);
    event->payload = (msi_view){at - payload.size, payload.size};
    at = put_fixed64(at, EVENT_TIME, parts->time_us);
    if (parts->publisher.size)
        at = put_bytes(at, EVENT_PUBLISHER, parts->publisher.data, parts->publisher.size);
    if (parts->request)
        at = put_varint(at, EVENT_REQUEST, parts->request);
    for (uint32_t i = 0; i < parts->header_count; i++) {
        const msgsrv_metadata *header = &parts->headers[i];
        *at++ = TAG(EVENT_HEADERS, MSI_WIRE_BYTES);
        at = msi_varint_put(at, header_size(header));
        at = put_bytes(at, HEADER_KEY, header->key, strlen(header->key));
        at = put_bytes(at, HEADER_VALUE, header->value, header->size);
    }
    event->wire.size = (size_t)(at - event->wire.data);
}

/* Copies of headers, with the values NUL-terminated as a set has them: the array first, then their bytes. */
static size_t headers_room(const msi_event_parts *parts)
{
    size_t room = parts->header_count * sizeof(msgsrv_metadata);
    for (uint32_t i = 0; i < parts->header_count; i++)
        room += strlen(parts->headers[i].key) + 1 + parts->headers[i].size + 1;
    return room;
}

static void copy_headers(msi_event *event, uint8_t *memory, const msi_event_parts *parts)
{
    msgsrv_metadata *headers = (msgsrv_metadata *)(void *)memory;
    uint8_t *at = memory + parts->header_count * sizeof *headers;
    for (uint32_t i = 0; i < parts->header_count; i++) {
        const msgsrv_metadata *from = &parts->headers[i];
        size_t key = strlen(from->key) + 1;
        headers[i] = (msgsrv_metadata){.key = memcpy(at, from->key, key), .value = at + key, .size = from->size};
        if (from->size)
            memcpy(at + key, from->value, from->size);
        at[key + from->size] = 0;
        at += key + from->size + 1;
    }
    event->headers = headers;
    event->header_count = parts->header_count;
}

static size_t aligned(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

msi_event *msi_event_new(const msi_event_parts *parts)
{
    bool has_bytes = parts->payload.data != NULL;
    size_t message = parts->message ? aligned(parts->struct_type->struct_size) : 0;
    size_t headers = parts->header_count ? aligned(headers_room(parts)) : 0;
    size_t publisher = parts->publisher.size ? parts->publisher.size + 1 : 0;
    size_t wire = has_bytes ? wire_room(parts, parts->payload) : 0;
    size_t room = message + headers + publisher + wire;
    if (room > UINT32_MAX / 2)
        return NULL;
    msi_event *event = take_memory(parts->name->pool, room);
    if (!event)
        return NULL;
    room = event->room;
    msi_zero(event, sizeof *event);
    event->room = (uint32_t)room;
    event->refs = 1;
    event->name = msi_topic_name_ref(parts->name);
    event->time_us = parts->time_us;
    event->request = parts->request;
    event->publisher = "";
    uint8_t *at = event->bytes;
    if (message) {
        event->struct_type = parts->struct_type;
        event->message = memcpy(at, parts->message, parts->struct_type->struct_size);
        at += message;
    }
    if (headers) {
        copy_headers(event, at, parts);
        at += headers;
    }
    if (publisher) {
        event->publisher = memcpy(at, parts->publisher.data, parts->publisher.size);
        at[parts->publisher.size] = 0;
        at += publisher;
    }
    if (has_bytes)
        put_wire(event, at, parts, parts->payload);
    event->size = (uint32_t)(sizeof *event + room);
    return event;
}

/* The last field of `wire`, for which msi_event_new() has left room; and in front, what makes it a field itself. */
static void put_sequence(msi_event *event)
{
    uint8_t *begin = (uint8_t *)(uintptr_t)event->wire.data;
    uint8_t *end = begin + event->wire.size;
    event->wire.size += (size_t)(put_varint(end, EVENT_SEQUENCE, event->sequence) - end);
    event->head_size = (uint8_t)(1 + msi_varint_size(event->wire.size));
    *(begin - event->head_size) = TAG(1, MSI_WIRE_BYTES);
    (void)msi_varint_put(begin - event->head_size + 1, event->wire.size);
}

void msi_event_seal(msi_event *event)
{
    if (event->wire.data)
        put_sequence(event);
}

void msi_event_free(msi_event *event)
{
    if (event->decoded) {
        msgsrv_message_release(event->struct_type, event->message);
        free(event->message);
    }
    free(event->late);
    msi_event_pool *pool = event->name->pool;
    msi_topic_name_unref(event->name);
    give_memory(pool, event);
}

/* ---- the other form ---- */

bool msi_event_encode(msi_event *event)
{
    if (event->wire.data)
        return true;
    void *data;
    size_t size;
    if (msgsrv_message_encode(event->struct_type, event->message, &data, &size, NULL) != MSGSRV_OK)
        return false;
    msi_event_parts parts = {.name = event->name,
                             .time_us = event->time_us,
                             .request = event->request,
                             .publisher = {(const uint8_t *)event->publisher, strlen(event->publisher)},
                             .headers = event->headers,
                             .header_count = event->header_count};
    msi_view payload = {data, size};
    event->late = malloc(wire_room(&parts, payload));
    if (event->late) {
        put_wire(event, event->late, &parts, payload);
        put_sequence(event);
    }
    free(data);
    return event->late != NULL;
}

msgsrv_status msi_event_decode(msi_event *event, const msgsrv_message_type *type, msgsrv_error *error)
{
    if (event->message && event->struct_type == type)
        return MSGSRV_OK;
    if (event->message)
        return MSGSRV_FAILED_PRECONDITION; /* two programs' code in one process made the same type: rare, and told apart by the taker */
    void *message = calloc(1, type->struct_size ? type->struct_size : 1);
    if (!message)
        return MSGSRV_RESOURCE_EXHAUSTED;
    msgsrv_status status = msgsrv_message_decode(type, event->payload.data, event->payload.size, message, error);
    if (status != MSGSRV_OK) {
        free(message);
        return status;
    }
    event->message = message;
    event->struct_type = type;
    event->decoded = true;
    return MSGSRV_OK;
}

void msi_event_view(const msi_event *event, bool typed, msgsrv_event *view)
{
    /* Each member by itself: as a whole it would be cleared first. */
    view->topic = event->name->topic;
    view->type = event->name->type;
    view->payload = typed ? NULL : event->payload.data;
    view->payload_size = typed ? 0 : event->payload.size;
    view->message = typed ? event->message : NULL;
    view->sequence = event->sequence;
    view->epoch = event->name->epoch;
    view->time_us = event->time_us;
    view->publisher = event->publisher;
    view->headers = event->headers;
    view->header_count = event->header_count;
    view->replaced = 0;
    view->retained = false;
    view->redelivered = false;
    view->request = event->request;
}

/* ---- on the wire ---- */

static size_t extra_size(const msi_event_extra *extra)
{
    return (extra->replaced ? 1 + msi_varint_size(extra->replaced) : 0) + (extra->retained ? 2 : 0) +
           (extra->redelivered ? 2 : 0);
}

size_t msi_event_field_size(const msi_event *event, const msi_event_extra *extra)
{
    if (msi_event_is_plain(extra))
        return event->head_size + event->wire.size;
    return bytes_size(event->wire.size + extra_size(extra));
}

uint8_t *msi_event_put_field(uint8_t *at, uint32_t number, const msi_event *event, const msi_event_extra *extra)
{
    if (msi_event_is_plain(extra)) {
        msi_view field = msi_event_field(event);
        memcpy(at, field.data, field.size);
        *at = TAG(number, MSI_WIRE_BYTES);
        return at + field.size;
    }
    *at++ = TAG(number, MSI_WIRE_BYTES);
    at = msi_varint_put(at, event->wire.size + extra_size(extra));
    memcpy(at, event->wire.data, event->wire.size);
    at += event->wire.size;
    if (extra->replaced)
        at = put_varint(at, EVENT_REPLACED, extra->replaced);
    if (extra->retained)
        at = put_varint(at, EVENT_RETAINED, 1);
    if (extra->redelivered)
        at = put_varint(at, EVENT_REDELIVERED, 1);
    return at;
}
