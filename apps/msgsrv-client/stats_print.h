/* SPDX-License-Identifier: MIT */
/*
 * A server's statistics as text: all numbers, or one line.
 */
#ifndef MSGSRV_CLIENT_STATS_PRINT_H
#define MSGSRV_CLIENT_STATS_PRINT_H

#include "stats_sample.h"

/* Lines of a name and a number, those that are not 0, in groups. */
void stats_print_text(const msgsrv_info_v1_Stats *stats);

/* One JSON object. */
void stats_print_json(const msgsrv_info_v1_Stats *stats);

/* One line of what happens; rates since the sample before. */
void stats_print_line(const struct sample *before, const struct sample *now);

#endif
