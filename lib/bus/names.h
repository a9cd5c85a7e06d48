/* SPDX-License-Identifier: MIT */
/*
 * A hash table by name, of nodes that are embedded in what is named. Its own, because a topic is looked up for every event and by a view that
 * is not NUL-terminated; the hash is seeded, because peers choose the names. Bits are mixed as in wyhash (by 64 × 64 bit multiplication).
 */
#ifndef MSI_BUS_NAMES_H
#define MSI_BUS_NAMES_H

#include <stdbool.h>

#include "wire/varint.h"

typedef struct msi_name_node {
    struct msi_name_node *next;
    uint64_t hash;
    msi_view name; /* memory of whoever is named */
} msi_name_node;

typedef struct msi_names {
    msi_name_node **buckets; /* a power of two of them, or none yet */
    size_t size;
    size_t count;
    uint64_t seed;
} msi_names;

void msi_names_init(msi_names *names, uint64_t seed);
void msi_names_release(msi_names *names); /* nodes still in it are the caller's */
msi_name_node *msi_names_find(const msi_names *names, msi_view name);

/* Adds a node whose name is set and not there. false without memory. */
bool msi_names_add(msi_names *names, msi_name_node *node);
void msi_names_remove(msi_names *names, msi_name_node *node);

#endif
