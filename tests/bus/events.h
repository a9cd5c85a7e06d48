/* SPDX-License-Identifier: MIT */
/* Events for tests of what is below the core: of one topic, with a text for a payload and a size as the test wants it. */
#ifndef TESTS_BUS_EVENTS_H
#define TESTS_BUS_EVENTS_H

#include <string.h>

#include "bus/event.h"

/* NULL is empty. */
static inline msi_view test_view(const char *text)
{
    return (msi_view){(const uint8_t *)text, text ? strlen(text) : 0};
}

typedef struct test_events {
    msi_event_pool pool;
    msi_topic_name *name;
    uint64_t sequence;
} test_events;

static inline void test_events_open(test_events *events)
{
    *events = (test_events){0};
    events->name = msi_topic_name_new(&events->pool, test_view("a.topic"), test_view("a.Type"), 1);
}

/* The caller has a reference. */
static inline msi_event *test_event(test_events *events, const char *payload, uint32_t size)
{
    const msi_event_parts parts = {.name = events->name, .time_us = 1, .payload = test_view(payload)};
    msi_event *event = msi_event_new(&parts);
    event->sequence = ++events->sequence;
    event->size = size;
    msi_event_seal(event);
    return event;
}

/* After the last of its events has gone. */
static inline void test_events_close(test_events *events)
{
    msi_topic_name_unref(events->name);
    msi_event_pool_release(&events->pool);
}

#endif
