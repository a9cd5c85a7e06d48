/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of schemas and JSON. The first byte chooses by its lowest two bits; the others of it are options:
 *   0  the rest is a file's descriptor: it is added, and all its messages are described and used
 *   1  the rest is a message: to JSON, back, and to JSON again, which must be the same
 *   2  the rest is JSON: to a message, to JSON, back, and to JSON again, which must be the same
 *   3  as 2, of google.protobuf.Value
 */
#include <string.h>

#include <msgsrv/json.h>

#include "fuzz.h"
#include "messages.msgsrv.h"
#include "schema/descriptor.h"
#include "schema/json_parse.h"
#include "shapes.msgsrv.h"
#include "wire/varint.h"

enum { DESCRIPTORS_ROOM = 65536 };

static void check_failure(msgsrv_status status, const msgsrv_error *error)
{
    FUZZ_CHECK(error->code == status && error->text[0] && memchr(error->text, '\0', sizeof error->text));
}

/* kinds.proto and what it imports: FUZZ_JSON_KINDS is the file of a FileDescriptorSet. */
static void add_kinds(msgsrv_schema *schema)
{
    static uint8_t set[DESCRIPTORS_ROOM];
    FILE *file = fopen(FUZZ_JSON_KINDS, "rb");
    FUZZ_CHECK(file);
    size_t size = fread(set, 1, sizeof set, file);
    FUZZ_CHECK(size > 0 && size < sizeof set);
    fclose(file);
    const uint8_t *at = set;
    while (at < set + size) {
        msi_wire_field field = {0};
        at = msi_wire_field_get(at, set + size, &field);
        FUZZ_CHECK(at && field.type == MSI_WIRE_BYTES);
        FUZZ_CHECK(msgsrv_schema_add(schema, field.bytes.data, field.bytes.size, NULL) == MSGSRV_OK);
    }
}

static const msgsrv_schema *fixed_schema(void)
{
    static msgsrv_schema *schema;
    if (!schema) {
        FUZZ_CHECK(msgsrv_schema_new(&schema, NULL) == MSGSRV_OK);
        add_kinds(schema);
        FUZZ_CHECK(msgsrv_schema_add_file(schema, &messages_proto_file, NULL) == MSGSRV_OK);
        FUZZ_CHECK(msgsrv_schema_add_file(schema, &shapes_proto_file, NULL) == MSGSRV_OK);
    }
    return schema;
}

static char *to_json(const msgsrv_schema *schema, const char *type, const void *data, size_t size,
                     const msgsrv_json_options *options, size_t *text_size)
{
    char *text = NULL;
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_status status = msgsrv_json_from_wire(schema, type, data, size, options, &text, text_size, &error);
    if (status) {
        check_failure(status, &error);
        return NULL;
    }
    FUZZ_CHECK(strlen(text) == *text_size);
    return text;
}

static void *to_wire(const msgsrv_schema *schema, const char *type, const char *text, size_t text_size,
                     const msgsrv_json_options *options, size_t *size, msgsrv_error *error)
{
    void *data = NULL;
    msgsrv_status status = msgsrv_json_to_wire(schema, type, text, text_size, options, &data, size, error);
    if (status)
        check_failure(status, error);
    return data;
}

/* What may be written and not read: member names with a NUL; and lengths near the limits of nesting. */
static bool may_be_refused(const char *text, const msgsrv_error *error)
{
    return strstr(text, "\\u0000") || error->code == MSGSRV_RESOURCE_EXHAUSTED;
}

static void there_and_back(const msgsrv_schema *schema, const char *type, const void *data, size_t size,
                           const msgsrv_json_options *options)
{
    size_t first_size, wire_size, second_size;
    msgsrv_error error = {.code = MSGSRV_OK};
    char *first = to_json(schema, type, data, size, options, &first_size);
    if (!first)
        return;
    void *wire = to_wire(schema, type, first, first_size, options, &wire_size, &error);
    if (!wire) {
        if (!may_be_refused(first, &error))
            fprintf(stderr, "%s\n%s\n", error.text, first);
        FUZZ_CHECK(may_be_refused(first, &error));
        free(first);
        return;
    }
    char *second = to_json(schema, type, wire, wire_size, options, &second_size);
    if (!second || strcmp(first, second) != 0)
        fprintf(stderr, "%s\n%s\n", first, second ? second : "refused");
    FUZZ_CHECK(second && first_size == second_size && memcmp(first, second, first_size) == 0);
    free(first);
    free(wire);
    free(second);
}

static void read_text(const char *type, const char *text, size_t size, const msgsrv_json_options *options)
{
    size_t wire_size;
    msgsrv_error error = {.code = MSGSRV_OK};
    void *wire = to_wire(fixed_schema(), type, text, size, options, &wire_size, &error);
    if (wire)
        there_and_back(fixed_schema(), type, wire, wire_size, options);
    free(wire);
}

/* Of a hostile descriptor two fields may have one name in JSON. */
static void check_json(const char *text, size_t size)
{
    json_t *value;
    bool marked;
    msgsrv_error error = {.code = MSGSRV_OK};
    msgsrv_status status = msi_json_parse(text, size, &value, &marked, &error);
    bool as_expected = strstr(error.text, "duplicate object key") || strstr(error.text, "NUL byte in object key") ||
                       strstr(error.text, "maximum parsing depth");
    if (status && !as_expected)
        fprintf(stderr, "%s\n%s\n", error.text, text);
    FUZZ_CHECK(status == MSGSRV_OK || as_expected);
    if (!status)
        json_decref(value);
}

/* A hostile message's JSON need not be one of that message again: names and types may be any. */
static void use_message(const msgsrv_schema *schema, const char *type, const uint8_t *data, size_t size,
                        const msgsrv_json_options *options)
{
    size_t text_size, wire_size;
    msgsrv_error error = {.code = MSGSRV_OK};
    char *text = to_json(schema, type, data, size, options, &text_size);
    void *wire = text ? to_wire(schema, type, text, text_size, options, &wire_size, &error) : NULL;
    if (text)
        check_json(text, text_size);
    free(text);
    free(wire);
}

static void use_schema(const msgsrv_schema *schema, const uint8_t *data, size_t size, const msgsrv_json_options *options)
{
    for (size_t i = 0; i < schema->symbol_count && i < 64; i++) {
        const msi_symbol *symbol = &schema->symbols[i];
        char *text = NULL;
        msgsrv_status status = msgsrv_schema_describe(schema, symbol->name, &text, NULL);
        FUZZ_CHECK((status == MSGSRV_OK) == (symbol->kind != MSGSRV_SYMBOL_NONE));
        free(text);
        (void)msgsrv_schema_comment(schema, symbol->name);
        FUZZ_CHECK(msgsrv_schema_file(schema, symbol->name, NULL));
        if (symbol->kind != MSGSRV_SYMBOL_MESSAGE)
            continue;
        use_message(schema, symbol->name, data, size, options);
        use_message(schema, symbol->name, data + size / 2, size - size / 2, options);
        use_message(schema, symbol->name, (const uint8_t *)"\x0a\x00\x12\x00\x1a\x00", 6, options);
        use_message(schema, symbol->name, (const uint8_t *)"\x0a\x04\x08\x01\x12\x00", 6, options);
    }
}

static void add_descriptor(const uint8_t *data, size_t size, const msgsrv_json_options *options)
{
    msgsrv_schema *schema;
    msgsrv_error error = {.code = MSGSRV_OK};
    FUZZ_CHECK(msgsrv_schema_new(&schema, NULL) == MSGSRV_OK);
    msgsrv_status status = msgsrv_schema_add(schema, data, size, &error);
    if (status)
        check_failure(status, &error);
    else
        use_schema(schema, data, size, options);
    msgsrv_schema_free(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t first = data[0];
    msgsrv_json_options options = {
        .keep_unknown = (first & 4) != 0,
        .all_fields = (first & 8) != 0,
        .proto_names = (first & 16) != 0,
        .enum_numbers = (first & 32) != 0,
        .ignore_unknown = (first & 64) != 0,
        .indent = first & 128 ? 2 : 0,
    };
    data++;
    size--;
    switch (first & 3) {
    case 0:
        add_descriptor(data, size, &options);
        break;
    case 1:
        there_and_back(fixed_schema(), "kinds.Everything", data, size, &options);
        break;
    case 2:
        read_text("kinds.Everything", (const char *)data, size, &options);
        break;
    default:
        read_text("google.protobuf.Value", (const char *)data, size, &options);
        break;
    }
    return 0;
}
