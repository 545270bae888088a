/* SPDX-License-Identifier: Apache-2.0 */
#include "common/backoff.h"

#include "tests/unit/unit.h"

START_TEST(wait_doubles_up_to_its_bound)
{
    ck_assert_uint_eq(backoff_usec(0, 10, 100), 0);
    ck_assert_uint_eq(backoff_usec(1, 10, 100), 10);
    ck_assert_uint_eq(backoff_usec(4, 10, 100), 80);
    ck_assert_uint_eq(backoff_usec(5, 10, 100), 100);
    ck_assert_uint_eq(backoff_usec(4000000000U, 10, 100), 100);
    ck_assert_uint_eq(backoff_usec(62, 3, UINT64_MAX), UINT64_C(3) << 61);
    ck_assert_uint_eq(backoff_usec(64, 3, UINT64_MAX), UINT64_MAX);
}
END_TEST

START_TEST(jitter_stays_within_its_spread)
{
    for (uint64_t random = 0; random < 50; random++) {
        uint64_t wait = backoff_jitter_usec(100, 20, random * 0x9e3779b97f4a7c15);
        ck_assert_uint_ge(wait, 80);
        ck_assert_uint_le(wait, 120);
    }
    ck_assert_uint_eq(backoff_jitter_usec(5, 20, 0), 0);
    ck_assert_uint_eq(backoff_jitter_usec(5, 20, 25), 25);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("backoff");
    TCase *tcase = unit_case(suite, "backoff");
    tcase_add_test(tcase, wait_doubles_up_to_its_bound);
    tcase_add_test(tcase, jitter_stays_within_its_spread);
    return suite;
}
