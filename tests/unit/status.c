/* SPDX-License-Identifier: MIT */
/*
 * base/status.c, base/log.c, base/error.c: names and texts, the log's levels, and error texts that are one line of UTF-8.
 */
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#include <msgsrv/msgsrv.h>

#include "suite.h"

START_TEST(every_status_has_a_name_and_a_text)
{
#define LOOK(name, number, words)                               \
    ck_assert_int_eq(MSGSRV_##name, number);                    \
    ck_assert_str_eq(msgsrv_status_name(MSGSRV_##name), #name); \
    ck_assert_str_eq(msgsrv_status_text(MSGSRV_##name), words);
    MSGSRV_STATUS_LIST(LOOK)
#undef LOOK
}
END_TEST

START_TEST(a_number_outside_the_list_is_unknown)
{
    static const int numbers[] = {-1, 17, 99, 102, 1 << 30};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ck_assert_str_eq(msgsrv_status_name((msgsrv_status)numbers[i]), "UNKNOWN");
        ck_assert_str_eq(msgsrv_status_text((msgsrv_status)numbers[i]), msgsrv_status_text(MSGSRV_UNKNOWN));
    }
}
END_TEST

START_TEST(codes_are_made_fit_to_travel_and_read_from_the_wire)
{
    ck_assert_int_eq(msi_failure_code(0), MSGSRV_INTERNAL);
    ck_assert_int_eq(msi_failure_code(1), MSGSRV_CANCELLED);
    ck_assert_int_eq(msi_failure_code(16), MSGSRV_UNAUTHENTICATED);
    ck_assert_int_eq(msi_failure_code(17), MSGSRV_INTERNAL);
    ck_assert_int_eq(msi_failure_code(MSGSRV_AGAIN), MSGSRV_INTERNAL);
    ck_assert_int_eq(msi_failure_code(-5), MSGSRV_INTERNAL);
    ck_assert_int_eq(msi_code_from_wire(0), MSGSRV_OK);
    ck_assert_int_eq(msi_code_from_wire(16), MSGSRV_UNAUTHENTICATED);
    ck_assert_int_eq(msi_code_from_wire(17), MSGSRV_UNKNOWN);
    ck_assert_int_eq(msi_code_from_wire(UINT32_MAX), MSGSRV_UNKNOWN);
}
END_TEST

START_TEST(an_error_is_filled_and_null_is_none)
{
    msgsrv_error error;
    memset(&error, 0xff, sizeof error);
    ck_assert_int_eq(msi_error(&error, MSGSRV_NOT_FOUND, "no %s in %d", "bread", 7), MSGSRV_NOT_FOUND);
    ck_assert_int_eq(error.code, MSGSRV_NOT_FOUND);
    ck_assert(!error.from_peer);
    ck_assert_str_eq(error.text, "no bread in 7");
    ck_assert_int_eq(msi_error(NULL, MSGSRV_ABORTED, "nobody hears"), MSGSRV_ABORTED);
    ck_assert_int_eq(msi_error_memory(&error), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_ne(error.text, "");
    ck_assert_int_eq(msi_error_memory(NULL), MSGSRV_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(a_text_of_the_peers_is_taken_with_its_size)
{
    msgsrv_error error;
    msi_error_set(&error, MSGSRV_DATA_LOSS, true, "texttail", 4);
    ck_assert(error.from_peer);
    ck_assert_str_eq(error.text, "text");
    msi_error_set(&error, MSGSRV_DATA_LOSS, true,
                  "a\nb\tc\x01"
                  "d",
                  7);
    ck_assert_ptr_null(strchr(error.text, '\n'));
    msi_error_set(&error, MSGSRV_DATA_LOSS, true, "\xff\xc3", 2);
    ck_assert_str_eq(error.text, "??");
    msi_error_set(NULL, MSGSRV_DATA_LOSS, true, "x", 1);
}
END_TEST

START_TEST(texts_are_cut_at_a_characters_end)
{
    char text[400];
    msgsrv_error error;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', sizeof text);
        for (size_t i = shift; i + 4 <= sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x99\x82", 4);
        msi_error_set(&error, MSGSRV_ABORTED, true, text, sizeof text);
        ck_assert_uint_eq(strlen(error.text), 255 - (255 - shift) % 4);
        text[399] = '\0';
        ck_assert_int_eq(msi_error(&error, MSGSRV_ABORTED, "%s", text), MSGSRV_ABORTED);
        ck_assert_uint_eq(strlen(error.text), 255 - (255 - shift) % 4);
    }
}
END_TEST

struct lines {
    unsigned count;
    msgsrv_log_level level;
    char text[300];
};

static void take(msgsrv_log_level level, const char *text, void *ctx)
{
    struct lines *lines = ctx;
    lines->count++;
    lines->level = level;
    strncpy(lines->text, text, sizeof lines->text - 1);
}

START_TEST(a_log_hands_on_its_level_and_all_graver)
{
    for (int wanted = 0; wanted <= 4; wanted++) {
        struct lines lines = {0};
        msi_log log = msi_log_make(take, &lines, (msgsrv_log_level)wanted);
        for (int level = 1; level <= 4; level++) {
            msi_log_line(&log, (msgsrv_log_level)level, "line %d", level);
            int most = wanted != 0 ? wanted : MSGSRV_LOG_WARNING;
            ck_assert_uint_eq(lines.count, (unsigned)(level < most ? level : most));
        }
        ck_assert_int_eq(strncmp(lines.text, "line ", 5), 0);
    }
    msi_log silent = msi_log_make(NULL, NULL, MSGSRV_LOG_DEBUG);
    msi_log_line(&silent, MSGSRV_LOG_ERROR, "nobody hears");
}
END_TEST

START_TEST(levels_have_names)
{
    ck_assert_str_eq(msgsrv_log_level_name(MSGSRV_LOG_ERROR), "error");
    ck_assert_str_eq(msgsrv_log_level_name(MSGSRV_LOG_WARNING), "warning");
    ck_assert_str_eq(msgsrv_log_level_name(MSGSRV_LOG_INFO), "info");
    ck_assert_str_eq(msgsrv_log_level_name(MSGSRV_LOG_DEBUG), "debug");
    ck_assert_ptr_nonnull(msgsrv_log_level_name((msgsrv_log_level)77));
    ck_assert_ptr_nonnull(msgsrv_log_level_name(MSGSRV_LOG_DEFAULT));
}
END_TEST

TS_MAIN("status", every_status_has_a_name_and_a_text, a_number_outside_the_list_is_unknown,
        codes_are_made_fit_to_travel_and_read_from_the_wire, an_error_is_filled_and_null_is_none,
        a_text_of_the_peers_is_taken_with_its_size, texts_are_cut_at_a_characters_end,
        a_log_hands_on_its_level_and_all_graver, levels_have_names)
