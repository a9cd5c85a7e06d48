/* SPDX-License-Identifier: MIT */
/* Ids that are recognised: a table, and a list of them in the order of their ends, which is the one of their coming. */
#include "bus/queue_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static bool wanted(const msi_queue *queue, msi_view id)
{
    return id.size > 0 && queue->settings.dedup_ns > 0 && queue->settings.dedup_ids > 0;
}

const msi_known_id *msi_ids_find(const msi_queue *queue, msi_view id)
{
    if (!queue->ids.oldest || !wanted(queue, id))
        return NULL;
    msi_name_node *node = msi_names_find(&queue->ids.names, id);
    return node ? MSI_CONTAINER(node, msi_known_id, node) : NULL;
}

/* The table's first buckets: only those can fail. */
static bool reserve_table(msi_names *names)
{
    if (names->size > 0)
        return true;
    msi_name_node node = {0};
    msi_names_init(names, msi_random());
    if (!msi_names_add(names, &node))
        return false;
    msi_names_remove(names, &node);
    return true;
}

bool msi_ids_reserve(msi_queue *queue, msi_view id)
{
    msi_known_ids *ids = &queue->ids;
    if (!wanted(queue, id))
        return true;
    if (!reserve_table(&ids->names) || id.size > SIZE_MAX - sizeof *ids->spare)
        return false;
    if (ids->spare && ids->spare->room >= id.size)
        return true;
    msi_known_id *known = malloc(sizeof *known + id.size);
    if (!known)
        return false;
    known->room = id.size;
    free(ids->spare);
    ids->spare = known;
    return true;
}

static void forget_oldest(msi_known_ids *ids)
{
    msi_known_id *known = ids->oldest;
    msi_names_remove(&ids->names, &known->node);
    ids->oldest = known->newer;
    if (!ids->oldest)
        ids->newest = NULL;
    free(known);
}

void msi_ids_add(msi_queue *queue, msi_view id, uint64_t sequence)
{
    msi_known_ids *ids = &queue->ids;
    msi_known_id *known = ids->spare;
    if (!wanted(queue, id) || !known || known->room < id.size)
        return;
    ids->spare = NULL;
    memcpy(known->bytes, id.data, id.size);
    known->node.name = (msi_view){known->bytes, id.size};
    known->newer = NULL;
    known->end = msi_later(queue->now, queue->settings.dedup_ns);
    known->sequence = sequence;
    (void)msi_names_add(&ids->names, &known->node);
    if (ids->newest)
        ids->newest->newer = known;
    else
        ids->oldest = known;
    ids->newest = known;
    if (ids->names.count > queue->settings.dedup_ids) {
        forget_oldest(ids);
        queue->info.dedup_evicted++;
    }
}

void msi_ids_expire(msi_queue *queue)
{
    while (queue->ids.oldest && queue->ids.oldest->end <= queue->now)
        forget_oldest(&queue->ids);
}

void msi_ids_release(msi_queue *queue)
{
    while (queue->ids.oldest)
        forget_oldest(&queue->ids);
    free(queue->ids.spare);
    msi_names_release(&queue->ids.names);
}
