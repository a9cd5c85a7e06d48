/* SPDX-License-Identifier: MIT */
/**
 * @file
 * libmsgsrv: typed protobuf calls for C programs. This header includes all that a program needs; the generated
 * NAME.msgsrv.h adds its own services.
 *
 * Rules that hold everywhere:
 *
 * - The order of parameters: object, inputs, options, callback and its context, outputs, error. Outputs are untouched on failure.
 * - Every asynchronous operation completes exactly once: with its reply, its error, its timeout, its cancellation, or the freeing of
 *   its object. A callback never runs inside the call that started it; freeing is the one exception.
 * - `new` is undone by `free`, which takes NULL and may be called inside the object's own callbacks.
 * - The library prints nothing, exits never, and handles no signals.
 */
#ifndef MSGSRV_MSGSRV_H
#define MSGSRV_MSGSRV_H

#include <msgsrv/bytes.h>
#include <msgsrv/call.h>
#include <msgsrv/client.h>
#include <msgsrv/interceptor.h>
#include <msgsrv/json.h>
#include <msgsrv/log.h>
#include <msgsrv/metadata.h>
#include <msgsrv/schema.h>
#include <msgsrv/server.h>
#include <msgsrv/services.h>
#include <msgsrv/stats.h>
#include <msgsrv/status.h>
#include <msgsrv/stream.h>
#include <msgsrv/version.h>

#endif
