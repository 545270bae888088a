/* SPDX-License-Identifier: Apache-2.0 */
#include "common/hex.h"

#include <errno.h>

#include "tests/unit/unit.h"

START_TEST(hex_goes_both_ways)
{
    const uint8_t data[] = {0x00, 0x7f, 0xff, 0xa5};
    char text[9];
    uint8_t back[4];
    hex_encode(data, 4, text);
    ck_assert_str_eq(text, "007fffa5");
    ck_assert_int_eq(hex_decode("007FffA5", back, 4), 0);
    ck_assert_mem_eq(back, data, 4);
}
END_TEST

START_TEST(hex_that_is_none_is_refused)
{
    uint8_t back[2];
    ck_assert_int_eq(hex_decode("00g0", back, 2), -EINVAL);
    ck_assert_int_eq(hex_decode("00f", back, 2), -EINVAL);
    ck_assert_int_eq(hex_decode("", back, 1), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("hex");
    TCase *tcase = unit_case(suite, "hex");
    tcase_add_test(tcase, hex_goes_both_ways);
    tcase_add_test(tcase, hex_that_is_none_is_refused);
    return suite;
}
