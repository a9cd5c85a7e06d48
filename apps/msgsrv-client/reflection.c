/* SPDX-License-Identifier: MIT */
/*
 * Reflection; see reflection.h. One question at a time. A server without reflection of this version ends the stream
 * UNIMPLEMENTED instead of answering the first question.
 */
#include "reflection.h"

#include <stdlib.h>
#include <string.h>

#include "program.h"

/* Numbers of ServerReflectionResponse, and of what is inside. */
enum { ANSWER_FILES = 4, ANSWER_SERVICES = 6, ANSWER_ERROR = 7 };
enum { FILES_FILE = 1, SERVICES_SERVICE = 1, SERVICE_NAME = 1, ERROR_CODE = 1, ERROR_MESSAGE = 2 };

#define TAG_BYTES 2u
#define LENGTH_ROOM 10

static const msgsrv_method METHODS[] = {
    {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
     &msgsrv_raw_type, &msgsrv_raw_type},
    {MSGSRV_GENERATED_ABI, MSGSRV_BIDI_STREAMING, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
     &msgsrv_raw_type, &msgsrv_raw_type},
};

static msgsrv_status open_stream(struct reflection *reflection, msgsrv_error *error)
{
    if (reflection->stream)
        return MSGSRV_OK;
    msgsrv_call_options options = {.size = sizeof options, .timeout_ms = reflection->timeout_ms};
    return msgsrv_stream_open(reflection->client, &METHODS[reflection->alpha], NULL, &options, NULL, NULL, 0,
                              &reflection->stream, NULL, error);
}

/* The encoded question, to be freed. */
static uint8_t *encode(enum reflection_question question, const char *name, size_t *size)
{
    size_t length = strlen(name);
    uint8_t *data = malloc(1 + LENGTH_ROOM + length);
    uint8_t *p = data;
    if (!data)
        return NULL;
    *p++ = (uint8_t)((unsigned)question << 3 | TAG_BYTES);
    for (size_t left = length;; left >>= 7) {
        *p++ = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f)
            break;
    }
    memcpy(p, name, length);
    *size = (size_t)(p - data) + length;
    return data;
}

/* Why the stream has ended without an answer. It is closed. */
static msgsrv_status end_stream(struct reflection *reflection, msgsrv_error *error)
{
    msgsrv_status status = msgsrv_stream_close(reflection->stream, NULL, error);
    reflection->stream = NULL;
    return status == MSGSRV_OK ? app_error(error, MSGSRV_INTERNAL, "the server's reflection ended without an answer")
                               : status;
}

static msgsrv_status exchange(struct reflection *reflection, const msgsrv_bytes *question, msgsrv_bytes *answer,
                              msgsrv_error *error)
{
    msgsrv_status status = open_stream(reflection, error);
    if (status != MSGSRV_OK)
        return status;
    /* When the stream is over, closing says why better than writing. */
    if (msgsrv_stream_write(reflection->stream, question, error) != MSGSRV_OK ||
        !msgsrv_stream_read(reflection->stream, answer))
        return end_stream(reflection, error);
    reflection->answered = true;
    return MSGSRV_OK;
}

static msgsrv_status exchange_with_any(struct reflection *reflection, const msgsrv_bytes *question,
                                       msgsrv_bytes *answer, msgsrv_error *error)
{
    msgsrv_status status = exchange(reflection, question, answer, error);
    if (status != MSGSRV_UNIMPLEMENTED || reflection->answered || reflection->alpha)
        return status;
    reflection->alpha = true;
    return exchange(reflection, question, answer, error);
}

static msgsrv_status malformed(msgsrv_error *error)
{
    return app_error(error, MSGSRV_INTERNAL, "the server's reflection sent an answer that does not decode");
}

/* The error that the server answered with. */
static msgsrv_status answered_error(struct fields fields, msgsrv_error *error)
{
    struct field field;
    uint64_t code = MSGSRV_UNKNOWN;
    char *text = NULL;
    while (fields_next(&fields, &field)) {
        if (field.number == ERROR_CODE && !field.has_bytes)
            code = field.value;
        if (field_is(&field, ERROR_MESSAGE)) {
            free(text);
            text = field_text(&field);
        }
    }
    bool travels = code > MSGSRV_OK && code < MSGSRV_STATUS_COUNT;
    app_error(error, travels ? (msgsrv_status)code : MSGSRV_UNKNOWN, "%s", text ? text : "");
    error->from_peer = true;
    free(text);
    return error->code;
}

/* Hands each file over, or the name of each service. */
static msgsrv_status take_all(struct fields fields, bool services, reflection_take_fn take, void *ctx,
                              msgsrv_error *error)
{
    struct field field;
    msgsrv_status status = MSGSRV_OK;
    while (status == MSGSRV_OK && fields_next(&fields, &field)) {
        struct fields service = field.bytes;
        struct field name;
        if (!services && field_is(&field, FILES_FILE))
            status = take(ctx, &field, error);
        if (!services || !field_is(&field, SERVICES_SERVICE))
            continue;
        while (status == MSGSRV_OK && fields_next(&service, &name)) {
            if (field_is(&name, SERVICE_NAME))
                status = take(ctx, &name, error);
        }
        fields.malformed |= service.malformed;
    }
    return status == MSGSRV_OK && fields.malformed ? malformed(error) : status;
}

static msgsrv_status read_answer(const msgsrv_bytes *answer, bool services, reflection_take_fn take, void *ctx,
                                 msgsrv_error *error)
{
    struct fields fields = {.data = answer->data, .size = answer->size};
    struct field field;
    while (fields_next(&fields, &field)) {
        if (field_is(&field, ANSWER_ERROR))
            return answered_error(field.bytes, error);
        if (field_is(&field, services ? ANSWER_SERVICES : ANSWER_FILES))
            return take_all(field.bytes, services, take, ctx, error);
    }
    return malformed(error);
}

msgsrv_status reflection_ask(struct reflection *reflection, enum reflection_question question, const char *name,
                             reflection_take_fn take, void *ctx, msgsrv_error *error)
{
    msgsrv_bytes answer = {.data = NULL};
    msgsrv_bytes request = {.data = NULL};
    uint8_t *encoded = encode(question, name, &request.size);
    if (!encoded)
        return app_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    request.data = encoded;
    msgsrv_status status = exchange_with_any(reflection, &request, &answer, error);
    free(encoded);
    if (status != MSGSRV_OK)
        return status;
    status = read_answer(&answer, question == REFLECTION_SERVICES, take, ctx, error);
    msgsrv_message_release(&msgsrv_raw_type, &answer);
    return status;
}

void reflection_close(struct reflection *reflection)
{
    if (reflection->stream)
        msgsrv_stream_close(reflection->stream, NULL, NULL);
    reflection->stream = NULL;
}
