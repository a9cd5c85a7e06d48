/* SPDX-License-Identifier: MIT */
/*
 * The model that a schema is made of: files, and the messages, enums, services and fields that they declare, read from serialized
 * FileDescriptorProtos (google/protobuf/descriptor.proto), which may come from a peer. Types are named, not linked: a name is looked up when it is
 * used, so that files may come in any order. All memory belongs to the schema.
 */
#ifndef MSI_SCHEMA_DESCRIPTOR_H
#define MSI_SCHEMA_DESCRIPTOR_H

#include <msgsrv/schema.h>

#include "wire/varint.h"

/* FieldDescriptorProto.Type. */
enum {
    MSI_TYPE_DOUBLE = 1,
    MSI_TYPE_FLOAT = 2,
    MSI_TYPE_INT64 = 3,
    MSI_TYPE_UINT64 = 4,
    MSI_TYPE_INT32 = 5,
    MSI_TYPE_FIXED64 = 6,
    MSI_TYPE_FIXED32 = 7,
    MSI_TYPE_BOOL = 8,
    MSI_TYPE_STRING = 9,
    MSI_TYPE_GROUP = 10,
    MSI_TYPE_MESSAGE = 11,
    MSI_TYPE_BYTES = 12,
    MSI_TYPE_UINT32 = 13,
    MSI_TYPE_ENUM = 14,
    MSI_TYPE_SFIXED32 = 15,
    MSI_TYPE_SFIXED64 = 16,
    MSI_TYPE_SINT32 = 17,
    MSI_TYPE_SINT64 = 18
};

typedef struct msi_file_desc msi_file_desc;

typedef struct msi_field_desc {
    const char *name;
    const char *json_name;
    const char *type_name; /* of messages, groups and enums: a full name without the leading dot; else NULL */
    uint32_t number;
    uint8_t type;
    bool repeated;
    bool required; /* proto2 */
    bool optional; /* written so in the .proto: proto2's, or proto3's explicit presence */
    bool presence; /* absent and default differ: messages, oneofs, optional */
    bool packed;   /* to be written packed */
    int32_t oneof; /* index in the message's oneofs, real ones only; -1: none */
} msi_field_desc;

typedef struct msi_message_desc {
    const char *full_name;
    const msi_file_desc *file;
    msi_field_desc *fields; /* as declared */
    size_t field_count;
    const msi_field_desc **by_number; /* ascending */
    const char **oneofs;
    size_t oneof_count;
    struct msi_message_desc **messages; /* nested */
    size_t message_count;
    struct msi_enum_desc **enums;
    size_t enum_count;
    const int32_t *path; /* in the file's SourceCodeInfo */
    size_t path_size;
    bool map_entry;
} msi_message_desc;

typedef struct msi_enum_value_desc {
    const char *name;
    int32_t number;
} msi_enum_value_desc;

typedef struct msi_enum_desc {
    const char *full_name;
    const msi_file_desc *file;
    msi_enum_value_desc *values; /* as declared */
    size_t value_count;
    const msi_enum_value_desc **by_number; /* ascending; of equal ones as declared */
    const int32_t *path;
    size_t path_size;
} msi_enum_desc;

typedef struct msi_method_desc {
    const char *name;
    const char *path; /* "/package.Service/Method" */
    const char *request;
    const char *response;
    bool client_streaming;
    bool server_streaming;
} msi_method_desc;

typedef struct msi_service_desc {
    const char *full_name;
    const msi_file_desc *file;
    msi_method_desc *methods;
    size_t method_count;
    const int32_t *path;
    size_t path_size;
} msi_service_desc;

/* A comment, and what it belongs to. */
typedef struct msi_comment {
    const int32_t *path;
    size_t path_size;
    const char *leading; /* NULL: none */
    const char *trailing;
} msi_comment;

struct msi_file_desc {
    const char *name;
    const char *package;
    const uint8_t *data; /* a copy of the bytes */
    size_t size;
    const char **imports;
    size_t import_count;
    msi_comment *comments; /* sorted by path */
    size_t comment_count;
    bool proto3;
};

/* What a name stands for. Names of fields, enum values and extensions only lead to their file. */
typedef struct msi_symbol {
    const char *name;
    const msi_file_desc *file;
    msgsrv_symbol_kind kind;
    const void *of;
    size_t index; /* of a method in its service */
} msi_symbol;

/* Memory that goes all at once. */
typedef struct msi_arena {
    struct msi_arena_block *blocks;
    size_t total;
} msi_arena;

void *msi_arena_alloc(msi_arena *arena, size_t size); /* zeroed; NULL without memory or over the bound */
void msi_arena_release(msi_arena *arena);

/* A file as it is read: its declarations, and the symbols it adds. */
typedef struct msi_file_load {
    msi_arena arena;
    msi_file_desc *file;
    msi_symbol *symbols;
    size_t symbol_count;
    size_t symbol_room;
    msi_service_desc **services;
    size_t service_count;
} msi_file_load;

/* Reads a file. On failure the load is to be released all the same, with msi_arena_release() and free(symbols). */
msgsrv_status msi_file_read(msi_file_load *load, const uint8_t *data, size_t size, msgsrv_error *error);

struct msgsrv_schema {
    struct msi_schema_part *parts; /* arenas of the files */
    msi_symbol *symbols;           /* sorted by name */
    size_t symbol_count;
    const msi_file_desc **files; /* sorted by name */
    size_t file_count;
    const msi_service_desc **services; /* in the order of adding */
    size_t service_count;
    size_t bytes;
};

/* Lookups by full name, with or without a leading dot; NULL when there is none of that kind. */
const msi_symbol *msi_schema_symbol(const msgsrv_schema *schema, const char *name);
const msi_message_desc *msi_schema_message(const msgsrv_schema *schema, const char *name);
const msi_enum_desc *msi_schema_enum(const msgsrv_schema *schema, const char *name);

/* The same in all forms of a name: a method's may be "/package.Service/Method". */
const msi_symbol *msi_schema_symbol_any(const msgsrv_schema *schema, const char *name);

/* A message's field by number, or by either of its names. */
/* The name of an enum's number, the first of several; NULL: it has none. */
const char *msi_enum_name(const msi_enum_desc *type, int32_t number);

const msi_field_desc *msi_message_field(const msi_message_desc *message, uint32_t number);
const msi_field_desc *msi_message_named(const msi_message_desc *message, const char *name);

/* The comment of a path, which is the one of its parent followed by up to two numbers; NULL when there is none. */
const msi_comment *msi_file_comment(const msi_file_desc *file, const int32_t *path, size_t size, int32_t kind,
                                    int32_t index);

#endif
