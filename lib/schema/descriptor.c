/* SPDX-License-Identifier: MIT */
/* Reading a FileDescriptorProto. What does not make sense is refused; what is not known is passed over. */
#include "schema/descriptor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#define NESTING_MAX 64
#define BLOCK_SIZE ((size_t)16 * MSI_KIB)
#define ARENA_MAX ((size_t)256 * MSI_MIB)

typedef struct msi_arena_block {
    struct msi_arena_block *next;
    size_t used;
    size_t size;
    max_align_t data[];
} msi_arena_block;

void *msi_arena_alloc(msi_arena *arena, size_t size)
{
    size = (size + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    msi_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
        if (arena->total + room > ARENA_MAX || !(block = calloc(1, sizeof *block + room)))
            return NULL;
        arena->total += room;
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = (char *)block->data + block->used;
    block->used += size;
    return memory;
}

void msi_arena_release(msi_arena *arena)
{
    while (arena->blocks) {
        msi_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

/* A reader: the first thing that goes wrong stays. */
typedef struct reader {
    msi_file_load *load;
    const char *wrong; /* NULL: nothing */
    bool no_memory;
    int32_t path[2 * NESTING_MAX + 4];
    size_t depth; /* numbers in path */
} reader;

static void wrong(reader *in, const char *what)
{
    if (!in->wrong)
        in->wrong = what;
}

static void *allocate(reader *in, size_t count, size_t size)
{
    void *memory = count > SIZE_MAX / 2 / size ? NULL : msi_arena_alloc(&in->load->arena, count ? count * size : 1);
    if (!memory)
        in->no_memory = true;
    return memory;
}

/* Walks over a message's fields; false at the end, or when something is wrong. */
typedef struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    msi_wire_field field;
} cursor;

static cursor walk_of(msi_view view)
{
    return (cursor){.at = view.data, .end = view.data + view.size};
}

static bool next(reader *in, cursor *walk)
{
    if (walk->at == walk->end || in->wrong || in->no_memory)
        return false;
    walk->at = msi_wire_field_get(walk->at, walk->end, &walk->field);
    if (!walk->at)
        wrong(in, "it does not decode");
    return walk->at != NULL;
}

static bool is_bytes(const cursor *walk, uint32_t number)
{
    return walk->field.number == number && walk->field.type == MSI_WIRE_BYTES;
}

static bool is_varint(const cursor *walk, uint32_t number)
{
    return walk->field.number == number && walk->field.type == MSI_WIRE_VARINT;
}

/* How many fields of a number there are. */
static size_t count(reader *in, msi_view view, uint32_t number)
{
    cursor walk = walk_of(view);
    size_t found = 0;
    while (next(in, &walk))
        found += is_bytes(&walk, number);
    return found;
}

/* The last bytes of a number. */
static msi_view last(reader *in, msi_view view, uint32_t number)
{
    cursor walk = walk_of(view);
    msi_view found = {(const uint8_t *)"", 0};
    while (next(in, &walk)) {
        if (is_bytes(&walk, number))
            found = walk.field.bytes;
    }
    return found;
}

static const char *copy(reader *in, msi_view text)
{
    char *to = allocate(in, text.size + 1, 1);
    if (!to)
        return "";
    if (text.size)
        memcpy(to, text.data, text.size);
    return to;
}

static bool is_word_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

/* A name of letters, digits and '_'; dotted ones have dots between them. */
static const char *name_of(reader *in, msi_view text, bool dotted)
{
    bool start = true;
    for (size_t i = 0; i < text.size; i++) {
        bool dot = dotted && text.data[i] == '.' && !start;
        if (!dot && !is_word_byte(text.data[i]))
            wrong(in, "a name is not one");
        start = dot;
    }
    if (text.size == 0 || start)
        wrong(in, "a name is missing");
    return copy(in, text);
}

/* A type's name: full, with a leading dot, as protoc and every server's reflection write it. */
static const char *type_name_of(reader *in, msi_view text)
{
    if (text.size && text.data[0] == '.')
        text = (msi_view){text.data + 1, text.size - 1};
    return name_of(in, text, true);
}

static const char *text_of(reader *in, msi_view text)
{
    if (text.size && memchr(text.data, 0, text.size))
        wrong(in, "a text has a NUL inside");
    return copy(in, text);
}

static const char *joined(reader *in, const char *scope, char between, const char *name)
{
    size_t room = strlen(scope) + strlen(name) + 2;
    char *to = allocate(in, room, 1);
    if (!to)
        return "";
    if (*scope)
        (void)snprintf(to, room, "%s%c%s", scope, between, name);
    else
        (void)snprintf(to, room, "%s", name);
    return to;
}

static const char *slashed(reader *in, const char *name)
{
    size_t size = strlen(name);
    char *to = allocate(in, size + 2, 1);
    if (!to)
        return "";
    *to = '/';
    memcpy(to + 1, name, size + 1);
    return to;
}

static void add_symbol(reader *in, const char *name, msgsrv_symbol_kind kind, const void *of, size_t index)
{
    msi_file_load *load = in->load;
    if (load->symbol_count == load->symbol_room) {
        size_t room = load->symbol_room ? load->symbol_room * 2 : 64;
        msi_symbol *symbols = realloc(load->symbols, room * sizeof *symbols);
        if (!symbols) {
            in->no_memory = true;
            return;
        }
        load->symbols = symbols;
        load->symbol_room = room;
    }
    load->symbols[load->symbol_count++] = (msi_symbol){name, load->file, kind, of, index};
}

static const int32_t *keep_path(reader *in)
{
    int32_t *path = allocate(in, in->depth, sizeof *path);
    if (path)
        memcpy(path, in->path, in->depth * sizeof *path);
    return path;
}

static void enter(reader *in, int32_t kind, size_t index)
{
    in->path[in->depth++] = kind;
    in->path[in->depth++] = (int32_t)index;
}

static void leave(reader *in)
{
    in->depth -= 2;
}

/* lowerCamelCase, as protoc makes it. */
static const char *camel_case(reader *in, const char *name)
{
    char *to = allocate(in, strlen(name) + 1, 1);
    size_t size = 0;
    bool upper = false;
    for (; to && *name; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        to[size++] = upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        upper = false;
    }
    return to ? to : "";
}

/* FieldOptions.packed; -1 when it is not said. */
static int packed_option(reader *in, msi_view options)
{
    cursor walk = walk_of(options);
    int packed = -1;
    while (next(in, &walk)) {
        if (is_varint(&walk, 2))
            packed = walk.field.value != 0;
    }
    return packed;
}

static bool is_packable(uint8_t type)
{
    return type != MSI_TYPE_STRING && type != MSI_TYPE_BYTES && type != MSI_TYPE_MESSAGE && type != MSI_TYPE_GROUP;
}

static void read_field(reader *in, msi_view view, msi_field_desc *field)
{
    uint64_t number = 0, label = 1, type = 0;
    bool explicit_presence = false;
    cursor walk = walk_of(view);
    field->oneof = -1;
    while (next(in, &walk)) {
        if (is_varint(&walk, 3))
            number = walk.field.value;
        else if (is_varint(&walk, 4))
            label = walk.field.value;
        else if (is_varint(&walk, 5))
            type = walk.field.value;
        else if (is_varint(&walk, 9))
            field->oneof = walk.field.value < INT32_MAX ? (int32_t)walk.field.value : INT32_MAX;
        else if (is_varint(&walk, 17))
            explicit_presence = walk.field.value != 0;
    }
    if (number < 1 || number > 536870911 || type < 1 || type > 18)
        wrong(in, "a field has no number or no type");
    field->name = name_of(in, last(in, view, 1), false);
    field->number = (uint32_t)number;
    field->type = (uint8_t)type;
    field->repeated = label == 3;
    field->required = label == 2;
    msi_view json = last(in, view, 10);
    field->json_name = json.size ? text_of(in, json) : camel_case(in, field->name);
    if (json.size && msi_text_check(json.data, json.size) == MSI_TEXT_NOT_UTF8)
        wrong(in, "a field's name in JSON is not UTF-8");
    if (type == MSI_TYPE_MESSAGE || type == MSI_TYPE_GROUP || type == MSI_TYPE_ENUM)
        field->type_name = type_name_of(in, last(in, view, 6));
    if (explicit_presence)
        field->oneof = -1; /* its oneof is of one member and made up */
    bool proto3 = in->load->file->proto3;
    field->optional = !field->repeated && !field->required && (explicit_presence || (!proto3 && field->oneof < 0));
    field->presence = !field->repeated && (!proto3 || explicit_presence || field->oneof >= 0 ||
                                           type == MSI_TYPE_MESSAGE || type == MSI_TYPE_GROUP);
    int packed = packed_option(in, last(in, view, 8));
    field->packed = field->repeated && is_packable(field->type) && (packed >= 0 ? packed != 0 : proto3);
}

static int compare_numbers(const void *a, const void *b)
{
    const msi_field_desc *const *left = a;
    const msi_field_desc *const *right = b;
    return ((*left)->number > (*right)->number) - ((*left)->number < (*right)->number);
}

static void index_fields(reader *in, msi_message_desc *message)
{
    message->by_number = allocate(in, message->field_count, sizeof *message->by_number);
    if (!message->by_number)
        return;
    for (size_t i = 0; i < message->field_count; i++)
        message->by_number[i] = &message->fields[i];
    qsort(message->by_number, message->field_count, sizeof *message->by_number, compare_numbers);
    for (size_t i = 0; i < message->field_count; i++) {
        if (i && message->by_number[i]->number == message->by_number[i - 1]->number)
            wrong(in, "two fields have one number");
        if (message->fields[i].oneof >= (int32_t)message->oneof_count)
            wrong(in, "a field is in a oneof that is not there");
    }
}

static int compare_values(const void *a, const void *b)
{
    const msi_enum_value_desc *left = *(const msi_enum_value_desc *const *)a;
    const msi_enum_value_desc *right = *(const msi_enum_value_desc *const *)b;
    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return (left > right) - (left < right);
}

static void index_values(reader *in, msi_enum_desc *type)
{
    type->by_number = allocate(in, type->value_count, sizeof *type->by_number);
    if (!type->by_number)
        return;
    for (size_t i = 0; i < type->value_count; i++)
        type->by_number[i] = &type->values[i];
    qsort(type->by_number, type->value_count, sizeof *type->by_number, compare_values);
}

/* The entry of a map has a key of a kind that JSON has names for, and a value. */
static void check_entry(reader *in, const msi_message_desc *message)
{
    const msi_field_desc *key = msi_message_field(message, 1);
    const msi_field_desc *value = msi_message_field(message, 2);
    bool is_key = key && !key->repeated && is_packable(key->type) && key->type != MSI_TYPE_DOUBLE &&
                  key->type != MSI_TYPE_FLOAT && key->type != MSI_TYPE_ENUM;
    if (key && !key->repeated && key->type == MSI_TYPE_STRING)
        is_key = true;
    if (!is_key || !value || value->repeated || value->type == MSI_TYPE_GROUP)
        wrong(in, "the entry of a map is not one");
}

static msi_enum_desc *read_enum(reader *in, msi_view view, const char *scope)
{
    msi_enum_desc *type = allocate(in, 1, sizeof *type);
    size_t values = count(in, view, 2);
    msi_enum_value_desc *list = allocate(in, values, sizeof *list);
    if (!type || !list)
        return NULL;
    type->full_name = joined(in, scope, '.', name_of(in, last(in, view, 1), false));
    type->file = in->load->file;
    type->values = list;
    type->path = keep_path(in);
    type->path_size = in->depth;
    add_symbol(in, type->full_name, MSGSRV_SYMBOL_ENUM, type, 0);
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (!is_bytes(&walk, 2))
            continue;
        msi_enum_value_desc *value = &list[type->value_count++];
        value->name = name_of(in, last(in, walk.field.bytes, 1), false);
        cursor inner = walk_of(walk.field.bytes);
        while (next(in, &inner)) {
            if (is_varint(&inner, 2))
                value->number = (int32_t)(uint32_t)inner.field.value;
        }
        /* Values are siblings of their enum (descriptor.proto, EnumValueDescriptor). */
        add_symbol(in, joined(in, scope, '.', value->name), MSGSRV_SYMBOL_NONE, NULL, 0);
    }
    index_values(in, type);
    return type;
}

static void add_extensions(reader *in, msi_view view, uint32_t number, const char *scope)
{
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (is_bytes(&walk, number))
            add_symbol(in, joined(in, scope, '.', name_of(in, last(in, walk.field.bytes, 1), false)),
                       MSGSRV_SYMBOL_NONE, NULL, 0);
    }
}

static bool is_map_entry(reader *in, msi_view options)
{
    cursor walk = walk_of(options);
    bool map_entry = false;
    while (next(in, &walk)) {
        if (is_varint(&walk, 7))
            map_entry = walk.field.value != 0;
    }
    return map_entry;
}

static msi_message_desc *read_message(reader *in, msi_view view, const char *scope);

/* What is inside a message, in one walk; the arrays have room for it. */
static void read_members(reader *in, msi_view view, msi_message_desc *message)
{
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (is_bytes(&walk, 2)) {
            msi_field_desc *field = &message->fields[message->field_count++];
            read_field(in, walk.field.bytes, field);
            add_symbol(in, joined(in, message->full_name, '.', field->name ? field->name : ""), MSGSRV_SYMBOL_NONE,
                       NULL, 0);
        } else if (is_bytes(&walk, 3)) {
            enter(in, 3, message->message_count);
            message->messages[message->message_count++] = read_message(in, walk.field.bytes, message->full_name);
            leave(in);
        } else if (is_bytes(&walk, 4)) {
            enter(in, 4, message->enum_count);
            message->enums[message->enum_count++] = read_enum(in, walk.field.bytes, message->full_name);
            leave(in);
        } else if (is_bytes(&walk, 8)) {
            message->oneofs[message->oneof_count++] = name_of(in, last(in, walk.field.bytes, 1), false);
        }
    }
}

static msi_message_desc *read_message(reader *in, msi_view view, const char *scope)
{
    if (in->depth > 2 * NESTING_MAX) {
        wrong(in, "messages are nested too deeply");
        return NULL;
    }
    msi_message_desc *message = allocate(in, 1, sizeof *message);
    if (!message)
        return NULL;
    message->fields = allocate(in, count(in, view, 2), sizeof *message->fields);
    message->messages = allocate(in, count(in, view, 3), sizeof(void *));
    message->enums = allocate(in, count(in, view, 4), sizeof(void *));
    message->oneofs = allocate(in, count(in, view, 8), sizeof(char *));
    if (in->no_memory || in->wrong)
        return NULL;
    message->full_name = joined(in, scope, '.', name_of(in, last(in, view, 1), false));
    message->file = in->load->file;
    message->path = keep_path(in);
    message->path_size = in->depth;
    message->map_entry = is_map_entry(in, last(in, view, 7));
    add_symbol(in, message->full_name, MSGSRV_SYMBOL_MESSAGE, message, 0);
    read_members(in, view, message);
    add_extensions(in, view, 6, message->full_name);
    index_fields(in, message);
    if (message->map_entry && !in->wrong && !in->no_memory)
        check_entry(in, message);
    return message;
}

static void read_method(reader *in, msi_view view, const char *slash_service, msi_method_desc *method)
{
    cursor walk = walk_of(view);
    method->name = name_of(in, last(in, view, 1), false);
    method->request = type_name_of(in, last(in, view, 2));
    method->response = type_name_of(in, last(in, view, 3));
    method->path = joined(in, slash_service, '/', method->name);
    while (next(in, &walk)) {
        if (is_varint(&walk, 5))
            method->client_streaming = walk.field.value != 0;
        else if (is_varint(&walk, 6))
            method->server_streaming = walk.field.value != 0;
    }
}

static msi_service_desc *read_service(reader *in, msi_view view, const char *scope)
{
    msi_service_desc *service = allocate(in, 1, sizeof *service);
    msi_method_desc *methods = allocate(in, count(in, view, 2), sizeof *methods);
    if (!service || !methods)
        return NULL;
    service->full_name = joined(in, scope, '.', name_of(in, last(in, view, 1), false));
    service->file = in->load->file;
    service->methods = methods;
    service->path = keep_path(in);
    service->path_size = in->depth;
    add_symbol(in, service->full_name, MSGSRV_SYMBOL_SERVICE, service, 0);
    const char *slash_service = slashed(in, service->full_name);
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (!is_bytes(&walk, 2))
            continue;
        msi_method_desc *method = &methods[service->method_count];
        read_method(in, walk.field.bytes, slash_service, method);
        add_symbol(in, joined(in, service->full_name, '.', method->name), MSGSRV_SYMBOL_METHOD, service,
                   service->method_count++);
    }
    return service;
}

/* The numbers of a location's path, packed or not. false when it is too long to be anything's. */
static bool read_path(reader *in, msi_view view, msi_comment *comment)
{
    int32_t numbers[2 * NESTING_MAX + 4];
    size_t size = 0;
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (!is_bytes(&walk, 1))
            continue;
        const uint8_t *at = walk.field.bytes.data;
        const uint8_t *end = at + walk.field.bytes.size;
        uint64_t number;
        while (at && at < end) {
            at = msi_varint_get(at, end, &number);
            if (!at || size == sizeof numbers / sizeof *numbers)
                return false;
            numbers[size++] = (int32_t)(uint32_t)number;
        }
    }
    int32_t *path = allocate(in, size, sizeof *path);
    if (!path)
        return false;
    memcpy(path, numbers, size * sizeof *path);
    comment->path = path;
    comment->path_size = size;
    return true;
}

static int compare_paths(const int32_t *a, size_t a_size, const int32_t *b, size_t b_size)
{
    for (size_t i = 0; i < a_size && i < b_size; i++) {
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    }
    return (a_size > b_size) - (a_size < b_size);
}

static int compare_comments(const void *a, const void *b)
{
    const msi_comment *left = a;
    const msi_comment *right = b;
    return compare_paths(left->path, left->path_size, right->path, right->path_size);
}

static void read_comments(reader *in, msi_view info)
{
    msi_file_desc *file = in->load->file;
    file->comments = allocate(in, count(in, info, 1), sizeof *file->comments);
    cursor walk = walk_of(info);
    while (file->comments && next(in, &walk)) {
        if (!is_bytes(&walk, 1))
            continue;
        msi_comment *comment = &file->comments[file->comment_count];
        msi_view leading = last(in, walk.field.bytes, 3);
        msi_view trailing = last(in, walk.field.bytes, 4);
        if ((leading.size == 0 && trailing.size == 0) || !read_path(in, walk.field.bytes, comment))
            continue;
        comment->leading = leading.size ? text_of(in, leading) : NULL;
        comment->trailing = trailing.size ? text_of(in, trailing) : NULL;
        file->comment_count++;
    }
    if (file->comments)
        qsort(file->comments, file->comment_count, sizeof *file->comments, compare_comments);
}

const msi_comment *msi_file_comment(const msi_file_desc *file, const int32_t *path, size_t size, int32_t kind,
                                    int32_t index)
{
    int32_t whole[2 * NESTING_MAX + 8];
    if (size + 2 > sizeof whole / sizeof *whole)
        return NULL;
    if (size)
        memcpy(whole, path, size * sizeof *path);
    if (kind >= 0) {
        whole[size++] = kind;
        whole[size++] = index;
    }
    msi_comment key = {.path = whole, .path_size = size};
    return file->comment_count ? bsearch(&key, file->comments, file->comment_count, sizeof key, compare_comments) : NULL;
}

/* The file's own declarations, in one walk. */
static void read_declarations(reader *in, msi_view view)
{
    msi_file_load *load = in->load;
    msi_file_desc *file = load->file;
    size_t messages = 0, enums = 0;
    cursor walk = walk_of(view);
    while (next(in, &walk)) {
        if (is_bytes(&walk, 3)) {
            file->imports[file->import_count++] = text_of(in, walk.field.bytes);
        } else if (is_bytes(&walk, 4)) {
            enter(in, 4, messages++);
            (void)read_message(in, walk.field.bytes, file->package);
            leave(in);
        } else if (is_bytes(&walk, 5)) {
            enter(in, 5, enums++);
            (void)read_enum(in, walk.field.bytes, file->package);
            leave(in);
        } else if (is_bytes(&walk, 6)) {
            enter(in, 6, load->service_count);
            load->services[load->service_count++] = read_service(in, walk.field.bytes, file->package);
            leave(in);
        }
    }
}

static void read_file(reader *in, msi_view view)
{
    msi_file_desc *file = in->load->file;
    msi_view package = last(in, view, 2);
    msi_view syntax = last(in, view, 12);
    file->package = package.size ? name_of(in, package, true) : "";
    file->proto3 = syntax.size == 6 && memcmp(syntax.data, "proto3", 6) == 0;
    if (syntax.size && !file->proto3 && (syntax.size != 6 || memcmp(syntax.data, "proto2", 6) != 0))
        wrong(in, "its syntax is neither proto2 nor proto3");
    file->imports = allocate(in, count(in, view, 3), sizeof(char *));
    in->load->services = allocate(in, count(in, view, 6), sizeof(void *));
    if (in->no_memory || in->wrong)
        return;
    read_declarations(in, view);
    add_extensions(in, view, 7, file->package);
    read_comments(in, last(in, view, 9));
}

msgsrv_status msi_file_read(msi_file_load *load, const uint8_t *data, size_t size, msgsrv_error *error)
{
    reader in = {.load = load};
    uint8_t *own = allocate(&in, size, 1);
    load->file = allocate(&in, 1, sizeof *load->file);
    if (!own || !load->file)
        return msi_error_memory(error);
    if (size)
        memcpy(own, data, size);
    load->file->data = own;
    load->file->size = size;
    msi_view view = {own, size};
    load->file->name = text_of(&in, last(&in, view, 1));
    if (!*load->file->name)
        wrong(&in, "it has no name");
    read_file(&in, view);
    if (in.no_memory)
        return msi_error_memory(error);
    if (in.wrong)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the descriptor of \"%.80s\": %s",
                         load->file->name ? load->file->name : "?", in.wrong);
    return MSGSRV_OK;
}
