/* SPDX-License-Identifier: MIT */
/* Listening sockets: bound before the server starts, accepting once it has. They belong to one loop. */
#ifndef MSI_NET_LISTENER_H
#define MSI_NET_LISTENER_H

#include <event2/listener.h>

#include "base/url.h"
#include "net/address.h"
#include "net/loop.h"

typedef struct msi_listener msi_listener;

/* Takes an accepted socket, non-blocking and close-on-exec; the descriptor is the callee's. */
typedef void (*msi_accept_fn)(void *ctx, int fd, const struct sockaddr *peer);

/* How to listen. */
typedef struct msi_listen_options {
    uint32_t backlog;
    uint32_t socket_mode; /* of a Unix socket's path */
} msi_listen_options;

/* Listens on every address of a URL; the new listeners are put in front of *list. On failure *list is as it was. */
msgsrv_status msi_listen(const char *url, const msi_listen_options *options, msi_listener **list, msgsrv_error *error);

/* The next of a list, and where it listens. */
msi_listener *msi_listener_next(const msi_listener *listener);
const char *msi_listener_url(const msi_listener *listener);

/* Begins to accept on a loop. */
msgsrv_status msi_listener_start(msi_listener *listener, msi_loop *loop, msi_accept_fn accepted, void *ctx,
                                 msgsrv_error *error);

/* Accepts no more until it is started again. */
void msi_listener_pause(msi_listener *listener);

/* Takes what still waits in the kernel, then closes the socket and removes its path. */
void msi_listener_stop(msi_listener *listener);

/* Closes and frees those in front of `before`. */
void msi_listeners_cut(msi_listener **list, const msi_listener *before);

/* Closes and frees a whole list. */
void msi_listeners_free(msi_listener *list);

#endif
