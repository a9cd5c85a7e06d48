/* SPDX-License-Identifier: MIT */
/* A text to jansson's tree, with integers of any size. */
#ifndef MSI_SCHEMA_JSON_PARSE_H
#define MSI_SCHEMA_JSON_PARSE_H

#include <jansson.h>

#include <msgsrv/status.h>

/* `marked`: whether the tree has strings that stand for integers beyond jansson's. The tree is to be freed with json_decref(). */
msgsrv_status msi_json_parse(const char *text, size_t size, json_t **value, bool *marked, msgsrv_error *error);

/* The digits, with their sign, of a value of a marked tree that is such an integer; else NULL. */
const char *msi_json_large_integer(const json_t *value);

#endif
