/* SPDX-License-Identifier: MIT */
/* Queues of the engine, what is bound to them, and who takes from them. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/core_internal.h"

#define FIRST_GIVEN 64u
#define DEAD_PREFIX_SIZE (sizeof MSI_DEAD_PREFIX - 1)

static bool is_dead_name(msi_view name)
{
    return name.size > DEAD_PREFIX_SIZE && memcmp(name.data, MSI_DEAD_PREFIX, DEAD_PREFIX_SIZE) == 0;
}

/* The queue of a name, or the one whose dead letters it names. */
static core_queue *find(msi_core *core, msi_view name, bool *dead)
{
    *dead = is_dead_name(name);
    if (*dead)
        name = (msi_view){name.data + DEAD_PREFIX_SIZE, name.size - DEAD_PREFIX_SIZE};
    msi_name_node *node = msi_names_find(&core->queues, name);
    core_queue *queue = node ? MSI_CONTAINER(node, core_queue, node) : NULL;
    return queue && *dead && queue->settings.no_dead_letters ? NULL : queue;
}

static msgsrv_status not_found(msi_view name, msgsrv_error *error)
{
    return msi_error(error, MSGSRV_NOT_FOUND, "there is no queue \"%.*s\"", (int)(name.size < 255 ? name.size : 255),
                     (const char *)name.data);
}

/* ---- what the engine tells ---- */

static void wake_takers(core_queue *queue, bool dead)
{
    msi_taker *taker;
    LIST_FOREACH(taker, &queue->takers, all)
    {
        if (taker->armed && taker->dead == dead) {
            taker->armed = false;
            taker->ready(taker, taker->ctx);
        }
    }
}

void msi_queue_on_ready(void *core, void *ctx)
{
    (void)core;
    core_queue *queue = ctx;
    wake_takers(queue, false);
    if (queue->dead_taker_count)
        wake_takers(queue, true);
}

void msi_queue_on_lost(void *ctx, void *queue_ctx, const msi_event *event, const char *reason)
{
    msi_core *core = ctx;
    core_queue *queue = queue_ctx;
    core->lost++;
    queue->lost++;
    if ((queue->lost & (queue->lost - 1)) == 0)
        msi_core_log(core,
                     "the queue %s has dropped %llu messages without a dead letter; the last one, of the topic %s: %s",
                     queue->text, (unsigned long long)queue->lost, event->name->topic, reason);
}

/* ---- declaring ---- */

static size_t texts_size(const char *const *texts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    return size;
}

static bool copy_texts(const char ***to, uint32_t *count, const char *const *texts, size_t n, char **at)
{
    if (!n)
        return true;
    *to = malloc(n * sizeof **to);
    if (!*to)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(texts[i]) + 1;
        (*to)[i] = memcpy(*at, texts[i], size);
        *at += size;
    }
    *count = (uint32_t)n;
    return true;
}

static void queue_free(core_queue *queue)
{
    free(queue->patterns);
    free(queue->types);
    free(queue->bindings);
    free(queue);
}

/* What a queue without patterns takes: with types, everything of those; else the topic of its name. */
static const char *default_pattern(const msgsrv_queue_options *options, const char *name)
{
    return options->type_count ? ">" : name;
}

static core_queue *queue_new(msi_core *core, msi_view name, const msgsrv_queue_options *options,
                             const msi_queue_settings *settings)
{
    size_t patterns = texts_size(options->patterns, options->pattern_count) + MSI_TOPIC_MAX + 2;
    core_queue *queue =
        calloc(1, sizeof *queue + name.size + 1 + patterns + texts_size(options->types, options->type_count));
    if (!queue)
        return NULL;
    queue->core = core;
    queue->settings = *settings;
    LIST_INIT(&queue->takers);
    char *at = queue->text;
    queue->node.name = (msi_view){memcpy(at, name.data, name.size), name.size};
    at += name.size + 1;
    const char *fallback = default_pattern(options, queue->text);
    bool made = options->pattern_count
                    ? copy_texts(&queue->patterns, &queue->pattern_count, options->patterns, options->pattern_count, &at)
                    : copy_texts(&queue->patterns, &queue->pattern_count, &fallback, 1, &at);
    made = made && copy_texts(&queue->types, &queue->type_count, options->types, options->type_count, &at);
    queue->bindings = made ? calloc(queue->pattern_count, sizeof *queue->bindings) : NULL;
    if (!queue->bindings) {
        queue_free(queue);
        return NULL;
    }
    return queue;
}

static void unbind(core_queue *queue, uint32_t count)
{
    while (count > 0)
        msi_matcher_remove(queue->core->matcher, &queue->bindings[--count].entry);
}

static msgsrv_status bind(core_queue *queue, msgsrv_error *error)
{
    for (uint32_t i = 0; i < queue->pattern_count; i++) {
        binding *bound = &queue->bindings[i];
        *bound = (binding){.kind = BINDS_QUEUE, .pattern = msi_view_of(queue->patterns[i]), .of = queue};
        msgsrv_status status = msi_matcher_add(queue->core->matcher, bound->pattern, &bound->entry, error);
        if (status != MSGSRV_OK) {
            unbind(queue, i);
            return status;
        }
    }
    return MSGSRV_OK;
}

static msgsrv_status check_bindings(const msgsrv_queue_options *options, msgsrv_error *error)
{
    if (options->pattern_count > MSI_BINDINGS_MAX || options->type_count > MSI_BINDINGS_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "a queue takes at most %u patterns and as many types",
                         MSI_BINDINGS_MAX);
    for (size_t i = 0; i < options->pattern_count; i++) {
        char wrong[MSGSRV_ERROR_TEXT];
        msi_view pattern = msi_view_of(options->patterns[i]);
        if (!msi_pattern_valid(pattern, wrong, sizeof wrong))
            return msi_error(error, MSGSRV_INVALID_ARGUMENT, "the pattern \"%s\" %s", options->patterns[i], wrong);
    }
    for (size_t i = 0; i < options->type_count; i++) {
        msgsrv_status status = msi_check_type_name(msi_view_of(options->types[i]), error);
        if (status != MSGSRV_OK)
            return status;
    }
    return MSGSRV_OK;
}

static bool same_texts(const char **a, uint32_t count, const char *const *b, size_t other)
{
    if (count != other)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0)
            return false;
    }
    return true;
}

/* The option in which a queue is not as it is declared again; NULL: it is. */
static const char *difference(const core_queue *queue, const msgsrv_queue_options *options,
                              const msi_queue_settings *settings)
{
    const msi_queue_settings *has = &queue->settings;
    const char *fallback = default_pattern(options, queue->text);
    if (!(options->pattern_count
              ? same_texts(queue->patterns, queue->pattern_count, options->patterns, options->pattern_count)
              : same_texts(queue->patterns, queue->pattern_count, &fallback, 1)))
        return "patterns";
    if (!same_texts(queue->types, queue->type_count, options->types, options->type_count))
        return "types";
    return has->max_messages != settings->max_messages           ? "max_messages"
           : has->max_bytes != settings->max_bytes               ? "max_bytes"
           : has->drop_oldest != settings->drop_oldest           ? "full"
           : has->ack_wait_ns != settings->ack_wait_ns           ? "ack_wait_ms"
           : has->max_deliver != settings->max_deliver           ? "max_deliver"
           : has->ttl_ns != settings->ttl_ns                     ? "ttl_ms"
           : has->no_dead_letters != settings->no_dead_letters   ? "no_dead_letters"
           : has->max_dead_letters != settings->max_dead_letters ? "max_dead_letters"
           : has->dedup_ns != settings->dedup_ns                 ? "dedup_ms"
           : has->dedup_ids != settings->dedup_ids               ? "dedup_ids"
                                                                 : NULL;
}

static msgsrv_status check_capabilities(const msi_core *core, const msi_queue_settings *settings, msgsrv_error *error)
{
    const struct {
        bool wanted;
        msi_capability needs;
    } checks[] = {{true, MSI_CAN_ACK_WAIT},
                  {settings->max_deliver != 0, MSI_CAN_DELIVERY_COUNT},
                  {!settings->no_dead_letters, MSI_CAN_DEAD_LETTER},
                  {settings->ttl_ns != 0, MSI_CAN_TTL},
                  {settings->drop_oldest, MSI_CAN_FULL_DROP},
                  {!settings->drop_oldest, MSI_CAN_FULL_REFUSE},
                  {settings->dedup_ns != 0, MSI_CAN_DEDUP}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (checks[i].wanted && !(core->ops->capabilities & 1u << checks[i].needs))
            return msi_error(error, MSGSRV_UNIMPLEMENTED, "the engine %s has no %s", core->ops->scheme,
                             msi_capability_name(checks[i].needs));
    }
    return MSGSRV_OK;
}

static msgsrv_status add_queue(msi_core *core, core_queue *queue, msgsrv_error *error)
{
    msgsrv_status status = bind(queue, error);
    if (status != MSGSRV_OK)
        return status;
    if (msi_names_add(&core->queues, &queue->node))
        status = core->ops->queue_open(core->engine, queue->text, &queue->settings, queue, &queue->queue, error);
    else
        status = msi_error_memory(error);
    if (status != MSGSRV_OK) {
        if (msi_names_find(&core->queues, queue->node.name) == &queue->node)
            msi_names_remove(&core->queues, &queue->node);
        unbind(queue, queue->pattern_count);
        return status;
    }
    TAILQ_INSERT_TAIL(&core->all_queues, queue, all);
    core->generation++;
    return MSGSRV_OK;
}

/* "$dlq.NAME": its bounds alone can be set. */
static msgsrv_status declare_dead(msi_core *core, core_queue *queue, msi_view name, const msi_queue_settings *settings,
                                  msgsrv_error *error)
{
    if (!queue)
        return not_found(name, error);
    core->ops->bound_dead(queue->queue, msi_now(), settings->max_messages);
    return MSGSRV_OK;
}

static msgsrv_status declare(msi_core *core, msi_view name, const msgsrv_queue_options *options,
                             const msi_queue_settings *settings, bool *existed, msgsrv_error *error)
{
    bool dead;
    core_queue *queue = find(core, name, &dead);
    *existed = queue != NULL;
    if (dead)
        return declare_dead(core, queue, name, settings, error);
    if (queue) {
        const char *other = difference(queue, options, settings);
        return other ? msi_error(error, MSGSRV_ALREADY_EXISTS,
                                 "the queue %s is there with another value of %s; delete it to "
                                 "declare it anew",
                                 queue->text, other)
                     : MSGSRV_OK;
    }
    if (core->queues.count >= core->limits.max_queues)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED, "the bus has %u queues, which is its limit (max_queues)",
                         core->limits.max_queues);
    queue = queue_new(core, name, options, settings);
    if (!queue)
        return msi_error_memory(error);
    msgsrv_status status = add_queue(core, queue, error);
    if (status != MSGSRV_OK)
        queue_free(queue);
    return status;
}

msgsrv_status msi_core_declare_queue(msi_core *core, msi_view name, const msgsrv_queue_options *options, bool *existed,
                                     msgsrv_error *error)
{
    static const msgsrv_queue_options defaults;
    msi_queue_settings settings;
    bool there = false;
    if (!options)
        options = &defaults;
    msgsrv_status status = msi_check_queue_name(name, true, error);
    if (status == MSGSRV_OK)
        status = msi_queue_settings_resolve(options, &settings, error);
    if (status == MSGSRV_OK)
        status = check_bindings(options, error);
    if (status == MSGSRV_OK)
        status = check_capabilities(core, &settings, error);
    if (status != MSGSRV_OK)
        return status;
    msi_core_lock(core);
    status = declare(core, name, options, &settings, &there, error);
    msi_core_unlock(core);
    if (existed)
        *existed = there;
    return status;
}

/* Its takers are told that it has gone, and close. */
static void queue_remove(core_queue *queue)
{
    msi_core *core = queue->core;
    msi_taker *taker;
    while ((taker = LIST_FIRST(&queue->takers)) != NULL) {
        LIST_REMOVE(taker, all);
        taker->queue = NULL;
        if (taker->armed) {
            taker->armed = false;
            taker->ready(taker, taker->ctx);
        }
    }
    unbind(queue, queue->pattern_count);
    msi_names_remove(&core->queues, &queue->node);
    TAILQ_REMOVE(&core->all_queues, queue, all);
    core->generation++;
    core->ops->queue_delete(core->engine, queue->queue);
    queue_free(queue);
}

void msi_queues_free(msi_core *core)
{
    core_queue *queue;
    while ((queue = TAILQ_FIRST(&core->all_queues)) != NULL)
        queue_remove(queue);
}

msgsrv_status msi_core_delete_queue(msi_core *core, msi_view name, msgsrv_error *error)
{
    bool dead;
    msi_core_lock(core);
    core_queue *queue = find(core, name, &dead);
    if (queue && !dead)
        queue_remove(queue);
    msi_core_unlock(core);
    return queue && !dead ? MSGSRV_OK : not_found(name, error);
}

/* ---- taking ---- */

static msi_taker *taker_new(msi_core *core, const msi_taker_spec *spec)
{
    size_t name = strlen(spec->name) + 1;
    size_t peer = strlen(spec->peer) + 1;
    msi_taker *taker = calloc(1, sizeof *taker + name + peer);
    if (!taker)
        return NULL;
    taker->given = malloc(FIRST_GIVEN * sizeof *taker->given);
    if (!taker->given) {
        free(taker);
        return NULL;
    }
    taker->given_room = FIRST_GIVEN;
    taker->core = msi_core_ref(core);
    taker->prefetch = spec->prefetch ? spec->prefetch : MSI_PREFETCH;
    taker->wants_bytes = spec->wants_bytes;
    taker->ready = spec->ready;
    taker->ctx = spec->ctx;
    taker->name = memcpy(taker->text, spec->name, name);
    taker->peer = memcpy(taker->text + name, spec->peer, peer);
    return taker;
}

static void taker_free(msi_taker *taker)
{
    msi_core *core = taker->core;
    free(taker->given);
    free(taker);
    msi_core_unref(core);
}

static msgsrv_status take_part(msi_core *core, msi_taker *taker, msi_view name, msgsrv_error *error)
{
    core_queue *queue = find(core, name, &taker->dead);
    if (!queue)
        return not_found(name, error);
    if (core->sub_count + core->taker_count >= core->limits.max_subscriptions)
        return msi_error(error, MSGSRV_RESOURCE_EXHAUSTED,
                         "the bus has %u subscriptions and consumers, which is its limit (max_subscriptions)",
                         core->limits.max_subscriptions);
    taker->queue = queue;
    LIST_INSERT_HEAD(&queue->takers, taker, all);
    core->taker_count++;
    *(taker->dead ? &queue->dead_taker_count : &queue->taker_count) += 1;
    taker->ready(taker, taker->ctx); /* it looks for itself what there is */
    return MSGSRV_OK;
}

msgsrv_status msi_core_consume(msi_core *core, const msi_taker_spec *spec, msi_taker **out, msgsrv_error *error)
{
    msgsrv_status status = msi_check_queue_name(spec->queue, true, error);
    if (status != MSGSRV_OK)
        return status;
    if (spec->prefetch > MSI_PREFETCH_MAX)
        return msi_error(error, MSGSRV_INVALID_ARGUMENT, "prefetch is %u; it may be 1 to %u", spec->prefetch,
                         MSI_PREFETCH_MAX);
    msi_taker *taker = taker_new(core, spec);
    if (!taker)
        return msi_error_memory(error);
    msi_core_lock(core);
    *out = taker;
    status = take_part(core, taker, spec->queue, error);
    msi_core_unlock(core);
    if (status != MSGSRV_OK) {
        *out = NULL;
        taker_free(taker);
    }
    return status;
}

static void give_back(msi_taker *taker)
{
    for (size_t i = 0; i < taker->given_count; i++)
        msi_event_unref(taker->given[i]);
    taker->given_count = 0;
}

static size_t room_for(msi_taker *taker, size_t max)
{
    if (max <= taker->given_room)
        return max;
    msi_event **given = realloc(taker->given, max * sizeof *given);
    if (!given)
        return taker->given_room;
    taker->given = given;
    taker->given_room = max;
    return max;
}

size_t msi_take_deliveries(msi_taker *taker, msi_queue_delivery *deliveries, size_t max, bool *ended)
{
    msi_core *core = taker->core;
    size_t count = 0;
    msi_core_lock(core);
    give_back(taker);
    max = room_for(taker, max);
    core_queue *queue = taker->queue;
    *ended = !queue;
    uint64_t now = msi_now();
    if (queue)
        core->ops->advance(queue->queue, now); /* what was not settled in time does not count against the prefetch */
    while (queue && count < max) {
        if (taker->consumer.unsettled >= taker->prefetch ||
            !core->ops->take(queue->queue, taker->dead, now, &taker->consumer, &deliveries[count])) {
            taker->armed = true;
            break;
        }
        msi_event *event = deliveries[count].event;
        if (taker->wants_bytes && !msi_event_encode(event)) {
            /* Without memory for its bytes: later. */
            (void)core->ops->settle(queue->queue, now, deliveries[count].id, &taker->consumer, MSGSRV_NAK, MSI_MS * 100,
                                    "no memory");
            continue;
        }
        taker->given[count++] = msi_event_ref(event);
    }
    taker->given_count = count;
    msi_core_unlock(core);
    return count;
}

msgsrv_status msi_taker_settle_locked(msi_taker *taker, uint64_t delivery, msgsrv_settlement settlement,
                                      uint32_t delay_ms, const char *reason)
{
    if (!taker->queue)
        return MSGSRV_NOT_FOUND;
    msgsrv_status status = taker->core->ops->settle(taker->queue->queue, msi_now(), delivery, &taker->consumer,
                                                    settlement, delay_ms * MSI_MS, reason);
    /* There is room in the prefetch again. */
    if (taker->armed && taker->consumer.unsettled + 1 == taker->prefetch) {
        taker->armed = false;
        taker->ready(taker, taker->ctx);
    }
    return status;
}

msgsrv_status msi_taker_settle(msi_taker *taker, uint64_t delivery, msgsrv_settlement settlement, uint32_t delay_ms,
                               const char *reason)
{
    msi_core *core = taker->core;
    msi_core_lock(core);
    msgsrv_status status = msi_taker_settle_locked(taker, delivery, settlement, delay_ms, reason);
    msi_core_unlock(core);
    return status;
}

uint64_t msi_taker_due(msi_taker *taker)
{
    msi_core_lock(taker->core);
    uint64_t due = taker->queue ? taker->core->ops->due(taker->queue->queue) : 0;
    msi_core_unlock(taker->core);
    return due;
}

void msi_taker_leave(msi_taker *taker)
{
    if (!taker)
        return;
    msi_core *core = taker->core;
    msi_core_lock(core);
    taker->armed = false;
    core->taker_count--;
    core_queue *queue = taker->queue;
    if (queue) {
        LIST_REMOVE(taker, all);
        *(taker->dead ? &queue->dead_taker_count : &queue->taker_count) -= 1;
        core->ops->consumer_gone(queue->queue, msi_now(), &taker->consumer);
        taker->queue = NULL;
    }
    msi_core_unlock(core);
}

void msi_taker_free(msi_taker *taker)
{
    if (!taker)
        return;
    msi_core_lock(taker->core);
    give_back(taker);
    msi_core_unlock(taker->core);
    taker_free(taker);
}

void msi_taker_close(msi_taker *taker)
{
    msi_taker_leave(taker);
    msi_taker_free(taker);
}

/* ---- looking after ---- */

msgsrv_status msi_core_peek(msi_core *core, msi_view name, uint64_t after, uint32_t max, msgsrv_queued_fn fn, void *ctx,
                            msgsrv_error *error)
{
    bool dead;
    msi_core_lock(core);
    core_queue *queue = find(core, name, &dead);
    if (queue)
        core->ops->peek(queue->queue, dead, msi_now(), msi_core_wall_us(), after, max, fn, ctx);
    msi_core_unlock(core);
    return queue ? MSGSRV_OK : not_found(name, error);
}

msgsrv_status msi_core_retry(msi_core *core, msi_view name, uint64_t id, uint64_t *count, msgsrv_error *error)
{
    bool dead;
    uint64_t done = 0;
    msi_core_lock(core);
    core_queue *queue = find(core, name, &dead);
    msgsrv_status status = queue && !dead ? core->ops->retry(queue->queue, msi_now(), id, &done) : MSGSRV_NOT_FOUND;
    msi_core_unlock(core);
    if (count)
        *count = done;
    if (!queue || dead)
        return not_found(name, error);
    if (status == MSGSRV_NOT_FOUND)
        return msi_error(error, status, "the queue %.*s has no dead letter %llu", (int)name.size,
                         (const char *)name.data, (unsigned long long)id);
    if (status != MSGSRV_OK)
        return msi_error(error, status, "the queue %.*s is full: %llu dead letters went back", (int)name.size,
                         (const char *)name.data, (unsigned long long)done);
    return MSGSRV_OK;
}

msgsrv_status msi_core_purge(msi_core *core, msi_view name, uint64_t *count, msgsrv_error *error)
{
    bool dead;
    uint64_t done = 0;
    msi_core_lock(core);
    core_queue *queue = find(core, name, &dead);
    if (queue)
        done = core->ops->purge(queue->queue, dead, msi_now());
    msi_core_unlock(core);
    if (count)
        *count = done;
    return queue ? MSGSRV_OK : not_found(name, error);
}

void msi_queue_info(core_queue *queue, msgsrv_queue_info *info)
{
    *info = (msgsrv_queue_info){.name = queue->text};
    queue->core->ops->info(queue->queue, msi_now(), info);
    info->name = queue->text;
    info->consumers = queue->taker_count;
    info->refused = queue->refused;
}

msgsrv_status msi_core_queue_info(msi_core *core, msi_view name, msgsrv_queue_info *info, msgsrv_error *error)
{
    bool dead;
    msi_core_lock(core);
    core_queue *queue = find(core, name, &dead);
    if (queue && !dead)
        msi_queue_info(queue, info);
    msi_core_unlock(core);
    return queue && !dead ? MSGSRV_OK : not_found(name, error);
}

msgsrv_status msi_core_queues(msi_core *core, msi_view name, void (*visit)(const msi_queue_entry *entry, void *ctx),
                              void *ctx, msgsrv_error *error)
{
    bool found = name.size == 0;
    msi_core_lock(core);
    core_queue *queue;
    TAILQ_FOREACH(queue, &core->all_queues, all)
    {
        if (name.size && !msi_view_equal(name, queue->node.name))
            continue;
        found = true;
        msi_queue_entry entry = {.settings = &queue->settings,
                                 .patterns = queue->patterns,
                                 .pattern_count = queue->pattern_count,
                                 .types = queue->types,
                                 .type_count = queue->type_count};
        msi_queue_info(queue, &entry.info);
        visit(&entry, ctx);
    }
    msi_core_unlock(core);
    return found ? MSGSRV_OK : not_found(name, error);
}
