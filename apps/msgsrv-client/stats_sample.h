/* SPDX-License-Identifier: MIT */
/*
 * What is kept of a server's statistics to compare them with the next ones.
 */
#ifndef MSGSRV_CLIENT_STATS_SAMPLE_H
#define MSGSRV_CLIENT_STATS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msgsrv/info.msgsrv.h"

/* Of one method. */
struct method_sample {
    uint64_t started, open, ended, errors;
    uint64_t duration_ns; /* of all that have ended */
    uint64_t duration_max_ns;
    char *path; /* without the slash in front */
};

/* Of a server. Zeroed, it is none. */
struct sample {
    uint64_t uptime_ms;
    uint64_t connections_open, connections_accepted;
    uint64_t started, open, streams, errors, refused;
    uint64_t received, sent;
    uint64_t latency_us, latency_max_us;
    struct method_sample *methods; /* in the server's order */
    size_t method_count;
};

/* Takes the numbers. False without memory. */
bool sample_take(struct sample *sample, const msgsrv_info_v1_Stats *stats);

void sample_free(struct sample *sample);

/* How often a second a counter grew from one sample to the next; negative when that cannot be told. */
double sample_rate(const struct sample *before, const struct sample *now, uint64_t from, uint64_t to);

/* A method's sample before, NULL when there is none. */
const struct method_sample *sample_method(const struct sample *sample, size_t index, const char *path);

#endif
