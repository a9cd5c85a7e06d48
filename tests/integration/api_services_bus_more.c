/* SPDX-License-Identifier: MIT */
/* msgsrv.bus.v1.Bus: requests, topics, diagnoses; and peers that mean no good. */
#include "api_bus.h"
#include "msgsrv/info.msgsrv.h"

static bus_world world;
static bus_got got;

/* ---- requests ---- */

typedef struct asked {
    api_event ended;
    msgsrv_status status;
    unsigned number;
    char text[MSGSRV_ERROR_TEXT];
} asked;

static void on_reply(const msgsrv_reply *reply, msgsrv_bus_v1_RequestResponse *response, void *ctx)
{
    asked *own = ctx;
    own->status = reply->status;
    (void)snprintf(own->text, sizeof own->text, "%s", reply->error->text);
    if (reply->status == MSGSRV_OK) {
        msgsrv_bus_v1_Event event = {.payload = response->payload};
        own->number = bus_number(&event);
        ck_assert_str_eq(response->type, BUS_TYPE);
    }
    api_event_add(&own->ended);
}

static msgsrv_handle ask(msgsrv_client *client, const char *topic, uint32_t timeout_ms, asked *own)
{
    msgsrv_error error;
    uint8_t room[8];
    msgsrv_handle handle = 0;
    msgsrv_call_options options = {.timeout_ms = timeout_ms};
    msgsrv_bus_v1_RequestRequest request = {.has_publication = true};
    request.publication.topic = (char *)(uintptr_t)topic;
    request.publication.type = BUS_TYPE;
    request.publication.payload = bus_payload(room, 20);
    api_event_init(&own->ended);
    api_ok(msgsrv_bus_v1_Bus_Request_async(client, &request, &options, on_reply, own, &handle, &error), &error);
    return handle;
}

static msgsrv_status reply(uint64_t number, const char *type)
{
    msgsrv_error error;
    uint8_t room[8];
    msgsrv_bus_v1_ReplyRequest request = {.request = number, .type = (char *)(uintptr_t)type};
    msgsrv_bus_v1_ReplyResponse response = msgsrv_bus_v1_ReplyResponse_init_zero;
    request.payload = bus_payload(room, 22);
    return msgsrv_bus_v1_Bus_Reply(world.client, &request, NULL, &response, &error);
}

static msgsrv_stream *respond(msgsrv_client *client)
{
    memset(&got, 0, sizeof got);
    return bus_subscribe(client, &(msgsrv_bus_v1_SubscribeRequest){.pattern = "adder", .responder = true}, NULL);
}

START_TEST(a_request_is_answered_once)
{
    asked own = {.number = 0};
    bus_open(&world, NULL);
    msgsrv_client *asker = api_client_thread(world.server);
    (void)ask(asker, "adder", 0, &own); /* nobody is there */
    api_event_wait(&own.ended, 1);
    ck_assert_int_eq(own.status, MSGSRV_UNAVAILABLE);
    msgsrv_stream *stream = respond(world.client);
    (void)ask(asker, "adder", 0, &own);
    bus_read_events(stream, &got, 1);
    ck_assert_uint_ne(got.request, 0);
    ck_assert_int_eq(reply(got.request, "no type"), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(reply(got.request, BUS_TYPE), MSGSRV_OK);
    api_event_wait(&own.ended, 1);
    ck_assert_int_eq(own.status, MSGSRV_OK);
    ck_assert_uint_eq(own.number, 22);
    ck_assert_int_eq(reply(got.request, BUS_TYPE), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(reply(12345, BUS_TYPE), MSGSRV_NOT_FOUND);
    bus_leave(stream);
    msgsrv_client_free(asker);
    bus_close(&world);
}
END_TEST

START_TEST(a_request_ends_with_its_responder_its_time_or_its_asker)
{
    asked own = {.number = 0};
    bus_open(&world, NULL);
    msgsrv_client *asker = api_client_thread(world.server);
    msgsrv_stream *stream = respond(world.client);
    (void)ask(asker, "adder", 0, &own);
    bus_read_events(stream, &got, 1);
    bus_leave(stream);
    api_call_add(world.client);
    api_event_wait(&own.ended, 1);
    ck_assert_int_eq(own.status, MSGSRV_UNAVAILABLE);
    stream = respond(world.client);
    (void)ask(asker, "adder", 30, &own);
    bus_read_events(stream, &got, 1);
    api_event_wait(&own.ended, 1);
    ck_assert_int_eq(own.status, MSGSRV_DEADLINE_EXCEEDED);
    ck_assert_int_eq(reply(got.request, BUS_TYPE), MSGSRV_NOT_FOUND);
    msgsrv_handle handle = ask(asker, "adder", 0, &own);
    bus_read_events(stream, &got, 2);
    msgsrv_client_cancel(asker, handle);
    api_event_wait(&own.ended, 1);
    ck_assert_int_eq(own.status, MSGSRV_CANCELLED);
    api_call_add(asker); /* the server has heard of it */
    ck_assert_int_eq(reply(got.request, BUS_TYPE), MSGSRV_NOT_FOUND);
    (void)ask(asker, "adder", 0, &own);
    bus_read_events(stream, &got, 3);
    msgsrv_client_free(asker);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

START_TEST(a_server_that_is_freed_ends_its_requests)
{
    asked own = {.number = 0};
    bus_open(&world, NULL);
    msgsrv_client *asker = api_client_thread(world.server);
    msgsrv_stream *stream = respond(world.client);
    (void)ask(asker, "adder", 0, &own);
    bus_read_events(stream, &got, 1);
    msgsrv_server_free(world.server);
    world.server = NULL;
    api_event_wait(&own.ended, 1);
    ck_assert_int_ne(own.status, MSGSRV_OK);
    msgsrv_client_free(asker);
    bus_leave(stream);
    msgsrv_client_free(world.client);
    msgsrv_bus_free(world.bus);
}
END_TEST

/* ---- topics ---- */

static void topics(const char *pattern, uint32_t max, msgsrv_bus_v1_TopicsResponse *response)
{
    msgsrv_error error;
    msgsrv_bus_v1_TopicsRequest request = {.pattern = (char *)(uintptr_t)pattern, .max = max};
    api_ok(msgsrv_bus_v1_Bus_Topics(world.client, &request, NULL, response, &error), &error);
}

START_TEST(topics_are_listed_by_name_with_what_happened_on_them)
{
    msgsrv_bus_v1_TopicsResponse response = msgsrv_bus_v1_TopicsResponse_init_zero;
    bus_open(&world, NULL);
    msgsrv_stream *stream = bus_subscribe(world.client, &(msgsrv_bus_v1_SubscribeRequest){.pattern = "b.>"}, NULL);
    (void)bus_publish(&world, "b.two", 1);
    (void)bus_publish(&world, "b.one", 1);
    (void)bus_publish(&world, "b.one", 2);
    (void)bus_publish(&world, "a", 1);
    topics("b.*", 0, &response);
    ck_assert_uint_eq(response.topics_count, 2);
    ck_assert(!response.more);
    ck_assert_str_eq(response.topics[0].topic, "b.one");
    ck_assert_str_eq(response.topics[0].type, BUS_TYPE);
    ck_assert_uint_eq(response.topics[0].sequence, 2);
    ck_assert_uint_eq(response.topics[0].events, 2);
    ck_assert_uint_eq(response.topics[0].bytes, 4);
    ck_assert_uint_eq(response.topics[0].subscribers, 1);
    ck_assert_str_eq(response.topics[1].topic, "b.two");
    ck_assert(response.has_bus);
    ck_assert_uint_eq(response.bus.published, 4);
    ck_assert_uint_eq(response.bus.subscriptions, 1);
    ck_assert_uint_ne(response.time_ns, 0);
    msgsrv_bus_v1_TopicsResponse_release(&response);
    topics("", 1, &response);
    ck_assert_uint_eq(response.topics_count, 1);
    ck_assert_str_eq(response.topics[0].topic, "a");
    ck_assert(response.more);
    msgsrv_bus_v1_TopicsResponse_release(&response);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

START_TEST(topics_are_watched)
{
    bus_open(&world, NULL);
    msgsrv_bus_v1_WatchTopicsRequest request = {.pattern = "a", .interval_ms = 100};
    msgsrv_stream *stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_WatchTopics_method, &request, NULL);
    uint64_t time_ns = 0;
    for (unsigned i = 0; i < 3; i++) {
        msgsrv_bus_v1_TopicsResponse response = msgsrv_bus_v1_TopicsResponse_init_zero;
        ck_assert(msgsrv_stream_read(stream, &response));
        ck_assert_uint_eq(response.topics_count, i > 0);
        ck_assert_uint_gt(response.time_ns, time_ns);
        time_ns = response.time_ns;
        msgsrv_bus_v1_TopicsResponse_release(&response);
        (void)bus_publish(&world, "a", i);
    }
    bus_leave(stream);
    request.interval_ms = 99;
    stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_WatchTopics_method, &request, NULL);
    bus_end(stream, MSGSRV_INVALID_ARGUMENT, "interval_ms");
    bus_close(&world);
}
END_TEST

/* A FileDescriptorSet of one file, by way of a generated one that imports nothing. */
static msgsrv_bytes set_of(const msgsrv_proto_file *file, uint8_t **memory)
{
    uint8_t *at = *memory = malloc(file->descriptor_size + 8);
    size_t size = file->descriptor_size;
    *at++ = 0x0a;
    for (; size > 0x7f; size >>= 7)
        *at++ = (uint8_t)(size | 0x80);
    *at++ = (uint8_t)size;
    memcpy(at, file->descriptor, file->descriptor_size);
    return (msgsrv_bytes){*memory, (size_t)(at - *memory) + file->descriptor_size, NULL};
}

START_TEST(a_topic_is_declared_with_its_descriptor_which_others_get)
{
    msgsrv_error error;
    uint8_t *memory;
    bus_open(&world, NULL);
    msgsrv_bus_v1_DeclareTopicRequest request = {.topic = "news", .type = "msgsrv.bus.v1.Seen", .has_retain = true};
    msgsrv_bus_v1_DeclareTopicResponse response = msgsrv_bus_v1_DeclareTopicResponse_init_zero;
    request.descriptors = set_of(&msgsrv_bus_proto_file, &memory);
    request.retain = 3;
    api_ok(msgsrv_bus_v1_Bus_DeclareTopic(world.client, &request, NULL, &response, &error), &error);
    ck_assert_str_eq(response.type, "msgsrv.bus.v1.Seen");
    ck_assert_uint_ne(response.epoch, 0);
    ck_assert_uint_eq(response.last_sequence, 0);
    msgsrv_bus_v1_DeclareTopicResponse_release(&response);
    msgsrv_bus_v1_DescribeTypeRequest describe = {.type = "msgsrv.bus.v1.Seen"};
    msgsrv_bus_v1_DescribeTypeResponse described = msgsrv_bus_v1_DescribeTypeResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_DescribeType(world.client, &describe, NULL, &described, &error), &error);
    ck_assert_uint_ge(described.descriptors.size, msgsrv_bus_proto_file.descriptor_size);
    msgsrv_bus_v1_DescribeTypeResponse_release(&described);
    describe.type = "not.Told";
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_v1_Bus_DescribeType(world.client, &describe, NULL, &described, &error),
               &error);
    api_contains(error.text, "not.Told");
    request.topic = "other";
    request.type = "other.Type";
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareTopic(world.client, &request, NULL, &response, &error),
               &error); /* which is not in the descriptors */
    request.descriptors.size -= 5;
    request.type = "msgsrv.bus.v1.Seen";
    request.topic = "more";
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareTopic(world.client, &request, NULL, &response, &error),
               &error);
    request.descriptors = (msgsrv_bytes){NULL, 0, NULL};
    request.topic = "news";
    request.type = "other.Type";
    api_expect(MSGSRV_FAILED_PRECONDITION,
               msgsrv_bus_v1_Bus_DeclareTopic(world.client, &request, NULL, &response, &error), &error);
    api_contains(error.text, "other.Type");
    request.type = "";
    request.retain = 1001;
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareTopic(world.client, &request, NULL, &response, &error),
               &error);
    free(memory);
    bus_close(&world);
}
END_TEST

/* ---- diagnoses ---- */

static void expect_finding(const char *topic, const char *type, msgsrv_bus_v1_Finding_Kind first, const char *text)
{
    msgsrv_error error;
    msgsrv_bus_v1_DiagnoseRequest request = {.topic = (char *)(uintptr_t)topic, .type = (char *)(uintptr_t)type};
    msgsrv_bus_v1_DiagnoseResponse response = msgsrv_bus_v1_DiagnoseResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_Diagnose(world.client, &request, NULL, &response, &error), &error);
    ck_assert_uint_ge(response.findings_count, 1);
    if (response.findings[0].kind != first)
        ck_abort_msg("%d: %s", (int)response.findings[0].kind, response.findings[0].text);
    api_contains(response.findings[0].text, text);
    msgsrv_bus_v1_DiagnoseResponse_release(&response);
}

START_TEST(why_nothing_arrives_has_an_answer)
{
    msgsrv_error error;
    bus_open(&world, NULL);
    expect_finding("a..b", NULL, msgsrv_bus_v1_Finding_Kind_BAD_NAME, "a..b");
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_NO_SUCH_TOPIC, "house.kitchen.temp");
    msgsrv_stream *publisher = bus_stream(world.client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    uint8_t room[8];
    msgsrv_bus_v1_Publication publication = {.topic = "house.kitchen.temp", .type = BUS_TYPE};
    publication.payload = bus_payload(room, 1);
    msgsrv_bus_v1_PublishStreamRequest item = {.publications = &publication, .publications_count = 1};
    bus_write(publisher, &item);
    msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
    ck_assert(msgsrv_stream_read(publisher, &response));
    expect_finding("house.kitchen.tmp", NULL, msgsrv_bus_v1_Finding_Kind_NO_SUCH_TOPIC, "house.kitchen.temp");
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_NOBODY_SUBSCRIBES, "subscription");
    expect_finding("house.kitchen.temp", "other.Type", msgsrv_bus_v1_Finding_Kind_WRONG_TYPE, BUS_TYPE);
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "house.*.temp", .type = "other.Type", .subscriber = "display"};
    msgsrv_stream *wrong = bus_subscribe(world.client, &wanted, NULL);
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_WRONG_TYPE, "display");
    bus_leave(wrong);
    wanted.type = NULL;
    msgsrv_stream *right = bus_subscribe(world.client, &wanted, NULL);
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_FINE, "well");
    bus_leave(right);
    char *patterns[] = {"house.>"};
    msgsrv_bus_v1_DeclareQueueRequest declare = {.queue = "small", .has_settings = true};
    declare.settings = (msgsrv_bus_v1_QueueSettings){.patterns = patterns, .patterns_count = 1, .max_messages = 1};
    msgsrv_bus_v1_DeclareQueueResponse declared = msgsrv_bus_v1_DeclareQueueResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_DeclareQueue(world.client, &declare, NULL, &declared, &error), &error);
    bus_write(publisher, &item);
    ck_assert(msgsrv_stream_read(publisher, &response));
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_QUEUE_FULL, "small");
    bus_leave(publisher);
    expect_finding("house.kitchen.temp", NULL, msgsrv_bus_v1_Finding_Kind_NOBODY_PUBLISHES, "2 events");
    bus_close(&world);
}
END_TEST

/* ---- peers that mean no good ---- */

static const char *const paths[] = {
    "/msgsrv.bus.v1.Bus/Publish",      "/msgsrv.bus.v1.Bus/Request",      "/msgsrv.bus.v1.Bus/Reply",
    "/msgsrv.bus.v1.Bus/DeclareTopic", "/msgsrv.bus.v1.Bus/DeclareQueue", "/msgsrv.bus.v1.Bus/DeleteQueue",
    "/msgsrv.bus.v1.Bus/Topics",       "/msgsrv.bus.v1.Bus/Queues",       "/msgsrv.bus.v1.Bus/Peek",
    "/msgsrv.bus.v1.Bus/Retry",        "/msgsrv.bus.v1.Bus/Purge",        "/msgsrv.bus.v1.Bus/DescribeType",
    "/msgsrv.bus.v1.Bus/Diagnose",
};

static msgsrv_method raw(const char *path, msgsrv_method_kind kind)
{
    return (msgsrv_method){MSGSRV_GENERATED_ABI, kind, path, &msgsrv_raw_type, &msgsrv_raw_type};
}

/* Calls a unary method with bytes. */
static msgsrv_status call_raw(const char *path, const void *data, size_t size)
{
    msgsrv_bytes response = {0};
    msgsrv_method method = raw(path, MSGSRV_UNARY);
    msgsrv_status status =
        msgsrv_client_call(world.client, &method, &(msgsrv_bytes){data, size, NULL}, NULL, &response, NULL);
    if (status == MSGSRV_OK)
        msgsrv_message_release(&msgsrv_raw_type, &response);
    return status;
}

START_TEST(requests_that_are_not_protobuf_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x0a\x05x", 3}, {"\x0a\xff\xff\xff\xff\x0f", 6},
        {"\x0a", 1},      {"\x00\x00", 2},
        {"\x0b\x0c", 2},  {"\x0d\x01\x02\x03\x04", 5},
        {"\x08\xff", 2},  {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    bus_open(&world, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            msgsrv_status status = call_raw(paths[i], bad[k].bytes, bad[k].size);
            ck_assert_int_eq(status, MSGSRV_INVALID_ARGUMENT);
        }
        (void)call_raw(paths[i], "", 0);
    }
    /* Texts that no C string could hold. */
    ck_assert_int_eq(call_raw("/msgsrv.bus.v1.Bus/Diagnose",
                              "\x0a\x03"
                              "a\0b",
                              5),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(call_raw("/msgsrv.bus.v1.Bus/Purge", "\x0a\x02\xff\xfe", 4), MSGSRV_INVALID_ARGUMENT);
    bus_close(&world);
}
END_TEST

/* Opens a stream of bytes, writes some, half-closes, and returns how it ended. */
static msgsrv_status stream_raw(const char *path, msgsrv_method_kind kind, const void *data, size_t size)
{
    msgsrv_method method = raw(path, kind);
    msgsrv_bytes bytes = {data, size, NULL};
    bool one = kind == MSGSRV_SERVER_STREAMING;
    msgsrv_stream *stream =
        bus_stream(world.client, &method, one ? &bytes : NULL, &(msgsrv_call_options){.timeout_ms = one ? 20 : 0});
    if (!one)
        (void)msgsrv_stream_write(stream, &bytes, NULL);
    return msgsrv_stream_close(stream, NULL, NULL);
}

START_TEST(streams_of_bytes_that_mean_nothing_harm_nobody)
{
    static const struct {
        const char *path;
        msgsrv_method_kind kind;
    } streams[] = {{"/msgsrv.bus.v1.Bus/PublishStream", MSGSRV_BIDI_STREAMING},
                   {"/msgsrv.bus.v1.Bus/Consume", MSGSRV_BIDI_STREAMING},
                   {"/msgsrv.bus.v1.Bus/Subscribe", MSGSRV_SERVER_STREAMING}};
    uint64_t seed = 12345;
    bus_open(&world, NULL);
    for (unsigned round = 0; round < 300; round++) {
        uint8_t bytes[64];
        size_t size = 0;
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(seed >> 33);
        }
        size = bytes[0] % sizeof bytes;
        bytes[0] = (uint8_t)(1 + bytes[1] % 12) << 3 | (bytes[2] % 4 == 0 ? 0 : 2);
        bytes[1] = (uint8_t)(bytes[1] % 40);
        for (size_t i = 0; i < 3; i++)
            (void)stream_raw(streams[i].path, streams[i].kind, bytes, size);
        (void)call_raw(paths[round % (sizeof paths / sizeof *paths)], bytes, size);
    }
    (void)bus_publish(&world, "still.there", 1);
    bus_close(&world);
}
END_TEST

START_TEST(very_many_bad_publications_are_refused_one_by_one_in_bounded_memory)
{
    enum { ALL = 500000 };
    bus_open(&world, NULL);
    msgsrv_method method = raw("/msgsrv.bus.v1.Bus/PublishStream", MSGSRV_BIDI_STREAMING);
    uint8_t *bytes = malloc(2 * ALL);
    for (size_t i = 0; i < ALL; i++)
        memcpy(bytes + 2 * i, "\x0a\x00", 2); /* an empty publication */
    msgsrv_stream *stream = bus_stream(world.client, &method, NULL, NULL);
    uint64_t next = 1;
    bus_write(stream, &(msgsrv_bytes){bytes, 2 * ALL, NULL}); /* and nothing is read meanwhile */
    (void)bus_publish(&world, "still.there", 1);
    while (next <= ALL) {
        msgsrv_error error;
        msgsrv_bytes message = {0};
        ck_assert(msgsrv_stream_read(stream, &message));
        ck_assert_uint_le(message.size, 200000);
        msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
        api_ok(msgsrv_message_decode(&msgsrv_bus_v1_PublishStreamResponse_type, message.data, message.size, &response,
                                     &error),
               &error);
        for (size_t k = 0; k < response.refusals_count; k++)
            ck_assert_uint_eq(response.refusals[k].number, next++);
        ck_assert_uint_eq(response.last, next - 1);
        msgsrv_bus_v1_PublishStreamResponse_release(&response);
        msgsrv_message_release(&msgsrv_raw_type, &message);
    }
    bus_end(stream, MSGSRV_OK, "");
    free(bytes);
    bus_close(&world);
}
END_TEST

START_TEST(a_publication_may_have_so_many_headers)
{
    enum { MANY = 300 };
    static uint8_t bytes[8 * MANY + 64];
    bus_open(&world, NULL);
    size_t size = 0;
    for (unsigned i = 0; i < MANY; i++) {
        memcpy(bytes + 3 + size, "\x42\x03\x0a\x01k", 5);
        size += 5;
    }
    bytes[0] = 0x0a;
    bytes[1] = (uint8_t)(size | 0x80);
    bytes[2] = (uint8_t)(size >> 7);
    ck_assert_int_eq(call_raw("/msgsrv.bus.v1.Bus/Publish", bytes, size + 3), MSGSRV_INVALID_ARGUMENT);
    bus_close(&world);
}
END_TEST

TS_MAIN("api_services_bus_more", a_request_is_answered_once, a_request_ends_with_its_responder_its_time_or_its_asker,
        a_server_that_is_freed_ends_its_requests, topics_are_listed_by_name_with_what_happened_on_them,
        topics_are_watched, a_topic_is_declared_with_its_descriptor_which_others_get, why_nothing_arrives_has_an_answer,
        requests_that_are_not_protobuf_are_refused, streams_of_bytes_that_mean_nothing_harm_nobody,
        very_many_bad_publications_are_refused_one_by_one_in_bounded_memory, a_publication_may_have_so_many_headers)
