/* SPDX-License-Identifier: MIT */
/* Unary calls by the Connect protocol, https://connectrpc.com/docs/protocol, inside HTTP/1.1. */
#ifndef MSI_PROTOCOL_CONNECT_H
#define MSI_PROTOCOL_CONNECT_H

#include "protocol/http1.h"

/* Checks what a call's head says; rejects what cannot be served. */
void msi_connect_check(msi_http_session *session);

/* Makes a call of a request that has come as a whole. */
void msi_connect_begin(msi_http_session *session);

/* The name of a code, "not_found", and its HTTP status. */
const char *msi_connect_code(msgsrv_status code);
unsigned msi_connect_status(msgsrv_status code);

/* ---- connect_fields.c: metadata as headers ---- */

/* Adds a header to the metadata of a request. */
msgsrv_status msi_connect_take_field(msgsrv_metadata_set *set, msi_view name, msi_view value, uint32_t limit,
                                     msgsrv_error *error);

/* Appends a set as header lines, each name behind `prefix`. What is HTTP's own is left out. false without memory. */
bool msi_connect_put_fields(msi_buf *out, const char *prefix, const msgsrv_metadata_set *set);

/* ---- connect_gzip.c ---- */

/* OK; INVALID_ARGUMENT for what is not gzip; RESOURCE_EXHAUSTED over the limit or without memory. */
msgsrv_status msi_connect_gunzip(const msi_buf *from, size_t limit, msi_buf *to, msgsrv_error *error);

/* false without memory. */
bool msi_connect_gzip(const void *data, size_t size, msi_buf *to);

#endif
