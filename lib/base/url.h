/* SPDX-License-Identifier: MIT */
/* The addresses of servers: tcp://host:port, tcp://[IPv6]:port, unix:///path, unix:@abstract; of gRPC: grpc://host:port, grpc+unix:///path … */
#ifndef MSI_BASE_URL_H
#define MSI_BASE_URL_H

#include <msgsrv/status.h>

#define MSI_HOST_MAX 255u /* a name's longest form, RFC 1035 section 2.3.4 */
#define MSI_PATH_MAX 107u /* sun_path of unix(7) less its NUL */

typedef enum msi_url_kind { MSI_URL_TCP, MSI_URL_UNIX } msi_url_kind;

typedef struct msi_url {
    msi_url_kind kind;
    uint16_t port;               /* tcp */
    bool grpc;                   /* grpc:, grpc+unix: a server of gRPC is there, and a client speaks it */
    bool abstract;               /* unix: a name in Linux's abstract namespace */
    char host[MSI_HOST_MAX + 1]; /* tcp: a name or an address, without brackets */
    char path[MSI_PATH_MAX + 1]; /* unix: a path or an abstract name */
} msi_url;

/* Reads a URL. INVALID_ARGUMENT says what is wrong with it; `out` is then untouched. */
msgsrv_status msi_url_parse(const char *url, msi_url *out, msgsrv_error *error);

/* Room for what msi_url_authority() writes. */
#define MSI_AUTHORITY_MAX (MSI_HOST_MAX + 9)

/* What HTTP calls the server: host:port, or localhost for a Unix socket. */
void msi_url_authority(const msi_url *url, char text[MSI_AUTHORITY_MAX]);

#endif
