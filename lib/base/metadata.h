/* SPDX-License-Identifier: MIT */
/* Sets of metadata, for the layers that send and receive them. A set is used by one thread at a time. */
#ifndef MSI_BASE_METADATA_H
#define MSI_BASE_METADATA_H

#include <msgsrv/metadata.h>

struct msgsrv_metadata_set {
    msgsrv_metadata *entries; /* key and value of each in one allocation, which begins at its key */
    size_t count;
    size_t room;
    size_t size; /* as the wire counts it: keys, values and 32 each */
};

/* Adds a copy of what a program gives: reserved keys are refused, a size of 0 may mean strlen. */
msgsrv_status msi_metadata_add(msgsrv_metadata_set *set, const msgsrv_metadata *entry, uint32_t limit,
                               msgsrv_error *error);

/* Looks at what a program gives, with its size resolved: not longer than it may be, but as it may be. */
msgsrv_status msi_metadata_check(const msgsrv_metadata *entry, size_t size, msgsrv_error *error);

/* The size that a program means: of 0, perhaps strlen. */
size_t msi_metadata_size(const msgsrv_metadata *entry);

/* Adds a copy of what came from a peer, checked; reserved keys are passed over. */
msgsrv_status msi_metadata_receive(msgsrv_metadata_set *set, const uint8_t *key, size_t key_size, const uint8_t *value,
                                   size_t value_size, uint32_t limit, msgsrv_error *error);

/* Empties a set and frees its memory; it can be used again. Most calls have none. */
void msi_metadata_clear_entries(msgsrv_metadata_set *set);
static inline void msi_metadata_clear(msgsrv_metadata_set *set)
{
    if (set->entries || set->size)
        msi_metadata_clear_entries(set);
}

/* Moves what `from` holds into `to`, whose own entries go first. */
void msi_metadata_move(msgsrv_metadata_set *to, msgsrv_metadata_set *from);

#endif
