/* SPDX-License-Identifier: MIT */
/*
 * The loop of a command that takes what a bus hands out, until SIGINT or SIGTERM. All is on the main thread.
 */
#ifndef MSGSRV_CLIENT_BUS_LOOP_H
#define MSGSRV_CLIENT_BUS_LOOP_H

#include <msgsrv/bus.h>

#include "options.h"

struct event;

/* Zeroed, it may be closed. */
struct bus_loop {
    struct event_base *base;
    msgsrv_bus *bus;
    struct event *signals[2], *deadline;
    void (*stop)(void *ctx); /* what the first signal does, and the end of the time */
    void *ctx;
    bool late; /* the time of --timeout is over */
};

/* Opens the bus of a server. Reports its failures, and returns 0 or the exit status. */
int bus_loop_open(struct bus_loop *loop, const struct options *options, void (*stop)(void *ctx), void *ctx);

/* Runs until bus_loop_end(). */
void bus_loop_run(struct bus_loop *loop);
void bus_loop_end(struct bus_loop *loop);

void bus_loop_close(struct bus_loop *loop);

#endif
