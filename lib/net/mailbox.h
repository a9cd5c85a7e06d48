/* SPDX-License-Identifier: MIT */
/*
 * How other threads reach a loop: a list of posts and an eventfd, and no libevent call from a foreign thread, so that loops need no
 * locks. A mailbox outlives its loop: posting to a closed one says so. Posts are embedded in what they are about, so posting never fails
 * for memory.
 */
#ifndef MSI_NET_MAILBOX_H
#define MSI_NET_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct msi_loop;

typedef struct msi_post {
    struct msi_post *next;
    void (*run)(struct msi_post *post, struct msi_loop *loop); /* on the loop's thread; the post may be gone afterwards */
} msi_post;

typedef struct msi_mailbox msi_mailbox;

/* A mailbox with one reference; NULL without memory or descriptors. */
msi_mailbox *msi_mailbox_new(void);

msi_mailbox *msi_mailbox_ref(msi_mailbox *mailbox);
void msi_mailbox_unref(msi_mailbox *mailbox);

/* Posts from any thread. false when the loop is gone: the post was not taken. */
bool msi_mailbox_post(msi_mailbox *mailbox, msi_post *post);

/* Raises flags for the loop to see. Async-signal-safe. */
void msi_mailbox_raise(msi_mailbox *mailbox, unsigned flags);

/* For the loop: its descriptor, which is readable when there is something; the flags and the posts in order, taken out. */
int msi_mailbox_fd(const msi_mailbox *mailbox);
unsigned msi_mailbox_take(msi_mailbox *mailbox, msi_post **posts);

/*
 * A lock and a condition that outlive the loop, for the little that a call's loop and another thread both decide (call/call.c). Program
 * code is never run with the lock held.
 */
void msi_mailbox_lock(msi_mailbox *mailbox);
void msi_mailbox_unlock(msi_mailbox *mailbox);
void msi_mailbox_wait(msi_mailbox *mailbox);     /* until the next wake; with the lock, which it gives up meanwhile */
void msi_mailbox_wake_all(msi_mailbox *mailbox); /* with the lock */

/* Closes it: later posts are refused. Returns what had been posted, for the loop to run. */
msi_post *msi_mailbox_close(msi_mailbox *mailbox);

#endif
