/* SPDX-License-Identifier: MIT */
/*
 * The histogram of msgsrv-client: exact where it promises to be, and within 1 % elsewhere, from 0 to the greatest value.
 */
#include <check.h>
#include <stdlib.h>

#include "histogram.h"

static struct histogram histogram;

static void clear(void)
{
    histogram = (struct histogram){0};
}

/* Whether a percentile is the value or up to 1 % more. */
static void check_near(double fraction, uint64_t value)
{
    uint64_t found = histogram_percentile(&histogram, fraction);
    ck_assert_uint_ge(found, value);
    ck_assert_uint_le(found, value + value / 100);
}

START_TEST(empty_is_zero)
{
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 0);
}
END_TEST

START_TEST(one_value_is_all_percentiles)
{
    static const uint64_t VALUES[] = {0, 1, 127, 128, 129, 255, 256, 1000003, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        clear();
        histogram_add(&histogram, VALUES[i]);
        ck_assert_uint_eq(histogram.min_ns, VALUES[i]);
        ck_assert_uint_eq(histogram.max_ns, VALUES[i]);
        ck_assert_uint_eq(histogram_percentile(&histogram, 0), VALUES[i]);
        ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), VALUES[i]);
        ck_assert_uint_eq(histogram_percentile(&histogram, 1), VALUES[i]);
    }
}
END_TEST

START_TEST(percentiles_of_a_ramp)
{
    for (uint64_t i = 100000; i >= 1; i--)
        histogram_add(&histogram, i);
    ck_assert_uint_eq(histogram.count, 100000);
    ck_assert_uint_eq(histogram.min_ns, 1);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 100000);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.0005), 50);
    check_near(0.5, 50000);
    check_near(0.9, 90000);
    check_near(0.99, 99000);
    check_near(0.999, 99900);
}
END_TEST

START_TEST(every_doubling_is_near)
{
    for (unsigned bit = 0; bit < 63; bit++) {
        clear();
        histogram_add(&histogram, (UINT64_C(1) << bit) + bit);
        histogram_add(&histogram, UINT64_MAX);
        check_near(0.5, (UINT64_C(1) << bit) + bit);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tests = tcase_create("histogram");
    tcase_add_checked_fixture(tests, clear, NULL);
    tcase_add_test(tests, empty_is_zero);
    tcase_add_test(tests, one_value_is_all_percentiles);
    tcase_add_test(tests, percentiles_of_a_ramp);
    tcase_add_test(tests, every_doubling_is_near);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
