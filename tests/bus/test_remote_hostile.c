/* SPDX-License-Identifier: MIT */
/*
 * A handle on a server that is not what it says: a service of the right name that answers with scripted bytes. Whatever comes, everything ends
 * exactly once, with INTERNAL where the server is wrong, and nothing else suffers.
 */
#include "api_support.h"

/* What a method answers: bytes as the stream's first message, and then perhaps an end. */
struct script {
    const char *data;
    size_t size;
    msgsrv_status ends; /* OK: it stays open */
    bool after_message; /* not at once, but when the client has sent something behind its first message */
};

static struct script script_subscribe;
static struct script script_publish;
static struct script script_consume;
static struct script script_unary;
static api_event opened;

static msgsrv_status play(msgsrv_stream *stream, const struct script *script)
{
    msgsrv_bytes bytes = {script->data, script->size, NULL};
    if (script->data)
        ck_assert_int_eq(msgsrv_stream_send(stream, &bytes, NULL), MSGSRV_OK);
    return script->ends ? msgsrv_stream_fail(stream, script->ends, "scripted") : MSGSRV_OK;
}

static msgsrv_status on_stream(const struct script *script, msgsrv_stream *stream, msgsrv_stream_event event,
                               const void *in)
{
    if (event == MSGSRV_STREAM_BEGIN) {
        api_event_add(&opened);
        return script->after_message ? MSGSRV_OK : play(stream, script);
    }
    const msgsrv_bytes *bytes = in;
    bool publications = event == MSGSRV_STREAM_MESSAGE && bytes->size > 8;
    return publications && script->after_message ? play(stream, script) : MSGSRV_OK;
}

static msgsrv_status serve_subscribe(const void *impl, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                     void *out, void *ctx)
{
    (void)impl;
    (void)out;
    (void)ctx;
    return on_stream(&script_subscribe, stream, event, in);
}

static msgsrv_status serve_publish(const void *impl, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                   void *out, void *ctx)
{
    (void)impl;
    (void)out;
    (void)ctx;
    return on_stream(&script_publish, stream, event, in);
}

static msgsrv_status serve_consume(const void *impl, msgsrv_stream *stream, msgsrv_stream_event event, const void *in,
                                   void *out, void *ctx)
{
    (void)impl;
    (void)out;
    (void)ctx;
    return on_stream(&script_consume, stream, event, in);
}

static msgsrv_status serve_unary(const void *impl, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)impl;
    (void)call;
    (void)request;
    (void)ctx;
    *(msgsrv_bytes *)response = (msgsrv_bytes){script_unary.data, script_unary.size, NULL};
    return script_unary.ends;
}

static bool always(const void *impl)
{
    (void)impl;
    return true;
}

static bool never(const void *impl)
{
    (void)impl;
    return false;
}

#define RAW(NAME, KIND, METHOD)                                                                           \
    static const msgsrv_method NAME = {MSGSRV_GENERATED_ABI, MSGSRV_##KIND, "/msgsrv.bus.v1.Bus/" METHOD, \
                                       &msgsrv_raw_type, &msgsrv_raw_type}
RAW(subscribe_method, SERVER_STREAMING, "Subscribe");
RAW(publish_method, BIDI_STREAMING, "PublishStream");
RAW(consume_method, BIDI_STREAMING, "Consume");
RAW(publish_one_method, UNARY, "Publish");
RAW(request_method, UNARY, "Request");
RAW(peek_method, UNARY, "Peek");
RAW(queues_method, UNARY, "Queues");
RAW(declare_method, UNARY, "DeclareTopic");

static const msgsrv_service_method methods[] = {
    {&subscribe_method, NULL, always, NULL, serve_subscribe}, {&publish_method, NULL, always, NULL, serve_publish},
    {&consume_method, NULL, always, NULL, serve_consume},     {&publish_one_method, serve_unary, always, never, NULL},
    {&request_method, serve_unary, always, never, NULL},      {&peek_method, serve_unary, always, never, NULL},
    {&queues_method, serve_unary, always, never, NULL},       {&declare_method, serve_unary, always, never, NULL},
};

static const msgsrv_service service = {
    .abi = MSGSRV_GENERATED_ABI,
    .nanopb_header = PB_PROTO_HEADER_VERSION,
    .nanopb_size_bytes = sizeof(pb_size_t),
    .nanopb_desc_bytes = sizeof(pb_msgdesc_t),
    .generator = "by hand",
    .name = "msgsrv.bus.v1.Bus",
    .implementation_size = 1,
    .methods = methods,
    .method_count = sizeof methods / sizeof *methods,
};

struct stage {
    msgsrv_server *server;
    msgsrv_bus *bus;
};

static void stage_open(struct stage *stage, uint32_t timeout_ms)
{
    msgsrv_error error;
    char url[96];
    snprintf(url, sizeof url, "unix:@bus-hostile-%d", (int)getpid());
    msgsrv_server_options options = {.size = sizeof options, .threads = 1};
    api_event_init(&opened);
    api_ok(msgsrv_server_new(&options, &stage->server, &error), &error);
    api_ok(msgsrv_server_register(stage->server, &service, "", NULL, &error), &error);
    api_ok(msgsrv_server_listen(stage->server, url, &error), &error);
    api_ok(msgsrv_server_start(stage->server, &error), &error);
    msgsrv_bus_options of_bus = {.size = sizeof of_bus, .thread = true, .timeout_ms = timeout_ms};
    api_ok(msgsrv_bus_open(url, &of_bus, &stage->bus, &error), &error);
}

static void stage_close(struct stage *stage)
{
    msgsrv_bus_free(stage->bus);
    msgsrv_server_free(stage->server);
}

struct told {
    api_event events;
    api_event gaps;
    api_event ready;
    api_event ended;
    msgsrv_error why;
    uint64_t total;
    bool gap_at_end;
};

static void told_init(struct told *told)
{
    memset(told, 0, sizeof *told);
    api_event_init(&told->events);
    api_event_init(&told->gaps);
    api_event_init(&told->ready);
    api_event_init(&told->ended);
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    (void)bus;
    ck_assert_ptr_nonnull(event->topic);
    api_event_add(&((struct told *)ctx)->events);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct told *told = ctx;
    told->total += gap->total;
    ck_assert_uint_le(gap->topic_count, MSGSRV_GAP_TOPICS);
    api_event_add(&told->gaps);
}

static void on_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(&((struct told *)ctx)->ready);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    struct told *told = ctx;
    told->why = *why;
    told->gap_at_end = gap != NULL;
    api_event_add(&told->ended);
}

static const msgsrv_subscriber subscriber = {on_event, on_gap, on_ready, on_end};

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    on_event(bus, delivery->event, ctx);
    return MSGSRV_OK;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
}

static const msgsrv_consumer consumer = {on_message, on_ready, on_consumer_end};

static void subscribe(struct stage *stage, const msgsrv_message_type *type, msgsrv_bus_policy policy, struct told *told)
{
    msgsrv_error error;
    msgsrv_subscribe_options options = {.size = sizeof options, .policy = policy};
    told_init(told);
    api_ok(msgsrv_bus_subscribe(stage->bus, type, &options, &subscriber, told, NULL, &error), &error);
}

#define BYTES(text) text, sizeof(text) - 1
#define READY "\x21\x01\0\0\0\0\0\0\0"

START_TEST(a_response_that_is_none_ends_the_subscription)
{
    static const struct script scripts[] = {
        {BYTES("\xff"), MSGSRV_OK, false},                      /* not protobuf */
        {BYTES("\x0a\x05\x0a\x01t"), MSGSRV_OK, false},         /* cut off */
        {BYTES("\x0a\x00"), MSGSRV_OK, false},                  /* an event without a topic */
        {BYTES("\x0a\x03\x0a\x01\n"), MSGSRV_OK, false},        /* a topic that is not printable */
        {BYTES("\x0a\x03\x0a\x01\0"), MSGSRV_OK, false},        /* a NUL in it */
        {BYTES("\x0a\x02\x0a\x7f"), MSGSRV_OK, false},          /* a length beyond the event */
        {BYTES("\x0a\x05\x0a\x01t\x42\x00"), MSGSRV_OK, false}, /* a header without a key */
        {BYTES("\x12\x02\x22\x7f"), MSGSRV_OK, false},          /* a gap that is none */
        {BYTES("\x12\x05\x22\x03\x0a\x01\x01"), MSGSRV_OK, false},
    };
    struct stage stage;
    struct told told;
    stage_open(&stage, 0);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        script_subscribe = scripts[i];
        subscribe(&stage, NULL, MSGSRV_DROP_OLDEST, &told);
        api_event_wait(&told.ended, 1);
        ck_assert_msg(told.why.code == MSGSRV_INTERNAL, "script %zu: %s", i, told.why.text);
        api_contains(told.why.text, "the server sent what is");
        ck_assert_uint_eq(api_event_count(&told.events), 0);
    }
    stage_close(&stage);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
}
END_TEST

START_TEST(unknown_fields_and_reasons_are_passed_over)
{
    struct stage stage;
    struct told told;
    stage_open(&stage, 0);
    script_subscribe = (struct script){BYTES(READY "\x12\x04\x08\x07\x18\x63"
                                                   "\x0a\x06\x0a\x01t\xa0\x06\x01"
                                                   "\x98\x06\x01"),
                                       MSGSRV_OK, false};
    subscribe(&stage, NULL, MSGSRV_DROP_OLDEST, &told);
    api_event_wait(&told.events, 1);
    ck_assert_uint_eq(api_event_count(&told.ready), 1);
    ck_assert_uint_eq(told.total, 7);
    stage_close(&stage);
}
END_TEST

START_TEST(a_payload_that_does_not_decode_is_told_as_a_gap)
{
    struct stage stage;
    struct told told;
    stage_open(&stage, 0);
    /* Of the right type, sequence 9; and then one of another type, which is passed over. */
    script_subscribe = (struct script){BYTES(READY "\x0a\x1d\x0a\x01t\x12\x13messages.AddRequest\x22\x01\xff\x28\x09"
                                                   "\x0a\x08\x0a\x01t\x12\x03x.Y"),
                                       MSGSRV_OK, false};
    subscribe(&stage, &messages_AddRequest_type, MSGSRV_DROP_OLDEST, &told);
    api_event_wait(&told.gaps, 1);
    ck_assert_uint_eq(told.total, 1);
    ck_assert_uint_eq(api_event_count(&told.events), 0);
    msgsrv_bus_stats stats = {.size = sizeof stats};
    do
        msgsrv_bus_get_stats(stage.bus, &stats);
    while (stats.lost < 2);
    stage_close(&stage);
    ck_assert_int_eq(told.why.code, MSGSRV_CANCELLED);
}
END_TEST

START_TEST(the_last_gap_of_a_disconnected_one_is_in_its_end)
{
    struct stage stage;
    struct told told;
    stage_open(&stage, 0);
    script_subscribe = (struct script){BYTES(READY "\x12\x04\x08\x07\x18\x01"), MSGSRV_RESOURCE_EXHAUSTED, false};
    subscribe(&stage, NULL, MSGSRV_DISCONNECT, &told);
    api_event_wait(&told.ended, 1);
    ck_assert_int_eq(told.why.code, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert(told.gap_at_end);
    ck_assert_uint_eq(api_event_count(&told.gaps), 0);
    subscribe(&stage, NULL, MSGSRV_DROP_OLDEST, &told);
    api_event_wait(&told.ended, 1);
    ck_assert(!told.gap_at_end);
    ck_assert_uint_eq(api_event_count(&told.gaps), 1);
    stage_close(&stage);
}
END_TEST

START_TEST(one_that_is_ended_unavailable_comes_again)
{
    struct stage stage;
    struct told told;
    stage_open(&stage, 0);
    script_subscribe = (struct script){BYTES(READY), MSGSRV_UNAVAILABLE, false};
    subscribe(&stage, NULL, MSGSRV_DROP_OLDEST, &told);
    api_event_wait(&told.ready, 3);
    ck_assert_uint_eq(api_event_count(&told.ended), 0);
    stage_close(&stage);
    ck_assert_uint_eq(api_event_count(&told.ended), 1);
}
END_TEST

struct results {
    api_event done;
    unsigned ok;
    msgsrv_error error;
    uint64_t sequence;
};

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    (void)bus;
    struct results *results = ctx;
    results->ok += status == MSGSRV_OK;
    if (receipt)
        results->sequence = receipt->sequence;
    if (status)
        results->error = *error;
    api_event_add(&results->done);
}

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)reply;
    on_published(bus, status, NULL, error, ctx);
}

static void publish(struct stage *stage, unsigned count, struct results *results)
{
    msgsrv_error error;
    messages_AddRequest message = {.a = 1};
    memset(results, 0, sizeof *results);
    api_event_init(&results->done);
    for (unsigned i = 0; i < count; i++)
        api_ok(msgsrv_bus_publish_async(stage->bus, "topic.of.some.length", &messages_AddRequest_type, &message, NULL,
                                        on_published, results, &error),
               &error);
}

START_TEST(an_answer_that_is_none_ends_what_waits)
{
    static const struct script scripts[] = {
        {BYTES("\x08\x63"), MSGSRV_OK, true},                                     /* more than were sent */
        {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), MSGSRV_OK, true}, /* much more */
        {BYTES("\xff"), MSGSRV_OK, true},
        {BYTES("\x08\x01\x12\x02\x08\x02\x12\x02\x08\x01"), MSGSRV_OK, true}, /* refusals in no order */
        {BYTES("\x08\x01\x12\x00"), MSGSRV_OK, true},                         /* a refusal of nothing */
        {BYTES("\x08\x01\x1a\x02\x08\x01\x1a\x02\x08\x01"), MSGSRV_OK, true}, /* two receipts of one */
    };
    struct stage stage;
    struct results results;
    stage_open(&stage, 0);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        script_publish = scripts[i];
        publish(&stage, 1, &results);
        api_event_wait(&results.done, 1);
        ck_assert_msg(results.error.code == MSGSRV_INTERNAL, "script %zu: %s", i, results.error.text);
    }
    stage_close(&stage);
}
END_TEST

START_TEST(refusals_with_strange_codes_and_missing_receipts)
{
    struct stage stage;
    struct results results;
    stage_open(&stage, 0);
    script_publish = (struct script){BYTES("\x08\x01\x12\x05\x08\x01\x10\x85\x02"), MSGSRV_OK, true};
    publish(&stage, 1, &results);
    api_event_wait(&results.done, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_UNKNOWN);
    msgsrv_bus_free(stage.bus);
    msgsrv_server_free(stage.server);
    stage_open(&stage, 0);
    script_publish = (struct script){BYTES("\x08\x01"), MSGSRV_OK, true};
    publish(&stage, 1, &results);
    api_event_wait(&results.done, 1);
    ck_assert_uint_eq(results.ok, 1);
    ck_assert_uint_eq(results.sequence, 0);
    stage_close(&stage);
}
END_TEST

START_TEST(a_server_that_does_not_answer_is_given_up)
{
    struct stage stage;
    struct results results;
    stage_open(&stage, 50);
    script_publish = (struct script){NULL, 0, MSGSRV_OK, false};
    publish(&stage, 3, &results);
    api_event_wait(&results.done, 3);
    ck_assert_int_eq(results.error.code, MSGSRV_DEADLINE_EXCEEDED);
    stage_close(&stage);
}
END_TEST

START_TEST(freeing_with_publications_that_nobody_answers)
{
    struct stage stage;
    struct results results;
    stage_open(&stage, 0);
    script_publish = (struct script){NULL, 0, MSGSRV_OK, false};
    publish(&stage, 100, &results);
    api_event_wait(&opened, 1);
    stage_close(&stage);
    ck_assert_uint_eq(api_event_count(&results.done), 100);
    ck_assert_int_eq(results.error.code, MSGSRV_CANCELLED);
}
END_TEST

START_TEST(a_consumer_of_nonsense_ends)
{
    static const struct script scripts[] = {
        {BYTES("\x0a\x02\x08\x01"), MSGSRV_OK, false}, /* a delivery without an event */
        {BYTES("\x0a\x02\x1a\x7f"), MSGSRV_OK, false},
        {BYTES("\x10\x01"), MSGSRV_OK, false}, /* a settlement that was not asked for */
        {BYTES("\xff\xff"), MSGSRV_OK, false},
        {BYTES("\x0a\x06\x08\x01\x1a\x02\x0a\x00"), MSGSRV_OK, false}, /* an event without a topic */
    };
    struct stage stage;
    struct told told;
    msgsrv_error error;
    stage_open(&stage, 0);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        script_consume = scripts[i];
        told_init(&told);
        api_ok(msgsrv_bus_consume(stage.bus, "q", NULL, NULL, &consumer, &told, NULL, &error), &error);
        api_event_wait(&told.ended, 1);
        ck_assert_msg(told.why.code == MSGSRV_INTERNAL, "script %zu: %s", i, told.why.text);
        ck_assert_uint_eq(api_event_count(&told.events), 0);
    }
    /* Two deliveries of one id are two here. */
    script_consume = (struct script){
        BYTES("\x20\x01\x0a\x07\x08\x05\x1a\x03\x0a\x01t\x0a\x07\x08\x05\x1a\x03\x0a\x01t"), MSGSRV_OK, false};
    told_init(&told);
    api_ok(msgsrv_bus_consume(stage.bus, "q", NULL, NULL, &consumer, &told, NULL, &error), &error);
    api_event_wait(&told.events, 2);
    stage_close(&stage);
}
END_TEST

static bool on_queued(const msgsrv_queued *message, void *ctx)
{
    (void)message;
    api_event_add(ctx);
    return true;
}

START_TEST(unary_answers_that_are_none)
{
    struct stage stage;
    struct results results;
    api_event shown;
    msgsrv_error error;
    msgsrv_queue_info info;
    messages_AddRequest message = {.a = 1};
    stage_open(&stage, 0);
    api_event_init(&shown);
    memset(&results, 0, sizeof results);
    api_event_init(&results.done);
    script_unary = (struct script){BYTES("\x0a\x03\x0a\x01\xff"), MSGSRV_OK, false};
    api_ok(msgsrv_bus_request(stage.bus, "t", &messages_AddRequest_type, &message, NULL, 0, on_replied, &results, &error),
           &error);
    api_event_wait(&results.done, 1);
    ck_assert_int_eq(results.error.code, MSGSRV_INTERNAL);
    api_expect(MSGSRV_INTERNAL, msgsrv_bus_peek(stage.bus, "q", 0, on_queued, &shown, &error), &error);
    script_unary = (struct script){BYTES(""), MSGSRV_OK, false};
    api_expect(MSGSRV_NOT_FOUND, msgsrv_bus_queue_info(stage.bus, "q", &info, &error), &error);
    api_ok(msgsrv_bus_peek(stage.bus, "q", 0, on_queued, &shown, &error), &error);
    /* There is always more, and it is always the same: a peek comes to its end all the same. */
    script_unary = (struct script){BYTES("\x0a\x07\x08\x05\x12\x03\x0a\x01t\x10\x01"), MSGSRV_OK, false};
    api_expect(MSGSRV_INTERNAL, msgsrv_bus_peek(stage.bus, "q", 0, on_queued, &shown, &error), &error);
    ck_assert_uint_eq(api_event_count(&shown), 1);
    script_unary = (struct script){BYTES("\x10\x01"), MSGSRV_OK, false};
    api_ok(msgsrv_bus_peek(stage.bus, "q", 0, on_queued, &shown, &error), &error);
    msgsrv_receipt receipt = {.sequence = 5};
    script_unary = (struct script){BYTES("\xff"), MSGSRV_OK, false};
    api_ok(msgsrv_bus_publish(stage.bus, "t", &messages_AddRequest_type, &message, NULL, &receipt, &error), &error);
    ck_assert_uint_eq(receipt.sequence, 0);
    stage_close(&stage);
}
END_TEST

TS_MAIN("bus_remote_hostile", a_response_that_is_none_ends_the_subscription, unknown_fields_and_reasons_are_passed_over,
        a_payload_that_does_not_decode_is_told_as_a_gap, the_last_gap_of_a_disconnected_one_is_in_its_end,
        one_that_is_ended_unavailable_comes_again, an_answer_that_is_none_ends_what_waits,
        refusals_with_strange_codes_and_missing_receipts, a_server_that_does_not_answer_is_given_up,
        freeing_with_publications_that_nobody_answers, a_consumer_of_nonsense_ends, unary_answers_that_are_none)
