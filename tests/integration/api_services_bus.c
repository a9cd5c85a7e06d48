/* SPDX-License-Identifier: MIT */
/* msgsrv.bus.v1.Bus: publishing and subscribing, as a client of the service sees them. */
#include "api_bus.h"

static bus_world world;
static bus_got got;

START_TEST(an_event_reaches_a_subscriber_as_it_was_published)
{
    msgsrv_error error;
    uint8_t room[8];
    bus_open(&world, NULL);
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "house.*.temperature", .subscriber = "display"};
    msgsrv_stream *stream = bus_subscribe(world.client, &wanted, NULL);
    msgsrv_bus_v1_Header headers[] = {{.key = "unit", .value = NULL}};
    pb_bytes_array_t *value = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(7));
    value->size = 7;
    memcpy(value->bytes, "celsius", 7);
    headers[0].value = value;
    msgsrv_bus_v1_PublishRequest request = {.publisher = "stove", .has_publication = true};
    request.publication.topic = "house.kitchen.temperature";
    request.publication.type = BUS_TYPE;
    request.publication.payload = bus_payload(room, 300);
    request.publication.headers = headers;
    request.publication.headers_count = 1;
    msgsrv_bus_v1_PublishResponse receipt = msgsrv_bus_v1_PublishResponse_init_zero;
    api_ok(msgsrv_bus_v1_Bus_Publish(world.client, &request, NULL, &receipt, &error), &error);
    ck_assert_uint_eq(receipt.sequence, 1);
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    ck_assert(msgsrv_stream_read(stream, &response));
    ck_assert_uint_eq(response.events_count, 1);
    const msgsrv_bus_v1_Event *event = response.events;
    ck_assert_str_eq(event->topic, "house.kitchen.temperature");
    ck_assert_str_eq(event->type, BUS_TYPE);
    ck_assert_str_eq(event->publisher, "stove");
    ck_assert_uint_eq(event->epoch, receipt.epoch);
    ck_assert_uint_eq(event->sequence, 1);
    ck_assert_uint_eq(bus_number(event), 300);
    ck_assert_uint_eq(event->headers_count, 1);
    ck_assert_str_eq(event->headers[0].key, "unit");
    ck_assert_mem_eq(event->headers[0].value->bytes, "celsius", 7);
    ck_assert(event->time_us > 1600000000000000u);
    msgsrv_bus_v1_SubscribeResponse_release(&response);
    free(value);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

START_TEST(what_cannot_be_published_is_refused_by_name)
{
    static const uint8_t broken[] = {0x0a, 0x05, 'x'};
    static char long_id[200];
    memset(long_id, 'i', sizeof long_id - 1);
    const struct {
        const char *topic;
        const char *type;
        const char *id;
        bool broken;
        msgsrv_status want;
        const char *text;
    } bad[] = {
        {"", BUS_TYPE, NULL, false, MSGSRV_INVALID_ARGUMENT, "topic"},
        {"$sys.load", BUS_TYPE, NULL, false, MSGSRV_INVALID_ARGUMENT, "$sys.load"},
        {"a..b", BUS_TYPE, NULL, false, MSGSRV_INVALID_ARGUMENT, "a..b"},
        {"a.*", BUS_TYPE, NULL, false, MSGSRV_INVALID_ARGUMENT, "a.*"},
        {"a.b", "", NULL, false, MSGSRV_INVALID_ARGUMENT, "type"},
        {"a.b", "no type", NULL, false, MSGSRV_INVALID_ARGUMENT, "no type"},
        {"a.b", BUS_TYPE, long_id, false, MSGSRV_INVALID_ARGUMENT, "id"},
        {"a.b", BUS_TYPE, NULL, true, MSGSRV_INVALID_ARGUMENT, "payload"},
        {"bound", "other.Type", NULL, false, MSGSRV_FAILED_PRECONDITION, "other.Type"},
    };
    bus_open(&world, NULL);
    (void)bus_publish(&world, "bound", 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_error error;
        uint8_t room[8];
        msgsrv_bus_v1_PublishRequest request = {.has_publication = true};
        request.publication.topic = (char *)(uintptr_t)bad[i].topic;
        request.publication.type = (char *)(uintptr_t)bad[i].type;
        request.publication.id = (char *)(uintptr_t)bad[i].id;
        request.publication.payload = bad[i].broken ? (msgsrv_bytes){broken, 3, NULL} : bus_payload(room, 1);
        msgsrv_bus_v1_PublishResponse response = msgsrv_bus_v1_PublishResponse_init_zero;
        api_expect(bad[i].want, msgsrv_bus_v1_Bus_Publish(world.client, &request, NULL, &response, &error), &error);
        api_contains(error.text, bad[i].text);
    }
    bus_close(&world);
}
END_TEST

/* A stream's item with publications of a topic, numbered from `first`. */
typedef struct item {
    msgsrv_bus_v1_Publication publications[1000];
    uint8_t rooms[1000][8];
    msgsrv_bus_v1_PublishStreamRequest request;
} item;

static item made;

static msgsrv_bus_v1_PublishStreamRequest *make_item(const char *topic, unsigned first, unsigned count)
{
    made.request =
        (msgsrv_bus_v1_PublishStreamRequest){.publications = made.publications, .publications_count = (pb_size_t)count};
    for (unsigned i = 0; i < count; i++) {
        made.publications[i] = (msgsrv_bus_v1_Publication){.topic = (char *)(uintptr_t)topic, .type = BUS_TYPE};
        made.publications[i].payload = bus_payload(made.rooms[i], first + i);
    }
    return &made.request;
}

/* Publishes through a stream and waits for the answer to all. */
static void publish_many(const char *topic, unsigned first, unsigned count)
{
    msgsrv_stream *stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    uint64_t last = 0;
    for (unsigned i = 0; i < count; i += 1000)
        bus_write(stream, make_item(topic, first + i, count - i < 1000 ? count - i : 1000));
    while (last < count) {
        msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
        ck_assert(msgsrv_stream_read(stream, &response));
        ck_assert_uint_eq(response.refusals_count, 0);
        ck_assert_uint_gt(response.last, last);
        last = response.last;
        msgsrv_bus_v1_PublishStreamResponse_release(&response);
    }
    bus_end(stream, MSGSRV_OK, "");
}

START_TEST(one_item_of_a_stream_is_one_answer_and_one_response)
{
    bus_open(&world, NULL);
    msgsrv_stream *stream = bus_subscribe(world.client, &(msgsrv_bus_v1_SubscribeRequest){.pattern = "many"}, NULL);
    msgsrv_stream *publisher = bus_stream(world.client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    bus_write(publisher, make_item("many", 0, 50));
    msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
    ck_assert(msgsrv_stream_read(publisher, &response));
    ck_assert_uint_eq(response.last, 50);
    ck_assert_uint_eq(response.receipts_count, 0);
    msgsrv_bus_v1_PublishStreamResponse_release(&response);
    bus_read_events(stream, &got, 50);
    ck_assert_uint_eq(got.responses, 1);
    for (unsigned i = 0; i < 50; i++)
        ck_assert_uint_eq(got.numbers[i], i);
    bus_end(publisher, MSGSRV_OK, "");
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

START_TEST(bad_publications_of_a_stream_are_refused_and_the_others_accepted)
{
    bus_open(&world, NULL);
    msgsrv_stream *publisher = bus_stream(world.client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    msgsrv_bus_v1_PublishStreamRequest *request = make_item("mixed", 0, 100);
    made.publications[10].topic = "not a topic";
    made.publications[20].payload = (msgsrv_bytes){"\x0a\x05x", 3, NULL};
    made.publications[30].type = "other.Type";
    request->receipts = true;
    request->publisher = "mixer";
    bus_write(publisher, request);
    msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
    ck_assert(msgsrv_stream_read(publisher, &response));
    ck_assert_uint_eq(response.last, 100);
    ck_assert_uint_eq(response.refusals_count, 3);
    ck_assert_uint_eq(response.refusals[0].number, 11);
    ck_assert_uint_eq(response.refusals[0].code, MSGSRV_INVALID_ARGUMENT);
    api_contains(response.refusals[0].text, "not a topic");
    ck_assert_uint_eq(response.refusals[1].number, 21);
    ck_assert_uint_eq(response.refusals[1].code, MSGSRV_INVALID_ARGUMENT);
    ck_assert_uint_eq(response.refusals[2].number, 31);
    ck_assert_uint_eq(response.refusals[2].code, MSGSRV_FAILED_PRECONDITION);
    ck_assert_uint_eq(response.receipts_count, 97);
    ck_assert_uint_eq(response.receipts[0].number, 1);
    ck_assert_uint_eq(response.receipts[0].sequence, 1);
    ck_assert_uint_eq(response.receipts[96].number, 100);
    ck_assert_uint_eq(response.receipts[96].sequence, 97);
    msgsrv_bus_v1_PublishStreamResponse_release(&response);
    bus_write(publisher, request); /* which names the publisher again */
    ck_assert(!msgsrv_stream_read(publisher, &response));
    bus_end(publisher, MSGSRV_INVALID_ARGUMENT, "publisher");
    bus_close(&world);
}
END_TEST

START_TEST(a_subscriber_that_does_not_read_loses_by_its_policy_and_delays_nobody)
{
    enum { ALL = 20000, ROOM = 100 };
    bus_open(&world, NULL);
    msgsrv_client *slow = api_client(world.server, NULL);
    msgsrv_call_options few = {.size = sizeof few, .receive_items = 1};
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "flood", .max_events = ROOM};
    msgsrv_stream *oldest = bus_subscribe(slow, &wanted, &few);
    wanted.policy = msgsrv_bus_v1_Policy_DROP_NEWEST;
    msgsrv_stream *newest = bus_subscribe(slow, &wanted, &few);
    wanted.policy = msgsrv_bus_v1_Policy_DISCONNECT;
    msgsrv_stream *strict = bus_subscribe(slow, &wanted, &few);
    publish_many("flood", 0, ALL);
    memset(&got, 0, sizeof got);
    while (got.count + got.lost < ALL)
        ck_assert(bus_read(oldest, &got));
    ck_assert_uint_eq(got.count + got.lost, ALL);
    ck_assert_uint_eq(got.numbers[got.count - 1], ALL - 1);
    bus_leave(oldest);
    memset(&got, 0, sizeof got);
    while (got.count + got.lost < ALL)
        ck_assert(bus_read(newest, &got));
    ck_assert_uint_eq(got.count + got.lost, ALL);
    ck_assert_uint_eq(got.gap_at, got.count); /* the last loss is at the end */
    for (unsigned i = 1; i < got.count; i++)
        ck_assert_uint_gt(got.numbers[i], got.numbers[i - 1]);
    bus_leave(newest);
    memset(&got, 0, sizeof got);
    while (bus_read(strict, &got))
        continue;
    ck_assert_uint_eq(got.gaps, 1);
    ck_assert_uint_ge(got.lost, 1);
    bus_end(strict, MSGSRV_RESOURCE_EXHAUSTED, "slow");
    msgsrv_client_free(slow);
    bus_close(&world);
}
END_TEST

/* Whether it is new. */
static bool mark(bool *seen, unsigned number)
{
    bool before = seen[number];
    seen[number] = true;
    return !before;
}

START_TEST(a_member_of_a_group_that_goes_leaves_what_it_has_not_got_to_another)
{
    enum { ALL = 60 };
    static bus_got other;
    bus_open(&world, NULL);
    msgsrv_client *gone = api_client(world.server, NULL);
    msgsrv_call_options eager = {.size = sizeof eager, .eager_credit = true};
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "work", .group = "workers"};
    msgsrv_stream *one = bus_subscribe(gone, &wanted, &eager);
    msgsrv_stream *two = bus_subscribe(world.client, &wanted, &eager);
    publish_many("work", 0, ALL);
    memset(&got, 0, sizeof got);
    memset(&other, 0, sizeof other);
    bus_read_events(one, &got, 5); /* and no more: it has got these, and the others not */
    msgsrv_client_free(gone);
    bus_leave(one);
    bool seen[ALL] = {false};
    unsigned count = 0;
    for (unsigned i = 0; i < got.count; i++)
        count += mark(seen, got.numbers[i]);
    while (count < ALL) {
        unsigned before = other.count;
        ck_assert(bus_read(two, &other));
        for (unsigned i = before; i < other.count; i++)
            count += mark(seen, other.numbers[i]);
    }
    ck_assert_uint_ge(other.redelivered, 1);
    ck_assert_uint_eq(other.responses, other.count); /* one event each */
    bus_leave(two);
    bus_close(&world);
}
END_TEST

START_TEST(a_subscription_that_was_lost_goes_on)
{
    bus_open(&world, NULL);
    memset(&got, 0, sizeof got);
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "news"};
    msgsrv_bus_v1_DeclareTopicRequest declare = {.topic = "news", .has_retain = true, .retain = 100};
    msgsrv_bus_v1_DeclareTopicResponse declared = msgsrv_bus_v1_DeclareTopicResponse_init_zero;
    msgsrv_error error;
    api_ok(msgsrv_bus_v1_Bus_DeclareTopic(world.client, &declare, NULL, &declared, &error), &error);
    msgsrv_bus_v1_DeclareTopicResponse_release(&declared);
    msgsrv_stream *stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_Subscribe_method, &wanted, NULL);
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    ck_assert(msgsrv_stream_read(stream, &response));
    uint64_t epoch = response.epoch;
    msgsrv_bus_v1_SubscribeResponse_release(&response);
    for (unsigned i = 0; i < 10; i++)
        (void)bus_publish(&world, "news", i);
    bus_read_events(stream, &got, 10);
    bus_leave(stream);
    for (unsigned i = 10; i < 15; i++)
        (void)bus_publish(&world, "news", i);
    msgsrv_bus_v1_Seen seen = {.topic = "news", .epoch = declared.epoch, .sequence = 10};
    wanted.has_resume = true;
    wanted.resume = (msgsrv_bus_v1_Resume){.epoch = epoch, .position = got.position, .seen = &seen, .seen_count = 1};
    stream = bus_subscribe(world.client, &wanted, NULL);
    (void)bus_publish(&world, "news", 15);
    bus_read_events(stream, &got, 16);
    ck_assert_uint_eq(got.gaps, 0);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(got.numbers[i], i);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

static void refuse_subscription(const msgsrv_bus_v1_SubscribeRequest *request, const char *text)
{
    msgsrv_stream *stream = bus_stream(world.client, &msgsrv_bus_v1_Bus_Subscribe_method, request, NULL);
    msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
    ck_assert(!msgsrv_stream_read(stream, &response));
    bus_end(stream, MSGSRV_INVALID_ARGUMENT, text);
}

START_TEST(what_cannot_be_subscribed_is_refused_by_name)
{
    static msgsrv_bus_v1_Seen seen[1001];
    bus_open(&world, NULL);
    for (size_t i = 0; i < 1001; i++)
        seen[i].topic = "t";
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.pattern = "a..b"}, "a..b");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.type = "no type"}, "no type");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.group = "a/b"}, "a/b");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.policy = 17}, "17");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.max_events = 2000000}, "max_events");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.max_bytes = 10}, "max_bytes");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.max_bytes = 4000000000u}, "max_bytes");
    refuse_subscription(&(msgsrv_bus_v1_SubscribeRequest){.subscriber = "tab\there"}, "name");
    msgsrv_bus_v1_SubscribeRequest resumes = {.has_resume = true, .resume = {.seen = seen, .seen_count = 1001}};
    refuse_subscription(&resumes, "1001");
    seen[0].topic = "no topic";
    resumes.resume.seen_count = 1;
    refuse_subscription(&resumes, "no topic");
    bus_close(&world);
}
END_TEST

START_TEST(a_draining_server_ends_what_would_last)
{
    bus_open(&world, NULL);
    msgsrv_stream *stream = bus_subscribe(world.client, &(msgsrv_bus_v1_SubscribeRequest){.pattern = "a"}, NULL);
    msgsrv_stream *publisher = bus_stream(world.client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    bus_write(publisher, make_item("a", 0, 1));
    msgsrv_bus_v1_PublishStreamResponse response = msgsrv_bus_v1_PublishStreamResponse_init_zero;
    ck_assert(msgsrv_stream_read(publisher, &response));
    msgsrv_server_drain(world.server, MSGSRV_NONE);
    memset(&got, 0, sizeof got);
    while (bus_read(stream, &got))
        continue;
    bus_end(stream, MSGSRV_UNAVAILABLE, "shutting down");
    ck_assert(!msgsrv_stream_read(publisher, &response));
    bus_end(publisher, MSGSRV_UNAVAILABLE, "shutting down");
    bus_close(&world);
}
END_TEST

START_TEST(a_bus_outlives_its_handle_for_the_server)
{
    bus_open(&world, NULL);
    msgsrv_bus_free(world.bus);
    world.bus = NULL;
    memset(&got, 0, sizeof got);
    msgsrv_stream *stream = bus_subscribe(world.client, &(msgsrv_bus_v1_SubscribeRequest){.pattern = "a"}, NULL);
    (void)bus_publish(&world, "a", 7);
    bus_read_events(stream, &got, 1);
    ck_assert_uint_eq(got.numbers[0], 7);
    bus_leave(stream);
    bus_close(&world);
}
END_TEST

/* One of several threads, each on a loop of the server's of its own: publishes, and gets what all publish. */
enum { FRIENDS = 4, EACH = 1000 };
static api_event subscribed;

static void *befriend(void *arg)
{
    unsigned own = *(const unsigned *)arg;
    char topic[16];
    (void)snprintf(topic, sizeof topic, "t.%u", own);
    unsigned next[FRIENDS] = {0};
    msgsrv_client *client = api_client(world.server, NULL);
    msgsrv_bus_v1_SubscribeRequest wanted = {.pattern = "t.*", .max_events = FRIENDS * EACH};
    msgsrv_stream *stream = bus_subscribe(client, &wanted, NULL);
    api_event_add(&subscribed);
    api_event_wait(&subscribed, FRIENDS);
    msgsrv_stream *publisher = bus_stream(client, &msgsrv_bus_v1_Bus_PublishStream_method, NULL, NULL);
    for (unsigned i = 0; i < EACH; i++) {
        uint8_t room[8];
        msgsrv_bus_v1_Publication publication = {.topic = topic, .type = BUS_TYPE, .payload = bus_payload(room, i)};
        bus_write(publisher,
                  &(msgsrv_bus_v1_PublishStreamRequest){.publications = &publication, .publications_count = 1});
    }
    for (unsigned count = 0; count < FRIENDS * EACH;) {
        msgsrv_bus_v1_SubscribeResponse response = msgsrv_bus_v1_SubscribeResponse_init_zero;
        ck_assert(msgsrv_stream_read(stream, &response));
        ck_assert(!response.has_gap);
        for (size_t i = 0; i < response.events_count; i++, count++) {
            unsigned from = (unsigned)(response.events[i].topic[2] - '0');
            ck_assert_uint_lt(from, FRIENDS);
            ck_assert_uint_eq(bus_number(&response.events[i]), next[from]);
            next[from]++;
        }
        msgsrv_bus_v1_SubscribeResponse_release(&response);
    }
    bus_leave(stream);
    bus_end(publisher, MSGSRV_OK, "");
    msgsrv_client_free(client);
    return NULL;
}

START_TEST(the_loops_of_a_server_share_one_bus)
{
    msgsrv_error error;
    pthread_t threads[FRIENDS];
    unsigned numbers[FRIENDS];
    api_event_init(&subscribed);
    api_ok(msgsrv_bus_open("mem:", NULL, &world.bus, &error), &error);
    world.server = api_server_new(NULL, &(msgsrv_server_options){.threads = FRIENDS}, NULL, NULL);
    api_ok(msgsrv_bus_serve(world.bus, world.server, &error), &error);
    api_ok(msgsrv_server_start(world.server, &error), &error);
    for (unsigned i = 0; i < FRIENDS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, befriend, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < FRIENDS; i++)
        pthread_join(threads[i], NULL);
    msgsrv_server_free(world.server);
    msgsrv_bus_free(world.bus);
}
END_TEST

START_TEST(a_bus_is_served_once_and_where_its_events_fit)
{
    msgsrv_error error;
    msgsrv_bus *bus = NULL;
    api_ok(msgsrv_bus_open("mem:", NULL, &bus, &error), &error);
    msgsrv_server *server = api_server_new(NULL, NULL, NULL, NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_serve(NULL, server, &error), &error);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_serve(bus, NULL, &error), &error);
    api_ok(msgsrv_bus_serve(bus, server, &error), &error);
    api_expect(MSGSRV_ALREADY_EXISTS, msgsrv_bus_serve(bus, server, &error), &error);
    msgsrv_server_free(server); /* never started */
    server = api_server_new(NULL, &(msgsrv_server_options){.max_message = 100000}, NULL, NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_serve(bus, server, &error), &error);
    api_contains(error.text, "max_event");
    msgsrv_server_free(server);
    msgsrv_bus_free(bus);
}
END_TEST

TS_MAIN("api_services_bus", an_event_reaches_a_subscriber_as_it_was_published,
        what_cannot_be_published_is_refused_by_name, one_item_of_a_stream_is_one_answer_and_one_response,
        bad_publications_of_a_stream_are_refused_and_the_others_accepted,
        a_subscriber_that_does_not_read_loses_by_its_policy_and_delays_nobody,
        a_member_of_a_group_that_goes_leaves_what_it_has_not_got_to_another, a_subscription_that_was_lost_goes_on,
        what_cannot_be_subscribed_is_refused_by_name, a_draining_server_ends_what_would_last,
        a_bus_outlives_its_handle_for_the_server, the_loops_of_a_server_share_one_bus,
        a_bus_is_served_once_and_where_its_events_fit)
