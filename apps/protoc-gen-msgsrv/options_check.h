/* SPDX-License-Identifier: MIT */
/*
 * nanopb's options, wherever they are given, against what generated code relies on.
 */
#ifndef MSGSRV_GEN_OPTIONS_CHECK_H
#define MSGSRV_GEN_OPTIONS_CHECK_H

#include "model.h"
#include "params.h"

/*
 * Adds an error for each option that would rename or remove what generated code names, or change its type, and notes in
 * the model which messages have views and defaults.
 */
void msi_check_options(msi_arena *arena, const msi_params *params, msi_model *model, msi_errors *errors);

#endif
