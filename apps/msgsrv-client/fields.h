/* SPDX-License-Identifier: MIT */
/*
 * The fields of an encoded message, one after another, without a descriptor and without copies. For what is read
 * before any descriptor is known: descriptors themselves, and what brings them.
 */
#ifndef MSGSRV_CLIENT_FIELDS_H
#define MSGSRV_CLIENT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left of a message; the bytes are borrowed. */
struct fields {
    const uint8_t *data;
    size_t size;
    bool malformed; /* set when what is left is none */
};

/* One field. */
struct field {
    uint32_t number;
    uint64_t value;      /* of a varint; else 0 */
    struct fields bytes; /* of wire type 2; else empty */
    bool has_bytes;
};

/* The next field. False at the end, and where the message is malformed. */
bool fields_next(struct fields *fields, struct field *field);

/* Whether a field is the bytes of this number. */
bool field_is(const struct field *field, uint32_t number);

/* The field's bytes as a text; NULL without memory or with a NUL inside. To be freed with free(). */
char *field_text(const struct field *field);

#endif
