/* SPDX-License-Identifier: MIT */
/* Addresses in and out. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

void msi_address_take(msi_address *address, int fd, const struct sockaddr *sockaddr)
{
    *address = (msi_address){.family = sockaddr->sa_family};
    if (sockaddr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sockaddr;
        address->port = v4->sin_port;
        address->u.v4 = v4->sin_addr;
    } else if (sockaddr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sockaddr;
        address->port = v6->sin6_port;
        address->u.v6 = v6->sin6_addr;
    } else if (sockaddr->sa_family == AF_UNIX) {
        struct ucred who;
        socklen_t size = sizeof who;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0) {
            address->u.local.uid = who.uid;
            address->u.local.gid = who.gid;
            address->u.local.pid = who.pid;
            address->u.local.known = true;
        }
    }
}

static void write_ip(int family, const void *ip, in_port_t port, char *url, size_t room)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(family, ip, text, sizeof text))
        text[0] = '\0';
    snprintf(url, room, family == AF_INET6 ? "tcp://[%s]:%u" : "tcp://%s:%u", text, ntohs(port));
}

void msi_address_peer(const msi_address *address, msgsrv_peer *peer)
{
    *peer = (msgsrv_peer){.has_credentials = false};
    if (address->family == AF_INET || address->family == AF_INET6) {
        write_ip(address->family, &address->u, address->port, peer->address, sizeof peer->address);
        return;
    }
    snprintf(peer->address, sizeof peer->address, "unix:");
    peer->has_credentials = address->u.local.known;
    peer->uid = address->u.local.uid;
    peer->gid = address->u.local.gid;
    peer->pid = address->u.local.pid;
}

void msi_address_url(const struct sockaddr *sockaddr, socklen_t size, char *url, size_t room)
{
    if (sockaddr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sockaddr;
        write_ip(AF_INET, &v4->sin_addr, v4->sin_port, url, room);
    } else if (sockaddr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sockaddr;
        write_ip(AF_INET6, &v6->sin6_addr, v6->sin6_port, url, room);
    } else {
        const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)sockaddr;
        size_t path = size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
        if (path && local->sun_path[0] == '\0')
            snprintf(url, room, "unix:@%.*s", (int)path - 1, local->sun_path + 1);
        else
            snprintf(url, room, "unix://%.*s", (int)path, local->sun_path);
    }
}
