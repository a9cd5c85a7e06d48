/* SPDX-License-Identifier: MIT */
/*
 * What the emitters work on: the files of a request, all their messages under full names, and what follows
 * from how messages contain each other. Everything in it lives as long as the request and the arena.
 */
#ifndef MSGSRV_GEN_MODEL_H
#define MSGSRV_GEN_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "descriptor.h"
#include "diagnostics.h"
#include "memory.h"

typedef struct msi_file msi_file;

typedef struct msi_message {
    const msi_file *file;
    const msi_message_proto *proto;
    const char *full_name; /* "package.Outer.Inner" */
    const char *c_name;    /* nanopb's: "package_Outer_Inner" */
    msi_place place;
    bool map_entry;    /* protoc made it, of a map field */
    bool has_strings;  /* a string can occur in it, at any depth */
    bool has_views;    /* one of its own fields is a msgsrv_bytes; found by msi_check() */
    bool has_defaults; /* one of its own fields has a default, or is there by default; found by msi_check() */
} msi_message;

struct msi_file {
    const msi_file_proto *proto;
    const char *stem;      /* its name without the extension */
    bool generate;         /* code is asked for */
    msi_place place;       /* the file itself */
    msi_message *messages; /* outer ones before those nested in them, otherwise in the order of the .proto */
    size_t message_count;
};

typedef struct msi_model {
    msi_file *files; /* as in the request: what is imported comes before what imports it */
    size_t file_count;
    msi_message **by_name; /* all messages, by full name */
    size_t message_count;
    const unsigned char *request; /* the encoded request that all of it is from */
    size_t request_size;
} msi_model;

/* Builds the model and checks that names can be used and types are there; errors make it unfit to be used. */
void msi_model_build(msi_arena *arena, const msi_request_proto *request, msi_model *model, msi_errors *errors);

/* A message by its name, ".package.Message"; NULL when there is none. */
const msi_message *msi_model_find(const msi_model *model, const char *type_name);

/* A file by its name; NULL when there is none. */
const msi_file *msi_model_file(const msi_model *model, const char *name);

/* "package.name", or the name alone. */
char *msi_full_name(msi_arena *arena, const msi_file *file, const char *name);

/* The place of a service's method. */
msi_place msi_method_place(const msi_file *file, size_t service, size_t method);

#endif
