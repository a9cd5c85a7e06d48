/* SPDX-License-Identifier: MIT */
/* Errors of the built-in services: the library's own helpers are not public. */
#include <stdarg.h>
#include <stdio.h>

#include "services/internal.h"

msgsrv_status msi_services_error(msgsrv_error *error, msgsrv_status code, const char *format, ...)
{
    if (!error)
        return code;
    error->code = code;
    error->from_peer = false;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}

msgsrv_status msi_services_no_memory(msgsrv_error *error)
{
    return msi_services_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
}
