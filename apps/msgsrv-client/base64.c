/* SPDX-License-Identifier: MIT */
/*
 * base64; see base64.h.
 */
#include "base64.h"

#include <stdint.h>
#include <stdlib.h>

const char BASE64_ALPHABET[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_text(const void *bytes, size_t size)
{
    const unsigned char *data = bytes;
    char *text = size < SIZE_MAX / 2 ? malloc(size / 3 * 4 + 5) : NULL;
    char *p = text;
    for (size_t i = 0; text && i < size; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        if (i + 1 < size)
            group |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size)
            group |= data[i + 2];
        *p++ = BASE64_ALPHABET[group >> 18];
        *p++ = BASE64_ALPHABET[group >> 12 & 63];
        *p++ = i + 1 < size ? BASE64_ALPHABET[group >> 6 & 63] : '=';
        *p++ = i + 2 < size ? BASE64_ALPHABET[group & 63] : '=';
    }
    if (text)
        *p = '\0';
    return text;
}
