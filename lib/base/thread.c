/* SPDX-License-Identifier: MIT */
/* Making threads: a thread inherits the signal mask of the one that makes it. */
#include "base/thread.h"

#include <signal.h>

bool msi_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool made = pthread_create(thread, NULL, main, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}
