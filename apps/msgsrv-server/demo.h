/* SPDX-License-Identifier: MIT */
/*
 * The demonstration service of proto/messages.proto.
 */
#ifndef MSGSRV_SERVER_DEMO_H
#define MSGSRV_SERVER_DEMO_H

#include <msgsrv/msgsrv.h>

/* Serves messages.Demo, to calls and to the plain messages of its .proto. Before the server's start. */
msgsrv_status demo_register(msgsrv_server *server, msgsrv_error *error);

#endif
