/* SPDX-License-Identifier: MIT */
/*
 * What finding the patterns that match a topic costs: nanoseconds of one search in a tree of 100,000 patterns, 10 of which match, the median and the 99th
 * percentile of many topics; and of adding and removing one. Then the same search among 1,000 patterns: the rest should cost nothing but cache misses. It
 * looks inside the library, so it is linked with the static one.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/match.h"

#define MATCHES 10
#define MANY 100000u
#define FEW 1000u
#define SEARCHES 200000u

/* The patterns that match topic i: "site7.room42.sensor123.temperature" and the like. */
static const char *const forms[MATCHES] = {
    "site%1$u.room%2$u.sensor%3$u.temperature",
    "site%1$u.room%2$u.sensor%3$u.temperature",
    "site%1$u.room%2$u.sensor%3$u.*",
    "site%1$u.room%2$u.sensor%3$u.>",
    "site%1$u.room%2$u.*.temperature",
    "site%1$u.*.sensor%3$u.temperature",
    "site%1$u.*.sensor%3$u.*",
    "*.room%2$u.sensor%3$u.temperature",
    "*.*.sensor%3$u.temperature",
    "*.*.sensor%3$u.>",
};

static volatile uint64_t sink;

static void must(bool ok)
{
    if (!ok) {
        fputs("matching failed\n", stderr);
        exit(1);
    }
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static msi_view write_name(char *to, size_t room, const char *form, unsigned i)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int size = snprintf(to, room, form, i % 50, i, i);
#pragma GCC diagnostic pop
    return (msi_view){(const uint8_t *)to, (size_t)size};
}

static void count(msi_match_entry *entry, void *ctx)
{
    sink += entry->next != NULL;
    ++*(unsigned *)ctx;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void run(unsigned patterns)
{
    static uint64_t times[SEARCHES];
    msi_match_entry *entries = calloc(patterns, sizeof *entries);
    msi_matcher *matcher = msi_matcher_new(4096);
    char name[128];
    uint64_t visited = 0;
    must(entries && matcher);
    uint64_t start = now();
    for (unsigned i = 0; i < patterns; i++)
        must(!msi_matcher_add(matcher, write_name(name, sizeof name, forms[i % MATCHES], i / MATCHES), &entries[i],
                              NULL));
    uint64_t added = now() - start;
    for (unsigned i = 0; i < SEARCHES; i++) {
        unsigned found = 0;
        msi_view topic = write_name(name, sizeof name, forms[0], (unsigned)((uint64_t)i * 7919 % (patterns / MATCHES)));
        start = now();
        visited += msi_matcher_find(matcher, topic, count, &found);
        times[i] = now() - start;
        must(found == MATCHES);
    }
    qsort(times, SEARCHES, sizeof *times, compare);
    start = now();
    for (unsigned i = 0; i < patterns; i++)
        msi_matcher_remove(matcher, &entries[i]);
    uint64_t removed = now() - start;
    printf("%6u patterns: search p50 %llu ns, p99 %llu ns, %.1f nodes; add %llu ns, remove %llu ns\n", patterns,
           (unsigned long long)times[SEARCHES / 2], (unsigned long long)times[SEARCHES - SEARCHES / 100],
           (double)visited / SEARCHES, (unsigned long long)(added / patterns), (unsigned long long)(removed / patterns));
    msi_matcher_free(matcher);
    free(entries);
}

int main(void)
{
    run(FEW);
    run(MANY);
    return 0;
}
