/* SPDX-License-Identifier: MIT */
/*
 * A test program's main(): one suite of one case, each test in a process of its own.
 */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stddef.h>

int ts_run(const char *name, const TTest *const *tests, size_t count);

#define TS_MAIN(name, ...)                                             \
    int main(void)                                                     \
    {                                                                  \
        const TTest *const tests_[] = {__VA_ARGS__};                   \
        return ts_run(name, tests_, sizeof(tests_) / sizeof(*tests_)); \
    }

#endif
