/* SPDX-License-Identifier: Apache-2.0 */
#include "common/printable.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static const struct {
    const char *text, *expected;
} cases[] = {
        {"", ""},
        {"plain text, 100 %", "plain text, 100 %"},
        {"Gr\xc3\xbc\xc3\x9f"
         "e \xe2\x82\xac \xf0\x9f\x98\x80",
                "Gr\xc3\xbc\xc3\x9f"
                "e \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\x1b[31mred\n\t\x7f", "a?[31mred???"},
        {"csi \xc2\x9b"
         "1m",
                "csi ??1m"},
        {"cut \xe2\x82", "cut ??"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
        {"too large \xf4\x90\x80\x80 \xff", "too large ???? ?"},
        {"latin1 \xfc.", "latin1 ?."},
        {"no character \xef\xb7\x90 \xef\xbf\xbe \xf0\x9f\xbf\xbe", "no character ??? ??? ????"},
        {"lines \xe2\x80\xa8 \xe2\x80\xa9", "lines ??? ???"},
        {"turned \xe2\x80\xae \xe2\x81\xa6 \xef\xbb\xbf", "turned ??? ??? ???"},
};

START_TEST(only_printable_utf8_is_left)
{
    char text[64];
    snprintf(text, sizeof(text), "%s", cases[_i].text);
    printable_clean(text);
    ck_assert_str_eq(text, cases[_i].expected);
}
END_TEST

START_TEST(what_does_not_fit_is_cut_and_clean)
{
    char text[6];
    printable_copy(text, sizeof(text), "new\nline");
    ck_assert_str_eq(text, "new?l");
    printable_copy(text, sizeof(text), "four\xc3\xbc"); /* cut inside of a sequence */
    ck_assert_str_eq(text, "four?");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("printable");
    TCase *tcase = unit_case(suite, "printable");
    tcase_add_loop_test(tcase, only_printable_utf8_is_left, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, what_does_not_fit_is_cut_and_clean);
    return suite;
}
