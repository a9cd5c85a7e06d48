/* SPDX-License-Identifier: MIT */
/*
 * What a head must look like before http_parser gets it: a look at its characters alone, in one pass however it comes in pieces. http_parser,
 * which Debian builds without its strict mode, takes a bare LF, a folded line and white space before a colon; other programs read these in other
 * ways. Whoever stands in front of us and reads them otherwise would see other requests than we do.
 */
#ifndef MSI_PROTOCOL_HTTP1_SCAN_H
#define MSI_PROTOCOL_HTTP1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum msi_scan_result {
    MSI_SCAN_MORE,  /* fine so far, and not at its end */
    MSI_SCAN_END,   /* `at` is behind the empty line */
    MSI_SCAN_BAD,   /* `text` says what is wrong */
    MSI_SCAN_LINE,  /* the request line is over its limit */
    MSI_SCAN_SIZE,  /* the head is */
    MSI_SCAN_FIELDS /* there are too many header lines */
} msi_scan_result;

typedef struct msi_scan_limits {
    size_t line; /* of the request line, without its end */
    size_t size; /* of the whole head */
    uint32_t fields;
} msi_scan_limits;

typedef struct msi_scan {
    size_t at;       /* characters looked at */
    size_t line;     /* where the present line begins */
    uint32_t lines;  /* before the present one; 0: it is the request line */
    uint32_t spaces; /* in the request line */
    bool named;      /* the colon of the present line has come */
    const char *text;
} msi_scan;

/* Begins at a request line, or with `trailer` at the first line behind the last chunk. */
void msi_scan_begin(msi_scan *scan, bool trailer);

/* Goes on: `data` is all of the head that has come. */
msi_scan_result msi_scan_head(msi_scan *scan, const msi_scan_limits *limits, const uint8_t *data, size_t size);

/* Whether a character may stand in a header's name, or in a method (RFC 9110, 5.6.2). */
bool msi_scan_token(uint8_t c);

#endif
