/* SPDX-License-Identifier: MIT */
/* bus/order.h: the first is the lowest, and no order of coming makes it slow. */
#include "bus/order.h"

#include "suite.h"

#define NODES 20000u
#define DEPTH_MAX 80 /* 20,000 nodes in a chain would be 20,000; balanced by chance they are about 40 */

static msi_order_node nodes[NODES];

static unsigned depth_of(const msi_order *order, const msi_order_node *node)
{
    unsigned depth = 1;
    for (const msi_order_node *at = order->root; at != node; depth++)
        at = node->key < at->key || (node->key == at->key && node->tie < at->tie) ? at->left : at->right;
    return depth;
}

static void expect_shallow(const msi_order *order)
{
    unsigned deepest = 0;
    for (unsigned i = 0; i < NODES; i++) {
        unsigned depth = depth_of(order, &nodes[i]);
        deepest = depth > deepest ? depth : deepest;
    }
    ck_assert_uint_lt(deepest, DEPTH_MAX);
}

START_TEST(what_comes_in_order_is_not_a_chain)
{
    msi_order up = {0}, down = {0};
    for (unsigned i = 0; i < NODES; i++)
        msi_order_add(&up, &nodes[i], i, 0);
    expect_shallow(&up);
    for (unsigned i = 0; i < NODES; i++)
        msi_order_add(&down, &nodes[i], NODES - i, 0);
    expect_shallow(&down);
}
END_TEST

START_TEST(the_first_is_the_lowest_by_both_keys)
{
    msi_order order = {0};
    for (unsigned i = 0; i < NODES; i++)
        msi_order_add(&order, &nodes[i], (i * 7919u) % 100, i);
    expect_shallow(&order);
    uint64_t key = 0, tie = 0;
    for (unsigned i = 0; i < NODES; i++) {
        msi_order_node *first = order.first;
        if (first->key < key || (first->key == key && first->tie < tie))
            ck_abort_msg("node %u is out of order", i);
        key = first->key;
        tie = first->tie;
        msi_order_remove(&order, first);
    }
    ck_assert_ptr_null(order.first);
    ck_assert_ptr_null(order.root);
}
END_TEST

TS_MAIN("order", what_comes_in_order_is_not_a_chain, the_first_is_the_lowest_by_both_keys)
