/* SPDX-License-Identifier: MIT */
/* base/utf8.c: against a slow model that follows RFC 3629's table, for all short sequences and at every place of a block. */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* One row of RFC 3629 section 4. */
struct row {
    uint8_t first_low, first_high, second_low, second_high;
    size_t size;
};

static const struct row rows[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

static size_t model_step(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        if (text[0] < row->first_low || text[0] > row->first_high || size < row->size)
            continue;
        if (row->size > 1 && (text[1] < row->second_low || text[1] > row->second_high))
            return 0;
        for (size_t k = 2; k < row->size; k++) {
            if ((text[k] & 0xc0) != 0x80)
                return 0;
        }
        return row->size;
    }
    return 0;
}

START_TEST(every_sequence_of_two_and_three_bytes_is_judged_as_the_rfc_does)
{
    for (unsigned value = 0; value < 1u << 24; value++) {
        uint8_t text[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
        size_t got = msi_utf8_step(text, 3);
        if (got != model_step(text, 3))
            ck_abort_msg("%02x %02x %02x is %zu", text[0], text[1], text[2], got);
    }
    for (unsigned value = 0; value < 1u << 16; value++) {
        uint8_t text[2] = {(uint8_t)(value >> 8), (uint8_t)value};
        ck_assert_uint_eq(msi_utf8_step(text, 2), model_step(text, 2));
        ck_assert_uint_eq(msi_utf8_step(text, 1), model_step(text, 1));
    }
}
END_TEST

START_TEST(sequences_of_four_bytes_are_judged_as_the_rfc_does)
{
    static const uint8_t ends[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
    for (unsigned first = 0xf0; first <= 0xff; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (unsigned i = 0; i < 64; i++) {
                uint8_t text[4] = {(uint8_t)first, (uint8_t)second, ends[i / 8], ends[i % 8]};
                for (size_t size = 1; size <= 4; size++)
                    ck_assert_uint_eq(msi_utf8_step(text, size), model_step(text, size));
            }
        }
    }
}
END_TEST

/* The model of the whole check. */
static msi_text model_check(const uint8_t *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t step = model_step(text + at, size - at);
        if (text[at] == 0)
            return MSI_TEXT_NUL;
        if (step == 0)
            return MSI_TEXT_NOT_UTF8;
        at += step;
    }
    return MSI_TEXT_OK;
}

static void compare(const uint8_t *text, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* reading beyond it is seen */
    memcpy(exact, text, size);
    ck_assert_int_eq(msi_text_check(exact, size), model_check(text, size));
    free(exact);
}

START_TEST(a_whole_text_is_judged_wherever_something_stands_in_it)
{
    static const char *const parts[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x99\x82", "\xff", "\xc3",
                                        "\xe2\x82", "\xed\xa0\x80", "\xc0\x80",         "\x80", "\xf4\x90\x80\x80"};
    uint8_t text[200];
    for (size_t size = 0; size <= 200; size += 1 + size / 16) {
        for (size_t at = 0; at < size; at++) {
            for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
                memset(text, 'a', sizeof text);
                size_t part = strlen(parts[i]);
                memcpy(text + at, parts[i], part < size - at ? part : size - at);
                compare(text, size);
            }
            memset(text, 'a', sizeof text);
            text[at] = 0;
            compare(text, size);
        }
    }
}
END_TEST

START_TEST(random_texts_are_judged_as_the_model_does)
{
    uint32_t state = 12345;
    uint8_t text[300];
    for (int round = 0; round < 20000; round++) {
        size_t size = 0;
        while (size < 280) {
            state = state * 1664525 + 1013904223;
            switch (state >> 24 & 7) {
            case 0:
                memcpy(text + size, "\xe2\x82\xac", 3);
                size += 3;
                break;
            case 1:
                text[size++] = (uint8_t)((state >> 8 & 0xff) < 4 ? state >> 16 : 'b');
                break;
            default:
                text[size++] = 'c';
                break;
            }
        }
        compare(text, size - (state >> 4 & 15));
    }
}
END_TEST

START_TEST(an_empty_text_is_one)
{
    ck_assert_int_eq(msi_text_check((const uint8_t *)"", 0), MSI_TEXT_OK);
    ck_assert_int_eq(msi_text_check(NULL, 0), MSI_TEXT_OK);
}
END_TEST

TS_MAIN("utf8", every_sequence_of_two_and_three_bytes_is_judged_as_the_rfc_does,
        sequences_of_four_bytes_are_judged_as_the_rfc_does, a_whole_text_is_judged_wherever_something_stands_in_it,
        random_texts_are_judged_as_the_model_does, an_empty_text_is_one)
