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

#define MSI_INTERCEPTED_FEW 4

/* Of one call, and part of it: when it began, and a pointer of each interceptor. For up to four nothing is allocated. */
typedef struct msi_intercepted {
    const msi_interceptors *interceptors;
    uint64_t began_at;
    size_t begun; /* how many have seen the beginning */
    void **data;  /* `few`, or on the heap */
    void *few[MSI_INTERCEPTED_FEW];
} msi_intercepted;

/* Adds one. */
msgsrv_status msi_interceptors_add(msi_interceptors *interceptors, const msgsrv_interceptor *interceptor,
                                   msgsrv_error *error);

/*
 * Shows a call's beginning at the moment `now` to all, until one ends it. Without memory nobody is shown anything. To be released with
 * msi_intercept_release().
 */
msgsrv_status msi_intercept_begin(msi_intercepted *into, const msi_interceptors *interceptors,
                                  const msgsrv_call_info *info, uint64_t now, msgsrv_error *error);

/* Shows its end to those that have seen the beginning, the last one first. */
void msi_intercept_end(msi_intercepted *intercepted, const msgsrv_call_info *info, msgsrv_call_outcome *outcome,
                       uint64_t now);

void msi_intercept_release(msi_intercepted *intercepted);

struct msgsrv_call;

/* The two for a server's call. After `begin` has returned false the call has ended. */
bool msi_call_intercept_begin(struct msgsrv_call *call);
void msi_call_intercept_end(struct msgsrv_call *call, msgsrv_status code, const char *message);

#endif
