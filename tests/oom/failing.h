/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail. The linker sends the allocations of the library, of nanopb and of the tests through here (and making a
 * thread or an eventfd as well), and libevent is told to use the same; the C library's own are not seen. Counting begins with
 * failing_begin() and covers all threads.
 */
#ifndef TESTS_OOM_FAILING_H
#define TESTS_OOM_FAILING_H

#include <stdbool.h>

/* Which allocations fail. */
enum failing_mode {
    FAILING_ONCE, /* the n-th only */
    FAILING_ON    /* the n-th and all after it */
};

/* Sends libevent's allocations here too; before any other call of libevent's. */
void failing_take_libevent(void);

/* From now on the n-th allocation fails, counted from 1. */
void failing_begin(unsigned n, enum failing_mode mode);

/* Nothing fails any more. Returns whether something did. */
bool failing_end(void);

/*
 * Runs a scenario with n = 1, 2, 3, ... in a mode until it needs no failure. The scenario is called between failing_begin() and
 * failing_end(); `check` afterwards, with whether something had failed. Returns how many of the runs had a failure.
 */
typedef void (*failing_fn)(void *ctx);
typedef void (*failing_check_fn)(void *ctx, bool failed, unsigned n);
unsigned failing_sweep(failing_fn before, failing_fn scenario, failing_check_fn check, void *ctx);

#endif
