/* SPDX-License-Identifier: MIT */
/*
 * Topics and queues; see bus_print.h.
 */
#include "bus_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event_print.h"
#include "program.h"

#define NAME_ROOM 512
#define TOPIC_NUMBERS_WIDTH 69 /* of a screen's topic, all but the name and the type */
#define QUEUE_NUMBERS_WIDTH 71
#define NAME_LEAST 12
#define NONE "-"

/* A name of the peer's, in `room`; a dash for none. */
static const char *clean(const char *text, char room[NAME_ROOM])
{
    snprintf(room, NAME_ROOM, "%s", text && *text ? text : NONE);
    app_clean(room, false);
    return room;
}

static int wider(int width, const char *text)
{
    size_t length = strlen(bus_text(text));
    return length > (size_t)width && length < NAME_ROOM ? (int)length : width;
}

void bus_print_topics(const msgsrv_bus_v1_TopicsResponse *topics)
{
    char name[NAME_ROOM], type[NAME_ROOM];
    int name_width = 5, type_width = 4;
    for (size_t i = 0; i < topics->topics_count; i++) {
        name_width = wider(name_width, topics->topics[i].topic);
        type_width = wider(type_width, topics->topics[i].type);
    }
    printf("%-*s  %-*s  %10s  %11s  %6s  %10s  %12s  %8s  %6s\n", name_width, "TOPIC", type_width, "TYPE", "PUBLISHERS",
           "SUBSCRIBERS", "QUEUES", "EVENTS", "BYTES", "RETAINED", "LOST");
    for (size_t i = 0; i < topics->topics_count; i++) {
        const msgsrv_bus_v1_TopicInfo *topic = &topics->topics[i];
        printf("%-*s  %-*s  %10" PRIu32 "  %11" PRIu32 "  %6" PRIu32 "  %10" PRIu64 "  %12" PRIu64 "  %8" PRIu32
               "  %6" PRIu64 "\n",
               name_width, clean(topic->topic, name), type_width, clean(topic->type, type), topic->publishers,
               topic->subscribers, topic->queues, topic->events, topic->bytes, topic->retained, topic->lost);
    }
    if (topics->more)
        puts("...");
}

void bus_print_topic_lines(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *topics)
{
    char name[NAME_ROOM], type[NAME_ROOM], a[32], b[32];
    for (size_t i = 0; i < topics->topics_count; i++) {
        const msgsrv_bus_v1_TopicInfo *topic = &topics->topics[i];
        struct topic_rate rate = topic_counts_rate(before, topics, topic);
        printf("%s  type %s  publishers %" PRIu32 "  subscribers %" PRIu32 "  queues %" PRIu32
               "  events/s %s  B/s %s  events %" PRIu64 "  bytes %" PRIu64 "  retained %" PRIu32 "  lost %" PRIu64 "\n",
               clean(topic->topic, name), clean(topic->type, type), topic->publishers, topic->subscribers,
               topic->queues, rate_text(a, rate.events), rate_text(b, rate.bytes), topic->events, topic->bytes,
               topic->retained, topic->lost);
    }
}

void bus_print_topic_json(struct app_json *json, const msgsrv_bus_v1_TopicInfo *topic)
{
    char room[40];
    app_json_string(json, "topic", topic->topic);
    app_json_string(json, "type", topic->type);
    snprintf(room, sizeof room, "%" PRIu64, topic->epoch);
    app_json_string(json, "epoch", room);
    app_json_uint(json, "sequence", topic->sequence);
    app_json_uint(json, "publishers", topic->publishers);
    app_json_uint(json, "subscribers", topic->subscribers);
    app_json_uint(json, "queues", topic->queues);
    app_json_uint(json, "events", topic->events);
    app_json_uint(json, "bytes", topic->bytes);
    app_json_uint(json, "retained", topic->retained);
    app_json_uint(json, "retain", topic->retain);
    app_json_uint(json, "lost", topic->lost);
    if (topic->last_time_us > 0)
        app_json_string(json, "last_time", event_time(topic->last_time_us, room));
    app_json_bool(json, "described", topic->described);
}

static void print_bus_json(struct app_json *json, const msgsrv_bus_v1_BusInfo *bus)
{
    app_json_open(json, "bus");
    app_json_uint(json, "topics", bus->topics);
    app_json_uint(json, "subscriptions", bus->subscriptions);
    app_json_uint(json, "queues", bus->queues);
    app_json_uint(json, "consumers", bus->consumers);
    app_json_uint(json, "published", bus->published);
    app_json_uint(json, "delivered", bus->delivered);
    app_json_uint(json, "lost", bus->lost);
    app_json_uint(json, "refused", bus->refused);
    app_json_uint(json, "retained_bytes", bus->retained_bytes);
    app_json_uint(json, "waiting_events", bus->waiting_events);
    app_json_uint(json, "waiting_bytes", bus->waiting_bytes);
    app_json_close(json);
}

void bus_print_topics_json(struct app_json *json, const struct topic_counts *before,
                           const msgsrv_bus_v1_TopicsResponse *topics)
{
    app_json_open_array(json, "topics");
    for (size_t i = 0; i < topics->topics_count; i++) {
        struct topic_rate rate = topic_counts_rate(before, topics, &topics->topics[i]);
        app_json_open(json, NULL);
        bus_print_topic_json(json, &topics->topics[i]);
        if (rate.events >= 0)
            app_json_fixed(json, "events_per_second", rate.events, 1);
        if (rate.bytes >= 0)
            app_json_fixed(json, "bytes_per_second", rate.bytes, 1);
        app_json_close(json);
    }
    app_json_close_array(json);
    app_json_bool(json, "more", topics->more);
    app_json_uint(json, "time_ns", topics->time_ns);
    if (topics->has_bus)
        print_bus_json(json, &topics->bus);
}

/* The width of names beside numbers of a width: what is left, but at most `wanted`. */
static int column(const struct screen *screen, int wanted, unsigned numbers)
{
    int left = screen->width > numbers + NAME_LEAST ? (int)(screen->width - numbers) : NAME_LEAST;
    return left < wanted ? left : wanted;
}

void bus_draw_topics(struct screen *screen, const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *topics)
{
    char name[NAME_ROOM], a[32], b[32];
    int width = NAME_LEAST;
    for (size_t i = 0; i < topics->topics_count; i++)
        width = wider(width, topics->topics[i].topic);
    width = column(screen, width, TOPIC_NUMBERS_WIDTH);
    screen_line(screen, "%-*s %4s %4s %6s %10s %12s %12s %7s %6s", width, "TOPIC", "PUB", "SUB", "QUEUES", "EVENTS/S",
                "B/S", "EVENTS", "RETAIN", "LOST");
    for (size_t i = 0; i < topics->topics_count; i++) {
        const msgsrv_bus_v1_TopicInfo *topic = &topics->topics[i];
        struct topic_rate rate = topic_counts_rate(before, topics, topic);
        screen_line(screen,
                    "%-*.*s %4" PRIu32 " %4" PRIu32 " %6" PRIu32 " %10s %12s %12" PRIu64 " %7" PRIu32 " %6" PRIu64
                    "  %s",
                    width, width, clean(topic->topic, name), topic->publishers, topic->subscribers, topic->queues,
                    rate_text(a, rate.events), rate_text(b, rate.bytes), topic->events, topic->retained, topic->lost,
                    bus_text(topic->type));
    }
}

static bool is_wanted(const msgsrv_bus_v1_QueueInfo *queue, const char *only)
{
    return !only || strcmp(bus_text(queue->name), only) == 0;
}

void bus_print_queues(const msgsrv_bus_v1_QueuesResponse *queues, const char *only)
{
    char name[NAME_ROOM];
    int width = 5;
    for (size_t i = 0; i < queues->queues_count; i++)
        width = is_wanted(&queues->queues[i], only) ? wider(width, queues->queues[i].name) : width;
    printf("%-*s  %9s  %12s  %9s  %7s  %6s  %9s  %10s  %10s  %10s  %8s  %7s  %7s  %7s\n", width, "QUEUE", "MESSAGES",
           "BYTES", "UNSETTLED", "DELAYED", "DEAD", "CONSUMERS", "PUBLISHED", "DELIVERED", "ACKED", "REJECTED",
           "EXPIRED", "REFUSED", "DROPPED");
    for (size_t i = 0; i < queues->queues_count; i++) {
        const msgsrv_bus_v1_QueueInfo *queue = &queues->queues[i];
        if (!is_wanted(queue, only))
            continue;
        printf("%-*s  %9" PRIu64 "  %12" PRIu64 "  %9" PRIu64 "  %7" PRIu64 "  %6" PRIu64 "  %9" PRIu32 "  %10" PRIu64
               "  %10" PRIu64 "  %10" PRIu64 "  %8" PRIu64 "  %7" PRIu64 "  %7" PRIu64 "  %7" PRIu64 "\n",
               width, clean(queue->name, name), queue->messages, queue->bytes, queue->unsettled, queue->delayed,
               queue->dead, queue->consumers, queue->published, queue->delivered, queue->acked, queue->rejected,
               queue->expired, queue->refused, queue->dropped);
    }
}

static void print_texts(struct app_json *json, const char *key, char *const *texts, size_t count)
{
    app_json_open_array(json, key);
    for (size_t i = 0; i < count; i++)
        app_json_string(json, NULL, texts[i]);
    app_json_close_array(json);
}

/* The settings of a queue; without those that are the default. */
static void print_settings(struct app_json *json, const msgsrv_bus_v1_QueueSettings *settings)
{
    const struct {
        const char *key;
        uint64_t value;
    } NUMBERS[] = {
        {"max_messages", settings->max_messages},
        {"max_bytes", settings->max_bytes},
        {"ack_wait_ms", settings->ack_wait_ms},
        {"max_deliver", settings->max_deliver},
        {"ttl_ms", settings->ttl_ms},
        {"max_dead_letters", settings->max_dead_letters},
        {"dedup_ms", settings->dedup_ms},
        {"dedup_ids", settings->dedup_ids},
    };
    app_json_open(json, "settings");
    print_texts(json, "patterns", settings->patterns, settings->patterns_count);
    print_texts(json, "types", settings->types, settings->types_count);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        if (NUMBERS[i].value == MSGSRV_NONE)
            app_json_string(json, NUMBERS[i].key, "none");
        else if (NUMBERS[i].value > 0)
            app_json_uint(json, NUMBERS[i].key, NUMBERS[i].value);
    }
    app_json_bool(json, "drop_oldest", settings->drop_oldest);
    app_json_bool(json, "no_dead_letters", settings->no_dead_letters);
    app_json_close(json);
}

static void print_queue_json(struct app_json *json, const msgsrv_bus_v1_QueueInfo *queue)
{
    const struct {
        const char *key;
        uint64_t value;
    } NUMBERS[] = {
        {"messages", queue->messages},
        {"bytes", queue->bytes},
        {"unsettled", queue->unsettled},
        {"delayed", queue->delayed},
        {"dead", queue->dead},
        {"consumers", queue->consumers},
        {"published", queue->published},
        {"delivered", queue->delivered},
        {"redelivered", queue->redelivered},
        {"acked", queue->acked},
        {"rejected", queue->rejected},
        {"expired", queue->expired},
        {"refused", queue->refused},
        {"dropped", queue->dropped},
        {"duplicates", queue->duplicates},
        {"dedup_evicted", queue->dedup_evicted},
    };
    app_json_open(json, NULL);
    app_json_string(json, "queue", queue->name);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        app_json_uint(json, NUMBERS[i].key, NUMBERS[i].value);
    if (queue->has_settings)
        print_settings(json, &queue->settings);
    app_json_close(json);
}

void bus_print_queues_json(struct app_json *json, const msgsrv_bus_v1_QueuesResponse *queues, const char *only)
{
    app_json_open_array(json, "queues");
    for (size_t i = 0; i < queues->queues_count; i++) {
        if (is_wanted(&queues->queues[i], only))
            print_queue_json(json, &queues->queues[i]);
    }
    app_json_close_array(json);
}

void bus_draw_queues(struct screen *screen, const msgsrv_bus_v1_QueuesResponse *queues)
{
    char name[NAME_ROOM];
    int width = NAME_LEAST;
    if (queues->queues_count == 0)
        return;
    for (size_t i = 0; i < queues->queues_count; i++)
        width = wider(width, queues->queues[i].name);
    width = column(screen, width, QUEUE_NUMBERS_WIDTH);
    screen_line(screen, " ");
    screen_line(screen, "%-*s %9s %12s %9s %7s %6s %9s %12s", width, "QUEUE", "MESSAGES", "BYTES", "UNSETTLED",
                "DELAYED", "DEAD", "CONSUMERS", "ACKED");
    for (size_t i = 0; i < queues->queues_count; i++) {
        const msgsrv_bus_v1_QueueInfo *queue = &queues->queues[i];
        screen_line(screen,
                    "%-*.*s %9" PRIu64 " %12" PRIu64 " %9" PRIu64 " %7" PRIu64 " %6" PRIu64 " %9" PRIu32 " %12" PRIu64,
                    width, width, clean(queue->name, name), queue->messages, queue->bytes, queue->unsettled,
                    queue->delayed, queue->dead, queue->consumers, queue->acked);
    }
}
