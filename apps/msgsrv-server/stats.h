/* SPDX-License-Identifier: MIT */
/*
 * The server's statistics on standard error.
 */
#ifndef MSGSRV_SERVER_STATS_H
#define MSGSRV_SERVER_STATS_H

#include <msgsrv/bus.h>
#include <msgsrv/msgsrv.h>

/* Prints a snapshot: a line per number, refusals and codes that never came left out; or all of it as a
 * line of JSON. The bus may be NULL. */
void stats_print(const msgsrv_server *server, msgsrv_bus *bus, bool json);

/*
 * A thread that prints a snapshot whenever SIGUSR1 comes. Call it before any other thread is made: the signal
 * is blocked in all of them. Returns 0 or an errno.
 */
int stats_watch(const msgsrv_server *server, msgsrv_bus *bus, bool json);

/* Ends that thread. */
void stats_unwatch(void);

#endif
