/* SPDX-License-Identifier: MIT */
/*
 * A subscription's queue, what happens when it is full, and that nothing is lost in silence. In this process the bounds are exact; from
 * afar what is on its way comes on top, so there the tests look at what was told, not at how much.
 */
#include "conf.h"

#include <stdio.h>

/* A subscription on a handle of its own that is not driven. */
static bt_sub *stalled(const msgsrv_subscribe_options *options)
{
    bt_sub *sub = bt_subscribe(bt_handle_new("slow"), options);
    sub->handle->stalled = true;
    return sub;
}

static void go_on(bt_sub *sub)
{
    sub->handle->stalled = false;
}

static bool is_event(const bt_sub *sub, size_t index, const char *topic, uint64_t sequence, uint64_t replaced)
{
    const bt_item *item = &sub->items[index];
    return index < sub->count && item->gap == NULL && strcmp(item->topic, topic) == 0 && item->sequence == sequence &&
           item->replaced == replaced;
}

static void check_gap(const bt_item *item, const char *topic, uint64_t first, uint64_t last, uint64_t total)
{
    ck_assert_ptr_nonnull(item->gap);
    ck_assert_int_eq(item->gap->reason, MSGSRV_GAP_SLOW);
    ck_assert(!item->gap->unknown);
    ck_assert_uint_eq(item->gap->total, total);
    const bt_gap_topic *entry = bt_gap_of(item->gap, topic);
    ck_assert_uint_eq(entry->first, first);
    ck_assert_uint_eq(entry->last, last);
}

START_TEST(drop_oldest_drops_the_head_and_tells_it_at_the_head)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 4});
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    go_on(sub);
    BT_UNTIL(sub->count == 5);
    check_gap(&sub->items[0], "t", 1, 6, 6);
    ck_assert_uint_eq(bt_gap_of(sub->items[0].gap, "t")->count, 6);
    bt_check_told(sub, "t", 1, 10);
    bt_publish(bt.pub, "t", 11);
    BT_UNTIL(sub->events == 5);
    ck_assert_uint_eq(sub->gaps, 1);
}
END_TEST

START_TEST(drop_newest_drops_the_new_one_and_tells_it_at_the_tail)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 4, .policy = MSGSRV_DROP_NEWEST});
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    go_on(sub);
    BT_UNTIL(sub->count == 5);
    check_gap(&sub->items[4], "t", 5, 10, 6);
    bt_publish(bt.pub, "t", 11);
    BT_UNTIL(sub->events == 5);
    bt_check_told(sub, "t", 1, 11);
    ck_assert_uint_eq(sub->gaps, 1);
}
END_TEST

START_TEST(latest_replaces_the_waiting_event_of_the_topic)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "*", .max_events = 2, .policy = MSGSRV_LATEST});
    bt_publish_many(bt.pub, "a", 1, 1, 0);
    bt_publish_many(bt.pub, "b", 1, 5, 0);
    bt_publish_many(bt.pub, "a", 2, 4, 0);
    go_on(sub);
    BT_UNTIL(sub->count == 2);
    ck_assert_uint_eq(sub->gaps, 0);
    bool a_first = is_event(sub, 0, "a", 4, 3) && is_event(sub, 1, "b", 5, 4);
    ck_assert(a_first || (is_event(sub, 0, "b", 5, 4) && is_event(sub, 1, "a", 4, 3)));
    bt_check_told(sub, "a", 1, 4);
    bt_check_told(sub, "b", 1, 5);
}
END_TEST

START_TEST(latest_without_a_waiting_event_of_the_topic_drops_the_oldest)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "*", .max_events = 2, .policy = MSGSRV_LATEST});
    bt_publish(bt.pub, "a", 1);
    bt_publish(bt.pub, "b", 1);
    bt_publish(bt.pub, "c", 1);
    go_on(sub);
    BT_UNTIL(sub->count == 3);
    check_gap(&sub->items[0], "a", 1, 1, 1);
    ck_assert(is_event(sub, 1, "b", 1, 0) && is_event(sub, 2, "c", 1, 0));
}
END_TEST

START_TEST(an_event_that_stood_for_others_and_is_dropped_takes_them_into_the_gap)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "*", .max_events = 1, .policy = MSGSRV_LATEST});
    bt_publish_many(bt.pub, "a", 1, 5, 0); /* the fifth stands for five */
    bt_publish(bt.pub, "b", 1);
    go_on(sub);
    BT_UNTIL(sub->events == 1);
    bt_check_told(sub, "a", 1, 5);
    bt_check_told(sub, "b", 1, 1);
    check_gap(&sub->items[0], "a", 1, 5, 5);
}
END_TEST

START_TEST(disconnect_ends_the_subscription_with_the_gap)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 4, .policy = MSGSRV_DISCONNECT});
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    go_on(sub);
    BT_UNTIL(sub->ended == 1);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, sub->status, sub->text);
    ck_assert_ptr_nonnull(sub->end_gap);
    ck_assert_int_eq(sub->end_gap->reason, MSGSRV_GAP_SLOW);
    /* What had waited comes before the end, or is in its gap. */
    ck_assert_uint_eq(sub->gaps, 0);
    const bt_gap_topic *entry = bt_gap_of(sub->end_gap, "t");
    ck_assert_uint_eq(entry->first, sub->events + 1);
    ck_assert_uint_eq(entry->last, 5);
    ck_assert_uint_eq(entry->count, 5 - sub->events);
    ck_assert_uint_eq(sub->end_gap->total, entry->count);
}
END_TEST

START_TEST(a_subscription_that_did_not_fill_loses_nothing)
{
    for (int policy = MSGSRV_DROP_OLDEST; policy <= MSGSRV_DISCONNECT; policy++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t.%d", policy);
        bt_sub *sub = stalled(
            &(msgsrv_subscribe_options){.pattern = topic, .max_events = 10, .policy = (msgsrv_bus_policy)policy});
        bt_publish_many(bt.pub, topic, 1, 10, 0);
        go_on(sub);
        BT_UNTIL(sub->count == 10);
        bt_check_told(sub, topic, 1, 10);
        ck_assert_uint_eq(sub->gaps + sub->ended, 0);
    }
}
END_TEST

START_TEST(a_queue_holds_1024_events_when_nothing_is_said)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t"});
    bt_publish_many(bt.pub, "t", 1, 1034, 0);
    go_on(sub);
    BT_UNTIL(sub->events == 1024);
    check_gap(&sub->items[0], "t", 1, 10, 10);
    bt_check_told(sub, "t", 1, 1034);
}
END_TEST

START_TEST(a_queue_holds_8_mib_when_nothing_is_said)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t"});
    bt_publish_many(bt.pub, "t", 1, 20, 1000000);
    go_on(sub);
    BT_UNTIL(bt_told_last(sub, "t") == 20);
    ck_assert_uint_eq(sub->events, 8); /* of a million bytes and a little each */
    bt_check_told(sub, "t", 1, 20);
}
END_TEST

START_TEST(a_queue_is_bounded_in_bytes_too)
{
    msgsrv_bus_stats stats = {.size = sizeof stats};
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_bytes = 4096});
    bt_publish_many(bt.pub, "t", 1, 20, 1000);
    msgsrv_bus_get_stats(sub->handle->bus, &stats);
    ck_assert_uint_le(stats.waiting_bytes, 4096);
    ck_assert_uint_ge(stats.waiting_events, 2);
    ck_assert_uint_le(stats.waiting_events, 4);
    go_on(sub);
    BT_UNTIL(bt_told_last(sub, "t") == 20);
    bt_check_told(sub, "t", 1, 20);
    ck_assert_uint_eq(sub->gaps, 1);
}
END_TEST

START_TEST(an_event_larger_than_the_queue_is_told_or_comes)
{
    bt_sub *sub = bt_subscribe(bt_handle_new("sub"), &(msgsrv_subscribe_options){.pattern = "t", .max_bytes = 4096});
    bt_publish_many(bt.pub, "t", 1, 1, 100000);
    bt_publish(bt.pub, "t", 2);
    BT_UNTIL(bt_told_last(sub, "t") == 2);
    bt_check_told(sub, "t", 1, 2);
}
END_TEST

START_TEST(a_gap_tells_up_to_32_topics_and_counts_the_others)
{
    char topic[32];
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t.*", .max_events = 1});
    for (int i = 0; i < 41; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        bt_publish(bt.pub, topic, i);
        bt_publish(bt.pub, topic, i);
    }
    go_on(sub);
    BT_UNTIL(sub->events == 1);
    ck_assert_uint_eq(sub->gaps, 1); /* neighbours are one */
    const bt_gap *gap = bt_gap_at(sub, 0);
    ck_assert_uint_eq(gap->total, 81);
    ck_assert_uint_eq(gap->topic_count, MSGSRV_GAP_TOPICS);
    uint64_t named = 0;
    for (size_t i = 0; i < gap->topic_count; i++) {
        snprintf(topic, sizeof topic, "t.%zu", i);
        const bt_gap_topic *entry = bt_gap_of(gap, topic);
        ck_assert_uint_eq(entry->first, 1);
        ck_assert_uint_eq(entry->last, 2);
        ck_assert_uint_eq(entry->count, 2);
        named += entry->count;
    }
    ck_assert_uint_eq(named, 64);
    ck_assert(!gap->unknown);
}
END_TEST

START_TEST(gaps_that_are_apart_stay_apart)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 2, .policy = MSGSRV_DROP_NEWEST});
    for (int i = 0; i < 3; i++) {
        bt_publish_many(bt.pub, "t", 1, 4, 0);
        go_on(sub);
        BT_UNTIL(sub->count == (size_t)(i + 1) * 3);
        sub->handle->stalled = true;
    }
    ck_assert_uint_eq(sub->gaps, 3);
    for (size_t i = 0; i < 3; i++)
        check_gap(&sub->items[i * 3 + 2], "t", i * 4 + 3, i * 4 + 4, 2);
    bt_check_told(sub, "t", 1, 12);
}
END_TEST

START_TEST(a_gap_has_first_last_and_count_of_each_topic)
{
    bt_sub *sub = stalled(&(msgsrv_subscribe_options){.pattern = "*", .max_events = 1, .policy = MSGSRV_DROP_NEWEST});
    bt_publish_many(bt.pub, "a", 1, 3, 0);
    bt_publish_many(bt.pub, "b", 1, 4, 0);
    bt_publish_many(bt.pub, "a", 4, 5, 0);
    go_on(sub);
    BT_UNTIL(sub->count == 2);
    const bt_gap *gap = bt_gap_at(sub, 0);
    ck_assert_uint_eq(gap->total, 8);
    ck_assert_uint_eq(gap->topic_count, 2);
    ck_assert_uint_eq(bt_gap_of(gap, "a")->first, 2);
    ck_assert_uint_eq(bt_gap_of(gap, "a")->last, 5);
    ck_assert_uint_eq(bt_gap_of(gap, "a")->count, 4);
    ck_assert_uint_eq(bt_gap_of(gap, "b")->first, 1);
    ck_assert_uint_eq(bt_gap_of(gap, "b")->count, 4);
}
END_TEST

START_TEST(holes_in_sequences_are_no_losses)
{
    bt_sub *all = bt_subscribe_to(bt.pub, "t");
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    BT_UNTIL(all->events == 5);
    bt_sub *late = bt_subscribe(bt.pub, &(msgsrv_subscribe_options){.pattern = ">", .type = BT_TYPE});
    bt_publish_many(bt.pub, "t", 6, 10, 0);
    BT_UNTIL(late->events == 5);
    ck_assert_uint_eq(bt_event_at(late, 0)->sequence, 6);
    ck_assert_uint_eq(late->gaps, 0);
}
END_TEST

START_TEST(every_loss_is_counted_and_logged)
{
    msgsrv_bus_stats stats = {.size = sizeof stats};
    bt_sub *oldest = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 4});
    bt_sub *newest = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 3, .policy = MSGSRV_DROP_NEWEST});
    bt_publish_many(bt.pub, "t", 1, 10, 0);
    go_on(oldest);
    go_on(newest);
    BT_UNTIL(oldest->count == 5 && newest->count == 4);
    msgsrv_bus_get_stats(bt.pub->bus, &stats);
    ck_assert_uint_eq(stats.lost, 6 + 7);
    BT_UNTIL(bt_logged("slow") != 0); /* by name; it is written behind the bus's lock */
}
END_TEST

/* ---- both engines: more than fits anywhere on the way ---- */

enum { FLOOD = 4000, FLOOD_SIZE = 1000 };

static bt_sub *flooded(msgsrv_bus_policy policy)
{
    bt_sub *slow = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 16, .policy = policy});
    bt_publish_many(bt.pub, "t", 1, FLOOD, FLOOD_SIZE);
    go_on(slow);
    return slow;
}

START_TEST(what_a_slow_subscriber_misses_is_told_exactly)
{
    static const msgsrv_bus_policy policies[] = {MSGSRV_DROP_OLDEST, MSGSRV_DROP_NEWEST, MSGSRV_LATEST};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        bt_reopen(NULL);
        bt_sub *slow = flooded(policies[i]);
        BT_UNTIL(bt_told_last(slow, "t") == FLOOD);
        bt_check_told(slow, "t", 1, FLOOD);
        if (policies[i] == MSGSRV_LATEST) {
            ck_assert_uint_eq(slow->gaps, 0);
            ck_assert_uint_lt(slow->events, FLOOD);
        } else {
            ck_assert_uint_ge(slow->gaps, 1);
            ck_assert_uint_eq(bt_gap_total(slow) + slow->events, FLOOD);
        }
    }
}
END_TEST

START_TEST(a_slow_subscriber_that_wants_to_be_disconnected_is)
{
    bt_sub *slow = flooded(MSGSRV_DISCONNECT);
    BT_UNTIL(slow->ended == 1);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, slow->status, slow->text);
    ck_assert_ptr_nonnull(slow->end_gap);
    ck_assert_uint_eq(bt_gap_of(slow->end_gap, "t")->first, bt_told_last(slow, "t") + 1);
    bt_check_told(slow, "t", 1, bt_told_last(slow, "t"));
}
END_TEST

START_TEST(one_slow_subscriber_delays_nobody)
{
    bt_sub *slow = stalled(&(msgsrv_subscribe_options){.pattern = "t", .max_events = 8});
    bt_sub *fast =
        bt_subscribe(bt_handle_new("fast"),
                     &(msgsrv_subscribe_options){.pattern = "t", .max_events = 1000000, .max_bytes = 256u << 20});
    bt_publish_many(bt.pub, "t", 1, FLOOD, FLOOD_SIZE);
    BT_UNTIL(fast->events == FLOOD);
    bt_check_told(fast, "t", 1, FLOOD);
    ck_assert_uint_eq(fast->gaps, 0);
    ck_assert_uint_eq(slow->count, 0);
    go_on(slow);
    BT_UNTIL(bt_told_last(slow, "t") == FLOOD);
    bt_check_told(slow, "t", 1, FLOOD);
}
END_TEST

START_TEST(subscriptions_of_one_handle_have_queues_of_their_own)
{
    bt_handle *handle = bt_handle_new("slow");
    bt_sub *small = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 2});
    bt_sub *large = bt_subscribe(
        handle, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 1000000, .max_bytes = 256u << 20});
    handle->stalled = true;
    bt_publish_many(bt.pub, "t", 1, FLOOD, FLOOD_SIZE);
    handle->stalled = false;
    BT_UNTIL(large->events == FLOOD && bt_told_last(small, "t") == FLOOD);
    bt_check_told(large, "t", 1, FLOOD);
    bt_check_told(small, "t", 1, FLOOD);
    ck_assert_uint_eq(large->gaps, 0);
    ck_assert_uint_ge(small->gaps, 1);
}
END_TEST

const conf_test conf_policies[] = {
    {&drop_oldest_drops_the_head_and_tells_it_at_the_head, "mem dense_sequence"},
    {&drop_newest_drops_the_new_one_and_tells_it_at_the_tail, "mem dense_sequence"},
    {&latest_replaces_the_waiting_event_of_the_topic, "mem dense_sequence"},
    {&latest_without_a_waiting_event_of_the_topic_drops_the_oldest, "mem dense_sequence"},
    {&an_event_that_stood_for_others_and_is_dropped_takes_them_into_the_gap, "mem dense_sequence"},
    {&disconnect_ends_the_subscription_with_the_gap, "mem dense_sequence"},
    {&a_subscription_that_did_not_fill_loses_nothing, NULL},
    {&a_queue_holds_1024_events_when_nothing_is_said, "mem dense_sequence"},
    {&a_queue_holds_8_mib_when_nothing_is_said, "mem dense_sequence"},
    {&a_queue_is_bounded_in_bytes_too, "mem dense_sequence"},
    {&an_event_larger_than_the_queue_is_told_or_comes, "dense_sequence"},
    {&a_gap_tells_up_to_32_topics_and_counts_the_others, "mem dense_sequence"},
    {&gaps_that_are_apart_stay_apart, "mem dense_sequence"},
    {&a_gap_has_first_last_and_count_of_each_topic, "mem dense_sequence"},
    {&holes_in_sequences_are_no_losses, NULL},
    {&every_loss_is_counted_and_logged, "mem"},
    {&what_a_slow_subscriber_misses_is_told_exactly, "dense_sequence"},
    {&a_slow_subscriber_that_wants_to_be_disconnected_is, "dense_sequence"},
    {&one_slow_subscriber_delays_nobody, "dense_sequence"},
    {&subscriptions_of_one_handle_have_queues_of_their_own, "dense_sequence"},
    {NULL, NULL},
};
