/* SPDX-License-Identifier: MIT */
/*
 * Strict numbers; see number.h. Everything is read as digits into 64 bits that saturate, then scaled by its
 * unit; a value that does not fit is told from one that is no number.
 */
#include "number.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "program.h"

#define SATURATED (UINT64_MAX / 1000000000) /* no sum or product below overflows */

struct unit {
    const char *name;
    uint32_t factor;
};

static const struct unit COUNT_UNITS[] = {{"", 1}};
static const struct unit SIZE_UNITS[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}};
static const struct unit TIME_UNITS[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};

static const struct {
    const char *name, *what;
    const struct unit *units;
    size_t unit_count;
    uint32_t divisor; /* of the smallest unit to what is kept */
    unsigned base;
} KINDS[] = {
    [APP_COUNT] = {"N", "a number", COUNT_UNITS, 1, 1, 10},
    [APP_SIZE] = {"SIZE", "a size such as 4096, 64KiB or 4MiB", SIZE_UNITS, 3, 1, 10},
    [APP_TIME_MS] = {"TIME", "a time such as 500ms, 5s or 2m", TIME_UNITS, 3, 1, 10},
    [APP_TIME_S] = {"TIME", "a time of whole seconds such as 5s or 2m", TIME_UNITS, 3, 1000, 10},
    [APP_SECONDS] = {"SECONDS", "a number of seconds such as 5 or 0.25", NULL, 0, 1, 10},
    [APP_MODE] = {"MODE", "an octal mode such as 0660", COUNT_UNITS, 1, 1, 8},
};

const char *app_kind_name(enum app_kind kind)
{
    return KINDS[kind].name;
}

/* Reads digits, at least one. Returns what follows them, NULL when there is none. */
static const char *read_digits(const char *text, unsigned base, uint64_t *value)
{
    const char *p = text;
    for (*value = 0; *p >= '0' && *p < (char)('0' + base); p++) {
        if (*value < SATURATED)
            *value = *value * base + (unsigned)(*p - '0');
    }
    return p == text ? NULL : p;
}

/* Reads "5" or "0.25" as milliseconds. */
static bool read_seconds(const char *text, uint64_t *value)
{
    const char *p = read_digits(text, 10, value);
    if (!p)
        return false;
    *value *= 1000;
    if (*p != '.')
        return *p == '\0';
    uint32_t weight = 100;
    for (p++; isdigit((unsigned char)*p) && weight > 0; p++, weight /= 10)
        *value += weight * (unsigned)(*p - '0');
    return *p == '\0' && p[-1] != '.';
}

/* Reads a number with its unit. */
static bool read_scaled(enum app_kind kind, const char *text, uint64_t *value)
{
    if (kind == APP_SECONDS)
        return read_seconds(text, value);
    const char *unit = read_digits(text, KINDS[kind].base, value);
    for (size_t i = 0; unit && i < KINDS[kind].unit_count; i++) {
        if (strcmp(unit, KINDS[kind].units[i].name) == 0) {
            *value *= KINDS[kind].units[i].factor;
            bool whole = *value % KINDS[kind].divisor == 0;
            *value /= KINDS[kind].divisor;
            return whole;
        }
    }
    return false;
}

/* Writes a bound as the user would. */
static const char *bound(enum app_kind kind, uint32_t value, char room[32])
{
    switch (kind) {
    case APP_TIME_MS:
        snprintf(room, 32, value % 1000 ? "%" PRIu32 "ms" : "%" PRIu32 "s", value % 1000 ? value : value / 1000);
        break;
    case APP_TIME_S:
        snprintf(room, 32, "%" PRIu32 "s", value);
        break;
    case APP_SECONDS:
        snprintf(room, 32, "%g", value / 1000.0);
        break;
    case APP_MODE:
        snprintf(room, 32, "0%" PRIo32, value);
        break;
    case APP_COUNT:
    case APP_SIZE:
        snprintf(room, 32, "%" PRIu32, value);
        break;
    }
    return room;
}

bool app_number_read(const struct app_number *number, const char *value, void *options)
{
    uint32_t *place = (uint32_t *)(void *)((char *)options + number->offset);
    if (number->none && strcmp(value, "none") == 0) {
        *place = MSGSRV_NONE;
        return true;
    }
    uint64_t read = 0;
    if (!read_scaled(number->kind, value, &read)) {
        app_usage("--%s: '%s' is not %s%s", number->option, value, KINDS[number->kind].what,
                  number->none ? ", nor none" : "");
        return false;
    }
    if (read < number->min || read > number->max) {
        char least[32], most[32];
        app_usage("--%s: %s is not between %s and %s", number->option, value, bound(number->kind, number->min, least),
                  bound(number->kind, number->max, most));
        return false;
    }
    *place = (uint32_t)read;
    return true;
}

enum app_int32 app_int32_read(const char *text, int32_t *number)
{
    bool negative = *text == '-';
    uint64_t magnitude = 0;
    const char *end = read_digits(text + negative, 10, &magnitude);
    if (!end || *end != '\0')
        return APP_INT32_MALFORMED;
    if (magnitude > (uint64_t)INT32_MAX + negative)
        return APP_INT32_OVERFLOW;
    *number = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
    return APP_INT32_OK;
}
