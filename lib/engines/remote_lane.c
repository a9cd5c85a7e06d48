/* SPDX-License-Identifier: MIT */
/*
 * A lane: numbered requests that are collected, sent on a stream in their order, and answered cumulatively, in their order. Collecting is for
 * any thread, with the bus's lock; the rest is the loop's.
 *
 * A number is answered once. What is on its way when the stream is lost ends with what the stream ended with: it may have been accepted
 * or not. So does what was collected and not sent, so that the order of answers is the order of asking.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "engines/remote.h"

#define CHUNK_BYTES (32 * MSI_KIB) /* a message on the stream, but for a single request that is larger */
#define RING_FIRST 64u

struct msi_lane_chunk {
    msi_lane_chunk *next;
    msi_buf data;
    uint64_t count;
};

void msi_lane_init(msi_lane *lane, msi_remote *bus,
                   void (*tell)(msi_lane *lane, const msi_lane_entry *entry, const msi_lane_end *end))
{
    *lane = (msi_lane){.bus = bus, .tell = tell, .first = 1, .next = 1};
}

static void free_chunks(msi_lane_chunk *chunk)
{
    while (chunk) {
        msi_lane_chunk *next = chunk->next;
        msi_buf_release(&chunk->data);
        free(chunk);
        chunk = next;
    }
}

void msi_lane_release(msi_lane *lane)
{
    free_chunks(lane->chunks);
    free_chunks(lane->spare);
    free(lane->ring);
    msi_buf_release(&lane->head);
}

/* Collecting. */

static bool grow_ring(msi_lane *lane)
{
    size_t size = lane->ring_size ? lane->ring_size * 2 : RING_FIRST;
    msi_lane_entry *ring = calloc(size, sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t n = lane->first; n < lane->next; n++)
        ring[n & (size - 1)] = lane->ring[n & (lane->ring_size - 1)];
    free(lane->ring);
    lane->ring = ring;
    lane->ring_size = size;
    return true;
}

static msi_lane_chunk *new_chunk(msi_lane *lane)
{
    msi_lane_chunk *chunk = lane->spare;
    if (!chunk)
        return calloc(1, sizeof *chunk);
    lane->spare = NULL;
    chunk->next = NULL;
    chunk->data.len = 0;
    chunk->count = 0;
    return chunk;
}

msi_buf *msi_lane_room(msi_lane *lane, size_t size)
{
    if (msi_lane_unanswered(lane) == lane->ring_size && !grow_ring(lane))
        return NULL;
    msi_lane_chunk *chunk = lane->last_chunk;
    if (!chunk || (chunk->count && chunk->data.len + size > CHUNK_BYTES)) {
        chunk = new_chunk(lane);
        if (!chunk)
            return NULL;
        if (!msi_buf_reserve(&chunk->data, size)) {
            free_chunks(chunk);
            return NULL;
        }
        if (lane->last_chunk)
            lane->last_chunk->next = chunk;
        else
            lane->chunks = chunk;
        lane->last_chunk = chunk;
    }
    return msi_buf_reserve(&chunk->data, size) ? &chunk->data : NULL;
}

void msi_lane_add(msi_lane *lane, msi_lane_entry entry)
{
    lane->ring[lane->next & (lane->ring_size - 1)] = entry;
    lane->next++;
    lane->last_chunk->count++;
}

static void lock(const msi_lane *lane)
{
    pthread_mutex_lock(&lane->bus->lock);
}

static void unlock(const msi_lane *lane)
{
    pthread_mutex_unlock(&lane->bus->lock);
}

/* Sending. */

void msi_lane_open(msi_lane *lane)
{
    lane->base = lane->sent;
    lane->head_sent = false;
    lane->receipts_asked = false;
    lane->ticking = false;
}

void msi_lane_attach(msi_lane *lane, msgsrv_stream *stream)
{
    lane->stream = stream;
    msi_lane_pump(lane);
}

static msi_lane_chunk *take_chunk(msi_lane *lane)
{
    lock(lane);
    msi_lane_chunk *chunk = lane->chunks;
    if (chunk && chunk->count) {
        lane->chunks = chunk->next;
        if (!lane->chunks)
            lane->last_chunk = NULL;
    } else {
        chunk = NULL;
    }
    unlock(lane);
    return chunk;
}

static void put_back(msi_lane *lane, msi_lane_chunk *chunk)
{
    lock(lane);
    chunk->next = lane->chunks;
    lane->chunks = chunk;
    if (!lane->last_chunk)
        lane->last_chunk = chunk;
    unlock(lane);
}

static void chunk_sent(msi_lane *lane, msi_lane_chunk *chunk)
{
    lane->sent += chunk->count;
    lock(lane);
    lane->waiting_bytes -= chunk->data.len < lane->waiting_bytes ? chunk->data.len : lane->waiting_bytes;
    chunk->next = NULL;
    if (!lane->spare && chunk->data.cap <= 2 * CHUNK_BYTES) {
        lane->spare = chunk;
        chunk = NULL;
    }
    unlock(lane);
    free_chunks(chunk);
}

static bool send_now(msi_lane *lane, const msi_buf *data, msgsrv_error *error)
{
    msgsrv_bytes bytes = {data->data, data->len, NULL};
    msgsrv_status status = msgsrv_stream_send(lane->stream, &bytes, error);
    /* An error but AGAIN is the end of the stream, or is made it here: what waits is then told so. */
    if (status != MSGSRV_OK && status != MSGSRV_AGAIN)
        (void)msgsrv_stream_fail(lane->stream, status, "%s", error->text);
    return status == MSGSRV_OK;
}

/* The first message; and that receipts are wanted, which may turn out later. */
static bool send_head(msi_lane *lane, msgsrv_error *error)
{
    if (!lane->head_sent && lane->head.len && !send_now(lane, &lane->head, error))
        return false;
    lane->head_sent = true;
    lock(lane);
    bool ask_now = lane->wants_receipts && !lane->receipts_asked;
    unlock(lane);
    if (!ask_now)
        return true;
    uint8_t ask[] = {3 << 3 | MSI_WIRE_VARINT, 1};
    lane->receipts_asked = send_now(lane, &(msi_buf){ask, sizeof ask, sizeof ask}, error);
    return lane->receipts_asked;
}

static uint32_t tick_ms(const msi_lane *lane)
{
    return lane->bus->timeout_ms / 2 + 1;
}

void msi_lane_pump(msi_lane *lane)
{
    msgsrv_error error = {.text = ""};
    msi_lane_chunk *chunk;
    if (!lane->stream || !send_head(lane, &error))
        return;
    while (lane->stream && (chunk = take_chunk(lane)) != NULL) {
        if (!send_now(lane, &chunk->data, &error)) {
            put_back(lane, chunk);
            break;
        }
        chunk_sent(lane, chunk);
    }
    lock(lane);
    bool waits = msi_lane_unanswered(lane) != 0;
    unlock(lane);
    if (lane->stream && !lane->ticking && waits) {
        lane->ticking = true;
        lane->marks[0] = lane->marks[1] = 0;
        msgsrv_stream_wake_after(lane->stream, tick_ms(lane));
    }
}

void msi_lane_tick(msi_lane *lane)
{
    lock(lane);
    uint64_t first = lane->first;
    uint64_t next = lane->next;
    unlock(lane);
    lane->ticking = false;
    if (!lane->stream || first == next)
        return;
    if (first < lane->marks[0]) {
        (void)msgsrv_stream_fail(lane->stream, MSGSRV_DEADLINE_EXCEEDED, "the server has not answered for %u ms",
                                 lane->bus->timeout_ms);
        return;
    }
    lane->ticking = true;
    lane->marks[0] = lane->marks[1];
    lane->marks[1] = next;
    msgsrv_stream_wake_after(lane->stream, tick_ms(lane));
}

/* Answers. */

/* Takes the oldest out; false when all up to `last` are. */
static bool take_entry(msi_lane *lane, uint64_t last, msi_lane_entry *entry)
{
    lock(lane);
    bool found = lane->first <= last && lane->first < lane->next;
    if (found)
        *entry = lane->ring[lane->first++ & (lane->ring_size - 1)];
    unlock(lane);
    return found;
}

/* Goes through the refusals or the receipts of an answer, which are in the order of their numbers. */
typedef struct cursor {
    msi_reader reader;
    uint32_t field;
    uint64_t number; /* of the one that was read; UINT64_MAX: there are no more */
    msi_view body;
} cursor;

static uint64_t number_of(msi_view from)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 1, MSI_WIRE_VARINT))
            return field.value;
    }
    return 0;
}

/* false: numbers do not grow. */
static bool cursor_next(cursor *at)
{
    msi_wire_field field;
    while (msi_read_next(&at->reader, &field)) {
        if (at->field == 0 || !msi_is(&field, at->field, MSI_WIRE_BYTES))
            continue;
        uint64_t number = number_of(field.bytes);
        if (number <= at->number)
            return false;
        at->number = number;
        at->body = field.bytes;
        return true;
    }
    at->number = UINT64_MAX;
    return !at->reader.failed;
}

static void read_refusal(msi_view from, msgsrv_error *error)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    uint64_t code = MSGSRV_UNKNOWN;
    msi_view text = {(const uint8_t *)"", 0};
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 2, MSI_WIRE_VARINT))
            code = field.value;
        else if (msi_is(&field, 3, MSI_WIRE_BYTES))
            text = field.bytes;
    }
    bool known = code > 0 && code < MSGSRV_STATUS_COUNT;
    msi_error_set(error, known ? (msgsrv_status)code : MSGSRV_UNKNOWN, true, (const char *)text.data, text.size);
}

static void read_receipt(msi_view from, msgsrv_receipt *receipt)
{
    msi_reader reader = msi_read(from);
    msi_wire_field field;
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, 2, MSI_WIRE_VARINT))
            receipt->sequence = field.value;
        else if (msi_is(&field, 3, MSI_WIRE_FIXED64))
            receipt->epoch = field.value;
        else if (msi_is(&field, 4, MSI_WIRE_VARINT))
            receipt->duplicate = field.value != 0;
    }
}

/* Looks at the whole answer before anything of it is told. */
static bool look(const msi_lane *lane, msi_view fields, uint32_t last_field, uint32_t refusals_field,
                 uint32_t receipts_field, uint64_t *last)
{
    msi_reader reader = msi_read(fields);
    msi_wire_field field;
    uint64_t said = 0;
    while (msi_read_next(&reader, &field)) {
        if (msi_is(&field, last_field, MSI_WIRE_VARINT))
            said = field.value;
    }
    *last = said + lane->base;
    if (reader.failed || said > lane->sent - lane->base)
        return false;
    const uint32_t lists[] = {refusals_field, receipts_field};
    for (size_t i = 0; i < 2; i++) {
        cursor at = {.reader = msi_read(fields), .field = lists[i]};
        while (at.number != UINT64_MAX) {
            if (!cursor_next(&at))
                return false;
        }
    }
    return true;
}

/* The cursor's entry for a number, which may have been passed already when the server tells of old ones. */
static bool cursor_at(cursor *at, uint64_t number)
{
    while (at->number < number)
        (void)cursor_next(at);
    return at->number == number;
}

bool msi_lane_answer(msi_lane *lane, msi_view fields, uint32_t last_field, uint32_t refusals_field,
                     uint32_t receipts_field)
{
    uint64_t last;
    if (!look(lane, fields, last_field, refusals_field, receipts_field, &last))
        return false;
    cursor refusals = {.reader = msi_read(fields), .field = refusals_field};
    cursor receipts = {.reader = msi_read(fields), .field = receipts_field};
    msi_remote *bus = lane->bus;
    uint64_t number = lane->first; /* grows on this thread alone */
    msi_lane_entry entry;
    while (!msi_remote_closing(bus) && take_entry(lane, last, &entry)) {
        msgsrv_error error = {.code = MSGSRV_OK, .text = ""};
        msi_lane_end end = {.error = &error};
        uint64_t on_stream = number++ - lane->base;
        if (cursor_at(&refusals, on_stream))
            read_refusal(refusals.body, &error);
        else if (cursor_at(&receipts, on_stream))
            read_receipt(receipts.body, &end.receipt);
        lane->tell(lane, &entry, &end);
    }
    return true;
}

void msi_lane_lost(msi_lane *lane, const msgsrv_error *error)
{
    lock(lane);
    msi_lane_chunk *chunks = lane->chunks;
    lane->chunks = lane->last_chunk = NULL;
    lane->waiting_bytes = 0;
    uint64_t last = lane->next - 1;
    unlock(lane);
    lane->stream = NULL;
    lane->ticking = false;
    lane->sent = last;
    free_chunks(chunks);
    msi_lane_entry entry;
    msgsrv_error kept = *error;
    if (kept.code == MSGSRV_OK)
        (void)msi_error(&kept, MSGSRV_UNAVAILABLE, "the server has ended the stream");
    while (take_entry(lane, last, &entry))
        lane->tell(lane, &entry, &(msi_lane_end){.error = &kept});
}
