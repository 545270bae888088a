/* SPDX-License-Identifier: Apache-2.0 */

/* The power goes at any write or flush of the boot chooser's: the disk has a table, and its bits
 * are those that stood there before or after one of the chooser's steps, nothing in between. */

#include "partitions/boot/chooser.h"

#include <string.h>

#include "tests/unit/boot/boot-rig.h"
#include "tests/unit/unit.h"

enum { ESP, SLOT_A, SLOT_B }; /* partitions of RIG_PLAN */

typedef enum {
    START_GOOD,
    START_PRIMARY_HEADER_BAD,
    START_PRIMARY_ENTRIES_BAD,
    START_BACKUP_HEADER_BAD,
    START_BACKUP_ENTRIES_BAD,
    START_COPIES_DIFFER,
    N_STARTS,
} Start;

static BootRig rig;

/* The slots in two sectors of the entries, so that a change of both can be torn. */
static const DiskPlan TWO_SECTORS = {.n_entries = 32,
        .parts = {
                {.label = "EFI-SYSTEM", .is_other_type = true, .n_sectors = 1},
                {.label = "USR-A",
                        .priority = 1,
                        .successful = true,
                        .n_sectors = RIG_SLOT_SECTORS},
                {.label = "x", .is_other_type = true, .n_sectors = 1},
                {.label = "y", .is_other_type = true, .n_sectors = 1},
                {.label = "USR-B", .priority = 2, .tries = 3, .n_sectors = RIG_SLOT_SECTORS},
        }};

static void damage(Start start)
{
    switch (start) {
    case START_GOOD:
        return;
    case START_PRIMARY_HEADER_BAD:
    case START_BACKUP_HEADER_BAD:
        disk_damage_header(&rig.made, start == START_BACKUP_HEADER_BAD);
        return;
    case START_PRIMARY_ENTRIES_BAD:
    case START_BACKUP_ENTRIES_BAD:
        disk_damage_entries(&rig.made, start == START_BACKUP_ENTRIES_BAD);
        return;
    case START_COPIES_DIFFER:
        disk_put64(disk_entry(&rig.made, true, 1) + 48, UINT64_C(9) << 48 | UINT64_C(1) << 52);
        disk_seal(&rig.made, true);
        return;
    case N_STARTS:
        ck_abort();
    }
}

static void check_state(const uint8_t *content, void *userdata)
{
    const BlockDevice *device = &rig.recorder.device;
    char found[FAKE_STATE_BYTES];
    (void)userdata;
    fake_firmware_read_bits(content, device->sector_bytes, device->n_sectors, found);
    for (size_t i = 0; i < rig.fake.n_states; i++)
        if (strcmp(found, rig.fake.states[i]) == 0)
            return;
    ck_abort_msg("a power cut leaves %s", found);
}

/* Returns how many states of the disk there were to be told apart, and had to be found. */
static size_t cut_power(const DiskPlan *plan, Start start, const char *refused)
{
    boot_rig_init(&rig, plan);
    damage(start);
    rig.fake.refused = refused;
    boot_rig_run(&rig);
    ck_assert_str_ne(rig.fake.states[0], "no table");
    ck_assert_uint_ge(recorder_cut_power(&rig.recorder, check_state, NULL), 8);
    size_t n_states = rig.fake.n_states;
    boot_rig_done(&rig);
    return n_states;
}

START_TEST(a_try_is_spent)
{
    for (Start start = 0; start < N_STARTS; start++) {
        ck_assert_uint_eq(cut_power(&RIG_PLAN, start, NULL), 2);
        ck_assert_uint_eq(cut_power(&TWO_SECTORS, start, NULL), 2);
    }
}
END_TEST

/* A try less, no priority, and a start more of the other slot. */
START_TEST(a_slot_gives_way_to_the_other)
{
    for (Start start = 0; start < N_STARTS; start++) {
        ck_assert_uint_eq(cut_power(&RIG_PLAN, start, "USR-B"), 4);
        ck_assert_uint_eq(cut_power(&TWO_SECTORS, start, "USR-B"), 4);
    }
}
END_TEST

START_TEST(all_are_refused)
{
    for (Start start = 0; start < N_STARTS; start++)
        ck_assert_uint_eq(cut_power(&TWO_SECTORS, start, "USR-A USR-B"), 4);
}
END_TEST

/* The count of starts is full, and all begin anew: the bits of both slots change at once. */
START_TEST(counts_begin_anew)
{
    DiskPlan plan = TWO_SECTORS;
    plan.parts[1].attributes = UINT64_C(15) << 57;
    plan.parts[4] = (DiskPart){.label = "USR-B",
            .priority = 2,
            .successful = true,
            .attributes = UINT64_C(15) << 57,
            .n_sectors = RIG_SLOT_SECTORS};
    for (Start start = 0; start < N_STARTS; start++)
        ck_assert_uint_eq(cut_power(&plan, start, NULL), 2);
}
END_TEST

START_TEST(sectors_of_4096_bytes)
{
    DiskPlan plan = RIG_PLAN;
    plan.sector_bytes = 4096;
    plan.n_sectors = 60;
    plan.parts[ESP].n_sectors = 1;
    plan.parts[SLOT_A].n_sectors = plan.parts[SLOT_B].n_sectors = 5;
    for (Start start = 0; start < N_STARTS; start++)
        ck_assert_uint_eq(cut_power(&plan, start, "USR-B"), 4);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("chooser-power-cut");
    TCase *tcase = unit_case(suite, "chooser-power-cut");
    tcase_add_test(tcase, a_try_is_spent);
    tcase_add_test(tcase, a_slot_gives_way_to_the_other);
    tcase_add_test(tcase, all_are_refused);
    tcase_add_test(tcase, counts_begin_anew);
    tcase_add_test(tcase, sectors_of_4096_bytes);
    return suite;
}
