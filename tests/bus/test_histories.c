/* SPDX-License-Identifier: MIT */
/*
 * histories ENGINE [COUNT]: random histories of publishers, subscribers, groups and consumers, which join, leave, stall and crash; what they
 * were told is compared with what the bus guarantees. In one process the same seed is the same history. A seed that fails is printed;
 * MSGSRV_BUS_SEED=N runs that one alone.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "world.h"

enum {
    TOPICS = 4, /* h.0 to h.3; the queue takes the first two */
    QUEUED = 2,
    PUBLISHERS = 3,
    EVENTS = 4000, /* of a topic, at most */
    SUBS = 24,
    GROUPS = 2, /* the first one always has a member */
    MEMBERS = 24,
    CONSUMERS = 16,
    STEPS = 120,
    SPARE_HANDLES = 6,
    NOBODY = 255 /* the bus's own handle, which has no name */
};

/* What was accepted: who published which number. */
typedef struct accepted {
    uint8_t publisher;
    int32_t value;
} accepted;

/* A subscriber, or a member of a group. */
typedef struct listener {
    bt_sub *sub;
    int group;              /* -1: none */
    unsigned era;           /* of the group */
    unsigned topics;        /* a bit for each that it asked for */
    unsigned cuts;          /* there had been when it began */
    size_t skip;            /* items of earlier eras */
    uint64_t begin[TOPICS]; /* the last sequence when it was ready */
    bool begun;
    bool left;
    bool dies_at; /* inside its handler, at the next event */
} listener;

typedef struct history {
    uint64_t random;
    bt_handle *publishers[PUBLISHERS];
    int32_t values[PUBLISHERS][TOPICS]; /* published */
    accepted log[TOPICS][EVENTS + 1];
    uint64_t last[TOPICS];
    listener subs[SUBS];
    unsigned sub_count;
    listener members[MEMBERS];
    unsigned member_count;
    unsigned era[GROUPS];
    uint64_t group_begin[GROUPS][TOPICS]; /* of the era */
    bt_consumer *consumers[CONSUMERS];
    unsigned consumer_count;
    bool acked[QUEUED][EVENTS + 1];
    unsigned cuts; /* the connections of all were lost so often */
    uint64_t acks;
} history;

static history *h;
static uint64_t *failing; /* shared with the process that runs the test */

static uint32_t below(uint32_t bound)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return (uint32_t)((h->random >> 11) % bound);
}

static int topic_of(const char *name)
{
    TS_CHECK(name[0] == 'h' && name[1] == '.' && name[2] >= '0' && name[2] < '0' + TOPICS, "an event of %s", name);
    return name[2] - '0';
}

/* ---- what happens ---- */

static void publish(void)
{
    static char name[] = "h.0";
    unsigned who = below(PUBLISHERS), on = below(TOPICS), count = 1 + below(below(8) == 0 ? 60 : 6);
    name[2] = (char)('0' + on);
    for (unsigned i = 0; i < count && h->last[on] < EVENTS; i++) {
        int32_t value = ++h->values[who][on];
        msgsrv_receipt receipt = bt_publish(h->publishers[who], name, value);
        TS_CHECK(receipt.sequence == h->last[on] + 1, "%s: sequence %llu after %llu", name,
                 (unsigned long long)receipt.sequence, (unsigned long long)h->last[on]);
        h->log[on][receipt.sequence] = (accepted){(uint8_t)who, value};
        h->last[on] = receipt.sequence;
    }
}

/* Each event is what was published, and a member that is to die does so before its handler has returned. */
static void on_event(bt_sub *sub, const msgsrv_event *event)
{
    listener *of = sub->ctx;
    int on = topic_of(event->topic);
    TS_CHECK(event->sequence >= 1 && event->sequence <= h->last[on] + 1, "%s: an event %llu that was not published",
             event->topic, (unsigned long long)event->sequence);
    if (event->sequence <= h->last[on]) {
        const accepted *was = &h->log[on][event->sequence];
        TS_CHECK(
            bt_decode(event->payload, event->payload_size) == was->value &&
                (was->publisher == NOBODY ? event->publisher[0] == '\0' : event->publisher[1] == '0' + was->publisher),
            "%s: event %llu is another one", event->topic, (unsigned long long)event->sequence);
    }
    if (of->dies_at) {
        of->left = true;
        bt_free(sub->handle);
    }
}

static void on_ready(bt_sub *sub)
{
    listener *of = sub->ctx;
    if (!of->begun)
        memcpy(of->begin, h->last, sizeof of->begin);
    of->begun = true;
}

static bool room_for_handles(void)
{
    return bt.handle_count < BT_HANDLES - SPARE_HANDLES;
}

static void listen(listener *of, int group)
{
    static const char *const patterns[] = {"h.*", "h.>", "h.0", "h.3"};
    static const unsigned topics[] = {0xf, 0xf, 0x1, 0x8};
    static const char *const names[] = {"g0", "g1"};
    unsigned pattern = below(4);
    msgsrv_subscribe_options options = {.pattern = "h.*", .max_events = 1 + below(40)};
    options.policy = (msgsrv_bus_policy)below(4);
    if (group < 0)
        options.pattern = patterns[pattern];
    else
        options = (msgsrv_subscribe_options){.pattern = "h.*", .max_events = 1000000, .group = names[group]};
    *of = (listener){.group = group, .topics = group < 0 ? topics[pattern] : 0xf, .cuts = h->cuts};
    of->sub = bt_subscribe_start(bt_handle_new("sub"), NULL, &options,
                                 &(bt_sub){.on_event = on_event, .on_ready = on_ready, .ctx = of});
    BT_UNTIL(of->begun || of->sub->ended);
    TS_CHECK(of->begun, "a subscription was refused: %s", of->sub->text);
}

static bool is_live(const listener *of)
{
    return !of->left && of->sub->ended == 0 && of->sub->handle->bus != NULL;
}

static unsigned live_members(int group)
{
    unsigned count = 0;
    for (unsigned i = 0; i < h->member_count; i++)
        count += h->members[i].group == group && is_live(&h->members[i]) && !h->members[i].dies_at;
    return count;
}

static void join_group(int group)
{
    if (h->member_count == MEMBERS || !room_for_handles())
        return;
    bool first = live_members(group) == 0;
    listener *of = &h->members[h->member_count];
    listen(of, group);
    h->member_count++;
    if (first) {
        h->era[group]++;
        memcpy(h->group_begin[group], of->begin, sizeof of->begin);
    }
    of->era = h->era[group];
}

/* A listener goes, in one of the ways in which one can. */
static void leave(listener *of)
{
    unsigned way = below(4);
    of->left = true;
    if (way == 0 && of->sub->handle->stalled)
        of->sub->handle->stalled = false;
    if (way <= 1) {
        msgsrv_bus_unsubscribe(of->sub->handle->bus, of->sub->id);
        if (!of->sub->handle->stalled)
            BT_UNTIL(of->sub->ended == 1);
    } else {
        bt_free(of->sub->handle);
    }
}

static void move_listener(listener *of)
{
    unsigned what = below(8);
    if (!is_live(of) || of->dies_at)
        return;
    if (what == 0 && (of->group != 0 || live_members(0) > 1))
        leave(of);
    else if (what == 1 && of->group == 0 && live_members(0) > 1)
        of->dies_at = true;
    else
        of->sub->handle->stalled = what < 5;
}

static msgsrv_status on_message(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    int on = topic_of(delivery->event->topic);
    (void)consumer;
    TS_CHECK(on < QUEUED, "a message of another topic");
    TS_CHECK(!h->acked[on][delivery->event->sequence], "%s: %llu came again after its confirmed ack",
             delivery->event->topic, (unsigned long long)delivery->event->sequence);
    return MSGSRV_DEFERRED;
}

static void consume(void)
{
    if (h->consumer_count == CONSUMERS || !room_for_handles())
        return;
    bt_consumer *consumer =
        bt_consume_start(bt_handle_new("worker"), "q", NULL, &(msgsrv_consume_options){.prefetch = 1 + below(10)},
                         &(bt_consumer){.on_message = on_message});
    h->consumers[h->consumer_count++] = consumer;
    BT_UNTIL(consumer->ready + consumer->ended != 0);
}

static void settle(bt_consumer *consumer, msgsrv_settlement settlement)
{
    if (consumer->count == 0)
        return;
    const bt_delivery *item =
        &consumer->items[consumer->count - 1 - below(consumer->count < 10 ? (uint32_t)consumer->count : 10)];
    int on = topic_of(item->topic);
    uint64_t sequence = item->sequence;
    msgsrv_status status = bt_settle(consumer->handle, item->id, settlement, 0, "because");
    TS_CHECK(status == MSGSRV_OK || status == MSGSRV_NOT_FOUND, "settling: %s", msgsrv_status_name(status));
    if (status == MSGSRV_OK && settlement == MSGSRV_ACK) {
        TS_CHECK(!h->acked[on][sequence], "an ack was confirmed twice");
        h->acked[on][sequence] = true;
        h->acks++;
    }
}

static void move_consumer(bt_consumer *consumer)
{
    unsigned what = below(20);
    if (consumer->handle->bus == NULL)
        return;
    if (what == 0) {
        bt_free(consumer->handle);
    } else if (what < 4) {
        consumer->handle->stalled = what < 3;
    } else if (!consumer->handle->stalled) {
        settle(consumer, what == 4 ? MSGSRV_REJECT : what < 8 ? MSGSRV_NAK : what == 8 ? MSGSRV_EXTEND : MSGSRV_ACK);
    }
}

/* What is published while nobody has a connection. */
static void publish_meanwhile(void)
{
    static char name[] = "h.0";
    unsigned on = below(TOPICS), count = below(12);
    name[2] = (char)('0' + on);
    for (unsigned i = 0; i < count && h->last[on] < EVENTS; i++) {
        uint8_t payload[16];
        msgsrv_receipt receipt;
        msgsrv_bytes bytes = {.data = payload, .size = bt_encode(payload, ++h->values[0][on], 0)};
        msgsrv_status status = msgsrv_bus_publish(bt.host, name, &msgsrv_raw_type, &bytes,
                                                  &(msgsrv_publish_options){.type = BT_TYPE}, &receipt, NULL);
        TS_CHECK(status == MSGSRV_OK && receipt.sequence == h->last[on] + 1, "publishing at the bus");
        h->log[on][receipt.sequence] = (accepted){NOBODY, h->values[0][on]};
        h->last[on] = receipt.sequence;
    }
}

/* The server goes, with all connections, and comes again. Groups end with their last members. */
static void cut(void)
{
    for (size_t i = 0; i < bt.handle_count; i++)
        bt.handles[i].stalled = false;
    bt_server_stop();
    h->cuts++;
    publish_meanwhile();
    publish_meanwhile();
    bt_server_start(false);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        BT_UNTIL(bt_try(h->publishers[i], "again", BT_TYPE, "\x08\x01", 2, NULL, NULL, NULL) == MSGSRV_OK);
    for (unsigned i = 0; i < h->sub_count; i++)
        BT_UNTIL(!is_live(&h->subs[i]) || h->subs[i].sub->ready == h->cuts - h->subs[i].cuts + 1);
    for (unsigned i = 0; i < h->member_count; i++)
        BT_UNTIL(!is_live(&h->members[i]) || h->members[i].sub->ready == h->cuts - h->members[i].cuts + 1);
    for (int group = 0; group < GROUPS; group++) {
        memcpy(h->group_begin[group], h->last, sizeof h->last);
        h->era[group]++;
        for (unsigned i = 0; i < h->member_count; i++)
            if (h->members[i].group == group && is_live(&h->members[i])) {
                h->members[i].era = h->era[group];
                h->members[i].skip = h->members[i].sub->count;
            }
    }
}

static void step(void)
{
    if (bt_engine_used.remote && h->cuts < 2 && below(60) == 0) {
        cut();
        return;
    }
    unsigned what = below(32);
    if (what < 12)
        publish();
    else if (what < 14 && h->sub_count < SUBS && room_for_handles())
        listen(&h->subs[h->sub_count++], -1);
    else if (what < 17 && h->sub_count != 0)
        move_listener(&h->subs[below(h->sub_count)]);
    else if (what < 19)
        join_group((int)below(GROUPS));
    else if (what < 22 && h->member_count != 0)
        move_listener(&h->members[below(h->member_count)]);
    else if (what < 23)
        consume();
    else if (what < 28 && h->consumer_count != 0)
        move_consumer(h->consumers[below(h->consumer_count)]);
    else
        bt_turn();
}

/* ---- what must hold afterwards ---- */

static bool gap_has(const bt_gap *gap, const char *topic)
{
    for (size_t i = 0; gap != NULL && i < gap->topic_count; i++)
        if (strcmp(gap->topics[i].topic, topic) == 0)
            return true;
    return false;
}

/* The first sequence of a topic that a subscription was told in any way; 0: none. */
static uint64_t told_first(const listener *of, int on)
{
    const char topic[] = {'h', '.', (char)('0' + on), '\0'};
    for (size_t i = 0; i < of->sub->count; i++) {
        const bt_item *item = &of->sub->items[i];
        if (item->gap == NULL && strcmp(item->topic, topic) == 0)
            return item->sequence - item->replaced;
        if (gap_has(item->gap, topic)) {
            uint64_t first = bt_gap_of(item->gap, topic)->first;
            return first == 0 && item->gap->unknown ? of->begin[on] + 1 : first;
        }
    }
    return 0;
}

/* No event is neither told nor in a gap, none comes twice, and they come in order. */
static void check_sub(const listener *of)
{
    char topic[] = "h.0";
    for (int on = 0; on < TOPICS; on++) {
        topic[2] = (char)('0' + on);
        uint64_t first = told_first(of, on), last = bt_told_last(of->sub, topic);
        if (first == 0) {
            TS_CHECK(!is_live(of) || !(of->topics >> on & 1) || h->last[on] == of->begin[on], "%s: nothing was told",
                     topic);
            continue;
        }
        TS_CHECK(of->topics >> on & 1, "%s was not asked for", topic);
        bt_check_told(of->sub, topic, first, last);
        TS_CHECK(first <= of->begin[on] + 1, "%s: %llu to %llu were not told", topic,
                 (unsigned long long)of->begin[on] + 1, (unsigned long long)first - 1);
        if (is_live(of))
            TS_CHECK(last == h->last[on], "%s: told up to %llu of %llu", topic, (unsigned long long)last,
                     (unsigned long long)h->last[on]);
        if (of->sub->ended == 1 && of->sub->status == MSGSRV_RESOURCE_EXHAUSTED && gap_has(of->sub->end_gap, topic))
            TS_CHECK(bt_gap_of(of->sub->end_gap, topic)->first == last + 1, "%s: the last gap is not at the end", topic);
    }
}

/* What members of the group's era got: how often without the mark, and whether with it. */
static uint8_t plain[TOPICS][EVENTS + 1], marked[TOPICS][EVENTS + 1];

static void count_member(const listener *of)
{
    uint64_t at[TOPICS] = {0};
    for (size_t k = of->skip; k < of->sub->count; k++) {
        const bt_item *item = &of->sub->items[k];
        if (item->gap != NULL && item->gap->reason == MSGSRV_GAP_DISCONNECTED)
            continue;
        TS_CHECK(item->gap == NULL, "a group that was not full lost something");
        int on = topic_of(item->topic);
        if (item->redelivered) {
            marked[on][item->sequence] = 1;
            continue;
        }
        TS_CHECK(plain[on][item->sequence]++ == 0, "%s: %llu came twice without a mark", item->topic,
                 (unsigned long long)item->sequence);
        TS_CHECK(item->sequence > at[on], "%s: a member got %llu after %llu", item->topic,
                 (unsigned long long)item->sequence, (unsigned long long)at[on]);
        at[on] = item->sequence;
    }
}

/* Whether every event came to a member, as long as there is one; else which did not. */
static bool group_has_all(int group, int *topic, uint64_t *sequence)
{
    memset(plain, 0, sizeof plain);
    memset(marked, 0, sizeof marked);
    for (unsigned i = 0; i < h->member_count; i++)
        if (h->members[i].group == group && h->members[i].era == h->era[group])
            count_member(&h->members[i]);
    for (*topic = 0; *topic < TOPICS && live_members(group) != 0; ++*topic)
        for (*sequence = h->group_begin[group][*topic] + 1; *sequence <= h->last[*topic]; ++*sequence)
            if (!plain[*topic][*sequence] && !marked[*topic][*sequence])
                return false;
    return true;
}

static void check_group(int group)
{
    int topic;
    uint64_t sequence;
    for (uint64_t end = ts_guard(); !group_has_all(group, &topic, &sequence) && ts_now_ms() < end;)
        BT_UNTIL((bt_turn(), true));
    TS_CHECK(group_has_all(group, &topic, &sequence), "h.%d: %llu reached no member of group %d", topic,
             (unsigned long long)sequence, group);
}

static bool told_all(const listener *of)
{
    char topic[] = "h.0";
    for (int on = 0; on < TOPICS; on++) {
        topic[2] = (char)('0' + on);
        if ((of->topics >> on & 1) && h->last[on] != of->begin[on] && bt_told_last(of->sub, topic) != h->last[on])
            return false;
    }
    return true;
}

/* Everybody who is left is driven until nothing more comes. */
static void calm_down(void)
{
    for (size_t i = 0; i < bt.handle_count; i++)
        bt.handles[i].stalled = false;
    for (unsigned i = 0; i < h->sub_count; i++)
        BT_UNTIL(!is_live(&h->subs[i]) || told_all(&h->subs[i]));
    for (unsigned i = 0; i < h->consumer_count; i++)
        if (h->consumers[i]->handle->bus != NULL)
            bt_free(h->consumers[i]->handle);
    BT_UNTIL(!bt_turn());
}

static msgsrv_status ack_and_note(bt_consumer *consumer, const msgsrv_delivery *delivery)
{
    (void)on_message(consumer, delivery);
    return MSGSRV_OK;
}

/* Published = acked + dead + dropped + still there, and what is acked was confirmed or is the last consumer's. */
static void check_queue(void)
{
    msgsrv_queue_info info = bt_info("q");
    TS_CHECK(info.published == h->last[0] + h->last[1], "%llu of %llu are in the queue",
             (unsigned long long)info.published, (unsigned long long)(h->last[0] + h->last[1]));
    TS_CHECK(info.acked == h->acks, "%llu acked, %llu confirmed", (unsigned long long)info.acked,
             (unsigned long long)h->acks);
    bt_consumer *last =
        bt_consume_start(bt_handle_new("last"), "q", NULL, NULL, &(bt_consumer){.on_message = ack_and_note});
    BT_UNTIL(bt_info("q").messages == 0);
    BT_UNTIL(bt_info("q").acked == h->acks + last->count);
    info = bt_info("q");
    TS_CHECK(info.published == info.acked + info.dead + info.dropped,
             "%llu published, %llu acked, %llu dead, %llu dropped", (unsigned long long)info.published,
             (unsigned long long)info.acked, (unsigned long long)info.dead, (unsigned long long)info.dropped);
}

static void set_up(uint64_t seed)
{
    memset(h, 0, sizeof *h);
    h->random = seed * 0x9e3779b97f4a7c15u + 0x1234567;
    bt_open(NULL);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        char name[3] = {'p', (char)('0' + i), '\0'};
        h->publishers[i] = bt_handle_new(name);
    }
    bt_queue_of("q", &(msgsrv_queue_options){.max_deliver = 3}, "h.0", "h.1", NULL);
    for (unsigned i = 0; i < 4; i++)
        below(2); /* small seeds begin alike */
    join_group(0);
}

static void run(uint64_t seed)
{
    *failing = seed;
    set_up(seed);
    unsigned steps = STEPS / 2 + below(STEPS);
    for (unsigned i = 0; i < steps; i++)
        step();
    calm_down();
    for (unsigned i = 0; i < h->sub_count; i++)
        check_sub(&h->subs[i]);
    for (int group = 0; group < GROUPS; group++)
        check_group(group);
    check_queue();
    bt_close();
}

static uint64_t first_seed = 1, seed_count;

START_TEST(random_histories_keep_what_is_guaranteed)
{
    h = malloc(sizeof *h);
    ck_assert_ptr_nonnull(h);
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++)
        run(seed);
    free(h);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "mem") != 0 && strcmp(argv[1], "remote") != 0)) {
        fprintf(stderr, "usage: histories mem|remote [COUNT]\n");
        return 2;
    }
    bt_engine_used = (bt_engine){.name = argv[1], .remote = strcmp(argv[1], "remote") == 0};
    seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    if (getenv("MSGSRV_BUS_SEED") != NULL) {
        first_seed = strtoull(getenv("MSGSRV_BUS_SEED"), NULL, 10);
        seed_count = 1;
    }
    failing = mmap(NULL, sizeof *failing, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (failing == MAP_FAILED)
        return 2;
    Suite *suite = suite_create("histories");
    TCase *all = tcase_create(argv[1]);
    tcase_set_timeout(all, 550);
    tcase_add_test(all, random_histories_keep_what_is_guaranteed);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed != 0)
        fprintf(stderr, "seed %llu; again with MSGSRV_BUS_SEED=%llu\n", (unsigned long long)*failing,
                (unsigned long long)*failing);
    return failed != 0;
}
