/* SPDX-License-Identifier: MIT */
/*
 * Asking a server what it serves: a stream of grpc.reflection.v1.ServerReflection, or of v1alpha where the server knows no other.
 * The messages are read by hand, as nanopb's bytes end at 65,535 and a file's descriptor may be longer.
 */
#ifndef MSGSRV_CLIENT_REFLECTION_H
#define MSGSRV_CLIENT_REFLECTION_H

#include <msgsrv/msgsrv.h>
#include <msgsrv/service.h>

#include "fields.h"

/* A server that is asked. Zeroed but for the first two. */
struct reflection {
    msgsrv_client *client; /* the caller's */
    uint32_t timeout_ms;   /* of all questions together */
    msgsrv_stream *stream; /* NULL before the first question and after a failure */
    bool alpha;            /* v1 is not there */
    bool answered;         /* at least one question */
};

/* Questions, with their numbers in ServerReflectionRequest. */
enum reflection_question { REFLECTION_FILE = 3, REFLECTION_SYMBOL = 4, REFLECTION_SERVICES = 7 };

/* Takes one thing of an answer, which lives as long as the call: a service's name or a file's descriptor. Fails by
 * filling the error. */
typedef msgsrv_status (*reflection_take_fn)(void *ctx, const struct field *item, msgsrv_error *error);

/*
 * Asks one question and waits for its answer.
 *
 * Returns MSGSRV_OK; MSGSRV_NOT_FOUND when the server does not know `name`, and other codes that it may answer with, after which
 * further questions can be asked; the status of a call that failed, UNIMPLEMENTED when it has no reflection; what `take`
 * returned.
 */
msgsrv_status reflection_ask(struct reflection *reflection, enum reflection_question question, const char *name,
                             reflection_take_fn take, void *ctx, msgsrv_error *error);

/* Ends it. */
void reflection_close(struct reflection *reflection);

#endif
