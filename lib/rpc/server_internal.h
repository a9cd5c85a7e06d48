/* SPDX-License-Identifier: MIT */
/*
 * The server's parts, for its own files: server.c is its life, server_loop.c what happens on its loops, server_options.c its
 * options.
 */
#ifndef MSI_RPC_SERVER_INTERNAL_H
#define MSI_RPC_SERVER_INTERNAL_H

#include <stddef.h>

#include "call/protocol.h"
#include "net/listener.h"
#include "rpc/methods.h"

/* The size of the options in version 1.0, for programs that say 0. */
#define MSI_SERVER_OPTIONS_FIRST_SIZE (offsetof(msgsrv_server_options, on_stopped_ctx) + sizeof(void *))

/* Flags that are raised on a loop's mailbox. */
enum { MSI_SERVER_DRAIN = 1, MSI_SERVER_STOP = 2, MSI_SERVER_LOOP_DONE = 4 };

/* One loop of a server. */
typedef struct msi_server_loop {
    msi_loop loop;
    msi_call_host host;
    msgsrv_server *server;
    pthread_t thread;
    bool threaded;           /* `thread` is running, or to be joined */
    atomic_bool draining;    /* written on its own thread */
    bool stopped;            /* its connections are closed and it takes no more */
    atomic_bool alive;       /* `runner` is valid */
    atomic_bool done;        /* its thread has left the loop for good */
    pthread_t runner;        /* the thread that runs it */
    atomic_uint connections; /* for spreading them */
} msi_server_loop;

struct msgsrv_server {
    msgsrv_server_options options;
    msi_conn_limits limits;
    msi_protocol_config config;
    msi_methods methods;
    msi_interceptors interceptors;
    struct msi_server_kept *kept; /* see services/builtin.h */
    void *services;               /* the built-in ones; see services/builtin.h */
    _Atomic uint64_t started_at;  /* 0: not started; any thread may look */
    atomic_bool draining;
    msi_listener *listeners; /* the last one first */
    const char **addresses;  /* of the listeners, in their order, ended by NULL; made anew by each listen */
    msi_workers *workers;    /* made at start, when a method is blocking */
    msi_server_loop *loops;
    uint32_t loop_count;
    uint32_t next_loop;  /* where the search for the emptiest begins */
    uint32_t loops_done; /* of the others, as the first one knows */
    bool started;
    bool free_pending; /* free was called inside a callback */
    bool destroying;   /* its last callbacks run: freeing it again means nothing */
    bool on_stopped_told;
    struct event *grace_timer;
    uint64_t grace_due;
    atomic_uint connections; /* all of them, those on the way to their loop too */
    atomic_uint grace_ms;
    pthread_mutex_t lock; /* guards the next two */
    pthread_cond_t changed;
    bool running; /* some thread is in run() */
    bool stopped;
};

/* Checks the options and derives what the layers below want of them. */
msgsrv_status msi_server_take_options(msgsrv_server *server, const msgsrv_server_options *options, msgsrv_error *error);

/* The callbacks of a server's loops. */
void msi_server_on_flags(msi_loop *loop, unsigned flags);
void msi_server_on_accept(void *ctx, int fd, const struct sockaddr *peer);
void msi_server_connection_closed(msi_call_host *host, const msi_conn *conn, msi_close why);

/* On the first loop: stops it and sees to the others. */
void msi_server_stop_here(msi_server_loop *first);

/* Closes a loop's connections; inside a bracket of it. */
void msi_server_close_all(msi_server_loop *own);

/* Ends it all and frees it; no loop is running. */
void msi_server_destroy(msgsrv_server *server);

#endif
