/* SPDX-License-Identifier: MIT */
/*
 * An event: made once, when it is published, and from then on shared by reference and never changed, but for the encoding of a typed one
 * that nobody has needed yet. References are counted without atomics: they belong to the bus's lock. What an event points to may be
 * read without it, by whoever has a reference.
 */
#ifndef MSI_BUS_EVENT_H
#define MSI_BUS_EVENT_H

#include <msgsrv/bus.h>

#include "base/buf.h"
#include "wire/varint.h"

/* Small events that are free, for the next ones. Belongs to a bus; with its lock. */
#define MSI_EVENT_CLASS 64u   /* bytes by which the classes differ */
#define MSI_EVENT_CLASSES 65u /* up to 4 KiB; giving larger ones back to the system costs less than filling them */
typedef struct msi_event_pool {
    struct msi_event *spare[MSI_EVENT_CLASSES];
    size_t bytes; /* of all that are spare */
} msi_event_pool;
void msi_event_pool_release(msi_event_pool *pool);

/* Names that events share; counted like events. */
typedef struct msi_topic_name {
    struct msi_event_pool *pool; /* of its events */
    uint32_t refs;
    uint32_t topic_size;
    uint32_t type_size;
    uint32_t head_size;
    uint64_t epoch;
    uint64_t lost;     /* events of it that some subscription did not get */
    const char *topic; /* NUL-terminated; in `bytes` */
    const char *type;
    const uint8_t *head; /* the fields topic, type and epoch of msgsrv.bus.v1.Event, encoded */
    uint8_t bytes[];
} msi_topic_name;

typedef struct msi_event {
    uint32_t refs;
    uint32_t room; /* bytes behind the struct */
    union {
        msi_topic_name *name;
        struct msi_event *next_spare;
    };
    uint64_t sequence;
    uint64_t time_us;
    uint64_t position;                      /* in the bus: counts all its events */
    uint64_t request;                       /* its number; 0: none */
    const msgsrv_message_type *struct_type; /* of `message`; NULL: there is none */
    void *message;    /* the struct, when it was published as one, or was decoded for typed subscriptions */
    msi_view payload; /* its encoding; data is NULL while there is none */
    msi_view wire; /* msgsrv.bus.v1.Event, encoded, without what differs between subscribers; payload is in it. Empty while there is none */
    const char *publisher; /* NUL-terminated */
    const msgsrv_metadata *headers;
    uint32_t header_count;
    uint32_t size;     /* what it counts for in bounds: payload and overhead */
    uint8_t head_size; /* in front of `wire`: room for the tag of a field that holds it, and its length */
    bool decoded;      /* `message` is a copy with memory of its own, to be released */
    uint8_t *late;     /* memory of `wire`, when it was encoded late */
    uint8_t bytes[] __attribute__((aligned(16)));
} msi_event;

/* What an event is made of. All borrowed. */
typedef struct msi_event_parts {
    msi_topic_name *name;
    uint64_t time_us;
    uint64_t request;
    msi_view payload;                       /* NULL data: there is only the struct */
    const msgsrv_message_type *struct_type; /* with `message`: a struct without pointers, that is copied */
    const void *message;
    msi_view publisher;
    const msgsrv_metadata *headers;
    uint32_t header_count;
} msi_event_parts;

/* A topic's name with its type and epoch; one reference; NULL without memory. */
msi_topic_name *msi_topic_name_new(msi_event_pool *pool, msi_view topic, msi_view type, uint64_t epoch);
static inline msi_topic_name *msi_topic_name_ref(msi_topic_name *name)
{
    name->refs++;
    return name;
}
void msi_topic_name_unref(msi_topic_name *name);

/* A new event with one reference and without a sequence; NULL without memory. Takes a reference of its name. */
msi_event *msi_event_new(const msi_event_parts *parts);

/* Its `sequence` is known now: completes `wire`. Once, before anybody else sees it. */
void msi_event_seal(msi_event *event);

static inline msi_event *msi_event_ref(msi_event *event)
{
    event->refs++;
    return event;
}
void msi_event_free(msi_event *event); /* unref's */
static inline void msi_event_unref(msi_event *event)
{
    if (--event->refs == 0)
        msi_event_free(event);
}

/* Sees to it that there is `payload` and `wire`; false without memory, or when the struct does not encode. With the lock. */
bool msi_event_encode(msi_event *event);

/* Sees to it that `message` is of this type, decoding the payload. With the lock. OK, or why not: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
msgsrv_status msi_event_decode(msi_event *event, const msgsrv_message_type *type, msgsrv_error *error);

/* The public view of it. `typed`: with `message` instead of `payload`. */
void msi_event_view(const msi_event *event, bool typed, msgsrv_event *view);

/* Bytes of a field `number` of type Event that holds `wire`, and writes it. The rest is what differs between subscribers. */
typedef struct msi_event_extra {
    uint64_t replaced;
    bool retained;
    bool redelivered;
} msi_event_extra;
static inline bool msi_event_is_plain(const msi_event_extra *extra)
{
    return !extra->replaced && !extra->retained && !extra->redelivered;
}

/* The field number 1 that holds a plain `wire`, ready-made. */
static inline msi_view msi_event_field(const msi_event *event)
{
    return (msi_view){event->wire.data - event->head_size, event->head_size + event->wire.size};
}
size_t msi_event_field_size(const msi_event *event, const msi_event_extra *extra);
uint8_t *msi_event_put_field(uint8_t *at, uint32_t number, const msi_event *event, const msi_event_extra *extra);

#endif
