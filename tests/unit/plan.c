/* SPDX-License-Identifier: MIT */
/*
 * schema/plan.c does what nanopb and schema/check.c do: every message here goes both ways, with the plan and without it, and all that comes
 * out must be the same: verdict, error text, struct, bytes.
 */
#include "schema/plan.h"

#include <pb_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "messages.msgsrv.h"
#include "plan.msgsrv.h"
#include "plan_old.msgsrv.h"
#include "schema/codec.h"
#include "suite.h"

#define ROUNDS 100000u /* together, of each of the two tests with random messages */

static const msgsrv_message_type *const planned[] = {
    &plan_Varints_type, &plan_MaybeVarints_type, &plan_Fixed_type, &plan_MaybeFixed_type,
    &plan_Pieces_type,  &plan_MaybePieces_type,  &plan_Item_type,  &plan_old_Plain_type};
#define PLANNED (sizeof planned / sizeof *planned)

/* ---- allocations that fail ---- */

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);

static unsigned good_reallocs = UINT32_MAX; /* so many succeed, then none */

void *__wrap_realloc(void *block, size_t size)
{
    if (good_reallocs == 0)
        return NULL;
    if (good_reallocs != UINT32_MAX)
        good_reallocs--;
    return __real_realloc(block, size);
}

/* ---- chance ---- */

static uint64_t chance = 0x9e3779b97f4a7c15u;

static uint32_t below(uint32_t limit)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)((chance >> 20) % limit);
}

static uint64_t any_value(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     127,
                                     128,
                                     16383,
                                     16384,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     0x80000000u,
                                     0x100000000,
                                     INT64_MAX,
                                     1ull << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 1,
                                     0xffffffff80000000u,
                                     0xffffffff7fffffffu};
    uint64_t random = (uint64_t)below(UINT32_MAX) << 32 | below(UINT32_MAX);
    return below(2) ? edges[below(sizeof edges / sizeof *edges)] : random >> below(64);
}

static void put_any_text(ts_bytes *out, uint32_t number)
{
    static const char *const texts[] = {
        "",
        "a",
        "twelve char",
        "twelve chars",
        "gr\xc3\xbc\xc3\x9f",
        "\xe2\x82\xac and \xf0\x9f\x98\x80",
        "more than eight and more than sixteen bytes, and then some, up to sixty-four and over"};
    static const char *const broken[] = {"\xff", "a\xc3", "\xed\xa0\x80", "eight be\xc0\x80"};
    if (below(100) == 0)
        ts_put_field(out, number, "a\0b", 3);
    else if (below(100) == 0)
        ts_put_text(out, number, broken[below(sizeof broken / sizeof *broken)]);
    else
        ts_put_text(out, number, texts[below(sizeof texts / sizeof *texts)]);
}

/* Any value of a field, mostly one that it can hold. */
static void put_any(ts_bytes *out, const pb_field_iter_t *field)
{
    unsigned char fixed[8];
    uint64_t value = any_value();
    memcpy(fixed, &value, sizeof fixed);
    switch (PB_LTYPE(field->type)) {
    case PB_LTYPE_FIXED32:
        ts_put_tag(out, field->tag, TS_FIXED32);
        ts_put(out, fixed, 4);
        break;
    case PB_LTYPE_FIXED64:
        ts_put_tag(out, field->tag, TS_FIXED64);
        ts_put(out, fixed, 8);
        break;
    case PB_LTYPE_STRING:
        put_any_text(out, field->tag);
        break;
    case PB_LTYPE_BYTES:
        ts_put_field(out, field->tag, "any bytes\0\xff", below(12));
        break;
    case PB_LTYPE_BOOL:
        ts_put_uint(out, field->tag, below(10) ? value & 1 : value);
        break;
    default:
        ts_put_uint(out, field->tag, below(10) && field->data_size == 4 ? (uint32_t)value : value);
    }
}

static void put_unknown(ts_bytes *out)
{
    static const unsigned char wire_types[] = {TS_VARINT, TS_FIXED64, TS_LENGTH, TS_FIXED32, TS_GROUP, TS_GROUP_END, 6};
    uint32_t number = below(3) == 0 ? 2048 : below(40);
    unsigned type = wire_types[below(below(20) ? 4 : 7)];
    ts_put_tag(out, number, type);
    if (type == TS_VARINT)
        ts_put_varint(out, any_value());
    else if (type == TS_LENGTH)
        ts_put(out, "\x03\xff\0a", 4);
    else
        ts_put(out, "01234567", type == TS_FIXED32 ? 4 : 8);
}

/* Bytes of a type: most fields, mostly in order and once, now and then something that it does not have. */
static void put_message(ts_bytes *out, const msgsrv_message_type *type)
{
    pb_field_iter_t field;
    ts_bytes_clear(out);
    ck_assert(pb_field_iter_begin(&field, type->nanopb, NULL));
    for (unsigned left = below(2 * field.descriptor->field_count + 1); left > 0; left--) {
        if (below(4))
            put_any(out, &field);
        if (below(40) == 0)
            put_unknown(out);
        for (unsigned steps = below(10) ? 1 : below(field.descriptor->field_count); steps > 0; steps--)
            (void)pb_field_iter_next(&field);
    }
}

/* Changes some bytes: others, fewer, more, or numbers in more bytes than they need. */
static void mutate(ts_bytes *bytes)
{
    for (unsigned left = 1 + below(3); left > 0 && bytes->size > 0; left--) {
        size_t at = below((uint32_t)bytes->size);
        switch (below(6)) {
        case 0:
            bytes->data[at] = (unsigned char)below(256);
            break;
        case 1:
            bytes->data[at] ^= (unsigned char)(1u << below(8));
            break;
        case 2:
            bytes->size = at;
            break;
        case 3:
            memmove(bytes->data + at, bytes->data + at + 1, bytes->size - at - 1);
            bytes->size--;
            break;
        case 4:
            ts_put_varint_in(bytes, any_value(), 10);
            break;
        default:
            ts_put(bytes, "\x80", 1);
            memmove(bytes->data + at + 1, bytes->data + at, bytes->size - at - 1);
            bytes->data[at] = below(2) ? 0x80 : 0xff;
        }
    }
}

/* ---- both ways ---- */

/* Decoded one way. */
typedef struct outcome {
    msgsrv_status status;
    msgsrv_error error;
    void *message;
} outcome;

static msi_type_traits without_plan(const msgsrv_message_type *type)
{
    msi_type_traits traits = msi_type_look(type->nanopb);
    traits.plan.count = 0;
    return traits;
}

static outcome decode(const msgsrv_message_type *type, const msi_type_traits *traits, const ts_bytes *bytes)
{
    outcome result = {.message = calloc(1, type->struct_size)};
    ck_assert_ptr_nonnull(result.message);
    result.status = msi_decode(type, traits, bytes->data, bytes->size, 0, result.message, &result.error);
    return result;
}

static void fail_with(const char *what, const msgsrv_message_type *type, const ts_bytes *bytes)
{
    char text[1024] = "";
    for (size_t i = 0; bytes && i < bytes->size && i < sizeof text / 2 - 1; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes->data[i]);
    ck_abort_msg("%s: %s: %s", type->name, what, text);
}

static bool same_bytes(const pb_bytes_array_t *one, const pb_bytes_array_t *other)
{
    return one == other ||
           (one && other && one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0);
}

static bool same_field(const pb_field_iter_t *one, const pb_field_iter_t *other)
{
    if (one->pSize && *(const unsigned char *)one->pSize != *(const unsigned char *)other->pSize)
        return false;
    if (PB_ATYPE(one->type) != PB_ATYPE_POINTER)
        return memcmp(one->pField, other->pField, one->data_size) == 0;
    if (PB_LTYPE(one->type) == PB_LTYPE_BYTES)
        return same_bytes(one->pData, other->pData);
    return one->pData == other->pData || (one->pData && other->pData && strcmp(one->pData, other->pData) == 0);
}

static bool same_message(const msgsrv_message_type *type, const void *one, const void *other)
{
    pb_field_iter_t left, right;
    if (!pb_field_iter_begin_const(&left, type->nanopb, one) || !pb_field_iter_begin_const(&right, type->nanopb, other))
        return false;
    do {
        if (!same_field(&left, &right))
            return false;
    } while (pb_field_iter_next(&left) && pb_field_iter_next(&right));
    return true;
}

static bool is_clear(const msgsrv_message_type *type, const void *message)
{
    const unsigned char *bytes = message;
    for (size_t i = 0; i < type->struct_size; i++) {
        if (bytes[i])
            return false;
    }
    return true;
}

/* Encodes both ways, behind something that must stay. Returns the status. */
static msgsrv_status encode_both(const msgsrv_message_type *type, const void *message, uint32_t max_message)
{
    msi_type_traits with = msi_type_look(type->nanopb), without = without_plan(type);
    msi_buf short_out = {0}, long_out = {0};
    msgsrv_error short_error = {0}, long_error = {0};
    ck_assert(msi_buf_append(&short_out, "before", 6) && msi_buf_append(&long_out, "before", 6));
    msgsrv_status status = msi_encode(type, &without, message, max_message, &long_out, &long_error);
    if (msi_encode(type, &with, message, max_message, &short_out, &short_error) != status ||
        strcmp(short_error.text, long_error.text) != 0)
        fail_with("encodes with another result", type, NULL);
    ck_assert_uint_eq(short_out.len, long_out.len);
    ck_assert_mem_eq(short_out.data, long_out.data, long_out.len);
    short_out.len = 6;
    ck_assert(msi_plan_encode(&with.plan, message, max_message, &short_out) == (status == MSGSRV_OK));
    msi_buf_release(&short_out);
    msi_buf_release(&long_out);
    return status;
}

/* Decodes both ways, and encodes what came out. Returns whether it decoded. */
static bool decode_both(const msgsrv_message_type *type, const ts_bytes *bytes)
{
    msi_type_traits with = msi_type_look(type->nanopb), without = without_plan(type);
    outcome one = decode(type, &with, bytes), other = decode(type, &without, bytes);
    if (one.status != other.status || strcmp(one.error.text, other.error.text) != 0)
        fail_with("decodes with another result", type, bytes);
    if (!same_message(type, one.message, other.message))
        fail_with("decodes to another struct", type, bytes);
    if (one.status)
        ck_assert(is_clear(type, one.message) && is_clear(type, other.message));
    else
        ck_assert_int_eq(encode_both(type, one.message, below(4) ? 1000 : below(100)) & ~MSGSRV_RESOURCE_EXHAUSTED, 0);
    msi_release(type, &with, one.message);
    msi_release(type, &without, other.message);
    if (!same_message(type, one.message, other.message))
        fail_with("is released to another struct", type, bytes);
    free(one.message);
    free(other.message);
    return one.status == MSGSRV_OK;
}

/* ---- which types have one ---- */

START_TEST(small_ordinary_messages_have_a_plan)
{
    for (size_t i = 0; i < PLANNED; i++)
        ck_assert_msg(msi_type_look(planned[i]->nanopb).plan.count == planned[i]->field_count, "%s", planned[i]->name);
    ck_assert_uint_eq(msi_type_look(messages_AddRequest_type.nanopb).plan.count, 2);
    ck_assert_uint_eq(msi_type_look(messages_EchoMessage_type.nanopb).plan.count, 1);
}
END_TEST

START_TEST(all_others_have_none)
{
    const msgsrv_message_type *const others[] = {&plan_Repeated_type,   &plan_Nested_type,      &plan_Chosen_type,
                                                 &plan_TooMany_type,    &plan_Far_type,         &plan_Short_type,
                                                 &plan_Long_type,       &plan_FixedLength_type, &plan_old_Required_type,
                                                 &plan_old_Default_type};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(msi_type_look(others[i]->nanopb).plan.count == 0, "%s", others[i]->name);
}
END_TEST

/* ---- both ways are one ---- */

START_TEST(random_messages_come_out_the_same)
{
    ts_bytes bytes = {0};
    unsigned good = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const msgsrv_message_type *type = planned[i % PLANNED];
        put_message(&bytes, type);
        good += decode_both(type, &bytes);
    }
    ck_assert_uint_gt(good, ROUNDS / 4);
    ck_assert_uint_lt(good, ROUNDS);
    ts_bytes_release(&bytes);
}
END_TEST

START_TEST(changed_messages_come_out_the_same)
{
    ts_bytes bytes = {0};
    unsigned good = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const msgsrv_message_type *type = planned[i % PLANNED];
        put_message(&bytes, type);
        mutate(&bytes);
        good += decode_both(type, &bytes);
    }
    ck_assert_uint_gt(good, ROUNDS / 20);
    ts_bytes_release(&bytes);
}
END_TEST

/* Random members instead of decoded ones: what no decoder makes. */
START_TEST(random_scalars_encode_the_same)
{
    uint64_t memory[32];
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        const msgsrv_message_type *type = planned[i % 4];
        ck_assert_uint_le(type->struct_size, sizeof memory);
        for (size_t k = 0; k < sizeof memory / sizeof *memory; k++)
            memory[k] = any_value();
        ck_assert_int_eq(encode_both(type, memory, 1000), MSGSRV_OK);
    }
}
END_TEST

START_TEST(good_messages_do_not_take_the_long_way)
{
    ts_bytes bytes = {0};
    plan_Item item = {0};
    msi_plan plan = msi_type_look(plan_Item_type.nanopb).plan;
    ts_put_uint(&bytes, 1, 300);
    ts_put_uint(&bytes, 9, 1); /* unknown */
    ts_put_text(&bytes, 2, "first");
    ts_put_text(&bytes, 2, "second and longer");
    ts_put_field(&bytes, 4, "data", 4);
    ck_assert(msi_plan_decode(&plan_Item_type, &plan, bytes.data, bytes.size, 1000, &item));
    ck_assert_uint_eq(item.id, 300);
    ck_assert_str_eq(item.name, "second and longer");
    ck_assert(!item.last);
    ck_assert_ptr_eq(item.data.data, bytes.data + bytes.size - 4);
    msi_plan_release(&plan, &item);
    ck_assert_ptr_null(item.name);
    ck_assert_ptr_null(item.data.data);
    ts_bytes_release(&bytes);
}
END_TEST

/* ---- what does not encode ---- */

START_TEST(broken_structs_are_refused_the_same)
{
    char broken[] = "a\xff", good[] = "good";
    plan_Pieces message = {.text = broken};
    ck_assert_int_eq(encode_both(&plan_Pieces_type, &message, 1000), MSGSRV_INVALID_ARGUMENT);
    message = (plan_Pieces){.view = {.size = 5}};
    ck_assert_int_eq(encode_both(&plan_Pieces_type, &message, 1000), MSGSRV_INVALID_ARGUMENT);
    message = (plan_Pieces){.inside = {.size = 13}};
    ck_assert_int_eq(encode_both(&plan_Pieces_type, &message, 1000), MSGSRV_INVALID_ARGUMENT);
    message = (plan_Pieces){.text = good};
    memset(message.chars, 'x', sizeof message.chars); /* without an end */
    ck_assert_int_eq(encode_both(&plan_Pieces_type, &message, 1000), MSGSRV_INVALID_ARGUMENT);
    plan_MaybePieces maybe = {.text = good};
    memset(maybe.chars, 'x', sizeof maybe.chars);
    ck_assert_int_eq(encode_both(&plan_MaybePieces_type, &maybe, 1000), MSGSRV_OK); /* not there, so not looked at */
    maybe.has_chars = true;
    ck_assert_int_eq(encode_both(&plan_MaybePieces_type, &maybe, 1000), MSGSRV_INVALID_ARGUMENT);
}
END_TEST

START_TEST(the_message_limit_is_exact)
{
    char text[] = "12345678";
    plan_Item item = {.id = 300, .name = text, .last = true, .data = {"abc", 3, NULL}}; /* 3 + 10 + 2 + 5 bytes */
    ck_assert_int_eq(encode_both(&plan_Item_type, &item, 20), MSGSRV_OK);
    ck_assert_int_eq(encode_both(&plan_Item_type, &item, 19), MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(encode_both(&plan_Item_type, &item, 0), MSGSRV_RESOURCE_EXHAUSTED);
}
END_TEST

/* ---- memory ---- */

START_TEST(what_a_message_takes_is_bounded_the_same)
{
    ts_bytes bytes = {0};
    while (bytes.size < 100000)
        ts_put_text(&bytes, 1, ""); /* 40 bytes each, as schema/check.c counts */
    ck_assert(!decode_both(&plan_Pieces_type, &bytes));
    bytes.size = 2 * (1024 * 1024 / 40 - 2); /* with the message's own 40, 56 are left */
    ts_put_text(&bytes, 1, "sixteen letters.");
    ck_assert(decode_both(&plan_Pieces_type, &bytes));
    bytes.size -= 18;
    ts_put_text(&bytes, 1, "seventeen letters");
    ck_assert(!decode_both(&plan_Pieces_type, &bytes));
    ts_bytes_release(&bytes);
}
END_TEST

static void decode_with_little(const msgsrv_message_type *type, const ts_bytes *bytes, unsigned reallocs)
{
    msi_type_traits with = msi_type_look(type->nanopb), without = without_plan(type);
    good_reallocs = reallocs;
    outcome one = decode(type, &with, bytes);
    good_reallocs = reallocs;
    outcome other = decode(type, &without, bytes);
    good_reallocs = UINT32_MAX;
    ck_assert_int_eq(one.status, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(other.status, MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(one.error.text, other.error.text);
    ck_assert(is_clear(type, one.message));
    free(one.message);
    free(other.message);
}

START_TEST(without_memory_nothing_is_lost)
{
    ts_bytes bytes = {0};
    char text[] = "text";
    plan_Pieces message = {.text = text};
    msi_type_traits traits = msi_type_look(plan_Pieces_type.nanopb);
    msi_buf out = {0};
    msgsrv_error error;
    ts_put_text(&bytes, 1, "first");
    ts_put_field(&bytes, 4, "block", 5);
    ts_put_text(&bytes, 1, "again");
    for (unsigned reallocs = 0; reallocs < 3; reallocs++)
        decode_with_little(&plan_Pieces_type, &bytes, reallocs);
    good_reallocs = 0;
    ck_assert_int_eq(msi_encode(&plan_Pieces_type, &traits, &message, 1000, &out, &error), MSGSRV_RESOURCE_EXHAUSTED);
    good_reallocs = UINT32_MAX;
    ck_assert_uint_eq(out.len, 0);
    ts_bytes_release(&bytes);
}
END_TEST

TS_MAIN("plan", small_ordinary_messages_have_a_plan, all_others_have_none, random_messages_come_out_the_same,
        changed_messages_come_out_the_same, random_scalars_encode_the_same, good_messages_do_not_take_the_long_way,
        broken_structs_are_refused_the_same, the_message_limit_is_exact, what_a_message_takes_is_bounded_the_same,
        without_memory_nothing_is_lost)
