/* SPDX-License-Identifier: MIT */
/*
 * The screen; see screen.h.
 */
#include "screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define CLEAR_BELOW "\033[J"
#define CLEAR_LINE "\033[K"

#define DEFAULT_WIDTH 80
#define DEFAULT_HEIGHT 24
#define LINE_ROOM 512

void screen_open(void)
{
    fputs(HIDE_CURSOR, stdout);
}

void screen_close(void)
{
    fputs(SHOW_CURSOR, stdout);
}

void screen_begin(struct screen *screen)
{
    struct winsize window = {0};
    screen->width = DEFAULT_WIDTH;
    screen->height = DEFAULT_HEIGHT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
        screen->width = window.ws_col;
        screen->height = window.ws_row;
    }
    if (screen->lines > 0)
        printf("\033[%uA\r", screen->lines);
    screen->lines = 0;
}

void screen_line(struct screen *screen, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list arguments;
    if (screen->lines + 1 >= screen->height)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (screen->width < sizeof line)
        line[screen->width] = '\0';
    for (char *p = line; *p; p++) {
        if (*p < ' ' || *p > '~') /* names are ASCII */
            *p = '?';
    }
    printf("%s" CLEAR_LINE "\n", line);
    screen->lines++;
}

void screen_end(void)
{
    fputs(CLEAR_BELOW, stdout);
}
