/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/old-client/update-trace.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "tests/unit/unit.h"
#include "updater/engine/bus-names.h"

#define GONE "gone"

/* What came, the last being the status that is judged. */
static const struct {
    const char *statuses[8];
    unsigned idle_sec;
    bool is_prompt;
    AttemptState expected;
} cases[] = {
        /* update_engine takes its time. */
        {{BUS_STATUS_IDLE}, 0, false, ATTEMPT_GOES_ON},
        {{BUS_STATUS_IDLE}, 5, false, ATTEMPT_NOTHING_NEW},
        {{BUS_STATUS_IDLE}, 0, true, ATTEMPT_NOT_STARTED},
        {{BUS_STATUS_CHECKING}, 9, false, ATTEMPT_GOES_ON},
        {{BUS_STATUS_CHECKING, BUS_STATUS_IDLE}, 0, false, ATTEMPT_NOTHING_NEW},
        {{BUS_STATUS_CHECKING, BUS_STATUS_REPORTING_ERROR}, 0, false, ATTEMPT_GOES_ON},
        {{BUS_STATUS_CHECKING, BUS_STATUS_REPORTING_ERROR, BUS_STATUS_IDLE}, 0, false,
                ATTEMPT_FAILED},
        {{BUS_STATUS_CHECKING, BUS_STATUS_AVAILABLE, BUS_STATUS_DOWNLOADING,
                 BUS_STATUS_REPORTING_ERROR, BUS_STATUS_IDLE},
                0, true, ATTEMPT_FAILED},
        {{BUS_STATUS_DOWNLOADING, BUS_STATUS_FINALIZING, BUS_STATUS_NEED_REBOOT}, 0, false,
                ATTEMPT_INSTALLED},
        {{BUS_STATUS_NEED_REBOOT}, 0, true, ATTEMPT_INSTALLED},
        /* What was seen of a daemon that went away says nothing of the next. */
        {{BUS_STATUS_DOWNLOADING, GONE, BUS_STATUS_IDLE}, 29, true, ATTEMPT_GOES_ON},
        {{BUS_STATUS_DOWNLOADING, GONE, BUS_STATUS_IDLE}, 30, true, ATTEMPT_LOST},
        {{BUS_STATUS_REPORTING_ERROR, GONE, BUS_STATUS_IDLE}, 30, false, ATTEMPT_LOST},
        {{BUS_STATUS_DOWNLOADING, GONE, BUS_STATUS_CHECKING, BUS_STATUS_IDLE}, 0, false,
                ATTEMPT_NOTHING_NEW},
        {{GONE, BUS_STATUS_NEED_REBOOT}, 0, false, ATTEMPT_INSTALLED},
        {{"UPDATE_STATUS_OF_THE_FUTURE"}, 99, false, ATTEMPT_GOES_ON},
};

START_TEST(an_attempt_is_judged_by_its_statuses)
{
    UpdateTrace trace = {};
    const char *last = "";
    for (size_t i = 0; i < 8 && cases[_i].statuses[i]; i++) {
        last = cases[_i].statuses[i];
        if (strcmp(last, GONE) == 0)
            update_trace_restart(&trace);
        else
            update_trace_add(&trace, last);
    }
    AttemptState state = update_trace_judge(
            &trace, last, cases[_i].idle_sec * USEC_PER_SEC, cases[_i].is_prompt);
    ck_assert_int_eq(state, cases[_i].expected);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("update-trace");
    TCase *tcase = unit_case(suite, "update-trace");
    tcase_add_loop_test(tcase, an_attempt_is_judged_by_its_statuses, 0, ELEMENTS(cases));
    return suite;
}
