/* SPDX-License-Identifier: MIT */
/* Metadata as headers: names in small letters, values of -bin names as base64. */
#include "protocol/connect.h"

#include "base/error.h"
#include "base/limits.h"
#include "schema/json.h"

static bool is_binary(msi_view name)
{
    return name.size >= 4 && memcmp(name.data + name.size - 4, "-bin", 4) == 0;
}

/* Several values of a name may come in one line, with commas. */
static msgsrv_status take_binary(msgsrv_metadata_set *set, msi_view name, msi_view value, uint32_t limit,
                                 msgsrv_error *error)
{
    const char *at = (const char *)value.data;
    const char *end = at + value.size;
    for (;;) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        const char *stop = comma ? comma : end;
        msi_buf bytes = {0};
        bool no_memory = false;
        while (at < stop && *at == ' ')
            at++;
        size_t size = (size_t)(stop - at);
        while (size && at[size - 1] == ' ')
            size--;
        if (!msi_base64_read(at, size, &bytes, &no_memory)) {
            msi_buf_release(&bytes);
            return no_memory ? msi_error_memory(error)
                             : msi_error(error, MSGSRV_INVALID_ARGUMENT, "metadata \"%.*s\" is not base64",
                                         (int)name.size, (const char *)name.data);
        }
        msgsrv_status status = msi_metadata_receive(set, name.data, name.size, bytes.data, bytes.len, limit, error);
        msi_buf_release(&bytes);
        if (status || !comma)
            return status;
        at = comma + 1;
    }
}

msgsrv_status msi_connect_take_field(msgsrv_metadata_set *set, msi_view name, msi_view value, uint32_t limit,
                                     msgsrv_error *error)
{
    uint8_t key[MSI_METADATA_KEY];
    if (name.size > sizeof key || name.size == 0)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "a header's name of more than %u bytes", MSI_METADATA_KEY);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        key[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        if (!((key[i] >= 'a' && key[i] <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return MSGSRV_OK; /* HTTP has names that metadata has not: such a header is not for us */
    }
    msi_view lower = {key, name.size};
    if (name.size == 14 && memcmp(key, "msgsrv-require", 14) == 0)
        return msi_error(error, MSGSRV_UNIMPLEMENTED, "this server does not know what the call requires: \"%.*s\"",
                         (int)(value.size < 64 ? value.size : 64), (const char *)value.data);
    if (is_binary(lower))
        return take_binary(set, lower, value, limit, error);
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < 0x20 || value.data[i] > 0x7e)
            return MSGSRV_OK; /* the same of values, such as a cookie in another script */
    }
    return msi_metadata_receive(set, key, name.size, value.data, value.size, limit, error);
}

/* Without padding, as the protocol would have it. */
static bool put_base64(msi_buf *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!msi_buf_reserve(out, size / 3 * 4 + 4))
        return false;
    for (size_t i = 0; i < size; i += 3) {
        size_t part = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= part > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= part > 2 ? data[i + 2] : 0;
        for (size_t j = 0; j <= part; j++)
            out->data[out->len++] = (uint8_t)digits[bits >> (18 - 6 * j) & 63];
    }
    return true;
}

bool msi_connect_put_fields(msi_buf *out, const char *prefix, const msgsrv_metadata_set *set)
{
    for (size_t i = 0; i < msgsrv_metadata_count(set); i++) {
        msgsrv_metadata entry = msgsrv_metadata_at(set, i);
        size_t size = strlen(entry.key);
        msi_view name = {(const uint8_t *)entry.key, size};
        if (msi_http_own_field(entry.key, size))
            continue;
        bool good = msi_buf_append(out, prefix, strlen(prefix)) && msi_buf_append(out, entry.key, size) &&
                    msi_buf_append(out, ": ", 2);
        if (good)
            good = is_binary(name) ? put_base64(out, entry.value, entry.size)
                                   : msi_buf_append(out, entry.value, entry.size);
        if (!good || !msi_buf_append(out, "\r\n", 2))
            return false;
    }
    return true;
}
