/* SPDX-License-Identifier: MIT */
/*
 * Topics and queues as tables, as lines, as JSON, and on a screen.
 */
#ifndef MSGSRV_CLIENT_BUS_PRINT_H
#define MSGSRV_CLIENT_BUS_PRINT_H

#include "bus_watch.h"
#include "json.h"
#include "screen.h"

/* A table, without rates. */
void bus_print_topics(const msgsrv_bus_v1_TopicsResponse *topics);

/* A line for each topic, with rates since the sample before. */
void bus_print_topic_lines(const struct topic_counts *before, const msgsrv_bus_v1_TopicsResponse *topics);

/* "topics" of an object, and of the bus. */
void bus_print_topics_json(struct app_json *json, const struct topic_counts *before,
                           const msgsrv_bus_v1_TopicsResponse *topics);

void bus_draw_topics(struct screen *screen, const struct topic_counts *before,
                     const msgsrv_bus_v1_TopicsResponse *topics);

/* A table; `only`, unless it is NULL, is the one queue that is in it. */
void bus_print_queues(const msgsrv_bus_v1_QueuesResponse *queues, const char *only);

/* "queues" of an object. */
void bus_print_queues_json(struct app_json *json, const msgsrv_bus_v1_QueuesResponse *queues, const char *only);

void bus_draw_queues(struct screen *screen, const msgsrv_bus_v1_QueuesResponse *queues);

/* The members of one topic. */
void bus_print_topic_json(struct app_json *json, const msgsrv_bus_v1_TopicInfo *topic);

#endif
