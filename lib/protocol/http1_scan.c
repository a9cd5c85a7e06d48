/* SPDX-License-Identifier: MIT */
/* The look at a head's characters (RFC 9112, sections 2 to 5, without what it allows for old peers' sake). */
#include "protocol/http1_scan.h"

#include <string.h>

#define METHOD_MAX 20u /* the longest that http_parser knows has 11 */

bool msi_scan_token(uint8_t c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

void msi_scan_begin(msi_scan *scan, bool trailer)
{
    *scan = (msi_scan){.lines = trailer};
}

/* A character of "METHOD target HTTP/1.1". */
static const char *request_line(msi_scan *scan, uint8_t c)
{
    if (c == ' ') {
        if (scan->at == scan->line || ++scan->spaces > 2)
            return "the request line is not a method, a target and a version with one space between them";
        return NULL;
    }
    if (scan->spaces == 0) {
        bool good = (c >= 'A' && c <= 'Z') || c == '-';
        return good && scan->at - scan->line < METHOD_MAX ? NULL : "the method is none";
    }
    return c > 0x20 && c < 0x7f ? NULL : "a character that is not printable ASCII in the request line";
}

/* A character of "Name: value". */
static const char *field_line(msi_scan *scan, uint8_t c)
{
    bool blank = c == ' ' || c == '\t';
    if (scan->at == scan->line && blank)
        return "a header line that begins with white space";
    if (scan->named)
        return blank || (c >= 0x20 && c != 0x7f) ? NULL : "a control character in a header";
    if (c == ':') {
        scan->named = true;
        return scan->at == scan->line ? "a header without a name" : NULL;
    }
    if (blank)
        return "white space before the colon of a header";
    return msi_scan_token(c) ? NULL : "a character in the name of a header that may not be there";
}

/* The end of a line that is not empty. */
static const char *line_end(msi_scan *scan)
{
    if (scan->lines == 0 && scan->spaces != 2)
        return "the request line is not a method, a target and a version with one space between them";
    if (scan->lines && !scan->named)
        return "a header line without a colon";
    scan->lines++;
    scan->named = false;
    scan->line = scan->at + 1;
    return NULL;
}

static msi_scan_result over_limit(const msi_scan *scan, const msi_scan_limits *limits)
{
    if (scan->lines == 0 && scan->at - scan->line > limits->line)
        return MSI_SCAN_LINE;
    if (scan->at >= limits->size)
        return MSI_SCAN_SIZE;
    return scan->lines > limits->fields + 1 ? MSI_SCAN_FIELDS : MSI_SCAN_MORE;
}

msi_scan_result msi_scan_head(msi_scan *scan, const msi_scan_limits *limits, const uint8_t *data, size_t size)
{
    for (; scan->at < size; scan->at++) {
        uint8_t c = data[scan->at];
        bool after_cr = scan->at > scan->line && data[scan->at - 1] == '\r';
        scan->text = NULL;
        if (c == '\n') {
            if (!after_cr) {
                scan->text = "a line that ends without CR";
            } else if (scan->at - 1 == scan->line) {
                scan->text = "an empty request line";
                if (scan->lines == 0)
                    return MSI_SCAN_BAD;
                return ++scan->at > limits->size ? MSI_SCAN_SIZE : MSI_SCAN_END;
            } else {
                scan->text = line_end(scan);
            }
        } else if (after_cr) {
            scan->text = "a CR without LF";
        } else if (c != '\r') {
            scan->text = scan->lines ? field_line(scan, c) : request_line(scan, c);
        }
        if (scan->text)
            return MSI_SCAN_BAD;
        msi_scan_result over = over_limit(scan, limits);
        if (over != MSI_SCAN_MORE)
            return over;
    }
    return MSI_SCAN_MORE;
}
