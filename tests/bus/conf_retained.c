/* SPDX-License-Identifier: MIT */
/* Retained events: what late joiners get, and how it joins the live ones. */
#include "conf.h"

#include <stdio.h>

/* Retained ones are a run that ends where the live ones begin. */
static void check_join(const bt_sub *sub, const char *topic, uint64_t first, uint64_t last, size_t retained)
{
    size_t seen = 0;
    bool live = false;
    bt_check_told(sub, topic, first, last);
    for (size_t i = 0; i < sub->count; i++) {
        if (sub->items[i].gap != NULL || strcmp(sub->items[i].topic, topic) != 0)
            continue;
        TS_CHECK(!live || !sub->items[i].retained, "a retained event behind a live one");
        live = !sub->items[i].retained;
        seen += sub->items[i].retained;
    }
    ck_assert_uint_eq(seen, retained);
}

START_TEST(a_topic_retains_nothing_when_nothing_is_said)
{
    bt_publish(bt.pub, "t", 1);
    bt_declare_topic("u", BT_TYPE, NULL, 0);
    bt_publish(bt.pub, "u", 1);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("late"), ">");
    bt_publish(bt.pub, "t", 2);
    bt_publish(bt.pub, "u", 2);
    BT_UNTIL(sub->events == 2);
    ck_assert_uint_eq(sub->items[0].sequence + sub->items[1].sequence, 4);
    ck_assert(!sub->items[0].retained && !sub->items[1].retained);
}
END_TEST

START_TEST(a_late_joiner_gets_the_retained_events_and_then_the_live_ones)
{
    bt_declare_topic("t", BT_TYPE, NULL, 5);
    bt_publish_many(bt.pub, "t", 1, 20, 0);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("late"), "t");
    bt_publish_many(bt.pub, "t", 21, 30, 0);
    BT_UNTIL(sub->events == 15);
    check_join(sub, "t", 16, 30, 5);
    ck_assert_int_eq(bt_event_at(sub, 0)->value, 16);
    ck_assert_uint_eq(sub->gaps, 0);
}
END_TEST

START_TEST(fewer_events_than_are_retained_come_when_there_are_fewer_or_fewer_are_wanted)
{
    bt_declare_topic("t", BT_TYPE, NULL, 10);
    bt_publish_many(bt.pub, "t", 1, 6, 0);
    bt_handle *handle = bt_handle_new("late");
    bt_sub *all = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "t", .last = 1000});
    bt_sub *two = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "t", .last = 2});
    bt_sub *none = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "t", .last = MSGSRV_NONE});
    bt_publish(bt.pub, "t", 7);
    BT_UNTIL(all->events == 7 && two->events == 3 && none->events == 1);
    check_join(all, "t", 1, 7, 6);
    check_join(two, "t", 5, 7, 2);
    check_join(none, "t", 7, 7, 0);
}
END_TEST

START_TEST(each_topic_of_a_pattern_has_its_own_retained_events)
{
    bt_declare_topic("t.a", BT_TYPE, NULL, 2);
    bt_declare_topic("t.b", BT_TYPE, NULL, 3);
    bt_declare_topic("u", BT_TYPE, NULL, 3);
    bt_publish_many(bt.pub, "t.a", 1, 5, 0);
    bt_publish_many(bt.pub, "t.b", 1, 5, 0);
    bt_publish_many(bt.pub, "u", 1, 5, 0);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("late"), "t.*");
    bt_publish(bt.pub, "t.a", 6);
    bt_publish(bt.pub, "t.b", 6);
    BT_UNTIL(sub->events == 7);
    check_join(sub, "t.a", 4, 6, 2);
    check_join(sub, "t.b", 3, 6, 3);
}
END_TEST

START_TEST(a_type_asks_for_the_retained_events_of_its_topics)
{
    uint8_t payload[16];
    size_t size = bt_encode(payload, 1, 0);
    bt_declare_topic("t.a", "conf.A", NULL, 1);
    bt_declare_topic("t.b", "conf.B", NULL, 1);
    bt_try(bt.pub, "t.a", "conf.A", payload, size, NULL, NULL, NULL);
    bt_try(bt.pub, "t.b", "conf.B", payload, size, NULL, NULL, NULL);
    bt_sub *sub = bt_subscribe(bt_handle_new("late"), &(msgsrv_subscribe_options){.type = "conf.B"});
    BT_UNTIL(sub->events == 1);
    bt_settle_down();
    ck_assert_uint_eq(sub->events, 1);
    ck_assert_str_eq(sub->items[0].topic, "t.b");
    ck_assert(sub->items[0].retained);
}
END_TEST

START_TEST(what_is_retained_can_be_declared_anew)
{
    bt_declare_topic("t", BT_TYPE, NULL, 5);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    bt_declare_topic("t", BT_TYPE, NULL, 2);
    bt_sub *two = bt_subscribe_to(bt_handle_new("late"), "t");
    BT_UNTIL(two->events == 2);
    check_join(two, "t", 4, 5, 2);
    bt_declare_topic("t", BT_TYPE, NULL, 10);
    bt_publish_many(bt.pub, "t", 6, 7, 0);
    bt_sub *four = bt_subscribe_to(bt_handle_new("later"), "t");
    BT_UNTIL(four->events == 4);
    check_join(four, "t", 4, 7, 4);
    bt_declare_topic("t", BT_TYPE, NULL, 0);
    bt_sub *none = bt_subscribe_to(bt_handle_new("last"), "t");
    bt_publish(bt.pub, "t", 8);
    BT_UNTIL(none->events == 1);
    check_join(none, "t", 8, 8, 0);
}
END_TEST

START_TEST(a_topic_retains_at_most_1000)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, bt_try_declare_topic("t", BT_TYPE, NULL, 1001, &error), error.text);
    BT_CONTAINS(error.text, "1000");
    bt_declare_topic("t", BT_TYPE, NULL, 1000);
    bt_publish_many(bt.pub, "t", 1, 1500, 0);
    /* By a cursor: its own queue has room for one. */
    bt_sub *sub = bt_subscribe(bt_handle_new("late"), &(msgsrv_subscribe_options){.pattern = "t", .max_events = 1});
    BT_UNTIL(sub->events == 1000);
    check_join(sub, "t", 501, 1500, 1000);
    ck_assert_uint_eq(sub->gaps, 0);
}
END_TEST

START_TEST(a_topic_retains_at_most_1_mib)
{
    bt_declare_topic("t", BT_TYPE, NULL, 100);
    bt_publish_many(bt.pub, "t", 1, 30, 100000);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("late"), "t");
    bt_publish(bt.pub, "t", 31);
    BT_UNTIL(bt_told_last(sub, "t") == 31);
    ck_assert_uint_le(sub->events - 1, 10);
    ck_assert_uint_ge(sub->events - 1, 9);
    bt_check_told(sub, "t", 31 - (sub->events - 1), 31);
}
END_TEST

START_TEST(all_topics_together_retain_so_many_bytes)
{
    bt_reopen(&(msgsrv_bus_options){.max_retained_bytes = 100000});
    char topic[8];
    for (int i = 0; i < 10; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        bt_declare_topic(topic, BT_TYPE, NULL, 3);
        bt_publish_many(bt.pub, topic, 1, 5, 10000);
    }
    if (!bt_engine_used.remote) {
        msgsrv_bus_stats stats = {.size = sizeof stats};
        msgsrv_bus_get_stats(bt.pub->bus, &stats);
        ck_assert_uint_le(stats.retained_bytes, 100000);
        ck_assert_uint_ge(stats.retained_bytes, 60000);
    }
    bt_sub *sub = bt_subscribe_to(bt_handle_new("late"), "t.*");
    bt_publish(bt.pub, "t.last", 1);
    BT_UNTIL(bt_told_last(sub, "t.last") == 1);
    ck_assert_uint_le(sub->events, 10);
}
END_TEST

START_TEST(while_events_go_on_a_joiner_misses_none_and_gets_none_twice)
{
    enum { JOINERS = 40 };
    bt_sub *subs[JOINERS];
    bt_published published = {0};
    unsigned count = 0;
    bt_declare_topic("t", BT_TYPE, NULL, 50);
    bt_handle *handle = bt_handle_new("late");
    for (int i = 0; i < JOINERS; i++) {
        for (int k = 0; k < 30; k++)
            bt_publish_start(bt.pub, "t", ++count, 0, NULL, &published);
        subs[i] = bt_subscribe_start(i % 4 == 0 ? bt.pub : handle, NULL,
                                     &(msgsrv_subscribe_options){.pattern = "t", .max_events = 100000}, NULL);
        if (i % 3 == 0)
            bt_turn();
    }
    BT_UNTIL(published.done == count);
    uint64_t last = bt_publish(bt.pub, "t", 0).sequence;
    for (int i = 0; i < JOINERS; i++) {
        BT_UNTIL(bt_told_last(subs[i], "t") == last);
        bt_check_told(subs[i], "t", bt_event_at(subs[i], 0)->sequence, last);
        ck_assert_uint_eq(subs[i]->gaps, 0);
        ck_assert_uint_ge(subs[i]->events, 31);
    }
}
END_TEST

START_TEST(live_events_that_come_while_the_retained_ones_are_read_follow_them)
{
    bt_declare_topic("t", BT_TYPE, NULL, 1000);
    bt_publish_many(bt.pub, "t", 1, 1000, 500);
    bt_handle *late = bt_handle_new("late");
    bt_sub *sub =
        bt_subscribe_start(late, NULL, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 100000}, NULL);
    BT_UNTIL(sub->ready == 1);
    late->stalled = true; /* with what it has read so far, or nothing */
    bt_publish_many(bt.pub, "t", 1001, 3000, 500);
    late->stalled = false;
    BT_UNTIL(bt_told_last(sub, "t") == 3000);
    bt_check_told(sub, "t", 1, 3000);
    ck_assert_uint_eq(sub->gaps, 0);
}
END_TEST

START_TEST(a_slow_joiner_is_told_what_it_missed_between_retained_and_live)
{
    bt_declare_topic("t", BT_TYPE, NULL, 100);
    bt_publish_many(bt.pub, "t", 1, 100, 1000);
    bt_handle *late = bt_handle_new("late");
    bt_sub *sub = bt_subscribe_start(late, NULL, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 5}, NULL);
    BT_UNTIL(sub->ready == 1);
    late->stalled = true;
    bt_publish_many(bt.pub, "t", 101, 4000, 1000);
    late->stalled = false;
    BT_UNTIL(bt_told_last(sub, "t") == 4000);
    bt_check_told(sub, "t", 1, 4000);
}
END_TEST

START_TEST(retained_events_of_a_topic_that_is_published_faster_than_it_is_read_come_or_are_told)
{
    bt_declare_topic("t", BT_TYPE, NULL, 10);
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    bt_handle *late = bt_handle_new("late");
    bt_sub *sub = bt_subscribe_start(
        late, NULL, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 3, .policy = MSGSRV_DROP_NEWEST}, NULL);
    bt_publish_many(bt.pub, "t", 11, 60,
                    0); /* what was retained at first has gone by now, unless it was kept for the joiner */
    BT_UNTIL(sub->ready == 1);
    uint64_t last = bt_publish(bt.pub, "t", 0).sequence;
    BT_UNTIL(bt_told_last(sub, "t") == last);
    const bt_item *first = &sub->items[0];
    uint64_t begin = first->gap == NULL ? first->sequence : bt_gap_of(first->gap, "t")->first;
    bt_check_told(sub, "t", begin, last);
    if (!bt_engine_used.remote)
        ck_assert_uint_eq(begin, 1);
}
END_TEST

const conf_test conf_retained[] = {
    {&a_topic_retains_nothing_when_nothing_is_said, "dense_sequence"},
    {&a_late_joiner_gets_the_retained_events_and_then_the_live_ones, "retained dense_sequence"},
    {&fewer_events_than_are_retained_come_when_there_are_fewer_or_fewer_are_wanted, "retained dense_sequence"},
    {&each_topic_of_a_pattern_has_its_own_retained_events, "retained dense_sequence"},
    {&a_type_asks_for_the_retained_events_of_its_topics, "retained"},
    {&what_is_retained_can_be_declared_anew, "retained dense_sequence"},
    {&a_topic_retains_at_most_1000, "retained dense_sequence"},
    {&a_topic_retains_at_most_1_mib, "retained dense_sequence"},
    {&all_topics_together_retain_so_many_bytes, "retained"},
    {&while_events_go_on_a_joiner_misses_none_and_gets_none_twice, "retained dense_sequence"},
    {&live_events_that_come_while_the_retained_ones_are_read_follow_them, "retained dense_sequence"},
    {&a_slow_joiner_is_told_what_it_missed_between_retained_and_live, "retained dense_sequence"},
    {&retained_events_of_a_topic_that_is_published_faster_than_it_is_read_come_or_are_told, "retained dense_sequence"},
    {NULL, NULL},
};
