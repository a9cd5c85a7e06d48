/* SPDX-License-Identifier: MIT */
/* Streams on the native wire, the same at both ends: Items, Credit and a client's half-close. */
#ifndef MSI_PROTOCOL_NATIVE_STREAM_H
#define MSI_PROTOCOL_NATIVE_STREAM_H

#include "call/call.h"

extern const msi_stream_protocol msi_native_stream;

#endif
