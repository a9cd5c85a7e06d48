/* SPDX-License-Identifier: MIT */
/*
 * doctor: why does nothing arrive on a topic? The bus looks; what it finds is printed as sentences.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus_calls.h"
#include "bus_print.h"
#include "commands.h"
#include "json.h"
#include "options_table.h"
#include "program.h"

#define FOUND 1 /* the exit status when something is wrong */
#define TEXT_ROOM 1024

static const char *const KINDS[] = {
    "UNSPECIFIED",
    "FINE",
    "BAD_NAME",
    "NO_SUCH_TOPIC",
    "NOBODY_PUBLISHES",
    "NOBODY_SUBSCRIBES",
    "WRONG_TYPE",
    "PATTERN_NEARLY_MATCHES",
    "GROUP_TAKES_IT",
    "DROPPED_BY_POLICY",
    "SUBSCRIBER_STALLED",
    "QUEUE_FULL",
    "QUEUE_WITHOUT_CONSUMER",
    "ONLY_RESPONDERS",
};

static const char *kind_name(msgsrv_bus_v1_Finding_Kind kind)
{
    return (size_t)kind < sizeof KINDS / sizeof *KINDS ? KINDS[kind] : KINDS[0];
}

static const char *policy_name(msgsrv_bus_v1_Policy policy)
{
    return (size_t)policy < sizeof OPTIONS_POLICY / sizeof *OPTIONS_POLICY ? OPTIONS_POLICY[policy] : "unknown";
}

static void print_subscription_json(struct app_json *json, const msgsrv_bus_v1_SubscriptionInfo *subscription)
{
    app_json_open(json, NULL);
    app_json_string(json, "subscriber", subscription->subscriber);
    app_json_string(json, "peer", subscription->peer);
    app_json_string(json, "pattern", subscription->pattern);
    app_json_string(json, "type", subscription->type);
    app_json_string(json, "group", subscription->group);
    app_json_string(json, "policy", policy_name(subscription->policy));
    app_json_bool(json, "responder", subscription->responder);
    app_json_bool(json, "matches", subscription->matches);
    app_json_uint(json, "waiting_events", subscription->waiting_events);
    app_json_uint(json, "waiting_bytes", subscription->waiting_bytes);
    app_json_uint(json, "delivered", subscription->delivered);
    app_json_uint(json, "lost", subscription->lost);
    app_json_close(json);
}

static void print_json(const struct options *options, const msgsrv_bus_v1_DiagnoseResponse *response)
{
    struct app_json json = {.out = stdout};
    app_json_open(&json, NULL);
    app_json_string(&json, "name", options->name);
    app_json_open_array(&json, "findings");
    for (size_t i = 0; i < response->findings_count; i++) {
        app_json_open(&json, NULL);
        app_json_string(&json, "kind", kind_name(response->findings[i].kind));
        app_json_string(&json, "text", response->findings[i].text);
        app_json_close(&json);
    }
    app_json_close_array(&json);
    if (response->has_topic) {
        app_json_open(&json, "topic");
        bus_print_topic_json(&json, &response->topic);
        app_json_close(&json);
    }
    app_json_open_array(&json, "subscriptions");
    for (size_t i = 0; i < response->subscriptions_count; i++)
        print_subscription_json(&json, &response->subscriptions[i]);
    app_json_close_array(&json);
    app_json_open_array(&json, "publishers");
    for (size_t i = 0; i < response->publishers_count; i++) {
        app_json_open(&json, NULL);
        app_json_string(&json, "publisher", response->publishers[i].publisher);
        app_json_string(&json, "peer", response->publishers[i].peer);
        app_json_uint(&json, "events", response->publishers[i].events);
        app_json_close(&json);
    }
    app_json_close_array(&json);
    app_json_close(&json);
}

/* A text of the peer's, behind another one. */
static void print_cleaned(const char *before, const char *text)
{
    char room[TEXT_ROOM];
    snprintf(room, sizeof room, "%s", bus_text(text));
    app_clean(room, false);
    printf("%s%s", before, room);
}

/* Who publishes and who subscribes. */
static void print_details(const msgsrv_bus_v1_DiagnoseResponse *response)
{
    for (size_t i = 0; i < response->publishers_count; i++) {
        const msgsrv_bus_v1_PublisherInfo *publisher = &response->publishers[i];
        print_cleaned("publisher ", publisher->publisher);
        print_cleaned(" (", publisher->peer);
        printf("): events %" PRIu64 "\n", publisher->events);
    }
    for (size_t i = 0; i < response->subscriptions_count; i++) {
        const msgsrv_bus_v1_SubscriptionInfo *subscription = &response->subscriptions[i];
        print_cleaned(subscription->responder ? "responder " : "subscriber ", subscription->subscriber);
        print_cleaned(" (", subscription->peer);
        print_cleaned("): pattern ", subscription->pattern);
        if (*bus_text(subscription->type))
            print_cleaned(", type ", subscription->type);
        if (*bus_text(subscription->group))
            print_cleaned(", group ", subscription->group);
        printf(", %s, waiting %" PRIu32 ", delivered %" PRIu64 ", lost %" PRIu64 "%s\n",
               policy_name(subscription->policy), subscription->waiting_events, subscription->delivered,
               subscription->lost, subscription->matches ? "" : ", does not match");
    }
}

/* Whether nothing is wrong; all sentences are printed. */
static bool print_findings(const struct bus_calls *bus, const msgsrv_bus_v1_DiagnoseResponse *response)
{
    char near[TEXT_ROOM];
    bool fine = true;
    for (size_t i = 0; i < response->findings_count; i++) {
        const msgsrv_bus_v1_Finding *finding = &response->findings[i];
        fine = fine && finding->kind == msgsrv_bus_v1_Finding_Kind_FINE;
        if (bus->options->json)
            continue;
        print_cleaned("", finding->text);
        if (finding->kind == msgsrv_bus_v1_Finding_Kind_NO_SUCH_TOPIC &&
            bus_nearest_topic(bus, bus->options->name, near, sizeof near) && !strstr(bus_text(finding->text), near))
            printf(" (did you mean %s?)", near);
        putchar('\n');
    }
    return fine;
}

static int diagnose(struct bus_calls *bus)
{
    const struct options *options = bus->options;
    const char *type = options->types.count > 0 ? options->types.texts[0] : NULL;
    msgsrv_error error;
    int status = type ? bus_expand_type(bus, "doctor", type, &type) : 0;
    if (status != 0)
        return status;
    msgsrv_bus_v1_DiagnoseRequest request = {.topic = (char *)(uintptr_t)options->name, .type = (char *)(uintptr_t)type};
    msgsrv_bus_v1_DiagnoseResponse response = msgsrv_bus_v1_DiagnoseResponse_init_zero;
    if (msgsrv_bus_v1_Bus_Diagnose(bus->types.client, &request, NULL, &response, &error) != MSGSRV_OK)
        return bus_fail(bus, "Diagnose", &error);
    bool fine = print_findings(bus, &response);
    if (options->json)
        print_json(options, &response);
    else if (options->details)
        print_details(&response);
    msgsrv_bus_v1_DiagnoseResponse_release(&response);
    return fine ? 0 : FOUND;
}

int command_doctor(const struct options *options)
{
    struct bus_calls bus;
    int status = bus_open(&bus, options, "doctor");
    if (status == 0)
        status = diagnose(&bus);
    bus_close(&bus);
    return status;
}
