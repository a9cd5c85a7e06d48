/* SPDX-License-Identifier: MIT */
/*
 * The well-known types by name, and the texts of Timestamp and Duration: their ranges and forms are those of
 * google/protobuf/timestamp.proto and duration.proto.
 */
#include <stdio.h>

#include "schema/json.h"

#define NANOS 1000000000
#define TIMESTAMP_LEAST (-62135596800ll) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MOST 253402300799ll    /* 9999-12-31T23:59:59Z */
#define DURATION_MOST 315576000000ll     /* about 10,000 years */

msi_known msi_json_known(const char *full_name)
{
    static const struct {
        const char *name;
        msi_known known;
    } list[] = {
        {"Timestamp", MSI_KNOWN_TIMESTAMP},  {"Duration", MSI_KNOWN_DURATION},
        {"FieldMask", MSI_KNOWN_FIELD_MASK}, {"Struct", MSI_KNOWN_STRUCT},
        {"Value", MSI_KNOWN_VALUE},          {"ListValue", MSI_KNOWN_LIST_VALUE},
        {"DoubleValue", MSI_KNOWN_WRAPPER},  {"FloatValue", MSI_KNOWN_WRAPPER},
        {"Int64Value", MSI_KNOWN_WRAPPER},   {"UInt64Value", MSI_KNOWN_WRAPPER},
        {"Int32Value", MSI_KNOWN_WRAPPER},   {"UInt32Value", MSI_KNOWN_WRAPPER},
        {"BoolValue", MSI_KNOWN_WRAPPER},    {"StringValue", MSI_KNOWN_WRAPPER},
        {"BytesValue", MSI_KNOWN_WRAPPER},   {"Any", MSI_KNOWN_ANY},
    };
    static const char package[] = "google.protobuf.";
    if (strncmp(full_name, package, sizeof package - 1) != 0)
        return MSI_KNOWN_NOT;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(full_name + sizeof package - 1, list[i].name) == 0)
            return list[i].known;
    }
    return MSI_KNOWN_NOT;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back (Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"). */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + (int64_t)days - 719468;
}

static void date_of(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int)((int64_t)years + era * 400 + (*month <= 2));
}

/* ".123", ".123456", ".123456789" or nothing. */
static void fraction_text(int32_t nanos, char text[16])
{
    text[0] = '\0';
    if (nanos % 1000000 == 0 && nanos)
        snprintf(text, 16, ".%03d", (int)(nanos / 1000000));
    else if (nanos % 1000 == 0 && nanos)
        snprintf(text, 16, ".%06d", (int)(nanos / 1000));
    else if (nanos)
        snprintf(text, 16, ".%09d", (int)nanos);
}

bool msi_timestamp_text(int64_t seconds, int32_t nanos, char text[MSI_TIME_TEXT])
{
    if (seconds < TIMESTAMP_LEAST || seconds > TIMESTAMP_MOST || nanos < 0 || nanos >= NANOS)
        return false;
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    unsigned rest = (unsigned)(seconds - days * 86400);
    int year;
    unsigned month, day;
    char fraction[16];
    date_of(days, &year, &month, &day);
    fraction_text(nanos, fraction);
    snprintf(text, MSI_TIME_TEXT, "%04d-%02u-%02uT%02u:%02u:%02u%sZ", year, month, day, rest / 3600, rest / 60 % 60,
             rest % 60, fraction);
    return true;
}

/* A cursor over a text: each function fails for good when something is not as it should be. */
typedef struct scan {
    const char *at;
    const char *end;
    bool failed;
} scan;

static unsigned digits(scan *in, int count)
{
    unsigned value = 0;
    for (int i = 0; i < count; i++) {
        if (in->at == in->end || *in->at < '0' || *in->at > '9') {
            in->failed = true;
            return 0;
        }
        value = value * 10 + (unsigned)(*in->at++ - '0');
    }
    return value;
}

static bool accept(scan *in, char c)
{
    if (in->failed || in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static void expect(scan *in, char c)
{
    if (!accept(in, c))
        in->failed = true;
}

/* 1 to 9 digits behind a point. */
static int32_t fraction(scan *in)
{
    int32_t nanos = 0;
    int count = 0;
    if (!accept(in, '.'))
        return 0;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; count++) {
        if (count == 9)
            in->failed = true;
        nanos = count < 9 ? nanos * 10 + (*in->at - '0') : nanos;
        in->at++;
    }
    if (count == 0)
        in->failed = true;
    for (; count < 9; count++)
        nanos *= 10;
    return nanos;
}

static unsigned days_in(int year, unsigned month)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return lengths[month - 1] + (month == 2 && leap);
}

/* "Z" or "+01:30", in seconds. */
static int64_t offset(scan *in)
{
    if (accept(in, 'Z'))
        return 0;
    bool east = accept(in, '+');
    if (!east)
        expect(in, '-');
    unsigned hours = digits(in, 2);
    expect(in, ':');
    unsigned minutes = digits(in, 2);
    if (hours > 23 || minutes > 59)
        in->failed = true;
    int64_t seconds = (int64_t)hours * 3600 + minutes * 60;
    return east ? seconds : -seconds;
}

bool msi_timestamp_read(const char *text, size_t size, int64_t *seconds, int32_t *nanos)
{
    scan in = {text, text + size, false};
    int year = (int)digits(&in, 4);
    expect(&in, '-');
    unsigned month = digits(&in, 2);
    expect(&in, '-');
    unsigned day = digits(&in, 2);
    expect(&in, 'T');
    unsigned hour = digits(&in, 2);
    expect(&in, ':');
    unsigned minute = digits(&in, 2);
    expect(&in, ':');
    unsigned second = digits(&in, 2);
    *nanos = fraction(&in);
    int64_t away = offset(&in);
    if (in.failed || in.at != in.end || year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    *seconds = days_of(year, month, day) * 86400 + (int64_t)hour * 3600 + minute * 60 + second - away;
    return *seconds >= TIMESTAMP_LEAST && *seconds <= TIMESTAMP_MOST;
}

bool msi_duration_text(int64_t seconds, int32_t nanos, char text[MSI_TIME_TEXT])
{
    bool mixed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if (seconds < -DURATION_MOST || seconds > DURATION_MOST || nanos <= -NANOS || nanos >= NANOS || mixed)
        return false;
    char part[16];
    fraction_text(nanos < 0 ? -nanos : nanos, part);
    snprintf(text, MSI_TIME_TEXT, "%s%lld%ss", seconds < 0 || nanos < 0 ? "-" : "",
             (long long)(seconds < 0 ? -seconds : seconds), part);
    return true;
}

bool msi_duration_read(const char *text, size_t size, int64_t *seconds, int32_t *nanos)
{
    scan in = {text, text + size, false};
    bool minus = accept(&in, '-');
    int64_t whole = 0;
    int count = 0;
    for (; in.at < in.end && *in.at >= '0' && *in.at <= '9' && count < 13; count++)
        whole = whole * 10 + (*in.at++ - '0');
    *nanos = fraction(&in);
    expect(&in, 's');
    if (in.failed || in.at != in.end || count == 0 || whole > DURATION_MOST)
        return false;
    *seconds = minus ? -whole : whole;
    *nanos = minus ? -*nanos : *nanos;
    return true;
}
