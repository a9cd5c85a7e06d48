/* SPDX-License-Identifier: MIT */
/* Random numbers of the kernel, for what must differ between programs, or must not be guessed. */
#ifndef MSI_BASE_RANDOM_H
#define MSI_BASE_RANDOM_H

#include <stdint.h>

/* Never 0. Any thread. */
uint64_t msi_random(void);

#endif
