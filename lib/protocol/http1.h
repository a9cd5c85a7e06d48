/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on the server's side: what its files share. http1.c reads requests and keeps the session, http1_head.c looks at heads (after
 * http1_scan.c and http_parser have), http1_write.c writes answers, http_pages.c serves pages, and connect_call.c turns a POST into a call,
 * by the Connect protocol. docs/http.md has the rules.
 *
 * One request at a time: what a client sends behind one that is not answered waits, and reading stops for it. After any doubt about where a
 * request ends, the connection does.
 */
#ifndef MSI_PROTOCOL_HTTP1_H
#define MSI_PROTOCOL_HTTP1_H

#include <http_parser.h>

#include "call/protocol.h"
#include "protocol/http1_scan.h"

extern const msi_protocol msi_http1_protocol;

/* Where in a request the session is. */
typedef enum msi_http_state {
    MSI_HTTP_HEAD,
    MSI_HTTP_BODY,       /* of a known length */
    MSI_HTTP_CHUNK_LINE, /* the size of a chunk */
    MSI_HTTP_CHUNK,      /* its bytes */
    MSI_HTTP_CHUNK_END,  /* the CRLF behind it */
    MSI_HTTP_TRAILER     /* behind the last chunk */
} msi_http_state;

typedef enum msi_http_coding { MSI_HTTP_IDENTITY, MSI_HTTP_GZIP, MSI_HTTP_OTHER_CODING } msi_http_coding;
typedef enum msi_http_media {
    MSI_HTTP_NO_MEDIA,
    MSI_HTTP_JSON,
    MSI_HTTP_PROTO,
    MSI_HTTP_STREAM_MEDIA, /* application/connect+... */
    MSI_HTTP_OTHER_MEDIA
} msi_http_media;

/* Why a request is not served, to be said once its body, if it is short, has been thrown away. */
typedef struct msi_http_rejection {
    unsigned status; /* 0: it is not rejected */
    msgsrv_status code;
    const char *allow; /* the methods that the path has */
    char text[MSGSRV_ERROR_TEXT];
} msi_http_rejection;

/* What was said in a request's head. Valid until it is answered. */
typedef struct msi_http_request {
    msi_method *method; /* the path's; NULL: it is a page's, or nobody's */
    bool post;
    bool head_only;  /* HEAD */
    bool keep_alive; /* as the client would have it */
    bool page;
    bool expects; /* 100-continue */
    bool chunked;
    bool takes_gzip;
    bool named_codings; /* Accept-Encoding came */
    bool json;          /* the call's answer is to be JSON */
    uint32_t lengths;   /* Content-Length lines */
    uint32_t codings;   /* Transfer-Encoding lines */
    uint32_t hosts;
    uint32_t medias;
    uint32_t timeouts;
    uint64_t length;
    uint32_t timeout_ms; /* 0: none */
    msi_http_coding coding;
    msi_http_media media;
    msi_http_rejection rejection;
    msgsrv_metadata_set metadata;
    msgsrv_status metadata_status;
    msgsrv_error metadata_error;
} msi_http_request;

/* Why reading is paused. */
enum { MSI_HTTP_PAUSE_OUTPUT = 1, MSI_HTTP_PAUSE_BUSY = 2 };

typedef struct msi_http_session {
    msi_conn *conn;
    msi_call_host *host;
    const msi_protocol_config *config;
    msgsrv_call *call; /* that is not answered yet */
    http_parser parser;
    msi_http_state state;
    msi_scan scan;
    msi_http_request request;
    msi_view target; /* of the head that is being read */
    msi_view field;
    msi_buf body;
    uint64_t chunk_left;
    size_t chunk_extra;
    msgsrv_refusal fault; /* of the head that is being read; with `fault_status` */
    unsigned fault_status;
    const char *fault_text;
    uint8_t paused;
    bool blank_line; /* one has come in front of the request */
    bool headed;     /* the parser has seen the end of a head */
    bool agreed;     /* it reads the body's length as we do */
    bool complete;   /* and of the whole request */
    bool draining;
    bool ended; /* no more input is looked at */
} msi_http_session;

/* ---- http1.c ---- */

/* The request breaks the rules: says so, and ends the connection. */
void msi_http_refuse(msi_http_session *session, msgsrv_refusal why, unsigned status, const char *text);

/* The request is answered: goes on, or ends the connection. */
void msi_http_answered(msi_http_session *session);

/* ---- http1_head.c ---- */

extern const http_parser_settings msi_http_settings;

/* Reads a whole head. false: it was refused. */
bool msi_http_read_head(msi_http_session *session, const uint8_t *data, size_t size);

/* The request will not be served; it keeps the first reason. */
void msi_http_reject(msi_http_session *session, msgsrv_refusal why, unsigned status, msgsrv_status code,
                     const char *format, ...) MSGSRV_PRINTF(5, 6);

/* Whether a header is HTTP's own or the Connect protocol's, and so no metadata either way. */
bool msi_http_own_field(const char *name, size_t size);

/* ---- http1_write.c ---- */

/* An answer. `fields` are whole lines. */
typedef struct msi_http_answer {
    unsigned status;
    const char *type;
    const msi_buf *fields; /* NULL: none */
    const void *body;
    size_t size;
} msi_http_answer;

/* Writes an answer; without a body for HEAD. Memory running out closes the connection. */
void msi_http_write(msi_http_session *session, const msi_http_answer *answer);

/* The same, of a line of text; and of an error, as JSON. `fields` may be NULL. */
void msi_http_write_text(msi_http_session *session, unsigned status, const msi_buf *fields, const char *text);
void msi_http_write_error(msi_http_session *session, unsigned status, msgsrv_status code, const msi_buf *fields,
                          const char *text);

/* "100 Continue". */
void msi_http_write_continue(msi_http_session *session);

/* ---- http_pages.c ---- */

/* Whether there is a page of this path, and answers with it. */
bool msi_http_has_page(const msi_http_session *session, msi_view path);
void msi_http_write_page(msi_http_session *session, msi_view path);

#endif
