/* SPDX-License-Identifier: MIT */
/*
 * The guard of guard.h. The remembered place belongs to the test's own thread; the functions are called from no
 * other.
 */
#include "guard.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static const char *here_file = "?";
static int here_line;

int ts_at(const char *file, int line)
{
    here_file = file;
    here_line = line;
    return 0;
}

void ts_fail(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ck_abort_msg("%s (called at %s:%d)", text, here_file, here_line);
}

uint64_t ts_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t ts_guard(void)
{
    return ts_now_ms() + TS_GUARD_MS;
}

void ts_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

void ts_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const char *what)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TS_GUARD_MS / 1000;
    if (pthread_cond_timedwait(cond, mutex, &until))
        ts_fail("waited %d s in vain for %s", TS_GUARD_MS / 1000, what);
}
