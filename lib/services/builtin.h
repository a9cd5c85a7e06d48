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

/*
 * The pages that HTTP has: /healthz, /readyz and /metrics, as the options allow. false: there is none of this path. With `body` NULL it only
 * says whether there is one; else it makes it, on any thread: an HTTP status, a static content type, and a body for free(), NULL without memory.
 */
bool msi_services_page(void *services, const char *path, size_t path_size, unsigned *status, const char **type,
                       char **body, size_t *size);

/* The descriptors of all services; NULL when nothing needs them. */
const struct msgsrv_schema *msi_services_schema(void *services);

/* What msi_services_start() made for a server, NULL before it succeeded. Any thread, from start on. Provided by lib/rpc. */
void *msi_server_services(const msgsrv_server *server);

/*
 * What lives as long as a server, embedded in the thing: a service that registers itself, for one. `free` is called when all streams and calls are
 * gone. Provided by lib/rpc.
 */
struct msi_metrics;
typedef struct msi_server_kept {
    struct msi_server_kept *next;
    void (*free)(struct msi_server_kept *kept);
    void (*measure)(struct msi_server_kept *kept, struct msi_metrics *to); /* adds to /metrics; any thread; optional */
} msi_server_kept;
void msi_server_keep(msgsrv_server *server, msi_server_kept *kept);
msi_server_kept *msi_server_first_kept(const msgsrv_server *server);

#endif
