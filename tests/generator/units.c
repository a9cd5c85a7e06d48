/* SPDX-License-Identifier: MIT */
/*
 * The parts of the generator by themselves: buffer, arena, templates, names, nanopb's options, files as bytes.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "names.h"
#include "nanopb_option.h"
#include "params.h"
#include "raw_files.h"
#include "template.h"

START_TEST(buffer_grows_to_its_maximum_and_no_further)
{
    msi_buffer buffer;
    size_t i;

    msi_buffer_init(&buffer, 1000);
    for (i = 0; i < 100; i++)
        msi_buffer_puts(&buffer, "0123456789");
    ck_assert_uint_eq(buffer.size, 1000);
    ck_assert_uint_eq(strlen(buffer.data), 1000);
    ck_assert(!buffer.full);
    msi_buffer_add(&buffer, "", 0);
    ck_assert(!buffer.full);
    msi_buffer_printf(&buffer, "%d", 1);
    ck_assert(buffer.full);
    ck_assert_uint_eq(buffer.size, 1000);
    msi_buffer_release(&buffer);
    ck_assert_ptr_null(buffer.data);
    ck_assert(!buffer.full);
    ck_assert_uint_eq(buffer.max, 1000);
}
END_TEST

START_TEST(full_buffer_takes_nothing_that_would_fit)
{
    msi_buffer buffer;

    msi_buffer_init(&buffer, 4);
    msi_buffer_puts(&buffer, "12345");
    msi_buffer_puts(&buffer, "1");
    ck_assert(buffer.full);
    ck_assert_uint_eq(buffer.size, 0);
    msi_buffer_release(&buffer);
}
END_TEST

START_TEST(arena_gives_zeroed_aligned_memory_of_any_size)
{
    static const size_t sizes[] = {0, 1, 7, 16, 4096, 65536, 65537, 1000000, 3};
    msi_arena arena = {0};
    size_t i, j;

    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = msi_arena_alloc(&arena, sizes[i]);
        unsigned all = 0;

        ck_assert_uint_eq((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (j = 0; j < sizes[i]; j++)
            all |= memory[j];
        ck_assert_uint_eq(all, 0);
        memset(memory, 0xff, sizes[i]);
    }
    msi_arena_release(&arena);
    ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(template_replaces_names_and_nothing_else)
{
    static const msi_value values[] = {{"a", "$b$ %s"}, {"b", "2"}, {"long_name", ""}, {NULL, NULL}};
    msi_buffer buffer;

    msi_buffer_init(&buffer, 100);
    msi_template(&buffer, values, "$a$,$b$$b$,$long_name$.$ 100%d");
    ck_assert_str_eq(buffer.data, "$b$ %s,22,.$ 100%d");
    msi_buffer_release(&buffer);
}
END_TEST

START_TEST(names_are_those_of_c)
{
    msi_arena arena = {0};

    ck_assert(msi_is_identifier("_aZ9") && !msi_is_identifier("9a") && !msi_is_identifier("") &&
              !msi_is_identifier(NULL) && !msi_is_identifier("a.b"));
    ck_assert(msi_is_dotted_name("a.b_1") && !msi_is_dotted_name("a..b") && !msi_is_dotted_name(".a") &&
              !msi_is_dotted_name("a.") && !msi_is_dotted_name(NULL));
    ck_assert(msi_is_c_word("int") && msi_is_c_word("bool") && !msi_is_c_word("class") && msi_is_cxx_word("class"));
    ck_assert_str_eq(msi_c_name(&arena, "a.b_c.D"), "a_b_c_D");
    ck_assert_str_eq(msi_file_stem(&arena, "a.b/c.d.proto"), "a.b/c.d");
    ck_assert_str_eq(msi_file_stem(&arena, "a.b/c"), "a.b/c");
    ck_assert_str_eq(msi_file_stem(&arena, "a/.c"), "a/.c");
    ck_assert_str_eq(msi_include_guard(&arena, "a-b/c.d"), "A_B_C_D_MSGSRV_H");
    ck_assert_str_eq(msi_include_guard(&arena, "9"), "PROTO_9_MSGSRV_H");
    ck_assert_str_eq(msi_file_id(&arena, "common/base"), "common_base");
    ck_assert_str_eq(msi_file_id(&arena, "9-a.b\xc3\xa4"), "file_9_a_b__");
    msi_arena_release(&arena);
}
END_TEST

START_TEST(file_names_stay_inside_the_output)
{
    static const char *const bad[] = {"",       "/a",  "a/",   "a//b", ".",    "..",
                                      "a/../b", "./a", "a\nb", "a\"b", "a\\b", "a*b"};
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!msi_is_file_name(bad[i]), "%s", bad[i]);
    ck_assert(msi_is_file_name("a.proto") && msi_is_file_name("a b/..c/d.proto"));
}
END_TEST

START_TEST(option_text_is_taken_apart)
{
    msi_arena arena = {0};
    msi_option_list list;

    ck_assert(msi_options_of_text(&arena, " type : FT_CALLBACK,callback_datatype:\"a\\\"b\" 'c' ; max_count: 3", &list));
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.options[0].name, "type");
    ck_assert_str_eq(list.options[0].value, "1");
    ck_assert_str_eq(list.options[1].value, "a\\\"bc");
    ck_assert_str_eq(list.options[2].value, "3");
    ck_assert(msi_options_of_text(&arena, "", &list));
    ck_assert_uint_eq(list.count, 0);
    ck_assert(msi_options_of_text(&arena, "include:['a', \"b\"] exclude:\"c\"", &list));
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.options[1].value, "b");
    ck_assert_str_eq(list.options[2].name, "exclude");
    msi_arena_release(&arena);
}
END_TEST

START_TEST(later_options_count)
{
    msi_arena arena = {0};
    msi_options options = {0};
    msi_option_list list;

    ck_assert(msi_options_of_text(&arena, "type:FT_STATIC type:FT_POINTER default_has:true default_has:false", &list));
    msi_options_apply(&options, &list);
    ck_assert_int_eq(options.type, MSI_FT_POINTER);
    ck_assert(!options.default_has && !options.has_max_count);
    ck_assert_ptr_null(options.callback_datatype);
    msi_arena_release(&arena);
}
END_TEST

START_TEST(parameters_are_taken_apart)
{
    msi_arena arena = {0};
    msi_params params;

    ck_assert_ptr_null(msi_params_parse(&arena, NULL, &params));
    ck_assert_ptr_null(msi_params_parse(&arena, "options_path=a,options_path=b=c,,options=d,setting=e:f,", &params));
    ck_assert_uint_eq(params.options_path_count, 2);
    ck_assert_str_eq(params.options_paths[1], "b=c");
    ck_assert_str_eq(params.options_file, "d");
    ck_assert_uint_eq(params.setting_count, 1);
    ck_assert_str_eq(params.settings[0], "e:f");
    ck_assert_ptr_nonnull(msi_params_parse(&arena, "option=a", &params));
    msi_arena_release(&arena);
}
END_TEST

/* A request: a parameter, a file "a", and a file "b" with source_code_info, which stands between other fields. */
#define FILE_A 0x7a, 3, 0x0a, 1, 'a'
#define SPAN 0x12, 3, 1, 2, 3
#define INFO_OF_B                                                                         \
    0x4a, 32, 0x0a, 9, 0x0a, 2, 4, 0, SPAN,             /* no comment */                  \
        0x0a, 8, SPAN, 0x1a, 1, 'l',                    /* leading, of the file itself */ \
        0x0a, 9, 0x0a, 1, 6, 0x22, 1, 't', 0x32, 1, 'd' /* trailing and detached */
#define KEPT_OF_B 0x4a, 16, 0x0a, 3, 0x1a, 1, 'l', 0x0a, 9, 0x0a, 1, 6, 0x22, 1, 't', 0x32, 1, 'd'
#define FIELDS_OF_B \
    0xc5, 0x3e, 1, 2, 3, 4, 0xc8, 0x3e, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x62, 0

static const unsigned char raw_request[] = {0x12, 1, 'p', FILE_A, 0x7a, 58, 0x0a, 1, 'b', INFO_OF_B, FIELDS_OF_B};

static void check_raw(const unsigned char *request, size_t size, size_t index, bool notes,
                      const unsigned char *expected, size_t expected_size)
{
    msi_buffer out;

    msi_buffer_init(&out, 1000);
    ck_assert(msi_raw_file(request, size, index, notes, &out));
    ck_assert_uint_eq(out.size, expected_size);
    ck_assert_mem_eq(out.data, expected, expected_size);
    msi_buffer_release(&out);
}

START_TEST(raw_files_keep_all_but_places)
{
    static const unsigned char a[] = {0x0a, 1, 'a'};
    static const unsigned char b[] = {0x0a, 1, 'b', KEPT_OF_B, FIELDS_OF_B};
    static const unsigned char bare[] = {0x0a, 1, 'b', FIELDS_OF_B};
    msi_buffer out;

    check_raw(raw_request, sizeof raw_request, 0, true, a, sizeof a);
    check_raw(raw_request, sizeof raw_request, 1, true, b, sizeof b);
    check_raw(raw_request, sizeof raw_request, 1, false, bare, sizeof bare);
    msi_buffer_init(&out, 1000);
    ck_assert(!msi_raw_file(raw_request, sizeof raw_request, 2, true, &out));
    ck_assert_uint_eq(out.size, 0);
    msi_buffer_release(&out);
}
END_TEST

/* Without a comment there is no source_code_info at all. */
START_TEST(raw_files_without_comments_have_no_info)
{
    static const unsigned char request[] = {0x7a, 16, 0x0a, 1, 'a', 0x4a, 11, 0x0a, 9, 0x0a, 2, 4, 0, SPAN};
    static const unsigned char a[] = {0x0a, 1, 'a'};

    check_raw(request, sizeof request, 0, true, a, sizeof a);
}
END_TEST

START_TEST(raw_files_cut_anywhere_are_refused_or_whole)
{
    size_t size;

    for (size = 0; size < sizeof raw_request; size++) {
        msi_buffer out;

        msi_buffer_init(&out, 1000);
        ck_assert(!msi_raw_file(raw_request, size, 1, true, &out));
        msi_buffer_release(&out);
    }
}
END_TEST

START_TEST(raw_files_of_what_is_no_message_are_refused)
{
    /* An end of a group; a length beyond the file; a varint without an end. */
    static const unsigned char bad[][6] = {
        {0x7a, 4, 0x0a, 1, 'a', 0x0c}, {0x7a, 4, 0x0a, 3, 'a', 'b'}, {0x7a, 4, 0x0a, 0, 0x18, 0xff}};
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        msi_buffer out;

        msi_buffer_init(&out, 1000);
        ck_assert(!msi_raw_file(bad[i], sizeof bad[i], 0, true, &out));
        msi_buffer_release(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generator");
    TCase *tests = tcase_create("units");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, buffer_grows_to_its_maximum_and_no_further);
    tcase_add_test(tests, full_buffer_takes_nothing_that_would_fit);
    tcase_add_test(tests, arena_gives_zeroed_aligned_memory_of_any_size);
    tcase_add_test(tests, template_replaces_names_and_nothing_else);
    tcase_add_test(tests, names_are_those_of_c);
    tcase_add_test(tests, file_names_stay_inside_the_output);
    tcase_add_test(tests, option_text_is_taken_apart);
    tcase_add_test(tests, later_options_count);
    tcase_add_test(tests, parameters_are_taken_apart);
    tcase_add_test(tests, raw_files_keep_all_but_places);
    tcase_add_test(tests, raw_files_without_comments_have_no_info);
    tcase_add_test(tests, raw_files_cut_anywhere_are_refused_or_whole);
    tcase_add_test(tests, raw_files_of_what_is_no_message_are_refused);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
