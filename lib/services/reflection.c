/* SPDX-License-Identifier: MIT */
/*
 * grpc.reflection.v1.ServerReflection and v1alpha, which differ in their names alone: one implementation, whose messages are bytes
 * (#msgsrv_raw_type). So a file may be longer than nanopb's 65,535 bytes, and a request goes back as it came.
 *
 * Each request is answered before the next one is looked at: a response that does not go out is kept, and the stream paused until it does.
 */
#include <stdlib.h>
#include <string.h>

#include "grpc/reflection/v1/reflection.msgsrv.h"
#include "grpc/reflection/v1alpha/reflection.msgsrv.h"
#include "services/internal.h"
#include "services/reflection_index.h"

struct msi_reflection {
    size_t max_message;
    msi_reflection_index index;
};

/* One stream. */
typedef struct reflection_stream {
    msi_writer pending; /* a response that was refused; size 0: none */
    bool finishing;     /* the client sends no more */
    bool draining;
    bool sent[]; /* of the index's files, those that this stream has sent */
} reflection_stream;

typedef grpc_reflection_v1_ServerReflectionRequest request_message;

/* ---- one response ---- */

enum { /* fields of ServerReflectionResponse and of what it holds */
       RESPONSE_VALID_HOST = 1,
       RESPONSE_ORIGINAL_REQUEST = 2,
       RESPONSE_FILE_DESCRIPTORS = 4,
       RESPONSE_EXTENSION_NUMBERS = 5,
       RESPONSE_SERVICES = 6,
       RESPONSE_ERROR = 7,
       EXTENSIONS_BASE_TYPE = 1,
       SERVICES_SERVICE = 1,
       SERVICE_NAME = 1,
       ERROR_CODE = 1,
       ERROR_MESSAGE = 2,
};

/* Appends a part as a field of the response, and frees it. */
static void put_part(msi_writer *to, uint32_t field, msi_writer *part)
{
    msi_write_bytes(to, field, part->data, part->size);
    to->no_memory = to->no_memory || part->no_memory;
    msi_writer_release(part);
}

/* An error says what it is about by its name, whole, as the name comes back in original_request as well. */
static void put_error(msi_writer *to, msgsrv_status code, const char *text, const char *name)
{
    msi_writer part = {0};
    msi_write_number(&part, ERROR_CODE, (uint64_t)code);
    msi_write_head(&part, ERROR_MESSAGE, strlen(text) + strlen(name));
    msi_write_raw(&part, text, strlen(text));
    msi_write_raw(&part, name, strlen(name));
    put_part(to, RESPONSE_ERROR, &part);
}

static void put_files(msi_writer *to, const msi_reflection_index *index, const msi_reflected_file *file, bool *sent,
                      const char *name)
{
    if (!file) {
        put_error(to, MSGSRV_NOT_FOUND, "not found: ", name);
        return;
    }
    msi_writer part = {0};
    msi_reflection_write_files(index, file, sent, &part);
    put_part(to, RESPONSE_FILE_DESCRIPTORS, &part);
}

static void put_extension_numbers(msi_writer *to, const msi_reflection_index *index, const char *type)
{
    if (msgsrv_schema_find(index->schema, type) != MSGSRV_SYMBOL_MESSAGE) {
        put_error(to, MSGSRV_NOT_FOUND, "not a known message: ", type);
        return;
    }
    msi_writer part = {0};
    msi_write_bytes(&part, EXTENSIONS_BASE_TYPE, type, strlen(type));
    put_part(to, RESPONSE_EXTENSION_NUMBERS, &part);
}

static void put_services(msi_writer *to, const msi_reflection_index *index)
{
    msi_writer part = {0};
    for (size_t i = 0; i < index->service_count; i++) {
        msi_writer service = {0};
        msi_write_bytes(&service, SERVICE_NAME, index->services[i], strlen(index->services[i]));
        put_part(&part, SERVICES_SERVICE, &service);
    }
    put_part(to, RESPONSE_SERVICES, &part);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void put_answer(msi_writer *to, const msi_reflection_index *index, const request_message *request, bool *sent)
{
    const char *name = "";
    switch (request->which_message_request) {
    case grpc_reflection_v1_ServerReflectionRequest_file_by_filename_tag:
        name = or_empty(request->message_request.file_by_filename);
        put_files(to, index, msi_reflection_file(index, name), sent, name);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag:
        name = or_empty(request->message_request.file_containing_symbol);
        put_files(to, index, msi_reflection_file_of(index, name), sent, name);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_file_containing_extension_tag:
        name = or_empty(request->message_request.file_containing_extension.containing_type);
        put_error(to, MSGSRV_NOT_FOUND, "no such extension of ", name);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_all_extension_numbers_of_type_tag:
        put_extension_numbers(to, index, or_empty(request->message_request.all_extension_numbers_of_type));
        break;
    case grpc_reflection_v1_ServerReflectionRequest_list_services_tag:
        put_services(to, index);
        break;
    default:
        put_error(to, MSGSRV_INVALID_ARGUMENT, "the request asks for nothing", "");
        break;
    }
}

/* What every response begins with. */
static void put_head(msi_writer *to, const request_message *request, const msgsrv_bytes *bytes)
{
    if (request->host && request->host[0])
        msi_write_bytes(to, RESPONSE_VALID_HOST, request->host, strlen(request->host));
    msi_write_bytes(to, RESPONSE_ORIGINAL_REQUEST, bytes->data, bytes->size);
}

/* ---- a stream; on its loop ---- */

/* Ends a stream that has nothing left to say. */
static msgsrv_status end_if_due(msgsrv_stream *stream, const reflection_stream *state)
{
    if (state->draining)
        return msgsrv_stream_fail(stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    if (state->finishing)
        (void)msgsrv_stream_finish(stream);
    return MSGSRV_OK;
}

/* Sends what is pending, or leaves it for later with the stream paused. */
static msgsrv_status send_pending(msgsrv_stream *stream, reflection_stream *state)
{
    msgsrv_error error;
    msgsrv_bytes bytes = {.data = state->pending.data, .size = state->pending.size};
    msgsrv_status status = msgsrv_stream_send(stream, &bytes, &error);
    if (status == MSGSRV_AGAIN) {
        msgsrv_stream_pause(stream);
        return MSGSRV_OK;
    }
    msi_writer_release(&state->pending);
    if (status)
        return msgsrv_stream_fail(stream, status, "%s", error.text);
    return end_if_due(stream, state);
}

/* Makes the response to a request pending. One that is over the message limit becomes an error, which is short. */
static void answer(const msi_reflection *reflection, reflection_stream *state, const request_message *request,
                   const msgsrv_bytes *bytes)
{
    msi_writer *to = &state->pending;
    put_head(to, request, bytes);
    put_answer(to, &reflection->index, request, state->sent);
    if (to->size <= reflection->max_message || to->no_memory)
        return;
    msi_writer_release(to);
    memset(state->sent, 0, reflection->index.file_count * sizeof *state->sent);
    put_head(to, request, bytes);
    put_error(to, MSGSRV_RESOURCE_EXHAUSTED, "the answer is over the server's message limit", "");
}

static msgsrv_status take_request(const msi_reflection *reflection, msgsrv_stream *stream, const msgsrv_bytes *bytes)
{
    reflection_stream *state = msgsrv_stream_data(stream);
    if (!state)
        return MSGSRV_OK;
    msgsrv_error error;
    request_message request = grpc_reflection_v1_ServerReflectionRequest_init_zero;
    msgsrv_status status = msgsrv_message_decode(&grpc_reflection_v1_ServerReflectionRequest_type, bytes->data,
                                                 bytes->size, &request, &error);
    if (status)
        return msgsrv_stream_fail(stream, status, "%s", error.text);
    answer(reflection, state, &request, bytes);
    grpc_reflection_v1_ServerReflectionRequest_release(&request);
    if (state->pending.no_memory)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    return send_pending(stream, state);
}

static msgsrv_status begin(const msi_reflection *reflection, msgsrv_stream *stream)
{
    reflection_stream *state = calloc(1, sizeof *state + reflection->index.file_count * sizeof state->sent[0]);
    if (!state)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    msgsrv_stream_set_data(stream, state);
    return MSGSRV_OK;
}

static msgsrv_status go_on(msgsrv_stream *stream)
{
    reflection_stream *state = msgsrv_stream_data(stream);
    if (!state || !state->pending.size)
        return MSGSRV_OK;
    msgsrv_stream_resume(stream); /* what waits is handed over later, and sending may pause it again */
    return send_pending(stream, state);
}

/* The client has finished, or the server drains: the stream ends, behind a response that is still pending. */
static msgsrv_status wind_up(msgsrv_stream *stream, bool draining)
{
    reflection_stream *state = msgsrv_stream_data(stream);
    if (!state)
        return MSGSRV_OK;
    state->draining = state->draining || draining;
    state->finishing = true;
    return state->pending.size ? MSGSRV_OK : end_if_due(stream, state);
}

static void closed(msgsrv_stream *stream)
{
    reflection_stream *state = msgsrv_stream_data(stream);
    if (!state)
        return;
    msi_writer_release(&state->pending);
    free(state);
}

static msgsrv_status serve(const void *implementation, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                           void *out, void *ctx)
{
    (void)implementation;
    (void)out;
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        return begin(ctx, stream);
    case MSGSRV_STREAM_MESSAGE:
        return take_request(ctx, stream, in);
    case MSGSRV_STREAM_HALF_CLOSE:
        return wind_up(stream, false);
    case MSGSRV_STREAM_DRAINING:
        return wind_up(stream, true);
    case MSGSRV_STREAM_WRITABLE:
        return go_on(stream);
    case MSGSRV_STREAM_CLOSED:
        closed(stream);
        return MSGSRV_OK;
    case MSGSRV_STREAM_WOKEN:
        break;
    }
    return MSGSRV_OK;
}

/* ---- the two services ---- */

static bool implemented(const void *implementation)
{
    (void)implementation;
    return true;
}

/* A service of one method, by name. */
#define REFLECTION_SERVICE(variable, service_name, described)                       \
    static const msgsrv_method variable##_method = {                                \
        .abi = MSGSRV_GENERATED_ABI,                                                \
        .kind = MSGSRV_BIDI_STREAMING,                                              \
        .path = "/" service_name "/ServerReflectionInfo",                           \
        .request = &msgsrv_raw_type,                                                \
        .response = &msgsrv_raw_type,                                               \
    };                                                                              \
    static const msgsrv_service_method variable##_methods[] = {                     \
        {.method = &variable##_method, .implemented = implemented, .serve = serve}, \
    };                                                                              \
    const msgsrv_service variable = {                                               \
        .abi = MSGSRV_GENERATED_ABI,                                                \
        .nanopb_header = PB_PROTO_HEADER_VERSION,                                   \
        .nanopb_size_bytes = sizeof(pb_size_t),                                     \
        .nanopb_desc_bytes = sizeof(pb_msgdesc_t),                                  \
        .generator = "by hand",                                                     \
        .name = service_name,                                                       \
        .implementation_size = 1,                                                   \
        .methods = variable##_methods,                                              \
        .method_count = 1,                                                          \
        .file = &(described),                                                       \
    }

REFLECTION_SERVICE(msi_reflection_v1, "grpc.reflection.v1.ServerReflection", grpc_reflection_v1_reflection_proto_file);
REFLECTION_SERVICE(msi_reflection_v1alpha, "grpc.reflection.v1alpha.ServerReflection",
                   grpc_reflection_v1alpha_reflection_proto_file);

/* ---- its life ---- */

msi_reflection *msi_reflection_new(void)
{
    return calloc(1, sizeof(msi_reflection));
}

msgsrv_status msi_reflection_ready(msi_reflection *reflection, const msgsrv_server *server, const msgsrv_schema *schema,
                                   msgsrv_error *error)
{
    msgsrv_server_options options = {.size = sizeof options};
    msgsrv_server_get_options(server, &options);
    reflection->max_message = options.max_message;
    msi_reflection_index_release(&reflection->index);
    return msi_reflection_index_fill(&reflection->index, server, schema, error);
}

void msi_reflection_free(msi_reflection *reflection)
{
    if (!reflection)
        return;
    msi_reflection_index_release(&reflection->index);
    free(reflection);
}
