/* SPDX-License-Identifier: MIT */
/*
 * Subscribe. The core says, with its lock held, that there are events; the stream is woken, takes as many as go into one response, and sends it,
 * again and again as long as the client's credit and the connection's output allow. Nothing is taken that cannot be sent: what the
 * client does not read waits, and is dropped by its policy, in the core's queue.
 *
 * A member of a group gets one event in each response, and has got it when it has given back the response's credit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "services/bus_service.h"

#define SEEN_MAX 1000u
#define BYTES_MAX (256u * 1024u * 1024u) /* of one peer's subscription */
#define UNGOT_MAX 4096u                  /* events that a member of a group may have and not have got */

enum { /* fields */
       RESPONSE_EVENTS = 1,
       RESPONSE_GAP = 2,
       RESPONSE_POSITION = 3,
       RESPONSE_EPOCH = 4,
};

/* An event that a member of a group was sent. */
typedef struct ungot {
    uint64_t response; /* which of the stream's messages it was */
    uint64_t ticket;
} ungot;

typedef struct subscription {
    msgsrv_stream *stream; /* a reference */
    const msi_bus_service *service;
    msi_sub *sub;
    bool member; /* of a group */
    bool draining;
    bool ready_told;
    msi_taken *left; /* taken, and not sent: only behind a gap that came amid events */
    size_t left_count;
    uint64_t left_position;
    uint64_t responses; /* sent */
    ungot *ungot;       /* a ring of UNGOT_MAX, when it is a member */
    uint32_t ungot_first;
    uint32_t ungot_count;
} subscription;

/* ---- the request ---- */

typedef struct subscribe_request {
    msi_view pattern;
    msi_view type;
    msi_view group;
    uint32_t policy;
    uint32_t max_events;
    uint32_t max_bytes;
    msi_bus_optional last;
    bool responder;
    msi_view subscriber;
    msi_bus_list resume; /* at most one counts: the last */
} subscribe_request;

static const msi_bus_field subscribe_fields[] = {
    MSI_BUS_FIELD(subscribe_request, 1, TEXT, pattern),      MSI_BUS_FIELD(subscribe_request, 2, TEXT, type),
    MSI_BUS_FIELD(subscribe_request, 3, TEXT, group),        MSI_BUS_FIELD(subscribe_request, 4, U32, policy),
    MSI_BUS_FIELD(subscribe_request, 5, U32, max_events),    MSI_BUS_FIELD(subscribe_request, 6, U32, max_bytes),
    MSI_BUS_FIELD(subscribe_request, 7, OPTIONAL_U32, last), MSI_BUS_FIELD(subscribe_request, 8, BOOL, responder),
    MSI_BUS_FIELD(subscribe_request, 9, TEXT, subscriber),   MSI_BUS_FIELD(subscribe_request, 10, LIST, resume),
};
static const msi_bus_message subscribe_message = MSI_BUS_MESSAGE("SubscribeRequest", subscribe_fields);

typedef struct resume_request {
    uint64_t epoch;
    uint64_t position;
    msi_bus_list seen;
} resume_request;

static const msi_bus_field resume_fields[] = {
    MSI_BUS_FIELD(resume_request, 1, FIXED64, epoch),
    MSI_BUS_FIELD(resume_request, 2, U64, position),
    MSI_BUS_FIELD(resume_request, 3, LIST, seen),
};
static const msi_bus_message resume_message = MSI_BUS_MESSAGE("Resume", resume_fields);

static const msi_bus_field seen_fields[] = {
    MSI_BUS_FIELD(msi_seen, 1, TEXT, topic),
    MSI_BUS_FIELD(msi_seen, 2, FIXED64, epoch),
    MSI_BUS_FIELD(msi_seen, 3, U64, sequence),
};
static const msi_bus_message seen_message = MSI_BUS_MESSAGE("Seen", seen_fields);

/* `*seen` is to be freed, also on failure. */
static msgsrv_status take_seen(const msi_bus_list *list, msi_seen **seen, msi_sub_spec *spec, msgsrv_error *error)
{
    const uint8_t *at = NULL;
    msi_view element;
    msgsrv_status status = MSGSRV_OK;
    if (list->count > SEEN_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "Resume.seen has %u topics, more than %u", list->count,
                         SEEN_MAX);
    *seen = list->count ? calloc(list->count, sizeof **seen) : NULL;
    if (list->count && !*seen)
        return msi_error_memory(error);
    while (status == MSGSRV_OK && msi_bus_next(list, &at, &element)) {
        msi_seen *next = &(*seen)[spec->seen_count];
        status = msi_bus_parse(&seen_message, element, next, error);
        if (status == MSGSRV_OK)
            status = msi_check_topic(next->topic, error);
        spec->seen_count++;
    }
    spec->seen = *seen;
    return status;
}

static msgsrv_status take_resume(const msi_bus_list *resume, msi_seen **seen, msi_sub_spec *spec, msgsrv_error *error)
{
    const uint8_t *at = NULL;
    msi_view element;
    resume_request parsed = {.epoch = 0};
    if (resume->count > 1)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "SubscribeRequest.resume came %u times", resume->count);
    if (!msi_bus_next(resume, &at, &element))
        return MSGSRV_OK;
    msgsrv_status status = msi_bus_parse(&resume_message, element, &parsed, error);
    if (status)
        return status;
    spec->resumes = true;
    spec->resume_epoch = parsed.epoch;
    spec->resume_position = parsed.position;
    return take_seen(&parsed.seen, seen, spec, error);
}

/* With the core's lock. */
static void on_ready(msi_sub *sub, void *ctx)
{
    (void)sub;
    subscription *own = ctx;
    msgsrv_stream_wake(own->stream);
}

static uint32_t last_of(const subscribe_request *request)
{
    if (!request->last.has)
        return MSI_LAST_ALL;
    return request->last.value == 0             ? MSGSRV_NONE
           : request->last.value < MSI_LAST_ALL ? request->last.value
                                                : MSI_LAST_ALL;
}

static msgsrv_status subscribe(subscription *own, msi_view bytes, msgsrv_error *error)
{
    subscribe_request request = {.policy = 0};
    char name[MSI_BUS_NAME_SIZE];
    msgsrv_peer peer;
    msi_seen *seen = NULL;
    msgsrv_status status = msi_bus_parse(&subscribe_message, bytes, &request, error);
    if (status == MSGSRV_OK && request.max_bytes > BYTES_MAX)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT, "max_bytes is %u, expected at most %u from afar",
                           request.max_bytes, BYTES_MAX);
    if (status == MSGSRV_OK)
        status = msi_bus_take_name(request.subscriber, name, error);
    if (status)
        return status;
    own->member = request.group.size != 0;
    own->ungot = own->member ? calloc(UNGOT_MAX, sizeof *own->ungot) : NULL;
    if (own->member && !own->ungot)
        return msi_error_memory(error);
    msi_sub_spec spec = {
        .pattern = request.pattern,
        .type = request.type,
        .group = request.group,
        .policy = (msgsrv_bus_policy)request.policy,
        .max_events = request.max_events,
        .max_bytes = request.max_bytes,
        .last = last_of(&request),
        .responder = request.responder,
        .wants_bytes = true,
        .name = name,
        .peer = msi_bus_peer(msgsrv_stream_call(own->stream), &peer),
        .ready = on_ready,
        .ctx = own,
    };
    status = take_resume(&request.resume, &seen, &spec, error);
    if (status == MSGSRV_OK)
        status = msi_core_subscribe(own->service->core, &spec, &own->sub, error);
    free(seen);
    return status;
}

/* ---- responses ---- */

static msgsrv_status send(subscription *own, msi_writer *response)
{
    own->responses++;
    return msi_bus_send(own->stream, response);
}

static msgsrv_status tell_ready(subscription *own, msi_writer *response)
{
    uint64_t position = msi_sub_position(own->sub);
    own->ready_told = true;
    if (position)
        msi_bus_put_number(response, RESPONSE_POSITION, position); /* the events before it are not missing */
    msi_bus_put_fixed64(response, RESPONSE_EPOCH, msi_core_epoch(own->service->core));
    return send(own, response);
}

/* Events that go out as they are, without a copy in between. */
typedef struct ready_made {
    size_t before; /* bytes of the response that come before them */
    size_t count;
    msgsrv_bytes parts[MSI_BUS_RESPONSE_EVENTS + 2]; /* from 1 on */
} ready_made;

static void remember(subscription *own, uint64_t ticket)
{
    uint32_t place = (own->ungot_first + own->ungot_count++) % UNGOT_MAX;
    own->ungot[place] = (ungot){own->responses + 1, ticket};
}

static void put_event(subscription *own, msi_writer *response, const msi_taken *item)
{
    uint8_t *at = msi_write_room(response, msi_event_field_size(item->event, &item->extra));
    if (at)
        response->size += (size_t)(msi_event_put_field(at, RESPONSE_EVENTS, item->event, &item->extra) - at);
    if (at && own->member)
        remember(own, item->ticket);
}

/* Takes plain events of a subscription that is in no group; returns how many. */
static size_t take_plain(ready_made *events, const msi_taken *items, size_t count)
{
    size_t at = 0;
    for (; at < count && items[at].kind == MSI_TAKEN_EVENT && msi_event_is_plain(&items[at].extra); at++) {
        msi_view field = msi_event_field(items[at].event);
        events->parts[1 + at] = (msgsrv_bytes){field.data, field.size, NULL};
    }
    events->count = at;
    return at;
}

/* The bus has ended it: behind the gap, if there is one. */
static msgsrv_status end(subscription *own, const msi_taken *item)
{
    return msgsrv_stream_fail(own->stream, item->status, "%s", item->text ? item->text : "");
}

/*
 * Puts items into one response, up to a gap that has something before it, which begins the next one. Returns how many. Events are copied into
 * the response only when one of them is not plain.
 */
static size_t fill(subscription *own, msi_writer *response, ready_made *events, const msi_taken *items, size_t count)
{
    size_t at = items[0].kind == MSI_TAKEN_GAP ? 1 : 0;
    if (items[0].gap) /* or an end with one */
        msi_bus_put_gap(response, RESPONSE_GAP, items[0].gap);
    if (at && own->member)
        remember(own, items[0].ticket); /* or another member would be told it as well */
    size_t plain = take_plain(events, items + at, own->member ? 0 : count - at);
    if (at + plain < count && items[at + plain].kind == MSI_TAKEN_EVENT) {
        events->count = plain = 0;
        for (; at < count && items[at].kind == MSI_TAKEN_EVENT; at++)
            put_event(own, response, &items[at]);
    }
    events->before = response->size;
    return at + plain;
}

/* Keeps what was taken and cannot be sent now. It lives until the next take. */
static msgsrv_status keep(subscription *own, const msi_taken *items, size_t count, uint64_t position)
{
    msi_taken *left = malloc(count * sizeof *left);
    if (!left)
        return msgsrv_stream_fail(own->stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    memcpy(left, items, count * sizeof *left);
    own->left = left;
    own->left_count = count;
    own->left_position = position;
    return MSGSRV_AGAIN;
}

/* Sends items, for the first response of which there is room. AGAIN: some are left. */
static msgsrv_status deliver(subscription *own, msi_writer *response, const msi_taken *items, size_t count,
                             uint64_t position)
{
    size_t at = 0;
    while (at < count) {
        bool silent = items[at].kind == MSI_TAKEN_END && !items[at].gap;
        if (at && !silent && !msgsrv_stream_ask_to_send(own->stream))
            return keep(own, items + at, count - at, position);
        const msi_taken *from = items + at;
        ready_made events;
        at += fill(own, response, &events, from, count - at);
        bool ends = from == items + at;
        if (at == count && !own->member) /* a group's events come in no order of the bus's */
            msi_bus_put_number(response, RESPONSE_POSITION, position);
        if (response->size || response->no_memory || events.count) {
            own->responses++;
            msgsrv_status status =
                msi_bus_send_around(own->stream, response, events.before, events.parts, events.count + 2);
            if (status)
                return status;
        }
        if (ends)
            return end(own, from);
    }
    return MSGSRV_OK;
}

/* What was left, once there is room again. */
static msgsrv_status deliver_left(subscription *own, msi_writer *response)
{
    msi_taken *left = own->left;
    size_t count = own->left_count;
    uint64_t position = own->left_position;
    own->left = NULL;
    msgsrv_status status = deliver(own, response, left, count, position);
    free(left);
    return status;
}

/* A member has got what it has given the credit back of. */
static void count_got(subscription *own)
{
    uint64_t acknowledged = msgsrv_stream_acknowledged(own->stream);
    uint64_t ticket = 0;
    while (own->ungot_count && own->ungot[own->ungot_first].response <= acknowledged) {
        ticket = own->ungot[own->ungot_first].ticket;
        own->ungot_first = (own->ungot_first + 1) % UNGOT_MAX;
        own->ungot_count--;
    }
    if (ticket)
        msi_sub_got(own->sub, ticket);
}

/* Takes and sends one response's worth. AGAIN: there is nothing more, or no room. */
static msgsrv_status deliver_some(subscription *own, msi_writer *response)
{
    msi_taken items[MSI_BUS_RESPONSE_EVENTS];
    size_t most = own->member ? 1 : MSI_BUS_RESPONSE_EVENTS;
    uint64_t position = 0;
    if (own->member && own->ungot_count == UNGOT_MAX) {
        msi_sub_release(own->sub);
        return MSGSRV_AGAIN; /* until it has got some of them, which wakes */
    }
    size_t count = msi_sub_take(own->sub, items, most, MSI_BUS_RESPONSE_SOFT, &position);
    return count ? deliver(own, response, items, count, position) : MSGSRV_AGAIN;
}

static msgsrv_status pump(subscription *own)
{
    if (own->draining)
        return MSGSRV_OK;
    msi_writer response = {0};
    msgsrv_status status = MSGSRV_OK;
    if (own->member)
        count_got(own);
    while (status == MSGSRV_OK && msgsrv_stream_ask_to_send(own->stream)) {
        if (!own->ready_told)
            status = tell_ready(own, &response);
        else if (own->left)
            status = deliver_left(own, &response);
        else
            status = deliver_some(own, &response);
    }
    if (status == MSGSRV_OK && !own->left)
        msi_sub_release(own->sub); /* what was sent need not wait for the next take */
    msi_writer_release(&response);
    return status;
}

/* ---- the stream ---- */

static msgsrv_status begin(const msi_bus_service *service, msgsrv_stream *stream, const msgsrv_bytes *request)
{
    msgsrv_error error;
    subscription *own = calloc(1, sizeof *own);
    if (!own)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    own->service = service;
    own->stream = msgsrv_stream_ref(stream);
    msgsrv_stream_set_data(stream, own);
    msgsrv_status status = subscribe(own, msi_bus_view(request), &error);
    if (status)
        return msgsrv_stream_fail(stream, status, "%s", error.text);
    if (own->member)
        msgsrv_stream_wake_on_acknowledged(stream);
    return pump(own);
}

static void closed(subscription *own)
{
    if (own->sub)
        msi_sub_close(own->sub);
    msgsrv_stream_unref(own->stream);
    free(own->left);
    free(own->ungot);
    free(own);
}

msgsrv_status msi_serve_subscribe(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                  void *out, void *ctx)
{
    (void)none;
    (void)out;
    subscription *own = msgsrv_stream_data(stream);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        return begin(ctx, stream, in);
    case MSGSRV_STREAM_WRITABLE:
    case MSGSRV_STREAM_WOKEN:
        return own && own->sub ? pump(own) : MSGSRV_OK;
    case MSGSRV_STREAM_DRAINING:
        if (own)
            own->draining = true;
        return msgsrv_stream_fail(stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    case MSGSRV_STREAM_CLOSED:
        if (own)
            closed(own);
        break;
    case MSGSRV_STREAM_MESSAGE:
    case MSGSRV_STREAM_HALF_CLOSE:
        break;
    }
    return MSGSRV_OK;
}
