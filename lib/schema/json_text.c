/* SPDX-License-Identifier: MIT */
/* Numbers, base64 and escapes; options. */
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "schema/json.h"

#define DEPTH_STANDARD 100u
#define DEPTH_MOST 1000u
#define FIRST_SIZE (offsetof(msgsrv_json_options, keep_unknown) + sizeof(bool))

msgsrv_status msi_json_options(const msgsrv_json_options *given, msi_json_limits *limits, msgsrv_error *error)
{
    msgsrv_json_options *options = &limits->options;
    memset(options, 0, sizeof *options);
    if (given) {
        size_t size = given->size ? given->size : FIRST_SIZE;
        if (size < FIRST_SIZE)
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_json_options: size is %zu, expected %zu or more",
                             size, FIRST_SIZE);
        memcpy(options, given, size < sizeof *options ? size : sizeof *options);
    }
    limits->max_depth = options->max_depth ? options->max_depth : DEPTH_STANDARD;
    limits->max_bytes = options->max_bytes ? options->max_bytes : MSI_MESSAGE_CEILING;
    if (limits->max_depth > DEPTH_MOST)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_json_options: max_depth is %u, expected 1 to %u",
                         limits->max_depth, DEPTH_MOST);
    if (options->indent > 8)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "msgsrv_json_options: indent is %u, expected 0 to 8",
                         options->indent);
    return MSGSRV_OK;
}

bool msi_json_is_utf8(const uint8_t *text, size_t size)
{
    const uint8_t *end = text + size;
    while (text < end) {
        const uint8_t *nul = memchr(text, 0, (size_t)(end - text));
        const uint8_t *stop = nul ? nul : end;
        if (msi_text_check(text, (size_t)(stop - text)) != MSI_TEXT_OK)
            return false;
        text = nul ? nul + 1 : end;
    }
    return true;
}

bool msi_json_put_string(msi_buf *out, const uint8_t *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    if (!msi_buf_reserve(out, size + 2))
        return false;
    out->data[out->len++] = '"';
    size_t done = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\')
            continue;
        if (!msi_buf_append(out, text + done, i - done))
            return false;
        done = i + 1;
        if (i == size)
            break;
        char escape[6] = {'\\', 'u', '0', '0', hex[text[i] >> 4], hex[text[i] & 15]};
        static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
        size_t length = 6;
        for (const char *at = shorts; *at; at += 2) {
            if ((uint8_t)*at == text[i]) {
                escape[1] = at[1];
                length = 2;
            }
        }
        if (!msi_buf_append(out, escape, length))
            return false;
    }
    return msi_buf_append(out, "\"", 1);
}

bool msi_json_put_base64(msi_buf *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (size > SIZE_MAX / 4 || !msi_buf_reserve(out, (size + 2) / 3 * 4 + 2))
        return false;
    uint8_t *at = out->data + out->len;
    *at++ = '"';
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                        (i + 2 < size ? data[i + 2] : 0);
        *at++ = (uint8_t)digits[bits >> 18];
        *at++ = (uint8_t)digits[bits >> 12 & 63];
        *at++ = i + 1 < size ? (uint8_t)digits[bits >> 6 & 63] : '=';
        *at++ = i + 2 < size ? (uint8_t)digits[bits & 63] : '=';
    }
    *at++ = '"';
    out->len = (size_t)(at - out->data);
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool msi_base64_read(const char *text, size_t size, msi_buf *out, bool *no_memory)
{
    size_t padding = 0;
    while (padding < 2 && size > 0 && text[size - 1] == '=') {
        size--;
        padding++;
    }
    if (size % 4 == 1 || (padding && (size + padding) % 4 != 0))
        return false;
    if (!msi_buf_reserve(out, size / 4 * 3 + 3)) {
        *no_memory = true;
        return false;
    }
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out->data[out->len++] = (uint8_t)(bits >> count);
        }
    }
    return true;
}

bool msi_json_read_double(const char *text, size_t size, double *value)
{
    /* jansson's own reading is independent of the locale. */
    if (size == 0 || size > 400 || text[0] == ' ' || (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
        return false;
    json_t *number = json_loadb(text, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    bool is_number = json_is_real(number);
    if (is_number)
        *value = json_real_value(number);
    json_decref(number);
    return is_number && text[size - 1] >= '0' && text[size - 1] <= '9';
}

bool msi_json_put_double(msi_buf *out, double value, bool single)
{
    if (isnan(value))
        return msi_buf_append(out, "\"NaN\"", 5);
    if (isinf(value))
        return value > 0 ? msi_buf_append(out, "\"Infinity\"", 10) : msi_buf_append(out, "\"-Infinity\"", 11);
    if (value == 0 && signbit(value)) /* "-0" would be read as an integer, which has no such zero */
        return msi_buf_append(out, "-0.0", 4);
    char text[40];
    int size = 0;
    for (int digits = single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
        size = snprintf(text, sizeof text, "%.*g", digits, value);
        for (int i = 0; i < size; i++) { /* a locale's point is none of JSON's */
            if (!strchr("0123456789+-e", text[i]))
                text[i] = '.';
        }
        double back;
        if (msi_json_read_double(text, (size_t)size, &back) && (single ? (float)back == (float)value : back == value))
            break;
    }
    return msi_buf_append(out, text, (size_t)size);
}
