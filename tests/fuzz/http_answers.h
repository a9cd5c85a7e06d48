/* SPDX-License-Identifier: MIT */
/* What an HTTP/1.1 server may send, checked as it comes: heads, each with one length, and bodies of that length. */
#ifndef TESTS_FUZZ_HTTP_ANSWERS_H
#define TESTS_FUZZ_HTTP_ANSWERS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

typedef struct http_answers {
    char head[20000];
    size_t size;
    uint64_t left; /* of a body */
    bool begins;   /* the body's first byte comes next */
    bool closing;  /* nothing may follow the present answer */
} http_answers;

static inline void http_answers_head(http_answers *a)
{
    char *at, *end;

    a->head[a->size] = '\0';
    FUZZ_CHECK(strlen(a->head) == a->size);
    FUZZ_CHECK(!strncmp(a->head, "HTTP/1.1 ", 9) && a->head[12] == ' ');
    for (size_t i = 0; i < a->size; i++)
        FUZZ_CHECK((a->head[i] == '\n') == (i && a->head[i - 1] == '\r'));
    a->closing = strstr(a->head, "\r\nConnection: close\r\n") != NULL;
    a->size = 0;
    a->left = 0;
    if (!strncmp(a->head + 9, "100 ", 4))
        return;
    at = strstr(a->head, "\r\nContent-Length: ");
    FUZZ_CHECK(at && !strstr(at + 1, "\r\nContent-Length: "));
    a->left = strtoull(at + 18, &end, 10);
    FUZZ_CHECK(*end == '\r');
    a->begins = a->left > 0;
}

static inline void http_answers_check(http_answers *a, const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        /* An answer to HEAD has a length and no body; no body of ours begins with an H. */
        if (a->begins && data[i] == 'H')
            a->left = 0;
        a->begins = false;
        if (a->left) {
            a->left--;
            continue;
        }
        FUZZ_CHECK(a->size || !a->closing);
        FUZZ_CHECK(a->size < sizeof(a->head) - 1);
        a->head[a->size++] = (char)data[i];
        if (a->size >= 4 && !memcmp(a->head + a->size - 4, "\r\n\r\n", 4))
            http_answers_head(a);
    }
}

#endif
