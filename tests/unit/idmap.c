/* SPDX-License-Identifier: MIT */
/* base/idmap.c: ids to nodes, against a plain array as the model. */
#include "base/idmap.h"

#include "suite.h"

#define NODES 5000

START_TEST(what_was_added_is_found_until_it_is_removed)
{
    static msi_idnode nodes[NODES];
    msi_idmap map = {0};
    ck_assert_ptr_null(msi_idmap_find(&map, 1));
    ck_assert_ptr_null(msi_idmap_any(&map));
    msi_idmap_remove(&map, &nodes[0]);
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i].id = (uint64_t)i * 3 + 1;
        ck_assert(msi_idmap_add(&map, &nodes[i]));
    }
    ck_assert_uint_eq(map.count, NODES);
    for (unsigned i = 0; i < NODES; i++) {
        ck_assert_ptr_eq(msi_idmap_find(&map, nodes[i].id), &nodes[i]);
        ck_assert_ptr_null(msi_idmap_find(&map, nodes[i].id + 1));
    }
    for (unsigned i = 0; i < NODES; i += 2)
        msi_idmap_remove(&map, &nodes[i]);
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_ptr_eq(msi_idmap_find(&map, nodes[i].id), i % 2 ? &nodes[i] : NULL);
    msi_idmap_remove(&map, &nodes[0]); /* a second time */
    ck_assert_uint_eq(map.count, NODES / 2);
    msi_idmap_release(&map);
}
END_TEST

START_TEST(ids_that_share_their_low_bits_are_told_apart)
{
    static msi_idnode nodes[64];
    msi_idmap map = {0};
    for (unsigned i = 0; i < 64; i++) {
        nodes[i].id = ((uint64_t)i << 32) + 5;
        ck_assert(msi_idmap_add(&map, &nodes[i]));
    }
    for (unsigned i = 0; i < 64; i++)
        ck_assert_ptr_eq(msi_idmap_find(&map, ((uint64_t)i << 32) + 5), &nodes[i]);
    for (unsigned i = 64; i-- > 0;) {
        msi_idmap_remove(&map, &nodes[i]);
        ck_assert_ptr_null(msi_idmap_find(&map, nodes[i].id));
    }
    msi_idmap_release(&map);
}
END_TEST

START_TEST(all_are_taken_out_one_by_one)
{
    static msi_idnode nodes[100];
    msi_idmap map = {0};
    for (unsigned i = 0; i < 100; i++) {
        nodes[i].id = UINT64_MAX - i;
        ck_assert(msi_idmap_add(&map, &nodes[i]));
    }
    unsigned taken = 0;
    for (msi_idnode *node = msi_idmap_any(&map); node != NULL; node = msi_idmap_any(&map)) {
        msi_idmap_remove(&map, node);
        taken++;
    }
    ck_assert_uint_eq(taken, 100);
    ck_assert_uint_eq(map.count, 0);
    msi_idmap_release(&map);
    msi_idmap_release(&map);
}
END_TEST

TS_MAIN("idmap", what_was_added_is_found_until_it_is_removed, ids_that_share_their_low_bits_are_told_apart,
        all_are_taken_out_one_by_one)
