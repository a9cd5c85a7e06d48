/* SPDX-License-Identifier: MIT */
/*
 * One run of the generator: decode, check, emit, encode; see generate.h.
 */
#include <stdio.h>
#include <string.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "checks.h"
#include "emit.h"
#include "generate.h"
#include "params.h"

#define MAX_OUTPUT ((size_t)64 * 1024 * 1024) /* of one generated file */
#define MAX_RESPONSE ((size_t)512 * 1024 * 1024)

/* All that belongs to one run. */
typedef struct generator {
    const unsigned char *data; /* the encoded request */
    size_t size;
    msi_arena arena;
    msi_params params;
    msi_errors errors;
    msi_model model;
    msi_buffer *texts; /* of the generated files, in the order of `outputs` */
    msi_output_proto *outputs;
    size_t output_count;
} generator;

/* Makes the next output file and returns where its text goes. */
static msi_buffer *add_output(generator *gen, const msi_file *file, const char *extension)
{
    msi_buffer *text = &gen->texts[gen->output_count];

    gen->outputs[gen->output_count++].name = msi_arena_printf(&gen->arena, "%s.msgsrv.%s", file->stem, extension);
    msi_buffer_init(text, MAX_OUTPUT);
    return text;
}

static void emit_file(generator *gen, const msi_file *file)
{
    msi_buffer *header = add_output(gen, file, "h");
    msi_buffer *source = add_output(gen, file, "c");

    msi_emit_header(&gen->arena, header, &gen->model, file);
    msi_emit_source(&gen->arena, source, &gen->model, file);
    if (header->full || source->full)
        msi_error(&gen->errors, &file->place, "the generated code would be longer than %zu MiB",
                  MAX_OUTPUT / 1024 / 1024);
}

static void emit_files(generator *gen)
{
    size_t i;

    gen->texts = msi_arena_array(&gen->arena, 2 * gen->model.file_count, sizeof *gen->texts);
    gen->outputs = msi_arena_array(&gen->arena, 2 * gen->model.file_count, sizeof *gen->outputs);
    for (i = 0; i < gen->model.file_count; i++)
        if (gen->model.files[i].generate)
            emit_file(gen, &gen->model.files[i]);
    for (i = 0; i < gen->output_count; i++)
        gen->outputs[i].content = gen->texts[i].data;
}

static void run(generator *gen, const msi_request_proto *request)
{
    const char *problem = msi_params_parse(&gen->arena, request->parameter, &gen->params);

    if (problem != NULL) {
        msi_error_line(&gen->errors, "protoc-gen-msgsrv", 0, "%s", problem);
        return;
    }
    msi_model_build(&gen->arena, request, &gen->model, &gen->errors);
    gen->model.request = gen->data;
    gen->model.request_size = gen->size;
    if (gen->errors.count == 0)
        msi_check(&gen->arena, &gen->params, &gen->model, &gen->errors);
    if (gen->errors.count == 0)
        emit_files(gen);
}

static bool write_to_buffer(pb_ostream_t *stream, const pb_byte_t *bytes, size_t size)
{
    msi_buffer *buffer = stream->state;

    msi_buffer_add(buffer, (const char *)bytes, size);
    return !buffer->full;
}

/* An error is all that a response says then. */
static bool encode(const generator *gen, msi_buffer *response)
{
    msi_response_proto message = google_protobuf_compiler_CodeGeneratorResponse_init_zero;
    pb_ostream_t stream = {.callback = write_to_buffer, .state = response, .max_size = MAX_RESPONSE};

    if (gen->output_count > PB_SIZE_MAX)
        return false;

    message.has_supported_features = true;
    message.supported_features = google_protobuf_compiler_CodeGeneratorResponse_Feature_FEATURE_PROTO3_OPTIONAL;
    if (gen->errors.count != 0) {
        message.error = gen->errors.text.data;
    } else {
        message.file = gen->outputs;
        message.file_count = (pb_size_t)gen->output_count;
    }
    return pb_encode(&stream, google_protobuf_compiler_CodeGeneratorResponse_fields, &message);
}

static void release(generator *gen)
{
    size_t i;

    for (i = 0; i < gen->output_count; i++)
        msi_buffer_release(&gen->texts[i]);
    msi_errors_release(&gen->errors);
    msi_arena_release(&gen->arena);
}

bool msi_generate(const unsigned char *data, size_t size, msi_buffer *response, char error[MSI_REQUEST_ERROR])
{
    generator gen = {0};
    msi_request_proto request;
    bool done;

    msi_buffer_init(response, MAX_RESPONSE);
    if (!msi_request_decode(data, size, &request, error))
        return false;
    if (request.file_to_generate_count == 0) {
        snprintf(error, MSI_REQUEST_ERROR, "the request names no file to generate; run this program by protoc");
        pb_release(google_protobuf_compiler_CodeGeneratorRequest_fields, &request);
        return false;
    }
    msi_errors_init(&gen.errors);
    gen.data = data;
    gen.size = size;
    run(&gen, &request);
    done = encode(&gen, response);
    if (!done)
        snprintf(error, MSI_REQUEST_ERROR, "the generated files are too long for one response");
    release(&gen);
    pb_release(google_protobuf_compiler_CodeGeneratorRequest_fields, &request);
    return done;
}
