/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark knows of proto/msgsrv/bus.proto, by hand: what its load generator sends and reads, and its limit forwards.
 */
#ifndef MSGSRV_BENCH_BUS_WIRE_H
#define MSGSRV_BENCH_BUS_WIRE_H

#include "wire.h"

#define METHOD_PUBLISH_STREAM "/msgsrv.bus.v1.Bus/PublishStream"
#define METHOD_SUBSCRIBE "/msgsrv.bus.v1.Bus/Subscribe"
#define METHOD_CONSUME "/msgsrv.bus.v1.Bus/Consume"
#define METHOD_DECLARE_QUEUE "/msgsrv.bus.v1.Bus/DeclareQueue"

/* Tags, all of one byte. */
enum {
    PUBLISH_PUBLICATIONS = 0x0a, /* PublishStreamRequest */
    PUBLICATION_TOPIC = 0x0a,    /* Publication; and an Event's, as are the next two */
    PUBLICATION_TYPE = 0x12,
    PUBLICATION_PAYLOAD = 0x22,
    EVENT_EPOCH = 0x19, /* Event */
    EVENT_SEQUENCE = 0x28,
    EVENT_TIME_US = 0x31,
    ANSWER_LAST = 0x08,       /* PublishStreamResponse */
    RESPONSE_EVENTS = 0x0a,   /* SubscribeResponse */
    RESPONSE_POSITION = 0x18, /* the same */
    RESPONSE_EPOCH = 0x21,    /* the same */
    SUBSCRIBE_PATTERN = 0x0a, /* SubscribeRequest */
    SUBSCRIBE_MAX_EVENTS = 0x28,
    SUBSCRIBE_MAX_BYTES = 0x30,
    QUEUE_NAME = 0x0a,     /* DeclareQueueRequest and ConsumeRequest */
    QUEUE_SETTINGS = 0x12, /* DeclareQueueRequest */
    QUEUE_PATTERNS = 0x0a, /* QueueSettings */
    CONSUME_PREFETCH = 0x10,
    CONSUME_SETTLEMENTS = 0x22,
    SETTLEMENT_ID = 0x08,
    SETTLEMENT_KIND = 0x10,
    TICK_STAMP = 0x09, /* bench.Tick */
    TICK_FILL = 0x12
};

#define BUS_EVENT_FIXED (9 + 1 + 9) /* bytes of an Event besides its publication and the digits of its sequence */
#define BUS_EVENT_ROOM 64           /* bytes that an event, or a response, may need beyond what is counted */

static inline unsigned char *put_varint_field(unsigned char *p, unsigned char tag, uint64_t value)
{
    *p++ = tag;
    return put_varint(p, value);
}

static inline unsigned char *put_fixed64_field(unsigned char *p, unsigned char tag, uint64_t value)
{
    *p++ = tag;
    memcpy(p, &value, sizeof(value)); /* little-endian, as the machines are that this runs on */
    return p + sizeof(value);
}

static inline unsigned char *put_bytes_field(unsigned char *p, unsigned char tag, const void *data, size_t len)
{
    *p++ = tag;
    p = put_varint(p, len);
    return put_bytes(p, data, len);
}

static inline size_t bytes_field_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

/* An Item up to where its body begins. */
static inline unsigned char *put_item_head(unsigned char *p, uint64_t id, size_t body)
{
    p = put_frame_header(p, FRAME_ITEM, 2 + varint_size(id) + varint_size(body) + body);
    p = put_varint_field(p, TAG_ID, id);
    *p++ = TAG_BODY;
    return put_varint(p, body);
}

#endif
