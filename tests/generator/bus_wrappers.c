/* SPDX-License-Identifier: MIT */
/*
 * The generated functions of the event bus and the library's part of them (lib/bus/typed.c), above a bus that is this file's own: it
 * writes down how it was called, and tells what a test lets it tell.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "messages.msgsrv.h"

static struct {
    int calls;
    msgsrv_bus *bus;
    const char *topic, *type_name;
    const msgsrv_message_type *type;
    const msgsrv_proto_file *file;
    const void *message, *options;
    uint64_t request;
    uint32_t number;
    void *receipt, *ctx, *error, *handle;
    msgsrv_published_fn published;
    msgsrv_bus_done_fn done;
    msgsrv_replied_fn replied;
    msgsrv_subscriber subscriber;
    msgsrv_consumer consumer;
    msgsrv_status answer;
} seen;

static msgsrv_bus *const bus = (msgsrv_bus *)&seen;
static msgsrv_error error;
static bool no_memory;

void *__real_malloc(size_t size);

/* The linker's --wrap=malloc; used by all that the program is linked with statically. */
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

msgsrv_status msgsrv_bus_publish(msgsrv_bus *on, const char *topic, const msgsrv_message_type *type, const void *message,
                                 const msgsrv_publish_options *options, msgsrv_receipt *receipt, msgsrv_error *err)
{
    seen.bus = on;
    seen.topic = topic;
    seen.type = type;
    seen.message = message;
    seen.options = options;
    seen.receipt = receipt;
    seen.error = err;
    return MSGSRV_NOT_FOUND;
}

msgsrv_status msgsrv_bus_publish_async(msgsrv_bus *on, const char *topic, const msgsrv_message_type *type,
                                       const void *message, const msgsrv_publish_options *options,
                                       msgsrv_published_fn done, void *ctx, msgsrv_error *err)
{
    msgsrv_bus_publish(on, topic, type, message, options, NULL, err);
    seen.published = done;
    seen.ctx = ctx;
    return MSGSRV_AGAIN;
}

msgsrv_status msgsrv_bus_request(msgsrv_bus *on, const char *topic, const msgsrv_message_type *type,
                                 const void *message, const msgsrv_publish_options *options, uint32_t timeout_ms,
                                 msgsrv_replied_fn done, void *ctx, msgsrv_error *err)
{
    msgsrv_bus_publish(on, topic, type, message, options, NULL, err);
    seen.number = timeout_ms;
    seen.replied = done;
    seen.ctx = ctx;
    return MSGSRV_UNAVAILABLE;
}

msgsrv_status msgsrv_bus_reply(msgsrv_bus *on, uint64_t request, const msgsrv_message_type *type, const void *message,
                               const char *type_name, msgsrv_bus_done_fn done, void *ctx, msgsrv_error *err)
{
    msgsrv_bus_publish(on, NULL, type, message, NULL, NULL, err);
    seen.request = request;
    seen.type_name = type_name;
    seen.done = done;
    seen.ctx = ctx;
    return MSGSRV_ABORTED;
}

msgsrv_status msgsrv_bus_declare_topic(msgsrv_bus *on, const char *topic, const char *type_name,
                                       const msgsrv_proto_file *file, uint32_t retain, msgsrv_bus_done_fn done,
                                       void *ctx, msgsrv_error *err)
{
    msgsrv_bus_publish(on, topic, NULL, NULL, NULL, NULL, err);
    seen.type_name = type_name;
    seen.file = file;
    seen.number = retain;
    seen.done = done;
    seen.ctx = ctx;
    return MSGSRV_ALREADY_EXISTS;
}

msgsrv_status msgsrv_bus_subscribe(msgsrv_bus *on, const msgsrv_message_type *type,
                                   const msgsrv_subscribe_options *options, const msgsrv_subscriber *subscriber,
                                   void *ctx, msgsrv_handle *handle, msgsrv_error *err)
{
    msgsrv_bus_publish(on, NULL, type, NULL, NULL, NULL, err);
    seen.options = options;
    seen.calls++;
    seen.subscriber = *subscriber;
    seen.ctx = ctx;
    seen.handle = handle;
    return seen.answer;
}

msgsrv_status msgsrv_bus_consume(msgsrv_bus *on, const char *queue, const msgsrv_message_type *type,
                                 const msgsrv_consume_options *options, const msgsrv_consumer *consumer, void *ctx,
                                 msgsrv_handle *handle, msgsrv_error *err)
{
    msgsrv_bus_publish(on, queue, type, NULL, NULL, NULL, err);
    seen.options = options;
    seen.calls++;
    seen.consumer = *consumer;
    seen.ctx = ctx;
    seen.handle = handle;
    return seen.answer;
}

static void clear(void)
{
    memset(&seen, 0, sizeof seen);
    no_memory = false;
}

/* What the program's own functions were told. */
typedef struct told {
    int events, gaps, readies, ends;
    const messages_AddRequest *message;
    const void *event, *gap, *why;
} told;

static void on_published(msgsrv_bus *on, msgsrv_status status, const msgsrv_receipt *receipt, const msgsrv_error *err,
                         void *ctx)
{
    (void)on, (void)status, (void)receipt, (void)err, (void)ctx;
}

static void on_done(msgsrv_bus *on, msgsrv_status status, const msgsrv_error *err, void *ctx)
{
    (void)on, (void)status, (void)err, (void)ctx;
}

static void on_reply(msgsrv_bus *on, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *err, void *ctx)
{
    (void)on, (void)status, (void)reply, (void)err, (void)ctx;
}

static void on_event(msgsrv_bus *on, const messages_AddRequest *message, const msgsrv_event *event, void *ctx)
{
    told *what = ctx;

    ck_assert_ptr_eq(on, bus);
    what->events++;
    what->message = message;
    what->event = event;
}

static void on_gap(msgsrv_bus *on, const msgsrv_gap *gap, void *ctx)
{
    told *what = ctx;

    ck_assert_ptr_eq(on, bus);
    what->gaps++;
    what->gap = gap;
}

static void on_ready(msgsrv_bus *on, void *ctx)
{
    ck_assert_ptr_eq(on, bus);
    ((told *)ctx)->readies++;
}

static void on_end(msgsrv_bus *on, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    told *what = ctx;

    ck_assert_ptr_eq(on, bus);
    what->ends++;
    what->why = why;
    what->gap = gap;
}

static msgsrv_status on_message(msgsrv_bus *on, const messages_AddRequest *message, const msgsrv_delivery *delivery,
                                void *ctx)
{
    told *what = ctx;

    ck_assert_ptr_eq(on, bus);
    what->events++;
    what->message = message;
    what->event = delivery;
    return MSGSRV_DEFERRED;
}

static void on_consumer_end(msgsrv_bus *on, const msgsrv_error *why, void *ctx)
{
    on_end(on, why, NULL, ctx);
}

static const messages_AddRequest_subscriber all = {.event = on_event, .gap = on_gap, .ready = on_ready, .end = on_end};
static const messages_AddRequest_consumer consumer = {.message = on_message, .ready = on_ready, .end = on_consumer_end};

START_TEST(publishing_passes_everything_on)
{
    messages_AddRequest message = {.a = 1};
    msgsrv_publish_options options = {.ttl_ms = 5};
    msgsrv_receipt receipt;
    int ctx;

    ck_assert_int_eq(messages_AddRequest_publish(bus, "a.b", &message, &options, &receipt, &error), MSGSRV_NOT_FOUND);
    ck_assert_ptr_eq(seen.bus, bus);
    ck_assert_str_eq(seen.topic, "a.b");
    ck_assert_ptr_eq(seen.type, &messages_AddRequest_type);
    ck_assert_ptr_eq(seen.message, &message);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.receipt, &receipt);
    ck_assert_ptr_eq(seen.error, &error);
    clear();
    ck_assert_int_eq(messages_AddRequest_publish_async(bus, "c", &message, &options, on_published, &ctx, &error),
                     MSGSRV_AGAIN);
    ck_assert_str_eq(seen.topic, "c");
    ck_assert_ptr_eq(seen.type, &messages_AddRequest_type);
    ck_assert_ptr_eq(seen.message, &message);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert(seen.published == on_published);
    ck_assert_ptr_eq(seen.ctx, &ctx);
    ck_assert_ptr_eq(seen.error, &error);
}
END_TEST

START_TEST(asking_and_answering_pass_everything_on)
{
    messages_AddRequest message = {.a = 1};
    messages_AddResponse reply = {.result = 1};
    msgsrv_publish_options options = {.size = 0};
    int ctx;

    ck_assert_int_eq(messages_AddRequest_request(bus, "a", &message, &options, 7, on_reply, &ctx, &error),
                     MSGSRV_UNAVAILABLE);
    ck_assert_str_eq(seen.topic, "a");
    ck_assert_ptr_eq(seen.type, &messages_AddRequest_type);
    ck_assert_ptr_eq(seen.message, &message);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_uint_eq(seen.number, 7);
    ck_assert(seen.replied == on_reply);
    ck_assert_ptr_eq(seen.ctx, &ctx);
    ck_assert_ptr_eq(seen.error, &error);
    clear();
    ck_assert_int_eq(messages_AddResponse_reply(bus, 1234, &reply, on_done, &ctx, &error), MSGSRV_ABORTED);
    ck_assert_uint_eq(seen.request, 1234);
    ck_assert_ptr_eq(seen.type, &messages_AddResponse_type);
    ck_assert_ptr_eq(seen.message, &reply);
    ck_assert_ptr_null(seen.type_name);
    ck_assert(seen.done == on_done);
    ck_assert_ptr_eq(seen.ctx, &ctx);
    ck_assert_ptr_eq(seen.error, &error);
}
END_TEST

START_TEST(a_declared_topic_has_the_descriptor)
{
    int ctx;

    ck_assert_int_eq(messages_AddRequest_declare(bus, "a", 3, on_done, &ctx, &error), MSGSRV_ALREADY_EXISTS);
    ck_assert_str_eq(seen.topic, "a");
    ck_assert_str_eq(seen.type_name, "messages.AddRequest");
    ck_assert_ptr_eq(seen.file, &messages_proto_file);
    ck_assert_uint_eq(seen.number, 3);
    ck_assert(seen.done == on_done);
    ck_assert_ptr_eq(seen.ctx, &ctx);
    ck_assert_ptr_eq(seen.error, &error);
}
END_TEST

START_TEST(a_subscription_is_told_with_its_types)
{
    messages_AddRequest message = {.a = 1};
    msgsrv_event event = {.type = "messages.AddRequest", .message = &message};
    msgsrv_gap gap = {.total = 1};
    msgsrv_subscribe_options options = {.pattern = "a.>"};
    msgsrv_handle handle;
    told what = {0};

    ck_assert_int_eq(messages_AddRequest_subscribe(bus, &options, &all, &what, &handle, &error), MSGSRV_OK);
    ck_assert_ptr_eq(seen.bus, bus);
    ck_assert_ptr_eq(seen.type, &messages_AddRequest_type);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.handle, &handle);
    ck_assert_ptr_eq(seen.error, &error);
    seen.subscriber.ready(bus, seen.ctx);
    ck_assert_int_eq(what.readies, 1);
    seen.subscriber.event(bus, &event, seen.ctx);
    ck_assert_int_eq(what.events, 1);
    ck_assert_ptr_eq(what.message, &message);
    ck_assert_ptr_eq(what.event, &event);
    seen.subscriber.gap(bus, &gap, seen.ctx);
    ck_assert_int_eq(what.gaps, 1);
    ck_assert_ptr_eq(what.gap, &gap);
    what.gap = NULL;
    seen.subscriber.end(bus, &error, &gap, seen.ctx);
    ck_assert_int_eq(what.ends, 1);
    ck_assert_ptr_eq(what.why, &error);
    ck_assert_ptr_eq(what.gap, &gap);
}
END_TEST

START_TEST(what_a_subscriber_has_not_the_bus_has_not)
{
    static const messages_AddRequest_subscriber little = {.event = on_event}, nothing = {.gap = on_gap};
    told what = {0};

    ck_assert_int_eq(messages_AddRequest_subscribe(bus, NULL, &little, &what, NULL, NULL), MSGSRV_OK);
    ck_assert(seen.subscriber.gap == NULL && seen.subscriber.ready == NULL);
    seen.subscriber.end(bus, &error, NULL, seen.ctx);
    seen.answer = MSGSRV_INVALID_ARGUMENT;
    ck_assert_int_eq(messages_AddRequest_subscribe(bus, NULL, &nothing, &what, NULL, NULL), MSGSRV_INVALID_ARGUMENT);
    ck_assert(seen.subscriber.event == NULL);
    ck_assert_int_eq(what.ends, 0);
}
END_TEST

/* As an event does whose function frees the handle: what is open ends inside. */
static void end_inside(msgsrv_bus *on, const messages_AddRequest *message, const msgsrv_event *event, void *ctx)
{
    on_event(on, message, event, ctx);
    seen.subscriber.end(on, &error, NULL, seen.ctx);
}

static void end_in_gap(msgsrv_bus *on, const msgsrv_gap *gap, void *ctx)
{
    on_gap(on, gap, ctx);
    seen.subscriber.end(on, &error, NULL, seen.ctx);
}

static void end_in_ready(msgsrv_bus *on, void *ctx)
{
    on_ready(on, ctx);
    seen.subscriber.end(on, &error, NULL, seen.ctx);
}

START_TEST(a_subscription_may_end_inside_its_functions)
{
    static const messages_AddRequest_subscriber ending = {
        .event = end_inside, .gap = end_in_gap, .ready = end_in_ready, .end = on_end};
    messages_AddRequest message = {.a = 1};
    msgsrv_event event = {.message = &message};
    msgsrv_gap gap = {.total = 1};
    told what = {0};

    ck_assert_int_eq(messages_AddRequest_subscribe(bus, NULL, &ending, &what, NULL, NULL), MSGSRV_OK);
    seen.subscriber.event(bus, &event, seen.ctx);
    ck_assert_int_eq(messages_AddRequest_subscribe(bus, NULL, &ending, &what, NULL, NULL), MSGSRV_OK);
    seen.subscriber.gap(bus, &gap, seen.ctx);
    ck_assert_int_eq(messages_AddRequest_subscribe(bus, NULL, &ending, &what, NULL, NULL), MSGSRV_OK);
    seen.subscriber.ready(bus, seen.ctx);
    ck_assert_int_eq(what.events, 1);
    ck_assert_int_eq(what.gaps, 1);
    ck_assert_int_eq(what.readies, 1);
    ck_assert_int_eq(what.ends, 3);
}
END_TEST

START_TEST(a_consumer_is_told_with_its_types)
{
    messages_AddRequest message = {.a = 1};
    msgsrv_event event = {.type = "messages.AddRequest", .message = &message};
    msgsrv_delivery delivery = {.event = &event};
    msgsrv_consume_options options = {.prefetch = 1};
    msgsrv_handle handle;
    told what = {0};

    ck_assert_int_eq(messages_AddRequest_consume(bus, "jobs", &options, &consumer, &what, &handle, &error), MSGSRV_OK);
    ck_assert_ptr_eq(seen.bus, bus);
    ck_assert_str_eq(seen.topic, "jobs");
    ck_assert_ptr_eq(seen.type, &messages_AddRequest_type);
    ck_assert_ptr_eq(seen.options, &options);
    ck_assert_ptr_eq(seen.handle, &handle);
    ck_assert_ptr_eq(seen.error, &error);
    seen.consumer.ready(bus, seen.ctx);
    ck_assert_int_eq(what.readies, 1);
    ck_assert_int_eq(seen.consumer.message(bus, &delivery, seen.ctx), MSGSRV_DEFERRED);
    ck_assert_ptr_eq(what.message, &message);
    ck_assert_ptr_eq(what.event, &delivery);
    seen.consumer.end(bus, &error, seen.ctx);
    ck_assert_int_eq(what.ends, 1);
    ck_assert_ptr_eq(what.why, &error);
}
END_TEST

START_TEST(what_a_consumer_has_not_the_bus_has_not)
{
    static const messages_AddRequest_consumer little = {.message = on_message}, nothing = {.ready = on_ready};
    told what = {0};

    ck_assert_int_eq(messages_AddRequest_consume(bus, "jobs", NULL, &little, &what, NULL, NULL), MSGSRV_OK);
    ck_assert(seen.consumer.ready == NULL);
    seen.consumer.end(bus, &error, seen.ctx);
    seen.answer = MSGSRV_NOT_FOUND;
    ck_assert_int_eq(messages_AddRequest_consume(bus, "jobs", NULL, &nothing, &what, NULL, NULL), MSGSRV_NOT_FOUND);
    ck_assert(seen.consumer.message == NULL);
}
END_TEST

START_TEST(closures_without_room_or_memory_are_refused)
{
    static const char large[MSGSRV_CLOSURE_SIZE + 1];
    const msgsrv_message_type *type = &messages_AddRequest_type;
    msgsrv_subscriber subscriber = {0};
    msgsrv_consumer any = {0};
    told what = {0};

    ck_assert_int_eq(msgsrv_bus_subscribe_typed(bus, type, NULL, &subscriber, NULL, large, sizeof large, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_bus_subscribe_typed(bus, NULL, NULL, &subscriber, NULL, large, 1, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_bus_subscribe_typed(bus, type, NULL, NULL, NULL, large, 1, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_bus_consume_typed(bus, "q", type, NULL, &any, NULL, large, sizeof large, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msgsrv_bus_consume_typed(bus, "q", type, NULL, &any, NULL, NULL, 1, NULL, &error),
                     MSGSRV_INVALID_ARGUMENT);
    /* Check allocates as well. */
    no_memory = true;
    msgsrv_status subscribed = messages_AddRequest_subscribe(bus, NULL, &all, &what, NULL, &error);
    msgsrv_status consumed = messages_AddRequest_consume(bus, "q", NULL, &consumer, &what, NULL, &error);
    no_memory = false;
    ck_assert_int_eq(subscribed, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(consumed, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(seen.calls, 0);
}
END_TEST

START_TEST(an_events_message_is_copied)
{
    static const unsigned char text[] = {0x0a, 2, 'h', 'i'};
    char hello[] = "hello";
    messages_EchoMessage shared = {.text = hello}, message = messages_EchoMessage_init_zero;
    msgsrv_event bytes = {.type = "messages.EchoMessage", .payload = text, .payload_size = sizeof text};
    msgsrv_event typed = {.type = "messages.EchoMessage", .message = &shared};
    msgsrv_event empty = {.type = "messages.EchoMessage", .payload = NULL};

    ck_assert_int_eq(messages_EchoMessage_from_event(&bytes, &message, &error), MSGSRV_OK);
    ck_assert_str_eq(message.text, "hi");
    messages_EchoMessage_release(&message);
    ck_assert_int_eq(messages_EchoMessage_from_event(&typed, &message, &error), MSGSRV_OK);
    ck_assert_str_eq(message.text, "hello");
    ck_assert_ptr_ne(message.text, hello);
    messages_EchoMessage_release(&message);
    ck_assert_int_eq(messages_EchoMessage_from_event(&empty, &message, &error), MSGSRV_OK);
    messages_EchoMessage_release(&message);
}
END_TEST

START_TEST(an_event_of_another_type_or_of_bad_bytes_is_refused)
{
    static const unsigned char cut[] = {0x0a, 9, 'h'};
    msgsrv_event other = {.type = "messages.AddRequest", .payload = cut, .payload_size = sizeof cut};
    msgsrv_event bad = {.type = "messages.EchoMessage", .payload = cut, .payload_size = sizeof cut};
    msgsrv_event untyped = {.payload = cut, .payload_size = sizeof cut};
    messages_EchoMessage message;

    memset(&message, 0x5a, sizeof message);
    ck_assert_int_eq(messages_EchoMessage_from_event(&other, &message, &error), MSGSRV_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(error.text, "messages.AddRequest"));
    ck_assert_ptr_nonnull(strstr(error.text, "messages.EchoMessage"));
    ck_assert_int_eq(messages_EchoMessage_from_event(&bad, &message, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(messages_EchoMessage_from_event(&untyped, &message, NULL), MSGSRV_FAILED_PRECONDITION);
    ck_assert_int_eq(messages_EchoMessage_from_event(NULL, &message, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(messages_EchoMessage_from_event(&bad, NULL, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_uint_eq(*(unsigned char *)&message, 0x5a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generated code for the bus");
    TCase *tests = tcase_create("bus_wrappers");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, clear, clear);
    tcase_add_test(tests, publishing_passes_everything_on);
    tcase_add_test(tests, asking_and_answering_pass_everything_on);
    tcase_add_test(tests, a_declared_topic_has_the_descriptor);
    tcase_add_test(tests, a_subscription_is_told_with_its_types);
    tcase_add_test(tests, what_a_subscriber_has_not_the_bus_has_not);
    tcase_add_test(tests, a_subscription_may_end_inside_its_functions);
    tcase_add_test(tests, a_consumer_is_told_with_its_types);
    tcase_add_test(tests, what_a_consumer_has_not_the_bus_has_not);
    tcase_add_test(tests, closures_without_room_or_memory_are_refused);
    tcase_add_test(tests, an_events_message_is_copied);
    tcase_add_test(tests, an_event_of_another_type_or_of_bad_bytes_is_refused);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
