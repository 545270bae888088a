/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/rate-limit.h"

#include "common/clock.h"
#include "tests/unit/unit.h"

#define PIECE 16384

/* Takes pieces for so long; how many bytes came. */
static uint64_t run(RateLimit *limit, uint64_t *now_usec, uint64_t usec)
{
    uint64_t end_usec = *now_usec + usec, n_bytes = 0;
    while (*now_usec < end_usec) {
        uint64_t wait_usec = rate_limit_take(limit, PIECE, *now_usec);
        if (wait_usec == 0)
            n_bytes += PIECE;
        *now_usec += wait_usec;
    }
    return n_bytes;
}

START_TEST(no_more_comes_than_the_rate)
{
    static const uint64_t rates[] = {10000, 125000, 2000000, 1000000000};
    uint64_t rate = rates[_i], now_usec = 5;
    RateLimit limit = rate_limit_of(rate, now_usec);
    uint64_t n_bytes = run(&limit, &now_usec, 20 * USEC_PER_SEC);
    ck_assert_uint_ge(n_bytes, 20 * rate);
    ck_assert_uint_le(n_bytes, 20 * rate + rate / 4 + 2 * PIECE);
}
END_TEST

START_TEST(a_rest_is_not_caught_up_with)
{
    uint64_t now_usec = 5;
    RateLimit limit = rate_limit_of(100000, now_usec);
    (void)run(&limit, &now_usec, USEC_PER_SEC);
    now_usec += USEC_PER_HOUR;
    ck_assert_uint_le(run(&limit, &now_usec, USEC_PER_SEC), 125000 + 2 * PIECE);
}
END_TEST

START_TEST(no_bound_takes_all)
{
    RateLimit limit = rate_limit_of(0, 5);
    ck_assert_uint_eq(rate_limit_take(&limit, UINT64_MAX, 5), 0);
    ck_assert_uint_eq(rate_limit_take(&limit, UINT64_MAX, 5), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("rate-limit");
    TCase *tcase = unit_case(suite, "rate-limit");
    tcase_add_loop_test(tcase, no_more_comes_than_the_rate, 0, 4);
    tcase_add_test(tcase, a_rest_is_not_caught_up_with);
    tcase_add_test(tcase, no_bound_takes_all);
    return suite;
}
