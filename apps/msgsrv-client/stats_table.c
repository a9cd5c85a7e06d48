/* SPDX-License-Identifier: MIT */
/*
 * The table; see stats_table.h. Each line is made in a buffer, cleaned of what a terminal would act upon, and cut at the width.
 */
#include "stats_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <msgsrv/export.h>

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define CLEAR_BELOW "\033[J"
#define CLEAR_LINE "\033[K"

#define DEFAULT_WIDTH 80
#define DEFAULT_HEIGHT 24
#define LINE_ROOM 512
#define NUMBERS_WIDTH 47 /* of a method's numbers, and the spaces between them */
#define NAME_LEAST 12

struct size {
    unsigned width, height;
};

static struct size terminal_size(void)
{
    struct winsize window = {0};
    struct size size = {DEFAULT_WIDTH, DEFAULT_HEIGHT};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0)
        size = (struct size){window.ws_col, window.ws_row};
    return size;
}

static void print_line(struct stats_table *table, struct size size, const char *format, ...) MSGSRV_PRINTF(3, 4);

/* One line, unless the last row of the terminal is reached: that is the cursor's. */
static void print_line(struct stats_table *table, struct size size, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list arguments;
    if (table->lines + 1 >= size.height)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size.width < sizeof line)
        line[size.width] = '\0';
    for (char *p = line; *p; p++) {
        if (*p < ' ' || *p > '~') /* names are ASCII */
            *p = '?';
    }
    printf("%s" CLEAR_LINE "\n", line);
    table->lines++;
}

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

static void draw_server(struct stats_table *table, struct size size, const struct sample *before,
                        const struct sample *now)
{
    char a[32], b[32], c[32], up[64];
    print_line(table, size, "%s  up %s", table->server, uptime_text(up, now->uptime_ms));
    print_line(table, size, "connections  %" PRIu64 " open, %" PRIu64 " accepted; received %s B/s, sent %s B/s",
               now->connections_open, now->connections_accepted,
               rate_text(a, sample_rate(before, now, before->received, now->received)),
               rate_text(b, sample_rate(before, now, before->sent, now->sent)));
    print_line(table, size,
               "calls        %" PRIu64 " open, of them %" PRIu64 " streams; %s/s, errors %s/s, refused %s/s", now->open,
               now->streams, rate_text(a, sample_rate(before, now, before->started, now->started)),
               rate_text(b, sample_rate(before, now, before->errors, now->errors)),
               rate_text(c, sample_rate(before, now, before->refused, now->refused)));
    print_line(table, size, "loop latency %.3f ms, at most %.3f ms", (double)now->latency_us / 1000,
               (double)now->latency_max_us / 1000);
    print_line(table, size, " ");
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

static void draw_method(struct stats_table *table, struct size size, const struct sample *before,
                        const struct sample *now, size_t index)
{
    char rate[32], average[32];
    const struct method_sample *method = &now->methods[index];
    const struct method_sample *last = sample_method(before, index, method->path);
    int width = size.width > NUMBERS_WIDTH + NAME_LEAST ? (int)size.width - NUMBERS_WIDTH : NAME_LEAST;
    print_line(table, size, "%-*.*s %9s %8" PRIu64 " %7" PRIu64 " %9s %9.3f", width, width, method->path,
               rate_text(rate, last ? sample_rate(before, now, last->started, method->started) : -1), method->errors,
               method->open, average_text(average, last, method), (double)method->duration_max_ns / 1e6);
}

void stats_table_begin(struct stats_table *table, const char *server)
{
    *table = (struct stats_table){.server = server};
    fputs(HIDE_CURSOR, stdout);
}

void stats_table_draw(struct stats_table *table, const struct sample *before, const struct sample *now)
{
    struct size size = terminal_size();
    int width = size.width > NUMBERS_WIDTH + NAME_LEAST ? (int)size.width - NUMBERS_WIDTH : NAME_LEAST;
    if (table->lines > 0)
        printf("\033[%uA\r", table->lines);
    table->lines = 0;
    draw_server(table, size, before, now);
    print_line(table, size, "%-*s %9s %8s %7s %9s %9s", width, "METHOD", "CALLS/S", "ERRORS", "OPEN", "AVG MS", "MAX MS");
    for (size_t i = 0; i < now->method_count; i++) {
        if (now->methods[i].started > 0)
            draw_method(table, size, before, now, i);
    }
    fputs(CLEAR_BELOW, stdout);
}

void stats_table_end(void)
{
    fputs(SHOW_CURSOR, stdout);
}
