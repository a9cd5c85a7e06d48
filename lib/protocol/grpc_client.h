/* SPDX-License-Identifier: MIT */
/*
 * gRPC over HTTP/2 on the client's side: what its files share. grpc_client.c keeps the session and how it ends; grpc_client_call.c makes streams of
 * calls, and their ends of what the server answers.
 */
#ifndef MSI_PROTOCOL_GRPC_CLIENT_H
#define MSI_PROTOCOL_GRPC_CLIENT_H

#include "call/client_call.h"
#include "protocol/h2.h"

extern const msi_client_protocol msi_grpc_client;

/* How messages of a response that say they are compressed are. */
typedef enum msi_grpc_coding {
    MSI_GRPC_IDENTITY, /* not at all: none may say so */
    MSI_GRPC_GZIP,     /* or deflate */
    MSI_GRPC_OTHER     /* in a way that we did not offer */
} msi_grpc_coding;

/* A stream: it is there from the request to the end of the HTTP/2 stream, and outlives its call when that ends here first. */
typedef struct msi_grpc_request {
    msi_h2_stream h2; /* first */
    TAILQ_ENTRY(msi_grpc_request) next;
    TAILQ_ENTRY(msi_grpc_request) next_fresh;
    msi_client_call *call; /* NULL: it has ended */
    int32_t id;            /* of the stream; stays when the stream is over */
    msi_grpc_coding coding;
    bool fresh;        /* on the session's list */
    bool head_done;    /* the response's headers have come */
    bool has_response; /* the one of a call that has one */
    msi_buf response;  /* it */
} msi_grpc_request;

TAILQ_HEAD(msi_grpc_requests, msi_grpc_request);

/* The header block that is coming. No other frame comes in between, so there is one. */
typedef struct msi_grpc_block {
    int32_t id; /* of its stream; 0: there is none */
    unsigned http;
    bool type_known; /* there was a content-type */
    bool grpc;       /* and it is gRPC's */
    bool has_status;
    msgsrv_status status;
    msi_grpc_coding coding;
    msgsrv_error error; /* of the metadata; OK: none */
    char type[48];      /* of the content-type, what is to be told of it */
    char text[MSGSRV_ERROR_TEXT];
    msgsrv_metadata_set metadata;
} msi_grpc_block;

struct msi_client_session {
    msi_h2 h2; /* first: it is what callbacks are given */
    msi_conn *conn;
    const msi_client_events *events;
    const msi_client_limits *limits;
    void *client;
    size_t count;                      /* of the next two lists */
    struct msi_client_calls open;      /* whose stream is open */
    struct msi_client_calls queue;     /* that wait until the server takes more streams */
    struct msi_grpc_requests requests; /* all that have memory */
    struct msi_grpc_requests fresh;    /* streams of calls whose headers were not sent yet, as far as is known */
    msi_grpc_block block;
    msi_task put;
    msi_buf plain;      /* for what is decompressed */
    bool heard;         /* the server has sent its SETTINGS */
    bool http1;         /* it has answered as HTTP/1 does */
    bool leaving;       /* it takes no more calls */
    bool goaway;        /* because GOAWAY has come */
    bool native_goaway; /* said by a msgsrv server that was leaving before it had looked at what we speak */
    bool silent;        /* closed by the client: nothing is reported */
    bool exhausted;     /* there are no more numbers for streams */
    char reason[MSGSRV_ERROR_TEXT];
};

/* For msi_h2_role. */
void msi_grpc_answer_header(msi_h2 *h2, msi_h2_stream *stream, msi_view name, msi_view value);
void msi_grpc_answer_headers(msi_h2 *h2, msi_h2_stream *stream, bool last);
void msi_grpc_answer_message(msi_h2 *h2, msi_h2_stream *stream, msi_view body, bool compressed);
void msi_grpc_answer_bad(msi_h2 *h2, msi_h2_stream *stream, msi_grpc_read why);
void msi_grpc_answer_half_closed(msi_h2 *h2, msi_h2_stream *stream);
void msi_grpc_answer_closed(msi_h2 *h2, msi_h2_stream *stream, uint32_t code, bool by_peer);

/* Of the sessions' outlets. */
extern const msi_stream_protocol msi_grpc_client_stream;

/* What was submitted goes out before the bracket is left, also that of a function which the program calls, where nothing is told. */
void msi_grpc_put_soon(msi_client_session *session);

/* Opens streams for the calls that wait, as many as the server takes; ties those that are open to their calls' streams. Not inside nghttp2. */
void msi_grpc_submit_queue(msi_client_session *session);
void msi_grpc_attach_fresh(msi_client_session *session);

/* Takes a call; false without memory. */
bool msi_grpc_take(msi_client_session *session, msi_client_call *call);

/* Lets go of a call, wherever it is; its stream, if there is one, is given back, and is to be reset or let run to its end. */
msi_grpc_request *msi_grpc_let_go(msi_client_session *session, msi_client_call *call);

/* Whether a call that was not taken can go out again: of what a stream has sent, nothing was kept. */
bool msi_grpc_repeatable(const msi_client_call *call);

void msi_grpc_unavailable(msi_client_session *session, msi_client_call *call, const char *reason);

void msi_grpc_request_free(msi_client_session *session, msi_grpc_request *request);

/* The session takes no more calls: the client is told, and has those back that wait. */
void msi_grpc_leave(msi_client_session *session);

#endif
