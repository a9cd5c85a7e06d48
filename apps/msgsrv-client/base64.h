/* SPDX-License-Identifier: MIT */
/*
 * Bytes as base64 (RFC 4648), with padding.
 */
#ifndef MSGSRV_CLIENT_BASE64_H
#define MSGSRV_CLIENT_BASE64_H

#include <stddef.h>

/* The alphabet, and a NUL. */
extern const char BASE64_ALPHABET[65];

/* To be freed with free(); NULL without memory. */
char *base64_text(const void *data, size_t size);

#endif
