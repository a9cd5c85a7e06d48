/* SPDX-License-Identifier: MIT */
/*
 * What protoc accepts and we do not.
 */
#ifndef MSGSRV_GEN_CHECKS_H
#define MSGSRV_GEN_CHECKS_H

#include "model.h"
#include "params.h"

/*
 * Adds an error for all in the files that would make generated code fail to compile, or say what is not so, and notes
 * in the model what nanopb's options make of messages.
 */
void msi_check(msi_arena *arena, const msi_params *params, msi_model *model, msi_errors *errors);

#endif
