/* SPDX-License-Identifier: Apache-2.0 */
#include "common/byte-count.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

START_TEST(bytes_read_well)
{
    static const struct {
        uint64_t n_bytes;
        const char *expected;
    } cases[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {99949, "99.9 kB"},
            {99950, "100 kB"}, {999499, "999 kB"}, {999500, "1.0 MB"}, {35200000, "35.2 MB"},
            {UINT64_C(1100000000), "1.1 GB"}, {UINT64_MAX, "18.4 EB"}};
    for (size_t i = 0; i < ELEMENTS(cases); i++)
        ck_assert_str_eq(byte_count_text(cases[i].n_bytes).text, cases[i].expected);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("byte-count");
    TCase *tcase = unit_case(suite, "byte-count");
    tcase_add_test(tcase, bytes_read_well);
    return suite;
}
