/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A schema: the descriptors of .proto files, at run time. It knows messages, enums and services by name, prints them as .proto source, and
 * is what JSON (msgsrv/json.h) works with. Filled by one thread, then constant and for any number of threads.
 */
#ifndef MSGSRV_SCHEMA_H
#define MSGSRV_SCHEMA_H

#include <msgsrv/status.h>

/** A schema. Opaque. */
typedef struct msgsrv_schema msgsrv_schema;

struct msgsrv_proto_file; /* msgsrv/service.h */

/** What a name of a schema stands for. */
typedef enum msgsrv_symbol_kind {
    MSGSRV_SYMBOL_NONE = 0,
    MSGSRV_SYMBOL_MESSAGE,
    MSGSRV_SYMBOL_ENUM,
    MSGSRV_SYMBOL_SERVICE,
    MSGSRV_SYMBOL_METHOD /**< "package.Service.Method", "package.Service/Method" or "/package.Service/Method" */
} msgsrv_symbol_kind;

/** A method of a schema. All texts live as long as the schema. */
typedef struct msgsrv_schema_method {
    const char *service;   /**< "package.Service" */
    const char *name;      /**< "Method" */
    const char *path;      /**< "/package.Service/Method" */
    const char *request;   /**< "package.Request" */
    const char *response;  /**< "package.Response" */
    bool client_streaming; /**< Many requests. */
    bool server_streaming; /**< Many responses. */
    const char *comment;   /**< Of its source, without comment marks; NULL when there is none. */
} msgsrv_schema_method;

MSGSRV_BEGIN_DECLS

/**
 * An empty schema.
 *
 * @param[out] schema  the caller's, to be freed with msgsrv_schema_free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_RESOURCE_EXHAUSTED without memory
 */
MSGSRV_API msgsrv_status msgsrv_schema_new(msgsrv_schema **schema, msgsrv_error *error);

/** Frees a schema. @param schema  may be NULL */
MSGSRV_API void msgsrv_schema_free(msgsrv_schema *schema);

/**
 * Adds one file. Files may come in any order: a type that is not there yet is looked for when it is used. The bytes may come from a peer.
 *
 * @param descriptor  a serialized google.protobuf.FileDescriptorProto; copied
 * @param size  in bytes, at most 4 MiB; all files of a schema together at most 64 MiB
 * @param[out] error  optional
 * @return #MSGSRV_OK, also for a file that is there already with the same bytes (or whose name is there: the first one stays);
 *         #MSGSRV_INVALID_ARGUMENT for what is not one; #MSGSRV_ALREADY_EXISTS when it declares a name that another file has;
 *         #MSGSRV_RESOURCE_EXHAUSTED over a limit or without memory. On failure nothing of it was added.
 */
MSGSRV_API msgsrv_status msgsrv_schema_add(msgsrv_schema *schema, const void *descriptor, size_t size,
                                           msgsrv_error *error);

/**
 * Adds a file of generated code and all that it imports. As msgsrv_schema_add().
 *
 * @param file  e.g. msgsrv_service::file; borrowed
 */
MSGSRV_API msgsrv_status msgsrv_schema_add_file(msgsrv_schema *schema, const struct msgsrv_proto_file *file,
                                                msgsrv_error *error);

/** Whether a file of this name ("package/file.proto") was added. */
MSGSRV_API bool msgsrv_schema_has_file(const msgsrv_schema *schema, const char *name);

/**
 * The serialized FileDescriptorProto of the file that a name is declared in, or of a file by its own name.
 *
 * @param name  a file's name, or a symbol's full name (messages, enums, services, methods, fields and enum values as
 *              "package.Message.field", extensions)
 * @param[out] size  its bytes
 * @return lives as long as the schema; NULL when it is not known
 */
MSGSRV_API const void *msgsrv_schema_file(const msgsrv_schema *schema, const char *name, size_t *size);

/**
 * What a file imports.
 *
 * @param file  its name
 * @param index  from 0
 * @return the import's name; lives as long as the schema; NULL beyond the last, or for an unknown file
 */
MSGSRV_API const char *msgsrv_schema_import(const msgsrv_schema *schema, const char *file, size_t index);

/** What a full name stands for. A leading dot is ignored. */
MSGSRV_API msgsrv_symbol_kind msgsrv_schema_find(const msgsrv_schema *schema, const char *name);

/**
 * The services, in the order in which they were added.
 *
 * @return "package.Service"; NULL beyond the last one
 */
MSGSRV_API const char *msgsrv_schema_service(const msgsrv_schema *schema, size_t index);

/**
 * The methods of a service, in the order of the .proto.
 *
 * @param[out] method  filled
 * @return false beyond the last one, or for an unknown service
 */
MSGSRV_API bool msgsrv_schema_method_at(const msgsrv_schema *schema, const char *service, size_t index,
                                        msgsrv_schema_method *method);

/**
 * A method by name, in any of the forms of #MSGSRV_SYMBOL_METHOD.
 *
 * @param[out] method  filled
 * @return false when it is not known
 */
MSGSRV_API bool msgsrv_schema_method_find(const msgsrv_schema *schema, const char *name, msgsrv_schema_method *method);

/**
 * The comment that stands before a symbol in its source.
 *
 * @return without comment marks, ends in a newline as protoc has it; lives as long as the schema; NULL when there is none
 */
MSGSRV_API const char *msgsrv_schema_comment(const msgsrv_schema *schema, const char *name);

/**
 * Prints a symbol as .proto source, with its comments: a message (with what is nested in it), an enum, a service or a method. Type names are
 * full ones, so that each can be described in turn.
 *
 * @param name  its full name
 * @param[out] text  NUL-terminated, to be freed with free()
 * @param[out] error  optional
 * @return #MSGSRV_OK; #MSGSRV_NOT_FOUND; #MSGSRV_RESOURCE_EXHAUSTED without memory
 */
MSGSRV_API msgsrv_status msgsrv_schema_describe(const msgsrv_schema *schema, const char *name, char **text,
                                                msgsrv_error *error);

MSGSRV_END_DECLS

#endif
