/* SPDX-License-Identifier: MIT */
/* The id table: chains of embedded nodes; ids ascend, so their low bits spread them perfectly. */
#include "base/idmap.h"

#include <stdlib.h>

#define FIRST_SIZE 16u

static msi_idnode **bucket(const msi_idmap *map, uint64_t id)
{
    return &map->buckets[id & (map->size - 1)];
}

static bool resize(msi_idmap *map, size_t size)
{
    msi_idnode **buckets = calloc(size, sizeof *buckets);
    if (!buckets)
        return false;
    msi_idmap old = *map;
    map->buckets = buckets;
    map->size = size;
    for (size_t i = 0; i < old.size; i++) {
        for (msi_idnode *node = old.buckets[i], *next; node; node = next) {
            next = node->next;
            msi_idnode **place = bucket(map, node->id);
            node->next = *place;
            *place = node;
        }
    }
    free(old.buckets);
    return true;
}

bool msi_idmap_add(msi_idmap *map, msi_idnode *node)
{
    if (map->size == 0 && !resize(map, FIRST_SIZE))
        return false;
    if (map->count >= map->size && map->size <= SIZE_MAX / 4 / sizeof(void *))
        (void)resize(map, map->size * 2);
    msi_idnode **place = bucket(map, node->id);
    node->next = *place;
    *place = node;
    map->count++;
    return true;
}

msi_idnode *msi_idmap_find(const msi_idmap *map, uint64_t id)
{
    if (map->count == 0)
        return NULL;
    msi_idnode *node = *bucket(map, id);
    while (node && node->id != id)
        node = node->next;
    return node;
}

void msi_idmap_remove(msi_idmap *map, msi_idnode *node)
{
    if (map->count == 0)
        return;
    for (msi_idnode **place = bucket(map, node->id); *place; place = &(*place)->next) {
        if (*place == node) {
            *place = node->next;
            map->count--;
            return;
        }
    }
}

msi_idnode *msi_idmap_any(const msi_idmap *map)
{
    for (size_t i = 0; map->count && i < map->size; i++) {
        if (map->buckets[i])
            return map->buckets[i];
    }
    return NULL;
}

void msi_idmap_release(msi_idmap *map)
{
    free(map->buckets);
    *map = (msi_idmap){0};
}
