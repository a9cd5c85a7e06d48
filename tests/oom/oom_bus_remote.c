/* SPDX-License-Identifier: MIT */
/*
 * A remote handle of a bus without memory: it is opened, subscribes, consumes, publishes, settles and asks, and whichever allocation fails, on
 * either side, everything that was begun ends exactly once. Server and handle share one base and one thread.
 */
#include <event2/event.h>

#include "api_support.h"
#include "failing.h"

#define ANSWER_MS 100 /* a reply for which there is no memory does not come */

struct world {
    struct event_base *base;
    msgsrv_bus *local;
    msgsrv_server *server;
    msgsrv_bus *bus;
    char url[64];
    unsigned begun; /* what ends with a callback */
    unsigned ended;
    unsigned waits; /* of them, what ends without being freed */
    unsigned answered;
    msgsrv_handle responder;
    bool odd; /* a status that says something else than it should */
};

static void on_settled(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx);

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    struct world *world = ctx;
    if (event->request) {
        messages_AddResponse response = {.result = 1};
        if (msgsrv_bus_reply(bus, event->request, &messages_AddResponse_type, &response, NULL, on_settled, world,
                             NULL) == MSGSRV_OK)
            world->begun++;
        else
            msgsrv_bus_unsubscribe(bus, world->responder); /* so that nobody waits for it */
    }
    world->odd = world->odd || !event->message;
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    (void)gap;
    struct world *world = ctx;
    world->odd = world->odd || why->code == MSGSRV_OK;
    world->ended++;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
}

static void on_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    (void)bus;
    struct world *world = ctx;
    world->odd = world->odd || status != error->code;
    world->ended++;
    world->answered++;
}

/* Of what was begun in a callback. */
static void on_settled(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    struct world *world = ctx;
    on_done(bus, status, error, ctx);
    world->answered--;
}

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    (void)receipt;
    on_done(bus, status, error, ctx);
}

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)reply;
    on_done(bus, status, error, ctx);
}

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    struct world *world = ctx;
    if (msgsrv_bus_settle(bus, delivery->id, MSGSRV_ACK, 0, NULL, on_settled, world, NULL) == MSGSRV_OK)
        world->begun++;
    return MSGSRV_DEFERRED;
}

static const msgsrv_subscriber subscriber = {on_event, NULL, NULL, on_end};
static const msgsrv_consumer consumer = {on_message, NULL, on_consumer_end};

static void begin(struct world *world, msgsrv_status status, bool waits)
{
    world->begun += status == MSGSRV_OK;
    world->waits += status == MSGSRV_OK && waits;
}

static void start(struct world *world)
{
    messages_AddRequest message = {.a = 1};
    msgsrv_bus *bus = world->bus;
    msgsrv_subscribe_options plain = {.size = sizeof plain, .pattern = "t"};
    msgsrv_subscribe_options answers = {.size = sizeof answers, .pattern = "r", .responder = true};
    begin(world, msgsrv_bus_subscribe(bus, &messages_AddRequest_type, &plain, &subscriber, world, NULL, NULL), false);
    begin(world,
          msgsrv_bus_subscribe(bus, &messages_AddRequest_type, &answers, &subscriber, world, &world->responder, NULL),
          false);
    begin(world, msgsrv_bus_consume(bus, "q", NULL, NULL, &consumer, world, NULL, NULL), false);
    begin(world,
          msgsrv_bus_declare_topic(bus, "t", messages_AddRequest_type.name, messages_AddRequest_type.file, 3, on_done,
                                   world, NULL),
          true);
    for (int i = 0; i < 3; i++)
        begin(world,
              msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, on_published, world, NULL),
              true);
    begin(world,
          msgsrv_bus_request(bus, "r", &messages_AddRequest_type, &message, NULL, ANSWER_MS, on_replied, world, NULL),
          true);
}

static void scenario(void *ctx)
{
    struct world *world = ctx;
    msgsrv_bus_options options = {.size = sizeof options, .base = world->base, .name = "oom"};
    if (msgsrv_bus_open(world->url, &options, &world->bus, NULL) != MSGSRV_OK)
        return;
    start(world);
    int64_t until = api_now_ms() + API_GUARD_MS;
    while (world->answered < world->waits) {
        if (api_now_ms() > until) /* Check's own macros allocate, also when they find nothing */
            ck_abort_msg("something did not end");
        (void)event_base_loop(world->base, EVLOOP_NONBLOCK);
    }
    msgsrv_bus_free(world->bus);
}

static void before(void *ctx)
{
    struct world *world = ctx;
    world->begun = world->ended = world->waits = world->answered = 0;
}

static void check(void *ctx, bool failed, unsigned n)
{
    const struct world *world = ctx;
    (void)event_base_loop(world->base, EVLOOP_NONBLOCK);
    ck_assert_msg(world->begun == world->ended, "allocation %u: %u began, %u ended", n, world->begun, world->ended);
    ck_assert_msg(!world->odd, "allocation %u", n);
    ck_assert(failed || world->begun >= 8);
}

START_TEST(everything_ends_once_without_memory)
{
    struct world world = {0};
    msgsrv_error error;
    failing_take_libevent();
    world.base = event_base_new();
    api_ok(msgsrv_bus_open("mem:", NULL, &world.local, &error), &error);
    const char *pattern = "t";
    msgsrv_queue_options queue = {
        .size = sizeof queue, .patterns = &pattern, .pattern_count = 1, .full = MSGSRV_QUEUE_DROP_OLDEST};
    api_ok(msgsrv_bus_declare_queue(world.local, "q", &queue, NULL, NULL, &error), &error);
    msgsrv_server_options options = {.size = sizeof options, .base = world.base};
    api_ok(msgsrv_server_new(&options, &world.server, &error), &error);
    api_ok(msgsrv_bus_serve(world.local, world.server, &error), &error);
    snprintf(world.url, sizeof world.url, "unix:@oom-bus-remote-%d", (int)getpid());
    api_ok(msgsrv_server_listen(world.server, world.url, &error), &error);
    api_ok(msgsrv_server_start(world.server, &error), &error);
    ck_assert_uint_gt(failing_sweep(before, scenario, check, &world), 0);
    msgsrv_server_free(world.server);
    msgsrv_bus_free(world.local);
    (void)event_base_loop(world.base, EVLOOP_NONBLOCK);
    event_base_free(world.base);
}
END_TEST

TS_MAIN("oom_bus_remote", everything_ends_once_without_memory)
