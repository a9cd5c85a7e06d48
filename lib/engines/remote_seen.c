/* SPDX-License-Identifier: MIT */
/* A hash table and a list in the order of use. */
#include "engines/remote_seen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS_FIRST 16u
#define BUCKETS_MAX 1024u

typedef struct seen_topic {
    TAILQ_ENTRY(seen_topic) used; /* the last used is the first */
    struct seen_topic *next;
    uint32_t hash;
    uint32_t size;
    uint64_t epoch;
    uint64_t sequence;
    char topic[];
} seen_topic;

struct msi_seen_topics {
    TAILQ_HEAD(seen_list, seen_topic) used;
    seen_topic **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

msi_seen_topics *msi_seen_new(void)
{
    msi_seen_topics *seen = calloc(1, sizeof *seen);
    if (!seen)
        return NULL;
    TAILQ_INIT(&seen->used);
    seen->buckets = calloc(BUCKETS_FIRST, sizeof(seen_topic *));
    seen->bucket_count = BUCKETS_FIRST;
    if (seen->buckets)
        return seen;
    free(seen);
    return NULL;
}

void msi_seen_free(msi_seen_topics *seen)
{
    if (!seen)
        return;
    seen_topic *topic;
    while ((topic = TAILQ_FIRST(&seen->used)) != NULL) {
        TAILQ_REMOVE(&seen->used, topic, used);
        free(topic);
    }
    free(seen->buckets);
    free(seen);
}

static uint32_t hash_of(const char *topic, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)topic[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static bool is(const seen_topic *one, const char *topic, size_t size)
{
    return one->size == size && memcmp(one->topic, topic, size) == 0;
}

static seen_topic *find(const msi_seen_topics *seen, const char *topic, size_t size, uint32_t hash)
{
    seen_topic *one = seen->buckets[hash & (seen->bucket_count - 1)];
    while (one && !(one->hash == hash && is(one, topic, size)))
        one = one->next;
    return one;
}

static void link_in(msi_seen_topics *seen, seen_topic *one)
{
    seen_topic **bucket = &seen->buckets[one->hash & (seen->bucket_count - 1)];
    one->next = *bucket;
    *bucket = one;
}

static void take_out(msi_seen_topics *seen, const seen_topic *one)
{
    seen_topic **at = &seen->buckets[one->hash & (seen->bucket_count - 1)];
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
}

static void grow(msi_seen_topics *seen)
{
    size_t count = seen->bucket_count * 2;
    seen_topic **buckets = count <= BUCKETS_MAX ? calloc(count, sizeof(seen_topic *)) : NULL;
    if (!buckets)
        return; /* chains get longer */
    free(seen->buckets);
    seen->buckets = buckets;
    seen->bucket_count = count;
    seen_topic *one;
    TAILQ_FOREACH(one, &seen->used, used)
    link_in(seen, one);
}

static seen_topic *add(msi_seen_topics *seen, const char *topic, size_t size, uint32_t hash)
{
    if (seen->count == MSI_SEEN_TOPICS) {
        seen_topic *oldest = TAILQ_LAST(&seen->used, seen_list);
        take_out(seen, oldest);
        TAILQ_REMOVE(&seen->used, oldest, used);
        free(oldest);
        seen->count--;
    }
    seen_topic *one = malloc(sizeof *one + size);
    if (!one)
        return NULL;
    one->hash = hash;
    one->size = (uint32_t)size;
    memcpy(one->topic, topic, size);
    link_in(seen, one);
    TAILQ_INSERT_HEAD(&seen->used, one, used);
    if (++seen->count > seen->bucket_count)
        grow(seen);
    return one;
}

void msi_seen_note(msi_seen_topics *seen, const char *topic, size_t size, uint64_t epoch, uint64_t sequence)
{
    seen_topic *one = TAILQ_FIRST(&seen->used);
    if (!one || !is(one, topic, size)) {
        uint32_t hash = hash_of(topic, size);
        one = find(seen, topic, size, hash);
        if (one) {
            TAILQ_REMOVE(&seen->used, one, used);
            TAILQ_INSERT_HEAD(&seen->used, one, used);
        } else {
            one = add(seen, topic, size, hash);
        }
    }
    if (!one)
        return;
    one->epoch = epoch;
    one->sequence = sequence;
}

void msi_seen_gap(msi_seen_topics *seen, const char *topic, uint64_t last)
{
    size_t size = strlen(topic);
    seen_topic *one = find(seen, topic, size, hash_of(topic, size));
    if (one && one->sequence < last)
        one->sequence = last;
}

void msi_seen_put(const msi_seen_topics *seen, msi_writer *to, uint32_t field)
{
    const seen_topic *one;
    TAILQ_FOREACH(one, &seen->used, used)
    {
        size_t begun = msi_put_begin(to, field);
        msi_put_bytes(to, 1, (msi_view){(const uint8_t *)one->topic, one->size});
        msi_put_fixed64(to, 2, one->epoch);
        msi_put_number(to, 3, one->sequence);
        msi_put_end(to, begun);
    }
}
