/* SPDX-License-Identifier: MIT */
/*
 * Consume. Deliveries go out as the client's credit and the prefetch allow; settlements come in, are done at once, and are confirmed cumulatively with
 * what goes out next, at the latest when the wake-up ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "services/bus_service.h"

#define PREFETCH_MAX 100000u
#define REASON_MAX 255u
#define WAIT_MAX_MS 3600000 /* then it looks again */

enum { /* fields */
       RESPONSE_DELIVERIES = 1,
       RESPONSE_SETTLED = 2,
       RESPONSE_REFUSALS = 3,
       RESPONSE_READY = 4,
       DELIVERY_ID = 1,
       DELIVERY_COUNT = 2,
       DELIVERY_EVENT = 3,
};

typedef struct consumer {
    msi_bus_intake intake; /* of settlements */
    msgsrv_stream *stream; /* a reference */
    const msi_bus_service *service;
    msi_taker *taker; /* from the first message on */
    bool ready_told;
    bool timed;     /* it will be woken by time */
    bool ended;     /* the queue was deleted */
    bool finishing; /* the client sends no more */
    bool draining;
} consumer;

/* ---- requests ---- */

typedef struct consume_request {
    msi_view queue;
    uint32_t prefetch;
    msi_view consumer;
    msi_bus_list settlements;
} consume_request;

static const msi_bus_field consume_fields[] = {
    MSI_BUS_FIELD(consume_request, 1, TEXT, queue),
    MSI_BUS_FIELD(consume_request, 2, U32, prefetch),
    MSI_BUS_FIELD(consume_request, 3, TEXT, consumer),
    MSI_BUS_FIELD(consume_request, 4, LIST, settlements),
};
static const msi_bus_message consume_message = MSI_BUS_MESSAGE("ConsumeRequest", consume_fields);

typedef struct settlement {
    uint64_t id;
    uint32_t kind;
    uint32_t delay_ms;
    msi_view reason;
} settlement;

static const msi_bus_field settlement_fields[] = {
    MSI_BUS_FIELD(settlement, 1, U64, id),
    MSI_BUS_FIELD(settlement, 2, U32, kind),
    MSI_BUS_FIELD(settlement, 3, U32, delay_ms),
    MSI_BUS_FIELD(settlement, 4, TEXT, reason),
};
static const msi_bus_message settlement_message = MSI_BUS_MESSAGE("Settlement", settlement_fields);

/* Cut at a character's end. */
static void copy_reason(char to[REASON_MAX + 1], msi_view from)
{
    size_t size = from.size < REASON_MAX ? from.size : REASON_MAX;
    while (size && size < from.size && (from.data[size] & 0xc0) == 0x80)
        size--;
    memcpy(to, from.data, size);
    to[size] = 0;
}

static msgsrv_status settle(const consumer *own, msi_view bytes, msgsrv_error *error)
{
    settlement parsed = {.id = 0};
    char reason[REASON_MAX + 1];
    msgsrv_status status = msi_bus_parse(&settlement_message, bytes, &parsed, error);
    if (status)
        return status;
    if (parsed.kind < MSGSRV_ACK || parsed.kind > MSGSRV_EXTEND)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "Settlement.kind is %u, which is none", parsed.kind);
    copy_reason(reason, parsed.reason);
    status = msi_taker_settle(own->taker, parsed.id, (msgsrv_settlement)parsed.kind, parsed.delay_ms,
                              reason[0] ? reason : NULL);
    return status ? msi_error(error, status, "delivery %llu is not, or no more, with this consumer",
                              (unsigned long long)parsed.id)
                  : MSGSRV_OK;
}

/* Does settlements, for the intake. */
static const uint8_t *handle(void *ctx, const uint8_t *at, const uint8_t *end)
{
    consumer *own = ctx;
    msi_bus_intake *intake = &own->intake;
    while (at < end && !msi_bus_intake_full(intake)) {
        msi_wire_field field;
        msgsrv_error error;
        at = msi_wire_field_get(at, end, &field);
        if (!at)
            return end; /* the form was checked before */
        if (field.number != 4)
            continue;
        msgsrv_status status = settle(own, field.bytes, &error);
        intake->last++;
        intake->burst++;
        if (status)
            msi_bus_put_refusal(&intake->answers, RESPONSE_REFUSALS, intake->last, status, error.text);
    }
    return at;
}

/* With the core's lock. */
static void on_ready(msi_taker *taker, void *ctx)
{
    (void)taker;
    consumer *own = ctx;
    msgsrv_stream_wake(own->stream);
}

static msgsrv_status consume(consumer *own, const consume_request *request, msgsrv_error *error)
{
    char name[MSI_BUS_NAME_SIZE];
    msgsrv_peer peer;
    if (request->prefetch > PREFETCH_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                         "ConsumeRequest.prefetch is %u, expected 1 to %u, or 0 for the default", request->prefetch,
                         PREFETCH_MAX);
    msgsrv_status status = msi_check_queue_name(request->queue, true, error);
    if (status == MSGSRV_OK)
        status = msi_bus_take_name(request->consumer, name, error);
    if (status)
        return status;
    msi_taker_spec spec = {
        .queue = request->queue,
        .prefetch = request->prefetch,
        .wants_bytes = true,
        .name = name,
        .peer = msi_bus_peer(msgsrv_stream_call(own->stream), &peer),
        .ready = on_ready,
        .ctx = own,
    };
    return msi_core_consume(own->service->core, &spec, &own->taker, error);
}

static msgsrv_status take_message(consumer *own, const msgsrv_bytes *message)
{
    msgsrv_error error;
    consume_request request = {.prefetch = 0};
    msgsrv_status status = msi_bus_parse(&consume_message, msi_bus_view(message), &request, &error);
    if (status == MSGSRV_OK && !own->taker) {
        status = consume(own, &request, &error);
        if (status == MSGSRV_OK)
            msgsrv_stream_wake(own->stream); /* for the first response */
    } else if (status == MSGSRV_OK && (request.queue.size || request.prefetch || request.consumer.size)) {
        status = msi_error(&error, MSGSRV_INVALID_ARGUMENT,
                           "queue, prefetch and consumer are for the first message of the call");
    }
    if (status)
        return msgsrv_stream_fail(own->stream, status, "%s", error.text);
    return msi_bus_intake_message(&own->intake, own->stream, msi_bus_view(message), handle, own);
}

/* ---- responses ---- */

static void put_delivery(msi_writer *response, const msi_queue_delivery *delivery)
{
    msi_event_extra extra = {.redelivered = delivery->count > 1};
    size_t event = msi_event_field_size(delivery->event, &extra);
    size_t head = 1 + msi_varint_size(delivery->id) + 1 + msi_varint_size(delivery->count);
    msi_write_head(response, RESPONSE_DELIVERIES, head + event);
    uint8_t *at = msi_write_room(response, head + event);
    if (!at)
        return;
    uint8_t *start = at;
    *at++ = DELIVERY_ID << 3 | MSI_WIRE_VARINT;
    at = msi_varint_put(at, delivery->id);
    *at++ = DELIVERY_COUNT << 3 | MSI_WIRE_VARINT;
    at = msi_varint_put(at, delivery->count);
    at = msi_event_put_field(at, DELIVERY_EVENT, delivery->event, &extra);
    response->size += (size_t)(at - start);
}

/* Takes what there is, up to a response's worth. */
static void put_deliveries(consumer *own, msi_writer *response)
{
    msi_queue_delivery delivery;
    size_t count = 0;
    while (!own->ended && count < MSI_BUS_RESPONSE_EVENTS && response->size < MSI_BUS_RESPONSE_SOFT) {
        if (msi_take_deliveries(own->taker, &delivery, 1, &own->ended) == 0)
            break;
        put_delivery(response, &delivery);
        count++;
    }
}

static void put_answers(const msi_bus_intake *intake, msi_writer *response)
{
    if (intake->last != intake->told)
        msi_bus_put_number(response, RESPONSE_SETTLED, intake->last);
    msi_write_raw(response, intake->answers.data, intake->answers.size);
}

/* Comes back by time for what becomes ready without being told. */
static void schedule(consumer *own)
{
    uint64_t due = own->ended ? 0 : msi_taker_due(own->taker);
    int64_t wait = msi_ms_until(due, msi_now());
    if (due)
        msgsrv_stream_wake_after(own->stream, wait < WAIT_MAX_MS ? (uint32_t)wait : WAIT_MAX_MS);
    else if (own->timed)
        msgsrv_stream_wake_after(own->stream, MSGSRV_NONE);
    own->timed = due != 0;
}

static msgsrv_status end_if_due(const consumer *own)
{
    if (msi_bus_intake_owes(&own->intake))
        return MSGSRV_OK;
    if (own->ended)
        return msgsrv_stream_fail(own->stream, MSGSRV_NOT_FOUND, "the queue was deleted");
    if (own->draining)
        return msgsrv_stream_fail(own->stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    if (own->finishing)
        (void)msgsrv_stream_finish(own->stream);
    return MSGSRV_OK;
}

/* One response. AGAIN: there is nothing to say. */
static msgsrv_status respond(consumer *own, msi_writer *response)
{
    if (!own->ready_told)
        msi_bus_put_number(response, RESPONSE_READY, 1);
    put_answers(&own->intake, response);
    if (own->ready_told && !own->finishing && !own->draining)
        put_deliveries(own, response);
    own->ready_told = true;
    if (!response->size && !response->no_memory)
        return MSGSRV_AGAIN;
    msi_bus_intake_told(&own->intake); /* or the stream has failed */
    return msi_bus_send(own->stream, response);
}

static msgsrv_status pump(consumer *own)
{
    msi_writer response = {0};
    msgsrv_status status = MSGSRV_OK;
    while (own->taker && status == MSGSRV_OK && msgsrv_stream_ask_to_send(own->stream))
        status = respond(own, &response);
    msi_writer_release(&response);
    if (status == MSGSRV_AGAIN)
        schedule(own);
    if (status == MSGSRV_OK || status == MSGSRV_AGAIN)
        status = msi_bus_intake_go_on(&own->intake, own->stream, handle, own);
    return status ? status : end_if_due(own);
}

/* ---- the stream ---- */

static msgsrv_status begin(const msi_bus_service *service, msgsrv_stream *stream)
{
    consumer *own = calloc(1, sizeof *own);
    if (!own)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    own->service = service;
    own->stream = msgsrv_stream_ref(stream);
    msgsrv_stream_set_data(stream, own);
    return MSGSRV_OK;
}

static void closed(consumer *own)
{
    if (own->taker)
        msi_taker_close(own->taker);
    msi_bus_intake_release(&own->intake);
    msgsrv_stream_unref(own->stream);
    free(own);
}

msgsrv_status msi_serve_consume(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                void *out, void *ctx)
{
    (void)none;
    (void)out;
    consumer *own = msgsrv_stream_data(stream);
    if (event == MSGSRV_STREAM_BEGIN)
        return begin(ctx, stream);
    if (!own)
        return MSGSRV_OK;
    switch (event) {
    case MSGSRV_STREAM_MESSAGE:
        return take_message(own, in);
    case MSGSRV_STREAM_CLOSED:
        closed(own);
        return MSGSRV_OK;
    case MSGSRV_STREAM_HALF_CLOSE:
        own->finishing = true;
        break;
    case MSGSRV_STREAM_DRAINING:
        own->draining = true;
        break;
    case MSGSRV_STREAM_WRITABLE:
    case MSGSRV_STREAM_WOKEN:
    case MSGSRV_STREAM_BEGIN:
        break;
    }
    return pump(own);
}
