/* SPDX-License-Identifier: MIT */
/* Groups: members share the events, and what a member that goes away has not got, another gets. */
#include "conf.h"

#include <stdio.h>

#define MOST 4000

static bt_sub *join_with(bt_handle *handle, const char *group, const bt_sub *hooks)
{
    bt_sub *sub = bt_subscribe_start(
        handle, NULL, &(msgsrv_subscribe_options){.pattern = "t.*", .group = group, .max_events = 100000}, hooks);
    BT_UNTIL(sub->ready + sub->ended != 0);
    ck_assert_msg(sub->ended == 0, "%s", sub->text);
    return sub;
}

static bt_sub *join(bt_handle *handle, const char *group)
{
    return join_with(handle, group, NULL);
}

typedef struct shares {
    unsigned times[MOST + 1];       /* an event came */
    unsigned redelivered[MOST + 1]; /* of them, with the mark */
    unsigned distinct;
} shares;

/* Adds what one member got of topic t.a; each member gets what is not redelivered in order. */
static void count_member(shares *tally, const bt_sub *sub)
{
    uint64_t last = 0;
    for (size_t i = 0; i < sub->count; i++) {
        const bt_item *item = &sub->items[i];
        if (item->gap != NULL)
            continue;
        TS_CHECK(item->sequence <= MOST, "sequence %llu", (unsigned long long)item->sequence);
        TS_CHECK(item->redelivered || item->sequence > last, "a member got %llu after %llu",
                 (unsigned long long)item->sequence, (unsigned long long)last);
        if (!item->redelivered)
            last = item->sequence;
        tally->distinct += tally->times[item->sequence]++ == 0;
        tally->redelivered[item->sequence] += item->redelivered;
    }
}

/* Every event up to `last` came; one that came twice came with its mark. */
static void check_tally(const shares *tally, unsigned last)
{
    for (unsigned i = 1; i <= last; i++) {
        TS_CHECK(tally->times[i] >= 1, "event %u reached no member", i);
        TS_CHECK(tally->times[i] - tally->redelivered[i] <= 1, "event %u came twice without the mark", i);
    }
}

static size_t got(bt_sub *const *subs, size_t count)
{
    static shares tally;
    memset(&tally, 0, sizeof tally);
    for (size_t i = 0; i < count; i++)
        count_member(&tally, subs[i]);
    return tally.distinct;
}

START_TEST(members_of_a_group_share_the_events)
{
    bt_sub *subs[3];
    for (size_t i = 0; i < 3; i++)
        subs[i] = join(bt_handle_new("member"), "workers");
    for (int64_t i = 1; i <= 300; i++) {
        bt_publish(bt.pub, "t.a", i);
        BT_UNTIL(subs[0]->events + subs[1]->events + subs[2]->events == (size_t)i);
    }
    shares tally = {{0}, {0}, 0};
    for (size_t i = 0; i < 3; i++) {
        count_member(&tally, subs[i]);
        ck_assert_uint_ge(subs[i]->events, 1);
        ck_assert_uint_eq(subs[i]->gaps, 0);
    }
    ck_assert_uint_eq(tally.distinct, 300);
    for (unsigned i = 1; i <= 300; i++)
        ck_assert_uint_eq(tally.times[i], 1);
}
END_TEST

START_TEST(groups_and_subscribers_beside_them_get_everything_each)
{
    bt_sub *one[2], *two[2];
    for (size_t i = 0; i < 2; i++) {
        bt_handle *handle = bt_handle_new("member");
        one[i] = join(handle, "one");
        two[i] = join(handle, "two");
    }
    bt_sub *plain = bt_subscribe_to(bt_handle_new("plain"), "t.*");
    bt_publish_many(bt.pub, "t.a", 1, 200, 0);
    BT_UNTIL(got(one, 2) == 200 && got(two, 2) == 200 && plain->events == 200);
    bt_check_told(plain, "t.a", 1, 200);
    ck_assert_uint_eq(one[0]->events + one[1]->events, 200);
    ck_assert_uint_eq(two[0]->events + two[1]->events, 200);
}
END_TEST

START_TEST(an_event_goes_to_the_least_loaded_member)
{
    bt_sub *slow = join(bt_handle_new("slow"), "workers");
    bt_sub *fast = join(bt_handle_new("fast"), "workers");
    slow->handle->stalled = true;
    /* One at a time: whoever has dealt with its own is less loaded than one that has not. */
    for (int i = 1; i <= 30; i++) {
        bt_publish(bt.pub, "t.a", i);
        bt_settle_down();
    }
    ck_assert_uint_ge(fast->events, 25);
    slow->handle->stalled = false;
    bt_sub *both[] = {slow, fast};
    BT_UNTIL(got(both, 2) == 30);
}
END_TEST

static void leave_inside(bt_sub *sub, const msgsrv_event *event)
{
    (void)event;
    bt_free(sub->handle); /* before this event's handler has returned */
}

START_TEST(what_a_member_that_dies_has_not_got_another_gets_marked_as_redelivered)
{
    bt_sub *lives = join(bt_handle_new("lives"), "workers");
    bt_sub *dies = join_with(bt_handle_new("dies"), "workers", &(bt_sub){.on_event = leave_inside});
    lives->handle->stalled = true;
    bt_publish_many(bt.pub, "t.a", 1, 50, 0);
    BT_UNTIL(dies->ended == 1);
    lives->handle->stalled = false;
    BT_UNTIL(got(&lives, 1) == 50); /* also the one whose handler had not returned */
    shares tally = {{0}, {0}, 0};
    count_member(&tally, lives);
    check_tally(&tally, 50);
    ck_assert_uint_eq(dies->events, 1);
    ck_assert_uint_ge(tally.redelivered[dies->items[0].sequence], 1);
}
END_TEST

START_TEST(what_a_stalled_member_has_another_gets_when_it_goes)
{
    bt_sub *stalls = join(bt_handle_new("stalls"), "workers");
    bt_sub *lives = join(bt_handle_new("lives"), "workers");
    stalls->handle->stalled = true;
    bt_publish_many(bt.pub, "t.a", 1, 1000, 100);
    bt_free(stalls->handle);
    BT_UNTIL(stalls->ended == 1 && got(&lives, 1) + stalls->events >= 1000);
    shares tally = {{0}, {0}, 0};
    count_member(&tally, stalls);
    count_member(&tally, lives);
    check_tally(&tally, 1000);
}
END_TEST

START_TEST(unsubscribing_a_member_hands_over)
{
    bt_sub *leaves = join(bt_handle_new("leaves"), "workers");
    bt_sub *lives = join(bt_handle_new("lives"), "workers");
    leaves->handle->stalled = true;
    bt_publish_many(bt.pub, "t.a", 1, 1000, 100);
    leaves->handle->stalled = false;
    msgsrv_bus_unsubscribe(leaves->handle->bus, leaves->id);
    bt_sub *both[] = {leaves, lives};
    BT_UNTIL(leaves->ended == 1 && got(both, 2) == 1000);
    shares tally = {{0}, {0}, 0};
    count_member(&tally, leaves);
    count_member(&tally, lives);
    check_tally(&tally, 1000);
}
END_TEST

START_TEST(a_member_that_joins_takes_part)
{
    bt_sub *subs[2];
    subs[0] = join(bt_handle_new("first"), "workers");
    bt_publish_many(bt.pub, "t.a", 1, 10, 0);
    BT_UNTIL(subs[0]->events == 10);
    subs[1] = join(bt_handle_new("second"), "workers");
    for (int i = 11; i <= 60; i++) {
        bt_publish(bt.pub, "t.a", i);
        BT_UNTIL(got(subs, 2) == (size_t)i);
    }
    ck_assert_uint_ge(subs[1]->events, 1);
    ck_assert_uint_eq(subs[0]->events + subs[1]->events, 60);
}
END_TEST

START_TEST(what_waits_when_the_last_member_leaves_is_counted_and_logged)
{
    msgsrv_bus_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    bt_sub *one = join(bt_handle_new("one"), "workers");
    bt_sub *two = join(bt_handle_new("two"), "workers");
    one->handle->stalled = true;
    two->handle->stalled = true;
    msgsrv_bus *counts = bt_engine_used.remote ? bt.host : bt.pub->bus;
    msgsrv_bus_get_stats(counts, &before);
    bt_publish_many(bt.pub, "t.a", 1, 1000, 100);
    bt_free(one->handle);
    bt_free(two->handle);
    BT_UNTIL((msgsrv_bus_get_stats(counts, &after), after.lost - before.lost + one->events + two->events >= 1000));
    ck_assert_uint_eq(after.lost - before.lost + one->events + two->events, 1000);
    BT_UNTIL(bt_logged("workers") != 0); /* it is written behind the bus's lock */
}
END_TEST

START_TEST(a_group_begins_anew_after_its_last_member)
{
    bt_sub *one = join(bt_handle_new("one"), "workers");
    bt_publish(bt.pub, "t.a", 1);
    BT_UNTIL(one->events == 1);
    bt_unsubscribe(one);
    bt_publish(bt.pub, "t.a", 2);
    bt_sub *two = join(bt_handle_new("two"), "workers");
    bt_publish(bt.pub, "t.a", 3);
    BT_UNTIL(bt_told_last(two, "t.a") == 3);
    /* From afar, the bus may have learned of the first one's end only behind the second event. */
    if (!bt_engine_used.remote)
        ck_assert_uint_eq(two->events, 1);
}
END_TEST

START_TEST(groups_get_nothing_that_is_retained)
{
    bt_declare_topic("t.a", BT_TYPE, NULL, 5);
    bt_publish_many(bt.pub, "t.a", 1, 5, 0);
    bt_sub *member = join(bt_handle_new("member"), "workers");
    bt_publish(bt.pub, "t.a", 6);
    BT_UNTIL(member->events >= 1);
    ck_assert_uint_eq(bt_event_at(member, 0)->sequence, 6);
    ck_assert(!bt_event_at(member, 0)->retained);
}
END_TEST

START_TEST(a_groups_queue_is_bounded_as_its_first_member_said_and_its_losses_are_told)
{
    msgsrv_bus_stats stats = {.size = sizeof stats};
    bt_sub *one = bt_subscribe(bt_handle_new("one"),
                               &(msgsrv_subscribe_options){.pattern = "t.*", .group = "workers", .max_events = 5});
    bt_sub *two = bt_subscribe(bt_handle_new("two"),
                               &(msgsrv_subscribe_options){.pattern = "t.*", .group = "workers", .max_events = 999});
    one->handle->stalled = two->handle->stalled = true;
    bt_publish_many(bt.pub, "t.a", 1, 1000, 0); /* what members have been given is not in the group's queue any more */
    one->handle->stalled = two->handle->stalled = false;
    BT_UNTIL(one->events + two->events + bt_gap_total(one) + bt_gap_total(two) == 1000);
    uint64_t lost = bt_gap_total(one) + bt_gap_total(two);
    ck_assert_uint_ge(lost, 1000 - 5 - 2 * 100);
    msgsrv_bus_get_stats(bt.pub->bus, &stats);
    ck_assert_uint_eq(stats.lost, lost);
}
END_TEST

START_TEST(group_names_that_are_wrong_are_refused)
{
    static char long_name[65 + 1];
    memset(long_name, 'g', 65);
    const char *const bad[] = {"a b", "a/b", "\xc3\xbc", "a*", "$a", long_name};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bt_subscribe_refused(bt.pub, &(msgsrv_subscribe_options){.group = bad[i]}, MSGSRV_INVALID_ARGUMENT, "group",
                             NULL);
    long_name[64] = '\0';
    bt_subscribe(bt.pub, &(msgsrv_subscribe_options){.pattern = "t", .group = long_name});
    bt_subscribe(bt.pub, &(msgsrv_subscribe_options){.pattern = "t", .group = "a-b_c.D9"});
}
END_TEST

START_TEST(members_may_ask_for_different_topics)
{
    bt_sub *a = bt_subscribe(bt_handle_new("a"), &(msgsrv_subscribe_options){.pattern = "t.a", .group = "workers"});
    bt_sub *b = bt_subscribe_start(bt_handle_new("b"), NULL,
                                   &(msgsrv_subscribe_options){.pattern = "t.b", .group = "workers"}, NULL);
    BT_UNTIL(b->ready + b->ended == 1);
    if (b->ended == 1) {
        /* Then it is said. */
        ck_assert(b->status == MSGSRV_FAILED_PRECONDITION || b->status == MSGSRV_INVALID_ARGUMENT);
        BT_CONTAINS(b->text, "workers");
        return;
    }
    bt_publish_many(bt.pub, "t.a", 1, 10, 0);
    bt_publish_many(bt.pub, "t.b", 1, 10, 0);
    BT_UNTIL(a->events == 10 && b->events == 10);
    bt_check_told(a, "t.a", 1, 10);
    bt_check_told(b, "t.b", 1, 10);
}
END_TEST

const conf_test conf_groups[] = {
    {&members_of_a_group_share_the_events, "dense_sequence"},
    {&groups_and_subscribers_beside_them_get_everything_each, "dense_sequence"},
    {&an_event_goes_to_the_least_loaded_member, "dense_sequence"},
    {&what_a_member_that_dies_has_not_got_another_gets_marked_as_redelivered, "dense_sequence"},
    {&what_a_stalled_member_has_another_gets_when_it_goes, "dense_sequence"},
    {&unsubscribing_a_member_hands_over, "dense_sequence"},
    {&a_member_that_joins_takes_part, "dense_sequence"},
    {&what_waits_when_the_last_member_leaves_is_counted_and_logged, NULL},
    {&a_group_begins_anew_after_its_last_member, "dense_sequence"},
    {&groups_get_nothing_that_is_retained, "retained dense_sequence"},
    {&a_groups_queue_is_bounded_as_its_first_member_said_and_its_losses_are_told, "mem"},
    {&group_names_that_are_wrong_are_refused, NULL},
    {&members_may_ask_for_different_topics, "dense_sequence"},
    {NULL, NULL},
};
