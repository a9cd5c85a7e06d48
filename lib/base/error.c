/* SPDX-License-Identifier: MIT */
/* The caller's msgsrv_error: text is always one line of valid UTF-8, whatever went in. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Makes `size` bytes printable in place: what is not UTF-8 or is a control character becomes '?'. A character cut at the end goes. */
static void clean(char *text, size_t size, bool cut)
{
    size_t at = 0;
    while (at < size) {
        size_t step = msi_utf8_step((const uint8_t *)text + at, size - at);
        if (step == 0 && cut && size - at < 4 && msi_utf8_is_start((uint8_t)text[at]))
            break;
        if (step == 0 || (step == 1 && ((uint8_t)text[at] < 0x20 || text[at] == 0x7f))) {
            text[at] = '?';
            step = 1;
        }
        at += step;
    }
    text[at] = '\0';
}

void msi_error_format(char *buffer, const char *format, va_list arguments)
{
    buffer[0] = '\0'; /* vsnprintf may fail on what %ls is given */
    int wanted = vsnprintf(buffer, MSGSRV_ERROR_TEXT, format, arguments);
    clean(buffer, strlen(buffer), wanted >= MSGSRV_ERROR_TEXT);
}

void msi_error_set(msgsrv_error *error, msgsrv_status code, bool from_peer, const char *text, size_t size)
{
    if (!error)
        return;
    size_t kept = size < MSGSRV_ERROR_TEXT ? size : MSGSRV_ERROR_TEXT - 1;
    error->code = code;
    error->from_peer = from_peer;
    if (kept)
        memmove(error->text, text, kept);
    clean(error->text, kept, kept < size);
}

msgsrv_status msi_error(msgsrv_error *error, msgsrv_status code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        error->from_peer = false;
        msi_error_format(error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

msgsrv_status msi_error_memory(msgsrv_error *error)
{
    return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "no memory");
}
