/* SPDX-License-Identifier: MIT */
/*
 * Collisions of C names: dots become underscores, and suffixes are added, so that two elements that differ in
 * the .proto may meet in C.
 */
#ifndef MSGSRV_GEN_IDENTIFIERS_H
#define MSGSRV_GEN_IDENTIFIERS_H

#include "model.h"

/* Adds an error for each two elements whose generated code would define the same name. */
void msi_check_identifiers(msi_arena *arena, const msi_model *model, msi_errors *errors);

#endif
