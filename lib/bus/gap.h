/* SPDX-License-Identifier: MIT */
/* What a subscription did not get, collected until it is told. With the bus's lock. */
#ifndef MSI_BUS_GAP_H
#define MSI_BUS_GAP_H

#include "bus/event.h"

typedef struct msi_gap_entry {
    msi_topic_name *name; /* a reference */
    uint64_t first;
    uint64_t last;
    uint64_t count;
} msi_gap_entry;

typedef struct msi_gap {
    msgsrv_gap_reason reason;
    bool unknown;
    uint64_t total;
    uint32_t count;
    msi_gap_entry entries[MSGSRV_GAP_TOPICS];
} msi_gap;

/* An empty gap; NULL without memory. */
msi_gap *msi_gap_new(msgsrv_gap_reason reason);
void msi_gap_free(msi_gap *gap);

/* One event more. */
void msi_gap_add(msi_gap *gap, msi_topic_name *name, uint64_t sequence);

/* So many of a topic, from first to last; first and count may be 0, unknown. */
void msi_gap_add_range(msi_gap *gap, msi_topic_name *name, uint64_t first, uint64_t last, uint64_t count);

/* Adds all of another one, which came later; the reasons are the same. */
void msi_gap_merge(msi_gap *gap, const msi_gap *later);

/* The public view: `topics` has room for MSGSRV_GAP_TOPICS. */
void msi_gap_view(const msi_gap *gap, msgsrv_gap *view, msgsrv_gap_topic *topics);

#endif
