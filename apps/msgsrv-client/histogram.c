/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram: values below 128 have a bucket each; above, each doubling is divided into 128
 * buckets.
 */
#include "histogram.h"

#define STEPS (UINT64_C(1) << HISTOGRAM_BITS)

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
    return ((shift + 1) << HISTOGRAM_BITS) + (unsigned)((ns >> shift) - STEPS);
}

/* The greatest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
    uint64_t begin = (STEPS + (bucket & (STEPS - 1))) << shift;
    return begin + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    if (histogram->count == 0 || ns < histogram->min_ns)
        histogram->min_ns = ns;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
    histogram->count++;
    histogram->buckets[bucket_of(ns)]++;
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
    double wanted = fraction * (double)histogram->count;
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && below < histogram->count; i++) {
        below += histogram->buckets[i];
        if (histogram->buckets[i] && (double)below >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->max_ns ? end : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}
