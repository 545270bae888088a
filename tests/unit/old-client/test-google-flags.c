/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/old-client/google-flags.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

typedef struct {
    bool status;
    bool no_op;
} Values;

/* Reads up to 4 words. */
static int parse(const char *const *words, Values *values, ErrorText *error)
{
    char texts[4][32], *argv[4];
    int argc = 0;
    for (; argc < 4 && words[argc]; argc++) {
        snprintf(texts[argc], sizeof(texts[argc]), "%s", words[argc]);
        argv[argc] = texts[argc];
    }
    const GoogleFlag flags[] = {{"status", &values->status}, {"no_op", &values->no_op}, {}};
    return google_flags_parse(flags, argc, argv, error);
}

static const struct {
    const char *words[5];
    bool status, no_op;
    int n_words;
} good[] = {
        {{NULL}, false, false, 0},
        {{"-status"}, true, false, 0},
        {{"--status"}, true, false, 0},
        {{"-status=true"}, true, false, 0},
        {{"--status=T"}, true, false, 0},
        {{"-status=1"}, true, false, 0},
        {{"-status=Yes"}, true, false, 0},
        {{"-status=y"}, true, false, 0},
        {{"-status", "-status=false"}, false, false, 0},
        {{"-status", "-status=0"}, false, false, 0},
        {{"-status", "-status=n"}, false, false, 0},
        {{"-status=no", "-status"}, true, false, 0},
        {{"-status", "-nostatus"}, false, false, 0},
        {{"-status", "--nostatus"}, false, false, 0},
        {{"-no_op"}, false, true, 0}, /* a flag of that name comes first */
        {{"-no_op", "-nono_op"}, false, false, 0},
        {{"word", "-status", "-"}, true, false, 2},
        {{"-status", "--", "-no_op"}, true, false, 1},
};

START_TEST(flags_are_read_as_gflags_does)
{
    Values values = {};
    ErrorText error = {""};
    ck_assert_int_eq(parse(good[_i].words, &values, &error), good[_i].n_words);
    ck_assert_int_eq(values.status, good[_i].status);
    ck_assert_int_eq(values.no_op, good[_i].no_op);
}
END_TEST

static const struct {
    const char *word, *says;
} bad[] = {
        {"-stat", "no flag '-stat'"},
        {"-statuses", "no flag"},
        {"---status", "no flag '---status'"},
        {"-nostatus=true", "no flag"},
        {"-no", "no flag"},
        {"-=1", "no flag"},
        {"-status=", "neither true nor false"},
        {"-status=2", "neither true nor false"},
        {"-status=truest", "neither true nor false"},
};

START_TEST(what_is_no_flag_is_told)
{
    Values values = {};
    ErrorText error = {""};
    const char *const words[] = {bad[_i].word, NULL};
    ck_assert_int_eq(parse(words, &values, &error), -EINVAL);
    ck_assert_msg(strstr(error.line, bad[_i].says) != NULL, "%s", error.line);
    ck_assert(!values.status && !values.no_op);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("google-flags");
    TCase *tcase = unit_case(suite, "google-flags");
    tcase_add_loop_test(tcase, flags_are_read_as_gflags_does, 0, ELEMENTS(good));
    tcase_add_loop_test(tcase, what_is_no_flag_is_told, 0, ELEMENTS(bad));
    return suite;
}
