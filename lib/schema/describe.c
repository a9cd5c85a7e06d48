/* SPDX-License-Identifier: MIT */
/* Printing a symbol as .proto source. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "schema/descriptor.h"

#define DEPTH_MAX 64u

typedef struct printer {
    const msgsrv_schema *schema;
    msi_buf out;
    unsigned depth;
    bool failed; /* without memory */
} printer;

static void put(printer *to, const char *format, ...) MSGSRV_PRINTF(2, 3);
static void put(printer *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || to->failed || !msi_buf_reserve(&to->out, (size_t)size + 1)) {
        to->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf((char *)to->out.data + to->out.len, (size_t)size + 1, format, arguments);
    va_end(arguments);
    to->out.len += (size_t)size;
}

static void indent(printer *to)
{
    put(to, "%*s", (int)(2 * to->depth), "");
}

/* Each line of a comment behind "//". */
static void put_comment(printer *to, const msi_comment *comment)
{
    const char *text = !comment ? NULL : comment->leading ? comment->leading : comment->trailing;
    while (text && *text) {
        size_t size = strcspn(text, "\n");
        indent(to);
        put(to, "//%.*s\n", (int)size, text);
        text += size + (text[size] == '\n');
    }
}

static const char *const scalars[] = {
    [MSI_TYPE_DOUBLE] = "double",     [MSI_TYPE_FLOAT] = "float",   [MSI_TYPE_INT64] = "int64",
    [MSI_TYPE_UINT64] = "uint64",     [MSI_TYPE_INT32] = "int32",   [MSI_TYPE_FIXED64] = "fixed64",
    [MSI_TYPE_FIXED32] = "fixed32",   [MSI_TYPE_BOOL] = "bool",     [MSI_TYPE_STRING] = "string",
    [MSI_TYPE_BYTES] = "bytes",       [MSI_TYPE_UINT32] = "uint32", [MSI_TYPE_SFIXED32] = "sfixed32",
    [MSI_TYPE_SFIXED64] = "sfixed64", [MSI_TYPE_SINT32] = "sint32", [MSI_TYPE_SINT64] = "sint64",
};

static const char *type_of(const msi_field_desc *field)
{
    return field->type_name ? field->type_name : scalars[field->type] ? scalars[field->type] : "?";
}

/* The entry type of a map field, or NULL. */
static const msi_message_desc *map_of(const printer *to, const msi_field_desc *field)
{
    if (!field->repeated || field->type != MSI_TYPE_MESSAGE)
        return NULL;
    const msi_message_desc *entry = msi_schema_message(to->schema, field->type_name);
    bool whole = entry && entry->map_entry && msi_message_field(entry, 1) && msi_message_field(entry, 2);
    return whole ? entry : NULL;
}

static void put_field(printer *to, const msi_message_desc *message, size_t index)
{
    const msi_field_desc *field = &message->fields[index];
    const msi_message_desc *entry = map_of(to, field);
    put_comment(to, msi_file_comment(message->file, message->path, message->path_size, 2, (int32_t)index));
    indent(to);
    if (entry)
        put(to, "map<%s, %s> %s = %u;\n", type_of(msi_message_field(entry, 1)), type_of(msi_message_field(entry, 2)),
            field->name, field->number);
    else
        put(to, "%s%s %s = %u;\n",
            field->repeated   ? "repeated "
            : field->required ? "required "
            : field->optional ? "optional "
                              : "",
            type_of(field), field->name, field->number);
}

/* A oneof stands where its first member does. */
static void put_oneof(printer *to, const msi_message_desc *message, int32_t oneof)
{
    put_comment(to, msi_file_comment(message->file, message->path, message->path_size, 8, oneof));
    indent(to);
    put(to, "oneof %s {\n", message->oneofs[oneof]);
    to->depth++;
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].oneof == oneof)
            put_field(to, message, i);
    }
    to->depth--;
    indent(to);
    put(to, "}\n");
}

static bool first_of_oneof(const msi_message_desc *message, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (message->fields[i].oneof == message->fields[index].oneof)
            return false;
    }
    return true;
}

static const char *short_name(const char *full)
{
    const char *dot = strrchr(full, '.');
    return dot ? dot + 1 : full;
}

static void put_enum(printer *to, const msi_enum_desc *type)
{
    put_comment(to, msi_file_comment(type->file, type->path, type->path_size, -1, 0));
    indent(to);
    put(to, "enum %s {\n", short_name(type->full_name));
    to->depth++;
    for (size_t i = 0; i < type->value_count; i++) {
        put_comment(to, msi_file_comment(type->file, type->path, type->path_size, 2, (int32_t)i));
        indent(to);
        put(to, "%s = %d;\n", type->values[i].name, type->values[i].number);
    }
    to->depth--;
    indent(to);
    put(to, "}\n");
}

static void put_message(printer *to, const msi_message_desc *message)
{
    put_comment(to, msi_file_comment(message->file, message->path, message->path_size, -1, 0));
    indent(to);
    put(to, "message %s {\n", short_name(message->full_name));
    to->depth++;
    for (size_t i = 0; i < message->enum_count; i++)
        put_enum(to, message->enums[i]);
    for (size_t i = 0; i < message->message_count && to->depth < DEPTH_MAX; i++) {
        if (!message->messages[i]->map_entry)
            put_message(to, message->messages[i]);
    }
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].oneof < 0)
            put_field(to, message, i);
        else if (first_of_oneof(message, i))
            put_oneof(to, message, message->fields[i].oneof);
    }
    to->depth--;
    indent(to);
    put(to, "}\n");
}

static void put_method(printer *to, const msi_service_desc *service, size_t index)
{
    const msi_method_desc *method = &service->methods[index];
    put_comment(to, msi_file_comment(service->file, service->path, service->path_size, 2, (int32_t)index));
    indent(to);
    put(to, "rpc %s(%s%s) returns (%s%s);\n", method->name, method->client_streaming ? "stream " : "", method->request,
        method->server_streaming ? "stream " : "", method->response);
}

static void put_service(printer *to, const msi_service_desc *service)
{
    put_comment(to, msi_file_comment(service->file, service->path, service->path_size, -1, 0));
    put(to, "service %s {\n", short_name(service->full_name));
    to->depth++;
    for (size_t i = 0; i < service->method_count; i++)
        put_method(to, service, i);
    to->depth--;
    put(to, "}\n");
}

msgsrv_status msgsrv_schema_describe(const msgsrv_schema *schema, const char *name, char **text, msgsrv_error *error)
{
    if (!schema || !name || !text)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the schema, the name or the text is NULL");
    printer to = {.schema = schema};
    const msi_symbol *symbol = msi_schema_symbol_any(schema, name);
    switch (symbol ? symbol->kind : MSGSRV_SYMBOL_NONE) {
    case MSGSRV_SYMBOL_MESSAGE:
        put_message(&to, symbol->of);
        break;
    case MSGSRV_SYMBOL_ENUM:
        put_enum(&to, symbol->of);
        break;
    case MSGSRV_SYMBOL_SERVICE:
        put_service(&to, symbol->of);
        break;
    case MSGSRV_SYMBOL_METHOD:
        put_method(&to, symbol->of, symbol->index);
        break;
    default:
        return msi_error(error, MSGSRV_NOT_FOUND, "there is no message, enum, service or method %.128s", name);
    }
    if (to.failed) {
        msi_buf_release(&to.out);
        return msi_error_memory(error);
    }
    *text = (char *)to.out.data; /* vsnprintf() has ended it with a NUL */
    return MSGSRV_OK;
}
