/* SPDX-License-Identifier: Apache-2.0 */
#include "common/verbs.h"

#include <fcntl.h>
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

/* From here to hear(), what is said on stderr goes to *ret_file. */
static int listen_to_stderr(FILE **ret_file)
{
    *ret_file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(*ret_file), STDERR_FILENO);
    return saved;
}

/* What was said is in `said`. */
static void hear(FILE *file, int saved)
{
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
    fclose(file);
}

/* Runs `tool` with the given words. */
static int run(int argc, const char **argv, int *context)
{
    FILE *file;
    int saved = listen_to_stderr(&file);
    int code = verbs_run(verbs, "tool", argc, (char **)argv, context);
    hear(file, saved);
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

START_TEST(a_usage_error_names_the_program_and_its_help)
{
    FILE *file;
    int saved = listen_to_stderr(&file);
    int code = verbs_usage_error("tool", "--tries '%s' is no number", "x");
    hear(file, saved);
    ck_assert_int_eq(code, EXIT_USAGE);
    ck_assert_str_eq(said, "tool: --tries 'x' is no number; 'tool --help' says more\n");
}
END_TEST

/* Ends with exit_code after printing to path. */
static int end(const char *path, int exit_code)
{
    FILE *file;
    fflush(stdout);
    int saved_stdout = dup(STDOUT_FILENO);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    int saved = listen_to_stderr(&file);
    printf("output\n");
    int code = verbs_end("tool", exit_code);
    hear(file, saved);
    clearerr(stdout);
    dup2(saved_stdout, STDOUT_FILENO);
    close(saved_stdout);
    return code;
}

START_TEST(output_that_does_not_arrive_is_a_failure)
{
    ck_assert_int_eq(end("/dev/null", EXIT_SUCCESS), EXIT_SUCCESS);
    ck_assert_str_eq(said, "");
    ck_assert_int_eq(end("/dev/full", EXIT_SUCCESS), EXIT_FAILURE);
    ck_assert_str_eq(said, "tool: standard output cannot be written: No space left on device\n");
    ck_assert_int_eq(end("/dev/full", 4), 4);
    ck_assert_str_eq(said, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("verbs");
    TCase *tcase = unit_case(suite, "verbs");
    tcase_add_test(tcase, the_verb_gets_its_words_and_gives_the_exit_code);
    tcase_add_test(tcase, no_verb_and_a_wrong_one_are_usage_errors);
    tcase_add_test(tcase, too_few_and_too_many_words_are_usage_errors);
    tcase_add_test(tcase, a_usage_error_names_the_program_and_its_help);
    tcase_add_test(tcase, output_that_does_not_arrive_is_a_failure);
    return suite;
}
