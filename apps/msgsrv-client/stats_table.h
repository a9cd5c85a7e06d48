/* SPDX-License-Identifier: MIT */
/*
 * A server's statistics as a table on a terminal, redrawn in place.
 */
#ifndef MSGSRV_CLIENT_STATS_TABLE_H
#define MSGSRV_CLIENT_STATS_TABLE_H

#include "screen.h"
#include "stats_sample.h"

/* One that is drawn. */
struct stats_table {
    const char *server;
    struct screen screen;
};

/* Hides the cursor. */
void stats_table_begin(struct stats_table *table, const char *server);

/* Draws over what was drawn before, as wide and as high as the terminal is now. */
void stats_table_draw(struct stats_table *table, const struct sample *before, const struct sample *now);

/* Shows the cursor again, below the table. */
void stats_table_end(void);

#endif
