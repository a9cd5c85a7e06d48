/* SPDX-License-Identifier: MIT */
/* Reading addresses, strictly: what is not understood is refused with what was expected. */
#include "base/url.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static msgsrv_status bad(const char *url, const char *what, msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "\"%.80s\": %s; expected tcp://host:port, tcp://[IPv6]:port, unix:///path or unix:@name, or for "
                     "gRPC grpc:// or grpc+unix: instead",
                     url, what);
}

/* Digits only, 0 to 65,535. */
static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static msgsrv_status parse_tcp(const char *url, const char *rest, msi_url *out, msgsrv_error *error)
{
    const char *host = rest;
    const char *end;
    const char *colon;
    if (*rest == '[') {
        host = rest + 1;
        end = strchr(host, ']');
        if (!end)
            return bad(url, "the bracket is not closed", error);
        colon = end + 1;
    } else {
        end = strchr(rest, ':');
        colon = end;
        if (end && strchr(end + 1, ':'))
            return bad(url, "an IPv6 address needs brackets, and there is one port", error);
    }
    if (!colon || *colon != ':')
        return bad(url, "the port is missing", error);
    size_t size = (size_t)(end - host);
    if (size == 0 || size > MSI_HOST_MAX)
        return bad(url, size ? "the host is too long" : "the host is missing", error);
    if (strcspn(host, " /@?#") < size)
        return bad(url, "a character that no host has", error);
    if (!parse_port(colon + 1, &out->port))
        return bad(url, "the port is not a number from 0 to 65535", error);
    memcpy(out->host, host, size);
    out->kind = MSI_URL_TCP;
    return MSGSRV_OK;
}

static msgsrv_status parse_unix(const char *url, const char *path, bool abstract, msi_url *out, msgsrv_error *error)
{
    size_t size = strlen(path);
    if (size == 0)
        return bad(url, "the path is missing", error);
    if (size > MSI_PATH_MAX - abstract)
        return bad(url, "the path is longer than the 107 bytes that a Unix socket can have", error);
    memcpy(out->path, path, size + 1);
    out->kind = MSI_URL_UNIX;
    out->abstract = abstract;
    return MSGSRV_OK;
}

static bool skip(const char **text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(*text, prefix, size) != 0)
        return false;
    *text += size;
    return true;
}

msgsrv_status msi_url_parse(const char *url, msi_url *out, msgsrv_error *error)
{
    if (!url)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the URL is NULL");
    msi_url parsed = {0};
    msgsrv_status status;
    const char *rest = url;
    bool prefixed = skip(&rest, "grpc+");
    bool tcp = !prefixed && skip(&rest, "tcp://");
    bool grpc = !prefixed && !tcp && skip(&rest, "grpc://");
    parsed.grpc = prefixed || grpc;
    if (tcp || grpc)
        status = parse_tcp(url, rest, &parsed, error);
    else if (strncmp(rest, "unix:///", 8) == 0)
        status = parse_unix(url, rest + 7, false, &parsed, error);
    else if (skip(&rest, "unix:@"))
        status = parse_unix(url, rest, true, &parsed, error);
    else
        status = bad(url, "unknown kind of address", error);
    if (status == MSGSRV_OK)
        *out = parsed;
    return status;
}

void msi_url_authority(const msi_url *url, char text[MSI_AUTHORITY_MAX])
{
    bool ipv6 = url->kind == MSI_URL_TCP && strchr(url->host, ':');
    if (url->kind == MSI_URL_UNIX)
        snprintf(text, MSI_AUTHORITY_MAX, "localhost");
    else
        snprintf(text, MSI_AUTHORITY_MAX, "%s%s%s:%u", ipv6 ? "[" : "", url->host, ipv6 ? "]" : "", url->port);
}
