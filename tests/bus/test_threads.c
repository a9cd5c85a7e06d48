/* SPDX-License-Identifier: MIT */
/*
 * threads ENGINE: publishers on threads of the program's, subscribers and consumers on threads of their handles, joining and leaving meanwhile;
 * for ThreadSanitizer, and for what must hold even so.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msgsrv/bus.h>

#include "guard.h"
#include "messages.msgsrv.h"

enum { PUBLISHERS = 4, EACH = 2000, ALL = PUBLISHERS * EACH };

static bool remote;
static msgsrv_bus *host;
static msgsrv_server *server;
static char url[96];

/* What one subscription or consumer was told, on its handle's thread. */
typedef struct listener {
    msgsrv_bus *bus;
    msgsrv_handle id;
    atomic_ulong events; /* read by the test */
    atomic_ulong lost;
    atomic_uint ready;
    atomic_uint ended;
    atomic_ulong last; /* sequence that was told in any way */
    /* The handle's thread alone. */
    uint64_t begin; /* the first sequence */
    uint64_t at;
    int32_t from[PUBLISHERS];
    bool shares; /* of a group: it does not get everything */
    bool wrong;  /* order, or a hole */
    char why[MSGSRV_ERROR_TEXT];
} listener;

static void told(listener *of, uint64_t first, uint64_t last)
{
    if (of->begin == 0)
        of->begin = first;
    else if (!of->shares && first != of->at + 1)
        of->wrong = true;
    of->at = last;
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    listener *of = ctx;
    const messages_AddRequest *request = event->message;
    (void)bus;
    if (request->a < 0 || request->a >= PUBLISHERS || (!event->redelivered && request->b <= of->from[request->a]))
        of->wrong = true;
    else
        of->from[request->a] = request->b;
    told(of, event->sequence, event->sequence);
    atomic_fetch_add(&of->events, 1);
    atomic_store(&of->last, event->sequence);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    listener *of = ctx;
    (void)bus;
    if (gap->topic_count != 1 || gap->unknown)
        of->wrong = true;
    else
        told(of, gap->topics[0].first, gap->topics[0].last);
    atomic_fetch_add(&of->lost, gap->total);
    atomic_store(&of->last, gap->topics[0].last);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    atomic_fetch_add(&((listener *)ctx)->ready, 1);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    listener *of = ctx;
    (void)bus;
    (void)gap;
    snprintf(of->why, sizeof of->why, "%s", why->text);
    atomic_fetch_add(&of->ended, 1);
}

#define WAIT(condition)                                              \
    do {                                                             \
        for (uint64_t end_ = ts_guard(); !(condition); ts_nap())     \
            TS_CHECK(ts_now_ms() < end_, "in vain: %s", #condition); \
    } while (0)

static msgsrv_bus *open_handle(bool thread)
{
    msgsrv_bus *bus = NULL;
    msgsrv_error error = {0};
    msgsrv_status status = msgsrv_bus_open(url, &(msgsrv_bus_options){.thread = thread}, &bus, &error);
    ck_assert_msg(status == MSGSRV_OK, "%s", error.text);
    return bus;
}

static void listen_on(listener *of, msgsrv_bus *bus, const msgsrv_subscribe_options *options)
{
    static const msgsrv_subscriber subscriber = {on_event, on_gap, on_ready, on_end};
    msgsrv_error error = {0};
    of->bus = bus;
    of->shares = options->group != NULL;
    msgsrv_status status =
        msgsrv_bus_subscribe(bus, &messages_AddRequest_type, options, &subscriber, of, &of->id, &error);
    ck_assert_msg(status == MSGSRV_OK, "%s", error.text);
    WAIT(atomic_load(&of->ready) + atomic_load(&of->ended) == 1);
    ck_assert_msg(atomic_load(&of->ended) == 0, "%s", of->why);
}

typedef struct publisher {
    msgsrv_bus *bus;
    int32_t number;
    unsigned failed;
} publisher;

static void *publish_all(void *arg)
{
    publisher *self = arg;
    for (int32_t i = 1; i <= EACH; i++) {
        messages_AddRequest request = {.a = self->number, .b = i};
        self->failed +=
            msgsrv_bus_publish(self->bus, "t", &messages_AddRequest_type, &request, NULL, NULL, NULL) != MSGSRV_OK;
    }
    return NULL;
}

static void set_up(void)
{
    msgsrv_error error = {0};
    snprintf(url, sizeof url, "mem:threads-%ld", (long)getpid());
    ck_assert_int_eq(msgsrv_bus_open(url, NULL, &host, &error), MSGSRV_OK);
    if (!remote)
        return;
    snprintf(url, sizeof url, "unix:@msgsrv-bus-threads-%ld", (long)getpid());
    ck_assert_int_eq(msgsrv_server_new(&(msgsrv_server_options){.threads = 2}, &server, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_bus_serve(host, server, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_server_listen(server, url, &error), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_server_start(server, &error), MSGSRV_OK);
}

static void tear_down(void)
{
    msgsrv_server_free(server);
    msgsrv_bus_free(host);
}

/* Threads that publish, each on a handle of its own or all on one, which has a thread. */
static void start(pthread_t *threads, publisher *publishers, msgsrv_bus *shared)
{
    for (int32_t i = 0; i < PUBLISHERS; i++) {
        publishers[i] = (publisher){.bus = shared != NULL ? shared : open_handle(false), .number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_all, &publishers[i]), 0);
    }
}

static void join(pthread_t *threads, publisher *publishers, msgsrv_bus *shared)
{
    for (int i = 0; i < PUBLISHERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(publishers[i].failed, 0);
        if (shared == NULL)
            msgsrv_bus_free(publishers[i].bus);
    }
}

static const msgsrv_subscribe_options everything = {.pattern = "t", .max_events = 1000000, .max_bytes = 256u << 20};

static void play(msgsrv_bus *shared)
{
    static listener all, few, members[2];
    pthread_t threads[PUBLISHERS];
    publisher publishers[PUBLISHERS];
    msgsrv_bus *buses[4];
    for (int i = 0; i < 4; i++)
        buses[i] = open_handle(true);
    listen_on(&all, buses[0], &everything);
    listen_on(&few, buses[1], &(msgsrv_subscribe_options){.pattern = "t", .max_events = 3});
    for (int i = 0; i < 2; i++)
        listen_on(
            &members[i], buses[2 + i],
            &(msgsrv_subscribe_options){.pattern = "t", .group = "g", .max_events = 1000000, .max_bytes = 256u << 20});
    start(threads, publishers, shared);
    join(threads, publishers, shared);
    WAIT(atomic_load(&all.events) == ALL);
    WAIT(atomic_load(&few.last) == ALL);
    WAIT(atomic_load(&members[0].events) + atomic_load(&members[1].events) == ALL);
    ck_assert_uint_eq(atomic_load(&few.events) + atomic_load(&few.lost), ALL);
    for (int i = 0; i < 4; i++)
        msgsrv_bus_free(buses[i]);
    ck_assert(!all.wrong && !few.wrong && !members[0].wrong && !members[1].wrong);
    ck_assert_uint_eq(atomic_load(&all.ended) + atomic_load(&few.ended), 2);
}

START_TEST(threads_publish_and_handles_with_threads_listen)
{
    play(NULL);
}
END_TEST

START_TEST(threads_publish_on_one_handle)
{
    msgsrv_bus *shared = open_handle(true);
    play(shared);
    msgsrv_bus_free(shared);
}
END_TEST

START_TEST(who_joins_while_threads_publish_misses_none_and_gets_none_twice)
{
    enum { JOINERS = 30 };
    static listener joiners[JOINERS];
    pthread_t threads[PUBLISHERS];
    publisher publishers[PUBLISHERS];
    msgsrv_error error = {0};
    msgsrv_bus *bus = open_handle(true);
    msgsrv_bus *other = open_handle(true);
    ck_assert_int_eq(msgsrv_bus_declare_topic(host, "t", "messages.AddRequest", NULL, 100, NULL, NULL, &error),
                     MSGSRV_OK);
    start(threads, publishers, NULL);
    for (int i = 0; i < JOINERS; i++) {
        listen_on(&joiners[i], i % 2 ? bus : other, &everything);
        if (i % 3 == 2) {
            msgsrv_bus_unsubscribe(joiners[i].bus, joiners[i].id);
            WAIT(atomic_load(&joiners[i].ended) == 1);
        }
    }
    join(threads, publishers, NULL);
    for (int i = 0; i < JOINERS; i++)
        WAIT(atomic_load(&joiners[i].ended) == 1 || atomic_load(&joiners[i].last) == ALL);
    msgsrv_bus_free(bus);
    msgsrv_bus_free(other);
    for (int i = 0; i < JOINERS; i++)
        ck_assert(!joiners[i].wrong);
}
END_TEST

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    (void)bus;
    (void)delivery;
    atomic_fetch_add((atomic_ulong *)ctx, 1);
    return MSGSRV_OK;
}

START_TEST(consumers_on_threads_share_a_queue)
{
    static atomic_ulong got;
    static const msgsrv_consumer consumer = {.message = on_message};
    pthread_t threads[PUBLISHERS];
    publisher publishers[PUBLISHERS];
    msgsrv_error error = {0};
    msgsrv_queue_info info = {0};
    msgsrv_bus *buses[3];
    const char *const patterns[] = {"t"};
    ck_assert_int_eq(msgsrv_bus_declare_queue(host, "q",
                                              &(msgsrv_queue_options){.patterns = patterns, .pattern_count = 1}, NULL,
                                              NULL, &error),
                     MSGSRV_OK);
    for (int i = 0; i < 3; i++) {
        buses[i] = open_handle(true);
        ck_assert_int_eq(msgsrv_bus_consume(buses[i], "q", NULL, NULL, &consumer, &got, NULL, &error), MSGSRV_OK);
    }
    start(threads, publishers, NULL);
    join(threads, publishers, NULL);
    WAIT((msgsrv_bus_queue_info(host, "q", &info, NULL), info.acked == ALL));
    for (int i = 0; i < 3; i++)
        msgsrv_bus_free(buses[i]);
    ck_assert_uint_eq(atomic_load(&got), ALL);
    ck_assert_uint_eq(info.messages, 0);
}
END_TEST

int main(int argc, char **argv)
{
    remote = argc > 1 && strcmp(argv[1], "remote") == 0;
    Suite *suite = suite_create("threads");
    TCase *all = tcase_create("threads");
    tcase_set_timeout(all, 300);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, threads_publish_and_handles_with_threads_listen);
    tcase_add_test(all, threads_publish_on_one_handle);
    tcase_add_test(all, who_joins_while_threads_publish_misses_none_and_gets_none_twice);
    tcase_add_test(all, consumers_on_threads_share_a_queue);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
