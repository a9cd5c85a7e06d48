/* SPDX-License-Identifier: MIT */
/* schema/: what a schema knows of generated code's files, what it prints, and which descriptors it refuses. */
#include <msgsrv/schema.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "messages.msgsrv.h"
#include "shapes.msgsrv.h"
#include "suite.h"

static msgsrv_schema *schema;

static void setup(void)
{
    msgsrv_error error;
    ck_assert_int_eq(msgsrv_schema_new(&schema, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_schema_add_file(schema, &messages_proto_file, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_schema_add_file(schema, &shapes_proto_file, &error), MSGSRV_OK);
}

static void done(void)
{
    msgsrv_schema_free(schema);
}

/* Descriptors written by hand: each call appends a field to `to`. */
typedef struct bytes {
    unsigned char data[8192];
    size_t size;
} bytes;

static void varint(bytes *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        to->data[to->size++] = (unsigned char)(value | 0x80);
    to->data[to->size++] = (unsigned char)value;
}

static void number(bytes *to, unsigned field, uint64_t value)
{
    varint(to, field << 3);
    varint(to, value);
}

static void text_of(bytes *to, unsigned field, const void *data, size_t size)
{
    varint(to, field << 3 | 2);
    varint(to, size);
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void text(bytes *to, unsigned field, const char *value)
{
    text_of(to, field, value, strlen(value));
}

static void inside(bytes *to, unsigned field, const bytes *of)
{
    text_of(to, field, of->data, of->size);
}

/* A file of one message M of one field. */
typedef struct story {
    const char *file, *package, *syntax, *message, *field, *type_name;
    uint64_t number, type;
    const char *second; /* another field of the same number, or NULL */
} story;

static bytes file_of(const story *of)
{
    bytes file = {.size = 0}, message = {.size = 0}, field = {.size = 0};
    text(&field, 1, of->field);
    number(&field, 3, of->number);
    number(&field, 5, of->type);
    if (of->type_name)
        text(&field, 6, of->type_name);
    text(&message, 1, of->message);
    inside(&message, 2, &field);
    if (of->second) {
        field.size = 0;
        text(&field, 1, of->second);
        number(&field, 3, of->number);
        number(&field, 5, of->type);
        inside(&message, 2, &field);
    }
    text(&file, 1, of->file);
    text(&file, 2, of->package);
    inside(&file, 4, &message);
    text(&file, 12, of->syntax);
    return file;
}

static msgsrv_status add(const bytes *file, msgsrv_error *error)
{
    *error = (msgsrv_error){.code = MSGSRV_OK};
    return msgsrv_schema_add(schema, file->data, file->size, error);
}

START_TEST(names_are_found_in_all_their_forms)
{
    setup();
    static const struct {
        const char *name;
        msgsrv_symbol_kind kind;
    } cases[] = {{"messages.AddRequest", MSGSRV_SYMBOL_MESSAGE},
                 {".messages.AddRequest", MSGSRV_SYMBOL_MESSAGE},
                 {"shapes.Colour", MSGSRV_SYMBOL_ENUM},
                 {"messages.Demo", MSGSRV_SYMBOL_SERVICE},
                 {"messages.Demo.Add", MSGSRV_SYMBOL_METHOD},
                 {"messages.Demo/Add", MSGSRV_SYMBOL_METHOD},
                 {"/messages.Demo/Add", MSGSRV_SYMBOL_METHOD},
                 {"messages.Demo/Nothing", MSGSRV_SYMBOL_NONE},
                 {"messages/Demo", MSGSRV_SYMBOL_NONE},
                 {"messages.AddRequest.a", MSGSRV_SYMBOL_NONE},
                 {"messages", MSGSRV_SYMBOL_NONE},
                 {"", MSGSRV_SYMBOL_NONE},
                 {"/", MSGSRV_SYMBOL_NONE},
                 {".", MSGSRV_SYMBOL_NONE},
                 {"Add", MSGSRV_SYMBOL_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(msgsrv_schema_find(schema, cases[i].name) == cases[i].kind, "%s", cases[i].name);
    ck_assert_int_eq(msgsrv_schema_find(schema, NULL), MSGSRV_SYMBOL_NONE);
    ck_assert_str_eq(msgsrv_schema_service(schema, 0), "messages.Demo");
    ck_assert_str_eq(msgsrv_schema_service(schema, 1), "shapes.Shapes");
    ck_assert_ptr_null(msgsrv_schema_service(schema, 2));
    done();
}
END_TEST

START_TEST(files_are_found_by_their_name_and_by_what_they_declare)
{
    setup();
    static const char *const names[] = {"messages.proto",         "messages.AddRequest", "messages.AddRequest.a",
                                        "messages.Demo.Add",      "/messages.Demo/Add",  "messages.Demo",
                                        "messages.ClientMessage", ".messages.Demo"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = 0;
        const void *data = msgsrv_schema_file(schema, names[i], &size);
        ck_assert_msg(data && size == messages_proto_file.descriptor_size &&
                          memcmp(data, messages_proto_file.descriptor, size) == 0,
                      "%s", names[i]);
    }
    ck_assert_ptr_nonnull(msgsrv_schema_file(schema, "shapes.GREEN", NULL));
    ck_assert_ptr_null(msgsrv_schema_file(schema, "shapes.Colour.GREEN", NULL));
    ck_assert_ptr_null(msgsrv_schema_file(schema, "nobody.proto", NULL));
    ck_assert_ptr_null(msgsrv_schema_file(schema, NULL, NULL));
    ck_assert(msgsrv_schema_has_file(schema, "shapes.proto") && !msgsrv_schema_has_file(schema, "shapes"));
    ck_assert_ptr_null(msgsrv_schema_import(schema, "shapes.proto", 0));
    ck_assert_ptr_null(msgsrv_schema_import(schema, "nobody.proto", 0));
    done();
}
END_TEST

START_TEST(methods_are_there_in_the_order_of_the_source)
{
    setup();
    static const char *const names[] = {"Echo", "Add", "Count", "Sum", "Chat"};
    msgsrv_schema_method method;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert(msgsrv_schema_method_at(schema, "messages.Demo", i, &method));
        ck_assert_str_eq(method.name, names[i]);
    }
    ck_assert(!msgsrv_schema_method_at(schema, "messages.AddRequest", 0, &method));
    ck_assert(!msgsrv_schema_method_at(schema, "nobody", 0, &method));
    ck_assert(msgsrv_schema_method_find(schema, "/messages.Demo/Count", &method));
    ck_assert_str_eq(method.service, "messages.Demo");
    ck_assert_str_eq(method.path, "/messages.Demo/Count");
    ck_assert_str_eq(method.request, "messages.CountRequest");
    ck_assert_str_eq(method.response, "messages.CountReply");
    ck_assert(!method.client_streaming && method.server_streaming);
    ck_assert_str_eq(
        method.comment,
        " Counts from the first number to the last one, both included; nothing when the first is the greater one.\n");
    ck_assert(!msgsrv_schema_method_find(schema, "messages.Demo", &method));
    ck_assert(!msgsrv_schema_method_find(schema, NULL, &method));
    done();
}
END_TEST

START_TEST(comments)
{
    setup();
    ck_assert_str_eq(msgsrv_schema_comment(schema, "messages.AddRequest"), " Two numbers to add.\n");
    ck_assert_str_eq(msgsrv_schema_comment(schema, "messages.Demo"), " The demonstration service.\n");
    ck_assert_str_eq(msgsrv_schema_comment(schema, "/shapes.Shapes/Mirror"), " Sends everything back.\n");
    ck_assert_ptr_null(msgsrv_schema_comment(schema, "shapes.Inner"));
    ck_assert_ptr_null(msgsrv_schema_comment(schema, "shapes.Colour"));
    ck_assert_ptr_null(msgsrv_schema_comment(schema, "messages.AddRequest.a"));
    ck_assert_ptr_null(msgsrv_schema_comment(schema, "nobody"));
    done();
}
END_TEST

START_TEST(described_as_source)
{
    setup();
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"messages.AddRequest", "// Two numbers to add.\nmessage AddRequest {\n  int32 a = 1;\n  int32 b = 2;\n}\n"},
        {"messages.CountRequest",
         "// Which numbers to count, and how fast.\nmessage CountRequest {\n  int32 first = 1;\n"
         "  int32 last = 2;\n  // Between two numbers; 0 for as fast as they are taken.\n"
         "  int32 interval_ms = 3;\n}\n"},
        {"messages.ClientMessage", "// What a plain client sends.\nmessage ClientMessage {\n  oneof message {\n"
                                   "    messages.EchoMessage echo_message = 1;\n"
                                   "    messages.AddRequest add_request = 2;\n  }\n}\n"},
        {"shapes.Colour", "enum Colour {\n  NONE = 0;\n  RED = 1;\n  GREEN = 2;\n}\n"},
        {"shapes.Shapes",
         "service Shapes {\n  // Sends everything back.\n  rpc Mirror(shapes.Everything) returns (shapes.Everything);\n"
         "  // Sends the bytes back.\n  rpc MirrorBlob(shapes.Blob) returns (shapes.Blob);\n"
         "  // Sends the bytes back.\n  rpc MirrorPlain(shapes.PlainBlob) returns (shapes.PlainBlob);\n}\n"},
        {"/messages.Demo/Sum", "// Adds what it is sent; a sum that does not fit int64 is OUT_OF_RANGE.\n"
                               "rpc Sum(stream messages.SumRequest) returns (messages.SumReply);\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        ck_assert_int_eq(msgsrv_schema_describe(schema, cases[i].name, &text, NULL), MSGSRV_OK);
        ck_assert_str_eq(text, cases[i].text);
        free(text);
    }
    char *everything;
    ck_assert_int_eq(msgsrv_schema_describe(schema, "shapes.Everything", &everything, NULL), MSGSRV_OK);
    ck_assert_ptr_nonnull(
        strstr(everything, "\n  map<string, int32> counts = 13;\n  map<string, shapes.Inner> named = 14;\n"));
    ck_assert_ptr_nonnull(strstr(everything, "\n  optional string maybe_text = 17;\n"));
    ck_assert_ptr_nonnull(strstr(everything, "\n  repeated bytes parts = 20;\n"));
    ck_assert_ptr_null(strstr(everything, "Entry"));
    ck_assert_ptr_null(strstr(everything, "oneof _maybe"));
    free(everything);
    msgsrv_error error;
    ck_assert_int_eq(msgsrv_schema_describe(schema, "messages.AddRequest.a", &everything, &error), MSGSRV_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error.text, "messages.AddRequest.a"));
    done();
}
END_TEST

START_TEST(what_is_no_descriptor_is_refused)
{
    setup();
    static const story good = {"a.proto", "a", "proto3", "M", "x", NULL, 1, 5, NULL};
    story bad[16];
    size_t count = 0;
    for (size_t i = 0; i < 12; i++)
        bad[i] = good;
    bad[count++].file = "";
    bad[count++].message = "";
    bad[count++].message = "a.b";
    bad[count++].message = "\xff";
    bad[count++].field = "";
    bad[count++].field = "a b";
    bad[count++].package = "a..b";
    bad[count++].syntax = "proto4";
    bad[count++].number = 0;
    bad[count++].number = 536870912;
    bad[count++].type = 19;
    bad[count++].type = 11; /* without its name */
    bad[count] = good;
    bad[count++].second = "y"; /* two fields of one number */
    msgsrv_error error;
    for (size_t i = 0; i < count; i++) {
        bytes file = file_of(&bad[i]);
        ck_assert_msg(add(&file, &error) == MSGSRV_INVALID_ARGUMENT && error.text[0], "%zu: %s", i, error.text);
        ck_assert(!msgsrv_schema_has_file(schema, "a.proto"));
    }
    bytes file = file_of(&good);
    for (size_t size = 0; size < file.size; size++) {
        bytes cut = file;
        cut.size = size;
        msgsrv_status status = add(&cut, &error);
        ck_assert(status == MSGSRV_OK || status == MSGSRV_INVALID_ARGUMENT);
        msgsrv_schema_free(schema);
        setup();
    }
    ck_assert_int_eq(msgsrv_schema_add(schema, NULL, 1, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_schema_add(schema, NULL, 0, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_schema_add(schema, file.data, (size_t)4 << 20 | 1, &error), MSGSRV_RESOURCE_EXHAUSTED);
    done();
}
END_TEST

/* A map's entry with a key and a value of these types, and the key's name in JSON. */
static bytes map_of(uint64_t key_type, uint64_t value_type, uint64_t value_label, const char *json_name)
{
    bytes file = {.size = 0}, message = {.size = 0}, field = {.size = 0}, options = {.size = 0};
    text(&field, 1, "key");
    number(&field, 3, 1);
    number(&field, 5, key_type);
    text(&field, 6, "Entry");
    text(&field, 10, json_name);
    text(&message, 1, "Entry");
    inside(&message, 2, &field);
    field.size = 0;
    text(&field, 1, "value");
    number(&field, 3, 2);
    number(&field, 4, value_label);
    number(&field, 5, value_type);
    text(&field, 6, "Entry");
    inside(&message, 2, &field);
    number(&options, 7, 1);
    inside(&message, 7, &options);
    text(&file, 1, "map.proto");
    inside(&file, 4, &message);
    return file;
}

START_TEST(an_entry_of_a_map_has_a_key_and_a_value)
{
    setup();
    msgsrv_error error;
    for (uint64_t type = 1; type <= 18; type++) {
        bool is_key = type != 1 && type != 2 && type != 10 && type != 11 && type != 12 && type != 14;
        bytes file = map_of(type, 11, 1, "key");
        ck_assert_int_eq(add(&file, &error), is_key ? MSGSRV_OK : MSGSRV_INVALID_ARGUMENT);
        done();
        setup();
    }
    bytes file = map_of(9, 10, 1, "key");
    ck_assert_int_eq(add(&file, &error), MSGSRV_INVALID_ARGUMENT);
    file = map_of(9, 5, 3, "key");
    ck_assert_int_eq(add(&file, &error), MSGSRV_INVALID_ARGUMENT);
    file = map_of(9, 5, 1, "\xff");
    ck_assert_int_eq(add(&file, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.text, "not UTF-8"));
    done();
}
END_TEST

START_TEST(a_name_is_declared_once)
{
    setup();
    msgsrv_error error;
    bytes file = file_of(&(story){"a.proto", "a", "proto3", "M", "x", ".b.Other", 1, 11, NULL});
    ck_assert_int_eq(add(&file, &error), MSGSRV_OK);
    ck_assert_int_eq(add(&file, &error), MSGSRV_OK);
    bytes same_name = file_of(&(story){"a.proto", "c", "proto3", "M", "x", NULL, 1, 5, NULL});
    ck_assert_int_eq(add(&same_name, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_schema_find(schema, "c.M"), MSGSRV_SYMBOL_NONE); /* the first one stays */
    bytes other = file_of(&(story){"b.proto", "a", "proto3", "M", "y", NULL, 1, 5, NULL});
    ck_assert_int_eq(add(&other, &error), MSGSRV_ALREADY_EXISTS);
    ck_assert_ptr_nonnull(strstr(error.text, "a.M"));
    ck_assert(!msgsrv_schema_has_file(schema, "b.proto"));
    ck_assert_ptr_null(msgsrv_schema_file(schema, "a.M.y", NULL));
    bytes twice = file_of(&(story){"d.proto", "d", "proto3", "M", "x", NULL, 1, 5, NULL});
    bytes message = {.size = 0};
    text(&message, 1, "M");
    inside(&twice, 4, &message);
    ck_assert_int_ne(add(&twice, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_schema_find(schema, "d.M"), MSGSRV_SYMBOL_NONE);
    done();
}
END_TEST

/* Messages in messages: as many as there may be, and more. */
static bytes nested(unsigned depth)
{
    bytes file = {.size = 0}, message = {.size = 0};
    text(&message, 1, "M");
    for (; depth > 1; depth--) {
        bytes outer = {.size = 0};
        text(&outer, 1, "M");
        inside(&outer, 3, &message);
        message = outer;
    }
    text(&file, 1, "deep.proto");
    text(&file, 12, "proto3");
    inside(&file, 4, &message);
    return file;
}

START_TEST(messages_are_nested_up_to_a_limit)
{
    setup();
    msgsrv_error error;
    bytes file = nested(65);
    ck_assert_int_eq(add(&file, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.text, "nested too deeply"));
    file = nested(1000);
    ck_assert_int_eq(add(&file, &error), MSGSRV_INVALID_ARGUMENT);
    file = nested(64);
    ck_assert_int_eq(add(&file, &error), MSGSRV_OK);
    char *text;
    ck_assert_int_eq(msgsrv_schema_describe(schema, "M.M", &text, &error), MSGSRV_OK);
    free(text);
    done();
}
END_TEST

TS_MAIN("schema", names_are_found_in_all_their_forms, files_are_found_by_their_name_and_by_what_they_declare,
        methods_are_there_in_the_order_of_the_source, comments, described_as_source, what_is_no_descriptor_is_refused,
        an_entry_of_a_map_has_a_key_and_a_value, a_name_is_declared_once, messages_are_nested_up_to_a_limit)
