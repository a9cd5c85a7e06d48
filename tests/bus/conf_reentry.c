/* SPDX-License-Identifier: MIT */
/*
 * Everything that is allowed inside callbacks, inside each of them: subscribing, unsubscribing, publishing, settling, asking, freeing. Each pair of
 * a place and an action is a bus of its own; afterwards everything has ended once and the bus goes on.
 */
#include "conf.h"

#include <stdio.h>

typedef enum where {
    IN_EVENT,
    IN_GAP,
    IN_READY,
    IN_END,
    IN_MESSAGE,
    IN_CONSUMER_READY,
    IN_CONSUMER_END,
    IN_PUBLISHED,
    IN_SETTLED,
    IN_REPLIED,
    PLACES
} where;

typedef enum what {
    SUBSCRIBE,
    CONSUME,
    UNSUBSCRIBE_SELF,
    UNSUBSCRIBE_OTHER,
    PUBLISH,
    SETTLE,
    REQUEST,
    DECLARE,
    FREE_SELF,
    FREE_OTHER,
    ACTIONS
} what;

typedef struct scene {
    where place;
    what action;
    bool acted;
    bt_handle *actor; /* on whose callback it happens */
    bt_handle *other;
    bt_sub *self; /* the actor's subscription, or */
    bt_consumer *consumer;
    bt_sub *other_sub;           /* of the actor's handle */
    bt_consumer *other_consumer; /* with a delivery that is not settled */
    bt_sub *made;
    bt_consumer *made_consumer;
    bt_published published;
    bt_done done;
} scene;

static scene now;

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)reply;
    bt_on_done(bus, status, error, ctx);
}

static void request_something(bt_handle *handle, bt_done *done, msgsrv_replied_fn replied)
{
    uint8_t payload[16];
    msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, 1, 0)};
    msgsrv_error error = {0};
    msgsrv_status status = msgsrv_bus_request(handle->bus, "nobody.answers", &msgsrv_raw_type, &bytes,
                                              &(msgsrv_publish_options){.type = BT_TYPE}, 0, replied, done, &error);
    if (status != MSGSRV_OK) {
        BT_STATUS(MSGSRV_UNAVAILABLE, status, error.text);
        done->done++;
    }
}

static void act(void)
{
    msgsrv_error error = {0};
    if (now.acted || now.actor->bus == NULL)
        return;
    now.acted = true;
    msgsrv_bus *bus = now.actor->bus;
    switch (now.action) {
    case SUBSCRIBE:
        now.made = bt_subscribe_start(now.actor, NULL, &(msgsrv_subscribe_options){.pattern = "made"}, NULL);
        break;
    case CONSUME:
        now.made_consumer = bt_consume_start(now.actor, "q", NULL, NULL, &(bt_consumer){.answer = MSGSRV_DEFERRED});
        break;
    case UNSUBSCRIBE_SELF:
        msgsrv_bus_unsubscribe(bus, now.self != NULL ? now.self->id : now.consumer != NULL ? now.consumer->id : 0);
        break;
    case UNSUBSCRIBE_OTHER:
        msgsrv_bus_unsubscribe(bus, now.other_sub->id);
        break;
    case PUBLISH:
        bt_publish_start(now.actor, "t", 99, 0, NULL, &now.published);
        break;
    case SETTLE:
        BT_STATUS(
            MSGSRV_OK,
            msgsrv_bus_settle(bus, now.other_consumer->items[0].id, MSGSRV_ACK, 0, NULL, bt_on_done, &now.done, &error),
            error.text);
        break;
    case REQUEST:
        request_something(now.actor, &now.done, on_replied);
        break;
    case DECLARE:
        BT_STATUS(MSGSRV_OK, msgsrv_bus_declare_queue(bus, "made", NULL, bt_on_done, &now.done, &error), error.text);
        break;
    case FREE_SELF:
        bt_free(now.actor);
        break;
    case FREE_OTHER:
        bt_free(now.other);
        break;
    case ACTIONS:
        break;
    }
}

static void act_in_event(bt_sub *sub, const msgsrv_event *event)
{
    (void)sub;
    (void)event;
    act();
}

static void act_in_gap(bt_sub *sub, const msgsrv_gap *gap)
{
    (void)sub;
    (void)gap;
    act();
}

static void act_in_sub(bt_sub *sub)
{
    (void)sub;
    act();
}

static msgsrv_status act_in_message(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    (void)consumer;
    (void)delivery;
    act();
    return MSGSRV_OK;
}

static void act_in_consumer(bt_consumer *consumer)
{
    (void)consumer;
    act();
}

static void act_in_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                             const msgsrv_error *error, void *ctx)
{
    (void)bus;
    (void)status;
    (void)receipt;
    (void)error;
    (void)ctx;
    bt.told++;
    act();
}

static void act_in_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    (void)bus;
    (void)status;
    (void)error;
    (void)ctx;
    bt.told++;
    act();
}

static void act_in_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                           void *ctx)
{
    (void)reply;
    act_in_done(bus, status, error, ctx);
}

/* What there is before the place is reached. */
static void set_scene(where place, what action)
{
    memset(&now, 0, sizeof now);
    now.place = place;
    now.action = action;
    now.actor = bt_handle_new("actor");
    now.other = bt_handle_new("other");
    bt_queue_of("q", NULL, "queued", NULL);
    bt_queue_of("held", NULL, "held", NULL);
    bt_publish(bt.pub, "held", 1);
    now.other_sub = bt_subscribe_to(now.actor, "t");
    bt_subscribe_to(now.other, "t");
    now.other_consumer = bt_consume(now.actor, "held", 5, MSGSRV_DEFERRED);
    BT_UNTIL(now.other_consumer->count == 1);
}

static void flood_self(void)
{
    bt_sub hooks = {.on_gap = act_in_gap};
    now.self = bt_subscribe_start(now.actor, NULL, &(msgsrv_subscribe_options){.pattern = "f", .max_events = 1}, &hooks);
    BT_UNTIL(now.self->ready == 1);
    now.actor->stalled = true;
    bt_publish_many(bt.pub, "f", 1, bt_engine_used.remote ? 1500 : 20, 1000);
    now.actor->stalled = false;
}

/* Reaches the place with a subscription or a consumer of the actor's. */
static void reach_told(void)
{
    bt_sub hooks = {.on_event = now.place == IN_EVENT ? act_in_event : NULL,
                    .on_ready = now.place == IN_READY ? act_in_sub : NULL,
                    .on_end = now.place == IN_END ? act_in_sub : NULL};
    bt_consumer consumer = {.on_message = act_in_message,
                            .on_ready = now.place == IN_CONSUMER_READY ? act_in_consumer : NULL,
                            .on_end = now.place == IN_CONSUMER_END ? act_in_consumer : NULL};
    if (now.place == IN_EVENT || now.place == IN_READY || now.place == IN_END) {
        now.self = bt_subscribe_start(now.actor, NULL, &(msgsrv_subscribe_options){.pattern = "t"}, &hooks);
        BT_UNTIL(now.self->ready == 1 || now.acted);
        if (now.place == IN_EVENT)
            bt_publish_many(bt.pub, "t", 1, 3, 0);
        if (now.place == IN_END)
            msgsrv_bus_unsubscribe(now.actor->bus, now.self->id);
        return;
    }
    if (now.place != IN_MESSAGE)
        consumer.on_message = NULL;
    consumer.answer = MSGSRV_OK;
    now.consumer = bt_consume_start(now.actor, "q", NULL, NULL, &consumer);
    BT_UNTIL(now.consumer->ready == 1 || now.acted);
    if (now.place == IN_MESSAGE)
        bt_publish_many(bt.pub, "queued", 1, 3, 0);
    if (now.place == IN_CONSUMER_END)
        msgsrv_bus_unsubscribe(now.actor->bus, now.consumer->id);
}

/* Reaches the place at the end of something asynchronous. */
static void reach_done(void)
{
    static const uint8_t payload[] = {0x08, 0x01};
    msgsrv_bytes bytes = {.data = payload, .size = sizeof payload};
    msgsrv_bus *bus = now.actor->bus;
    if (now.place == IN_PUBLISHED) {
        for (int i = 0; i < 3; i++)
            msgsrv_bus_publish_async(bus, "t", &msgsrv_raw_type, &bytes, &(msgsrv_publish_options){.type = BT_TYPE},
                                     act_in_published, NULL, NULL);
    } else if (now.place == IN_SETTLED) {
        bt_consumer *consumer = bt_consume(now.actor, "q", 5, MSGSRV_DEFERRED);
        bt_publish_many(bt.pub, "queued", 1, 3, 0);
        BT_UNTIL(consumer->count == 3);
        for (size_t i = 0; i < 3; i++)
            msgsrv_bus_settle(bus, consumer->items[i].id, MSGSRV_ACK, 0, NULL, act_in_done, NULL, NULL);
    } else {
        msgsrv_bus_request(bus, "nobody.answers", &msgsrv_raw_type, &bytes, &(msgsrv_publish_options){.type = BT_TYPE},
                           0, act_in_replied, NULL, NULL);
    }
}

/* What the action has led to. */
static void check_scene(void)
{
    switch (now.action) {
    case SUBSCRIBE:
        BT_UNTIL(now.made->ready == 1);
        bt_publish(bt.pub, "made", 1);
        BT_UNTIL(now.made->events == 1);
        break;
    case CONSUME:
        BT_UNTIL(now.made_consumer->ready == 1);
        break;
    case UNSUBSCRIBE_SELF:
        BT_UNTIL((now.self == NULL || now.self->ended == 1) && (now.consumer == NULL || now.consumer->ended == 1));
        break;
    case UNSUBSCRIBE_OTHER:
        BT_UNTIL(now.other_sub->ended == 1);
        break;
    case PUBLISH:
        BT_UNTIL(now.published.done == 1);
        BT_STATUS(MSGSRV_OK, now.published.status, now.published.text);
        break;
    case SETTLE:
        BT_UNTIL(now.done.done == 1);
        BT_STATUS(MSGSRV_OK, now.done.status, now.done.text);
        break;
    case REQUEST:
        BT_UNTIL(now.done.done == 1);
        break;
    case DECLARE:
        BT_UNTIL(now.done.done == 1);
        BT_STATUS(MSGSRV_OK, now.done.status, now.done.text);
        break;
    case FREE_SELF:
        ck_assert_ptr_null(now.actor->bus);
        ck_assert_uint_eq(now.other_sub->ended, 1);
        ck_assert_uint_eq(now.other_consumer->ended, 1);
        break;
    case FREE_OTHER:
    case ACTIONS:
        break;
    }
}

static void play(where place, what action)
{
    bt_reopen(NULL);
    set_scene(place, action);
    if (place == IN_GAP)
        flood_self();
    else if (place < IN_PUBLISHED)
        reach_told();
    else
        reach_done();
    BT_UNTIL(now.acted);
    check_scene();
    /* The bus goes on. */
    bt_sub *last = bt_subscribe_to(bt.pub, "last");
    bt_publish(bt.pub, "last", 1);
    BT_UNTIL(last->events == 1);
}

static void play_all(where place)
{
    for (int action = 0; action < ACTIONS; action++)
        play(place, (what)action);
}

START_TEST(everything_is_allowed_inside_event)
{
    play_all(IN_EVENT);
}
END_TEST

START_TEST(everything_is_allowed_inside_gap)
{
    play_all(IN_GAP);
}
END_TEST

START_TEST(everything_is_allowed_inside_ready)
{
    play_all(IN_READY);
    play_all(IN_CONSUMER_READY);
}
END_TEST

START_TEST(everything_is_allowed_inside_end)
{
    play_all(IN_END);
    play_all(IN_CONSUMER_END);
}
END_TEST

START_TEST(everything_is_allowed_inside_message)
{
    play_all(IN_MESSAGE);
}
END_TEST

START_TEST(everything_is_allowed_when_something_is_done)
{
    play_all(IN_PUBLISHED);
    play_all(IN_SETTLED);
    play_all(IN_REPLIED);
}
END_TEST

static void resubscribe(bt_sub *sub)
{
    if (sub->handle->bus != NULL && sub->ctx != NULL && (*(int *)sub->ctx)-- > 0)
        bt_subscribe_start(sub->handle, NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                           &(bt_sub){.on_end = resubscribe, .on_ready = sub->on_ready, .ctx = sub->ctx});
}

static void unsubscribe_itself(bt_sub *sub)
{
    msgsrv_bus_unsubscribe(sub->handle->bus, sub->id);
}

START_TEST(a_subscription_that_ends_may_begin_the_next)
{
    int left = 50;
    bt_handle *handle = bt_handle_new("sub");
    bt_subscribe_start(handle, NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                       &(bt_sub){.on_end = resubscribe, .on_ready = unsubscribe_itself, .ctx = &left});
    BT_UNTIL(left <= 0);
    bt_free(handle);
}
END_TEST

START_TEST(subscribing_while_the_handle_is_freed_fails_or_ends)
{
    int left = 5;
    bt_handle *handle = bt_handle_new("sub");
    msgsrv_bus *bus = handle->bus;
    bt_sub *sub = bt_subscribe_start(handle, NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                                     &(bt_sub){.on_end = resubscribe, .ctx = &left});
    BT_UNTIL(sub->ready == 1);
    msgsrv_bus_free(bus); /* `handle->bus` is still set inside `end` */
    handle->bus = NULL;
    ck_assert_uint_eq(sub->ended, 1);
    ck_assert_int_lt(left, 5);
}
END_TEST

static void publish_more(bt_sub *sub, const msgsrv_event *event)
{
    static bt_published published;
    int64_t value = bt_decode(event->payload, event->payload_size);
    if (value < 200)
        bt_publish_start(sub->handle, "t", value + 1, 0, NULL, &published);
}

START_TEST(an_event_may_lead_to_the_next)
{
    bt_sub *sub = bt_subscribe_start(bt_handle_new("sub"), NULL, &(msgsrv_subscribe_options){.pattern = "t"},
                                     &(bt_sub){.on_event = publish_more});
    BT_UNTIL(sub->ready == 1);
    bt_publish(bt.pub, "t", 1);
    BT_UNTIL(sub->events == 200);
    bt_check_told(sub, "t", 1, 200);
}
END_TEST

START_TEST(an_ended_subscription_and_number_0_are_ignored)
{
    bt_sub *sub = bt_subscribe_to(bt.pub, "t");
    bt_unsubscribe(sub);
    msgsrv_bus_unsubscribe(bt.pub->bus, sub->id);
    msgsrv_bus_unsubscribe(bt.pub->bus, 0);
    msgsrv_bus_unsubscribe(bt.pub->bus, UINT64_MAX);
    msgsrv_bus_free(NULL);
    bt_sub *again = bt_subscribe_to(bt.pub, "t");
    ck_assert_uint_ne(again->id, sub->id);
    msgsrv_bus_unsubscribe(bt.pub->bus, sub->id);
    bt_publish(bt.pub, "t", 1);
    BT_UNTIL(again->events == 1);
}
END_TEST

START_TEST(after_unsubscribing_no_event_comes)
{
    bt_handle *handle = bt_handle_new("sub");
    bt_sub *sub = bt_subscribe_to(handle, "t");
    handle->stalled = true;
    bt_publish_many(bt.pub, "t", 1, 100, 0);
    handle->stalled = false;
    bt_unsubscribe(sub);
    ck_assert_uint_eq(sub->events, 0);
}
END_TEST

const conf_test conf_reentry[] = {
    {&everything_is_allowed_inside_event, NULL},
    {&everything_is_allowed_inside_gap, NULL},
    {&everything_is_allowed_inside_ready, NULL},
    {&everything_is_allowed_inside_end, NULL},
    {&everything_is_allowed_inside_message, NULL},
    {&everything_is_allowed_when_something_is_done, NULL},
    {&a_subscription_that_ends_may_begin_the_next, NULL},
    {&subscribing_while_the_handle_is_freed_fails_or_ends, NULL},
    {&an_event_may_lead_to_the_next, NULL},
    {&an_ended_subscription_and_number_0_are_ignored, NULL},
    {&after_unsubscribing_no_event_comes, NULL},
    {NULL, NULL},
};
