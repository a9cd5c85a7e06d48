/* SPDX-License-Identifier: MIT */
/*
 * What the commands of the bus have in common: its types, its topics' and queues' names, and its errors.
 */
#ifndef MSGSRV_CLIENT_BUS_CALLS_H
#define MSGSRV_CLIENT_BUS_CALLS_H

#include "msgsrv/bus.msgsrv.h"
#include "types.h"

/* Who publishes, subscribes and consumes. */
#define BUS_NAME "msgsrv-client"

/* The bus of a server. Zeroed, it may be closed. */
struct bus_calls {
    const struct options *options;
    struct types types;   /* with the client, of a private loop */
    struct names unknown; /* types that nobody has told, by when they were asked for */
    uint64_t asked_ns;    /* when `unknown` was begun */
};

/* All functions that return an int report their failures, and return 0 or the exit status. `what` the errors begin with. */
int bus_open(struct bus_calls *bus, const struct options *options, const char *what);
void bus_close(struct bus_calls *bus);

/* Reports a failure of a call to the bus. */
int bus_fail(const struct bus_calls *bus, const char *what, const msgsrv_error *error);

/* The same of a call that names a queue: one that is not there is answered with the nearest one. */
int bus_fail_queue(const struct bus_calls *bus, const char *what, const msgsrv_error *error, const char *queue);

/* All queues. To be released. */
int bus_queues(const struct bus_calls *bus, const char *what, msgsrv_bus_v1_QueuesResponse *queues);

/* Fails when there is no such queue, or no queue of such a dead-letter queue. */
int bus_need_queue(const struct bus_calls *bus, const char *what, const char *queue);

/* Reports that there is no such topic, with the nearest one; `more` stands behind its name. */
int bus_no_topic(const struct bus_calls *bus, const char *what, const char *topic, const char *more);

/* Topics that match a pattern; NULL: all but the library's own. To be released. */
int bus_topics(const struct bus_calls *bus, const char *what, const char *pattern, msgsrv_bus_v1_TopicsResponse *topics);

/* The name of a topic that a word is nearest to, in `room`. False when none is near, or when it is there itself. */
bool bus_nearest_topic(const struct bus_calls *bus, const char *topic, char *room, size_t size);

/* Whether the schema knows a type by its full name: from the bus, or else by reflection. */
bool bus_know_type(struct bus_calls *bus, const char *type);

/* Finds what the user means by a type's name, and has the schema know it. `name` lives as long as the bus. */
int bus_find_type(struct bus_calls *bus, const char *what, const char *word, const char **name);

/* The full name of the one type that ends as the word does, among what the bus and the server know; else the word itself, after a
 * warning when another one is near. */
int bus_expand_type(struct bus_calls *bus, const char *what, const char *word, const char **name);

/* An optional string of a message. */
const char *bus_text(const char *text);

#endif
