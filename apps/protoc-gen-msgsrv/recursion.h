/* SPDX-License-Identifier: MIT */
/*
 * Messages that contain each other in a circle. In C one of them must be a pointer, which nanopb does not see
 * to.
 */
#ifndef MSGSRV_GEN_RECURSION_H
#define MSGSRV_GEN_RECURSION_H

#include "model.h"

/*
 * Adds an error when structs of a file would contain themselves, naming one field that closes a circle.
 *
 * inlined: for each message of the file, for each of its fields, whether nanopb puts it into the struct as a
 * struct.
 */
void msi_check_recursion(msi_arena *arena, const msi_model *model, const msi_file *file, bool *const *inlined,
                         msi_errors *errors);

#endif
