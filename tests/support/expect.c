/* SPDX-License-Identifier: MIT */
/*
 * The expectations of peer.h. What came instead is described in the failure, so that it need not be run again
 * to be understood.
 */
#include "peer.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_ROOM = 512, SHOWN_BYTES = 24 };

static void describe(const ts_peer *peer, const ts_frame *frame, char *text)
{
    int n;

    if (!frame) {
        snprintf(text, TEXT_ROOM, "%s", peer->reset ? "a reset" : "the end of the connection");
        return;
    }
    n = snprintf(text, TEXT_ROOM,
                 "%s %u id %llu code %u '%.80s' last_id %llu, body of %zu:", ts_frame_name(frame->number),
                 frame->number, (unsigned long long)frame->id, frame->code, frame->message,
                 (unsigned long long)frame->last_id, frame->body_size);
    for (size_t i = 0; i < frame->body_size && i < SHOWN_BYTES; i++)
        n += snprintf(text + n, TEXT_ROOM - (size_t)n, " %02x", frame->body[i]);
}

/* Fails with what was expected and what came. */
#define FAIL_INSTEAD(peer, frame, format, ...)                      \
    do {                                                            \
        char came_[TEXT_ROOM];                                      \
        describe(peer, frame, came_);                               \
        ts_fail("expected " format ", got %s", __VA_ARGS__, came_); \
    } while (0)

const ts_frame *ts_expect_frame_(ts_peer *peer, uint32_t number)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != number)
        FAIL_INSTEAD(peer, frame, "a frame %s (%u)", ts_frame_name(number), number);
    return frame;
}

const ts_frame *ts_expect_end_(ts_peer *peer, uint64_t id, uint32_t code)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != TS_END || frame->id != id || frame->code != code)
        FAIL_INSTEAD(peer, frame, "an End of id %llu with code %u", (unsigned long long)id, code);
    return frame;
}

static bool body_is(const ts_frame *frame, const ts_bytes *expected)
{
    return frame->has_body && frame->body_size == expected->size &&
           (!expected->size || !memcmp(frame->body, expected->data, expected->size));
}

/* An answer whose body is `expected`, which it releases. id 0: a plain one, in field `number`. */
static const ts_frame *expect_body(ts_peer *peer, uint32_t number, uint64_t id, ts_bytes *expected, const char *what)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != number || frame->id != id || frame->code || !body_is(frame, expected))
        FAIL_INSTEAD(peer, frame, "%s %u id %llu with a body of %zu bytes, the answer to %s", ts_frame_name(number),
                     number, (unsigned long long)id, expected->size, what);
    ts_bytes_release(expected);
    return frame;
}

const ts_frame *ts_expect_add_(ts_peer *peer, uint64_t id, int32_t result)
{
    ts_bytes body = {0};

    ts_put_add_response(&body, result);
    return expect_body(peer, TS_END, id, &body, "Add");
}

const ts_frame *ts_expect_echo_(ts_peer *peer, uint64_t id, const char *text)
{
    ts_bytes body = {0};

    ts_put_echo_message(&body, text);
    return expect_body(peer, TS_END, id, &body, "Echo");
}

const ts_frame *ts_expect_plain_add_(ts_peer *peer, int32_t result)
{
    ts_bytes body = {0};

    ts_put_add_response(&body, result);
    return expect_body(peer, TS_PLAIN_ADD, 0, &body, "add_request");
}

const ts_frame *ts_expect_plain_echo_(ts_peer *peer, const char *text)
{
    ts_bytes body = {0};

    ts_put_echo_message(&body, text);
    return expect_body(peer, TS_PLAIN_ECHO, 0, &body, "echo_message");
}

const ts_frame *ts_expect_plain_error_(ts_peer *peer, uint32_t code)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != TS_END || frame->has_id || frame->code != code || frame->has_body)
        FAIL_INSTEAD(peer, frame, "an End without id and body and with code %u", code);
    return frame;
}

const ts_frame *ts_expect_pong_(ts_peer *peer, const void *data, size_t size)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != TS_PONG || frame->body_size != size || (size && memcmp(frame->body, data, size)))
        FAIL_INSTEAD(peer, frame, "a Pong with the ping's %zu bytes", size);
    return frame;
}

const ts_frame *ts_expect_go_away_(ts_peer *peer, uint32_t code)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (!frame || frame->number != TS_GO_AWAY || frame->code != code || !frame->message[0])
        FAIL_INSTEAD(peer, frame, "a GoAway with code %u and a text", code);
    return frame;
}

void ts_expect_bytes_(ts_peer *peer, const ts_bytes *expected)
{
    const unsigned char *came;
    size_t unread;

    ts_peer_fill(peer, expected->size);
    came = peer->in.data + peer->taken;
    unread = peer->in.size - peer->taken;
    if (unread < expected->size)
        ts_fail("expected %zu bytes, got %zu and the end of the connection", expected->size, unread);
    for (size_t i = 0; i < expected->size; i++)
        if (came[i] != expected->data[i])
            ts_fail("byte %zu of %zu: expected %02x, got %02x", i, expected->size, expected->data[i], came[i]);
    peer->taken += expected->size;
}

void ts_expect_end_of_input_(ts_peer *peer)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (frame || peer->reset)
        FAIL_INSTEAD(peer, frame, "%s", "the end of the connection");
}

void ts_expect_gone_(ts_peer *peer)
{
    const ts_frame *frame = ts_peer_next(peer);

    if (frame)
        FAIL_INSTEAD(peer, frame, "%s", "the connection to be closed");
}
