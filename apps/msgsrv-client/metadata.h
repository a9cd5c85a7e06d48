/* SPDX-License-Identifier: MIT */
/*
 * Metadata on the command line: KEY=VALUE in, lines out; values of keys that end in -bin as base64 both ways.
 */
#ifndef MSGSRV_CLIENT_METADATA_H
#define MSGSRV_CLIENT_METADATA_H

#include <msgsrv/metadata.h>

#include "options.h"

/* Zeroed, it is empty. */
struct metadata {
    msgsrv_metadata entries[OPTIONS_LIST_MAX];
    size_t count;
    char *texts; /* what the entries point to */
};

/* Reads the options' entries. Returns 0, or the exit status of a failure, which was reported. */
int metadata_read(const struct options *options, struct metadata *metadata);

void metadata_free(struct metadata *metadata);

/* Prints each entry of a set on standard error, as "what key: value". */
void metadata_print(const char *what, const msgsrv_metadata_set *set);

#endif
