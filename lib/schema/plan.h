/* SPDX-License-Identifier: MIT */
/*
 * The short way through small ordinary messages, without nanopb: scalars, strings and bytes, none of them repeated, in a oneof or nested. A
 * plan says where each field is; it is made once for a type. Whatever is unusual, errors above all, is left to the long way, so that only
 * that one decides and words them. Pure; any thread.
 */
#ifndef MSI_SCHEMA_PLAN_H
#define MSI_SCHEMA_PLAN_H

#include <msgsrv/service.h>

#include "base/buf.h"

#define MSI_PLAN_FIELDS 8u

/* A field and its place in the struct. */
typedef struct msi_plan_field {
    uint16_t offset;   /* of its value */
    uint16_t presence; /* of its has_ member; MSI_PLAN_IMPLICIT without one */
    uint16_t room;     /* what an array inside the struct takes there, in bytes */
    uint16_t key;      /* number and wire type, as on the wire */
    uint16_t kind;     /* one of plan.c's */
} msi_plan_field;

#define MSI_PLAN_IMPLICIT UINT16_MAX

typedef struct msi_plan {
    uint16_t count; /* of fields; 0: there is no plan for this type */
    uint16_t bound; /* what an encoding takes at most, but for the data of texts and bytes */
    bool pieces;    /* has texts or bytes */
    msi_plan_field fields[MSI_PLAN_FIELDS];
} msi_plan;

/*
 * What a field takes in its struct at most, of a type that may have a plan: MSI_PLAN_ROOM is the most for a struct, and more than that is
 * the answer for a field that no plan has. `field` tells of the type alone.
 */
#define MSI_PLAN_ROOM 2048u
size_t msi_plan_room(const pb_field_iter_t *field);

/* The plan of a type whose fields have room together; empty when it has too many of them, or defaults of its own. */
msi_plan msi_plan_make(const pb_msgdesc_t *type);

/*
 * Decodes into a struct that is cleared to zero, taking at most `memory` as msi_check() counts it. false: not done, and the struct is
 * cleared again; the long way shall do it, or say what is wrong.
 */
bool msi_plan_decode(const msgsrv_message_type *type, const msi_plan *plan, const uint8_t *data, size_t size,
                     size_t memory, void *message);

/* Appends an encoding of at most `max_message` bytes. false: not done, and the buffer holds what it did. */
bool msi_plan_encode(const msi_plan *plan, const void *message, uint32_t max_message, msi_buf *out);

/* Frees what the struct points to and clears the pointers, as pb_release() does. */
void msi_plan_release(const msi_plan *plan, void *message);

#endif
