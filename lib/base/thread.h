/* SPDX-License-Identifier: MIT */
/* Making threads. */
#ifndef MSI_BASE_THREAD_H
#define MSI_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread that takes no signals: those belong to the program's own. false when it cannot be made. */
bool msi_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg);

#endif
