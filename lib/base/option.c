/* SPDX-License-Identifier: MIT */
/* Options, in one way for servers, clients and calls. */
#include "base/option.h"

#include <string.h>

#include "base/error.h"

msgsrv_status msi_options_check(const msi_option *options, size_t count, const char *owner, msgsrv_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const msi_option *option = &options[i];
        uint32_t value = *option->value ? *option->value : option->standard;
        bool fits = value >= option->least && value <= option->most;
        if (!fits && !(option->none && value == MSGSRV_NONE))
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: %s is %u, expected %u to %u%s", owner, option->name,
                             value, option->least, option->most, option->none ? " or MSGSRV_NONE" : "");
        *option->value = value;
    }
    return MSGSRV_OK;
}

msgsrv_status msi_options_copy(void *to, size_t known, size_t first, const void *from, size_t given, const char *owner,
                               msgsrv_error *error)
{
    memset(to, 0, known);
    if (!from)
        return MSGSRV_OK;
    size_t size = given ? given : first;
    if (size < first)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: size is %zu, expected sizeof the struct, or 0", owner,
                         size);
    /* A program that was compiled with a newer header may say what this library does not know, only by leaving it out. */
    for (size_t i = known; i < size; i++) {
        if (((const char *)from)[i])
            return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                             "%s: an option that this version of the library does not know", owner);
    }
    memcpy(to, from, size < known ? size : known);
    return MSGSRV_OK;
}
