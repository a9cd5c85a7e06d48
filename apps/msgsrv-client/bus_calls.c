/* SPDX-License-Identifier: MIT */
/*
 * What the bus's commands have in common; see bus_calls.h.
 */
#include "bus_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "program.h"

#define SET_FILE 1                              /* of FileDescriptorSet */
#define ASK_AGAIN_NS (UINT64_C(5) * 1000000000) /* for a type that nobody knew */
#define NAME_ROOM 512

const char *bus_text(const char *text)
{
    return text ? text : "";
}

int bus_open(struct bus_calls *bus, const struct options *options, const char *what)
{
    *bus = (struct bus_calls){.options = options};
    int status = types_open(&bus->types, options, what, false);
    bus->types.optional = true;
    return status;
}

void bus_close(struct bus_calls *bus)
{
    types_close(&bus->types);
    names_free(&bus->unknown);
}

int bus_fail(const struct bus_calls *bus, const char *what, const msgsrv_error *error)
{
    msgsrv_error none = *error;
    if (error->code == MSGSRV_UNIMPLEMENTED && error->from_peer && strstr(error->text, "msgsrv.bus.v1.Bus")) {
        app_error(&none, MSGSRV_UNIMPLEMENTED, "the server has no bus");
        error = &none;
    }
    return app_fail(what, error, bus->options->server);
}

/* The nearest of some names that are members of an array's structs, or NULL. */
static const char *nearest(const char *word, char *const *first, size_t count, size_t stride)
{
    return count > 0 ? app_nearest(word, (const char *const *)first, count, stride) : NULL;
}

/* Reports what is not there, with what may be meant. */
static int not_found(const char *what, const char *text, const char *near)
{
    if (near)
        app_line("%s: NOT_FOUND: %s (did you mean %s?)", what, text, near);
    else
        app_line("%s: NOT_FOUND: %s", what, text);
    return MSGSRV_NOT_FOUND;
}

/* The queue that a name is of: a dead-letter queue comes with its own. */
static const char *queue_name(const char *queue)
{
    static const char DEAD[] = "$dlq.";
    return strncmp(queue, DEAD, sizeof DEAD - 1) == 0 ? queue + sizeof DEAD - 1 : queue;
}

static const char *nearest_queue(const msgsrv_bus_v1_QueuesResponse *queues, const char *queue)
{
    if (queues->queues_count == 0)
        return NULL;
    const char *near = nearest(queue, &queues->queues[0].name, queues->queues_count, sizeof *queues->queues);
    return near && strcmp(near, queue) != 0 ? near : NULL;
}

int bus_queues(const struct bus_calls *bus, const char *what, msgsrv_bus_v1_QueuesResponse *queues)
{
    msgsrv_error error;
    msgsrv_bus_v1_QueuesRequest request = msgsrv_bus_v1_QueuesRequest_init_zero;
    *queues = (msgsrv_bus_v1_QueuesResponse)msgsrv_bus_v1_QueuesResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_Queues(bus->types.client, &request, NULL, queues, &error);
    for (size_t i = 0; status == MSGSRV_OK && i < queues->queues_count; i++) {
        if (!queues->queues[i].name)
            status = app_error(&error, MSGSRV_INTERNAL, "a queue has no name");
    }
    return status == MSGSRV_OK ? 0 : bus_fail(bus, what, &error);
}

int bus_fail_queue(const struct bus_calls *bus, const char *what, const msgsrv_error *error, const char *queue)
{
    msgsrv_bus_v1_QueuesRequest request = msgsrv_bus_v1_QueuesRequest_init_zero;
    msgsrv_bus_v1_QueuesResponse queues = msgsrv_bus_v1_QueuesResponse_init_zero;
    if (error->code != MSGSRV_NOT_FOUND ||
        msgsrv_bus_v1_Bus_Queues(bus->types.client, &request, NULL, &queues, NULL) != MSGSRV_OK)
        return bus_fail(bus, what, error);
    int status = not_found(what, error->text, nearest_queue(&queues, queue_name(queue)));
    msgsrv_bus_v1_QueuesResponse_release(&queues);
    return status;
}

int bus_need_queue(const struct bus_calls *bus, const char *what, const char *queue)
{
    char text[NAME_ROOM];
    const char *name = queue_name(queue);
    msgsrv_bus_v1_QueuesResponse queues;
    int status = bus_queues(bus, what, &queues);
    bool found = false;
    for (size_t i = 0; status == 0 && !found && i < queues.queues_count; i++)
        found = strcmp(queues.queues[i].name, name) == 0;
    snprintf(text, sizeof text, "there is no queue \"%s\"", name);
    if (status == 0 && !found)
        status = not_found(what, text, nearest_queue(&queues, name));
    msgsrv_bus_v1_QueuesResponse_release(&queues);
    return status;
}

int bus_topics(const struct bus_calls *bus, const char *what, const char *pattern, msgsrv_bus_v1_TopicsResponse *topics)
{
    msgsrv_error error;
    msgsrv_bus_v1_TopicsRequest request = {.pattern = (char *)(uintptr_t)(pattern ? pattern : ">")};
    *topics = (msgsrv_bus_v1_TopicsResponse)msgsrv_bus_v1_TopicsResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_Topics(bus->types.client, &request, NULL, topics, &error);
    for (size_t i = 0; status == MSGSRV_OK && i < topics->topics_count; i++) {
        if (!topics->topics[i].topic)
            status = app_error(&error, MSGSRV_INTERNAL, "a topic has no name");
    }
    return status == MSGSRV_OK ? 0 : bus_fail(bus, what, &error);
}

bool bus_nearest_topic(const struct bus_calls *bus, const char *topic, char *room, size_t size)
{
    msgsrv_bus_v1_TopicsRequest request = {.pattern = (char *)(uintptr_t) ">"};
    msgsrv_bus_v1_TopicsResponse topics = msgsrv_bus_v1_TopicsResponse_init_zero;
    const char *near = NULL;
    size_t named = 0;
    if (msgsrv_bus_v1_Bus_Topics(bus->types.client, &request, NULL, &topics, NULL) == MSGSRV_OK) {
        while (named < topics.topics_count && topics.topics[named].topic)
            named++;
    }
    if (named > 0)
        near = nearest(topic, &topics.topics[0].topic, named, sizeof *topics.topics);
    bool found = near && strcmp(near, topic) != 0;
    if (found) {
        snprintf(room, size, "%s", near);
        app_clean(room, false);
    }
    msgsrv_bus_v1_TopicsResponse_release(&topics);
    return found;
}

int bus_no_topic(const struct bus_calls *bus, const char *what, const char *topic, const char *more)
{
    char near[NAME_ROOM], text[NAME_ROOM];
    snprintf(text, sizeof text, "there is no topic \"%s\"%s", topic, more);
    return not_found(what, text, bus_nearest_topic(bus, topic, near, sizeof near) ? near : NULL);
}

/* Takes in what the bus was told of a type. */
static msgsrv_status describe(struct bus_calls *bus, const char *type, msgsrv_error *error)
{
    msgsrv_bus_v1_DescribeTypeRequest request = {.type = (char *)(uintptr_t)type};
    msgsrv_bus_v1_DescribeTypeResponse response = msgsrv_bus_v1_DescribeTypeResponse_init_zero;
    msgsrv_status status = msgsrv_bus_v1_Bus_DescribeType(bus->types.client, &request, NULL, &response, error);
    struct fields set = {.data = response.descriptors.data, .size = response.descriptors.size};
    struct field file;
    while (status == MSGSRV_OK && fields_next(&set, &file)) {
        if (field_is(&file, SET_FILE))
            status = types_add(&bus->types, file.bytes, error);
    }
    msgsrv_bus_v1_DescribeTypeResponse_release(&response);
    return status;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Whether it is not long ago that nobody knew a type. */
static bool was_unknown(struct bus_calls *bus, const char *type)
{
    const struct name *found = NULL;
    if (bus->unknown.count > 0 && now_ns() - bus->asked_ns > ASK_AGAIN_NS)
        names_free(&bus->unknown);
    return names_find(&bus->unknown, 1u << MSGSRV_SYMBOL_MESSAGE, type, &found) == NAMES_WHOLE;
}

bool bus_know_type(struct bus_calls *bus, const char *type)
{
    msgsrv_error error;
    if (msgsrv_schema_find(bus->types.schema, type) == MSGSRV_SYMBOL_MESSAGE)
        return true;
    if (was_unknown(bus, type))
        return false;
    /* Once more when the connection had been lost while it was idle. */
    if (describe(bus, type, &error) == MSGSRV_UNAVAILABLE)
        (void)describe(bus, type, &error);
    bool known = msgsrv_schema_find(bus->types.schema, type) == MSGSRV_SYMBOL_MESSAGE || types_know(&bus->types, type);
    reflection_close(&bus->types.reflection); /* its time is one for all questions */
    if (bus->unknown.count == 0)
        bus->asked_ns = now_ns();
    if (!known)
        names_add(&bus->unknown, MSGSRV_SYMBOL_MESSAGE, type);
    return known;
}

/* Adds the types that topics are bound to to the names that the server's files declare. */
static int add_bound_types(struct bus_calls *bus, const char *what)
{
    msgsrv_bus_v1_TopicsResponse topics;
    struct names *names = &bus->types.names;
    int status = bus_topics(bus, what, NULL, &topics);
    for (size_t i = 0; status == 0 && i < topics.topics_count; i++) {
        const char *type = bus_text(topics.topics[i].type);
        const struct name *found = NULL;
        if (!*type || names_find(names, 1u << MSGSRV_SYMBOL_MESSAGE, type, &found) == NAMES_WHOLE)
            continue;
        if (!names_add(names, MSGSRV_SYMBOL_MESSAGE, type)) {
            app_line("%s: RESOURCE_EXHAUSTED: no memory", what);
            status = MSGSRV_RESOURCE_EXHAUSTED;
        }
    }
    msgsrv_bus_v1_TopicsResponse_release(&topics);
    return status;
}

int bus_find_type(struct bus_calls *bus, const char *what, const char *word, const char **name)
{
    const struct name *found = NULL;
    word += *word == '.'; /* as in a .proto, where it says that the name is a whole one */
    *name = word;
    if (strchr(word, '.') && bus_know_type(bus, word))
        return 0;
    int status = types_load(&bus->types);
    if (status == 0)
        status = add_bound_types(bus, what);
    if (status == 0)
        status = types_find(&bus->types, 1u << MSGSRV_SYMBOL_MESSAGE, "type", word, &found);
    if (status != 0)
        return status;
    *name = found->text;
    if (bus_know_type(bus, *name))
        return 0;
    app_line("%s: NOT_FOUND: the descriptor of %s is not known, neither to the bus nor to the server's reflection",
             what, *name);
    return MSGSRV_NOT_FOUND;
}

int bus_expand_type(struct bus_calls *bus, const char *what, const char *word, const char **name)
{
    const unsigned messages = 1u << MSGSRV_SYMBOL_MESSAGE;
    const struct name *found = NULL;
    word += *word == '.';
    *name = word;
    int status = types_load(&bus->types);
    if (status == 0)
        status = add_bound_types(bus, what);
    if (status != 0)
        return status;
    enum names_found result = names_find(&bus->types.names, messages, word, &found);
    if (result == NAMES_SEVERAL) /* which reports them */
        return types_find(&bus->types, messages, "type", word, &found);
    if (result == NAMES_NONE)
        found = names_nearest(&bus->types.names, messages, word);
    if (result != NAMES_NONE)
        *name = found->text;
    else if (found)
        app_line("%s: no type \"%s\" is known yet (did you mean %s?)", what, word, found->text);
    return 0;
}
