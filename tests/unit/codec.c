/* SPDX-License-Identifier: MIT */
/*
 * schema/: what nanopb does not check is checked on the same bytes that nanopb reads, errors name the field, and looking for the
 * reason of a failure takes no longer than decoding.
 */
#include "schema/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "bytes.h"
#include "guard.h"
#include "messages.msgsrv.h"
#include "shapes.msgsrv.h"
#include "suite.h"

static msgsrv_status decode(const msgsrv_message_type *type, const ts_bytes *bytes, msgsrv_error *error)
{
    void *message = calloc(1, type->struct_size);
    msgsrv_status status = msgsrv_message_decode(type, bytes->data, bytes->size, message, error);
    if (status == MSGSRV_OK)
        msgsrv_message_release(type, message);
    free(message);
    return status;
}

static void expect_bad(const msgsrv_message_type *type, ts_bytes *bytes, const char *part, const char *also)
{
    msgsrv_error error = {0};
    msgsrv_status status = decode(type, bytes, &error);
    ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "%s: %s (%s)", part, msgsrv_status_name(status), error.text);
    ck_assert_msg(strstr(error.text, part) != NULL && strstr(error.text, also) != NULL,
                  "\"%s\" does not contain \"%s\" and \"%s\"", error.text, part, also);
    ts_bytes_release(bytes);
}

/* ---- traits ---- */

START_TEST(traits_say_what_has_to_be_done_with_a_type)
{
    msi_type_traits flat = msi_type_look(messages_AddRequest_type.nanopb);
    ck_assert(flat.flat && !flat.releases && !flat.has_views && flat.zero_init && flat.decodable);
    msi_type_traits text = msi_type_look(messages_EchoMessage_type.nanopb);
    ck_assert(!text.flat && text.releases && !text.has_views && text.decodable);
    msi_type_traits view = msi_type_look(shapes_Blob_type.nanopb);
    ck_assert(!view.flat && view.has_views && view.decodable);
    msi_type_traits nested = msi_type_look(shapes_Wrapped_type.nanopb);
    ck_assert(!nested.flat && nested.has_views && nested.decodable);
    msi_type_traits all = msi_type_look(shapes_Everything_type.nanopb);
    ck_assert(!all.flat && all.releases && all.has_views && all.decodable);
}
END_TEST

START_TEST(fields_are_found_by_number)
{
    for (uint32_t i = 0; i < shapes_Everything_type.field_count; i++) {
        const msgsrv_field *field = &shapes_Everything_type.fields[i];
        ck_assert_ptr_eq(msi_field_find(&shapes_Everything_type, field->number), field);
    }
    ck_assert_ptr_null(msi_field_find(&shapes_Everything_type, 0));
    ck_assert_ptr_null(msi_field_find(&shapes_Everything_type, 21));
    ck_assert_ptr_null(msi_field_find(&shapes_Everything_type, UINT32_MAX));
    ck_assert_ptr_eq(msi_field_find(&shapes_Wrapped_type, 8), &shapes_Wrapped_type.fields[0]);
    ck_assert_ptr_null(msi_field_find(&shapes_Wrapped_type, 1));
}
END_TEST

/* ---- what is refused ---- */

START_TEST(broken_texts_are_named_wherever_they_are)
{
    ts_bytes bytes = {0}, inner = {0};
    ts_put_field(&bytes, shapes_Everything_text_tag, "\xff", 1);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.text", "UTF-8");
    ts_put_field(&bytes, shapes_Everything_label_tag, "a\0b", 3);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.label", "NUL");
    ts_put_field(&bytes, shapes_Everything_words_tag, "good", 4);
    ts_put_field(&bytes, shapes_Everything_words_tag, "\xc3", 1);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.words", "UTF-8");
    ts_put_field(&bytes, shapes_Everything_choice_text_tag, "\x80", 1);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.choice_text", "UTF-8");
    ts_put_field(&inner, shapes_Inner_tags_tag, "\xed\xa0\x80", 3);
    ts_put_field(&bytes, shapes_Everything_inners_tag, inner.data, inner.size);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Inner.tags", "UTF-8");
    ts_put_field(&bytes, shapes_Everything_choice_inner_tag, inner.data, inner.size);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Inner.tags", "UTF-8");
    ts_bytes_clear(&inner);
    ts_put_field(&inner, 1, "\xff", 1); /* a map's key */
    ts_put_field(&bytes, shapes_Everything_counts_tag, inner.data, inner.size);
    expect_bad(&shapes_Everything_type, &bytes, "key", "UTF-8");
    ts_bytes_release(&inner);
}
END_TEST

/* A broken text behind bytes that one reader may pass over and the other not. */
static void expect_seen_behind(const void *prefix, size_t size, const char *what)
{
    ts_bytes bytes = {0};
    msgsrv_error error = {0};
    ts_put(&bytes, prefix, size);
    ts_put_field(&bytes, 1, "a\0\xff", 3);
    msgsrv_status status = decode(&messages_EchoMessage_type, &bytes, &error);
    ck_assert_msg(status == MSGSRV_INVALID_ARGUMENT, "%s hides a broken text: %s", what, msgsrv_status_name(status));
    ts_bytes_release(&bytes);
}

START_TEST(nothing_that_only_nanopb_reads_hides_a_broken_text)
{
    /* nanopb takes a tag that is sign-extended to 64 bits, and skips varints of any length. */
    static const uint8_t sign_extended[] = {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00};
    static const uint8_t long_varint[] = {0x50, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t padded_tag[] = {0xd0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00};
    static const uint8_t high_bits[] = {0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t group[] = {0x53, 0x54};
    expect_seen_behind(NULL, 0, "nothing");
    expect_seen_behind("\x50\x01", 2, "an unknown field");
    expect_seen_behind(sign_extended, sizeof sign_extended, "a sign-extended tag");
    expect_seen_behind(long_varint, sizeof long_varint, "a varint of eleven bytes");
    expect_seen_behind(padded_tag, sizeof padded_tag, "a tag with zeros behind it");
    expect_seen_behind(high_bits, sizeof high_bits, "a varint of more than 64 bits");
    expect_seen_behind(group, sizeof group, "a group");
}
END_TEST

START_TEST(lengths_and_counts_over_a_fields_room_are_named_with_the_remedy)
{
    ts_bytes bytes = {0};
    static char data[70000];
    ts_put_field(&bytes, shapes_Everything_blob_tag, data, 65536);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.blob", "msgsrv_bytes");
    ts_put_field(&bytes, shapes_Everything_parts_tag, data, 65536);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.parts", "msgsrv_bytes");
    ts_put_field(&bytes, shapes_Everything_label_tag, "sixteen letters!", 16);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.label", "max_size");
    ts_put_field(&bytes, shapes_Everything_digest_tag, data, 33);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.digest", "max_size");
    for (int i = 0; i < 65536; i++)
        ts_put_field(&bytes, shapes_Everything_words_tag, "", 0);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.words", "65535");
    ts_put_field(&bytes, shapes_Everything_numbers_tag, data, 65536); /* packed */
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.numbers", "65535");
    ts_put_field(&bytes, shapes_PlainBlob_data_tag, data, 65536);
    expect_bad(&shapes_PlainBlob_type, &bytes, "shapes.PlainBlob.data", "msgsrv_bytes");
}
END_TEST

START_TEST(lengths_and_counts_that_just_fit_are_taken)
{
    ts_bytes bytes = {0};
    msgsrv_error error;
    static char data[65535];
    ts_put_field(&bytes, shapes_Everything_blob_tag, data, 65535);
    ts_put_field(&bytes, shapes_Everything_label_tag, "fifteen letters", 15);
    ts_put_field(&bytes, shapes_Everything_digest_tag, data, 32);
    ts_put_field(&bytes, shapes_Everything_numbers_tag, data, 65535);
    for (int i = 0; i < 65535; i++)
        ts_put_field(&bytes, shapes_Everything_words_tag, "", 0);
    msgsrv_status status = decode(&shapes_Everything_type, &bytes, &error);
    ck_assert_msg(status == MSGSRV_OK, "%s", error.text);
    ts_bytes_release(&bytes);
}
END_TEST

START_TEST(malformed_bytes_are_named_by_their_message)
{
    ts_bytes bytes = {0};
    ts_put(&bytes,
           "\x0a\x05"
           "a",
           3);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything", "malformed");
    ts_put(&bytes, "\x08\x01", 2); /* text as a number */
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything.text", "wire type");
    ts_put(&bytes, "\x08\x01", 2); /* a msgsrv_bytes as a number: nanopb has its bytes on the stack */
    expect_bad(&shapes_Blob_type, &bytes, "shapes.Blob.data", "wire type");
    ts_put(&bytes, "\x03\x04", 2);
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Everything", "malformed");
    ts_put(&bytes, "\x42\x02\x0a\x05", 4); /* cut off inside inner */
    expect_bad(&shapes_Everything_type, &bytes, "shapes.Inner", "malformed");
}
END_TEST

/* ---- time ---- */

/* Decoding that fails has to find its reason; hostile bytes may not make that take more than a moment. */
static void expect_soon(const msgsrv_message_type *type, ts_bytes *bytes, const char *what)
{
    msgsrv_error error;
    uint64_t start = ts_now_ms();
    ck_assert_int_ne(decode(type, bytes, &error), MSGSRV_OK);
    ck_assert_msg(ts_now_ms() - start < TS_GUARD_MS, "%s: took %llu ms", what, (unsigned long long)(ts_now_ms() - start));
    ts_bytes_release(bytes);
}

#define HOSTILE (2u << 20)

START_TEST(the_reason_for_many_elements_is_found_soon)
{
    ts_bytes bytes = {0};
    while (bytes.size < HOSTILE)
        ts_put_field(&bytes, shapes_Everything_inners_tag, "", 0);
    ts_put(&bytes, "\x0a\x7f", 2);
    expect_soon(&shapes_Everything_type, &bytes, "one repeated message");
    while (bytes.size < HOSTILE) {
        ts_put_field(&bytes, shapes_Everything_words_tag, "", 0);
        ts_put_field(&bytes, shapes_Everything_parts_tag, "", 0);
    }
    ts_put(&bytes, "\x0a\x7f", 2);
    expect_soon(&shapes_Everything_type, &bytes, "two repeated fields in turn");
}
END_TEST

START_TEST(the_reason_for_a_failure_behind_few_enough_elements_is_found_soon)
{
    ts_bytes bytes = {0};
    for (int i = 0; i < 65000; i++) {
        ts_put_field(&bytes, shapes_Everything_words_tag, "", 0);
        ts_put_field(&bytes, shapes_Everything_parts_tag, "", 0);
        ts_put_field(&bytes, shapes_Everything_inners_tag, "", 0);
    }
    ts_put(&bytes, "\x0a\x7f", 2);
    expect_soon(&shapes_Everything_type, &bytes, "three repeated fields in turn, none too many");
}
END_TEST

START_TEST(texts_of_many_small_pieces_are_checked_soon)
{
    ts_bytes bytes = {0};
    while (bytes.size < HOSTILE)
        ts_put_field(&bytes, shapes_Everything_text_tag, "x", 1); /* the last one counts */
    msgsrv_error error;
    uint64_t start = ts_now_ms();
    ck_assert_int_eq(decode(&shapes_Everything_type, &bytes, &error), MSGSRV_OK);
    ck_assert_uint_lt(ts_now_ms() - start, TS_GUARD_MS);
    ts_bytes_release(&bytes);
}
END_TEST

/* ---- msgsrv_bytes ---- */

START_TEST(views_point_into_the_bytes_until_they_are_owned)
{
    ts_bytes bytes = {0}, inner = {0};
    ts_put_field(&inner, 1, "a view", 6);
    ts_put_field(&bytes, 8, inner.data, inner.size);
    shapes_Wrapped message;
    memset(&message, 0, sizeof message);
    msi_type_traits traits = msi_type_look(shapes_Wrapped_type.nanopb);
    ck_assert_int_eq(msi_decode(&shapes_Wrapped_type, &traits, bytes.data, bytes.size, 1000, &message, NULL), MSGSRV_OK);
    const unsigned char *view = message.inner.data.data;
    ck_assert(view > bytes.data && view < bytes.data + bytes.size);
    ck_assert_uint_eq(message.inner.data.size, 6);
    ck_assert_ptr_null(message.inner.data.owned);
    ck_assert(msi_own_views(&shapes_Wrapped_type, &message));
    memset(bytes.data, 0, bytes.size);
    ck_assert_mem_eq(message.inner.data.data, "a view", 6);
    ck_assert_ptr_eq(message.inner.data.data, message.inner.data.owned);
    ck_assert(msi_own_views(&shapes_Wrapped_type, &message)); /* a second time changes nothing */
    msi_release(&shapes_Wrapped_type, &traits, &message);
    ck_assert_ptr_null(message.inner.data.data);
    ts_bytes_release(&bytes);
    ts_bytes_release(&inner);
}
END_TEST

START_TEST(of_a_field_that_comes_twice_the_last_counts)
{
    ts_bytes bytes = {0};
    msgsrv_error error;
    ts_put_field(&bytes, 1, "first", 5);
    ts_put_field(&bytes, 1, "second", 6);
    shapes_Blob blob;
    ck_assert_int_eq(msgsrv_message_decode(&shapes_Blob_type, bytes.data, bytes.size, &blob, &error), MSGSRV_OK);
    ck_assert_uint_eq(blob.data.size, 6);
    ck_assert_mem_eq(blob.data.data, "second", 6);
    shapes_Blob_release(&blob);
    messages_EchoMessage text;
    ck_assert_int_eq(msgsrv_message_decode(&messages_EchoMessage_type, bytes.data, bytes.size, &text, &error), MSGSRV_OK);
    ck_assert_str_eq(text.text, "second");
    messages_EchoMessage_release(&text);
    ts_bytes_release(&bytes);
}
END_TEST

START_TEST(each_member_of_a_oneof_replaces_the_one_before)
{
    ts_bytes bytes = {0}, inner = {0};
    ts_put_field(&inner, shapes_Inner_name_tag, "name", 4);
    ts_put_field(&bytes, shapes_Everything_choice_text_tag, "text", 4);
    ts_put_field(&bytes, shapes_Everything_choice_inner_tag, inner.data, inner.size);
    ts_put_uint(&bytes, shapes_Everything_choice_number_tag, 7);
    ts_put_field(&bytes, shapes_Everything_choice_text_tag, "more", 4);
    shapes_Everything all;
    msgsrv_error error;
    ck_assert_int_eq(msgsrv_message_decode(&shapes_Everything_type, bytes.data, bytes.size, &all, &error), MSGSRV_OK);
    ck_assert_uint_eq(all.which_choice, shapes_Everything_choice_text_tag);
    ck_assert_str_eq(all.choice.choice_text, "more");
    shapes_Everything_release(&all);
    ts_bytes_release(&bytes);
    ts_bytes_release(&inner);
}
END_TEST

/* ---- encoding ---- */

START_TEST(an_encoding_is_appended_or_leaves_the_buffer_as_it_was)
{
    msi_buf out = {0};
    msgsrv_error error;
    msi_type_traits traits = msi_type_look(messages_EchoMessage_type.nanopb);
    char good[] = "12345678", broken[] = "\xff";
    messages_EchoMessage message = {.text = good};
    ck_assert(msi_buf_append(&out, "before", 6));
    ck_assert_int_eq(msi_encode(&messages_EchoMessage_type, &traits, &message, 10, &out, &error), MSGSRV_OK);
    ck_assert_uint_eq(out.len, 16);
    ck_assert_mem_eq(out.data,
                     "before\x0a\x08"
                     "12345678",
                     16);
    ck_assert_int_eq(msi_encode(&messages_EchoMessage_type, &traits, &message, 9, &out, &error),
                     MSGSRV_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(error.text, "messages.EchoMessage"));
    message.text = broken;
    ck_assert_int_eq(msi_encode(&messages_EchoMessage_type, &traits, &message, 100, &out, &error),
                     MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.text, "messages.EchoMessage.text"));
    ck_assert_uint_eq(out.len, 16);
    msi_buf_release(&out);
}
END_TEST

START_TEST(a_view_without_data_but_with_a_size_does_not_encode)
{
    shapes_Blob blob = {.data = {.size = 5}};
    msgsrv_error error;
    void *data = NULL;
    size_t size;
    ck_assert_int_eq(msgsrv_message_encode(&shapes_Blob_type, &blob, &data, &size, &error), MSGSRV_INVALID_ARGUMENT);
    ck_assert_ptr_null(data);
}
END_TEST

TS_MAIN("codec", traits_say_what_has_to_be_done_with_a_type, fields_are_found_by_number,
        broken_texts_are_named_wherever_they_are, nothing_that_only_nanopb_reads_hides_a_broken_text,
        lengths_and_counts_over_a_fields_room_are_named_with_the_remedy, lengths_and_counts_that_just_fit_are_taken,
        malformed_bytes_are_named_by_their_message, the_reason_for_many_elements_is_found_soon,
        the_reason_for_a_failure_behind_few_enough_elements_is_found_soon, texts_of_many_small_pieces_are_checked_soon,
        views_point_into_the_bytes_until_they_are_owned, of_a_field_that_comes_twice_the_last_counts,
        each_member_of_a_oneof_replaces_the_one_before, an_encoding_is_appended_or_leaves_the_buffer_as_it_was,
        a_view_without_data_but_with_a_size_does_not_encode)
