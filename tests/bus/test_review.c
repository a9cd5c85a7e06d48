/* SPDX-License-Identifier: MIT */
/* What a hostile reader of the bus found: each of these was a crash, a loss in silence, or work without a bound. */
#include <event2/event.h>
#include <stdatomic.h>

#include "api_support.h"
#include "bus/bus.h"
#include "bus/queue_internal.h"
#include "guard.h"

#define TYPE "review.Number"

static msgsrv_bus *open_bus(const char *url, const msgsrv_bus_options *options)
{
    msgsrv_bus *bus = NULL;
    msgsrv_error error;
    api_ok(msgsrv_bus_open(url, options, &bus, &error), &error);
    return bus;
}

/* A payload: field 15, bytes. */
static msgsrv_bytes payload_of(uint8_t *memory, size_t size)
{
    uint8_t *at = memory;
    memset(memory, 'x', size + 8);
    *at++ = 15 << 3 | 2;
    at = msi_varint_put(at, size);
    return (msgsrv_bytes){memory, (size_t)(at - memory) + size, NULL};
}

static msgsrv_status publish_as(msgsrv_bus *bus, const char *topic, const char *type, size_t size)
{
    static uint8_t memory[16384];
    msgsrv_bytes bytes = payload_of(memory, size);
    msgsrv_publish_options options = {.size = sizeof options, .type = type};
    return msgsrv_bus_publish(bus, topic, &msgsrv_raw_type, &bytes, &options, NULL, NULL);
}

static void publish(msgsrv_bus *bus, const char *topic)
{
    ck_assert_int_eq(publish_as(bus, topic, TYPE, 100), MSGSRV_OK);
}

static void poll_all(msgsrv_bus *bus)
{
    while (msgsrv_bus_poll(bus, 0, NULL) == MSGSRV_OK)
        continue;
}

/* What a subscription or a consumer is told. */
typedef struct told {
    unsigned events;
    unsigned gaps;
    unsigned ended;
    uint64_t lost;
    uint64_t end_lost;
    uint64_t delivery;
    uint64_t request;
    char topic[64];
    char gap_topic[64];
    size_t bytes;
    bool frees; /* the handle, and goes on reading */
    bool frees_in_gap;
    msgsrv_status why;
    msgsrv_gap_reason reason;
    api_event happened;
} told;

/* All of an event is read, behind the end of its handle. */
static void look_at(told *to, const msgsrv_event *event)
{
    snprintf(to->topic, sizeof to->topic, "%s", event->topic);
    for (size_t i = 0; i < event->payload_size; i++)
        to->bytes += ((const uint8_t *)event->payload)[i] != 0;
}

static void on_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    told *to = ctx;
    to->events++;
    to->request = event->request;
    if (to->frees)
        msgsrv_bus_free(bus);
    look_at(to, event);
}

static void on_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    told *to = ctx;
    to->gaps++;
    to->lost += gap->total;
    to->reason = gap->reason;
    if (to->frees_in_gap)
        msgsrv_bus_free(bus);
    if (gap->topic_count)
        snprintf(to->gap_topic, sizeof to->gap_topic, "%s", gap->topics[0].topic);
}

static void on_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    told *to = ctx;
    to->ended++;
    to->why = why->code;
    to->end_lost = gap ? gap->total : 0;
}

static const msgsrv_subscriber subscriber = {.event = on_event, .gap = on_gap, .end = on_end};

static msgsrv_handle subscribe(msgsrv_bus *bus, const msgsrv_subscribe_options *options, told *to)
{
    msgsrv_handle handle = 0;
    msgsrv_error error;
    api_ok(msgsrv_bus_subscribe(bus, NULL, options, &subscriber, to, &handle, &error), &error);
    return handle;
}

/* ---- gaps ---- */

#define TOPICS 100u

static void declare_all(msgsrv_bus *bus, uint32_t retain)
{
    char topic[32];
    for (unsigned i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "kept.t%u", i);
        ck_assert_int_eq(msgsrv_bus_declare_topic(bus, topic, NULL, NULL, retain, NULL, NULL, NULL), MSGSRV_OK);
        if (retain)
            publish(bus, topic);
    }
}

START_TEST(many_topics_that_retain_no_more_are_told_once_each)
{
    told to = {0};
    msgsrv_bus *bus = open_bus("mem:", NULL);
    declare_all(bus, 1);
    subscribe(bus, &(msgsrv_subscribe_options){.pattern = "kept.>", .max_events = 1}, &to);
    declare_all(bus, 0);
    poll_all(bus);
    ck_assert_uint_eq(to.events, 1);
    ck_assert_uint_eq(to.lost, TOPICS - 1);
    msgsrv_bus_free(bus);
}
END_TEST

static void publish_many(msgsrv_bus *bus, const char *topic, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        publish(bus, topic);
}

START_TEST(the_gap_of_a_group_goes_to_a_member_that_has_not_ended)
{
    told first = {0};
    told second = {0};
    msgsrv_bus *one = open_bus("mem:review-group", NULL);
    msgsrv_bus *two = open_bus("mem:review-group", NULL);
    const msgsrv_subscribe_options options = {
        .pattern = "g", .group = "members", .policy = MSGSRV_DISCONNECT, .max_events = 1};
    subscribe(one, &options, &first);
    publish_many(one, "g", 64 + 1 + 1); /* with the member, waiting, and one too many */
    subscribe(two, &options, &second);  /* gets the one that waits */
    publish_many(one, "g", 63 + 1 + 1);
    poll_all(two);
    poll_all(one);
    ck_assert_uint_eq(first.ended, 1);
    ck_assert_uint_eq(first.end_lost, 1);
    ck_assert_uint_eq(second.ended, 1);
    ck_assert_uint_eq(second.end_lost, 1);
    msgsrv_bus_free(two);
    msgsrv_bus_free(one);
}
END_TEST

/* Another program's code of the same type, which cannot decode what the first one's has published. */
START_TEST(what_other_code_of_a_type_cannot_decode_is_a_gap)
{
    told to = {0};
    msgsrv_error error;
    msgsrv_bus *bus = open_bus("mem:", NULL);
    msgsrv_message_type other = messages_EchoMessage_type;
    other.name = messages_AddRequest_type.name;
    api_ok(msgsrv_bus_subscribe(bus, &other, NULL, &subscriber, &to, NULL, &error), &error);
    messages_AddRequest message = {.a = 1, .b = 2};
    api_ok(msgsrv_bus_publish(bus, "t", &messages_AddRequest_type, &message, NULL, NULL, &error), &error);
    poll_all(bus);
    ck_assert_uint_eq(to.events, 0);
    ck_assert_uint_eq(to.lost, 1);
    ck_assert_int_eq(to.reason, MSGSRV_GAP_UNDECODABLE);
    msgsrv_bus_free(bus);
}
END_TEST

/* ---- freeing ---- */

START_TEST(an_event_outlives_its_handle_until_its_function_returns)
{
    const msgsrv_subscribe_options options[] = {{.pattern = "t"}, {.pattern = "t", .group = "g"}};
    for (int i = 0; i < 2; i++) {
        told to = {.frees = true};
        msgsrv_bus *bus = open_bus("mem:", NULL);
        subscribe(bus, &options[i], &to);
        publish_many(bus, "t", 3);
        (void)msgsrv_bus_poll(bus, 0, NULL);
        ck_assert_uint_eq(to.events, 1);
        ck_assert_uint_eq(to.ended, 1);
        ck_assert_str_eq(to.topic, "t");
        ck_assert_uint_ge(to.bytes, 100);
    }
}
END_TEST

START_TEST(a_gap_outlives_its_handle_until_its_function_returns)
{
    const msgsrv_subscribe_options options[] = {{.pattern = "t", .max_events = 1},
                                                {.pattern = "t", .group = "g", .max_events = 1}};
    for (int i = 0; i < 2; i++) {
        told to = {.frees_in_gap = true};
        msgsrv_bus *bus = open_bus("mem:", NULL);
        subscribe(bus, &options[i], &to);
        publish_many(bus, "t", 70);
        (void)msgsrv_bus_poll(bus, 0, NULL);
        ck_assert_uint_eq(to.gaps, 1);
        ck_assert_uint_eq(to.ended, 1);
        ck_assert_str_eq(to.gap_topic, "t");
    }
}
END_TEST

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    told *to = ctx;
    to->events++;
    if (!to->delivery)
        to->delivery = delivery->id; /* the first: another thread may be reading it when the next one comes */
    if (to->frees)
        msgsrv_bus_free(bus);
    look_at(to, delivery->event);
    api_event_add(&to->happened);
    return to->frees ? MSGSRV_OK : MSGSRV_DEFERRED;
}

static void on_consumer_end(msgsrv_bus *bus, const msgsrv_error *why, void *ctx)
{
    on_end(bus, why, NULL, ctx);
    api_event_add(&((told *)ctx)->happened);
}

static const msgsrv_consumer consumer = {.message = on_message, .end = on_consumer_end};

START_TEST(a_delivery_outlives_its_handle_until_its_function_returns)
{
    told to = {.frees = true};
    api_event_init(&to.happened);
    msgsrv_bus *bus = open_bus("mem:", NULL);
    ck_assert_int_eq(msgsrv_bus_declare_queue(bus, "q", NULL, NULL, NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(msgsrv_bus_consume(bus, "q", NULL, NULL, &consumer, &to, NULL, NULL), MSGSRV_OK);
    publish_many(bus, "q", 3);
    (void)msgsrv_bus_poll(bus, 0, NULL);
    ck_assert_uint_eq(to.events, 1);
    ck_assert_uint_eq(to.ended, 1);
    ck_assert_str_eq(to.topic, "q");
}
END_TEST

/* Asks, publishes, settles again in each answer: for ever, if nobody says that the handle is being freed. */
typedef struct again {
    unsigned asked;
    unsigned answered;
    unsigned published;
    msgsrv_status refused;
} again;

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx);

static void ask(msgsrv_bus *bus, again *of)
{
    uint8_t memory[64];
    msgsrv_bytes bytes = payload_of(memory, 10);
    const msgsrv_publish_options options = {.size = sizeof options, .type = TYPE};
    msgsrv_status status =
        msgsrv_bus_request(bus, "asked", &msgsrv_raw_type, &bytes, &options, 10000, on_replied, of, NULL);
    if (status == MSGSRV_OK)
        of->asked++;
    else
        of->refused = status;
}

static void on_replied(msgsrv_bus *bus, msgsrv_status status, const msgsrv_event *reply, const msgsrv_error *error,
                       void *ctx)
{
    (void)status;
    (void)reply;
    (void)error;
    again *of = ctx;
    of->answered++;
    ask(bus, of);
}

START_TEST(a_request_that_is_asked_again_while_its_handle_is_freed_is_refused)
{
    told to = {0};
    again of = {0};
    msgsrv_bus *asks = open_bus("mem:review-asked", NULL);
    msgsrv_bus *answers = open_bus("mem:review-asked", NULL);
    subscribe(answers, &(msgsrv_subscribe_options){.pattern = "asked", .responder = true}, &to);
    ask(asks, &of);
    poll_all(answers);
    msgsrv_bus_free(asks);
    ck_assert_uint_eq(of.asked, of.answered);
    ck_assert_int_eq(of.refused, MSGSRV_FAILED_PRECONDITION);
    poll_all(answers);
    uint8_t memory[64];
    msgsrv_bytes bytes = payload_of(memory, 10);
    ck_assert_int_eq(msgsrv_bus_reply(answers, to.request, &msgsrv_raw_type, &bytes, TYPE, NULL, NULL, NULL),
                     MSGSRV_NOT_FOUND);
    msgsrv_bus_free(answers);
}
END_TEST

#define ENOUGH 1000u /* without an end */

static void on_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                         const msgsrv_error *error, void *ctx)
{
    (void)status;
    (void)receipt;
    (void)error;
    again *of = ctx;
    uint8_t memory[64];
    msgsrv_bytes bytes = payload_of(memory, 10);
    const msgsrv_publish_options options = {.size = sizeof options, .type = TYPE};
    if (++of->published < ENOUGH)
        of->refused = msgsrv_bus_publish_async(bus, "t", &msgsrv_raw_type, &bytes, &options, on_published, of, NULL);
}

static void on_declared(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    (void)status;
    (void)error;
    again *of = ctx;
    if (++of->published < ENOUGH)
        of->refused = msgsrv_bus_declare_queue(bus, "q", NULL, on_declared, of, NULL);
}

START_TEST(freeing_ends_though_each_answer_begins_the_next)
{
    again publishing = {0};
    again declaring = {0};
    msgsrv_bus *bus = open_bus("mem:", NULL);
    on_published(bus, MSGSRV_OK, NULL, NULL, &publishing);
    on_declared(bus, MSGSRV_OK, NULL, &declaring);
    msgsrv_bus_free(bus);
    ck_assert_int_eq(publishing.refused, MSGSRV_FAILED_PRECONDITION);
    ck_assert_uint_eq(publishing.published, 2);
    ck_assert_int_eq(declaring.refused, MSGSRV_FAILED_PRECONDITION);
    ck_assert_uint_eq(declaring.published, 2);
}
END_TEST

/* ---- threads ---- */

typedef struct settler {
    msgsrv_bus *bus;
    uint64_t delivery;
    atomic_bool begun;
} settler;

static void *settle_in_thread(void *arg)
{
    settler *of = arg;
    atomic_store(&of->begun, true);
    (void)msgsrv_bus_settle(of->bus, of->delivery, MSGSRV_ACK, 0, NULL, NULL, NULL, NULL);
    return NULL;
}

/* One is settled on its way into the core, while the consumer goes. */
static void settle_while_it_ends(msgsrv_bus *bus)
{
    told to = {0};
    msgsrv_handle handle;
    pthread_t thread;
    api_event_init(&to.happened);
    ck_assert_int_eq(msgsrv_bus_consume(bus, "q", NULL, NULL, &consumer, &to, &handle, NULL), MSGSRV_OK);
    api_event_wait(&to.happened, 1);
    settler of = {.bus = bus, .delivery = to.delivery};
    msi_core_lock(msi_bus_core(bus));
    ck_assert_int_eq(pthread_create(&thread, NULL, settle_in_thread, &of), 0);
    while (!atomic_load(&of.begun))
        ts_nap();
    for (int i = 0; i < 4; i++)
        ts_nap();
    msgsrv_bus_unsubscribe(bus, handle);
    for (int i = 0; i < 4; i++)
        ts_nap();
    msi_core_unlock(msi_bus_core(bus));
    api_event_wait(&to.happened, 2);
    pthread_join(thread, NULL);
}

START_TEST(settling_on_another_thread_while_the_consumer_ends)
{
    msgsrv_bus *bus = open_bus("mem:", &(msgsrv_bus_options){.size = sizeof(msgsrv_bus_options), .thread = true});
    ck_assert_int_eq(msgsrv_bus_declare_queue(bus, "q", NULL, NULL, NULL, NULL), MSGSRV_OK);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(msgsrv_bus_purge(bus, "q", NULL, NULL), MSGSRV_OK);
        publish(bus, "q");
        settle_while_it_ends(bus);
    }
    msgsrv_bus_free(bus);
}
END_TEST

/* ---- the log ---- */

static void on_log(msgsrv_log_level level, const char *text, void *ctx)
{
    (void)level;
    (void)text;
    ++*(unsigned *)ctx;
}

START_TEST(a_log_is_not_written_when_its_handle_is_gone)
{
    told to = {0};
    unsigned *lines = calloc(1, sizeof *lines);
    unsigned others = 0;
    msgsrv_bus_options options = {.size = sizeof options, .log = on_log, .log_ctx = lines};
    msgsrv_bus *first = open_bus("mem:review-log", &options);
    options.log_ctx = &others;
    msgsrv_bus *second = open_bus("mem:review-log", &options);
    subscribe(second, &(msgsrv_subscribe_options){.pattern = "t", .max_events = 1}, &to);
    publish_many(second, "t", 2);
    ck_assert_uint_eq(*lines, 1);
    msgsrv_bus_free(first);
    free(lines);
    publish_many(second, "t", 2);
    ck_assert_uint_ge(others, 1);
    msgsrv_bus_free(second);
}
END_TEST

/* ---- bounds ---- */

START_TEST(what_waits_for_a_responder_is_bounded_in_bytes)
{
    told to = {0};
    again of = {0};
    msgsrv_bus *bus = open_bus("mem:", NULL);
    subscribe(bus, &(msgsrv_subscribe_options){.pattern = "asked", .responder = true, .max_bytes = 16384}, &to);
    static uint8_t memory[16384];
    msgsrv_bytes bytes = payload_of(memory, 10000);
    const msgsrv_publish_options options = {.size = sizeof options, .type = TYPE};
    for (int i = 0; i < 3; i++)
        (void)msgsrv_bus_request(bus, "asked", &msgsrv_raw_type, &bytes, &options, 10000, on_replied, &of, NULL);
    msgsrv_bus_stats stats = {.size = sizeof stats};
    msgsrv_bus_get_stats(bus, &stats);
    ck_assert_uint_le(stats.waiting_bytes, 16384);
    ck_assert_uint_eq(stats.requests, 1);
    msgsrv_bus_free(bus);
}
END_TEST

static bool refuse_second(const msgsrv_queued *message, void *ctx)
{
    (void)message;
    return ++*(unsigned *)ctx < 2;
}

/* What was shown and did not fit is asked for next: it is found without a walk from the beginning. */
START_TEST(a_peek_goes_on_at_what_did_not_fit)
{
    msi_event_pool pool = {0};
    msi_topic_name *name = msi_topic_name_new(&pool, msi_view_of("t"), msi_view_of(TYPE), 1);
    msi_queue_settings settings;
    msgsrv_error error;
    api_ok(msi_queue_settings_resolve(&(msgsrv_queue_options){0}, &settings, &error), &error);
    msi_queue *queue = msi_queue_new("q", &settings, NULL, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        msi_event *event = msi_event_new(&(msi_event_parts){.name = name, .payload = msi_view_of("")});
        ck_assert_int_eq(msi_queue_check(queue, 1, event->size, (msi_view){0}, NULL), MSGSRV_OK);
        msi_queue_put_event(queue, 1, event, &(msi_queue_put){0});
        msi_event_unref(event);
    }
    unsigned shown = 0;
    msi_queue_peek(queue, false, 1, 1, 0, 100, refuse_second, &shown);
    ck_assert_uint_eq(shown, 2);
    ck_assert_uint_eq(queue->box[false].shown->letter.id, 2);
    msi_queue_free(queue);
    msi_topic_name_unref(name);
    msi_event_pool_release(&pool);
}
END_TEST

/* ---- what fails does nothing ---- */

static void subscribe_to_x(msgsrv_bus *bus, const char *topic, told *to)
{
    subscribe(bus, &(msgsrv_subscribe_options){.pattern = topic, .type = "review.X"}, to);
}

START_TEST(a_request_that_nobody_answers_ends_no_subscription)
{
    told to = {0};
    again of = {0};
    msgsrv_bus *bus = open_bus("mem:", NULL);
    subscribe_to_x(bus, "asked", &to);
    ask(bus, &of);
    ck_assert_int_eq(publish_as(bus, "asked", "review.X", 1), MSGSRV_OK);
    (void)msgsrv_bus_poll(bus, 0, NULL);
    ck_assert_uint_eq(to.ended, 0);
    ck_assert_uint_eq(to.events, 1);
    msgsrv_bus_free(bus);
}
END_TEST

START_TEST(a_publication_that_a_queue_refuses_binds_nothing)
{
    told to = {0};
    const char *const patterns[] = {">"};
    msgsrv_bus *bus = open_bus("mem:", NULL);
    const msgsrv_queue_options options = {.patterns = patterns, .pattern_count = 1, .max_messages = 1};
    ck_assert_int_eq(msgsrv_bus_declare_queue(bus, "q", &options, NULL, NULL, NULL), MSGSRV_OK);
    subscribe_to_x(bus, "t", &to);
    publish(bus, "fills.it");
    ck_assert_int_eq(publish_as(bus, "t", "review.Y", 1), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(msgsrv_bus_purge(bus, "q", NULL, NULL), MSGSRV_OK);
    ck_assert_int_eq(publish_as(bus, "t", "review.X", 1), MSGSRV_OK);
    poll_all(bus);
    ck_assert_uint_eq(to.ended, 0);
    ck_assert_uint_eq(to.events, 1);
    msgsrv_bus_free(bus);
}
END_TEST

/* ---- remote ---- */

typedef struct stage {
    msgsrv_bus *host;
    msgsrv_server *server;
    char url[64];
} stage;

static void stage_open(stage *of, const char *name)
{
    msgsrv_error error;
    of->host = open_bus("mem:", NULL);
    snprintf(of->url, sizeof of->url, "unix:@review-%s-%d", name, (int)getpid());
    msgsrv_server_options options = {.size = sizeof options, .threads = 1};
    api_ok(msgsrv_server_new(&options, &of->server, &error), &error);
    api_ok(msgsrv_bus_serve(of->host, of->server, &error), &error);
    api_ok(msgsrv_server_listen(of->server, of->url, &error), &error);
    api_ok(msgsrv_server_start(of->server, &error), &error);
}

static void stage_close(stage *of)
{
    msgsrv_server_free(of->server);
    msgsrv_bus_free(of->host);
}

static void free_in_published(msgsrv_bus *bus, msgsrv_status status, const msgsrv_receipt *receipt,
                              const msgsrv_error *error, void *ctx)
{
    (void)status;
    (void)receipt;
    (void)error;
    if (!*(bool *)ctx)
        msgsrv_bus_free(bus);
    *(bool *)ctx = true;
}

START_TEST(a_handle_is_freed_while_a_function_waits_on_its_stream)
{
    stage of;
    stage_open(&of, "stream");
    bool freed = false;
    msgsrv_bus *bus = open_bus(of.url, NULL);
    uint8_t memory[64];
    msgsrv_bytes bytes = payload_of(memory, 10);
    const msgsrv_publish_options options = {.size = sizeof options, .type = TYPE};
    ck_assert_int_eq(
        msgsrv_bus_publish_async(bus, "t", &msgsrv_raw_type, &bytes, &options, free_in_published, &freed, NULL),
        MSGSRV_OK);
    (void)publish_as(bus, "t", TYPE, 10);
    ck_assert(freed);
    stage_close(&of);
}
END_TEST

static void free_in_done(msgsrv_bus *bus, msgsrv_status status, const msgsrv_error *error, void *ctx)
{
    free_in_published(bus, status, NULL, error, ctx);
}

static bool show(const msgsrv_queued *message, void *ctx)
{
    (void)message;
    (void)ctx;
    return true;
}

START_TEST(a_handle_is_freed_while_a_function_waits_for_its_call)
{
    stage of;
    stage_open(&of, "call");
    for (int i = 0; i < 2; i++) {
        bool freed = false;
        msgsrv_bus *bus = open_bus(of.url, NULL);
        ck_assert_int_eq(msgsrv_bus_declare_queue(bus, "q", NULL, free_in_done, &freed, NULL), MSGSRV_OK);
        if (i == 0)
            (void)publish_as(bus, "t", TYPE, 10);
        else
            (void)msgsrv_bus_peek(bus, "q", 0, show, NULL, NULL);
        ck_assert(freed);
    }
    stage_close(&of);
}
END_TEST

/* A member of a group, on a thread of its own. */
typedef struct member {
    api_event opened; /* its first event waits for this */
    api_event events;
    api_event gaps;
    api_event ready;
    api_event ended;
} member;

static void member_event(msgsrv_bus *bus, const msgsrv_event *event, void *ctx)
{
    (void)bus;
    (void)event;
    member *own = ctx;
    api_event_wait(&own->opened, 1);
    api_event_add(&own->events);
}

static void member_gap(msgsrv_bus *bus, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    (void)gap;
    api_event_add(&((member *)ctx)->gaps);
}

static void member_ready(msgsrv_bus *bus, void *ctx)
{
    (void)bus;
    api_event_add(&((member *)ctx)->ready);
}

static void member_end(msgsrv_bus *bus, const msgsrv_error *why, const msgsrv_gap *gap, void *ctx)
{
    (void)bus;
    (void)why;
    (void)gap;
    api_event_add(&((member *)ctx)->ended);
}

static msgsrv_handle join(msgsrv_bus *bus, member *own)
{
    static const msgsrv_subscriber member_of = {member_event, member_gap, member_ready, member_end};
    const msgsrv_subscribe_options options = {
        .pattern = "g", .group = "members", .policy = MSGSRV_DROP_NEWEST, .max_events = 1};
    msgsrv_handle handle = 0;
    msgsrv_error error;
    api_event *const events[] = {&own->opened, &own->events, &own->gaps, &own->ready, &own->ended};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        api_event_init(events[i]);
    api_ok(msgsrv_bus_subscribe(bus, NULL, &options, &member_of, own, &handle, &error), &error);
    api_event_wait(&own->ready, 1);
    return handle;
}

START_TEST(a_gap_that_a_member_was_told_is_told_to_no_other)
{
    stage of;
    member first;
    member second;
    stage_open(&of, "members");
    msgsrv_bus *bus = open_bus(of.url, &(msgsrv_bus_options){.size = sizeof(msgsrv_bus_options), .thread = true});
    msgsrv_handle handle = join(bus, &first);
    publish_many(of.host, "g", 64 + 1 + 5); /* with the member, waiting, and too many */
    api_event_add(&first.opened);
    api_event_wait(&first.events, 65);
    api_event_wait(&first.gaps, 1);
    (void)join(bus, &second);
    api_event_add(&second.opened);
    msgsrv_bus_unsubscribe(bus, handle);
    api_event_wait(&first.ended, 1);
    publish(of.host, "g");
    while (api_event_count(&first.events) + api_event_count(&second.events) < 66)
        ts_nap();
    publish(of.host, "g");
    api_event_wait(&second.events, 1);
    msgsrv_bus_free(bus);
    ck_assert_uint_eq(api_event_count(&second.gaps), 0);
    stage_close(&of);
}
END_TEST

TS_MAIN("bus_review", many_topics_that_retain_no_more_are_told_once_each,
        the_gap_of_a_group_goes_to_a_member_that_has_not_ended, what_other_code_of_a_type_cannot_decode_is_a_gap,
        an_event_outlives_its_handle_until_its_function_returns, a_gap_outlives_its_handle_until_its_function_returns,
        a_delivery_outlives_its_handle_until_its_function_returns,
        a_request_that_is_asked_again_while_its_handle_is_freed_is_refused,
        freeing_ends_though_each_answer_begins_the_next, settling_on_another_thread_while_the_consumer_ends,
        a_log_is_not_written_when_its_handle_is_gone, what_waits_for_a_responder_is_bounded_in_bytes,
        a_peek_goes_on_at_what_did_not_fit, a_request_that_nobody_answers_ends_no_subscription,
        a_publication_that_a_queue_refuses_binds_nothing, a_handle_is_freed_while_a_function_waits_on_its_stream,
        a_handle_is_freed_while_a_function_waits_for_its_call, a_gap_that_a_member_was_told_is_told_to_no_other)
