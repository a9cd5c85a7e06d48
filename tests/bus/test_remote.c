/* SPDX-License-Identifier: MIT */
/* A handle on a bus in a server: opening, publishing, subscribing, its loops and threads. */
#include <event2/event.h>

#include "bus/bus.h"
#include "remote_stage.h"

START_TEST(events_go_through)
{
    struct rs_stage stage;
    struct rs_told typed;
    struct rs_told bytes;
    msgsrv_error error;
    msgsrv_receipt receipt;
    rs_stage_open(&stage, "through");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, &messages_AddRequest_type, "a.*", &typed);
    rs_subscribe_ready(bus, NULL, "a.>", &bytes);
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
    rs_stage_close(&stage);
}
END_TEST

START_TEST(raw_bytes_have_a_type)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "raw");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, NULL, NULL, &told);
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
    rs_stage_close(&stage);
}
END_TEST

START_TEST(many_without_waiting)
{
    enum { COUNT = 5000 };
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "many");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, &messages_AddRequest_type, NULL, &told);
    rs_results_init(&results);
    for (int i = 0; i < COUNT; i++) {
        messages_AddRequest message = {.a = i};
        api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                        &error),
               &error);
    }
    /* One that waits goes behind them. */
    msgsrv_receipt receipt;
    api_ok(rs_publish_add(bus, "t", 0, &receipt, &error), &error);
    ck_assert_uint_eq(receipt.sequence, COUNT + 1);
    api_event_wait(&results.done, COUNT);
    ck_assert_uint_eq(results.ok, COUNT);
    ck_assert_uint_eq(results.out_of_order, 0);
    /* What the subscription has not got, it has been told. */
    while (api_event_count(&told.events) + told.lost < COUNT + 1)
        (void)rs_publish_add(bus, "other", 0, NULL, NULL);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&results.done), COUNT);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    struct rs_stage stage;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "refused");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    messages_EchoMessage other = {.text = (char *)"x"};
    api_expect(MSGSRV_FAILED_PRECONDITION,
               msgsrv_bus_publish(bus, "t", &messages_EchoMessage_type, &other, NULL, NULL, &error), &error);
    api_contains(error.text, "messages.AddRequest");
    api_contains(error.text, "messages.EchoMessage");
    rs_results_init(&results);
    messages_AddRequest good = {.a = 1};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &good, NULL, rs_on_published, &results, &error),
           &error);
    api_ok(
        msgsrv_bus_publish_async(bus, "t", &messages_EchoMessage_type, &other, NULL, rs_on_published, &results, &error),
        &error);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_EchoMessage_type, &other, NULL, NULL, NULL, &error), &error);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &good, NULL, rs_on_published, &results, &error),
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
    rs_stage_close(&stage);
}
END_TEST

START_TEST(a_subscription_to_another_type_ends)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "other-type");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    rs_subscribe(bus, &messages_EchoMessage_type, "t", &told);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_FAILED_PRECONDITION);
    ck_assert(told.why.from_peer);
    api_contains(told.why.text, "messages.AddRequest");
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    rs_stage_close(&stage);
}
END_TEST

static void on_writable(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(ctx);
}

START_TEST(too_many_unanswered_are_refused_and_writable_follows)
{
    struct rs_stage stage;
    struct rs_results results;
    api_event writable;
    msgsrv_error error;
    api_event_init(&writable);
    rs_stage_open(&stage, "again");
    msgsrv_bus_options options = {
        .size = sizeof options, .thread = true, .max_unanswered = 10, .on_writable = on_writable, .ctx = &writable};
    msgsrv_bus *bus = rs_handle_of(&stage, &options);
    rs_results_init(&results);
    unsigned accepted = 0;
    unsigned refused = 0;
    messages_AddRequest message = {.a = 1};
    while (accepted < 200) {
        msgsrv_status status = msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL,
                                                        rs_on_published, &results, &error);
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
    rs_stage_close(&stage);
}
END_TEST

START_TEST(the_server_learns_descriptors)
{
    struct rs_stage stage;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "described");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    rs_results_init(&results);
    messages_EchoMessage text = {.text = (char *)"x"};
    api_ok(msgsrv_bus_publish_async(bus, "u", &messages_EchoMessage_type, &text, NULL, rs_on_published, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    msi_core *core = msi_bus_core(stage.local);
    msi_buf set = {0};
    ck_assert(msi_core_describe_type(core, msi_view_of("messages.AddRequest"), &set));
    ck_assert(msi_core_describe_type(core, msi_view_of("messages.EchoMessage"), &set));
    ck_assert(!msi_core_describe_type(core, msi_view_of("messages.Unknown"), &set));
    msi_buf_release(&set);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(one_that_waits_comes_behind_those_that_do_not)
{
    struct rs_stage stage;
    struct rs_results results;
    msgsrv_receipt receipt;
    msgsrv_error error;
    const messages_AddRequest message = {.a = 1};
    rs_stage_open(&stage, "order");
    const msgsrv_bus_options options = {.size = sizeof options, .max_unanswered = 1};
    msgsrv_bus *bus = rs_handle_of(&stage, &options);
    rs_results_init(&results);
    for (unsigned i = 0; i < 20; i++) {
        api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                        &error),
               &error);
        api_ok(msgsrv_bus_publish(bus, "t", &messages_AddRequest_type, &message, NULL, &receipt, &error), &error);
        ck_assert_uint_eq(receipt.sequence, 2 * i + 2);
        ck_assert_uint_eq(results.last_sequence, 2 * i + 1);
    }
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

/* Loops. */

START_TEST(a_private_loop_is_polled)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "private");
    msgsrv_bus_options options = {.size = sizeof options};
    msgsrv_bus *bus = rs_handle_of(&stage, &options);
    api_expect(MSGSRV_AGAIN, msgsrv_bus_poll(bus, MSGSRV_NONE, &error), NULL);
    rs_subscribe(bus, &messages_AddRequest_type, NULL, &told);
    while (!api_event_count(&told.ready))
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    api_ok(rs_publish_add(bus, "t", 5, NULL, &error), &error);
    rs_results_init(&results);
    messages_AddRequest message = {.a = 6};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                    &error),
           &error);
    api_ok(rs_publish_add(bus, "t", 7, NULL, &error), &error);
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
    rs_stage_close(&stage);
}
END_TEST

static void publish_inside(msgsrv_bus *bus, struct rs_told *told)
{
    msgsrv_error error;
    (void)told;
    api_expect(MSGSRV_FAILED_PRECONDITION, rs_publish_add(bus, "x", 1, NULL, &error), NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_bus_purge(bus, "q", NULL, &error), NULL);
    api_expect(MSGSRV_FAILED_PRECONDITION, msgsrv_bus_poll(bus, 0, &error), NULL);
}

START_TEST(waiting_where_it_may_not_is_refused)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "inside");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, NULL, "t", &told);
    told.also = publish_inside;
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    msgsrv_bus_free(bus);

    struct event_base *base = event_base_new();
    msgsrv_bus_options options = {.size = sizeof options, .base = base};
    bus = rs_handle_of(&stage, &options);
    api_expect(MSGSRV_FAILED_PRECONDITION, rs_publish_add(bus, "t", 1, NULL, &error), NULL);
    struct rs_results results;
    rs_results_init(&results);
    messages_AddRequest message = {.a = 6};
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                    &error),
           &error);
    while (!api_event_count(&results.done))
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
    ck_assert_uint_eq(results.ok, 1);
    msgsrv_bus_free(bus);
    (void)event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    rs_stage_close(&stage);
}
END_TEST

struct publisher_thread {
    msgsrv_bus *bus;
    const char *topic;
    struct rs_results results;
};

enum { EACH = 500 };

static void *publish_many(void *arg)
{
    struct publisher_thread *self = arg;
    for (int i = 0; i < EACH; i++) {
        messages_AddRequest message = {.a = i};
        msgsrv_error error;
        api_ok(msgsrv_bus_publish_async(self->bus, self->topic, &messages_AddRequest_type, &message, NULL,
                                        rs_on_published, &self->results, &error),
               &error);
        if (i % 100 == 50)
            api_ok(rs_publish_add(self->bus, "waited", i, NULL, &error), &error);
    }
    return NULL;
}

START_TEST(threads_publish_in_their_order)
{
    enum { THREADS = 3 };
    static const char *const topics[] = {"a", "b", "c"};
    struct rs_stage stage;
    struct publisher_thread of[THREADS];
    pthread_t threads[THREADS];
    rs_stage_open(&stage, "threads");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    for (int i = 0; i < THREADS; i++) {
        of[i].bus = bus;
        of[i].topic = topics[i];
        rs_results_init(&of[i].results);
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
    rs_stage_close(&stage);
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
    struct rs_stage stage;
    msgsrv_error error;
    rs_stage_open(&stage, "large");
    msgsrv_bus_options options = {.size = sizeof options, .thread = true, .max_event = 100};
    msgsrv_bus *bus = rs_handle_of(&stage, &options);
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
    rs_stage_close(&stage);
}
END_TEST

TS_MAIN("bus_remote", events_go_through, raw_bytes_have_a_type, many_without_waiting, refusals_name_what_is_wrong,
        a_subscription_to_another_type_ends, too_many_unanswered_are_refused_and_writable_follows,
        the_server_learns_descriptors, one_that_waits_comes_behind_those_that_do_not, a_private_loop_is_polled,
        waiting_where_it_may_not_is_refused, threads_publish_in_their_order, what_is_wrong_with_opening_is_named,
        what_is_too_large_is_refused_here)
