/* SPDX-License-Identifier: Apache-2.0 */
#include "common/utf8.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

START_TEST(characters_have_one_to_four_bytes)
{
    ck_assert_uint_eq(utf8_char_bytes("a"), 1);
    ck_assert_uint_eq(utf8_char_bytes("\x7f"), 1);
    ck_assert_uint_eq(utf8_char_bytes("\xc2\x80x"), 2);
    ck_assert_uint_eq(utf8_char_bytes("\xe0\xa0\x80"), 3);
    ck_assert_uint_eq(utf8_char_bytes("\xed\x9f\xbf"), 3);
    ck_assert_uint_eq(utf8_char_bytes("\xef\xbf\xbd"), 3);
    ck_assert_uint_eq(utf8_char_bytes("\xf0\x90\x80\x80"), 4);
    ck_assert_uint_eq(utf8_char_bytes("\xf4\x8f\xbf\xbf"), 4);
    ck_assert_uint_eq(utf8_char_bytes(""), 0);
    ck_assert(utf8_is_valid(""));
    ck_assert(utf8_is_valid("R\xc3\xa4um \xe2\x82\xac \xf0\x9f\x90\xa7"));
}
END_TEST

static const char *const invalid[] = {
        "\x80",             /* begins inside a character */
        "\xff",             /* no lead byte */
        "\xc0\x80",         /* too long a form of NUL */
        "\xc1\xbf",         /* ... of DEL */
        "\xe0\x9f\xbf",     /* ... of three bytes */
        "\xf0\x8f\xbf\xbf", /* ... of four */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* past the last */
        "\xef\xbf\xbf",     /* U+FFFF */
        "\xc3",             /* cut */
        "\xe2\x82",         /* cut */
        "\xe2\x28\xa1",     /* broken */
};

START_TEST(anything_else_is_invalid)
{
    ck_assert_uint_eq(utf8_char_bytes(invalid[_i]), 0);
    ck_assert(!utf8_is_valid(invalid[_i]));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tcase = unit_case(suite, "utf8");
    tcase_add_test(tcase, characters_have_one_to_four_bytes);
    tcase_add_loop_test(tcase, anything_else_is_invalid, 0, ELEMENTS(invalid));
    return suite;
}
