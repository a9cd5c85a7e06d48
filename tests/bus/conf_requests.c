/* SPDX-License-Identifier: MIT */
/* Requests: one responder gets it and answers once; without one, the asker knows at once. */
#include "conf.h"

#include <stdio.h>

/* Static wherever it is used: what is under way ends when the test's bus does, behind the test. */
typedef struct question {
    unsigned done;
    msgsrv_status status;
    int64_t value;
    char type[64];
    char text[MSGSRV_ERROR_TEXT];
} question;

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    question *asked = ctx;
    (void)bus;
    bt.told++;
    asked->done++;
    asked->status = status;
    ck_assert((reply != NULL) == (status == MSGSRV_OK));
    ck_assert_ptr_nonnull(error);
    snprintf(asked->text, sizeof asked->text, "%s", error->text);
    if (reply != NULL) {
        ck_assert_str_eq(reply->topic, "");
        asked->value = bt_decode(reply->payload, reply->payload_size);
        snprintf(asked->type, sizeof asked->type, "%s", reply->type);
    }
}

static msgsrv_status ask_type(bt_handle *handle, const char *topic, const char *type, int64_t value,
                              uint32_t timeout_ms, question *asked)
{
    uint8_t payload[16];
    msgsrv_error error = {0};
    msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, value, 0)};
    msgsrv_status status =
        msgsrv_bus_request(handle->bus, topic, &msgsrv_raw_type, &bytes, &(msgsrv_publish_options){.type = type},
                           timeout_ms, on_replied, asked, &error);
    ck_assert_uint_eq(asked->done, 0); /* never inside the function */
    if (status != MSGSRV_OK) {
        asked->done = 1;
        asked->status = status;
        snprintf(asked->text, sizeof asked->text, "%s", error.text);
    }
    return status;
}

static void ask(bt_handle *handle, const char *topic, int64_t value, uint32_t timeout_ms, question *asked)
{
    *asked = (question){0};
    ask_type(handle, topic, BT_TYPE, value, timeout_ms, asked);
}

static msgsrv_status answer(bt_handle *handle, uint64_t request, int64_t value)
{
    uint8_t payload[16];
    msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, value, 0)};
    bt_done done = {0};
    msgsrv_error error = {0};
    msgsrv_status status =
        msgsrv_bus_reply(handle->bus, request, &msgsrv_raw_type, &bytes, "conf.Answer", bt_on_done, &done, &error);
    if (status != MSGSRV_OK)
        return status;
    BT_UNTIL(done.done == 1);
    return done.status;
}

/* Answers inside the callback with twice the value. */
static void answer_twice_as_much(bt_sub *sub, const msgsrv_event *event)
{
    uint8_t payload[16];
    msgsrv_bytes bytes = {.data = payload,
                          .size = bt_encode(payload, 2 * bt_decode(event->payload, event->payload_size), 0)};
    static bt_done done;
    msgsrv_error error = {0};
    ck_assert_uint_ne(event->request, 0);
    msgsrv_status status = msgsrv_bus_reply(sub->handle->bus, event->request, &msgsrv_raw_type, &bytes, "conf.Answer",
                                            bt_on_done, &done, &error);
    BT_STATUS(MSGSRV_OK, status, error.text);
}

static bt_sub *responder(bt_handle *handle, const char *pattern, void (*on_event)(bt_sub *, const msgsrv_event *))
{
    bt_sub *sub = bt_subscribe_start(handle, NULL, &(msgsrv_subscribe_options){.pattern = pattern, .responder = true},
                                     &(bt_sub){.on_event = on_event});
    BT_UNTIL(sub->ready + sub->ended != 0);
    ck_assert_msg(sub->ended == 0, "%s", sub->text);
    return sub;
}

START_TEST(a_request_goes_to_one_responder_and_its_reply_comes_back)
{
    static question asked;
    bt_sub *one = responder(bt_handle_new("one"), "sum.*", answer_twice_as_much);
    bt_sub *two = responder(bt_handle_new("two"), "sum.*", answer_twice_as_much);
    for (int i = 1; i <= 50; i++) {
        ask(bt.pub, "sum.x", i, 0, &asked);
        BT_UNTIL(asked.done == 1);
        BT_STATUS(MSGSRV_OK, asked.status, asked.text);
        ck_assert_int_eq(asked.value, 2 * i);
        ck_assert_str_eq(asked.type, "conf.Answer");
        ck_assert_uint_eq(one->events + two->events, (size_t)i);
    }
}
END_TEST

START_TEST(a_request_goes_to_the_least_loaded_responder)
{
    static question asked[20];
    bt_sub *one = responder(bt_handle_new("one"), "sum", NULL);
    bt_sub *two = responder(bt_handle_new("two"), "sum", NULL);
    for (size_t i = 0; i < 20; i++)
        ask(bt.pub, "sum", (int64_t)i, 0, &asked[i]);
    BT_UNTIL(one->events + two->events == 20);
    /* None has answered, so they have the same. */
    ck_assert_uint_eq(one->events, 10);
    ck_assert_uint_eq(two->events, 10);
    for (size_t i = 0; i < 10; i++) {
        BT_STATUS(MSGSRV_OK, answer(one->handle, one->items[i].request, 1), "");
        BT_STATUS(MSGSRV_OK, answer(two->handle, two->items[i].request, 1), "");
    }
    for (size_t i = 0; i < 20; i++)
        BT_UNTIL(asked[i].done == 1);
}
END_TEST

START_TEST(a_second_reply_is_not_found)
{
    static question asked;
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    ask(bt.pub, "sum", 1, 0, &asked);
    BT_UNTIL(sub->events == 1);
    uint64_t request = bt_event_at(sub, 0)->request;
    BT_STATUS(MSGSRV_OK, answer(sub->handle, request, 5), "");
    BT_STATUS(MSGSRV_NOT_FOUND, answer(sub->handle, request, 6), "");
    BT_UNTIL(asked.done == 1);
    ck_assert_int_eq(asked.value, 5);
    BT_STATUS(MSGSRV_NOT_FOUND, answer(sub->handle, request, 7), "");
    BT_STATUS(MSGSRV_NOT_FOUND, answer(sub->handle, 987654321, 7), "");
    ck_assert_uint_eq(asked.done, 1);
}
END_TEST

START_TEST(a_late_reply_is_not_found)
{
    static question asked;
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    uint64_t begin = ts_now_ms();
    ask(bt.pub, "sum", 1, 50, &asked);
    BT_UNTIL(asked.done == 1);
    ck_assert_uint_ge(ts_now_ms() - begin, 49);
    BT_STATUS(MSGSRV_DEADLINE_EXCEEDED, asked.status, asked.text);
    BT_UNTIL(sub->events == 1);
    /* The bus may learn a moment after the asker that nobody waits any more. */
    msgsrv_status status = answer(sub->handle, bt_event_at(sub, 0)->request, 5);
    ck_assert(status == MSGSRV_NOT_FOUND || (bt_engine_used.remote && status == MSGSRV_OK));
}
END_TEST

START_TEST(a_request_that_nobody_answers_fails_at_once)
{
    static question asked;
    bt_subscribe_to(bt_handle_new("plain"), ">"); /* it does not answer */
    responder(bt_handle_new("other"), "other", NULL);
    uint64_t begin = ts_now_ms();
    ask(bt.pub, "sum", 1, 0, &asked);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_UNAVAILABLE, asked.status, asked.text);
    BT_CONTAINS(asked.text, "sum");
    ck_assert_uint_lt(ts_now_ms() - begin, 15000); /* and not when its time was over */
}
END_TEST

START_TEST(a_request_whose_responder_goes_away_fails_at_once_and_is_not_sent_again)
{
    static question asked;
    bt_sub *leaves = responder(bt_handle_new("leaves"), "sum", NULL);
    ask(bt.pub, "sum", 1, 0, &asked);
    BT_UNTIL(leaves->events == 1);
    bt_sub *stays = responder(bt_handle_new("stays"), "sum", NULL);
    bt_free(leaves->handle);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_UNAVAILABLE, asked.status, asked.text);
    bt_settle_down();
    ck_assert_uint_eq(stays->events, 0);
    /* The same when only the subscription goes. */
    ask(bt.pub, "sum", 2, 0, &asked);
    BT_UNTIL(stays->events == 1);
    bt_unsubscribe(stays);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_UNAVAILABLE, asked.status, asked.text);
}
END_TEST

START_TEST(a_request_that_waits_for_a_stalled_responder_fails_when_it_goes)
{
    static question asked;
    bt_sub *stalls = responder(bt_handle_new("stalls"), "sum", NULL);
    stalls->handle->stalled = true;
    ask(bt.pub, "sum", 1, 0, &asked);
    bt_settle_down();
    ck_assert_uint_eq(asked.done, 0);
    bt_free(stalls->handle);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_UNAVAILABLE, asked.status, asked.text);
}
END_TEST

START_TEST(a_responder_gets_requests_and_nothing_else_and_others_get_no_requests)
{
    static question asked;
    bt_sub *responds = responder(bt_handle_new("responder"), "sum", answer_twice_as_much);
    bt_sub *plain = bt_subscribe_to(bt_handle_new("plain"), "sum");
    bt_sub *member = bt_subscribe(bt_handle_new("member"), &(msgsrv_subscribe_options){.pattern = "sum", .group = "g"});
    bt_publish(bt.pub, "sum", 1);
    ask(bt.pub, "sum", 2, 0, &asked);
    BT_UNTIL(asked.done == 1);
    bt_publish(bt.pub, "sum", 3);
    BT_UNTIL(plain->events == 2 && member->events == 2);
    ck_assert_uint_eq(responds->events, 1);
    ck_assert_int_eq(bt_event_at(responds, 0)->value, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(bt_event_at(plain, i)->request, 0);
        ck_assert_int_ne(bt_event_at(plain, i)->value, 2);
    }
}
END_TEST

START_TEST(a_request_of_the_wrong_type_is_refused)
{
    static question asked;
    responder(bt_handle_new("responder"), "sum", NULL);
    bt_publish(bt.pub, "sum", 1);
    ask_type(bt.pub, "sum", "conf.Wrong", 1, 0, &asked);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, asked.status, asked.text);
    BT_CONTAINS(asked.text, "conf.Wrong");
    BT_CONTAINS(asked.text, BT_TYPE);
}
END_TEST

START_TEST(a_reply_that_is_wrong_is_refused_and_a_good_one_may_follow)
{
    static question asked;
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    ask(bt.pub, "sum", 1, 0, &asked);
    BT_UNTIL(sub->events == 1);
    uint64_t request = bt_event_at(sub, 0)->request;
    bt_done done = {0};
    msgsrv_error error = {0};
    msgsrv_bytes bytes = {.data = "\x08", .size = 1};
    msgsrv_status status =
        msgsrv_bus_reply(sub->handle->bus, request, &msgsrv_raw_type, &bytes, "conf.Answer", bt_on_done, &done, &error);
    if (status == MSGSRV_OK) {
        BT_UNTIL(done.done == 1);
        status = done.status;
    }
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, status, error.text);
    ck_assert_uint_eq(asked.done, 0);
    BT_STATUS(MSGSRV_OK, answer(sub->handle, request, 3), "");
    BT_UNTIL(asked.done == 1);
    ck_assert_int_eq(asked.value, 3);
}
END_TEST

START_TEST(freeing_the_asker_ends_its_requests)
{
    static question asked[3];
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    bt_handle *asker = bt_handle_new("asker");
    for (size_t i = 0; i < 3; i++)
        ask(asker, "sum", 1, 0, &asked[i]);
    BT_UNTIL(sub->events == 3);
    bt_free(asker);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(asked[i].done, 1);
        BT_STATUS(MSGSRV_CANCELLED, asked[i].status, asked[i].text);
    }
    /* From afar the bus learns of it soon. */
    msgsrv_status status = MSGSRV_OK;
    for (size_t i = 0; i < 3 && status == MSGSRV_OK; i++)
        status = answer(sub->handle, bt_event_at(sub, i)->request, 1);
    if (!bt_engine_used.remote)
        BT_STATUS(MSGSRV_NOT_FOUND, status, "");
}
END_TEST

START_TEST(there_are_only_so_many_requests)
{
    static question asked[3];
    bt_reopen(&(msgsrv_bus_options){.max_requests = 2});
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    for (size_t i = 0; i < 3; i++)
        ask(bt.pub, "sum", 1, 0, &asked[i]);
    BT_UNTIL(asked[2].done == 1 && sub->events == 2);
    BT_STATUS(MSGSRV_RESOURCE_EXHAUSTED, asked[2].status, asked[2].text);
    BT_CONTAINS(asked[2].text, "requests");
    ck_assert_uint_eq(asked[0].done + asked[1].done, 0);
}
END_TEST

START_TEST(a_reply_may_come_much_later_than_the_callback)
{
    static question asked[2];
    bt_sub *sub = responder(bt_handle_new("responder"), "sum", NULL);
    ask(bt.pub, "sum", 1, 0, &asked[0]);
    ask(bt.pub, "sum", 2, 0, &asked[1]);
    BT_UNTIL(sub->events == 2);
    /* In any order. */
    BT_STATUS(MSGSRV_OK, answer(sub->handle, bt_event_at(sub, 1)->request, bt_event_at(sub, 1)->value), "");
    BT_UNTIL(asked[1].done == 1);
    ck_assert_int_eq(asked[1].value, 2);
    ck_assert_uint_eq(asked[0].done, 0);
    BT_STATUS(MSGSRV_OK, answer(sub->handle, bt_event_at(sub, 0)->request, bt_event_at(sub, 0)->value), "");
    BT_UNTIL(asked[0].done == 1);
    ck_assert_int_eq(asked[0].value, 1);
}
END_TEST

START_TEST(requests_are_no_events_of_a_queue)
{
    static question asked;
    bt_queue_of("q", NULL, "sum", NULL);
    responder(bt_handle_new("responder"), "sum", answer_twice_as_much);
    ask(bt.pub, "sum", 1, 0, &asked);
    BT_UNTIL(asked.done == 1);
    BT_STATUS(MSGSRV_OK, asked.status, asked.text);
    ck_assert_uint_eq(bt_info("q").published, 0);
}
END_TEST

const conf_test conf_requests[] = {
    {&a_request_goes_to_one_responder_and_its_reply_comes_back, NULL},
    {&a_request_goes_to_the_least_loaded_responder, NULL},
    {&a_second_reply_is_not_found, NULL},
    {&a_late_reply_is_not_found, NULL},
    {&a_request_that_nobody_answers_fails_at_once, NULL},
    {&a_request_whose_responder_goes_away_fails_at_once_and_is_not_sent_again, NULL},
    {&a_request_that_waits_for_a_stalled_responder_fails_when_it_goes, NULL},
    {&a_responder_gets_requests_and_nothing_else_and_others_get_no_requests, NULL},
    {&a_request_of_the_wrong_type_is_refused, NULL},
    {&a_reply_that_is_wrong_is_refused_and_a_good_one_may_follow, NULL},
    {&freeing_the_asker_ends_its_requests, NULL},
    {&there_are_only_so_many_requests, NULL},
    {&a_reply_may_come_much_later_than_the_callback, NULL},
    {&requests_are_no_events_of_a_queue, NULL},
    {NULL, NULL},
};
