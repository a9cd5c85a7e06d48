/* SPDX-License-Identifier: MIT */
/*
 * JSON out; see json.h.
 */
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 sequence (Unicode 15, table 3-7) at `p`, which ends with a NUL; 0 when it
 * is none. */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

static void write_escaped(FILE *out, unsigned char c)
{
    static const char LETTERS[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\')
        fprintf(out, "\\%c", c);
    else if (c < sizeof LETTERS && LETTERS[c])
        fprintf(out, "\\%c", LETTERS[c]);
    else if (c < 0x20 || c == 0x7f)
        fprintf(out, "\\u%04x", c);
    else
        putc(c, out);
}

static void write_string(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    putc('"', out);
    while (*p) {
        size_t length = utf8_length(p);
        if (length == 1)
            write_escaped(out, *p);
        else if (length == 0)
            fputs("\\ufffd", out);
        else
            fwrite(p, 1, length, out);
        p += length ? length : 1;
    }
    putc('"', out);
}

static void write_key(struct app_json *json, const char *key)
{
    if (json->comma)
        fputs(", ", json->out);
    json->comma = true;
    if (key) {
        write_string(json->out, key);
        fputs(": ", json->out);
    }
}

void app_json_open(struct app_json *json, const char *key)
{
    write_key(json, key);
    putc('{', json->out);
    json->comma = false;
    json->depth++;
}

void app_json_close(struct app_json *json)
{
    putc('}', json->out);
    json->comma = true;
    if (--json->depth == 0) {
        putc('\n', json->out);
        json->comma = false;
    }
}

void app_json_open_array(struct app_json *json, const char *key)
{
    write_key(json, key);
    putc('[', json->out);
    json->comma = false;
}

void app_json_close_array(struct app_json *json)
{
    putc(']', json->out);
    json->comma = true;
}

void app_json_bool(struct app_json *json, const char *key, bool value)
{
    write_key(json, key);
    fputs(value ? "true" : "false", json->out);
}

void app_json_string(struct app_json *json, const char *key, const char *value)
{
    write_key(json, key);
    write_string(json->out, value ? value : "");
}

void app_json_raw(struct app_json *json, const char *key, const char *text, size_t size)
{
    write_key(json, key);
    fwrite(text, 1, size, json->out);
}

void app_json_int(struct app_json *json, const char *key, int64_t value)
{
    write_key(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void app_json_uint(struct app_json *json, const char *key, uint64_t value)
{
    write_key(json, key);
    fprintf(json->out, "%" PRIu64, value);
}

void app_json_fixed(struct app_json *json, const char *key, double value, int decimals)
{
    write_key(json, key);
    fprintf(json->out, "%.*f", decimals, value);
}
