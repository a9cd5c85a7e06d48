/* SPDX-License-Identifier: MIT */
/* From a POST to a call and back. The call is one like any other: only its message may be JSON, which is turned into wire bytes and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/json.h>

#include "base/error.h"
#include "base/limits.h"
#include "protocol/connect.h"

/* The names and HTTP statuses of the published table. */
static const struct {
    const char *name;
    unsigned status;
} codes[MSGSRV_STATUS_COUNT] = {
    [MSGSRV_CANCELLED] = {"canceled", 499},
    [MSGSRV_UNKNOWN] = {"unknown", 500},
    [MSGSRV_INVALID_ARGUMENT] = {"invalid_argument", 400},
    [MSGSRV_DEADLINE_EXCEEDED] = {"deadline_exceeded", 504},
    [MSGSRV_NOT_FOUND] = {"not_found", 404},
    [MSGSRV_ALREADY_EXISTS] = {"already_exists", 409},
    [MSGSRV_PERMISSION_DENIED] = {"permission_denied", 403},
    [MSGSRV_RESOURCE_EXHAUSTED] = {"resource_exhausted", 429},
    [MSGSRV_FAILED_PRECONDITION] = {"failed_precondition", 400},
    [MSGSRV_ABORTED] = {"aborted", 409},
    [MSGSRV_OUT_OF_RANGE] = {"out_of_range", 400},
    [MSGSRV_UNIMPLEMENTED] = {"unimplemented", 501},
    [MSGSRV_INTERNAL] = {"internal", 500},
    [MSGSRV_UNAVAILABLE] = {"unavailable", 503},
    [MSGSRV_DATA_LOSS] = {"data_loss", 500},
    [MSGSRV_UNAUTHENTICATED] = {"unauthenticated", 401},
};

const char *msi_connect_code(msgsrv_status code)
{
    return codes[msi_failure_code((int)code)].name;
}

unsigned msi_connect_status(msgsrv_status code)
{
    return codes[msi_failure_code((int)code)].status;
}

/* ---- the head ---- */

static void check_media(msi_http_session *session)
{
    const msi_http_request *request = &session->request;
    const msgsrv_method *method = request->method->description;
    bool streams = method->kind != MSGSRV_UNARY;
    if (streams && request->media == MSI_HTTP_STREAM_MEDIA)
        msi_http_reject(session, MSGSRV_REFUSED_STREAMING, 501, MSGSRV_UNIMPLEMENTED,
                        "%s streams, which is not served over HTTP/1.1", method->path);
    else if (streams)
        msi_http_reject(session, MSGSRV_REFUSED_STREAMING, 415, MSGSRV_UNIMPLEMENTED,
                        "%s streams: its media type would be application/connect+json, and is not served over HTTP/1.1",
                        method->path);
    else if (request->media != MSI_HTTP_JSON && request->media != MSI_HTTP_PROTO)
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MEDIA, 415, MSGSRV_INVALID_ARGUMENT,
                        "the Content-Type of a unary call is application/json or application/proto");
    else if (request->coding == MSI_HTTP_OTHER_CODING)
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MEDIA, msi_connect_status(MSGSRV_UNIMPLEMENTED),
                        MSGSRV_UNIMPLEMENTED, "the Content-Encodings that are read are gzip and identity");
}

void msi_connect_check(msi_http_session *session)
{
    msi_http_request *request = &session->request;
    check_media(session);
    if (request->length > session->config->max_message)
        msi_http_reject(session, MSGSRV_REFUSED_MESSAGE_SIZE, msi_connect_status(MSGSRV_RESOURCE_EXHAUSTED),
                        MSGSRV_RESOURCE_EXHAUSTED, "a message of %llu bytes is over the limit of %u",
                        (unsigned long long)request->length, session->config->max_message);
    request->json = request->media == MSI_HTTP_JSON;
    if (!request->named_codings)
        request->takes_gzip = request->coding == MSI_HTTP_GZIP;
}

/* ---- the messages ---- */

/* The full name of a method's request or response. Of bytes that are passed on unread, the schema alone knows it. */
static msgsrv_status type_name(const msi_http_session *session, const msgsrv_method *method, bool response,
                               const char **name, msgsrv_error *error)
{
    const msgsrv_message_type *type = response ? method->response : method->request;
    msgsrv_schema_method described;
    *name = type->name;
    if (!session->config->schema)
        return msi_error(error, MSGSRV_UNIMPLEMENTED, "this server reads no JSON; send application/proto");
    if (type->nanopb)
        return MSGSRV_OK;
    if (!msgsrv_schema_method_find(session->config->schema, method->path, &described))
        return msi_error(error, MSGSRV_UNIMPLEMENTED,
                         "%s has no description, so it takes no JSON; send application/proto", method->path);
    *name = response ? described.response : described.request;
    return MSGSRV_OK;
}

/* Turns the body into what the call decodes. `message` is released by the caller. */
static msgsrv_status read_message(msi_http_session *session, const msgsrv_method *method, msi_buf *message,
                                  msgsrv_error *error)
{
    const msi_http_request *request = &session->request;
    uint32_t limit = session->config->max_message;
    if (request->coding == MSI_HTTP_GZIP && session->body.len) {
        msgsrv_status status = msi_connect_gunzip(&session->body, limit, message, error);
        if (status)
            return status;
    } else {
        *message = session->body;
    }
    if (!request->json)
        return MSGSRV_OK;
    const char *name;
    void *data = NULL;
    size_t size = 0;
    msgsrv_json_options options = {.size = sizeof options, .max_bytes = limit};
    msgsrv_status status = type_name(session, method, false, &name, error);
    if (status == MSGSRV_OK)
        status = msgsrv_json_to_wire(session->config->schema, name, message->len ? (const char *)message->data : "",
                                     message->len, &options, &data, &size, error);
    if (message->data != session->body.data)
        msi_buf_release(message);
    *message = (msi_buf){data, size, size};
    return status;
}

/* Appends the answer's bytes, as the client wants them. */
static msgsrv_status write_message(const msi_http_session *session, msgsrv_call *call, msi_buf *out, msgsrv_error *error)
{
    const char *name;
    char *text = NULL;
    msgsrv_status status = call->service->append(call, out, error);
    if (status || !session->request.json)
        return status;
    status = type_name(session, call->description, true, &name, error);
    if (status == MSGSRV_OK)
        status = msgsrv_json_from_wire(session->config->schema, name, out->len ? (const void *)out->data : "", out->len,
                                       NULL, &text, NULL, error);
    if (status == MSGSRV_OK) {
        out->len = 0;
        if (!msi_buf_append(out, text, strlen(text)))
            status = msi_error_memory(error);
    }
    free(text);
    return status;
}

/* ---- the call's end ---- */

static bool put_metadata(const msgsrv_call *call, const msi_final *final, msi_buf *fields)
{
    bool whole = !atomic_load(&call->cancelled) && !call->head_sent && call->head.count;
    if (whole && !msi_connect_put_fields(fields, "", &call->head))
        return false;
    return !final->trailer || msi_connect_put_fields(fields, "trailer-", final->trailer);
}

static void write_failure(msi_http_session *session, msgsrv_status code, const msi_buf *fields, const char *text)
{
    msi_http_write_error(session, msi_connect_status(code), code, fields, text);
}

static void write_response(msi_http_session *session, msgsrv_call *call, msi_buf *fields)
{
    static const char gzip_line[] = "Content-Encoding: gzip\r\n";
    msi_buf body = {0};
    msi_buf packed = {0};
    msgsrv_error error;
    msgsrv_status status = write_message(session, call, &body, &error);
    if (status) {
        msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: the response cannot be sent: %s",
                     call->description->path, error.text);
        /* A limit or memory, or else a handler's mistake. */
        write_failure(session, status == MSGSRV_RESOURCE_EXHAUSTED ? status : MSGSRV_INTERNAL, fields, error.text);
        msi_buf_release(&body);
        return;
    }
    bool pack = session->request.takes_gzip && body.len >= MSI_HTTP_GZIP_LEAST &&
                msi_connect_gzip(body.data, body.len, &packed) && packed.len < body.len &&
                msi_buf_append(fields, gzip_line, sizeof gzip_line - 1);
    const msi_buf *sent = pack ? &packed : &body;
    msi_http_write(session, &(msi_http_answer){.status = 200,
                                               .type = session->request.json ? "application/json" : "application/proto",
                                               .fields = fields,
                                               .body = sent->data,
                                               .size = sent->len});
    msi_buf_release(&packed);
    msi_buf_release(&body);
}

static void end(msgsrv_call *call, const msi_final *final)
{
    msi_http_session *session = call->session;
    msi_conn *conn = session->conn;
    msi_buf fields = {0};
    msi_conn_pin(conn); /* writing may close it */
    session->call = NULL;
    if (!put_metadata(call, final, &fields))
        msi_conn_close(conn, MSI_CLOSE_MEMORY);
    else if (final->code)
        write_failure(session, final->code, &fields, final->message);
    else
        write_response(session, call, &fields);
    msi_buf_release(&fields);
    msi_http_answered(session);
    msi_conn_unpin(conn);
}

/* Nothing cancels it by id, and the session knows it. */
static bool park(msgsrv_call *call)
{
    (void)call;
    return true;
}

static const msi_call_protocol ops = {end, park};

/* ---- its beginning ---- */

static void count_refusal(const msi_http_session *session, msgsrv_refusal why)
{
    msi_count(&session->host->loop->counters.refused[why], 1);
}

/* Begins a call whose message is good, or ends it. */
static void begin(msi_http_session *session, msgsrv_call *call)
{
    msi_http_request *request = &session->request;
    msi_buf message = {0};
    msgsrv_error error;
    if (request->metadata_status) {
        count_refusal(session, MSGSRV_REFUSED_METADATA);
        msi_call_end(call, request->metadata_status, request->metadata_error.text);
        return;
    }
    msgsrv_status status = read_message(session, call->description, &message, &error);
    bool own = message.data && message.data != session->body.data;
    if (status) {
        count_refusal(session, status == MSGSRV_RESOURCE_EXHAUSTED ? MSGSRV_REFUSED_MESSAGE_SIZE : MSGSRV_REFUSED_DECODE);
        msi_call_end(call, status, error.text);
    } else {
        static const uint8_t nothing[1];
        msi_call_begin(call, (msi_view){message.len ? message.data : nothing, message.len});
    }
    if (own)
        free(message.data);
}

void msi_connect_begin(msi_http_session *session)
{
    msi_http_request *request = &session->request;
    msgsrv_call *call = msi_call_new(session->host, request->method, &ops, session, &session->conn->peer);
    if (!call) {
        count_refusal(session, MSGSRV_REFUSED_OPEN_CALLS);
        write_failure(session, MSGSRV_RESOURCE_EXHAUSTED, NULL, "the server has no memory");
        msi_http_answered(session);
        return;
    }
    session->call = call;
    if (request->timeout_ms)
        call->deadline = msi_after(msi_loop_now(session->host->loop), request->timeout_ms);
    msi_metadata_move(&call->received, &request->metadata);
    begin(session, call);
}
