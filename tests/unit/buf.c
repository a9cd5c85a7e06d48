/* SPDX-License-Identifier: MIT */
/* base/buf.c and net/pool.c: growing buffers, and the few large ones that are kept. */
#include "base/buf.h"

#include "net/pool.h"
#include "suite.h"

START_TEST(a_buffer_grows_and_keeps_what_is_in_it)
{
    msi_buf buf = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t byte = (uint8_t)(i * 31);
        ck_assert(msi_buf_append(&buf, &byte, 1));
        ck_assert_uint_ge(buf.cap, buf.len);
    }
    ck_assert_uint_eq(buf.len, 10000);
    for (unsigned i = 0; i < 10000; i++)
        ck_assert_uint_eq(buf.data[i], (uint8_t)(i * 31));
    ck_assert(msi_buf_append(&buf, NULL, 0));
    ck_assert_uint_eq(buf.len, 10000);
    msi_buf_release(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.cap, 0);
    ck_assert(msi_buf_append(&buf, "again", 5));
    msi_buf_release(&buf);
}
END_TEST

START_TEST(room_is_made_without_being_used)
{
    msi_buf buf = {0};
    ck_assert(msi_buf_reserve(&buf, 70000));
    ck_assert_uint_ge(buf.cap, 70000);
    ck_assert_uint_eq(buf.len, 0);
    const uint8_t *data = buf.data;
    ck_assert(msi_buf_reserve(&buf, 70000));
    ck_assert_ptr_eq(buf.data, data);
    msi_buf_release(&buf);
}
END_TEST

START_TEST(a_size_that_cannot_be_leaves_the_buffer_as_it_was)
{
    msi_buf buf = {0};
    ck_assert(msi_buf_append(&buf, "kept", 4));
    ck_assert(!msi_buf_reserve(&buf, SIZE_MAX));
    ck_assert(!msi_buf_reserve(&buf, SIZE_MAX / 2));
    ck_assert(!msi_buf_reserve(&buf, SIZE_MAX - 4));
    ck_assert_uint_eq(buf.len, 4);
    ck_assert_mem_eq(buf.data, "kept", 4);
    msi_buf_release(&buf);
}
END_TEST

START_TEST(the_pool_gives_back_what_it_was_given)
{
    msi_pool pool = {0};
    msi_buf first = msi_pool_get(&pool, 100000);
    ck_assert_uint_ge(first.cap, 100000);
    ck_assert_uint_eq(first.len, 0);
    first.len = 7;
    const uint8_t *memory = first.data;
    msi_pool_put(&pool, &first);
    ck_assert_ptr_null(first.data);
    msi_buf again = msi_pool_get(&pool, 50000);
    ck_assert_ptr_eq(again.data, memory);
    ck_assert_uint_eq(again.len, 0);
    msi_pool_put(&pool, &again);
    msi_pool_release(&pool);
    ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

START_TEST(the_pool_keeps_neither_too_many_nor_too_much)
{
    msi_pool pool = {0};
    msi_buf bufs[3 * MSI_POOL_SLOTS];
    for (unsigned i = 0; i < 3 * MSI_POOL_SLOTS; i++)
        bufs[i] = msi_pool_get(&pool, 20000);
    for (unsigned i = 0; i < 3 * MSI_POOL_SLOTS; i++) {
        msi_pool_put(&pool, &bufs[i]);
        ck_assert_uint_le(pool.bytes, MSI_POOL_BYTES);
    }
    for (int i = 0; i < 4; i++) {
        msi_buf large[2] = {msi_pool_get(&pool, MSI_POOL_BYTES / 2 + 1), msi_pool_get(&pool, MSI_POOL_BYTES / 2 + 1)};
        msi_pool_put(&pool, &large[0]);
        msi_pool_put(&pool, &large[1]);
        ck_assert_uint_le(pool.bytes, MSI_POOL_BYTES);
    }
    msi_buf empty = {0};
    msi_pool_put(&pool, &empty);
    msi_pool_release(&pool);
}
END_TEST

TS_MAIN("buf", a_buffer_grows_and_keeps_what_is_in_it, room_is_made_without_being_used,
        a_size_that_cannot_be_leaves_the_buffer_as_it_was, the_pool_gives_back_what_it_was_given,
        the_pool_keeps_neither_too_many_nor_too_much)
