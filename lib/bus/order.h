/* SPDX-License-Identifier: MIT */
/*
 * An ordered set of nodes that are embedded in what is ordered: by a key, then by a second one; the pair is unique in the set. A treap: nothing is
 * allocated, and adding and removing take a time that is logarithmic with random priorities; the first one is known at once.
 */
#ifndef MSI_BUS_ORDER_H
#define MSI_BUS_ORDER_H

#include <stdint.h>

typedef struct msi_order_node {
    struct msi_order_node *left;
    struct msi_order_node *right;
    uint64_t key;
    uint64_t tie;
    uint32_t priority;
} msi_order_node;

/* All zero is an empty one. */
typedef struct msi_order {
    msi_order_node *root;
    msi_order_node *first; /* the lowest; NULL: the set is empty */
    uint32_t random;
} msi_order;

/* Adds a node, under these keys. */
void msi_order_add(msi_order *order, msi_order_node *node, uint64_t key, uint64_t tie);

/* Takes a node out; it must be in the set. */
void msi_order_remove(msi_order *order, msi_order_node *node);

#endif
