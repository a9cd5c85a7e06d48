/* SPDX-License-Identifier: MIT */
/*
 * gRPC's headers and trailers, as its document "gRPC over HTTP2" has them: what both ends write and read. Nothing here knows HTTP/2's frames;
 * a header is a name and a value. Pure; any thread.
 */
#ifndef MSI_PROTOCOL_GRPC_HEADERS_H
#define MSI_PROTOCOL_GRPC_HEADERS_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/metadata.h"
#include "wire/frame.h"

/* A list of headers that is being made. Names and values are views, but for those that list owns in `text`. */
typedef struct msi_headers {
    nghttp2_nv *list;
    size_t count;
    size_t room;
    msi_buf text; /* values that had to be made; an entry that has one holds its place in it until msi_headers_ready() */
    bool failed;  /* without memory: it is of no more use */
} msi_headers;

/* Empties it, keeping its memory; and frees that. */
void msi_headers_clear(msi_headers *headers);
void msi_headers_release(msi_headers *headers);

/* Adds a header whose name and value live until the list is used. */
void msi_headers_add(msi_headers *headers, const char *name, const char *value, size_t size);

/* The same with a copy of the value. */
void msi_headers_add_copy(msi_headers *headers, const char *name, const char *value, size_t size);

/* grpc-status, and grpc-message when there is a text, percent-encoded. */
void msi_headers_add_status(msi_headers *headers, msgsrv_status code, const char *text);

/* Copies of all entries of a set; may be NULL. Values of -bin keys in base64 without padding. */
void msi_headers_add_metadata(msi_headers *headers, const msgsrv_metadata_set *set);

/* grpc-timeout. 0 ms is written as what it means, that no time is left. */
void msi_headers_add_timeout(msi_headers *headers, uint64_t timeout_ms);

/* The list as nghttp2 takes it. false when it failed. */
bool msi_headers_ready(msi_headers *headers);

/* Reading. */

/* grpc-timeout: 1 to 8 digits and one of H M S m u n. In milliseconds rounded up, saturated to UINT32_MAX - 1; false if it is anything else. */
bool msi_grpc_timeout(msi_view value, uint32_t *ms);

/* grpc-status: a number; what is no code of gRPC's reads as UNKNOWN. */
msgsrv_status msi_grpc_status(msi_view value);

/* grpc-message: writes the text with %XX undone, ended by NUL, cut to the room; returns its length. It need not be UTF-8; a NUL in it becomes '?'. */
size_t msi_grpc_message_text(msi_view value, char *text, size_t room);

/* Whether a content-type is gRPC's, with protobuf messages: application/grpc, application/grpc+proto, either with parameters. */
bool msi_grpc_content_type(msi_view value);

/* Whether a list such as grpc-accept-encoding ("identity,deflate, gzip") has the token. */
bool msi_grpc_list_has(msi_view list, const char *token);

/*
 * Adds what came as a header to a set: for keys that end in -bin, base64 with padding or without, several values joined by commas; reserved keys
 * (grpc-, msgsrv-) are passed over, as are those of HTTP and gRPC themselves (see msi_grpc_reserved()). Errors as msi_metadata_receive().
 */
msgsrv_status msi_grpc_metadata_receive(msgsrv_metadata_set *set, msi_view key, msi_view value, uint32_t limit,
                                        msgsrv_error *error);

/* Whether a header belongs to HTTP or gRPC and is no metadata: ":…", content-type, te, user-agent, grpc-… */
bool msi_grpc_reserved(msi_view key);

/* Appends base64 without padding; appends what base64 (with padding or without) says, false for what is none or without memory. */
bool msi_base64_put(msi_buf *out, const void *data, size_t size);
bool msi_base64_get(msi_buf *out, msi_view text);

/* What an answer without gRPC's own status means: an HTTP status other than 200; the code of a RST_STREAM. */
msgsrv_status msi_grpc_status_of_http(unsigned status);
msgsrv_status msi_grpc_status_of_reset(uint32_t error_code);

/* And the way back: the code of the RST_STREAM that says a call's end to one who is still sending, or that a client cancels with. */
uint32_t msi_grpc_reset_of_status(msgsrv_status status);

#endif
