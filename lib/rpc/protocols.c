/* SPDX-License-Identifier: MIT */
/* The protocols that a port speaks. Those that are only recognised are closed and counted by name. */
#include "rpc/protocols.h"

#include "protocol/grpc_server.h"
#include "protocol/native_server.h"

static msi_match match_http1(const uint8_t *data, size_t size)
{
    (void)size;
    uint8_t lower = data[0] | 0x20;
    return lower >= 'a' && lower <= 'z' ? MSI_MATCH_YES : MSI_MATCH_NO;
}

static msi_match match_tls(const uint8_t *data, size_t size)
{
    (void)size;
    return data[0] == 0x16 ? MSI_MATCH_YES : MSI_MATCH_NO; /* a handshake record, RFC 8446, section 5.1 */
}

static const msi_protocol http1 = {"HTTP/1", match_http1, NULL, NULL, MSGSRV_REFUSED_PROTOCOL_HTTP1};
static const msi_protocol tls = {"TLS", match_tls, NULL, NULL, MSGSRV_REFUSED_PROTOCOL_TLS};

/* In the order of asking: a letter whose low bits say "length-delimited" is native. */
static const msi_protocol *const protocols[] = {&msi_native_protocol, &msi_grpc_protocol, &http1, &tls};

const msi_protocol *msi_protocol_find(const uint8_t *data, size_t size, bool *more)
{
    *more = false;
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        switch (protocols[i]->match(data, size)) {
        case MSI_MATCH_YES:
            return protocols[i];
        case MSI_MATCH_MORE:
            *more = true;
            return NULL;
        case MSI_MATCH_NO:
            break;
        }
    }
    return NULL;
}

const msi_protocol *msi_protocol_default(void)
{
    return &msi_native_protocol;
}
