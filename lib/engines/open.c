/* SPDX-License-Identifier: MIT */
/* Opening a handle: the options' defaults, and which kind it is by the URL. */
#include "base/error.h"
#include "base/limits.h"
#include "base/option.h"
#include "bus/bus.h"

#define NAME_MAX_SIZE 64u

/* Schemes of engines that are named in docs/bus.md, and that this build has not. */
static const char *const later[] = {"file:", "nats://", "amqp://"};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static msgsrv_status check_options(msgsrv_bus_options *o, msgsrv_error *error)
{
    static const char owner[] = "msgsrv_bus_options";
    const msi_option table[] = {
        {"timeout_ms", &o->timeout_ms, MSI_CALL_TIMEOUT_MS, 1, MSGSRV_NONE - 1, false},
        {"max_unanswered", &o->max_unanswered, 10000, 1, MSGSRV_NONE - 1, false},
        {"max_topics", &o->max_topics, 100000, 1, MSGSRV_NONE - 1, false},
        {"max_subscriptions", &o->max_subscriptions, 100000, 1, MSGSRV_NONE - 1, false},
        {"max_queues", &o->max_queues, 1000, 1, MSGSRV_NONE - 1, false},
        {"max_types", &o->max_types, 10000, 1, MSGSRV_NONE - 1, false},
        {"max_requests", &o->max_requests, 10000, 1, MSGSRV_NONE - 1, false},
        {"max_match_nodes", &o->max_match_nodes, 4096, 64, MSGSRV_NONE - 1, false},
        {"topic_idle_ms", &o->topic_idle_ms, 60000, 1, MSGSRV_NONE - 1, false},
        {"max_event", &o->max_event, MSI_MAX_MESSAGE - 64 * MSI_KIB, 1, MSI_MESSAGE_CEILING - MSI_MIB, false},
    };
    if (o->base && o->thread)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: base and thread exclude each other", owner);
    if ((unsigned)o->log_level > MSGSRV_LOG_DEBUG)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s: log_level is %d, expected 0 to %d", owner,
                         (int)o->log_level, (int)MSGSRV_LOG_DEBUG);
    msgsrv_status status = msi_options_check(table, sizeof table / sizeof *table, owner, error);
    if (status)
        return status;
    if (o->max_retained_bytes == 0)
        o->max_retained_bytes = 256ull * MSI_MIB;
    o->name = o->name ? o->name : "";
    return msi_check_client_name(msi_view_of(o->name), error);
}

/* "mem:" or "mem:NAME", which is one of a group. */
static msgsrv_status open_local(const char *url, const msgsrv_bus_options *options, msgsrv_bus **bus, msgsrv_error *error)
{
    const char *name = url + strlen("mem:");
    msgsrv_status status = MSGSRV_OK;
    if (*name && msi_check_group(msi_view_of(name), NULL) != MSGSRV_OK)
        status = msi_error(error, MSGSRV_INVALID_ARGUMENT,
                           "\"%.80s\": expected mem: or mem:NAME, of at most %u characters of A-Z a-z 0-9 _ . -", url,
                           NAME_MAX_SIZE);
    return status ? status : msi_bus_open_local(url, options, bus, error);
}

msgsrv_status msgsrv_bus_open(const char *url, const msgsrv_bus_options *options, msgsrv_bus **bus, msgsrv_error *error)
{
    if (!url || !bus)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "%s is NULL", url ? "bus" : "url");
    msgsrv_bus_options o;
    msgsrv_status status = msi_options_copy(&o, sizeof o, offsetof(msgsrv_bus_options, max_event) + sizeof o.max_event,
                                            options, options ? options->size : 0, "msgsrv_bus_options", error);
    if (status == MSGSRV_OK)
        status = check_options(&o, error);
    if (status)
        return status;
    o.size = sizeof o;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (begins(url, later[i]))
            return msi_error(error, MSGSRV_UNIMPLEMENTED, "\"%.80s\": this build has no engine for %s", url, later[i]);
    }
    if (begins(url, "mem:"))
        return open_local(url, &o, bus, error);
    if (begins(url, "tcp:") || begins(url, "unix:"))
        return msi_bus_open_remote(url, &o, bus, error);
    return msi_error(
        error, MSGSRV_INVALID_ARGUMENT,
        "\"%.80s\": unknown kind of bus; expected mem:, mem:NAME, tcp://host:port, unix:///path or unix:@name", url);
}
