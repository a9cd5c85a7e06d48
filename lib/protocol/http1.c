/* SPDX-License-Identifier: MIT */
/* The session: requests are read one after another, each by a parser of its own; and how a connection ends. */
#include "protocol/http1.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "protocol/connect.h"

static void pause_for(msi_http_session *session, uint8_t why)
{
    if (session->paused == 0)
        msi_conn_pause(session->conn);
    session->paused |= why;
}

static void unpause(msi_http_session *session, uint8_t why)
{
    if ((session->paused & why) == 0)
        return;
    session->paused &= (uint8_t)~why;
    if (session->paused == 0)
        msi_conn_resume(session->conn);
}

static void set_body(msi_http_session *session, size_t size)
{
    msi_counters *counters = &session->host->loop->counters;
    msi_uncount(&counters->input_buffered_bytes, session->body.len);
    session->body.len = size;
    msi_count(&counters->input_buffered_bytes, size);
    if (size == 0 && session->body.cap > MSI_STASH_SMALL)
        msi_buf_free(&session->body);
}

/* Forgets the request that was answered. */
static void reset(msi_http_session *session)
{
    msi_metadata_clear(&session->request.metadata);
    session->request = (msi_http_request){0};
    session->state = MSI_HTTP_HEAD;
    session->headed = session->complete = session->blank_line = false;
    session->chunk_extra = 0;
    session->fault_status = 0;
    set_body(session, 0);
    msi_scan_begin(&session->scan, false);
}

static void finish(msi_http_session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    msi_conn_finish(session->conn);
}

void msi_http_refuse(msi_http_session *session, msgsrv_refusal why, unsigned status, const char *text)
{
    if (session->ended)
        return;
    msi_loop *loop = session->host->loop;
    msgsrv_peer peer;
    msi_address_peer(&session->conn->peer, &peer);
    msi_count(&loop->counters.refused[why], 1);
    msi_log_line(&loop->log, MSGSRV_LOG_WARNING, "%s: connection ended: %s", peer.address, text);
    session->request.keep_alive = false;
    session->request.head_only = false;
    msi_http_write_text(session, status, NULL, text);
    finish(session);
}

void msi_http_answered(msi_http_session *session)
{
    bool last = !session->request.keep_alive || session->draining || session->conn->eof_told;
    msi_conn_partial(session->conn, false);
    reset(session);
    if (session->ended)
        return;
    if (last) {
        finish(session);
        return;
    }
    if (msi_conn_over(session->conn))
        pause_for(session, MSI_HTTP_PAUSE_OUTPUT);
    unpause(session, MSI_HTTP_PAUSE_BUSY);
}

/* ---- what comes behind a head ---- */

/* Gives the parser a part of the request, which is all its. */
static bool feed(msi_http_session *session, const uint8_t *data, size_t size, msgsrv_refusal why)
{
    size_t done = http_parser_execute(&session->parser, &msi_http_settings, (const char *)data, size);
    if (session->ended)
        return false;
    if (HTTP_PARSER_ERRNO(&session->parser) == HPE_OK && done == size)
        return true;
    msi_http_refuse(session, why, 400, http_errno_description(HTTP_PARSER_ERRNO(&session->parser)));
    return false;
}

static void write_rejection(msi_http_session *session)
{
    const msi_http_rejection *rejection = &session->request.rejection;
    msi_buf fields = {0};
    bool good = true;
    if (rejection->allow)
        good = msi_buf_append(&fields, "Allow: ", 7) &&
               msi_buf_append(&fields, rejection->allow, strlen(rejection->allow)) && msi_buf_append(&fields, "\r\n", 2);
    if (rejection->status == 415)
        good = good && msi_buf_append(&fields, "Accept-Post: application/json, application/proto\r\n", 50);
    if (!good)
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
    else if (session->request.post)
        msi_http_write_error(session, rejection->status, rejection->code, &fields, rejection->text);
    else
        msi_http_write_text(session, rejection->status, &fields, rejection->text);
    msi_buf_release(&fields);
    msi_http_answered(session);
}

/* The whole request has come, or as much as is wanted of it. Pages are answered as their head comes. */
static void serve(msi_http_session *session)
{
    msi_conn_partial(session->conn, false);
    session->state = MSI_HTTP_HEAD;
    if (session->request.rejection.status)
        write_rejection(session);
    else
        msi_connect_begin(session);
    if (session->call)
        set_body(session, 0); /* it is answered later, and has what it needs */
}

/* Of a body that nobody wants some is thrown away, so that the connection can be kept; a long one is not worth it. */
static bool worth_reading(const msi_http_session *session)
{
    const msi_http_request *request = &session->request;
    bool is_short = !request->chunked && request->length <= MSI_HTTP_DISCARD;
    return !request->rejection.status || (is_short && !request->expects);
}

/* The head is read: what comes now? */
static void after_head(msi_http_session *session, msi_view path)
{
    msi_http_request *request = &session->request;
    bool has_body = request->chunked || request->length;
    if (request->page && !request->rejection.status && !has_body) {
        msi_http_write_page(session, path);
        msi_http_answered(session);
    } else if (!has_body) {
        serve(session);
    } else if (!worth_reading(session)) {
        request->keep_alive = false;
        serve(session);
    } else {
        msi_conn_partial(session->conn, true);
        session->state = request->chunked ? MSI_HTTP_CHUNK_LINE : MSI_HTTP_BODY;
        if (request->expects)
            msi_http_write_continue(session);
    }
}

/* An empty line in front of a request is forgiven once (RFC 9112, 2.2). */
static size_t take_blank_line(msi_http_session *session, const uint8_t *data, size_t size)
{
    if (session->blank_line || session->scan.at || data[0] != '\r' || (size > 1 && data[1] != '\n'))
        return 0;
    session->blank_line = size > 1;
    return size > 1 ? 2 : 0;
}

static size_t take_head(msi_http_session *session, const uint8_t *data, size_t size)
{
    const msi_protocol_config *config = session->config;
    msi_scan_limits limits = {config->http_max_line, config->http_max_head, config->http_max_fields};
    size_t blank = take_blank_line(session, data, size);
    if (blank || (size == 1 && data[0] == '\r' && !session->blank_line && !session->scan.at))
        return blank;
    switch (msi_scan_head(&session->scan, &limits, data, size)) {
    case MSI_SCAN_MORE:
        return 0;
    case MSI_SCAN_BAD:
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, session->scan.text);
        return 0;
    case MSI_SCAN_LINE:
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_HEAD, 414, "the request line is over the limit");
        return 0;
    case MSI_SCAN_SIZE:
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_HEAD, 431, "the headers are over the limit");
        return 0;
    case MSI_SCAN_FIELDS:
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_HEAD, 431, "there are too many headers");
        return 0;
    case MSI_SCAN_END:
        break;
    }
    size_t whole = session->scan.at;
    if (msi_http_read_head(session, data, whole))
        after_head(session, session->target);
    return session->ended ? 0 : whole;
}

static size_t take_bytes(msi_http_session *session, const uint8_t *data, size_t size, uint64_t left)
{
    size_t part = left < size ? (size_t)left : size;
    if (!feed(session, data, part, MSGSRV_REFUSED_HTTP_MALFORMED))
        return 0;
    return part;
}

static size_t take_body(msi_http_session *session, const uint8_t *data, size_t size)
{
    size_t part = take_bytes(session, data, size, session->chunk_left);
    session->chunk_left -= part;
    if (part && session->chunk_left == 0) {
        if (session->complete)
            serve(session);
        else
            msi_http_refuse(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, "the body does not end where it should");
    }
    return part;
}

/* "1a;extension\r\n". What http_parser skips as an extension may hold anything, a bare LF too. */
static const char *check_chunk_line(const uint8_t *line, size_t size)
{
    if (size < 3 || line[size - 2] != '\r')
        return "a chunk's size without CRLF behind it";
    for (size_t i = 0; i < size - 2; i++) {
        if (line[i] < 0x20 || line[i] == 0x7f)
            return "a control character in a chunk's size";
    }
    return NULL;
}

static size_t take_chunk_line(msi_http_session *session, const uint8_t *data, size_t size)
{
    size_t known = size < MSI_HTTP_CHUNK_SIZE_LINE ? size : MSI_HTTP_CHUNK_SIZE_LINE;
    const uint8_t *end = memchr(data, '\n', known);
    if (!end) {
        if (known == MSI_HTTP_CHUNK_SIZE_LINE)
            msi_http_refuse(session, MSGSRV_REFUSED_HTTP_CHUNKS, 400, "a chunk's size and extensions are over the limit");
        return 0;
    }
    size_t line = (size_t)(end - data) + 1;
    const char *wrong = check_chunk_line(data, line);
    if (wrong) {
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, wrong);
        return 0;
    }
    size_t digits = 0;
    while (msi_scan_token(data[digits]))
        digits++;
    session->chunk_extra += line - 2 - digits;
    if (digits > 8 || session->chunk_extra > MSI_HTTP_CHUNK_EXTRA) {
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_CHUNKS, 400, "a chunk's size and extensions are over the limit");
        return 0;
    }
    session->chunk_left = 0;
    if (!feed(session, data, line, MSGSRV_REFUSED_HTTP_MALFORMED))
        return 0;
    session->state = session->chunk_left ? MSI_HTTP_CHUNK : MSI_HTTP_TRAILER;
    if (session->state == MSI_HTTP_TRAILER)
        msi_scan_begin(&session->scan, true);
    return line;
}

static size_t take_chunk(msi_http_session *session, const uint8_t *data, size_t size)
{
    size_t part = take_bytes(session, data, size, session->chunk_left);
    session->chunk_left -= part;
    if (session->chunk_left == 0)
        session->state = MSI_HTTP_CHUNK_END;
    return part;
}

/* http_parser as Debian builds it takes any two bytes here. */
static size_t take_chunk_end(msi_http_session *session, const uint8_t *data, size_t size)
{
    if (data[0] != '\r' || (size > 1 && data[1] != '\n')) {
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, "no CRLF behind a chunk");
        return 0;
    }
    if (size < 2)
        return 0;
    if (!feed(session, data, 2, MSGSRV_REFUSED_HTTP_MALFORMED))
        return 0;
    session->state = MSI_HTTP_CHUNK_LINE;
    return 2;
}

/* Trailers are read, checked and dropped. */
static size_t take_trailer(msi_http_session *session, const uint8_t *data, size_t size)
{
    msi_scan_limits limits = {0, session->config->http_max_head, session->config->http_max_fields};
    msi_scan_result result = msi_scan_head(&session->scan, &limits, data, size);
    if (result == MSI_SCAN_MORE)
        return 0;
    if (result == MSI_SCAN_BAD)
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, session->scan.text);
    else if (result != MSI_SCAN_END)
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_CHUNKS, 431, "the trailers are over the limit");
    else if (feed(session, data, session->scan.at, MSGSRV_REFUSED_HTTP_MALFORMED)) {
        size_t whole = session->scan.at;
        if (session->complete)
            serve(session);
        else
            msi_http_refuse(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, "the body does not end where it should");
        return whole;
    }
    return 0;
}

static size_t take(msi_http_session *session, const uint8_t *data, size_t size)
{
    switch (session->state) {
    case MSI_HTTP_HEAD:
        break;
    case MSI_HTTP_BODY:
        return take_body(session, data, size);
    case MSI_HTTP_CHUNK_LINE:
        return take_chunk_line(session, data, size);
    case MSI_HTTP_CHUNK:
        return take_chunk(session, data, size);
    case MSI_HTTP_CHUNK_END:
        return take_chunk_end(session, data, size);
    case MSI_HTTP_TRAILER:
        return take_trailer(session, data, size);
    }
    if (session->call) { /* its answer comes first */
        pause_for(session, MSI_HTTP_PAUSE_BUSY);
        return 0;
    }
    return take_head(session, data, size);
}

static size_t input(msi_conn *conn, const uint8_t *data, size_t size)
{
    msi_http_session *session = conn->owner;
    size_t done = 0;
    while (done < size && !session->ended && !session->paused) {
        size_t taken = take(session, data + done, size - done);
        if (taken == 0)
            break;
        done += taken;
    }
    return done;
}

/* ---- the connection ---- */

static void on_eof(msi_conn *conn, size_t unfinished)
{
    msi_http_session *session = conn->owner;
    if (session->call)
        return; /* ends when it is answered */
    if (unfinished || session->state != MSI_HTTP_HEAD)
        msi_http_refuse(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, "the input ended inside a request");
    else
        finish(session);
}

static void on_drained(msi_conn *conn)
{
    unpause(conn->owner, MSI_HTTP_PAUSE_OUTPUT);
}

static void on_closed(msi_conn *conn, msi_close why)
{
    msi_http_session *session = conn->owner;
    session->ended = true;
    msgsrv_call *call = session->call;
    session->call = NULL;
    if (call)
        msi_call_leave(call);
    /* A handler that is at work may look at the body until the session is freed. */
    msi_uncount(&session->host->loop->counters.input_buffered_bytes, session->body.len);
    session->body.len = 0;
    session->host->connection_closed(session->host, conn, why);
}

static void on_freed(msi_conn *conn)
{
    msi_http_session *session = conn->owner;
    msi_metadata_clear(&session->request.metadata);
    msi_buf_release(&session->body);
    free(session);
}

static const msi_conn_ops conn_ops = {input, on_eof, on_drained, NULL, NULL, on_closed, on_freed};

static msi_match match(const uint8_t *data, size_t size)
{
    (void)size;
    uint8_t lower = data[0] | 0x20;
    return lower >= 'a' && lower <= 'z' ? MSI_MATCH_YES : MSI_MATCH_NO;
}

static bool open_session(msi_conn *conn, msi_call_host *host, const msi_protocol_config *config)
{
    msi_http_session *session = calloc(1, sizeof *session);
    if (!session)
        return false;
    session->conn = conn;
    session->host = host;
    session->config = config;
    msi_scan_begin(&session->scan, false);
    conn->ops = &conn_ops;
    conn->owner = session;
    return true;
}

/* HTTP/1.1 has no word for it: a request that has begun is answered, with "Connection: close". */
static void drain(msi_conn *conn)
{
    msi_http_session *session = conn->owner;
    session->draining = true;
    bool idle = !session->call && session->state == MSI_HTTP_HEAD && session->scan.at == 0 && conn->stash.len == 0;
    if (idle)
        finish(session);
}

const msi_protocol msi_http1_protocol = {"HTTP/1", match, open_session, drain, MSGSRV_REFUSED_PROTOCOL_HTTP1};
