/* SPDX-License-Identifier: MIT */
/* The bus in /metrics. Of its queues at most QUEUES_MAX are shown, so that the page is bounded. */
#include <stdlib.h>
#include <string.h>

#include "services/bus_service.h"
#include "services/metrics.h"

#define QUEUES_MAX 1000u

/* The queues are looked at once, and then written family by family. */
typedef struct queue_list {
    msgsrv_queue_info *queues;
    size_t count;
    size_t room;
    bool no_memory;
} queue_list;

static void keep_queue(const msi_queue_entry *entry, void *ctx)
{
    queue_list *list = ctx;
    if (list->count == QUEUES_MAX || list->no_memory)
        return;
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        msgsrv_queue_info *queues = realloc(list->queues, room * sizeof *queues);
        list->no_memory = !queues;
        if (!queues)
            return;
        list->queues = queues;
        list->room = room;
    }
    msgsrv_queue_info *queue = &list->queues[list->count];
    *queue = entry->info;
    queue->name = strdup(entry->info.name); /* the entry's own is gone with the lock */
    list->no_memory = !queue->name;
    list->count += queue->name != NULL;
}

static void put_queues(msi_metrics *to, const queue_list *list, const char *name, const char *type, const char *help,
                       size_t offset)
{
    msi_metrics_family(to, name, type, help);
    for (size_t i = 0; i < list->count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)&list->queues[i] + offset, sizeof value);
        msi_metrics_number(to, "", (msi_label){"queue", list->queues[i].name}, (msi_label){0}, value);
    }
}

static void put_all_queues(msi_metrics *to, const queue_list *list)
{
#define FIELD(field) offsetof(msgsrv_queue_info, field)
    put_queues(to, list, "msgsrv_bus_queue_messages", "gauge", "Messages of a queue.", FIELD(messages));
    put_queues(to, list, "msgsrv_bus_queue_bytes", "gauge", "Their size.", FIELD(bytes));
    put_queues(to, list, "msgsrv_bus_queue_unsettled", "gauge", "Of them, with a consumer.", FIELD(unsettled));
    put_queues(to, list, "msgsrv_bus_queue_delayed", "gauge", "Of them, waiting for their time.", FIELD(delayed));
    put_queues(to, list, "msgsrv_bus_queue_dead", "gauge", "Messages of its dead-letter queue.", FIELD(dead));
    put_queues(to, list, "msgsrv_bus_queue_published_total", "counter", "Messages taken in.", FIELD(published));
    put_queues(to, list, "msgsrv_bus_queue_delivered_total", "counter", "Deliveries, repeated ones included.",
               FIELD(delivered));
    put_queues(to, list, "msgsrv_bus_queue_redelivered_total", "counter", "Repeated deliveries.", FIELD(redelivered));
    put_queues(to, list, "msgsrv_bus_queue_acked_total", "counter", "Messages that were acknowledged.", FIELD(acked));
    put_queues(to, list, "msgsrv_bus_queue_refused_total", "counter", "Publications to a full queue.", FIELD(refused));
    put_queues(to, list, "msgsrv_bus_queue_dropped_total", "counter", "Messages gone without a dead-letter queue.",
               FIELD(dropped));
#undef FIELD
}

static void put_bus(msi_metrics *to, const msgsrv_bus_stats *stats)
{
    msi_metrics_counter(to, "msgsrv_bus_published_total", "Events accepted.", stats->published);
    msi_metrics_counter(to, "msgsrv_bus_refused_total", "Publications that were not.", stats->refused);
    msi_metrics_counter(to, "msgsrv_bus_delivered_total", "Events handed to subscriptions.", stats->delivered);
    msi_metrics_counter(to, "msgsrv_bus_lost_total", "Events told as gaps, or gone with a group's last member.",
                        stats->lost);
    msi_metrics_counter(to, "msgsrv_bus_unmatched_total", "Events that nobody wanted.", stats->unmatched);
    msi_metrics_gauge(to, "msgsrv_bus_topics", "Topics.", stats->topics);
    msi_metrics_gauge(to, "msgsrv_bus_subscriptions", "Subscriptions.", stats->subscriptions);
    msi_metrics_gauge(to, "msgsrv_bus_queues", "Queues, without dead-letter queues.", stats->queues);
    msi_metrics_gauge(to, "msgsrv_bus_consumers", "Consumers of queues.", stats->consumers);
    msi_metrics_gauge(to, "msgsrv_bus_requests", "Requests without an answer.", stats->requests);
    msi_metrics_gauge(to, "msgsrv_bus_retained_bytes", "Events that are kept for late subscribers.",
                      stats->retained_bytes);
    msi_metrics_gauge(to, "msgsrv_bus_waiting_events", "Events that wait for subscriptions.", stats->waiting_events);
    msi_metrics_gauge(to, "msgsrv_bus_waiting_bytes", "Their bytes.", stats->waiting_bytes);
}

void msi_bus_measure(msi_server_kept *kept, msi_metrics *to)
{
    const msi_bus_service *service = (const msi_bus_service *)(void *)kept;
    msgsrv_bus_stats stats = {.size = sizeof stats};
    queue_list list = {0};
    msgsrv_error error;
    msi_core_stats(service->core, &stats);
    (void)msi_core_queues(service->core, (msi_view){(const uint8_t *)"", 0}, keep_queue, &list, &error);
    put_bus(to, &stats);
    put_all_queues(to, &list);
    while (list.count)
        free((char *)(uintptr_t)list.queues[--list.count].name);
    free(list.queues);
    to->text.no_memory |= list.no_memory;
}
