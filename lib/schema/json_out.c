/* SPDX-License-Identifier: MIT */
/*
 * From wire bytes to JSON. The text is written straight into a buffer rather than through a tree: a message may be large, and the order of its
 * members is ours. A message's fields are found in one walk, sorted by field, and then written field by field.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/utf8.h"
#include "schema/json.h"

typedef struct writer {
    const msgsrv_schema *schema;
    const msi_json_limits *limits;
    msi_buf out;
    unsigned depth;
    unsigned lines; /* indentation */
    msgsrv_error *error;
    msgsrv_status status;
} writer;

/* One field as it came. */
typedef struct found {
    const msi_field_desc *field;
    msi_wire_field value;
    size_t order;
} found;

static bool fail(writer *to, msgsrv_status status, const char *name, const char *what)
{
    if (to->status == MSGSRV_OK)
        to->status = msi_error(to->error, status, "%.128s: %s", name, what);
    return false;
}

static bool no_memory(writer *to)
{
    if (to->status == MSGSRV_OK)
        to->status = msi_error_memory(to->error);
    return false;
}

static bool put(writer *to, const char *text)
{
    if (to->out.len > to->limits->max_bytes)
        return fail(to, MSGSRV_RESOURCE_EXHAUSTED, "JSON", "over the limit of bytes");
    return msi_buf_append(&to->out, text, strlen(text)) || no_memory(to);
}

static bool put_text(writer *to, const void *text, size_t size)
{
    return msi_json_put_string(&to->out, text, size) || no_memory(to);
}

/* Objects and arrays: the separator before an element, and the ends. */
static bool new_line(writer *to)
{
    uint32_t width = to->limits->options.indent;
    if (width == 0)
        return true;
    char spaces[] = "\n        ";
    if (!msi_buf_append(&to->out, spaces, 1))
        return no_memory(to);
    for (unsigned i = 0; i < to->lines; i++) {
        if (!msi_buf_append(&to->out, spaces + 1, width))
            return no_memory(to);
    }
    return true;
}

static bool open_list(writer *to, const char *bracket)
{
    to->lines++;
    return put(to, bracket);
}

static bool separate(writer *to, bool *first)
{
    bool comma = !*first;
    *first = false;
    return (!comma || put(to, ",")) && new_line(to);
}

static bool close_list(writer *to, const char *bracket, bool empty)
{
    to->lines--;
    return (empty || new_line(to)) && put(to, bracket);
}

static bool put_key(writer *to, const char *name, bool *first)
{
    return separate(to, first) && put_text(to, name, strlen(name)) && put(to, to->limits->options.indent ? ": " : ":");
}

static bool put_message(writer *to, const msi_message_desc *message, msi_view data);

/* Scalars. */

static int64_t zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static bool put_number(writer *to, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put(to, text);
}

/* 64 bits do not fit JavaScript's numbers. */
static bool put_quoted(writer *to, bool negative, uint64_t magnitude)
{
    char text[32];
    snprintf(text, sizeof text, "\"%s%" PRIu64 "\"", negative ? "-" : "", magnitude);
    return put(to, text);
}

static bool put_quoted_signed(writer *to, int64_t value)
{
    return put_quoted(to, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static bool put_float(writer *to, uint64_t bits)
{
    uint32_t half = (uint32_t)bits;
    float value;
    memcpy(&value, &half, sizeof value);
    return msi_json_put_double(&to->out, (double)value, true) || no_memory(to);
}

static bool put_double(writer *to, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return msi_json_put_double(&to->out, value, false) || no_memory(to);
}

static bool put_enum(writer *to, const msi_field_desc *field, int32_t number)
{
    const msi_enum_desc *type = msi_schema_enum(to->schema, field->type_name);
    if (!type)
        return fail(to, MSGSRV_NOT_FOUND, field->type_name, "the schema has no such enum");
    if (to->limits->options.enum_numbers)
        return put_number(to, number);
    if (number == 0 && strcmp(type->full_name, "google.protobuf.NullValue") == 0)
        return put(to, "null"); /* another number is no value of it, and would be lost */
    const char *name = msi_enum_name(type, number);
    return name ? put_text(to, name, strlen(name)) : put_number(to, number);
}

static bool put_string(writer *to, const msi_field_desc *field, msi_view text)
{
    if (!msi_json_is_utf8(text.data, text.size))
        return fail(to, MSGSRV_INVALID_ARGUMENT, field->name, "not UTF-8");
    return put_text(to, text.data, text.size);
}

static bool put_value(writer *to, const msi_field_desc *field, const msi_wire_field *value)
{
    uint64_t bits = value->value;
    switch (field->type) {
    case MSI_TYPE_DOUBLE:
        return put_double(to, bits);
    case MSI_TYPE_FLOAT:
        return put_float(to, bits);
    case MSI_TYPE_INT64:
    case MSI_TYPE_SFIXED64:
        return put_quoted_signed(to, (int64_t)bits);
    case MSI_TYPE_UINT64:
    case MSI_TYPE_FIXED64:
        return put_quoted(to, false, bits);
    case MSI_TYPE_SINT64:
        return put_quoted_signed(to, zigzag(bits));
    case MSI_TYPE_INT32:
    case MSI_TYPE_SFIXED32:
        return put_number(to, (int32_t)(uint32_t)bits);
    case MSI_TYPE_SINT32:
        return put_number(to, (int32_t)zigzag((uint32_t)bits));
    case MSI_TYPE_UINT32:
    case MSI_TYPE_FIXED32:
        return put_number(to, (int64_t)(uint32_t)bits);
    case MSI_TYPE_BOOL:
        return put(to, bits ? "true" : "false");
    case MSI_TYPE_ENUM:
        return put_enum(to, field, (int32_t)(uint32_t)bits);
    case MSI_TYPE_STRING:
        return put_string(to, field, value->bytes);
    case MSI_TYPE_BYTES:
        return msi_json_put_base64(&to->out, value->bytes.data, value->bytes.size) || no_memory(to);
    default:
        break;
    }
    const msi_message_desc *type = msi_schema_message(to->schema, field->type_name);
    if (!type)
        return fail(to, MSGSRV_NOT_FOUND, field->type_name, "the schema has no such message");
    return put_message(to, type, value->bytes);
}

/* Of 32 bits only those count, however long the varint is. */
static bool is_zero(const msi_field_desc *field, const msi_wire_field *value)
{
    switch (field->type) {
    case MSI_TYPE_STRING:
    case MSI_TYPE_BYTES:
        return value->bytes.size == 0;
    case MSI_TYPE_INT32:
    case MSI_TYPE_UINT32:
    case MSI_TYPE_SINT32:
    case MSI_TYPE_ENUM:
        return (uint32_t)value->value == 0;
    default:
        return value->value == 0;
    }
}

/* The wire type of a single value. */
static uint32_t wire_type(const msi_field_desc *field)
{
    switch (field->type) {
    case MSI_TYPE_DOUBLE:
    case MSI_TYPE_FIXED64:
    case MSI_TYPE_SFIXED64:
        return MSI_WIRE_FIXED64;
    case MSI_TYPE_FLOAT:
    case MSI_TYPE_FIXED32:
    case MSI_TYPE_SFIXED32:
        return MSI_WIRE_FIXED32;
    case MSI_TYPE_STRING:
    case MSI_TYPE_BYTES:
    case MSI_TYPE_MESSAGE:
        return MSI_WIRE_BYTES;
    default:
        return MSI_WIRE_VARINT;
    }
}

/* Finding a message's fields. */

/* The next field of a message of the type. */
static bool next_field(writer *to, const msi_message_desc *message, const uint8_t **at, const uint8_t *end,
                       msi_wire_field *field)
{
    bool too_deep = false;
    *at = msi_json_field_get(*at, end, to->limits->max_depth - to->depth, field, &too_deep);
    if (too_deep)
        return fail(to, MSGSRV_RESOURCE_EXHAUSTED, message->full_name, "nested too deeply");
    return *at || fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "does not decode");
}

typedef struct fields {
    found *list;
    size_t count;
    size_t room;
    msi_buf unknown;
} fields;

static bool add(writer *to, fields *all, const msi_field_desc *field, const msi_wire_field *value)
{
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 16;
        found *list = realloc(all->list, room * sizeof *list);
        if (!list)
            return no_memory(to);
        all->list = list;
        all->room = room;
    }
    all->list[all->count] = (found){field, *value, all->count};
    all->count++;
    return true;
}

static bool add_packed(writer *to, fields *all, const msi_field_desc *field, msi_view packed)
{
    const uint8_t *at = packed.data;
    const uint8_t *end = at + packed.size;
    msi_wire_field value = {.number = field->number, .type = wire_type(field)};
    while (at < end) {
        at = value.type == MSI_WIRE_VARINT ? msi_varint_get(at, end, &value.value) : msi_wire_fixed_get(at, end, &value);
        if (!at)
            return fail(to, MSGSRV_INVALID_ARGUMENT, field->name, "does not decode");
        if (!add(to, all, field, &value))
            return false;
    }
    return true;
}

static bool find_fields(writer *to, const msi_message_desc *message, msi_view data, fields *all)
{
    const uint8_t *at = data.data;
    const uint8_t *end = at + data.size;
    while (at < end) {
        const uint8_t *start = at;
        msi_wire_field value = {0};
        if (!next_field(to, message, &at, end, &value))
            return false;
        const msi_field_desc *field = msi_message_field(message, value.number);
        if (field && field->type == MSI_TYPE_GROUP && value.type == MSI_WIRE_GROUP)
            return fail(to, MSGSRV_UNIMPLEMENTED, field->name, "groups are not supported");
        bool known = field && field->type != MSI_TYPE_GROUP;
        if (known && value.type == wire_type(field)) {
            if (!add(to, all, field, &value))
                return false;
        } else if (known && field->repeated && value.type == MSI_WIRE_BYTES) {
            if (!add_packed(to, all, field, value.bytes))
                return false;
        } else if (to->limits->options.keep_unknown && !msi_buf_append(&all->unknown, start, (size_t)(at - start))) {
            return no_memory(to);
        }
    }
    return true;
}

static int compare_oneofs(const void *a, const void *b)
{
    const found *left = a;
    const found *right = b;
    if (left->field->oneof != right->field->oneof)
        return left->field->oneof < right->field->oneof ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

static bool has_oneofs(const fields *all)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i].field->oneof >= 0)
            return true;
    }
    return false;
}

/* Of a oneof only the member that came last is there, and of it only what came after the others. Costs what was found, not what the type
 * declares, which may be much more. */
static void keep_last_of_oneofs(fields *all)
{
    if (!has_oneofs(all))
        return;
    qsort(all->list, all->count, sizeof *all->list, compare_oneofs);
    size_t kept = 0;
    for (size_t i = 0, end; i < all->count; i = end) {
        int32_t oneof = all->list[i].field->oneof;
        for (end = i + 1; end < all->count && oneof >= 0 && all->list[end].field->oneof == oneof; end++)
            continue;
        size_t from = end - 1;
        while (from > i && all->list[from - 1].field == all->list[end - 1].field)
            from--;
        while (from < end)
            all->list[kept++] = all->list[from++];
    }
    all->count = kept;
}

static int compare_found(const void *a, const void *b)
{
    const found *left = a;
    const found *right = b;
    if (left->field->number != right->field->number)
        return left->field->number < right->field->number ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

/* Several occurrences of one message are one message: their bytes one after the other (protobuf's encoding guide, "Last One Wins"). */
static bool put_merged(writer *to, const msi_field_desc *field, const found *list, size_t count)
{
    msi_buf whole = {0};
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = msi_buf_append(&whole, list[i].value.bytes.data, list[i].value.bytes.size) || no_memory(to);
    msi_wire_field value = {.bytes = {whole.data ? whole.data : (const uint8_t *)"", whole.len}};
    ok = ok && put_value(to, field, &value);
    msi_buf_release(&whole);
    return ok;
}

static bool put_single(writer *to, const msi_field_desc *field, const found *list, size_t count)
{
    if (count == 1 || field->type != MSI_TYPE_MESSAGE)
        return put_value(to, field, &list[count - 1].value);
    return put_merged(to, field, list, count);
}

static bool put_repeated(writer *to, const msi_field_desc *field, const found *list, size_t count)
{
    bool first = true;
    if (!open_list(to, "["))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!separate(to, &first) || !put_value(to, field, &list[i].value))
            return false;
    }
    return close_list(to, "]", first);
}

/* Maps: the key of each entry as text; of equal keys the last entry counts. */

typedef struct entry {
    char *key; /* as JSON, quotes included; NULL-terminated, on the heap */
    msi_wire_field value;
    msi_buf merged; /* where the value is a message that came several times */
    size_t order;
} entry;

static int compare_entries(const void *a, const void *b)
{
    const entry *left = a;
    const entry *right = b;
    int order = strcmp(left->key, right->key);
    return order ? order : (left->order > right->order) - (left->order < right->order);
}

/* A key as a member's name: numbers and booleans in quotes. */
static char *key_text(writer *to, const msi_field_desc *field, const msi_wire_field *value)
{
    msi_buf kept = to->out;
    to->out = (msi_buf){0};
    bool ok = put_value(to, field, value);
    bool quoted = ok && to->out.len && to->out.data[0] == '"';
    char *text = ok ? malloc(to->out.len + 3) : NULL;
    if (text)
        snprintf(text, to->out.len + 3, quoted ? "%.*s" : "\"%.*s\"", (int)to->out.len, (const char *)to->out.data);
    else if (ok)
        (void)no_memory(to);
    msi_buf_release(&to->out);
    to->out = kept;
    return text;
}

/* A further value of one entry: of a message, what comes is added to what is there. */
static bool set_value(writer *to, const msi_field_desc *field, const msi_wire_field *value, entry *into)
{
    const msi_view before = into->value.bytes;
    bool merge = field->type == MSI_TYPE_MESSAGE && before.size > 0;
    into->value = *value;
    if (!merge)
        return true;
    if ((into->merged.len == 0 && !msi_buf_append(&into->merged, before.data, before.size)) ||
        (value->bytes.size && !msi_buf_append(&into->merged, value->bytes.data, value->bytes.size)))
        return no_memory(to);
    into->value.bytes = (msi_view){into->merged.data, into->merged.len};
    return true;
}

static bool read_entry(writer *to, const msi_message_desc *type, msi_view data, entry *into)
{
    const msi_field_desc *key_field = msi_message_field(type, 1);
    const msi_field_desc *value_field = msi_message_field(type, 2);
    msi_wire_field key = {.bytes = {(const uint8_t *)"", 0}};
    const uint8_t *at = data.data;
    const uint8_t *end = at + data.size;
    into->value = (msi_wire_field){.bytes = {(const uint8_t *)"", 0}};
    while (at < end) {
        msi_wire_field field = {0};
        if (!next_field(to, type, &at, end, &field))
            return false;
        if (field.number == 1 && field.type == wire_type(key_field))
            key = field;
        else if (field.number == 2 && field.type == wire_type(value_field) && !set_value(to, value_field, &field, into))
            return false;
    }
    into->key = key_text(to, key_field, &key);
    return into->key != NULL;
}

static bool put_entries(writer *to, const msi_message_desc *type, entry *entries, size_t count)
{
    bool first = true;
    if (!open_list(to, "{"))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && strcmp(entries[i].key, entries[i + 1].key) == 0)
            continue;
        if (!separate(to, &first) || !put(to, entries[i].key) || !put(to, to->limits->options.indent ? ": " : ":") ||
            !put_value(to, msi_message_field(type, 2), &entries[i].value))
            return false;
    }
    return close_list(to, "}", first);
}

static bool put_map(writer *to, const msi_message_desc *type, const found *list, size_t count)
{
    entry *entries = calloc(count ? count : 1, sizeof *entries);
    bool ok = entries != NULL || no_memory(to);
    for (size_t i = 0; i < count && ok; i++) {
        entries[i].order = i;
        ok = read_entry(to, type, list[i].value.bytes, &entries[i]);
    }
    if (ok) {
        qsort(entries, count, sizeof *entries, compare_entries);
        ok = put_entries(to, type, entries, count);
    }
    for (size_t i = 0; i < count && entries; i++) {
        free(entries[i].key);
        msi_buf_release(&entries[i].merged);
    }
    free(entries);
    return ok;
}

/* The entry type of a map field, or NULL. */
static const msi_message_desc *map_of(const writer *to, const msi_field_desc *field)
{
    if (!field->repeated || field->type != MSI_TYPE_MESSAGE)
        return NULL;
    const msi_message_desc *type = msi_schema_message(to->schema, field->type_name);
    return type && type->map_entry && msi_message_field(type, 1) && msi_message_field(type, 2) ? type : NULL;
}

static bool put_field(writer *to, const msi_field_desc *field, const found *list, size_t count, bool *first)
{
    bool all = to->limits->options.all_fields;
    if (count == 0 && (!all || field->presence))
        return true;
    if (count && !field->repeated && !field->presence && !all && is_zero(field, &list[count - 1].value))
        return true;
    if (!put_key(to, to->limits->options.proto_names ? field->name : field->json_name, first))
        return false;
    const msi_message_desc *map = map_of(to, field);
    if (map)
        return put_map(to, map, list, count);
    if (field->repeated)
        return put_repeated(to, field, list, count);
    if (count)
        return put_single(to, field, list, count);
    msi_wire_field zero = {.bytes = {(const uint8_t *)"", 0}};
    return put_value(to, field, &zero);
}

/* How many of the fields that were found, sorted, are the same as the one at `at`. */
static size_t run_of(const fields *all, size_t at, const msi_field_desc *field)
{
    size_t count = 0;
    while (at + count < all->count && all->list[at + count].field == field)
        count++;
    return count;
}

/* What came; with all_fields also what did not. A type of many fields costs no time for a message of few. */
static bool put_members(writer *to, const msi_message_desc *message, const fields *all, bool *first)
{
    bool each = to->limits->options.all_fields;
    size_t at = 0;
    for (size_t i = 0; each ? i < message->field_count : at < all->count; i++) {
        const msi_field_desc *field = each ? message->by_number[i] : all->list[at].field;
        size_t count = run_of(all, at, field);
        if (!put_field(to, field, count ? &all->list[at] : NULL, count, first))
            return false;
        at += count;
    }
    if (all->unknown.len == 0)
        return true;
    return put_key(to, "@unknown", first) &&
           (msi_json_put_base64(&to->out, all->unknown.data, all->unknown.len) || no_memory(to));
}

static bool put_object(writer *to, const msi_message_desc *message, msi_view data, bool *first)
{
    fields all = {0};
    bool ok = find_fields(to, message, data, &all);
    if (ok)
        keep_last_of_oneofs(&all);
    if (ok && all.count)
        qsort(all.list, all.count, sizeof *all.list, compare_found);
    ok = ok && put_members(to, message, &all, first);
    free(all.list);
    msi_buf_release(&all.unknown);
    return ok;
}

/* Well-known types. */

/* The fields of a type of one, two or more singular fields: the last value of each number up to 6. */
static bool read_numbers(writer *to, const msi_message_desc *message, msi_view data, msi_wire_field values[7],
                         uint32_t *which)
{
    const uint8_t *at = data.data;
    const uint8_t *end = at + data.size;
    for (size_t i = 0; i < 7; i++)
        values[i] = (msi_wire_field){.bytes = {(const uint8_t *)"", 0}};
    *which = 0;
    while (at < end) {
        msi_wire_field value = {0};
        if (!next_field(to, message, &at, end, &value))
            return false;
        const msi_field_desc *field = value.number < 7 ? msi_message_field(message, value.number) : NULL;
        if (field && value.type == wire_type(field)) {
            values[value.number] = value;
            *which = value.number;
        }
    }
    return true;
}

static bool put_time(writer *to, const msi_message_desc *message, msi_view data, bool timestamp)
{
    msi_wire_field values[7];
    uint32_t which;
    char text[MSI_TIME_TEXT];
    if (!read_numbers(to, message, data, values, &which))
        return false;
    int64_t seconds = (int64_t)values[1].value;
    int32_t nanos = (int32_t)(uint32_t)values[2].value;
    if (timestamp ? !msi_timestamp_text(seconds, nanos, text) : !msi_duration_text(seconds, nanos, text))
        return fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "out of range");
    return put_text(to, text, strlen(text));
}

/* Paths in lowerCamelCase, joined by commas. */
static bool put_mask(writer *to, const msi_message_desc *message, msi_view data)
{
    const uint8_t *at = data.data;
    const uint8_t *end = at + data.size;
    msi_buf text = {0};
    bool ok = true;
    while (ok && at < end) {
        msi_wire_field value = {0};
        if (!next_field(to, message, &at, end, &value)) {
            ok = false;
            break;
        }
        if (value.number != 1 || value.type != MSI_WIRE_BYTES)
            continue;
        bool upper = false;
        ok = (text.len == 0 || msi_buf_append(&text, ",", 1)) || no_memory(to);
        for (size_t i = 0; ok && i < value.bytes.size; i++) {
            char c = (char)value.bytes.data[i];
            bool lower = c >= 'a' && c <= 'z';
            if (c == ',' || (c >= 'A' && c <= 'Z') || (upper && !lower) || (uint8_t)c >= 0x80) {
                ok = fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "a path that cannot be written in JSON");
            } else if (c == '_') {
                upper = true;
            } else {
                c = upper ? (char)(c - 'a' + 'A') : c;
                upper = false;
                ok = msi_buf_append(&text, &c, 1) || no_memory(to);
            }
        }
        if (ok && (upper || value.bytes.size == 0))
            ok = fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "a path that is empty or ends in '_'");
    }
    ok = ok && put_text(to, text.data ? text.data : (const uint8_t *)"", text.len);
    msi_buf_release(&text);
    return ok;
}

/* google.protobuf.Value: one of its six kinds, which are a oneof; null and what is not a finite number are not as elsewhere. Without a kind it is
 * null, too, as Google's Python has it: struct.proto calls that an error, but a whole message would be lost for it. */
static bool put_kind(writer *to, const msi_message_desc *message, const found *list, size_t count)
{
    const msi_field_desc *field = count ? list[count - 1].field : NULL;
    if (!field || field->number == 1)
        return put(to, "null");
    if (field->number == 2) {
        double number;
        memcpy(&number, &list[count - 1].value.value, sizeof number);
        if (number - number != 0)
            return fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "a number that is not finite");
    }
    return put_single(to, field, list, count);
}

static bool put_any_value(writer *to, const msi_message_desc *message, msi_view data)
{
    fields all = {0};
    bool ok = find_fields(to, message, data, &all);
    if (ok)
        keep_last_of_oneofs(&all);
    size_t count = 0; /* of the kind that came last */
    while (ok && count < all.count && all.list[all.count - 1 - count].field == all.list[all.count - 1].field)
        count++;
    ok = ok && put_kind(to, message, count ? &all.list[all.count - count] : NULL, count);
    free(all.list);
    msi_buf_release(&all.unknown);
    return ok;
}

/* The only field of Struct, ListValue and the wrappers. */
static bool put_only_field(writer *to, const msi_message_desc *message, msi_view data)
{
    fields all = {0};
    const msi_field_desc *field = message->field_count ? message->by_number[0] : NULL;
    bool ok = field ? find_fields(to, message, data, &all)
                    : fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "it has no field");
    const msi_message_desc *map = ok ? map_of(to, field) : NULL;
    msi_wire_field zero = {.bytes = {(const uint8_t *)"", 0}};
    if (ok && map)
        ok = put_map(to, map, all.list, all.count);
    else if (ok && field->repeated)
        ok = put_repeated(to, field, all.list, all.count);
    else if (ok)
        ok = put_value(to, field, all.count ? &all.list[all.count - 1].value : &zero);
    free(all.list);
    msi_buf_release(&all.unknown);
    return ok;
}

/* A well-known type inside an Any stands in a member "value". */
static bool put_any(writer *to, const msi_message_desc *message, msi_view data)
{
    msi_wire_field values[7];
    uint32_t which;
    bool first = true;
    if (!read_numbers(to, message, data, values, &which) || !open_list(to, "{"))
        return false;
    msi_view url = values[1].bytes;
    if (url.size == 0)
        return values[2].bytes.size == 0 ? close_list(to, "}", true)
                                         : fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "no type");
    char name[512];
    size_t start = url.size;
    while (start > 0 && url.data[start - 1] != '/')
        start--;
    snprintf(name, sizeof name, "%.*s", (int)(url.size - start), (const char *)url.data + start);
    const msi_message_desc *type = start && url.size - start < sizeof name ? msi_schema_message(to->schema, name) : NULL;
    if (!type)
        return fail(to, MSGSRV_INVALID_ARGUMENT, name, "the type of a google.protobuf.Any, which the schema has not");
    if (msi_text_check(url.data, url.size) != MSI_TEXT_OK)
        return fail(to, MSGSRV_INVALID_ARGUMENT, message->full_name, "a type URL that is not UTF-8");
    if (!put_key(to, "@type", &first) || !put_text(to, url.data, url.size))
        return false;
    if (msi_json_known(type->full_name) == MSI_KNOWN_NOT) {
        if (!put_object(to, type, values[2].bytes, &first))
            return false;
    } else if (!put_key(to, "value", &first) || !put_message(to, type, values[2].bytes)) {
        return false;
    }
    return close_list(to, "}", first);
}

static bool put_known(writer *to, const msi_message_desc *message, msi_view data, msi_known known)
{
    bool first = true;
    switch (known) {
    case MSI_KNOWN_TIMESTAMP:
    case MSI_KNOWN_DURATION:
        return put_time(to, message, data, known == MSI_KNOWN_TIMESTAMP);
    case MSI_KNOWN_FIELD_MASK:
        return put_mask(to, message, data);
    case MSI_KNOWN_VALUE:
        return put_any_value(to, message, data);
    case MSI_KNOWN_STRUCT:
    case MSI_KNOWN_LIST_VALUE:
    case MSI_KNOWN_WRAPPER:
        return put_only_field(to, message, data);
    case MSI_KNOWN_ANY:
        return put_any(to, message, data);
    case MSI_KNOWN_NOT:
        break;
    }
    return open_list(to, "{") && put_object(to, message, data, &first) && close_list(to, "}", first);
}

static bool put_message(writer *to, const msi_message_desc *message, msi_view data)
{
    if (to->depth == to->limits->max_depth)
        return fail(to, MSGSRV_RESOURCE_EXHAUSTED, message->full_name, "nested too deeply");
    to->depth++;
    bool ok = put_known(to, message, data, msi_json_known(message->full_name));
    to->depth--;
    return ok;
}

msgsrv_status msgsrv_json_from_wire(const msgsrv_schema *schema, const char *type, const void *data, size_t size,
                                    const msgsrv_json_options *options, char **text, size_t *text_size,
                                    msgsrv_error *error)
{
    msi_json_limits limits;
    msgsrv_status status = msi_json_options(options, &limits, error);
    if (status)
        return status;
    if (!schema || !type || !text || (!data && size))
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the schema, the type, the data or the text is NULL");
    const msi_message_desc *message = msi_schema_message(schema, type);
    if (!message)
        return msi_error(error, MSGSRV_NOT_FOUND, "the schema has no message %.128s", type);
    writer to = {.schema = schema, .limits = &limits, .error = error};
    msi_view view = {data ? data : (const uint8_t *)"", size};
    bool ok = put_message(&to, message, view) && put(&to, "");
    if (ok && !msi_buf_append(&to.out, "", 1))
        ok = no_memory(&to);
    if (!ok) {
        msi_buf_release(&to.out);
        return to.status;
    }
    *text = (char *)to.out.data;
    if (text_size)
        *text_size = to.out.len - 1;
    return MSGSRV_OK;
}
