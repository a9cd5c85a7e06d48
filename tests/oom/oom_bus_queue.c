/* SPDX-License-Identifier: MIT */
/* The engine in memory and its queues without memory: each failure is said, nothing is half done, and what was taken in is there. */
#include <stdio.h>
#include <string.h>

#include "../bus/events.h"
#include "base/clock.h"
#include "bus/engine.h"
#include "failing.h"
#include "suite.h"

#define OPS (&msi_engine_mem)
#define LOGS 20u    /* more than the first table holds */
#define APPENDS 40u /* the same */

typedef struct using
{
    test_events events;
    msi_event *made[APPENDS];
    msi_engine *engine;
    msi_engine_log *logs[LOGS];
    msi_engine_queue *queues[2];
    msi_queue_consumer consumer;
    unsigned appended;
    unsigned taken;
    unsigned rejected;
    bool odd; /* an answer that is neither OK nor a failure */
}
using;

static const msi_queue_settings settings = {.max_messages = 1000,
                                            .max_bytes = 1000000,
                                            .ack_wait_ns = 100000 * MSI_MS,
                                            .max_dead_letters = 1000,
                                            .dedup_ns = 100000 * MSI_MS,
                                            .dedup_ids = 1000};

/* The events are made before anything fails. */
static void make_events(void *ctx)
{
    using *of = ctx;
    memset(of, 0, sizeof *of);
    test_events_open(&of->events);
    for (unsigned i = 0; i < APPENDS; i++)
        of->made[i] = test_event(&of->events, "abc", 10);
}

static bool fine(using *of, msgsrv_status status)
{
    of->odd = of->odd || (status != MSGSRV_OK && status != MSGSRV_RESOURCE_EXHAUSTED);
    return status == MSGSRV_OK;
}

static bool open_all(using *of)
{
    const msi_engine_host host = {.max_retained_bytes = 1000000};
    msgsrv_error error;
    uint64_t epoch, last;
    if (!fine(of, OPS->open("", &host, &of->engine, &error)))
        return false;
    for (unsigned i = 0; i < LOGS; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof topic, "topic-%u", i);
        if (!fine(of, OPS->log_open(of->engine, topic, &of->logs[i], &epoch, &last, &error)))
            return false;
    }
    return fine(of, OPS->retain(of->engine, of->logs[0], 100, &error)) &&
           fine(of, OPS->queue_open(of->engine, "one", &settings, NULL, &of->queues[0], &error)) &&
           fine(of, OPS->queue_open(of->engine, "two", &settings, NULL, &of->queues[1], &error));
}

static void use(void *ctx)
{
    using *of = ctx;
    char id[64];
    if (!open_all(of))
        return;
    for (unsigned i = 0; i < APPENDS; i++) {
        (void)snprintf(id, sizeof id, "%0*u", (int)i + 1, i);
        msi_append append = {.event = of->made[i], .queues = of->queues, .queue_count = 2, .put = {.id = test_view(id)}};
        if (fine(of, OPS->append(of->engine, of->logs[0], &append))) {
            of->odd = of->odd || append.sequence != ++of->appended;
        } else {
            of->odd = of->odd || append.refused_by != NULL; /* the queue is not full */
        }
    }
    msi_queue_delivery delivery;
    uint64_t now = msi_now();
    while (OPS->take(of->queues[0], false, now, &of->consumer, &delivery)) {
        if (++of->taken % 2 == 0 &&
            OPS->settle(of->queues[0], now, delivery.id, &of->consumer, MSGSRV_REJECT, 0, "a reason") == MSGSRV_OK)
            of->rejected++;
    }
}

static void check_used(void *ctx, bool failed, unsigned n)
{
    using *of = ctx;
    msgsrv_queue_info info;
    ck_assert_msg(!of->odd, "allocation %u", n);
    ck_assert(failed || of->appended == APPENDS);
    for (unsigned i = 0; i < 2 && of->queues[i]; i++) {
        OPS->info(of->queues[i], msi_now(), &info);
        ck_assert_uint_eq(info.published, of->appended);
        ck_assert_uint_eq(info.messages + info.dead, of->appended);
    }
    if (of->queues[1])
        ck_assert_uint_eq(OPS->retained(of->logs[0], NULL), of->appended);
    ck_assert_uint_eq(of->taken, of->appended);
    ck_assert_uint_eq(of->rejected, of->appended / 2);
    if (of->engine)
        OPS->close(of->engine);
    ck_assert_uint_eq(of->consumer.unsettled, 0);
    for (unsigned i = 0; i < APPENDS; i++)
        msi_event_unref(of->made[i]);
    ck_assert_uint_eq(of->events.name->refs, 1);
    test_events_close(&of->events);
}

START_TEST(the_engine_and_its_queues)
{
    static using of;
    ck_assert_uint_gt(failing_sweep(make_events, use, check_used, &of), LOGS);
}
END_TEST

TS_MAIN("oom_bus_queue", the_engine_and_its_queues)
