/* SPDX-License-Identifier: MIT */
/* The mailbox. The eventfd is written only when the list was empty, so a burst of posts costs one system call. */
#include "net/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct msi_mailbox {
    atomic_uint refs;
    atomic_uint flags;
    int fd;
    pthread_mutex_t lock;
    pthread_mutex_t gate;
    pthread_cond_t gate_changed;
    msi_post *first;
    msi_post **last;
    bool closed;
};

msi_mailbox *msi_mailbox_new(void)
{
    msi_mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox)
        return NULL;
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->fd < 0) {
        free(mailbox);
        return NULL;
    }
    atomic_init(&mailbox->refs, 1);
    pthread_mutex_init(&mailbox->lock, NULL);
    pthread_mutex_init(&mailbox->gate, NULL);
    pthread_cond_init(&mailbox->gate_changed, NULL);
    mailbox->last = &mailbox->first;
    return mailbox;
}

msi_mailbox *msi_mailbox_ref(msi_mailbox *mailbox)
{
    atomic_fetch_add_explicit(&mailbox->refs, 1, memory_order_relaxed);
    return mailbox;
}

void msi_mailbox_unref(msi_mailbox *mailbox)
{
    if (!mailbox || atomic_fetch_sub_explicit(&mailbox->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->lock);
    pthread_mutex_destroy(&mailbox->gate);
    pthread_cond_destroy(&mailbox->gate_changed);
    free(mailbox);
}

/* The only failure is a counter that is full, and then the loop wakes anyway. errno is kept for signal handlers' sake. */
static void ring(const msi_mailbox *mailbox)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(mailbox->fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

bool msi_mailbox_post(msi_mailbox *mailbox, msi_post *post)
{
    post->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    bool open = !mailbox->closed;
    bool first = open && !mailbox->first;
    if (open) {
        *mailbox->last = post;
        mailbox->last = &post->next;
    }
    /* Rung under the lock: afterwards the loop may be gone, and with it the last reference. */
    if (first)
        ring(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return open;
}

void msi_mailbox_raise(msi_mailbox *mailbox, unsigned flags)
{
    atomic_fetch_or(&mailbox->flags, flags);
    ring(mailbox);
}

int msi_mailbox_fd(const msi_mailbox *mailbox)
{
    return mailbox->fd;
}

static msi_post *take_posts(msi_mailbox *mailbox)
{
    msi_post *posts = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    return posts;
}

unsigned msi_mailbox_take(msi_mailbox *mailbox, msi_post **posts)
{
    uint64_t rings;
    ssize_t got = read(mailbox->fd, &rings, sizeof rings);
    (void)got;
    pthread_mutex_lock(&mailbox->lock);
    *posts = take_posts(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return atomic_exchange(&mailbox->flags, 0);
}

msi_post *msi_mailbox_close(msi_mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    msi_post *posts = take_posts(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return posts;
}

void msi_mailbox_lock(msi_mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->gate);
}

void msi_mailbox_unlock(msi_mailbox *mailbox)
{
    pthread_mutex_unlock(&mailbox->gate);
}

void msi_mailbox_wait(msi_mailbox *mailbox)
{
    pthread_cond_wait(&mailbox->gate_changed, &mailbox->gate);
}

void msi_mailbox_wake_all(msi_mailbox *mailbox)
{
    pthread_cond_broadcast(&mailbox->gate_changed);
}
