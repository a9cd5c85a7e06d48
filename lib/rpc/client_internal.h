/* SPDX-License-Identifier: MIT */
/*
 * The client's parts, for its own files: client.c is its life and its three kinds of loop, client_connect.c its connection, client_call.c its
 * calls. All but what is said to be otherwise belongs to the thread of its loop.
 */
#ifndef MSI_RPC_CLIENT_INTERNAL_H
#define MSI_RPC_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <msgsrv/service.h>

#include "base/url.h"
#include "call/call.h"
#include "call/client_call.h"
#include "net/dial.h"

#define MSI_CLIENT_URL_MAX 320u

/* Who waits for a synchronous call or ping. */
typedef struct msi_waiter {
    bool done;
    msgsrv_status status;
    msgsrv_error error;
    void *response; /* the caller's struct; filled on OK */
    msgsrv_metadata_set *head;
    msgsrv_metadata_set *trailer;
    uint64_t round_trip; /* of a ping */
} msi_waiter;

typedef struct msi_client_entry {
    msi_client_call call;               /* the protocol's part */
    msi_idnode node;                    /* its handle, in the client's table */
    TAILQ_ENTRY(msi_client_entry) done; /* the list of those whose callback is to come */
    msgsrv_client *client;
    const msgsrv_method *method; /* NULL: a ping, which only waits for a connection here */
    msi_post post;               /* from another thread, to its loop */
    msi_waiter *waiter;          /* NULL: asynchronous */
    msi_intercepted intercepted; /* `interceptors` is NULL: it is not */
    msgsrv_stream_fn events;     /* of a stream; NULL: it is synchronous, and kept until it is closed */
    _Alignas(max_align_t) unsigned char stream_closure[MSGSRV_STREAM_CLOSURE_SIZE];
    TAILQ_ENTRY(msi_client_entry) kept; /* the client's list of synchronous streams */
    struct msi_stream_op *read_op;      /* what waits for it */
    struct msi_stream_op *write_op;
    struct msi_stream_op *close_op;
    msgsrv_metadata_set *sync_head; /* where a synchronous stream's metadata goes in the end */
    msgsrv_metadata_set *sync_trailer;
    bool trying;    /* one of them is being tried */
    bool try_again; /* and something has changed meanwhile */
    bool end_waits; /* the end came behind messages that wait to be handled; it is in `error` */
    msgsrv_complete_fn complete;
    _Alignas(max_align_t) unsigned char closure[MSGSRV_CLOSURE_SIZE];
    struct event timer;
    bool has_timer;
    msgsrv_call *parent; /* until it is launched */
    msi_child *child;    /* until it is tied to the parent */
    bool wait_for_ready;
    bool waiting; /* on the client's list */
    bool ended;
    unsigned sent; /* how often it went out */
    uint64_t pinged_at;
    const msi_client_session *pinged_on; /* a ping's connection */
    msgsrv_error error;                  /* the final status */
    msi_type_traits traits;              /* of the response */
    _Alignas(max_align_t) unsigned char response[];
} msi_client_entry;

typedef enum msi_client_state {
    MSI_CLIENT_IDLE,
    MSI_CLIENT_DIALING,
    MSI_CLIENT_READY,
    MSI_CLIENT_BACKOFF
} msi_client_state;

typedef enum msi_client_kind { MSI_CLIENT_PRIVATE, MSI_CLIENT_THREAD, MSI_CLIENT_BASE } msi_client_kind;

struct msgsrv_client {
    msgsrv_client_options options;
    msi_client_kind kind;
    msi_url url;
    char url_text[MSI_CLIENT_URL_MAX];
    char authority[MSI_AUTHORITY_MAX];
    msi_conn_limits limits;
    msi_client_limits client_limits;
    msi_loop loop;
    pthread_t thread;
    const msi_client_protocol *protocol;
    msi_client_state state;
    msi_dialer *dialer;
    msi_client_session *session;   /* where new calls go, when READY */
    msi_client_session **sessions; /* all that are alive: older ones finish what a draining server took */
    size_t session_count;
    size_t session_room;
    struct msi_client_calls waiting; /* calls without a connection */
    msi_idmap calls;                 /* by handle */
    TAILQ_HEAD(msi_done_list, msi_client_entry) done;
    size_t done_count;
    struct event *done_event; /* there are some, and we were not in a callback */
    struct event *backoff_timer;
    uint32_t backoff_ms; /* the next pause */
    uint64_t backoff_until;
    uint64_t random;                /* state of the jitter */
    char reason[MSGSRV_ERROR_TEXT]; /* of the last failure */
    unsigned in_api;                /* brackets that were opened by the program's calls, not by the loop */
    bool delivering;                /* callbacks are being called */
    bool free_pending;
    uint64_t progress;         /* callbacks called and waiters served */
    _Atomic(pthread_t) driver; /* of a private loop: the thread that drives it; 0: none (glibc has no thread 0) */
    atomic_uint_fast64_t next_handle;
    atomic_uint open; /* calls that have not ended */
    TAILQ_HEAD(msi_kept_list, msi_client_entry) kept;
    msi_interceptors interceptors;
    pthread_mutex_t lock; /* guards waiters of a threaded client */
    pthread_cond_t changed;
};

/* Options, checked; see include/msgsrv/client.h. */
msgsrv_status msi_client_take_options(msgsrv_client *client, const msgsrv_client_options *options, msgsrv_error *error);

/* The connection. `submit` sends an entry or has it wait for a connection. */
bool msi_client_connect_init(msgsrv_client *client);
void msi_client_connect_release(msgsrv_client *client);
void msi_client_submit(msgsrv_client *client, msi_client_entry *entry);
void msi_client_connect_again(msgsrv_client *client); /* for calls that became homeless while frames were read */

/* Ends an entry: its waiter is served, or its callback comes. `text` need not end in NUL. */
void msi_client_end(msi_client_entry *entry, msgsrv_status code, bool from_peer, const char *text, size_t size);

/* The entry of the protocol's part. */
msi_client_entry *msi_client_entry_of(msi_client_call *call);

/* Calls the callbacks that are due. For msi_loop.before_leave. */
void msi_client_deliver(msi_loop *loop);

/* Ends all calls with a status and calls their callbacks. */
void msi_client_end_all(msgsrv_client *client, msgsrv_status code, const char *text);

/* An entry, empty; NULL without memory. And its end. */
msi_client_entry *msi_client_entry_new(msgsrv_client *client, const msgsrv_method *method);
void msi_client_entry_free(msi_client_entry *entry);

/* Whether the calling thread is inside the client's callbacks. */
bool msi_client_inside(const msgsrv_client *client);

/* Takes and gives back the right to drive a private loop; FAILED_PRECONDITION while another thread has it. */
msgsrv_status msi_client_drive(msgsrv_client *client, bool *inside, msgsrv_error *error);
void msi_client_drive_end(msgsrv_client *client, bool inside);

/* Opens and closes a bracket for a call of the program's, on the loop's thread. */
msi_loop *msi_client_api_enter(msgsrv_client *client);
void msi_client_api_leave(msgsrv_client *client, msi_loop *before);

/* Waits until another function, on the loop, has set `done` by msi_client_serve(). */
void msi_client_wait_for(msgsrv_client *client, const bool *done);
void msi_client_serve(msgsrv_client *client, bool *done);

/* Calls that were made already are not changed by what changes the client. */
msgsrv_status msi_client_make(msgsrv_client *client, const msgsrv_method *method, const void *request,
                              const msgsrv_call_options *given, msi_client_entry **made, msgsrv_error *error);
msgsrv_status msi_client_launch(msgsrv_client *client, msi_client_entry *entry, msgsrv_error *error);
msgsrv_status msi_client_check_sync(msgsrv_client *client, msgsrv_error *error);

/* Streams (client_stream.c): the stream of an entry; what its end means; its CLOSED; that the client goes. */
bool msi_client_add_stream(msi_client_entry *entry);
bool msi_client_end_waits(msi_client_entry *entry, msgsrv_status code, bool from_peer, const char *text, size_t size);
void msi_client_stream_ended(msi_client_entry *entry);
void msi_client_stream_closed(msi_client_entry *entry, const msgsrv_reply *reply, void *response);
void msi_client_orphan_streams(msgsrv_client *client);

/* Shows the end of a call to the interceptors. */
void msi_client_intercept_end(msi_client_entry *entry);

/* Waits for a waiter in the way of the client's kind. */
void msi_client_wait(msgsrv_client *client, msi_waiter *waiter);

/* Frees the client if that was asked for inside a callback; no loop of it runs. true when it was. */
bool msi_client_free_if_pending(msgsrv_client *client);

#endif
