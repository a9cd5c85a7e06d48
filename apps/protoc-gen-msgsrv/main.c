/* SPDX-License-Identifier: MIT */
/*
 * protoc-gen-msgsrv: a plugin of protoc. A CodeGeneratorRequest comes on standard input, a
 * CodeGeneratorResponse goes to standard output; errors in the user's files travel in it, and only what is
 * wrong between protoc and us goes to standard error, with exit status 1. Wrong usage by hand is exit status
 * 64.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msgsrv/version.h>

#include "generate.h"

#define EXIT_USAGE 64

static const char usage[] =
    "protoc-gen-msgsrv " MSGSRV_VERSION ": a plugin of protoc that makes typed calls for C of the services in a\n"
    ".proto file: NAME.msgsrv.h and NAME.msgsrv.c, beside nanopb's NAME.pb.h and NAME.pb.c.\n"
    "\n"
    "Usage: protoc --nanopb_out=DIR --msgsrv_out=DIR [--msgsrv_opt=PARAMETER]... NAME.proto\n"
    "\n"
    "Parameters:\n"
    "  options_path=DIR    look for NAME.options in DIR, as nanopb's -I; may be repeated\n"
    "  options=FILE        the one .options file, as nanopb's -f\n"
    "  setting=NAME:VALUE  what nanopb is given with -s; may be repeated\n"
    "\n"
    "nanopb must be given, and with CMake msgsrv_generate() gives it:\n"
    "  -s fallback_type:FT_POINTER -s 'callback_function:\"msgsrv_field_callback\"' -s 'include:\"<msgsrv/bytes.h>\"'\n"
    "\n"
    "By hand: protoc-gen-msgsrv --help | --version\n";

static int print(FILE *stream, const char *text, int status)
{
    if (fputs(text, stream) < 0 || fflush(stream) != 0) {
        fprintf(stderr, "protoc-gen-msgsrv: %s\n", strerror(errno));
        return 1;
    }
    return status;
}

static int run_by_hand(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return print(stdout, usage, 0);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return print(stdout, "protoc-gen-msgsrv " MSGSRV_VERSION "\n", 0);
    fprintf(stderr, "protoc-gen-msgsrv: unknown argument \"%s\"; see --help\n", argc == 2 ? argv[1] : argv[2]);
    return EXIT_USAGE;
}

static int run_for_protoc(void)
{
    char error[MSI_REQUEST_ERROR];
    msi_buffer response;
    unsigned char *data;
    size_t size;
    int status = 0;

    data = msi_read_all(STDIN_FILENO, &size);
    if (data == NULL) {
        fprintf(stderr, "protoc-gen-msgsrv: standard input: %s\n", strerror(errno));
        return 1;
    }
    if (!msi_generate(data, size, &response, error)) {
        fprintf(stderr, "protoc-gen-msgsrv: %s\n", error);
        status = 1;
    } else if (fwrite(response.data, 1, response.size, stdout) != response.size || fflush(stdout) != 0) {
        fprintf(stderr, "protoc-gen-msgsrv: standard output: %s\n", strerror(errno));
        status = 1;
    }
    msi_buffer_release(&response);
    free(data);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_by_hand(argc, argv);
    if (isatty(STDIN_FILENO))
        return print(stderr, usage, EXIT_USAGE);
    return run_for_protoc();
}
