/* SPDX-License-Identifier: MIT */
/*
 * The native frames (docs/protocol.md, proto/msgsrv/wire.proto), coded by hand: bytes in, views out; values in, bytes
 * appended. Pure: no state, no allocation but the caller's buffer. Every view points into the caller's bytes.
 */
#ifndef MSI_WIRE_FRAME_H
#define MSI_WIRE_FRAME_H

#include "base/buf.h"
#include "base/metadata.h"
#include "wire/varint.h"

/* Field numbers of wire.proto's Stream. */
enum {
    MSI_FRAME_CALL = 16,
    MSI_FRAME_ITEM = 17,
    MSI_FRAME_END = 18,
    MSI_FRAME_CANCEL = 19,
    MSI_FRAME_CREDIT = 20,
    MSI_FRAME_PING = 21,
    MSI_FRAME_PONG = 22,
    MSI_FRAME_GOAWAY = 23,
    MSI_FRAME_HEAD = 24
};

/* Field number of a body, in every frame that has one. */
#define MSI_FRAME_BODY 15u

/* What the front of the input is. */
typedef enum msi_head_result {
    MSI_HEAD_MORE, /* cut off: wait for more */
    MSI_HEAD_OK,
    MSI_HEAD_WIRE_TYPE, /* not length-delimited, or field number 0 */
    MSI_HEAD_VARINT     /* a tag or length that is too long or not minimal */
} msi_head_result;

/* A tag and a length. */
typedef struct msi_head {
    uint32_t number; /* the field */
    uint32_t length; /* bytes of the payload */
    size_t size;     /* bytes of tag and length themselves */
} msi_head;

/* Reads the tag and length at the front. */
msi_head_result msi_head_get(const uint8_t *data, size_t size, msi_head *head);

/* The fields of any frame; those of other kinds keep their zeros. */
typedef struct msi_frame {
    uint64_t id;
    uint64_t last_id;
    msi_view method;
    msi_view message;
    msi_view data;
    msi_view body;
    msi_view payload; /* the whole, for msi_frame_metadata() */
    uint32_t code;
    uint32_t timeout_ms;
    uint32_t credit;
    uint32_t credit_bytes;
    uint32_t items;
    uint32_t bytes;
    uint32_t metadata_count;
    bool streaming;
    bool has_body;
    bool has_credit;
    bool has_credit_bytes;
} msi_frame;

/* Reads a frame's payload. false: it does not decode, strings that are not UTF-8 included. Unknown fields are skipped. */
bool msi_frame_get(uint32_t number, const uint8_t *payload, size_t size, msi_frame *frame);

/* Reads only the id, which must be the first field. 1: read; 0: cut off; -1: something else is first. */
int msi_frame_first_id(const uint8_t *payload, size_t size, uint64_t *id);

/* Reads the metadata of a frame that decodes, entry by entry: `at` begins as NULL and is moved. false after the last one. */
bool msi_frame_metadata(const msi_frame *frame, const uint8_t **at, msi_view *key, msi_view *value);

/* A frame whose body is being appended; between msi_*_open() and msi_frame_close(). */
typedef struct msi_open_frame {
    size_t start; /* of the frame in the buffer */
    size_t body;  /* where its body begins */
    uint32_t number;
    uint32_t fields;          /* bytes of the fields before the body */
    uint8_t length_size;      /* bytes left for the frame's length */
    uint8_t body_length_size; /* bytes left for the body's; 0 for a plain message, which is its own body */
} msi_open_frame;

/* What a final status carries besides its body. */
typedef struct msi_final {
    msgsrv_status code;
    const char *message;                /* NULL or "": none */
    const msgsrv_metadata_set *trailer; /* NULL: none */
} msi_final;

/* What a call grants the server for its items; 0 is the wire's own first grant. */
typedef struct msi_call_credit {
    uint32_t items;
    uint32_t bytes;
} msi_call_credit;

/*
 * Opening writes what is before the body, leaving room for lengths as a body of `hint` bytes needs them; the caller appends the body; closing
 * puts the lengths in, moving the body only when the hint was of another magnitude. So a message is never sized first.
 * All return false without memory, with the buffer as it was.
 */
bool msi_plain_open(msi_buf *out, uint32_t number, size_t hint, msi_open_frame *open);
bool msi_end_open(msi_buf *out, uint64_t id, const msi_final *final, size_t hint, msi_open_frame *open);
bool msi_call_open(msi_buf *out, uint64_t id, const char *method, uint32_t timeout_ms,
                   const msgsrv_metadata_set *metadata, const msi_call_credit *credit, size_t hint,
                   msi_open_frame *open);
bool msi_item_open(msi_buf *out, uint64_t id, size_t hint, msi_open_frame *open);
bool msi_frame_close(msi_buf *out, const msi_open_frame *open);

/* Whole frames without a body. An id of 0 is left out, as proto3 does. */
bool msi_end_put(msi_buf *out, uint64_t id, const msi_final *final);
bool msi_head_put(msi_buf *out, uint64_t id, const msgsrv_metadata_set *metadata);
bool msi_cancel_put(msi_buf *out, uint64_t id);
bool msi_credit_put(msi_buf *out, uint64_t id, uint32_t items, uint32_t bytes);
/* A Call whose requests are Items that follow. */
bool msi_streaming_call_put(msi_buf *out, uint64_t id, const char *method, uint32_t timeout_ms,
                            const msgsrv_metadata_set *metadata, const msi_call_credit *credit);
bool msi_ping_put(msi_buf *out, uint32_t number, const uint8_t *data, size_t size);
bool msi_goaway_put(msi_buf *out, msgsrv_status code, const char *message, uint64_t last_id);

#endif
