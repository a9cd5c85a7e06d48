/* SPDX-License-Identifier: MIT */
/*
 * What a client under test has sent to a scripted server: ts_peer_next() reads what servers send, this reads what clients do.
 */
#ifndef API_CLIENT_FRAME_H
#define API_CLIENT_FRAME_H

#include "peer.h"

/*
 * The client's next frame, which has to be of this number; its id, method (in `message`), timeout (in `items`) and body are set.
 * The views in it are valid until the next frame is read.
 */
const ts_frame *api_client_frame_at(ts_peer *peer, uint32_t number, const char *file, int line);
#define api_client_frame(peer, number) api_client_frame_at(peer, number, __FILE__, __LINE__)

/* The same, or NULL when the client has closed the connection before it. */
const ts_frame *api_client_frame_or_end(ts_peer *peer);

#endif
