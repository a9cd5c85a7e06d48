/* SPDX-License-Identifier: MIT */
/*
 * The generated functions: what they pass on to the library, in which order, and what the thunks make of it
 * when the library calls back. The library's functions are this file's own and write down how they were
 * called.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "inventory.msgsrv.h"
#include "messages.msgsrv.h"
#include "nested.msgsrv.h"

static struct {
    const void *object, *described, *request, *options, *ctx;
    void *response, *error, *handle;
    msgsrv_complete_fn complete;
    unsigned char closure[MSGSRV_CLOSURE_SIZE];
} seen;

static msgsrv_server *const server = (msgsrv_server *)&seen;
static msgsrv_client *const client = (msgsrv_client *)&seen.object;
static msgsrv_call *const a_call = (msgsrv_call *)&seen.request;
static msgsrv_error error;

msgsrv_status msgsrv_server_register(msgsrv_server *object, const msgsrv_service *service, const void *implementation,
                                     void *ctx, msgsrv_error *err)
{
    seen.object = object;
    seen.described = service;
    seen.request = implementation;
    seen.ctx = ctx;
    seen.error = err;
    return MSGSRV_ALREADY_EXISTS;
}

msgsrv_status msgsrv_client_call(msgsrv_client *object, const msgsrv_method *method, const void *request,
                                 const msgsrv_call_options *options, void *response, msgsrv_error *err)
{
    seen.object = object;
    seen.described = method;
    seen.request = request;
    seen.options = options;
    seen.response = response;
    seen.error = err;
    return MSGSRV_NOT_FOUND;
}

msgsrv_status msgsrv_client_start(msgsrv_client *object, const msgsrv_method *method, const void *request,
                                  const msgsrv_call_options *options, msgsrv_complete_fn complete, const void *closure,
                                  size_t closure_size, msgsrv_handle *handle, msgsrv_error *err)
{
    ck_assert_uint_le(closure_size, MSGSRV_CLOSURE_SIZE);
    seen.object = object;
    seen.described = method;
    seen.request = request;
    seen.options = options;
    seen.complete = complete;
    memcpy(seen.closure, closure, closure_size);
    seen.handle = handle;
    seen.error = err;
    return MSGSRV_ABORTED;
}

msgsrv_status msgsrv_held_reply(msgsrv_held *held, const msgsrv_method *method, const void *response)
{
    seen.object = held;
    seen.described = method;
    seen.request = response;
    return MSGSRV_CANCELLED;
}

void msgsrv_message_release(const msgsrv_message_type *type, void *message)
{
    seen.described = type;
    seen.response = message;
}

/* What inventory.pb.c refers to. */
bool msgsrv_field_callback(pb_istream_t *input, pb_ostream_t *output, const pb_field_t *field)
{
    return pb_default_field_callback(input, output, field);
}

/* What a bidirectional handler without half_close does; nothing here has one. */
msgsrv_status msgsrv_stream_finish(msgsrv_stream *stream)
{
    seen.object = stream;
    return MSGSRV_OK;
}

static void clear(void)
{
    memset(&seen, 0, sizeof seen);
}

static msgsrv_status add(msgsrv_call *call, const messages_AddRequest *request, messages_AddResponse *response, void *ctx)
{
    ck_assert_ptr_eq(call, a_call);
    response->result = request->a + request->b;
    *(int *)ctx += 1;
    return MSGSRV_OUT_OF_RANGE;
}

START_TEST(register_passes_everything_on)
{
    static const messages_Demo_service demo = {.Add = add};
    int ctx = 0;

    ck_assert_int_eq(messages_Demo_register(server, &demo, &ctx, &error), MSGSRV_ALREADY_EXISTS);
    ck_assert_ptr_eq(seen.object, server);
    ck_assert_ptr_eq(seen.described, &messages_Demo_description);
    ck_assert_ptr_eq(seen.request, &demo);
    ck_assert_ptr_eq(seen.ctx, &ctx);
    ck_assert_ptr_eq(seen.error, &error);
}
END_TEST

START_TEST(call_passes_everything_on)
{
    messages_AddRequest request = messages_AddRequest_init_zero;
    messages_AddResponse response = messages_AddResponse_init_zero;
    msgsrv_call_options options = {0};

    ck_assert_int_eq(messages_Demo_Add(client, &request, &options, &response, &error), MSGSRV_NOT_FOUND);
    ck_assert_ptr_eq(seen.object, client);
    ck_assert_ptr_eq(seen.described, &messages_Demo_Add_method);
    ck_assert_ptr_eq(seen.request, &request);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.response, &response);
    ck_assert_ptr_eq(seen.error, &error);
}
END_TEST

static void on_sum(const msgsrv_reply *reply, messages_AddResponse *response, void *ctx)
{
    ck_assert_int_eq(reply->status, MSGSRV_OK);
    *(int *)ctx = response->result;
}

START_TEST(async_comes_back_with_its_types)
{
    messages_AddRequest request = messages_AddRequest_init_zero;
    messages_AddResponse response = {.result = 7};
    msgsrv_reply reply = {.status = MSGSRV_OK, .error = &error};
    msgsrv_call_options options = {0};
    msgsrv_handle handle;
    int sum = 0;

    ck_assert_int_eq(messages_Demo_Add_async(client, &request, &options, on_sum, &sum, &handle, &error), MSGSRV_ABORTED);
    ck_assert_ptr_eq(seen.object, client);
    ck_assert_ptr_eq(seen.described, &messages_Demo_Add_method);
    ck_assert_ptr_eq(seen.request, &request);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.handle, &handle);
    ck_assert_ptr_eq(seen.error, &error);
    seen.complete(&reply, &response, seen.closure);
    ck_assert_int_eq(sum, 7);
}
END_TEST

START_TEST(async_without_a_callback_is_dropped)
{
    messages_AddRequest request = messages_AddRequest_init_zero;
    msgsrv_reply reply = {.status = MSGSRV_CANCELLED, .error = &error};

    ck_assert_int_eq(messages_Demo_Add_async(client, &request, NULL, NULL, NULL, NULL, NULL), MSGSRV_ABORTED);
    seen.complete(&reply, NULL, seen.closure);
}
END_TEST

START_TEST(reply_and_release_name_their_types)
{
    messages_AddResponse response = messages_AddResponse_init_zero;
    msgsrv_held *held = (msgsrv_held *)&seen.ctx;

    ck_assert_int_eq(messages_Demo_Add_reply(held, &response), MSGSRV_CANCELLED);
    ck_assert_ptr_eq(seen.object, held);
    ck_assert_ptr_eq(seen.described, &messages_Demo_Add_method);
    ck_assert_ptr_eq(seen.request, &response);
    messages_AddResponse_release(&response);
    ck_assert_ptr_eq(seen.described, &messages_AddResponse_type);
    ck_assert_ptr_eq(seen.response, &response);
}
END_TEST

static const msgsrv_service_method *served(const msgsrv_service *service, const char *path)
{
    size_t i;

    for (i = 0; i < service->method_count; i++)
        if (strcmp(service->methods[i].method->path, path) == 0)
            return &service->methods[i];
    ck_abort_msg("%s is not there", path);
}

START_TEST(thunks_find_their_members)
{
    messages_Demo_service demo = {.Add = add, .blocking = {.Echo = true}};
    const msgsrv_service_method *sum = served(&messages_Demo_description, "/messages.Demo/Add");
    const msgsrv_service_method *echo = served(&messages_Demo_description, "/messages.Demo/Echo");
    messages_AddRequest request = {.a = 2, .b = 3};
    messages_AddResponse response = messages_AddResponse_init_zero;
    messages_EchoMessage text = messages_EchoMessage_init_zero;
    int calls = 0;

    ck_assert_int_eq(sum->invoke(&demo, a_call, &request, &response, &calls), MSGSRV_OUT_OF_RANGE);
    ck_assert_int_eq(response.result, 5);
    ck_assert_int_eq(calls, 1);
    ck_assert(sum->implemented(&demo) && !sum->blocking(&demo));
    ck_assert_int_eq(echo->invoke(&demo, a_call, &text, &text, &calls), MSGSRV_UNIMPLEMENTED);
    ck_assert(!echo->implemented(&demo) && echo->blocking(&demo));
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(descriptions_say_what_they_are)
{
    const msgsrv_service *service = &messages_Demo_description;

    ck_assert_uint_eq(service->abi, MSGSRV_GENERATED_ABI);
    ck_assert_uint_eq(service->nanopb_header, PB_PROTO_HEADER_VERSION);
    ck_assert_uint_eq(service->nanopb_size_bytes, sizeof(pb_size_t));
    ck_assert_uint_eq(service->nanopb_desc_bytes, sizeof(pb_msgdesc_t));
    ck_assert_str_eq(service->generator, "protoc-gen-msgsrv " MSGSRV_VERSION);
    ck_assert_str_eq(service->name, "messages.Demo");
    ck_assert_uint_eq(service->implementation_size, sizeof(messages_Demo_service));
    ck_assert_uint_eq(service->method_count, 5);
    ck_assert_ptr_eq(service->methods[0].method, &messages_Demo_Echo_method);
    ck_assert_uint_eq(messages_Demo_Add_method.abi, MSGSRV_GENERATED_ABI);
    ck_assert_uint_eq(messages_Demo_Add_method.kind, MSGSRV_UNARY);
    ck_assert_ptr_eq(messages_Demo_Add_method.request, &messages_AddRequest_type);
    ck_assert_ptr_eq(messages_Demo_Add_method.response, &messages_AddResponse_type);
    ck_assert_ptr_null(acme_store_v1_Nothing_description.methods);
    ck_assert_uint_eq(acme_store_v1_Nothing_description.method_count, 0);
}
END_TEST

/* Fields in ascending order, messages exactly where nanopb has them, at any depth. */
static void check_type(const msgsrv_message_type *type, int depth)
{
    uint32_t i;

    ck_assert_ptr_nonnull(type->nanopb);
    ck_assert_uint_eq(type->field_count == 0, type->fields == NULL);
    for (i = 0; i < type->field_count; i++) {
        const msgsrv_field *field = &type->fields[i];

        ck_assert(i == 0 || field->number > type->fields[i - 1].number);
        ck_assert_uint_eq(field->kind == MSGSRV_FIELD_MESSAGE, field->message != NULL);
        if (field->kind == MSGSRV_FIELD_STRING || (field->message != NULL && field->message->has_strings))
            ck_assert_uint_eq(type->has_strings, 1);
        if (field->message != NULL && depth > 0)
            check_type(field->message, depth - 1);
    }
}

START_TEST(types_are_described_all_through)
{
    check_type(&plant_inventory_v2_ListResponse_type, 6);
    check_type(&acme_store_v1_Order_type, 6);
    check_type(&acme_store_v1_Tree_type, 6);
    ck_assert_uint_eq(acme_store_v1_Numbers_type.has_strings, 0);
    ck_assert_uint_eq(acme_store_v1_Ping_type.has_strings, 1);
    ck_assert_uint_eq(acme_store_v1_Pong_type.has_strings, 1);
    ck_assert_uint_eq(acme_store_v1_Empty_type.field_count, 0);
    ck_assert_uint_eq(acme_store_v1_Order_type.struct_size, sizeof(acme_store_v1_Order));
    ck_assert_uint_eq(plant_inventory_v2_Device_type.fields[22].number, 2000);
    ck_assert_ptr_eq(plant_inventory_v2_Device_type.file, &inventory_proto_file);
    ck_assert_ptr_eq(acme_store_v1_Empty_type.file, &nested_proto_file);
}
END_TEST

START_TEST(structs_with_views_begin_empty)
{
    plant_inventory_v2_Image zero = plant_inventory_v2_Image_init_zero;
    plant_inventory_v2_Image fresh = plant_inventory_v2_Image_init_default;
    plant_inventory_v2_ListResponse none = plant_inventory_v2_ListResponse_init_zero;

    ck_assert_ptr_null(zero.content.data);
    ck_assert_uint_eq(zero.content.size, 0);
    ck_assert_ptr_null(fresh.content.owned);
    ck_assert_uint_eq(none.devices_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generated code");
    TCase *tests = tcase_create("wrappers");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, clear, clear);
    tcase_add_test(tests, register_passes_everything_on);
    tcase_add_test(tests, call_passes_everything_on);
    tcase_add_test(tests, async_comes_back_with_its_types);
    tcase_add_test(tests, async_without_a_callback_is_dropped);
    tcase_add_test(tests, reply_and_release_name_their_types);
    tcase_add_test(tests, thunks_find_their_members);
    tcase_add_test(tests, descriptions_say_what_they_are);
    tcase_add_test(tests, types_are_described_all_through);
    tcase_add_test(tests, structs_with_views_begin_empty);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
