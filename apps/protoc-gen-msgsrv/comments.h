/* SPDX-License-Identifier: MIT */
/*
 * The comments of a .proto file, carried over into C.
 */
#ifndef MSGSRV_GEN_COMMENTS_H
#define MSGSRV_GEN_COMMENTS_H

#include "buffer.h"
#include "diagnostics.h"

/*
 * Appends the leading comment of an element as the lines of a C comment that has been begun already, each
 * after `prefix` (e.g. " * "), and an empty one that separates it from what follows. Nothing when it has no
 * comment.
 */
void msi_comment(msi_buffer *buffer, const msi_place *place, const char *prefix);

#endif
