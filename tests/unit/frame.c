/* SPDX-License-Identifier: MIT */
/*
 * wire/: varints, heads, frames read and written, against the frames that tests/support codes independently.
 */
#include "wire/frame.h"

#include <stdlib.h>

#include "frames.h"
#include "suite.h"

/* ---- varints ---- */

START_TEST(varints_of_every_size_go_both_ways)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int shift = -1; shift <= 1; shift++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)shift, got = 0;
            uint8_t bytes[10];
            size_t size = (size_t)(msi_varint_put(bytes, value) - bytes);
            ck_assert_uint_eq(size, msi_varint_size(value));
            ck_assert_uint_eq(size, ts_varint_size(value));
            ck_assert_ptr_eq(msi_varint_get(bytes, bytes + size, &got), bytes + size);
            ck_assert_uint_eq(got, value);
            for (size_t cut = 0; cut < size; cut++)
                ck_assert_ptr_null(msi_varint_get(bytes, bytes + cut, &got));
        }
    }
    ck_assert_uint_eq(msi_varint_size(0), 1);
    ck_assert_uint_eq(msi_varint_size(UINT64_MAX), 10);
}
END_TEST

START_TEST(varints_that_are_too_long_or_too_large_are_none)
{
    uint64_t value;
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    ck_assert_ptr_null(msi_varint_get(eleven, eleven + sizeof eleven, &value));
    ck_assert_ptr_null(msi_varint_get(large, large + sizeof large, &value));
    static const uint8_t padded[] = {0x85, 0x80, 0x00};
    ck_assert_ptr_eq(msi_varint_get(padded, padded + 3, &value), padded + 3);
    ck_assert_uint_eq(value, 5);
}
END_TEST

START_TEST(fields_of_all_wire_types_are_walked)
{
    static const uint8_t bytes[] = {0x08, 0x96, 0x01, 0x11, 1,   2,    3, 4, 5, 6,   7,
                                    8,    0x1a, 2,    'h',  'i', 0x25, 1, 0, 0, 0x80};
    const uint8_t *end = bytes + sizeof bytes, *at = bytes;
    msi_wire_field field;
    at = msi_wire_field_get(at, end, &field);
    ck_assert(field.number == 1 && field.type == MSI_WIRE_VARINT && field.value == 150);
    at = msi_wire_field_get(at, end, &field);
    ck_assert(field.number == 2 && field.type == MSI_WIRE_FIXED64 && field.value == 0x0807060504030201u);
    at = msi_wire_field_get(at, end, &field);
    ck_assert(field.number == 3 && field.type == MSI_WIRE_BYTES && field.bytes.size == 2);
    at = msi_wire_field_get(at, end, &field);
    ck_assert(field.number == 4 && field.type == MSI_WIRE_FIXED32 && field.value == 0x80000001u);
    ck_assert_ptr_eq(at, end);
}
END_TEST

START_TEST(fields_that_are_cut_off_or_groups_are_none)
{
    static const struct {
        uint8_t bytes[10];
        size_t size;
    } cases[] = {{{0x08}, 1},
                 {{0x08, 0x80}, 2},
                 {{0x11, 1, 2, 3, 4, 5, 6, 7}, 8},
                 {{0x1a, 2, 'h'}, 3},
                 {{0x25, 1, 2, 3}, 4},
                 {{0x0b, 0x0c}, 2},
                 {{0x0c, 0}, 2},
                 {{0x0e, 0}, 2},
                 {{0x00, 0}, 2},
                 {{0x1a, 0xff, 0x7f}, 3},
                 {{0x80}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msi_wire_field field;
        ck_assert_ptr_null(msi_wire_field_get(cases[i].bytes, cases[i].bytes + cases[i].size, &field));
    }
}
END_TEST

/* ---- heads ---- */

START_TEST(heads_are_read_when_they_are_whole)
{
    static const struct {
        uint32_t number;
        uint64_t length;
    } cases[] = {{1, 0}, {15, 127}, {16, 128}, {24, 16384}, {2047, 5}, {2048, 1u << 28}, {536870911, UINT32_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ts_bytes bytes = {0};
        msi_head head;
        ts_put_frame_header(&bytes, cases[i].number, cases[i].length);
        for (size_t cut = 0; cut < bytes.size; cut++)
            ck_assert_int_eq(msi_head_get(bytes.data, cut, &head), MSI_HEAD_MORE);
        ck_assert_int_eq(msi_head_get(bytes.data, bytes.size, &head), MSI_HEAD_OK);
        ck_assert_uint_eq(head.number, cases[i].number);
        ck_assert_uint_eq(head.length, cases[i].length);
        ck_assert_uint_eq(head.size, bytes.size);
        ts_bytes_release(&bytes);
    }
}
END_TEST

START_TEST(heads_that_are_none_are_told_apart)
{
    static const struct {
        uint8_t bytes[8];
        size_t size;
        msi_head_result result;
    } cases[] = {{{0x08}, 1, MSI_HEAD_WIRE_TYPE},
                 {{0x0d}, 1, MSI_HEAD_WIRE_TYPE},
                 {{0x02, 0}, 2, MSI_HEAD_WIRE_TYPE},
                 {{'G', 'E', 'T'}, 3, MSI_HEAD_WIRE_TYPE},
                 {{0x8a, 0x00, 0}, 3, MSI_HEAD_VARINT},
                 {{0x0a, 0x80, 0x00}, 3, MSI_HEAD_VARINT},
                 {{0x0a, 0x81, 0x80, 0x00}, 4, MSI_HEAD_VARINT},
                 {{0x0a, 0xff, 0xff, 0xff, 0xff, 0x10}, 6, MSI_HEAD_VARINT},
                 {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff}, 6, MSI_HEAD_VARINT},
                 {{0xfa, 0xff, 0xff, 0xff, 0xff}, 5, MSI_HEAD_VARINT},
                 {{0xfa, 0xff, 0xff, 0xff, 0x1f, 0}, 6, MSI_HEAD_VARINT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msi_head head;
        msi_head_result result = msi_head_get(cases[i].bytes, cases[i].size, &head);
        ck_assert_msg(result == cases[i].result, "case %zu is %d", i, (int)result);
    }
}
END_TEST

/* ---- writing ---- */

static const char *const methods[] = {"/a/b", "/package.Service/Method"};

/* Writes a Call with the library and with the tests' own writer, and compares. */
static void compare_call(uint64_t id, const char *method, uint32_t timeout_ms, bool with_metadata, size_t hint,
                         size_t body)
{
    msgsrv_metadata_set set = {0};
    msgsrv_metadata entry = {.key = "trace-bin", .value = "\0\1\2", .size = 3};
    ts_pair pair = {"trace-bin", "\0\1\2", 3};
    ck_assert_int_eq(msi_metadata_add(&set, &entry, 8192, NULL), MSGSRV_OK);
    uint8_t *data = calloc(1, body + 1);
    memset(data, 'b', body);
    msi_buf out = {0};
    ts_bytes want = {0};
    ck_assert(msi_buf_append(&out, "before", 6));
    ts_put(&want, "before", 6);
    msi_open_frame open;
    ck_assert(
        msi_call_open(&out, id, method, timeout_ms, with_metadata ? &set : NULL, &(msi_call_credit){0}, hint, &open));
    ck_assert(msi_buf_append(&out, data, body));
    ck_assert(msi_frame_close(&out, &open));
    ts_call call = {.id = id, .method = method, .timeout_ms = timeout_ms, .body = data, .body_size = body};
    if (with_metadata) {
        call.metadata = &pair;
        call.metadata_count = 1;
    }
    ts_put_call(&want, &call);
    ck_assert_uint_eq(out.len, want.size);
    ck_assert_mem_eq(out.data, want.data, want.size);
    msi_buf_release(&out);
    ts_bytes_release(&want);
    msi_metadata_clear(&set);
    free(data);
}

static const size_t sizes[] = {0,     1,     100,   110,   126,   127,   128,     129,    200,
                               16000, 16350, 16383, 16384, 16400, 70000, 2097151, 2097160};
#define SIZES (sizeof sizes / sizeof sizes[0])

START_TEST(calls_are_written_right_whatever_the_hint)
{
    for (size_t hint = 0; hint < SIZES; hint++) {
        for (size_t body = 0; body < SIZES; body++) {
            compare_call(1, methods[0], 0, false, sizes[hint], sizes[body]);
            compare_call(UINT64_MAX, methods[1], UINT32_MAX, true, sizes[hint], sizes[body]);
        }
    }
    for (size_t body = 0; body < 400; body++)
        compare_call(body + 1, methods[body % 2], (uint32_t)body, body % 3 == 0, 16, body);
}
END_TEST

static void compare_end(uint64_t id, uint32_t code, const char *message, size_t hint, size_t body)
{
    uint8_t *data = calloc(1, body + 1);
    msi_buf out = {0};
    ts_bytes want = {0};
    msi_open_frame open;
    msi_final final = {.code = (msgsrv_status)code, .message = message};
    ck_assert(msi_end_open(&out, id, &final, hint, &open));
    ck_assert(msi_buf_append(&out, data, body));
    ck_assert(msi_frame_close(&out, &open));
    ts_put_end_status(&want, id, code, message, data, body);
    ck_assert_uint_eq(out.len, want.size);
    ck_assert_mem_eq(out.data, want.data, want.size);
    msi_buf_release(&out);
    ts_bytes_release(&want);
    free(data);
}

START_TEST(ends_with_a_body_are_written_right_whatever_the_hint)
{
    for (size_t hint = 0; hint < SIZES; hint++) {
        for (size_t body = 0; body < SIZES; body++)
            compare_end(7, 0, NULL, sizes[hint], sizes[body]);
    }
    for (size_t body = 0; body < 300; body++)
        compare_end((uint64_t)body << 40 | 1, 0, NULL, 0, body);
}
END_TEST

START_TEST(plain_messages_are_their_own_body)
{
    for (size_t hint = 0; hint < SIZES; hint++) {
        for (size_t body = 0; body < SIZES; body++) {
            uint8_t *data = calloc(1, sizes[body] + 1);
            msi_buf out = {0};
            ts_bytes want = {0};
            msi_open_frame open;
            ck_assert(msi_plain_open(&out, 15, sizes[hint], &open));
            ck_assert(msi_buf_append(&out, data, sizes[body]));
            ck_assert(msi_frame_close(&out, &open));
            ts_put_field(&want, 15, data, sizes[body]);
            ck_assert_uint_eq(out.len, want.size);
            ck_assert_mem_eq(out.data, want.data, want.size);
            msi_buf_release(&out);
            ts_bytes_release(&want);
            free(data);
        }
    }
}
END_TEST

START_TEST(frames_without_a_body_are_written_right)
{
    msi_buf out = {0};
    ts_bytes want = {0};
    static const ts_pair pair = {"k", "v", 1};
    msgsrv_metadata_set set = {0};
    msgsrv_metadata entry = {.key = "k", .value = "v"};
    ck_assert_int_eq(msi_metadata_add(&set, &entry, 8192, NULL), MSGSRV_OK);
    ck_assert(msi_end_put(&out, 300, &(msi_final){.code = MSGSRV_NOT_FOUND, .message = "no"}));
    ts_put_end_status(&want, 300, 5, "no", NULL, 0);
    ck_assert(msi_head_put(&out, 1, &set));
    ts_put_head(&want, 1, &pair, 1);
    ck_assert(msi_cancel_put(&out, 128));
    ts_put_cancel(&want, 128);
    ck_assert(msi_ping_put(&out, MSI_FRAME_PING, (const uint8_t *)"data", 4));
    ts_put_ping(&want, "data", 4);
    ck_assert(msi_goaway_put(&out, MSGSRV_UNAVAILABLE, "draining", 17));
    ts_put_go_away(&want, 14, "draining", 17);
    ck_assert_uint_eq(out.len, want.size);
    ck_assert_mem_eq(out.data, want.data, want.size);
    msi_buf_release(&out);
    ts_bytes_release(&want);
    msi_metadata_clear(&set);
}
END_TEST

/* ---- reading ---- */

START_TEST(a_calls_fields_are_read_in_any_order)
{
    static const ts_pair pairs[] = {{"a", "1", 1}, {"b-bin", "\0", 1}};
    ts_bytes inside = {0};
    ts_put_field(&inside, 15, "body", 4);
    ts_put_metadata(&inside, 4, &pairs[0]);
    ts_put_uint(&inside, 7, 70);
    ts_put_uint(&inside, 99, 1); /* from a later version */
    ts_put_uint(&inside, 6, 1);
    ts_put_metadata(&inside, 4, &pairs[1]);
    ts_put_uint(&inside, 5, 50);
    ts_put_uint(&inside, 3, 3000);
    ts_put_text(&inside, 2, "/a/b");
    ts_put_uint(&inside, 1, 7);
    msi_frame frame;
    ck_assert(msi_frame_get(MSI_FRAME_CALL, inside.data, inside.size, &frame));
    ck_assert_uint_eq(frame.id, 7);
    ck_assert_uint_eq(frame.timeout_ms, 3000);
    ck_assert_uint_eq(frame.credit, 50);
    ck_assert_uint_eq(frame.credit_bytes, 70);
    ck_assert(frame.streaming);
    ck_assert(frame.has_body);
    ck_assert_uint_eq(frame.body.size, 4);
    ck_assert_mem_eq(frame.method.data, "/a/b", 4);
    ck_assert_uint_eq(frame.metadata_count, 2);
    const uint8_t *at = NULL;
    msi_view key, value;
    ck_assert(msi_frame_metadata(&frame, &at, &key, &value));
    ck_assert_mem_eq(key.data, "a", 1);
    ck_assert(msi_frame_metadata(&frame, &at, &key, &value));
    ck_assert_uint_eq(key.size, 5);
    ck_assert_uint_eq(value.size, 1);
    ck_assert(!msi_frame_metadata(&frame, &at, &key, &value));
    ts_bytes_release(&inside);
}
END_TEST

START_TEST(strings_that_are_not_utf8_do_not_decode)
{
    static const struct {
        uint32_t frame, field;
    } strings[] = {{MSI_FRAME_CALL, 2}, {MSI_FRAME_END, 3}, {MSI_FRAME_GOAWAY, 2}};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        msi_frame frame;
        ts_bytes inside = {0};
        ts_put_field(&inside, strings[i].field, "\xc3(", 2);
        ck_assert(!msi_frame_get(strings[i].frame, inside.data, inside.size, &frame));
        ts_bytes_clear(&inside);
        ts_put_field(&inside, strings[i].field, "\xc3\xa4", 2);
        ck_assert(msi_frame_get(strings[i].frame, inside.data, inside.size, &frame));
        ts_bytes_release(&inside);
    }
    ts_bytes inside = {0};
    const ts_pair pair = {"\xff", "v", 1};
    ts_put_metadata(&inside, 4, &pair);
    msi_frame frame;
    ck_assert(!msi_frame_get(MSI_FRAME_CALL, inside.data, inside.size, &frame)); /* a key is a string too */
    ts_bytes_release(&inside);
}
END_TEST

START_TEST(a_frame_cut_anywhere_reads_as_it_is_or_not_at_all_and_never_beyond)
{
    ts_bytes inside = {0};
    const ts_pair pair = {"key", "value", 5};
    ts_call call = {.id = 300,
                    .method = "/a/b",
                    .timeout_ms = 1000,
                    .metadata = &pair,
                    .metadata_count = 1,
                    .credit = 3,
                    .credit_bytes = 5,
                    .streaming = true,
                    .body = "body",
                    .body_size = 4};
    ts_put_call_fields(&inside, &call);
    for (uint32_t number = MSI_FRAME_CALL; number <= MSI_FRAME_HEAD; number++) {
        for (size_t cut = 0; cut <= inside.size; cut++) {
            uint8_t *exact = malloc(cut + (cut == 0));
            memcpy(exact, inside.data, cut);
            msi_frame frame;
            if (msi_frame_get(number, exact, cut, &frame)) {
                const uint8_t *at = NULL;
                msi_view key, value;
                while (msi_frame_metadata(&frame, &at, &key, &value))
                    ck_assert(value.data + value.size <= exact + cut);
            }
            free(exact);
        }
    }
    ts_bytes_release(&inside);
}
END_TEST

START_TEST(the_first_id_is_read_without_the_rest)
{
    uint64_t id = 0;
    static const uint8_t whole[] = {0x08, 0xac, 0x02, 0x12};
    ck_assert_int_eq(msi_frame_first_id(whole, 4, &id), 1);
    ck_assert_uint_eq(id, 300);
    ck_assert_int_eq(msi_frame_first_id(whole, 0, &id), 0);
    ck_assert_int_eq(msi_frame_first_id(whole, 1, &id), 0);
    ck_assert_int_eq(msi_frame_first_id(whole, 2, &id), 0);
    ck_assert_int_eq(msi_frame_first_id(whole + 3, 1, &id), -1);
    static const uint8_t endless[] = {0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    ck_assert_int_eq(msi_frame_first_id(endless, sizeof endless, &id), -1);
}
END_TEST

TS_MAIN("frame", varints_of_every_size_go_both_ways, varints_that_are_too_long_or_too_large_are_none,
        fields_of_all_wire_types_are_walked, fields_that_are_cut_off_or_groups_are_none,
        heads_are_read_when_they_are_whole, heads_that_are_none_are_told_apart,
        calls_are_written_right_whatever_the_hint, ends_with_a_body_are_written_right_whatever_the_hint,
        plain_messages_are_their_own_body, frames_without_a_body_are_written_right,
        a_calls_fields_are_read_in_any_order, strings_that_are_not_utf8_do_not_decode,
        a_frame_cut_anywhere_reads_as_it_is_or_not_at_all_and_never_beyond, the_first_id_is_read_without_the_rest)
