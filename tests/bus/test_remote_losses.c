/* SPDX-License-Identifier: MIT */
/* A remote handle whose connection is lost, and that is freed at any moment. */
#include "remote_stage.h"

START_TEST(a_subscription_goes_on_after_a_loss)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "resume");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, &messages_AddRequest_type, NULL, &told);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    msgsrv_server_free(stage.server);
    for (int i = 2; i <= 4; i++)
        api_ok(rs_publish_add(stage.local, "t", i, NULL, &error), &error);
    rs_stage_serve(&stage);
    api_event_wait(&told.ready, 2);
    api_event_wait(&told.gaps, 1);
    ck_assert_uint_eq(told.lost, 3);
    ck_assert_int_eq(told.reason, MSGSRV_GAP_DISCONNECTED);
    api_ok(rs_publish_add(stage.local, "t", 5, NULL, &error), &error);
    api_event_wait(&told.events, 2);
    ck_assert_uint_eq(told.last, 5);
    ck_assert_uint_eq(api_event_count(&told.ended), 0);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(a_subscription_waits_for_its_server)
{
    struct rs_stage stage;
    struct rs_told told;
    rs_stage_open(&stage, "waits");
    msgsrv_server_free(stage.server);
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe(bus, NULL, NULL, &told);
    struct rs_told gone;
    rs_subscribe(bus, NULL, NULL, &gone);
    msgsrv_bus_unsubscribe(bus, gone.handle);
    api_event_wait(&gone.ended, 1);
    ck_assert_int_eq(gone.why.code, MSGSRV_CANCELLED);
    rs_stage_serve(&stage);
    api_event_wait(&told.ready, 1);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(what_was_published_into_nothing_is_told)
{
    struct rs_stage stage;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "nothing");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_results_init(&results);
    messages_AddRequest message = {.a = 1};
    msgsrv_server_free(stage.server);
    for (int i = 0; i < 3; i++)
        api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                        &error),
               &error);
    api_event_wait(&results.done, 3);
    ck_assert_uint_eq(results.failed, 3);
    ck_assert_int_eq(results.error.code, MSGSRV_UNAVAILABLE);
    api_expect(MSGSRV_UNAVAILABLE, rs_publish_add(bus, "t", 1, NULL, &error), NULL);
    rs_stage_serve(&stage);
    while (rs_publish_add(bus, "t", 1, NULL, &error) != MSGSRV_OK)
        ck_assert_int_eq(error.code, MSGSRV_UNAVAILABLE);
    rs_results_init(&results);
    api_ok(msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published, &results,
                                    &error),
           &error);
    api_event_wait(&results.done, 1);
    ck_assert_uint_eq(results.ok, 1);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(a_consumer_goes_on_after_a_loss)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "consumer-loss");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_declare_queue(bus, "q", "t");
    rs_consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_DEFERRED;
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    uint64_t before = told.delivery;
    msgsrv_server_free(stage.server);
    rs_stage_serve(&stage);
    api_event_wait(&told.events, 2);
    ck_assert(told.redelivered);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_uint_ne(told.delivery, before);
    rs_results_init(&results);
    api_ok(msgsrv_bus_settle(bus, before, MSGSRV_ACK, 0, NULL, rs_on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, told.delivery, MSGSRV_ACK, 0, NULL, rs_on_done, &results, &error), &error);
    api_event_wait(&results.done, 2);
    ck_assert_uint_eq(results.ok, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_NOT_FOUND);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(a_group_s_event_that_was_not_handled_goes_to_another)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "group");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = "t", .group = "g"};
    rs_told_init(&told);
    api_ok(msgsrv_bus_subscribe(bus, NULL, &options, &rs_subscriber, &told, NULL, &error), &error);
    api_event_wait(&told.ready, 1);
    for (int i = 0; i < 300; i++)
        api_ok(rs_publish_add(bus, "t", i, NULL, &error), &error);
    api_event_wait(&told.events, 300);
    ck_assert_uint_eq(told.out_of_order, 0);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

/* Freeing. */

static void free_inside(msgsrv_bus *bus, struct rs_told *told)
{
    (void)told;
    msgsrv_bus_free(bus);
}

static void free_in_event(bool thread)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_told other;
    msgsrv_error error;
    rs_stage_open(&stage, "free");
    msgsrv_bus_options options = {.size = sizeof options, .thread = thread};
    msgsrv_bus *bus = rs_handle_of(&stage, &options);
    rs_subscribe(bus, &messages_AddRequest_type, NULL, &told);
    rs_subscribe(bus, NULL, NULL, &other);
    while (!thread && (!api_event_count(&told.ready) || !api_event_count(&other.ready)))
        api_ok(msgsrv_bus_poll(bus, API_GUARD_MS, &error), &error);
    api_event_wait(&told.ready, 1);
    api_event_wait(&other.ready, 1);
    told.also = free_inside;
    for (int i = 0; i < 3; i++)
        api_ok(rs_publish_add(stage.local, "t", i, NULL, &error), &error);
    while (!thread && !api_event_count(&told.ended))
        (void)msgsrv_bus_poll(bus, API_GUARD_MS, &error);
    api_event_wait(&told.events, 1);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    ck_assert_uint_eq(api_event_count(&other.ended), 1);
    rs_stage_close(&stage);
    ck_assert_uint_eq(api_event_count(&told.events), 1);
}

START_TEST(freeing_in_an_event_on_its_thread)
{
    free_in_event(true);
}
END_TEST

START_TEST(freeing_in_an_event_of_a_private_loop)
{
    free_in_event(false);
}
END_TEST

START_TEST(freeing_in_a_confirmation_and_in_a_delivery)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "free-done");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_results_init(&results);
    results.frees = bus;
    messages_AddRequest message = {.a = 1};
    unsigned accepted = 0;
    for (int i = 0; i < 5; i++)
        accepted += msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published,
                                             &results, &error) == MSGSRV_OK;
    api_event_wait(&results.done, accepted);
    ck_assert_uint_ge(results.ok, 1);

    bus = rs_handle_of(&stage, NULL);
    rs_declare_queue(bus, "q", "t");
    rs_consume(bus, "q", NULL, &told);
    told.also = free_inside;
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(stage.local, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    rs_stage_close(&stage);
}
END_TEST

static void unsubscribe_inside(msgsrv_bus *bus, struct rs_told *told)
{
    msgsrv_bus_unsubscribe(bus, told->handle);
}

START_TEST(unsubscribing_in_an_event_is_the_last_of_it)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "unsubscribe");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_subscribe_ready(bus, NULL, NULL, &told);
    told.also = unsubscribe_inside;
    for (int i = 0; i < 100; i++)
        api_ok(rs_publish_add(stage.local, "t", i, NULL, &error), &error);
    api_event_wait(&told.ended, 1);
    ck_assert_uint_eq(api_event_count(&told.events), 1);
    ck_assert_int_eq(told.why.code, MSGSRV_CANCELLED);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(freeing_ends_what_is_under_way)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "under-way");
    msgsrv_server_free(stage.server);
    for (int thread = 0; thread < 2; thread++) {
        msgsrv_bus_options options = {.size = sizeof options, .thread = thread != 0};
        msgsrv_bus *bus = rs_handle_of(&stage, &options);
        rs_results_init(&results);
        rs_subscribe(bus, NULL, NULL, &told);
        messages_AddRequest message = {.a = 1};
        unsigned begun = 0;
        begun += msgsrv_bus_publish_async(bus, "t", &messages_AddRequest_type, &message, NULL, rs_on_published,
                                          &results, &error) == MSGSRV_OK;
        begun += msgsrv_bus_request(bus, "t", &messages_AddRequest_type, &message, NULL, 0, rs_on_replied, &results,
                                    &error) == MSGSRV_OK;
        begun += msgsrv_bus_settle(bus, 5, MSGSRV_ACK, 0, NULL, rs_on_done, &results, &error) == MSGSRV_OK;
        msgsrv_bus_free(bus);
        ck_assert_uint_eq(api_event_count(&results.done), begun);
        ck_assert_uint_eq(begun, 3);
        ck_assert_uint_eq(api_event_count(&told.ended), 1);
    }
    rs_stage_serve(&stage);
    rs_stage_close(&stage);
}
END_TEST

TS_MAIN("bus_remote_losses", a_subscription_goes_on_after_a_loss, a_subscription_waits_for_its_server,
        what_was_published_into_nothing_is_told, a_consumer_goes_on_after_a_loss,
        a_group_s_event_that_was_not_handled_goes_to_another, freeing_in_an_event_on_its_thread,
        freeing_in_an_event_of_a_private_loop, freeing_in_a_confirmation_and_in_a_delivery,
        unsubscribing_in_an_event_is_the_last_of_it, freeing_ends_what_is_under_way)
