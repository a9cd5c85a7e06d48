/* SPDX-License-Identifier: MIT */
/* UTF-8 checking. Texts are mostly ASCII, so runs of it are passed 64 bytes at a time where there is SSE2, else by words. */
#include "base/utf8.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t msi_utf8_step(const uint8_t *text, size_t size)
{
    uint8_t first = text[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || size < 2)
        return 0;
    uint8_t second = text[1];
    if (first < 0xe0)
        return continues(second) ? 2 : 0;
    /* The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 4). */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high || size < 3 || !continues(text[2]))
        return 0;
    if (first < 0xf0)
        return 3;
    return size >= 4 && continues(text[3]) ? 4 : 0;
}

/* How many bytes at the start are surely ASCII without NUL, in whole blocks. */
#ifdef __SSE2__
static size_t ascii_run(const uint8_t *text, size_t size)
{
    const __m128i zero = _mm_setzero_si128();
    size_t at = 0;
    while (size - at >= 64) {
        const __m128i *part = (const __m128i *)(const void *)(text + at);
        __m128i a = _mm_loadu_si128(part);
        __m128i b = _mm_loadu_si128(part + 1);
        __m128i c = _mm_loadu_si128(part + 2);
        __m128i d = _mm_loadu_si128(part + 3);
        /* As signed numbers, just those bytes are above 0. */
        __m128i least = _mm_and_si128(_mm_and_si128(_mm_cmpgt_epi8(a, zero), _mm_cmpgt_epi8(b, zero)),
                                      _mm_and_si128(_mm_cmpgt_epi8(c, zero), _mm_cmpgt_epi8(d, zero)));
        if (_mm_movemask_epi8(least) != 0xffff)
            break;
        at += 64;
    }
    return at;
}
#else
static size_t ascii_run(const uint8_t *text, size_t size)
{
    (void)text;
    (void)size;
    return 0; /* by words, then */
}
#endif

/* Eight bytes at once: ASCII, and none of them 0. */
static bool ascii_word(const uint8_t *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    uint64_t zero = (word - 0x0101010101010101ull) & ~word;
    return ((word | zero) & 0x8080808080808080ull) == 0;
}

/* Goes on by single characters up to `end`, or over it by the rest of a character. */
static msi_text check_slowly(const uint8_t *text, size_t size, size_t *at, size_t end)
{
    while (*at < end) {
        if (text[*at] == 0)
            return MSI_TEXT_NUL;
        size_t step = msi_utf8_step(text + *at, size - *at);
        if (step == 0)
            return MSI_TEXT_NOT_UTF8;
        *at += step;
    }
    return MSI_TEXT_OK;
}

msi_text msi_text_check(const uint8_t *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        if (size - at >= 64)
            at += ascii_run(text + at, size - at);
        while (size - at >= 8 && ascii_word(text + at))
            at += 8;
        /* A word's worth by single characters, so that one umlaut does not end the fast way for good. */
        msi_text result = check_slowly(text, size, &at, size - at > 8 ? at + 8 : size);
        if (result != MSI_TEXT_OK)
            return result;
    }
    return MSI_TEXT_OK;
}
