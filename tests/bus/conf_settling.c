/* SPDX-License-Identifier: MIT */
/* Settling: ack, nak, reject, extend, and what comes again and when. Where the meaning is a time, it is short, and "not before" is looked at. */
#include "conf.h"

#include <stdio.h>

#include "messages.msgsrv.h"

/* One message of queue q, published on t, with a consumer of one. */
static bt_consumer *one_message(const msgsrv_queue_options *options, msgsrv_status answer)
{
    bt_queue_of("q", options, "t", NULL);
    bt_publish(bt.pub, "t", 1);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 1, answer);
    BT_UNTIL(consumer->count >= 1);
    return consumer;
}

static msgsrv_status settle(bt_consumer *consumer, size_t index, msgsrv_settlement settlement)
{
    return bt_settle(consumer->handle, consumer->items[index].id, settlement, 0, NULL);
}

START_TEST(an_ack_takes_the_message_away)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    ck_assert_uint_eq(bt_info("q").unsettled, 1);
    BT_STATUS(MSGSRV_OK, settle(consumer, 0, MSGSRV_ACK), "");
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.messages + info.unsettled + info.dead, 0);
    ck_assert_uint_eq(info.acked, 1);
    bt_consume_end(consumer);
    bt_consumer *other = bt_consume(bt_handle_new("other"), "q", 1, MSGSRV_OK);
    bt_publish(bt.pub, "t", 2);
    BT_UNTIL(other->count == 1);
    ck_assert_int_eq(other->items[0].value, 2);
}
END_TEST

START_TEST(a_delivery_is_settled_once)
{
    static const msgsrv_settlement all[] = {MSGSRV_ACK, MSGSRV_NAK, MSGSRV_REJECT, MSGSRV_EXTEND};
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    BT_STATUS(MSGSRV_OK, settle(consumer, 0, MSGSRV_ACK), "");
    for (size_t i = 0; i < 4; i++)
        BT_STATUS(MSGSRV_NOT_FOUND, settle(consumer, 0, all[i]), "");
    BT_STATUS(MSGSRV_NOT_FOUND, bt_settle(consumer->handle, 999999999, MSGSRV_ACK, 0, NULL), "");
    ck_assert_uint_eq(bt_info("q").acked, 1);
}
END_TEST

START_TEST(a_delivery_is_settled_by_whom_it_was_given_to)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    bt_handle *stranger = bt_handle_new("stranger");
    BT_STATUS(MSGSRV_NOT_FOUND, bt_settle(stranger, consumer->items[0].id, MSGSRV_ACK, 0, NULL), "");
    BT_STATUS(MSGSRV_OK, settle(consumer, 0, MSGSRV_ACK), "");
}
END_TEST

START_TEST(each_delivery_has_an_id_of_its_own)
{
    bt_queue_of("q", &(msgsrv_queue_options){.max_deliver = MSGSRV_NONE}, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 3, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 3, MSGSRV_ABORTED); /* nak, at once */
    BT_UNTIL(consumer->count >= 60);
    for (size_t i = 0; i < consumer->count; i++)
        for (size_t k = 0; k < i; k++)
            TS_CHECK(consumer->items[i].id != consumer->items[k].id && consumer->items[i].id != 0, "an id came twice");
}
END_TEST

START_TEST(a_nak_brings_it_again_with_a_higher_count)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    BT_STATUS(MSGSRV_OK, settle(consumer, 0, MSGSRV_NAK), "");
    BT_UNTIL(consumer->count == 2);
    ck_assert_uint_eq(consumer->items[1].count, 2);
    ck_assert(consumer->items[1].redelivered);
    ck_assert_int_eq(consumer->items[1].value, 1);
    ck_assert_uint_ne(consumer->items[1].id, consumer->items[0].id);
    BT_STATUS(MSGSRV_NOT_FOUND, settle(consumer, 0, MSGSRV_ACK), "");
    BT_STATUS(MSGSRV_OK, settle(consumer, 1, MSGSRV_ACK), "");
    ck_assert_uint_eq(bt_info("q").redelivered, 1);
}
END_TEST

START_TEST(a_nak_with_a_delay_brings_it_not_before)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    uint64_t begin = ts_now_ms();
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_NAK, 80, "later"), "");
    bt_publish(bt.pub, "t", 2); /* others pass it */
    BT_UNTIL(consumer->count == 2);
    ck_assert_int_eq(consumer->items[1].value, 2);
    BT_STATUS(MSGSRV_OK, settle(consumer, 1, MSGSRV_ACK), "");
    BT_UNTIL(consumer->count == 3);
    ck_assert_int_eq(consumer->items[2].value, 1);
    ck_assert_uint_ge(consumer->items[2].at_ms - begin, 80);
    ck_assert_uint_eq(consumer->items[2].count, 2);
}
END_TEST

START_TEST(what_is_delayed_is_counted_and_shown)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    BT_STATUS(MSGSRV_OK, bt_settle(consumer->handle, consumer->items[0].id, MSGSRV_NAK, 3600000, NULL), "");
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.messages, 1);
    ck_assert_uint_eq(info.delayed, 1);
    ck_assert_uint_eq(info.unsettled, 0);
    ck_assert_uint_ne(bt_peek("q")->at[0].not_before_us, 0);
}
END_TEST

START_TEST(a_message_is_not_delivered_before_its_time)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 10, MSGSRV_OK);
    uint64_t begin = ts_now_ms();
    bt_publish_with(bt.pub, "t", 1, &(msgsrv_publish_options){.delay_ms = 100});
    bt_publish_with(bt.pub, "t", 2, &(msgsrv_publish_options){.delay_ms = 50});
    bt_publish(bt.pub, "t", 3);
    BT_UNTIL(consumer->count == 3);
    ck_assert_int_eq(consumer->items[0].value, 3);
    ck_assert_int_eq(consumer->items[1].value, 2);
    ck_assert_int_eq(consumer->items[2].value, 1);
    ck_assert_uint_ge(consumer->items[1].at_ms - begin, 50);
    ck_assert_uint_ge(consumer->items[2].at_ms - begin, 100);
    ck_assert_uint_eq(consumer->items[2].count, 1);
}
END_TEST

START_TEST(what_is_not_settled_in_time_comes_again)
{
    bt_consumer *consumer = one_message(&(msgsrv_queue_options){.ack_wait_ms = 60}, MSGSRV_DEFERRED);
    uint64_t begin = consumer->items[0].at_ms;
    BT_UNTIL(consumer->count == 2);
    /* The time ran from when it was handed out, which was a moment earlier. */
    ck_assert_uint_ge(consumer->items[1].at_ms - begin + 30, 60);
    ck_assert_uint_eq(consumer->items[1].count, 2);
    ck_assert(consumer->items[1].redelivered);
    BT_STATUS(MSGSRV_NOT_FOUND, settle(consumer, 0, MSGSRV_ACK), "");
}
END_TEST

START_TEST(what_is_not_settled_in_time_goes_to_another)
{
    bt_consumer *first = one_message(&(msgsrv_queue_options){.ack_wait_ms = 60}, MSGSRV_DEFERRED);
    bt_consumer *other = bt_consume(bt_handle_new("other"), "q", 1, MSGSRV_DEFERRED);
    first->handle->stalled = true;
    BT_UNTIL(other->count == 1 || first->count > 1);
    first->handle->stalled = false;
    if (other->count == 1)
        BT_STATUS(MSGSRV_NOT_FOUND, settle(first, 0, MSGSRV_ACK), "");
    BT_UNTIL(other->count + first->count >= 2);
}
END_TEST

START_TEST(extending_gives_more_time)
{
    enum { ACK_WAIT = 150 };
    bt_consumer *consumer = one_message(&(msgsrv_queue_options){.ack_wait_ms = ACK_WAIT}, MSGSRV_DEFERRED);
    uint64_t begin = consumer->items[0].at_ms, last = begin;
    /* For three times as long, unless the machine was too busy to extend in time. */
    while (ts_now_ms() - begin < 3 * ACK_WAIT) {
        uint64_t before = ts_now_ms();
        msgsrv_status status = settle(consumer, 0, MSGSRV_EXTEND);
        if (status != MSGSRV_OK) {
            BT_STATUS(MSGSRV_NOT_FOUND, status, "");
            ck_assert_uint_ge(ts_now_ms() - last + 30, ACK_WAIT);
            return;
        }
        last = before;
        ck_assert_uint_eq(consumer->count, 1);
    }
    BT_UNTIL(consumer->count == 2);
    ck_assert_uint_ge(consumer->items[1].at_ms - last + 30, ACK_WAIT);
    ck_assert_uint_eq(consumer->items[1].count, 2);
}
END_TEST

START_TEST(what_a_consumer_that_goes_away_has_goes_to_others)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 5, 0);
    bt_consumer *first = bt_consume(bt_handle_new("first"), "q", 5, MSGSRV_DEFERRED);
    BT_UNTIL(first->count == 5);
    BT_STATUS(MSGSRV_OK, settle(first, 2, MSGSRV_ACK), "");
    bt_free(first->handle);
    ck_assert_uint_eq(first->ended, 1);
    bt_consumer *other = bt_consume(bt_handle_new("other"), "q", 10, MSGSRV_OK);
    BT_UNTIL(other->count == 4);
    static const int64_t values[] = {1, 2, 4, 5}; /* at their old places */
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(other->items[i].value, values[i]);
        ck_assert_uint_eq(other->items[i].count, 2);
        ck_assert(other->items[i].redelivered);
    }
    BT_UNTIL(bt_info("q").messages == 0);
}
END_TEST

START_TEST(unsubscribing_a_consumer_gives_back_what_it_has)
{
    bt_consumer *first = one_message(NULL, MSGSRV_DEFERRED);
    bt_consume_end(first);
    bt_consumer *other = bt_consume(first->handle, "q", 1, MSGSRV_OK);
    BT_UNTIL(other->count == 1);
    ck_assert_uint_eq(other->items[0].count, 2);
    BT_STATUS(MSGSRV_NOT_FOUND, settle(first, 0, MSGSRV_ACK), "");
}
END_TEST

START_TEST(a_confirmed_ack_never_comes_again)
{
    enum { COUNT = 200 };
    bool acked[COUNT + 1] = {false};
    bt_queue_of("q", &(msgsrv_queue_options){.ack_wait_ms = 20, .max_deliver = MSGSRV_NONE}, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, COUNT, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", 7, MSGSRV_DEFERRED);
    uint64_t end = ts_guard();
    for (size_t at = 0, left = COUNT; left != 0; at++) {
        BT_UNTIL(consumer->count > at);
        TS_CHECK(ts_now_ms() < end, "%zu are left", left);
        const bt_delivery *item = &consumer->items[at];
        TS_CHECK(!acked[item->value], "%lld came again after its confirmed ack", (long long)item->value);
        if (at % 3 == 2 && item->count == 1)
            continue; /* its time runs out */
        if (settle(consumer, at, MSGSRV_ACK) == MSGSRV_OK) {
            acked[consumer->items[at].value] = true;
            left--;
        }
        if (at % 50 == 49) {
            bt_free(consumer->handle); /* with what it has */
            consumer = bt_consume(bt_handle_new("worker"), "q", 7, MSGSRV_DEFERRED);
            at = (size_t)-1;
        }
    }
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.acked, COUNT);
    ck_assert_uint_eq(info.messages, 0);
}
END_TEST

START_TEST(settlements_are_confirmed_in_their_order)
{
    enum { COUNT = 200 };
    static bt_done done[COUNT];
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, COUNT, 0);
    bt_consumer *consumer = bt_consume(bt_handle_new("worker"), "q", COUNT, MSGSRV_DEFERRED);
    BT_UNTIL(consumer->count == COUNT);
    msgsrv_bus *bus = consumer->handle->bus;
    for (size_t i = 0; i < COUNT; i++)
        BT_STATUS(MSGSRV_OK,
                  msgsrv_bus_settle(bus, i % 10 == 3 ? consumer->items[0].id : consumer->items[i].id, MSGSRV_ACK, 0,
                                    NULL, bt_on_done, &done[i], NULL),
                  "");
    BT_UNTIL(done[COUNT - 1].done == 1);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(done[i].done, 1);
        ck_assert_int_eq(done[i].status, i % 10 == 3 ? MSGSRV_NOT_FOUND : MSGSRV_OK);
    }
    ck_assert_uint_eq(bt_info("q").acked, COUNT - COUNT / 10);
}
END_TEST

START_TEST(settling_without_a_confirmation_works)
{
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK,
              msgsrv_bus_settle(consumer->handle->bus, consumer->items[0].id, MSGSRV_ACK, 0, NULL, NULL, NULL, &error),
              error.text);
    BT_UNTIL(bt_info("q").acked == 1);
    if (!bt_engine_used.remote)
        BT_STATUS(
            MSGSRV_NOT_FOUND,
            msgsrv_bus_settle(consumer->handle->bus, consumer->items[0].id, MSGSRV_ACK, 0, NULL, NULL, NULL, &error),
            error.text);
}
END_TEST

static msgsrv_status by_value(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    static const msgsrv_status answers[] = {MSGSRV_OK, MSGSRV_INVALID_ARGUMENT, MSGSRV_UNIMPLEMENTED, MSGSRV_INTERNAL,
                                            MSGSRV_DEFERRED};
    (void)consumer;
    if (delivery->count > 1)
        return MSGSRV_OK;
    return answers[bt_decode(delivery->event->payload, delivery->event->payload_size)];
}

START_TEST(what_a_consumers_function_returns_settles)
{
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 0, 4, 0);
    bt_consumer *consumer =
        bt_consume_start(bt_handle_new("worker"), "q", NULL, &(msgsrv_consume_options){.nak_delay_ms = 50},
                         &(bt_consumer){.on_message = by_value});
    BT_UNTIL(consumer->count == 6); /* the nak'ed one comes again */
    ck_assert_int_eq(consumer->items[5].value, 3);
    ck_assert_uint_ge(consumer->items[5].at_ms - consumer->items[3].at_ms, 50);
    BT_UNTIL(bt_info("q").acked == 2 && bt_info("q").dead == 2);
    ck_assert_uint_eq(bt_info("q").unsettled, 1);
    BT_STATUS(MSGSRV_OK, settle(consumer, 4, MSGSRV_ACK), "");
}
END_TEST

static msgsrv_status settle_inside(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    msgsrv_bus_settle(consumer->handle->bus, delivery->id, MSGSRV_ACK, 0, NULL, bt_on_done, consumer->ctx, NULL);
    return MSGSRV_DEFERRED;
}

START_TEST(settling_inside_the_function_works)
{
    bt_done done = {0};
    bt_queue_of("q", NULL, "t", NULL);
    bt_publish_many(bt.pub, "t", 1, 20, 0);
    bt_consume_start(bt_handle_new("worker"), "q", NULL, &(msgsrv_consume_options){.prefetch = 2},
                     &(bt_consumer){.on_message = settle_inside, .ctx = &done});
    BT_UNTIL(done.done == 20);
    ck_assert_int_eq(done.status, MSGSRV_OK);
    ck_assert_uint_eq(bt_info("q").acked, 20);
}
END_TEST

START_TEST(a_typed_consumer_rejects_what_is_of_another_type)
{
    bt_queue_of("q", NULL, "t.*", NULL);
    bt_consumer *consumer = bt_consume_start(bt_handle_new("worker"), "q", &messages_AddRequest_type, NULL,
                                             &(bt_consumer){.answer = MSGSRV_OK});
    bt_publish(bt.pub, "t.number", 1);
    uint8_t payload[16];
    BT_STATUS(MSGSRV_OK,
              bt_try(bt.pub, "t.add", "messages.AddRequest", payload, bt_encode(payload, 1, 0), NULL, NULL, NULL), "");
    BT_UNTIL(consumer->count == 1 && bt_info("q").dead == 1);
    ck_assert_str_eq(consumer->items[0].topic, "t.add");
    bt_peeked *dead = bt_peek("$dlq.q");
    ck_assert_str_eq(dead->at[0].topic, "t.number");
    ck_assert_str_eq(dead->at[0].reason, "rejected");
}
END_TEST

START_TEST(freeing_a_handle_ends_settlements_that_are_under_way)
{
    bt_done done = {0};
    bt_consumer *consumer = one_message(NULL, MSGSRV_DEFERRED);
    BT_STATUS(
        MSGSRV_OK,
        msgsrv_bus_settle(consumer->handle->bus, consumer->items[0].id, MSGSRV_ACK, 0, NULL, bt_on_done, &done, NULL),
        "");
    bt_free(consumer->handle);
    ck_assert_uint_eq(done.done, 1);
    ck_assert(done.status == MSGSRV_CANCELLED || done.status == MSGSRV_OK);
}
END_TEST

const conf_test conf_settling[] = {
    {&an_ack_takes_the_message_away, "confirmed_ack"},
    {&a_delivery_is_settled_once, "confirmed_ack"},
    {&a_delivery_is_settled_by_whom_it_was_given_to, "confirmed_ack"},
    {&each_delivery_has_an_id_of_its_own, NULL},
    {&a_nak_brings_it_again_with_a_higher_count, "delivery_count confirmed_ack"},
    {&a_nak_with_a_delay_brings_it_not_before, "nak_delay delivery_count"},
    {&what_is_delayed_is_counted_and_shown, "nak_delay"},
    {&a_message_is_not_delivered_before_its_time, "not_before delivery_count"},
    {&what_is_not_settled_in_time_comes_again, "ack_wait delivery_count confirmed_ack"},
    {&what_is_not_settled_in_time_goes_to_another, "ack_wait confirmed_ack"},
    {&extending_gives_more_time, "ack_wait extend delivery_count"},
    {&what_a_consumer_that_goes_away_has_goes_to_others, "delivery_count confirmed_ack"},
    {&unsubscribing_a_consumer_gives_back_what_it_has, "delivery_count confirmed_ack"},
    {&a_confirmed_ack_never_comes_again, "ack_wait confirmed_ack delivery_count"},
    {&settlements_are_confirmed_in_their_order, "confirmed_ack"},
    {&settling_without_a_confirmation_works, NULL},
    {&what_a_consumers_function_returns_settles, "nak_delay dead_letter delivery_count"},
    {&settling_inside_the_function_works, "confirmed_ack"},
    {&a_typed_consumer_rejects_what_is_of_another_type, "dead_letter"},
    {&freeing_a_handle_ends_settlements_that_are_under_way, NULL},
    {NULL, NULL},
};
