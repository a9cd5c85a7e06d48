/* SPDX-License-Identifier: MIT */
/* Names and texts of statuses, refusals and log levels, each made from its one list. */
#include <msgsrv/log.h>
#include <msgsrv/stats.h>
#include <msgsrv/status.h>
#include <msgsrv/version.h>

const char *msgsrv_version(void)
{
    return MSGSRV_VERSION;
}

const char *msgsrv_status_name(msgsrv_status status)
{
    switch (status) {
#define NAME(name, number, text) \
    case MSGSRV_##name:          \
        return #name;
        MSGSRV_STATUS_LIST(NAME)
#undef NAME
    }
    return "UNKNOWN";
}

const char *msgsrv_status_text(msgsrv_status status)
{
    switch (status) {
#define TEXT(name, number, text) \
    case MSGSRV_##name:          \
        return text;
        MSGSRV_STATUS_LIST(TEXT)
#undef TEXT
    }
    return msgsrv_status_text(MSGSRV_UNKNOWN);
}

const char *msgsrv_refusal_name(msgsrv_refusal refusal)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        MSGSRV_REFUSAL_LIST(NAME)
#undef NAME
    };
    return refusal >= 0 && refusal < MSGSRV_REFUSAL_COUNT ? names[refusal] : NULL;
}

const char *msgsrv_log_level_name(msgsrv_log_level level)
{
    switch (level) {
    case MSGSRV_LOG_ERROR:
        return "error";
    case MSGSRV_LOG_INFO:
        return "info";
    case MSGSRV_LOG_DEBUG:
        return "debug";
    case MSGSRV_LOG_DEFAULT:
    case MSGSRV_LOG_WARNING:
        break;
    }
    return "warning";
}
