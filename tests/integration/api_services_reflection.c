/* SPDX-License-Identifier: MIT */
/* The built-in reflection, in both of its versions: what it answers is what is embedded in the generated code. */
#include <msgsrv/schema.h>
#include <msgsrv/services.h>

#include "api_support.h"
#include "grpc/reflection/v1/reflection.msgsrv.h"
#include "server.h"

typedef grpc_reflection_v1_ServerReflectionRequest question;
typedef grpc_reflection_v1_ServerReflectionResponse answer;

#define V1 "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
#define TAG(name) grpc_reflection_v1_ServerReflectionRequest_##name##_tag
#define ANSWER_TAG(name) grpc_reflection_v1_ServerReflectionResponse_##name##_tag

/* The messages of both versions are the same on the wire. */
static const msgsrv_method methods[] = {
    {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, V1, &grpc_reflection_v1_ServerReflectionRequest_type,
     &grpc_reflection_v1_ServerReflectionResponse_type},
    {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, V1ALPHA, &grpc_reflection_v1_ServerReflectionRequest_type,
     &grpc_reflection_v1_ServerReflectionResponse_type},
};

static msgsrv_stream *open_stream(msgsrv_client *client, const msgsrv_method *method, uint32_t ahead)
{
    msgsrv_error error;
    msgsrv_stream *stream = NULL;
    msgsrv_call_options options = {.size = sizeof options, .receive_items = ahead};
    api_ok(msgsrv_stream_open(client, method, NULL, &options, NULL, NULL, 0, &stream, NULL, &error), &error);
    return stream;
}

static void ask(msgsrv_stream *stream, pb_size_t tag, const char *text, const char *host)
{
    msgsrv_error error;
    question request = grpc_reflection_v1_ServerReflectionRequest_init_zero;
    char *value = (char *)(uintptr_t)text;
    request.host = (char *)(uintptr_t)host;
    request.which_message_request = tag;
    if (tag == TAG(file_by_filename))
        request.message_request.file_by_filename = value;
    else if (tag == TAG(file_containing_symbol))
        request.message_request.file_containing_symbol = value;
    else if (tag == TAG(file_containing_extension))
        request.message_request.file_containing_extension.containing_type = value;
    else if (tag == TAG(all_extension_numbers_of_type))
        request.message_request.all_extension_numbers_of_type = value;
    else if (tag == TAG(list_services))
        request.message_request.list_services = value;
    api_ok(msgsrv_stream_write(stream, &request, &error), &error);
}

static answer next(msgsrv_stream *stream)
{
    answer response = grpc_reflection_v1_ServerReflectionResponse_init_zero;
    ck_assert(msgsrv_stream_read(stream, &response));
    ck_assert(response.has_original_request);
    return response;
}

static void done(answer *response)
{
    grpc_reflection_v1_ServerReflectionResponse_release(response);
}

static answer ask_one(msgsrv_stream *stream, pb_size_t tag, const char *text)
{
    ask(stream, tag, text, NULL);
    return next(stream);
}

static void expect_error(msgsrv_stream *stream, pb_size_t tag, const char *text, msgsrv_status code)
{
    answer response = ask_one(stream, tag, text);
    ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(error_response));
    ck_assert_int_eq(response.message_response.error_response.error_code, (int)code);
    if (text)
        api_contains(response.message_response.error_response.error_message, text);
    done(&response);
}

/* Asks for one file, and fails unless the first descriptor of the answer is the expected one. Returns how many there were. */
static unsigned expect_file(msgsrv_stream *stream, pb_size_t tag, const char *text, const msgsrv_proto_file *want)
{
    answer response = ask_one(stream, tag, text);
    ck_assert_msg(response.which_message_response == ANSWER_TAG(file_descriptor_response), "%s", text);
    grpc_reflection_v1_FileDescriptorResponse *files = &response.message_response.file_descriptor_response;
    unsigned count = files->file_descriptor_proto_count;
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_eq(files->file_descriptor_proto[0]->size, want->descriptor_size);
    ck_assert_mem_eq(files->file_descriptor_proto[0]->bytes, want->descriptor, want->descriptor_size);
    done(&response);
    return count;
}

static void end_well(msgsrv_stream *stream)
{
    msgsrv_error error;
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
}

START_TEST(test_list_services)
{
    static const char *const want[] = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                       "grpc.reflection.v1alpha.ServerReflection", "messages.Demo",
                                       "msgsrv.info.v1.Info"};
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[_i], 0);
    ask(stream, TAG(list_services), "*", "some.host");
    answer response = next(stream);
    ck_assert_str_eq(response.valid_host, "some.host");
    ck_assert_str_eq(response.original_request.host, "some.host");
    ck_assert_str_eq(response.original_request.message_request.list_services, "*");
    ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(list_services_response));
    grpc_reflection_v1_ListServiceResponse *list = &response.message_response.list_services_response;
    ck_assert_uint_eq(list->service_count, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        ck_assert_str_eq(list->service[i].name, want[i]);
    done(&response);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_files)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[_i], 0);
    const msgsrv_proto_file *demo = messages_Demo_description.file;
    expect_file(stream, TAG(file_by_filename), "messages.proto", demo);
    expect_file(stream, TAG(file_containing_symbol), "messages.Demo", demo);
    expect_file(stream, TAG(file_containing_symbol), "messages.Demo.Add", demo);
    expect_file(stream, TAG(file_containing_symbol), ".messages.AddRequest", demo);
    expect_file(stream, TAG(file_by_filename), "grpc/reflection/v1/reflection.proto",
                grpc_reflection_v1_ServerReflection_description.file);
    expect_error(stream, TAG(file_by_filename), "no/such.proto", MSGSRV_NOT_FOUND);
    expect_error(stream, TAG(file_by_filename), "messages.Demo", MSGSRV_NOT_FOUND);
    expect_error(stream, TAG(file_containing_symbol), "no.Such", MSGSRV_NOT_FOUND);
    expect_error(stream, TAG(file_containing_symbol), "messages.proto", MSGSRV_NOT_FOUND);
    expect_error(stream, TAG(file_containing_symbol), "", MSGSRV_NOT_FOUND);
    expect_error(stream, 0, NULL, MSGSRV_INVALID_ARGUMENT);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_extensions)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[_i], 0);
    answer response = ask_one(stream, TAG(all_extension_numbers_of_type), "messages.AddRequest");
    ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(all_extension_numbers_response));
    ck_assert_str_eq(response.message_response.all_extension_numbers_response.base_type_name, "messages.AddRequest");
    ck_assert_uint_eq(response.message_response.all_extension_numbers_response.extension_number_count, 0);
    done(&response);
    expect_error(stream, TAG(all_extension_numbers_of_type), "no.Such", MSGSRV_NOT_FOUND);
    expect_error(stream, TAG(file_containing_extension), "messages.AddRequest", MSGSRV_NOT_FOUND);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* What is answered is enough to know a service by. */
START_TEST(test_schema)
{
    msgsrv_error error;
    msgsrv_schema *schema = NULL;
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[0], 0);
    answer response = ask_one(stream, TAG(file_containing_symbol), "messages.Demo");
    grpc_reflection_v1_FileDescriptorResponse *files = &response.message_response.file_descriptor_response;
    api_ok(msgsrv_schema_new(&schema, &error), &error);
    for (pb_size_t i = 0; i < files->file_descriptor_proto_count; i++) {
        api_ok(msgsrv_schema_add(schema, files->file_descriptor_proto[i]->bytes, files->file_descriptor_proto[i]->size,
                                 &error),
               &error);
    }
    msgsrv_schema_method method;
    ck_assert(msgsrv_schema_method_find(schema, "/messages.Demo/Add", &method));
    ck_assert_str_eq(method.request, "messages.AddRequest");
    ck_assert_ptr_nonnull(method.comment);
    msgsrv_schema_free(schema);
    done(&response);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A client that reads late gets all answers, in order; the server keeps no more than one of them. */
START_TEST(test_back_pressure)
{
    msgsrv_server *handle = api_server(NULL, NULL);
    ts_server server = {.handle = handle};
    msgsrv_client *client = api_client(handle, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[0], 1);
    char host[16];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(host, sizeof host, "host%u", i);
        ask(stream, TAG(file_by_filename), "messages.proto", host);
    }
    ts_wait_stat(&server, sends_refused, >=, 1);
    ck_assert_uint_eq(ts_stats(&server).items_sent, 1);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(host, sizeof host, "host%u", i);
        answer response = next(stream);
        ck_assert_str_eq(response.valid_host, host);
        ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(file_descriptor_response));
        done(&response);
    }
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(handle);
}
END_TEST

/* A client that has finished still gets the answers that wait. */
START_TEST(test_half_close_behind_pressure)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_error error;
    msgsrv_stream *stream = open_stream(client, &methods[0], 1);
    for (unsigned i = 0; i < 3; i++)
        ask(stream, TAG(list_services), "", NULL);
    api_ok(msgsrv_stream_finish(stream), NULL);
    for (unsigned i = 0; i < 3; i++) {
        answer response = next(stream);
        ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(list_services_response));
        done(&response);
    }
    answer none = grpc_reflection_v1_ServerReflectionResponse_init_zero;
    ck_assert(!msgsrv_stream_read(stream, &none));
    api_ok(msgsrv_stream_close(stream, NULL, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* An answer over the message limit is told as an error; the stream goes on. */
START_TEST(test_over_limit)
{
    msgsrv_server_options options = {.size = sizeof options, .max_message = 300};
    msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[0], 0);
    answer response = ask_one(stream, TAG(file_by_filename), "messages.proto");
    ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(error_response));
    ck_assert_int_eq(response.message_response.error_response.error_code, MSGSRV_RESOURCE_EXHAUSTED);
    done(&response);
    response = ask_one(stream, TAG(list_services), "");
    ck_assert_uint_eq(response.which_message_response, ANSWER_TAG(list_services_response));
    done(&response);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_drain)
{
    msgsrv_error error;
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[0], 0);
    answer response = ask_one(stream, TAG(list_services), "");
    done(&response);
    msgsrv_server_drain(server, MSGSRV_NONE);
    ck_assert(!msgsrv_stream_read(stream, &response));
    api_expect(MSGSRV_UNAVAILABLE, msgsrv_stream_close(stream, NULL, &error), &error);
    ck_assert_str_eq(error.text, "the server is shutting down");
    api_ok(msgsrv_server_wait(server, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(test_turned_off)
{
    msgsrv_error error;
    msgsrv_server_options options = {.size = sizeof options, .no_reflection = true};
    msgsrv_server *server = api_server_on(NULL, &options, NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (size_t i = 0; i < 2; i++) {
        msgsrv_stream *stream = open_stream(client, &methods[i], 0);
        answer response;
        ck_assert(!msgsrv_stream_read(stream, &response));
        api_expect(MSGSRV_UNIMPLEMENTED, msgsrv_stream_close(stream, NULL, &error), &error);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

/* A service of the program's own takes one name; the other one is still built in. */
START_TEST(test_replaced)
{
    static const grpc_reflection_v1_ServerReflection_service own = {.ServerReflectionInfo.begin = NULL};
    msgsrv_error error;
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(grpc_reflection_v1_ServerReflection_register(server, &own, NULL, &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, NULL);
    msgsrv_stream *stream = open_stream(client, &methods[0], 0);
    answer response;
    ck_assert(!msgsrv_stream_read(stream, &response));
    api_expect(MSGSRV_UNIMPLEMENTED, msgsrv_stream_close(stream, NULL, &error), &error);
    stream = open_stream(client, &methods[1], 0);
    response = ask_one(stream, TAG(list_services), "");
    ck_assert_uint_eq(response.message_response.list_services_response.service_count, 5);
    done(&response);
    end_well(stream);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_services_reflection");
    TCase *both = tcase_create("both versions");
    TCase *one = tcase_create("one version");
    tcase_add_loop_test(both, test_list_services, 0, 2);
    tcase_add_loop_test(both, test_files, 0, 2);
    tcase_add_loop_test(both, test_extensions, 0, 2);
    tcase_add_test(one, test_schema);
    tcase_add_test(one, test_back_pressure);
    tcase_add_test(one, test_half_close_behind_pressure);
    tcase_add_test(one, test_over_limit);
    tcase_add_test(one, test_drain);
    tcase_add_test(one, test_turned_off);
    tcase_add_test(one, test_replaced);
    suite_add_tcase(suite, both);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
