/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/boot-outcome.h"

#include <stdio.h>

#include "tests/unit/unit.h"

#define OLD_BOOT "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84"
#define NEW_BOOT "11111111-2222-4333-8444-555555555555"

static const struct {
    const char *name;
    bool has_pending, is_flipped, is_replaced;
    const char *boot_id, *running;
    bool is_choosable;
    BootOutcome expected;
} cases[] = {
        {"nothing was chosen", false, false, false, NEW_BOOT, "USR-A", true, BOOT_NOTHING_PENDING},
        {"the daemon was restarted", true, true, false, OLD_BOOT, "USR-A", true,
                BOOT_STILL_PENDING},
        {"killed right after the flip", true, false, false, OLD_BOOT, "USR-A", true,
                BOOT_STILL_PENDING},
        {"killed right before the flip", true, false, false, OLD_BOOT, "USR-A", false,
                BOOT_NEVER_FLIPPED},
        {"made unbootable by hand", true, true, false, OLD_BOOT, "USR-A", false,
                BOOT_NEVER_FLIPPED},
        {"no boot id is no reboot", true, true, false, "", "USR-A", true, BOOT_STILL_PENDING},
        {"it booted", true, true, false, NEW_BOOT, "USR-B", true, BOOT_INTO_PENDING},
        {"power went after the flip, it booted", true, false, false, NEW_BOOT, "USR-B", true,
                BOOT_INTO_PENDING},
        {"power went before the flip", true, false, false, NEW_BOOT, "USR-A", false,
                BOOT_NEVER_FLIPPED},
        {"it fell back, tries left or not", true, true, false, NEW_BOOT, "USR-A", true,
                BOOT_FELL_BACK},
        {"the boot chooser took its priority", true, true, false, NEW_BOOT, "USR-A", false,
                BOOT_FELL_BACK},
        {"flip not recorded, it fell back", true, false, false, NEW_BOOT, "USR-A", true,
                BOOT_FELL_BACK},
        {"no slot is known to run", true, true, false, NEW_BOOT, "", true, BOOT_UNKNOWN},
        {"power went while it was replaced", true, true, true, NEW_BOOT, "USR-A", false,
                BOOT_WAS_REPLACED},
        {"killed while it was replaced", true, true, true, OLD_BOOT, "USR-A", false,
                BOOT_WAS_REPLACED},
        {"power went before it was touched", true, true, true, NEW_BOOT, "USR-B", true,
                BOOT_INTO_PENDING},
};

START_TEST(each_story_has_its_end)
{
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    ck_assert_int_eq(engine_state_new(&state), 0);
    state->has_pending = cases[_i].has_pending;
    state->pending = (PendingSlot){.version = "2.0",
            .label = "USR-B",
            .boot_id = OLD_BOOT,
            .is_flipped = cases[_i].is_flipped,
            .is_replaced = cases[_i].is_replaced};
    BootFacts facts = {cases[_i].boot_id, cases[_i].running, cases[_i].is_choosable};
    ck_assert_msg(boot_outcome_of(state, &facts) == cases[_i].expected, "%s", cases[_i].name);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("boot-outcome");
    TCase *tcase = unit_case(suite, "boot-outcome");
    tcase_add_loop_test(tcase, each_story_has_its_end, 0, (int)ELEMENTS(cases));
    return suite;
}
