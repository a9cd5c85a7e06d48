/* SPDX-License-Identifier: MIT */
/* Topics and patterns: what is one, what matches, and how many there may be. */
#include "conf.h"

#include <stdio.h>

static msgsrv_status try_topic(const char *topic, msgsrv_error *error)
{
    uint8_t payload[16];
    return bt_try(bt.pub, topic, BT_TYPE, payload, bt_encode(payload, 1, 0), NULL, NULL, error);
}

START_TEST(programs_that_know_nothing_of_each_other_exchange_events)
{
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "weather.*");
    bt_publish(bt_handle_new("station"), "weather.berlin", 21);
    BT_UNTIL(sub->events == 1);
    ck_assert_str_eq(sub->items[0].topic, "weather.berlin");
    ck_assert_str_eq(sub->items[0].type, BT_TYPE);
    ck_assert_str_eq(sub->items[0].publisher, "station");
    ck_assert_int_eq(sub->items[0].value, 21);
}
END_TEST

START_TEST(topics_that_are_none_are_refused)
{
    static const char long_topic[256 + 1] = {[0 ... 255] = 't'};
    const char *const bad[] = {
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a b",
        "a/b",
        "a\nb",
        "a.*",
        "*",
        ">",
        "a.>",
        "a.b*",
        "a:b",
        "\xc3\xbc",
        "a.$b",
        "a,b",
        "a%b",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
        long_topic,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_error error = {0};
        msgsrv_status status = try_topic(bad[i], &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "\"%s\": %s", bad[i], msgsrv_status_name(status));
        ck_assert_str_ne(error.text, "");
        ck_assert_int_eq(bt_try_declare_topic(bad[i], BT_TYPE, NULL, 0, &error), MSGSRV_INVALID_ARGUMENT);
    }
}
END_TEST

START_TEST(topics_at_their_bounds_are_accepted)
{
    static const char long_topic[255 + 1] = {[0 ... 254] = 't'};
    const char *const good[] = {"a", "A-z_0.9", "-", "_", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", long_topic};
    bt_sub *sub = bt_subscribe(bt_handle_new("sub"), NULL);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bt_publish(bt.pub, good[i], (int64_t)i);
        BT_UNTIL(sub->events == i + 1);
        ck_assert_str_eq(sub->items[i].topic, good[i]);
    }
}
END_TEST

START_TEST(topics_of_the_library_are_not_to_be_published_on)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, try_topic("$sys.x", &error), error.text);
    BT_CONTAINS(error.text, "$");
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, try_topic("$dlq.q", &error), error.text);
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, bt_try_declare_topic("$a", BT_TYPE, NULL, 0, &error), error.text);
}
END_TEST

START_TEST(patterns_that_are_none_are_refused)
{
    const char *const bad[] = {"a.>.b", "a.b*", "*a",  "a>", ">.a", ".",
                               "a..b",  "a.",   "a b", "**", ">>",  "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bt_subscribe_refused(bt.pub, &(msgsrv_subscribe_options){.pattern = bad[i]}, MSGSRV_INVALID_ARGUMENT, NULL, NULL);
}
END_TEST

/* Which of the topics a pattern matches, as letters y and n. */
static const char *const match_topics[] = {"a", "b", "a.b", "a.c", "a.b.c", "b.b", "a.b.c.d", "A"};
static const struct {
    const char *pattern;
    const char *matches;
} match_rows[] = {
    {"a", "ynnnnnnn"},   {"*", "yynnnnny"},       {">", "yyyyyyyy"},       {"a.*", "nnyynnnn"},
    {"a.>", "nnyyynyn"}, {"*.b", "nnynnynn"},     {"a.*.c", "nnnnynnn"},   {"*.*", "nnyynynn"},
    {"*.>", "nnyyyyyn"}, {"a.b.>", "nnnnynyn"},   {"a.b.c.d", "nnnnnnyn"}, {"*.*.*.*", "nnnnnnyn"},
    {NULL, "yyyyyyyy"},  {"a.b.*.>", "nnnnnnyn"}, {"c.>", "nnnnnnnn"},
};

static size_t count_matches(size_t row)
{
    size_t count = 0;
    for (const char *at = match_rows[row].matches; *at != '\0'; at++)
        count += *at == 'y';
    return count;
}

START_TEST(a_pattern_matches_what_its_tokens_say)
{
    enum { ROWS = sizeof match_rows / sizeof *match_rows, TOPICS = sizeof match_topics / sizeof *match_topics };
    bt_sub *subs[ROWS];
    bt_handle *handle = bt_handle_new("sub");
    for (size_t i = 0; i < ROWS; i++)
        subs[i] = bt_subscribe_to(handle, match_rows[i].pattern);
    bt_sub *last = bt_subscribe_to(handle, "$nothing"); /* the library's own: no other pattern matches it */
    for (size_t t = 0; t < TOPICS; t++)
        bt_publish(bt.pub, match_topics[t], (int64_t)t);
    for (size_t i = 0; i < ROWS; i++)
        BT_UNTIL(subs[i]->events >= count_matches(i));
    bt_unsubscribe(last); /* and a round to the bus, behind which nothing more comes */
    for (size_t i = 0; i < ROWS; i++) {
        const char *pattern = match_rows[i].pattern == NULL ? "(none)" : match_rows[i].pattern;
        ck_assert_msg(subs[i]->events == count_matches(i), "%s: %zu events", pattern, subs[i]->events);
        size_t at = 0;
        for (size_t t = 0; t < TOPICS; t++)
            if (match_rows[i].matches[t] == 'y')
                ck_assert_str_eq(bt_event_at(subs[i], at++)->topic, match_topics[t]);
    }
}
END_TEST

START_TEST(a_subscription_asks_for_a_type_a_pattern_or_both)
{
    uint8_t payload[16];
    size_t size = bt_encode(payload, 1, 0);
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *type = bt_subscribe(handle, &(msgsrv_subscribe_options){.type = "conf.A"});
    bt_sub *pattern = bt_subscribe(handle, &(msgsrv_subscribe_options){.pattern = "x.*"});
    bt_sub *both = bt_subscribe(handle, &(msgsrv_subscribe_options){.type = "conf.A", .pattern = "x.*"});
    bt_sub *neither = bt_subscribe(handle, NULL);
    const char *const topics[][2] = {{"x.a", "conf.A"}, {"x.b", "conf.B"}, {"y.a", "conf.A"}, {"y.b", "conf.B"}};
    for (size_t i = 0; i < 4; i++)
        BT_STATUS(MSGSRV_OK, bt_try(bt.pub, topics[i][0], topics[i][1], payload, size, NULL, NULL, NULL), "");
    BT_UNTIL(neither->events == 4 && type->events == 2 && pattern->events == 2 && both->events == 1);
    bt_settle_down();
    ck_assert_uint_eq(type->events, 2);
    ck_assert_str_eq(bt_event_at(type, 0)->topic, "x.a");
    ck_assert_str_eq(bt_event_at(type, 1)->topic, "y.a");
    ck_assert_uint_eq(pattern->events, 2);
    ck_assert_str_eq(bt_event_at(pattern, 1)->topic, "x.b");
    ck_assert_uint_eq(both->events, 1);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(bt_event_at(neither, i)->type, topics[i][1]);
}
END_TEST

START_TEST(a_pattern_gets_the_topics_of_the_library_only_when_it_names_them)
{
    /* A dead letter is the library's own: those who ask for everything are not told, and who asks for $ may. */
    bt_queue_of("q", NULL, "work", NULL);
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *own = bt_subscribe_to(handle, "$dlq.>");
    bt_sub *all = bt_subscribe_to(handle, ">");
    bt_sub *none = bt_subscribe(handle, NULL);
    bt_publish(bt.pub, "work", 1);
    bt_consumer *consumer = bt_consume(handle, "q", 1, MSGSRV_INVALID_ARGUMENT);
    BT_UNTIL(consumer->count == 1 && bt_info("q").dead == 1);
    bt_publish(bt.pub, "work", 2);
    BT_UNTIL(all->events >= 2 && none->events >= 2);
    for (size_t i = 0; i < all->count; i++)
        ck_assert_int_ne(all->items[i].topic[0], '$');
    for (size_t i = 0; i < none->count; i++)
        ck_assert_int_ne(none->items[i].topic[0], '$');
    ck_assert_uint_eq(own->ended, 0);
}
END_TEST

START_TEST(there_are_only_so_many_topics)
{
    bt_reopen(&(msgsrv_bus_options){.max_topics = 3});
    char topic[8];
    msgsrv_error error = {0};
    for (int i = 0; i < 3; i++) {
        snprintf(topic, sizeof topic, "t.%d", i);
        bt_publish(bt.pub, topic, 1);
    }
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, try_topic("t.3", &error), error.text);
    BT_CONTAINS(error.text, "topics");
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, bt_try_declare_topic("t.4", BT_TYPE, NULL, 0, &error), error.text);
    bt_publish(bt.pub, "t.0", 2); /* those that there are go on */
}
END_TEST

/* Publishes once with another type, from a handle of its own. */
static bool rebound(const char *topic, msgsrv_receipt *receipt)
{
    uint8_t payload[16];
    bt_handle *handle = bt_handle_new("other");
    msgsrv_status status = bt_try(handle, topic, "conf.Other", payload, bt_encode(payload, 1, 0), NULL, receipt, NULL);
    bt_forget(handle);
    return status == MSGSRV_OK;
}

START_TEST(a_topic_that_nobody_has_to_do_with_is_forgotten_and_what_is_in_use_is_not)
{
    bt_reopen(&(msgsrv_bus_options){.topic_idle_ms = 40});
    msgsrv_receipt receipt;
    bt_handle *first = bt_handle_new("first");
    bt_handle *sub = bt_handle_new("sub");
    bt_subscribe_to(sub, "subscribed");
    bt_declare_topic("declared", BT_TYPE, NULL, 0);
    bt_declare_topic("retained", BT_TYPE, NULL, 1);
    bt_publish(first, "subscribed", 1);
    bt_publish(first, "declared", 1);
    bt_publish(first, "retained", 1);
    bt_publish(bt.pub, "published", 1); /* whose publisher stays */
    uint64_t epoch = bt_publish(first, "forgotten", 1).epoch;
    uint64_t begin = ts_now_ms();
    bt_free(first);
    BT_UNTIL(rebound("forgotten", &receipt));
    ck_assert_uint_ge(ts_now_ms() - begin, 40);
    ck_assert_uint_ne(receipt.epoch, epoch);
    ck_assert_uint_eq(receipt.sequence, 1);
    ck_assert(!rebound("subscribed", NULL));
    ck_assert(!rebound("declared", NULL));
    ck_assert(!rebound("retained", NULL));
    ck_assert(!rebound("published", NULL));
}
END_TEST

START_TEST(two_buses_have_different_epochs)
{
    msgsrv_receipt one = bt_publish(bt.pub, "t", 1);
    ck_assert_uint_ne(one.epoch, 0);
    ck_assert_uint_eq(bt_publish(bt.pub, "t", 2).epoch, one.epoch);
    bt_reopen(NULL);
    ck_assert_uint_ne(bt_publish(bt.pub, "t", 1).epoch, one.epoch);
}
END_TEST

START_TEST(there_are_only_so_many_subscriptions)
{
    bt_reopen(&(msgsrv_bus_options){.max_subscriptions = 2});
    bt_sub *one = bt_subscribe_to(bt.pub, "a");
    bt_subscribe_to(bt.pub, "b");
    bt_subscribe_refused(bt.pub, &(msgsrv_subscribe_options){.pattern = "c"}, MSGSRV_RESOURCE_EXHAUSTED,
                         "subscriptions", NULL);
    bt_unsubscribe(one);
    /* The server may learn of the end after the handle. */
    for (bool accepted = false; !accepted;) {
        bt_sub *again = bt_subscribe_start(bt.pub, NULL, &(msgsrv_subscribe_options){.pattern = "c"}, NULL);
        BT_UNTIL(again->ready + again->ended != 0);
        accepted = again->ended == 0;
        ck_assert(accepted || again->status == MSGSRV_RESOURCE_EXHAUSTED);
    }
}
END_TEST

const conf_test conf_topics[] = {
    {&programs_that_know_nothing_of_each_other_exchange_events, NULL},
    {&topics_that_are_none_are_refused, NULL},
    {&topics_at_their_bounds_are_accepted, NULL},
    {&topics_of_the_library_are_not_to_be_published_on, NULL},
    {&patterns_that_are_none_are_refused, NULL},
    {&a_pattern_matches_what_its_tokens_say, NULL},
    {&a_subscription_asks_for_a_type_a_pattern_or_both, NULL},
    {&a_pattern_gets_the_topics_of_the_library_only_when_it_names_them, "dead_letter"},
    {&there_are_only_so_many_topics, NULL},
    {&a_topic_that_nobody_has_to_do_with_is_forgotten_and_what_is_in_use_is_not, "retained"},
    {&two_buses_have_different_epochs, NULL},
    {&there_are_only_so_many_subscriptions, NULL},
    {NULL, NULL},
};
