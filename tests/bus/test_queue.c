/* SPDX-License-Identifier: MIT */
/* bus/queue.h, rule by rule. What they do together is in test_queue_model.c. */
#include "bus/queue.h"

#include <stdio.h>
#include <string.h>

#include "events.h"
#include "suite.h"

#define SECOND 1000000000ull
#define DAY (86400 * SECOND)
#define START (1000 * SECOND)
#define SIZE 100u

static msi_queue_consumer a_consumer, another;
#define A (&a_consumer)
#define B (&another)

static msi_queue_settings settings;
static msi_queue *queue;
static test_events events;
static uint64_t now = START;
static unsigned ready_calls;
static char lost_text[1024]; /* "payload:reason " of each that was told as lost */

static void payload_of(const msi_event *event, char *to, size_t size)
{
    snprintf(to, size, "%.*s", (int)event->payload.size, (const char *)event->payload.data);
}

static void on_ready(msi_queue *which, void *ctx)
{
    ck_assert_ptr_eq(which, queue);
    ck_assert_ptr_eq(ctx, &settings);
    ready_calls++;
}

static void on_lost(msi_queue *which, const msi_event *event, const char *reason, void *ctx)
{
    char payload[64];
    size_t used = strlen(lost_text);
    ck_assert_ptr_eq(which, queue);
    ck_assert_ptr_eq(ctx, &settings);
    payload_of(event, payload, sizeof payload);
    snprintf(lost_text + used, sizeof lost_text - used, "%s:%s ", payload, reason);
}

/* What a test does not set is as wide as can be. */
static void open_queue(void)
{
    ready_calls = 0;
    lost_text[0] = 0;
    test_events_open(&events);
    settings.max_messages = settings.max_messages ? settings.max_messages : 1000;
    settings.max_bytes = settings.max_bytes ? settings.max_bytes : UINT64_MAX;
    settings.ack_wait_ns = settings.ack_wait_ns ? settings.ack_wait_ns : 30 * SECOND;
    settings.max_dead_letters = settings.max_dead_letters ? settings.max_dead_letters : 1000;
    queue = msi_queue_new("a-queue", &settings, on_ready, on_lost, &settings);
    ck_assert_ptr_nonnull(queue);
}

static void close_queue(void)
{
    msi_queue_free(queue);
    test_events_close(&events); /* its name would be missed by an event that is still there */
}

static msgsrv_status put_how(const char *payload, uint32_t size, const msi_queue_put *how, uint64_t *first)
{
    msgsrv_status status = msi_queue_check(queue, now, size, how->id, first);
    if (status == MSGSRV_OK) {
        msi_event *event = test_event(&events, payload, size);
        msi_queue_put_event(queue, now, event, how);
        msi_event_unref(event);
    }
    return status;
}

static msgsrv_status put(const char *payload)
{
    const msi_queue_put how = {0};
    return put_how(payload, SIZE, &how, NULL);
}

static msgsrv_status put_id(const char *payload, const char *id, uint64_t *first)
{
    const msi_queue_put how = {.id = test_view(id)};
    return put_how(payload, SIZE, &how, first);
}

/* Takes, and says what: "payload:count", or "" for nothing. */
static const char *take_by(msi_queue_consumer *consumer, bool dead, uint64_t *id)
{
    static char text[96];
    char payload[64];
    msi_queue_delivery delivery;
    if (!msi_queue_take(queue, dead, now, consumer, &delivery))
        return "";
    payload_of(delivery.event, payload, sizeof payload);
    snprintf(text, sizeof text, "%s:%u", payload, delivery.count);
    if (id)
        *id = delivery.id;
    return text;
}

static const char *take(uint64_t *id)
{
    return take_by(A, false, id);
}

static msgsrv_status settle(uint64_t id, msgsrv_settlement settlement, uint64_t delay, const char *reason)
{
    return msi_queue_settle(queue, now, id, A, settlement, delay, reason);
}

static msgsrv_queue_info info(void)
{
    msgsrv_queue_info at;
    msi_queue_info_get(queue, now, &at);
    return at;
}

static bool add_text(const msgsrv_queued *queued, void *ctx)
{
    char *text = ctx;
    size_t used = strlen(text);
    snprintf(text + used, 512 - used, "%.*s:%u:%s%s%s%s%s ", (int)queued->event->payload_size,
             (const char *)queued->event->payload, queued->count, queued->reason, *queued->first_error ? ":" : "",
             queued->first_error, *queued->last_error ? ":" : "", queued->last_error);
    return true;
}

/* "payload:count:reason:first:last " of each. */
static const char *shown(bool dead)
{
    static char text[512];
    text[0] = 0;
    msi_queue_peek(queue, dead, now, 1, 0, 100, add_text, text);
    return text;
}

#define OPEN(...)                                     \
    do {                                              \
        settings = (msi_queue_settings){__VA_ARGS__}; \
        open_queue();                                 \
    } while (0)

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
    memset(reason, 'x', 255);
    memcpy(reason + 255, "\xc3\xa4\xc3\xa4", 5);
    settle(id, MSGSRV_NAK, 0, reason);
    msi_queue_peek(queue, false, now, 1, 0, 1, copy_error, kept);
    ck_assert_uint_eq(strlen(kept), 255);
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

/* ---- dead letters ---- */

static void die(const char *payload)
{
    uint64_t id;
    put(payload);
    take(&id);
    settle(id, MSGSRV_REJECT, 0, payload);
}

static bool copy_queued(const msgsrv_queued *queued, void *ctx)
{
    *(msgsrv_queued *)ctx = *queued; /* its event is gone when this returns */
    return false;
}

static msgsrv_queued oldest(bool dead)
{
    msgsrv_queued queued = {0};
    msi_queue_peek(queue, dead, now, 5000, 0, 9, copy_queued, &queued);
    return queued;
}

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
        one_is_told_once_until_a_take_finds_nothing, a_message_waits_for_its_time_and_comes_at_its_place,
        lives_end_for_ready_and_delayed_ones_but_not_with_a_consumer, a_late_ack_of_one_whose_life_is_over_is_an_ack,
        days_pass_in_one_step_and_time_does_not_go_back, times_beyond_the_clock_are_its_end,
        after_so_many_deliveries_it_is_dead_however_it_came_back, a_delayed_nak_of_the_last_delivery_is_the_end_as_well,
        a_rejected_one_is_dead_with_its_reason, of_a_long_reason_the_beginning_is_kept_in_whole_characters,
        without_dead_letters_what_dies_is_told, a_full_queue_refuses, or_it_drops_the_oldest_that_can_be_taken,
        an_id_is_recognised_for_its_time, so_many_ids_are_kept_and_what_is_forgotten_too_early_is_counted,
        without_a_window_no_id_is_recognised,
        a_known_id_is_known_though_the_queue_is_full_and_a_check_alone_keeps_nothing,
        dead_letters_are_bounded_and_the_oldest_goes, dead_letters_are_consumed_without_another_death,
        one_put_back_is_as_new_but_for_its_history, what_does_not_fit_is_not_put_back,
        a_purge_spares_what_is_with_consumers, messages_are_shown_page_by_page, moments_are_shown_in_the_time_of_people)
