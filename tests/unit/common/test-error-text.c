/* SPDX-License-Identifier: Apache-2.0 */
#include "common/error-text.h"

#include <errno.h>
#include <string.h>

#include "common/utf8.h"
#include "tests/unit/unit.h"

START_TEST(the_error_comes_back_with_its_line)
{
    ErrorText error = {""};
    ck_assert_int_eq(error_say(&error, -EINVAL, "slot %s: %d", "USR-A", 4), -EINVAL);
    ck_assert_str_eq(error.line, "slot USR-A: 4");
    ck_assert_int_eq(error_say(NULL, -ENOENT, "nobody listens"), -ENOENT);
}
END_TEST

START_TEST(hostile_text_becomes_one_harmless_line)
{
    ErrorText error = {""};
    error_say(&error, 0, "a\nb\t\x1b[2J\x7f \xff\xc3x R\xc3\xa4um");
    ck_assert_str_eq(error.line, "a?b??[2J? ??x R\xc3\xa4um");
    error_say(&error, 0,
            "csi \xc2\x9b"
            "2J, no character \xf0\x9f\xbf\xbe");
    ck_assert_str_eq(error.line, "csi ??2J, no character ????");
}
END_TEST

START_TEST(a_long_line_is_cut_between_characters)
{
    ErrorText error = {""};
    char text[2 * sizeof(error.line)];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    error_say(&error, 0, "%s", text);
    ck_assert_uint_eq(strlen(error.line), sizeof(error.line) - 1);
    ck_assert(utf8_is_valid(error.line));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("error-text");
    TCase *tcase = unit_case(suite, "error-text");
    tcase_add_test(tcase, the_error_comes_back_with_its_line);
    tcase_add_test(tcase, hostile_text_becomes_one_harmless_line);
    tcase_add_test(tcase, a_long_line_is_cut_between_characters);
    return suite;
}
