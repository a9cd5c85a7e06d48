/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of the frame reader (lib/wire/frame.h): the input is a connection's bytes. Every view must lie
 * inside its frame, a header must not depend on what follows it, and what was read is written and read again
 * to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "wire/frame.h"

static void check_view(msi_view view, const uint8_t *payload, size_t size)
{
    FUZZ_CHECK(!view.size || (view.data >= payload && view.data <= payload + size));
    FUZZ_CHECK(!view.size || view.size <= (size_t)(payload + size - view.data));
}

static bool same(msi_view a, msi_view b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

/*
 * Cut off anywhere, a header is asked for again; no prefix of it is taken for a whole one or for a wrong one.
 */
static void check_prefixes(const uint8_t *data, size_t size)
{
    msi_head head;

    for (size_t i = 0; i < size; i++)
        FUZZ_CHECK(msi_head_get(data, i, &head) == MSI_HEAD_MORE);
}

static void check_metadata(const msi_frame *frame, size_t size)
{
    const uint8_t *at = NULL;
    msi_view key, value;
    uint32_t count = 0;

    while (msi_frame_metadata(frame, &at, &key, &value)) {
        check_view(key, frame->payload.data, size);
        check_view(value, frame->payload.data, size);
        count++;
    }
    FUZZ_CHECK(count == frame->metadata_count);
}

/* Reads what was written; it must be one whole frame of that number. */
static void read_again(const msi_buf *out, uint32_t number, msi_frame *frame)
{
    msi_head head;

    FUZZ_CHECK(msi_head_get(out->data, out->len, &head) == MSI_HEAD_OK);
    FUZZ_CHECK(head.number == number);
    FUZZ_CHECK(head.size + head.length == out->len);
    FUZZ_CHECK(msi_frame_get(number, out->data + head.size, head.length, frame));
}

static void write_end(msi_buf *out, const msi_frame *frame, msgsrv_status code, const char *text)
{
    msi_final final = {code, text, NULL};
    msi_open_frame open;

    if (!frame->has_body) {
        FUZZ_CHECK(msi_end_put(out, frame->id, &final));
        return;
    }
    /* The hint is wrong on purpose: closing must make room. */
    FUZZ_CHECK(msi_end_open(out, frame->id, &final, frame->body.size * (frame->id & 3), &open));
    FUZZ_CHECK(msi_buf_append(out, frame->body.data, frame->body.size));
    FUZZ_CHECK(msi_frame_close(out, &open));
}

static void check_end(const msi_frame *frame)
{
    msgsrv_status code = (msgsrv_status)(frame->code % MSGSRV_STATUS_COUNT);
    char text[64];
    msi_buf out = {0};
    msi_frame again;
    size_t size = frame->message.size < sizeof(text) - 1 ? frame->message.size : 0;

    if (size)
        memcpy(text, frame->message.data, size);
    text[size] = '\0';
    write_end(&out, frame, code, text);
    read_again(&out, MSI_FRAME_END, &again);
    FUZZ_CHECK(again.id == frame->id && again.code == code && again.has_body == frame->has_body);
    FUZZ_CHECK(!frame->has_body || same(again.body, frame->body));
    FUZZ_CHECK(again.message.size == strlen(text));
    msi_buf_release(&out);
}

static void check_call(const msi_frame *frame)
{
    char method[64];
    msi_buf out = {0};
    msi_frame again;
    msi_open_frame open;
    size_t size = frame->method.size < sizeof(method) - 1 ? frame->method.size : 0;

    if (size)
        memcpy(method, frame->method.data, size);
    method[size] = '\0';
    FUZZ_CHECK(msi_call_open(&out, frame->id, method, frame->timeout_ms, NULL, &(msi_call_credit){0},
                             frame->body.size / 2, &open));
    FUZZ_CHECK(msi_buf_append(&out, frame->body.data, frame->body.size));
    FUZZ_CHECK(msi_frame_close(&out, &open));
    read_again(&out, MSI_FRAME_CALL, &again);
    FUZZ_CHECK(again.id == frame->id && again.timeout_ms == frame->timeout_ms && same(again.body, frame->body));
    FUZZ_CHECK(again.method.size == strlen(method));
    msi_buf_release(&out);
}

static void check_ping(uint32_t number, const msi_frame *frame)
{
    msi_buf out = {0};
    msi_frame again;

    FUZZ_CHECK(msi_ping_put(&out, number, frame->data.data, frame->data.size));
    read_again(&out, number, &again);
    FUZZ_CHECK(same(again.data, frame->data));
    msi_buf_release(&out);
}

/* What a server does with a frame of this number; plain messages and unknown frames are not for this reader. */
static void check_frame(uint32_t number, const uint8_t *payload, size_t size)
{
    msi_frame frame;
    uint64_t id = 0;
    int first = msi_frame_first_id(payload, size, &id);

    FUZZ_CHECK(first >= -1 && first <= 1);
    if (!msi_frame_get(number, payload, size, &frame))
        return;
    check_view(frame.method, payload, size);
    check_view(frame.message, payload, size);
    check_view(frame.data, payload, size);
    check_view(frame.body, payload, size);
    if (number <= MSI_FRAME_END || number == MSI_FRAME_HEAD)
        check_metadata(&frame, size);
    if (number == MSI_FRAME_CALL)
        check_call(&frame);
    else if (number == MSI_FRAME_END)
        check_end(&frame);
    else if (number == MSI_FRAME_PING || number == MSI_FRAME_PONG)
        check_ping(number, &frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    msi_head head;

    while (msi_head_get(data, size, &head) == MSI_HEAD_OK) {
        FUZZ_CHECK(head.number > 0 && head.size >= 2 && head.size <= 10 && head.size <= size);
        check_prefixes(data, head.size);
        if (head.length > size - head.size)
            break;
        if (head.number >= MSI_FRAME_CALL && head.number <= MSI_FRAME_HEAD)
            check_frame(head.number, data + head.size, head.length);
        data += head.size + head.length;
        size -= head.size + head.length;
    }
    return 0;
}
