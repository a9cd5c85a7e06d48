/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of a whole server as an HTTP/2 client meets it: fuzz_server.c, with the connection's preface in front of what a peer sends, so that no
 * input has to find it. What comes back is HTTP/2's frames.
 */
#define FUZZ_HTTP2 1
#include "fuzz_server.c"
