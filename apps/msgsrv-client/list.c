/* SPDX-License-Identifier: MIT */
/*
 * list: the services of a server, or the methods of one of them.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "program.h"
#include "types.h"

static void print_method_json(struct app_json *json, const msgsrv_schema_method *method)
{
    app_json_open(json, NULL);
    app_json_string(json, "method", method->path + 1);
    app_json_string(json, "request", method->request);
    app_json_string(json, "response", method->response);
    app_json_bool(json, "client_streaming", method->client_streaming);
    app_json_bool(json, "server_streaming", method->server_streaming);
    app_json_close(json);
}

static void print_method(const msgsrv_schema_method *method, bool details)
{
    if (!details)
        printf("%s\n", method->path + 1);
    else
        printf("%s(%s%s) returns (%s%s)\n", method->path + 1, method->client_streaming ? "stream " : "",
               method->request, method->server_streaming ? "stream " : "", method->response);
}

/* In the order of the .proto. */
static void print_methods(const struct types *types, const char *service, const struct options *options)
{
    msgsrv_schema_method method;
    struct app_json json = {.out = stdout};
    if (options->json) {
        app_json_open(&json, NULL);
        app_json_string(&json, "service", service);
        app_json_open_array(&json, "methods");
    }
    for (size_t i = 0; msgsrv_schema_method_at(types->schema, service, i, &method); i++) {
        if (options->json)
            print_method_json(&json, &method);
        else
            print_method(&method, options->details);
    }
    if (options->json) {
        app_json_close_array(&json);
        app_json_close(&json);
    }
}

static int list_methods(struct types *types, const struct options *options)
{
    const struct name *service = NULL;
    int status = types_find(types, 1u << MSGSRV_SYMBOL_SERVICE, "service", options->name, &service);
    if (status == 0)
        print_methods(types, service->text, options);
    return status;
}

static void print_services_json(const struct names *services)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_open_array(&json, "services");
    for (size_t i = 0; i < services->count; i++)
        app_json_string(&json, NULL, services->names[i].text);
    app_json_close_array(&json);
    app_json_close(&json);
}

/* One name a line; with details each followed by its methods, as far as the server knows them. */
static int list_services(struct types *types, const struct options *options)
{
    int status = types_list(types);
    if (status == 0 && options->details && !options->json)
        status = types_load(types);
    if (status != 0)
        return status;
    if (options->json)
        print_services_json(&types->services);
    for (size_t i = 0; !options->json && i < types->services.count; i++) {
        printf("%s\n", types->services.names[i].text);
        msgsrv_schema_method method;
        for (size_t j = 0;
             options->details && msgsrv_schema_method_at(types->schema, types->services.names[i].text, j, &method); j++) {
            fputs("  ", stdout);
            print_method(&method, true);
        }
    }
    return 0;
}

int command_list(const struct options *options)
{
    struct types types = {.command = NULL};
    int status = types_open(&types, options, "list", false);
    if (status == 0)
        status = options->name ? list_methods(&types, options) : list_services(&types, options);
    types_close(&types);
    return status;
}
