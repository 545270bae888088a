/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-way.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define MB UINT64_C(1000000)

START_TEST(a_plan_reads_well)
{
    static const struct {
        InstallPlan plan;
        const char *expected;
    } cases[] = {
            {{INSTALL_UNDECIDED, 0, 0, false, {""}}, ""},
            {{INSTALL_FROM_FILE, 0, 350 * MB, false, {""}}, ""},
            {{INSTALL_ADAPTIVE, 22 * MB, 350 * MB, false, {"the rest is in USR-A"}},
                    "fetching 22.0 MB of 350 MB: the rest is in USR-A"},
            {{INSTALL_WHOLE, 350 * MB, 350 * MB, true, {"no slot of this disk runs"}},
                    "fetching all 350 MB: no slot of this disk runs"},
            {{INSTALL_WHOLE, 20 * MB, 350 * MB, false, {"no slot of this disk runs"}},
                    "fetching the remaining 20.0 MB of 350 MB: no slot of this disk runs"},
            {{INSTALL_DELTA, 9 * MB, 9 * MB, false, {"the difference to version 1.0"}},
                    "fetching all 9.0 MB: the difference to version 1.0"},
    };
    ErrorText line;
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        install_plan_say(&cases[i].plan, &line);
        ck_assert_str_eq(line.line, cases[i].expected);
    }
}
END_TEST

START_TEST(an_end_reads_well)
{
    ErrorText line;
    InstallPlan plan = {INSTALL_ADAPTIVE, 22 * MB, 350 * MB, false, {"the rest is in USR-A"}};
    install_plan_say_end(&plan, 23 * MB, 41, &line);
    ck_assert_str_eq(line.line, "fetched 23.0 MB of 350 MB in 41 requests (adaptive)");
    plan.way = INSTALL_WHOLE;
    install_plan_say_end(&plan, 350 * MB, 1, &line);
    ck_assert_str_eq(line.line, "fetched 350 MB of 350 MB in 1 request (whole)");
    plan.way = INSTALL_FROM_FILE;
    install_plan_say_end(&plan, 350 * MB, 0, &line);
    ck_assert_str_eq(line.line, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("install-way");
    TCase *tcase = unit_case(suite, "install-way");
    tcase_add_test(tcase, a_plan_reads_well);
    tcase_add_test(tcase, an_end_reads_well);
    return suite;
}
