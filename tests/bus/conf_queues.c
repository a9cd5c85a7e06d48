/* SPDX-License-Identifier: MIT */
/* Queues: what they take, how many, for how long, and what they refuse. */
#include "conf.h"

#include <stdio.h>

static msgsrv_status try_publish(const char *topic, int64_t value, const msgsrv_publish_options *options,
                                 msgsrv_receipt *receipt, msgsrv_error *error)
{
    uint8_t payload[16];
    return bt_try(bt.pub, topic, BT_TYPE, payload, bt_encode(payload, value, 0), options, receipt, error);
}

START_TEST(a_queue_keeps_messages_until_a_consumer_has_dealt_with_each)
{
    bt_queue_of("q", NULL, "work.*", NULL);
    bt_publish_many(bt.pub, "work.a", 1, 10, 0);
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.messages, 10);
    ck_assert_uint_eq(info.published, 10);
    ck_assert_uint_eq(info.unsettled + info.delayed + info.dead + info.consumers, 0);
    ck_assert_uint_gt(info.bytes, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 0, MSGSRV_OK);
    BT_UNTIL(consumer->count == 10 && bt_info("q").messages == 0);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(consumer->items[i].value, (int64_t)i + 1);
        ck_assert_uint_eq(consumer->items[i].sequence, i + 1);
        ck_assert_uint_eq(consumer->items[i].count, 1);
        ck_assert(!consumer->items[i].redelivered);
        ck_assert_str_eq(consumer->items[i].topic, "work.a");
    }
    info = bt_info("q");
    ck_assert_uint_eq(info.acked, 10);
    ck_assert_uint_eq(info.delivered, 10);
    ck_assert_uint_eq(info.redelivered, 0);
    ck_assert_uint_eq(info.bytes, 0);
    ck_assert_uint_eq(info.consumers, 1);
}
END_TEST

START_TEST(a_queue_of_no_patterns_takes_the_topic_of_its_own_name)
{
    bt_declare_queue("jobs.big", NULL);
    bt_publish(bt.pub, "jobs.big", 1);
    bt_publish(bt.pub, "jobs.small", 2);
    bt_publish(bt.pub, "jobs", 3);
    ck_assert_uint_eq(bt_info("jobs.big").messages, 1);
    ck_assert_int_eq(bt_peek("jobs.big")->at[0].value, 1);
}
END_TEST

START_TEST(queues_are_bound_to_patterns_and_types)
{
    uint8_t payload[16];
    size_t size = bt_encode(payload, 1, 0);
    bt_queue_of("patterns", NULL, "a.*", "b", "a.x", NULL); /* one message once, though two match */
    bt_declare_queue("types",
                     &(msgsrv_queue_options){.types = (const char *const[]){"conf.A", "conf.B"}, .type_count = 2});
    bt_declare_queue("both", &(msgsrv_queue_options){.types = (const char *const[]){"conf.A"},
                                                     .type_count = 1,
                                                     .patterns = (const char *const[]){"a.>"},
                                                     .pattern_count = 1});
    const char *const published[][2] = {{"a.x", "conf.A"}, {"a.y", "conf.B"}, {"b", "conf.A"}, {"c", "conf.C"}};
    for (size_t i = 0; i < 4; i++)
        BT_STATUS(MSGSRV_OK, bt_try(bt.pub, published[i][0], published[i][1], payload, size, NULL, NULL, NULL), "");
    ck_assert_uint_eq(bt_info("patterns").messages, 3);
    ck_assert_uint_eq(bt_info("types").messages, 3);
    ck_assert_uint_eq(bt_info("both").messages, 1);
}
END_TEST

START_TEST(a_message_goes_to_every_queue_that_matches_and_to_the_subscriptions)
{
    bt_queue_of("one", NULL, "t", NULL);
    bt_queue_of("two", NULL, "*", NULL);
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    bt_consumer *one = bt_consume(bt_handle_new("one"), "one", 0, MSGSRV_OK);
    bt_consumer *two = bt_consume(bt_handle_new("two"), "two", 0, MSGSRV_OK);
    bt_publish_many(bt.pub, "t", 1, 20, 0);
    BT_UNTIL(one->count == 20 && two->count == 20 && sub->events == 20);
}
END_TEST

START_TEST(declaring_again_is_the_same_or_refused)
{
    const char *const patterns[] = {"a", "b"};
    msgsrv_queue_options options = {.patterns = patterns, .pattern_count = 2, .max_messages = 5};
    bt_declare_queue("q", &options);
    bt_publish(bt.pub, "a", 1);
    bt_declare_queue("q", &options);
    ck_assert_uint_eq(bt_info("q").messages, 1);
    static const struct {
        const char *name;
        msgsrv_queue_options options;
    } others[] = {
        {"max_messages", {.max_messages = 6}},
        {"max_bytes", {.max_messages = 5, .max_bytes = 5000}},
        {"full", {.max_messages = 5, .full = MSGSRV_QUEUE_DROP_OLDEST}},
        {"ack_wait_ms", {.max_messages = 5, .ack_wait_ms = 7}},
        {"max_deliver", {.max_messages = 5, .max_deliver = 7}},
        {"ttl_ms", {.max_messages = 5, .ttl_ms = 7}},
        {"no_dead_letters", {.max_messages = 5, .no_dead_letters = true}},
        {"max_dead_letters", {.max_messages = 5, .max_dead_letters = 7}},
        {"dedup_ms", {.max_messages = 5, .dedup_ms = 7}},
        {"dedup_ids", {.max_messages = 5, .dedup_ids = 7}},
    };
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        msgsrv_queue_options other = others[i].options;
        other.patterns = patterns;
        other.pattern_count = 2;
        BT_STATUS(MSGSRV_ALREADY_EXISTS, bt_try_declare_queue("q", &other, &error), others[i].name);
        BT_CONTAINS(error.text, others[i].name);
    }
    options.pattern_count = 1;
    BT_STATUS(MSGSRV_ALREADY_EXISTS, bt_try_declare_queue("q", &options, &error), "patterns");
    BT_CONTAINS(error.text, "patterns");
    /* All defaults written out are the same as none. */
    bt_declare_queue("d", NULL);
    bt_declare_queue("d", &(msgsrv_queue_options){.max_messages = 10000,
                                                  .max_bytes = 64u << 20,
                                                  .ack_wait_ms = 30000,
                                                  .max_deliver = 5,
                                                  .max_dead_letters = 10000,
                                                  .dedup_ms = 120000,
                                                  .dedup_ids = 100000});
}
END_TEST

START_TEST(queue_names_that_are_wrong_are_refused)
{
    static char long_name[65 + 1];
    memset(long_name, 'q', 65);
    const char *const bad[] = {"", "a b", "a/b", "\xc3\xbc", "a*", "$q", "$dlq.", long_name};
    msgsrv_error error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        msgsrv_status status = bt_try_declare_queue(bad[i], NULL, &error);
        ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "\"%s\": %s", bad[i], msgsrv_status_name(status));
    }
    long_name[64] = '\0';
    bt_queue_of(long_name, NULL, "t", NULL);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    msgsrv_error error = {0};
    msgsrv_queue_info info;
    uint64_t count;
    msgsrv_bus *bus = bt.admin->bus;
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_queue_info(bus, "no", &info, &error), error.text);
    BT_CONTAINS(error.text, "no");
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_purge(bus, "no", &count, &error), error.text);
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_retry(bus, "no", 0, &count, &error), error.text);
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_delete_queue(bus, "no", NULL, NULL, &error), error.text);
    bt_consumer *consumer = bt_consume_start(bt.pub, "no", NULL, NULL, NULL);
    BT_UNTIL(consumer->ended == 1);
    BT_STATUS(MSGSRV_NOT_FOUND, consumer->status, consumer->text);
    BT_CONTAINS(consumer->text, "no");
    consumer = bt_consume_start(bt.pub, "$dlq.no", NULL, NULL, NULL);
    BT_UNTIL(consumer->ended == 1);
    BT_STATUS(MSGSRV_NOT_FOUND, consumer->status, consumer->text);
}
END_TEST

START_TEST(there_are_only_so_many_queues)
{
    bt_reopen(&(msgsrv_bus_options){.max_queues = 2});
    msgsrv_error error = {0};
    bt_declare_queue("one", NULL);
    bt_declare_queue("two", NULL);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, bt_try_declare_queue("three", NULL, &error), error.text);
    BT_CONTAINS(error.text, "queues");
    BT_STATUS(MSGSRV_OK, msgsrv_bus_delete_queue(bt.admin->bus, "one", NULL, NULL, &error), error.text);
    bt_declare_queue("three", NULL);
}
END_TEST

START_TEST(deleting_a_queue_ends_its_consumers)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 2, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 2);
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_delete_queue(bt.admin->bus, "q", NULL, NULL, &error), error.text);
    BT_UNTIL(consumer->ended == 1);
    BT_STATUS(MSGSRV_NOT_FOUND, consumer->status, consumer->text);
    BT_STATUS(MSGSRV_NOT_FOUND, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    bt_publish(bt.pub, "t", 6); /* there is no queue that would take it */
    bt_queue_of("q", NULL, "t", NULL);
    ck_assert_uint_eq(bt_info("q").messages, 0);
}
END_TEST

START_TEST(prefetch_bounds_what_a_consumer_has)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 600, 0);
    bt_handle *handle = bt_handle_new("worker");
    bt_consumer *three = bt_consume(handle, "q", 3, MSGSRV_DEFERRED);
    BT_UNTIL(three->count == 3);
    bt_consumer *many = bt_consume(handle, "q", 0, MSGSRV_DEFERRED);
    BT_UNTIL(many->count == 256);
    bt_settle_down();
    ck_assert_uint_eq(three->count, 3);
    ck_assert_uint_eq(many->count, 256);
    ck_assert_uint_eq(bt_info("q").unsettled, 259);
    BT_STATUS(MSGSRV_OK, bt_settle(handle, three->items[1].id, MSGSRV_ACK, 0, NULL), "");
    BT_UNTIL(three->count == 4);
    bt_settle_down();
    ck_assert_uint_eq(three->count, 4);
}
END_TEST

START_TEST(consumers_share_a_queue)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_consumer *one = bt_consume(bt_handle_new("one"), "q", 1, MSGSRV_OK);
    bt_consumer *two = bt_consume(bt_handle_new("two"), "q", 1, MSGSRV_OK);
    for (int i = 1; i <= 100; i++)
        bt_publish(bt.pub, "t", i);
    BT_UNTIL(one->count + two->count == 100 && bt_info("q").acked == 100);
    bool seen[101] = {false};
    for (size_t i = 0; i < one->count; i++)
        seen[one->items[i].value] = true;
    for (size_t i = 0; i < two->count; i++) {
        ck_assert(!seen[two->items[i].value]);
        seen[two->items[i].value] = true;
    }
}
END_TEST

START_TEST(a_full_queue_refuses_and_says_which)
{
    bt_queue_of("small", &(msgsrv_queue_options){.max_messages = 3}, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 3, 0);
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, try_publish("t", 4, NULL, NULL, &error), error.text);
    BT_CONTAINS(error.text, "small");
    msgsrv_queue_info info = bt_info("small");
    ck_assert_uint_eq(info.messages, 3);
    ck_assert_uint_eq(info.refused, 1);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "small", 1, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 1);
    /* What a consumer has counts as well. */
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, try_publish("t", 4, NULL, NULL, &error), error.text);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    BT_STATUS(MSGSRV_OK, try_publish("t", 4, NULL, NULL, &error), error.text);
}
END_TEST

START_TEST(a_queue_that_is_full_in_bytes_refuses)
{
    bt_queue_of("small", &(msgsrv_queue_options){.max_bytes = 4096}, "t", NULL);
    bt_published published = {0};
    for (unsigned i = 1; i <= 10; i++) {
        bt_publish_start(bt.pub, "t", i, 1000, NULL, &published);
        BT_UNTIL(published.done == i);
    }
    ck_assert_uint_ge(published.refused, 6);
    ck_assert_uint_lt(published.refused, 9);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, published.status, published.text);
    msgsrv_queue_info info = bt_info("small");
    ck_assert_uint_le(info.bytes, 4096);
    ck_assert_uint_eq(info.messages, 10 - published.refused);
}
END_TEST

START_TEST(a_publication_is_all_or_none)
{
    bt_queue_of("large", NULL, "t", NULL);
    bt_queue_of("small", &(msgsrv_queue_options){.max_messages = 1}, "t", NULL);
    bt_declare_topic("t", BT_TYPE, NULL, 10);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    msgsrv_error error = {0};
    msgsrv_receipt receipt = bt_publish(bt.pub, "t", 1);
    for (int i = 0; i < 3; i++) {
        BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, try_publish("t", 2, NULL, NULL, &error), error.text);
        BT_CONTAINS(error.text, "small");
    }
    ck_assert_uint_eq(bt_info("large").messages, 1);
    msgsrv_bus_purge(bt.admin->bus, "small", NULL, NULL);
    ck_assert_uint_eq(bt_publish(bt.pub, "t", 3).sequence, receipt.sequence + 1);
    BT_UNTIL(sub->events == 2);
    bt_check_told(sub, "t", 1, 2);
    ck_assert_int_eq(bt_event_at(sub, 1)->value, 3);
    ck_assert_uint_eq(sub->gaps, 0);
    bt_sub *late = bt_subscribe_to(bt_handle_new("late"), "t");
    BT_UNTIL(late->events == 2);
    bt_check_told(late, "t", 1, 2);
}
END_TEST

START_TEST(a_full_queue_may_drop_its_oldest_to_the_dead_letters)
{
    bt_queue_of("q", &(msgsrv_queue_options){.max_messages = 3, .full = MSGSRV_QUEUE_DROP_OLDEST}, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.messages, 3);
    ck_assert_uint_eq(info.dead, 2);
    ck_assert_uint_eq(info.refused, 0);
    bt_peeked *peeked = bt_peek("q");
    ck_assert_uint_eq(peeked->count, 3);
    ck_assert_int_eq(peeked->at[0].value, 3);
    peeked = bt_peek("$dlq.q");
    ck_assert_uint_eq(peeked->count, 2);
    ck_assert_int_eq(peeked->at[0].value, 1);
    ck_assert_int_eq(peeked->at[1].value, 2);
    ck_assert_str_eq(peeked->at[0].reason, "full");
}
END_TEST

START_TEST(a_second_publication_of_an_id_is_recognised)
{
    msgsrv_receipt first, receipt;
    msgsrv_error error = {0};
    bt_queue_of("q", NULL, "t", NULL);
    bt_sub *sub = bt_subscribe_to(bt_handle_new("sub"), "t");
    BT_STATUS(MSGSRV_OK, try_publish("t", 1, &(msgsrv_publish_options){.id = "one"}, &first, &error), error.text);
    BT_STATUS(MSGSRV_OK, try_publish("t", 2, &(msgsrv_publish_options){.id = "two"}, &receipt, &error), error.text);
    ck_assert(!first.duplicate && !receipt.duplicate);
    BT_STATUS(MSGSRV_OK, try_publish("t", 3, &(msgsrv_publish_options){.id = "one"}, &receipt, &error), error.text);
    ck_assert(receipt.duplicate);
    ck_assert_uint_eq(receipt.sequence, first.sequence);
    ck_assert_uint_eq(bt_info("q").messages, 2);
    ck_assert_uint_eq(bt_info("q").duplicates, 1);
    /* Also after the first one has been dealt with. */
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 0, MSGSRV_OK);
    BT_UNTIL(bt_info("q").acked == 2);
    BT_STATUS(MSGSRV_OK, try_publish("t", 4, &(msgsrv_publish_options){.id = "two"}, &receipt, &error), error.text);
    ck_assert(receipt.duplicate);
    ck_assert_uint_eq(receipt.sequence, 2);
    bt_publish(bt.pub, "t", 5);
    BT_UNTIL(sub->events == 3 && consumer->count == 3);
    ck_assert_int_eq(bt_event_at(sub, 2)->value, 5);
    bt_check_told(sub, "t", 1, 3);
}
END_TEST

START_TEST(an_id_is_recognised_for_a_while)
{
    msgsrv_receipt first, receipt = {0};
    msgsrv_error error = {0};
    bt_queue_of("q", &(msgsrv_queue_options){.dedup_ms = 60}, "t", NULL);
    uint64_t begin = ts_now_ms();
    BT_STATUS(MSGSRV_OK, try_publish("t", 1, &(msgsrv_publish_options){.id = "one"}, &first, &error), error.text);
    do
        BT_STATUS(MSGSRV_OK, try_publish("t", 2, &(msgsrv_publish_options){.id = "one"}, &receipt, &error), error.text);
    while (receipt.duplicate && ts_now_ms() - begin < TS_GUARD_MS);
    ck_assert(!receipt.duplicate);
    ck_assert_uint_ge(ts_now_ms() - begin, 60);
    ck_assert_uint_eq(receipt.sequence, first.sequence + 1);
    ck_assert_uint_eq(bt_info("q").messages, 2);
}
END_TEST

START_TEST(only_so_many_ids_are_known_and_a_window_that_was_too_short_is_counted)
{
    msgsrv_receipt receipt;
    bt_queue_of("q", &(msgsrv_queue_options){.dedup_ids = 2}, "t", NULL);
    static const char *const ids[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        bt_publish_with(bt.pub, "t", i, &(msgsrv_publish_options){.id = ids[i]});
    ck_assert_uint_eq(bt_info("q").dedup_evicted, 1);
    receipt = bt_publish_with(bt.pub, "t", 3, &(msgsrv_publish_options){.id = "c"});
    ck_assert(receipt.duplicate);
    receipt = bt_publish_with(bt.pub, "t", 3, &(msgsrv_publish_options){.id = "a"}); /* forgotten */
    ck_assert(!receipt.duplicate);
    ck_assert_uint_eq(bt_info("q").dedup_evicted, 2);
}
END_TEST

START_TEST(without_a_window_no_id_is_recognised)
{
    bt_queue_of("q", &(msgsrv_queue_options){.dedup_ms = MSGSRV_NONE}, "t", NULL);
    for (uint64_t i = 1; i <= 3; i++) {
        msgsrv_receipt receipt = bt_publish_with(bt.pub, "t", 1, &(msgsrv_publish_options){.id = "same"});
        ck_assert(!receipt.duplicate);
        ck_assert_uint_eq(receipt.sequence, i);
    }
}
END_TEST

START_TEST(a_queue_that_knows_an_id_does_not_keep_it_from_one_that_does_not)
{
    bt_queue_of("one", NULL, "t", NULL);
    bt_publish_with(bt.pub, "t", 1, &(msgsrv_publish_options){.id = "same"});
    bt_queue_of("two", NULL, "t", NULL);
    msgsrv_receipt receipt = bt_publish_with(bt.pub, "t", 1, &(msgsrv_publish_options){.id = "same"});
    ck_assert(!receipt.duplicate);
    ck_assert_uint_eq(bt_info("one").messages, 1);
    ck_assert_uint_eq(bt_info("two").messages, 1);
    ck_assert_uint_eq(bt_info("one").duplicates, 1);
}
END_TEST

START_TEST(an_id_that_is_too_long_is_refused)
{
    static char id[130];
    msgsrv_error error = {0};
    memset(id, 'i', 129);
    bt_queue_of("q", NULL, "t", NULL);
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, try_publish("t", 1, &(msgsrv_publish_options){.id = id}, NULL, &error), "");
    BT_CONTAINS(error.text, "id");
    id[128] = '\0';
    BT_STATUS(MSGSRV_OK, try_publish("t", 1, &(msgsrv_publish_options){.id = id}, NULL, &error), error.text);
}
END_TEST

START_TEST(a_publication_with_queue_options_and_no_queue_does_nothing_special)
{
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    msgsrv_publish_options options = {.id = "same", .ttl_ms = 1, .delay_ms = 60000};
    for (uint64_t i = 1; i <= 2; i++) {
        msgsrv_receipt receipt = bt_publish_with(bt.pub, "t", 1, &options);
        ck_assert(!receipt.duplicate);
        ck_assert_uint_eq(receipt.sequence, i);
    }
    BT_UNTIL(sub->events == 2);
}
END_TEST

START_TEST(peeking_takes_nothing)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 2, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 2);
    for (int round = 0; round < 2; round++) {
        bt_peeked *peeked = bt_peek("q");
        ck_assert_uint_eq(peeked->count, 5);
        for (size_t i = 0; i < 5; i++) {
            ck_assert_int_eq(peeked->at[i].value, (int64_t)i + 1);
            ck_assert_int_eq(peeked->at[i].unsettled, i < 2);
            ck_assert_uint_eq(peeked->at[i].count, i < 2);
            ck_assert_str_eq(peeked->at[i].reason, "");
            ck_assert_str_eq(peeked->at[i].topic, "t");
            ck_assert(i == 0 || peeked->at[i].id > peeked->at[i - 1].id);
        }
    }
}
END_TEST

START_TEST(purging_throws_away_what_is_not_with_consumers)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 2, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 2);
    uint64_t count = 0;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_purge(bt.admin->bus, "q", &count, &error), error.text);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(bt_info("q").messages, 2);
    ck_assert_uint_eq(bt_info("q").dead, 0);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    ck_assert_uint_eq(bt_info("q").messages, 1);
}
END_TEST

const conf_test conf_queues[] = {
    {&a_queue_keeps_messages_until_a_consumer_has_dealt_with_each, "delivery_count dense_sequence"},
    {&a_queue_of_no_patterns_takes_the_topic_of_its_own_name, NULL},
    {&queues_are_bound_to_patterns_and_types, "many_queues_per_topic"},
    {&a_message_goes_to_every_queue_that_matches_and_to_the_subscriptions, "many_queues_per_topic"},
    {&declaring_again_is_the_same_or_refused, "ack_wait dead_letter ttl dedup full_drop"},
    {&queue_names_that_are_wrong_are_refused, NULL},
    {&what_is_not_there_is_not_found, "dead_letter purge"},
    {&there_are_only_so_many_queues, NULL},
    {&deleting_a_queue_ends_its_consumers, NULL},
    {&prefetch_bounds_what_a_consumer_has, NULL},
    {&consumers_share_a_queue, NULL},
    {&a_full_queue_refuses_and_says_which, "full_refuse"},
    {&a_queue_that_is_full_in_bytes_refuses, "full_refuse"},
    {&a_publication_is_all_or_none, "full_refuse many_queues_per_topic retained dense_sequence purge"},
    {&a_full_queue_may_drop_its_oldest_to_the_dead_letters, "full_drop dead_letter"},
    {&a_second_publication_of_an_id_is_recognised, "dedup publish_sequence dense_sequence"},
    {&an_id_is_recognised_for_a_while, "dedup publish_sequence dense_sequence"},
    {&only_so_many_ids_are_known_and_a_window_that_was_too_short_is_counted, "dedup"},
    {&without_a_window_no_id_is_recognised, "dedup publish_sequence dense_sequence"},
    {&a_queue_that_knows_an_id_does_not_keep_it_from_one_that_does_not, "dedup many_queues_per_topic"},
    {&an_id_that_is_too_long_is_refused, "dedup"},
    {&a_publication_with_queue_options_and_no_queue_does_nothing_special, "publish_sequence dense_sequence"},
    {&peeking_takes_nothing, "delivery_count"},
    {&purging_throws_away_what_is_not_with_consumers, "purge"},
    {NULL, NULL},
};
