/* SPDX-License-Identifier: MIT */
/*
 * The table; see stats_table.h.
 */
#include "stats_table.h"

#include <inttypes.h>
#include <stdio.h>

#define NUMBERS_WIDTH 47 /* of a method's numbers, and the spaces between them */
#define NAME_LEAST 12

/* A rate, or a dash, in `room`. */
static const char *rate_text(char room[32], double rate)
{
    if (rate < 0)
        return "-";
    snprintf(room, 32, "%.1f", rate);
    return room;
}

static const char *uptime_text(char room[64], uint64_t ms)
{
    uint64_t s = ms / 1000;
    uint64_t days = s / 86400;
    if (days > 0)
        snprintf(room, 64, "%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, days, s / 3600 % 24, s / 60 % 60,
                 s % 60);
    else
        snprintf(room, 64, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    return room;
}

static void draw_server(struct stats_table *table, const struct sample *before, const struct sample *now)
{
    char a[32], b[32], c[32], up[64];
    screen_line(&table->screen, "%s  up %s", table->server, uptime_text(up, now->uptime_ms));
    screen_line(&table->screen, "connections  %" PRIu64 " open, %" PRIu64 " accepted; received %s B/s, sent %s B/s",
                now->connections_open, now->connections_accepted,
                rate_text(a, sample_rate(before, now, before->received, now->received)),
                rate_text(b, sample_rate(before, now, before->sent, now->sent)));
    screen_line(&table->screen,
                "calls        %" PRIu64 " open, of them %" PRIu64 " streams; %s/s, errors %s/s, refused %s/s",
                now->open, now->streams, rate_text(a, sample_rate(before, now, before->started, now->started)),
                rate_text(b, sample_rate(before, now, before->errors, now->errors)),
                rate_text(c, sample_rate(before, now, before->refused, now->refused)));
    screen_line(&table->screen, "loop latency %.3f ms, at most %.3f ms", (double)now->latency_us / 1000,
                (double)now->latency_max_us / 1000);
    screen_line(&table->screen, " ");
}

/* The average of what ended since the sample before. */
static const char *average_text(char room[32], const struct method_sample *before, const struct method_sample *now)
{
    if (!before || now->ended <= before->ended)
        return "-";
    snprintf(room, 32, "%.3f",
             (double)(now->duration_ns - before->duration_ns) / (double)(now->ended - before->ended) / 1e6);
    return room;
}

static int name_width(const struct stats_table *table)
{
    unsigned width = table->screen.width;
    return width > NUMBERS_WIDTH + NAME_LEAST ? (int)width - NUMBERS_WIDTH : NAME_LEAST;
}

static void draw_method(struct stats_table *table, const struct sample *before, const struct sample *now, size_t index)
{
    char rate[32], average[32];
    const struct method_sample *method = &now->methods[index];
    const struct method_sample *last = sample_method(before, index, method->path);
    int width = name_width(table);
    screen_line(&table->screen, "%-*.*s %9s %8" PRIu64 " %7" PRIu64 " %9s %9.3f", width, width, method->path,
                rate_text(rate, last ? sample_rate(before, now, last->started, method->started) : -1), method->errors,
                method->open, average_text(average, last, method), (double)method->duration_max_ns / 1e6);
}

void stats_table_begin(struct stats_table *table, const char *server)
{
    *table = (struct stats_table){.server = server};
    screen_open();
}

void stats_table_draw(struct stats_table *table, const struct sample *before, const struct sample *now)
{
    screen_begin(&table->screen);
    int width = name_width(table);
    draw_server(table, before, now);
    screen_line(&table->screen, "%-*s %9s %8s %7s %9s %9s", width, "METHOD", "CALLS/S", "ERRORS", "OPEN", "AVG MS",
                "MAX MS");
    for (size_t i = 0; i < now->method_count; i++) {
        if (now->methods[i].started > 0)
            draw_method(table, before, now, i);
    }
    screen_end();
}

void stats_table_end(void)
{
    screen_close();
}
