/* SPDX-License-Identifier: MIT */
/* The ordered set: a treap without recursion and without links to parents, as the way to a node is found again by its keys. */
#include "bus/order.h"

#include <stdbool.h>
#include <stddef.h>

static bool before(uint64_t key, uint64_t tie, const msi_order_node *node)
{
    return key != node->key ? key < node->key : tie < node->tie;
}

/* xorshift: the priorities need only be independent of the keys. */
static uint32_t next_priority(msi_order *order)
{
    uint32_t random = order->random ? order->random : 0x9e3779b9u;
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    order->random = random;
    return random;
}

void msi_order_add(msi_order *order, msi_order_node *node, uint64_t key, uint64_t tie)
{
    *node = (msi_order_node){.key = key, .tie = tie, .priority = next_priority(order)};
    if (!order->first || before(key, tie, order->first))
        order->first = node;

    msi_order_node **place = &order->root;
    while (*place && (*place)->priority >= node->priority)
        place = before(key, tie, *place) ? &(*place)->left : &(*place)->right;

    /* What was here goes below the new one, split at its key. */
    msi_order_node *rest = *place;
    msi_order_node **lower = &node->left;
    msi_order_node **higher = &node->right;
    *place = node;
    while (rest) {
        if (before(key, tie, rest)) {
            *higher = rest;
            higher = &rest->left;
            rest = rest->left;
        } else {
            *lower = rest;
            lower = &rest->right;
            rest = rest->right;
        }
    }
    *lower = NULL;
    *higher = NULL;
}

void msi_order_remove(msi_order *order, msi_order_node *node)
{
    msi_order_node **place = &order->root;
    while (*place != node)
        place = before(node->key, node->tie, *place) ? &(*place)->left : &(*place)->right;

    msi_order_node *left = node->left;
    msi_order_node *right = node->right;
    while (left && right) {
        if (left->priority >= right->priority) {
            *place = left;
            place = &left->right;
            left = left->right;
        } else {
            *place = right;
            place = &right->left;
            right = right->left;
        }
    }
    *place = left ? left : right;

    if (order->first == node) {
        order->first = order->root;
        while (order->first && order->first->left)
            order->first = order->first->left;
    }
}
