/* SPDX-License-Identifier: MIT */
/* The registry: files are added whole or not at all; names are found in one sorted table. */
#include "schema/descriptor.h"

#include <stdlib.h>
#include <string.h>

#include <msgsrv/service.h>

#include "base/error.h"
#include "base/limits.h"

#define FILE_MAX ((size_t)4 * MSI_MIB)
#define BYTES_MAX ((size_t)64 * MSI_MIB)
#define FILES_MAX 4096u
#define SYMBOLS_MAX 262144u
#define IMPORT_DEPTH_MAX 256u

typedef struct msi_schema_part {
    struct msi_schema_part *next;
    msi_arena arena;
} msi_schema_part;

msgsrv_status msgsrv_schema_new(msgsrv_schema **schema, msgsrv_error *error)
{
    if (!schema)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "schema is NULL");
    msgsrv_schema *made = calloc(1, sizeof *made);
    if (!made)
        return msi_error_memory(error);
    *schema = made;
    return MSGSRV_OK;
}

void msgsrv_schema_free(msgsrv_schema *schema)
{
    if (!schema)
        return;
    while (schema->parts) {
        msi_schema_part *part = schema->parts;
        schema->parts = part->next;
        msi_arena_release(&part->arena);
        free(part);
    }
    free(schema->symbols);
    free(schema->files);
    free(schema->services);
    free(schema);
}

/* Lookups. */

static int compare_symbols(const void *a, const void *b)
{
    return strcmp(((const msi_symbol *)a)->name, ((const msi_symbol *)b)->name);
}

static const msi_symbol *find_symbol(const msgsrv_schema *schema, const char *name)
{
    msi_symbol key = {.name = name};
    return schema->symbol_count ? bsearch(&key, schema->symbols, schema->symbol_count, sizeof key, compare_symbols)
                                : NULL;
}

const msi_symbol *msi_schema_symbol(const msgsrv_schema *schema, const char *name)
{
    if (!name)
        return NULL;
    return find_symbol(schema, *name == '.' ? name + 1 : name);
}

const msi_message_desc *msi_schema_message(const msgsrv_schema *schema, const char *name)
{
    const msi_symbol *symbol = msi_schema_symbol(schema, name);
    return symbol && symbol->kind == MSGSRV_SYMBOL_MESSAGE ? symbol->of : NULL;
}

const msi_enum_desc *msi_schema_enum(const msgsrv_schema *schema, const char *name)
{
    const msi_symbol *symbol = msi_schema_symbol(schema, name);
    return symbol && symbol->kind == MSGSRV_SYMBOL_ENUM ? symbol->of : NULL;
}

const msi_field_desc *msi_message_field(const msi_message_desc *message, uint32_t number)
{
    size_t low = 0;
    size_t high = message->field_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint32_t at = message->by_number[middle]->number;
        if (at == number)
            return message->by_number[middle];
        if (at < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *msi_enum_name(const msi_enum_desc *type, int32_t number)
{
    size_t low = 0;
    size_t high = type->value_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (type->by_number[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < type->value_count && type->by_number[low]->number == number ? type->by_number[low]->name : NULL;
}

const msi_field_desc *msi_message_named(const msi_message_desc *message, const char *name)
{
    for (size_t i = 0; i < message->field_count; i++) {
        if (strcmp(message->fields[i].json_name, name) == 0)
            return &message->fields[i];
    }
    for (size_t i = 0; i < message->field_count; i++) {
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
    }
    return NULL;
}

static int compare_files(const void *a, const void *b)
{
    const msi_file_desc *const *left = a;
    const msi_file_desc *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static const msi_file_desc *find_file(const msgsrv_schema *schema, const char *name)
{
    msi_file_desc key = {.name = name};
    const msi_file_desc *pointer = &key;
    if (!name || schema->file_count == 0)
        return NULL;
    const msi_file_desc **found = bsearch(&pointer, schema->files, schema->file_count, sizeof pointer, compare_files);
    return found ? *found : NULL;
}

/* Adding. */

static msgsrv_status check_names(const msgsrv_schema *schema, const msi_file_load *load, msgsrv_error *error)
{
    if (schema->symbol_count + load->symbol_count > SYMBOLS_MAX || schema->file_count >= FILES_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a schema has at most %u names and %u files", SYMBOLS_MAX,
                         FILES_MAX);
    for (size_t i = 0; i < load->symbol_count; i++) {
        const msi_symbol *symbol = &load->symbols[i];
        if (i && strcmp(symbol->name, symbol[-1].name) == 0)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "\"%.80s\" declares %.100s twice", load->file->name,
                             symbol->name);
        const msi_symbol *other = find_symbol(schema, symbol->name);
        if (other)
            return msi_error(error, MSGSRV_ALREADY_EXISTS, "\"%.60s\" declares %.80s, which \"%.60s\" has",
                             load->file->name, symbol->name, other->file->name);
    }
    return MSGSRV_OK;
}

/* Two sorted tables into one, from behind; there is room. */
static void merge_symbols(msgsrv_schema *schema, const msi_file_load *load)
{
    size_t old = schema->symbol_count;
    size_t added = load->symbol_count;
    msi_symbol *to = schema->symbols + old + added;
    while (added) {
        if (old && compare_symbols(&schema->symbols[old - 1], &load->symbols[added - 1]) > 0)
            *--to = schema->symbols[--old];
        else
            *--to = load->symbols[--added];
    }
    schema->symbol_count += load->symbol_count;
}

static bool make_room(msgsrv_schema *schema, const msi_file_load *load)
{
    size_t count = schema->symbol_count + load->symbol_count;
    msi_symbol *symbols = realloc(schema->symbols, (count ? count : 1) * sizeof *symbols);
    if (symbols)
        schema->symbols = symbols;
    const msi_file_desc **files = realloc(schema->files, (schema->file_count + 1) * sizeof *files);
    if (files)
        schema->files = files;
    size_t services = schema->service_count + load->service_count;
    const msi_service_desc **list = realloc(schema->services, (services ? services : 1) * sizeof *list);
    if (list)
        schema->services = list;
    return symbols && files && list;
}

static void take(msgsrv_schema *schema, msi_schema_part *part, msi_file_load *load)
{
    merge_symbols(schema, load);
    size_t place = 0;
    while (place < schema->file_count && strcmp(schema->files[place]->name, load->file->name) < 0)
        place++;
    memmove(schema->files + place + 1, schema->files + place, (schema->file_count - place) * sizeof *schema->files);
    schema->files[place] = load->file;
    schema->file_count++;
    for (size_t i = 0; i < load->service_count; i++)
        schema->services[schema->service_count++] = load->services[i];
    schema->bytes += load->file->size;
    part->arena = load->arena;
    part->next = schema->parts;
    schema->parts = part;
}

msgsrv_status msgsrv_schema_add(msgsrv_schema *schema, const void *descriptor, size_t size, msgsrv_error *error)
{
    if (!schema || (!descriptor && size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the schema or the descriptor is NULL");
    if (size > FILE_MAX || schema->bytes + size > BYTES_MAX)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "a descriptor of %zu bytes: at most %zu, and %zu in all",
                         size, FILE_MAX, BYTES_MAX);
    msi_file_load load = {.file = NULL};
    msi_schema_part *part = calloc(1, sizeof *part);
    msgsrv_status status =
        part ? msi_file_read(&load, descriptor ? descriptor : (const void *)"", size, error) : msi_error_memory(error);
    bool there = status == MSGSRV_OK && find_file(schema, load.file->name);
    if (status == MSGSRV_OK && !there) {
        if (load.symbol_count)
            qsort(load.symbols, load.symbol_count, sizeof *load.symbols, compare_symbols);
        status = check_names(schema, &load, error);
    }
    if (status == MSGSRV_OK && !there && !make_room(schema, &load))
        status = msi_error_memory(error);
    if (status == MSGSRV_OK && !there) {
        take(schema, part, &load);
    } else {
        msi_arena_release(&load.arena);
        free(part);
    }
    free(load.symbols);
    return status;
}

static msgsrv_status add_file(msgsrv_schema *schema, const msgsrv_proto_file *file, unsigned depth, msgsrv_error *error)
{
    if (depth > IMPORT_DEPTH_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "imports of \"%.80s\" go in a circle", file->name);
    if (msgsrv_schema_has_file(schema, file->name))
        return MSGSRV_OK;
    msgsrv_status status = msgsrv_schema_add(schema, file->descriptor, file->descriptor_size, error);
    for (const msgsrv_proto_file *const *at = file->imports; at && *at && status == MSGSRV_OK; at++)
        status = add_file(schema, *at, depth + 1, error);
    return status;
}

msgsrv_status msgsrv_schema_add_file(msgsrv_schema *schema, const msgsrv_proto_file *file, msgsrv_error *error)
{
    if (!schema || !file)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the schema or the file is NULL");
    return add_file(schema, file, 0, error);
}

/* Looking at it. */

bool msgsrv_schema_has_file(const msgsrv_schema *schema, const char *name)
{
    return find_file(schema, name) != NULL;
}

/* A name in any of its forms: a method's may be written with slashes. */
const msi_symbol *msi_schema_symbol_any(const msgsrv_schema *schema, const char *name)
{
    char dotted[512];
    if (!name)
        return NULL;
    if (*name == '/')
        name++;
    const char *slash = strchr(name, '/');
    if (!slash)
        return msi_schema_symbol(schema, name);
    size_t size = strlen(name);
    if (size >= sizeof dotted)
        return NULL;
    memcpy(dotted, name, size + 1);
    dotted[slash - name] = '.';
    const msi_symbol *symbol = msi_schema_symbol(schema, dotted);
    return symbol && symbol->kind == MSGSRV_SYMBOL_METHOD ? symbol : NULL;
}

const void *msgsrv_schema_file(const msgsrv_schema *schema, const char *name, size_t *size)
{
    const msi_file_desc *file = find_file(schema, name);
    const msi_symbol *symbol = file ? NULL : msi_schema_symbol_any(schema, name);
    if (symbol)
        file = symbol->file;
    if (!file)
        return NULL;
    if (size)
        *size = file->size;
    return file->data;
}

const char *msgsrv_schema_import(const msgsrv_schema *schema, const char *name, size_t index)
{
    const msi_file_desc *file = find_file(schema, name);
    return file && index < file->import_count ? file->imports[index] : NULL;
}

msgsrv_symbol_kind msgsrv_schema_find(const msgsrv_schema *schema, const char *name)
{
    const msi_symbol *symbol = msi_schema_symbol_any(schema, name);
    return symbol ? symbol->kind : MSGSRV_SYMBOL_NONE;
}

const char *msgsrv_schema_service(const msgsrv_schema *schema, size_t index)
{
    return index < schema->service_count ? schema->services[index]->full_name : NULL;
}

static const char *comment_text(const msi_comment *comment)
{
    return !comment ? NULL : comment->leading ? comment->leading : comment->trailing;
}

static void fill_method(const msi_service_desc *service, size_t index, msgsrv_schema_method *method)
{
    const msi_method_desc *from = &service->methods[index];
    *method = (msgsrv_schema_method){
        .service = service->full_name,
        .name = from->name,
        .path = from->path,
        .request = from->request,
        .response = from->response,
        .client_streaming = from->client_streaming,
        .server_streaming = from->server_streaming,
        .comment = comment_text(msi_file_comment(service->file, service->path, service->path_size, 2, (int32_t)index)),
    };
}

bool msgsrv_schema_method_at(const msgsrv_schema *schema, const char *service, size_t index, msgsrv_schema_method *method)
{
    const msi_symbol *symbol = msi_schema_symbol(schema, service);
    const msi_service_desc *of = symbol && symbol->kind == MSGSRV_SYMBOL_SERVICE ? symbol->of : NULL;
    if (!of || index >= of->method_count)
        return false;
    fill_method(of, index, method);
    return true;
}

bool msgsrv_schema_method_find(const msgsrv_schema *schema, const char *name, msgsrv_schema_method *method)
{
    const msi_symbol *symbol = msi_schema_symbol_any(schema, name);
    if (!symbol || symbol->kind != MSGSRV_SYMBOL_METHOD)
        return false;
    fill_method(symbol->of, symbol->index, method);
    return true;
}

const char *msgsrv_schema_comment(const msgsrv_schema *schema, const char *name)
{
    const msi_symbol *symbol = msi_schema_symbol_any(schema, name);
    if (!symbol || !symbol->of)
        return NULL;
    const msi_message_desc *message = symbol->of;
    const msi_enum_desc *type = symbol->of;
    const msi_service_desc *service = symbol->of;
    switch (symbol->kind) {
    case MSGSRV_SYMBOL_MESSAGE:
        return comment_text(msi_file_comment(symbol->file, message->path, message->path_size, -1, 0));
    case MSGSRV_SYMBOL_ENUM:
        return comment_text(msi_file_comment(symbol->file, type->path, type->path_size, -1, 0));
    case MSGSRV_SYMBOL_SERVICE:
        return comment_text(msi_file_comment(symbol->file, service->path, service->path_size, -1, 0));
    case MSGSRV_SYMBOL_METHOD:
        return comment_text(msi_file_comment(symbol->file, service->path, service->path_size, 2, (int32_t)symbol->index));
    default:
        return NULL;
    }
}
