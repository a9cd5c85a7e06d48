/* SPDX-License-Identifier: MIT */
/* The format: names, labels, numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "services/metrics.h"

static void put(msi_metrics *to, const char *text)
{
    msi_write_raw(&to->text, text, strlen(text));
}

/* A label's value: what would end it, or its line, is escaped. */
static void put_value(msi_metrics *to, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            put(to, "\\n");
        else if (*value == '"' || *value == '\\')
            msi_write_raw(&to->text, (const char[]){'\\', *value}, 2);
        else
            msi_write_raw(&to->text, value, 1);
    }
}

static void put_label(msi_metrics *to, msi_label label)
{
    put(to, label.name);
    put(to, "=\"");
    put_value(to, label.value);
    put(to, "\"");
}

void msi_metrics_family(msi_metrics *to, const char *name, const char *type, const char *help)
{
    to->family = name;
    put(to, "# HELP ");
    put(to, name);
    put(to, " ");
    put(to, help);
    put(to, "\n# TYPE ");
    put(to, name);
    put(to, " ");
    put(to, type);
    put(to, "\n");
}

static void put_sample(msi_metrics *to, const char *suffix, msi_label first, msi_label second, const char *value)
{
    put(to, to->family);
    put(to, suffix);
    if (first.name || second.name) {
        put(to, "{");
        if (first.name)
            put_label(to, first);
        if (first.name && second.name)
            put(to, ",");
        if (second.name)
            put_label(to, second);
        put(to, "}");
    }
    put(to, " ");
    put(to, value);
    put(to, "\n");
}

void msi_metrics_number(msi_metrics *to, const char *suffix, msi_label first, msi_label second, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    put_sample(to, suffix, first, second, text);
}

void msi_metrics_real(msi_metrics *to, const char *suffix, msi_label first, msi_label second, double value)
{
    /* Whole nanoseconds, put together by hand: printf would write the point that the locale has. */
    char text[48];
    uint64_t nanos = (uint64_t)(value * 1e9 + 0.5);
    snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, nanos / 1000000000u, nanos % 1000000000u);
    put_sample(to, suffix, first, second, text);
}

void msi_metrics_counter(msi_metrics *to, const char *name, const char *help, uint64_t value)
{
    msi_metrics_family(to, name, "counter", help);
    msi_metrics_number(to, "", (msi_label){0}, (msi_label){0}, value);
}

void msi_metrics_gauge(msi_metrics *to, const char *name, const char *help, uint64_t value)
{
    msi_metrics_family(to, name, "gauge", help);
    msi_metrics_number(to, "", (msi_label){0}, (msi_label){0}, value);
}
