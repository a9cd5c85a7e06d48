/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The log callback. The library prints nothing by itself; without a callback it is silent.
 */
#ifndef MSGSRV_LOG_H
#define MSGSRV_LOG_H

#include <msgsrv/status.h>

/** How much a line matters. A callback gets the lines of its level and all that are graver. */
typedef enum msgsrv_log_level {
    MSGSRV_LOG_DEFAULT = 0, /**< In options: #MSGSRV_LOG_WARNING. Never the level of a line. */
    MSGSRV_LOG_ERROR = 1,   /**< Something is broken and somebody should look: a handler's mistake, no memory. */
    MSGSRV_LOG_WARNING = 2, /**< A peer misbehaved or a limit was reached. */
    MSGSRV_LOG_INFO = 3,    /**< Starts, stops, drains. */
    MSGSRV_LOG_DEBUG = 4    /**< Every connection. */
} msgsrv_log_level;

/**
 * Takes one line.
 *
 * Runs on the thread on which the thing happened: any loop's, a worker's or a caller's, so with several threads it
 * must be safe to call at once. It must not call into the object that logs.
 *
 * @param level  the line's own level
 * @param text  one line, no newline, UTF-8; valid during the call
 * @param ctx  what the options gave
 */
typedef void (*msgsrv_log_fn)(msgsrv_log_level level, const char *text, void *ctx);

MSGSRV_BEGIN_DECLS

/**
 * The name of a level.
 *
 * @return "error", "warning", "info" or "debug"; static, never NULL
 */
MSGSRV_API const char *msgsrv_log_level_name(msgsrv_log_level level);

MSGSRV_END_DECLS

#endif
