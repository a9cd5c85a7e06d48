/* SPDX-License-Identifier: MIT */
/*
 * The table of msgsrv.bus.v1.Bus, its life, and what its methods share. All messages are bytes (#msgsrv_raw_type): they are coded by bus_wire.c, and may
 * be longer than nanopb's 65,535 bytes.
 */
#include "services/bus_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "msgsrv/bus.msgsrv.h"

#define SERVICE "msgsrv.bus.v1.Bus"

/* ---- what the methods share ---- */

msgsrv_status msi_bus_take_name(msi_view from, char name[MSI_BUS_NAME_SIZE], msgsrv_error *error)
{
    msgsrv_status status = from.size ? msi_check_client_name(from, error) : MSGSRV_OK;
    if (status == MSGSRV_OK && from.size >= MSI_BUS_NAME_SIZE)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "a name of %zu bytes is longer than %u", from.size,
                           MSI_BUS_NAME_SIZE - 1);
    if (status)
        return status;
    memcpy(name, from.data, from.size);
    name[from.size] = 0;
    return MSGSRV_OK;
}

msgsrv_status msi_bus_failed(msgsrv_call *call, msgsrv_status status, const msgsrv_error *error)
{
    return msgsrv_call_error(call, status, "%s", error->text);
}

msgsrv_status msi_bus_request(msgsrv_call *call, const msi_bus_message *type, const void *request, void *message)
{
    msgsrv_error error;
    msgsrv_status status = msi_bus_parse(type, msi_bus_view(request), message, &error);
    return status ? msi_bus_failed(call, status, &error) : MSGSRV_OK;
}

msgsrv_status msi_bus_answer(msgsrv_call *call, msi_writer *from, msgsrv_bytes *response)
{
    void *copy = from->size && !from->no_memory ? msgsrv_call_alloc(call, from->size) : NULL;
    bool failed = from->no_memory || (from->size && !copy);
    if (copy)
        memcpy(copy, from->data, from->size);
    *response = (msgsrv_bytes){copy, copy ? from->size : 0, NULL};
    msi_writer_release(from);
    return failed ? msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory") : MSGSRV_OK;
}

static msgsrv_status send_parts(msgsrv_stream *stream, msi_writer *from, const msgsrv_bytes *parts, size_t count)
{
    msgsrv_error error = {.text = "no memory"};
    msgsrv_status status = MSGSRV_RESOURCE_EXHAUSTED;
    if (!from->no_memory)
        status = msgsrv_stream_send_parts(stream, parts, count, &error);
    from->size = 0;
    return status ? msgsrv_stream_fail(stream, status == MSGSRV_AGAIN ? MSGSRV_INTERNAL : status, "%s", error.text)
                  : MSGSRV_OK;
}

msgsrv_status msi_bus_send(msgsrv_stream *stream, msi_writer *from)
{
    return send_parts(stream, from, &(msgsrv_bytes){from->data, from->size, NULL}, 1);
}

msgsrv_status msi_bus_send_around(msgsrv_stream *stream, msi_writer *from, size_t before, msgsrv_bytes *parts,
                                  size_t count)
{
    parts[0] = (msgsrv_bytes){from->data, before, NULL};
    parts[count - 1] = (msgsrv_bytes){from->data ? from->data + before : NULL, from->size - before, NULL};
    return send_parts(stream, from, parts, count);
}

/* ---- intake ---- */

/* Keeps the rest of a message, with its credit: the stream is paused. */
static msgsrv_status stop(msi_bus_intake *intake, msgsrv_stream *stream, const uint8_t *at, const uint8_t *end)
{
    intake->rest_size = (size_t)(end - at);
    intake->rest_at = 0;
    intake->rest = malloc(intake->rest_size);
    if (!intake->rest)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    memcpy(intake->rest, at, intake->rest_size);
    intake->kept = msgsrv_stream_keep(stream);
    intake->stopped = true;
    msgsrv_stream_pause(stream);
    return MSGSRV_OK;
}

static msgsrv_status tell_later(msi_bus_intake *intake, msgsrv_stream *stream)
{
    if (intake->answers.no_memory)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    if (msi_bus_intake_owes(intake))
        msgsrv_stream_wake(stream);
    return MSGSRV_OK;
}

msgsrv_status msi_bus_intake_message(msi_bus_intake *intake, msgsrv_stream *stream, msi_view message,
                                     msi_bus_handle_fn handle, void *ctx)
{
    const uint8_t *end = message.data + message.size;
    const uint8_t *at = handle(ctx, message.data, end);
    if (at != end) {
        msgsrv_status status = stop(intake, stream, at, end);
        if (status)
            return status;
    }
    return tell_later(intake, stream);
}

static void resume(msi_bus_intake *intake, msgsrv_stream *stream)
{
    free(intake->rest);
    intake->rest = NULL;
    intake->stopped = false;
    msgsrv_stream_consumed(stream, 1, intake->kept);
    msgsrv_stream_resume(stream);
}

void msi_bus_intake_told(msi_bus_intake *intake)
{
    intake->told = intake->last;
    intake->answers.size = 0;
    if (intake->answers.room > MSI_BUS_RESPONSE_SOFT / 8)
        msi_writer_release(&intake->answers);
}

msgsrv_status msi_bus_intake_go_on(msi_bus_intake *intake, msgsrv_stream *stream, msi_bus_handle_fn handle, void *ctx)
{
    intake->burst = 0;
    if (!intake->stopped || msi_bus_intake_full(intake))
        return MSGSRV_OK;
    const uint8_t *end = intake->rest + intake->rest_size;
    const uint8_t *at = handle(ctx, intake->rest + intake->rest_at, end);
    intake->rest_at = (size_t)(at - intake->rest);
    if (at == end)
        resume(intake, stream);
    return tell_later(intake, stream);
}

void msi_bus_intake_release(msi_bus_intake *intake)
{
    msi_writer_release(&intake->answers);
    free(intake->rest);
    intake->rest = NULL;
}

/* ---- the table ---- */

static bool implemented(const void *none)
{
    (void)none;
    return true;
}

#define METHOD(Name, how)                                                                                      \
    {                                                                                                          \
        .abi = MSGSRV_GENERATED_ABI, .kind = (how), .path = "/" SERVICE "/" Name, .request = &msgsrv_raw_type, \
        .response = &msgsrv_raw_type,                                                                          \
    }

/* X(name, Name, kind, member of msgsrv_service_method) */
#define METHOD_LIST(X)                                               \
    X(publish, "Publish", MSGSRV_UNARY, invoke)                      \
    X(publish_stream, "PublishStream", MSGSRV_BIDI_STREAMING, serve) \
    X(subscribe, "Subscribe", MSGSRV_SERVER_STREAMING, serve)        \
    X(consume, "Consume", MSGSRV_BIDI_STREAMING, serve)              \
    X(request, "Request", MSGSRV_UNARY, invoke)                      \
    X(reply, "Reply", MSGSRV_UNARY, invoke)                          \
    X(declare_topic, "DeclareTopic", MSGSRV_UNARY, invoke)           \
    X(declare_queue, "DeclareQueue", MSGSRV_UNARY, invoke)           \
    X(delete_queue, "DeleteQueue", MSGSRV_UNARY, invoke)             \
    X(topics, "Topics", MSGSRV_UNARY, invoke)                        \
    X(watch_topics, "WatchTopics", MSGSRV_SERVER_STREAMING, serve)   \
    X(queues, "Queues", MSGSRV_UNARY, invoke)                        \
    X(peek, "Peek", MSGSRV_UNARY, invoke)                            \
    X(retry, "Retry", MSGSRV_UNARY, invoke)                          \
    X(purge, "Purge", MSGSRV_UNARY, invoke)                          \
    X(describe_type, "DescribeType", MSGSRV_UNARY, invoke)           \
    X(diagnose, "Diagnose", MSGSRV_UNARY, invoke)

#define METHOD_OBJECT(name, Name, kind, member) static const msgsrv_method name##_method = METHOD(Name, kind);
METHOD_LIST(METHOD_OBJECT)

#define METHOD_ENTRY(name, Name, kind, member) \
    {.method = &name##_method, .implemented = implemented, .member = msi_serve_##name},
static const msgsrv_service_method methods[] = {METHOD_LIST(METHOD_ENTRY)};

const msgsrv_method *msi_bus_request_method(void)
{
    return &request_method;
}

static const msgsrv_service bus_service = {
    .abi = MSGSRV_GENERATED_ABI,
    .nanopb_header = PB_PROTO_HEADER_VERSION,
    .nanopb_size_bytes = sizeof(pb_size_t),
    .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
    .generator = "by hand",
    .name = SERVICE,
    .implementation_size = 1,
    .methods = methods,
    .method_count = sizeof methods / sizeof *methods,
    .file = &msgsrv_bus_proto_file,
};

/* ---- its life ---- */

static void free_service(msi_server_kept *kept)
{
    msi_bus_service *service = (msi_bus_service *)(void *)kept;
    msi_core_unref(service->core);
    free(service);
}

/* Whatever the bus accepts must fit into a response. */
static msgsrv_status check_limits(const msi_core *core, uint32_t max_message, msgsrv_error *error)
{
    uint32_t max_event = msi_core_limits_of(core)->max_event;
    if (max_message >= MSI_BUS_RESPONSE_SLACK && max_event <= max_message - MSI_BUS_RESPONSE_SLACK)
        return MSGSRV_OK;
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "the bus takes events of %u bytes (max_event), and the server's max_message is %u: it must be "
                     "%u more",
                     max_event, max_message, MSI_BUS_RESPONSE_SLACK);
}

msgsrv_status msgsrv_bus_serve(msgsrv_bus *bus, msgsrv_server *server, msgsrv_error *error)
{
    msi_core *core = bus ? msi_bus_core(bus) : NULL;
    if (!core || !server)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         !bus      ? "bus is NULL"
                         : !server ? "server is NULL"
                                   : "a remote bus cannot be served");
    msgsrv_server_options options = {.size = sizeof options};
    msgsrv_server_get_options(server, &options);
    msgsrv_status status = check_limits(core, options.max_message, error);
    if (status)
        return status;
    msi_bus_service *service = calloc(1, sizeof *service);
    if (!service)
        return msi_error_memory(error);
    service->kept.free = free_service;
    service->kept.measure = msi_bus_measure;
    service->core = msi_core_ref(core);
    service->max_message = options.max_message;
    status = msgsrv_server_register(server, &bus_service, "", service, error);
    if (status)
        free_service(&service->kept);
    else
        msi_server_keep(server, &service->kept);
    return status;
}
