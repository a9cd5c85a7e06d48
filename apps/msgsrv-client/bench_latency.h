/* SPDX-License-Identifier: MIT */
/*
 * Latencies as the benchmarks print them.
 */
#ifndef MSGSRV_CLIENT_BENCH_LATENCY_H
#define MSGSRV_CLIENT_BENCH_LATENCY_H

#include "histogram.h"
#include "json.h"

/* "latency_us" of an object. */
void bench_latency_json(struct app_json *json, const struct histogram *latency);

/* One line, in milliseconds. */
void bench_latency_print(const struct histogram *latency);

#endif
