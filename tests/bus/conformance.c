/* SPDX-License-Identifier: MIT */
/*
 * conformance ENGINE [base]: runs the suite over an engine, on private loops or on event bases of the caller's. MSGSRV_BUS_TEST=PART in the
 * environment: only tests whose names contain it; MSGSRV_BUS_TEST_LOG=1: with the bus's log.
 */
#include "conf.h"

#include <stdio.h>

static const conf_test *const all[] = {
    conf_topics, conf_types,    conf_publish, conf_policies,  conf_retained, conf_groups,  conf_requests,
    conf_queues, conf_settling, conf_dead,    conf_reconnect, conf_reentry,  conf_options, conf_typed,
};

static bool lacks(const char *word, size_t size)
{
    if (size == 6 && memcmp(word, "remote", 6) == 0)
        return !bt_engine_used.remote;
    if (size == 3 && memcmp(word, "mem", 3) == 0)
        return bt_engine_used.remote;
    for (const char *const *name = bt_engine_used.lacks; *name != NULL; name++)
        if (strlen(*name) == size && memcmp(*name, word, size) == 0)
            return true;
    return false;
}

static bool can(const char *needs)
{
    for (const char *word = needs; word != NULL && *word != '\0';) {
        size_t size = strcspn(word, " ");
        if (lacks(word, size))
            return false;
        word += size + strspn(word + size, " ");
    }
    return true;
}

static bool wanted(const TTest *test)
{
    const char *part = getenv("MSGSRV_BUS_TEST");
    return part == NULL || strstr(test->name, part) != NULL;
}

static void set_up(void)
{
    bt_open(NULL);
}

static bool choose(int argc, char **argv)
{
    /* An engine that lacks something names it here. */
    static const char *const mem_lacks[] = {"sync_level", NULL};
    if (argc < 2)
        return false;
    bt_engine_used = (bt_engine){.name = argv[1], .lacks = mem_lacks};
    bt_engine_used.remote = strcmp(argv[1], "remote") == 0;
    bt_engine_used.base = argc > 2 && strcmp(argv[2], "base") == 0;
    return bt_engine_used.remote || strcmp(argv[1], "mem") == 0;
}

int main(int argc, char **argv)
{
    if (!choose(argc, argv)) {
        fprintf(stderr, "usage: conformance mem|remote [base]\n");
        return 2;
    }
    Suite *suite = suite_create(argv[1]);
    TCase *cases = tcase_create(argv[1]);
    tcase_set_timeout(cases, TS_TEST_S);
    tcase_add_checked_fixture(cases, set_up, bt_close);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const conf_test *test = all[i]; test->test != NULL; test++)
            if (can(test->needs) && wanted(*test->test))
                tcase_add_test(cases, *test->test);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
