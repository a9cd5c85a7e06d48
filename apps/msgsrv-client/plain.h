/* SPDX-License-Identifier: MIT */
/*
 * The plain messages, without the library: what a program in any language does with its protobuf library and
 * a socket.
 */
#ifndef MSGSRV_CLIENT_PLAIN_H
#define MSGSRV_CLIENT_PLAIN_H

#include <msgsrv/status.h>

#include "messages.pb.h"

/*
 * Connects, writes one bare ClientMessage, reads one bare ServerMessage, closes; all within `timeout_ms`.
 * `expected` is the member that the answer must have. On MSGSRV_OK what the answer points to is the caller's
 * to free(); otherwise it is untouched and the error is filled: the server's own, if it sent an End or a
 * GoAway instead.
 */
msgsrv_status plain_exchange(const char *server, uint32_t timeout_ms, const messages_ClientMessage *request,
                             pb_size_t expected, messages_ServerMessage *answer, msgsrv_error *error);

#endif
