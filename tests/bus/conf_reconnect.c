/* SPDX-License-Identifier: MIT */
/*
 * A remote bus's connection is lost: the server goes, with all connections, and comes again at the same address; with the same bus, or with a
 * new one. What is published meanwhile goes straight to the bus.
 */
#include "conf.h"

#include <stdio.h>

#include "messages.msgsrv.h"

static void publish_at_host(const char *topic, int64_t first, int64_t last)
{
    msgsrv_error error = {0};
    for (int64_t i = first; i <= last; i++) {
        uint8_t payload[16];
        msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, i, 0)};
        msgsrv_status status = msgsrv_bus_publish(bt.host, topic, &msgsrv_raw_type, &bytes,
                                                  &(msgsrv_publish_options){.type = BT_TYPE}, NULL, &error);
        BT_STATUS(MSGSRV_OK, status, error.text);
    }
}

/* The whole gap of a subscription, which has one. */
static const bt_gap *only_gap(const bt_sub *sub, msgsrv_gap_reason reason)
{
    ck_assert_uint_eq(sub->gaps, 1);
    const bt_gap *gap = bt_gap_at(sub, 0);
    ck_assert_int_eq(gap->reason, reason);
    return gap;
}

START_TEST(a_subscription_goes_on_after_its_connection_was_lost)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    BT_UNTIL(sub->events == 5);
    bt_server_stop();
    bt_server_start(false);
    BT_UNTIL(sub->ready == 2);
    publish_at_host("t", 6, 10);
    BT_UNTIL(sub->events == 10);
    bt_check_told(sub, "t", 1, 10);
    ck_assert_uint_eq(sub->gaps, 0); /* nothing was missed, and nothing is told */
}
END_TEST

START_TEST(what_came_meanwhile_and_is_not_retained_is_told_exactly)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    BT_UNTIL(sub->events == 5);
    bt_server_stop();
    publish_at_host("t", 6, 12);
    bt_server_start(false);
    BT_UNTIL(sub->ready == 2);
    publish_at_host("t", 13, 15);
    BT_UNTIL(bt_told_last(sub, "t") == 15);
    bt_check_told(sub, "t", 1, 15);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert_uint_eq(gap->total, 7);
    ck_assert(!gap->unknown);
    ck_assert_uint_eq(bt_gap_of(gap, "t")->first, 6);
    ck_assert_uint_eq(bt_gap_of(gap, "t")->last, 12);
    ck_assert_uint_eq(bt_gap_of(gap, "t")->count, 7);
}
END_TEST

START_TEST(what_was_missed_is_told_at_once_whatever_the_policy)
{
    static const msgsrv_bus_policy policies[] = {MSGSRV_DROP_OLDEST, MSGSRV_DROP_NEWEST, MSGSRV_LATEST,
                                                 MSGSRV_DISCONNECT};
    bt_sub *subs[4];
    bt_handle *handle = bt_handle_new("sub");
    bt_publish(bt.pub, "t", 1);
    for (size_t i = 0; i < 4; i++)
        subs[i] = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "t", .policy = policies[i]});
    bt_server_stop();
    publish_at_host("t", 2, 4);
    bt_server_start(false);
    for (size_t i = 0; i < 4; i++) {
        BT_UNTIL(subs[i]->gaps == 1); /* and not with the next event only */
        const bt_gap *gap = only_gap(subs[i], MSGSRV_GAP_DISCONNECTED);
        ck_assert_msg(gap->unknown || gap->total == 3, "policy %d: %llu are missing", (int)policies[i],
                      (unsigned long long)gap->total);
        ck_assert_uint_eq(bt_gap_of(gap, "t")->last, 4);
        ck_assert_uint_eq(subs[i]->ended, 0);
    }
}
END_TEST

START_TEST(what_is_retained_comes_and_the_rest_is_told)
{
    bt_declare_topic("t", BT_TYPE, NULL, 3);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    BT_UNTIL(sub->events == 5);
    bt_server_stop();
    publish_at_host("t", 6, 12);
    bt_server_start(false);
    BT_UNTIL(bt_told_last(sub, "t") == 12);
    bt_check_told(sub, "t", 1, 12);
    ck_assert_uint_eq(sub->events, 8);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert_uint_eq(gap->total, 4);
    ck_assert(!gap->unknown);
}
END_TEST

START_TEST(when_all_that_came_is_retained_nothing_is_missing)
{
    bt_declare_topic("t", BT_TYPE, NULL, 100);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_publish_many(bt.pub, "t", 1, 50, 0);
    BT_UNTIL(sub->events == 50);
    for (int round = 0; round < 3; round++) {
        bt_server_stop();
        publish_at_host("t", 51 + round * 20, 70 + round * 20);
        bt_server_start(false);
        BT_UNTIL(bt_told_last(sub, "t") == 70 + (unsigned)round * 20);
    }
    bt_check_told(sub, "t", 1, 110);
    ck_assert_uint_eq(sub->gaps, 0);
}
END_TEST

START_TEST(a_topic_that_began_meanwhile_is_told_too)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t.*");
    bt_publish(bt.pub, "t.a", 1);
    BT_UNTIL(sub->events == 1);
    bt_server_stop();
    publish_at_host("t.b", 1, 4);
    bt_server_start(false);
    BT_UNTIL(sub->ready == 2);
    publish_at_host("t.b", 5, 5);
    BT_UNTIL(bt_told_last(sub, "t.b") == 5);
    bt_check_told(sub, "t.a", 1, 1);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert(gap->unknown || gap->total == 4);
    ck_assert_uint_eq(bt_gap_of(gap, "t.b")->last, 4);
}
END_TEST

START_TEST(many_topics_that_lost_are_told_with_their_total)
{
    char topic[16];
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t.*");
    for (int i = 0; i < 40; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        bt_publish(bt.pub, topic, 1);
    }
    BT_UNTIL(sub->events == 40);
    bt_server_stop();
    for (int i = 0; i < 40; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        publish_at_host(topic, 2, 3);
    }
    bt_server_start(false);
    BT_UNTIL(sub->gaps >= 1);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert_uint_eq(gap->total, 80);
    ck_assert_uint_eq(gap->topic_count, MSGSRV_GAP_TOPICS);
}
END_TEST

START_TEST(a_bus_that_began_anew_is_told)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    BT_UNTIL(sub->events == 5);
    bt_server_stop();
    bt_server_start(true);
    BT_UNTIL(sub->ready == 2);
    publish_at_host("t", 100, 100);
    BT_UNTIL(sub->events == 6);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_RESTARTED);
    ck_assert(gap->unknown);
    ck_assert_ptr_nonnull(sub->items[5].gap); /* before the first event of the new one */
    ck_assert_uint_eq(bt_event_at(sub, 5)->sequence, 1);
    ck_assert_uint_ne(bt_event_at(sub, 5)->epoch, bt_event_at(sub, 4)->epoch);
}
END_TEST

START_TEST(a_subscription_that_had_nothing_yet_resumes_too)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_server_stop();
    publish_at_host("t", 1, 3);
    bt_server_start(false);
    BT_UNTIL(sub->ready == 2);
    publish_at_host("t", 4, 4);
    BT_UNTIL(sub->events == 1);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert(gap->unknown || gap->total == 3);
}
END_TEST

START_TEST(a_subscription_waits_for_a_server_that_is_not_there_yet)
{
    bt_server_stop();
    bt_sub *sub = bt_subscribe_start(bt_handle_new("sub"), NULL, &(msgsrv_subscribe_options){.pattern = "t"}, NULL);
    ck_assert_uint_eq(sub->ended, 0);
    for (int i = 0; i < 50; i++)
        bt_turn();
    bt_server_start(false);
    BT_UNTIL(sub->ready == 1);
    publish_at_host("t", 1, 1);
    BT_UNTIL(sub->events == 1);
    ck_assert_uint_eq(sub->gaps + sub->ended, 0);
}
END_TEST

START_TEST(a_publication_that_was_under_way_ends_once)
{
    enum { COUNT = 2000 };
    static bt_published published[COUNT];
    bt_sub *sub = bt_subscribe(bt_handle_new("sub"), &(msgsrv_subscribe_options){.pattern = "t"});
    (void)sub;
    unsigned accepted = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bt_publish_start(bt.pub, "t", (int64_t)i, 0, NULL, &published[i]);
        if (i == COUNT / 2)
            bt_server_stop();
    }
    bt_server_start(false);
    for (size_t i = 0; i < COUNT; i++) {
        BT_UNTIL(published[i].done == 1);
        accepted += published[i].status == MSGSRV_OK;
        ck_assert(published[i].status == MSGSRV_OK || published[i].status == MSGSRV_UNAVAILABLE);
    }
    msgsrv_bus_stats stats = {.size = sizeof stats};
    msgsrv_bus_get_stats(bt.host, &stats);
    /* What was not confirmed may have been accepted; what was, was, once. */
    ck_assert_uint_ge(stats.published, accepted);
    ck_assert_uint_le(stats.published, COUNT);
    BT_UNTIL(bt_try(bt.pub, "t", BT_TYPE, "\x08\x01", 2, NULL, NULL, NULL) == MSGSRV_OK);
}
END_TEST

START_TEST(what_a_consumer_had_comes_again_after_its_connection_was_lost)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 3, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 3, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 3);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    bt_server_stop();
    bt_server_start(false);
    BT_UNTIL(consumer->ready == 2 && consumer->count == 5);
    for (size_t i = 3; i < 5; i++) {
        ck_assert_int_eq(consumer->items[i].value, (int64_t)i - 1);
        ck_assert_uint_eq(consumer->items[i].count, 2);
        ck_assert(consumer->items[i].redelivered);
    }
    BT_STATUS(MSGSRV_NOT_FOUND, bt_settle(consumer->handle, consumer->items[1].id, MSGSRV_ACK, 0, NULL), "");
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[3].id, MSGSRV_ACK, 0, NULL), "");
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[4].id, MSGSRV_ACK, 0, NULL), "");
    ck_assert_uint_eq(bt_info("q").messages, 0);
}
END_TEST

START_TEST(a_settlement_that_was_under_way_ends_once_and_what_was_confirmed_does_not_come_again)
{
    enum { COUNT = 100 };
    static bt_done done[COUNT];
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, COUNT, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", COUNT, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        msgsrv_bus_settle(consumer->handle->bus, consumer->items[i].id, MSGSRV_ACK, 0, NULL, bt_on_done, &done[i], NULL);
        if (i == COUNT / 2)
            bt_turn();
    }
    bt_server_stop();
    bt_server_start(false);
    for (size_t i = 0; i < COUNT; i++)
        BT_UNTIL(done[i].done == 1);
    BT_UNTIL(consumer->ready == 2);
    BT_UNTIL(bt_info("q").messages == consumer->count - COUNT);
    for (size_t i = COUNT; i < consumer->count; i++)
        ck_assert_int_ne(done[consumer->items[i].value - 1].status, MSGSRV_OK);
}
END_TEST

START_TEST(a_consumer_of_a_queue_that_is_gone_ends)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 3, MSGSRV_OK);
    bt_server_stop();
    bt_server_start(true); /* a new bus, without the queue */
    BT_UNTIL(consumer->ended == 1);
    BT_STATUS(MSGSRV_NOT_FOUND, consumer->status, consumer->text);
}
END_TEST

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)reply;
    bt_on_done(bus, status, error, ctx);
}

START_TEST(a_request_whose_connection_is_lost_fails)
{
    bt_done done = {0};
    messages_AddRequest request = {.a = 1};
    bt_sub *responder = bt_subscribe(bt_handle_new("responder"), &(msgsrv_subscribe_options){.responder = true});
    BT_STATUS(
        MSGSRV_OK,
        msgsrv_bus_request(bt.pub->bus, "sum", &messages_AddRequest_type, &request, NULL, 0, on_replied, &done, NULL),
        "");
    BT_UNTIL(responder->events == 1);
    bt_server_stop();
    BT_UNTIL(done.done == 1);
    BT_STATUS(MSGSRV_UNAVAILABLE, done.status, done.text);
    bt_server_start(false);
    BT_UNTIL(responder->ready == 2);
    bt_settle_down();
    ck_assert_uint_eq(responder->events, 1); /* it was not sent again */
}
END_TEST

START_TEST(a_group_goes_on_after_its_connections_were_lost)
{
    msgsrv_subscribe_options options = {.pattern = "t", .group = "workers"};
    bt_sub *one = bt_subscribe(bt_handle_new("one"), &options);
    bt_sub *two = bt_subscribe(bt_handle_new("two"), &options);
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    BT_UNTIL(one->events + two->events >= 10);
    bt_server_stop();
    bt_server_start(false);
    BT_UNTIL(one->ready == 2 && two->ready == 2);
    size_t before = one->events + two->events;
    publish_at_host("t", 11, 20);
    BT_UNTIL(one->events + two->events >= before + 10);
}
END_TEST

START_TEST(unsubscribing_without_a_connection_ends_it)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_server_stop();
    bt_turn();
    bt_unsubscribe(sub);
    bt_server_start(false);
    bt_subscribe_to(sub->handle, "u");
    bt_settle_down();
    ck_assert_uint_eq(sub->ready, 1);
}
END_TEST

START_TEST(freeing_without_a_connection_ends_everything)
{
    bt_published published = {0};
    bt_done done = {0};
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    bt_server_stop();
    bt_publish_start(sub->handle, "t", 1, 0, NULL, &published);
    msgsrv_error error;
    msgsrv_bus_declare_queue(sub->handle->bus, "q", NULL, bt_on_done, &done, &error);
    bt_free(sub->handle);
    ck_assert_uint_eq(sub->ended, 1);
    BT_STATUS(MSGSRV_CANCELLED, sub->status, sub->text);
    ck_assert_uint_eq(published.done, 1);
    ck_assert_uint_eq(done.done, 1);
}
END_TEST

START_TEST(what_cannot_reach_the_bus_says_so_in_its_time)
{
    bt_server_stop();
    bt_handle *handle = bt_handle_with(&(msgsrv_bus_options){.timeout_ms = 100});
    msgsrv_error error = {0};
    uint64_t begin = ts_now_ms();
    msgsrv_status status = bt_try(handle, "t", BT_TYPE, "\x08\x01", 2, NULL, NULL, &error);
    ck_assert_msg(status == MSGSRV_UNAVAILABLE || status == MSGSRV_DEADLINE_EXCEEDED, "%s", error.text);
    ck_assert_uint_lt(ts_now_ms() - begin, 15000);
    ck_assert_str_ne(error.text, "");
}
END_TEST

START_TEST(more_topics_than_are_remembered_are_told_as_unknown_or_right)
{
    enum { TOPICS = 1100 };
    char topic[16];
    bt_published published = {0};
    bt_sub *sub =
        bt_subscribe(bt_handle_new("sub"), &(msgsrv_subscribe_options){.pattern = "t.*", .max_events = 100000});
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        bt_publish_start(bt.pub, topic, 1, 0, NULL, &published);
    }
    BT_UNTIL(published.done == TOPICS && sub->events == TOPICS);
    bt_server_stop();
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        publish_at_host(topic, 2, 2);
    }
    bt_server_start(false);
    BT_UNTIL(sub->gaps >= 1);
    const bt_gap *gap = only_gap(sub, MSGSRV_GAP_DISCONNECTED);
    ck_assert(gap->unknown || gap->total == TOPICS);
    ck_assert_uint_le(gap->total, TOPICS);
}
END_TEST

const conf_test conf_reconnect[] = {
    {&a_subscription_goes_on_after_its_connection_was_lost, "remote"},
    {&what_came_meanwhile_and_is_not_retained_is_told_exactly, "remote dense_sequence"},
    {&what_was_missed_is_told_at_once_whatever_the_policy, "remote dense_sequence"},
    {&what_is_retained_comes_and_the_rest_is_told, "remote retained dense_sequence"},
    {&when_all_that_came_is_retained_nothing_is_missing, "remote retained dense_sequence"},
    {&a_topic_that_began_meanwhile_is_told_too, "remote dense_sequence"},
    {&many_topics_that_lost_are_told_with_their_total, "remote dense_sequence"},
    {&a_bus_that_began_anew_is_told, "remote"},
    {&a_subscription_that_had_nothing_yet_resumes_too, "remote dense_sequence"},
    {&a_subscription_waits_for_a_server_that_is_not_there_yet, "remote"},
    {&a_publication_that_was_under_way_ends_once, "remote"},
    {&what_a_consumer_had_comes_again_after_its_connection_was_lost, "remote delivery_count"},
    {&a_settlement_that_was_under_way_ends_once_and_what_was_confirmed_does_not_come_again, "remote confirmed_ack"},
    {&a_consumer_of_a_queue_that_is_gone_ends, "remote"},
    {&a_request_whose_connection_is_lost_fails, "remote"},
    {&a_group_goes_on_after_its_connections_were_lost, "remote"},
    {&unsubscribing_without_a_connection_ends_it, "remote"},
    {&freeing_without_a_connection_ends_everything, "remote"},
    {&what_cannot_reach_the_bus_says_so_in_its_time, "remote"},
    {&more_topics_than_are_remembered_are_told_as_unknown_or_right, "remote dense_sequence"},
    {NULL, NULL},
};
