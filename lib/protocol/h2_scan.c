/* SPDX-License-Identifier: MIT */
/*
 * Guards: every frame's head is looked at before nghttp2 has it. A frame or a header block that is not whole stays where it is, so that the connection's time
 * limit for unfinished frames holds for it; what may be a flood is counted, and ends the connection when it is one.
 */
#include "protocol/h2.h"

#include "base/limits.h"

#define HEAD 9
#define FRAME_MAX 16384u  /* SETTINGS_MAX_FRAME_SIZE, which we leave as it is */
#define BLOCK_SLACK 4096u /* bytes that a header block may be longer than the list it makes */
#define BLOCK_FRAMES 8u   /* CONTINUATION frames of one */
#define PREFACE NGHTTP2_CLIENT_MAGIC_LEN

typedef struct frame_head {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    int32_t id;
} frame_head;

static frame_head get_head(const uint8_t *at)
{
    frame_head head;
    head.length = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
    head.type = at[3];
    head.flags = at[4];
    head.id = (int32_t)(((uint32_t)at[5] & 0x7f) << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8]);
    return head;
}

static uint64_t now(const msi_h2 *h2)
{
    return msi_loop_now(h2->conn->loop);
}

/* A frame that changes nothing: counted, and bounded. */
static bool idle(msi_h2 *h2)
{
    uint32_t rate = h2->limits.idle_frames_per_second;
    msi_count(&h2->conn->loop->counters.frames_without_effect, 1);
    if (msi_allow(&h2->idle_frames, now(h2), rate, rate))
        return true;
    msi_h2_fail(h2, MSGSRV_REFUSED_IDLE_FRAMES, NGHTTP2_ENHANCE_YOUR_CALM, "too many frames without effect");
    return false;
}

/* Pings that follow something of ours are how a peer measures the way, and free; those on an idle connection are few. */
static bool ping(msi_h2 *h2, const frame_head *head)
{
    if (head->flags & NGHTTP2_FLAG_ACK)
        return h2->role->server ? idle(h2) : true;
    bool free = h2->spoken;
    h2->spoken = false;
    if (!free && !msi_allow(&h2->pings, now(h2), h2->limits.pings_per_second, h2->limits.ping_burst)) {
        msi_h2_fail(h2, MSGSRV_REFUSED_PINGS, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
        return false;
    }
    msi_count(&h2->conn->loop->counters.pings, 1);
    return true;
}

static bool settings(msi_h2 *h2, const frame_head *head)
{
    if (head->flags & NGHTTP2_FLAG_ACK)
        return true; /* one that was not asked for is an error to nghttp2 */
    if (msi_allow(&h2->settings, now(h2), h2->limits.pings_per_second, h2->limits.ping_burst))
        return true;
    msi_h2_fail(h2, MSGSRV_REFUSED_SETTINGS, NGHTTP2_ENHANCE_YOUR_CALM, "too many settings");
    return false;
}

bool msi_h2_allow_reset(msi_h2 *h2)
{
    return msi_allow(&h2->resets, now(h2), h2->limits.resets_per_second, h2->limits.reset_burst);
}

static bool reset(msi_h2 *h2)
{
    if (msi_h2_allow_reset(h2))
        return true;
    msi_h2_fail(h2, MSGSRV_REFUSED_RESETS, NGHTTP2_ENHANCE_YOUR_CALM, "too many resets");
    return false;
}

/* They answer what we have sent; beyond that they have no effect that is worth their number. */
static bool window_update(msi_h2 *h2)
{
    if (h2->earned == 0)
        return idle(h2);
    h2->earned--;
    return true;
}

static bool data(msi_h2 *h2, const frame_head *head, const uint8_t *payload)
{
    uint32_t padding = 0;
    if (head->flags & NGHTTP2_FLAG_PADDED)
        padding = head->length ? payload[0] + 1u : 1;
    if (head->length > padding || (head->flags & NGHTTP2_FLAG_END_STREAM))
        return true;
    return idle(h2);
}

/* A header block must not grow without end: neither in bytes nor in frames. */
static bool block(msi_h2 *h2, const frame_head *head)
{
    bool first = head->type != NGHTTP2_CONTINUATION;
    h2->block_size = first ? head->length : h2->block_size + head->length;
    h2->block_frames = first ? 0 : h2->block_frames + 1;
    h2->block_id = head->flags & NGHTTP2_FLAG_END_HEADERS ? 0 : head->id;
    uint32_t most = h2->limits.max_header_list * 2 + BLOCK_SLACK;
    if (h2->block_size <= most && h2->block_frames <= BLOCK_FRAMES)
        return true;
    msi_h2_fail(h2, MSGSRV_REFUSED_HEADER_BLOCK, NGHTTP2_ENHANCE_YOUR_CALM, "a header block that is too long");
    return false;
}

/* Looks at a whole frame; false when the session has ended. */
static bool judge(msi_h2 *h2, const frame_head *head, const uint8_t *payload)
{
    if (h2->block_id && (head->type != NGHTTP2_CONTINUATION || head->id != h2->block_id)) {
        msi_h2_fail(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_PROTOCOL_ERROR, "a frame inside a header block");
        return false;
    }
    switch (head->type) {
    case NGHTTP2_DATA:
        return data(h2, head, payload);
    case NGHTTP2_HEADERS:
        return block(h2, head);
    case NGHTTP2_CONTINUATION:
        if (h2->block_id)
            return block(h2, head);
        msi_h2_fail(h2, MSGSRV_REFUSED_MALFORMED, NGHTTP2_PROTOCOL_ERROR, "a continuation of nothing");
        return false;
    case NGHTTP2_RST_STREAM:
        return reset(h2);
    case NGHTTP2_SETTINGS:
        return settings(h2, head);
    case NGHTTP2_PING:
        return ping(h2, head);
    case NGHTTP2_WINDOW_UPDATE:
        return window_update(h2);
    case NGHTTP2_GOAWAY:
        return h2->role->server ? idle(h2) : true;
    default: /* PRIORITY, PUSH_PROMISE, and what is not known */
        return idle(h2);
    }
}

size_t msi_h2_scan(msi_h2 *h2, const uint8_t *input, size_t size)
{
    size_t at = h2->whole;
    size_t ready = 0;
    if (!h2->preface) {
        if (size < PREFACE) {
            msi_conn_need(h2->conn, PREFACE);
            return 0;
        }
        h2->preface = true;
        ready = at = PREFACE;
    }
    while (size - at >= HEAD) {
        frame_head head = get_head(input + at);
        if (head.length > FRAME_MAX) {
            msi_h2_fail(h2, MSGSRV_REFUSED_FRAME_SIZE, NGHTTP2_FRAME_SIZE_ERROR, "a frame that is too long");
            return 0;
        }
        if (size - at < HEAD + head.length) {
            msi_conn_need(h2->conn, at - ready + HEAD + head.length);
            break;
        }
        if (!judge(h2, &head, input + at + HEAD))
            return 0;
        at += HEAD + head.length;
        if (h2->block_id == 0)
            ready = at;
    }
    h2->whole = at - ready;
    return ready;
}

bool msi_h2_may_be_late(const msi_h2 *h2, int32_t id)
{
    for (size_t i = 0; i < sizeof h2->early / sizeof *h2->early; i++) {
        if (h2->early[i] == id)
            return true;
    }
    return false;
}
