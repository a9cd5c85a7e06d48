/* SPDX-License-Identifier: MIT */
#include "queue_model.h"

#include <string.h>

/* ---- looking for ---- */

static model_message *lowest(model_queue *model, bool dead, model_state state)
{
    model_message *found = NULL;
    for (size_t i = 0; i < model->count; i++) {
        model_message *at = &model->messages[i];
        if (at->dead == dead && at->state == state && (!found || at->id < found->id))
            found = at;
    }
    return found;
}

const model_message *model_after(const model_queue *model, bool dead, uint64_t after)
{
    const model_message *found = NULL;
    for (size_t i = 0; i < model->count; i++) {
        const model_message *at = &model->messages[i];
        if (at->dead == dead && at->id > after && (!found || at->id < found->id))
            found = at;
    }
    return found;
}

static uint64_t total(const model_queue *model, bool dead, int state, bool bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < model->count; i++) {
        const model_message *at = &model->messages[i];
        if (at->dead == dead && (state < 0 || at->state == (model_state)state))
            sum += bytes ? at->size : 1;
    }
    return sum;
}

static bool fits(const model_queue *model, uint32_t size, bool dropping)
{
    uint64_t count = total(model, false, -1, false);
    uint64_t bytes = total(model, false, -1, true);
    if (dropping) {
        count -= total(model, false, MODEL_READY, false);
        bytes -= total(model, false, MODEL_READY, true);
    }
    return count + 1 <= model->settings.max_messages && bytes + size <= model->settings.max_bytes;
}

/* ---- changes ---- */

static void tell(model_queue *model)
{
    bool news = false;
    for (int dead = 0; dead < 2; dead++) {
        bool ready = lowest(model, dead, MODEL_READY) != NULL;
        news |= ready && !model->told[dead];
        model->told[dead] |= ready;
    }
    model->ready_calls += news;
}

static void take_out(model_queue *model, model_message *message)
{
    *message = model->messages[--model->count];
}

static void drop(model_queue *model, model_message *message, const char *reason)
{
    model->counts.dropped++;
    model->lost_calls++;
    model->lost_sequence = message->sequence;
    model->lost_reason = reason;
    take_out(model, message);
}

static void trim(model_queue *model)
{
    model_message *oldest;
    while ((total(model, true, -1, false) > model->settings.max_dead_letters ||
            total(model, true, -1, true) > model->settings.max_bytes) &&
           (oldest = lowest(model, true, MODEL_READY)) != NULL)
        drop(model, oldest, "dead-letters-full");
}

static void die(model_queue *model, model_message *message, const char *reason)
{
    if (model->settings.no_dead_letters) {
        drop(model, message, reason);
        return;
    }
    message->id = ++model->last_id;
    message->dead = true;
    message->state = MODEL_READY;
    message->reason = reason;
    message->died = model->now;
    message->expires = 0;
    message->dead_count = 0;
    message->deaths++;
    trim(model);
}

static bool expired(const model_queue *model, const model_message *message)
{
    return message->expires != 0 && message->expires <= model->now;
}

static void come_back(model_queue *model, model_message *message, uint64_t delay)
{
    uint32_t max = model->settings.max_deliver;
    if (!message->dead && max != 0 && message->count >= max) {
        die(model, message, "max-deliver");
    } else if (expired(model, message)) {
        model->counts.expired++;
        die(model, message, "expired");
    } else if (delay) {
        message->state = MODEL_DELAYED;
        message->not_before = model->now + delay;
    } else {
        message->state = MODEL_READY;
        trim(model);
    }
}

/* When time brings something to it; 0: never. */
static uint64_t moment_of(const model_message *message)
{
    uint64_t moment = message->expires;
    if (message->state == MODEL_UNSETTLED)
        return message->ack_end;
    if (message->state == MODEL_DELAYED && (moment == 0 || message->not_before < moment))
        moment = message->not_before;
    return moment;
}

/* The first that is due, in the order of moments; those with the same one as they began to wait, or by id. */
static model_message *first_due(model_queue *model, bool unsettled)
{
    model_message *found = NULL;
    for (size_t i = 0; i < model->count; i++) {
        model_message *at = &model->messages[i];
        uint64_t moment = moment_of(at);
        if ((at->state == MODEL_UNSETTLED) != unsettled || moment == 0 || moment > model->now)
            continue;
        uint64_t tie = unsettled ? at->stamp : at->id;
        if (!found || moment < moment_of(found) ||
            (moment == moment_of(found) && tie < (unsettled ? found->stamp : found->id)))
            found = at;
    }
    return found;
}

static void advance(model_queue *model, uint64_t now)
{
    model_message *due;
    if (now > model->now)
        model->now = now;
    while ((due = first_due(model, true)) != NULL) {
        model->told[due->dead] = false;
        come_back(model, due, 0);
    }
    while ((due = first_due(model, false)) != NULL) {
        if (expired(model, due)) {
            model->counts.expired++;
            die(model, due, "expired");
        } else {
            due->state = MODEL_READY;
            trim(model);
        }
    }
    while (model->id_count > 0 && model->ids[0].end <= model->now)
        memmove(model->ids, model->ids + 1, --model->id_count * sizeof model->ids[0]);
}

/* ---- what a queue can be asked ---- */

void model_advance(model_queue *model, uint64_t now)
{
    advance(model, now);
    tell(model);
}

msgsrv_status model_check(model_queue *model, uint64_t now, uint32_t size, uint64_t id, uint64_t *sequence)
{
    model_advance(model, now);
    for (size_t i = 0; id != 0 && i < model->id_count; i++) {
        if (model->ids[i].id == id) {
            model->counts.duplicates++;
            *sequence = model->ids[i].sequence;
            return MSGSRV_ALREADY_EXISTS;
        }
    }
    if (fits(model, size, model->settings.drop_oldest))
        return MSGSRV_OK;
    model->counts.refused++;
    return MSGSRV_RESOURCE_EXHAUSTED;
}

static void add_id(model_queue *model, uint64_t id, uint64_t event)
{
    if (id == 0 || model->settings.dedup_ns == 0 || model->settings.dedup_ids == 0)
        return;
    if (model->id_count == model->settings.dedup_ids) {
        memmove(model->ids, model->ids + 1, --model->id_count * sizeof model->ids[0]);
        model->counts.dedup_evicted++;
    }
    model->ids[model->id_count].id = id;
    model->ids[model->id_count].end = model->now + model->settings.dedup_ns;
    model->ids[model->id_count++].sequence = event;
}

void model_put(model_queue *model, uint64_t now, uint64_t event, uint32_t size, uint64_t id, uint64_t ttl, uint64_t delay)
{
    advance(model, now);
    while (!fits(model, size, false))
        die(model, lowest(model, false, MODEL_READY), "full");
    model_message *message = &model->messages[model->count++];
    *message = (model_message){.id = ++model->last_id, .sequence = event, .size = size};
    message->ttl = ttl ? ttl : model->settings.ttl_ns;
    message->expires = message->ttl ? model->now + message->ttl : 0;
    message->state = delay ? MODEL_DELAYED : MODEL_READY;
    message->not_before = model->now + delay;
    model->counts.published++;
    add_id(model, id, event);
    tell(model);
}

static void begin_wait(model_queue *model, model_message *message)
{
    message->ack_end = model->now + model->settings.ack_wait_ns;
    message->stamp = ++model->last_stamp;
}

model_message *model_take(model_queue *model, bool dead, uint64_t now, const msi_queue_consumer *consumer)
{
    model_advance(model, now);
    model_message *message = lowest(model, dead, MODEL_READY);
    if (!message) {
        model->told[dead] = false;
        return NULL;
    }
    message->state = MODEL_UNSETTLED;
    message->consumer = consumer;
    begin_wait(model, message);
    if (dead) {
        message->dead_count++;
    } else {
        message->count++;
        model->counts.delivered++;
        model->counts.redelivered += message->count > 1;
    }
    return message;
}

static void said(model_message *message, const char *reason)
{
    if (reason && !message->first_error)
        message->first_error = reason;
    if (reason)
        message->last_error = reason;
}

static void settle(model_queue *model, model_message *message, msgsrv_settlement settlement, uint64_t delay,
                   const char *reason)
{
    bool live = !message->dead;
    switch (settlement) {
    case MSGSRV_EXTEND:
        begin_wait(model, message);
        break;
    case MSGSRV_ACK:
        model->counts.acked += live;
        take_out(model, message);
        break;
    case MSGSRV_NAK:
        said(message, reason);
        come_back(model, message, delay);
        break;
    default:
        model->counts.rejected += live;
        said(message, reason);
        if (live)
            die(model, message, "rejected");
        else
            take_out(model, message);
    }
}

msgsrv_status model_settle(model_queue *model, uint64_t now, uint64_t delivery, const msi_queue_consumer *consumer,
                           msgsrv_settlement settlement, uint64_t delay, const char *reason)
{
    model_advance(model, now);
    for (size_t i = 0; i < model->count; i++) {
        model_message *at = &model->messages[i];
        if (at->state == MODEL_UNSETTLED && at->delivery == delivery && at->consumer == consumer) {
            settle(model, at, settlement, delay, reason);
            tell(model);
            return MSGSRV_OK;
        }
    }
    return MSGSRV_NOT_FOUND;
}

static model_message *oldest_delivery(model_queue *model, const msi_queue_consumer *consumer)
{
    model_message *found = NULL;
    for (size_t i = 0; i < model->count; i++) {
        model_message *at = &model->messages[i];
        if (at->state == MODEL_UNSETTLED && at->consumer == consumer && (!found || at->delivery < found->delivery))
            found = at;
    }
    return found;
}

void model_gone(model_queue *model, uint64_t now, const msi_queue_consumer *consumer)
{
    model_message *message;
    model_advance(model, now);
    while ((message = oldest_delivery(model, consumer)) != NULL)
        come_back(model, message, 0);
    tell(model);
}

msgsrv_status model_retry(model_queue *model, uint64_t now, uint64_t id, uint64_t *count)
{
    uint64_t after = 0;
    const model_message *next;
    *count = 0;
    model_advance(model, now);
    while ((next = model_after(model, true, after)) != NULL) {
        model_message *message = &model->messages[next - model->messages];
        after = message->id;
        if (message->state == MODEL_UNSETTLED || (id != 0 && message->id != id))
            continue;
        if (!fits(model, message->size, false)) {
            tell(model);
            return MSGSRV_RESOURCE_EXHAUSTED;
        }
        message->id = ++model->last_id;
        message->dead = false;
        message->state = MODEL_READY;
        message->count = 0;
        message->reason = NULL;
        message->expires = message->ttl ? model->now + message->ttl : 0;
        ++*count;
    }
    tell(model);
    return id == 0 || *count > 0 ? MSGSRV_OK : MSGSRV_NOT_FOUND;
}

uint64_t model_purge(model_queue *model, bool dead, uint64_t now)
{
    uint64_t count = 0;
    model_advance(model, now);
    for (size_t i = model->count; i-- > 0;) {
        model_message *at = &model->messages[i];
        if (at->dead == dead && at->state != MODEL_UNSETTLED) {
            take_out(model, at);
            count++;
        }
    }
    return count;
}

void model_bound_dead(model_queue *model, uint64_t now, uint32_t max)
{
    model_advance(model, now);
    model->settings.max_dead_letters = max;
    trim(model);
}

uint64_t model_due(const model_queue *model)
{
    uint64_t due = model->id_count ? model->ids[model->id_count - 1].end : 0;
    for (size_t i = 0; i < model->count; i++) {
        uint64_t moment = moment_of(&model->messages[i]);
        if (moment != 0 && (due == 0 || moment < due))
            due = moment;
    }
    return due;
}

uint32_t model_held(const model_queue *model, const msi_queue_consumer *consumer)
{
    uint32_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count += model->messages[i].state == MODEL_UNSETTLED && model->messages[i].consumer == consumer;
    return count;
}

void model_info(const model_queue *model, msgsrv_queue_info *info)
{
    *info = model->counts;
    info->messages = total(model, false, -1, false);
    info->bytes = total(model, false, -1, true);
    info->unsettled = total(model, false, MODEL_UNSETTLED, false);
    info->delayed = total(model, false, MODEL_DELAYED, false);
    info->dead = total(model, true, -1, false);
}
