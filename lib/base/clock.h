/* SPDX-License-Identifier: MIT */
/* Time: nanoseconds of CLOCK_MONOTONIC. 0 stands for "never" in deadlines. */
#ifndef MSI_BASE_CLOCK_H
#define MSI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include <msgsrv/status.h>

#define MSI_MS 1000000ull

static inline uint64_t msi_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* The moment `ms` milliseconds after `now`; never for 0 and MSGSRV_NONE. */
static inline uint64_t msi_after(uint64_t now, uint32_t ms)
{
    return ms == 0 || ms == MSGSRV_NONE ? 0 : now + ms * MSI_MS;
}

/* The earlier of two moments. */
static inline uint64_t msi_earlier(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* Milliseconds until a moment, rounded up; 0 when it has passed, -1 when it is never. */
static inline int64_t msi_ms_until(uint64_t moment, uint64_t now)
{
    if (moment == 0)
        return -1;
    return moment <= now ? 0 : (int64_t)((moment - now + MSI_MS - 1) / MSI_MS);
}

#endif
