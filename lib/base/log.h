/* SPDX-License-Identifier: MIT */
/* The log callback, as every layer carries it. */
#ifndef MSI_BASE_LOG_H
#define MSI_BASE_LOG_H

#include <msgsrv/log.h>

typedef struct msi_log {
    msgsrv_log_fn fn; /* NULL: silent */
    void *ctx;
    msgsrv_log_level level;
} msi_log;

/* Makes one from the options' three fields. */
msi_log msi_log_make(msgsrv_log_fn fn, void *ctx, msgsrv_log_level level);

/* Formats a line and hands it on, if its level is wanted. */
void msi_log_line(const msi_log *log, msgsrv_log_level level, const char *format, ...) MSGSRV_PRINTF(3, 4);

#endif
