/* SPDX-License-Identifier: MIT */
/*
 * Durations, counted so that percentiles are within 1 % and the extremes exact, in a fixed amount of memory.
 */
#ifndef MSGSRV_CLIENT_HISTOGRAM_H
#define MSGSRV_CLIENT_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7 /* 128 buckets for each doubling */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/* Zeroed, it is empty. */
struct histogram {
    uint64_t count, min_ns, max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* What `fraction` (0 to 1) of the durations do not exceed, in nanoseconds; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

#endif
