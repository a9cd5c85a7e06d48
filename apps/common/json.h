/* SPDX-License-Identifier: MIT */
/*
 * Writes one line of JSON (RFC 8259): an object of strings, numbers, objects and arrays, in which keys are NULL. Errors are left to the
 * stream, whose ferror() somebody looks at in the end. A zeroed struct with `out` set is ready to use.
 */
#ifndef MSGSRV_APPS_JSON_H
#define MSGSRV_APPS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct app_json {
    FILE *out;
    bool comma;     /* something stands before, at this depth */
    unsigned depth; /* objects that are open */
};

/* Opens an object; its key is NULL for the outermost one. */
void app_json_open(struct app_json *json, const char *key);
/* Closes it; the outermost one with a newline. */
void app_json_close(struct app_json *json);

void app_json_open_array(struct app_json *json, const char *key);
void app_json_close_array(struct app_json *json);

/* A string, escaped; what is not UTF-8 becomes U+FFFD. NULL is the empty string. */
void app_json_string(struct app_json *json, const char *key, const char *value);
/* A value that is JSON already, on one line. */
void app_json_raw(struct app_json *json, const char *key, const char *text, size_t size);
void app_json_int(struct app_json *json, const char *key, int64_t value);
void app_json_bool(struct app_json *json, const char *key, bool value);
void app_json_uint(struct app_json *json, const char *key, uint64_t value);
/* A number with that many decimals. */
void app_json_fixed(struct app_json *json, const char *key, double value, int decimals);

#endif
