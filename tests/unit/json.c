/* SPDX-License-Identifier: MIT */
/*
 * schema/json_*.c: options, limits, and what errors say. What is common with Google's mapping is compared with it in tests/json.
 */
#include <msgsrv/json.h>

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

static void expect(msgsrv_status status, const msgsrv_error *error, const void *got, size_t got_size,
                   const void *wanted, size_t size)
{
    ck_assert_msg(status == MSGSRV_OK, "%s", status ? error->text : "");
    ck_assert_msg(got_size == size && memcmp(got, wanted, size) == 0, "%zu bytes: %s", got_size, (const char *)got);
}

static void expect_text(const char *type, const void *data, size_t size, const msgsrv_json_options *options,
                        const char *wanted)
{
    msgsrv_error error;
    char *text = NULL;
    size_t text_size = 0;
    msgsrv_status status = msgsrv_json_from_wire(schema, type, data, size, options, &text, &text_size, &error);
    expect(status, &error, text, text_size, wanted, strlen(wanted));
    free(text);
}

static void expect_bytes(const char *type, const char *text, const msgsrv_json_options *options, const void *wanted,
                         size_t wanted_size)
{
    msgsrv_error error;
    void *data = NULL;
    size_t size = 0;
    msgsrv_status status = msgsrv_json_to_wire(schema, type, text, strlen(text), options, &data, &size, &error);
    expect(status, &error, data, size, wanted, wanted_size);
    ck_assert_ptr_nonnull(data);
    free(data);
}

static void refused(const char *type, const char *text, const msgsrv_json_options *options, msgsrv_status wanted,
                    const char *said)
{
    msgsrv_error error;
    void *data = NULL;
    size_t size = 0;
    msgsrv_status status = msgsrv_json_to_wire(schema, type, text, strlen(text), options, &data, &size, &error);
    ck_assert_msg(status == wanted, "%s: %s", text, status ? error.text : "accepted");
    ck_assert_ptr_null(data);
    ck_assert_str_eq(error.text, said);
}

#define TEXT(type, data, options, wanted) expect_text(type, data, sizeof(data) - 1, options, wanted)
#define BYTES(type, text, options, wanted) expect_bytes(type, text, options, wanted, sizeof(wanted) - 1)

START_TEST(names_and_numbers)
{
    setup();
    static const msgsrv_json_options proto_names = {.proto_names = true}, enum_numbers = {.enum_numbers = true};
    TEXT("messages.CountRequest", "\x18\x05", NULL, "{\"intervalMs\":5}");
    TEXT("messages.CountRequest", "\x18\x05", &proto_names, "{\"interval_ms\":5}");
    BYTES("messages.CountRequest", "{\"intervalMs\":5}", NULL, "\x18\x05");
    BYTES("messages.CountRequest", "{\"interval_ms\":5}", NULL, "\x18\x05");
    TEXT("shapes.Everything", "\x78\x02", NULL, "{\"colour\":\"GREEN\"}");
    TEXT("shapes.Everything", "\x78\x02", &enum_numbers, "{\"colour\":2}");
    TEXT("shapes.Everything", "\x78\x09", NULL, "{\"colour\":9}");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(fields_without_presence_on_demand)
{
    setup();
    static const msgsrv_json_options all = {.all_fields = true};
    TEXT("messages.AddRequest", "", NULL, "{}");
    TEXT("messages.AddRequest", "", &all, "{\"a\":0,\"b\":0}");
    TEXT("shapes.Inner", "", &all, "{\"name\":\"\",\"number\":0,\"tags\":[]}");
    TEXT("messages.ClientMessage", "", &all, "{}");
    TEXT("messages.ClientMessage", "\x12\x00", NULL, "{\"addRequest\":{}}");
    TEXT("shapes.Everything", "\x80\x01\x00", NULL, "{\"maybe\":0}");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(indentation)
{
    setup();
    static const msgsrv_json_options two = {.indent = 2}, too_much = {.indent = 9};
    TEXT("shapes.Inner", "\x0a\x01x\x1a\x01y\x1a\x00", &two,
         "{\n  \"name\": \"x\",\n  \"tags\": [\n    \"y\",\n    \"\"\n  ]\n}");
    TEXT("shapes.Inner", "", &two, "{}");
    TEXT("shapes.Everything", "\x6a\x05\x0a\x01k\x10\x01", &two, "{\n  \"counts\": {\n    \"k\": 1\n  }\n}");
    refused("messages.AddRequest", "{}", &too_much, MSGSRV_INVALID_ARGUMENT,
            "msgsrv_json_options: indent is 9, expected 0 to 8");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(unknown_fields)
{
    setup();
    static const msgsrv_json_options keep = {.keep_unknown = true}, ignore = {.ignore_unknown = true};
    static const char data[] = "\x08\x01\x98\x06\x05\x12\x01x";
    static const char text[] = "{\"a\":1,\"@unknown\":\"mAYFEgF4\"}";
    TEXT("messages.AddRequest", data, NULL, "{\"a\":1}");
    TEXT("messages.AddRequest", data, &keep, text);
    BYTES("messages.AddRequest", text, &keep, "\x08\x01\x98\x06\x05\x12\x01x");
    TEXT("shapes.Everything", "\x42\x03\x98\x06\x05", &keep, "{\"inner\":{\"@unknown\":\"mAYF\"}}");
    BYTES("shapes.Everything", "{\"inner\":{\"@unknown\":\"mAYF\"}}", &keep, "\x42\x03\x98\x06\x05");
    refused("messages.AddRequest", text, NULL, MSGSRV_INVALID_ARGUMENT,
            "AddRequest: messages.AddRequest has no field \"@unknown\"");
    refused("messages.AddRequest", "{\"@unknown\":\"mAY=\"}", &keep, MSGSRV_INVALID_ARGUMENT,
            "AddRequest: \"mAY=\" is not the bytes of fields");
    refused("messages.AddRequest", "{\"@unknown\":1}", &keep, MSGSRV_INVALID_ARGUMENT,
            "AddRequest: 1 is not bytes in base64");
    BYTES("messages.AddRequest", "{\"nobody\":{\"x\":[]},\"b\":2}", &ignore, "\x10\x02");
    BYTES("shapes.Everything", "{\"colour\":\"BLUE\"}", &ignore, "");
    BYTES("shapes.Everything", "{\"colour\":\"2\"}", &ignore, "\x78\x02");
    BYTES("shapes.Everything", "{\"colour\":\"2.0\"}", &ignore, "");
    refused("shapes.Everything", "{\"colour\":\"2147483648\"}", &ignore, MSGSRV_INVALID_ARGUMENT,
            "Everything.colour: \"2147483648\" is not a value of shapes.Colour");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(unknown_groups)
{
    setup();
    static const msgsrv_json_options keep = {.keep_unknown = true}, two_deep = {.keep_unknown = true, .max_depth = 2};
    static const char data[] = "\x08\x01\x9b\x06\x12\x01x\xa3\x06\xa4\x06\x9c\x06\x10\x02";
    static const char kept[] = "\x08\x01\x10\x02\x9b\x06\x12\x01x\xa3\x06\xa4\x06\x9c\x06";
    static const char text[] = "{\"a\":1,\"b\":2,\"@unknown\":\"mwYSAXijBqQGnAY=\"}";
    static const char one[] = "\x9b\x06\x9c\x06";
    msgsrv_error error;
    char *out = NULL;
    TEXT("messages.AddRequest", data, NULL, "{\"a\":1,\"b\":2}");
    TEXT("messages.AddRequest", data, &keep, text);
    BYTES("messages.AddRequest", text, &keep, kept);
    refused("messages.AddRequest", "{\"@unknown\":\"mwakBg==\"}", &keep, MSGSRV_INVALID_ARGUMENT,
            "AddRequest: \"mwakBg==\" is not the bytes of fields");
    /* A group is as deep as a message. */
    TEXT("messages.AddRequest", one, &two_deep, "{\"@unknown\":\"mwacBg==\"}");
    ck_assert_int_eq(
        msgsrv_json_from_wire(schema, "messages.AddRequest", data, sizeof data - 1, &two_deep, &out, NULL, &error),
        MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(error.text, "messages.AddRequest: nested too deeply");
    refused("messages.AddRequest", text, &two_deep, MSGSRV_RESOURCE_EXHAUSTED, "AddRequest: nested too deeply");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(fields_that_are_groups)
{
    setup();
    static const char file[] = "\x0a\x07g.proto\x22\x12\x0a\x01G\x12\x0d\x0a\x01g\x18\x01\x20\x01\x28\x0a\x32\x02.G";
    msgsrv_error error;
    char *text = NULL;
    ck_assert_int_eq(msgsrv_schema_add(schema, file, sizeof file - 1, &error), MSGSRV_OK);
    TEXT("G", "\x13\x14", NULL, "{}");
    ck_assert_int_eq(msgsrv_json_from_wire(schema, "G", "\x0b\x0c", 2, NULL, &text, NULL, &error), MSGSRV_UNIMPLEMENTED);
    ck_assert_str_eq(error.text, "g: groups are not supported");
    refused("G", "{\"g\":{}}", NULL, MSGSRV_UNIMPLEMENTED, "G.g: groups are not supported");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(errors_name_the_path_and_the_nearest_field)
{
    setup();
    static const struct {
        const char *type, *text, *said;
    } cases[] = {
        {"messages.AddRequest", "{\"a\":\"x\"}", "AddRequest.a: \"x\" is not an int32"},
        {"messages.AddRequest", "{\"a\":2147483648}", "AddRequest.a: 2147483648 is not an int32"},
        {"messages.AddRequest", "{\"a\":123456789012345678901}", "AddRequest.a: 123456789012345678901 is not an int32"},
        {"messages.EchoMessage", "{\"text\":123456789012345678901}",
         "EchoMessage.text: 123456789012345678901 is not a string"},
        {"shapes.Everything", "{\"inners\":[{},{\"tags\":[\"x\",1]}]}",
         "Everything.inners[1].tags[1]: 1 is not a string"},
        {"shapes.Everything", "{\"named\":{\"k\":{\"number\":1.5}}}", "Everything.named.k.number: 1.5 is not an int32"},
        {"shapes.Everything", "{\"colour\":\"BLUE\"}", "Everything.colour: \"BLUE\" is not a value of shapes.Colour"},
        {"shapes.Everything", "{\"choiceText\":\"x\",\"choiceNumber\":1}",
         "Everything.choice_number: another member of the same oneof is set"},
        {"shapes.Everything", "{\"inner\":{\"nmae\":\"x\"}}",
         "Everything.inner: shapes.Inner has no field \"nmae\"; did you mean \"name\"?"},
        {"messages.CountRequest", "{\"intervalMS\":1}",
         "CountRequest: messages.CountRequest has no field \"intervalMS\"; did you mean \"intervalMs\"?"},
        {"messages.AddRequest", "{\"something\":1}", "AddRequest: messages.AddRequest has no field \"something\""},
        {"messages.AddRequest", "[]", "AddRequest: [] is not an object"},
        {"messages.AddRequest", "{\n \"a\": }", "not JSON: unexpected token near '}' (line 2, column 7)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].type, cases[i].text, NULL, MSGSRV_INVALID_ARGUMENT, cases[i].said);
    refused("messages.Nobody", "{}", NULL, MSGSRV_NOT_FOUND, "the schema has no message messages.Nobody");
    refused("messages.Demo", "{}", NULL, MSGSRV_NOT_FOUND, "the schema has no message messages.Demo");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(what_does_not_decode)
{
    setup();
    static const struct {
        const char *type, *data, *said;
    } cases[] = {{"messages.AddRequest", "\x08", "messages.AddRequest: does not decode"},
                 {"messages.AddRequest", "\x0b\x14", "messages.AddRequest: does not decode"},
                 {"messages.EchoMessage", "\x0a\x01\xff", "text: not UTF-8"},
                 {"messages.EchoMessage", "\x0a\x02x", "messages.EchoMessage: does not decode"},
                 {"shapes.Everything", "\x32\x01\x80", "numbers: does not decode"},
                 {"shapes.Everything", "\x6a\x01\x80", "shapes.Everything.CountsEntry: does not decode"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        msgsrv_error error;
        char *text = NULL;
        ck_assert_int_eq(msgsrv_json_from_wire(schema, cases[i].type, cases[i].data, strlen(cases[i].data), NULL, &text,
                                               NULL, &error),
                         MSGSRV_INVALID_ARGUMENT);
        ck_assert_str_eq(error.text, cases[i].said);
        ck_assert_ptr_null(text);
    }
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(large_integers)
{
    setup();
    static const char wide[] = "\x0a\x02\x31\x32\x99\x01\xff\xff\xff\xff\xff\xff\xff\xff";
    BYTES("shapes.Everything", "{\"wide\":18446744073709551615,\"text\":\"12\"}", NULL, wide);
    BYTES("shapes.Everything", "{\"wide\":\"18446744073709551615\",\"text\":\"12\"}", NULL, wide);
    TEXT("shapes.Everything", wide, NULL, "{\"text\":\"12\",\"wide\":\"18446744073709551615\"}");
    /* Where a text has what would be taken for the mark, there are no such integers. */
    BYTES("messages.EchoMessage",
          "{\"text\":\"\\ufdd0"
          "1234567890123456789\"}",
          NULL,
          "\x0a\x16\xef\xb7\x90"
          "1234567890123456789");
    refused("shapes.Everything", "{\"wide\":18446744073709551615,\"text\":\"\\uFDD0\"}", NULL, MSGSRV_INVALID_ARGUMENT,
            "not JSON: too big integer near '18446744073709551615' (line 1, column 28)");
    BYTES("shapes.Everything", "{\"ratio\":-0.0}", NULL, "\x91\x01\0\0\0\0\0\0\0\x80");
    TEXT("shapes.Everything", "\x91\x01\0\0\0\0\0\0\0\x80", NULL, "{\"ratio\":-0.0}");
    msgsrv_schema_free(schema);
}
END_TEST

START_TEST(limits)
{
    setup();
    static const msgsrv_json_options two_deep = {.max_depth = 2}, one_deep = {.max_depth = 1}, few = {.max_bytes = 10},
                                     too_deep = {.max_depth = 1001}, small = {.size = 4};
    msgsrv_error error;
    char *text = NULL;
    BYTES("shapes.Everything", "{\"inner\":{}}", &two_deep, "\x42\x00");
    refused("shapes.Everything", "{\"inner\":{}}", &one_deep, MSGSRV_RESOURCE_EXHAUSTED,
            "Everything.inner: nested too deeply");
    ck_assert_int_eq(msgsrv_json_from_wire(schema, "shapes.Everything", "\x42\x00", 2, &one_deep, &text, NULL, &error),
                     MSGSRV_RESOURCE_EXHAUSTED);
    BYTES("messages.EchoMessage", "{\"text\":\"12345678\"}", &few,
          "\x0a\x08"
          "12345678");
    refused("messages.EchoMessage", "{\"text\":\"123456789\"}", &few, MSGSRV_RESOURCE_EXHAUSTED,
            "EchoMessage: the message is over the limit of bytes");
    TEXT("messages.AddRequest", "\x08\x05\x10\x05", NULL, "{\"a\":5,\"b\":5}");
    TEXT("messages.EchoMessage", "", &few, "{}");
    TEXT("messages.AddRequest", "\x08\xf4\x03", &few, "{\"a\":500}");
    refused("messages.AddRequest", "{}", &too_deep, MSGSRV_INVALID_ARGUMENT,
            "msgsrv_json_options: max_depth is 1001, expected 1 to 1000");
    ck_assert_int_eq(msgsrv_json_from_wire(schema, "messages.AddRequest", "", 0, &small, &text, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_json_from_wire(schema, "messages.AddRequest", NULL, 1, NULL, &text, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_null(text);
    TEXT("messages.AddRequest", "", NULL, "{}");
    msgsrv_schema_free(schema);
}
END_TEST

TS_MAIN("json", names_and_numbers, fields_without_presence_on_demand, indentation, unknown_fields, unknown_groups,
        fields_that_are_groups, errors_name_the_path_and_the_nearest_field, what_does_not_decode, large_integers, limits)
