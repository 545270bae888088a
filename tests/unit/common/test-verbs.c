/* SPDX-License-Identifier: Apache-2.0 */
#include "common/verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int run_show(int argc, char **argv, void *context)
{
    *(int *)context += argc;
    return strcmp(argv[0], "show") == 0 ? 7 : 99;
}

static const Verb verbs[] = {
        {"show", 1, 2, "SLOT [KEY]", "shows a slot", run_show},
        {"list", 0, -1, "[SLOT...]", "lists slots", run_show},
        {NULL, 0, 0, NULL, NULL, NULL},
};

static char said[1024];

/* Runs `tool` with the given words; what it says on stderr is in `said`. */
static int run(int argc, const char **argv, int *context)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int code = verbs_run(verbs, "tool", argc, (char **)argv, context);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
    fclose(file);
    return code;
}

START_TEST(the_verb_gets_its_words_and_gives_the_exit_code)
{
    int context = 0;
    const char *argv[] = {"show", "USR-A", "priority", NULL};
    ck_assert_int_eq(run(2, argv, &context), 7);
    ck_assert_int_eq(run(3, argv, &context), 7);
    ck_assert_int_eq(context, 5);
    ck_assert_str_eq(said, "");
    const char *many[] = {"list", "a", "b", "c", "d", NULL};
    ck_assert_int_eq(run(5, many, &context), 99);
}
END_TEST

START_TEST(no_verb_and_a_wrong_one_are_usage_errors)
{
    int context = 0;
    const char *argv[] = {"shwo", NULL};
    ck_assert_int_eq(run(0, argv, &context), EXIT_USAGE);
    ck_assert_str_eq(said, "tool: say what to do; 'tool --help' lists the verbs\n");
    ck_assert_int_eq(run(1, argv, &context), EXIT_USAGE);
    ck_assert_str_eq(said, "tool: there is no verb 'shwo'; 'tool --help' lists them\n");
    ck_assert_int_eq(context, 0);
}
END_TEST

START_TEST(too_few_and_too_many_words_are_usage_errors)
{
    int context = 0;
    const char *argv[] = {"show", "a", "b", "c", NULL};
    ck_assert_int_eq(run(1, argv, &context), EXIT_USAGE);
    ck_assert_str_eq(said, "tool: usage: tool show SLOT [KEY]\n");
    ck_assert_int_eq(run(4, argv, &context), EXIT_USAGE);
    ck_assert_int_eq(context, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("verbs");
    TCase *tcase = unit_case(suite, "verbs");
    tcase_add_test(tcase, the_verb_gets_its_words_and_gives_the_exit_code);
    tcase_add_test(tcase, no_verb_and_a_wrong_one_are_usage_errors);
    tcase_add_test(tcase, too_few_and_too_many_words_are_usage_errors);
    return suite;
}
