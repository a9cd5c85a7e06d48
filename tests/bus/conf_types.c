/* SPDX-License-Identifier: MIT */
/* Topics are bound to types; a type that does not match is refused, and both are named. */
#include "conf.h"

#include "bytes.h"
#include "messages.msgsrv.h"

static msgsrv_status try_type(const char *topic, const char *type, msgsrv_error *error)
{
    uint8_t payload[16];
    return bt_try(bt.pub, topic, type, payload, bt_encode(payload, 1, 0), NULL, NULL, error);
}

START_TEST(a_topic_is_bound_to_the_first_type_that_is_published)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, try_type("t", "conf.Second", &error), error.text);
    BT_CONTAINS(error.text, "conf.First");
    BT_CONTAINS(error.text, "conf.Second");
    BT_CONTAINS(error.text, "t");
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, bt_try_declare_topic("t", "conf.Second", NULL, 0, &error), error.text);
    BT_CONTAINS(error.text, "conf.First");
    BT_CONTAINS(error.text, "conf.Second");
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
}
END_TEST

START_TEST(a_topic_is_bound_to_the_first_type_that_is_declared)
{
    msgsrv_error error = {0};
    bt_declare_topic("t", "conf.First", NULL, 0);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, try_type("t", "conf.Second", &error), error.text);
    BT_CONTAINS(error.text, "conf.First");
    BT_CONTAINS(error.text, "conf.Second");
    bt_declare_topic("t", "conf.First", NULL, 0);
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
}
END_TEST

START_TEST(a_declaration_without_a_type_binds_nothing)
{
    msgsrv_error error = {0};
    bt_declare_topic("t", NULL, NULL, 0);
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.Any", &error), error.text);
    bt_declare_topic("t", NULL, NULL, 0);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, try_type("t", "conf.Other", &error), error.text);
}
END_TEST

START_TEST(a_refused_publication_has_done_nothing)
{
    msgsrv_error error = {0};
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, try_type("t", "conf.Second", &error), error.text);
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
    BT_UNTIL(sub->events == 2);
    ck_assert_uint_eq(bt_event_at(sub, 1)->sequence, 2);
}
END_TEST

START_TEST(types_that_are_no_names_are_refused)
{
    const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "1a", "a.1", "a-b", "\xc3\xbc"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_error error = {0};
        msgsrv_status status = try_type("t", bad[i], &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "\"%s\": %s", bad[i], msgsrv_status_name(status));
    }
}
END_TEST

START_TEST(a_payload_that_is_not_protobuf_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x08", 1}, /* a tag without its value */
        {"\x0a\x05"
         "abc",
         5},             /* longer than there is */
        {"\x00\x01", 2}, /* field number 0 */
        {"\x0f", 1},     /* wire type 7 */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},
        {"\x0b\x08\x01", 3}, /* a group that does not end */
        {"\x0c", 1},         /* one that did not begin */
        {"\x0d\x01\x02", 3}, /* a fixed32 of two bytes */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_error error = {0};
        msgsrv_status status = bt_try(bt.pub, "t", BT_TYPE, bad[i].bytes, bad[i].size, NULL, NULL, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "payload %zu: %s", i, msgsrv_status_name(status));
    }
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "t", BT_TYPE, "", 0, NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "t", BT_TYPE, "\x0b\x08\x01\x0c", 4, NULL, NULL, &error), error.text);
}
END_TEST

START_TEST(subscribing_to_a_topic_with_another_type_is_refused)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.First", &error), error.text);
    bt_subscribe_refused(bt.pub, &(msgsrv_subscribe_options){.pattern = "t", .type = "conf.Second"},
                         MSGSRV_FAILED_PRECONDITION, "conf.First", "conf.Second");
    /* A pattern may: other topics can be of that type. */
    bt_sub *pattern = bt_subscribe(bt.pub, &(msgsrv_subscribe_options){.pattern = "*", .type = "conf.Second"});
    BT_STATUS(MSGSRV_OK, try_type("u", "conf.Second", &error), error.text);
    BT_UNTIL(pattern->events == 1);
    ck_assert_str_eq(bt_event_at(pattern, 0)->topic, "u");
}
END_TEST

START_TEST(binding_a_topic_to_another_type_ends_the_subscriptions_that_asked_for_theirs)
{
    msgsrv_error error = {0};
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *published = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "p", .type = "conf.Mine"});
    bt_sub *declared = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "d", .type = "conf.Mine"});
    bt_sub *right = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "p", .type = "conf.Theirs"});
    bt_sub *pattern = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "*", .type = "conf.Mine"});
    BT_STATUS(MSGSRV_OK, try_type("p", "conf.Theirs", &error), error.text);
    BT_UNTIL(published->ended == 1 && right->events == 1);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, published->status, published->text);
    BT_CONTAINS(published->text, "conf.Mine");
    BT_CONTAINS(published->text, "conf.Theirs");
    ck_assert_uint_eq(published->events, 0);
    bt_declare_topic("d", "conf.Theirs", NULL, 0);
    BT_UNTIL(declared->ended == 1);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, declared->status, declared->text);
    BT_CONTAINS(declared->text, "conf.Theirs");
    ck_assert_uint_eq(pattern->ended + right->ended, 0);
}
END_TEST

/* ---- descriptors ---- */

typedef struct field {
    const char *name;
    uint32_t number;
    uint32_t type; /* of FieldDescriptorProto: 5 int32, 9 string */
} field;

/* A file reading.proto with message conf.Reading of these fields, ended by a name NULL. The bytes stay. */
static const msgsrv_proto_file *file_of(const field *fields)
{
    ts_bytes message = {0}, file = {0};
    ts_put_text(&message, 1, "Reading");
    for (; fields->name != NULL; fields++) {
        ts_bytes one = {0};
        ts_put_text(&one, 1, fields->name);
        ts_put_uint(&one, 3, fields->number);
        ts_put_uint(&one, 4, 1);
        ts_put_uint(&one, 5, fields->type);
        ts_put_field(&message, 2, one.data, one.size);
        ts_bytes_release(&one);
    }
    ts_put_text(&file, 1, "reading.proto");
    ts_put_text(&file, 2, "conf");
    ts_put_field(&file, 4, message.data, message.size);
    ts_put_text(&file, 12, "proto3");
    ts_bytes_release(&message);
    static msgsrv_proto_file made[8];
    static size_t count;
    msgsrv_proto_file *out = &made[count++ % 8];
    free((void *)out->descriptor);
    *out = (msgsrv_proto_file){.name = "reading.proto", .descriptor = file.data, .descriptor_size = file.size};
    return out;
}
#define FILE_OF(...) file_of((const field[]){__VA_ARGS__, {NULL, 0, 0}})

enum { INT32 = 5, STRING = 9 };

START_TEST(a_descriptor_that_is_not_compatible_is_refused)
{
    msgsrv_error error = {0};
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}), 0);
    msgsrv_status status = bt_try_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, STRING}), 0, &error);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, status, error.text);
    BT_CONTAINS(error.text, "conf.Reading");
    BT_CONTAINS(error.text, "value");
    /* And on any other topic: the type is the bus's. */
    BT_STATUS(MSGSRV_FAILED_PRECONDITION,
              bt_try_declare_topic("u", "conf.Reading", FILE_OF({"text", 1, STRING}), 0, &error), error.text);
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}), 0);
}
END_TEST

START_TEST(a_descriptor_that_is_compatible_widens)
{
    msgsrv_error error = {0};
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}), 0);
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}, {"unit", 2, STRING}), 0);
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}), 0); /* the narrow one is still good */
    /* What was widened holds: field 2 is known now. */
    msgsrv_status status =
        bt_try_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}, {"unit", 2, INT32}), 0, &error);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, status, error.text);
    BT_CONTAINS(error.text, "unit");
}
END_TEST

START_TEST(what_is_no_descriptor_is_refused)
{
    msgsrv_error error = {0};
    static const unsigned char garbage[] = {0x0a, 0x50, 0x01};
    msgsrv_proto_file file = {.name = "x.proto", .descriptor = garbage, .descriptor_size = sizeof garbage};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, bt_try_declare_topic("t", "conf.Reading", &file, 0, &error), error.text);
    /* The type is not in it. */
    BT_STATUS(MSGSRV_INVALID_ARGUMENT,
              bt_try_declare_topic("t", "conf.Missing", FILE_OF({"value", 1, INT32}), 0, &error), error.text);
    BT_CONTAINS(error.text, "conf.Missing");
    msgsrv_error after = {0};
    BT_STATUS(MSGSRV_OK, try_type("t", "conf.Free", &after), after.text); /* nothing was bound */
}
END_TEST

START_TEST(there_are_only_so_many_types)
{
    bt_reopen(&(msgsrv_bus_options){.max_types = 1});
    msgsrv_error error = {0};
    bt_declare_topic("t", "conf.Reading", FILE_OF({"value", 1, INT32}), 0);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED,
              bt_try_declare_topic("u", "messages.AddRequest", &messages_proto_file, 0, &error), error.text);
    BT_CONTAINS(error.text, "types");
}
END_TEST

/* ---- structs ---- */

typedef struct typed {
    unsigned count;
    int32_t a;
    bool was_struct;
} typed;

static void on_add(bt_sub *sub, const msgsrv_event *event)
{
    typed *seen = sub->ctx;
    const messages_AddRequest *request = event->message;
    seen->was_struct = request != NULL && event->payload == NULL;
    seen->a = request == NULL ? -1 : request->a;
    seen->count++;
}

/* The administrator has a private loop, where waiting is allowed. */
static void publish_add(const char *topic, int32_t a)
{
    messages_AddRequest request = {.a = a};
    msgsrv_error error = {0};
    msgsrv_status status =
        msgsrv_bus_publish(bt.admin->bus, topic, &messages_AddRequest_type, &request, NULL, NULL, &error);
    BT_STATUS(MSGSRV_OK, status, error.text);
}

START_TEST(a_typed_event_comes_as_a_struct_and_as_bytes_to_who_wants_bytes)
{
    typed seen = {0};
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *structs =
        bt_subscribe_start(handle, &messages_AddRequest_type, NULL, &(bt_sub){.on_event = on_add, .ctx = &seen});
    bt_sub *bytes = bt_subscribe(handle, &(msgsrv_subscribe_options){.type = "messages.AddRequest"});
    BT_UNTIL(structs->ready == 1);
    publish_add("typed", 42);
    BT_UNTIL(seen.count == 1 && bytes->events == 1);
    ck_assert_int_eq(seen.a, 42);
    ck_assert(seen.was_struct);
    ck_assert_int_eq(bytes->items[0].value, 42);
    /* And a struct from bytes. */
    uint8_t payload[16];
    BT_STATUS(MSGSRV_OK,
              bt_try(bt.pub, "typed", "messages.AddRequest", payload, bt_encode(payload, 43, 0), NULL, NULL, NULL), "");
    BT_UNTIL(seen.count == 2);
    ck_assert_int_eq(seen.a, 43);
    ck_assert(seen.was_struct);
    ck_assert_str_eq(structs->items[1].type, "messages.AddRequest");
}
END_TEST

START_TEST(a_typed_subscription_gets_its_type_alone)
{
    typed seen = {0};
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *structs =
        bt_subscribe_start(handle, &messages_AddRequest_type, NULL, &(bt_sub){.on_event = on_add, .ctx = &seen});
    BT_UNTIL(structs->ready == 1);
    bt_publish(bt.pub, "number", 1);
    publish_add("typed", 1);
    BT_UNTIL(seen.count == 1);
    ck_assert_uint_eq(structs->count, 1);
}
END_TEST

START_TEST(what_does_not_decode_is_told_to_a_typed_subscription_as_a_gap)
{
    typed seen = {0};
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *structs = bt_subscribe_start(handle, &messages_EchoMessage_type, NULL, &(bt_sub){.ctx = &seen});
    BT_UNTIL(structs->ready == 1);
    /* Protobuf, but the text is not UTF-8. */
    BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "text", "messages.EchoMessage", "\x0a\x01\xff", 3, NULL, NULL, NULL), "");
    BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "text", "messages.EchoMessage", "\x0a\x01x", 3, NULL, NULL, NULL), "");
    BT_UNTIL(structs->events == 1);
    ck_assert_uint_eq(bt_event_at(structs, 0)->sequence, 2);
    bt_check_told(structs, "text", 1, 2);
}
END_TEST

const conf_test conf_types[] = {
    {&a_topic_is_bound_to_the_first_type_that_is_published, NULL},
    {&a_topic_is_bound_to_the_first_type_that_is_declared, NULL},
    {&a_declaration_without_a_type_binds_nothing, NULL},
    {&a_refused_publication_has_done_nothing, "dense_sequence"},
    {&types_that_are_no_names_are_refused, NULL},
    {&a_payload_that_is_not_protobuf_is_refused, NULL},
    {&subscribing_to_a_topic_with_another_type_is_refused, NULL},
    {&binding_a_topic_to_another_type_ends_the_subscriptions_that_asked_for_theirs, NULL},
    {&a_descriptor_that_is_not_compatible_is_refused, NULL},
    {&a_descriptor_that_is_compatible_widens, NULL},
    {&what_is_no_descriptor_is_refused, NULL},
    {&there_are_only_so_many_types, NULL},
    {&a_typed_event_comes_as_a_struct_and_as_bytes_to_who_wants_bytes, NULL},
    {&a_typed_subscription_gets_its_type_alone, NULL},
    {&what_does_not_decode_is_told_to_a_typed_subscription_as_a_gap, NULL},
    {NULL, NULL},
};
