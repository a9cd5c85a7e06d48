/* SPDX-License-Identifier: MIT */
/* bus/pattern.c and bus/match.c: what a topic is, and the tree against the plain question, pattern by pattern. */
#include "bus/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static msi_view view(const char *text)
{
    return (msi_view){(const uint8_t *)text, strlen(text)};
}

/* ---- texts ---- */

/* A name of `count` tokens "t", of bytes beyond that in the last one. */
static const char *long_name(unsigned count, size_t more)
{
    static char name[512];
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        name[size++] = 't';
        name[size++] = '.';
    }
    memset(name + size - 1, 't', more);
    name[size - 1 + more] = 0;
    return name;
}

START_TEST(topics_are_told_from_what_is_none)
{
    static const struct {
        const char *topic, *wrong;
    } cases[] = {
        {"a", NULL},
        {"sensors.Kitchen_2.air-temperature", NULL},
        {"$dlq.q", NULL},
        {"$dlq", NULL},
        {"-._.0", NULL},
        {"", "is empty"},
        {".", "has an empty token at 1"},
        {".a", "has an empty token at 1"},
        {"a.", "has an empty token at 3"},
        {"a..b", "has an empty token at 3"},
        {"a b", "has ' ' at 2"},
        {"a/b", "has '/' at 2"},
        {"abc%", "has '%' at 4"},
        {"a\nb", "has the byte 0x0a at 2"},
        {"\xc3\xa4", "has the byte 0xc3 at 1"},
        {"\x7f", "has the byte 0x7f at 1"},
        {"$", "has nothing behind its '$'"},
        {"$.a", "has nothing behind its '$'"},
        {"$$a", "has '$' at 2"},
        {"a.$b", "has '$' at 3"},
        {"a.*", "has the wildcard '*' at 3"},
        {">", "has the wildcard '>' at 1"},
    };
    char text[80];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool valid = msi_topic_valid(view(cases[i].topic), text, sizeof text);
        ck_assert_msg(valid == !cases[i].wrong, "%s", cases[i].topic);
        if (!valid)
            ck_assert_str_eq(text, cases[i].wrong);
        ck_assert_int_eq(msi_topic_valid(view(cases[i].topic), NULL, 0), valid);
    }
    ck_assert(!msi_topic_valid((msi_view){(const uint8_t *)"a\0b", 3}, text, sizeof text));
    ck_assert_str_eq(text, "has the byte 0x00 at 2");
}
END_TEST

START_TEST(patterns_are_told_from_what_is_none)
{
    static const struct {
        const char *pattern, *wrong;
        bool exact;
    } cases[] = {
        {"a.b", NULL, true},
        {"$dlq.q", NULL, true},
        {"*", NULL, false},
        {">", NULL, false},
        {"*.*.>", NULL, false},
        {"a.*.b", NULL, false},
        {"a.>", NULL, false},
        {"$dlq.>", NULL, false},
        {"", "is empty", false},
        {"a.b*", "has '*' at 4, not as a token of its own", false},
        {"a.*b", "has '*' at 3, not as a token of its own", false},
        {"**", "has '*' at 1, not as a token of its own", false},
        {"a>", "has '>' at 2, not as a token of its own", false},
        {"a.>.b", "has '>' at 3, not as its last token", false},
        {">.>", "has '>' at 1, not as its last token", false},
        {"$*", "has '*' at 2, not as a token of its own", false},
        {"$.*", "has nothing behind its '$'", false},
        {"a..>", "has an empty token at 3", false},
        {"a.?", "has '?' at 3", false},
    };
    char text[80];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool valid = msi_pattern_valid(view(cases[i].pattern), text, sizeof text);
        ck_assert_msg(valid == !cases[i].wrong, "%s", cases[i].pattern);
        if (valid)
            ck_assert_int_eq(msi_pattern_exact(view(cases[i].pattern)), cases[i].exact);
        else
            ck_assert_str_eq(text, cases[i].wrong);
    }
}
END_TEST

START_TEST(the_bounds_of_a_topic_hold)
{
    char text[80];
    ck_assert(msi_topic_valid(view(long_name(16, 0)), text, sizeof text));
    ck_assert(!msi_topic_valid(view(long_name(17, 0)), text, sizeof text));
    ck_assert_str_eq(text, "has 17 tokens, of at most 16");
    ck_assert(msi_topic_valid(view(long_name(1, 254)), text, sizeof text));
    ck_assert(!msi_topic_valid(view(long_name(1, 255)), text, sizeof text));
    ck_assert_str_eq(text, "has 256 bytes, of at most 255");
    ck_assert(!msi_topic_valid(view(long_name(17, 0)), text, 4)); /* cut */
    ck_assert_str_eq(text, "has");
}
END_TEST

START_TEST(a_pattern_matches_what_it_says)
{
    static const struct {
        const char *pattern, *topic;
        bool matches;
    } cases[] = {
        {"a", "a", true},           {"a", "A", false},          {"a", "b", false},          {"a", "a.b", false},
        {"a.b", "a", false},        {"*", "a", true},           {"*", "a.b", false},        {">", "a", true},
        {">", "a.b.c", true},       {"a.>", "a", false},        {"a.>", "a.b", true},       {"a.>", "a.b.c", true},
        {"a.>", "b.c", false},      {"*.>", "a", false},        {"*.>", "a.b", true},       {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.c", false},    {"a.*.c", "a.b.d", false},  {"*", "$dlq", false},       {">", "$dlq.q", false},
        {"*.q", "$dlq.q", false},   {"$dlq.q", "$dlq.q", true}, {"$dlq.*", "$dlq.q", true}, {"$dlq.>", "$dlq.q", true},
        {"dlq.q", "$dlq.q", false}, {"ab", "a", false},         {"a", "ab", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(msi_pattern_matches(view(cases[i].pattern), view(cases[i].topic)) == cases[i].matches, "%s %s",
                      cases[i].pattern, cases[i].topic);
}
END_TEST

/* From the nearest on. */
START_TEST(near_patterns_are_told_from_others)
{
    static const struct {
        const char *pattern, *topic;
        unsigned rank; /* 0: not near, else 1 is the nearest */
    } cases[] = {
        {"Sensors.kitchen", "sensors.kitchen", 1},
        {"Sensors.*", "sensors.kitchen", 1},
        {"SENSORS.>", "sensors.kitchen.air", 1},
        {"sensors_kitchen", "sensors.kitchen", 2},
        {"sensors.kitchen.air", "sensors-kitchen.air", 2},
        {"sensors.*", "sensors-kitchen", 2},
        {"sensor.kitchen", "sensors.kitchen", 3},
        {"sensors.kitchne", "sensors.kitchen", 3},
        {"sensor.>", "sensors.kitchen", 3},
        {"*.ktchen", "sensors.kitchen", 3},
        {"dlq.q", "$dlq.q", 3},
        {"sensors.ktchn", "sensors.kitchen", 4},
        {"sensors", "sensors.kitchen", 5},
        {"sensors.*", "sensors.kitchen.air", 5},
        {"sensors.>", "sensors", 5},
        {"kitchen.air", "sensors.kitchen.air", 5},
        {"sensors.air", "sensors.kitchen.air", 5},
        {"sensors.kitchen.air", "sensors.air", 5},
        {"sensors.kitchen", "sensors.kitchen", 0}, /* it matches */
        {"sensors.*", "sensors.kitchen", 0},
        {"actors.kitchen", "sensors.kitchen", 0},
        {"sensor.kitchn", "sensors.kitchen", 0}, /* two tokens */
        {"a", "b", 0},
        {"q1.x", "q2.x", 0}, /* more wrong than right */
        {"x.>", "a.b.c", 0},
        {"x.*", "a", 0},
        {"a.b", "a.b.c.d", 0},
        {">", "$dlq.q", 0},
        {"*.q", "$dlq.q", 0},
        {"", "a", 0},
        {"a", "", 0},
    };
    unsigned ranks[6] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned near = msi_pattern_nearness(view(cases[i].pattern), view(cases[i].topic));
        unsigned rank = cases[i].rank;
        if (rank && ranks[rank] == 0)
            ranks[rank] = near;
        ck_assert_msg(near == ranks[rank], "%s %s: %u", cases[i].pattern, cases[i].topic, near);
    }
    for (unsigned i = 1; i < 5; i++)
        ck_assert_uint_gt(ranks[i], ranks[i + 1]);
    ck_assert_uint_gt(ranks[5], 0);
}
END_TEST

/* The longest names are no trouble, whatever is in them. */
START_TEST(nearness_of_long_names)
{
    char name[256];
    memset(name, '-', 255);
    name[255] = 0;
    ck_assert_uint_eq(msi_pattern_nearness(view(name), view("a.b")), 0);
    memset(name, 'a', 255);
    ck_assert_uint_eq(msi_pattern_nearness(view(name), view(long_name(16, 0))), 0);
    for (unsigned i = 1; i < 255; i += 2)
        name[i] = '_';
    ck_assert_uint_eq(msi_pattern_nearness(view(name), view("a.b")), 0);
}
END_TEST

/* ---- the tree ---- */

typedef struct item {
    msi_match_entry entry;
    char pattern[MSI_TOPIC_MAX + 1];
    bool in;
    unsigned found;
} item;

static void count_found(msi_match_entry *entry, void *ctx)
{
    ((item *)entry)->found++;
    ++*(unsigned *)ctx;
}

static unsigned find(const msi_matcher *matcher, const char *topic, uint32_t *visited)
{
    unsigned count = 0;
    uint32_t visits = msi_matcher_find(matcher, view(topic), count_found, &count);
    if (visited)
        *visited = visits;
    return count;
}

static msgsrv_status add(msi_matcher *matcher, item *of, const char *pattern, msgsrv_error *error)
{
    (void)snprintf(of->pattern, sizeof of->pattern, "%s", pattern);
    msgsrv_status status = msi_matcher_add(matcher, view(of->pattern), &of->entry, error);
    of->in = status == MSGSRV_OK;
    return status;
}

static uint64_t random_state = 0x2545f4914f6cdd1dull;

static unsigned below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % bound;
}

static void random_name(char *to, bool pattern, unsigned max_tokens, unsigned letters)
{
    unsigned tokens = 1 + below(max_tokens);
    size_t size = 0;
    for (unsigned i = 0; i < tokens; i++) {
        unsigned what = below(10);
        if (i == 0 && what == 9 && below(3) == 0)
            to[size++] = '$';
        if (pattern && what < 3 && !(size && to[size - 1] == '$'))
            to[size++] = '*';
        else if (pattern && what == 3 && i + 1 == tokens)
            to[size++] = '>';
        else
            to[size++] = (char)('a' + below(letters));
        to[size++] = '.';
    }
    to[size - 1] = 0;
}

static void check_topic(const msi_matcher *matcher, item *items, size_t count, const char *topic, uint32_t bound)
{
    unsigned expected = 0;
    uint32_t visited;
    for (size_t i = 0; i < count; i++)
        items[i].found = 0;
    unsigned found = find(matcher, topic, &visited);
    ck_assert_uint_le(visited, bound);
    for (size_t i = 0; i < count; i++) {
        bool matches = items[i].in && msi_pattern_matches(view(items[i].pattern), view(topic));
        if (items[i].found != matches) /* an assertion that holds costs too much for so many */
            ck_abort_msg("%s %s: %u", items[i].pattern, topic, items[i].found);
        expected += matches;
    }
    ck_assert_uint_eq(found, expected);
}

/* Adds and removes at random; what is found is always what the plain question says, and never at a higher cost than the bound. */
static void random_life(uint32_t bound, unsigned max_tokens, unsigned letters, unsigned rounds, bool expect_refusals)
{
    enum { ITEMS = 300 };
    item *items = calloc(ITEMS, sizeof *items);
    msi_matcher *matcher = msi_matcher_new(bound);
    unsigned refused = 0;
    char name[80];
    ck_assert(items && matcher);
    for (unsigned round = 0; round < rounds; round++) {
        item *of = &items[below(ITEMS)];
        if (of->in) {
            msi_matcher_remove(matcher, &of->entry);
            of->in = false;
        } else {
            msgsrv_error error;
            random_name(name, true, max_tokens, letters);
            ck_assert(msi_pattern_valid(view(name), NULL, 0));
            msgsrv_status status = add(matcher, of, name, &error);
            ck_assert(status == MSGSRV_OK || status == MSGSRV_RESOURCE_EXHAUSTED);
            refused += status != MSGSRV_OK;
        }
        random_name(name, false, max_tokens, letters);
        if (round % 4 == 0)
            check_topic(matcher, items, ITEMS, name, bound);
    }
    ck_assert_int_eq(refused > 0, expect_refusals);
    for (unsigned i = 0; i < ITEMS; i++) {
        if (items[i].in)
            msi_matcher_remove(matcher, &items[i].entry);
        items[i].in = false;
    }
    uint32_t visited;
    ck_assert_uint_eq(find(matcher, "a.b.c", &visited), 0);
    ck_assert_uint_eq(visited, 1); /* the root is all that is left */
    msi_matcher_free(matcher);
    free(items);
}

START_TEST(the_tree_finds_what_the_plain_question_finds)
{
    random_life(4096, 4, 3, 40000, false);
    random_life(4096, 3, 20, 20000, false);
}
END_TEST

START_TEST(no_search_visits_more_than_the_bound)
{
    random_life(24, 6, 2, 20000, true);
    random_life(7, 16, 1, 10000, true);
    random_life(64, 16, 2, 20000, true);
}
END_TEST

START_TEST(entries_of_one_pattern_are_all_told)
{
    static item items[50];
    msi_matcher *matcher = msi_matcher_new(64);
    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(add(matcher, &items[i], i % 2 ? "a.*" : "a.>", NULL), MSGSRV_OK);
    ck_assert_uint_eq(find(matcher, "a.b", NULL), 50);
    ck_assert_uint_eq(find(matcher, "a.b.c", NULL), 25);
    for (unsigned i = 0; i < 50; i += 3) /* from all places of the lists */
        msi_matcher_remove(matcher, &items[i].entry);
    ck_assert_uint_eq(find(matcher, "a.b", NULL), 33);
    msi_matcher_free(matcher); /* with entries in it */
}
END_TEST

/* `*` and a token at each of 12 levels: 2^13 - 1 nodes, were it allowed. */
START_TEST(what_branches_too_much_is_refused_and_leaves_no_trace)
{
    static item items[1 << 13];
    static char pattern[64];
    unsigned count = 0, refused = 0;
    msi_matcher *matcher = msi_matcher_new(4096);
    for (unsigned bits = 0; bits < 1u << 12; bits++) {
        for (unsigned i = 0; i < 12; i++) {
            pattern[2 * i] = bits >> i & 1 ? '*' : 'a';
            pattern[2 * i + 1] = '.';
        }
        pattern[23] = 0;
        msgsrv_error error;
        uint32_t before, after;
        unsigned found = find(matcher, "a.a.a.a.a.a.a.a.a.a.a.a", &before);
        if (add(matcher, &items[count], pattern, &error) == MSGSRV_OK) {
            count++;
            continue;
        }
        refused++;
        ck_assert_int_eq(error.code, MSGSRV_RESOURCE_EXHAUSTED);
        ck_assert_ptr_nonnull(strstr(error.text, pattern));
        ck_assert_ptr_nonnull(strstr(error.text, "at most 4096"));
        ck_assert_uint_eq(find(matcher, "a.a.a.a.a.a.a.a.a.a.a.a", &after), found);
        ck_assert_uint_eq(before, after);
    }
    uint32_t visited;
    ck_assert_uint_eq(find(matcher, "a.a.a.a.a.a.a.a.a.a.a.a", &visited), count);
    ck_assert_uint_le(visited, 4096);
    ck_assert_uint_gt(visited, 4000); /* here the bound is what a search visits */
    ck_assert_uint_gt(refused, 0);
    /* There is room again for what was refused, once others have gone. */
    for (unsigned i = 0; i < count; i++)
        msi_matcher_remove(matcher, &items[i].entry);
    ck_assert_int_eq(add(matcher, &items[0], pattern, NULL), MSGSRV_OK);
    msi_matcher_free(matcher);
}
END_TEST

/* Patterns side by side cost a search nothing: they do not add up. */
START_TEST(fan_out_alone_is_not_bounded)
{
    enum { COUNT = 20000 };
    item *items = calloc(COUNT, sizeof *items);
    msi_matcher *matcher = msi_matcher_new(64);
    char pattern[64];
    uint32_t visited;
    ck_assert(items && matcher);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(pattern, sizeof pattern, "site%u.*.device%u.>", i % 500, i);
        ck_assert_int_eq(add(matcher, &items[i], pattern, NULL), MSGSRV_OK);
    }
    for (unsigned i = 0; i < COUNT; i += 7) {
        (void)snprintf(pattern, sizeof pattern, "site%u.x.device%u.y", i % 500, i);
        ck_assert_uint_eq(find(matcher, pattern, &visited), 1);
        ck_assert_uint_eq(items[i].found, 1);
        ck_assert_uint_eq(visited, 4);
    }
    for (unsigned i = 0; i < COUNT; i++)
        msi_matcher_remove(matcher, &items[(i * 7919u) % COUNT].entry);
    ck_assert_uint_eq(find(matcher, "site1.x.device1.y", &visited), 0);
    ck_assert_uint_eq(visited, 1);
    msi_matcher_free(matcher);
    free(items);
}
END_TEST

START_TEST(tokens_of_any_length_are_told_apart)
{
    static item items[200];
    msi_matcher *matcher = msi_matcher_new(64);
    char token[256];
    for (unsigned i = 0; i < 200; i++) {
        memset(token, 'x', i + 1);
        token[i + 1] = 0;
        ck_assert_int_eq(add(matcher, &items[i], token, NULL), MSGSRV_OK);
    }
    for (unsigned i = 0; i < 200; i++) {
        memset(token, 'x', i + 1);
        token[i + 1] = 0;
        ck_assert_uint_eq(find(matcher, token, NULL), 1);
        ck_assert_uint_eq(items[i].found, 1);
        token[i] = 'y';
        ck_assert_uint_eq(find(matcher, token, NULL), 0);
    }
    msi_matcher_free(matcher);
    msi_matcher_free(NULL);
}
END_TEST

TS_MAIN("bus_match", topics_are_told_from_what_is_none, patterns_are_told_from_what_is_none, the_bounds_of_a_topic_hold,
        a_pattern_matches_what_it_says, near_patterns_are_told_from_others, nearness_of_long_names,
        the_tree_finds_what_the_plain_question_finds, no_search_visits_more_than_the_bound,
        entries_of_one_pattern_are_all_told, what_branches_too_much_is_refused_and_leaves_no_trace,
        fan_out_alone_is_not_bounded, tokens_of_any_length_are_told_apart)
