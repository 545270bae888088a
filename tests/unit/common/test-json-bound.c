/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json-bound.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    size_t n_marks;
} texts[] = {
        {"", 0},
        {"1", 0},
        {"{}", 1},
        {"[[],[]]", 4},
        {"{\"a\":1,\"b\":[2,3]}", 4},
        {"[\"{[,\",\"\"]", 2},               /* not what a string holds, ... */
        {"[\"\\\",\\\\\",\",\\\"[\",1]", 3}, /* ... wherever it ends */
        {"\"[,", 0},
        {"\"\\", 0},
};

START_TEST(what_begins_a_value_is_counted)
{
    size_t n_bytes = strlen(texts[_i].text), n_marks = texts[_i].n_marks;
    ck_assert_msg(json_bound_holds(texts[_i].text, n_bytes, n_marks), "%s", texts[_i].text);
    ck_assert_msg(n_marks == 0 || !json_bound_holds(texts[_i].text, n_bytes, n_marks - 1), "%s",
            texts[_i].text);
}
END_TEST

START_TEST(only_so_many_bytes_are_read)
{
    ck_assert(json_bound_holds("[[[[", 2, 2));
    ck_assert(!json_bound_holds("[\0[", 3, 1));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("json-bound");
    TCase *tests = unit_case(suite, "all");
    tcase_add_loop_test(tests, what_begins_a_value_is_counted, 0, ELEMENTS(texts));
    tcase_add_test(tests, only_so_many_bytes_are_read);
    return suite;
}
