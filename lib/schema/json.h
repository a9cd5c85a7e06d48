/* SPDX-License-Identifier: MIT */
/*
 * What the files of the JSON mapping share: json_out.c and json_in.c are the two directions, json_field.c the fields of an encoding, json_known.c
 * the well-known types whose JSON is a single text, json_text.c numbers, base64 and escapes. Nothing here keeps state between calls.
 */
#ifndef MSI_SCHEMA_JSON_H
#define MSI_SCHEMA_JSON_H

#include <msgsrv/json.h>

#include "base/buf.h"
#include "schema/descriptor.h"
#include "wire/varint.h"

/* Checked options. */
typedef struct msi_json_limits {
    msgsrv_json_options options;
    uint32_t max_depth;
    uint32_t max_bytes;
} msi_json_limits;

msgsrv_status msi_json_options(const msgsrv_json_options *given, msi_json_limits *limits, msgsrv_error *error);

/* As msi_wire_field_get(), but a group is a field of the type MSI_WIRE_GROUP, without a value. `depth` is how deep groups may be nested: NULL
 * and `too_deep` is set beyond it, else untouched. */
const uint8_t *msi_json_field_get(const uint8_t *at, const uint8_t *end, unsigned depth, msi_wire_field *field,
                                  bool *too_deep);

/* The well-known types that have a JSON of their own. */
typedef enum msi_known {
    MSI_KNOWN_NOT,
    MSI_KNOWN_TIMESTAMP,
    MSI_KNOWN_DURATION,
    MSI_KNOWN_FIELD_MASK,
    MSI_KNOWN_STRUCT,
    MSI_KNOWN_VALUE,
    MSI_KNOWN_LIST_VALUE,
    MSI_KNOWN_WRAPPER, /* any of the nine */
    MSI_KNOWN_ANY
} msi_known;

msi_known msi_json_known(const char *full_name);

/* Room for a Timestamp or Duration in text. */
#define MSI_TIME_TEXT 64

/* "1972-01-01T10:00:20.021Z" and "1.000340012s". false when out of the range that protobuf allows, or not in the form. */
bool msi_timestamp_text(int64_t seconds, int32_t nanos, char text[MSI_TIME_TEXT]);
bool msi_timestamp_read(const char *text, size_t size, int64_t *seconds, int32_t *nanos);
bool msi_duration_text(int64_t seconds, int32_t nanos, char text[MSI_TIME_TEXT]);
bool msi_duration_read(const char *text, size_t size, int64_t *seconds, int32_t *nanos);

/* Whether all of a text is UTF-8; a NUL is a character as any other. */
bool msi_json_is_utf8(const uint8_t *text, size_t size);

/* Appends to a text. false without memory. */
bool msi_json_put_string(msi_buf *out, const uint8_t *text, size_t size); /* in quotes, escaped */
bool msi_json_put_base64(msi_buf *out, const uint8_t *data, size_t size); /* in quotes */
bool msi_json_put_double(msi_buf *out, double value, bool single); /* shortest that reads back; in quotes if not finite */

/* Reads base64, standard or URL-safe, padded or not. The bytes are appended; false when it is not base64. */
bool msi_base64_read(const char *text, size_t size, msi_buf *out, bool *no_memory);

/* Reads a number as JSON writes it, whatever the locale. false when it is none. */
bool msi_json_read_double(const char *text, size_t size, double *value);

#endif
