/* SPDX-License-Identifier: MIT */
/*
 * bus/queue.h against a model: random operations, after each of which all that can be seen of the queue is as the model says. A seed that fails
 * is told; QUEUE_MODEL_SEED=N runs that one alone, QUEUE_MODEL_SEEDS=N as many from 1 on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "guard.h"
#include "queue_model.h"
#include "suite.h"

#define SEEDS 4000u
#define UNIT 1000ull /* of time: a microsecond, so that nothing is rounded */
#define WALL 1000000000000000ull
#define CONSUMERS 8u
#define REMEMBERED 64u

typedef struct model_run {
    unsigned seed;
    unsigned step;
    const char *operation;
    uint64_t random;
    bool large;
    uint64_t now;
    test_events events;
    msi_queue *queue;
    model_queue model;
    msi_queue_consumer consumers[CONSUMERS];
    uint64_t deliveries[REMEMBERED]; /* some of the last ones, settled or not */
    uint64_t last_delivery;
    uint64_t ready_calls;
    uint64_t lost_calls;
    uint64_t lost_sequence;
    char lost_reason[32];
} model_run;

static model_run the_run;

#define EXPECT(condition)                                                                                      \
    TS_CHECK(condition, "QUEUE_MODEL_SEED=%u, step %u, %s: %s", the_run.seed, the_run.step, the_run.operation, \
             #condition)

/* ---- chance ---- */

static uint32_t below(model_run *run, uint32_t bound)
{
    run->random = run->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((run->random >> 33) % bound);
}

static bool one_in(model_run *run, uint32_t n)
{
    return below(run, n) == 0;
}

static uint64_t some_time(model_run *run, uint32_t most)
{
    return UNIT * (1 + below(run, most));
}

static msi_queue_consumer *some_consumer(model_run *run)
{
    return &run->consumers[below(run, run->large ? CONSUMERS : 3)];
}

static const char *some_reason(model_run *run)
{
    static const char *const reasons[] = {NULL, "one", "two", "three"};
    return reasons[below(run, 4)];
}

static void choose_settings(model_run *run, msi_queue_settings *to)
{
    *to = (msi_queue_settings){
        .max_messages = run->large ? 300 : 1 + below(run, 12),
        .max_bytes = one_in(run, 2) ? UINT64_MAX / 2 : 1 + below(run, 1000),
        .drop_oldest = one_in(run, 2),
        .ack_wait_ns = some_time(run, run->large ? 1000 : 30),
        .max_deliver = below(run, 5),
        .ttl_ns = one_in(run, 3) ? some_time(run, 60) : 0,
        .no_dead_letters = one_in(run, 6),
        .max_dead_letters = run->large ? 200 : below(run, 10),
        .dedup_ns = one_in(run, 4) ? 0 : some_time(run, 60),
        .dedup_ids = below(run, 10),
    };
}

/* ---- comparing ---- */

typedef struct model_look {
    model_run *run;
    bool dead;
    uint64_t after;
    uint32_t left;
} model_look;

static uint64_t wall_of(const model_run *run, uint64_t moment)
{
    return moment == 0 ? 0 : WALL + moment / UNIT - run->model.now / UNIT;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b ? b : "") == 0;
}

static bool on_shown(const msgsrv_queued *queued, void *ctx)
{
    model_look *looking = ctx;
    model_run *run = looking->run;
    const model_message *message = model_after(&run->model, looking->dead, looking->after);
    EXPECT(message != NULL && looking->left > 0);
    EXPECT(queued->id == message->id);
    EXPECT(queued->event->sequence == message->sequence);
    EXPECT(queued->event->payload_size == 3 && memcmp(queued->event->payload, "abc", 3) == 0);
    EXPECT(queued->count == message->count);
    EXPECT(queued->deaths == message->deaths);
    EXPECT(queued->unsettled == (message->state == MODEL_UNSETTLED));
    EXPECT(queued->not_before_us == wall_of(run, message->state == MODEL_DELAYED ? message->not_before : 0));
    EXPECT(queued->expires_us == wall_of(run, message->expires));
    EXPECT(queued->died_us == wall_of(run, message->dead ? message->died : 0));
    EXPECT(same(queued->reason, message->reason));
    EXPECT(same(queued->first_error, message->first_error));
    EXPECT(same(queued->last_error, message->last_error));
    looking->after = message->id;
    looking->left--;
    return true;
}

static void compare_shown(model_run *run, bool dead, uint64_t after, uint32_t max)
{
    model_look looking = {.run = run, .dead = dead, .after = after, .left = max};
    msi_queue_peek(run->queue, dead, run->now, WALL, after, max, on_shown, &looking);
    EXPECT(looking.left == 0 || model_after(&run->model, dead, looking.after) == NULL);
}

static void compare(model_run *run)
{
    msgsrv_queue_info is = {0}, should = {0};
    EXPECT(msi_queue_due(run->queue) == model_due(&run->model));
    msi_queue_info_get(run->queue, run->now, &is);
    model_info(&run->model, &should);
    EXPECT(same(is.name, "model"));
#define SAME(field) EXPECT(is.field == should.field)
    SAME(messages);
    SAME(bytes);
    SAME(unsettled);
    SAME(delayed);
    SAME(dead);
    SAME(published);
    SAME(delivered);
    SAME(redelivered);
    SAME(acked);
    SAME(rejected);
    SAME(expired);
    SAME(refused);
    SAME(dropped);
    SAME(duplicates);
    SAME(dedup_evicted);
#undef SAME
    for (unsigned i = 0; i < CONSUMERS; i++)
        EXPECT(run->consumers[i].unsettled == model_held(&run->model, &run->consumers[i]));
    EXPECT(run->ready_calls == run->model.ready_calls);
    EXPECT(run->lost_calls == run->model.lost_calls);
    EXPECT(run->lost_sequence == run->model.lost_sequence);
    EXPECT(same(run->lost_reason, run->model.lost_reason));
    if (run->large && !one_in(run, 16))
        return;
    compare_shown(run, false, 0, UINT32_MAX);
    compare_shown(run, true, 0, UINT32_MAX);
}

/* ---- operations ---- */

static void on_ready(msi_queue *queue, void *ctx)
{
    (void)queue;
    ((model_run *)ctx)->ready_calls++;
}

static void on_lost(msi_queue *queue, const msi_event *event, const char *reason, void *ctx)
{
    model_run *run = ctx;
    (void)queue;
    run->lost_calls++;
    run->lost_sequence = event->sequence;
    snprintf(run->lost_reason, sizeof run->lost_reason, "%s", reason);
}

static void put(model_run *run)
{
    char id[32] = "";
    uint64_t number = one_in(run, 2) ? 1 + below(run, 12) : 0;
    uint32_t size = below(run, 200);
    uint64_t is = 0, should = 0;
    if (number)
        snprintf(id, sizeof id, "%0*u", (int)number * 2, (unsigned)number);
    const msi_queue_put how = {
        .id = test_view(id),
        .ttl_ns = one_in(run, 4) ? some_time(run, 40) : 0,
        .delay_ns = one_in(run, 4) ? some_time(run, 40) : 0,
    };
    msgsrv_status status = msi_queue_check(run->queue, run->now, size, how.id, &is);
    EXPECT(status == model_check(&run->model, run->now, size, number, &should));
    EXPECT(is == should);
    if (status != MSGSRV_OK || one_in(run, 20)) /* another queue may have refused it */
        return;
    msi_event *event = test_event(&run->events, "abc", size);
    model_put(&run->model, run->now, event->sequence, size, number, how.ttl_ns, how.delay_ns);
    msi_queue_put_event(run->queue, run->now, event, &how);
    msi_event_unref(event);
}

static void take(model_run *run)
{
    msi_queue_delivery delivery;
    bool dead = one_in(run, 4);
    msi_queue_consumer *consumer = some_consumer(run);
    model_message *message = model_take(&run->model, dead, run->now, consumer);
    bool taken = msi_queue_take(run->queue, dead, run->now, consumer, &delivery);
    EXPECT(taken == (message != NULL));
    if (!taken)
        return;
    EXPECT(delivery.event->sequence == message->sequence);
    EXPECT(delivery.count == (dead ? message->dead_count : message->count));
    EXPECT(delivery.id > run->last_delivery);
    run->last_delivery = message->delivery = delivery.id;
    run->deliveries[below(run, REMEMBERED)] = delivery.id;
}

/* Mostly of what is with a consumer; sometimes of what was, or never has been. */
static void settle(model_run *run)
{
    uint64_t delivery = run->deliveries[below(run, REMEMBERED)];
    msi_queue_consumer *consumer = some_consumer(run);
    const model_message *message =
        run->model.count ? &run->model.messages[below(run, (uint32_t)run->model.count)] : NULL;
    if (message && message->state == MODEL_UNSETTLED && !one_in(run, 8)) {
        delivery = message->delivery;
        consumer = &run->consumers[message->consumer - run->consumers];
    }
    msgsrv_settlement settlement = (msgsrv_settlement)(MSGSRV_ACK + below(run, 4));
    uint64_t delay = one_in(run, 2) ? some_time(run, 30) : 0;
    const char *reason = some_reason(run);
    msgsrv_status should = model_settle(&run->model, run->now, delivery, consumer, settlement, delay, reason);
    EXPECT(msi_queue_settle(run->queue, run->now, delivery, consumer, settlement, delay, reason) == should);
}

static void pass_time(model_run *run)
{
    run->now += one_in(run, 100) ? 86400000000ull * UNIT : one_in(run, 2) ? some_time(run, 4) : some_time(run, 20);
    if (one_in(run, 3)) {
        uint64_t due = model_due(&run->model);
        run->now = due > run->now ? due : run->now;
    }
    if (one_in(run, 10))
        run->now -= some_time(run, 3); /* said late */
    model_advance(&run->model, run->now);
    msi_queue_advance(run->queue, run->now);
}

static void consumer_goes(model_run *run)
{
    msi_queue_consumer *consumer = some_consumer(run);
    model_gone(&run->model, run->now, consumer);
    msi_queue_consumer_gone(run->queue, run->now, consumer);
}

static void retry(model_run *run)
{
    uint64_t is, should;
    const model_message *message = model_after(&run->model, true, 0);
    uint64_t id = message && one_in(run, 2) ? message->id : below(run, 100);
    if (one_in(run, 3))
        id = 0;
    msgsrv_status status = model_retry(&run->model, run->now, id, &should);
    EXPECT(msi_queue_retry(run->queue, run->now, id, &is) == status);
    EXPECT(is == should);
}

static void purge(model_run *run)
{
    bool dead = one_in(run, 2);
    uint64_t should = model_purge(&run->model, dead, run->now);
    EXPECT(msi_queue_purge(run->queue, dead, run->now) == should);
}

static void bound_dead(model_run *run)
{
    uint32_t max = below(run, 10);
    model_bound_dead(&run->model, run->now, max);
    msi_queue_bound_dead(run->queue, run->now, max);
}

static void peek(model_run *run)
{
    bool dead = one_in(run, 2);
    uint64_t after = run->model.last_id ? below(run, (uint32_t)run->model.last_id + 2) : 0;
    model_advance(&run->model, run->now);
    compare_shown(run, dead, after, below(run, 10));
    compare_shown(run, dead, after, below(run, 10));
}

static const struct {
    const char *name;
    void (*run)(model_run *run);
    uint32_t weight;
} OPERATIONS[] = {
    {"put", put, 40},        {"take", take, 40},  {"settle", settle, 30},
    {"time", pass_time, 12}, {"peek", peek, 6},   {"gone", consumer_goes, 3},
    {"retry", retry, 4},     {"purge", purge, 1}, {"bound-dead", bound_dead, 1},
};

static void step(model_run *run)
{
    uint32_t chance = below(run, 137), i = 0;
    while (chance >= OPERATIONS[i].weight)
        chance -= OPERATIONS[i++].weight;
    run->operation = OPERATIONS[i].name;
    OPERATIONS[i].run(run);
    compare(run);
}

static void run_seed(unsigned seed)
{
    model_run *run = &the_run;
    *run = (model_run){.seed = seed, .operation = "new", .random = seed * 0x9e3779b97f4a7c15u, .now = 1000000 * UNIT};
    (void)below(run, 2);
    run->large = seed % 50 == 0;
    choose_settings(run, &run->model.settings);
    test_events_open(&run->events);
    run->queue = msi_queue_new("model", &run->model.settings, on_ready, on_lost, run);
    EXPECT(run->queue != NULL);
    for (run->step = 1; run->step <= (run->large ? 2000u : 300u); run->step++)
        step(run);
    msi_queue_free(run->queue);
    for (unsigned i = 0; i < CONSUMERS; i++)
        EXPECT(run->consumers[i].unsettled == 0 && run->consumers[i].oldest == NULL);
    EXPECT(run->events.name->refs == 1); /* the queue kept no event */
    test_events_close(&run->events);
}

static unsigned number_of(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(a_queue_does_what_its_model_does)
{
    unsigned seed = number_of("QUEUE_MODEL_SEED", 0);
    unsigned seeds = number_of("QUEUE_MODEL_SEEDS", SEEDS);
    TS_HERE;
    if (seed) {
        run_seed(seed);
        return;
    }
    for (seed = 1; seed <= seeds; seed++)
        run_seed(seed);
}
END_TEST

TS_MAIN("queue_model", a_queue_does_what_its_model_does)
