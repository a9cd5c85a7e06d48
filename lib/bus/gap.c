/* SPDX-License-Identifier: MIT */
#include "bus/gap.h"

#include <stdlib.h>

msi_gap *msi_gap_new(msgsrv_gap_reason reason)
{
    msi_gap *gap = malloc(sizeof *gap);
    if (gap) {
        gap->reason = reason;
        gap->unknown = false;
        gap->total = 0;
        gap->count = 0;
    }
    return gap;
}

void msi_gap_free(msi_gap *gap)
{
    if (!gap)
        return;
    for (uint32_t i = 0; i < gap->count; i++)
        msi_topic_name_unref(gap->entries[i].name);
    free(gap);
}

/* The entry of a topic, made if there is room. The last one is looked at first: mostly one topic is lost at a time. */
static msi_gap_entry *entry_of(msi_gap *gap, msi_topic_name *name)
{
    for (uint32_t i = gap->count; i-- > 0;) {
        if (gap->entries[i].name == name)
            return &gap->entries[i];
    }
    if (gap->count == MSGSRV_GAP_TOPICS)
        return NULL;
    msi_gap_entry *entry = &gap->entries[gap->count++];
    *entry = (msi_gap_entry){.name = msi_topic_name_ref(name)};
    return entry;
}

void msi_gap_add_range(msi_gap *gap, msi_topic_name *name, uint64_t first, uint64_t last, uint64_t count)
{
    gap->total += count;
    if (!count)
        gap->unknown = true;
    msi_gap_entry *entry = entry_of(gap, name);
    if (!entry)
        return;
    bool fresh = entry->last == 0;
    entry->first = fresh || !first || !entry->first ? (fresh ? first : 0) : first < entry->first ? first : entry->first;
    entry->last = last > entry->last ? last : entry->last;
    /* A count that is not known makes the whole not known. */
    entry->count = fresh ? count : entry->count && count ? entry->count + count : 0;
}

void msi_gap_add(msi_gap *gap, msi_topic_name *name, uint64_t sequence)
{
    msi_gap_add_range(gap, name, sequence, sequence, 1);
}

void msi_gap_merge(msi_gap *gap, const msi_gap *later)
{
    uint64_t total = gap->total + later->total;
    for (uint32_t i = 0; i < later->count; i++) {
        const msi_gap_entry *entry = &later->entries[i];
        msi_gap_add_range(gap, entry->name, entry->first, entry->last, entry->count);
    }
    gap->total = total;
    gap->unknown |= later->unknown;
}

void msi_gap_view(const msi_gap *gap, msgsrv_gap *view, msgsrv_gap_topic *topics)
{
    for (uint32_t i = 0; i < gap->count; i++) {
        const msi_gap_entry *entry = &gap->entries[i];
        topics[i] = (msgsrv_gap_topic){
            .topic = entry->name->topic, .first = entry->first, .last = entry->last, .count = entry->count};
    }
    *view = (msgsrv_gap){
        .total = gap->total, .unknown = gap->unknown, .reason = gap->reason, .topics = topics, .topic_count = gap->count};
}
