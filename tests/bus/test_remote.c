/* SPDX-License-Identifier: MIT */
/* A handle on a bus in a server: everything it does, over connections that are lost, from other threads, and freed at any moment. */
#include <event2/event.h>
#include <stdatomic.h>

#include "api_support.h"
#include "bus/bus.h"

/* A bus of this process, and a server of it that can go and come again at the same address. */
struct stage {
    msgsrv_bus *local;
    msgsrv_server *server;
    char url[96];
};

static void stage_serve(struct stage *stage)
{
    msgsrv_error error;
    msgsrv_server_options options = {.size = sizeof options, .threads = 1};
    api_ok(msgsrv_server_new(&options, &stage->server, &error), &error);
    api_ok(msgsrv_bus_serve(stage->local, stage->server, &error), &error);
    api_ok(msgsrv_server_listen(stage->server, stage->url, &error), &error);
    api_ok(msgsrv_server_start(stage->server, &error), &error);
}

static void stage_open(struct stage *stage, const char *name)
{
    msgsrv_error error;
    api_ok(msgsrv_bus_open("mem:", NULL, &stage->local, &error), &error);
    snprintf(stage->url, sizeof stage->url, "unix:@bus-remote-%s-%d", name, (int)getpid());
    stage_serve(stage);
}

static void stage_close(struct stage *stage)
{
    msgsrv_server_free(stage->server);
    msgsrv_bus_free(stage->local);
}

static msgsrv_bus *handle_of(const struct stage *stage, const msgsrv_bus_options *more)
{
    msgsrv_bus *bus = NULL;
    msgsrv_error error;
    msgsrv_bus_options options = {.size = sizeof options, .thread = true, .name = "tester"};
    api_ok(msgsrv_bus_open(stage->url, more ? more : &options, &bus, &error), &error);
    return bus;
}

/* What a subscription or consumer was told. */
struct told {
    api_event events;
    api_event gaps;
    api_event ready;
    api_event ended;
    msgsrv_error why;
    uint64_t last; /* sequence */
    uint64_t out_of_order;
    uint64_t lost;
    uint64_t request;
    int32_t a; /* of the last typed event */
    char topic[64];
    char type[64];
    char payload[64];
    char publisher[64];
    char header[64];
    bool redelivered;
    bool gap_at_end;
    msgsrv_gap_reason reason;
    void (*also)(msgsrv_bus *bus, struct told *told); /* in the event */
    msgsrv_handle handle;
    msgsrv_status returns; /* of a consumer's */
    uint64_t delivery;
    uint32_t count;
};

static void told_init(struct told *told)
{
    memset(told, 0, sizeof *told);
    api_event_init(&told->events);
    api_event_init(&told->gaps);
    api_event_init(&told->ready);
    api_event_init(&told->ended);
}

static void take(struct told *told, const msgsrv_event *event)
{
    if (event->sequence <= told->last)
        told->out_of_order++;
    told->last = event->sequence;
    told->request = event->request;
    told->redelivered = event->redelivered;
    snprintf(told->topic, sizeof told->topic, "%s", event->topic);
    snprintf(told->type, sizeof told->type, "%s", event->type);
    snprintf(told->publisher, sizeof told->publisher, "%s", event->publisher);
    if (event->payload)
        snprintf(told->payload, sizeof told->payload, "%.*s", (int)event->payload_size, (const char *)event->payload);
    if (event->message)
        told->a = ((const messages_AddRequest *)event->message)->a;
    if (event->header_count)
        snprintf(told->header, sizeof told->header, "%s=%s", event->headers[0].key,
                 (const char *)event->headers[0].value);
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct told *told = ctx;
    take(told, event);
    if (told->also)
        told->also(bus, told);
    api_event_add(&told->events);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct told *told = ctx;
    told->lost += gap->total;
    told->reason = gap->reason;
    api_event_add(&told->gaps);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(&((struct told *)ctx)->ready);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct told *told = ctx;
    told->why = *why;
    told->gap_at_end = gap != NULL;
    api_event_add(&told->ended);
}

static const msgsrv_subscriber subscriber = {on_event, on_gap, on_ready, on_end};

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    struct told *told = ctx;
    told->last = 0; /* what comes again is older */
    take(told, delivery->event);
    told->delivery = delivery->id;
    told->count = delivery->count;
    if (told->also)
        told->also(bus, told);
    api_event_add(&told->events);
    return told->returns;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
}

static const msgsrv_consumer consumer = {on_message, on_ready, on_consumer_end};

static void subscribe(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct told *told)
{
    msgsrv_error error;
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = pattern};
    told_init(told);
    api_ok(msgsrv_bus_subscribe(bus, type, &options, &subscriber, told, &told->handle, &error), &error);
}

static void subscribe_ready(msgsrv_bus *bus, const msgsrv_message_type *type, const char *pattern, struct told *told)
{
    subscribe(bus, type, pattern, told);
    api_event_wait(&told->ready, 1);
}

static msgsrv_status publish_add(msgsrv_bus *bus, const char *topic, int32_t a, msgsrv_receipt *receipt,
                                 msgsrv_error *error)
{
    messages_AddRequest message = {.a = a};
    return msgsrv_bus_publish(bus, topic, &messages_AddRequest_type, &message, NULL, receipt, error);
}

/* How asynchronous things ended. */
struct results {
    api_event done;
    unsigned ok;
    unsigned failed;
    uint64_t last_sequence;
    unsigned out_of_order;
    msgsrv_error error;
    char reply[64];
    msgsrv_bus *frees; /* in the first */
};

static void results_init(struct results *results)
{
    memset(results, 0, sizeof *results);
    api_event_init(&results->done);
}

static void finish(struct results *results, msgsrv_status status, const msgsrv_error *error)
{
    ck_assert_int_eq(status, error->code);
    if (status)
        results->error = *error;
    results->ok += status == MSGSRV_OK;
    results->failed += status != MSGSRV_OK;
    msgsrv_bus *frees = results->frees;
    results->frees = NULL;
    if (frees)
        msgsrv_bus_free(frees);
    api_event_add(&results->done);
}

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    (void)bus;
    struct results *results = ctx;
    ck_assert_int_eq(status == MSGSRV_OK, receipt != NULL);
    if (receipt && receipt->sequence != results->last_sequence + 1)
        results->out_of_order++;
    if (receipt)
        results->last_sequence = receipt->sequence;
    finish(results, status, error);
}

static void on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    (void)bus;
    finish(ctx, status, error);
}

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)bus;
    struct results *results = ctx;
    ck_assert_int_eq(status == MSGSRV_OK, reply != NULL);
    if (reply)
        snprintf(results->reply, sizeof results->reply, "%s %zu", reply->type, reply->payload_size);
    finish(results, status, error);
}

/* Events. */

START_TEST(events_go_through)
{
    struct stage stage;
    struct told typed;
    struct told bytes;
    msgsrv_error error;
    msgsrv_receipt receipt;
    stage_open(&stage, "through");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, &messages_AddRequest_type, "a.*", &typed);
    subscribe_ready(bus, NULL, "a.>", &bytes);
    messages_AddRequest message = {.a = 7};
    msgsrv_metadata header = {"colour", "red", 0};
    msgsrv_publish_options options = {.size = sizeof options, .headers = &header, .header_count = 1};
    api_ok(msgsrv_bus_publish(bus, "a.b", &messages_AddRequest_type, &message, &options, &receipt, &error), &error);
    ck_assert_uint_eq(receipt.sequence, 1);
    ck_assert_uint_ne(receipt.epoch, 0);
    ck_assert(!receipt.duplicate);
    api_event_wait(&typed.events, 1);
    api_event_wait(&bytes.events, 1);
    ck_assert_int_eq(typed.a, 7);
    ck_assert_str_eq(bytes.topic, "a.b");
    ck_assert_str_eq(bytes.type, "messages.AddRequest");
    ck_assert_str_eq(bytes.publisher, "tester");
    ck_assert_str_eq(bytes.header, "colour=red");
    msgsrv_bus_stats stats = {.size = sizeof stats};
    msgsrv_bus_get_stats(bus, &stats);
    ck_assert_uint_eq(stats.published, 1);
    ck_assert_uint_eq(stats.delivered, 2);
    ck_assert_uint_eq(stats.subscriptions, 2);
    msgsrv_bus_unsubscribe(bus, typed.handle);
    api_event_wait(&typed.ended, 1);
    ck_assert_int_eq(typed.why.code, MSGSRV_CANCELLED);
    msgsrv_bus_unsubscribe(bus, typed.handle);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&bytes.ended), 1);
    ck_assert_uint_eq(api_event_count(&typed.ended), 1);
    ck_assert_int_eq(bytes.why.code, MSGSRV_CANCELLED);
    stage_close(&stage);
}
END_TEST

START_TEST(raw_bytes_have_a_type)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "raw");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, NULL, NULL, &told);
    msgsrv_bytes bytes = {"\x0a\x02hi", 4, NULL};
    msgsrv_publish_options options = {.size = sizeof options, .type = "x.Y"};
    api_ok(msgsrv_bus_publish(bus, "t", &msgsrv_raw_type, &bytes, &options, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    ck_assert_str_eq(told.type, "x.Y");
    ck_assert_str_eq(told.payload, "\x0a\x02hi");
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_publish(bus, "t", &msgsrv_raw_type, &bytes, NULL, NULL, &error),
               &error);
    bytes.data = "\xff\xff";
    bytes.size = 2;
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_publish(bus, "t", &msgsrv_raw_type, &bytes, &options, NULL, &error),
               &error);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(many_without_waiting)
{
    enum { COUNT = 5000 };
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "many");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, &messages_AddRequest_type, NULL, &told);
    results_init(&results);
    for (int i = 0; i < COUNT; i++) {
        messages_AddRequest message = {.a = i};
        api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results,
                                        &error),
               &error);
    }
    /* One that waits goes behind them. */
    msgsrv_receipt receipt;
    api_ok(publish_add(bus, "t", 0, &receipt, &error), &error);
    ck_assert_uint_eq(receipt.sequence, COUNT + 1);
    api_event_wait(&results.done, COUNT);
    ck_assert_uint_eq(results.ok, COUNT);
    ck_assert_uint_eq(results.out_of_order, 0);
    /* What the subscription has not got, it has been told. */
    while (api_event_count(&told.events) + told.lost < COUNT + 1)
        (void)publish_add(bus, "other", 0, NULL, NULL);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&results.done), COUNT);
    stage_close(&stage);
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    struct stage stage;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "refused");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    messages_EchoMessage other = {.text = (char *)"x"};
    api_expect(MSGSRV_FAILED_PRECONDITION,
               msgsrv_bus_publish(bus, "t", &messages_EchoMessage_type, &other, NULL, NULL, &error), &error);
    api_contains(error.text, "messages.AddRequest");
    api_contains(error.text, "messages.EchoMessage");
    results_init(&results);
    messages_AddRequest good = {.a = 1};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &good, NULL, on_published, &results, &error),
           &error);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_EchoMessage_type, &other, NULL, on_published, &results, &error),
           &error);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_EchoMessage_type, &other, NULL, NULL, NULL, &error), &error);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &good, NULL, on_published, &results, &error),
           &error);
    api_event_wait(&results.done, 3);
    ck_assert_uint_eq(results.ok, 2);
    ck_assert_uint_eq(results.failed, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_FAILED_PRECONDITION);
    api_contains(results.error.text, "messages.EchoMessage");
    ck_assert_uint_eq(results.last_sequence, 3);
    msgsrv_bus_stats stats = {.size = sizeof stats};
    msgsrv_bus_get_stats(bus, &stats);
    ck_assert_uint_eq(stats.published, 3);
    ck_assert_uint_eq(stats.refused, 3);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(a_subscription_to_another_type_ends)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "other-type");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    subscribe(bus, &messages_EchoMessage_type, "t", &told);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_FAILED_PRECONDITION);
    ck_assert(told.why.from_peer);
    api_contains(told.why.text, "messages.AddRequest");
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    stage_close(&stage);
}
END_TEST

static void on_writable(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(ctx);
}

START_TEST(too_many_unanswered_are_refused_and_writable_follows)
{
    struct stage stage;
    struct results results;
    api_event writable;
    msgsrv_error error;
    api_event_init(&writable);
    stage_open(&stage, "again");
    msgsrv_bus_options options = {
        .size = sizeof options, .thread = true, .max_unanswered = 10, .on_writable = on_writable, .ctx = &writable};
    msgsrv_bus *bus = handle_of(&stage, &options);
    results_init(&results);
    unsigned accepted = 0;
    unsigned refused = 0;
    messages_AddRequest message = {.a = 1};
    while (accepted < 200) {
        msgsrv_status status = msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL,
                                                        on_published, &results, &error);
        if (status == MSGSRV_OK) {
            accepted++;
            continue;
        }
        ck_assert_int_eq(status, MSGSRV_AGAIN);
        api_event_wait(&writable, ++refused);
    }
    ck_assert_uint_gt(refused, 0);
    api_event_wait(&results.done, 200);
    ck_assert_uint_eq(results.ok, 200);
    ck_assert_uint_eq(results.out_of_order, 0);
    ck_assert_uint_eq(api_event_count(&writable), refused);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(the_server_learns_descriptors)
{
    struct stage stage;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "described");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    results_init(&results);
    messages_EchoMessage text = {.text = (char *)"x"};
    api_ok(msgsrv_bus_publish_async(bus, "u", &messages_EchoMessage_type, &text, NULL, on_published, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    msi_core *core = msi_bus_core(stage.local);
    msi_buf set = {0};
    ck_assert(msi_core_describe_type(core, msi_view_of("messages.AddRequest"), &set));
    ck_assert(msi_core_describe_type(core, msi_view_of("messages.EchoMessage"), &set));
    ck_assert(!msi_core_describe_type(core, msi_view_of("messages.Unknown"), &set));
    msi_buf_release(&set);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

/* Loops. */

START_TEST(a_private_loop_is_polled)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "private");
    msgsrv_bus_options options = {.size = sizeof options};
    msgsrv_bus *bus = handle_of(&stage, &options);
    api_expect(MSGSRV_AGAIN, msgsrv_bus_poll(bus, MSGSRV_NONE, &error), NULL);
    subscribe(bus, &messages_AddRequest_type, NULL, &told);
    while (!api_event_count(&told.ready))
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    api_ok(publish_add(bus, "t", 5, NULL, &error), &error);
    results_init(&results);
    messages_AddRequest message = {.a = 6};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results, &error),
           &error);
    api_ok(publish_add(bus, "t", 7, NULL, &error), &error);
    while (api_event_count(&told.events) < 3)
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    ck_assert_int_eq(told.a, 7);
    ck_assert_uint_eq(told.out_of_order, 0);
    ck_assert_uint_eq(results.ok, 1);
    msgsrv_bus_unsubscribe(bus, told.handle);
    ck_assert_uint_eq(api_event_count(&told.ended), 0); /* not inside the function */
    while (!api_event_count(&told.ended))
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

static void publish_inside(msgsrv_bus *bus, struct told *told)
{
    msgsrv_error error;
    (void)told;
    api_expect(MSGSRV_FAILED_PRECONDITION, publish_add(bus, "x", 1, NULL, &error), NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_bus_purge(bus, "q", NULL, &error), NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_bus_poll(bus, 0, &error), NULL);
}

START_TEST(waiting_where_it_may_not_is_refused)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "inside");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, NULL, "t", &told);
    told.also = publish_inside;
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    msgsrv_bus_free(bus);

    struct event_base *base = event_base_new();
    msgsrv_bus_options options = {.size = sizeof options, .base = base};
    bus = handle_of(&stage, &options);
    api_expect(MSGSRV_FAILED_PRECONDITION, publish_add(bus, "t", 1, NULL, &error), NULL);
    struct results results;
    results_init(&results);
    messages_AddRequest message = {.a = 6};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results, &error),
           &error);
    while (!api_event_count(&results.done))
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    ck_assert_uint_eq(results.ok, 1);
    msgsrv_bus_free(bus);
    (void)event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    stage_close(&stage);
}
END_TEST

struct publisher_thread {
    msgsrv_bus *bus;
    const char *topic;
    struct results results;
};

enum { EACH = 500 };

static void *publish_many(void *arg)
{
    struct publisher_thread *self = arg;
    for (int i = 0; i < EACH; i++) {
        messages_AddRequest message = {.a = i};
        msgsrv_error error;
        api_ok(msgsrv_bus_publish_async(self->bus, self->topic, &messages_AddRequest_type, &message, NULL, on_published,
                                        &self->results, &error),
               &error);
        if (i % 100 == 50)
            api_ok(publish_add(self->bus, "waited", i, NULL, &error), &error);
    }
    return NULL;
}

START_TEST(threads_publish_in_their_order)
{
    enum { THREADS = 3 };
    static const char *const topics[] = {"a", "b", "c"};
    struct stage stage;
    struct publisher_thread of[THREADS];
    pthread_t threads[THREADS];
    stage_open(&stage, "threads");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    for (int i = 0; i < THREADS; i++) {
        of[i].bus = bus;
        of[i].topic = topics[i];
        results_init(&of[i].results);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_many, &of[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        api_event_wait(&of[i].results.done, EACH);
        ck_assert_uint_eq(of[i].results.ok, EACH);
        ck_assert_uint_eq(of[i].results.out_of_order, 0);
    }
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

/* Queues. */

static void declare_queue(msgsrv_bus *bus, const char *queue, const char *pattern)
{
    msgsrv_error error;
    msgsrv_queue_options options = {
        .size = sizeof options, .patterns = &pattern, .pattern_count = 1, .max_deliver = 3, .ack_wait_ms = 60000};
    api_ok(msgsrv_bus_declare_queue(bus, queue, &options, NULL, NULL, &error), &error);
}

static void consume(msgsrv_bus *bus, const char *queue, const msgsrv_message_type *type, struct told *told)
{
    msgsrv_error error;
    msgsrv_consume_options options = {.size = sizeof options, .nak_delay_ms = MSGSRV_NONE};
    told_init(told);
    api_ok(msgsrv_bus_consume(bus, queue, type, &options, &consumer, told, &told->handle, &error), &error);
}

START_TEST(what_a_consumer_returns_settles)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    msgsrv_queue_info info;
    stage_open(&stage, "consume");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    declare_queue(bus, "q", "t");
    consume(bus, "q", &messages_AddRequest_type, &told);
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    ck_assert_int_eq(told.a, 1);
    ck_assert_uint_eq(told.count, 1);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.acked < 1);
    ck_assert_uint_eq(info.messages, 0);
    ck_assert_uint_eq(info.consumers, 1);
    ck_assert_str_eq(info.name, "q");
    /* A nak brings it again, up to max_deliver; then it is dead. */
    msgsrv_bus_unsubscribe(bus, told.handle);
    api_event_wait(&told.ended, 1);
    consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_ABORTED;
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(bus, "t", 2, NULL, &error), &error);
    api_event_wait(&told.events, 3);
    ck_assert_uint_eq(told.count, 3);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.dead < 1);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    stage_close(&stage);
}
END_TEST

static bool on_queued(const msgsrv_queued *message, void *ctx)
{
    struct told *told = ctx;
    told->delivery = message->id;
    snprintf(told->payload, sizeof told->payload, "%s/%s", message->reason, message->last_error);
    take(told, message->event);
    snprintf(told->header, sizeof told->header, "%s/%s", message->reason, message->last_error);
    api_event_add(&told->events);
    return true;
}

START_TEST(a_message_of_another_type_is_rejected_and_can_be_put_back)
{
    struct stage stage;
    struct told told;
    struct told shown;
    msgsrv_error error;
    msgsrv_queue_info info;
    uint64_t count = 0;
    stage_open(&stage, "dead");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    declare_queue(bus, "q", "t");
    consume(bus, "q", &messages_EchoMessage_type, &told);
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(bus, "t", 9, NULL, &error), &error);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.dead < 1);
    ck_assert_uint_eq(api_event_count(&told.events), 0);
    msgsrv_bus_unsubscribe(bus, told.handle);
    api_event_wait(&told.ended, 1);
    told_init(&shown);
    api_ok(msgsrv_bus_peek(bus, "$dlq.q", 0, on_queued, &shown, &error), &error);
    ck_assert_uint_eq(api_event_count(&shown.events), 1);
    api_contains(shown.header, "rejected/");
    api_contains(shown.header, "messages.AddRequest");
    api_ok(msgsrv_bus_retry(bus, "q", shown.delivery, &count, &error), &error);
    ck_assert_uint_eq(count, 1);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_retry(bus, "q", 12345, &count, &error), NULL);
    api_ok(msgsrv_bus_purge(bus, "q", &count, &error), &error);
    ck_assert_uint_eq(count, 1);
    api_ok(msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), &error);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_queue_info(bus, "q", &info, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_peek(bus, "q", 0, on_queued, &shown, &error), NULL);
    consume(bus, "q", NULL, &told);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_NOT_FOUND);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(settlements_are_confirmed_once)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "settle");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    declare_queue(bus, "q", "t");
    consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_DEFERRED;
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    results_init(&results);
    uint64_t id = told.delivery;
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_EXTEND, 0, NULL, on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_ACK, 0, NULL, on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_ACK, 0, NULL, on_done, &results, &error), &error);
    api_event_wait(&results.done, 3);
    ck_assert_uint_eq(results.ok, 2);
    ck_assert_int_eq(results.error.code, MSGSRV_NOT_FOUND);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_settle(bus, id, MSGSRV_NAK, 0, "why", NULL, NULL, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_settle(bus, 999, MSGSRV_ACK, 0, NULL, NULL, NULL, &error), NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_settle(bus, id, (msgsrv_settlement)9, 0, NULL, NULL, NULL, &error),
               NULL);
    /* Deleted: the consumer ends. */
    results_init(&results);
    api_ok(msgsrv_bus_delete_queue(bus, "q", on_done, &results, &error), &error);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_NOT_FOUND);
    api_event_wait(&results.done, 1);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

/* Requests. */

static struct results replies;

static void answer(msgsrv_bus *bus, struct told *told)
{
    messages_AddResponse response = {.result = 3};
    msgsrv_error error;
    api_ok(msgsrv_bus_reply(bus, told->request, &messages_AddResponse_type, &response, NULL, on_done, &replies, &error),
           &error);
    api_ok(msgsrv_bus_reply(bus, told->request, &messages_AddResponse_type, &response, NULL, on_done, &replies, &error),
           &error);
}

START_TEST(requests_are_answered)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "request");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    results_init(&results);
    results_init(&replies);
    messages_AddRequest message = {.a = 1};
    api_ok(msgsrv_bus_request(bus, "r", &messages_AddRequest_type, &message, NULL, 0, on_replied, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_UNAVAILABLE);
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = "r", .responder = true};
    told_init(&told);
    told.also = answer;
    api_ok(msgsrv_bus_subscribe(bus, &messages_AddRequest_type, &options, &subscriber, &told, NULL, &error), &error);
    api_event_wait(&told.ready, 1);
    api_ok(msgsrv_bus_request(bus, "r", &messages_AddRequest_type, &message, NULL, 0, on_replied, &results, &error),
           &error);
    api_event_wait(&results.done, 2);
    ck_assert_uint_eq(results.ok, 1);
    ck_assert_str_eq(results.reply, "messages.AddResponse 2");
    api_event_wait(&replies.done, 2);
    ck_assert_uint_eq(replies.ok, 1);
    ck_assert_int_eq(replies.error.code, MSGSRV_NOT_FOUND);
    api_expect(MSGSRV_NOT_FOUND,
               msgsrv_bus_reply(bus, 4711, &messages_AddRequest_type, &message, NULL, NULL, NULL, &error), NULL);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(topics_are_declared)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "declare");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    api_ok(messages_AddRequest_declare(bus, "t", 2, NULL, NULL, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, messages_EchoMessage_declare(bus, "t", 2, NULL, NULL, &error), NULL);
    for (int i = 1; i <= 3; i++)
        api_ok(publish_add(bus, "t", i, NULL, &error), &error);
    subscribe(bus, &messages_AddRequest_type, "t", &told);
    api_event_wait(&told.events, 2);
    ck_assert_int_eq(told.a, 3);
    ck_assert_uint_eq(told.last, 3);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

/* Losses. */

START_TEST(a_subscription_goes_on_after_a_loss)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "resume");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, &messages_AddRequest_type, NULL, &told);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    msgsrv_server_free(stage.server);
    for (int i = 2; i <= 4; i++)
        api_ok(publish_add(stage.local, "t", i, NULL, &error), &error);
    stage_serve(&stage);
    api_event_wait(&told.ready, 2);
    api_event_wait(&told.gaps, 1);
    ck_assert_uint_eq(told.lost, 3);
    ck_assert_int_eq(told.reason, MSGSRV_GAP_DISCONNECTED);
    api_ok(publish_add(stage.local, "t", 5, NULL, &error), &error);
    api_event_wait(&told.events, 2);
    ck_assert_uint_eq(told.last, 5);
    ck_assert_uint_eq(api_event_count(&told.ended), 0);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(a_subscription_waits_for_its_server)
{
    struct stage stage;
    struct told told;
    stage_open(&stage, "waits");
    msgsrv_server_free(stage.server);
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe(bus, NULL, NULL, &told);
    struct told gone;
    subscribe(bus, NULL, NULL, &gone);
    msgsrv_bus_unsubscribe(bus, gone.handle);
    api_event_wait(&gone.ended, 1);
    ck_assert_int_eq(gone.why.code, MSGSRV_CANCELLED);
    stage_serve(&stage);
    api_event_wait(&told.ready, 1);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(what_was_published_into_nothing_is_told)
{
    struct stage stage;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "nothing");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    results_init(&results);
    messages_AddRequest message = {.a = 1};
    msgsrv_server_free(stage.server);
    for (int i = 0; i < 3; i++)
        api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results,
                                        &error),
               &error);
    api_event_wait(&results.done, 3);
    ck_assert_uint_eq(results.failed, 3);
    ck_assert_int_eq(results.error.code, MSGSRV_UNAVAILABLE);
    api_expect(MSGSRV_UNAVAILABLE, publish_add(bus, "t", 1, NULL, &error), NULL);
    stage_serve(&stage);
    while (publish_add(bus, "t", 1, NULL, &error) != MSGSRV_OK)
        ck_assert_int_eq(error.code, MSGSRV_UNAVAILABLE);
    results_init(&results);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    ck_assert_uint_eq(results.ok, 1);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(a_consumer_goes_on_after_a_loss)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "consumer-loss");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    declare_queue(bus, "q", "t");
    consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_DEFERRED;
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    uint64_t before = told.delivery;
    msgsrv_server_free(stage.server);
    stage_serve(&stage);
    api_event_wait(&told.events, 2);
    ck_assert(told.redelivered);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_uint_ne(told.delivery, before);
    results_init(&results);
    api_ok(msgsrv_bus_settle(bus, before, MSGSRV_ACK, 0, NULL, on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, told.delivery, MSGSRV_ACK, 0, NULL, on_done, &results, &error), &error);
    api_event_wait(&results.done, 2);
    ck_assert_uint_eq(results.ok, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_NOT_FOUND);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(a_group_s_event_that_was_not_handled_goes_to_another)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "group");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = "t", .group = "g"};
    told_init(&told);
    api_ok(msgsrv_bus_subscribe(bus, NULL, &options, &subscriber, &told, NULL, &error), &error);
    api_event_wait(&told.ready, 1);
    for (int i = 0; i < 300; i++)
        api_ok(publish_add(bus, "t", i, NULL, &error), &error);
    api_event_wait(&told.events, 300);
    ck_assert_uint_eq(told.out_of_order, 0);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

/* Freeing. */

static void free_inside(msgsrv_bus *bus, struct told *told)
{
    (void)told;
    msgsrv_bus_free(bus);
}

static void free_in_event(bool thread)
{
    struct stage stage;
    struct told told;
    struct told other;
    msgsrv_error error;
    stage_open(&stage, "free");
    msgsrv_bus_options options = {.size = sizeof options, .thread = thread};
    msgsrv_bus *bus = handle_of(&stage, &options);
    subscribe(bus, &messages_AddRequest_type, NULL, &told);
    subscribe(bus, NULL, NULL, &other);
    while (!thread && (!api_event_count(&told.ready) || !api_event_count(&other.ready)))
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    api_event_wait(&told.ready, 1);
    api_event_wait(&other.ready, 1);
    told.also = free_inside;
    for (int i = 0; i < 3; i++)
        api_ok(publish_add(stage.local, "t", i, NULL, &error), &error);
    while (!thread && !api_event_count(&told.ended))
        (void)msgsrv_bus_poll(bus, API_GUARD_MS, &error);
    api_event_wait(&told.events, 1);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    ck_assert_uint_eq(api_event_count(&other.ended), 1);
    stage_close(&stage);
    ck_assert_uint_eq(api_event_count(&told.events), 1);
}

START_TEST(freeing_in_an_event_on_its_thread)
{
    free_in_event(true);
}
END_TEST

START_TEST(freeing_in_an_event_of_a_private_loop)
{
    free_in_event(false);
}
END_TEST

START_TEST(freeing_in_a_confirmation_and_in_a_delivery)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "free-done");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    results_init(&results);
    results.frees = bus;
    messages_AddRequest message = {.a = 1};
    unsigned accepted = 0;
    for (int i = 0; i < 5; i++)
        accepted += msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published,
                                             &results, &error) == MSGSRV_OK;
    api_event_wait(&results.done, accepted);
    ck_assert_uint_ge(results.ok, 1);

    bus = handle_of(&stage, NULL);
    declare_queue(bus, "q", "t");
    consume(bus, "q", NULL, &told);
    told.also = free_inside;
    api_event_wait(&told.ready, 1);
    api_ok(publish_add(stage.local, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    stage_close(&stage);
}
END_TEST

static void unsubscribe_inside(msgsrv_bus *bus, struct told *told)
{
    msgsrv_bus_unsubscribe(bus, told->handle);
}

START_TEST(unsubscribing_in_an_event_is_the_last_of_it)
{
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, "unsubscribe");
    msgsrv_bus *bus = handle_of(&stage, NULL);
    subscribe_ready(bus, NULL, NULL, &told);
    told.also = unsubscribe_inside;
    for (int i = 0; i < 100; i++)
        api_ok(publish_add(stage.local, "t", i, NULL, &error), &error);
    api_event_wait(&told.ended, 1);
    ck_assert_uint_eq(api_event_count(&told.events), 1);
    ck_assert_int_eq(told.why.code, MSGSRV_CANCELLED);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

START_TEST(freeing_ends_what_is_under_way)
{
    struct stage stage;
    struct told told;
    struct results results;
    msgsrv_error error;
    stage_open(&stage, "under-way");
    msgsrv_server_free(stage.server);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_bus_options options = {.size = sizeof options, .thread = thread != 0};
        msgsrv_bus *bus = handle_of(&stage, &options);
        results_init(&results);
        subscribe(bus, NULL, NULL, &told);
        messages_AddRequest message = {.a = 1};
        unsigned begun = 0;
        begun += msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, &results,
                                          &error) == MSGSRV_OK;
        begun += msgsrv_bus_request(bus, "t", &messages_AddRequest_type, &message, NULL, 0, on_replied, &results,
                                    &error) == MSGSRV_OK;
        begun += msgsrv_bus_settle(bus, 5, MSGSRV_ACK, 0, NULL, on_done, &results, &error) == MSGSRV_OK;
        msgsrv_bus_free(bus);
        ck_assert_uint_eq(api_event_count(&results.done), begun);
        ck_assert_uint_eq(begun, 3);
        ck_assert_uint_eq(api_event_count(&told.ended), 1);
    }
    stage_serve(&stage);
    stage_close(&stage);
}
END_TEST

/* Opening. */

START_TEST(what_is_wrong_with_opening_is_named)
{
    static const struct {
        const char *url;
        msgsrv_bus_options options;
        msgsrv_status status;
        const char *says;
    } cases[] = {
        {"ftp://x", {0}, MSGSRV_INVALID_ARGUMENT, "unknown kind of bus"},
        {"", {0}, MSGSRV_INVALID_ARGUMENT, "unknown kind of bus"},
        {"file:/tmp/x", {0}, MSGSRV_UNIMPLEMENTED, "file:"},
        {"nats://x:1", {0}, MSGSRV_UNIMPLEMENTED, "nats://"},
        {"amqp://x", {0}, MSGSRV_UNIMPLEMENTED, "amqp://"},
        {"mem:a b", {0}, MSGSRV_INVALID_ARGUMENT, "mem:NAME"},
        {"tcp://127.0.0.1", {0}, MSGSRV_INVALID_ARGUMENT, "port"},
        {"tcp://127.0.0.1:0", {0}, MSGSRV_INVALID_ARGUMENT, "port 0"},
        {"unix:@x", {.name = "caf\xc3\xa9"}, MSGSRV_INVALID_ARGUMENT, "printable ASCII"},
        {"unix:@x", {.size = 3}, MSGSRV_INVALID_ARGUMENT, "size is 3"},
        {"unix:@x", {.max_match_nodes = 5}, MSGSRV_INVALID_ARGUMENT, "max_match_nodes is 5"},
        {"unix:@x", {.max_event = UINT32_MAX}, MSGSRV_INVALID_ARGUMENT, "max_event"},
        {"unix:@x", {.log_level = (msgsrv_log_level)77}, MSGSRV_INVALID_ARGUMENT, "log_level is 77"},
        {"unix:@x", {.thread = true, .base = (struct event_base *)1}, MSGSRV_INVALID_ARGUMENT, "exclude"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        msgsrv_bus *bus = NULL;
        msgsrv_error error = {.text = ""};
        api_expect(cases[i].status, msgsrv_bus_open(cases[i].url, &cases[i].options, &bus, &error), &error);
        api_contains(error.text, cases[i].says);
        ck_assert_ptr_null(bus);
    }
    msgsrv_bus_free(NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_open(NULL, NULL, NULL, NULL), NULL);
}
END_TEST

START_TEST(what_is_too_large_is_refused_here)
{
    struct stage stage;
    msgsrv_error error;
    stage_open(&stage, "large");
    msgsrv_bus_options options = {.size = sizeof options, .thread = true, .max_event = 100};
    msgsrv_bus *bus = handle_of(&stage, &options);
    char text[128];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    messages_EchoMessage message = {.text = text};
    api_expect(MSGSRV_RESOURCE_EXHAUSTED,
               msgsrv_bus_publish(bus, "t", &messages_EchoMessage_type, &message, NULL, NULL, &error), &error);
    api_contains(error.text, "max_event is 100");
    text[50] = '\0';
    api_ok(msgsrv_bus_publish(bus, "t", &messages_EchoMessage_type, &message, NULL, NULL, &error), &error);
    msgsrv_bus_free(bus);
    stage_close(&stage);
}
END_TEST

TS_MAIN("bus_remote", events_go_through, raw_bytes_have_a_type, many_without_waiting, refusals_name_what_is_wrong,
        a_subscription_to_another_type_ends, too_many_unanswered_are_refused_and_writable_follows,
        the_server_learns_descriptors, a_private_loop_is_polled, waiting_where_it_may_not_is_refused,
        threads_publish_in_their_order, what_a_consumer_returns_settles,
        a_message_of_another_type_is_rejected_and_can_be_put_back, settlements_are_confirmed_once,
        requests_are_answered, topics_are_declared, a_subscription_goes_on_after_a_loss,
        a_subscription_waits_for_its_server, what_was_published_into_nothing_is_told, a_consumer_goes_on_after_a_loss,
        a_group_s_event_that_was_not_handled_goes_to_another, freeing_in_an_event_on_its_thread,
        freeing_in_an_event_of_a_private_loop, freeing_in_a_confirmation_and_in_a_delivery,
        unsubscribing_in_an_event_is_the_last_of_it, freeing_ends_what_is_under_way,
        what_is_wrong_with_opening_is_named, what_is_too_large_is_refused_here)
