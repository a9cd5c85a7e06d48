/* SPDX-License-Identifier: MIT */
/* The messages of msgsrv.bus.v1.Bus, written and read by hand: what comes from a server is not trusted. Pure. */
#ifndef MSI_ENGINES_REMOTE_WIRE_H
#define MSI_ENGINES_REMOTE_WIRE_H

#include "base/buf.h"
#include "bus/bus.h"
#include "wire/varint.h"

/* The methods; requests and responses are bytes. */
typedef enum msi_bus_method {
    MSI_BUS_PUBLISH,
    MSI_BUS_PUBLISH_STREAM,
    MSI_BUS_SUBSCRIBE,
    MSI_BUS_CONSUME,
    MSI_BUS_REQUEST,
    MSI_BUS_REPLY,
    MSI_BUS_DECLARE_TOPIC,
    MSI_BUS_DECLARE_QUEUE,
    MSI_BUS_DELETE_QUEUE,
    MSI_BUS_QUEUES,
    MSI_BUS_PEEK,
    MSI_BUS_RETRY,
    MSI_BUS_PURGE,
    MSI_BUS_METHOD_COUNT
} msi_bus_method;
extern const msgsrv_method msi_bus_methods[MSI_BUS_METHOD_COUNT];

/* Writing: appends fields; what is 0 or empty is left out. After a failed allocation `failed` is set and nothing more is written. */
typedef struct msi_writer {
    msi_buf *out;
    bool failed;
} msi_writer;

void msi_put_number(msi_writer *to, uint32_t field, uint64_t value);
void msi_put_number_always(msi_writer *to, uint32_t field, uint64_t value); /* of an optional field */
void msi_put_fixed64(msi_writer *to, uint32_t field, uint64_t value);
void msi_put_bytes(msi_writer *to, uint32_t field, msi_view value);
void msi_put_text(msi_writer *to, uint32_t field, const char *text); /* NULL: none */
/* A message within: everything that is written between the two is in it. */
size_t msi_put_begin(msi_writer *to, uint32_t field);
void msi_put_end(msi_writer *to, size_t begun);

/* A Publication as field 1; and its size there. */
size_t msi_publication_size(const msi_publication *publication);
void msi_put_publication(msi_writer *to, const msi_publication *publication);

/* Reading. The next field, or false at the end; `failed` when it is not protobuf. */
typedef struct msi_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} msi_reader;

static inline msi_reader msi_read(msi_view from)
{
    return (msi_reader){from.data, from.data + from.size, false};
}
bool msi_read_next(msi_reader *from, msi_wire_field *field);

/* Whether a field is of this number and wire type. */
static inline bool msi_is(const msi_wire_field *field, uint32_t number, uint32_t type)
{
    return field->number == number && field->type == type;
}

/* A name that ended in NUL the last time, and most often is the same. */
typedef struct msi_kept_name {
    size_t size;
    char text[256];
} msi_kept_name;

/* Reads events: what they point to lives until the next one is read, or lies in the bytes. Starts cleared. */
typedef struct msi_event_reader {
    msi_kept_name topic;
    msi_kept_name type;
    msi_kept_name publisher;
    msi_buf text; /* of headers */
    msgsrv_metadata *headers;
} msi_event_reader;

/* OK; INTERNAL for what is not an event; RESOURCE_EXHAUSTED without memory. */
msgsrv_status msi_event_read(msi_event_reader *reader, msi_view from, msgsrv_event *event, msgsrv_error *error);
void msi_event_reader_release(msi_event_reader *reader);

/* A gap of its own memory, which is kept. */
typedef struct msi_read_gap {
    msgsrv_gap gap;
    msgsrv_gap_topic topics[MSGSRV_GAP_TOPICS];
    char names[MSGSRV_GAP_TOPICS][256];
} msi_read_gap;

/* OK or INTERNAL. */
msgsrv_status msi_gap_read(msi_read_gap *gap, msi_view from, msgsrv_error *error);

/* Copies a text that came, for a C string of `room` bytes: cut, and at a NUL. */
void msi_text_copy(char *to, size_t room, msi_view from);

#endif
