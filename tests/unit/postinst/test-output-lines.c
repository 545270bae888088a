/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/output-lines.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static char told[8192];

static void on_line(const char *line, void *userdata)
{
    ck_assert_ptr_eq(userdata, told);
    strcat(strcat(told, line), "|");
}

static OutputLines start(void)
{
    told[0] = '\0';
    return (OutputLines){.on_line = on_line, .userdata = told};
}

START_TEST(lines_come_whole_whatever_the_pieces)
{
    static const char text[] = "one\n\ntwo\r\nthree\0four";
    for (size_t n = 1; n < sizeof(text); n++) {
        OutputLines lines = start();
        for (size_t at = 0; at < sizeof(text) - 1; at += n)
            output_lines_add(&lines, text + at, MIN(n, sizeof(text) - 1 - at));
        ck_assert_str_eq(told, "one|two|three|");
        output_lines_end(&lines);
        output_lines_end(&lines);
        ck_assert_str_eq(told, "one|two|three|four|");
        ck_assert_str_eq(lines.last, "four");
    }
}
END_TEST

START_TEST(what_is_too_long_is_left_out)
{
    OutputLines lines = start();
    for (size_t i = 0; i < 3 * OUTPUT_LINE_BYTES; i++)
        output_lines_add(&lines, "x", 1);
    output_lines_add(&lines, "\nshort\n", 7);
    ck_assert_uint_eq(strlen(told), OUTPUT_LINE_BYTES - 1 + strlen("|short|"));
}
END_TEST

START_TEST(what_cannot_be_printed_is_replaced)
{
    OutputLines lines = start();
    output_lines_add(&lines, "a\033[31m\xff\n", 8);
    ck_assert_str_eq(told, "a?[31m?|");
    ck_assert_str_eq(lines.last, "a?[31m?");
}
END_TEST

START_TEST(nobody_need_listen)
{
    OutputLines lines = {};
    output_lines_add(&lines, "a\nb", 3);
    output_lines_end(&lines);
    ck_assert_str_eq(lines.last, "b");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("output-lines");
    TCase *tcase = unit_case(suite, "output-lines");
    tcase_add_test(tcase, lines_come_whole_whatever_the_pieces);
    tcase_add_test(tcase, what_is_too_long_is_left_out);
    tcase_add_test(tcase, what_cannot_be_printed_is_replaced);
    tcase_add_test(tcase, nobody_need_listen);
    return suite;
}
