/* SPDX-License-Identifier: MIT */
/*
 * gRPC's messages inside HTTP/2's DATA: each is a byte that says whether it is compressed, its length in four bytes, and its bytes. And gzip, the
 * one compression that all implementations have. Pure; any thread.
 */
#ifndef MSI_PROTOCOL_GRPC_MESSAGE_H
#define MSI_PROTOCOL_GRPC_MESSAGE_H

#include <msgsrv/status.h>

#include "base/buf.h"
#include "wire/varint.h"

#define MSI_GRPC_PREFIX 5u

/*
 * Takes messages out of a direction's bytes. All zero at first. A message that lies whole in what it is given is not copied; of one that does not, the
 * part that has come is kept, and memory grows with what came, never with what was announced.
 */
typedef struct msi_grpc_reader {
    uint8_t head[MSI_GRPC_PREFIX]; /* of the unfinished message */
    uint8_t head_size;
    bool returned;   /* `body` was shown as a message, and is to be emptied */
    uint32_t length; /* of the unfinished message, once the head is whole */
    msi_buf body;    /* what came of it */
} msi_grpc_reader;

typedef enum msi_grpc_read {
    MSI_GRPC_MESSAGE,  /* *message is a view of the data or of the reader, valid until the next call */
    MSI_GRPC_MORE,     /* everything was taken */
    MSI_GRPC_TOO_LONG, /* the length is over the limit; the reader is of no more use */
    MSI_GRPC_NO_ROOM,  /* too much of other messages waits; never said by the reader itself */
    MSI_GRPC_BAD_FLAG, /* the first byte is neither 0 nor 1; likewise */
    MSI_GRPC_MEMORY    /* likewise */
} msi_grpc_read;

/* Takes bytes from the front of *data until a message is whole; call it until it says MORE. */
msi_grpc_read msi_grpc_read_next(msi_grpc_reader *reader, msi_view *data, uint32_t limit, msi_view *message,
                                 bool *compressed);

/* Bytes of the unfinished message that are still to come, as far as is known; 0 between messages and inside a prefix. */
size_t msi_grpc_reader_missing(const msi_grpc_reader *reader);

/* Whether a message has begun and not ended. */
bool msi_grpc_reader_inside(const msi_grpc_reader *reader);

void msi_grpc_reader_release(msi_grpc_reader *reader);

/* A message that is being appended to a buffer: its prefix is reserved, then its bytes are appended, then it is closed. */
bool msi_grpc_prefix_open(msi_buf *out, size_t *start);
void msi_grpc_prefix_close(msi_buf *out, size_t start, bool compressed);

/*
 * Appends what gzip (or zlib's format, which is "deflate") data contains, at most `limit` bytes: RESOURCE_EXHAUSTED over that or without memory, INTERNAL
 * for data that is broken. On failure the buffer is as it was.
 */
msgsrv_status msi_gunzip(msi_view data, uint32_t limit, msi_buf *out, msgsrv_error *error);

/* Replaces the bytes from `start` on by their gzip. false, with the buffer as it was, without memory or when that is no shorter. */
bool msi_gzip_tail(msi_buf *out, size_t start);

#endif
