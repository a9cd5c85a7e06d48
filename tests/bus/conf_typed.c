/* SPDX-License-Identifier: MIT */
/* The generated functions: messages come as their structs, whose memory is the bus's; and all ends when the handle does, also inside them. */
#include "conf.h"

#include <stdio.h>

#include "messages.msgsrv.h"

/* What the program's typed functions were told, and what they shall do. */
typedef struct told {
    bt_handle *frees; /* in the function */
    unsigned messages, ready, ended;
    char text[64]; /* of the last message */
    msgsrv_status why;
    uint64_t request;
    msgsrv_status answer;
    messages_EchoMessage kept;
    char error[MSGSRV_ERROR_TEXT];
} told;

/* Outlives the test, after which the handles are freed. */
static told told_now;

static told *begin(told first)
{
    told_now = first;
    return &told_now;
}

static void note(told *what, const messages_EchoMessage *message)
{
    bt.told++;
    what->messages++;
    snprintf(what->text, sizeof what->text, "%s", message->text ? message->text : "");
    if (what->frees)
        bt_free(what->frees);
}

static void on_event(msgsrv_bus *bus, const messages_EchoMessage *message, const msgsrv_event *event, void *ctx)
{
    told *what = ctx;
    (void)bus;
    ck_assert_ptr_eq(event->message, message);
    ck_assert_ptr_null(event->payload);
    ck_assert_str_eq(event->type, "messages.EchoMessage");
    what->request = event->request;
    messages_EchoMessage_release(&what->kept);
    ck_assert_int_eq(messages_EchoMessage_from_event(event, &what->kept, NULL), MSGSRV_OK);
    note(what, message);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    bt.told++;
    ((told *)ctx)->ready++;
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    told *what = ctx;
    (void)bus, (void)gap;
    bt.told++;
    what->ended++;
    what->why = why->code;
    snprintf(what->error, sizeof what->error, "%s", why->text);
}

static msgsrv_status on_message(msgsrv_bus *bus, const messages_EchoMessage *message, const msgsrv_delivery *delivery,
                                void *ctx)
{
    told *what = ctx;
    msgsrv_status answer = what->answer;
    (void)bus;
    ck_assert_ptr_eq(delivery->event->message, message);
    note(what, message);
    return answer;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
}

static const messages_EchoMessage_subscriber subscriber = {.event = on_event, .ready = on_ready, .end = on_end};
static const messages_EchoMessage_consumer consumer = {.message = on_message, .ready = on_ready, .end = on_consumer_end};

static void subscribe(bt_handle *handle, const msgsrv_subscribe_options *options, told *what, msgsrv_handle *id)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, messages_EchoMessage_subscribe(handle->bus, options, &subscriber, what, id, &error), error.text);
    BT_UNTIL(what->ready > 0);
}

static void publish_text(const char *topic, char *text)
{
    msgsrv_error error = {0};
    const messages_EchoMessage message = {.text = text};
    BT_STATUS(MSGSRV_OK, messages_EchoMessage_publish(bt.admin->bus, topic, &message, NULL, NULL, &error), error.text);
}

static void publish_numbers(const char *topic)
{
    msgsrv_error error = {0};
    const messages_AddRequest message = {.a = 1, .b = 2};
    BT_STATUS(MSGSRV_OK, messages_AddRequest_publish(bt.admin->bus, topic, &message, NULL, NULL, &error), error.text);
}

START_TEST(a_typed_subscription_gets_its_type_alone)
{
    told *what = begin((told){0});
    msgsrv_handle id = 0;
    char hello[] = "hello", bye[] = "bye";
    bt_handle *handle = bt_handle_new("typed");
    subscribe(handle, NULL, what, &id);
    publish_numbers("numbers");
    publish_text("a", hello);
    publish_numbers("numbers");
    publish_text("b", bye);
    BT_UNTIL(what->messages == 2);
    bt_settle_down();
    ck_assert_uint_eq(what->messages, 2);
    ck_assert_str_eq(what->text, "bye");
    ck_assert_str_eq(what->kept.text, "bye"); /* a copy, that lives on */
    messages_EchoMessage_release(&what->kept);
    msgsrv_bus_unsubscribe(handle->bus, id);
    BT_UNTIL(what->ended == 1);
    ck_assert_int_eq(what->why, MSGSRV_CANCELLED);
}
END_TEST

START_TEST(typed_functions_that_are_missing_are_named)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, messages_EchoMessage_subscribe(bt.pub->bus, NULL, NULL, NULL, NULL, &error), "");
    BT_CONTAINS(error.text, "functions is NULL");
    error = (msgsrv_error){0};
    BT_STATUS(MSGSRV_INVALID_ARGUMENT, messages_EchoMessage_consume(bt.pub->bus, "q", NULL, NULL, NULL, NULL, &error),
              "");
    BT_CONTAINS(error.text, "functions is NULL");
}
END_TEST

START_TEST(a_typed_subscription_to_a_topic_of_another_type_names_both)
{
    told *what = begin((told){0});
    msgsrv_error error = {0};
    const msgsrv_subscribe_options options = {.pattern = "numbers"};
    publish_numbers("numbers");
    bt_subscribe_to(bt.admin, "numbers"); /* so that it is not forgotten */
    if (messages_EchoMessage_subscribe(bt.admin->bus, &options, &subscriber, what, NULL, &error) == MSGSRV_OK) {
        BT_UNTIL(what->ended == 1);
        snprintf(error.text, sizeof error.text, "%s", what->error);
        error.code = what->why;
    }
    BT_STATUS(MSGSRV_FAILED_PRECONDITION, error.code, error.text);
    BT_CONTAINS(error.text, "messages.EchoMessage");
    BT_CONTAINS(error.text, "messages.AddRequest");
}
END_TEST

START_TEST(a_declared_topic_retains_for_typed_subscriptions)
{
    told *what = begin((told){0});
    msgsrv_error error = {0};
    char hello[] = "hello";
    BT_STATUS(MSGSRV_OK, messages_EchoMessage_declare(bt.admin->bus, "a", 1, NULL, NULL, &error), error.text);
    publish_text("a", hello);
    subscribe(bt.admin, NULL, what, NULL);
    BT_UNTIL(what->messages == 1);
    ck_assert_str_eq(what->text, "hello");
    messages_EchoMessage_release(&what->kept);
}
END_TEST

START_TEST(a_handle_may_be_freed_inside_a_typed_event)
{
    bt_handle *handle = bt_handle_new("typed");
    told *what = begin((told){.frees = handle});
    char hello[] = "hello";
    subscribe(handle, NULL, what, NULL);
    publish_text("a", hello);
    BT_UNTIL(what->ended == 1);
    ck_assert_uint_eq(what->messages, 1);
    ck_assert_int_eq(what->why, MSGSRV_CANCELLED);
    messages_EchoMessage_release(&what->kept);
}
END_TEST

static void consume(bt_handle *handle, told *what)
{
    msgsrv_error error = {0};
    BT_STATUS(MSGSRV_OK, messages_EchoMessage_consume(handle->bus, "q", NULL, &consumer, what, NULL, &error), error.text);
    BT_UNTIL(what->ready > 0);
}

START_TEST(a_typed_consumer_acks_its_type_and_rejects_others)
{
    told *what = begin((told){.answer = MSGSRV_OK});
    char hello[] = "hello";
    bt_handle *handle = bt_handle_new("typed");
    bt_queue_of("q", NULL, ">", NULL);
    publish_numbers("numbers");
    publish_text("a", hello);
    consume(handle, what);
    BT_UNTIL(what->messages == 1 && bt_info("q").messages == 0);
    ck_assert_str_eq(what->text, "hello");
    msgsrv_queue_info info = bt_info("q");
    ck_assert_uint_eq(info.acked, 1);
    ck_assert_uint_eq(info.rejected, 1);
    ck_assert_uint_eq(info.dead, 1);
}
END_TEST

START_TEST(a_handle_may_be_freed_inside_a_typed_message)
{
    bt_handle *handle = bt_handle_new("typed");
    told *what = begin((told){.frees = handle, .answer = MSGSRV_DEFERRED});
    char hello[] = "hello";
    bt_queue_of("q", NULL, ">", NULL);
    consume(handle, what);
    publish_text("a", hello);
    BT_UNTIL(what->ended == 1);
    ck_assert_uint_eq(what->messages, 1);
    BT_UNTIL(bt_info("q").unsettled == 0);
    ck_assert_uint_eq(bt_info("q").messages, 1);
}
END_TEST

typedef struct answered {
    unsigned done;
    msgsrv_status status, right, wrong;
    int32_t result;
} answered;

static void on_reply(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                     void *ctx)
{
    answered *what = ctx;
    messages_AddResponse right = messages_AddResponse_init_zero;
    messages_EchoMessage wrong = messages_EchoMessage_init_zero;
    (void)bus, (void)error;
    bt.told++;
    what->done++;
    what->status = status;
    if (status != MSGSRV_OK)
        return;
    what->right = messages_AddResponse_from_event(reply, &right, NULL);
    what->wrong = messages_EchoMessage_from_event(reply, &wrong, NULL);
    what->result = right.result;
}

START_TEST(a_typed_request_gets_a_typed_reply)
{
    told *what = begin((told){0});
    answered answer = {0};
    bt_done replied = {0};
    msgsrv_error error = {0};
    char sum[] = "40 + 2";
    const messages_EchoMessage question = {.text = sum};
    const messages_AddResponse reply = {.result = 42};
    const msgsrv_subscribe_options options = {.pattern = "sums", .responder = true};
    bt_handle *responder = bt_handle_new("responder");
    subscribe(responder, &options, what, NULL);
    BT_STATUS(MSGSRV_OK,
              messages_EchoMessage_request(bt.pub->bus, "sums", &question, NULL, 0, on_reply, &answer, &error),
              error.text);
    BT_UNTIL(what->messages == 1);
    ck_assert_str_eq(what->text, "40 + 2");
    ck_assert_uint_ne(what->request, 0);
    BT_STATUS(MSGSRV_OK, messages_AddResponse_reply(responder->bus, what->request, &reply, bt_on_done, &replied, &error),
              error.text);
    BT_UNTIL(answer.done == 1 && replied.done == 1);
    BT_STATUS(MSGSRV_OK, replied.status, replied.text);
    ck_assert_int_eq(answer.status, MSGSRV_OK);
    ck_assert_int_eq(answer.right, MSGSRV_OK);
    ck_assert_int_eq(answer.result, 42);
    ck_assert_int_eq(answer.wrong, MSGSRV_FAILED_PRECONDITION);
    messages_EchoMessage_release(&what->kept);
}
END_TEST

const conf_test conf_typed[] = {
    {&a_typed_subscription_gets_its_type_alone, NULL},
    {&typed_functions_that_are_missing_are_named, NULL},
    {&a_typed_subscription_to_a_topic_of_another_type_names_both, NULL},
    {&a_declared_topic_retains_for_typed_subscriptions, "retained"},
    {&a_handle_may_be_freed_inside_a_typed_event, NULL},
    {&a_typed_consumer_acks_its_type_and_rejects_others, "dead_letter"},
    {&a_handle_may_be_freed_inside_a_typed_message, NULL},
    {&a_typed_request_gets_a_typed_reply, NULL},
    {NULL, NULL},
};
