/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of messages that are written in a line, for what a compiler would not make of two versions of a file, or would refuse.
 *
 *   "M{ id=1 int32; names=2 *string; inner=3 N; colour=4 :E } N{ x=1 bool } :E{ RED=0; BLUE=1 }"
 *
 * `*` is repeated, `:` an enum, `%` before a message's name makes it a map's entry. Messages and enums are of package "p".
 */
#ifndef TESTS_BUS_DESCRIPTORS_H
#define TESTS_BUS_DESCRIPTORS_H

#include "bytes.h"

/* Appends a file to a FileDescriptorSet. `text` names what is in it; a mistake in it ends the test. */
void ts_put_file(ts_bytes *set, const char *file, const char *text);

/* A set of one file, "p.proto". */
ts_bytes ts_set_of(const char *text);

#endif
