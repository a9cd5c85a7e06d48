/* SPDX-License-Identifier: MIT */
/*
 * Connecting without blocking: the name is looked up, then its addresses are tried one after another. One attempt at a time; all
 * on the loop's thread.
 */
#ifndef MSI_NET_DIAL_H
#define MSI_NET_DIAL_H

#include "base/url.h"
#include "net/address.h"
#include "net/loop.h"

typedef struct msi_dialer msi_dialer;

/*
 * An attempt's end, inside a bracket of the loop, or inside msi_dialer_start(). `fd` is connected and the callee's; or -1, and `reason` says
 * why: lower case, without the URL.
 */
typedef void (*msi_dial_fn)(void *ctx, int fd, const msi_address *address, const char *reason);

/* A dialer for one URL; NULL without memory. */
msi_dialer *msi_dialer_new(msi_loop *loop, const msi_url *url, uint32_t timeout_ms, msi_dial_fn done, void *ctx);

/* Begins an attempt; none may be in progress. */
void msi_dialer_start(msi_dialer *dialer);

/* Ends an attempt without a word. */
void msi_dialer_stop(msi_dialer *dialer);

/* Stops and frees; not inside `done`. */
void msi_dialer_free(msi_dialer *dialer);

#endif
