/* SPDX-License-Identifier: MIT */
/*
 * What msgsrv-client reads without a descriptor: the names that a descriptor declares, also of one that is broken anywhere, how a word is
 * matched with them, and lines of a descriptor that come in pieces.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msgsrv/service.h>

#include "fields.h"
#include "lines.h"
#include "messages.msgsrv.h"
#include "names.h"

#define METHODS (1u << MSGSRV_SYMBOL_METHOD)
#define MESSAGES (1u << MSGSRV_SYMBOL_MESSAGE)
#define ALL (~0u)

static struct names names;

static void open_names(void)
{
    const msgsrv_proto_file *file = messages_Demo_description.file;
    struct fields fields = {.data = file->descriptor, .size = file->descriptor_size};
    ck_assert(names_add_file(&names, fields));
}

static void close_names(void)
{
    names_free(&names);
}

static const char *find(unsigned kinds, const char *word, enum names_found how)
{
    const struct name *found = NULL;
    ck_assert_int_eq(names_find(&names, kinds, word, &found), how);
    return found ? found->text : "";
}

static const char *nearest(unsigned kinds, const char *word)
{
    const struct name *name = names_nearest(&names, kinds, word);
    return name ? name->text : "";
}

START_TEST(words_find_names)
{
    ck_assert_str_eq(find(METHODS, "messages.Demo/Add", NAMES_WHOLE), "messages.Demo.Add");
    ck_assert_str_eq(find(METHODS, "/messages.Demo/Add", NAMES_WHOLE), "messages.Demo.Add");
    ck_assert_str_eq(find(METHODS, ".messages.Demo.Add", NAMES_WHOLE), "messages.Demo.Add");
    ck_assert_str_eq(find(METHODS, "Demo/Add", NAMES_END), "messages.Demo.Add");
    ck_assert_str_eq(find(METHODS, "Add", NAMES_END), "messages.Demo.Add");
    ck_assert_str_eq(find(ALL, "AddRequest", NAMES_END), "messages.AddRequest");
    ck_assert_str_eq(find(MESSAGES, "Add", NAMES_NONE), "");
    ck_assert_str_eq(find(METHODS, "dd", NAMES_NONE), "");
    ck_assert_str_eq(find(METHODS, "", NAMES_NONE), "");
    ck_assert_str_eq(find(METHODS, "x.messages.Demo.Add", NAMES_NONE), "");
    ck_assert(names_add(&names, MSGSRV_SYMBOL_METHOD, "other.Demo.Add"));
    find(METHODS, "Demo.Add", NAMES_SEVERAL);
    ck_assert_str_eq(find(METHODS, "other.Demo.Add", NAMES_WHOLE), "other.Demo.Add");
}
END_TEST

START_TEST(misspelt_words_find_the_nearest)
{
    ck_assert_str_eq(nearest(METHODS, "messages.Demo/Ad"), "messages.Demo.Add");
    ck_assert_str_eq(nearest(METHODS, "Demo/Ehco"), "messages.Demo.Echo");
    ck_assert_str_eq(nearest(METHODS, "chat"), "messages.Demo.Chat");
    ck_assert_str_eq(nearest(MESSAGES, "messages.AddRequst"), "messages.AddRequest");
    ck_assert_str_eq(nearest(METHODS, "Frobnicate"), "");
    ck_assert_str_eq(nearest(1u << MSGSRV_SYMBOL_ENUM, "Add"), "");
}
END_TEST

START_TEST(methods_are_shown_with_a_slash)
{
    char room[64];
    struct name method = {.text = (char[]){"a.B.C"}, .kind = MSGSRV_SYMBOL_METHOD};
    struct name message = {.text = (char[]){"a.B.C"}, .kind = MSGSRV_SYMBOL_MESSAGE};
    ck_assert_str_eq(name_shown(&method, room, sizeof room), "a.B/C");
    ck_assert_str_eq(name_shown(&message, room, sizeof room), "a.B.C");
    ck_assert_str_eq(name_shown(&message, room, 4), "a.B");
}
END_TEST

START_TEST(what_a_terminal_would_act_upon_is_replaced)
{
    ck_assert(names_add(&names, MSGSRV_SYMBOL_SERVICE, "a\033[2J\nb"));
    ck_assert_str_eq(names.names[names.count - 1].text, "a?[2J?b");
}
END_TEST

/* In memory of its exact size, so that AddressSanitizer sees a byte too many. */
static void read_broken(const unsigned char *data, size_t size)
{
    struct names some = {.names = NULL};
    unsigned char *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    (void)names_add_file(&some, (struct fields){.data = copy, .size = size});
    names_free(&some);
    free(copy);
}

START_TEST(broken_descriptors_do_no_harm)
{
    const msgsrv_proto_file *file = messages_Demo_description.file;
    unsigned char *data = malloc(file->descriptor_size);
    for (size_t size = 0; size < file->descriptor_size; size++)
        read_broken(file->descriptor, size);
    for (size_t i = 0; i < file->descriptor_size; i++) {
        static const unsigned char CHANGES[] = {0x00, 0x7f, 0x80, 0xff};
        for (size_t j = 0; j < sizeof CHANGES; j++) {
            memcpy(data, file->descriptor, file->descriptor_size);
            data[i] = CHANGES[j];
            read_broken(data, file->descriptor_size);
        }
    }
    free(data);
}
END_TEST

/* Messages in messages, each with a name: 0x22 (or 0x1a) LENGTH 0x0a 0x01 'M' ... */
START_TEST(deep_descriptors_are_refused)
{
    unsigned char data[1000] = {0};
    size_t size = 0;
    for (int depth = 0; depth < 100; depth++) {
        size_t head = size + 5 > 127 ? 3 : 2;
        memmove(data + head + 3, data, size);
        memcpy(data + head, "\x0a\x01M", 3);
        size += 3;
        data[0] = depth == 99 ? 0x22 : 0x1a;
        data[1] = (unsigned char)(head == 3 ? 0x80 | (size & 0x7f) : size);
        if (head == 3)
            data[2] = (unsigned char)(size >> 7);
        size += head;
    }
    struct names some = {.names = NULL};
    ck_assert(!names_add_file(&some, (struct fields){.data = data, .size = size}));
    ck_assert_uint_gt(some.count, 10);
    names_free(&some);
}
END_TEST

START_TEST(fields_are_read_one_after_another)
{
    static const uint8_t DATA[] = {0x08, 0x96, 0x01, 0x15, 1, 2, 3,    4, 0x19, 1,   2,
                                   3,    4,    5,    6,    7, 8, 0x22, 2, 'h',  'i', 0x2b};
    struct fields fields = {.data = DATA, .size = sizeof DATA};
    struct field field;
    ck_assert(fields_next(&fields, &field) && field.number == 1 && field.value == 150 && !field.has_bytes);
    ck_assert(fields_next(&fields, &field) && field.number == 2);
    ck_assert(fields_next(&fields, &field) && field.number == 3);
    ck_assert(fields_next(&fields, &field) && field_is(&field, 4) && !field_is(&field, 5));
    char *text = field_text(&field);
    ck_assert_str_eq(text, "hi");
    free(text);
    ck_assert(!fields_next(&fields, &field) && fields.malformed); /* a group */
    ck_assert(!fields_next(&fields, &field));
}
END_TEST

static void check_line(struct lines *lines, const char *expected)
{
    const char *line = NULL;
    size_t size = 0;
    ck_assert(lines_next(lines, &line, &size));
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert(size == 0 || memcmp(line, expected, size) == 0);
}

START_TEST(lines_come_in_pieces)
{
    struct lines lines = {.data = NULL};
    const char *line = NULL;
    size_t size = 0;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "on", 2), 2);
    ck_assert_int_eq(lines_read(&lines, ends[0], NULL), LINES_MORE);
    ck_assert(!lines_next(&lines, &line, &size));
    ck_assert_int_eq(write(ends[1], "e\n\ntwo\nth", 9), 9);
    ck_assert_int_eq(lines_read(&lines, ends[0], NULL), LINES_MORE);
    check_line(&lines, "one");
    check_line(&lines, "");
    check_line(&lines, "two");
    ck_assert_uint_eq(lines.number, 3);
    ck_assert(!lines_next(&lines, &line, &size));
    ck_assert_int_eq(write(ends[1], "ree", 3), 3);
    close(ends[1]);
    ck_assert_int_eq(lines_read(&lines, ends[0], NULL), LINES_MORE);
    ck_assert(!lines_next(&lines, &line, &size));
    ck_assert_int_eq(lines_read(&lines, ends[0], NULL), LINES_END);
    check_line(&lines, "three");
    ck_assert(!lines_next(&lines, &line, &size));
    close(ends[0]);
    msgsrv_error error;
    ck_assert_int_eq(lines_read(&lines, ends[0], &error), LINES_FAILED);
    ck_assert_str_eq(error.text, "Bad file descriptor");
    lines_free(&lines);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *tests = tcase_create("names");
    tcase_add_checked_fixture(tests, open_names, close_names);
    tcase_add_test(tests, words_find_names);
    tcase_add_test(tests, misspelt_words_find_the_nearest);
    tcase_add_test(tests, methods_are_shown_with_a_slash);
    tcase_add_test(tests, what_a_terminal_would_act_upon_is_replaced);
    tcase_add_test(tests, broken_descriptors_do_no_harm);
    tcase_add_test(tests, deep_descriptors_are_refused);
    tcase_add_test(tests, fields_are_read_one_after_another);
    tcase_add_test(tests, lines_come_in_pieces);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
