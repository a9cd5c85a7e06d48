/* SPDX-License-Identifier: MIT */
/*
 * The pieces of an address, for what the programs do without the library: the server's rule about loopback,
 * and the client's plain socket. The library reads URLs by itself.
 */
#ifndef MSGSRV_APPS_URL_H
#define MSGSRV_APPS_URL_H

#include <stdbool.h>

#define APP_URL_ROOM 256
#define APP_URL_FORMS "tcp://host:port, tcp://[IPv6]:port, unix:///path or unix:@name"
/* Of a client, which can speak gRPC instead. */
#define APP_URL_CLIENT_FORMS \
    "tcp://host:port, tcp://[IPv6]:port, unix:///path, unix:@name, grpc://host:port or grpc+unix:///path"

struct app_url {
    bool is_unix;
    bool is_grpc;            /* what a client speaks there is gRPC */
    char host[APP_URL_ROOM]; /* without the brackets of IPv6; of a Unix socket the path, or '@' and the abstract name */
    char port[8];            /* decimal */
};

/* Takes `tcp://host:port`, `tcp://[::1]:port`, `unix:///path` and `unix:@name` apart; and with `grpc:` instead of `tcp:`, or `grpc+` before
 * `unix:`. False for anything else. */
bool app_url_read(const char *text, struct app_url *url);

/* Whether only this machine can reach it: 127.0.0.0/8, ::1, localhost, Unix sockets. */
bool app_url_is_local(const struct app_url *url);

#endif
