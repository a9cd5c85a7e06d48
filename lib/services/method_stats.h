/* SPDX-License-Identifier: MIT */
/*
 * What is counted of each method: an interceptor that only adds. The set of methods is fixed when the server starts, so a call finds its
 * counters without a lock.
 */
#ifndef MSI_SERVICES_METHOD_STATS_H
#define MSI_SERVICES_METHOD_STATS_H

#include <msgsrv/interceptor.h>

#define MSI_DURATION_BOUNDS 19u
#define MSI_DURATION_COUNTS (MSI_DURATION_BOUNDS + 1)

/* Upper bounds of all entries of msi_method_counts::durations but the last. */
extern const uint64_t msi_duration_bounds_us[MSI_DURATION_BOUNDS];

/* A snapshot of one method's counters. */
typedef struct msi_method_counts {
    const char *path;
    uint64_t started;
    uint64_t open;
    uint64_t ended[MSGSRV_STATUS_COUNT];
    uint64_t received; /* messages; these and the following are of calls that have ended */
    uint64_t sent;
    uint64_t duration_total_ns;
    uint64_t duration_max_ns;
    uint64_t durations[MSI_DURATION_COUNTS];
} msi_method_counts;

typedef struct msi_method_stats msi_method_stats;

msi_method_stats *msi_method_stats_new(void); /* NULL without memory */
void msi_method_stats_free(msi_method_stats *stats);

/* Counts the calls of a server. Before its start. */
msgsrv_status msi_method_stats_attach(msi_method_stats *stats, msgsrv_server *server, msgsrv_error *error);

/* Makes counters for all methods of a server. Before the first call. */
msgsrv_status msi_method_stats_ready(msi_method_stats *stats, const msgsrv_server *server, msgsrv_error *error);

/* How many methods there are, and what was counted of one. Any thread. */
size_t msi_method_stats_count(const msi_method_stats *stats);
void msi_method_stats_read(const msi_method_stats *stats, size_t index, msi_method_counts *counts);

#endif
