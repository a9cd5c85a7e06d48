/* SPDX-License-Identifier: MIT */
/*
 * Lines that are redrawn in place on a terminal. Each is cleaned of what the terminal would act upon, and cut at its width.
 */
#ifndef MSGSRV_CLIENT_SCREEN_H
#define MSGSRV_CLIENT_SCREEN_H

#include <msgsrv/export.h>

/* Zeroed, nothing is drawn yet. */
struct screen {
    unsigned width, height; /* of the terminal, when the drawing began */
    unsigned lines;         /* drawn above the cursor */
};

/* Hides the cursor, and shows it again. */
void screen_open(void);
void screen_close(void);

/* Goes back to the first line. */
void screen_begin(struct screen *screen);

/* One line, unless the last row of the terminal is reached: that is the cursor's. */
void screen_line(struct screen *screen, const char *format, ...) MSGSRV_PRINTF(2, 3);

/* Clears what is below. */
void screen_end(void);

#endif
