/* SPDX-License-Identifier: MIT */
/*
 * A protocol as the server sees it: it is chosen by a connection's first bytes, takes the connection over, and from then on turns its
 * bytes into calls (call/call.h). A new protocol is a file in lib/protocol and a line in lib/rpc/protocols.c.
 */
#ifndef MSI_CALL_PROTOCOL_H
#define MSI_CALL_PROTOCOL_H

#include "call/call.h"

/* Whether the first bytes are a protocol's. */
typedef enum msi_match { MSI_MATCH_NO, MSI_MATCH_YES, MSI_MATCH_MORE } msi_match;

/* A plain message's binding: index of the table is the request's field number. */
typedef struct msi_binding {
    msi_method *method; /* NULL: not bound */
    uint32_t answer_field;
} msi_binding;

/* What a server gives its protocols. Constant while it runs. */
typedef struct msi_protocol_config {
    msi_binding plain[16];
    uint32_t max_message;
    uint32_t max_metadata;
    uint32_t max_calls;
    uint32_t pings_per_second; /* MSGSRV_NONE: no limit; the next two likewise */
    uint32_t ping_burst;
    uint32_t idle_frames_per_second;
    uint32_t max_stream_output;
    uint32_t max_unread;
    uint32_t plain_max_calls;
    uint32_t plain_max_bytes;
    uint32_t plain_timeout_ms; /* 0: none */
    uint32_t resets_per_second; /* MSGSRV_NONE: no limit */
    uint32_t reset_burst;
} msi_protocol_config;

typedef struct msi_protocol {
    const char *name;
    /* Looks at a connection's first bytes, at least one. */
    msi_match (*match)(const uint8_t *data, size_t size);
    /* Takes a connection over: sets its ops and owner. false without memory. NULL: refused, see `refusal`. */
    bool (*open)(msi_conn *conn, msi_call_host *host, const msi_protocol_config *config);
    /* No new calls; the connection ends itself when the open ones have. */
    void (*drain)(msi_conn *conn);
    /* What is counted when a protocol that is known, but not built, is met. */
    msgsrv_refusal refusal;
} msi_protocol;

#endif
