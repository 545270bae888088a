/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/boot-outcome.h"

#include <string.h>

#include "tests/unit/unit.h"

#define OLD_BOOT "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84"
#define NEW_BOOT "11111111-2222-4333-8444-555555555555"

/* state: p pending, f flipped, r replaced, b booted, i its postinst has not ended.
 * table: t the slot is in it, f foremost, g good. */
static const struct {
    const char *name, *state, *boot_id, *running, *table;
    BootOutcome expected;
} cases[] = {
        {"nothing was chosen", "", NEW_BOOT, "USR-A", "tf", BOOT_NOTHING_PENDING},
        {"the daemon was restarted", "pf", OLD_BOOT, "USR-A", "tf", BOOT_STILL_PENDING},
        {"killed right after the flip", "p", OLD_BOOT, "USR-A", "tf", BOOT_STILL_PENDING},
        {"killed right before the flip", "p", OLD_BOOT, "USR-A", "t", BOOT_NEVER_FLIPPED},
        {"killed right before the flip of a rollback, whose slot is good", "p", OLD_BOOT, "USR-A",
                "tg", BOOT_NEVER_FLIPPED},
        {"power went before the flip of a rollback", "p", NEW_BOOT, "USR-A", "tg",
                BOOT_NEVER_FLIPPED},
        {"made unbootable by hand", "pf", OLD_BOOT, "USR-A", "t", BOOT_NEVER_FLIPPED},
        {"no boot id is no reboot", "pf", "", "USR-A", "tf", BOOT_STILL_PENDING},
        {"it booted", "pf", NEW_BOOT, "USR-B", "tf", BOOT_INTO_PENDING},
        {"it runs without another boot id", "pf", OLD_BOOT, "USR-B", "tf", BOOT_INTO_PENDING},
        {"power went after the flip, it booted", "p", NEW_BOOT, "USR-B", "tf", BOOT_INTO_PENDING},
        {"power went before the flip", "p", NEW_BOOT, "USR-A", "t", BOOT_NEVER_FLIPPED},
        {"it fell back, tries left or not", "pf", NEW_BOOT, "USR-A", "tf", BOOT_FELL_BACK},
        {"the boot chooser took its priority", "pf", NEW_BOOT, "USR-A", "t", BOOT_FELL_BACK},
        {"flip not recorded, it fell back", "p", NEW_BOOT, "USR-A", "tf", BOOT_FELL_BACK},
        {"no slot is known to run", "pf", NEW_BOOT, "", "tf", BOOT_UNKNOWN},
        {"the table cannot be read", "pf", NEW_BOOT, "USR-A", "", BOOT_UNKNOWN},
        {"the table cannot be read, no reboot", "pf", OLD_BOOT, "USR-A", "", BOOT_STILL_PENDING},
        {"the table cannot be read, perhaps not flipped", "p", OLD_BOOT, "USR-A", "", BOOT_UNKNOWN},
        {"power went while it was replaced", "pfr", NEW_BOOT, "USR-A", "t", BOOT_WAS_REPLACED},
        {"killed while it was replaced", "pfr", OLD_BOOT, "USR-A", "t", BOOT_WAS_REPLACED},
        {"killed before it was replaced", "pfr", OLD_BOOT, "USR-A", "tf", BOOT_STILL_PENDING},
        {"power went before it was replaced, it booted", "pfr", NEW_BOOT, "USR-B", "tf",
                BOOT_INTO_PENDING},
        {"power went before it was replaced, it fell back", "pfr", NEW_BOOT, "USR-A", "tf",
                BOOT_FELL_BACK},
        {"it runs, not good yet", "pfb", NEW_BOOT, "USR-B", "tf", BOOT_NOT_GOOD_YET},
        {"it was marked good", "pfb", NEW_BOOT, "USR-B", "tfg", BOOT_IS_GOOD},
        {"it ran, was never good, fell back", "pfb", NEW_BOOT, "USR-A", "tf", BOOT_FELL_BACK},
        {"it was good before another slot was chosen", "pfb", NEW_BOOT, "USR-A", "tg",
                BOOT_IS_GOOD},
        {"it ran, no slot is known to run now", "pfb", NEW_BOOT, "", "tf", BOOT_UNKNOWN},
        {"killed while postinst ran", "pi", OLD_BOOT, "USR-A", "t", BOOT_NEVER_FLIPPED},
        {"killed after postinst's own flip", "pi", OLD_BOOT, "USR-A", "tf", BOOT_NEVER_FLIPPED},
        {"killed while postinst ran, no table", "pi", OLD_BOOT, "USR-A", "", BOOT_UNKNOWN},
        {"power went while postinst ran", "pi", NEW_BOOT, "USR-A", "t", BOOT_NEVER_FLIPPED},
        {"power went after postinst's own flip, it booted", "pi", NEW_BOOT, "USR-B", "tf",
                BOOT_INTO_PENDING},
        {"power went after postinst's own flip, it fell back", "pi", NEW_BOOT, "USR-A", "tf",
                BOOT_FELL_BACK},
        {"it ran, the table cannot be read", "pfb", NEW_BOOT, "USR-B", "", BOOT_UNKNOWN},
};

static bool has(const char *flags, char flag)
{
    return strchr(flags, flag);
}

START_TEST(each_story_has_its_end)
{
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    ck_assert_int_eq(engine_state_new(&state), 0);
    const char *flags = cases[_i].state, *table = cases[_i].table;
    state->has_pending = has(flags, 'p');
    state->pending = (PendingSlot){.version = "2.0",
            .label = "USR-B",
            .boot_id = OLD_BOOT,
            .is_flipped = has(flags, 'f'),
            .is_replaced = has(flags, 'r'),
            .is_booted = has(flags, 'b'),
            .awaits_postinst = has(flags, 'i')};
    BootFacts facts = {.boot_id = cases[_i].boot_id,
            .running_label = cases[_i].running,
            .is_in_table = has(table, 't'),
            .is_foremost = has(table, 'f'),
            .is_good = has(table, 'g')};
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
