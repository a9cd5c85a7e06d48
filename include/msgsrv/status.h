/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The one result type, and the caller-owned error that carries the detail.
 */
#ifndef MSGSRV_STATUS_H
#define MSGSRV_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgsrv/export.h>

/**
 * Every status: X(NAME, number, text). The first 17 are gRPC's canonical codes, with its numbers
 * (https://grpc.io/docs/guides/status-codes/); they travel. The last two are local and never travel.
 */
#define MSGSRV_STATUS_LIST(X)                               \
    X(OK, 0, "success")                                     \
    X(CANCELLED, 1, "the call was cancelled")               \
    X(UNKNOWN, 2, "unknown error")                          \
    X(INVALID_ARGUMENT, 3, "an argument is wrong")          \
    X(DEADLINE_EXCEEDED, 4, "the deadline has passed")      \
    X(NOT_FOUND, 5, "not found")                            \
    X(ALREADY_EXISTS, 6, "it exists already")               \
    X(PERMISSION_DENIED, 7, "not permitted")                \
    X(RESOURCE_EXHAUSTED, 8, "a limit was reached")         \
    X(FAILED_PRECONDITION, 9, "not possible in this state") \
    X(ABORTED, 10, "aborted by a conflict")                 \
    X(OUT_OF_RANGE, 11, "outside the valid range")          \
    X(UNIMPLEMENTED, 12, "not implemented")                 \
    X(INTERNAL, 13, "internal error")                       \
    X(UNAVAILABLE, 14, "not available now")                 \
    X(DATA_LOSS, 15, "data was lost")                       \
    X(UNAUTHENTICATED, 16, "not authenticated")             \
    X(AGAIN, 100, "no room now; nothing was kept")          \
    X(DEFERRED, 101, "the answer comes later")

/** The result of almost every function: #MSGSRV_OK (0), one of gRPC's codes, or a local value. */
typedef enum msgsrv_status {
#define MSGSRV_STATUS_ENUM_(name, number, text) MSGSRV_##name = number,
    MSGSRV_STATUS_LIST(MSGSRV_STATUS_ENUM_)
#undef MSGSRV_STATUS_ENUM_
} msgsrv_status;

/** How many codes travel: 0 to 16. */
#define MSGSRV_STATUS_COUNT 17

/** In an option: "no limit" or "none", where its comment allows it. (0 always means "the default".) */
#define MSGSRV_NONE UINT32_MAX

/** Bytes of msgsrv_error::text, its terminating NUL included. */
#define MSGSRV_ERROR_TEXT 256

/**
 * What went wrong, in words. Owned by the caller, usually on its stack; any `msgsrv_error *`
 * parameter may be NULL. Filled when a function fails and left as it was when it succeeds. Its layout is
 * fixed for good.
 */
typedef struct msgsrv_error {
    msgsrv_status code;           /**< The same as the function's result. */
    bool from_peer;               /**< true: the peer's own answer; false: found on this side. */
    char text[MSGSRV_ERROR_TEXT]; /**< One line without a newline; UTF-8; cut at a character's end. */
} msgsrv_error;

MSGSRV_BEGIN_DECLS

/**
 * The name of a status, as gRPC writes it.
 *
 * @param status  any value; one that is not in the list gives "UNKNOWN"
 * @return e.g. "OUT_OF_RANGE"; static, never NULL. Any thread.
 */
MSGSRV_API const char *msgsrv_status_name(msgsrv_status status);

/**
 * A status in a few plain words, for when there is no error text.
 *
 * @param status  any value; one that is not in the list is read as #MSGSRV_UNKNOWN
 * @return static, never NULL. Any thread.
 */
MSGSRV_API const char *msgsrv_status_text(msgsrv_status status);

MSGSRV_END_DECLS

#endif
