/* SPDX-License-Identifier: MIT */
/*
 * See api_client_frame.h. It reads as loosely as protobuf does: what the client must not send is for each test to say.
 */
#include "api_client_frame.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { TAG_MAX = 5, VARINT_MAX = 10 };

/* Takes one field of the frame's inside. Returns the bytes that are left behind it. */
static size_t take_field(ts_frame *frame, const unsigned char *at, size_t left)
{
    uint64_t tag = 0, value = 0;
    size_t used = ts_get_varint(at, left, VARINT_MAX, &tag);
    ck_assert_msg(used > 0 && used <= TAG_MAX, "a field of the client's does not decode");
    size_t more = ts_get_varint(at + used, left - used, VARINT_MAX, &value);
    ck_assert_msg(more > 0 && more <= VARINT_MAX, "a field of the client's does not decode");
    used += more;
    if ((tag & 7) == TS_LENGTH) {
        ck_assert_uint_le(value, left - used);
        if (tag >> 3 == 15 || (frame->number != TS_CALL && tag >> 3 == 1)) {
            frame->body = at + used;
            frame->body_size = (size_t)value;
            frame->has_body = true;
        } else if (tag >> 3 == 2) {
            snprintf(frame->message, sizeof frame->message, "%.*s", (int)value, (const char *)at + used);
        }
        used += (size_t)value;
    } else if (tag >> 3 == 1) {
        frame->id = value;
        frame->has_id = true;
    } else if (frame->number == TS_CREDIT && tag >> 3 == 2) {
        frame->items = (uint32_t)value;
    } else if (frame->number == TS_CREDIT && tag >> 3 == 3) {
        frame->bytes = (uint32_t)value;
    } else if (tag >> 3 == 3) {
        frame->items = (uint32_t)value;
    }
    return left - used;
}

/* Whether a whole frame has come; sets its number, payload and the bytes of its head. */
static bool whole_frame(ts_peer *peer, size_t *head)
{
    const unsigned char *data = peer->in.data + peer->taken;
    size_t size = peer->in.size - peer->taken;
    uint64_t tag = 0, length = 0;
    size_t tag_size = size > 0 ? ts_get_varint(data, size, TAG_MAX, &tag) : 0;
    size_t length_size = tag_size > 0 ? ts_get_varint(data + tag_size, size - tag_size, TAG_MAX, &length) : 0;
    if (tag_size == 0 || length_size == 0)
        return false;
    ck_assert_uint_eq(tag & 7, TS_LENGTH);
    *head = tag_size + length_size;
    if (size - *head < length)
        return false;
    memset(&peer->frame, 0, offsetof(ts_frame, metadata));
    peer->frame.number = (uint32_t)(tag >> 3);
    peer->frame.payload = data + *head;
    peer->frame.payload_size = (size_t)length;
    return true;
}

const ts_frame *api_client_frame_or_end(ts_peer *peer)
{
    size_t head = 0;
    while (!whole_frame(peer, &head)) {
        size_t had = peer->in.size - peer->taken;
        ts_peer_fill(peer, had + 1);
        if (peer->in.size - peer->taken <= had)
            return NULL;
    }
    ts_frame *frame = &peer->frame;
    const unsigned char *end = frame->payload + frame->payload_size;
    for (size_t left = frame->payload_size; left > 0;)
        left = take_field(frame, end - left, left);
    peer->taken += head + frame->payload_size;
    return frame;
}

const ts_frame *api_client_frame_at(ts_peer *peer, uint32_t number, const char *file, int line)
{
    const ts_frame *frame = api_client_frame_or_end(peer);
    if (frame == NULL)
        ck_abort_msg("%s:%d: the client has closed the connection, and has not sent a %s", file, line,
                     ts_frame_name(number));
    if (frame->number != number)
        ck_abort_msg("%s:%d: the client sent a %s, not a %s", file, line, ts_frame_name(frame->number),
                     ts_frame_name(number));
    return frame;
}
