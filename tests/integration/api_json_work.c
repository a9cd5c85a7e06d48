/* SPDX-License-Identifier: MIT */
/* JSON from bytes whose type is somebody else's: the work is bounded by what came, not by what came times what the type declares. */
#include <time.h>

#include <msgsrv/json.h>
#include <msgsrv/schema.h>

#include "api_support.h"
#include "bytes.h"

enum { MANY = 20000, ITEMS = 400000, SECONDS = 10 };

/* Puts a message that was made, and empties it. */
static void put_made(ts_bytes *to, uint32_t field, ts_bytes *made)
{
    ts_put_field(to, field, made->data, made->size);
    ts_bytes_release(made);
    *made = (ts_bytes){0};
}

static void put_field(ts_bytes *message, const char *name, unsigned number, bool repeated, unsigned type,
                      const char *type_name, int oneof)
{
    ts_bytes field = {0};
    ts_put_text(&field, 1, name);
    ts_put_uint(&field, 3, number);
    ts_put_uint(&field, 4, repeated ? 3 : 1);
    ts_put_uint(&field, 5, type);
    if (type_name)
        ts_put_text(&field, 6, type_name);
    if (oneof >= 0)
        ts_put_uint(&field, 9, (uint64_t)oneof);
    put_made(message, 2, &field);
}

/* A message that contains itself, values of an enum, and very many other fields, each in a oneof of its own. */
static msgsrv_schema *many(void)
{
    ts_bytes file = {0}, message = {0}, type = {0}, inner = {0};
    char name[32];
    ts_put_text(&message, 1, "M");
    put_field(&message, "again", 1, true, 11, ".M", -1);
    put_field(&message, "kinds", 2, true, 14, ".E", -1);
    ts_put_text(&type, 1, "E");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d", i);
        put_field(&message, name, 3 + (unsigned)i, false, 5, NULL, i);
        snprintf(name, sizeof name, "o%d", i);
        ts_put_text(&inner, 1, name);
        put_made(&message, 8, &inner);
        snprintf(name, sizeof name, "V%d", i);
        ts_put_text(&inner, 1, name);
        ts_put_uint(&inner, 2, (uint64_t)i);
        put_made(&type, 2, &inner);
    }
    ts_put_text(&file, 1, "many.proto");
    put_made(&file, 4, &message);
    put_made(&file, 5, &type);
    ts_put_text(&file, 12, "proto3");
    msgsrv_error error;
    msgsrv_schema *schema = NULL;
    api_ok(msgsrv_schema_new(&schema, &error), &error);
    api_ok(msgsrv_schema_add(schema, file.data, file.size, &error), &error);
    ts_bytes_release(&file);
    return schema;
}

static void expect_soon(const ts_bytes *data, const char *ends_with)
{
    msgsrv_error error;
    msgsrv_schema *schema = many();
    char *text = NULL;
    size_t size = 0;
    time_t before = time(NULL);
    api_ok(msgsrv_json_from_wire(schema, "M", data->data, data->size, NULL, &text, &size, &error), &error);
    ck_assert_int_lt(time(NULL) - before, SECONDS);
    ck_assert_uint_gt(size, strlen(ends_with));
    ck_assert_str_eq(text + size - strlen(ends_with), ends_with);
    free(text);
    msgsrv_schema_free(schema);
}

START_TEST(many_small_messages_of_a_type_of_many_fields)
{
    ts_bytes data = {0};
    for (int i = 0; i < ITEMS; i++)
        ts_put(&data, "\x0a\x02\x18\x05", 4);
    expect_soon(&data, "{\"f0\":5}]}");
    ts_bytes_release(&data);
}
END_TEST

START_TEST(many_values_of_an_enum_of_many)
{
    ts_bytes data = {0};
    for (int i = 0; i < ITEMS; i++)
        ts_put_uint(&data, 2, MANY - 1);
    expect_soon(&data, ",\"V19999\"]}");
    ts_bytes_release(&data);
}
END_TEST

TS_MAIN("api_json_work", many_small_messages_of_a_type_of_many_fields, many_values_of_an_enum_of_many)
