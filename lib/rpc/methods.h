/* SPDX-License-Identifier: MIT */
/* The methods that a server serves, found by path. Filled before it starts, constant afterwards. */
#ifndef MSI_RPC_METHODS_H
#define MSI_RPC_METHODS_H

#include "call/call.h"

typedef struct msi_methods {
    msi_method **sorted; /* by path */
    size_t count;
    struct msi_service_copy *services; /* what sorted's entries live in, in the order of adding */
} msi_methods;

/* Adds all methods of a service, or none; checks that the code was generated for this library. */
msgsrv_status msi_methods_add(msi_methods *methods, const msgsrv_service *service, const void *implementation,
                              void *ctx, msgsrv_error *error);

/* The method of a path, or NULL. */
msi_method *msi_methods_find(const msi_methods *methods, const uint8_t *path, size_t size);

/* The services in the order in which they were added; NULL beyond the last one. */
const msgsrv_service *msi_methods_service(const msi_methods *methods, size_t index);

void msi_methods_release(msi_methods *methods);

/* Whether a method's generated code fits this library, for the client's side too. */
msgsrv_status msi_method_check(const msgsrv_method *method, msgsrv_error *error);

#endif
