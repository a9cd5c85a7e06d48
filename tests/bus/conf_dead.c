/* SPDX-License-Identifier: MIT */
/* Dead letters: why messages become them, what is known of each, and what can be done with them. */
#include "conf.h"

#include <stdio.h>

static bt_consumer *rejecting(const char *queue)
{
    return bt_consume(bt_handle_new("worker"), queue, 10, MSGSRV_INVALID_ARGUMENT);
}

/* A queue q of topic t with so many dead letters 1, 2, ... */
static void make_dead(const msgsrv_queue_options *options, int64_t count)
{
    bt_queue_of("q", options, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, count, 0);
    bt_consumer *consumer = rejecting("q");
    BT_UNTIL(consumer->count == (size_t)count && bt_info("q").rejected == (uint64_t)count);
    bt_consume_end(consumer);
}

START_TEST(a_rejected_message_goes_to_the_dead_letters_with_its_errors)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish(bt.pub, "t", 7);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, MSGSRV_DEFERRED);
    static const char *const reasons[] = {"first error", "second error"};
    for (size_t i = 0; i < 2; i++) {
        BT_UNTIL(consumer->count == i + 1);
        BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[i].id, MSGSRV_NAK, 0, reasons[i]), "");
    }
    BT_UNTIL(consumer->count == 3);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[2].id, MSGSRV_REJECT, 0, "last error"), "");
    bt_peeked *dead = bt_peek("$dlq.q");
    ck_assert_uint_eq(dead->count, 1);
    ck_assert_int_eq(dead->at[0].value, 7);
    ck_assert_str_eq(dead->at[0].reason, "rejected");
    ck_assert_uint_eq(dead->at[0].count, 3);
    ck_assert_str_eq(dead->at[0].first_error, "first error");
    ck_assert_str_eq(dead->at[0].last_error, "last error");
    ck_assert_uint_eq(dead->at[0].deaths, 1);
    ck_assert_uint_ne(dead->at[0].died_us, 0);
    ck_assert_str_eq(dead->at[0].topic, "t");
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.messages, 0);
    ck_assert_uint_eq(info.dead, 1);
    ck_assert_uint_eq(info.rejected, 1);
}
END_TEST

START_TEST(a_reason_is_cut_at_255_bytes)
{
    static char reason[400 + 1];
    memset(reason, 'r', 400);
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish(bt.pub, "t", 1);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 1);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_REJECT, 0, reason), "");
    ck_assert_uint_eq(strlen(bt_peek("$dlq.q")->at[0].last_error), 255);
}
END_TEST

START_TEST(a_message_that_was_delivered_too_often_goes_to_the_dead_letters)
{
    bt_queue_of("q", NULL, "t", NULL); /* five times */
    bt_queue_of("two", &(msgsrv_queue_options){.max_deliver = 2}, "t", NULL);
    bt_publish(bt.pub, "t", 1);
    bt_consumer *five = bt_consume(bt_handle_new("five"), "q", 1, MSGSRV_INTERNAL);
    bt_consumer *two = bt_consume(bt_handle_new("two"), "two", 1, MSGSRV_INTERNAL);
    BT_UNTIL(bt_info("q").dead == 1 && bt_info("two").dead == 1);
    ck_assert_uint_eq(five->count, 5);
    ck_assert_uint_eq(two->count, 2);
    bt_peeked *dead = bt_peek("$dlq.q");
    ck_assert_str_eq(dead->at[0].reason, "max-deliver");
    ck_assert_uint_eq(dead->at[0].count, 5);
    ck_assert_uint_eq(bt_info("q").rejected, 0);
}
END_TEST

START_TEST(running_out_of_time_and_consumers_going_away_count_as_deliveries)
{
    bt_queue_of("q", &(msgsrv_queue_options){.ack_wait_ms = 20, .max_deliver = 3}, "t", NULL);
    bt_publish(bt.pub, "t", 1);
    bt_consumer *gone = bt_consume(bt_handle_new("gone"), "q", 1, MSGSRV_DEFERRED);
    BT_UNTIL(gone->count == 1);
    bt_free(gone->handle);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, MSGSRV_DEFERRED);
    BT_UNTIL(bt_info("q").dead == 1);
    bt_settle_down();
    ck_assert_uint_eq(gone->count + consumer->count, 3);
    ck_assert_str_eq(bt_peek("$dlq.q")->at[0].reason, "max-deliver");
}
END_TEST

START_TEST(without_a_bound_a_message_comes_for_ever)
{
    bt_queue_of("q", &(msgsrv_queue_options){.max_deliver = MSGSRV_NONE}, "t", NULL);
    bt_publish(bt.pub, "t", 1);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, MSGSRV_INTERNAL);
    BT_UNTIL(consumer->count >= 50);
    ck_assert_uint_eq(consumer->items[49].count, 50);
    ck_assert_uint_eq(bt_info("q").dead, 0);
}
END_TEST

START_TEST(an_expired_message_goes_to_the_dead_letters)
{
    bt_queue_of("own", NULL, "a", NULL);
    bt_queue_of("queues", &(msgsrv_queue_options){.ttl_ms = 40}, "b", NULL);
    uint64_t begin = ts_now_ms();
    bt_publish_with(bt.pub, "a", 1, &(msgsrv_publish_options){.ttl_ms = 40});
    bt_publish(bt.pub, "a", 2);
    bt_publish(bt.pub, "b", 3);
    bt_publish_with(bt.pub, "b", 4, &(msgsrv_publish_options){.ttl_ms = 3600000}); /* its own is what counts */
    ck_assert_uint_ne(bt_peek("queues")->at[bt_peek("queues")->count - 1].expires_us, 0);
    BT_UNTIL(bt_info("own").expired == 1 && bt_info("queues").expired == 1);
    ck_assert_uint_ge(ts_now_ms() - begin, 40);
    ck_assert_uint_eq(bt_info("own").messages, 1);
    ck_assert_uint_eq(bt_info("queues").messages, 1);
    bt_peeked *dead = bt_peek("$dlq.own");
    ck_assert_uint_eq(dead->count, 1);
    ck_assert_int_eq(dead->at[0].value, 1);
    ck_assert_str_eq(dead->at[0].reason, "expired");
    ck_assert_uint_eq(dead->at[0].count, 0);
    ck_assert_int_eq(bt_peek("$dlq.queues")->at[0].value, 3);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "own", 10, MSGSRV_OK);
    BT_UNTIL(consumer->count == 1);
    ck_assert_int_eq(consumer->items[0].value, 2);
}
END_TEST

START_TEST(dead_letters_can_be_consumed_and_have_no_dead_letters_nor_a_bound)
{
    make_dead(NULL, 3);
    bt_consumer *consumer = bt_consume(bt_handle_new("undertaker"), "$dlq.q", 3, MSGSRV_INTERNAL);
    BT_UNTIL(consumer->count >= 30); /* nak'ed again and again */
    ck_assert_uint_eq(bt_info("q").dead, 3);
    bt_free(consumer->handle);
    consumer = bt_consume(bt_handle_new("undertaker"), "$dlq.q", 3, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 3);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    ck_assert_uint_eq(bt_info("q").dead, 2);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[1].id, MSGSRV_REJECT, 0, NULL), "");
    ck_assert_uint_eq(bt_info("q").dead, 1);
    BT_STATUS(MSGSRV_NOT_FOUND, bt_settle(consumer->handle, consumer->items[1].id, MSGSRV_ACK, 0, NULL), "");
    ck_assert_str_eq(consumer->items[2].topic, "t");
}
END_TEST

START_TEST(full_dead_letters_drop_their_oldest_counted_and_logged)
{
    make_dead(&(msgsrv_queue_options){.max_dead_letters = 3}, 5);
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.dead, 3);
    ck_assert_uint_eq(info.dropped, 2);
    bt_peeked *dead = bt_peek("$dlq.q");
    ck_assert_uint_eq(dead->count, 3);
    ck_assert_int_eq(dead->at[0].value, 3);
    BT_UNTIL(bt_logged("q") != 0); /* it is written behind the bus's lock */
}
END_TEST

START_TEST(the_bounds_of_dead_letters_can_be_declared)
{
    make_dead(NULL, 5);
    bt_declare_queue("$dlq.q", &(msgsrv_queue_options){.max_messages = 2});
    ck_assert_uint_eq(bt_info("q").dead, 2);
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_NOT_FOUND, bt_try_declare_queue("$dlq.other", &(msgsrv_queue_options){.max_messages = 2}, &error),
              error.text);
}
END_TEST

START_TEST(without_dead_letters_what_would_be_one_is_dropped_counted_and_logged)
{
    make_dead(&(msgsrv_queue_options){.no_dead_letters = true}, 4);
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.dead, 0);
    ck_assert_uint_eq(info.dropped, 4);
    ck_assert_uint_eq(info.messages, 0);
    BT_UNTIL(bt_logged("q") != 0); /* it is written behind the bus's lock */
}
END_TEST

START_TEST(a_dead_letter_is_put_back_with_its_count_reset_and_its_history_kept)
{
    make_dead(NULL, 3);
    uint64_t count = 0;
    msgsrv_error error = {0};
    msgsrv_bus *bus = bt.admin->bus;
    uint64_t id = bt_peek("$dlq.q")->at[1].id;
    BT_STATUS(MSGSRV_OK, msgsrv_bus_retry(bus, "q", id, &count, &error), error.text);
    ck_assert_uint_eq(count, 1);
    BT_STATUS(MSGSRV_NOT_FOUND, msgsrv_bus_retry(bus, "q", id, &count, &error), error.text);
    ck_assert_uint_eq(bt_info("q").messages, 1);
    ck_assert_uint_eq(bt_info("q").dead, 2);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == 1);
    ck_assert_int_eq(consumer->items[0].value, 2);
    ck_assert_uint_eq(consumer->items[0].count, 1);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_REJECT, 0, "again"), "");
    bt_peeked *dead = bt_peek("$dlq.q");
    ck_assert_uint_eq(dead->count, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(dead->at[i].deaths, dead->at[i].value == 2 ? 2 : 1);
}
END_TEST

START_TEST(all_dead_letters_are_put_back)
{
    make_dead(NULL, 5);
    uint64_t count = 0;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_retry(bt.admin->bus, "q", 0, &count, &error), error.text);
    ck_assert_uint_eq(count, 5);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 10, MSGSRV_OK);
    BT_UNTIL(consumer->count == 5 && bt_info("q").messages == 0);
    ck_assert_uint_eq(bt_info("q").dead, 0);
    BT_STATUS(MSGSRV_OK, msgsrv_bus_retry(bt.admin->bus, "q", 0, &count, &error), error.text);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(putting_back_is_not_de_duplicated)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_with(bt.pub, "t", 1, &(msgsrv_publish_options){.id = "one"});
    bt_consumer *consumer = rejecting("q");
    BT_UNTIL(bt_info("q").dead == 1);
    bt_consume_end(consumer);
    uint64_t count = 0;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_retry(bt.admin->bus, "q", 0, &count, &error), error.text);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(bt_info("q").messages, 1);
}
END_TEST

START_TEST(putting_back_into_a_full_queue_says_so_and_loses_nothing)
{
    make_dead(&(msgsrv_queue_options){.max_messages = 3}, 3);
    bt_publish_many(bt.pub, "t", 10, 11, 0);
    uint64_t count = 99;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, msgsrv_bus_retry(bt.admin->bus, "q", 0, &count, &error), error.text);
    ck_assert_uint_eq(bt_info("q").messages, 3);
    ck_assert_uint_eq(bt_info("q").dead, 2);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 10, MSGSRV_OK);
    BT_UNTIL(consumer->count == 3);
}
END_TEST

START_TEST(dead_letters_can_be_purged)
{
    make_dead(NULL, 5);
    bt_publish(bt.pub, "t", 6);
    uint64_t count = 0;
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, msgsrv_bus_purge(bt.admin->bus, "$dlq.q", &count, &error), error.text);
    ck_assert_uint_eq(count, 5);
    ck_assert_uint_eq(bt_info("q").dead, 0);
    ck_assert_uint_eq(bt_info("q").messages, 1);
}
END_TEST

START_TEST(dead_letters_do_not_count_against_the_queue)
{
    make_dead(&(msgsrv_queue_options){.max_messages = 3}, 3);
    bt_publish_many(bt.pub, "t", 4, 6, 0);
    ck_assert_uint_eq(bt_info("q").messages, 3);
    ck_assert_uint_eq(bt_info("q").dead, 3);
}
END_TEST

/* Naks every third, and rejects every seventh. */
static msgsrv_status now_and_then(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    int64_t value = bt_decode(delivery->event->payload, delivery->event->payload_size);
    (void)consumer;
    return value % 3 == 0 ? MSGSRV_INTERNAL : value % 7 == 0 ? MSGSRV_INVALID_ARGUMENT : MSGSRV_OK;
}

START_TEST(messages_are_conserved)
{
    bt_queue_of("q",
                &(msgsrv_queue_options){
                    .max_messages = 40, .full = MSGSRV_QUEUE_DROP_OLDEST, .max_deliver = 2, .max_dead_letters = 10},
                "t", NULL);
    bt_consumer *keeps = bt_consume(bt_handle_new("keeps"), "q", 3, MSGSRV_DEFERRED);
    bt_publish_many(bt.pub, "t", 1, 3, 0);
    BT_UNTIL(keeps->count == 3);
    for (int64_t i = 0; i < 10; i++) {
        bt_publish_many(bt.pub, "t", 4 + i * 50, 53 + i * 50, 0); /* more than fit */
        if (i == 2)
            bt_consume_start(bt_handle_new("works"), "q", NULL,
                             &(msgsrv_consume_options){.prefetch = 3, .nak_delay_ms = MSGSRV_NONE},
                             &(bt_consumer){.on_message = now_and_then});
    }
    BT_UNTIL(bt_info("q").messages == 3);
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.published, 503);
    ck_assert_uint_eq(info.published, info.acked + info.dropped + info.dead + info.messages);
    ck_assert_uint_eq(info.unsettled, 3);
    ck_assert_uint_eq(info.dead, 10);
    ck_assert_uint_gt(info.acked, 0);
    ck_assert_uint_gt(info.rejected, 0);
    ck_assert_uint_gt(info.redelivered, 0);
}
END_TEST

const conf_test conf_dead[] = {
    {&a_rejected_message_goes_to_the_dead_letters_with_its_errors, "dead_letter delivery_count"},
    {&a_reason_is_cut_at_255_bytes, "dead_letter"},
    {&a_message_that_was_delivered_too_often_goes_to_the_dead_letters,
     "dead_letter delivery_count many_queues_per_topic"},
    {&running_out_of_time_and_consumers_going_away_count_as_deliveries, "dead_letter ack_wait delivery_count"},
    {&without_a_bound_a_message_comes_for_ever, "delivery_count"},
    {&an_expired_message_goes_to_the_dead_letters, "dead_letter ttl"},
    {&dead_letters_can_be_consumed_and_have_no_dead_letters_nor_a_bound, "dead_letter"},
    {&full_dead_letters_drop_their_oldest_counted_and_logged, "dead_letter"},
    {&the_bounds_of_dead_letters_can_be_declared, "dead_letter"},
    {&without_dead_letters_what_would_be_one_is_dropped_counted_and_logged, "dead_letter"},
    {&a_dead_letter_is_put_back_with_its_count_reset_and_its_history_kept, "dead_letter delivery_count"},
    {&all_dead_letters_are_put_back, "dead_letter"},
    {&putting_back_is_not_de_duplicated, "dead_letter dedup"},
    {&putting_back_into_a_full_queue_says_so_and_loses_nothing, "dead_letter full_refuse"},
    {&dead_letters_can_be_purged, "dead_letter purge"},
    {&dead_letters_do_not_count_against_the_queue, "dead_letter"},
    {&messages_are_conserved, "dead_letter delivery_count full_drop"},
    {NULL, NULL},
};
