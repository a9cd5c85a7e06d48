/* SPDX-License-Identifier: MIT */
/* The list of protocols, and the choice among them by a connection's first bytes. */
#ifndef MSI_RPC_PROTOCOLS_H
#define MSI_RPC_PROTOCOLS_H

#include "call/protocol.h"

/* The protocol of the first bytes. NULL with *more: not to be told yet; NULL without: nobody's. */
const msi_protocol *msi_protocol_find(const uint8_t *data, size_t size, bool *more);

/* The one that a connection is treated as which has not said anything yet when the server drains. */
const msi_protocol *msi_protocol_default(void);

/* Whether a protocol is built, and not turned off. */
bool msi_protocol_served(const msi_protocol *protocol, const msi_protocol_config *config);

#endif
