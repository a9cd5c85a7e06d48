/* SPDX-License-Identifier: MIT */
/* A remote handle consumes, settles, looks at queues, asks and answers. */
#include "remote_stage.h"

START_TEST(what_a_consumer_returns_settles)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    msgsrv_queue_info info;
    rs_stage_open(&stage, "consume");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_declare_queue(bus, "q", "t");
    rs_consume(bus, "q", &messages_AddRequest_type, &told);
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    ck_assert_int_eq(told.a, 1);
    ck_assert_uint_eq(told.count, 1);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.acked < 1);
    ck_assert_uint_eq(info.messages, 0);
    ck_assert_uint_eq(info.consumers, 1);
    ck_assert_str_eq(info.name, "q");
    /* A nak brings it again, up to max_deliver; then it is dead. */
    msgsrv_bus_unsubscribe(bus, told.handle);
    api_event_wait(&told.ended, 1);
    rs_consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_ABORTED;
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(bus, "t", 2, NULL, &error), &error);
    api_event_wait(&told.events, 3);
    ck_assert_uint_eq(told.count, 3);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.dead < 1);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
    rs_stage_close(&stage);
}
END_TEST

static bool on_queued(const msgsrv_queued *message, void *ctx)
{
    struct rs_told *told = ctx;
    told->delivery = message->id;
    snprintf(told->payload, sizeof told->payload, "%s/%s", message->reason, message->last_error);
    rs_take(told, message->event);
    snprintf(told->header, sizeof told->header, "%s/%s", message->reason, message->last_error);
    api_event_add(&told->events);
    return true;
}

START_TEST(a_message_of_another_type_is_rejected_and_can_be_put_back)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_told shown;
    msgsrv_error error;
    msgsrv_queue_info info;
    uint64_t count = 0;
    rs_stage_open(&stage, "dead");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_declare_queue(bus, "q", "t");
    rs_consume(bus, "q", &messages_EchoMessage_type, &told);
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(bus, "t", 9, NULL, &error), &error);
    do
        api_ok(msgsrv_bus_queue_info(bus, "q", &info, &error), &error);
    while (info.dead < 1);
    ck_assert_uint_eq(api_event_count(&told.events), 0);
    msgsrv_bus_unsubscribe(bus, told.handle);
    api_event_wait(&told.ended, 1);
    rs_told_init(&shown);
    api_ok(msgsrv_bus_peek(bus, "$dlq.q", 0, on_queued, &shown, &error), &error);
    ck_assert_uint_eq(api_event_count(&shown.events), 1);
    api_contains(shown.header, "rejected/");
    api_contains(shown.header, "messages.AddRequest");
    api_ok(msgsrv_bus_retry(bus, "q", shown.delivery, &count, &error), &error);
    ck_assert_uint_eq(count, 1);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_retry(bus, "q", 12345, &count, &error), NULL);
    api_ok(msgsrv_bus_purge(bus, "q", &count, &error), &error);
    ck_assert_uint_eq(count, 1);
    api_ok(msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), &error);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_delete_queue(bus, "q", NULL, NULL, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_queue_info(bus, "q", &info, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_peek(bus, "q", 0, on_queued, &shown, &error), NULL);
    rs_consume(bus, "q", NULL, &told);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_NOT_FOUND);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(settlements_are_confirmed_once)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "settle");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_declare_queue(bus, "q", "t");
    rs_consume(bus, "q", NULL, &told);
    told.returns = MSGSRV_DEFERRED;
    api_event_wait(&told.ready, 1);
    api_ok(rs_publish_add(bus, "t", 1, NULL, &error), &error);
    api_event_wait(&told.events, 1);
    rs_results_init(&results);
    uint64_t id = told.delivery;
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_EXTEND, 0, NULL, rs_on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_ACK, 0, NULL, rs_on_done, &results, &error), &error);
    api_ok(msgsrv_bus_settle(bus, id, MSGSRV_ACK, 0, NULL, rs_on_done, &results, &error), &error);
    api_event_wait(&results.done, 3);
    ck_assert_uint_eq(results.ok, 2);
    ck_assert_int_eq(results.error.code, MSGSRV_NOT_FOUND);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_settle(bus, id, MSGSRV_NAK, 0, "why", NULL, NULL, &error), NULL);
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_settle(bus, 999, MSGSRV_ACK, 0, NULL, NULL, NULL, &error), NULL);
    api_expect(MSGSRV_INVALID_ARGUMENT, msgsrv_bus_settle(bus, id, (msgsrv_settlement)9, 0, NULL, NULL, NULL, &error),
               NULL);
    /* Deleted: the consumer ends. */
    rs_results_init(&results);
    api_ok(msgsrv_bus_delete_queue(bus, "q", rs_on_done, &results, &error), &error);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_NOT_FOUND);
    api_event_wait(&results.done, 1);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

/* Requests. */

static struct rs_results replies;

static void answer(msgsrv_bus *bus, struct rs_told *told)
{
    messages_AddResponse response = {.result = 3};
    msgsrv_error error;
    api_ok(
        msgsrv_bus_reply(bus, told->request, &messages_AddResponse_type, &response, NULL, rs_on_done, &replies, &error),
        &error);
    api_ok(
        msgsrv_bus_reply(bus, told->request, &messages_AddResponse_type, &response, NULL, rs_on_done, &replies, &error),
        &error);
}

START_TEST(requests_are_answered)
{
    struct rs_stage stage;
    struct rs_told told;
    struct rs_results results;
    msgsrv_error error;
    rs_stage_open(&stage, "request");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    rs_results_init(&results);
    rs_results_init(&replies);
    messages_AddRequest message = {.a = 1};
    api_ok(msgsrv_bus_request(bus, "r", &messages_AddRequest_type, &message, NULL, 0, rs_on_replied, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_UNAVAILABLE);
    msgsrv_subscribe_options options = {.size = sizeof options, .pattern = "r", .responder = true};
    rs_told_init(&told);
    told.also = answer;
    api_ok(msgsrv_bus_subscribe(bus, &messages_AddRequest_type, &options, &rs_subscriber, &told, NULL, &error), &error);
    api_event_wait(&told.ready, 1);
    api_ok(msgsrv_bus_request(bus, "r", &messages_AddRequest_type, &message, NULL, 0, rs_on_replied, &results, &error),
           &error);
    api_event_wait(&results.done, 2);
    ck_assert_uint_eq(results.ok, 1);
    ck_assert_str_eq(results.reply, "messages.AddResponse 2");
    api_event_wait(&replies.done, 2);
    ck_assert_uint_eq(replies.ok, 1);
    ck_assert_int_eq(replies.error.code, MSGSRV_NOT_FOUND);
    api_expect(MSGSRV_NOT_FOUND,
               msgsrv_bus_reply(bus, 4711, &messages_AddRequest_type, &message, NULL, NULL, NULL, &error), NULL);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

START_TEST(topics_are_declared)
{
    struct rs_stage stage;
    struct rs_told told;
    msgsrv_error error;
    rs_stage_open(&stage, "declare");
    msgsrv_bus *bus = rs_handle_of(&stage, NULL);
    api_ok(messages_AddRequest_declare(bus, "t", 2, NULL, NULL, &error), &error);
    api_expect(MSGSRV_FAILED_PRECONDITION, messages_EchoMessage_declare(bus, "t", 2, NULL, NULL, &error), NULL);
    for (int i = 1; i <= 3; i++)
        api_ok(rs_publish_add(bus, "t", i, NULL, &error), &error);
    rs_subscribe(bus, &messages_AddRequest_type, "t", &told);
    api_event_wait(&told.events, 2);
    ck_assert_int_eq(told.a, 3);
    ck_assert_uint_eq(told.last, 3);
    msgsrv_bus_free(bus);
    rs_stage_close(&stage);
}
END_TEST

TS_MAIN("bus_remote_queues", what_a_consumer_returns_settles, a_message_of_another_type_is_rejected_and_can_be_put_back,
        settlements_are_confirmed_once, requests_are_answered, topics_are_declared)
