/* SPDX-License-Identifier: MIT */
/* bus/mem.c through the table of an engine: what is numbered, retained and read, and that an append is all or nothing. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bus/engine.h"
#include "events.h"
#include "suite.h"

#define MIB (1u << 20)
#define OPS (&msi_engine_mem)

static msi_engine *engine;
static test_events events;
static char told[512]; /* "ready:QUEUE " and "lost:QUEUE:REASON " */
static int host_ctx;

static void on_ready(void *ctx, void *queue_ctx)
{
    size_t used = strlen(told);
    ck_assert_ptr_eq(ctx, &host_ctx);
    snprintf(told + used, sizeof told - used, "ready:%s ", (const char *)queue_ctx);
}

static void on_lost(void *ctx, void *queue_ctx, const msi_event *event, const char *reason)
{
    size_t used = strlen(told);
    ck_assert_ptr_eq(ctx, &host_ctx);
    ck_assert_ptr_nonnull(event);
    snprintf(told + used, sizeof told - used, "lost:%s:%s ", (const char *)queue_ctx, reason);
}

static void open_engine(uint64_t max_retained_bytes)
{
    const msi_engine_host host = {
        .ctx = &host_ctx, .max_retained_bytes = max_retained_bytes, .queue_ready = on_ready, .queue_lost = on_lost};
    told[0] = 0;
    test_events_open(&events);
    ck_assert_int_eq(OPS->open("", &host, &engine, NULL), MSGSRV_OK);
}

static void close_engine(void)
{
    OPS->close(engine);
    ck_assert_uint_eq(events.name->refs, 1); /* it kept no event */
    test_events_close(&events);
}

static msi_engine_log *open_log(const char *topic, uint32_t retain)
{
    msi_engine_log *log = NULL;
    uint64_t epoch = 0, last = 9;
    ck_assert_int_eq(OPS->log_open(engine, topic, &log, &epoch, &last, NULL), MSGSRV_OK);
    ck_assert_uint_ne(epoch, 0);
    ck_assert_int_eq(OPS->retain(engine, log, retain, NULL), MSGSRV_OK);
    return log;
}

static msi_engine_queue *open_queue(const char *name, uint32_t max_messages, bool drop_oldest)
{
    const msi_queue_settings settings = {.max_messages = max_messages,
                                         .max_bytes = MIB,
                                         .drop_oldest = drop_oldest,
                                         .ack_wait_ns = 30000 * MSI_MS,
                                         .no_dead_letters = true,
                                         .dedup_ns = 100000 * MSI_MS,
                                         .dedup_ids = 100};
    msi_engine_queue *queue = NULL;
    ck_assert_int_eq(OPS->queue_open(engine, name, &settings, (void *)(uintptr_t)name, &queue, NULL), MSGSRV_OK);
    return queue;
}

/* Appends, with what an answer says in `answer`. */
static msgsrv_status append_to(msi_engine_log *log, uint32_t size, const char *id, msi_engine_queue *const *queues,
                               uint32_t count, msi_append *answer)
{
    msi_event *event = test_event(&events, "abc", size);
    event->sequence = 0;
    *answer = (msi_append){.event = event, .queues = queues, .queue_count = count, .put = {.id = test_view(id)}};
    msgsrv_status status = OPS->append(engine, log, answer);
    if (status == MSGSRV_OK)
        ck_assert_uint_eq(event->sequence, answer->sequence);
    else
        ck_assert_uint_eq(event->sequence, 0);
    msi_event_unref(event);
    return status;
}

static void append(msi_engine_log *log, uint32_t size, uint64_t sequence)
{
    msi_append answer;
    ck_assert_int_eq(append_to(log, size, NULL, NULL, 0, &answer), MSGSRV_OK);
    ck_assert_uint_eq(answer.sequence, sequence);
    ck_assert(!answer.duplicate);
}

/* What can be read from a sequence on: so many from the first to the last. */
static void expect_read(msi_engine_log *log, uint64_t from, uint32_t max, uint64_t first, uint32_t count)
{
    msi_event *read[2000];
    ck_assert_uint_eq(OPS->read(log, from, read, max), count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(read[i]->sequence, first + i);
        msi_event_unref(read[i]);
    }
}

static void expect_retained(msi_engine_log *log, uint64_t first, uint32_t count)
{
    uint64_t oldest = 0;
    ck_assert_uint_eq(OPS->retained(log, &oldest), count);
    ck_assert_uint_eq(oldest, first);
    expect_read(log, 0, 2000, first, count);
}

static uint64_t messages(msi_engine_queue *queue)
{
    msgsrv_queue_info info;
    OPS->info(queue, msi_now(), &info);
    return info.messages;
}

/* ---- logs ---- */

START_TEST(what_it_can_has_names)
{
    ck_assert_str_eq(OPS->scheme, "mem");
    ck_assert_str_eq(msi_capability_name(MSI_CAN_DENSE_SEQUENCE), "dense_sequence");
    ck_assert_str_eq(msi_capability_name(MSI_CAN_SYNC_LEVEL), "sync_level");
    ck_assert_str_eq(msi_capability_name(MSI_CAPABILITY_COUNT), "");
    for (msi_capability i = 0; i < MSI_CAPABILITY_COUNT; i++)
        ck_assert_int_eq(OPS->capabilities >> i & 1, i != MSI_CAN_SYNC_LEVEL);
}
END_TEST

START_TEST(each_topic_counts_for_itself_within_its_epoch)
{
    uint64_t first, second, again, last;
    msi_engine_log *a, *b, *c;
    open_engine(MIB);
    OPS->log_open(engine, "a", &a, &first, &last, NULL);
    ck_assert_uint_eq(last, 0);
    OPS->log_open(engine, "b", &b, &second, &last, NULL);
    ck_assert_uint_ne(first, second);
    append(a, 1, 1);
    append(a, 1, 2);
    append(b, 1, 1);
    OPS->log_open(engine, "a", &c, &again, &last, NULL);
    ck_assert_ptr_eq(c, a);
    ck_assert_uint_eq(again, first);
    ck_assert_uint_eq(last, 2);
    OPS->log_forget(engine, a);
    OPS->log_open(engine, "a", &c, &again, &last, NULL);
    ck_assert_uint_ne(again, first);
    ck_assert_uint_eq(last, 0);
    append(c, 1, 1);
    close_engine();
}
END_TEST

START_TEST(many_topics_are_found_again)
{
    enum { TOPICS = 2000 };
    static msi_engine_log *logs[TOPICS];
    char topic[32];
    open_engine(MIB);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic.%d", i);
        logs[i] = open_log(topic, 1);
        append(logs[i], 10, 1);
    }
    for (int i = 0; i < TOPICS; i += 2)
        OPS->log_forget(engine, logs[i]);
    ck_assert_uint_eq(OPS->retained_bytes(engine), TOPICS / 2 * 10);
    for (int i = 1; i < TOPICS; i += 2) {
        snprintf(topic, sizeof topic, "topic.%d", i);
        ck_assert_ptr_eq(open_log(topic, 1), logs[i]);
    }
    close_engine();
}
END_TEST

START_TEST(the_last_events_are_retained)
{
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 0);
    append(log, 10, 1);
    expect_retained(log, 2, 0);
    ck_assert_int_eq(OPS->retain(engine, log, 20, NULL), MSGSRV_OK);
    expect_retained(log, 2, 0);
    for (unsigned i = 2; i <= 100; i++) {
        append(log, 10, i);
        expect_retained(log, i < 21 ? 2 : i - 19, i < 21 ? i - 1 : 20);
    }
    ck_assert_uint_eq(OPS->retained_bytes(engine), 200);
    expect_read(log, 90, 2000, 90, 11);
    expect_read(log, 5, 2000, 81, 20);
    expect_read(log, 95, 3, 95, 3);
    expect_read(log, 100, 5, 100, 1);
    expect_read(log, 101, 5, 101, 0);
    expect_read(log, UINT64_MAX, 5, 0, 0);
    expect_read(log, 0, 0, 0, 0);
    ck_assert_int_eq(OPS->retain(engine, log, 5, NULL), MSGSRV_OK);
    expect_retained(log, 96, 5);
    ck_assert_int_eq(OPS->retain(engine, log, 1000, NULL), MSGSRV_OK);
    expect_retained(log, 96, 5);
    for (unsigned i = 101; i <= 2000; i++)
        append(log, 0, i);
    expect_retained(log, 1001, 1000);
    ck_assert_int_eq(OPS->retain(engine, log, 0, NULL), MSGSRV_OK);
    expect_retained(log, 2001, 0);
    append(log, 10, 2001);
    expect_retained(log, 2002, 0);
    ck_assert_uint_eq(OPS->retained_bytes(engine), 0);
    close_engine();
}
END_TEST

START_TEST(more_than_a_thousand_are_not_retained)
{
    msgsrv_error error;
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 3);
    ck_assert_int_eq(OPS->retain(engine, log, 1001, &error), MSGSRV_INVALID_ARGUMENT);
    append(log, 1, 1);
    expect_retained(log, 1, 1);
    close_engine();
}
END_TEST

START_TEST(a_topic_retains_a_mebibyte)
{
    open_engine(100 * MIB);
    msi_engine_log *log = open_log("a", 1000);
    for (unsigned i = 1; i <= 4; i++)
        append(log, MIB / 4, i);
    expect_retained(log, 1, 4);
    append(log, 1, 5);
    expect_retained(log, 2, 4);
    append(log, MIB, 6);
    expect_retained(log, 6, 1);
    append(log, MIB + 1, 7); /* by itself too much */
    expect_retained(log, 8, 0);
    append(log, 1, 8);
    expect_retained(log, 8, 1);
    close_engine();
}
END_TEST

START_TEST(what_is_too_much_in_all_goes_from_the_topic_that_brings_it)
{
    open_engine(1000);
    msi_engine_log *a = open_log("a", 100), *b = open_log("b", 100);
    append(a, 400, 1);
    append(a, 400, 2);
    append(b, 100, 1);
    append(b, 100, 2);
    expect_retained(b, 1, 2);
    append(b, 100, 3);
    expect_retained(b, 2, 2);
    append(b, 300, 4);
    expect_retained(b, 5, 0);
    expect_retained(a, 1, 2);
    append(a, 400, 3);
    expect_retained(a, 2, 2);
    ck_assert_uint_eq(OPS->retained_bytes(engine), 800);
    OPS->log_forget(engine, a);
    append(b, 900, 5);
    expect_retained(b, 5, 1);
    close_engine();
}
END_TEST

/* ---- queues ---- */

START_TEST(an_append_is_all_or_nothing)
{
    msi_append answer;
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 10);
    msi_engine_queue *both[] = {open_queue("large", 10, false), open_queue("small", 1, false)};
    ck_assert_int_eq(append_to(log, 1, "x", both, 2, &answer), MSGSRV_OK);
    ck_assert_str_eq(told, "ready:large ready:small ");
    ck_assert_int_eq(append_to(log, 1, "y", both, 2, &answer), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(answer.refused_by, "small");
    ck_assert_uint_eq(messages(both[0]), 1);
    expect_retained(log, 1, 1);
    ck_assert_int_eq(append_to(log, 1, "y", both, 1, &answer), MSGSRV_OK); /* the refused one has left no id */
    ck_assert_uint_eq(answer.sequence, 2);
    close_engine();
}
END_TEST

START_TEST(a_refusal_drops_nothing_from_the_others)
{
    msi_append answer;
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 0);
    msi_engine_queue *both[] = {open_queue("drops", 1, true), open_queue("refuses", 1, false)};
    ck_assert_int_eq(append_to(log, 1, NULL, both, 2, &answer), MSGSRV_OK);
    ck_assert_int_eq(append_to(log, 1, NULL, both, 2, &answer), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(told, "ready:drops ready:refuses ");
    ck_assert_int_eq(append_to(log, 1, NULL, both, 1, &answer), MSGSRV_OK);
    ck_assert_str_eq(told, "ready:drops ready:refuses lost:drops:full ");
    close_engine();
}
END_TEST

START_TEST(a_duplicate_is_one_that_all_queues_know)
{
    msi_append answer;
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 10);
    msi_engine_queue *both[] = {open_queue("one", 10, false), open_queue("two", 10, false)};
    append(log, 1, 1);
    ck_assert_int_eq(append_to(log, 1, "x", both, 1, &answer), MSGSRV_OK);
    ck_assert_int_eq(append_to(log, 1, "x", both, 1, &answer), MSGSRV_ALREADY_EXISTS);
    ck_assert(answer.duplicate);
    ck_assert_uint_eq(answer.sequence, 2);
    ck_assert_int_eq(append_to(log, 1, "x", both, 2, &answer), MSGSRV_OK); /* the second one does not */
    ck_assert(!answer.duplicate);
    ck_assert_uint_eq(answer.sequence, 3);
    ck_assert_uint_eq(messages(both[0]), 1);
    ck_assert_uint_eq(messages(both[1]), 1);
    ck_assert_int_eq(append_to(log, 1, "x", both, 2, &answer), MSGSRV_ALREADY_EXISTS);
    ck_assert_uint_eq(answer.sequence, 2);
    expect_retained(log, 1, 3);
    ck_assert_int_eq(append_to(log, 1, "x", NULL, 0, &answer), MSGSRV_OK); /* without a queue nobody knows it */
    close_engine();
}
END_TEST

static bool count_shown(const msgsrv_queued *queued, void *ctx)
{
    (void)queued;
    ++*(unsigned *)ctx;
    return true;
}

START_TEST(a_queue_is_what_queue_h_says)
{
    msi_queue_consumer consumer = {0};
    msi_queue_delivery delivery;
    msi_append answer;
    uint64_t count;
    unsigned shown = 0;
    msi_queue_settings settings = {.max_messages = 10, .max_bytes = 100, .ack_wait_ns = 1, .max_dead_letters = 10};
    msi_engine_queue *queue, *other;
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 0);
    ck_assert_int_eq(OPS->queue_open(engine, "q", &settings, "q", &queue, NULL), MSGSRV_OK);
    ck_assert_int_eq(OPS->queue_open(engine, "q", &settings, "q", &other, NULL), MSGSRV_ALREADY_EXISTS);
    ck_assert_int_eq(append_to(log, 1, NULL, &queue, 1, &answer), MSGSRV_OK);

    uint64_t now = msi_now();
    ck_assert(OPS->take(queue, false, now, &consumer, &delivery));
    ck_assert_uint_eq(OPS->due(queue), now + 1);
    OPS->consumer_gone(queue, now, &consumer);
    ck_assert(OPS->take(queue, false, now, &consumer, &delivery));
    ck_assert_uint_eq(delivery.count, 2);
    ck_assert_int_eq(OPS->settle(queue, now, delivery.id, &consumer, MSGSRV_REJECT, 0, "x"), MSGSRV_OK);
    OPS->advance(queue, now + 5);
    ck_assert_uint_eq(OPS->due(queue), 0);
    OPS->peek(queue, true, now, 1, 0, 10, count_shown, &shown);
    ck_assert_uint_eq(shown, 1);
    ck_assert_int_eq(OPS->retry(queue, now, 0, &count), MSGSRV_OK);
    ck_assert_uint_eq(messages(queue), 1);
    ck_assert_uint_eq(OPS->purge(queue, false, now), 1);
    OPS->bound_dead(queue, now, 0);
    OPS->queue_delete(engine, queue);
    ck_assert_int_eq(OPS->queue_open(engine, "q", &settings, "q", &queue, NULL), MSGSRV_OK);
    ck_assert_int_eq(OPS->queue_open(engine, "r", &settings, "r", &other, NULL), MSGSRV_OK);
    OPS->queue_delete(engine, queue);
    close_engine();
}
END_TEST

START_TEST(a_disk_it_has_not)
{
    open_engine(MIB);
    msi_engine_log *log = open_log("a", 1);
    msi_event *event = test_event(&events, "abc", 1);
    msi_append answer = {.event = event, .level = MSI_SYNCED};
    ck_assert_int_eq(OPS->append(engine, log, &answer), MSGSRV_UNIMPLEMENTED);
    expect_retained(log, 1, 0);
    msi_event_unref(event);
    close_engine();
}
END_TEST

TS_MAIN("mem", what_it_can_has_names, each_topic_counts_for_itself_within_its_epoch, many_topics_are_found_again,
        the_last_events_are_retained, more_than_a_thousand_are_not_retained, a_topic_retains_a_mebibyte,
        what_is_too_much_in_all_goes_from_the_topic_that_brings_it, an_append_is_all_or_nothing,
        a_refusal_drops_nothing_from_the_others, a_duplicate_is_one_that_all_queues_know, a_queue_is_what_queue_h_says,
        a_disk_it_has_not)
