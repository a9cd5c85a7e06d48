/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <stdatomic.h>
#include <sys/random.h>

#include "base/clock.h"

uint64_t msi_random(void)
{
    static _Atomic uint64_t calls;
    uint64_t random = 0;
    /* So few bytes come whole, but where the kernel has no such call: then at least no two are the same. */
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (msi_now() + atomic_fetch_add(&calls, 1)) * 0x9e3779b97f4a7c15u ^ (uintptr_t)&random;
    return random ? random : 1;
}
