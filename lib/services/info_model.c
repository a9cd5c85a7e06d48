/* SPDX-License-Identifier: MIT */
/* The unchanging part of GetInfo, made once. */
#include "services/info_model.h"

#include <stdlib.h>
#include <string.h>

#include "services/internal.h"

#define COUNT_MAX 65535u /* of a repeated field in nanopb as Debian builds it */

/* ---- limits ---- */

/* Each numeric option: its name and its unit. */
#define OPTION_LIST(X)               \
    X(threads, "")                   \
    X(worker_threads, "")            \
    X(worker_queue, "calls")         \
    X(max_connections, "")           \
    X(max_calls, "")                 \
    X(max_message, "bytes")          \
    X(max_metadata, "bytes")         \
    X(max_output, "bytes")           \
    X(first_byte_timeout_ms, "ms")   \
    X(frame_timeout_ms, "ms")        \
    X(output_timeout_ms, "ms")       \
    X(keepalive_idle_s, "s")         \
    X(keepalive_interval_s, "s")     \
    X(keepalive_count, "probes")     \
    X(linger_ms, "ms")               \
    X(linger_bytes, "bytes")         \
    X(pings_per_second, "1/s")       \
    X(ping_burst, "pings")           \
    X(idle_frames_per_second, "1/s") \
    X(plain_max_calls, "calls")      \
    X(plain_max_bytes, "bytes")      \
    X(plain_timeout_ms, "ms")        \
    X(backlog, "connections")        \
    X(socket_mode, "bits")           \
    X(max_stream_output, "bytes")    \
    X(max_unread, "bytes")           \
    X(http_max_head, "bytes")        \
    X(http_max_line, "bytes")        \
    X(http_max_fields, "lines")

typedef struct numeric_option {
    const char *name;
    const char *unit;
    size_t offset;
} numeric_option;

#define OPTION_ENTRY(field, unit) {#field, unit, offsetof(msgsrv_server_options, field)},
static const numeric_option numeric_options[] = {OPTION_LIST(OPTION_ENTRY)};
#define OPTION_COUNT (sizeof numeric_options / sizeof *numeric_options)

static msgsrv_status fill_limits(msi_info_model *model, const msgsrv_server *server, msgsrv_error *error)
{
    msgsrv_server_options options = {.size = sizeof options};
    msgsrv_server_get_options(server, &options);
    model->limits = calloc(OPTION_COUNT, sizeof *model->limits);
    if (!model->limits)
        return msi_services_no_memory(error);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        uint32_t value;
        memcpy(&value, (const char *)&options + numeric_options[i].offset, sizeof value);
        model->limits[model->limit_count++] = (msgsrv_info_v1_Limit){
            .name = msi_text(numeric_options[i].name),
            .unit = msi_text(numeric_options[i].unit),
            .value = value == MSGSRV_NONE ? 0 : value,
            .none = value == MSGSRV_NONE,
        };
    }
    return MSGSRV_OK;
}

/* ---- services ---- */

/* A comment without the space that each of its lines begins with, and without empty lines at its ends; NULL without memory. */
static char *tidy(const char *comment)
{
    char *copy = malloc(strlen(comment) + 1);
    if (!copy)
        return NULL;
    char *end = copy;
    for (const char *at = comment; *at; at++) {
        bool line_begins = at == comment || at[-1] == '\n';
        if (!(line_begins && *at == ' ') && !(end == copy && *at == '\n'))
            *end++ = *at;
    }
    while (end > copy && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    *end = '\0';
    return copy;
}

static bool set_comment(char **to, const char *comment)
{
    if (!comment)
        return true;
    *to = tidy(comment);
    return *to != NULL;
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool fill_method(msgsrv_info_v1_MethodInfo *to, const msgsrv_method *method, const msgsrv_schema *schema)
{
    msgsrv_schema_method described = {0};
    bool known = msgsrv_schema_method_find(schema, method->path, &described);
    *to = (msgsrv_info_v1_MethodInfo){
        .name = msi_text(name_in(method->path)),
        .path = msi_text(method->path),
        .kind = (msgsrv_info_v1_MethodInfo_Kind)method->kind, /* the numbers are the same */
        .request_type = msi_text(known ? described.request : method->request->name),
        .response_type = msi_text(known ? described.response : method->response->name),
    };
    return !known || set_comment(&to->comment, described.comment);
}

static bool fill_service(msgsrv_info_v1_ServiceInfo *to, const msgsrv_service *service, const msgsrv_schema *schema)
{
    size_t count = service->method_count < COUNT_MAX ? service->method_count : COUNT_MAX;
    to->name = msi_text(service->name);
    to->methods = calloc(count ? count : 1, sizeof *to->methods);
    if (!to->methods || !set_comment(&to->comment, msgsrv_schema_comment(schema, service->name)))
        return false;
    while (to->methods_count < count) {
        size_t index = to->methods_count++;
        if (!fill_method(&to->methods[index], service->methods[index].method, schema))
            return false;
    }
    return true;
}

static msgsrv_status fill_services(msi_info_model *model, const msgsrv_server *server, const msgsrv_schema *schema,
                                   msgsrv_error *error)
{
    size_t count = 0;
    while (count < COUNT_MAX && msgsrv_server_service(server, count))
        count++;
    model->services = calloc(count ? count : 1, sizeof *model->services);
    if (!model->services)
        return msi_services_no_memory(error);
    while (model->service_count < count) {
        pb_size_t index = model->service_count++;
        if (!fill_service(&model->services[index], msgsrv_server_service(server, index), schema))
            return msi_services_no_memory(error);
    }
    return MSGSRV_OK;
}

msgsrv_status msi_info_model_fill(msi_info_model *model, const msgsrv_server *server, const msgsrv_schema *schema,
                                  msgsrv_error *error)
{
    msgsrv_status status = fill_limits(model, server, error);
    return status ? status : fill_services(model, server, schema, error);
}

void msi_info_model_release(msi_info_model *model)
{
    for (pb_size_t i = 0; i < model->service_count; i++) {
        msgsrv_info_v1_ServiceInfo *service = &model->services[i];
        for (pb_size_t j = 0; j < service->methods_count; j++)
            free(service->methods[j].comment);
        free(service->methods);
        free(service->comment);
    }
    free(model->services);
    free(model->limits);
    *model = (msi_info_model){0};
}
