/* SPDX-License-Identifier: MIT */
/*
 * Latencies; see bench_latency.h.
 */
#include "bench_latency.h"

#include <stdio.h>

static const struct {
    const char *name;
    double fraction;
} PERCENTILES[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
#define PERCENTILE_COUNT (sizeof PERCENTILES / sizeof *PERCENTILES)

void bench_latency_json(struct app_json *json, const struct histogram *latency)
{
    app_json_open(json, "latency_us");
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        app_json_fixed(json, PERCENTILES[i].name, (double)histogram_percentile(latency, PERCENTILES[i].fraction) / 1e3,
                       3);
    app_json_close(json);
}

void bench_latency_print(const struct histogram *latency)
{
    printf("latency     ");
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        printf("%s%s %.3f ms", i ? ", " : " ", PERCENTILES[i].name,
               (double)histogram_percentile(latency, PERCENTILES[i].fraction) / 1e6);
    putchar('\n');
}
