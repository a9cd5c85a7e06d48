/* SPDX-License-Identifier: MIT */
/*
 * The call, on the server's side, and the two tables of functions through which a protocol and the services see it. The author of a new
 * protocol reads this header.
 *
 * A call's life, all of it on its loop's thread but what is said to be otherwise:
 *
 *   protocol: msi_call_new() → fills in id, deadline, metadata → msi_call_begin()
 *   service:  begin() decodes and runs the handler; when it has the answer, msi_call_end(), or msi_call_park() to answer later
 *   protocol: end() writes the answer
 *
 * A call ends exactly once: with msi_call_end(), or msi_call_cancel(), which does the same with a reason. Its memory stays as long as
 * somebody refers to it: the loop until the end, the program's hold until it is consumed, a worker until it is done.
 */
#ifndef MSI_CALL_CALL_H
#define MSI_CALL_CALL_H

#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

#include <msgsrv/call.h>
#include <msgsrv/service.h>

#include "base/idmap.h"
#include "base/metadata.h"
#include "base/workers.h"
#include "call/intercept.h"
#include "call/stream.h"
#include "net/conn.h"
#include "schema/codec.h"
#include "wire/frame.h"

/* A method as a server serves it. Constant once the server runs, but for the hint. */
typedef struct msi_method {
    const msgsrv_method *description;
    const msgsrv_service_method *service_method;
    const void *implementation;
    void *ctx;
    size_t path_size;
    msi_type_traits request_traits;
    msi_type_traits response_traits;
    bool implemented;
    bool blocking;
    _Atomic uint32_t answer_size; /* of the last answer: how much room to leave for the next one's length */
} msi_method;

/* How a call sees the protocol that it came by. On the loop's thread, inside a bracket. */
typedef struct msi_call_protocol {
    /*
     * The call has ended: writes `final`, and for OK the response, which msi_service_ops.append() gives. Takes the call off the session's
     * lists. Called exactly once for a call that was begun; not at all once the session has let go of it (msi_call_leave()).
     */
    void (*end)(msgsrv_call *call, const msi_final *final);
    /* The call will be answered later: puts it where cancellation finds it. false without memory. */
    bool (*park)(msgsrv_call *call);
} msi_call_protocol;

/* How a call sees the services. */
typedef struct msi_service_ops {
    /* The method of a path, or NULL. */
    msi_method *(*find)(void *services, const uint8_t *path, size_t size);
    /* Decodes the request and has it answered: ends or parks the call, now or through a worker. `body` is valid during the call. */
    void (*begin)(msgsrv_call *call, msi_view body);
    /* Tells a streaming call's stream an event; for msi_stream_owner. */
    void (*event)(msgsrv_call *call, msgsrv_stream_event event, const void *in, void *out);
    /* Appends the response's encoding. On failure nothing was appended, and the error says why. */
    msgsrv_status (*append)(msgsrv_call *call, msi_buf *out, msgsrv_error *error);
    /* Releases the request; the last thing that happens to a call, on its loop's thread or, if that is gone, on any. */
    void (*release)(msgsrv_call *call);
} msi_service_ops;

/* What the calls of one loop share. */
typedef struct msi_call_host {
    msi_loop *loop;
    const msi_service_ops *service;
    void *services; /* for service->find */
    /* A connection of this loop has closed; a protocol calls it from its msi_conn_ops.closed, last but for letting go of its calls. */
    void (*connection_closed)(struct msi_call_host *host, const msi_conn *conn, msi_close why);
    const msi_interceptors *interceptors;
    struct msi_workers **workers; /* made when first needed; shared by the server's loops */
    uint32_t max_message;
    uint32_t max_metadata;
    struct msgsrv_call *spare; /* free calls, linked by `next_spare` */
    uint32_t spare_count;
} msi_call_host;

/* A call made on behalf of another one, to be cancelled with it. */
typedef struct msi_child {
    struct msi_child *next;
    msi_post post;        /* cancels the child, on its client's loop; frees this */
    msi_mailbox *mailbox; /* a reference */
    uint64_t handle;
    void *client;
} msi_child;

/* The program's hold: used by the thread that consumes it, and by the loop from then on. */
struct msgsrv_held {
    msi_post post;
    msi_mailbox *mailbox; /* a reference */
    msi_buf body;         /* the encoded response, when code is OK */
    msgsrv_status code;
    char text[MSGSRV_ERROR_TEXT];
    msgsrv_metadata_set trailer;
};

/*
 * How many calls of a connection are still worked on, whatever their client knows of it: one that a client has cancelled counts until its handler, or
 * whoever holds it, is done. Counted by the calls themselves when their memory goes. Belongs to a protocol's session, and outlives it.
 */
typedef struct msi_call_slots {
    atomic_uint refs; /* calls, and the session */
    uint32_t used;    /* the loop's thread alone */
} msi_call_slots;

struct msgsrv_call {
    msi_idnode node;               /* its id, for the protocol's table */
    TAILQ_ENTRY(msgsrv_call) open; /* the protocol's list of open calls */
    msi_call_host *host; /* only while the loop lives: a hold may outlive the server, and uses the copies below */
    msi_mailbox *mailbox; /* the loop's; a hold has a reference. Its lock guards what is marked with (m), once others may look */
    const msi_service_ops *service;
    const msgsrv_method *description;
    msi_type_traits request_traits;
    msi_type_traits response_traits;
    uint32_t max_message;
    uint32_t max_metadata;
    const msi_call_protocol *protocol;
    void *session; /* the protocol's; NULL once the connection is gone or the call has ended */
    msi_method *method;
    void *request;
    void *response;
    msgsrv_stream *stream; /* of a streaming call */
    size_t room;           /* bytes behind the struct, for request and response */
    uint64_t deadline;     /* a moment; 0: none */
    msi_address peer;
    uint32_t plain_answer; /* the native protocol's: the field that answers a plain message; 0 for a framed call */
    uint32_t refs;
    bool ended;
    bool is_intercepted; /* `intercepted` is set */
    bool head_sent;      /* or what comes behind it */
    bool parked;
    bool running;    /* its handler is on the loop's stack */
    bool on_pool;    /* its handler runs on, or waits for, a worker */
    bool pool_done;  /* (m) and has returned */
    bool telling;    /* (m) on_cancel is being called on the loop's thread */
    bool indexed;    /* the protocol's: it is in the table */
    bool finished;   /* the protocol's: a plain message's answer is ready */
    bool hold_taken; /* (m) */
    bool has_text;
    bool has_timer;
    bool compresses;              /* what is sent is compressed, as the peer can undo it */
    bool takes_compressed;        /* the client says so */
    bool may_compress;            /* and its response's headers say that there may be some */
    bool came_compressed;         /* the message that was received last */
    bool encoded;                 /* the response is in held.body */
    msgsrv_status outcome;        /* the final status */
    atomic_int cancelled;         /* the reason, once it was cancelled */
    msgsrv_status handler_status; /* what a worker's handler returned */
    msi_work work;
    msi_post post;              /* of the worker's result */
    msgsrv_cancel_fn on_cancel; /* (m) */
    void *on_cancel_ctx;
    msi_child *children;           /* (m) */
    struct msi_call_block *blocks; /* msgsrv_call_alloc()'s */
    msgsrv_metadata_set received;
    msgsrv_metadata_set head;
    msgsrv_metadata_set trailer;
    void *exchange;        /* the protocol's own of it */
    msi_call_slots *slots; /* NULL: not counted */
    msi_buf answer;        /* the native protocol's: a finished plain answer that waits for its turn */
    struct msgsrv_call *next_spare;
    struct event timer;
    msi_intercepted intercepted;
    struct msgsrv_held held;
    char text[MSGSRV_ERROR_TEXT];
};

/* Sets up and releases what a loop's calls share. */
void msi_call_host_init(msi_call_host *host, msi_loop *loop, const msi_service_ops *service, void *services);
void msi_call_host_release(msi_call_host *host);

/* Whether messages flow in a direction of a method as a stream. */
static inline bool msi_streams_requests(const msgsrv_method *method)
{
    return method->kind == MSGSRV_CLIENT_STREAMING || method->kind == MSGSRV_BIDI_STREAMING;
}
static inline bool msi_streams_responses(const msgsrv_method *method)
{
    return method->kind == MSGSRV_SERVER_STREAMING || method->kind == MSGSRV_BIDI_STREAMING;
}

/* Makes a streaming call's stream, on the outlet of its session. false without memory. */
bool msi_call_add_stream(msgsrv_call *call, msi_outlet *outlet);

/* A new call with one reference, the loop's; NULL without memory. */
msgsrv_call *msi_call_new(msi_call_host *host, msi_method *method, const msi_call_protocol *protocol, void *session,
                          const msi_address *peer);

/* Hands it to the service. */
static inline void msi_call_begin(msgsrv_call *call, msi_view body)
{
    call->host->service->begin(call, body);
}

/* It will be answered later: arms the deadline. */
void msi_call_park(msgsrv_call *call);

/* Ends it. `message` may be NULL; it is not kept. Nothing happens if it has ended. */
void msi_call_end(msgsrv_call *call, msgsrv_status code, const char *message);

/* Nobody waits for it any more: tells the program, cancels its children, and ends it with the reason. */
void msi_call_cancel(msgsrv_call *call, msgsrv_status reason, const char *message);

/* The session lets go of it, because its connection is gone: cancels it, and nothing is written. */
void msi_call_leave(msgsrv_call *call);

/* Counts a call until its memory goes. */
msi_call_slots *msi_call_slots_new(void);
void msi_call_take_slot(msgsrv_call *call, msi_call_slots *slots);
void msi_call_slots_unref(msi_call_slots *slots);

void msi_call_ref(msgsrv_call *call);
void msi_call_unref(msgsrv_call *call);

/* Takes the hold's answer over, on the loop's thread or when its loop is gone; also ends the hold. */
void msi_call_consume_hold(msgsrv_call *call);

/* Ties a child call to its parent; takes the child. false when the parent is cancelled already. */
bool msi_call_add_child(msgsrv_call *parent, msi_child *child);

/* The whole call that a hold is part of. */
msgsrv_call *msi_held_call(msgsrv_held *held);

#endif
