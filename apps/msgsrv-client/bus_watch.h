/* SPDX-License-Identifier: MIT */
/*
 * Topics again and again, and what has changed since the time before. The numbers are the server's: whoever is slow sees fewer samples,
 * and the rates stay right.
 */
#ifndef MSGSRV_CLIENT_BUS_WATCH_H
#define MSGSRV_CLIENT_BUS_WATCH_H

#include "bus_calls.h"

/* What is kept of one topic. */
struct topic_count {
    char *name;
    uint64_t epoch, events, bytes;
};

/* What is kept of a sample. Zeroed, it is none. */
struct topic_counts {
    struct topic_count *topics;
    size_t count;
    uint64_t time_ns;
    uint64_t published, delivered, lost; /* of the bus */
};

/* How often a second something happened on a topic; negative when that cannot be told. */
struct topic_rate {
    double events, bytes;
};

/* Takes the numbers, instead of those that were kept. False without memory. */
bool topic_counts_keep(struct topic_counts *counts, const msgsrv_bus_v1_TopicsResponse *sample);
void topic_counts_free(struct topic_counts *counts);

/* Since what was kept. */
struct topic_rate topic_counts_rate(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *now,
                                    const msgsrv_bus_v1_TopicInfo *topic);

/* How often a second a counter grew; negative when that cannot be told. */
double topic_counts_grown(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *now, uint64_t from,
                          uint64_t to);

/* A rate with one decimal, or a dash, in `room`. */
const char *rate_text(char room[32], double rate);

/*
 * Watches until interrupted, until `sample` returns false, or until the server ends it, which alone is a failure: reported. Returns the exit
 * status. `sample` is called on another thread, while this one waits. `screen`: what it prints is a screen.
 */
int bus_watch(struct bus_calls *bus, const char *what, const char *pattern, bool screen,
              bool (*sample)(void *ctx, const msgsrv_bus_v1_TopicsResponse *topics), void *ctx);

#endif
