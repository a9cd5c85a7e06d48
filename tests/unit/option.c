/* SPDX-License-Identifier: MIT */
/* rpc/option.c: defaults, ranges, and structs of other versions. */
#include "base/option.h"

#include <string.h>

#include "suite.h"

START_TEST(zero_is_the_default_and_both_ends_are_taken)
{
    static const struct {
        uint32_t given, holds;
    } cases[] = {{0, 10}, {5, 5}, {20, 20}, {7, 7}};
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = cases[i].given;
        msi_option option = {"name", &value, 10, 5, 20, false};
        ck_assert_int_eq(msi_options_check(&option, 1, "owner", NULL), MSGSRV_OK);
        ck_assert_uint_eq(value, cases[i].holds);
    }
}
END_TEST

START_TEST(what_is_out_of_range_is_named)
{
    static const uint32_t bad[] = {1, 4, 21, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        uint32_t good = 6, value = bad[i];
        msi_option options[] = {{"first", &good, 10, 5, 20, false}, {"second", &value, 10, 5, 20, false}};
        msgsrv_error error;
        ck_assert_int_eq(msi_options_check(options, 2, "the owner", &error), MSGSRV_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(error.text, "second"));
        ck_assert_ptr_nonnull(strstr(error.text, "the owner"));
        ck_assert_ptr_null(strstr(error.text, "first"));
    }
    uint32_t none = MSGSRV_NONE;
    msi_option option = {"name", &none, 10, 5, 20, true};
    ck_assert_int_eq(msi_options_check(&option, 1, "owner", NULL), MSGSRV_OK);
    ck_assert_uint_eq(none, MSGSRV_NONE);
}
END_TEST

START_TEST(structs_of_other_versions_are_copied_as_far_as_they_go)
{
    /* The library knows 24 bytes, its first version had 16. */
    struct {
        size_t size;
        uint64_t fields[4];
    } from = {.fields = {1, 2, 3, 4}};
    uint64_t to[3];
    ck_assert_int_eq(msi_options_copy(to, 24, 16, NULL, 0, "owner", NULL), MSGSRV_OK);
    ck_assert(to[0] == 0 && to[1] == 0 && to[2] == 0);
    ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, 0, "owner", NULL), MSGSRV_OK);
    ck_assert(to[1] == 1 && to[2] == 0); /* 0: as of its first version */
    ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, 16, "owner", NULL), MSGSRV_OK);
    ck_assert(to[1] == 1 && to[2] == 0);
    ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, 24, "owner", NULL), MSGSRV_OK);
    ck_assert(to[1] == 1 && to[2] == 2);
    msgsrv_error error;
    ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, 32, "the owner", &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.text, "the owner"));
    from.fields[2] = 0;
    ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, 32, "owner", NULL), MSGSRV_OK);
    for (size_t size = 1; size < 16; size++)
        ck_assert_int_eq(msi_options_copy(to, 24, 16, &from, size, "owner", NULL), MSGSRV_INVALID_ARGUMENT);
}
END_TEST

TS_MAIN("option", zero_is_the_default_and_both_ends_are_taken, what_is_out_of_range_is_named,
        structs_of_other_versions_are_copied_as_far_as_they_go)
