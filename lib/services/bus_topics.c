/* SPDX-License-Identifier: MIT */
/* DeclareTopic, DescribeType, Topics and WatchTopics. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "services/bus_service.h"

#define TOPICS_DEFAULT 10000u
#define TOPICS_MAX 1000000u
#define INTERVAL_DEFAULT_MS 1000u
#define INTERVAL_MIN_MS 100u
#define INTERVAL_MAX_MS 3600000u

enum { /* fields */
       TOPICS_TOPICS = 1,
       TOPICS_MORE = 2,
       TOPICS_TIME = 3,
       TOPICS_BUS = 4,
};

/* ---- DeclareTopic, DescribeType ---- */

typedef struct declare_request {
    msi_view topic;
    msi_view type;
    msi_view descriptors;
    msi_bus_optional retain;
} declare_request;

static const msi_bus_field declare_fields[] = {
    MSI_BUS_FIELD(declare_request, 1, TEXT, topic),
    MSI_BUS_FIELD(declare_request, 2, TEXT, type),
    MSI_BUS_FIELD(declare_request, 3, BYTES, descriptors),
    MSI_BUS_FIELD(declare_request, 4, OPTIONAL_U32, retain),
};
static const msi_bus_message declare_message = MSI_BUS_MESSAGE("DeclareTopicRequest", declare_fields);

/* The type that a topic is bound to. */
static void put_type(const msi_topic_info *info, void *ctx)
{
    msi_bus_put_text(ctx, 3, info->type);
}

msgsrv_status msi_serve_declare_topic(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    declare_request parsed = {.retain = {false, 0}};
    msgsrv_receipt receipt = {0};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &declare_message, request, &parsed);
    if (status)
        return status;
    status = msi_core_declare_topic(service->core, parsed.topic, parsed.type, parsed.descriptors,
                                    parsed.retain.has ? (int64_t)parsed.retain.value : -1, &receipt, &error);
    if (status)
        return msi_bus_failed(call, status, &error);
    msi_writer answer = {0};
    msi_bus_put_fixed64(&answer, 1, receipt.epoch);
    msi_bus_put_number(&answer, 2, receipt.sequence);
    (void)msi_core_topics(service->core, parsed.topic, 1, put_type, &answer);
    return msi_bus_answer(call, &answer, response);
}

typedef struct describe_request {
    msi_view type;
} describe_request;

static const msi_bus_field describe_fields[] = {MSI_BUS_FIELD(describe_request, 1, TEXT, type)};
static const msi_bus_message describe_message = MSI_BUS_MESSAGE("DescribeTypeRequest", describe_fields);

msgsrv_status msi_serve_describe_type(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    const msi_bus_service *service = ctx;
    describe_request parsed;
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &describe_message, request, &parsed);
    if (status)
        return status;
    status = msi_check_type_name(parsed.type, &error);
    if (status)
        return msi_bus_failed(call, status, &error);
    msi_buf set = {0};
    if (!msi_core_describe_type(service->core, parsed.type, &set)) {
        msi_buf_release(&set);
        return msgsrv_call_error(call, MSGSRV_NOT_FOUND, "nobody has told the descriptor of %.*s",
                                 (int)parsed.type.size, (const char *)parsed.type.data);
    }
    msi_writer answer = {0};
    msi_bus_put_bytes(&answer, 1, set.data, set.len);
    msi_buf_release(&set);
    return msi_bus_answer(call, &answer, response);
}

/* ---- Topics ---- */

typedef struct topics_request {
    msi_view pattern;
    uint32_t max;
    uint32_t interval_ms;
} topics_request;

static const msi_bus_field topics_fields[] = {
    MSI_BUS_FIELD(topics_request, 1, TEXT, pattern),
    MSI_BUS_FIELD(topics_request, 2, U32, max),
    MSI_BUS_FIELD(topics_request, 3, U32, interval_ms),
};
static const msi_bus_message topics_message = {"TopicsRequest", topics_fields, 2};
static const msi_bus_message watch_message = MSI_BUS_MESSAGE("WatchTopicsRequest", topics_fields);

static msgsrv_status check_topics(topics_request *request, msgsrv_error *error)
{
    if (request->max > TOPICS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "max is %u, expected 1 to %u, or 0 for the default",
                         request->max, TOPICS_MAX);
    request->max = request->max ? request->max : TOPICS_DEFAULT;
    return request->pattern.size ? msi_check_pattern(request->pattern, error) : MSGSRV_OK;
}

void msi_bus_put_topic(msi_writer *to, uint32_t field, const msi_topic_info *info)
{
    size_t opened = msi_bus_open(to, field);
    msi_bus_put_text(to, 1, info->topic);
    msi_bus_put_text(to, 2, info->type);
    msi_bus_put_fixed64(to, 3, info->epoch);
    msi_bus_put_number(to, 4, info->sequence);
    msi_bus_put_number(to, 5, info->publishers);
    msi_bus_put_number(to, 6, info->subscribers);
    msi_bus_put_number(to, 7, info->queues);
    msi_bus_put_number(to, 8, info->events);
    msi_bus_put_number(to, 9, info->bytes);
    msi_bus_put_number(to, 10, info->retained);
    msi_bus_put_number(to, 11, info->retain);
    msi_bus_put_number(to, 12, info->lost);
    msi_bus_put_number(to, 13, info->last_time_us);
    msi_bus_put_number(to, 14, info->described);
    msi_bus_close(to, opened);
}

/* A response that is being made: it has room for so much. */
typedef struct listing {
    msi_writer to;
    size_t room;
    bool more;
} listing;

static void put_listed(const msi_topic_info *info, void *ctx)
{
    listing *into = ctx;
    into->more = into->more || into->to.size >= into->room;
    if (!into->more)
        msi_bus_put_topic(&into->to, TOPICS_TOPICS, info);
}

static void put_bus(msi_writer *to, msi_core *core)
{
    msgsrv_bus_stats stats = {.size = sizeof stats};
    msi_core_stats(core, &stats);
    size_t opened = msi_bus_open(to, TOPICS_BUS);
    msi_bus_put_fixed64(to, 1, msi_core_epoch(core));
    msi_bus_put_number(to, 2, stats.topics);
    msi_bus_put_number(to, 3, stats.subscriptions);
    msi_bus_put_number(to, 4, stats.queues);
    msi_bus_put_number(to, 5, stats.consumers);
    msi_bus_put_number(to, 6, stats.published);
    msi_bus_put_number(to, 7, stats.delivered);
    msi_bus_put_number(to, 8, stats.lost);
    msi_bus_put_number(to, 9, stats.refused);
    msi_bus_put_number(to, 10, stats.retained_bytes);
    msi_bus_put_number(to, 11, stats.waiting_events);
    msi_bus_put_number(to, 12, stats.waiting_bytes);
    msi_bus_close(to, opened);
}

static msi_writer list_topics(const msi_bus_service *service, const topics_request *request)
{
    listing into = {.room = service->max_message - MSI_BUS_RESPONSE_SLACK / 2};
    bool more = msi_core_topics(service->core, request->pattern, request->max, put_listed, &into);
    msi_bus_put_number(&into.to, TOPICS_MORE, more || into.more);
    msi_bus_put_number(&into.to, TOPICS_TIME, msi_now());
    put_bus(&into.to, service->core);
    return into.to;
}

msgsrv_status msi_serve_topics(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    topics_request parsed = {.max = 0};
    msgsrv_error error;
    msgsrv_status status = msi_bus_request(call, &topics_message, request, &parsed);
    if (status)
        return status;
    status = check_topics(&parsed, &error);
    if (status)
        return msi_bus_failed(call, status, &error);
    msi_writer answer = list_topics(ctx, &parsed);
    return msi_bus_answer(call, &answer, response);
}

/* ---- WatchTopics; on the stream's loop ---- */

typedef struct topics_watch {
    topics_request request; /* its views are of the call's request */
    uint64_t due;
} topics_watch;

/* A sample that cannot be sent is left out: the next one counts the same things. */
static msgsrv_status sample(msgsrv_stream *stream, topics_watch *watch, const msi_bus_service *service)
{
    msgsrv_status status = MSGSRV_OK;
    if (msgsrv_stream_can_send(stream)) {
        msi_writer response = list_topics(service, &watch->request);
        status = msi_bus_send(stream, &response);
        msi_writer_release(&response);
    }
    uint64_t now = msi_now();
    watch->due += watch->request.interval_ms * MSI_MS;
    if (watch->due < now)
        watch->due = now;
    msgsrv_stream_wake_after(stream, (uint32_t)msi_ms_until(watch->due, now));
    return status;
}

static msgsrv_status watch_begin(const msi_bus_service *service, msgsrv_stream *stream, const msgsrv_bytes *request)
{
    msgsrv_error error;
    topics_watch *watch = msgsrv_call_alloc(msgsrv_stream_call(stream), sizeof *watch);
    if (!watch)
        return msgsrv_stream_fail(stream, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    msgsrv_status status = msi_bus_parse(&watch_message, msi_bus_view(request), &watch->request, &error);
    uint32_t interval_ms = watch->request.interval_ms ? watch->request.interval_ms : INTERVAL_DEFAULT_MS;
    watch->request.interval_ms = interval_ms;
    if (status == MSGSRV_OK)
        status = check_topics(&watch->request, &error);
    if (status == MSGSRV_OK && (interval_ms < INTERVAL_MIN_MS || interval_ms > INTERVAL_MAX_MS))
        status = msi_error(&error, MSGSRV_INVALID_ARGUMENT, "interval_ms is %u, expected %u to %u", interval_ms,
                           INTERVAL_MIN_MS, INTERVAL_MAX_MS);
    if (status)
        return msgsrv_stream_fail(stream, status, "%s", error.text);
    watch->due = msi_now();
    msgsrv_stream_set_data(stream, watch);
    return sample(stream, watch, service);
}

msgsrv_status msi_serve_watch_topics(const void *none, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                     void *out, void *ctx)
{
    (void)none;
    (void)out;
    topics_watch *watch = msgsrv_stream_data(stream);
    switch (event) {
    case MSGSRV_STREAM_BEGIN:
        return watch_begin(ctx, stream, in);
    case MSGSRV_STREAM_WOKEN:
        return watch ? sample(stream, watch, ctx) : MSGSRV_OK;
    case MSGSRV_STREAM_DRAINING:
        return msgsrv_stream_fail(stream, MSGSRV_UNAVAILABLE, MSI_SHUTTING_DOWN);
    case MSGSRV_STREAM_MESSAGE:
    case MSGSRV_STREAM_HALF_CLOSE:
    case MSGSRV_STREAM_WRITABLE:
    case MSGSRV_STREAM_CLOSED:
        break;
    }
    return MSGSRV_OK;
}
