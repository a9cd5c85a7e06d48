/* SPDX-License-Identifier: MIT */
/*
 * The two files that are made of each .proto, against include/msgsrv/service.h.
 */
#ifndef MSGSRV_GEN_EMIT_H
#define MSGSRV_GEN_EMIT_H

#include "buffer.h"
#include "model.h"
#include "template.h"

/* What the templates of a method know. */
typedef struct msi_method_values {
    msi_value values[12];
} msi_method_values;

/* NAME.msgsrv.h: types, typed functions, inline wrappers. */
void msi_emit_header(msi_arena *arena, msi_buffer *out, const msi_model *model, const msi_file *file);

/* NAME.msgsrv.c: constant tables and the thunks that give the library's untyped pointers their types back. */
void msi_emit_source(msi_arena *arena, msi_buffer *out, const msi_model *model, const msi_file *file);

/* The embedded descriptors of NAME.msgsrv.c. */
void msi_emit_files(msi_arena *arena, msi_buffer *out, const msi_model *model, const msi_file *file);

/* Of a message, whose $full$ and $message$ are given: its functions for the event bus, and their part of NAME.msgsrv.c. */
void msi_emit_bus_functions(msi_buffer *out, const msi_value *values);
void msi_emit_bus_source(msi_buffer *out, const msi_value *values);

/* Whether messages flow as a stream, in either direction. */
bool msi_streams(const msi_method_proto *method);

/* Of a streaming method: what comes before the service's struct; its functions; and its part of NAME.msgsrv.c. */
void msi_emit_stream_handler(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values);
void msi_emit_stream_functions(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values,
                               const msi_place *place);
void msi_emit_stream_source(msi_buffer *out, const msi_method_proto *method, const msi_method_values *values);

/*
 * The values of one method: $svc$, $method$, $function$, $request$, $response$, $path$, $kind$, $pad$; and of one that
 * takes a single request $request_parameter$, $request_argument$ and $request_note$, which are "", "NULL" and "" of
 * the others.
 */
void msi_method_values_of(msi_arena *arena, const msi_model *model, const msi_file *file,
                          const msi_service_proto *service, const msi_method_proto *method, msi_method_values *values);

#endif
