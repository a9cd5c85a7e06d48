/* SPDX-License-Identifier: MIT */
/* Filling the caller's msgsrv_error. All take NULL and return the code, so that failing is one line. */
#ifndef MSI_BASE_ERROR_H
#define MSI_BASE_ERROR_H

#include <stdarg.h>

#include <msgsrv/status.h>

/* An error found on this side. */
msgsrv_status msi_error(msgsrv_error *error, msgsrv_status code, const char *format, ...) MSGSRV_PRINTF(3, 4);

/* The one for a failed allocation. */
msgsrv_status msi_error_memory(msgsrv_error *error);

/* Sets code, origin and a text that need not be UTF-8 nor terminated. */
void msi_error_set(msgsrv_error *error, msgsrv_status code, bool from_peer, const char *text, size_t size);

/* Formats into a buffer of MSGSRV_ERROR_TEXT as an error's text: one line, UTF-8, cut at a character's end. */
void msi_error_format(char *buffer, const char *format, va_list arguments) MSGSRV_PRINTF(2, 0);

/* A code as it may travel: 1 to 16, anything else INTERNAL. */
static inline msgsrv_status msi_failure_code(int code)
{
    return code > 0 && code < MSGSRV_STATUS_COUNT ? (msgsrv_status)code : MSGSRV_INTERNAL;
}

/* A code as it is read from the wire: unknown ones are UNKNOWN. */
static inline msgsrv_status msi_code_from_wire(uint32_t code)
{
    return code < MSGSRV_STATUS_COUNT ? (msgsrv_status)code : MSGSRV_UNKNOWN;
}

#endif
