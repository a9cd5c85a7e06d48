/* SPDX-License-Identifier: MIT */
#include "bus/names.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 16u

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(uint64_t seed, msi_view name)
{
    uint64_t hash = seed ^ name.size * 0x9e3779b97f4a7c15ull;
    const uint8_t *at = name.data;
    size_t left = name.size;
    uint64_t word;
    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8);
        hash = mix(hash ^ word, 0xa0761d6478bd642full);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    return mix(hash ^ word, 0xe7037ed1a0b428dbull);
}

void msi_names_init(msi_names *names, uint64_t seed)
{
    *names = (msi_names){.seed = seed};
}

void msi_names_release(msi_names *names)
{
    free(names->buckets);
    names->buckets = NULL;
    names->size = names->count = 0;
}

msi_name_node *msi_names_find(const msi_names *names, msi_view name)
{
    if (!names->size)
        return NULL;
    uint64_t hash = hash_of(names->seed, name);
    msi_name_node *node = names->buckets[hash & (names->size - 1)];
    while (node && (node->hash != hash || !msi_view_equal(node->name, name)))
        node = node->next;
    return node;
}

static void put(msi_names *names, msi_name_node *node)
{
    msi_name_node **bucket = &names->buckets[node->hash & (names->size - 1)];
    node->next = *bucket;
    *bucket = node;
}

/* Twice as many buckets; without memory the chains get longer. */
static bool grow(msi_names *names)
{
    size_t size = names->size ? names->size * 2 : FIRST_SIZE;
    msi_name_node **buckets = calloc(size, sizeof *buckets);
    if (!buckets)
        return names->size > 0;
    msi_names old = *names;
    names->buckets = buckets;
    names->size = size;
    for (size_t i = 0; i < old.size; i++) {
        for (msi_name_node *node = old.buckets[i], *next; node; node = next) {
            next = node->next;
            put(names, node);
        }
    }
    free(old.buckets);
    return true;
}

bool msi_names_add(msi_names *names, msi_name_node *node)
{
    if (names->count >= names->size && !grow(names))
        return false;
    node->hash = hash_of(names->seed, node->name);
    put(names, node);
    names->count++;
    return true;
}

void msi_names_remove(msi_names *names, msi_name_node *node)
{
    msi_name_node **at = &names->buckets[node->hash & (names->size - 1)];
    while (*at && *at != node)
        at = &(*at)->next;
    if (*at) {
        *at = node->next;
        names->count--;
    }
}
