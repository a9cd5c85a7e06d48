/* SPDX-License-Identifier: MIT */
/*
 * Addresses; see url.h.
 */
#include "url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535

/* Copies `length` bytes and a NUL, if they are not none and have the room. */
static bool copy(char *to, size_t room, const char *from, size_t length)
{
    if (length == 0 || length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return true;
}

static bool is_port(const char *text)
{
    unsigned long port = 0;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 5 || text[length] != '\0')
        return false;
    for (; *text; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return port <= PORT_MAX;
}

static bool read_tcp(const char *text, struct app_url *url)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1))
        return false;
    strcpy(url->port, colon + 1);
    size_t length = (size_t)(colon - text);
    if (text[0] == '[')
        return length > 2 && text[length - 1] == ']' && copy(url->host, sizeof url->host, text + 1, length - 2);
    return !memchr(text, ':', length) && copy(url->host, sizeof url->host, text, length);
}

static bool read_unix(const char *text, struct app_url *url)
{
    url->is_unix = true;
    if (strncmp(text, "///", 3) == 0)
        return copy(url->host, sizeof url->host, text + 2, strlen(text + 2));
    return text[0] == '@' && text[1] != '\0' && copy(url->host, sizeof url->host, text, strlen(text));
}

bool app_url_read(const char *text, struct app_url *url)
{
    memset(url, 0, sizeof *url);
    if (strncmp(text, "tcp://", 6) == 0)
        return read_tcp(text + 6, url);
    url->is_grpc = strncmp(text, "grpc", 4) == 0;
    if (url->is_grpc && strncmp(text + 4, "://", 3) == 0)
        return read_tcp(text + 7, url);
    if (url->is_grpc && text[4] != '+')
        return false;
    if (url->is_grpc)
        text += 5;
    return strncmp(text, "unix:", 5) == 0 && read_unix(text + 5, url);
}

bool app_url_is_local(const struct app_url *url)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (url->is_unix || strcasecmp(url->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, url->host, &ipv4) == 1)
        return ntohl(ipv4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, url->host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
}
