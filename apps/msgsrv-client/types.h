/* SPDX-License-Identifier: MIT */
/*
 * What a server serves, as far as a command needs it: its services by name, and the schema of what was asked for.
 */
#ifndef MSGSRV_CLIENT_TYPES_H
#define MSGSRV_CLIENT_TYPES_H

#include "names.h"
#include "options.h"
#include "reflection.h"

/* A zeroed one may be closed. */
struct types {
    const char *command; /* that errors begin with */
    const char *server;
    bool optional; /* a server without reflection is one that declares nothing */
    msgsrv_client *client;
    struct reflection reflection;
    msgsrv_schema *schema;
    struct names services; /* what the server lists, by name */
    struct names names;    /* what the files in the schema declare */
};

/*
 * Connects nothing yet. All functions here report their failures, and return 0 or the exit status.
 *
 * `threaded`: the client has a thread of its own, for live_run().
 */
int types_open(struct types *types, const struct options *options, const char *command, bool threaded);

/* Asks for the names of all services. */
int types_list(struct types *types);

/* Has the schema know all services, as far as the server does. */
int types_load(struct types *types);

/*
 * Finds what the user means by a word, of some kinds (bits, 1 << msgsrv_symbol_kind), and has the schema know it and all that it
 * uses. `what` they are called in an error, such as "method".
 */
int types_find(struct types *types, unsigned kinds, const char *what, const char *word, const struct name **found);

/* Takes a FileDescriptorProto in, unless one of its name is there. Reports nothing. */
msgsrv_status types_add(struct types *types, struct fields file, msgsrv_error *error);

/* Whether the schema knows a message by its whole name, if need be after asking for it. Reports nothing. */
bool types_know(struct types *types, const char *name);

/* Reports that the server knows no such service, with the nearest one. Returns the exit status. */
int types_no_service(struct types *types, const char *word);

void types_close(struct types *types);

#endif
