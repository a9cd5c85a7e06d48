/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Compiler helpers of the other headers; nothing here is meant for programs.
 */
#ifndef MSGSRV_EXPORT_H
#define MSGSRV_EXPORT_H

#ifdef __cplusplus
#define MSGSRV_BEGIN_DECLS extern "C" {
#define MSGSRV_END_DECLS }
#else
#define MSGSRV_BEGIN_DECLS
#define MSGSRV_END_DECLS
#endif

#if defined(__GNUC__)
/** A symbol that leaves the shared library. */
#define MSGSRV_API __attribute__((visibility("default")))
/** Lets the compiler check a format string against its arguments. */
#define MSGSRV_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define MSGSRV_API
#define MSGSRV_PRINTF(string, first)
#endif

#endif
