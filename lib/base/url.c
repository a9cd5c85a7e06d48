/* SPDX-License-Identifier: MIT */
/* Reading addresses, strictly: what is not understood is refused with what was expected. */
#include "base/url.h"

#include <string.h>

#include "base/error.h"

static msgsrv_status bad(const char *url, const char *what, msgsrv_error *error)
{
    return msi_error(error, MSGSRV_INVALID_ARGUMENT,
                     "\"%.80s\": %s; expected tcp://host:port, tcp://[IPv6]:port, unix:///path or unix:@name", url,
                     what);
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

msgsrv_status msi_url_parse(const char *url, msi_url *out, msgsrv_error *error)
{
    if (!url)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the URL is NULL");
    msi_url parsed = {0};
    msgsrv_status status;
    if (strncmp(url, "tcp://", 6) == 0)
        status = parse_tcp(url, url + 6, &parsed, error);
    else if (strncmp(url, "unix:///", 8) == 0)
        status = parse_unix(url, url + 7, false, &parsed, error);
    else if (strncmp(url, "unix:@", 6) == 0)
        status = parse_unix(url, url + 6, true, &parsed, error);
    else
        status = bad(url, "unknown kind of address", error);
    if (status == MSGSRV_OK)
        *out = parsed;
    return status;
}
