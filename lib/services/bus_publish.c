/* SPDX-License-Identifier: MIT */
/* Publish and PublishStream. */
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "services/bus_service.h"

#define BATCH 64u /* publications that are accepted under one lock */

enum { /* fields of the requests and responses */
       PUBLISH_PUBLICATION = 1,
       PUBLISH_PUBLISHER = 2,
       PUBLISHED_SEQUENCE = 1,
       PUBLISHED_EPOCH = 2,
       PUBLISHED_DUPLICATE = 3,
       STREAM_PUBLICATIONS = 1,
       STREAM_LAST = 1,
       STREAM_REFUSALS = 2,
       STREAM_RECEIPTS = 3,
};

/* ---- Publish ---- */

typedef struct publish_request {
    msi_view publication;
    msi_view publisher;
} publish_request;

static const msi_bus_field publish_fields[] = {
    MSI_BUS_FIELD(publish_request, PUBLISH_PUBLICATION, BYTES, publication),
    MSI_BUS_FIELD(publish_request, PUBLISH_PUBLISHER, TEXT, publisher),
};
static const msi_bus_message publish_message = MSI_BUS_MESSAGE("PublishRequest", publish_fields);

msgsrv_status msi_bus_get_published(const msi_bus_service *service, msgsrv_call *call, const void *request,
                                    msi_bus_published *published, msgsrv_error *error)
{
    publish_request parsed;
    char name[MSI_BUS_NAME_SIZE];
    msgsrv_peer peer;
    msgsrv_status status = msi_bus_parse(&publish_message, msi_bus_view(request), &parsed, error);
    if (status == MSGSRV_OK)
        status = msi_bus_take_name(parsed.publisher, name, error);
    if (status == MSGSRV_OK)
        status = msi_bus_get_publication(parsed.publication, &published->publication, error);
    if (status)
        return status;
    published->publisher = msi_publisher_new(service->core, name, msi_bus_peer(call, &peer));
    if (published->publisher)
        return MSGSRV_OK;
    msi_bus_drop_publication(&published->publication);
    return msi_error_memory(error);
}

void msi_bus_drop_published(msi_bus_published *published)
{
    msi_publisher_free(published->publisher);
    msi_bus_drop_publication(&published->publication);
}

msgsrv_status msi_serve_publish(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    msi_bus_published published;
    msgsrv_receipt receipt;
    msgsrv_error error;
    msgsrv_status status = msi_bus_get_published(ctx, call, request, &published, &error);
    if (status)
        return msi_bus_failed(call, status, &error);
    status = msi_core_publish(published.publisher, &published.publication.is, &receipt, &error);
    msi_bus_drop_published(&published);
    if (status)
        return msi_bus_failed(call, status, &error);
    msi_writer answer = {0};
    msi_bus_put_number(&answer, PUBLISHED_SEQUENCE, receipt.sequence);
    msi_bus_put_fixed64(&answer, PUBLISHED_EPOCH, receipt.epoch);
    msi_bus_put_number(&answer, PUBLISHED_DUPLICATE, receipt.duplicate);
    return msi_bus_answer(call, &answer, response);
}

/* ---- PublishStream; on the stream's loop ---- */

typedef struct publish_stream {
    msi_bus_intake intake;
    const msi_bus_service *service;
    msi_publisher *publisher; /* from the first message on */
    bool receipts;            /* are wanted */
    bool finishing;           /* the client sends no more */
    bool draining;
} publish_stream;

/* Publications whose form is good, and perhaps the one behind them, whose form is not. */
typedef struct batch {
    uint32_t count;
    msgsrv_status bad; /* OK: there is none */
    msgsrv_error error;
    msi_bus_publication publications[BATCH];
} batch;

static uint64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Reads publications until the batch is full, or one is bad. */
static const uint8_t *collect(const publish_stream *own, batch *into, const uint8_t *at, const uint8_t *end)
{
    into->count = 0;
    into->bad = MSGSRV_OK;
    while (at < end && into->count < BATCH && into->bad == MSGSRV_OK) {
        msi_wire_field field;
        msi_bus_publication *next = &into->publications[into->count];
        at = msi_wire_field_get(at, end, &field);
        if (!at)
            return end; /* the form was checked before */
        if (field.number != STREAM_PUBLICATIONS)
            continue;
        into->bad = msi_bus_get_publication(field.bytes, next, &into->error);
        if (into->bad)
            break;
        if (msi_payload_valid(next->is.payload)) {
            into->count++;
            continue;
        }
        /* The core says and counts it. */
        into->bad = msi_core_publish(own->publisher, &next->is, NULL, &into->error);
        msi_bus_drop_publication(next);
    }
    return at;
}

static void refuse(publish_stream *own, msgsrv_status code, const msgsrv_error *error)
{
    msi_bus_put_refusal(&own->intake.answers, STREAM_REFUSALS, own->intake.last, code, error->text);
}

static void publish_batch(publish_stream *own, batch *of)
{
    msgsrv_receipt receipt;
    msgsrv_error error;
    uint64_t now = of->count ? wall_us() : 0;
    if (of->count)
        msi_core_lock(own->service->core);
    for (uint32_t i = 0; i < of->count; i++) {
        msgsrv_status status = msi_core_publish_locked(own->publisher, &of->publications[i].is, now, &receipt, &error);
        own->intake.last++;
        own->intake.burst++;
        if (status)
            refuse(own, status, &error);
        else if (own->receipts)
            msi_bus_put_receipt(&own->intake.answers, STREAM_RECEIPTS, own->intake.last, &receipt);
    }
    if (of->count)
        msi_core_unlock(own->service->core);
    for (uint32_t i = 0; i < of->count; i++)
        msi_bus_drop_publication(&of->publications[i]);
    if (of->bad) {
        own->intake.last++;
        own->intake.burst++;
        refuse(own, of->bad, &of->error);
    }
}

static const uint8_t *handle(void *ctx, const uint8_t *at, const uint8_t *end)
{
    publish_stream *own = ctx;
    batch of;
    while (at < end && !msi_bus_intake_full(&own->intake)) {
        at = collect(own, &of, at, end);
        publish_batch(own, &of);
    }
    return at;
}

typedef struct stream_request {
    msi_bus_list publications;
    msi_view publisher;
    bool receipts;
} stream_request;

static const msi_bus_field stream_fields[] = {
    MSI_BUS_FIELD(stream_request, STREAM_PUBLICATIONS, LIST, publications),
    MSI_BUS_FIELD(stream_request, 2, TEXT, publisher),
    MSI_BUS_FIELD(stream_request, 3, BOOL, receipts),
};
static const msi_bus_message stream_message = MSI_BUS_MESSAGE("PublishStreamRequest", stream_fields);

/* What is said beside the publications. */
static msgsrv_status take_head(publish_stream *own, msgsrv_stream *stream, const stream_request *request,
                               msgsrv_error *error)
{
    own->receipts = own->receipts || request->receipts;
    if (own->publisher)
        return request->publisher.size
                   ? msi_error(error, MSGSRV_INVALID_ARGUMENT, "the publisher is named in the first message, if at all")
                   : MSGSRV_OK;
    char name[MSI_BUS_NAME_SIZE];
    msgsrv_peer peer;
    msgsrv_status status = msi_bus_take_name(request->publisher, name, error);
    if (status)
        return status;
    own->publisher = msi_publisher_new(own->service->core, name, msi_bus_peer(msgsrv_stream_call(stream), &peer));
    return own->publisher ? MSGSRV_OK : msi_error_memory(error);
}

static msgsrv_status take_message(publish_stream *own, msgsrv_stream *stream, const msgsrv_bytes *message)
{
    msgsrv_error error;
    stream_request request = {.receipts = false};
    msgsrv_status status = msi_bus_parse(&stream_message, msi_bus_view(message), &request, &error);
    if (status == MSGSRV_OK)
        status = take_head(own, stream, &request, &error);
    if (status)
        return msgsrv_stream_fail(stream, status, "%s", error.text);
    return msi_bus_intake_message(&own->intake, stream, msi_bus_view(message), handle, own);
}

/* Sends the answers to all that was taken, if they can be sent now. */
static msgsrv_status answer(publish_stream *own, msgsrv_stream *stream)
{
    msi_bus_intake *intake = &own->intake;
    if (!msi_bus_intake_owes(intake) || !msgsrv_stream_ask_to_send(stream))
        return MSGSRV_OK;
    msi_bus_put_number(&intake->answers, STREAM_LAST, intake->last);
    msgsrv_status status = msi_bus_send(stream, &intake->answers);
    if (status == MSGSRV_OK)
        msi_bus_intake_told(intake);
    return status;
}

static msgsrv_status go_on(publish_stream *own, msgsrv_stream *stream)
{
    msgsrv_status status = answer(own, stream);
    if (status == MSGSRV_OK && !own->draining)
        status = msi_bus_intake_go_on(&own->intake, stream, handle, own);
    if (status || msi_bus_intake_owes(&own->intake))
        return status;
    if (own->draining)
        return msgsrv_stream_fail(stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    if (own->finishing)
        (void)msgsrv_stream_finish(stream);
    return MSGSRV_OK;
}

static msgsrv_status begin(const msi_bus_service *service, msgsrv_stream *stream)
{
    publish_stream *own = calloc(1, sizeof *own);
    if (!own)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    own->service = service;
    msgsrv_stream_set_data(stream, own);
    return MSGSRV_OK;
}

static void closed(publish_stream *own)
{
    msi_publisher_free(own->publisher);
    msi_bus_intake_release(&own->intake);
    free(own);
}

msgsrv_status msi_serve_publish_stream(const void *none, msgsrv_stream *stream, msgsrv_stream_event event,
                                       const void *in, void *out, void *ctx)
{
    (void)none;
    (void)out;
    publish_stream *own = msgsrv_stream_data(stream);
    if (event == MSGSRV_STREAM_BEGIN)
        return begin(ctx, stream);
    if (!own)
        return MSGSRV_OK;
    switch (event) {
    case MSGSRV_STREAM_MESSAGE:
        return take_message(own, stream, in);
    case MSGSRV_STREAM_HALF_CLOSE:
        own->finishing = true;
        return go_on(own, stream);
    case MSGSRV_STREAM_DRAINING:
        own->draining = true;
        return go_on(own, stream);
    case MSGSRV_STREAM_CLOSED:
        closed(own);
        return MSGSRV_OK;
    case MSGSRV_STREAM_WRITABLE:
    case MSGSRV_STREAM_WOKEN:
    case MSGSRV_STREAM_BEGIN:
        break;
    }
    return go_on(own, stream);
}
