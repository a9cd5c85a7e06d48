/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MSI_BASE_UTF8_H
#define MSI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a text is. */
typedef enum msi_text {
    MSI_TEXT_OK,
    MSI_TEXT_NUL, /* a NUL inside, which a C string cannot hold */
    MSI_TEXT_NOT_UTF8
} msi_text;

/* Looks at a whole text. */
msi_text msi_text_check(const uint8_t *text, size_t size);

/* The bytes of the character at the start, 1 to 4; 0 when there is none. `size` is at least 1. */
size_t msi_utf8_step(const uint8_t *text, size_t size);

/* Whether a byte begins a character of several bytes. */
static inline bool msi_utf8_is_start(uint8_t byte)
{
    return byte >= 0xc2 && byte <= 0xf4;
}

#endif
