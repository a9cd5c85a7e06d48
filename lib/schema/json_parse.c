/* SPDX-License-Identifier: MIT */
/*
 * A text to jansson's tree. jansson keeps integers in 64 bits and refuses larger ones, which JSON allows and a uint64 or a double takes. Where
 * there are such, they are given to it as strings that begin with a mark which no string of the text has.
 */
#include "schema/json_parse.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"

/* U+FDD0 is no character and will never be one. */
#define MARK "\xef\xb7\x90"
#define MARK_SIZE (sizeof MARK - 1)
#define MARK_ESCAPED "\\ufdd0"

#define DECODING (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

static bool has_mark(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((size - i >= MARK_SIZE && memcmp(text + i, MARK, MARK_SIZE) == 0) ||
            (size - i >= sizeof MARK_ESCAPED - 1 && strncasecmp(text + i, MARK_ESCAPED, sizeof MARK_ESCAPED - 1) == 0))
            return true;
    }
    return false;
}

/* The end of a string that begins at `at`. */
static size_t skip_string(const char *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at < size ? at + 1 : size;
}

/* The end of a number that begins at `at`; whether it is an integer of more digits than int64 is sure to hold. */
static size_t skip_number(const char *text, size_t size, size_t at, bool *large)
{
    size_t start = at + (text[at] == '-');
    size_t digits = start;
    while (digits < size && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    for (at = digits; at < size && text[at] && strchr(".eE+-0123456789", text[at]);)
        at++;
    *large = at == digits && digits - start > 18 && text[start] != '0';
    return at;
}

/* The text with its large integers marked. false without memory. */
static bool mark_integers(const char *text, size_t size, msi_buf *out)
{
    size_t end;
    for (size_t at = 0; at < size; at = end) {
        bool large = false;
        if (text[at] == '"')
            end = skip_string(text, size, at);
        else if (text[at] == '-' || (text[at] >= '0' && text[at] <= '9'))
            end = skip_number(text, size, at, &large);
        else
            end = at + 1;
        if (end == at) /* not JSON; jansson will say so */
            end++;
        if ((large && !msi_buf_append(out, "\"" MARK, MARK_SIZE + 1)) || !msi_buf_append(out, text + at, end - at) ||
            (large && !msi_buf_append(out, "\"", 1)))
            return false;
    }
    return true;
}

/* The second attempt, with the large integers marked. `wrong` stays as it was where it is the numbers that are too large. */
static json_t *parse_marked(const char *text, size_t size, json_error_t *wrong)
{
    msi_buf copy = {0};
    json_error_t again = *wrong;
    if (has_mark(text, size))
        return NULL;
    json_t *value = NULL;
    if (mark_integers(text, size, &copy))
        value = json_loadb((const char *)copy.data, copy.len, DECODING, &again);
    else
        again.text[JSON_ERROR_TEXT_LENGTH - 1] = (char)json_error_out_of_memory; /* where json_error_code() looks */
    if (!value && json_error_code(&again) != json_error_numeric_overflow)
        *wrong = again;
    msi_buf_release(&copy);
    return value;
}

msgsrv_status msi_json_parse(const char *text, size_t size, json_t **value, bool *marked, msgsrv_error *error)
{
    json_error_t wrong;
    *marked = false;
    *value = json_loadb(text, size, DECODING, &wrong);
    if (!*value && json_error_code(&wrong) == json_error_numeric_overflow) {
        *value = parse_marked(text, size, &wrong);
        *marked = *value != NULL;
    }
    if (*value)
        return MSGSRV_OK;
    if (json_error_code(&wrong) == json_error_out_of_memory)
        return msi_error_memory(error);
    return msi_error(error, MSGSRV_INVALID_ARGUMENT, "not JSON: %s (line %d, column %d)", wrong.text, wrong.line,
                     wrong.column);
}

const char *msi_json_large_integer(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && strncmp(text, MARK, MARK_SIZE) == 0 ? text + MARK_SIZE : NULL;
}
