/* SPDX-License-Identifier: MIT */
/* Clearing memory on the path of a call. */
#ifndef MSI_BASE_ZERO_H
#define MSI_BASE_ZERO_H

#include <stddef.h>
#include <string.h>

/*
 * Clears by the C library's memset, whose vectors are the fastest there is. Where the compiler knows the size it would put in `rep stos`, which at some
 * hundred bytes takes longer to begin than the work takes (docs/performance.md); so the size is hidden from it.
 */
static inline void msi_zero(void *at, size_t size)
{
    __asm__("" : "+r"(size));
    memset(at, 0, size);
}

#endif
