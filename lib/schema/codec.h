/* SPDX-License-Identifier: MIT */
/*
 * Messages between wire bytes and nanopb's structs, with what nanopb leaves out: texts are checked, nesting and memory are bounded, errors
 * name the field and the remedy. Pure; any thread.
 */
#ifndef MSI_SCHEMA_CODEC_H
#define MSI_SCHEMA_CODEC_H

#include <msgsrv/service.h>

#include "base/buf.h"
#include "schema/plan.h"

#define MSI_BLOCK_COST 40u /* of an allocation: the heap's own, rounding, and the pointer to it */

/* What has to be done with a type, found out once at registration. */
typedef struct msi_type_traits {
    bool flat;      /* scalars only: nothing to check before decoding, nothing to release */
    bool releases;  /* has pointers: pb_release() is needed */
    bool has_views; /* has msgsrv_bytes somewhere */
    bool has_text;  /* has a string pointer in the message itself */
    bool zero_init; /* a cleared struct is its default, so nanopb need not initialise it */
    bool decodable; /* no callback fields but msgsrv_bytes */
    bool raw;       /* msgsrv_raw_type: the struct is a msgsrv_bytes that holds the encoding itself */
    msi_plan plan;  /* how to do without nanopb; plan.count is 0 when that cannot be */
} msi_type_traits;

msi_type_traits msi_type_look(const pb_msgdesc_t *type);

/* Whether a field's C type is msgsrv_bytes, going by its size and the type's callback; for fields of nanopb's callback type. */
bool msi_is_view(const pb_field_iter_t *field);

/*
 * Decodes into a struct that is cleared to zero. msgsrv_bytes become views of `data`. On failure what was allocated is released and the
 * struct is cleared. `max_message` bounds the memory (MSI_DECODE_FACTOR times it).
 */
msgsrv_status msi_decode(const msgsrv_message_type *type, const msi_type_traits *traits, const uint8_t *data,
                         size_t size, uint32_t max_message, void *message, msgsrv_error *error);

/* Appends a message's encoding, at most `max_message` bytes of it. On failure the buffer is as it was. */
msgsrv_status msi_encode(const msgsrv_message_type *type, const msi_type_traits *traits, const void *message,
                         uint32_t max_message, msi_buf *out, msgsrv_error *error);

/* Releases what a decoded message points to and clears it. */
void msi_release(const msgsrv_message_type *type, const msi_type_traits *traits, void *message);

/* Makes every msgsrv_bytes of a message own a copy. false without memory; the message can be released all the same. */
bool msi_own_views(const msgsrv_message_type *type, void *message);

/* The same for one msgsrv_bytes; and frees what it owns. */
bool msi_own_view(msgsrv_bytes *view);
bool msi_release_view(msgsrv_bytes *view);

/* Frees what msgsrv_bytes own. */
void msi_release_views(const msgsrv_message_type *type, void *message);

/* Checks wire bytes against a type before decoding (or after encoding): texts, nesting, memory. */
msgsrv_status msi_check(const msgsrv_message_type *type, const uint8_t *data, size_t size, size_t max_memory,
                        msgsrv_error *error);

/* Says why nanopb refused bytes, as well as can be found out; always fills the error. */
msgsrv_status msi_explain(const msgsrv_message_type *type, const uint8_t *data, size_t size, const char *nanopb_said,
                          msgsrv_error *error);

/* A text, bytes or message field that came as something else. */
msgsrv_status msi_wire_type_error(const msgsrv_message_type *type, const msgsrv_field *field, uint32_t wire_type,
                                  msgsrv_error *error);

/* The field of a number, or NULL. */
const msgsrv_field *msi_field_find(const msgsrv_message_type *type, uint32_t number);

#endif
