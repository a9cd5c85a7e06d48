/* SPDX-License-Identifier: MIT */
/*
 * The messages of msgsrv.bus.v1.Bus (proto/msgsrv/bus.proto), coded by hand: nothing is copied on the way in, and what the bus has encoded already
 * goes out as it is. Whatever comes from a peer is looked at here, and what is wrong with it is named.
 */
#ifndef MSI_SERVICES_BUS_WIRE_H
#define MSI_SERVICES_BUS_WIRE_H

#include <stdlib.h>

#include "bus/bus.h"
#include "bus/match.h"
#include "services/writer.h"

/* ---- in ---- */

/* What a field of a request is, and of the C member that it goes to. */
typedef enum msi_bus_kind {
    MSI_BUS_TEXT,         /* msi_view: UTF-8 without a NUL */
    MSI_BUS_BYTES,        /* msi_view */
    MSI_BUS_U32,          /* uint32_t */
    MSI_BUS_U64,          /* uint64_t */
    MSI_BUS_FIXED64,      /* uint64_t */
    MSI_BUS_BOOL,         /* bool */
    MSI_BUS_OPTIONAL_U32, /* msi_bus_optional */
    MSI_BUS_LIST          /* msi_bus_list */
} msi_bus_kind;

typedef struct msi_bus_optional {
    bool has;
    uint32_t value;
} msi_bus_optional;

/* A repeated text, bytes or message field: counted, and walked over again with msi_bus_next(). */
typedef struct msi_bus_list {
    msi_view in; /* the message that it is part of */
    uint32_t number;
    uint32_t count;
} msi_bus_list;

typedef struct msi_bus_field {
    uint32_t number;
    msi_bus_kind kind;
    const char *name;
    size_t offset;
} msi_bus_field;

typedef struct msi_bus_message {
    const char *name;
    const msi_bus_field *fields;
    size_t count;
} msi_bus_message;

#define MSI_BUS_FIELD(type, number, kind, member)               \
    {                                                           \
        number, MSI_BUS_##kind, #member, offsetof(type, member) \
    }
#define MSI_BUS_MESSAGE(name, fields)                   \
    {                                                   \
        name, fields, sizeof(fields) / sizeof *(fields) \
    }

/* Fills a cleared struct: views of `bytes`, whose data is never NULL. INVALID_ARGUMENT names what is wrong. */
msgsrv_status msi_bus_parse(const msi_bus_message *type, msi_view bytes, void *message, msgsrv_error *error);

/* The next element of a list; `*at` is NULL at first. The message was parsed before. false: there are no more. */
bool msi_bus_next(const msi_bus_list *list, const uint8_t **at, msi_view *element);

/* A text that is checked already, NUL-terminated. NULL without memory. */
char *msi_bus_string(msi_view text);

/* A publication from a peer, and what has to be freed with it. Neither its topic, its type nor its payload has been looked at. */
typedef struct msi_bus_publication {
    msi_publication is;
    msgsrv_metadata *headers; /* NULL: none */
} msi_bus_publication;

/* INVALID_ARGUMENT; RESOURCE_EXHAUSTED without memory. Nothing is to be freed then. */
msgsrv_status msi_bus_get_publication(msi_view bytes, msi_bus_publication *publication, msgsrv_error *error);
static inline void msi_bus_drop_publication(msi_bus_publication *publication)
{
    if (publication->headers)
        free(publication->headers);
}

/* ---- out ---- */

/* Fields as proto3 has them: left out when they are 0 or empty. */
void msi_bus_put_number(msi_writer *to, uint32_t field, uint64_t value);
void msi_bus_put_fixed64(msi_writer *to, uint32_t field, uint64_t value);
void msi_bus_put_text(msi_writer *to, uint32_t field, const char *text); /* NULL is empty */
void msi_bus_put_bytes(msi_writer *to, uint32_t field, const void *data, size_t size);

/* A message field: what is written between the two is in it. */
size_t msi_bus_open(msi_writer *to, uint32_t field);
void msi_bus_close(msi_writer *to, size_t opened);

/* Whole messages as fields. */
void msi_bus_put_gap(msi_writer *to, uint32_t field, const msi_gap *gap);
void msi_bus_put_refusal(msi_writer *to, uint32_t field, uint64_t number, msgsrv_status code, const char *text);
void msi_bus_put_receipt(msi_writer *to, uint32_t field, uint64_t number, const msgsrv_receipt *receipt);
void msi_bus_put_event(msi_writer *to, uint32_t field, const msgsrv_event *event);

#endif
