/* SPDX-License-Identifier: MIT */
/* msgsrv.bus.v1.Bus: queues, consumers and dead letters, as a client of the service sees them. */
#include "api_bus.h"

static bus_world world;

static void declare(const char *queue, msgsrv_bus_v1_QueueSettings settings)
{
    msgsrv_error error;
    msgsrv_bus_v1_DeclareQueueRequest request = {
        .queue = (char *)(uintptr_t)queue, .has_settings = true, .settings = settings};
    msgsrv_bus_v1_DeclareQueueResponse response = msgsrv_bus_v1_DeclareQueueResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error), &error);
}

/* A consumer that the bus knows. */
static msgsrv_stream *consume(msgsrv_client *client, const char *queue, uint32_t prefetch)
{
    msgsrv_stream *stream = bus_stream(client, &msgsrv_bus_v1_Bus_Consume_method, NULL, NULL);
    msgsrv_bus_v1_ConsumeRequest request = {.queue = (char *)(uintptr_t)queue, .prefetch = prefetch};
    bus_write(stream, &request);
    msgsrv_bus_v1_ConsumeResponse response = msgsrv_bus_v1_ConsumeResponse_init_zero;
    ck_assert(msgsrv_stream_read(stream, &response));
    ck_assert(response.ready);
    ck_assert_uint_eq(response.deliveries_count, 0);
    msgsrv_bus_v1_ConsumeResponse_release(&response);
    return stream;
}

/* What a consumer has been told. */
typedef struct told {
    uint64_t ids[1000];
    unsigned numbers[1000];
    uint32_t counts[1000];
    unsigned count;
    uint64_t settled;
    uint32_t refused; /* code of the last one */
    uint64_t refusals;
    char text[256];
} told;

static told got;

static bool read_one(msgsrv_stream *stream)
{
    msgsrv_bus_v1_ConsumeResponse response = msgsrv_bus_v1_ConsumeResponse_init_zero;
    if (!msgsrv_stream_read(stream, &response))
        return false;
    for (size_t i = 0; i < response.deliveries_count; i++) {
        const msgsrv_bus_v1_Delivery *delivery = &response.deliveries[i];
        ck_assert_uint_lt(got.count, 1000);
        got.ids[got.count] = delivery->id;
        got.numbers[got.count] = bus_number(&delivery->event);
        got.counts[got.count] = delivery->count;
        ck_assert(delivery->event.redelivered == (delivery->count > 1));
        got.count++;
    }
    if (response.settled) {
        ck_assert_uint_gt(response.settled, got.settled);
        got.settled = response.settled;
    }
    for (size_t i = 0; i < response.refusals_count; i++) {
        ck_assert_uint_le(response.refusals[i].number, got.settled);
        got.refused = response.refusals[i].code;
        got.refusals++;
        (void)snprintf(got.text, sizeof got.text, "%s", response.refusals[i].text);
    }
    msgsrv_bus_v1_ConsumeResponse_release(&response);
    return true;
}

static void read_deliveries(msgsrv_stream *stream, unsigned count)
{
    while (got.count < count)
        ck_assert(read_one(stream));
}

static void settle(msgsrv_stream *stream, uint64_t id, msgsrv_bus_v1_Settlement_Kind kind, uint32_t delay_ms,
                   const char *reason)
{
    msgsrv_bus_v1_Settlement settlement = {
        .id = id, .kind = kind, .delay_ms = delay_ms, .reason = (char *)(uintptr_t)reason};
    msgsrv_bus_v1_ConsumeRequest request = {.settlements = &settlement, .settlements_count = 1};
    uint64_t before = got.settled;
    bus_write(stream, &request);
    while (got.settled == before)
        ck_assert(read_one(stream));
}

static msgsrv_bus_v1_QueueInfo *look(const char *queue, msgsrv_bus_v1_QueuesResponse *response)
{
    msgsrv_error error;
    msgsrv_bus_v1_QueuesRequest request = {.queue = (char *)(uintptr_t)queue};
    api_ok(msgsrv_bus_v1_Bus_Queues(world.client, &request, NULL, response, &error), &error);
    ck_assert_uint_eq(response->queues_count, 1);
    ck_assert_str_eq(response->queues[0].name, queue);
    return response->queues;
}

static void begin(void)
{
    static char *patterns[] = {"jobs.>"};
    memset(&got, 0, sizeof got);
    bus_open(&world, NULL);
    declare("jobs", (msgsrv_bus_v1_QueueSettings){.patterns = patterns, .patterns_count = 1, .max_deliver = 2});
}

START_TEST(what_is_acked_is_gone_and_confirmed)
{
    begin();
    for (unsigned i = 0; i < 10; i++)
        (void)bus_publish(&world, "jobs.a", i);
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    read_deliveries(stream, 10);
    msgsrv_bus_v1_Settlement settlements[10];
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(got.numbers[i], i);
        ck_assert_uint_eq(got.counts[i], 1);
        settlements[i] = (msgsrv_bus_v1_Settlement){.id = got.ids[i], .kind = msgsrv_bus_v1_Settlement_Kind_ACK};
    }
    msgsrv_bus_v1_ConsumeRequest request = {.settlements = settlements, .settlements_count = 10};
    bus_write(stream, &request);
    while (got.settled < 10)
        ck_assert(read_one(stream));
    ck_assert_uint_eq(got.refusals, 0);
    msgsrv_bus_v1_QueuesResponse response = msgsrv_bus_v1_QueuesResponse_init_zero;
    const msgsrv_bus_v1_QueueInfo *info = look("jobs", &response);
    ck_assert_uint_eq(info->messages, 0);
    ck_assert_uint_eq(info->acked, 10);
    ck_assert_uint_eq(info->consumers, 1);
    ck_assert_uint_eq(info->settings.patterns_count, 1);
    ck_assert_str_eq(info->settings.patterns[0], "jobs.>");
    ck_assert_uint_eq(info->settings.max_deliver, 2);
    msgsrv_bus_v1_QueuesResponse_release(&response);
    bus_end(stream, MSGSRV_OK, "");
    bus_close(&world);
}
END_TEST

START_TEST(settlements_that_mean_nothing_are_refused_and_the_stream_goes_on)
{
    begin();
    (void)bus_publish(&world, "jobs.a", 1);
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    read_deliveries(stream, 1);
    settle(stream, got.ids[0] + 1000, msgsrv_bus_v1_Settlement_Kind_ACK, 0, NULL);
    ck_assert_uint_eq(got.refusals, 1);
    ck_assert_uint_eq(got.refused, MSGSRV_NOT_FOUND);
    settle(stream, got.ids[0], msgsrv_bus_v1_Settlement_Kind_UNSPECIFIED, 0, NULL);
    ck_assert_uint_eq(got.refused, MSGSRV_INVALID_ARGUMENT);
    settle(stream, got.ids[0], (msgsrv_bus_v1_Settlement_Kind)99, 0, NULL);
    ck_assert_uint_eq(got.refused, MSGSRV_INVALID_ARGUMENT);
    api_contains(got.text, "99");
    settle(stream, got.ids[0], msgsrv_bus_v1_Settlement_Kind_EXTEND, 0, NULL);
    settle(stream, got.ids[0], msgsrv_bus_v1_Settlement_Kind_ACK, 0, NULL);
    ck_assert_uint_eq(got.refusals, 3);
    settle(stream, got.ids[0], msgsrv_bus_v1_Settlement_Kind_ACK, 0, NULL);
    ck_assert_uint_eq(got.refusals, 4);
    ck_assert_uint_eq(got.refused, MSGSRV_NOT_FOUND);
    bus_end(stream, MSGSRV_OK, "");
    bus_close(&world);
}
END_TEST

START_TEST(an_item_of_very_many_settlements_is_answered_in_full)
{
    enum { ALL = 60000 };
    static msgsrv_bus_v1_Settlement settlements[ALL];
    begin();
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    msgsrv_bus_v1_ConsumeRequest request = {.settlements = settlements, .settlements_count = ALL};
    bus_write(stream, &request);
    while (got.settled < ALL)
        ck_assert(read_one(stream));
    ck_assert_uint_eq(got.refusals, ALL);
    bus_end(stream, MSGSRV_OK, "");
    bus_close(&world);
}
END_TEST

START_TEST(a_nak_brings_the_message_again_in_its_time)
{
    begin();
    (void)bus_publish(&world, "jobs.a", 1);
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    read_deliveries(stream, 1);
    settle(stream, got.ids[0], msgsrv_bus_v1_Settlement_Kind_NAK, 30, "later, please");
    read_deliveries(stream, 2); /* nobody publishes: the consumer's own time brings it */
    ck_assert_uint_eq(got.counts[1], 2);
    ck_assert_uint_ne(got.ids[0], got.ids[1]);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

START_TEST(a_consumer_that_vanishes_leaves_its_deliveries_to_another)
{
    begin();
    msgsrv_client *gone = api_client(world.server, NULL);
    msgsrv_stream *one = consume(gone, "jobs", 5);
    for (unsigned i = 0; i < 8; i++)
        (void)bus_publish(&world, "jobs.a", i);
    read_deliveries(one, 5); /* no more than its prefetch */
    msgsrv_bus_v1_QueuesResponse response = msgsrv_bus_v1_QueuesResponse_init_zero;
    ck_assert_uint_eq(look("jobs", &response)->unsettled, 5);
    msgsrv_bus_v1_QueuesResponse_release(&response);
    msgsrv_client_free(gone);
    bus_leave(one);
    msgsrv_stream *two = consume(world.client, "jobs", 0);
    memset(&got, 0, sizeof got);
    read_deliveries(two, 8);
    unsigned again = 0;
    for (unsigned i = 0; i < 8; i++)
        again += got.counts[i] == 2;
    ck_assert_uint_eq(again, 5);
    bus_leave(two);
    bus_close(&world);
}
END_TEST

static void refuse_consumer(const msgsrv_bus_v1_ConsumeRequest *request, msgsrv_status want, const char *text)
{
    msgsrv_stream *stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_Consume_method, NULL, NULL);
    bus_write(stream, request);
    msgsrv_bus_v1_ConsumeResponse response = msgsrv_bus_v1_ConsumeResponse_init_zero;
    ck_assert(!msgsrv_stream_read(stream, &response));
    bus_end(stream, want, text);
}

START_TEST(what_cannot_be_consumed_is_refused_by_name)
{
    begin();
    refuse_consumer(&(msgsrv_bus_v1_ConsumeRequest){.queue = ""}, MSGSRV_INVALID_ARGUMENT, "queue");
    refuse_consumer(&(msgsrv_bus_v1_ConsumeRequest){.queue = "a/b"}, MSGSRV_INVALID_ARGUMENT, "a/b");
    refuse_consumer(&(msgsrv_bus_v1_ConsumeRequest){.queue = "unknown"}, MSGSRV_NOT_FOUND, "unknown");
    refuse_consumer(&(msgsrv_bus_v1_ConsumeRequest){.queue = "jobs", .prefetch = 1000000}, MSGSRV_INVALID_ARGUMENT,
                    "prefetch");
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    msgsrv_bus_v1_ConsumeRequest again = {.queue = "jobs"};
    bus_write(stream, &again);
    ck_assert(!read_one(stream));
    bus_end(stream, MSGSRV_INVALID_ARGUMENT, "first message");
    bus_close(&world);
}
END_TEST

START_TEST(a_queue_that_is_deleted_ends_its_consumers)
{
    msgsrv_error error;
    begin();
    msgsrv_client *other = api_client(world.server, NULL);
    msgsrv_stream *stream = consume(other, "jobs", 0);
    msgsrv_bus_v1_DeleteQueueRequest request = {.queue = "jobs"};
    msgsrv_bus_v1_DeleteQueueResponse response = msgsrv_bus_v1_DeleteQueueResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_DeleteQueue(world.client, &request, NULL, &response, &error), &error);
    ck_assert(!read_one(stream));
    bus_end(stream, MSGSRV_NOT_FOUND, "deleted");
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_v1_Bus_DeleteQueue(world.client, &request, NULL, &response, &error), &error);
    msgsrv_client_free(other);
    bus_close(&world);
}
END_TEST

/* Peeks at a dead-letter queue, and returns how many it showed. */
static unsigned peek(const char *queue, uint32_t max, uint64_t *after, bool *more)
{
    msgsrv_error error;
    msgsrv_bus_v1_PeekRequest request = {.queue = (char *)(uintptr_t)queue, .max = max, .after = *after};
    msgsrv_bus_v1_PeekResponse response = msgsrv_bus_v1_PeekResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_Peek(world.client, &request, NULL, &response, &error), &error);
    unsigned count = response.messages_count;
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_gt(response.messages[i].id, *after);
        *after = response.messages[i].id;
        ck_assert_str_eq(response.messages[i].event.topic, "jobs.a");
        (void)bus_number(&response.messages[i].event);
    }
    if (count && response.messages[0].reason && response.messages[0].reason[0])
        ck_assert_str_eq(response.messages[0].reason, "rejected");
    *more = response.more;
    msgsrv_bus_v1_PeekResponse_release(&response);
    return count;
}

START_TEST(dead_letters_are_shown_put_back_and_purged)
{
    msgsrv_error error;
    uint64_t after = 0;
    bool more;
    begin();
    for (unsigned i = 0; i < 25; i++)
        (void)bus_publish(&world, "jobs.a", i);
    unsigned shown = peek("jobs", 10, &after, &more);
    ck_assert_uint_eq(shown, 10);
    ck_assert(more);
    shown += peek("jobs", 10, &after, &more);
    shown += peek("jobs", 10, &after, &more);
    ck_assert_uint_eq(shown, 25);
    ck_assert(!more);
    msgsrv_stream *stream = consume(world.client, "jobs", 0);
    read_deliveries(stream, 25);
    for (unsigned i = 0; i < 25; i++)
        settle(stream, got.ids[i], msgsrv_bus_v1_Settlement_Kind_REJECT, 0, "no good");
    bus_leave(stream);
    after = 0;
    ck_assert_uint_eq(peek("$dlq.jobs", 0, &after, &more), 25);
    msgsrv_bus_v1_RetryRequest retry = {.queue = "jobs", .id = after};
    msgsrv_bus_v1_RetryResponse retried = msgsrv_bus_v1_RetryResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_Retry(world.client, &retry, NULL, &retried, &error), &error);
    ck_assert_uint_eq(retried.count, 1);
    retry.id = 0;
    api_ok(msgsrv_bus_v1_Bus_Retry(world.client, &retry, NULL, &retried, &error), &error);
    ck_assert_uint_eq(retried.count, 24);
    msgsrv_bus_v1_PurgeRequest purge = {.queue = "jobs"};
    msgsrv_bus_v1_PurgeResponse purged = msgsrv_bus_v1_PurgeResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_Purge(world.client, &purge, NULL, &purged, &error), &error);
    ck_assert_uint_eq(purged.count, 25);
    purge.queue = "unknown";
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_v1_Bus_Purge(world.client, &purge, NULL, &purged, &error), &error);
    bus_close(&world);
}
END_TEST

START_TEST(messages_that_do_not_fit_into_one_answer_are_paged)
{
    enum { ALL = 8, SIZE = 1000000 };
    msgsrv_error error;
    begin();
    uint8_t *large = calloc(1, SIZE + 5);
    memcpy(large, "\x12\xc0\x84\x3d", 4); /* field 2 of 1,000,000 bytes */
    for (unsigned i = 0; i < ALL; i++) {
        msgsrv_bus_v1_PublishRequest request = {.has_publication = true};
        request.publication.topic = "jobs.large";
        request.publication.type = BUS_TYPE;
        request.publication.payload = (msgsrv_bytes){large, SIZE + 4, NULL};
        msgsrv_bus_v1_PublishResponse response = msgsrv_bus_v1_PublishResponse_init_zero;
        api_ok(msgsrv_bus_v1_Bus_Publish(world.client, &request, NULL, &response, &error), &error);
    }
    free(large);
    unsigned shown = 0;
    msgsrv_bus_v1_PeekRequest request = {.queue = "jobs"};
    bool more = true;
    while (more) {
        msgsrv_bus_v1_PeekResponse response = msgsrv_bus_v1_PeekResponse_init_zero;
        api_ok(msgsrv_bus_v1_Bus_Peek(world.client, &request, NULL, &response, &error), &error);
        ck_assert_uint_ge(response.messages_count, 1);
        shown += response.messages_count;
        request.after = response.messages[response.messages_count - 1].id;
        more = response.more;
        msgsrv_bus_v1_PeekResponse_release(&response);
    }
    ck_assert_uint_eq(shown, ALL);
    bus_close(&world);
}
END_TEST

START_TEST(a_queue_is_declared_once_and_by_sound_settings)
{
    static char *many[65];
    msgsrv_error error;
    begin();
    msgsrv_bus_v1_DeclareQueueResponse response = msgsrv_bus_v1_DeclareQueueResponse_init_zero;
    char *patterns[] = {"jobs.>"};
    msgsrv_bus_v1_DeclareQueueRequest request = {.queue = "jobs", .has_settings = true};
    request.settings = (msgsrv_bus_v1_QueueSettings){.patterns = patterns, .patterns_count = 1, .max_deliver = 2};
    api_ok(msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error), &error);
    ck_assert(response.existed);
    request.settings.max_deliver = 3;
    api_expect(MSGSRV_ALREADY_EXISTS, msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error),
               &error);
    api_contains(error.text, "max_deliver");
    request.queue = "more";
    patterns[0] = "a..b";
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error),
               &error);
    api_contains(error.text, "a..b");
    for (size_t i = 0; i < 65; i++)
        many[i] = "a";
    request.settings.patterns = many;
    request.settings.patterns_count = 65;
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error),
               &error);
    request.settings = (msgsrv_bus_v1_QueueSettings){.max_messages = 4000000000u};
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_v1_Bus_DeclareQueue(world.client, &request, NULL, &response, &error),
               &error);
    api_contains(error.text, "max_messages");
    bus_close(&world);
}
END_TEST

TS_MAIN("api_services_bus_queues", what_is_acked_is_gone_and_confirmed,
        settlements_that_mean_nothing_are_refused_and_the_stream_goes_on,
        an_item_of_very_many_settlements_is_answered_in_full, a_nak_brings_the_message_again_in_its_time,
        a_consumer_that_vanishes_leaves_its_deliveries_to_another, what_cannot_be_consumed_is_refused_by_name,
        a_queue_that_is_deleted_ends_its_consumers, dead_letters_are_shown_put_back_and_purged,
        messages_that_do_not_fit_into_one_answer_are_paged, a_queue_is_declared_once_and_by_sound_settings)
