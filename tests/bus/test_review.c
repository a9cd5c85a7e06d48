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

/* ---- freeing ---- */

static msgsrv_status on_message(msgsrv_bus *bus, const msgsrv_delivery *delivery, void *ctx)
{
    told *to = ctx;
    to->events++;
    to->delivery = delivery->id;
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

/* ---- threads ---- */

typedef struct settler {
    msgsrv_bus *bus;
    uint64_t delivery;
    atomic_bool begun;
} settler;

/* ---- the log ---- */

/* ---- bounds ---- */

/* ---- what fails does nothing ---- */

/* ---- remote ---- */

typedef struct stage {
    msgsrv_bus *host;
    msgsrv_server *server;
    char url[64];
} stage;

TS_MAIN("bus_review", many_topics_that_retain_no_more_are_told_once_each)
