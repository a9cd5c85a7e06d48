/* SPDX-License-Identifier: MIT */
/*
 * Numbers on the command line, read strictly: nothing before, nothing behind, no overflow. Numeric options
 * are rows of a table, which says where in the options' struct their uint32_t is.
 */
#ifndef MSGSRV_APPS_NUMBER_H
#define MSGSRV_APPS_NUMBER_H

#include <msgsrv/status.h>

/* How a number is written, and what the uint32_t then holds. */
enum app_kind {
    APP_COUNT,   /* "100" */
    APP_SIZE,    /* "4096", "64KiB", "4MiB": bytes */
    APP_TIME_MS, /* "500ms", "5s", "2m": milliseconds */
    APP_TIME_S,  /* the same in seconds, of which there are whole ones only */
    APP_SECONDS, /* "5", "0.25": milliseconds */
    APP_MODE     /* "0660": permission bits, octal */
};

/* A numeric option. */
struct app_number {
    const char *option; /* without its dashes */
    enum app_kind kind;
    bool none; /* "none" is allowed, and read as MSGSRV_NONE */
    uint32_t min, max;
    size_t offset; /* of the uint32_t in the struct */
    const char *help;
};

/*
 * Reads an option's value into its place in the struct at `options`. False when it is not one; that was
 * reported, as "NAME: --option: 'value' is not ...".
 */
bool app_number_read(const struct app_number *number, const char *value, void *options);

/* What the help writes for a value of a kind: "SIZE". */
const char *app_kind_name(enum app_kind kind);

/* How app_int32_read() found a number. */
enum app_int32 { APP_INT32_OK, APP_INT32_MALFORMED, APP_INT32_OVERFLOW };

/* Reads a decimal int32, with or without a minus. */
enum app_int32 app_int32_read(const char *text, int32_t *number);

#endif
