/* SPDX-License-Identifier: MIT */
/* From a call to a request's headers and messages, and from the answer's to the call's end. */
#include <msgsrv/version.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/error.h"
#include "base/limits.h"
#include "protocol/grpc_client.h"

#define PLAIN_KEEP (64 * MSI_KIB) /* the room for decompressing is given back when it is more */
#define HTTP_OK 200
/* How much of a window may be owed in prefixes of messages, which credit does not count, before it is given back. */
#define WINDOW_PER_ITEM 16u

/* What has come of opening a stream. */
typedef enum opened { OPENED, NO_MEMORY, NO_IDS } opened;

static msi_client_session *session_of(msi_h2 *h2)
{
    return MSI_CONTAINER(h2, msi_client_session, h2);
}

static msi_grpc_request *request_of(msi_h2_stream *stream)
{
    return MSI_CONTAINER(stream, msi_grpc_request, h2);
}

bool msi_grpc_repeatable(const msi_client_call *call)
{
    return !call->stream || call->stream->sent == 0;
}

void msi_grpc_unavailable(msi_client_session *session, msi_client_call *call, const char *reason)
{
    session->events->ended(session->client, call, MSGSRV_UNAVAILABLE, false, msi_view_of(reason), (msi_view){0});
}

void msi_grpc_request_free(msi_client_session *session, msi_grpc_request *request)
{
    if (request->fresh)
        TAILQ_REMOVE(&session->fresh, request, next_fresh);
    TAILQ_REMOVE(&session->requests, request, next);
    msi_buf_release(&request->response);
    free(request);
}

msi_grpc_request *msi_grpc_let_go(msi_client_session *session, msi_client_call *call)
{
    msi_grpc_request *request = call->of_session;
    if (request)
        TAILQ_REMOVE(&session->open, call, open);
    else
        TAILQ_REMOVE(&session->queue, call, open);
    session->count--;
    call->session = NULL;
    call->of_session = NULL;
    if (call->stream)
        msi_stream_detach(call->stream);
    if (!request)
        return NULL;
    request->call = NULL;
    request->h2.stream = NULL;
    request->h2.in_ignored = true;
    if (request->fresh)
        TAILQ_REMOVE(&session->fresh, request, next_fresh);
    request->fresh = false;
    return request;
}

/* Ends. */

/* A call ends because of what the server sent, or for want of memory; the server is told. */
static void fail(msi_client_session *session, msi_grpc_request *request, msgsrv_status code, const char *text)
{
    msi_client_call *call = request->call;
    (void)msi_grpc_let_go(session, call);
    msi_h2_reset(&session->h2, &request->h2, NGHTTP2_CANCEL);
    session->events->ended(session->client, call, code, false, msi_view_of(text), (msi_view){0});
}

/* The server has said how the call ended. What of the request is not sent yet, nobody waits for, nor for what the server may still send. */
static void complete(msi_client_session *session, msi_grpc_request *request, msgsrv_status code, const char *text,
                     bool last)
{
    msi_client_call *call = request->call;
    msi_buf response = request->response;
    request->response = (msi_buf){0};
    (void)msi_grpc_let_go(session, call);
    if (!request->h2.out_ended || !last)
        msi_h2_reset(&session->h2, &request->h2, last ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    session->events->ended(session->client, call, code, code != MSGSRV_OK, msi_view_of(text),
                           (msi_view){response.data, response.len});
    msi_buf_release(&response);
}

/* Requests. */

static void put_headers(msi_client_session *session, const msi_client_call *call, msi_headers *list)
{
    static const char agent[] = "grpc-c-msgsrv/" MSGSRV_VERSION;
    static const struct {
        const char *name;
        const char *value;
    } fixed[] = {
        {":method", "POST"},   {":scheme", "http"},
        {"te", "trailers"},    {"content-type", "application/grpc"},
        {"user-agent", agent}, {"grpc-accept-encoding", "identity, gzip"},
    };
    const char *authority = session->limits->authority;
    msi_headers_add(list, fixed[0].name, fixed[0].value, strlen(fixed[0].value));
    msi_headers_add(list, fixed[1].name, fixed[1].value, strlen(fixed[1].value));
    msi_headers_add(list, ":path", call->method, strlen(call->method));
    msi_headers_add(list, ":authority", authority, strlen(authority));
    for (size_t i = 2; i < sizeof fixed / sizeof *fixed; i++)
        msi_headers_add(list, fixed[i].name, fixed[i].value, strlen(fixed[i].value));
    if (call->compresses)
        msi_headers_add(list, "grpc-encoding", "gzip", 4);
    /* One that is over travels as the least, and ends here before an answer can come. */
    int64_t left = msi_ms_until(call->deadline, msi_loop_now(session->conn->loop));
    if (left >= 0)
        msi_headers_add_timeout(list, (uint64_t)left);
    msi_headers_add_metadata(list, &call->metadata);
}

/* HTTP/2 has no spaces around values, and its receivers may refuse them; gRPC says that they may be stripped. */
static void trim(const msi_headers *list)
{
    for (size_t i = 0; i < list->count; i++) {
        nghttp2_nv *nv = &list->list[i];
        while (nv->valuelen && nv->value[nv->valuelen - 1] == ' ')
            nv->valuelen--;
        for (; nv->valuelen && *nv->value == ' '; nv->valuelen--)
            nv->value++;
    }
}

/* The one request of a call that does not stream them. */
static bool put_body(const msi_client_call *call, msi_buf *out)
{
    size_t start;
    if (!msi_grpc_prefix_open(out, &start) || !msi_buf_append(out, call->body.data, call->body.len))
        return false;
    bool compressed = call->compresses && msi_gzip_tail(out, start + MSI_GRPC_PREFIX);
    msi_grpc_prefix_close(out, start, compressed);
    return true;
}

/* Gives a request a stream; its number is there, but it is open only when its headers have been sent. */
static int32_t submit(msi_client_session *session, const msi_client_call *call, msi_grpc_request *request)
{
    msi_h2 *h2 = &session->h2;
    msi_headers *list = &h2->headers;
    nghttp2_data_provider source = msi_h2_source(&request->h2);
    int32_t id = NGHTTP2_ERR_NOMEM;
    msi_headers_clear(list);
    put_headers(session, call, list);
    bool ready = (call->streams_requests || put_body(call, &request->h2.out)) && msi_headers_ready(list);
    if (ready)
        trim(list);
    if (ready)
        id = nghttp2_submit_request(h2->session, NULL, list->list, list->count, &source, &request->h2);
    msi_headers_clear(list);
    return id;
}

static opened open_stream(msi_client_session *session, msi_client_call *call)
{
    msi_grpc_request *request = calloc(1, sizeof *request);
    if (!request)
        return NO_MEMORY;
    int32_t id = submit(session, call, request);
    if (id < 0) {
        msi_buf_release(&request->h2.out);
        free(request);
        return id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? NO_IDS : NO_MEMORY;
    }
    request->call = call;
    request->id = id;
    TAILQ_INSERT_TAIL(&session->requests, request, next);
    call->of_session = request;
    call->node.id = (uint64_t)id;
    call->begins_at = msi_conn_written(session->conn);
    call->session = session;
    TAILQ_INSERT_TAIL(&session->open, call, open);
    session->count++;
    msi_h2_stream_open(&session->h2, &request->h2, id);
    request->h2.streams =
        true; /* what waits of it is the call's affair, which has a deadline, and not the connection's */
    if (!call->streams_requests)
        msi_h2_out_last(&session->h2, &request->h2);
    if (call->stream) {
        request->fresh = true;
        TAILQ_INSERT_TAIL(&session->fresh, request, next_fresh);
    }
    msi_grpc_put_soon(session);
    return OPENED;
}

static bool has_room(const msi_client_session *session)
{
    return session->h2.open <
           nghttp2_session_get_remote_settings(session->h2.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static void enqueue(msi_client_session *session, msi_client_call *call)
{
    call->session = session;
    call->of_session = NULL;
    TAILQ_INSERT_TAIL(&session->queue, call, open);
    session->count++;
}

bool msi_grpc_take(msi_client_session *session, msi_client_call *call)
{
    opened result = NO_IDS;
    if (TAILQ_EMPTY(&session->queue) && has_room(session))
        result = open_stream(session, call);
    if (result == NO_IDS)
        enqueue(session, call); /* and what is to be done about it is seen to behind the next flush */
    if (result == NO_IDS)
        msi_h2_want_flush(&session->h2);
    return result != NO_MEMORY;
}

void msi_grpc_submit_queue(msi_client_session *session)
{
    static const char text[] = "no memory to send the call";
    msi_client_call *call;
    while (!session->leaving && has_room(session) && (call = TAILQ_FIRST(&session->queue)) != NULL) {
        TAILQ_REMOVE(&session->queue, call, open);
        session->count--;
        call->session = NULL;
        opened result = open_stream(session, call);
        if (result == NO_MEMORY)
            session->events->ended(session->client, call, MSGSRV_RESOURCE_EXHAUSTED, false, msi_view_of(text),
                                   (msi_view){0});
        if (result != NO_IDS)
            continue;
        enqueue(session, call);
        msi_grpc_leave(session);
    }
}

/* A server that has not acknowledged our settings yet will change all windows by as much as they say, when it does. */
static void set_window(msi_h2 *h2, int32_t id, uint32_t window)
{
    uint32_t now = nghttp2_session_get_local_settings(h2->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    int64_t size = (int64_t)window + now - h2->limits.window;
    (void)nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, id, size > 0 ? (int32_t)size : 0);
}

/* From here on it can send, and is sent what its credit says. What it has said already goes out again. */
static void attach(msi_client_session *session, msi_grpc_request *request)
{
    msi_h2 *h2 = &session->h2;
    const msi_client_call *call = request->call;
    msgsrv_stream *stream = call->stream;
    uint32_t window = call->credit.bytes ? call->credit.bytes : MSI_STREAM_BYTES;
    h2->raised += window - request->h2.base; /* modulo 2^32: less than the first window is as good */
    request->h2.base = window;
    if (window != h2->limits.window)
        set_window(h2, request->id, window);
    msi_stream_attach(stream, &h2->outlet, (uint64_t)request->id);
    msi_h2_tie(h2, &request->h2, stream);
    request->h2.streams = true;
    stream->window_items = window / WINDOW_PER_ITEM + 1;
    if (stream->finished)
        msi_h2_out_last(h2, &request->h2);
    msi_h2_want_flush(h2);
}

void msi_grpc_attach_fresh(msi_client_session *session)
{
    msi_grpc_request *request = TAILQ_FIRST(&session->fresh);
    while (request) {
        msi_grpc_request *next = TAILQ_NEXT(request, next_fresh);
        if (nghttp2_session_find_stream(session->h2.session, request->id)) {
            TAILQ_REMOVE(&session->fresh, request, next_fresh);
            request->fresh = false;
            attach(session, request);
        }
        request = next;
    }
}

/* Messages of a stream that compresses them; as msi_h2_stream_protocol has it otherwise. */
static msgsrv_status item_compressed(msi_h2 *h2, msi_h2_stream *stream, msgsrv_stream *of_call, const void *message,
                                     size_t *body, msgsrv_error *error)
{
    msi_buf *out = msi_h2_out_begin(stream);
    size_t start;
    if (!msi_grpc_prefix_open(out, &start))
        return msi_error_memory(error);
    msgsrv_status status = msi_stream_append(of_call, message, out, error);
    if (status) {
        out->len = start;
        return status;
    }
    msi_grpc_prefix_close(out, start, msi_gzip_tail(out, start + MSI_GRPC_PREFIX));
    *body = out->len - start - MSI_GRPC_PREFIX;
    msi_outlet_share *share = &of_call->share;
    if (share->turn != h2->conn->loop->turn)
        share->turn_bytes = 0;
    share->turn = h2->conn->loop->turn;
    share->turn_bytes += *body + MSI_GRPC_PREFIX;
    msi_h2_out_end(h2, stream);
    msi_h2_due(h2, stream); /* its credit is counted anew */
    return MSGSRV_OK;
}

static msi_h2 *h2_of(const msgsrv_stream *of_call)
{
    return MSI_CONTAINER(of_call->outlet, msi_h2, outlet);
}

static msgsrv_status item(msgsrv_stream *of_call, const void *message, size_t *body, msgsrv_error *error)
{
    msi_h2 *h2 = h2_of(of_call);
    msi_h2_stream *stream = msi_h2_find(h2, (int32_t)of_call->id);
    msi_grpc_put_soon(session_of(h2));
    if (!stream || h2->ended || stream->out_last || !request_of(stream)->call || !request_of(stream)->call->compresses)
        return msi_h2_stream_protocol.item(of_call, message, body, error);
    return item_compressed(h2, stream, of_call, message, body, error);
}

static void half_close(msgsrv_stream *of_call)
{
    msi_h2_stream_protocol.half_close(of_call);
    msi_grpc_put_soon(session_of(h2_of(of_call)));
}

static void credit(msgsrv_stream *of_call, uint32_t items, uint32_t bytes)
{
    msi_h2_stream_protocol.credit(of_call, items, bytes);
    msi_grpc_put_soon(session_of(h2_of(of_call)));
}

const msi_stream_protocol msi_grpc_client_stream = {item, half_close, credit};

/* Answers: header blocks. */

static void clear_block(msi_grpc_block *block)
{
    msi_metadata_clear(&block->metadata);
    block->id = 0;
}

static msi_grpc_block *block_of(msi_client_session *session, const msi_grpc_request *request)
{
    msi_grpc_block *block = &session->block;
    if (block->id == request->id)
        return block;
    clear_block(block);
    *block = (msi_grpc_block){.id = request->id};
    return block;
}

static bool is(msi_view name, const char *text)
{
    return name.size == strlen(text) && memcmp(name.data, text, name.size) == 0;
}

static unsigned http_status(msi_view value)
{
    unsigned status = 0;
    for (size_t i = 0; i < value.size && i < 3 && value.data[i] >= '0' && value.data[i] <= '9'; i++)
        status = status * 10 + (unsigned)(value.data[i] - '0');
    return status;
}

static msi_grpc_coding coding_of(msi_view value)
{
    if (is(value, "gzip") || is(value, "deflate"))
        return MSI_GRPC_GZIP;
    return is(value, "identity") ? MSI_GRPC_IDENTITY : MSI_GRPC_OTHER;
}

/* Headers that are no metadata of our form come from what stands between, and are nothing to us; what is over the limit ends the call. */
static void take_metadata(msi_client_session *session, msi_grpc_block *block, msi_view name, msi_view value)
{
    if (block->error.code)
        return;
    msgsrv_status status =
        msi_grpc_metadata_receive(&block->metadata, name, value, session->limits->max_metadata, &block->error);
    if (status == MSGSRV_OK || status == MSGSRV_INVALID_ARGUMENT)
        block->error.code = MSGSRV_OK;
}

void msi_grpc_answer_header(msi_h2 *h2, msi_h2_stream *stream, msi_view name, msi_view value)
{
    msi_client_session *session = session_of(h2);
    const msi_grpc_request *request = request_of(stream);
    if (!request->call)
        return;
    msi_grpc_block *block = block_of(session, request);
    if (is(name, ":status")) {
        block->http = http_status(value);
    } else if (is(name, "content-type")) {
        block->type_known = true;
        block->grpc = msi_grpc_content_type(value);
        snprintf(block->type, sizeof block->type, "%.*s", (int)(value.size < 40 ? value.size : 40),
                 (const char *)value.data);
    } else if (is(name, "grpc-status")) {
        block->has_status = true;
        block->status = msi_grpc_status(value);
    } else if (is(name, "grpc-message")) {
        (void)msi_grpc_message_text(value, block->text, sizeof block->text);
    } else if (is(name, "grpc-encoding")) {
        block->coding = coding_of(value);
    } else {
        take_metadata(session, block, name, value);
    }
}

/* An answer that is none of gRPC's. */
static void fail_http(msi_client_session *session, msi_grpc_request *request, const msi_grpc_block *block)
{
    char text[MSGSRV_ERROR_TEXT];
    if (block->http != HTTP_OK)
        snprintf(text, sizeof text, "the server answered with HTTP status %u", block->http);
    else if (block->type_known)
        snprintf(text, sizeof text, "the server answered with content-type \"%s\"", block->type);
    else
        snprintf(text, sizeof text, "the server answered without a content-type");
    fail(session, request, msi_grpc_status_of_http(block->http), text);
}

/* The response's headers, with more to come. */
static void on_head(msi_client_session *session, msi_grpc_request *request, msi_grpc_block *block)
{
    if (block->http != HTTP_OK || !block->grpc) {
        if (block->has_status && block->status)
            complete(session, request, block->status, block->text, false);
        else
            fail_http(session, request, block);
        return;
    }
    request->coding = block->coding;
    msi_metadata_move(&request->call->head, &block->metadata);
}

/* What a good end needs: that nothing is missing. NULL: it is one. */
static const char *lack(const msi_grpc_request *request)
{
    if (msi_grpc_reader_inside(&request->h2.reader))
        return "the server ended the stream inside a message";
    if (!request->call->streams_responses && !request->has_response)
        return "the server said OK without a response";
    return NULL;
}

/* The trailers, or headers that are them at the same time. */
static void on_end(msi_client_session *session, msi_grpc_request *request, msi_grpc_block *block, bool alone)
{
    if (!block->has_status && alone && (block->http != HTTP_OK || !block->grpc)) {
        fail_http(session, request, block);
        return;
    }
    if (!block->has_status) {
        fail(session, request, MSGSRV_UNKNOWN, "the server ended the stream without a grpc-status");
        return;
    }
    msi_metadata_move(&request->call->trailer, &block->metadata);
    const char *text = block->status == MSGSRV_OK ? lack(request) : NULL;
    if (text)
        fail(session, request, MSGSRV_INTERNAL, text);
    else
        complete(session, request, block->status, block->text, true);
}

void msi_grpc_answer_headers(msi_h2 *h2, msi_h2_stream *stream, bool last)
{
    msi_client_session *session = session_of(h2);
    msi_grpc_request *request = request_of(stream);
    if (!request->call)
        return;
    msi_grpc_block *block = block_of(session, request);
    bool first = !request->head_done;
    if (first && block->http >= 100 && block->http < HTTP_OK) {
        clear_block(block); /* informational */
        return;
    }
    request->head_done = true;
    if (block->error.code)
        fail(session, request, block->error.code, block->error.text);
    else if (last)
        on_end(session, request, block, first);
    else if (first)
        on_head(session, request, block);
    else
        fail(session, request, MSGSRV_INTERNAL, "the server sent headers in the middle of its answer");
    clear_block(block);
}

/* Answers: messages. */

/* Undoes compression; *body is then a view of the session's room. */
static bool decompress(msi_client_session *session, msi_grpc_request *request, msi_view *body)
{
    msgsrv_error error;
    if (request->coding != MSI_GRPC_GZIP) {
        fail(session, request, MSGSRV_INTERNAL,
             request->coding == MSI_GRPC_OTHER ? "the server compressed a message in a way that was not offered"
                                               : "a compressed message without grpc-encoding");
        return false;
    }
    session->plain.len = 0;
    msgsrv_status status = msi_gunzip(*body, session->limits->max_message, &session->plain, &error);
    if (status) {
        fail(session, request, status, error.text);
        return false;
    }
    *body = (msi_view){session->plain.data, session->plain.len};
    return true;
}

/* The one response. */
static void on_response(msi_client_session *session, msi_grpc_request *request, msi_view body)
{
    if (request->has_response)
        fail(session, request, MSGSRV_INTERNAL, "the server sent more than one response");
    else if (!msi_buf_append(&request->response, body.data, body.size))
        fail(session, request, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    request->has_response = true;
}

static void on_item(msi_client_session *session, msi_grpc_request *request, msi_view body, size_t came)
{
    if (body.size > came)
        request->h2.surplus += body.size - came;
    else if (body.size < came)
        msi_h2_handled(&session->h2, &request->h2, came - body.size);
    msi_stream_receive(request->call->stream, body);
}

void msi_grpc_answer_message(msi_h2 *h2, msi_h2_stream *stream, msi_view body, bool compressed)
{
    msi_client_session *session = session_of(h2);
    msi_grpc_request *request = request_of(stream);
    size_t came = body.size;
    if (!request->call || (compressed && !decompress(session, request, &body)))
        return;
    if (request->call->streams_responses)
        on_item(session, request, body, came);
    else
        on_response(session, request, body);
    if (session->plain.cap > PLAIN_KEEP)
        msi_buf_release(&session->plain);
}

void msi_grpc_answer_bad(msi_h2 *h2, msi_h2_stream *stream, msi_grpc_read why)
{
    msi_client_session *session = session_of(h2);
    msi_grpc_request *request = request_of(stream);
    if (!request->call)
        return;
    if (why == MSI_GRPC_BAD_FLAG)
        fail(session, request, MSGSRV_INTERNAL, "the server sent what is no message of gRPC's");
    else if (why == MSI_GRPC_MEMORY)
        fail(session, request, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    else
        fail(session, request, MSGSRV_RESOURCE_EXHAUSTED,
             request->call->streams_responses ? "a message is over the message limit"
                                              : "the reply is over the message limit");
}

/* With its trailers the call has ended; so there were none. */
void msi_grpc_answer_half_closed(msi_h2 *h2, msi_h2_stream *stream)
{
    msi_grpc_request *request = request_of(stream);
    if (request->call)
        fail(session_of(h2), request, MSGSRV_INTERNAL, "the server ended the stream without a status");
}

/* Answers: streams that end without one. */

static void end_reset(msi_client_session *session, msi_client_call *call, uint32_t code, bool by_peer)
{
    char text[MSGSRV_ERROR_TEXT];
    msgsrv_status status = by_peer ? msi_grpc_status_of_reset(code) : MSGSRV_INTERNAL;
    snprintf(text, sizeof text, by_peer ? "the server reset the stream: %s" : "the server broke the protocol: %s",
             nghttp2_http2_strerror(code));
    /* Servers that keep the deadline too may be first. */
    if (status == MSGSRV_CANCELLED && call->deadline && call->deadline <= msi_loop_now(session->conn->loop)) {
        status = MSGSRV_DEADLINE_EXCEEDED;
        snprintf(text, sizeof text, "the deadline has passed");
    }
    session->events->ended(session->client, call, status, by_peer, msi_view_of(text), (msi_view){0});
}

/* A refused stream was not looked at, and may go out again: RFC 9113, section 8.7. */
void msi_grpc_answer_closed(msi_h2 *h2, msi_h2_stream *stream, uint32_t code, bool by_peer)
{
    msi_client_session *session = session_of(h2);
    msi_grpc_request *request = request_of(stream);
    msi_client_call *call = request->call;
    if (call)
        (void)msi_grpc_let_go(session, call);
    bool refused = code == NGHTTP2_REFUSED_STREAM && !request->head_done;
    msi_grpc_request_free(session, request);
    if (!call)
        return;
    if (refused && msi_grpc_repeatable(call))
        session->events->untaken(session->client, call);
    else if (refused)
        msi_grpc_unavailable(session, call, session->goaway ? session->reason : "the server refused the stream");
    else
        end_reset(session, call, code, by_peer);
}
