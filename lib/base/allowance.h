/* SPDX-License-Identifier: MIT */
/* An allowance that refills with time: so many a second, and a burst. One thread at a time. */
#ifndef MSI_BASE_ALLOWANCE_H
#define MSI_BASE_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#include <msgsrv/status.h>

typedef struct msi_allowance {
    uint64_t filled_at; /* 0: full, never used */
    uint64_t left;      /* in thousandths */
} msi_allowance;

/* Takes one at the moment `now`; false when there is none left. `per_second` may be MSGSRV_NONE: no limit. */
static inline bool msi_allow(msi_allowance *allowance, uint64_t now, uint32_t per_second, uint32_t burst)
{
    if (per_second == MSGSRV_NONE)
        return true;
    uint64_t full = (uint64_t)burst * 1000;
    if (allowance->filled_at == 0) {
        allowance->left = full;
        allowance->filled_at = now;
    }
    uint64_t elapsed_us = (now - allowance->filled_at) / 1000;
    uint64_t refill = elapsed_us > 3600000000ull ? full : elapsed_us * per_second / 1000;
    if (refill) {
        allowance->left = allowance->left + refill > full ? full : allowance->left + refill;
        allowance->filled_at = now;
    }
    if (allowance->left < 1000)
        return false;
    allowance->left -= 1000;
    return true;
}

#endif
