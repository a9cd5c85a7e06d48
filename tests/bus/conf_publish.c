/* SPDX-License-Identifier: MIT */
/* Publishing: receipts, order, what an event carries, and who may wait where. */
#include "conf.h"

#include <event2/event.h>
#include <stdio.h>
#include <time.h>

#include "messages.msgsrv.h"

START_TEST(publishing_answers_with_the_sequence_of_the_topic)
{
    uint64_t epoch = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        msgsrv_receipt receipt = bt_publish(bt.pub, "t", (int64_t)i);
        ck_assert_uint_eq(receipt.sequence, i);
        ck_assert(!receipt.duplicate);
        ck_assert_uint_ne(receipt.epoch, 0);
        ck_assert(epoch == 0 || epoch == receipt.epoch);
        epoch = receipt.epoch;
    }
    ck_assert_uint_eq(bt_publish(bt.pub, "other", 1).sequence, 1);
}
END_TEST

START_TEST(the_sequence_of_the_receipt_is_the_events)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    for (size_t i = 0; i < 10; i++) {
        msgsrv_receipt receipt = bt_publish(bt.pub, "t", 1);
        BT_UNTIL(sub->events == i + 1);
        ck_assert_uint_eq(sub->items[i].sequence, receipt.sequence);
        ck_assert_uint_eq(sub->items[i].epoch, receipt.epoch);
    }
}
END_TEST

START_TEST(the_events_of_one_publisher_on_one_topic_keep_their_order)
{
    bt_handle *one = bt_handle_new("one");
    bt_handle *two = bt_handle_new("two");
    bt_sub *subs[3];
    for (size_t i = 0; i < 3; i++)
        subs[i] = bt_subscribe(bt_handle_new("sub"),
                               &(msgsrv_subscribe_options){.pattern = i == 0 ? "t.a" : ">", .max_events = 100000});
    bt_published published = {0};
    for (int64_t i = 1; i <= 500; i++) {
        bt_publish_start(one, "t.a", i, 0, NULL, &published);
        bt_publish_start(two, "t.a", i, 0, NULL, &published);
        bt_publish_start(two, "t.b", i, 0, NULL, &published);
        if (i % 50 == 0)
            bt_turn();
    }
    BT_UNTIL(published.done == 1500);
    ck_assert_uint_eq(published.refused, 0);
    BT_UNTIL(subs[0]->events == 1000 && subs[1]->events == 1500 && subs[2]->events == 1500);
    for (size_t s = 0; s < 3; s++) {
        int64_t last[2][2] = {{0}};
        for (size_t i = 0; i < subs[s]->count; i++) {
            const bt_item *item = &subs[s]->items[i];
            int64_t *at = &last[strcmp(item->publisher, "two") == 0][strcmp(item->topic, "t.b") == 0];
            TS_CHECK(item->value == *at + 1, "%s on %s: %lld after %lld", item->publisher, item->topic,
                     (long long)item->value, (long long)*at);
            *at = item->value;
        }
        bt_check_told(subs[s], "t.a", 1, 1000);
    }
}
END_TEST

START_TEST(asynchronous_publications_are_answered_in_their_order)
{
    enum { COUNT = 3000 };
    static bt_published published[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        bt_publish_start(bt.pub, "t", (int64_t)i, 0, NULL, &published[i]);
    BT_UNTIL(published[COUNT - 1].done == 1);
    for (size_t i = 0; i < COUNT; i++) {
        TS_CHECK(published[i].done == 1 && published[i].status == MSGSRV_OK, "publication %zu", i);
        TS_CHECK(published[i].receipt.sequence == i + 1, "publication %zu has %llu", i,
                 (unsigned long long)published[i].receipt.sequence);
    }
}
END_TEST

START_TEST(refused_publications_among_others_are_told_one_by_one)
{
    enum { COUNT = 300 };
    static bt_published published[COUNT];
    bt_publish(bt.pub, "t", 0);
    for (size_t i = 0; i < COUNT; i++)
        bt_publish_start(bt.pub, "t", (int64_t)i, 0,
                         &(msgsrv_publish_options){.type = i % 3 == 1 ? "conf.Wrong" : BT_TYPE}, &published[i]);
    uint64_t sequence = 1;
    for (size_t i = 0; i < COUNT; i++) {
        BT_UNTIL(published[i].done == 1);
        if (i % 3 == 1) {
            BT_STATUS(MSGSRV_FAILED_PRECONDITION, published[i].status, published[i].text);
            BT_CONTAINS(published[i].text, "conf.Wrong");
        } else {
            ck_assert_uint_eq(published[i].receipt.sequence, ++sequence);
        }
    }
}
END_TEST

static void on_writable(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    bt.told++;
    ++*(unsigned *)ctx;
}

static void count_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt, const msgsrv_error *error,
                       void *ctx)
{
    (void)bus;
    (void)receipt;
    bt.told++;
    BT_STATUS(MSGSRV_OK, status, error->text);
    ++*(unsigned *)ctx;
}

START_TEST(over_what_may_be_unanswered_publishing_says_so_and_tells_when_it_may_go_on)
{
    unsigned writable = 0;
    unsigned done = 0;
    bt_handle *handle = bt_handle_with(
        &(msgsrv_bus_options){.max_unanswered = 5, .on_writable = on_writable, .ctx = &writable, .name = "p"});
    messages_AddRequest request = {.a = 1};
    for (int round = 0; round < 3; round++) {
        unsigned taken = 0;
        msgsrv_status status;
        do
            status = msgsrv_bus_publish_async(handle->bus, "t", &messages_AddRequest_type, &request, NULL, count_done,
                                              &done, NULL);
        while (status == MSGSRV_OK && ++taken < 100);
        BT_STATUS(MSGSRV_AGAIN, status, "");
        ck_assert_uint_eq(taken, 5);
        unsigned before = writable;
        BT_UNTIL(writable > before && done == 5u * (unsigned)(round + 1));
        ck_assert_uint_eq(writable, before + 1);
    }
}
END_TEST

static uint64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void check_headers(bt_sub *sub, const msgsrv_event *event)
{
    (void)sub;
    ck_assert_uint_eq(event->header_count, 2);
    ck_assert_str_eq(event->headers[0].key, "trace");
    ck_assert_uint_eq(event->headers[0].size, 3);
    ck_assert_mem_eq(event->headers[0].value, "abc", 3);
    ck_assert_str_eq(event->headers[1].key, "raw-bin");
    ck_assert_uint_eq(event->headers[1].size, 3);
    ck_assert_mem_eq(event->headers[1].value, "\0\1\2", 3);
}

static void check_no_headers(bt_sub *sub, const msgsrv_event *event)
{
    (void)sub;
    ck_assert_uint_eq(event->header_count, 0);
    ck_assert_ptr_null(event->headers);
}

START_TEST(an_event_carries_who_when_what_and_headers)
{
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *sub = bt_subscribe_start(handle, NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                                     &(bt_sub){.on_event = check_headers});
    BT_UNTIL(sub->ready == 1);
    char trace[] = "abc";
    const msgsrv_metadata headers[] = {{"trace", trace, 3}, {"raw-bin", "\0\1\2", 3}};
    msgsrv_publish_options options = {.headers = headers, .header_count = 2, .type = BT_TYPE};
    uint64_t before = wall_us();
    bt_published published = {0};
    bt_publish_start(bt.pub, "t", 5, 0, &options, &published);
    memset(trace, '#', 3); /* it was copied */
    BT_UNTIL(published.done == 1 && sub->events == 1);
    BT_STATUS(MSGSRV_OK, published.status, published.text);
    const bt_item *item = bt_event_at(sub, 0);
    /* The bus may tell a time of its loop's that is a little old. */
    ck_assert_uint_ge(item->time_us + 5000000, before);
    ck_assert_uint_le(item->time_us, wall_us() + 1000);
    ck_assert_str_eq(item->publisher, "pub");
    ck_assert(!item->retained && !item->redelivered);
    ck_assert_uint_eq(item->request + item->replaced, 0);
}
END_TEST

START_TEST(an_event_without_headers_and_name_has_none)
{
    bt_handle *handle = bt_handle_new("sub");
    bt_handle *nameless = bt_handle_with(NULL);
    bt_sub *sub = bt_subscribe_start(handle, NULL, NULL, &(bt_sub){.on_event = check_no_headers});
    BT_UNTIL(sub->ready == 1);
    bt_publish(nameless, "t", 1);
    BT_UNTIL(sub->events == 1);
    ck_assert_str_eq(bt_event_at(sub, 0)->publisher, "");
}
END_TEST

START_TEST(headers_that_are_wrong_are_refused)
{
    static char big[9000];
    memset(big, 'h', sizeof big);
    const msgsrv_metadata bad[] = {
        {"", "x", 1},       {"UPPER", "x", 1},    {"sp ace", "x", 1}, {"text", "\x01", 1}, {"big", big, sizeof big},
        {"grpc-x", "x", 1}, {"msgsrv-x", "x", 1},
    };
    uint8_t payload[16];
    size_t size = bt_encode(payload, 1, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_error error = {0};
        msgsrv_publish_options options = {.headers = &bad[i], .header_count = 1};
        msgsrv_status status = bt_try(bt.pub, "t", BT_TYPE, payload, size, &options, NULL, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT || (i == 4 && status == MSGSRV_RESOURCE_EXHAUSTED),
                      "header %zu: %s", i, msgsrv_status_name(status));
    }
}
END_TEST

START_TEST(a_payload_over_the_bound_is_refused)
{
    bt_reopen(&(msgsrv_bus_options){.max_event = 1000});
    static uint8_t payload[2000];
    msgsrv_error error = {0};
    size_t size = bt_encode(payload, 1, 1001);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, bt_try(bt.pub, "t", BT_TYPE, payload, size, NULL, NULL, &error), error.text);
    BT_CONTAINS(error.text, "1000");
    size = bt_encode(payload, 1, 1000);
    BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "t", BT_TYPE, payload, size, NULL, NULL, &error), error.text);
}
END_TEST

START_TEST(large_events_arrive_whole)
{
    static uint8_t payload[1 << 20];
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    for (size_t i = 1; i <= 4; i++) {
        size_t size = bt_encode(payload, 7, i * 250000);
        BT_STATUS(MSGSRV_OK, bt_try(bt.pub, "t", BT_TYPE, payload, size, NULL, NULL, NULL), "");
        BT_UNTIL(sub->events == i);
        ck_assert_uint_eq(bt_event_at(sub, i - 1)->size, size);
    }
}
END_TEST

static void publish_and_wait(bt_sub *sub, const msgsrv_event *event)
{
    messages_AddRequest request = {.a = 1};
    (void)event;
    msgsrv_error error;
    *(msgsrv_status *)sub->ctx =
        msgsrv_bus_publish(sub->handle->bus, "waits", &messages_AddRequest_type, &request, NULL, NULL, &error);
}

START_TEST(waiting_inside_a_callback_is_refused_where_it_would_hang)
{
    msgsrv_status status = MSGSRV_UNKNOWN;
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *sub = bt_subscribe_start(handle, NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                                     &(bt_sub){.on_event = publish_and_wait, .ctx = &status});
    BT_UNTIL(sub->ready == 1);
    bt_publish(bt.pub, "t", 1);
    BT_UNTIL(sub->events == 1);
    ck_assert_int_eq(status, bt_engine_used.remote ? MSGSRV_FAILED_PRECONDITION : MSGSRV_OK);
}
END_TEST

START_TEST(waiting_on_the_callers_base_is_refused_where_it_would_hang)
{
    struct event_base *base = event_base_new();
    bt_handle *handle = bt_handle_with(&(msgsrv_bus_options){.base = base});
    messages_AddRequest request = {.a = 1};
    msgsrv_error error = {0};
    msgsrv_queue_info info;
    msgsrv_status want = bt_engine_used.remote ? MSGSRV_FAILED_PRECONDITION : MSGSRV_OK;
    BT_STATUS(want, msgsrv_bus_publish(handle->bus, "t", &messages_AddRequest_type, &request, NULL, NULL, &error), "");
    BT_STATUS(want, msgsrv_bus_declare_queue(handle->bus, "q", NULL, NULL, NULL, &error), "");
    BT_STATUS(want, msgsrv_bus_queue_info(handle->bus, "q", &info, &error), "");
    BT_STATUS(want, msgsrv_bus_declare_topic(handle->bus, "t", NULL, NULL, 0, NULL, NULL, &error), "");
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, msgsrv_bus_poll(handle->bus, 0, &error), "");
    bt_free(handle);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
    handle->base = NULL;
}
END_TEST

START_TEST(waiting_on_a_private_loop_works)
{
    messages_AddRequest request = {.a = 1};
    msgsrv_receipt receipt = {0};
    msgsrv_error error = {0};
    msgsrv_bus *bus = bt.admin->bus;
    BT_STATUS(MSGSRV_OK, msgsrv_bus_publish(bus, "t", &messages_AddRequest_type, &request, NULL, &receipt, &error),
              error.text);
    ck_assert_uint_eq(receipt.sequence, 1);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_declare_queue(bus, "q", NULL, NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_declare_topic(bus, "t", NULL, NULL, 1, NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_NOT_FOUND,
              msgsrv_bus_reply(bus, 12345, &messages_AddRequest_type, &request, NULL, NULL, NULL, &error), error.text);
}
END_TEST

START_TEST(polling_says_whether_something_was_told)
{
    bt_sub *sub = bt_subscribe_to(bt.admin, "t");
    msgsrv_error error;
    bt_turn();
    while (msgsrv_bus_poll(bt.admin->bus, 0, &error) == MSGSRV_OK)
        ;
    BT_STATUS(MSGSRV_AGAIN, msgsrv_bus_poll(bt.admin->bus, 0, &error), error.text);
    bt_publish(bt.pub, "t", 1);
    if (sub->events == 0)
        BT_STATUS(MSGSRV_OK, msgsrv_bus_poll(bt.admin->bus, MSGSRV_NONE, &error), error.text);
    ck_assert_uint_eq(sub->events, 1);
}
END_TEST

START_TEST(the_bus_counts)
{
    msgsrv_bus_stats stats = {.size = sizeof stats};
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    BT_UNTIL(sub->events == 10);
    msgsrv_error error;
    uint8_t payload[16];
    bt_try(bt.pub, "t", "conf.Wrong", payload, bt_encode(payload, 1, 0), NULL, NULL, &error);
    msgsrv_bus_get_stats(bt.pub->bus, &stats);
    ck_assert_uint_eq(stats.published, 10);
    ck_assert_uint_eq(stats.refused, 1);
    ck_assert_uint_eq(stats.delivered, 10);
    ck_assert_uint_eq(stats.lost, 0);
    ck_assert_uint_eq(stats.subscriptions, 1);
}
END_TEST

const conf_test conf_publish[] = {
    {&publishing_answers_with_the_sequence_of_the_topic, "dense_sequence publish_sequence"},
    {&the_sequence_of_the_receipt_is_the_events, "publish_sequence"},
    {&the_events_of_one_publisher_on_one_topic_keep_their_order, NULL},
    {&asynchronous_publications_are_answered_in_their_order, "dense_sequence publish_sequence"},
    {&refused_publications_among_others_are_told_one_by_one, "dense_sequence publish_sequence"},
    {&over_what_may_be_unanswered_publishing_says_so_and_tells_when_it_may_go_on, "remote"},
    {&an_event_carries_who_when_what_and_headers, NULL},
    {&an_event_without_headers_and_name_has_none, NULL},
    {&headers_that_are_wrong_are_refused, NULL},
    {&a_payload_over_the_bound_is_refused, NULL},
    {&large_events_arrive_whole, NULL},
    {&waiting_inside_a_callback_is_refused_where_it_would_hang, NULL},
    {&waiting_on_the_callers_base_is_refused_where_it_would_hang, NULL},
    {&waiting_on_a_private_loop_works, NULL},
    {&polling_says_whether_something_was_told, NULL},
    {&the_bus_counts, NULL},
    {NULL, NULL},
};
