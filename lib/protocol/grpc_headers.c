/* SPDX-License-Identifier: MIT */
/* gRPC's headers and trailers; see grpc_headers.h. */
#include "protocol/grpc_headers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"

/* Flags of an entry: its value, or its name, is an offset into `text`, which may still move. */
#define IN_TEXT 0x80
#define NAME_IN_TEXT 0x40
#define LIST_FIRST 16

static const char hex[] = "0123456789ABCDEF";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Lists. */

void msi_headers_clear(msi_headers *headers)
{
    headers->count = 0;
    headers->text.len = 0;
    headers->failed = false;
}

void msi_headers_release(msi_headers *headers)
{
    free(headers->list);
    msi_buf_release(&headers->text);
    *headers = (msi_headers){0};
}

static nghttp2_nv *add(msi_headers *headers, const char *name)
{
    if (headers->count == headers->room) {
        size_t room = headers->room ? headers->room * 2 : LIST_FIRST;
        nghttp2_nv *list = realloc(headers->list, room * sizeof *list);
        if (!list) {
            headers->failed = true;
            return NULL;
        }
        headers->list = list;
        headers->room = room;
    }
    nghttp2_nv *nv = &headers->list[headers->count++];
    *nv = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name)};
    return nv;
}

void msi_headers_add(msi_headers *headers, const char *name, const char *value, size_t size)
{
    nghttp2_nv *nv = add(headers, name);
    if (!nv)
        return;
    nv->value = (uint8_t *)(uintptr_t)value;
    nv->valuelen = size;
}

/* An entry whose value is what `text` has from `start` on. */
static void add_text(msi_headers *headers, const char *name, size_t start, bool made)
{
    nghttp2_nv *nv = made ? add(headers, name) : NULL;
    if (!nv) {
        headers->failed = true;
        return;
    }
    nv->value = (uint8_t *)start; /* NOLINT(performance-no-int-to-ptr): an offset, see IN_TEXT */
    nv->valuelen = headers->text.len - start;
    nv->flags = IN_TEXT;
}

void msi_headers_add_copy(msi_headers *headers, const char *name, const char *value, size_t size)
{
    size_t start = headers->text.len;
    add_text(headers, name, start, msi_buf_append(&headers->text, value, size));
}

/* An entry with a copy of both. */
static void add_entry(msi_headers *headers, const msgsrv_metadata *entry)
{
    size_t name_size = strlen(entry->key);
    size_t name = headers->text.len;
    bool made = msi_buf_append(&headers->text, entry->key, name_size + 1);
    size_t start = headers->text.len;
    bool binary = name_size >= 4 && memcmp(entry->key + name_size - 4, "-bin", 4) == 0;
    if (made)
        made = binary ? msi_base64_put(&headers->text, entry->value, entry->size)
                      : msi_buf_append(&headers->text, entry->value, entry->size);
    add_text(headers, entry->key, start, made);
    if (headers->failed)
        return;
    nghttp2_nv *nv = &headers->list[headers->count - 1];
    nv->name = (uint8_t *)name; /* NOLINT(performance-no-int-to-ptr): an offset */
    nv->flags |= NAME_IN_TEXT;
}

static bool put_percent(msi_buf *out, const char *text)
{
    for (const uint8_t *at = (const uint8_t *)text; *at; at++) {
        uint8_t coded[3] = {'%', (uint8_t)hex[*at >> 4], (uint8_t)hex[*at & 15]};
        bool plain = *at >= 0x20 && *at <= 0x7e && *at != '%';
        if (!msi_buf_append(out, plain ? at : coded, plain ? 1 : sizeof coded))
            return false;
    }
    return true;
}

void msi_headers_add_status(msi_headers *headers, msgsrv_status code, const char *text)
{
    static const char digits[] = "0123456789";
    size_t start = headers->text.len;
    if ((unsigned)code < 10) {
        msi_headers_add(headers, "grpc-status", &digits[code], 1);
    } else {
        char number[12];
        int size = snprintf(number, sizeof number, "%d", (int)code);
        msi_headers_add_copy(headers, "grpc-status", number, (size_t)size);
        start = headers->text.len;
    }
    if (text && *text)
        add_text(headers, "grpc-message", start, put_percent(&headers->text, text));
}

void msi_headers_add_metadata(msi_headers *headers, const msgsrv_metadata_set *set)
{
    for (size_t i = 0; set && i < set->count; i++)
        add_entry(headers, &set->entries[i]);
}

void msi_headers_add_timeout(msi_headers *headers, uint64_t timeout_ms)
{
    char text[24];
    char unit = 'm';
    /* At most eight digits; rounded up, as a server that waits a little longer does no harm. */
    if (timeout_ms > 99999999) {
        timeout_ms = (timeout_ms + 999) / 1000;
        unit = 'S';
    }
    if (timeout_ms > 99999999) {
        timeout_ms = 99999999;
        unit = 'H';
    }
    int size = timeout_ms ? snprintf(text, sizeof text, "%llu%c", (unsigned long long)timeout_ms, unit)
                          : snprintf(text, sizeof text, "1n");
    msi_headers_add_copy(headers, "grpc-timeout", text, (size_t)size);
}

bool msi_headers_ready(msi_headers *headers)
{
    for (size_t i = 0; i < headers->count && !headers->failed; i++) {
        nghttp2_nv *nv = &headers->list[i];
        if (nv->flags & NAME_IN_TEXT)
            nv->name = headers->text.data + (size_t)nv->name;
        if (nv->flags & IN_TEXT)
            nv->value = nv->valuelen ? headers->text.data + (size_t)nv->value : NULL;
        nv->flags = 0;
    }
    return !headers->failed;
}

/* Reading. */

bool msi_grpc_timeout(msi_view value, uint32_t *ms)
{
    if (value.size < 2 || value.size > 9)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i + 1 < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    uint64_t times = 1;
    uint64_t parts = 1;
    switch (value.data[value.size - 1]) {
    case 'H':
        times = 3600000;
        break;
    case 'M':
        times = 60000;
        break;
    case 'S':
        times = 1000;
        break;
    case 'm':
        break;
    case 'u':
        parts = 1000;
        break;
    case 'n':
        parts = 1000000;
        break;
    default:
        return false;
    }
    uint64_t result = (number * times + parts - 1) / parts;
    *ms = result < MSGSRV_NONE - 1 ? (uint32_t)result : MSGSRV_NONE - 1;
    return true;
}

msgsrv_status msi_grpc_status(msi_view value)
{
    unsigned number = 0;
    if (value.size == 0 || value.size > 2)
        return MSGSRV_UNKNOWN;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return MSGSRV_UNKNOWN;
        number = number * 10 + (unsigned)(value.data[i] - '0');
    }
    return number < MSGSRV_STATUS_COUNT ? (msgsrv_status)number : MSGSRV_UNKNOWN;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t msi_grpc_message_text(msi_view value, char *text, size_t room)
{
    size_t size = 0;
    for (size_t i = 0; i < value.size && size + 1 < room; i++) {
        uint8_t c = value.data[i];
        int high = c == '%' && i + 2 < value.size ? hex_digit(value.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(value.data[i + 2]) : -1;
        if (low >= 0) { /* anything else is taken as it is: a status is not lost for a badly coded text */
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        text[size++] = c ? (char)c : '?';
    }
    text[size] = '\0';
    return size;
}

static bool begins(msi_view value, const char *text)
{
    size_t size = strlen(text);
    return value.size >= size && memcmp(value.data, text, size) == 0;
}

bool msi_grpc_content_type(msi_view value)
{
    static const char base[] = "application/grpc";
    static const char proto[] = "+proto";
    if (!begins(value, base))
        return false;
    value.data += sizeof base - 1;
    value.size -= sizeof base - 1;
    if (begins(value, proto)) {
        value.data += sizeof proto - 1;
        value.size -= sizeof proto - 1;
    }
    return value.size == 0 || value.data[0] == ';' || value.data[0] == ' ';
}

bool msi_grpc_list_has(msi_view list, const char *token)
{
    size_t size = strlen(token);
    size_t at = 0;
    while (at < list.size) {
        while (at < list.size && (list.data[at] == ' ' || list.data[at] == ',' || list.data[at] == '\t'))
            at++;
        size_t start = at;
        while (at < list.size && list.data[at] != ',' && list.data[at] != ' ' && list.data[at] != '\t')
            at++;
        if (at - start == size && memcmp(list.data + start, token, size) == 0)
            return true;
    }
    return false;
}

bool msi_grpc_reserved(msi_view key)
{
    static const char *const names[] = {"content-type",   "te",   "user-agent",
                                        "content-length", "host", "accept-encoding"};
    if (key.size == 0 || key.data[0] == ':' || begins(key, "grpc-"))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (key.size == strlen(names[i]) && memcmp(key.data, names[i], key.size) == 0)
            return true;
    }
    return false;
}

static msgsrv_status receive_binary(msgsrv_metadata_set *set, msi_view key, msi_view value, msi_buf *room,
                                    uint32_t limit, msgsrv_error *error)
{
    size_t at = 0;
    do {
        size_t start = at;
        while (at < value.size && value.data[at] != ',')
            at++;
        size_t end = at;
        while (start < end && value.data[start] == ' ')
            start++;
        while (end > start && value.data[end - 1] == ' ')
            end--;
        room->len = 0;
        if (!msi_base64_get(room, (msi_view){value.data + start, end - start}))
            return msi_error(error, MSGSRV_INTERNAL, "metadata \"%.*s\": the value is not base64",
                             (int)(key.size < 64 ? key.size : 64), (const char *)key.data);
        msgsrv_status status = msi_metadata_receive(set, key.data, key.size, room->data, room->len, limit, error);
        if (status)
            return status;
    } while (at++ < value.size);
    return MSGSRV_OK;
}

msgsrv_status msi_grpc_metadata_receive(msgsrv_metadata_set *set, msi_view key, msi_view value, uint32_t limit,
                                        msgsrv_error *error)
{
    if (msi_grpc_reserved(key))
        return MSGSRV_OK;
    if (key.size < 4 || memcmp(key.data + key.size - 4, "-bin", 4) != 0)
        return msi_metadata_receive(set, key.data, key.size, value.data, value.size, limit, error);
    msi_buf room = {0};
    msgsrv_status status = receive_binary(set, key, value, &room, limit, error);
    msi_buf_release(&room);
    return status;
}

/* Base64. */

bool msi_base64_put(msi_buf *out, const void *data, size_t size)
{
    const uint8_t *in = data;
    if (size > SIZE_MAX / 2 || !msi_buf_reserve(out, size / 3 * 4 + 4))
        return false;
    uint8_t *to = out->data + out->len;
    size_t i = 0;
    for (; i + 2 < size; i += 3) {
        *to++ = (uint8_t)base64[in[i] >> 2];
        *to++ = (uint8_t)base64[(in[i] & 3) << 4 | in[i + 1] >> 4];
        *to++ = (uint8_t)base64[(in[i + 1] & 15) << 2 | in[i + 2] >> 6];
        *to++ = (uint8_t)base64[in[i + 2] & 63];
    }
    if (i < size) {
        uint8_t second = i + 1 < size ? in[i + 1] : 0;
        *to++ = (uint8_t)base64[in[i] >> 2];
        *to++ = (uint8_t)base64[(in[i] & 3) << 4 | second >> 4];
        if (i + 1 < size)
            *to++ = (uint8_t)base64[(second & 15) << 2];
    }
    out->len = (size_t)(to - out->data);
    return true;
}

/* Also of the alphabet for URLs, which some implementations write. */
static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool msi_base64_get(msi_buf *out, msi_view text)
{
    size_t size = text.size;
    for (int padding = 0; padding < 2 && size % 4 == 0 && size && text.data[size - 1] == '='; padding++)
        size--, text.size--;
    /* Padding makes a multiple of four, and only the last four may have it. */
    if (size && text.data[size - 1] == '=' && size % 4 == 3)
        size--;
    if (size % 4 == 1 || !msi_buf_reserve(out, size / 4 * 3 + 3))
        return false;
    uint8_t *to = out->data + out->len;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (uint8_t)(bits >> count);
        }
    }
    out->len = (size_t)(to - out->data);
    return true;
}

/* Mappings; gRPC's documents "http-grpc-status-mapping" and "gRPC over HTTP2", "Errors". */

msgsrv_status msi_grpc_status_of_http(unsigned status)
{
    switch (status) {
    case 400:
        return MSGSRV_INTERNAL;
    case 401:
        return MSGSRV_UNAUTHENTICATED;
    case 403:
        return MSGSRV_PERMISSION_DENIED;
    case 404:
        return MSGSRV_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return MSGSRV_UNAVAILABLE;
    default:
        return MSGSRV_UNKNOWN;
    }
}

msgsrv_status msi_grpc_status_of_reset(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        return MSGSRV_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return MSGSRV_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return MSGSRV_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return MSGSRV_PERMISSION_DENIED;
    default:
        return MSGSRV_INTERNAL;
    }
}

uint32_t msi_grpc_reset_of_status(msgsrv_status status)
{
    return status == MSGSRV_OK ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL;
}
