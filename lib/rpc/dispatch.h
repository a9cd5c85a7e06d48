/* SPDX-License-Identifier: MIT */
/* From a call's bytes to its handler and back: the service side of call/call.h, for the typed services of programs. */
#ifndef MSI_RPC_DISPATCH_H
#define MSI_RPC_DISPATCH_H

#include "call/call.h"
#include "rpc/methods.h"

/* The table through which calls see a msi_methods; `services` of the host is one. */
extern const msi_service_ops msi_dispatch_ops;

#endif
