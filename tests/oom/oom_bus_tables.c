/* SPDX-License-Identifier: MIT */
/* The bus's tables without memory: each failure is said and changes nothing. */
#include <stdio.h>
#include <string.h>

#include "bus/match.h"
#include "bus/types.h"
#include "failing.h"
#include "shapes.msgsrv.h"
#include "suite.h"

static msi_view view(const char *text)
{
    return (msi_view){(const uint8_t *)text, strlen(text)};
}

/* ---- patterns ---- */

#define PATTERNS 80 /* more than the first table holds */

typedef struct matching {
    msi_matcher *matcher;
    msi_match_entry entries[PATTERNS];
    bool in[PATTERNS];
    bool odd; /* an answer that is neither OK nor a failure */
    unsigned found;
} matching;

static void count(msi_match_entry *entry, void *ctx)
{
    (void)entry;
    ((matching *)ctx)->found++;
}

static void fill_matcher(void *ctx)
{
    matching *of = ctx;
    char pattern[64];
    memset(of, 0, sizeof *of);
    of->matcher = msi_matcher_new(64);
    for (unsigned i = 0; of->matcher && i < PATTERNS; i++) {
        (void)snprintf(pattern, sizeof pattern, i % 2 ? "a.b%u.*.>" : "a.*.c%u", i);
        msgsrv_error error;
        msgsrv_status status = msi_matcher_add(of->matcher, view(pattern), &of->entries[i], &error);
        of->odd = of->odd || (status != MSGSRV_OK && (status != MSGSRV_RESOURCE_EXHAUSTED || error.code != status));
        of->in[i] = status == MSGSRV_OK;
    }
}

static void check_matcher(void *ctx, bool failed, unsigned n)
{
    matching *of = ctx;
    char topic[64];
    ck_assert_msg(!of->odd, "allocation %u", n);
    for (unsigned i = 0; of->matcher && i < PATTERNS; i++) {
        (void)snprintf(topic, sizeof topic, i % 2 ? "a.b%u.x.y" : "a.x.c%u", i);
        of->found = 0;
        (void)msi_matcher_find(of->matcher, view(topic), count, of);
        ck_assert_uint_eq(of->found, of->in[i]);
        ck_assert(of->in[i] || failed);
    }
    ck_assert(of->matcher || failed);
    for (unsigned i = 0; of->matcher && i < PATTERNS; i++) {
        if (of->in[i])
            msi_matcher_remove(of->matcher, &of->entries[i]);
    }
    if (of->matcher)
        ck_assert_uint_eq(msi_matcher_find(of->matcher, view("a.x.c0"), count, of), 1); /* nothing but the root is left */
    msi_matcher_free(of->matcher);
}

START_TEST(patterns)
{
    static matching of;
    ck_assert_uint_gt(failing_sweep(NULL, fill_matcher, check_matcher, &of), PATTERNS);
}
END_TEST

/* When nothing can be allocated, what is there can be found and taken out. */
static void shrink_matcher(void *ctx)
{
    matching *of = ctx;
    for (unsigned i = 0; i < PATTERNS; i++)
        msi_matcher_remove(of->matcher, &of->entries[i]);
}

static void check_shrunk(void *ctx, bool failed, unsigned n)
{
    matching *of = ctx;
    (void)failed;
    (void)n;
    ck_assert_uint_eq(msi_matcher_find(of->matcher, view("a.x.c0"), count, of), 1);
    msi_matcher_free(of->matcher);
}

START_TEST(patterns_that_go)
{
    static matching of;
    ck_assert_uint_gt(failing_sweep(fill_matcher, shrink_matcher, check_shrunk, &of), 0);
}
END_TEST

/* ---- types ---- */

typedef struct learning {
    msi_buf set;
    msi_buf wider; /* the same with something behind it */
    msi_types *types;
    msgsrv_status first, second;
    msgsrv_error error;
} learning;

static const char type_name[] = "shapes.Everything";

static void learn(void *ctx)
{
    learning *of = ctx;
    of->first = of->second = MSGSRV_RESOURCE_EXHAUSTED;
    of->types = msi_types_new(10);
    if (!of->types)
        return;
    of->first = msi_types_learn(of->types, view(type_name), (msi_view){of->set.data, of->set.len}, &of->error);
    if (of->first == MSGSRV_OK)
        of->second = msi_types_learn(of->types, view(type_name), (msi_view){of->wider.data, of->wider.len}, &of->error);
}

static void check_learned(void *ctx, bool failed, unsigned n)
{
    learning *of = ctx;
    ck_assert_msg(of->second == MSGSRV_OK || (failed && of->second == MSGSRV_RESOURCE_EXHAUSTED), "allocation %u", n);
    ck_assert_msg(of->first == MSGSRV_OK || (failed && of->first == MSGSRV_RESOURCE_EXHAUSTED), "allocation %u", n);
    if (of->types) {
        size_t size = of->second == MSGSRV_OK ? of->wider.len : of->first == MSGSRV_OK ? of->set.len : 0;
        ck_assert_uint_eq(msi_types_describe(of->types, view(type_name)).size, size);
    }
    msi_types_free(of->types);
}

START_TEST(types)
{
    static learning of;
    ck_assert(msi_types_put_file(&of.set, &shapes_proto_file));
    ck_assert(msi_types_put_file(&of.wider, &shapes_proto_file));
    ck_assert(msi_buf_append(&of.wider, "\x98\x06\x01", 3));
    ck_assert_uint_gt(failing_sweep(NULL, learn, check_learned, &of), 10);
    msi_buf_free(&of.set);
    msi_buf_free(&of.wider);
}
END_TEST

typedef struct putting {
    msi_buf set;
    bool put;
} putting;

static void put_file(void *ctx)
{
    putting *of = ctx;
    of->set = (msi_buf){0};
    of->put = msi_types_put_file(&of->set, &shapes_proto_file);
}

static void check_put(void *ctx, bool failed, unsigned n)
{
    putting *of = ctx;
    (void)n;
    ck_assert(of->put || failed);
    ck_assert_int_eq(of->set.len > 0, of->put);
    msi_buf_free(&of->set);
}

START_TEST(files)
{
    putting of = {0};
    ck_assert_uint_gt(failing_sweep(NULL, put_file, check_put, &of), 0);
}
END_TEST

TS_MAIN("oom_bus_tables", patterns, patterns_that_go, types, files)
