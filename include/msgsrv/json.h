/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Messages of a known descriptor between wire bytes and JSON, by the proto3 JSON mapping (https://protobuf.dev/programming-guides/json/).
 * What is not supported: fields that are groups (#MSGSRV_UNIMPLEMENTED; a group of an unknown field is as any unknown field), and names of
 * members with a NUL inside when JSON is read.
 * Any thread, on a schema that is not being changed.
 */
#ifndef MSGSRV_JSON_H
#define MSGSRV_JSON_H

#include <msgsrv/schema.h>

/** How. `{0}` and NULL are all defaults. */
typedef struct msgsrv_json_options {
    size_t size; /**< sizeof(msgsrv_json_options), or 0 for its size in 1.0. It grows only at the end. */

    uint32_t max_depth; /**< Nesting of messages, of Struct and Value, and of unknown groups; default 100, 1 to 1,000. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t max_bytes; /**< Of the result; default 64 MiB, from 1. Over it: #MSGSRV_RESOURCE_EXHAUSTED. */
    uint32_t indent;    /**< To JSON: spaces for each depth; default 0: one line. At most 8. */
    bool proto_names; /**< To JSON: names of fields as in the .proto; default lowerCamelCase (json_name). Both are always read. */
    bool enum_numbers; /**< To JSON: enums as numbers, NullValue too; default by name, and null. Both are always read. */
    bool all_fields;   /**< To JSON: fields without presence also when they have their default value. */
    bool ignore_unknown; /**< From JSON: members that the message has no field for, and texts that are neither a name nor a number of their
                              enum, are ignored; default: #MSGSRV_INVALID_ARGUMENT, which names the member and the nearest field. */
    bool keep_unknown; /**< To JSON: fields that the descriptor does not have are kept, as base64 of their wire bytes in a member
                              "@unknown" of the message; from JSON: such a member is put back. Default: they are dropped (and
                              "@unknown" is an unknown member). */
} msgsrv_json_options;

MSGSRV_BEGIN_DECLS

/**
 * From wire bytes to JSON.
 *
 * @param schema  has the type and all that it uses
 * @param type  "package.Message"
 * @param data  the encoding; borrowed
 * @param size  its bytes
 * @param options  optional
 * @param[out] text  NUL-terminated UTF-8, to be freed with free()
 * @param[out] text_size  optional: its bytes without the NUL
 * @param[out] error  optional; names the field
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND for a type that the schema has not; #MSGSRV_INVALID_ARGUMENT for bytes that do not decode, or hold
 *         what JSON cannot (a Timestamp out of range, an Any of an unknown type); #MSGSRV_RESOURCE_EXHAUSTED over a limit or without memory
 */
MSGSRV_API msgsrv_status msgsrv_json_from_wire(const msgsrv_schema *schema, const char *type, const void *data,
                                               size_t size, const msgsrv_json_options *options, char **text,
                                               size_t *text_size, msgsrv_error *error);

/**
 * From JSON to wire bytes, fields in the order of their numbers.
 *
 * @param text  one JSON value with nothing but white space around it; need not end in NUL
 * @param text_size  its bytes
 * @param[out] data  the encoding, to be freed with free(); never NULL on success
 * @param[out] size  its bytes
 * @param[out] error  optional; names the member by its path, e.g. `AddRequest.a: "x" is not an int32`
 * @return as msgsrv_json_from_wire(); #MSGSRV_INVALID_ARGUMENT for what is not JSON (with line and column) or does not fit the type
 */
MSGSRV_API msgsrv_status msgsrv_json_to_wire(const msgsrv_schema *schema, const char *type, const char *text,
                                             size_t text_size, const msgsrv_json_options *options, void **data,
                                             size_t *size, msgsrv_error *error);

MSGSRV_END_DECLS

#endif
