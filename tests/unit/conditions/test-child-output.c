/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/child-output.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static char last[CHILD_OUTPUT_MAX_CHARS + 8];
static unsigned n_lines;

static void on_line(const char *line, void *userdata)
{
    ck_assert_ptr_eq(userdata, &n_lines);
    ck_assert_uint_le(strlen(line), CHILD_OUTPUT_MAX_CHARS + 3);
    snprintf(last, sizeof(last), "%s", line);
    n_lines++;
}

static void add(ChildOutput *output, const char *text, uint64_t now_usec)
{
    child_output_add(output, text, strlen(text), now_usec);
}

static ChildOutput begin(void)
{
    n_lines = 0;
    return (ChildOutput){.on_line = on_line, .userdata = &n_lines};
}

START_TEST(puts_lines_together)
{
    ChildOutput output = begin();
    add(&output, "a", 1);
    add(&output, "b\nc", 1);
    ck_assert_uint_eq(n_lines, 1);
    ck_assert_str_eq(last, "ab");
    child_output_end(&output, 1);
    ck_assert_str_eq(last, "c");
    child_output_end(&output, 1);
    ck_assert_uint_eq(n_lines, 2);
}
END_TEST

START_TEST(skips_blank_lines_and_shows_what_is_no_text)
{
    ChildOutput output = begin();
    add(&output, "\n \t\r\n", 1);
    ck_assert_uint_eq(n_lines, 0);
    child_output_add(&output, "a\0b\xff\r\r\n", 7, 1);
    ck_assert_str_eq(last, "a?b?");
}
END_TEST

START_TEST(cuts_long_lines)
{
    char text[3000];
    ChildOutput output = begin();
    memset(text, 'x', sizeof(text));
    child_output_add(&output, text, CHILD_OUTPUT_MAX_CHARS, 1);
    add(&output, "\n", 1);
    ck_assert_uint_eq(strlen(last), CHILD_OUTPUT_MAX_CHARS);
    child_output_add(&output, text, sizeof(text), 1);
    add(&output, "\ny\n", 1);
    ck_assert_uint_eq(n_lines, 3);
    ck_assert_str_eq(last, "y");
    child_output_add(&output, text, sizeof(text), 1);
    child_output_end(&output, 1);
    ck_assert_uint_eq(strlen(last), CHILD_OUTPUT_MAX_CHARS + 3);
    ck_assert_str_eq(last + CHILD_OUTPUT_MAX_CHARS, "...");
}
END_TEST

START_TEST(counts_what_is_too_much)
{
    ChildOutput output = begin();
    for (int i = 0; i < CHILD_OUTPUT_MAX_LINES + 50; i++)
        add(&output, "x\n", 1000);
    ck_assert_uint_eq(n_lines, CHILD_OUTPUT_MAX_LINES);
    add(&output, "later\n", 1000 + CHILD_OUTPUT_WINDOW_USEC);
    ck_assert_uint_eq(n_lines, CHILD_OUTPUT_MAX_LINES + 2);
    ck_assert_str_eq(last, "later");
    for (int i = 0; i < CHILD_OUTPUT_MAX_LINES; i++)
        add(&output, "x\n", 1001 + CHILD_OUTPUT_WINDOW_USEC);
    child_output_end(&output, 1001 + CHILD_OUTPUT_WINDOW_USEC);
    ck_assert_str_eq(last, "(1 lines left out)");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("child-output");
    TCase *tcase = unit_case(suite, "lines");
    tcase_add_test(tcase, puts_lines_together);
    tcase_add_test(tcase, skips_blank_lines_and_shows_what_is_no_text);
    tcase_add_test(tcase, cuts_long_lines);
    tcase_add_test(tcase, counts_what_is_too_much);
    return suite;
}
