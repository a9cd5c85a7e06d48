/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The version of the library that these headers belong to.
 */
#ifndef MSGSRV_VERSION_H
#define MSGSRV_VERSION_H

#include <msgsrv/export.h>

/** Major version: raised when a program must be changed or compiled again. Also the SONAME's number. */
#define MSGSRV_VERSION_MAJOR 1
/** Minor version: raised when something is added. */
#define MSGSRV_VERSION_MINOR 0
/** Patch version: raised when only the inside has changed. */
#define MSGSRV_VERSION_PATCH 0
/** The three of them as a string, the version of the headers. */
#define MSGSRV_VERSION "1.0.0"

MSGSRV_BEGIN_DECLS

/**
 * The version of the library that is running, which may be newer than #MSGSRV_VERSION of the headers
 * that a program was compiled with.
 *
 * @return "MAJOR.MINOR.PATCH"; static, never NULL. Any thread.
 */
MSGSRV_API const char *msgsrv_version(void);

MSGSRV_END_DECLS

#endif
