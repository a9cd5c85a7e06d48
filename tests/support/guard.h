/* SPDX-License-Identifier: MIT */
/*
 * Waiting in tests: always for an event, with one guard that only a failing test ever reaches. Also the place
 * from which a shared function was called, so that a failure inside it names the test's line.
 */
#ifndef TESTS_SUPPORT_GUARD_H
#define TESTS_SUPPORT_GUARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TS_GUARD_MS = 20000, /* what may take so long has failed */
    TS_TEST_S = 120      /* for tcase_set_timeout(): above the guard, so that the guard's text is seen first */
};

/* Remembers the caller for ts_fail(). Returns 0, so that a macro can put it in front of a call. */
int ts_at(const char *file, int line);
#define TS_HERE ts_at(__FILE__, __LINE__)

/* Ends the test with a text that names the remembered caller. */
void ts_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * For what is checked often: unlike Check's own assertions it costs nothing when it holds (those write to a
 * pipe each time).
 */
#define TS_CHECK(condition, ...)  \
    do {                          \
        if (!(condition))         \
            ts_fail(__VA_ARGS__); \
    } while (0)

/* A time that ends a wait. */
uint64_t ts_now_ms(void); /* monotonic */
uint64_t ts_guard(void);  /* now + TS_GUARD_MS */
void ts_nap(void);        /* a fraction of a millisecond, between two looks at something that cannot be waited for */

/* pthread_cond_wait() with the guard; fails the test with `what` when it passes. */
void ts_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const char *what);

#endif
