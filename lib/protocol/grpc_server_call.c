/* SPDX-License-Identifier: MIT */
/* From a stream's headers and messages to a call, and from its end to a response. */
#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/grpc_server.h"

static const char content_type[] = "application/grpc";
static const char encodings[] = "identity,deflate,gzip";

static msi_grpc_exchange *exchange_of(msi_h2_stream *stream)
{
    return MSI_CONTAINER(stream, msi_grpc_exchange, h2);
}

static msi_grpc_session *session_of(msi_h2 *h2)
{
    return MSI_CONTAINER(h2, msi_grpc_session, h2);
}

static bool is(msi_view value, const char *text)
{
    size_t size = strlen(text);
    return value.size == size && memcmp(value.data, text, size) == 0;
}

/* Responses. */

static void add(msi_headers *list, const char *name, const char *value)
{
    msi_headers_add(list, name, value, strlen(value));
}

/* Hands a list of headers to nghttp2. */
static bool submit(msi_grpc_exchange *exchange, msi_headers *list, bool body_follows)
{
    msi_h2 *h2 = &exchange->session->h2;
    exchange->headers_sent = true;
    nghttp2_data_provider source;
    if (body_follows)
        source = msi_h2_source(&exchange->h2);
    bool done = msi_headers_ready(list) && nghttp2_submit_response(h2->session, exchange->h2.id, list->list,
                                                                   list->count, body_follows ? &source : NULL) == 0;
    msi_headers_clear(list);
    if (!done)
        msi_h2_reset(h2, &exchange->h2, NGHTTP2_INTERNAL_ERROR);
    msi_h2_want_flush(h2);
    return done;
}

/* The headers of a response that has more than a status. */
static bool send_headers(msi_grpc_exchange *exchange, msgsrv_call *call)
{
    msi_headers *list = &exchange->session->h2.headers;
    add(list, ":status", "200");
    add(list, "content-type", content_type);
    if (call->may_compress)
        add(list, "grpc-encoding", "gzip");
    /* Of a cancelled call the handler may still be at work on its metadata, on another thread. */
    if (!call->head_sent && !atomic_load(&call->cancelled))
        msi_headers_add_metadata(list, &call->head);
    call->head_sent = true;
    return submit(exchange, list, true);
}

bool msi_grpc_opening(msi_h2 *h2, msi_h2_stream *stream)
{
    (void)h2;
    msi_grpc_exchange *exchange = exchange_of(stream);
    return exchange->headers_sent || send_headers(exchange, exchange->call);
}

/* Status and all in one block of headers. */
static void send_only_trailers(msi_grpc_exchange *exchange, const char *http_status, msgsrv_status code,
                               const char *text, const msgsrv_metadata_set *metadata)
{
    msi_headers *list = &exchange->session->h2.headers;
    add(list, ":status", http_status);
    add(list, "content-type", content_type);
    msi_headers_add_status(list, code, text);
    if (code == MSGSRV_UNIMPLEMENTED)
        add(list, "grpc-accept-encoding", encodings);
    msi_headers_add_metadata(list, metadata);
    exchange->h2.in_ignored = true;
    (void)submit(exchange, list, false);
}

void msi_grpc_trailers(msi_h2 *h2, msi_h2_stream *stream, msi_headers *list)
{
    (void)h2;
    msi_grpc_exchange *exchange = exchange_of(stream);
    if (exchange->end.count == 0) {
        msi_headers_add_status(list, MSGSRV_OK, NULL);
        return;
    }
    msi_headers made = exchange->end;
    exchange->end = *list;
    *list = made;
}

/* Appends the response's message. On failure nothing was appended. */
static msgsrv_status put_response(msi_grpc_exchange *exchange, msgsrv_call *call, msgsrv_error *error)
{
    msi_buf *out = msi_h2_out_begin(&exchange->h2);
    size_t start;
    if (!msi_grpc_prefix_open(out, &start))
        return msi_error_memory(error);
    msgsrv_status status = call->service->append(call, out, error);
    if (status) {
        out->len = start;
        return status;
    }
    bool compressed = call->compresses && msi_gzip_tail(out, start + MSI_GRPC_PREFIX);
    msi_grpc_prefix_close(out, start, compressed);
    return MSGSRV_OK;
}

static void write_end(msi_grpc_exchange *exchange, msgsrv_call *call, const msi_final *final)
{
    msi_h2 *h2 = &exchange->session->h2;
    msi_final end = *final;
    msgsrv_error error;
    if (end.code == MSGSRV_OK && !msi_streams_responses(call->description)) {
        msgsrv_status status = put_response(exchange, call, &error);
        if (status) {
            msi_log_line(&call->host->loop->log, MSGSRV_LOG_ERROR, "%s: the response cannot be sent: %s",
                         call->description->path, error.text);
            end.code = status == MSGSRV_RESOURCE_EXHAUSTED ? status : MSGSRV_INTERNAL;
            end.message = error.text;
        }
    }
    bool head = !atomic_load(&call->cancelled) && call->head.count;
    if (end.code && !exchange->headers_sent && !head) {
        send_only_trailers(exchange, "200", end.code, end.message, end.trailer);
        return;
    }
    if (end.code || end.trailer) {
        msi_headers_add_status(&exchange->end, end.code, end.message);
        msi_headers_add_metadata(&exchange->end, end.trailer);
    }
    if (exchange->headers_sent || send_headers(exchange, call))
        msi_h2_out_last(h2, &exchange->h2);
}

static void end(msgsrv_call *call, const msi_final *final)
{
    msi_grpc_session *session = call->session;
    msi_grpc_exchange *exchange = call->exchange;
    TAILQ_REMOVE(&session->calls, call, open);
    session->open_calls--;
    exchange->call = NULL;
    exchange->h2.stream = NULL;
    if (exchange->h2.id && !session->h2.ended)
        write_end(exchange, call, final);
    call->exchange = NULL;
    msi_h2_want_flush(&session->h2);
}

static bool park(msgsrv_call *call)
{
    (void)call; /* its exchange finds it */
    return true;
}

static const msi_call_protocol ops = {end, park};

/* Ends a request that never became a call. */
static void refuse(msi_grpc_exchange *exchange, msgsrv_refusal why, msgsrv_status code, const char *text)
{
    msi_counters *counters = &exchange->session->host->loop->counters;
    msi_count(&counters->refused[why], 1);
    msi_count(&counters->calls_started, 1);
    msi_count(&counters->calls_ended[code], 1);
    exchange->begun = true;
    send_only_trailers(exchange, "200", code, text, NULL);
}

/* The same for what is not gRPC's at all. */
static void refuse_http(msi_grpc_exchange *exchange, const char *http_status, const char *text)
{
    msi_count(&exchange->session->host->loop->counters.refused[MSGSRV_REFUSED_HTTP], 1);
    exchange->begun = true;
    send_only_trailers(exchange, http_status, MSGSRV_INTERNAL, text, NULL);
}

/* Requests. */

msi_h2_stream *msi_grpc_begin(msi_h2 *h2, int32_t id)
{
    msi_grpc_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->session = session_of(h2);
    msi_h2_stream_open(h2, &exchange->h2, id);
    return &exchange->h2;
}

void msi_grpc_exchange_free(msi_grpc_exchange *exchange)
{
    if (exchange->in_ready)
        TAILQ_REMOVE(&exchange->session->ready, exchange, next_ready);
    msi_buf_release(&exchange->body);
    msi_headers_release(&exchange->end);
    msi_metadata_clear(&exchange->metadata);
    free(exchange);
}

static void deny(msi_grpc_exchange *exchange, msgsrv_refusal why, msgsrv_status status, const char *text)
{
    msi_grpc_request *request = &exchange->request;
    if (request->status)
        return;
    request->why = why;
    request->status = status;
    snprintf(exchange->session->refusal, sizeof exchange->session->refusal, "%s", text);
}

static void on_path(msi_grpc_exchange *exchange, msi_view path)
{
    msi_grpc_session *session = exchange->session;
    msi_method *last = session->last_method;
    if (!last || last->path_size != path.size || memcmp(last->description->path, path.data, path.size) != 0)
        last = session->host->service->find(session->host->services, path.data, path.size);
    exchange->method = last;
    if (last) {
        session->last_method = last;
        return;
    }
    msgsrv_error unknown; /* which sees to a name that is cut inside a character */
    (void)msi_error(&unknown, MSGSRV_UNIMPLEMENTED, "unknown method %.*s", (int)(path.size < 128 ? path.size : 128),
                    (const char *)path.data);
    deny(exchange, MSGSRV_REFUSED_METHOD, MSGSRV_UNIMPLEMENTED, unknown.text);
}

static void on_timeout(msi_grpc_exchange *exchange, msi_view value)
{
    msi_grpc_request *request = &exchange->request;
    request->has_timeout = msi_grpc_timeout(value, &request->timeout_ms);
    if (!request->has_timeout)
        deny(exchange, MSGSRV_REFUSED_METADATA, MSGSRV_INTERNAL,
             "grpc-timeout: expected 1 to 8 digits and one of H M S m u n");
}

static void on_encoding(msi_grpc_exchange *exchange, msi_view value)
{
    msi_grpc_request *request = &exchange->request;
    request->gzip = is(value, "gzip") || is(value, "deflate");
    if (request->gzip || is(value, "identity"))
        return;
    msgsrv_error unknown;
    (void)msi_error(&unknown, MSGSRV_UNIMPLEMENTED, "grpc-encoding \"%.*s\" is not known: expected one of %s",
                    (int)(value.size < 32 ? value.size : 32), (const char *)value.data, encodings);
    deny(exchange, MSGSRV_REFUSED_COMPRESSION, MSGSRV_UNIMPLEMENTED, unknown.text);
}

static void on_metadata(msi_grpc_exchange *exchange, msi_view name, msi_view value)
{
    msgsrv_error error;
    if (is(name, "msgsrv-require")) {
        (void)msi_error(&error, MSGSRV_UNIMPLEMENTED, "this server does not know what the call requires: \"%.*s\"",
                        (int)(value.size < 64 ? value.size : 64), (const char *)value.data);
        deny(exchange, MSGSRV_REFUSED_METADATA, MSGSRV_UNIMPLEMENTED, error.text);
        return;
    }
    uint32_t limit = exchange->session->config->max_metadata;
    msgsrv_status status = msi_grpc_metadata_receive(&exchange->metadata, name, value, limit, &error);
    if (status)
        deny(exchange, MSGSRV_REFUSED_METADATA, status, error.text);
}

void msi_grpc_header(msi_h2 *h2, msi_h2_stream *stream, msi_view name, msi_view value)
{
    msi_grpc_exchange *exchange = exchange_of(stream);
    msi_grpc_request *request = &exchange->request;
    if (request->fields)
        return; /* trailers, of which gRPC's requests have none */
    request->list_size += name.size + value.size + MSI_METADATA_OVERHEAD;
    if (request->list_size > h2->limits.max_header_list) {
        request->status = MSGSRV_OK; /* whatever else was wrong */
        deny(exchange, MSGSRV_REFUSED_METADATA, MSGSRV_RESOURCE_EXHAUSTED, "the headers are over the limit");
        return;
    }
    if (is(name, ":method"))
        request->post = is(value, "POST");
    else if (is(name, ":path"))
        on_path(exchange, value);
    else if (is(name, "content-type"))
        request->grpc = msi_grpc_content_type(value);
    else if (is(name, "grpc-timeout"))
        on_timeout(exchange, value);
    else if (is(name, "grpc-encoding"))
        on_encoding(exchange, value);
    else if (is(name, "grpc-accept-encoding"))
        request->takes_gzip = msi_grpc_list_has(value, "gzip");
    else
        on_metadata(exchange, name, value);
}

/* Calls. */

static void set_deadline(msgsrv_call *call, const msi_grpc_request *request)
{
    uint64_t now = msi_loop_now(call->host->loop);
    if (request->has_timeout)
        call->deadline = request->timeout_ms ? msi_after(now, request->timeout_ms) : now;
}

static bool add_stream(msi_grpc_exchange *exchange, msgsrv_call *call)
{
    msi_h2 *h2 = &exchange->session->h2;
    if (!msi_call_add_stream(call, &h2->outlet))
        return false;
    if (msi_streams_requests(call->description))
        msi_h2_raise_window(h2, &exchange->h2);
    msi_h2_tie(h2, &exchange->h2, call->stream);
    return true;
}

static void begin_call(msi_grpc_exchange *exchange, msi_view body)
{
    msi_grpc_session *session = exchange->session;
    exchange->begun = true;
    msgsrv_call *call = msi_call_new(session->host, exchange->method, &ops, session, &session->h2.conn->peer);
    if (!call) {
        refuse(exchange, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
        return;
    }
    exchange->call = call;
    call->exchange = exchange;
    call->node.id = (uint64_t)exchange->h2.id;
    call->takes_compressed = exchange->request.takes_gzip;
    call->came_compressed = exchange->compressed;
    msi_call_take_slot(call, session->slots);
    set_deadline(call, &exchange->request);
    msi_metadata_move(&call->received, &exchange->metadata);
    TAILQ_INSERT_TAIL(&session->calls, call, open);
    session->open_calls++;
    if (exchange->method->description->kind != MSGSRV_UNARY && !add_stream(exchange, call))
        msi_call_end(call, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
    else
        msi_call_begin(call, body);
}

/* Ends what the client did wrong: the call, or the request that is none yet. */
static void fault(msi_grpc_exchange *exchange, msgsrv_refusal why, msgsrv_status code, const char *text)
{
    if (exchange->call) {
        msi_count(&exchange->session->host->loop->counters.refused[why], 1);
        msi_call_cancel(exchange->call, code, text);
    } else if (!exchange->begun) {
        refuse(exchange, why, code, text);
    }
}

/* Undoes compression, into the buffer; *body is then a view of that. */
static bool decompress(msi_grpc_exchange *exchange, msi_view *body, msi_buf *into)
{
    if (!exchange->request.gzip) {
        fault(exchange, MSGSRV_REFUSED_COMPRESSION, MSGSRV_INTERNAL, "a compressed message without grpc-encoding");
        return false;
    }
    msgsrv_error error;
    msgsrv_status status = msi_gunzip(*body, exchange->session->config->max_message, into, &error);
    if (status) {
        fault(exchange, MSGSRV_REFUSED_COMPRESSION, status, error.text);
        return false;
    }
    *body = (msi_view){into->data, into->len};
    return true;
}

/* The one request is whole, and there is no other: hands it to its call. */
static void begin_with(msi_grpc_exchange *exchange, msi_view body)
{
    msi_buf room = {0};
    exchange->begun = false;
    if (!exchange->compressed || decompress(exchange, &body, &room)) {
        msi_h2_begun(&exchange->session->h2, &exchange->h2);
        begin_call(exchange, body);
    }
    msi_buf_release(&room);
}

static bool has_room(const msi_grpc_session *session)
{
    return msi_h2_backlog(&session->h2) < session->h2.conn->limits->max_output;
}

/* The one request is whole and the last: its call begins, unless too many answers wait already. */
static void begin_unary(msi_grpc_exchange *exchange, msi_view body)
{
    msi_grpc_session *session = exchange->session;
    bool waits =
        !msi_streams_responses(exchange->method->description) && (!TAILQ_EMPTY(&session->ready) || !has_room(session));
    if (!waits) {
        begin_with(exchange, body);
        return;
    }
    if (!msi_buf_append(&exchange->body, body.data, body.size)) {
        refuse(exchange, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
        return;
    }
    exchange->begun = true;
    exchange->in_ready = true;
    TAILQ_INSERT_TAIL(&session->ready, exchange, next_ready);
}

/* The same of one whose message had to wait for the request's end. Its call may take the exchange away. */
static void begin_kept(msi_grpc_exchange *exchange)
{
    msi_buf body = exchange->body;
    exchange->body = (msi_buf){0};
    begin_unary(exchange, (msi_view){body.data, body.len});
    msi_buf_release(&body);
}

/* Outside of nghttp2's callbacks. A call may end the connection, and with it the list. */
void msi_grpc_begin_ready(msi_grpc_session *session)
{
    msi_grpc_exchange *exchange;
    while (!session->h2.ended && has_room(session) && (exchange = TAILQ_FIRST(&session->ready)) != NULL) {
        TAILQ_REMOVE(&session->ready, exchange, next_ready);
        exchange->in_ready = false;
        msi_buf body = exchange->body;
        exchange->body = (msi_buf){0};
        begin_with(exchange, (msi_view){body.data, body.len});
        msi_buf_release(&body);
    }
}

void msi_grpc_headers(msi_h2 *h2, msi_h2_stream *stream, bool last)
{
    (void)last;
    msi_grpc_exchange *exchange = exchange_of(stream);
    msi_grpc_session *session = session_of(h2);
    msi_grpc_request *request = &exchange->request;
    if (request->fields)
        return;
    request->fields = true;
    if (!request->post)
        refuse_http(exchange, "405", "gRPC's method is POST");
    else if (!request->grpc)
        refuse_http(exchange, "415", "the content-type is not application/grpc");
    else if (request->status)
        refuse(exchange, request->why, request->status, session->refusal);
    else if (session->slots->used >= session->config->max_calls)
        refuse(exchange, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED,
               "too many calls of this connection are worked on");
    else if (msi_streams_requests(exchange->method->description))
        begin_call(exchange, (msi_view){NULL, 0});
}

static void on_request(msi_grpc_exchange *exchange, msi_view body, bool compressed)
{
    if (exchange->has_body || exchange->begun) {
        fault(exchange, MSGSRV_REFUSED_STREAMING, MSGSRV_INTERNAL, "the call has one request, and more came");
        return;
    }
    exchange->has_body = true;
    exchange->compressed =
        compressed; /* and it stays so until its call begins: it may be much longer than what we have room for */
    if (exchange->h2.in_last)
        begin_unary(exchange, body);
    else if (!msi_buf_append(&exchange->body, body.data, body.size))
        refuse(exchange, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
}

static void on_item(msi_grpc_exchange *exchange, msi_view body, bool compressed)
{
    msgsrv_call *call = exchange->call;
    msi_h2_stream *stream = &exchange->h2;
    size_t size = body.size;
    msi_buf room = {0};
    call->came_compressed = compressed;
    if (compressed && !decompress(exchange, &body, &room)) {
        msi_buf_release(&room);
        return;
    }
    if (body.size > size)
        stream->surplus += body.size - size;
    else if (body.size < size)
        msi_h2_handled(&exchange->session->h2, stream, size - body.size);
    msi_stream_receive(call->stream, body);
    msi_buf_release(&room);
}

void msi_grpc_message(msi_h2 *h2, msi_h2_stream *stream, msi_view body, bool compressed)
{
    msi_grpc_exchange *exchange = exchange_of(stream);
    if (!msi_streams_requests(exchange->method->description))
        on_request(exchange, body, compressed);
    else if (exchange->call)
        on_item(exchange, body, compressed);
    else
        msi_h2_handled(h2, stream, body.size + MSI_GRPC_PREFIX); /* the call has ended */
}

void msi_grpc_bad_message(msi_h2 *h2, msi_h2_stream *stream, msi_grpc_read why)
{
    msi_grpc_exchange *exchange = exchange_of(stream);
    char text[MSGSRV_ERROR_TEXT];
    if (why == MSI_GRPC_TOO_LONG) {
        snprintf(text, sizeof text, "a message of %u bytes is over the limit of %u", stream->reader.length,
                 h2->limits.max_message);
        fault(exchange, MSGSRV_REFUSED_MESSAGE_SIZE, MSGSRV_RESOURCE_EXHAUSTED, text);
    } else if (why == MSI_GRPC_BAD_FLAG) {
        fault(exchange, MSGSRV_REFUSED_MALFORMED, MSGSRV_INTERNAL, "a message begins with neither 0 nor 1");
    } else if (why == MSI_GRPC_NO_ROOM) {
        fault(exchange, MSGSRV_REFUSED_UNREAD, MSGSRV_RESOURCE_EXHAUSTED,
              "too many unfinished messages of this connection wait");
    } else {
        fault(exchange, MSGSRV_REFUSED_OPEN_CALLS, MSGSRV_RESOURCE_EXHAUSTED, "the server has no memory");
    }
}

void msi_grpc_half_closed(msi_h2 *h2, msi_h2_stream *stream)
{
    (void)h2;
    msi_grpc_exchange *exchange = exchange_of(stream);
    if (stream->in_ignored || !exchange->method)
        return;
    if (msi_grpc_reader_inside(&stream->reader)) {
        fault(exchange, MSGSRV_REFUSED_MALFORMED, MSGSRV_INTERNAL, "the request ends inside a message");
    } else if (msi_streams_requests(exchange->method->description)) {
        if (exchange->call)
            msi_stream_half_closed(exchange->call->stream);
    } else if (!exchange->begun && !exchange->has_body) {
        refuse(exchange, MSGSRV_REFUSED_MALFORMED, MSGSRV_INTERNAL, "the request has no message");
    } else if (!exchange->begun) {
        begin_kept(exchange);
    }
}

void msi_grpc_closed(msi_h2 *h2, msi_h2_stream *stream, uint32_t code, bool by_peer)
{
    (void)code;
    msi_grpc_exchange *exchange = exchange_of(stream);
    if (exchange->call)
        msi_call_cancel(exchange->call, MSGSRV_CANCELLED,
                        by_peer ? "cancelled by the client" : "the client broke the protocol");
    msi_grpc_exchange_free(exchange);
    msi_h2_want_flush(h2);
}
