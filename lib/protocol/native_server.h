/* SPDX-License-Identifier: MIT */
/*
 * The native wire on the server's side: what its files share. native_server.c reads frames and keeps the session; native_call.c begins and ends
 * framed calls; native_plain.c does so for plain messages, which are answered in order.
 */
#ifndef MSI_PROTOCOL_NATIVE_SERVER_H
#define MSI_PROTOCOL_NATIVE_SERVER_H

#include "base/allowance.h"
#include "call/protocol.h"

extern const msi_protocol msi_native_protocol;

TAILQ_HEAD(msi_call_list, msgsrv_call);

/* Why reading is paused; several can hold at once. */
enum { MSI_PAUSE_OUTPUT = 1, MSI_PAUSE_PLAIN = 2 };

typedef struct msi_native_session {
    msi_conn *conn;
    msi_call_host *host;
    const msi_protocol_config *config;
    msi_method *last_method;    /* of the call before: mostly the next one's too */
    struct msi_call_list calls; /* framed calls that are open */
    struct msi_call_list plain; /* plain calls whose answer is not written, in the order in which they came */
    msi_outlet outlet;          /* where streams send */
    msi_idmap parked;           /* framed calls that outlived their handler, by id */
    uint64_t last_id;
    size_t plain_bytes; /* of finished answers in `plain` that wait for an earlier one */
    uint32_t open_calls;
    uint32_t plain_calls;
    uint8_t paused;
    bool framed; /* a frame of number 16 or above has come */
    bool draining;
    bool goaway; /* sent */
    bool ended;  /* no more input is looked at */
    msi_allowance pings;
    msi_allowance idle_frames;
} msi_native_session;

/* Begins a framed call. */
void msi_native_begin(msi_native_session *session, const msi_frame *frame);

/* Ends a call that never became one: just the answer. */
void msi_native_refuse(msi_native_session *session, uint64_t id, msgsrv_refusal why, msgsrv_status code,
                       const char *text);

/* Begins a plain call. */
void msi_native_plain(msi_native_session *session, uint32_t field, msi_view body);

/* Pauses or resumes reading for one of the reasons. */
void msi_native_pause(msi_native_session *session, uint8_t why);
void msi_native_unpause(msi_native_session *session, uint8_t why);

/* A call has ended: when it was the last one and no more may come, the connection ends. */
void msi_native_settled(msi_native_session *session);

/* Output that belongs to no call. false when the connection takes none any more. */
msi_buf *msi_native_out(msi_native_session *session);
void msi_native_put(msi_native_session *session, bool written);

/*
 * Writes a call's answer: its response, in the bound field for a plain message and in an End for a framed one; or for a failure an End, which for a
 * plain message (whose id is 0) has no id. false without memory.
 */
bool msi_native_answer(msgsrv_call *call, const msi_final *final, msi_buf *out);

#endif
