/* SPDX-License-Identifier: MIT */
/* net/address.c: peers and listeners as they are written out. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "suite.h"

START_TEST(ip_addresses_are_written_as_urls)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7070), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    msi_address address;
    msgsrv_peer peer;
    char url[128];
    msi_address_take(&address, -1, (struct sockaddr *)&v4);
    msi_address_peer(&address, &peer);
    ck_assert_str_eq(peer.address, "tcp://127.0.0.1:7070");
    ck_assert(!peer.has_credentials);
    msi_address_take(&address, -1, (struct sockaddr *)&v6);
    msi_address_peer(&address, &peer);
    ck_assert_str_eq(peer.address, "tcp://[::1]:65535");
    msi_address_url((struct sockaddr *)&v4, sizeof v4, url, sizeof url);
    ck_assert_str_eq(url, "tcp://127.0.0.1:7070");
    msi_address_url((struct sockaddr *)&v6, sizeof v6, url, sizeof url);
    ck_assert_str_eq(url, "tcp://[::1]:65535");
}
END_TEST

START_TEST(unix_addresses_are_written_as_urls)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    char url[128];
    strcpy(local.sun_path, "/run/app.sock");
    msi_address_url((struct sockaddr *)&local, sizeof local, url, sizeof url);
    ck_assert_str_eq(url, "unix:///run/app.sock");
    memcpy(local.sun_path, "\0name", 5);
    msi_address_url((struct sockaddr *)&local, offsetof(struct sockaddr_un, sun_path) + 5, url, sizeof url);
    ck_assert_str_eq(url, "unix:@name");
    memset(local.sun_path, 'p', sizeof local.sun_path);
    msi_address_url((struct sockaddr *)&local, sizeof local, url, sizeof url);
    ck_assert_uint_eq(strlen(url), strlen("unix://") + sizeof local.sun_path);
}
END_TEST

START_TEST(a_unix_sockets_peer_has_credentials)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    msi_address address;
    msgsrv_peer peer;
    msi_address_take(&address, pair[0], (struct sockaddr *)&local);
    msi_address_peer(&address, &peer);
    ck_assert(peer.has_credentials);
    ck_assert_uint_eq(peer.uid, geteuid());
    ck_assert_int_eq(peer.pid, getpid());
    msi_address_take(&address, -1, (struct sockaddr *)&local);
    msi_address_peer(&address, &peer);
    ck_assert(!peer.has_credentials);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

TS_MAIN("address", ip_addresses_are_written_as_urls, unix_addresses_are_written_as_urls,
        a_unix_sockets_peer_has_credentials)
