/* SPDX-License-Identifier: MIT */
/*
 * Events and gaps as lines, or as JSON.
 */
#ifndef MSGSRV_CLIENT_EVENT_PRINT_H
#define MSGSRV_CLIENT_EVENT_PRINT_H

#include <msgsrv/bus.h>

#include "bus_calls.h"
#include "json.h"

/*
 * `topic #sequence {json}`, with what is unusual of it in between; of a type that nobody knows, its name and the payload as base64. `more` goes
 * before the payload: "delivery 2", or "". Nothing is flushed.
 */
void event_print(struct bus_calls *bus, const msgsrv_event *event, const char *more);

/* The members of an object. */
void event_print_members(struct bus_calls *bus, struct app_json *json, const msgsrv_event *event);

/* `gap: 12 events are missing (slow): topic #3 to #14`; with --json an object. */
void event_print_gap(const struct bus_calls *bus, const msgsrv_gap *gap);

/* An event of the service's as one of the library's. `headers` has room for all of them. */
msgsrv_event event_from(const msgsrv_bus_v1_Event *event, msgsrv_metadata *headers);

/* A time as RFC 3339 has it, in `room`. */
const char *event_time(uint64_t us, char room[40]);

#endif
