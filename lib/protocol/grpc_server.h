/* SPDX-License-Identifier: MIT */
/*
 * gRPC on the server's side: what its files share. grpc_server.c keeps the session and how it ends; grpc_server_call.c makes calls of streams' headers and
 * messages, and responses of their ends.
 */
#ifndef MSI_PROTOCOL_GRPC_SERVER_H
#define MSI_PROTOCOL_GRPC_SERVER_H

#include "call/protocol.h"
#include "protocol/h2.h"

extern const msi_protocol msi_grpc_protocol;

TAILQ_HEAD(msi_grpc_calls, msgsrv_call);
TAILQ_HEAD(msi_grpc_exchanges, msi_grpc_exchange);

typedef struct msi_grpc_session {
    msi_h2 h2; /* first: it is what callbacks are given */
    msi_call_host *host;
    const msi_protocol_config *config;
    msi_method *last_method;     /* of the call before: mostly the next one's too */
    struct msi_grpc_calls calls; /* that are open */
    struct msi_grpc_exchanges ready; /* whose unary request is whole, and which wait until answers before them have gone out */
    msi_call_slots *slots;
    uint32_t open_calls;
    char refusal[MSGSRV_ERROR_TEXT]; /* the text of the refusal of the request whose headers are coming */
    bool draining;
    bool pinged;    /* behind the first GOAWAY */
    bool last_told; /* GOAWAY with the last id is out */
} msi_grpc_session;

/* What a request's headers say; while they come. */
typedef struct msi_grpc_request {
    bool post;
    bool path;
    bool grpc; /* its content-type */
    bool gzip; /* its messages may be compressed, and we can undo it */
    bool takes_gzip;
    bool has_timeout;
    bool fields; /* the headers are over: what comes now are trailers */
    uint32_t timeout_ms;
    size_t list_size;     /* as HTTP/2 counts it */
    msgsrv_status status; /* why it is refused */
    msgsrv_refusal why;
} msi_grpc_request;

/* One stream: a request and its response. It is there from the stream's first header to its end; the call is a part of that time. */
typedef struct msi_grpc_exchange {
    msi_h2_stream h2; /* first */
    TAILQ_ENTRY(msi_grpc_exchange) next_ready;
    msi_grpc_session *session;
    msi_method *method;
    msgsrv_call *call; /* while it is open */
    bool in_ready;
    bool begun; /* its call was begun, or refused, or waits for room */
    bool headers_sent;
    bool has_body;   /* the one request has come */
    bool compressed; /* as it came */
    msi_buf body;    /* it, where it has to wait */
    msi_headers end; /* the trailers, until they are due */
    msgsrv_metadata_set metadata;
    msi_grpc_request request;
} msi_grpc_exchange;

/* For msi_h2_role. */
msi_h2_stream *msi_grpc_begin(msi_h2 *h2, int32_t id);
void msi_grpc_header(msi_h2 *h2, msi_h2_stream *stream, msi_view name, msi_view value);
void msi_grpc_headers(msi_h2 *h2, msi_h2_stream *stream, bool last);
void msi_grpc_message(msi_h2 *h2, msi_h2_stream *stream, msi_view body, bool compressed);
void msi_grpc_bad_message(msi_h2 *h2, msi_h2_stream *stream, msi_grpc_read why);
void msi_grpc_half_closed(msi_h2 *h2, msi_h2_stream *stream);
void msi_grpc_trailers(msi_h2 *h2, msi_h2_stream *stream, msi_headers *list);
bool msi_grpc_opening(msi_h2 *h2, msi_h2_stream *stream);
void msi_grpc_closed(msi_h2 *h2, msi_h2_stream *stream, uint32_t code, bool by_peer);

/* Begins the unary calls that wait, as far as there is room for their answers. */
void msi_grpc_begin_ready(msi_grpc_session *session);

/* Frees an exchange whose stream is closed and whose call, if any, was let go of. */
void msi_grpc_exchange_free(msi_grpc_exchange *exchange);

#endif
