/* SPDX-License-Identifier: MIT */
/*
 * Registering services: what was generated or compiled for another version is refused, names are taken once, and a failed
 * registration leaves nothing behind. The services are copies of the generated one with one thing changed.
 */
#include <msgsrv/service.h>

#include "api_support.h"
#include "shapes.msgsrv.h"

static msgsrv_status try_register(const msgsrv_service *service, msgsrv_error *error)
{
    msgsrv_server *server = NULL;
    api_ok(msgsrv_server_new(NULL, &server, error), error);
    msgsrv_status status = msgsrv_server_register(server, service, &api_demo, NULL, error);
    if (status != MSGSRV_OK) { /* the name is still free */
        msgsrv_error second;
        api_ok(messages_Demo_register(server, &api_demo, NULL, &second), &second);
    }
    msgsrv_server_free(server);
    return status;
}

START_TEST(the_generated_service_fits)
{
    msgsrv_error error;
    const msgsrv_service *service = &messages_Demo_description;
    api_ok(try_register(service, &error), &error);
    ck_assert_str_eq(service->name, "messages.Demo");
    ck_assert_uint_eq(service->method_count, 5);
    ck_assert_uint_eq(service->implementation_size, sizeof(messages_Demo_service));
    ck_assert_uint_eq(service->abi, MSGSRV_GENERATED_ABI);
}
END_TEST

START_TEST(code_of_another_layout_is_refused)
{
    msgsrv_service service = messages_Demo_description;
    msgsrv_error error;
    service.abi = MSGSRV_GENERATED_ABI + 1;
    api_expect(MSGSRV_FAILED_PRECONDITION, try_register(&service, &error), &error);
    api_contains(error.text, "generate");
}
END_TEST

START_TEST(code_compiled_for_another_nanopb_is_refused)
{
    for (int i = 0; i < 3; i++) {
        msgsrv_service service = messages_Demo_description;
        msgsrv_error error;
        service.nanopb_header += i == 0;
        service.nanopb_size_bytes *= i == 1 ? 2 : 1;
        service.nanopb_desc_bytes += i == 2 ? 8 : 0;
        api_expect(MSGSRV_FAILED_PRECONDITION, try_register(&service, &error), &error);
        api_contains(error.text, "nanopb");
    }
}
END_TEST

START_TEST(a_method_of_another_layout_is_refused_at_register_and_at_call)
{
    msgsrv_method method = messages_Demo_Add_method;
    msgsrv_service_method methods[2] = {messages_Demo_description.methods[0], messages_Demo_description.methods[1]};
    msgsrv_service service = messages_Demo_description;
    msgsrv_error error;
    method.abi = MSGSRV_GENERATED_ABI + 1;
    methods[1].method = &method;
    service.methods = methods;
    service.method_count = 2;
    api_expect(MSGSRV_FAILED_PRECONDITION, try_register(&service, &error), &error);
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    messages_AddResponse response;
    messages_AddRequest request = {.a = 1};
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_client_call(client, &method, &request, NULL, &response, &error),
               &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_method_of_a_kind_that_does_not_fit_is_refused_at_register_and_at_call)
{
    static const uint32_t kinds[] = {MSGSRV_CLIENT_STREAMING, MSGSRV_SERVER_STREAMING, MSGSRV_BIDI_STREAMING + 1};
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    for (int i = 0; i < 3; i++) {
        msgsrv_method method = messages_Demo_Add_method;
        msgsrv_service_method methods[2] = {messages_Demo_description.methods[0], messages_Demo_description.methods[1]};
        msgsrv_service service = messages_Demo_description;
        msgsrv_error error;
        method.kind = kinds[i];
        methods[1].method = &method;
        service.methods = methods;
        service.method_count = 2;
        api_expect(MSGSRV_INVALID_ARGUMENT, try_register(&service, &error), &error);
        api_contains(error.text, "/messages.Demo/Add");
        messages_AddResponse response;
        messages_AddRequest request = {.a = 1};
        api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_client_call(client, &method, &request, NULL, &response, &error),
                   &error);
    }
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_service_is_registered_once)
{
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_error error;
    static const messages_Demo_service other = {.Add = NULL};
    api_expect(MSGSRV_ALREADY_EXISTS, messages_Demo_register(server, &other, NULL, &error), &error);
    api_contains(error.text, "messages.Demo");
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client); /* the first one serves */
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(the_implementation_is_copied_and_several_services_serve)
{
    msgsrv_server *server = NULL;
    msgsrv_error error;
    messages_Demo_service *demo = malloc(sizeof *demo);
    static const shapes_Shapes_service shapes = {.Mirror = NULL};
    *demo = api_demo;
    api_ok(msgsrv_server_new(NULL, &server, &error), &error);
    api_ok(messages_Demo_register(server, demo, NULL, &error), &error);
    memset(demo, 0xff, sizeof *demo);
    free(demo);
    api_ok(shapes_Shapes_register(server, &shapes, NULL, &error), &error);
    api_ok(msgsrv_server_listen(server, "tcp://127.0.0.1:0", &error), &error);
    api_ok(msgsrv_server_start(server, &error), &error);
    msgsrv_client *client = api_client(server, NULL);
    api_call_add(client);
    shapes_Blob request = {0}, response;
    api_expect(MSGSRV_UNIMPLEMENTED, shapes_Shapes_MirrorBlob(client, &request, NULL, &response, &error), &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(a_closure_that_is_too_large_is_refused)
{
    msgsrv_server *server = api_server(NULL, NULL);
    msgsrv_client *client = api_client(server, NULL);
    char closure[MSGSRV_CLOSURE_SIZE + 1] = "";
    msgsrv_error error;
    messages_AddRequest request = {.a = 1};
    api_expect(MSGSRV_INVALID_ARGUMENT,
               msgsrv_client_start(client, &messages_Demo_Add_method, &request, NULL, messages_Demo_Add_complete,
                                   closure, sizeof closure, NULL, &error),
               &error);
    msgsrv_client_free(client);
    msgsrv_server_free(server);
}
END_TEST

START_TEST(plain_bindings_are_checked)
{
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    msgsrv_error error;
    static const char add[] = "/messages.Demo/Add";
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_bind_plain(server, 0, add, 2, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_bind_plain(server, 16, add, 2, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_bind_plain(server, 2, add, 0, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_server_bind_plain(server, 2, add, 16, &error), &error);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_server_bind_plain(server, 2, "/messages.Demo/Nothing", 2, &error), &error);
    api_contains(error.text, "/messages.Demo/Nothing");
    api_ok(msgsrv_server_bind_plain(server, 15, add, 15, &error), &error);
    api_ok(msgsrv_server_bind_plain(server, 1, add, 15, &error), &error); /* one method may be bound to several fields */
    api_expect(MSGSRV_ALREADY_EXISTS, msgsrv_server_bind_plain(server, 15, "/messages.Demo/Echo", 1, &error), &error);
    msgsrv_server_free(server);
}
END_TEST

TS_MAIN("api_register", the_generated_service_fits, code_of_another_layout_is_refused,
        code_compiled_for_another_nanopb_is_refused, a_method_of_another_layout_is_refused_at_register_and_at_call,
        a_method_of_a_kind_that_does_not_fit_is_refused_at_register_and_at_call, a_service_is_registered_once,
        the_implementation_is_copied_and_several_services_serve, a_closure_that_is_too_large_is_refused,
        plain_bindings_are_checked)
