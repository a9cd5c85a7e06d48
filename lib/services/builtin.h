/* SPDX-License-Identifier: MIT */
/*
 * The built-in services of a server, as lib/rpc knows them: two functions that it calls, and one that it provides. Everything else of
 * lib/services uses the public headers alone.
 */
#ifndef MSI_SERVICES_BUILTIN_H
#define MSI_SERVICES_BUILTIN_H

#include <msgsrv/server.h>

/*
 * Registers the services that the options and the program leave to us, and makes ready what they know of the server. Called by
 * msgsrv_server_start(), on its thread, before anything is served.
 *
 * `*services` is NULL at first. It is filled on failure too, with what there is so far: another start may go on from there, and it is freed by
 * msi_services_free() in any case. The functions that are called here see the server as not started.
 */
msgsrv_status msi_services_start(msgsrv_server *server, void **services, msgsrv_error *error);

/* Frees them, when all streams are gone and nothing is served any more. NULL is fine. */
void msi_services_free(void *services);

/* What msi_services_start() made for a server, NULL before it succeeded. Any thread, from start on. Provided by lib/rpc. */
void *msi_server_services(const msgsrv_server *server);

/*
 * What lives as long as a server, embedded in the thing: a service that registers itself, for one. `free` is called when all streams and calls are
 * gone. Provided by lib/rpc.
 */
typedef struct msi_server_kept {
    struct msi_server_kept *next;
    void (*free)(struct msi_server_kept *kept);
} msi_server_kept;
void msi_server_keep(msgsrv_server *server, msi_server_kept *kept);

#endif
