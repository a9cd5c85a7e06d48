/* SPDX-License-Identifier: MIT */
/* The whole server again, with seeds of HTTP/1.1: a fuzzer that begins among them stays there. */
#include "fuzz_server.c"
