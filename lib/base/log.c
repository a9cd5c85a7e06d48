/* SPDX-License-Identifier: MIT */
/* The log callback. A line that nobody wants is not formatted. */
#include "base/log.h"

#include "base/error.h"

msi_log msi_log_make(msgsrv_log_fn fn, void *ctx, msgsrv_log_level level)
{
    return (msi_log){fn, ctx, level == MSGSRV_LOG_DEFAULT ? MSGSRV_LOG_WARNING : level};
}

void msi_log_line(const msi_log *log, msgsrv_log_level level, const char *format, ...)
{
    if (!log->fn || level > log->level)
        return;
    char text[MSGSRV_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    msi_error_format(text, format, arguments);
    va_end(arguments);
    log->fn(level, text, log->ctx);
}
