/* SPDX-License-Identifier: MIT */
/*
 * A hash table from call ids to nodes that are embedded in the calls. Its own because a call's path may not allocate: uthash and
 * its like free their table when the last entry goes, so that one call at a time would allocate for each. Adding never fails
 * once the first entry fitted; when the table cannot grow, chains get longer.
 */
#ifndef MSI_BASE_IDMAP_H
#define MSI_BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct msi_idnode {
    struct msi_idnode *next;
    uint64_t id;
} msi_idnode;

typedef struct msi_idmap {
    msi_idnode **buckets; /* a power of two of them, or none yet */
    size_t size;
    size_t count;
} msi_idmap;

/* Adds a node whose id is set and not in the map. false only when the first table cannot be allocated. */
bool msi_idmap_add(msi_idmap *map, msi_idnode *node);

/* The node of an id, or NULL. */
msi_idnode *msi_idmap_find(const msi_idmap *map, uint64_t id);

/* Takes a node out; one that is not in the map is ignored. */
void msi_idmap_remove(msi_idmap *map, msi_idnode *node);

/* Any node, or NULL when the map is empty: for taking all out. */
msi_idnode *msi_idmap_any(const msi_idmap *map);

/* Frees the table; nodes still in it are the caller's. */
void msi_idmap_release(msi_idmap *map);

#endif
