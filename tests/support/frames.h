/* SPDX-License-Identifier: MIT */
/*
 * The frames of the native wire (docs/protocol.md), written and read by hand and apart from lib/wire. The
 * writers put whatever a test asks for; the reader is strict: it fails the test for anything that the
 * document does not let a server write.
 */
#ifndef TESTS_SUPPORT_FRAMES_H
#define TESTS_SUPPORT_FRAMES_H

#include "bytes.h"

enum {
    TS_PLAIN_ECHO = 1, /* the bindings that server.h makes */
    TS_PLAIN_ADD = 2,
    TS_CALL = 16,
    TS_ITEM = 17,
    TS_END = 18,
    TS_CANCEL = 19,
    TS_CREDIT = 20,
    TS_PING = 21,
    TS_PONG = 22,
    TS_GO_AWAY = 23,
    TS_HEAD = 24,
    TS_UNKNOWN = 25
};

#define TS_ADD "/messages.Demo/Add"
#define TS_ECHO "/messages.Demo/Echo"

/* Metadata to be sent. */
typedef struct ts_pair {
    const char *key;
    const void *value;
    size_t size; /* bytes of value */
} ts_pair;

/* A Call to be sent; zero members are left out of the frame. */
typedef struct ts_call {
    uint64_t id;
    const char *method; /* NULL: left out */
    uint32_t timeout_ms;
    const ts_pair *metadata;
    size_t metadata_count;
    uint32_t credit;
    bool streaming;
    uint32_t credit_bytes;
    bool no_credit;       /* credit 0, written out: the server may send no item at first */
    bool no_credit_bytes; /* the same of credit_bytes */
    const void *body;     /* NULL: left out */
    size_t body_size;
} ts_call;

void ts_put_call(ts_bytes *out, const ts_call *call);
void ts_put_call_fields(ts_bytes *out, const ts_call *call); /* what is inside the frame */
void ts_put_call_add(ts_bytes *out, uint64_t id, int32_t a, int32_t b);
void ts_put_call_echo(ts_bytes *out, uint64_t id, const char *text);
void ts_put_item(ts_bytes *out, uint64_t id, const void *body, size_t size);
void ts_put_end(ts_bytes *out, uint64_t id);
void ts_put_end_status(ts_bytes *out, uint64_t id, uint32_t code, const char *message, const void *body, size_t size);
void ts_put_cancel(ts_bytes *out, uint64_t id);
void ts_put_credit(ts_bytes *out, uint64_t id, uint32_t items, uint32_t bytes);
void ts_put_ping(ts_bytes *out, const void *data, size_t size);
void ts_put_pong(ts_bytes *out, const void *data, size_t size);
void ts_put_go_away(ts_bytes *out, uint32_t code, const char *message, uint64_t last_id);
void ts_put_head(ts_bytes *out, uint64_t id, const ts_pair *metadata, size_t count);
void ts_put_metadata(ts_bytes *out, uint32_t number, const ts_pair *pair);
void ts_put_frame_header(ts_bytes *out, uint32_t number, uint64_t length);

/* Message bodies, and the plain messages that are nothing but them. */
void ts_put_add_request(ts_bytes *out, int32_t a, int32_t b);
void ts_put_add_response(ts_bytes *out, int32_t result);
void ts_put_echo_message(ts_bytes *out, const char *text);
void ts_put_plain_add(ts_bytes *out, int32_t a, int32_t b);
void ts_put_plain_echo(ts_bytes *out, const char *text);

enum { TS_MESSAGE_ROOM = 1024, TS_METADATA_ROOM = 256, TS_KEY_ROOM = 65 };

typedef struct ts_entry {
    char key[TS_KEY_ROOM];
    const unsigned char *value; /* a view, as long as the frame's */
    size_t size;
} ts_entry;

/* One field of the connection, as the server sent it; members that the frame does not have are zero. */
typedef struct ts_frame {
    uint32_t number;
    const unsigned char *payload; /* a view of the bytes that were read */
    size_t payload_size;
    uint64_t id;
    bool has_id;
    uint32_t code;
    char message[TS_MESSAGE_ROOM];
    bool has_body;
    const unsigned char *body; /* a view; a plain message's whole payload */
    size_t body_size;
    uint64_t last_id;
    uint32_t items;
    uint32_t bytes;
    size_t metadata_count;
    ts_entry metadata[TS_METADATA_ROOM]; /* only metadata_count of them are set */
} ts_frame;

/* Reads the frame at `data`. Returns its bytes, or 0 when it is not all there yet. */
size_t ts_frame_read(const unsigned char *data, size_t size, ts_frame *frame);

const char *ts_frame_name(uint32_t number);
const ts_entry *ts_frame_find(const ts_frame *frame, const char *key); /* NULL when there is none */

#endif
