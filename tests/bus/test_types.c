/* SPDX-License-Identifier: MIT */
/* bus/types.c: which descriptors are learned, which are compatible with those that are known, and which are refused with what is there left alone. */
#include "bus/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgsrv/schema.h>

#include "chain_top.msgsrv.h"
#include "descriptors.h"
#include "shapes.msgsrv.h"
#include "suite.h"

static msi_view view(const char *text)
{
    return (msi_view){(const uint8_t *)text, strlen(text)};
}

static msi_view bytes_of(const ts_bytes *set)
{
    return (msi_view){set->data, set->size};
}

static msgsrv_status learn(msi_types *types, const char *type, const ts_bytes *set, msgsrv_error *error)
{
    *error = (msgsrv_error){.code = MSGSRV_OK};
    msgsrv_status status = msi_types_learn(types, view(type), bytes_of(set), error);
    ck_assert_int_eq(error->code, status);
    ck_assert_int_eq(*error->text != 0, status != MSGSRV_OK);
    return status;
}

static bool holds(const msi_types *types, const char *type, const ts_bytes *set)
{
    msi_view known = msi_types_describe(types, view(type));
    return known.size == set->size && (set->size == 0 || memcmp(known.data, set->data, set->size) == 0);
}

static void learn_ok(msi_types *types, const char *type, const ts_bytes *set)
{
    msgsrv_error error;
    ck_assert_msg(learn(types, type, set, &error) == MSGSRV_OK, "%s", error.text);
}

/* ---- learning ---- */

START_TEST(what_was_learned_is_described)
{
    msi_types *types = msi_types_new(10);
    ts_bytes none = {0};
    ts_bytes set = ts_set_of("M{a=1 int32; n=2 *N; e=3 :E} N{x=1 string; m=2 M} :E{A=0} Z{}");
    ck_assert(!msi_types_known(types, view("p.M")));
    ck_assert(holds(types, "p.M", &none));
    learn_ok(types, "p.M", &set);
    learn_ok(types, "p.M", &set);
    learn_ok(types, "p.Z", &set);
    learn_ok(types, "p.N", &set);
    ck_assert(msi_types_known(types, view("p.M")) && holds(types, "p.M", &set));
    ck_assert(msi_types_known(types, view("p.N")) && holds(types, "p.N", &set));
    ck_assert(msi_types_known(types, view("p.Z")));
    ck_assert(!msi_types_known(types, view("p.E")));
    ck_assert(!msi_types_known(types, view("p.")));
    ck_assert(!msi_types_known(types, view("p.MM")));
    ck_assert(!msi_types_known(types, view("")));
    ts_bytes_release(&set);
    msi_types_free(types);
    msi_types_free(NULL);
}
END_TEST

START_TEST(a_type_may_be_spread_over_files_in_any_order)
{
    msi_types *types = msi_types_new(10);
    ts_bytes set = {0};
    ts_put_uint(&set, 99, 1); /* what is not known is passed over */
    ts_put_file(&set, "b.proto", "M{n=1 N}");
    ts_put_file(&set, "a.proto", "N{x=1 :E}");
    ts_put_file(&set, "c.proto", ":E{A=0}");
    ts_put_file(&set, "a.proto", "N{x=1 :E}"); /* a second time */
    learn_ok(types, "p.M", &set);
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

START_TEST(what_is_no_set_of_the_type_is_refused)
{
    static const struct {
        const char *type, *text, *says;
    } cases[] = {
        {"p.X", "M{a=1 int32}", "no message p.X"},
        {"M", "M{a=1 int32}", "no message M"},
        {".p.M", "M{a=1 int32}", "no message .p.M"},
        {"p.E", "M{a=1 :E} :E{A=0}", "no message p.E"},
        {"p.M.a", "M{a=1 int32}", "no message p.M.a"},
        {"p.M", "", "no message p.M"},
        {"", "M{a=1 int32}", "1 to 511"},
        {"p.M", "M{a=1 N}", "p.M.a is of p.N, which"},
        {"p.M", "M{a=1 :N}", "p.M.a is of p.N, which"},
        {"p.M", "M{a=1 N} N{b=2 M; c=3 O}", "p.N.c is of p.O, which"},
        {"p.M", "M{a=1 N} :N{A=0}", "p.M.a is of p.N, which"},
        {"p.M", "M{a=1 :N} N{}", "p.M.a is of p.N, which"},
        {"p.M", "M{a=1 *EntryOf} %EntryOf{key=1 string; value=2 N}", "p.EntryOf.value is of p.N, which"},
        {"p.M", "M{a=1 *EntryOf} %EntryOf{key=1 string}", "the entry of a map"},
        {"p.M", "M{a=0 int32}", "no number"},
        {"p.M", "M{a=1 int32; b=1 int32}", ""},
        {"p.M", "M{} M{}", "twice"},
    };
    msi_types *types = msi_types_new(10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        msgsrv_error error;
        ts_bytes set = ts_set_of(cases[i].text);
        ck_assert_msg(learn(types, cases[i].type, &set, &error) == MSGSRV_INVALID_ARGUMENT, "%zu", i);
        ck_assert_msg(strstr(error.text, cases[i].says) != NULL, "%zu: %s", i, error.text);
        ck_assert(!msi_types_known(types, view(cases[i].type)));
        ts_bytes_release(&set);
    }
    msi_types_free(types);
}
END_TEST

START_TEST(names_that_two_files_have_are_refused)
{
    msi_types *types = msi_types_new(10);
    msgsrv_error error;
    ts_bytes set = {0};
    ts_put_file(&set, "a.proto", "M{}");
    ts_put_file(&set, "b.proto", "M{}");
    ck_assert_int_eq(learn(types, "p.M", &set, &error), MSGSRV_INVALID_ARGUMENT);
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

/* Whatever is cut off or changed: it is refused, or it is a set. */
START_TEST(broken_bytes_do_no_harm)
{
    msi_types *types = msi_types_new(10);
    msgsrv_error error;
    ts_bytes set = ts_set_of("M{a=1 int32; n=2 *N; m=3 *EntryOf} N{e=1 :E} :E{A=0} %EntryOf{key=1 string; value=2 N}");
    unsigned refused = 0;
    for (size_t size = 0; size < set.size; size++) {
        /* A copy, so that reading behind its end is seen. */
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, set.data, size);
        ck_assert_int_eq(msi_types_learn(types, view("p.M"), (msi_view){copy, size}, &error), MSGSRV_INVALID_ARGUMENT);
        free(copy);
    }
    ck_assert(!msi_types_known(types, view("p.M")));
    learn_ok(types, "p.M", &set);
    for (size_t at = 0; at < set.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            set.data[at] ^= (unsigned char)(1u << bit);
            msi_types *other = msi_types_new(10);
            refused += msi_types_learn(other, view("p.M"), bytes_of(&set), &error) != MSGSRV_OK;
            msi_types_free(other);
            (void)msi_types_learn(types, view("p.M"), bytes_of(&set), &error);
            set.data[at] ^= (unsigned char)(1u << bit);
        }
    }
    ck_assert_uint_gt(refused, 100);
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

START_TEST(names_of_types_are_bounded)
{
    char name[600];
    msi_types *types = msi_types_new(10);
    ts_bytes set = ts_set_of("M{}");
    msgsrv_error error;
    memset(name, 'x', sizeof name);
    name[511] = 0;
    ck_assert_int_eq(learn(types, name, &set, &error), MSGSRV_INVALID_ARGUMENT);
    name[511] = 'x';
    name[512] = 0;
    ck_assert_int_eq(learn(types, name, &set, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_int_eq(msi_types_learn(types, (msi_view){(const uint8_t *)"p.M\0", 4}, bytes_of(&set), &error),
                     MSGSRV_INVALID_ARGUMENT);
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

/* ---- compatible or not ---- */

typedef struct change {
    const char *from, *to;
    bool later_holds;
} change;

START_TEST(compatible_changes_are_taken_and_the_wider_set_holds)
{
    static const change cases[] = {
        {"M{a=1 int32}", "M{a=1 int32; b=2 string}", true},
        {"M{a=1 int32; b=2 string}", "M{a=1 int32}", false},
        {"M{a=1 int32}", "M{b=2 string}", false},
        {"M{a=1 int32}", "M{renamed=1 int32}", true},
        {"M{a=1 int32}", "M{renamed=1 uint64; c=3 N} N{}", true},
        {"M{a=1 int32; b=2 int64; c=3 bool}", "M{a=1 bool; b=2 uint32; c=3 :E} :E{A=0}", true},
        {"M{a=1 sint32; b=2 fixed32; c=3 sfixed64}", "M{a=1 sint64; b=2 sfixed32; c=3 fixed64}", true},
        {"M{a=1 string; b=2 *bytes}", "M{a=1 bytes; b=2 *string}", true},
        {"M{a=1 :E} :E{A=0}", "M{a=1 :F} :F{A=0; B=1}", true},
        {"M{a=1 :E} :E{A=0}", "M{a=1 :E} :E{RENAMED=0}", true},
        {"M{a=1 :E} :E{A=0; B=1}", "M{a=1 :E} :E{A=0}", false},
        {"M{a=1 :E} :E{A=0}", "M{a=1 int32}", false},
        {"M{n=1 N} N{x=1 string}", "M{n=1 N} N{x=1 string; y=2 bool}", true},
        {"M{n=1 N} N{x=1 string; y=2 bool}", "M{n=1 N; z=2 int32} N{x=1 string}", false},
        {"M{n=1 N} N{x=1 M}", "M{renamed=1 N} N{x=1 M; y=2 N}", true},
        /* What only one of them has may be anything. */
        {"M{n=1 N; b=2 bool} N{x=1 string}", "M{b=2 bool} N{x=1 int32}", false},
        {"M{a=1 int32} N{x=1 string}", "M{a=1 int32} N{x=1 int32}", true},
        /* Maps, also as what they are on the wire. */
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 int32}", "M{b=1 *BEntry} %BEntry{key=1 string; value=2 int64}",
         true},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 N} N{x=1 bool}",
         "M{b=1 *BEntry} %BEntry{key=1 string; value=2 N} N{x=1 bool; y=2 bool}", true},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 N} N{x=1 bool; y=2 bool}",
         "M{b=1 *BEntry} %BEntry{key=1 string; value=2 N} N{x=1 bool}", false},
        {"M{a=1 *AEntry} AEntry{key=1 string; value=2 int32}", "M{a=1 *AEntry} %AEntry{key=1 string; value=2 int32}",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        msi_types *types = msi_types_new(1);
        ts_bytes from = ts_set_of(cases[i].from);
        ts_bytes to = ts_set_of(cases[i].to);
        msgsrv_error error;
        learn_ok(types, "p.M", &from);
        ck_assert_msg(learn(types, "p.M", &to, &error) == MSGSRV_OK, "%zu: %s", i, error.text);
        ck_assert_msg(holds(types, "p.M", cases[i].later_holds ? &to : &from), "%zu", i);
        ts_bytes_release(&from);
        ts_bytes_release(&to);
        msi_types_free(types);
    }
}
END_TEST

START_TEST(incompatible_changes_are_refused_and_name_the_field)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"M{a=1 int32}", "M{a=1 string}", "field 1 of p.M is known as int32 a, and now is string a"},
        {"M{a=1 int32}", "M{b=1 sint32}", "field 1 of p.M is known as int32 a, and now is sint32 b"},
        {"M{a=1 int32}", "M{a=1 fixed32}", "int32 a, and now is fixed32 a"},
        {"M{a=1 fixed32}", "M{a=1 float}", "fixed32 a, and now is float a"},
        {"M{a=1 fixed64}", "M{a=1 double}", "fixed64 a, and now is double a"},
        {"M{a=1 fixed32}", "M{a=1 fixed64}", "fixed32 a, and now is fixed64 a"},
        {"M{a=1 float}", "M{a=1 double}", "float a, and now is double a"},
        {"M{a=1 bytes}", "M{a=1 N} N{}", "bytes a, and now is p.N a"},
        {"M{a=1 :E} :E{A=0}", "M{a=1 string}", "p.E a, and now is string a"},
        {"M{a=1 :E} :E{A=0}", "M{a=1 E} E{}", "p.E a, and now is p.E a"},
        {"M{a=1 string}", "M{a=1 *string}", "string a, and now is repeated string a"},
        {"M{a=1 *N} N{}", "M{a=1 N} N{}", "repeated p.N a, and now is p.N a"},
        {"M{a=1 N} N{x=1 bool}", "M{a=1 O} O{x=1 bool}", "p.N a, and now is p.O a"},
        {"M{a=1 N} N{b=2 O} O{c=3 M; d=4 int32}", "M{a=1 N} N{b=2 O} O{c=3 M; d=4 string}",
         "field 4 of p.O is known as int32 d"},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 int32}", "M{b=1 *BEntry} %BEntry{key=1 string; value=2 string}",
         "repeated p.AEntry a, and now is repeated p.BEntry b"},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 int32}", "M{b=1 *BEntry} %BEntry{key=1 int32; value=2 int32}",
         "p.AEntry"},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 N} N{x=1 bool}",
         "M{b=1 *BEntry} %BEntry{key=1 string; value=2 N} N{x=1 string}", "field 1 of p.N"},
        {"M{a=1 *AEntry} %AEntry{key=1 string; value=2 int32}", "M{a=1 *N} N{key=1 string; value=2 int32}", "p.AEntry"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (unsigned turn = 0; turn < 2; turn++) {
            msi_types *types = msi_types_new(1);
            ts_bytes from = ts_set_of(turn ? cases[i].to : cases[i].from);
            ts_bytes to = ts_set_of(turn ? cases[i].from : cases[i].to);
            msgsrv_error error;
            learn_ok(types, "p.M", &from);
            ck_assert_msg(learn(types, "p.M", &to, &error) == MSGSRV_FAILED_PRECONDITION, "%zu", i);
            if (turn == 0)
                ck_assert_msg(strstr(error.text, cases[i].says) != NULL, "%zu: %s", i, error.text);
            ck_assert(holds(types, "p.M", &from));
            ts_bytes_release(&from);
            ts_bytes_release(&to);
            msi_types_free(types);
        }
    }
}
END_TEST

START_TEST(types_of_one_set_go_different_ways)
{
    msi_types *types = msi_types_new(10);
    ts_bytes first = ts_set_of("M{a=1 int32} N{b=1 int32}");
    ts_bytes second = ts_set_of("M{a=1 int32; c=2 bool} N{b=1 string}");
    msgsrv_error error;
    learn_ok(types, "p.M", &first);
    learn_ok(types, "p.N", &first);
    learn_ok(types, "p.M", &second);
    ck_assert_int_eq(learn(types, "p.N", &second, &error), MSGSRV_FAILED_PRECONDITION);
    ck_assert(holds(types, "p.M", &second) && holds(types, "p.N", &first));
    ts_bytes_release(&first);
    ts_bytes_release(&second);
    msi_types_free(types);
}
END_TEST

/* ---- bounds ---- */

START_TEST(there_are_no_more_types_than_allowed)
{
    msi_types *types = msi_types_new(100);
    ts_bytes set = {0};
    ts_bytes wider = {0};
    char text[64], name[64];
    msgsrv_error error;
    for (unsigned i = 0; i <= 100; i++) {
        (void)snprintf(text, sizeof text, "M%u{a=1 int32}", i);
        (void)snprintf(name, sizeof name, "%u.proto", i);
        ts_put_file(&set, name, text);
        (void)snprintf(text, sizeof text, "M%u{a=1 int32; b=2 int32}", i);
        ts_put_file(&wider, name, text);
    }
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "p.M%u", i * 37 % 100);
        learn_ok(types, name, &set);
    }
    ck_assert_int_eq(learn(types, "p.M100", &set, &error), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(error.text, "at most 100"));
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "p.M%u", i);
        ck_assert(holds(types, name, &set));
        learn_ok(types, name, &wider);
        ck_assert(holds(types, name, &wider));
    }
    ck_assert(!msi_types_known(types, view("p.M100")));
    ts_bytes_release(&set);
    ts_bytes_release(&wider);
    msi_types_free(types);
}
END_TEST

START_TEST(a_set_has_no_more_files_than_allowed)
{
    msi_types *types = msi_types_new(1);
    ts_bytes set = ts_set_of("M{}");
    char name[64];
    msgsrv_error error;
    for (unsigned i = 1; i < 256; i++) {
        (void)snprintf(name, sizeof name, "%u.proto", i);
        ts_put_file(&set, name, "");
    }
    learn_ok(types, "p.M", &set);
    ts_put_file(&set, "one_more.proto", "");
    ck_assert_int_eq(learn(types, "p.M", &set, &error), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(error.text, "256"));
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

/* A set of so many bytes, most of them in a field that nobody knows; `fill` tells it from others. */
static ts_bytes set_of_size(const char *text, size_t size, unsigned char fill)
{
    ts_bytes set = ts_set_of(text);
    ts_put_tag(&set, 99, TS_LENGTH);
    size_t left = size - set.size - 4;
    ts_put_varint_in(&set, left, 4);
    ts_put_fill(&set, fill, left);
    ck_assert_uint_eq(set.size, size);
    return set;
}

START_TEST(the_bytes_of_sets_are_bounded)
{
    enum { MIB = 1024 * 1024 };
    static const char text[] =
        "M{} M0{} M1{} M2{} M3{} M4{} M5{} M6{} M7{} M8{} M9{} M10{} M11{} M12{} M13{} M14{} M15{} M16{}";
    msi_types *types = msi_types_new(100);
    msgsrv_error error;
    char name[64];
    ts_bytes set = set_of_size(text, 4 * MIB + 1, 0);
    ck_assert_int_eq(learn(types, "p.M", &set, &error), MSGSRV_RESOURCE_EXHAUSTED);
    ts_bytes_release(&set);
    for (unsigned char i = 0; i < 16; i++) {
        set = set_of_size(text, 4 * MIB, i);
        (void)snprintf(name, sizeof name, "p.M%u", i);
        learn_ok(types, name, &set);
        learn_ok(types, name, &set);
        learn_ok(types, "p.M", &set); /* takes no room: another has it */
        ts_bytes_release(&set);
    }
    set = ts_set_of(text);
    ck_assert_int_eq(learn(types, "p.M16", &set, &error), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert(!msi_types_known(types, view("p.M16")));
    ck_assert_int_eq(learn(types, "p.M15", &set, &error), MSGSRV_RESOURCE_EXHAUSTED); /* M has the large one as well */
    ts_bytes large = set_of_size(text, 4 * MIB, 0);
    learn_ok(types, "p.M", &large);
    learn_ok(types, "p.M15", &set); /* now it gives room back */
    learn_ok(types, "p.M16", &set);
    ck_assert(holds(types, "p.M", &large) && holds(types, "p.M0", &large) && holds(types, "p.M15", &set));
    ts_bytes_release(&large);
    ts_bytes_release(&set);
    msi_types_free(types);
}
END_TEST

/* ---- generated code ---- */

/* The names of a set's files, with a space behind each. */
static void names_of(const msi_buf *set, char *to, size_t room)
{
    const uint8_t *at = set->data;
    const uint8_t *end = at + set->len;
    msi_wire_field file, name;
    *to = 0;
    while (at < end) {
        at = msi_wire_field_get(at, end, &file);
        ck_assert(at && file.number == 1 && file.type == MSI_WIRE_BYTES);
        ck_assert_ptr_nonnull(msi_wire_field_get(file.bytes.data, file.bytes.data + file.bytes.size, &name));
        ck_assert_uint_eq(name.number, 1);
        size_t size = strlen(to);
        (void)snprintf(to + size, room - size, "%.*s ", (int)name.bytes.size, (const char *)name.bytes.data);
    }
}

START_TEST(a_generated_file_comes_with_its_imports_each_once)
{
    msi_buf set = {0};
    msi_types *types = msi_types_new(10);
    char names[200];
    msgsrv_error error;
    ck_assert(msi_types_put_file(&set, &chain_top_proto_file));
    names_of(&set, names, sizeof names);
    ck_assert_str_eq(names, "chain_leaf.proto chain_middle.proto chain_top.proto ");
    ck_assert_int_eq(msi_types_learn(types, view("chain.Middle"), (msi_view){set.data, set.len}, &error), MSGSRV_OK);
    msi_buf_free(&set);

    ck_assert(msi_buf_append(&set, "x", 1));
    ck_assert(msi_types_put_file(&set, &shapes_proto_file)); /* it appends */
    ck_assert_int_eq(msi_types_learn(types, view("shapes.Everything"), (msi_view){set.data + 1, set.len - 1}, &error),
                     MSGSRV_OK);
    msi_buf_free(&set);
    msi_types_free(types);
}
END_TEST

START_TEST(imports_in_a_circle_end)
{
    static const unsigned char descriptor[] = {0x0a, 1, 'f'};
    static msgsrv_proto_file one, other;
    static const msgsrv_proto_file *const imports_of_one[] = {&other, &one, NULL};
    static const msgsrv_proto_file *const imports_of_other[] = {&one, NULL};
    one = (msgsrv_proto_file){"one", descriptor, sizeof descriptor, imports_of_one};
    other = (msgsrv_proto_file){"other", descriptor, sizeof descriptor, imports_of_other};
    msi_buf set = {0};
    ck_assert(msi_types_put_file(&set, &one));
    ck_assert_uint_eq(set.len, 2 * (2 + sizeof descriptor));
    msi_buf_free(&set);
}
END_TEST

TS_MAIN("bus_types", what_was_learned_is_described, a_type_may_be_spread_over_files_in_any_order,
        what_is_no_set_of_the_type_is_refused, names_that_two_files_have_are_refused, broken_bytes_do_no_harm,
        names_of_types_are_bounded, compatible_changes_are_taken_and_the_wider_set_holds,
        incompatible_changes_are_refused_and_name_the_field, types_of_one_set_go_different_ways,
        there_are_no_more_types_than_allowed, a_set_has_no_more_files_than_allowed, the_bytes_of_sets_are_bounded,
        a_generated_file_comes_with_its_imports_each_once, imports_in_a_circle_end)
