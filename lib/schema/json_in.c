/* SPDX-License-Identifier: MIT */
/*
 * From JSON to wire bytes. The text is parsed by jansson; the tree is gone through field by field, in the order of the fields' numbers, and what
 * is found is appended to one buffer. Errors name the member by its path.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "schema/json.h"
#include "schema/json_parse.h"

#define PATH_ROOM 160
#define SHOWN 40

typedef struct reader {
    const msgsrv_schema *schema;
    const msi_json_limits *limits;
    msi_buf out;
    unsigned depth;
    bool marked; /* the tree has integers beyond jansson's */
    msgsrv_error *error;
    msgsrv_status status;
    char path[PATH_ROOM];
    size_t path_size;
} reader;

static bool no_memory(reader *in)
{
    if (in->status == MSGSRV_OK)
        in->status = msi_error_memory(in->error);
    return false;
}

static bool fail(reader *in, msgsrv_status status, const char *what)
{
    if (in->status == MSGSRV_OK)
        in->status = msi_error(in->error, status, "%.*s: %s", (int)in->path_size, in->path, what);
    return false;
}

/* An integer beyond jansson's, which its tree has as a string; or NULL. */
static const char *large_integer(const reader *in, const json_t *value)
{
    return in->marked ? msi_json_large_integer(value) : NULL;
}

/* A string of the text. */
static const char *string_of(const reader *in, const json_t *value)
{
    return large_integer(in, value) ? NULL : json_string_value(value);
}

/* The value as the text shows it, cut. */
static void show(const reader *in, const json_t *value, char text[SHOWN + 4])
{
    const char *large = large_integer(in, value);
    if (large) {
        snprintf(text, SHOWN + 4, "%.*s%s", SHOWN, large, strlen(large) > SHOWN ? "..." : "");
        return;
    }
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    size_t size = dumped ? strlen(dumped) : 0;
    snprintf(text, SHOWN + 4, "%.*s%s", SHOWN, dumped ? dumped : "?", size > SHOWN ? "..." : "");
    free(dumped);
}

static bool mismatch(reader *in, const json_t *value, const char *expected)
{
    char shown[SHOWN + 4];
    char what[SHOWN + 80];
    show(in, value, shown);
    snprintf(what, sizeof what, "%s is not %s", shown, expected);
    return fail(in, MSGSRV_INVALID_ARGUMENT, what);
}

/* The path grows by ".name" or "[3]" and is cut back. */
static size_t enter(reader *in, const char *name, size_t index)
{
    size_t before = in->path_size;
    size_t room = PATH_ROOM - before;
    int size = name ? snprintf(in->path + before, room, ".%s", name) : snprintf(in->path + before, room, "[%zu]", index);
    in->path_size = size < 0 ? before : (size_t)size < room ? before + (size_t)size : PATH_ROOM - 1;
    return before;
}

static void leave(reader *in, size_t before)
{
    in->path_size = before;
}

/* Writing. */

static bool put_varint(reader *in, uint64_t value)
{
    if (in->out.len > in->limits->max_bytes)
        return fail(in, MSGSRV_RESOURCE_EXHAUSTED, "the message is over the limit of bytes");
    if (!msi_buf_reserve(&in->out, 10))
        return no_memory(in);
    in->out.len = (size_t)(msi_varint_put(in->out.data + in->out.len, value) - in->out.data);
    return true;
}

static bool put_tag(reader *in, uint32_t number, uint32_t type)
{
    return put_varint(in, (uint64_t)number << 3 | type);
}

static bool put_fixed(reader *in, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return msi_buf_append(&in->out, bytes, size) || no_memory(in);
}

static bool put_bytes(reader *in, const void *data, size_t size)
{
    if (size > in->limits->max_bytes)
        return fail(in, MSGSRV_RESOURCE_EXHAUSTED, "the message is over the limit of bytes");
    return put_varint(in, size) && (msi_buf_append(&in->out, data, size) || no_memory(in));
}

/* Puts the length in front of what was appended since `start`. */
static bool close_length(reader *in, size_t start)
{
    size_t size = in->out.len - start;
    size_t length = msi_varint_size(size);
    if (size > in->limits->max_bytes)
        return fail(in, MSGSRV_RESOURCE_EXHAUSTED, "the message is over the limit of bytes");
    if (!msi_buf_reserve(&in->out, length))
        return no_memory(in);
    memmove(in->out.data + start + length, in->out.data + start, size);
    (void)msi_varint_put(in->out.data + start, size);
    in->out.len += length;
    return true;
}

/* Reading numbers. */

typedef struct whole {
    bool negative;
    uint64_t magnitude;
} whole;

static bool integral(double value, whole *to)
{
    double magnitude = value < 0 ? -value : value; /* without libm, which the library needs for nothing else */
    if (!(magnitude < 18446744073709551616.0))
        return false;
    to->negative = value < 0;
    to->magnitude = (uint64_t)magnitude;
    return (double)to->magnitude == magnitude;
}

/* "-12". */
static bool digits(const char *text, size_t size, whole *to)
{
    bool negative = size && *text == '-';
    size_t i = negative;
    uint64_t value = 0;
    bool plain = i < size && (text[i] != '0' || size == i + 1);
    for (; i < size && plain; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            plain = false;
    }
    *to = (whole){negative, value};
    return plain;
}

/* "-12", or a form of a real that is whole: "1.0", "1e3". */
static bool integer_text(const char *text, size_t size, whole *to)
{
    double real;
    if (digits(text, size, to))
        return true;
    return msi_json_read_double(text, size, &real) && integral(real, to);
}

static bool integer_of(const reader *in, const json_t *value, whole *to)
{
    const char *large = large_integer(in, value);
    if (large)
        return integer_text(large, strlen(large), to);
    if (json_is_integer(value)) {
        json_int_t given = json_integer_value(value);
        *to = (whole){given < 0, given < 0 ? 0 - (uint64_t)given : (uint64_t)given};
        return true;
    }
    if (json_is_real(value))
        return integral(json_real_value(value), to);
    return json_is_string(value) && integer_text(json_string_value(value), json_string_length(value), to);
}

static bool fits(const whole *value, uint64_t most, uint64_t most_negative)
{
    return value->magnitude <= (value->negative ? most_negative : most);
}

static bool signed_of(reader *in, const json_t *value, unsigned bits, int64_t *to)
{
    uint64_t most = bits == 32 ? INT32_MAX : INT64_MAX;
    whole given;
    if (!integer_of(in, value, &given) || !fits(&given, most, most + 1))
        return mismatch(in, value, bits == 32 ? "an int32" : "an int64");
    *to = (int64_t)(given.negative ? 0 - given.magnitude : given.magnitude);
    return true;
}

static bool unsigned_of(reader *in, const json_t *value, unsigned bits, uint64_t *to)
{
    whole given;
    if (!integer_of(in, value, &given) || !fits(&given, bits == 32 ? UINT32_MAX : UINT64_MAX, 0))
        return mismatch(in, value, bits == 32 ? "a uint32" : "a uint64");
    *to = given.magnitude;
    return true;
}

static bool real_of(reader *in, const json_t *value, bool single, double *to)
{
    const char *large = large_integer(in, value);
    const char *text = string_of(in, value);
    if (large && msi_json_read_double(large, strlen(large), to))
        ; /* as it is */
    else if (json_is_number(value))
        *to = json_number_value(value);
    else if (text && strcmp(text, "NaN") == 0)
        *to = NAN;
    else if (text && strcmp(text, "Infinity") == 0)
        *to = INFINITY;
    else if (text && strcmp(text, "-Infinity") == 0)
        *to = -INFINITY;
    else if (!text || !msi_json_read_double(text, json_string_length(value), to))
        return mismatch(in, value, single ? "a float" : "a double");
    if (single && isfinite(*to) && fabs(*to) > (double)FLT_MAX && isinf((float)*to))
        return mismatch(in, value, "a float");
    return true;
}

static bool enum_of(reader *in, const msi_field_desc *field, const json_t *value, int64_t *to, bool *skip)
{
    const msi_enum_desc *type = msi_schema_enum(in->schema, field->type_name);
    if (!type)
        return fail(in, MSGSRV_NOT_FOUND, "the schema has not the enum's type");
    bool null_value = strcmp(type->full_name, "google.protobuf.NullValue") == 0;
    if (null_value && json_is_null(value)) {
        *to = 0;
        return true;
    }
    const char *name = string_of(in, value);
    for (size_t i = 0; i < type->value_count && name; i++) {
        if (strcmp(type->values[i].name, name) == 0) {
            *to = type->values[i].number;
            return true;
        }
    }
    whole given; /* a text must be that of an integer: else it is a name that is unknown */
    bool number = name ? digits(name, json_string_length(value), &given) : integer_of(in, value, &given);
    if (number && fits(&given, INT32_MAX, (uint64_t)INT32_MAX + 1)) {
        *to = (int64_t)(given.negative ? 0 - given.magnitude : given.magnitude);
        return true;
    }
    if (name && !number && in->limits->options.ignore_unknown) {
        *skip = true;
        return true;
    }
    char expected[80];
    snprintf(expected, sizeof expected, "a value of %.60s", type->full_name);
    return mismatch(in, value, expected);
}

/* A scalar as its field holds it. */
typedef struct scalar {
    uint64_t bits; /* of a varint or fixed field */
    msi_buf bytes; /* of bytes, decoded */
    const char *text;
    size_t size;
    bool skip; /* an enum's name that is unknown, and to be ignored */
} scalar;

static bool bytes_of(reader *in, const json_t *value, scalar *to)
{
    bool without_memory = false;
    if (!string_of(in, value))
        return mismatch(in, value, "bytes in base64");
    if (!msi_base64_read(json_string_value(value), json_string_length(value), &to->bytes, &without_memory))
        return without_memory ? no_memory(in) : mismatch(in, value, "bytes in base64");
    to->text = to->bytes.data ? (const char *)to->bytes.data : "";
    to->size = to->bytes.len;
    return true;
}

static bool float_bits(reader *in, const json_t *value, bool single, scalar *to)
{
    double real;
    if (!real_of(in, value, single, &real))
        return false;
    if (single) {
        float narrow = (float)real;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        to->bits = bits;
    } else {
        memcpy(&to->bits, &real, sizeof real);
    }
    return true;
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static bool read_scalar(reader *in, const msi_field_desc *field, const json_t *value, scalar *to)
{
    int64_t value64 = 0;
    bool ok = true;
    switch (field->type) {
    case MSI_TYPE_DOUBLE:
    case MSI_TYPE_FLOAT:
        return float_bits(in, value, field->type == MSI_TYPE_FLOAT, to);
    case MSI_TYPE_INT64:
    case MSI_TYPE_SFIXED64:
    case MSI_TYPE_SINT64:
        ok = signed_of(in, value, 64, &value64);
        to->bits = field->type == MSI_TYPE_SINT64 ? zigzag(value64) : (uint64_t)value64;
        return ok;
    case MSI_TYPE_INT32:
    case MSI_TYPE_SFIXED32:
    case MSI_TYPE_SINT32:
        ok = signed_of(in, value, 32, &value64);
        to->bits = field->type == MSI_TYPE_SINT32 ? zigzag(value64) : (uint64_t)value64;
        return ok;
    case MSI_TYPE_UINT64:
    case MSI_TYPE_FIXED64:
        return unsigned_of(in, value, 64, &to->bits);
    case MSI_TYPE_UINT32:
    case MSI_TYPE_FIXED32:
        return unsigned_of(in, value, 32, &to->bits);
    case MSI_TYPE_BOOL:
        to->bits = json_is_true(value);
        return json_is_boolean(value) || mismatch(in, value, "true or false");
    case MSI_TYPE_ENUM:
        ok = enum_of(in, field, value, &value64, &to->skip);
        to->bits = (uint64_t)value64;
        return ok;
    case MSI_TYPE_STRING:
        to->text = string_of(in, value);
        to->size = json_string_length(value);
        return to->text || mismatch(in, value, "a string");
    default:
        return bytes_of(in, value, to);
    }
}

static size_t fixed_size(uint8_t type)
{
    switch (type) {
    case MSI_TYPE_DOUBLE:
    case MSI_TYPE_FIXED64:
    case MSI_TYPE_SFIXED64:
        return 8;
    case MSI_TYPE_FLOAT:
    case MSI_TYPE_FIXED32:
    case MSI_TYPE_SFIXED32:
        return 4;
    default:
        return 0;
    }
}

static bool is_text(uint8_t type)
{
    return type == MSI_TYPE_STRING || type == MSI_TYPE_BYTES;
}

static bool put_scalar(reader *in, const msi_field_desc *field, const scalar *value, bool tagged)
{
    size_t fixed = fixed_size(field->type);
    uint32_t wire = is_text(field->type) ? MSI_WIRE_BYTES
                    : fixed == 8         ? MSI_WIRE_FIXED64
                    : fixed == 4         ? MSI_WIRE_FIXED32
                                         : MSI_WIRE_VARINT;
    if (tagged && !put_tag(in, field->number, wire))
        return false;
    if (is_text(field->type))
        return put_bytes(in, value->text, value->size);
    return fixed ? put_fixed(in, value->bits, fixed) : put_varint(in, value->bits);
}

static bool is_zero(const msi_field_desc *field, const scalar *value)
{
    return is_text(field->type) ? value->size == 0 : value->bits == 0;
}

/* Messages. */

static bool put_message(reader *in, const msi_message_desc *message, const json_t *value);

static const msi_message_desc *type_of(const reader *in, const msi_field_desc *field)
{
    return field->type == MSI_TYPE_MESSAGE ? msi_schema_message(in->schema, field->type_name) : NULL;
}

/* Whether null is a value of the field's, not its absence. */
static bool takes_null(const reader *in, const msi_field_desc *field)
{
    const msi_message_desc *message = type_of(in, field);
    const msi_enum_desc *type = field->type == MSI_TYPE_ENUM ? msi_schema_enum(in->schema, field->type_name) : NULL;
    return (message && msi_json_known(message->full_name) == MSI_KNOWN_VALUE) ||
           (type && strcmp(type->full_name, "google.protobuf.NullValue") == 0);
}

static bool put_submessage(reader *in, const msi_field_desc *field, const json_t *value)
{
    const msi_message_desc *message = type_of(in, field);
    if (field->type == MSI_TYPE_GROUP)
        return fail(in, MSGSRV_UNIMPLEMENTED, "groups are not supported");
    if (!message)
        return fail(in, MSGSRV_NOT_FOUND, "the schema has not the message's type");
    if (!put_tag(in, field->number, MSI_WIRE_BYTES))
        return false;
    size_t start = in->out.len;
    return put_message(in, message, value) && close_length(in, start);
}

static bool put_single(reader *in, const msi_field_desc *field, const json_t *value, bool always)
{
    if (field->type == MSI_TYPE_MESSAGE || field->type == MSI_TYPE_GROUP)
        return put_submessage(in, field, value);
    scalar read = {0};
    bool ok = read_scalar(in, field, value, &read);
    if (ok && !read.skip && (always || field->presence || !is_zero(field, &read)))
        ok = put_scalar(in, field, &read, true);
    msi_buf_release(&read.bytes);
    return ok;
}

static bool put_elements(reader *in, const msi_field_desc *field, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        size_t before = enter(in, NULL, i);
        bool ok = !json_is_null(value) || takes_null(in, field) || mismatch(in, value, "an element of a list");
        if (ok && field->packed) {
            scalar read = {0};
            ok = read_scalar(in, field, value, &read) && (read.skip || put_scalar(in, field, &read, false));
            msi_buf_release(&read.bytes);
        } else if (ok) {
            ok = put_single(in, field, value, true);
        }
        if (!ok)
            return false;
        leave(in, before);
    }
    return true;
}

static bool put_repeated(reader *in, const msi_field_desc *field, const json_t *array)
{
    if (!json_is_array(array))
        return mismatch(in, array, "a list");
    if (!field->packed || json_array_size(array) == 0)
        return put_elements(in, field, array);
    if (!put_tag(in, field->number, MSI_WIRE_BYTES))
        return false;
    size_t start = in->out.len;
    return put_elements(in, field, array) && close_length(in, start);
}

/* A member's name as the key that it stands for. */
static json_t *key_value(const msi_field_desc *field, const char *key, size_t size)
{
    if (field->type == MSI_TYPE_BOOL)
        return size == 4 && memcmp(key, "true", 4) == 0    ? json_true()
               : size == 5 && memcmp(key, "false", 5) == 0 ? json_false()
                                                           : json_stringn(key, size);
    return json_stringn(key, size);
}

/* `dropped`: the value is one to be ignored, and so is the entry. */
static bool put_entry(reader *in, const msi_message_desc *entry, const char *key, size_t size, const json_t *value,
                      bool *dropped)
{
    const msi_field_desc *key_field = msi_message_field(entry, 1);
    const msi_field_desc *value_field = msi_message_field(entry, 2);
    json_t *key_json = key_value(key_field, key, size);
    if (!key_json)
        return no_memory(in);
    bool ok = put_single(in, key_field, key_json, true);
    json_decref(key_json);
    if (ok && json_is_null(value) && !takes_null(in, value_field))
        return mismatch(in, value, "a value of a map");
    size_t before = in->out.len;
    ok = ok && put_single(in, value_field, value, true);
    *dropped = in->out.len == before;
    return ok;
}

static bool put_map(reader *in, const msi_field_desc *field, const msi_message_desc *entry, const json_t *object)
{
    if (!json_is_object(object))
        return mismatch(in, object, "an object");
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *key = json_object_iter_key(at);
        size_t before = enter(in, key, 0);
        size_t whole_start = in->out.len;
        if (!put_tag(in, field->number, MSI_WIRE_BYTES))
            return false;
        size_t start = in->out.len;
        bool dropped = false;
        if (!put_entry(in, entry, key, json_object_iter_key_len(at), json_object_iter_value(at), &dropped) ||
            !close_length(in, start))
            return false;
        if (dropped)
            in->out.len = whole_start;
        leave(in, before);
    }
    return true;
}

static bool put_field(reader *in, const msi_field_desc *field, const json_t *value)
{
    if (json_is_null(value) && (field->repeated || !takes_null(in, field)))
        return true;
    if (!field->repeated)
        return put_single(in, field, value, false);
    const msi_message_desc *entry = type_of(in, field);
    bool map = entry && entry->map_entry && msi_message_field(entry, 1) && msi_message_field(entry, 2);
    return map ? put_map(in, field, entry, value) : put_repeated(in, field, value);
}

/* How far two names are apart (Levenshtein), for names of a usual length. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t width = strlen(b);
    if (width > 62 || strlen(a) > 62)
        return SIZE_MAX;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t smaller = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = change < smaller + 1 ? change : smaller + 1;
        }
    }
    return row[width];
}

static bool unknown_member(reader *in, const msi_message_desc *message, const char *key)
{
    const char *nearest = NULL;
    size_t least = strlen(key) / 2 + 1;
    for (size_t i = 0; i < message->field_count; i++) {
        size_t apart = distance(key, message->fields[i].json_name);
        if (apart < least) {
            least = apart;
            nearest = message->fields[i].json_name;
        }
    }
    char what[MSGSRV_ERROR_TEXT];
    snprintf(what, sizeof what, "%.100s has no field \"%.60s\"%s%.60s%s", message->full_name, key,
             nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return fail(in, MSGSRV_INVALID_ARGUMENT, what);
}

static bool put_unknown(reader *in, const json_t *value)
{
    scalar read = {0};
    bool ok = bytes_of(in, value, &read);
    const uint8_t *at = (const uint8_t *)read.text;
    const uint8_t *end = ok ? at + read.size : at;
    msi_wire_field field;
    bool too_deep = false;
    while (ok && at && at < end)
        at = msi_json_field_get(at, end, in->limits->max_depth - in->depth, &field, &too_deep);
    if (too_deep)
        ok = fail(in, MSGSRV_RESOURCE_EXHAUSTED, "nested too deeply");
    ok = ok && (at || mismatch(in, value, "the bytes of fields")) &&
         (msi_buf_append(&in->out, read.text, read.size) || no_memory(in));
    msi_buf_release(&read.bytes);
    return ok;
}

/* What no field was found for. */
static bool put_rest(reader *in, const msi_message_desc *message, const json_t *object, bool in_any)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *key = json_object_iter_key(at);
        if (msi_message_named(message, key) || (in_any && strcmp(key, "@type") == 0))
            continue;
        if (in->limits->options.keep_unknown && strcmp(key, "@unknown") == 0) {
            if (!put_unknown(in, json_object_iter_value(at)))
                return false;
        } else if (!in->limits->options.ignore_unknown) {
            return unknown_member(in, message, key);
        }
    }
    return true;
}

/* A field's member, under either name. */
static bool find_member(reader *in, const msi_field_desc *field, const json_t *object, const json_t **value, size_t *seen)
{
    const json_t *json_named = json_object_get(object, field->json_name);
    const json_t *proto_named = strcmp(field->name, field->json_name) == 0 ? NULL : json_object_get(object, field->name);
    *value = json_named ? json_named : proto_named;
    *seen += (json_named != NULL) + (proto_named != NULL);
    if (json_named && proto_named)
        return fail(in, MSGSRV_INVALID_ARGUMENT, "it is there under both of its names");
    return true;
}

static bool put_members(reader *in, const msi_message_desc *message, const json_t *object, bool in_any, bool *set)
{
    size_t seen = in_any;
    for (size_t i = 0; i < message->field_count; i++) {
        const msi_field_desc *field = message->by_number[i];
        const json_t *value;
        size_t before = enter(in, field->name, 0);
        if (!find_member(in, field, object, &value, &seen))
            return false;
        if (value && field->oneof >= 0 && (!json_is_null(value) || takes_null(in, field))) {
            if (set[field->oneof])
                return fail(in, MSGSRV_INVALID_ARGUMENT, "another member of the same oneof is set");
            set[field->oneof] = true;
        }
        if (value && !put_field(in, field, value))
            return false;
        leave(in, before);
    }
    return seen == json_object_size(object) || put_rest(in, message, object, in_any);
}

static bool put_object(reader *in, const msi_message_desc *message, const json_t *object, bool in_any)
{
    if (!json_is_object(object))
        return mismatch(in, object, "an object");
    bool *set = calloc(message->oneof_count + 1, sizeof *set);
    bool ok = set ? put_members(in, message, object, in_any, set) : no_memory(in);
    free(set);
    return ok;
}

/* Well-known types. */

static bool put_time(reader *in, const json_t *value, bool timestamp)
{
    int64_t seconds;
    int32_t nanos;
    const char *text = string_of(in, value);
    size_t size = json_string_length(value);
    bool read = text && (timestamp ? msi_timestamp_read(text, size, &seconds, &nanos)
                                   : msi_duration_read(text, size, &seconds, &nanos));
    if (!read)
        return mismatch(in, value, timestamp ? "a time such as \"2026-01-31T12:00:00Z\"" : "a duration such as \"1.5s\"");
    if (seconds && !(put_tag(in, 1, MSI_WIRE_VARINT) && put_varint(in, (uint64_t)seconds)))
        return false;
    return nanos == 0 || (put_tag(in, 2, MSI_WIRE_VARINT) && put_varint(in, (uint64_t)(int64_t)nanos));
}

/* "fooBar,baz.quux" as paths "foo_bar" and "baz.quux". */
static bool put_mask(reader *in, const json_t *value)
{
    const char *at = string_of(in, value);
    if (!at || strlen(at) != json_string_length(value))
        return mismatch(in, value, "paths joined by commas");
    while (*at) {
        size_t size = strcspn(at, ",");
        if (size == 0)
            return mismatch(in, value, "paths joined by commas");
        if (!put_tag(in, 1, MSI_WIRE_BYTES))
            return false;
        size_t start = in->out.len;
        for (size_t i = 0; i < size; i++) {
            bool upper = at[i] >= 'A' && at[i] <= 'Z';
            char lower = upper ? (char)(at[i] - 'A' + 'a') : at[i];
            if (at[i] == '_')
                return mismatch(in, value, "paths in lowerCamelCase");
            if ((upper && !msi_buf_append(&in->out, "_", 1)) || !msi_buf_append(&in->out, &lower, 1))
                return no_memory(in);
        }
        if (!close_length(in, start))
            return false;
        at += size;
        if (*at == ',' && !*++at)
            return mismatch(in, value, "paths joined by commas");
    }
    return true;
}

static bool put_any_value(reader *in, const msi_message_desc *message, const json_t *value)
{
    uint32_t number = json_is_null(value)        ? 1
                      : json_is_number(value)    ? 2
                      : large_integer(in, value) ? 2
                      : json_is_string(value)    ? 3
                      : json_is_boolean(value)   ? 4
                      : json_is_object(value)    ? 5
                                                 : 6;
    const msi_field_desc *field = msi_message_field(message, number);
    if (!field)
        return fail(in, MSGSRV_INVALID_ARGUMENT, "its type is not the known one");
    if (number == 1)
        return put_tag(in, 1, MSI_WIRE_VARINT) && put_varint(in, 0);
    return put_single(in, field, value, true);
}

/* The only field of Struct, ListValue and the wrappers. */
static bool put_only_field(reader *in, const msi_message_desc *message, const json_t *value)
{
    if (message->field_count == 0)
        return fail(in, MSGSRV_INVALID_ARGUMENT, "its type is not the known one");
    return put_field(in, message->by_number[0], value);
}

static bool put_any(reader *in, const json_t *value)
{
    if (!json_is_object(value))
        return mismatch(in, value, "an object");
    if (json_object_size(value) == 0)
        return true;
    const char *url = json_string_value(json_object_get(value, "@type"));
    const char *name = url ? strrchr(url, '/') : NULL;
    if (!name)
        return fail(in, MSGSRV_INVALID_ARGUMENT,
                    "an Any needs a member \"@type\" such as \"type.googleapis.com/package.Message\"");
    const msi_message_desc *type = msi_schema_message(in->schema, name + 1);
    if (!type)
        return fail(in, MSGSRV_INVALID_ARGUMENT, "the schema has not the type of an Any");
    if (!put_tag(in, 1, MSI_WIRE_BYTES) || !put_bytes(in, url, strlen(url)))
        return false;
    size_t before = in->out.len;
    if (!put_tag(in, 2, MSI_WIRE_BYTES))
        return false;
    size_t start = in->out.len;
    bool known = msi_json_known(type->full_name) != MSI_KNOWN_NOT;
    const json_t *inner = json_object_get(value, "value");
    if (known && (!inner || json_object_size(value) != 2))
        return fail(in, MSGSRV_INVALID_ARGUMENT, "an Any of this type needs a member \"value\" and no other");
    if (!(known ? put_message(in, type, inner) : put_object(in, type, value, true)))
        return false;
    if (in->out.len > start)
        return close_length(in, start);
    in->out.len = before; /* empty: as absent */
    return true;
}

static bool put_known(reader *in, const msi_message_desc *message, const json_t *value)
{
    msi_known known = msi_json_known(message->full_name);
    switch (known) {
    case MSI_KNOWN_TIMESTAMP:
    case MSI_KNOWN_DURATION:
        return put_time(in, value, known == MSI_KNOWN_TIMESTAMP);
    case MSI_KNOWN_FIELD_MASK:
        return put_mask(in, value);
    case MSI_KNOWN_VALUE:
        return put_any_value(in, message, value);
    case MSI_KNOWN_STRUCT:
    case MSI_KNOWN_LIST_VALUE:
    case MSI_KNOWN_WRAPPER:
        return put_only_field(in, message, value);
    case MSI_KNOWN_ANY:
        return put_any(in, value);
    case MSI_KNOWN_NOT:
        break;
    }
    return put_object(in, message, value, false);
}

static bool put_message(reader *in, const msi_message_desc *message, const json_t *value)
{
    if (in->depth == in->limits->max_depth)
        return fail(in, MSGSRV_RESOURCE_EXHAUSTED, "nested too deeply");
    in->depth++;
    bool ok = put_known(in, message, value);
    in->depth--;
    return ok;
}

static msgsrv_status convert(reader *in, const msi_message_desc *message, const char *text, size_t size)
{
    json_t *value;
    msgsrv_status status = msi_json_parse(text, size, &value, &in->marked, in->error);
    if (status)
        return status;
    bool ok = put_message(in, message, value) &&
              (in->out.len <= in->limits->max_bytes ||
               fail(in, MSGSRV_RESOURCE_EXHAUSTED, "the message is over the limit of bytes"));
    if (ok && !msi_buf_reserve(&in->out, 1))
        (void)no_memory(in);
    json_decref(value);
    return in->status;
}

msgsrv_status msgsrv_json_to_wire(const msgsrv_schema *schema, const char *type, const char *text, size_t text_size,
                                  const msgsrv_json_options *options, void **data, size_t *size, msgsrv_error *error)
{
    msi_json_limits limits;
    msgsrv_status status = msi_json_options(options, &limits, error);
    if (status)
        return status;
    if (!schema || !type || !text || !data || !size)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the schema, the type, the text, the data or the size is NULL");
    const msi_message_desc *message = msi_schema_message(schema, type);
    if (!message)
        return msi_error(error, MSGSRV_NOT_FOUND, "the schema has no message %.128s", type);
    reader in = {.schema = schema, .limits = &limits, .error = error};
    const char *dot = strrchr(message->full_name, '.');
    (void)snprintf(in.path, sizeof in.path, "%.100s", dot ? dot + 1 : message->full_name);
    in.path_size = strlen(in.path);
    status = convert(&in, message, text, text_size);
    if (status) {
        msi_buf_release(&in.out);
        return status;
    }
    *data = in.out.data;
    *size = in.out.len;
    return MSGSRV_OK;
}
