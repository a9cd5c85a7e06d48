/* SPDX-License-Identifier: MIT */
/* base/metadata.c: sets of checked entries, as programs give them and as peers send them. */
#include "base/metadata.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

static msgsrv_status add(msgsrv_metadata_set *set, const char *key, const void *value, size_t size, uint32_t limit)
{
    msgsrv_metadata entry = {.key = key, .value = value, .size = size};
    return msi_metadata_add(set, &entry, limit, NULL);
}

static msgsrv_status receive(msgsrv_metadata_set *set, const char *key, const char *value, uint32_t limit)
{
    return msi_metadata_receive(set, (const uint8_t *)key, strlen(key), (const uint8_t *)value, strlen(value), limit,
                                NULL);
}

START_TEST(entries_are_copies_in_their_order)
{
    msgsrv_metadata_set set = {0};
    char key[8], value[8];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(value, sizeof value, "v%d", i);
        ck_assert_int_eq(add(&set, key, value, 0, 8192), MSGSRV_OK);
    }
    memset(key, 'x', sizeof key);
    ck_assert_uint_eq(msgsrv_metadata_count(&set), 20);
    ck_assert_str_eq(msgsrv_metadata_at(&set, 7).key, "k7");
    ck_assert_str_eq(msgsrv_metadata_at(&set, 7).value, "v7");
    ck_assert_str_eq(msgsrv_metadata_find(&set, "k19", NULL), "v19");
    ck_assert_ptr_null(msgsrv_metadata_find(&set, "k20", NULL));
    ck_assert_ptr_null(msgsrv_metadata_at(&set, 20).key);
    ck_assert_ptr_null(msgsrv_metadata_at(&set, SIZE_MAX).key);
    msi_metadata_clear(&set);
    ck_assert_uint_eq(msgsrv_metadata_count(&set), 0);
    ck_assert_uint_eq(set.size, 0);
    ck_assert_int_eq(add(&set, "again", "usable", 0, 8192), MSGSRV_OK);
    msi_metadata_clear(&set);
}
END_TEST

START_TEST(the_size_is_what_the_wire_counts)
{
    msgsrv_metadata_set set = {0};
    ck_assert_int_eq(add(&set, "key", "value", 0, 8192), MSGSRV_OK);
    ck_assert_uint_eq(set.size, 3 + 5 + 32);
    ck_assert_int_eq(add(&set, "k-bin", "\0\0", 2, 8192), MSGSRV_OK);
    ck_assert_uint_eq(set.size, 40 + 5 + 2 + 32);
    msi_metadata_clear(&set);
    ck_assert_int_eq(add(&set, "key", "value", 0, 39), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(set.count, 0);
    ck_assert_int_eq(add(&set, "key", "value", 0, 40), MSGSRV_OK);
    ck_assert_int_eq(add(&set, "k", "", 0, 72), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(add(&set, "k", "", 0, 73), MSGSRV_OK);
    ck_assert_uint_eq(set.count, 2);
    msi_metadata_clear(&set);
}
END_TEST

START_TEST(reserved_keys_of_peers_are_passed_over_but_counted)
{
    msgsrv_metadata_set set = {0};
    ck_assert_int_eq(receive(&set, "grpc-timeout", "1S", 8192), MSGSRV_OK);
    ck_assert_int_eq(receive(&set, "msgsrv-x", "y", 8192), MSGSRV_OK);
    ck_assert_uint_eq(set.count, 0);
    size_t size = set.size;
    ck_assert_uint_eq(size, 12 + 2 + 32 + 8 + 1 + 32);
    ck_assert_int_eq(receive(&set, "grpc-more", "", (uint32_t)size + 40), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(receive(&set, "plain", "kept", 8192), MSGSRV_OK);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_int_eq(add(&set, "grpc-timeout", "1S", 0, 8192), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(add(&set, "msgsrv-", "", 0, 8192), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(add(&set, "grpc", "not reserved", 0, 8192), MSGSRV_OK);
    msi_metadata_clear(&set);
}
END_TEST

START_TEST(every_byte_of_keys_and_values_is_judged)
{
    for (int c = 0; c < 256; c++) {
        msgsrv_metadata_set set = {0};
        uint8_t byte = (uint8_t)c;
        bool key_ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' || c == '-';
        bool value_ok = c >= 0x20 && c <= 0x7e;
        const uint8_t *x = (const uint8_t *)"x";
        msgsrv_status key = msi_metadata_receive(&set, &byte, 1, x, 1, 8192, NULL);
        ck_assert_int_eq(key, key_ok ? MSGSRV_OK : MSGSRV_INVALID_ARGUMENT);
        ck_assert_int_eq(msi_metadata_receive(&set, x, 1, &byte, 1, 8192, NULL),
                         value_ok ? MSGSRV_OK : MSGSRV_INVALID_ARGUMENT);
        ck_assert_int_eq(msi_metadata_receive(&set, (const uint8_t *)"-bin", 4, &byte, 1, 8192, NULL), MSGSRV_OK);
        msi_metadata_clear(&set);
    }
}
END_TEST

START_TEST(keys_have_1_to_64_characters)
{
    msgsrv_metadata_set set = {0};
    char key[66];
    memset(key, 'k', 65);
    key[65] = '\0';
    ck_assert_int_eq(add(&set, key, "", 0, 8192), MSGSRV_INVALID_ARGUMENT);
    key[64] = '\0';
    ck_assert_int_eq(add(&set, key, "", 0, 8192), MSGSRV_OK);
    ck_assert_int_eq(add(&set, "", "", 0, 8192), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(add(&set, NULL, "", 0, 8192), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(add(&set, "k", NULL, 1, 8192), MSGSRV_INVALID_ARGUMENT);
    ck_assert_uint_eq(set.count, 1);
    msi_metadata_clear(&set);
}
END_TEST

START_TEST(a_set_moves_into_another_in_place_of_what_was_there)
{
    msgsrv_metadata_set from = {0}, to = {0};
    ck_assert_int_eq(add(&from, "new", "1", 0, 8192), MSGSRV_OK);
    ck_assert_int_eq(add(&to, "old", "1", 0, 8192), MSGSRV_OK);
    msi_metadata_move(&to, &from);
    ck_assert_uint_eq(from.count, 0);
    ck_assert_uint_eq(to.count, 1);
    ck_assert_str_eq(msgsrv_metadata_at(&to, 0).key, "new");
    msi_metadata_clear(&to);
    msi_metadata_clear(&from);
}
END_TEST

TS_MAIN("metadata", entries_are_copies_in_their_order, the_size_is_what_the_wire_counts,
        reserved_keys_of_peers_are_passed_over_but_counted, every_byte_of_keys_and_values_is_judged,
        keys_have_1_to_64_characters, a_set_moves_into_another_in_place_of_what_was_there)
