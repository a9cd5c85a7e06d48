/* SPDX-License-Identifier: MIT */
/*
 * See failing.h. The counter is one atomic number that runs down to the allocation that fails; below it lies either "off" or,
 * for FAILING_ON, more failures.
 */
#include "failing.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* No scenario needs so many allocations. */
#define SWEEP_MAX 20000u

static atomic_bool armed;
static atomic_bool goes_on;
static atomic_uint left;
static atomic_uint failures;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __real_eventfd(unsigned count, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_eventfd(unsigned count, int flags);

static bool fails(void)
{
    if (!atomic_load(&armed))
        return false;
    unsigned before = atomic_load(&left);
    while (before > 0 && !atomic_compare_exchange_weak(&left, &before, before - 1)) {
    }
    bool failed = before == 1 || (before == 0 && atomic_load(&goes_on));
    if (failed)
        atomic_fetch_add(&failures, 1);
    return failed;
}

void *__wrap_malloc(size_t size)
{
    if (!fails())
        return __real_malloc(size);
    errno = ENOMEM;
    return NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (!fails())
        return __real_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (!fails())
        return __real_realloc(memory, size);
    errno = ENOMEM;
    return NULL;
}

char *__wrap_strdup(const char *text)
{
    if (!fails())
        return __real_strdup(text);
    errno = ENOMEM;
    return NULL;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, arg);
}

int __wrap_eventfd(unsigned count, int flags)
{
    if (!fails())
        return __real_eventfd(count, flags);
    errno = EMFILE;
    return -1;
}

static void silent(int severity, const char *text)
{
    (void)severity; /* libevent writes of each failed allocation to standard error */
    (void)text;
}

void failing_take_libevent(void)
{
    event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
    event_set_log_callback(silent);
}

void failing_begin(unsigned n, enum failing_mode mode)
{
    atomic_store(&left, n);
    atomic_store(&failures, 0);
    atomic_store(&goes_on, mode == FAILING_ON);
    atomic_store(&armed, true);
}

bool failing_end(void)
{
    atomic_store(&armed, false);
    return atomic_load(&failures) > 0;
}

unsigned failing_sweep(failing_fn before, failing_fn scenario, failing_check_fn check, void *ctx)
{
    unsigned runs = 0;
    for (int mode = FAILING_ONCE; mode <= FAILING_ON; mode++) {
        bool failed = true;
        unsigned n = 0;
        while (failed) {
            n++;
            ck_assert_uint_lt(n, SWEEP_MAX);
            if (before != NULL)
                before(ctx);
            failing_begin(n, (enum failing_mode)mode);
            scenario(ctx);
            failed = failing_end();
            check(ctx, failed, n);
            runs += failed;
        }
    }
    return runs;
}
