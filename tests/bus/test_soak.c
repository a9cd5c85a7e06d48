/* SPDX-License-Identifier: MIT */
/*
 * soak ENGINE ROUNDS: the same again and again: joining, publishing, losing, retaining, asking, settling, leaving. After a warm-up the memory
 * in use stays what it is.
 */
#include <malloc.h>
#include <stdio.h>

#include "world.h"

enum { WARM_UP = 40, MAY_GROW = 64 * 1024 };

static unsigned rounds;

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)reply;
    bt_on_done(bus, status, error, ctx);
}

static void reply_to(bt_sub *sub, const msgsrv_event *event)
{
    static bt_done done;
    static const uint8_t payload[] = {0x08, 0x01};
    msgsrv_bytes bytes = {.data = payload, .size = sizeof payload};
    msgsrv_bus_reply(sub->handle->bus, event->request, &msgsrv_raw_type, &bytes, BT_TYPE, bt_on_done, &done, NULL);
}

static void ask(void)
{
    static const uint8_t payload[] = {0x08, 0x01};
    msgsrv_bytes bytes = {.data = payload, .size = sizeof payload};
    bt_done done = {0};
    BT_STATUS(MSGSRV_OK,
              msgsrv_bus_request(bt.pub->bus, "ask", &msgsrv_raw_type, &bytes,
                                 &(msgsrv_publish_options){.type = BT_TYPE}, 0, on_replied, &done, NULL),
              "");
    BT_UNTIL(done.done == 1);
    BT_STATUS(MSGSRV_OK, done.status, done.text);
}

static msgsrv_status now_and_then(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    (void)consumer;
    return delivery->count == 1 && delivery->id % 3 == 0 ? MSGSRV_INTERNAL : MSGSRV_OK;
}

static void play(unsigned round)
{
    bt_handle *slow = bt_handle_new("slow");
    bt_sub *sub = bt_subscribe(slow, &(msgsrv_subscribe_options){.pattern = "t.*", .max_events = 8});
    bt_subscribe(slow, &(msgsrv_subscribe_options){.pattern = "t.*", .max_events = 8, .policy = MSGSRV_LATEST});
    bt_subscribe(bt.admin, &(msgsrv_subscribe_options){.pattern = "t.*", .group = "g"});
    bt_subscribe(slow, &(msgsrv_subscribe_options){.pattern = "t.*", .group = "g"});
    bt_sub *responder =
        bt_subscribe_start(bt.admin, NULL, &(msgsrv_subscribe_options){.pattern = "ask", .responder = true},
                           &(bt_sub){.on_event = reply_to});
    bt_consumer *consumer =
        bt_consume_start(bt.admin, "q", NULL, &(msgsrv_consume_options){.prefetch = 5, .nak_delay_ms = MSGSRV_NONE},
                         &(bt_consumer){.on_message = now_and_then});
    BT_UNTIL(consumer->ready == 1 && responder->ready == 1);
    slow->stalled = true;
    bt_publish_many(bt.pub, "t.a", 1, 60, 300);
    bt_publish_many(bt.pub, "t.b", 1, 60, 300);
    bt_publish_with(bt.pub, "t.a", 1, &(msgsrv_publish_options){.id = round % 2 ? "odd" : "even"});
    ask();
    slow->stalled = round % 2 == 0;
    if (!slow->stalled)
        BT_UNTIL(bt_told_last(sub, "t.b") != 0);
    BT_UNTIL(bt_info("q").messages == 0);
    bt_forget(slow);
    bt_consume_end(consumer);
    for (bt_sub *at = bt.subs; at != NULL; at = at->next)
        if (at->ended == 0)
            bt_unsubscribe(at);
    bt_clean();
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Plays so many rounds; the least and the most that was in use behind any of them. What a loop keeps for later comes and goes. */
static void play_rounds(unsigned count, size_t *least, size_t *most)
{
    *least = SIZE_MAX;
    *most = 0;
    for (unsigned i = 0; i < count; i++) {
        play(i);
        BT_UNTIL(!bt_turn());
        size_t now = in_use();
        *least = now < *least ? now : *least;
        *most = now > *most ? now : *most;
    }
}

START_TEST(memory_stays_what_it_is)
{
    size_t before, after, other;
    bt_open(NULL);
    bt_declare_topic("t.a", BT_TYPE, NULL, 20);
    bt_queue_of("q", &(msgsrv_queue_options){.max_dead_letters = 10}, "t.*", NULL);
    play_rounds(WARM_UP, &other, &before);
    play_rounds(WARM_UP, &other, &before);
    play_rounds(rounds, &other, &after);
    play_rounds(WARM_UP, &after, &other);
    /* Both are 0 where a sanitizer has its own allocator, which then looks for leaks. */
    ck_assert_msg(after <= before + MAY_GROW, "%zu bytes in use, and %zu after %u rounds", before, after, rounds);
    bt_close();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    bt_engine_used = (bt_engine){.name = argv[1], .remote = strcmp(argv[1], "remote") == 0};
    rounds = (unsigned)strtoul(argv[2], NULL, 10);
    Suite *suite = suite_create("soak");
    TCase *all = tcase_create(argv[1]);
    tcase_set_timeout(all, 500);
    tcase_add_test(all, memory_stays_what_it_is);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
