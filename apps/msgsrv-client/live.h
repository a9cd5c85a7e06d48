/* SPDX-License-Identifier: MIT */
/*
 * A streaming call that is followed until its end, or until SIGINT or SIGTERM cancels it. Its messages are taken on the thread of the
 * client's; meanwhile the main thread waits for that end, for a signal, and for standard input.
 */
#ifndef MSGSRV_CLIENT_LIVE_H
#define MSGSRV_CLIENT_LIVE_H

#include <msgsrv/msgsrv.h>
#include <msgsrv/service.h>

/* What to follow. All is the caller's. */
struct live_call {
    msgsrv_client *client; /* with a thread of its own */
    const msgsrv_method *method;
    const void *request; /* of a server-streaming method; else NULL */
    const msgsrv_call_options *options;

    /* Takes a message, or the response of a client-streaming method. False: no more is wanted. The client's thread. */
    bool (*message)(void *ctx, const void *message);
    /* Makes the message of a line of standard input, to be freed with free(). The main thread. NULL: it is not read, and `first` is
     * all that is sent. */
    msgsrv_status (*line)(void *ctx, const char *line, size_t size, msgsrv_bytes *message, msgsrv_error *error);
    const msgsrv_bytes *first; /* the one message to send where there is no `line`; NULL: none */
    /* Looks at the end. Optional. The client's thread. */
    void (*ended)(void *ctx, const msgsrv_reply *reply);
    void *ctx;
};

/* How it ended, beside its status. */
enum live_end {
    LIVE_ENDED,       /* by the server or the connection */
    LIVE_INTERRUPTED, /* by a signal */
    LIVE_UNWANTED,    /* by `message` */
    LIVE_BAD_LINE,    /* by `line`, whose error it is, once what was sent before is answered or cancelled */
    LIVE_NO_INPUT     /* the same: standard input cannot be read; the error says why */
};

/* Runs it. Returns the final status; the error is filled unless that is OK. */
msgsrv_status live_run(const struct live_call *call, enum live_end *end, msgsrv_error *error);

#endif
