/* SPDX-License-Identifier: MIT */
/* The bus's service without memory: whatever fails, at either end, a call or a stream ends with a clear status, and the server goes on. */
#include <msgsrv/bus.h>

#include "api_support.h"
#include "failing.h"
#include "msgsrv/bus.msgsrv.h"

/* What one sweep does. */
struct visit {
    msgsrv_bus *bus;
    msgsrv_server *server;
    msgsrv_client *client;
    msgsrv_status (*run)(struct visit *visit, msgsrv_error *error);
    msgsrv_status status;
    msgsrv_error error;
};

/* ---- visits; no macro of Check's in here, as those allocate ---- */

static msgsrv_bus_v1_Publication publication(const char *topic)
{
    msgsrv_bus_v1_Publication made = {.topic = (char *)(uintptr_t)topic, .type = "test.T"};
    made.payload = (msgsrv_bytes){"\x08\x01", 2, NULL};
    return made;
}

static msgsrv_status publish(struct visit *visit, msgsrv_error *error)
{
    msgsrv_bus_v1_PublishRequest request = {.has_publication = true, .publication = publication("jobs.a")};
    msgsrv_bus_v1_PublishResponse response = msgsrv_bus_v1_PublishResponse_init_zero;
    return msgsrv_bus_v1_Bus_Publish(visit->client, &request, NULL, &response, error);
}

static msgsrv_status leave(msgsrv_stream *stream, msgsrv_error *error)
{
    msgsrv_stream_cancel(stream);
    msgsrv_status status = msgsrv_stream_close(stream, NULL, error);
    return status == MSGSRV_CANCELLED ? MSGSRV_OK : status;
}

/* Publishes with headers, and one that is refused. */
static msgsrv_status publish_stream(struct visit *visit, msgsrv_error *error)
{
    msgsrv_bus_v1_Bus_PublishStream_client call;
    msgsrv_bus_v1_Header header = {.key = "key"};
    msgsrv_bus_v1_Publication both[] = {publication("jobs.a"), publication("no topic")};
    both[0].headers = &header;
    both[0].headers_count = 1;
    msgsrv_bus_v1_PublishStreamRequest request = {.publications = both, .publications_count = 2, .receipts = true};
    msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_PublishStream_start(visit->client, NULL, &call, error);
    if (status)
        return status;
    status = msgsrv_bus_v1_Bus_PublishStream_write(call, &request, error);
    if (status == MSGSRV_OK && msgsrv_stream_read(call.stream, &response))
        msgsrv_bus_v1_PublishStreamResponse_release(&response);
    msgsrv_status end = msgsrv_stream_close(call.stream, NULL, status ? NULL : error);
    return status ? status : end;
}

/* Subscribes, in a group or not, publishes, and reads it. */
static msgsrv_status subscribe_to(struct visit *visit, char *group, msgsrv_error *error)
{
    msgsrv_bus_v1_Bus_Subscribe_client call;
    msgsrv_bus_v1_Seen seen = {.topic = "jobs.a", .epoch = 1, .sequence = 1};
    msgsrv_bus_v1_SubscribeRequest request = {.pattern = "jobs.>", .group = group, .has_resume = !group};
    request.resume = (msgsrv_bus_v1_Resume){.epoch = 1, .seen = &seen, .seen_count = 1};
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_Subscribe_start(visit->client, &request, NULL, &call, error);
    if (status)
        return status;
    bool read = msgsrv_stream_read(call.stream, &response);
    msgsrv_bus_v1_SubscribeResponse_release(&response);
    status = read ? publish(visit, error) : MSGSRV_OK;
    if (status == MSGSRV_OK && read && group)
        status = publish(visit, error); /* what could not be dealt for want of memory is dealt with the next one */
    if (status == MSGSRV_OK && read && msgsrv_stream_read(call.stream, &response))
        msgsrv_bus_v1_SubscribeResponse_release(&response);
    msgsrv_status end = leave(call.stream, status ? NULL : error);
    return status ? status : end;
}

static msgsrv_status subscribe(struct visit *visit, msgsrv_error *error)
{
    return subscribe_to(visit, NULL, error);
}

static msgsrv_status join(struct visit *visit, msgsrv_error *error)
{
    return subscribe_to(visit, "group", error);
}

static msgsrv_status consume(struct visit *visit, msgsrv_error *error)
{
    msgsrv_bus_v1_Bus_Consume_client call;
    msgsrv_bus_v1_Settlement settlement = {.id = 1, .kind = msgsrv_bus_v1_Settlement_Kind_NAK, .reason = "no"};
    msgsrv_bus_v1_ConsumeRequest request = {.queue = "jobs", .settlements = &settlement, .settlements_count = 1};
    msgsrv_bus_v1_ConsumeResponse response = msgsrv_bus_v1_ConsumeResponse_init_zero;
    msgsrv_status status = publish(visit, error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_v1_Bus_Consume_start(visit->client, NULL, &call, error);
    if (status)
        return status;
    status = msgsrv_bus_v1_Bus_Consume_write(call, &request, error);
    for (int i = 0; i < 2 && status == MSGSRV_OK && msgsrv_stream_read(call.stream, &response); i++)
        msgsrv_bus_v1_ConsumeResponse_release(&response);
    msgsrv_status end = leave(call.stream, status ? NULL : error);
    return status ? status : end;
}

/* Nobody answers. */
static msgsrv_status request(struct visit *visit, msgsrv_error *error)
{
    msgsrv_bus_v1_RequestRequest asked = {.has_publication = true, .publication = publication("jobs.a")};
    msgsrv_bus_v1_RequestResponse response = msgsrv_bus_v1_RequestResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_Request(visit->client, &asked, NULL, &response, error);
    return status == MSGSRV_UNAVAILABLE ? MSGSRV_OK : status;
}

static msgsrv_status look(struct visit *visit, msgsrv_error *error)
{
    msgsrv_bus_v1_TopicsRequest topics = msgsrv_bus_v1_TopicsRequest_init_zero;
    msgsrv_bus_v1_TopicsResponse listed = msgsrv_bus_v1_TopicsResponse_init_zero;
    msgsrv_bus_v1_QueuesRequest queues = msgsrv_bus_v1_QueuesRequest_init_zero;
    msgsrv_bus_v1_QueuesResponse shown = msgsrv_bus_v1_QueuesResponse_init_zero;
    msgsrv_bus_v1_PeekRequest peek = {.queue = "jobs"};
    msgsrv_bus_v1_PeekResponse peeked = msgsrv_bus_v1_PeekResponse_init_zero;
    msgsrv_bus_v1_DiagnoseRequest diagnose = {.topic = "jobs.a"};
    msgsrv_bus_v1_DiagnoseResponse diagnosed = msgsrv_bus_v1_DiagnoseResponse_init_zero;
    msgsrv_status status = publish(visit, error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_v1_Bus_Topics(visit->client, &topics, NULL, &listed, error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_v1_Bus_Queues(visit->client, &queues, NULL, &shown, error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_v1_Bus_Peek(visit->client, &peek, NULL, &peeked, error);
    if (status == MSGSRV_OK)
        status = msgsrv_bus_v1_Bus_Diagnose(visit->client, &diagnose, NULL, &diagnosed, error);
    msgsrv_bus_v1_TopicsResponse_release(&listed);
    msgsrv_bus_v1_QueuesResponse_release(&shown);
    msgsrv_bus_v1_PeekResponse_release(&peeked);
    msgsrv_bus_v1_DiagnoseResponse_release(&diagnosed);
    return status;
}

static msgsrv_status declare(struct visit *visit, msgsrv_error *error)
{
    char *patterns[] = {"jobs.>"};
    msgsrv_bus_v1_DeclareTopicRequest topic = {.topic = "jobs.b", .type = "test.T", .has_retain = true, .retain = 5};
    msgsrv_bus_v1_DeclareTopicResponse declared = msgsrv_bus_v1_DeclareTopicResponse_init_zero;
    msgsrv_bus_v1_DeclareQueueRequest queue = {.queue = "jobs", .has_settings = true};
    queue.settings = (msgsrv_bus_v1_QueueSettings){.patterns = patterns, .patterns_count = 1};
    msgsrv_bus_v1_DeclareQueueResponse existed = msgsrv_bus_v1_DeclareQueueResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_DeclareTopic(visit->client, &topic, NULL, &declared, error);
    msgsrv_bus_v1_DeclareTopicResponse_release(&declared);
    return status ? status : msgsrv_bus_v1_Bus_DeclareQueue(visit->client, &queue, NULL, &existed, error);
}

/* ---- the sweep ---- */

static void open_all(void *ctx)
{
    struct visit *visit = ctx;
    msgsrv_error error;
    api_ok(msgsrv_bus_open("mem:", NULL, &visit->bus, &error), &error);
    visit->server = api_server_new(NULL, NULL, NULL, NULL);
    api_ok(msgsrv_bus_serve(visit->bus, visit->server, &error), &error);
    api_ok(msgsrv_server_start(visit->server, &error), &error);
    visit->client = api_client(visit->server, &(msgsrv_client_options){.backoff_min_ms = 1, .backoff_max_ms = 2});
    api_ok(declare(visit, &error), &error);
}

static void make_visit(void *ctx)
{
    struct visit *visit = ctx;
    visit->status = visit->run(visit, &visit->error);
}

static void check_visit(void *ctx, bool failed, unsigned n)
{
    struct visit *visit = ctx;
    msgsrv_error error;
    bool fine = visit->status == MSGSRV_OK ||
                (failed && (visit->status == MSGSRV_RESOURCE_EXHAUSTED || visit->status == MSGSRV_UNAVAILABLE));
    ck_assert_msg(fine, "allocation %u: %s (%s)", n, msgsrv_status_name(visit->status),
                  visit->status ? visit->error.text : "");
    /* With another connection, as this one's may have been lost. */
    msgsrv_client_free(visit->client);
    visit->client = api_client(visit->server, NULL);
    api_ok(visit->run(visit, &error), &error);
    msgsrv_client_free(visit->client);
    msgsrv_server_free(visit->server);
    msgsrv_bus_free(visit->bus);
}

static void sweep(msgsrv_status (*run)(struct visit *visit, msgsrv_error *error))
{
    struct visit visit = {.run = run};
    failing_take_libevent();
    ck_assert_uint_gt(failing_sweep(open_all, make_visit, check_visit, &visit), 0);
}

START_TEST(publishing)
{
    sweep(publish);
}
END_TEST

START_TEST(publishing_on_a_stream)
{
    sweep(publish_stream);
}
END_TEST

START_TEST(subscribing)
{
    sweep(subscribe);
}
END_TEST

START_TEST(joining_a_group)
{
    sweep(join);
}
END_TEST

START_TEST(consuming)
{
    sweep(consume);
}
END_TEST

START_TEST(asking)
{
    sweep(request);
}
END_TEST

START_TEST(looking)
{
    sweep(look);
}
END_TEST

START_TEST(declaring)
{
    sweep(declare);
}
END_TEST

TS_MAIN("oom_bus_service", publishing, publishing_on_a_stream, subscribing, joining_a_group, consuming, asking, looking,
        declaring)
