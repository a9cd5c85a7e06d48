/* SPDX-License-Identifier: MIT */
/* The list of interceptors of a server or a client, and what they remember of a call. */
#ifndef MSI_CALL_INTERCEPT_H
#define MSI_CALL_INTERCEPT_H

#include <msgsrv/interceptor.h>

/* Constant once calls are made. */
typedef struct msi_interceptors {
    msgsrv_interceptor list[MSGSRV_INTERCEPTORS_MAX];
    size_t count;
} msi_interceptors;

/* Of one call: when it began, and a pointer of each interceptor. */
typedef struct msi_intercepted {
    const msi_interceptors *interceptors;
    uint64_t began_at;
    size_t begun; /* how many have seen the beginning */
    void *data[];
} msi_intercepted;

/* Adds one. */
msgsrv_status msi_interceptors_add(msi_interceptors *interceptors, const msgsrv_interceptor *interceptor,
                                   msgsrv_error *error);

/*
 * Shows a call's beginning to all, until one ends it. `made` is set (and is freed with free()) unless there is no memory, also when
 * one has ended the call.
 */
msgsrv_status msi_intercept_begin(const msi_interceptors *interceptors, const msgsrv_call_info *info,
                                  msi_intercepted **made, msgsrv_error *error);

/* Shows its end to those that have seen the beginning, the last one first. `outcome`'s duration is filled in here. */
void msi_intercept_end(msi_intercepted *intercepted, const msgsrv_call_info *info, msgsrv_call_outcome *outcome);

struct msgsrv_call;

/* The two for a server's call. After `begin` has returned false the call has ended. */
bool msi_call_intercept_begin(struct msgsrv_call *call);
void msi_call_intercept_end(struct msgsrv_call *call, msgsrv_status code, const char *message);

#endif
