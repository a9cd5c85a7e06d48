/* SPDX-License-Identifier: MIT */
/* net/mailbox.c: posts from other threads arrive once and in order, flags are never lost, a closed one takes nothing. */
#include "net/mailbox.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "guard.h"
#include "suite.h"

struct letter {
    msi_post post; /* first, so that it is the letter */
    unsigned thread;
    unsigned number;
};

static bool readable(const msi_mailbox *mailbox)
{
    return poll(&(struct pollfd){.fd = msi_mailbox_fd(mailbox), .events = POLLIN}, 1, 0) == 1;
}

START_TEST(posts_come_out_in_order_and_ring_once)
{
    struct letter letters[3];
    msi_mailbox *mailbox = msi_mailbox_new();
    msi_post *posts = NULL;
    ck_assert(!readable(mailbox));
    for (unsigned i = 0; i < 3; i++) {
        letters[i].number = i;
        ck_assert(msi_mailbox_post(mailbox, &letters[i].post));
    }
    ck_assert(readable(mailbox));
    ck_assert_uint_eq(msi_mailbox_take(mailbox, &posts), 0);
    ck_assert(!readable(mailbox));
    for (unsigned i = 0; i < 3; i++, posts = posts->next)
        ck_assert_ptr_eq(posts, &letters[i].post);
    ck_assert_ptr_null(posts);
    ck_assert_uint_eq(msi_mailbox_take(mailbox, &posts), 0);
    ck_assert_ptr_null(posts);
    ck_assert_int_ne(fcntl(msi_mailbox_fd(mailbox), F_GETFD) & FD_CLOEXEC, 0);
    msi_mailbox_unref(mailbox);
}
END_TEST

START_TEST(flags_are_gathered_until_they_are_taken)
{
    msi_mailbox *mailbox = msi_mailbox_new();
    msi_post *posts;
    msi_mailbox_raise(mailbox, 1);
    msi_mailbox_raise(mailbox, 4);
    ck_assert(readable(mailbox));
    ck_assert_uint_eq(msi_mailbox_take(mailbox, &posts), 5);
    ck_assert_uint_eq(msi_mailbox_take(mailbox, &posts), 0);
    ck_assert(!readable(mailbox));
    msi_mailbox_unref(mailbox);
}
END_TEST

START_TEST(a_closed_mailbox_gives_back_what_it_has_and_takes_no_more)
{
    struct letter first, second;
    msi_mailbox *mailbox = msi_mailbox_new();
    msi_mailbox *other = msi_mailbox_ref(mailbox);
    ck_assert(msi_mailbox_post(mailbox, &first.post));
    ck_assert_ptr_eq(msi_mailbox_close(mailbox), &first.post);
    ck_assert_ptr_null(first.post.next);
    ck_assert(!msi_mailbox_post(mailbox, &second.post));
    msi_mailbox_unref(mailbox);
    ck_assert(!msi_mailbox_post(other, &second.post));
    msi_mailbox_raise(other, 1);
    msi_mailbox_unref(other);
    msi_mailbox_unref(NULL);
}
END_TEST

#define POSTERS 4
#define LETTERS 5000

static msi_mailbox *shared;

static void *post_all(void *arg)
{
    struct letter *letters = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        if (!msi_mailbox_post(shared, &letters[i].post))
            return letters;
    }
    return NULL;
}

START_TEST(posts_of_several_threads_all_arrive_each_threads_in_order)
{
    static struct letter letters[POSTERS][LETTERS];
    pthread_t threads[POSTERS];
    unsigned next[POSTERS] = {0}, arrived = 0;
    shared = msi_mailbox_new();
    for (unsigned t = 0; t < POSTERS; t++) {
        for (unsigned i = 0; i < LETTERS; i++)
            letters[t][i] = (struct letter){.thread = t, .number = i};
        ck_assert_int_eq(pthread_create(&threads[t], NULL, post_all, letters[t]), 0);
    }
    while (arrived < POSTERS * LETTERS) {
        msi_post *posts;
        struct pollfd poll_fd = {.fd = msi_mailbox_fd(shared), .events = POLLIN};
        ck_assert_int_eq(poll(&poll_fd, 1, TS_GUARD_MS), 1); /* it rings whenever something waits */
        (void)msi_mailbox_take(shared, &posts);
        for (; posts != NULL; posts = posts->next, arrived++) {
            struct letter *letter = (struct letter *)(void *)posts;
            ck_assert_uint_eq(letter->number, next[letter->thread]++);
        }
    }
    for (unsigned t = 0; t < POSTERS; t++) {
        void *refused;
        pthread_join(threads[t], &refused);
        ck_assert_ptr_null(refused);
    }
    msi_mailbox_unref(shared);
}
END_TEST

TS_MAIN("mailbox", posts_come_out_in_order_and_ring_once, flags_are_gathered_until_they_are_taken,
        a_closed_mailbox_gives_back_what_it_has_and_takes_no_more,
        posts_of_several_threads_all_arrive_each_threads_in_order)
