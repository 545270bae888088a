/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/go-flags.h"

#include <stdbool.h>
#include <string.h>

#include "tests/unit/unit.h"

typedef struct {
    FlagList endpoints;
    const char *group;
    bool is_debug;
} Values;

#define MAX_ARGUMENTS 24

/* line is cut at blanks into argv; `~` stands for an empty argument. */
static int parse(const char *line, GoFlagOrder order, char *copy, char **argv, Values *ret_values,
        ErrorText *error)
{
    *ret_values = (Values){};
    const GoFlag flags[] = {
            {"endpoint", FLAG_LIST, &ret_values->endpoints},
            {"group", FLAG_TEXT, &ret_values->group},
            {"debug", FLAG_BOOL, &ret_values->is_debug},
            {},
    };
    strcpy(copy, line);
    int argc = 0;
    for (char *rest = copy, *word; (word = strsep(&rest, " "));)
        if (*word)
            argv[argc++] = strcmp(word, "~") == 0 ? word + 1 : word;
    return go_flags_parse(flags, order, argc, argv, error);
}

static const struct {
    const char *line;
    GoFlagOrder order;
    const char *endpoints; /* joined with blanks */
    const char *group;
    bool is_debug;
    const char *left; /* joined with blanks */
} good[] = {
        {"", FLAGS_FIRST, "", NULL, false, ""},
        {"status", FLAGS_FIRST, "", NULL, false, "status"},
        {"-endpoint http://a:1 status", FLAGS_FIRST, "http://a:1", NULL, false, "status"},
        {"--endpoint=http://a:1 status", FLAGS_FIRST, "http://a:1", NULL, false, "status"},
        {"-endpoint=a,b --endpoint c", FLAGS_FIRST, "a b c", NULL, false, ""},
        {"-endpoint=,a,,b,", FLAGS_FIRST, "a b", NULL, false, ""},
        {"-endpoint ~", FLAGS_FIRST, "", NULL, false, ""},
        {"-group=a=b -debug", FLAGS_FIRST, "", "a=b", true, ""},
        {"-group -x", FLAGS_FIRST, "", "-x", false, ""},
        {"-group=one -group=two", FLAGS_FIRST, "", "two", false, ""},
        {"-group=", FLAGS_FIRST, "", "", false, ""},
        {"-debug=false -debug=true", FLAGS_FIRST, "", NULL, true, ""},
        {"-debug -debug=0", FLAGS_FIRST, "", NULL, false, ""},
        {"-debug lock -group", FLAGS_FIRST, "", NULL, true, "lock -group"},
        {"-debug -- -group", FLAGS_FIRST, "", NULL, true, "-group"},
        {"- -debug", FLAGS_FIRST, "", NULL, false, "- -debug"},
        {"4h -group why -debug now", FLAGS_ANYWHERE, "", "why", true, "4h now"},
        {"one -debug -- -group two", FLAGS_ANYWHERE, "", NULL, true, "one -group two"},
        {"- -debug", FLAGS_ANYWHERE, "", NULL, true, "-"},
};

static void append(char *text, const char *word)
{
    if (text[0])
        strcat(text, " ");
    strcat(text, word);
}

START_TEST(flags_are_read_as_go_does)
{
    char copy[256], *argv[MAX_ARGUMENTS], endpoints[256] = "", left[256] = "";
    Values values;
    ErrorText error = {};
    int n_left = parse(good[_i].line, good[_i].order, copy, argv, &values, &error);
    ck_assert_msg(n_left >= 0, "%s: %s", good[_i].line, error.line);
    for (size_t i = 0; i < values.endpoints.n_values; i++)
        append(endpoints, values.endpoints.values[i]);
    for (int i = 0; i < n_left; i++)
        append(left, argv[i]);
    ck_assert_str_eq(endpoints, good[_i].endpoints);
    ck_assert_pstr_eq(values.group, good[_i].group);
    ck_assert_int_eq(values.is_debug, good[_i].is_debug);
    ck_assert_str_eq(left, good[_i].left);
}
END_TEST

static const struct {
    const char *line;
    GoFlagOrder order;
    int r;
    const char *says;
} bad[] = {
        {"-nope status", FLAGS_FIRST, -EINVAL, "-nope"},
        {"-end=http://a", FLAGS_FIRST, -EINVAL, "-end"}, /* no abbreviations */
        {"---group=a", FLAGS_FIRST, -EINVAL, "---group"},
        {"-=a", FLAGS_FIRST, -EINVAL, "-="},
        {"--=a", FLAGS_FIRST, -EINVAL, "--="},
        {"-group", FLAGS_FIRST, -EINVAL, "-group"},
        {"-debug=maybe", FLAGS_FIRST, -EINVAL, "maybe"},
        {"-debug=", FLAGS_FIRST, -EINVAL, "-debug"},
        {"-1", FLAGS_ANYWHERE, -EINVAL, "-1"},
        {"-endpoint=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", FLAGS_FIRST, -E2BIG, "-endpoint"},
};

START_TEST(a_wrong_flag_is_named)
{
    char copy[256], *argv[MAX_ARGUMENTS];
    Values values;
    ErrorText error = {};
    ck_assert_int_eq(parse(bad[_i].line, bad[_i].order, copy, argv, &values, &error), bad[_i].r);
    ck_assert_msg(strstr(error.line, bad[_i].says), "%s: %s", bad[_i].line, error.line);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("go-flags");
    TCase *tests = unit_case(suite, "all");
    tcase_add_loop_test(tests, flags_are_read_as_go_does, 0, ELEMENTS(good));
    tcase_add_loop_test(tests, a_wrong_flag_is_named, 0, ELEMENTS(bad));
    return suite;
}
