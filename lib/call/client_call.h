/* SPDX-License-Identifier: MIT */
/*
 * A call as a client's protocol sees it, and the table of functions through which the protocol reports to the client. All on the
 * client's loop, inside brackets.
 */
#ifndef MSI_CALL_CLIENT_CALL_H
#define MSI_CALL_CLIENT_CALL_H

#include "base/idmap.h"
#include "base/metadata.h"
#include "call/stream.h"
#include "net/conn.h"
#include "wire/frame.h"

/* The part of a client's call that its protocol works with. */
typedef struct msi_client_call {
    msi_idnode node;                    /* its id, in the session's table */
    TAILQ_ENTRY(msi_client_call) open;  /* the session's list; while it waits for a connection, the client's */
    struct msi_client_session *session; /* NULL: not on a connection */
    void *of_session;                   /* what the session keeps of it, if anything */
    const char *method;
    uint64_t deadline;      /* a moment; 0: none */
    uint64_t begins_at;     /* where its frame begins in all that was written on the connection */
    msgsrv_stream *stream;  /* of a streaming call */
    msi_call_credit credit; /* what it grants the server */
    bool streams_requests;
    bool streams_responses;
    bool compresses; /* its requests may be compressed, where the protocol knows how */
    msi_buf body;    /* the encoded request, kept until the end because it may go out again */
    msgsrv_metadata_set metadata;
    msgsrv_metadata_set head; /* what came */
    msgsrv_metadata_set trailer;
} msi_client_call;

TAILQ_HEAD(msi_client_calls, msi_client_call);

typedef struct msi_client_session msi_client_session;

/* What a session reports. */
typedef struct msi_client_events {
    /* A call has its final status. `text` need not end in NUL; `body` is a view, for OK. The session has let go of it. */
    void (*ended)(void *client, msi_client_call *call, msgsrv_status code, bool from_peer, msi_view text, msi_view body);
    /* The server will not answer a call that it has not begun: it may go out again. The session has let go of it. */
    void (*untaken)(void *client, msi_client_call *call);
    /* The session takes no new calls: the server has said GoAway, or takes nothing in any more. */
    void (*leaving)(void *client, msi_client_session *session);
    /* An answer to a ping. */
    void (*pong)(void *client, msi_view data);
    /* The connection is gone and every call was ended or untaken before; the session goes too. `heard`: the server has said something, or
     * was told nothing. */
    void (*lost)(void *client, msi_client_session *session, bool heard, const char *reason);
} msi_client_events;

/* Limits of what a server may send, and its name. */
typedef struct msi_client_limits {
    uint32_t max_message;
    uint32_t max_metadata;
    const char *authority; /* what the server is called: host and port */
} msi_client_limits;

/* A protocol, for clients. */
typedef struct msi_client_protocol {
    /* Takes a connected socket. NULL without memory: the socket is then closed. */
    msi_client_session *(*open)(msi_loop *loop, int fd, const msi_address *peer, const msi_conn_limits *limits,
                                const msi_client_limits *client_limits, const msi_client_events *events, void *client);
    /* Sends a call. false without memory: the session has not taken it. */
    bool (*send)(msi_client_session *session, msi_client_call *call);
    /* Lets go of a call and tells the server so. */
    void (*cancel)(msi_client_session *session, msi_client_call *call);
    bool (*ping)(msi_client_session *session, const uint8_t *data, size_t size);
    /* Looks whether the server has said something, when nothing is open: it may have gone. The session may be lost afterwards. */
    void (*look)(msi_client_session *session);
    /* Closes it now; nothing is reported. Its calls have been let go of. */
    void (*close)(msi_client_session *session);
    /* How many calls are open on it. */
    size_t (*open_calls)(const msi_client_session *session);
} msi_client_protocol;

#endif
