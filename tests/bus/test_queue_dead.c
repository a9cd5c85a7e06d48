/* SPDX-License-Identifier: MIT */
/* bus/queue.h, rule by rule: dying, and dead letters. */
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "queue_fixture.h"
#include "suite.h"

/* ---- dying ---- */

START_TEST(after_so_many_deliveries_it_is_dead_however_it_came_back)
{
    uint64_t id;
    OPEN(.max_deliver = 2, .ack_wait_ns = SECOND);
    put("nak");
    put("slow");
    put("gone");
    put("acked");
    for (unsigned i = 0; i < 2; i++) {
        take(&id);
        settle(id, MSGSRV_NAK, 0, i == 0 ? "one" : "two");
    }
    ck_assert_str_eq(shown(true), "nak:2:max-deliver:one:two ");
    take(NULL);
    now += SECOND;
    take(NULL);
    now += SECOND;
    take_by(B, false, NULL);
    msi_queue_consumer_gone(queue, now, B);
    take_by(B, false, NULL);
    msi_queue_consumer_gone(queue, now, B);
    ck_assert_str_eq(shown(true), "nak:2:max-deliver:one:two slow:2:max-deliver gone:2:max-deliver ");
    take(&id);
    settle(id, MSGSRV_NAK, 0, NULL);
    take(&id);
    ck_assert_int_eq(settle(id, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().dead, 3);
    ck_assert_str_eq(lost_text, "");
    close_queue();
}
END_TEST

START_TEST(a_delayed_nak_of_the_last_delivery_is_the_end_as_well)
{
    uint64_t id;
    OPEN(.max_deliver = 1);
    put("a");
    take(&id);
    settle(id, MSGSRV_NAK, DAY, NULL);
    ck_assert_uint_eq(info().dead, 1);
    ck_assert_uint_eq(info().delayed, 0);
    close_queue();
}
END_TEST

START_TEST(a_rejected_one_is_dead_with_its_reason)
{
    uint64_t id;
    OPEN(0);
    put("a");
    put("b");
    take(&id);
    settle(id, MSGSRV_NAK, 0, "busy");
    take(&id);
    settle(id, MSGSRV_NAK, 0, NULL);
    take(&id);
    ck_assert_int_eq(settle(id, MSGSRV_REJECT, 0, "nonsense"), MSGSRV_OK);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, NULL);
    ck_assert_str_eq(shown(true), "a:3:rejected:busy:nonsense b:1:rejected ");
    ck_assert_uint_eq(info().rejected, 2);
    ck_assert_uint_eq(info().messages, 0);
    ck_assert_uint_eq(info().bytes, 0);
    close_queue();
}
END_TEST

static bool copy_error(const msgsrv_queued *queued, void *ctx)
{
    snprintf(ctx, 400, "%s", queued->first_error);
    return true;
}

START_TEST(of_a_long_reason_the_beginning_is_kept_in_whole_characters)
{
    char reason[400], kept[400];
    uint64_t id;
    OPEN(0);
    put("a");
    take(&id);
    memset(reason, 'x', 254);
    memcpy(reason + 254, "\xc3\xa4\xc3\xa4", 5);
    settle(id, MSGSRV_NAK, 0, reason);
    msi_queue_peek(queue, false, now, 1, 0, 1, copy_error, kept);
    ck_assert_uint_eq(strlen(kept), 254);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, reason + 1);
    ck_assert_uint_eq(info().dead, 1);
    close_queue();
}
END_TEST

START_TEST(without_dead_letters_what_dies_is_told)
{
    uint64_t id;
    OPEN(.no_dead_letters = true, .max_deliver = 1, .ttl_ns = SECOND, .max_messages = 2, .drop_oldest = true);
    put("a");
    take(&id);
    settle(id, MSGSRV_REJECT, 0, "x");
    put("b");
    take(&id);
    settle(id, MSGSRV_NAK, 0, "x");
    put("c");
    put("d");
    put("e");
    now += SECOND;
    ck_assert_uint_eq(info().dead, 0);
    ck_assert_str_eq(lost_text, "a:rejected b:max-deliver c:full d:expired e:expired ");
    ck_assert_uint_eq(info().dropped, 5);
    ck_assert_str_eq(take_by(A, true, NULL), "");
    close_queue();
}
END_TEST

/* ---- dead letters ---- */

START_TEST(dead_letters_are_bounded_and_the_oldest_goes)
{
    OPEN(.max_dead_letters = 2);
    die("a");
    die("b");
    die("c");
    ck_assert_str_eq(shown(true), "b:1:rejected:b:b c:1:rejected:c:c ");
    ck_assert_str_eq(lost_text, "a:dead-letters-full ");
    msi_queue_bound_dead(queue, now, 1);
    ck_assert_str_eq(lost_text, "a:dead-letters-full b:dead-letters-full ");
    ck_assert_uint_eq(info().dropped, 2);
    ck_assert_str_eq(take_by(A, true, NULL), "c:1"); /* with a consumer it is not dropped, so the new one is */
    die("d");
    ck_assert_str_eq(shown(true), "c:1:rejected:c:c ");
    ck_assert_uint_eq(info().dropped, 3);
    msi_queue_bound_dead(queue, now, 0);
    ck_assert_uint_eq(info().dead, 1);
    msi_queue_consumer_gone(queue, now, A);
    ck_assert_uint_eq(info().dead, 0);
    close_queue();
}
END_TEST

START_TEST(dead_letters_are_bounded_in_bytes_as_the_queue_is)
{
    uint64_t bytes = 0;
    OPEN(0);
    put("a");
    bytes = info().bytes;
    close_queue();
    OPEN(.max_bytes = 2 * bytes);
    die("a");
    die("b");
    ck_assert_str_eq(lost_text, "");
    die("c");
    ck_assert_str_eq(lost_text, "a:dead-letters-full ");
    ck_assert_str_eq(shown(true), "b:1:rejected:b:b c:1:rejected:c:c ");
    close_queue();
}
END_TEST

START_TEST(dead_letters_are_consumed_without_another_death)
{
    uint64_t id;
    OPEN(.max_deliver = 1, .ack_wait_ns = SECOND, .ttl_ns = 100 * SECOND);
    die("a");
    die("b");
    for (unsigned i = 1; i < 10; i++) {
        char text[8];
        snprintf(text, sizeof text, "a:%u", i);
        ck_assert_str_eq(take_by(A, true, &id), text);
        if (i % 3 == 0) {
            settle(id, MSGSRV_NAK, 0, "again");
        } else if (i % 3 == 1) {
            now += SECOND;
        } else {
            msi_queue_consumer_gone(queue, now, A);
        }
    }
    ck_assert_str_eq(shown(true), "a:1:rejected:a:again b:1:rejected:b:b ");
    now += DAY;
    ck_assert_str_eq(take_by(A, true, &id), "a:10");
    ck_assert_uint_eq(info().unsettled, 0);
    ck_assert_int_eq(settle(id, MSGSRV_EXTEND, 0, NULL), MSGSRV_OK);
    ck_assert_int_eq(settle(id, MSGSRV_REJECT, 0, "x"), MSGSRV_OK);
    ck_assert_str_eq(take_by(A, true, &id), "b:1");
    ck_assert_int_eq(settle(id, MSGSRV_NAK, SECOND, NULL), MSGSRV_OK);
    ck_assert_str_eq(take_by(A, true, &id), "");
    ck_assert_uint_eq(msi_queue_due(queue), now + SECOND);
    now += SECOND;
    ck_assert_str_eq(take_by(A, true, &id), "b:2");
    ck_assert_int_eq(settle(id, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_uint_eq(info().dead, 0);
    ck_assert_uint_eq(info().delivered, 2);
    ck_assert_uint_eq(info().acked, 0);
    ck_assert_uint_eq(info().rejected, 2);
    ck_assert_str_eq(lost_text, "");
    close_queue();
}
END_TEST

START_TEST(one_put_back_is_as_new_but_for_its_history)
{
    uint64_t count = 9, id;
    OPEN(.max_deliver = 2, .ttl_ns = 5 * SECOND, .dedup_ns = DAY, .dedup_ids = 9);
    put_id("a", "x", NULL);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, "first");
    now += DAY / 2;
    ck_assert_int_eq(msi_queue_retry(queue, now, 12345, &count), MSGSRV_NOT_FOUND);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(msi_queue_retry(queue, now, oldest(true).id, &count), MSGSRV_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(oldest(false).deaths, 1);
    ck_assert_uint_eq(oldest(false).died_us, 0);
    ck_assert_uint_eq(oldest(false).expires_us, 5000 + 5000000);
    ck_assert_str_eq(shown(false), "a:0::first:first ");
    ck_assert_str_eq(take(&id), "a:1");
    ck_assert_uint_eq(info().redelivered, 0);
    settle(id, MSGSRV_REJECT, 0, "second");
    ck_assert_uint_eq(oldest(true).deaths, 2);
    ck_assert_str_eq(shown(true), "a:1:rejected:first:second ");
    ck_assert_uint_eq(info().published, 1);
    close_queue();
}
END_TEST

START_TEST(what_does_not_fit_is_not_put_back)
{
    uint64_t count;
    OPEN(.max_messages = 2, .drop_oldest = true);
    die("a");
    die("b");
    die("c");
    put("x");
    ck_assert_int_eq(msi_queue_retry(queue, now, 0, &count), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(shown(false), "x:0: a:0::a:a ");
    ck_assert_int_eq(msi_queue_retry(queue, now, oldest(true).id, &count), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(count, 0);
    ck_assert_str_eq(shown(true), "b:1:rejected:b:b c:1:rejected:c:c ");
    take(NULL);
    take(NULL);
    msi_queue_consumer_gone(queue, now, A);
    ck_assert_uint_eq(msi_queue_purge(queue, false, now), 2);
    ck_assert_str_eq(take_by(A, true, NULL), "b:1");
    ck_assert_int_eq(msi_queue_retry(queue, now, oldest(true).id, NULL), MSGSRV_NOT_FOUND); /* it is with a consumer */
    ck_assert_int_eq(msi_queue_retry(queue, now, 0, NULL), MSGSRV_OK);
    ck_assert_str_eq(shown(false), "c:0::c:c ");
    close_queue();
}
END_TEST

START_TEST(a_purge_spares_what_is_with_consumers)
{
    const msi_queue_put late = {.delay_ns = SECOND};
    uint64_t id, letter;
    OPEN(0);
    die("x");
    die("y");
    put("a");
    take(&id);
    put("b");
    put_how("c", SIZE, &late, NULL);
    ck_assert_str_eq(take_by(A, true, &letter), "x:1");
    ck_assert_uint_eq(msi_queue_purge(queue, false, now), 2);
    ck_assert_str_eq(shown(false), "a:1: ");
    ck_assert_uint_eq(msi_queue_purge(queue, true, now), 1);
    ck_assert_str_eq(shown(true), "x:1:rejected:x:x ");
    ck_assert_uint_eq(info().delayed, 0);
    ck_assert_uint_eq(info().bytes, SIZE);
    ck_assert_uint_eq(msi_queue_purge(queue, false, now), 0);
    ck_assert_int_eq(settle(id, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_int_eq(settle(letter, MSGSRV_ACK, 0, NULL), MSGSRV_OK);
    ck_assert_str_eq(lost_text, "");
    close_queue();
}
END_TEST

TS_MAIN("queue_dead", after_so_many_deliveries_it_is_dead_however_it_came_back,
        a_delayed_nak_of_the_last_delivery_is_the_end_as_well, a_rejected_one_is_dead_with_its_reason,
        of_a_long_reason_the_beginning_is_kept_in_whole_characters, without_dead_letters_what_dies_is_told,
        dead_letters_are_bounded_and_the_oldest_goes, dead_letters_are_bounded_in_bytes_as_the_queue_is,
        dead_letters_are_consumed_without_another_death, one_put_back_is_as_new_but_for_its_history,
        what_does_not_fit_is_not_put_back, a_purge_spares_what_is_with_consumers)
