/* SPDX-License-Identifier: MIT */
/*
 * Events and gaps; see event_print.h. Topics and names are the bus's, which has checked them, or pretends to have: what a terminal would act
 * upon is replaced.
 */
#include "event_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base64.h"
#include "program.h"

#define TEXT_ROOM 512

static const char *const REASONS[] = {
    [0] = "unknown",
    [MSGSRV_GAP_SLOW] = "slow",
    [MSGSRV_GAP_DISCONNECTED] = "disconnected",
    [MSGSRV_GAP_RESTARTED] = "restarted",
    [MSGSRV_GAP_ENGINE] = "engine",
};

static const char *reason_name(msgsrv_gap_reason reason)
{
    return (size_t)reason < sizeof REASONS / sizeof *REASONS ? REASONS[reason] : REASONS[0];
}

/* A text of the peer's, in `room`. */
static const char *clean(const char *text, char room[TEXT_ROOM])
{
    snprintf(room, TEXT_ROOM, "%s", bus_text(text));
    app_clean(room, false);
    return room;
}

const char *event_time(uint64_t us, char room[40])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    char date[24] = "";
    if (gmtime_r(&seconds, &parts))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(room, 40, "%s.%06uZ", date, (unsigned)(us % 1000000));
    return room;
}

/* The payload as JSON, to be freed; NULL when its type is not known or does not fit. */
static char *payload_json(struct bus_calls *bus, const msgsrv_event *event, size_t *size)
{
    char *text = NULL;
    msgsrv_json_options options = {.size = sizeof options, .keep_unknown = true};
    if (!bus_know_type(bus, bus_text(event->type)) ||
        msgsrv_json_from_wire(bus->types.schema, event->type, event->payload ? event->payload : "", event->payload_size,
                              &options, &text, size, NULL) != MSGSRV_OK)
        return NULL;
    return text;
}

static void print_marks(const msgsrv_event *event, const char *more)
{
    if (event->retained)
        fputs(" (retained)", stdout);
    if (event->redelivered)
        fputs(" (redelivered)", stdout);
    if (event->replaced > 0)
        printf(" (replaced %" PRIu64 ")", event->replaced);
    if (*more)
        printf(" (%s)", more);
}

void event_print(struct bus_calls *bus, const msgsrv_event *event, const char *more)
{
    char room[TEXT_ROOM];
    size_t size = 0;
    char *json = payload_json(bus, event, &size);
    printf("%s #%" PRIu64, clean(event->topic, room), event->sequence);
    print_marks(event, more);
    if (json) {
        putchar(' ');
        fwrite(json, 1, size, stdout);
        putchar('\n');
    } else {
        char *bytes = base64_text(event->payload, event->payload_size);
        printf(" %s %s\n", clean(event->type, room), bytes ? bytes : "?");
        free(bytes);
    }
    free(json);
}

/* In the order in which they came; a value whose key says so as base64. */
static void print_headers(struct app_json *json, const msgsrv_event *event)
{
    app_json_open_array(json, "headers");
    for (size_t i = 0; i < event->header_count; i++) {
        const msgsrv_metadata *header = &event->headers[i];
        size_t length = strlen(header->key);
        bool binary = length > 4 && strcmp(header->key + length - 4, "-bin") == 0;
        char *text = binary ? base64_text(header->value, header->size) : strndup(header->value, header->size);
        app_json_open(json, NULL);
        app_json_string(json, "key", header->key);
        app_json_string(json, "value", text);
        app_json_close(json);
        free(text);
    }
    app_json_close_array(json);
}

static void print_payload(struct bus_calls *bus, struct app_json *json, const msgsrv_event *event)
{
    size_t size = 0;
    char *text = payload_json(bus, event, &size);
    char *bytes = text ? NULL : base64_text(event->payload, event->payload_size);
    if (text)
        app_json_raw(json, "message", text, size);
    else
        app_json_string(json, "payload", bytes);
    free(text);
    free(bytes);
}

void event_print_members(struct bus_calls *bus, struct app_json *json, const msgsrv_event *event)
{
    char room[40];
    app_json_string(json, "topic", event->topic);
    app_json_string(json, "type", event->type);
    app_json_uint(json, "sequence", event->sequence);
    snprintf(room, sizeof room, "%" PRIu64, event->epoch);
    app_json_string(json, "epoch", room); /* it has more bits than a JSON number */
    app_json_string(json, "time", event_time(event->time_us, room));
    app_json_string(json, "publisher", event->publisher);
    if (event->header_count > 0)
        print_headers(json, event);
    if (event->replaced > 0)
        app_json_uint(json, "replaced", event->replaced);
    if (event->retained)
        app_json_bool(json, "retained", true);
    if (event->redelivered)
        app_json_bool(json, "redelivered", true);
    print_payload(bus, json, event);
}

static void print_gap_json(const msgsrv_gap *gap)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_open(&json, "gap");
    app_json_uint(&json, "total", gap->total);
    app_json_bool(&json, "unknown", gap->unknown);
    app_json_string(&json, "reason", reason_name(gap->reason));
    app_json_open_array(&json, "topics");
    for (size_t i = 0; i < gap->topic_count; i++) {
        app_json_open(&json, NULL);
        app_json_string(&json, "topic", gap->topics[i].topic);
        app_json_uint(&json, "first", gap->topics[i].first);
        app_json_uint(&json, "last", gap->topics[i].last);
        app_json_uint(&json, "count", gap->topics[i].count);
        app_json_close(&json);
    }
    app_json_close_array(&json);
    app_json_close(&json);
    app_json_close(&json);
}

static void print_gap_topic(const msgsrv_gap_topic *topic)
{
    char room[TEXT_ROOM];
    fputs(clean(topic->topic, room), stdout);
    if (topic->first > 0 && topic->first == topic->last)
        printf(" #%" PRIu64, topic->first);
    else if (topic->first > 0)
        printf(" #%" PRIu64 " to #%" PRIu64, topic->first, topic->last);
    if (topic->count > 0 && topic->last - topic->first + 1 != topic->count)
        printf(" (%" PRIu64 ")", topic->count);
}

void event_print_gap(const struct bus_calls *bus, const msgsrv_gap *gap)
{
    if (bus->options->json) {
        print_gap_json(gap);
        return;
    }
    if (gap->total == 0 && gap->unknown)
        printf("gap: events may be missing (%s)", reason_name(gap->reason));
    else
        printf("gap: %" PRIu64 " event%s missing%s (%s)", gap->total, gap->total == 1 ? " is" : "s are",
               gap->unknown ? ", and there may be more" : "", reason_name(gap->reason));
    for (size_t i = 0; i < gap->topic_count; i++) {
        fputs(i > 0 ? ", " : ": ", stdout);
        print_gap_topic(&gap->topics[i]);
    }
    putchar('\n');
}

msgsrv_event event_from(const msgsrv_bus_v1_Event *event, msgsrv_metadata *headers)
{
    for (size_t i = 0; i < event->headers_count; i++) {
        const msgsrv_bus_v1_Header *header = &event->headers[i];
        headers[i] = (msgsrv_metadata){.key = bus_text(header->key),
                                       .value = header->value ? header->value->bytes : (const pb_byte_t *)"",
                                       .size = header->value ? header->value->size : 0};
    }
    return (msgsrv_event){.topic = bus_text(event->topic),
                          .type = bus_text(event->type),
                          .payload = event->payload.data,
                          .payload_size = event->payload.size,
                          .sequence = event->sequence,
                          .epoch = event->epoch,
                          .time_us = event->time_us,
                          .publisher = bus_text(event->publisher),
                          .headers = headers,
                          .header_count = event->headers_count,
                          .replaced = event->replaced,
                          .retained = event->retained,
                          .redelivered = event->redelivered,
                          .request = event->request};
}
