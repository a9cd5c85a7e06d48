/* SPDX-License-Identifier: MIT */
/*
 * A request's head. http_parser takes it apart; here is what it lets pass and we do not, and what its headers mean. A fault ends the
 * connection; a rejection is an answer like any other.
 */
#include <stdio.h>
#include <strings.h>

#include "base/error.h"
#include "base/limits.h"
#include "protocol/connect.h"

/* Stops the parser. */
static int fault(msi_http_session *session, msgsrv_refusal why, unsigned status, const char *text)
{
    session->fault = why;
    session->fault_status = status;
    session->fault_text = text;
    return 1;
}

void msi_http_reject(msi_http_session *session, msgsrv_refusal why, unsigned status, msgsrv_status code,
                     const char *format, ...)
{
    msi_http_rejection *rejection = &session->request.rejection;
    if (rejection->status)
        return;
    msi_count(&session->host->loop->counters.refused[why], 1);
    rejection->status = status;
    rejection->code = code;
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(rejection->text, format, arguments);
    va_end(arguments);
}

static bool is(msi_view text, const char *word)
{
    return text.size == strlen(word) && strncasecmp((const char *)text.data, word, text.size) == 0;
}

static msi_view trimmed(const char *at, size_t size)
{
    while (size && (*at == ' ' || *at == '\t')) {
        at++;
        size--;
    }
    while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    return (msi_view){(const uint8_t *)at, size};
}

/* Takes the next element off a list: up to `by`, trimmed. */
static bool next_of(msi_view *list, char by, msi_view *element)
{
    if (!list->data)
        return false;
    const uint8_t *end = list->size ? memchr(list->data, by, list->size) : NULL;
    size_t size = end ? (size_t)(end - list->data) : list->size;
    *element = trimmed((const char *)list->data, size);
    *list = end ? (msi_view){end + 1, list->size - size - 1} : (msi_view){NULL, 0};
    return true;
}

/* ---- the headers that mean something ---- */

static int on_content_length(msi_http_session *session, msi_view value)
{
    msi_http_request *request = &session->request;
    static const char text[] = "a bad or second Content-Length";
    if (request->lengths++ || value.size == 0 || value.size > 18)
        return fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, text);
    request->length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, text);
        request->length = request->length * 10 + (value.data[i] - '0');
    }
    return 0;
}

static int on_transfer_encoding(msi_http_session *session, msi_view value)
{
    msi_http_request *request = &session->request;
    if (request->codings++)
        return fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, "a second Transfer-Encoding");
    if (!is(value, "chunked"))
        return fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 501, "a Transfer-Encoding other than chunked");
    request->chunked = true;
    return 0;
}

static int on_host(msi_http_session *session, msi_view value)
{
    if (session->request.hosts++)
        return fault(session, MSGSRV_REFUSED_HTTP_HOST, 400, "a second Host");
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr("-._~%:[]", c))
            return fault(session, MSGSRV_REFUSED_HTTP_HOST, 400, "a Host that is no name or address");
    }
    return 0;
}

static int on_content_type(msi_http_session *session, msi_view value)
{
    msi_http_request *request = &session->request;
    msi_view media = {NULL, 0};
    msi_view parameter;
    if (request->medias++)
        return fault(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, "a second Content-Type");
    (void)next_of(&value, ';', &media);
    if (is(media, "application/json"))
        request->media = MSI_HTTP_JSON;
    else if (is(media, "application/proto"))
        request->media = MSI_HTTP_PROTO;
    else if (media.size > 20 && strncasecmp((const char *)media.data, "application/connect+", 20) == 0)
        request->media = MSI_HTTP_STREAM_MEDIA;
    else
        request->media = MSI_HTTP_OTHER_MEDIA;
    while (next_of(&value, ';', &parameter)) {
        bool charset = parameter.size >= 8 && strncasecmp((const char *)parameter.data, "charset=", 8) == 0;
        if (charset && !is(parameter, "charset=utf-8") && !is(parameter, "charset=\"utf-8\""))
            request->media = MSI_HTTP_OTHER_MEDIA;
    }
    return 0;
}

static int on_content_encoding(msi_http_session *session, msi_view value)
{
    msi_http_request *request = &session->request;
    if (is(value, "gzip") && request->coding == MSI_HTTP_IDENTITY)
        request->coding = MSI_HTTP_GZIP;
    else if (!is(value, "identity") || request->coding)
        request->coding = MSI_HTTP_OTHER_CODING;
    return 0;
}

/* Quality values but for 0 are not looked at. */
static int on_accept_encoding(msi_http_session *session, msi_view value)
{
    msi_view element;
    session->request.named_codings = true;
    while (next_of(&value, ',', &element)) {
        msi_view coding;
        msi_view quality = {NULL, 0};
        (void)next_of(&element, ';', &coding);
        bool given = next_of(&element, ';', &quality);
        bool none =
            given && (is(quality, "q=0") || is(quality, "q=0.0") || is(quality, "q=0.00") || is(quality, "q=0.000"));
        if (is(coding, "gzip"))
            session->request.takes_gzip = !none;
    }
    return 0;
}

static int on_expect(msi_http_session *session, msi_view value)
{
    if (is(value, "100-continue"))
        session->request.expects = session->parser.http_minor > 0;
    else
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MEDIA, 417, MSGSRV_INVALID_ARGUMENT,
                        "the only expectation that is met is 100-continue");
    return 0;
}

static int on_timeout(msi_http_session *session, msi_view value)
{
    msi_http_request *request = &session->request;
    uint64_t timeout = 0;
    bool good = value.size >= 1 && value.size <= 10 && request->timeouts++ == 0;
    for (size_t i = 0; i < value.size && good; i++) {
        good = value.data[i] >= '0' && value.data[i] <= '9';
        timeout = timeout * 10 + (value.data[i] - '0');
    }
    if (!good || timeout == 0)
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, MSGSRV_INVALID_ARGUMENT,
                        "Connect-Timeout-Ms is not a positive number of at most 10 digits");
    else
        request->timeout_ms = timeout < MSGSRV_NONE - 1 ? (uint32_t)timeout : MSGSRV_NONE - 1;
    return 0;
}

static int on_version(msi_http_session *session, msi_view value)
{
    if (!is(value, "1"))
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, MSGSRV_INVALID_ARGUMENT,
                        "Connect-Protocol-Version is not 1");
    return 0;
}

static int ignored(msi_http_session *session, msi_view value)
{
    (void)session;
    (void)value;
    return 0;
}

/* HTTP's own headers, and Connect's: no metadata, whichever way they go. */
static const struct {
    const char *name;
    int (*take)(msi_http_session *session, msi_view value);
} own_fields[] = {
    {"accept", ignored},
    {"accept-encoding", on_accept_encoding},
    {"accept-post", ignored},
    {"allow", ignored},
    {"connect-accept-encoding", ignored},
    {"connect-content-encoding", ignored},
    {"connect-protocol-version", on_version},
    {"connect-timeout-ms", on_timeout},
    {"connection", ignored},
    {"content-encoding", on_content_encoding},
    {"content-length", on_content_length},
    {"content-type", on_content_type},
    {"date", ignored},
    {"expect", on_expect},
    {"host", on_host},
    {"http2-settings", ignored},
    {"keep-alive", ignored},
    {"proxy-connection", ignored},
    {"te", ignored},
    {"trailer", ignored},
    {"transfer-encoding", on_transfer_encoding},
    {"upgrade", ignored},
};
#define OWN_COUNT (sizeof own_fields / sizeof *own_fields)

bool msi_http_own_field(const char *name, size_t size)
{
    msi_view view = {(const uint8_t *)name, size};
    for (size_t i = 0; i < OWN_COUNT; i++) {
        if (is(view, own_fields[i].name))
            return true;
    }
    return size >= 8 && strncasecmp(name, "connect-", 8) == 0;
}

/* ---- the parser's callbacks ---- */

static int on_url(http_parser *parser, const char *at, size_t size)
{
    msi_http_session *session = parser->data;
    session->target = (msi_view){(const uint8_t *)at, size};
    session->request.post = parser->method == HTTP_POST;
    session->request.head_only = parser->method == HTTP_HEAD;
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t size)
{
    msi_http_session *session = parser->data;
    session->field = (msi_view){(const uint8_t *)at, size};
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    msi_http_session *session = parser->data;
    msi_http_request *request = &session->request;
    msi_view value = trimmed(at, size);
    if (session->headed)
        return 0; /* a trailer */
    for (size_t i = 0; i < OWN_COUNT; i++) {
        if (is(session->field, own_fields[i].name))
            return own_fields[i].take(session, value);
    }
    if (request->post && !request->metadata_status)
        request->metadata_status = msi_connect_take_field(&request->metadata, session->field, value,
                                                          session->config->max_metadata, &request->metadata_error);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    msi_http_session *session = parser->data;
    const msi_http_request *request = &session->request;
    bool chunked = (parser->flags & F_CHUNKED) != 0;
    session->headed = true;
    session->agreed =
        chunked == request->chunked && parser->content_length == (request->lengths ? request->length : UINT64_MAX);
    session->request.keep_alive = parser->http_minor > 0 && http_should_keep_alive(parser);
    parser->upgrade = 0; /* whatever the client would rather speak, we go on */
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    msi_http_session *session = parser->data;
    if (session->request.rejection.status)
        return 0;
    if (!msi_buf_append(&session->body, at, size)) {
        msi_conn_close(session->conn, MSI_CLOSE_MEMORY);
        return 1;
    }
    msi_count(&session->host->loop->counters.input_buffered_bytes, size);
    return 0;
}

static int on_chunk_header(http_parser *parser)
{
    msi_http_session *session = parser->data;
    uint32_t limit = session->config->max_message;
    session->chunk_left = parser->content_length;
    if (session->chunk_left <= limit && session->body.len <= limit - (size_t)session->chunk_left)
        return 0;
    msi_http_refuse(session, MSGSRV_REFUSED_MESSAGE_SIZE, 413, "the body is over the limit of a message");
    return 1;
}

static int on_complete(http_parser *parser)
{
    msi_http_session *session = parser->data;
    session->complete = true;
    return 0;
}

const http_parser_settings msi_http_settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
    .on_chunk_header = on_chunk_header,
};

/* ---- the head as a whole ---- */

/* What the parser itself does not like. */
static void parser_fault(msi_http_session *session)
{
    enum http_errno error = HTTP_PARSER_ERRNO(&session->parser);
    const char *text = http_errno_description(error);
    if (error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH ||
        error == HPE_INVALID_TRANSFER_ENCODING)
        (void)fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, text);
    else if (error == HPE_INVALID_METHOD)
        (void)fault(session, MSGSRV_REFUSED_HTTP_METHOD, 501, "a method that is not known");
    else if (error == HPE_INVALID_VERSION)
        (void)fault(session, MSGSRV_REFUSED_HTTP_VERSION, 505, text);
    else
        (void)fault(session, MSGSRV_REFUSED_HTTP_MALFORMED, 400, error == HPE_OK ? "a head of another length" : text);
}

/* "HTTP/1.1" and "HTTP/1.0" are spelt so, and behind the target. */
static bool known_version(const msi_http_session *session, const uint8_t *end)
{
    const uint8_t *at = session->target.data + session->target.size;
    return end - at >= 11 && memcmp(at, " HTTP/1.", 8) == 0 && (at[8] == '0' || at[8] == '1') && at[9] == '\r';
}

/* What may not be said together. */
static void check_framing(msi_http_session *session, const uint8_t *end)
{
    const msi_http_request *request = &session->request;
    bool old = session->parser.http_minor == 0;
    if (!known_version(session, end))
        (void)fault(session, MSGSRV_REFUSED_HTTP_VERSION, 505, "the version is neither HTTP/1.1 nor HTTP/1.0");
    else if (request->codings && (request->lengths || old))
        (void)fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400,
                    old ? "Transfer-Encoding in HTTP/1.0" : "Content-Length with Transfer-Encoding");
    else if (!old && request->hosts == 0)
        (void)fault(session, MSGSRV_REFUSED_HTTP_HOST, 400, "no Host");
    else if (!session->agreed || session->complete == (request->chunked || request->length))
        (void)fault(session, MSGSRV_REFUSED_HTTP_LENGTH, 400, "a body of another length");
    else if (session->parser.method == HTTP_CONNECT)
        (void)fault(session, MSGSRV_REFUSED_HTTP_METHOD, 405, "this is no proxy");
}

/* The path of a target: of "/path?query", or of a whole URL, as proxies have it. Empty: there is none. */
static msi_view path_of(msi_view target)
{
    struct http_parser_url url;
    http_parser_url_init(&url);
    if (memchr(target.data, '#', target.size))
        return (msi_view){NULL, 0};
    if (target.data[0] != '/') {
        bool good = http_parser_parse_url((const char *)target.data, target.size, 0, &url) == 0;
        if (!good || !(url.field_set & (1 << UF_PATH)) || (url.field_set & (1 << UF_USERINFO)))
            return (msi_view){NULL, 0};
        return (msi_view){target.data + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len};
    }
    const uint8_t *query = memchr(target.data, '?', target.size);
    return (msi_view){target.data, query ? (size_t)(query - target.data) : target.size};
}

static void not_allowed(msi_http_session *session, const char *allow)
{
    msi_http_reject(session, MSGSRV_REFUSED_HTTP_METHOD, 405, MSGSRV_UNIMPLEMENTED, "the methods of this path are %s",
                    allow);
    session->request.rejection.allow = allow;
}

/* What is asked for, and whether it can be served. */
static void find_target(msi_http_session *session, msi_view path)
{
    msi_http_request *request = &session->request;
    unsigned method = session->parser.method;
    request->page = path.size && msi_http_has_page(session, path);
    if (!request->page && path.size)
        request->method = session->host->service->find(session->host->services, path.data, path.size);
    if (request->page && method != HTTP_GET && method != HTTP_HEAD)
        not_allowed(session, "GET, HEAD");
    else if (request->page && (request->chunked || request->length))
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_MEDIA, 400, MSGSRV_INVALID_ARGUMENT, "a page takes no body");
    else if (request->page)
        ;
    else if (!request->method)
        msi_http_reject(session, MSGSRV_REFUSED_HTTP_PATH, 404, MSGSRV_UNIMPLEMENTED,
                        "there is no page and no method of this path");
    else if (!request->post)
        not_allowed(session, "POST");
    else
        msi_connect_check(session);
}

bool msi_http_read_head(msi_http_session *session, const uint8_t *data, size_t size)
{
    http_parser *parser = &session->parser;
    http_parser_init(parser, HTTP_REQUEST);
    parser->data = session;
    session->target = (msi_view){NULL, 0};
    size_t done = http_parser_execute(parser, &msi_http_settings, (const char *)data, size);
    if (!session->fault_status && (done != size || !session->headed || !session->target.size))
        parser_fault(session);
    if (!session->fault_status)
        check_framing(session, data + size);
    if (session->fault_status) {
        msi_http_refuse(session, session->fault, session->fault_status, session->fault_text);
        return false;
    }
    session->chunk_left = session->request.length;
    session->target = path_of(session->target);
    find_target(session, session->target);
    return true;
}
