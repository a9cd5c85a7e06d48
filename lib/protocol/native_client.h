/* SPDX-License-Identifier: MIT */
/* The native wire on the client's side. */
#ifndef MSI_PROTOCOL_NATIVE_CLIENT_H
#define MSI_PROTOCOL_NATIVE_CLIENT_H

#include "call/client_call.h"

extern const msi_client_protocol msi_native_client;

#endif
