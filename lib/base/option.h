/* SPDX-License-Identifier: MIT */
/* Checking options: 0 is the default, a range, and where allowed NONE; a bad value is named. */
#ifndef MSI_BASE_OPTION_H
#define MSI_BASE_OPTION_H

#include <msgsrv/status.h>

typedef struct msi_option {
    const char *name;
    uint32_t *value; /* in: as given; out: what holds */
    uint32_t standard;
    uint32_t least;
    uint32_t most;
    bool none; /* MSGSRV_NONE is allowed, and stays as it is */
} msi_option;

/* Checks and fills in a table of options. */
msgsrv_status msi_options_check(const msi_option *options, size_t count, const char *owner, msgsrv_error *error);

/* Copies a caller's struct of `given` bytes (0: `first`, its size in 1.0) over a cleared one of `known` bytes. */
msgsrv_status msi_options_copy(void *to, size_t known, size_t first, const void *from, size_t given, const char *owner,
                               msgsrv_error *error);

#endif
