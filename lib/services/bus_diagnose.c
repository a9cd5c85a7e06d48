/* SPDX-License-Identifier: MIT */
/*
 * Diagnose: why does nothing arrive on a topic? The core shows the topic from all sides; what is found is told for people, in the order of an event's
 * way: the name, the publisher, the type, the queues that may refuse it, the subscriptions, and what they do with it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "services/bus_service.h"

#define SHOWN_MAX 100u     /* subscriptions, and publishers, of a response */
#define NAME_SHOWN 64      /* bytes of somebody's name in a text */
#define SCANNED_MAX 20000u /* topics that are looked at for a similar name */
#define RECENT_S 10u       /* a topic with an event as young as this is published on, though no publisher is open */

typedef enum finding {
    FINE = 1,
    BAD_NAME = 2,
    NO_SUCH_TOPIC = 3,
    NOBODY_PUBLISHES = 4,
    NOBODY_SUBSCRIBES = 5,
    WRONG_TYPE = 6,
    PATTERN_NEARLY_MATCHES = 7,
    GROUP_TAKES_IT = 8,
    DROPPED_BY_POLICY = 9,
    SUBSCRIBER_STALLED = 10,
    QUEUE_FULL = 11,
    QUEUE_WITHOUT_CONSUMER = 12,
    ONLY_RESPONDERS = 13,
} finding;

enum { /* fields of DiagnoseResponse */
       RESPONSE_FINDINGS = 1,
       RESPONSE_TOPIC = 2,
       RESPONSE_SUBSCRIPTIONS = 3,
       RESPONSE_PUBLISHERS = 4,
};

/* A name, and how near it is. */
typedef struct nearest {
    char name[256];
    char who[MSI_BUS_NAME_SIZE];
    unsigned nearness;
} nearest;

/* What is seen while the core shows the topic. */
typedef struct diagnosis {
    msi_writer details; /* topic, subscriptions, publishers */
    msi_view topic;
    msi_view type;
    bool exists;
    char bound[256]; /* the topic's type */
    uint64_t events;
    uint64_t quiet_s; /* since the last event */
    uint32_t publishers;
    uint32_t shown_publishers;
    uint32_t shown;
    uint32_t subscribers; /* that match, and are no responders */
    uint32_t in_groups;   /* of them */
    uint32_t responders;
    uint32_t stalled;
    uint32_t losing;
    uint32_t other_type; /* the pattern matches, the type does not */
    uint64_t lost;
    char wrong_type[256]; /* of one of them */
    char wrong_name[MSI_BUS_NAME_SIZE];
    char stalled_name[MSI_BUS_NAME_SIZE];
    char losing_name[MSI_BUS_NAME_SIZE];
    char group[MSI_BUS_NAME_SIZE + 1];
    nearest pattern; /* of a subscription */
    nearest similar; /* topic */
    uint32_t queues;
    char full[MSI_BUS_NAME_SIZE + 1]; /* a queue */
    uint64_t full_messages;
    char idle[MSI_BUS_NAME_SIZE + 1]; /* a queue without a consumer */
    uint64_t idle_messages;
    bool consumed; /* some queue has a consumer */
} diagnosis;

static void copy(char *to, size_t room, const char *from)
{
    (void)snprintf(to, room, "%s", from ? from : "");
}
#define COPY(to, from) copy(to, sizeof(to), from)

/* "" is nobody in particular. */
static const char *or_nameless(const char *name)
{
    return name[0] ? name : "(without a name)";
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- looking; with the core's lock ---- */

/* The clock may have been set back meanwhile. */
static uint64_t quiet_s(uint64_t last_time_us)
{
    uint64_t now = msi_core_wall_us();
    return now > last_time_us ? (now - last_time_us) / 1000000 : 0;
}

static void see_topic(const msi_topic_info *info, void *ctx)
{
    diagnosis *own = ctx;
    own->exists = info->exists;
    own->events = info->events;
    own->publishers = info->publishers;
    own->quiet_s = quiet_s(info->last_time_us);
    COPY(own->bound, info->type);
    if (info->exists)
        msi_bus_put_topic(&own->details, RESPONSE_TOPIC, info);
}

static void show_subscription(msi_writer *to, const msi_sub_info *info)
{
    size_t opened = msi_bus_open(to, RESPONSE_SUBSCRIPTIONS);
    msi_bus_put_text(to, 1, info->name);
    msi_bus_put_text(to, 2, info->peer);
    msi_bus_put_text(to, 3, info->pattern);
    msi_bus_put_text(to, 4, info->type);
    msi_bus_put_text(to, 5, info->group);
    msi_bus_put_number(to, 6, (uint64_t)info->policy);
    msi_bus_put_number(to, 7, info->responder);
    msi_bus_put_number(to, 8, info->matches);
    msi_bus_put_number(to, 9, info->waiting_events);
    msi_bus_put_number(to, 10, info->waiting_bytes);
    msi_bus_put_number(to, 11, info->delivered);
    msi_bus_put_number(to, 12, info->lost);
    msi_bus_close(to, opened);
}

static void see_matching(diagnosis *own, const msi_sub_info *info)
{
    if (info->responder) {
        own->responders++;
        return;
    }
    own->subscribers++;
    if (info->group && info->group[0]) {
        own->in_groups++;
        COPY(own->group, info->group);
    }
    if (info->stalled) {
        own->stalled++;
        COPY(own->stalled_name, info->name);
    }
    if (info->lost) {
        own->losing++;
        own->lost += info->lost;
        COPY(own->losing_name, info->name);
    }
}

static void see_subscription(const msi_sub_info *info, void *ctx)
{
    diagnosis *own = ctx;
    if (info->matches) {
        see_matching(own, info);
    } else if (info->matches_topic) {
        own->other_type++;
        COPY(own->wrong_type, info->type);
        COPY(own->wrong_name, info->name);
    } else if (info->nearness > own->pattern.nearness) {
        own->pattern.nearness = info->nearness;
        COPY(own->pattern.name, info->pattern);
        COPY(own->pattern.who, info->name);
    }
    bool concerns = info->matches || info->matches_topic || info->nearness;
    if (concerns && own->shown < SHOWN_MAX) {
        own->shown++;
        show_subscription(&own->details, info);
    }
}

static void see_publisher(const msi_publisher_info *info, void *ctx)
{
    diagnosis *own = ctx;
    if (own->shown_publishers >= SHOWN_MAX)
        return;
    own->shown_publishers++;
    size_t opened = msi_bus_open(&own->details, RESPONSE_PUBLISHERS);
    msi_bus_put_text(&own->details, 1, info->name);
    msi_bus_put_text(&own->details, 2, info->peer);
    msi_bus_put_number(&own->details, 3, info->events);
    msi_bus_close(&own->details, opened);
}

static void see_queue(const msi_queue_look *look, void *ctx)
{
    diagnosis *own = ctx;
    own->queues++;
    own->consumed = own->consumed || look->info.consumers;
    if (look->full) {
        COPY(own->full, look->info.name);
        own->full_messages = look->info.messages;
    }
    if (!look->info.consumers && look->info.messages >= own->idle_messages) {
        COPY(own->idle, look->info.name);
        own->idle_messages = look->info.messages;
    }
}

/* Other topics, when there is none of this name. */
static void see_similar(const msi_topic_info *info, void *ctx)
{
    diagnosis *own = ctx;
    unsigned nearness = msi_pattern_nearness((msi_view){(const uint8_t *)info->topic, strlen(info->topic)}, own->topic);
    if (nearness <= own->similar.nearness)
        return;
    own->similar.nearness = nearness;
    COPY(own->similar.name, info->topic);
}

/* ---- telling ---- */

static void tell(msi_writer *to, finding kind, const char *format, ...) MSGSRV_PRINTF(3, 4);
static void tell(msi_writer *to, finding kind, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t opened = msi_bus_open(to, RESPONSE_FINDINGS);
    msi_bus_put_number(to, 1, (uint64_t)kind);
    msi_bus_put_text(to, 2, text);
    msi_bus_close(to, opened);
}

/*
 * Whoever publishes one event a call is no open publisher, and need not be gone: while its events come and somebody gets them, there is nothing to
 * tell.
 */
static bool events_arrive(const diagnosis *own)
{
    return own->events && own->quiet_s < RECENT_S && (own->subscribers || own->consumed);
}

static void tell_topic(const diagnosis *own, msi_writer *to)
{
    int size = (int)own->topic.size;
    const char *topic = (const char *)own->topic.data;
    if (!own->exists && own->similar.nearness)
        tell(
            to, NO_SUCH_TOPIC,
            "Nobody has published on %.*s or declared it since the bus began, or since it was last forgotten. There is "
            "a topic %s: does the publisher mean that one, or does whoever listens?",
            size, topic, own->similar.name);
    else if (!own->exists)
        tell(to, NO_SUCH_TOPIC,
             "Nobody has published on %.*s or declared it since the bus began, or since it was last forgotten. Is the "
             "publisher running, does it use this bus, and is the name right?",
             size, topic);
    else if (own->publishers == 0 && own->events == 0)
        tell(to, NOBODY_PUBLISHES, "%.*s was declared, but nothing has been published on it yet.", size, topic);
    else if (own->publishers == 0 && !events_arrive(own))
        tell(to, NOBODY_PUBLISHES,
             "Whoever published the %llu event%s on %.*s is gone, or publishes one by one: no publisher is open, and "
             "the last event came %llu s ago.",
             (unsigned long long)own->events, plural(own->events), size, topic, (unsigned long long)own->quiet_s);
}

static void tell_types(const diagnosis *own, msi_writer *to)
{
    bool bound = own->exists && own->bound[0];
    if (bound && own->type.size &&
        (strlen(own->bound) != own->type.size || memcmp(own->bound, own->type.data, own->type.size) != 0))
        tell(to, WRONG_TYPE, "The events are of type %s, not %.*s.", own->bound, (int)own->type.size,
             (const char *)own->type.data);
    if (own->other_type)
        tell(to, WRONG_TYPE,
             "%u subscription(s) match the name and ask for another type: %s wants %s%s%s. They get nothing.",
             own->other_type, or_nameless(own->wrong_name), own->wrong_type, bound ? "; the events are " : "",
             bound ? own->bound : "");
}

static void tell_queues(const diagnosis *own, msi_writer *to)
{
    if (own->full[0])
        tell(to, QUEUE_FULL,
             "The queue %s is full, with %llu message%s: if it refuses, nothing can be published on the topic at all. "
             "Let consumers take from it, or make it larger.",
             own->full, (unsigned long long)own->full_messages, plural(own->full_messages));
}

static void tell_subscribers(const diagnosis *own, msi_writer *to)
{
    if (own->subscribers == 0 && own->responders)
        tell(to, ONLY_RESPONDERS,
             "%u responder(s) listen there, which get requests and no events. Use a request, or subscribe without "
             "`responder`.",
             own->responders);
    else if (own->subscribers == 0 && !own->consumed)
        tell(to, NOBODY_SUBSCRIBES, "No subscription matches it%s.",
             own->queues ? ", though a queue takes its events" : " and no queue takes its events");
    if (own->subscribers == 0 && own->pattern.nearness)
        tell(to, PATTERN_NEARLY_MATCHES, "The pattern \"%s\" of %s nearly matches. Is it right?", own->pattern.name,
             or_nameless(own->pattern.who));
}

static void tell_losses(const diagnosis *own, msi_writer *to)
{
    if (own->stalled)
        tell(to, SUBSCRIBER_STALLED,
             "%u subscription(s) have events waiting and have not come for them for a second, %s for one: it does not "
             "read, or its handler does not return.",
             own->stalled, or_nameless(own->stalled_name));
    if (own->losing)
        tell(to, DROPPED_BY_POLICY,
             "%u subscription(s) were too slow and have lost %llu event%s by their policy, %s for one. A larger "
             "max_events helps against bursts; a queue keeps everything.",
             own->losing, (unsigned long long)own->lost, plural(own->lost), or_nameless(own->losing_name));
    if (own->in_groups)
        tell(
            to, GROUP_TAKES_IT,
            "%u of the %u subscription(s) are members of groups, %s for one: each event of a group goes to one member.",
            own->in_groups, own->subscribers, own->group);
    if (own->idle[0])
        tell(to, QUEUE_WITHOUT_CONSUMER, "The queue %s takes its events, holds %llu message%s, and has no consumer.",
             own->idle, (unsigned long long)own->idle_messages, plural(own->idle_messages));
}

static void tell_all(const diagnosis *own, msi_writer *to)
{
    tell_topic(own, to);
    tell_types(own, to);
    tell_queues(own, to);
    tell_subscribers(own, to);
    tell_losses(own, to);
    if (to->size == 0)
        tell(to, FINE,
             "All is well: %u open publisher(s), %llu event%s so far, and %u subscription(s) and %u queue(s) get them.",
             own->publishers, (unsigned long long)own->events, plural(own->events), own->subscribers, own->queues);
}

/* ---- the call ---- */

typedef struct diagnose_request {
    msi_view topic;
    msi_view type;
} diagnose_request;

static const msi_bus_field diagnose_fields[] = {
    MSI_BUS_FIELD(diagnose_request, 1, TEXT, topic),
    MSI_BUS_FIELD(diagnose_request, 2, TEXT, type),
};
static const msi_bus_message diagnose_message = MSI_BUS_MESSAGE("DiagnoseRequest", diagnose_fields);

static bool bad_names(const diagnose_request *request, msi_writer *to)
{
    char why[MSGSRV_ERROR_TEXT / 2];
    msgsrv_error error;
    if (!msi_topic_valid(request->topic, why, sizeof why)) {
        int shown = (int)(request->topic.size < NAME_SHOWN ? request->topic.size : NAME_SHOWN);
        tell(to, BAD_NAME, "\"%.*s\" cannot be a topic: it %s.", shown, (const char *)request->topic.data, why);
    }
    if (request->type.size && msi_check_type_name(request->type, &error))
        tell(to, BAD_NAME, "%s", error.text);
    return to->size != 0 || to->no_memory;
}

msgsrv_status msi_serve_diagnose(const void *none, msgsrv_call *call, const void *request, void *response, void *ctx)
{
    (void)none;
    static const msi_look look = {see_topic, see_subscription, see_publisher, see_queue};
    const msi_bus_service *service = ctx;
    diagnose_request parsed;
    msi_writer answer = {0};
    msgsrv_status status = msi_bus_request(call, &diagnose_message, request, &parsed);
    if (status)
        return status;
    if (bad_names(&parsed, &answer))
        return msi_bus_answer(call, &answer, response);
    diagnosis *own = calloc(1, sizeof *own);
    if (!own)
        return msgsrv_call_error(call, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
    own->topic = parsed.topic;
    own->type = parsed.type;
    msi_core_look(service->core, parsed.topic, parsed.type, &look, own);
    if (!own->exists)
        (void)msi_core_topics(service->core, (msi_view){(const uint8_t *)"", 0}, SCANNED_MAX, see_similar, own);
    tell_all(own, &answer);
    msi_write_raw(&answer, own->details.data, own->details.size);
    answer.no_memory = answer.no_memory || own->details.no_memory;
    msi_writer_release(&own->details);
    free(own);
    return msi_bus_answer(call, &answer, response);
}
