/* SPDX-License-Identifier: MIT */
/* The other end of a connection, kept small because every connection has one, and written out when somebody asks. */
#ifndef MSI_NET_ADDRESS_H
#define MSI_NET_ADDRESS_H

#include <msgsrv/call.h>
#include <netinet/in.h>
#include <sys/socket.h>

typedef struct msi_address {
    sa_family_t family;
    in_port_t port; /* network order */
    union {
        struct in_addr v4;
        struct in6_addr v6;
        struct {
            uid_t uid;
            gid_t gid;
            pid_t pid;
            bool known;
        } local;
    } u;
} msi_address;

/* Takes what accept() or connect() knew; asks the kernel for the credentials of a Unix socket's peer. */
void msi_address_take(msi_address *address, int fd, const struct sockaddr *sockaddr);

/* Writes it out for a program. */
void msi_address_peer(const msi_address *address, msgsrv_peer *peer);

/* Writes a sockaddr as a URL, "tcp://127.0.0.1:7070" or "unix:///path". */
void msi_address_url(const struct sockaddr *sockaddr, socklen_t size, char *url, size_t room);

#endif
