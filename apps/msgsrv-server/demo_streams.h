/* SPDX-License-Identifier: MIT */
/*
 * The streaming methods of the demonstration service: one handler for each kind.
 */
#ifndef MSGSRV_SERVER_DEMO_STREAMS_H
#define MSGSRV_SERVER_DEMO_STREAMS_H

#include "messages.msgsrv.h"

/* Adds them to the service. */
void demo_streams_fill(messages_Demo_service *demo);

#endif
