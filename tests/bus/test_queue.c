/* SPDX-License-Identifier: MIT */
/* bus/queue.h, rule by rule: taking, settling, times, bounds, ids, looking. What they do together is in test_queue_model.c. */
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "queue_fixture.h"
#include "suite.h"

/* ---- taking and settling ---- */

START_TEST(messages_come_in_order_and_an_ack_is_for_ever)
{
    uint64_t a, b, c;
    OPEN(0);
    ck_assert_str_eq(msi_queue_name(queue), "a-queue");
    ck_assert_uint_eq(msi_queue_settings_of(queue)->max_messages, 1000);
    ck_assert_str_eq(take(NULL), "");
    put("a");
    put("b");
    put("c");
    ck_assert_str_eq(take(&a), "a:1");
    ck_assert_str_eq(take(&b), "b:1");
    ck_assert_str_eq(take(&c), "c:1");
    ck_assert_str_eq(take(NULL), "");
    ck_assert(a != b && b != c && a != c);
    ck_assert_uint_eq(info().unsettled, 3);
    ck_assert_int_eq(settle(b, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_int_eq(settle(b, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(settle(b, MSGSRV_NAK, 0, NULL), MSGSRV_NOT_FOUND);
    now += DAY;
    ck_assert_str_eq(take(NULL), "a:2");
    ck_assert_str_eq(take(NULL), "c:2");
    ck_assert_str_eq(take(NULL), "");
    ck_assert_uint_eq(info().acked, 1);
    ck_assert_uint_eq(info().delivered, 5);
    ck_assert_uint_eq(info().redelivered, 2);
    close_queue();
}
END_TEST

START_TEST(a_delivery_is_settled_by_its_consumer_alone)
{
    uint64_t id;
    OPEN(0);
    put("a");
    take(&id);
    ck_assert_int_eq(msi_queue_settle(queue, now, id, B, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(msi_queue_settle(queue, now, id + 1, A, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(msi_queue_settle(queue, now, 0, A, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(settle(id, (msgsrv_settlement)5, 0, NULL), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(settle(id, (msgsrv_settlement)0, 0, NULL), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(settle(id, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    close_queue();
}
END_TEST

START_TEST(ids_of_deliveries_are_not_used_by_two_queues)
{
    uint64_t first, second;
    OPEN(0);
    put("a");
    take(&first);
    msi_queue *other = queue;
    queue = msi_queue_new("another", &settings, NULL, NULL, NULL);
    put("b");
    take(&second);
    ck_assert_uint_ne(first, second);
    ck_assert_int_eq(settle(first, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    msi_queue_free(queue);
    queue = other;
    close_queue();
}
END_TEST

START_TEST(what_is_not_settled_in_time_comes_again_at_its_place)
{
    uint64_t a, b, again;
    OPEN(.ack_wait_ns = 10 * SECOND);
    put("a");
    put("b");
    put("c");
    take(&a);
    ck_assert_uint_eq(msi_queue_due(queue), now + 10 * SECOND);
    now += 5 * SECOND;
    take(&b);
    ready_calls = 0;
    now += 5 * SECOND - 1;
    msi_queue_advance(queue, now);
    ck_assert_uint_eq(info().unsettled, 2);
    now += 1;
    ck_assert_int_eq(settle(a, MSGSRV_ACK, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_str_eq(take(&again), "a:2");
    ck_assert_uint_ne(a, again);
    ck_assert_str_eq(take(NULL), "c:1");
    ck_assert_int_eq(settle(b, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_int_eq(settle(again, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    close_queue();
}
END_TEST

START_TEST(an_extension_begins_the_wait_anew)
{
    uint64_t a, b;
    OPEN(.ack_wait_ns = 10 * SECOND);
    put("a");
    put("b");
    take(&a);
    take(&b);
    now += 9 * SECOND;
    ck_assert_int_eq(settle(a, MSGSRV_EXTEND, 0, NULL), MSGSRV_OK);
    ck_assert_uint_eq(msi_queue_due(queue), now + SECOND);
    now += 9 * SECOND;
    ck_assert_str_eq(take(NULL), "b:2");
    ck_assert_int_eq(settle(b, MSGSRV_EXTEND, 0, NULL), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(settle(a, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    close_queue();
}
END_TEST

START_TEST(a_nak_brings_it_again_at_once_or_after_a_delay)
{
    uint64_t id;
    OPEN(0);
    put("a");
    put("b");
    take(&id);
    settle(id, MSGSRV_NAK, 0, "try again");
    ck_assert_str_eq(take(&id), "a:2");
    settle(id, MSGSRV_NAK, 7 * SECOND, "later");
    ck_assert_uint_eq(info().delayed, 1);
    ck_assert_uint_eq(msi_queue_due(queue), now + 7 * SECOND);
    ck_assert_str_eq(take(&id), "b:1");
    settle(id, MSGSRV_ACK, 0, NULL);
    ck_assert_str_eq(shown(false), "a:2::try again:later ");
    now += 7 * SECOND - 1;
    ck_assert_str_eq(take(NULL), "");
    now += 1;
    ck_assert_str_eq(take(NULL), "a:3");
    close_queue();
}
END_TEST

START_TEST(what_a_consumer_had_that_went_is_ready_again)
{
    uint64_t mine;
    OPEN(0);
    put("a");
    put("b");
    put("c");
    put("d");
    take_by(B, false, NULL);
    take(&mine);
    take_by(B, false, NULL);
    msi_queue_consumer_gone(queue, now, B);
    msi_queue_consumer_gone(queue, now, B);
    ck_assert_str_eq(take(NULL), "a:2");
    ck_assert_str_eq(take(NULL), "c:2");
    ck_assert_str_eq(take(NULL), "d:1");
    ck_assert_int_eq(settle(mine, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    close_queue();
}
END_TEST

START_TEST(many_consumers_go_one_by_one)
{
    enum { CONSUMERS = 200, EACH = 20 };
    static msi_queue_consumer consumers[CONSUMERS];
    OPEN(.max_messages = CONSUMERS * EACH);
    for (unsigned i = 0; i < CONSUMERS * EACH; i++) {
        put("a");
        ck_assert_str_eq(take_by(&consumers[i % CONSUMERS], false, NULL), "a:1");
    }
    for (unsigned i = 0; i < CONSUMERS; i++) {
        ck_assert_uint_eq(info().unsettled, (CONSUMERS - i) * EACH);
        msi_queue_consumer_gone(queue, now, &consumers[i]);
    }
    ck_assert_uint_eq(info().unsettled, 0);
    ck_assert_uint_eq(info().messages, CONSUMERS * EACH);
    close_queue();
}
END_TEST

START_TEST(one_is_told_once_until_a_take_finds_nothing)
{
    uint64_t id;
    OPEN(0);
    put("a");
    put("b");
    ck_assert_uint_eq(ready_calls, 1);
    take(&id);
    settle(id, MSGSRV_NAK, 0, NULL);
    take(&id);
    take(NULL);
    put("c");
    ck_assert_uint_eq(ready_calls, 1);
    take(NULL);
    ck_assert_str_eq(take(NULL), "");
    settle(id, MSGSRV_NAK, SECOND, NULL);
    ck_assert_uint_eq(ready_calls, 1);
    msi_queue_advance(queue, now + SECOND);
    ck_assert_uint_eq(ready_calls, 2);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, NULL); /* a dead letter can be taken: news, whatever has been told of messages */
    ck_assert_uint_eq(ready_calls, 3);
    ck_assert_str_eq(take_by(A, true, NULL), "a:1");
    close_queue();
}
END_TEST

START_TEST(one_is_told_again_when_time_takes_what_a_consumer_had)
{
    OPEN(.ack_wait_ns = SECOND, .max_deliver = 1);
    put("a");
    put("b");
    take(NULL);
    ck_assert_uint_eq(ready_calls, 1);
    msi_queue_advance(queue, now += SECOND); /* it is dead, which is news; and its consumer may take another */
    ck_assert_uint_eq(ready_calls, 2);
    take(NULL);
    msi_queue_advance(queue, now += SECOND); /* neither is there more to take, nor more dead letters than it knows of */
    ck_assert_uint_eq(ready_calls, 2);
    put("c");
    ck_assert_uint_eq(ready_calls, 3);
    close_queue();
}
END_TEST

/* ---- times ---- */

START_TEST(a_message_waits_for_its_time_and_comes_at_its_place)
{
    const msi_queue_put later = {.delay_ns = 5 * SECOND};
    OPEN(0);
    put_how("a", SIZE, &later, NULL);
    ck_assert_uint_eq(ready_calls, 0);
    ck_assert_uint_eq(info().delayed, 1);
    put("b");
    put("c");
    ck_assert_str_eq(take(NULL), "b:1");
    ck_assert_uint_eq(msi_queue_due(queue), now + 5 * SECOND);
    now += 5 * SECOND;
    ck_assert_str_eq(take(NULL), "a:1");
    ck_assert_str_eq(take(NULL), "c:1");
    close_queue();
}
END_TEST

START_TEST(lives_end_for_ready_and_delayed_ones_but_not_with_a_consumer)
{
    const msi_queue_put shorter = {.ttl_ns = 2 * SECOND};
    const msi_queue_put delayed = {.ttl_ns = 3 * SECOND, .delay_ns = 9 * SECOND};
    uint64_t own;
    OPEN(.ttl_ns = 5 * SECOND);
    put("own");
    put("queue's");
    put_how("shorter", SIZE, &shorter, NULL);
    put_how("delayed", SIZE, &delayed, NULL);
    take(&own);
    ck_assert_uint_eq(msi_queue_due(queue), now + 2 * SECOND);
    now += 2 * SECOND;
    ck_assert_str_eq(shown(true), "shorter:0:expired ");
    now += SECOND;
    ck_assert_str_eq(shown(true), "shorter:0:expired delayed:0:expired ");
    now += 3 * SECOND;
    ck_assert_uint_eq(info().expired, 3);
    ck_assert_uint_eq(info().messages, 1);
    ck_assert_int_eq(settle(own, MSGSRV_NAK, 0, "late"), MSGSRV_OK);
    ck_assert_uint_eq(info().messages, 0);
    ck_assert_uint_eq(info().expired, 4);
    ck_assert_str_eq(shown(true), "shorter:0:expired delayed:0:expired queue's:0:expired own:1:expired:late:late ");
    close_queue();
}
END_TEST

START_TEST(a_late_ack_of_one_whose_life_is_over_is_an_ack)
{
    uint64_t id;
    OPEN(.ttl_ns = SECOND);
    put("a");
    take(&id);
    now += 2 * SECOND;
    ck_assert_int_eq(settle(id, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().dead, 0);
    close_queue();
}
END_TEST

START_TEST(days_pass_in_one_step_and_time_does_not_go_back)
{
    char text[16];
    OPEN(.ack_wait_ns = 1, .ttl_ns = 3, .dedup_ns = 2, .dedup_ids = 1000);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "%u", i);
        put_id(text, text, NULL);
        if (i % 2)
            take(NULL);
    }
    msi_queue_advance(queue, now + 10000 * DAY);
    ck_assert_uint_eq(msi_queue_due(queue), 0);
    ck_assert_uint_eq(info().dead, 500); /* `now` is the past, and what it asks for happens in the present */
    put("a");
    ck_assert_uint_eq(msi_queue_due(queue), now + 10000 * DAY + 3);
    ck_assert_str_eq(take(NULL), "a:1");
    close_queue();
}
END_TEST

START_TEST(times_beyond_the_clock_are_its_end)
{
    const msi_queue_put how = {.ttl_ns = UINT64_MAX, .delay_ns = UINT64_MAX - 1};
    uint64_t id;
    OPEN(.ack_wait_ns = UINT64_MAX);
    put("a");
    take(&id);
    put_how("b", SIZE, &how, NULL);
    ck_assert_uint_eq(msi_queue_due(queue), UINT64_MAX);
    ck_assert_int_eq(settle(id, MSGSRV_NAK, UINT64_MAX, NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().delayed, 2);
    close_queue();
}
END_TEST

/* ---- full ---- */

START_TEST(a_full_queue_refuses)
{
    const msi_queue_put none = {0};
    uint64_t id;
    OPEN(.max_messages = 3, .max_bytes = 1000);
    ck_assert_int_eq(put_how("huge", 1001, &none, NULL), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(put_how("a", 999, &none, NULL), MSGSRV_OK);
    ck_assert_int_eq(put_how("b", 2, &none, NULL), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(put_how("b", 1, &none, NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().bytes, 1000);
    ck_assert_int_eq(put_how("c", 0, &none, NULL), MSGSRV_OK);
    ck_assert_int_eq(put_how("d", 0, &none, NULL), MSGSRV_RESOURCE_EXHAUSTED);
    take(&id);
    ck_assert_int_eq(put("d"), MSGSRV_RESOURCE_EXHAUSTED); /* with a consumer is not away */
    settle(id, MSGSRV_ACK, 0, NULL);
    ck_assert_int_eq(put("d"), MSGSRV_OK);
    ck_assert_uint_eq(info().refused, 4);
    ck_assert_uint_eq(info().published, 4);
    close_queue();
}
END_TEST

START_TEST(or_it_drops_the_oldest_that_can_be_taken)
{
    const msi_queue_put late = {.delay_ns = SECOND}, large = {0};
    uint64_t id;
    OPEN(.max_messages = 4, .max_bytes = 400, .drop_oldest = true);
    put("unsettled");
    take(&id);
    put_how("delayed", SIZE, &late, NULL);
    put("a");
    put("b");
    ck_assert_int_eq(put("c"), MSGSRV_OK);
    ck_assert_str_eq(shown(true), "a:0:full ");
    ck_assert_int_eq(put_how("huge", 201, &large, NULL), MSGSRV_RESOURCE_EXHAUSTED); /* nothing is dropped in vain */
    ck_assert_str_eq(shown(true), "a:0:full ");
    ck_assert_int_eq(put_how("d", 200, &large, NULL), MSGSRV_OK);
    ck_assert_str_eq(shown(true), "a:0:full b:0:full c:0:full ");
    ck_assert_str_eq(take(NULL), "d:1");
    ck_assert_int_eq(put("e"), MSGSRV_RESOURCE_EXHAUSTED);
    settle(id, MSGSRV_NAK, 0, NULL); /* it is ready, and the oldest */
    ck_assert_int_eq(put("e"), MSGSRV_OK);
    ck_assert_str_eq(shown(true), "a:0:full b:0:full c:0:full unsettled:1:full ");
    ck_assert_uint_eq(info().dropped, 0);
    close_queue();
}
END_TEST

/* ---- ids ---- */

START_TEST(an_id_is_recognised_for_its_time)
{
    uint64_t first = 0, id;
    OPEN(.dedup_ns = 10 * SECOND, .dedup_ids = 10);
    ck_assert_int_eq(put_id("a", "x", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("b", "y", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("", "xx", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("c", "y", &first), MSGSRV_ALREADY_EXISTS);
    ck_assert_uint_eq(first, 2);
    take(&id);
    settle(id, MSGSRV_ACK, 0, NULL); /* acked or not */
    ck_assert_int_eq(put_id("d", "x", &first), MSGSRV_ALREADY_EXISTS);
    ck_assert_uint_eq(first, 1);
    ck_assert_int_eq(put_id("no id", "", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("no id", "", NULL), MSGSRV_OK);
    now += 10 * SECOND - 1;
    ck_assert_int_eq(put_id("e", "x", NULL), MSGSRV_ALREADY_EXISTS);
    now += 1;
    ck_assert_int_eq(put_id("f", "x", NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().duplicates, 3);
    ck_assert_uint_eq(info().dedup_evicted, 0);
    close_queue();
}
END_TEST

START_TEST(so_many_ids_are_kept_and_what_is_forgotten_too_early_is_counted)
{
    char id[16];
    OPEN(.dedup_ns = SECOND, .dedup_ids = 100);
    for (unsigned i = 0; i < 150; i++) {
        snprintf(id, sizeof id, "id-%u", i);
        ck_assert_int_eq(put_id("a", id, NULL), MSGSRV_OK);
    }
    ck_assert_uint_eq(info().dedup_evicted, 50);
    ck_assert_int_eq(put_id("a", "id-50", NULL), MSGSRV_ALREADY_EXISTS);
    ck_assert_int_eq(put_id("a", "id-49", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("a", "id-50", NULL), MSGSRV_OK);
    ck_assert_uint_eq(msi_queue_due(queue), now + SECOND);
    now += SECOND;
    msi_queue_advance(queue, now);
    ck_assert_uint_eq(msi_queue_due(queue), 0);
    ck_assert_uint_eq(info().dedup_evicted, 52);
    close_queue();
}
END_TEST

START_TEST(without_a_window_no_id_is_recognised)
{
    OPEN(.dedup_ids = 100);
    ck_assert_int_eq(put_id("a", "x", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("a", "x", NULL), MSGSRV_OK);
    close_queue();
}
END_TEST

START_TEST(a_known_id_is_known_though_the_queue_is_full_and_a_check_alone_keeps_nothing)
{
    OPEN(.dedup_ns = SECOND, .dedup_ids = 100, .max_messages = 1);
    ck_assert_int_eq(msi_queue_check(queue, now, SIZE, test_view("x"), NULL), MSGSRV_OK);
    ck_assert_int_eq(msi_queue_check(queue, now, SIZE, test_view("longer than x"), NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("a", "x", NULL), MSGSRV_OK);
    ck_assert_int_eq(put_id("a", "x", NULL), MSGSRV_ALREADY_EXISTS);
    ck_assert_int_eq(put_id("a", "y", NULL), MSGSRV_RESOURCE_EXHAUSTED);
    close_queue();
}
END_TEST

/* ---- looking ---- */

typedef struct page {
    uint64_t id;
    char payload[16];
} page;

static bool copy_page(const msgsrv_queued *queued, void *ctx)
{
    page *to = ctx;
    to->id = queued->id;
    snprintf(to->payload, sizeof to->payload, "%.*s", (int)queued->event->payload_size,
             (const char *)queued->event->payload);
    return true;
}

START_TEST(messages_are_shown_page_by_page)
{
    char text[16];
    uint64_t after = 0, id;
    OPEN(0);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "%u", i);
        put(text);
    }
    for (unsigned i = 0; i < 50; i++) {
        page at = {0};
        snprintf(text, sizeof text, "%u", i);
        msi_queue_peek(queue, false, now, 1, after, 1, copy_page, &at);
        ck_assert_uint_gt(at.id, after);
        ck_assert_str_eq(at.payload, text);
        after = at.id;
        if (i % 3 == 0) { /* and some go meanwhile */
            take(&id);
            settle(id, MSGSRV_ACK, 0, NULL);
        }
    }
    page at = {0};
    msi_queue_peek(queue, false, now, 1, after, 1, copy_page, &at);
    ck_assert_uint_eq(at.id, 0);
    msi_queue_peek(queue, false, now, 1, 0, 0, copy_page, &at);
    ck_assert_uint_eq(at.id, 0);
    close_queue();
}
END_TEST

START_TEST(moments_are_shown_in_the_time_of_people)
{
    const msi_queue_put how = {.delay_ns = SECOND, .ttl_ns = 2 * SECOND};
    OPEN(0);
    put_how("a", SIZE, &how, NULL);
    ck_assert_uint_eq(oldest(false).not_before_us, 5000 + 1000000);
    ck_assert_uint_eq(oldest(false).expires_us, 5000 + 2000000);
    ck_assert(!oldest(false).unsettled);
    now += SECOND;
    ck_assert_uint_eq(oldest(false).not_before_us, 0);
    take(NULL);
    ck_assert(oldest(false).unsettled);
    msi_queue_consumer_gone(queue, now, A);
    now += SECOND;
    ck_assert_uint_eq(oldest(true).died_us, 5000);
    now += 3000000;
    ck_assert_uint_eq(oldest(true).died_us, 2000);
    ck_assert_uint_eq(oldest(true).expires_us, 0);
    close_queue();
}
END_TEST

TS_MAIN("queue", messages_come_in_order_and_an_ack_is_for_ever, a_delivery_is_settled_by_its_consumer_alone,
        ids_of_deliveries_are_not_used_by_two_queues, what_is_not_settled_in_time_comes_again_at_its_place,
        an_extension_begins_the_wait_anew, a_nak_brings_it_again_at_once_or_after_a_delay,
        what_a_consumer_had_that_went_is_ready_again, many_consumers_go_one_by_one,
        one_is_told_once_until_a_take_finds_nothing, one_is_told_again_when_time_takes_what_a_consumer_had,
        a_message_waits_for_its_time_and_comes_at_its_place,
        lives_end_for_ready_and_delayed_ones_but_not_with_a_consumer, a_late_ack_of_one_whose_life_is_over_is_an_ack,
        days_pass_in_one_step_and_time_does_not_go_back, times_beyond_the_clock_are_its_end, a_full_queue_refuses,
        or_it_drops_the_oldest_that_can_be_taken, an_id_is_recognised_for_its_time,
        so_many_ids_are_kept_and_what_is_forgotten_too_early_is_counted, without_a_window_no_id_is_recognised,
        a_known_id_is_known_though_the_queue_is_full_and_a_check_alone_keeps_nothing, messages_are_shown_page_by_page,
        moments_are_shown_in_the_time_of_people)
