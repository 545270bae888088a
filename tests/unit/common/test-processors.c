/* SPDX-License-Identifier: Apache-2.0 */
#include "common/processors.h"

#include <sched.h>

#include "tests/unit/unit.h"

START_TEST(a_process_that_is_tied_to_one_has_one)
{
    cpu_set_t all, first;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    ck_assert_uint_eq(processors_usable(), (unsigned)CPU_COUNT(&all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&first);
    CPU_SET(cpu, &first);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(first), &first), 0);
    ck_assert_uint_eq(processors_usable(), 1);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("processors");
    TCase *tcase = unit_case(suite, "processors");
    tcase_add_test(tcase, a_process_that_is_tied_to_one_has_one);
    return suite;
}
