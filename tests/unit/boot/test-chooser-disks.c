/* SPDX-License-Identifier: Apache-2.0 */

/* The boot chooser on disks that are damaged, cannot be written, or are several. */

#include "partitions/boot/chooser.h"

#include <string.h>

#include "tests/unit/boot/boot-rig.h"
#include "tests/unit/unit.h"

enum { ESP, SLOT_A, SLOT_B }; /* partitions of RIG_PLAN */

#define B_IS_CHOSEN "say: USR-B is chosen: priority 2, tries 3, of which one is spent now\n"
#define B_SPENT "[USR-A 1 0 good 0] [USR-B 2 2 - 0]"
#define B_IS_STARTED                                   \
    "load: kernel of USR-B, 5000 bytes; " B_SPENT "\n" \
    "announce: 42424242-4242-4242-4242-424242424242\n" \
    "say: USR-B is started: demo 2.0\n"                \
    "start: USR-B; " B_SPENT "\n"

#define A_IS_CHOSEN \
    "say: USR-A is chosen: priority 1, successful, started 0 times since it was marked good\n"
/* With these bits on the disk. */
#define A_IS_STARTED(bits)                             \
    "load: kernel of USR-A, 5000 bytes; " bits "\n"    \
    "announce: 41414141-4141-4141-4141-414141414141\n" \
    "say: USR-A is started: demo 2.0\n"                \
    "start: USR-A; " bits "\n"

#define UNCHANGED "[USR-A 1 0 good 0] [USR-B 2 3 - 0]"
#define ONLY_GOOD_ONES "; so no try can be spent, and only a successful slot may boot\n"

static BootRig rig;

static void setup(void)
{
    boot_rig_init(&rig, &RIG_PLAN);
}

static void teardown(void)
{
    boot_rig_done(&rig);
}

static void assert_copies_are_good(void)
{
    Recorder view;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    recorder_view(&view, rig.recorder.cache, 512, rig.recorder.device.n_sectors);
    ck_assert_int_eq(slot_disk_new(&view.device, NULL, &disk, NULL), 0);
    ck_assert_int_eq(slot_disk_health(disk), TABLE_GOOD);
}

/* Damaged tables. */

START_TEST(a_bad_primary_is_rebuilt)
{
    disk_damage_header(&rig.made, false);
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: the primary copy of the partition table has a header with a wrong "
                        "checksum; it is rebuilt from the backup\n" B_IS_STARTED);
    assert_copies_are_good();
}
END_TEST

START_TEST(a_bad_backup_is_rebuilt)
{
    disk_damage_entries(&rig.made, true);
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: the backup copy of the partition table has entries with a wrong "
                        "checksum; it is rebuilt from the primary\n" B_IS_STARTED);
    assert_copies_are_good();
}
END_TEST

START_TEST(copies_that_differ_are_made_one)
{
    disk_put64(disk_entry(&rig.made, true, SLOT_B) + 48, UINT64_C(9) << 48 | UINT64_C(1) << 52);
    disk_seal(&rig.made, true);
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: the copies of the partition table differ; the backup is rebuilt from "
                        "the primary\n" B_IS_STARTED);
    assert_copies_are_good();
}
END_TEST

START_TEST(a_disk_that_grew_gets_a_backup_at_its_end)
{
    size_t n_bytes = rig.made.n_bytes + (size_t)100 * 512;
    rig.made.data = realloc(rig.made.data, n_bytes);
    ck_assert_ptr_nonnull(rig.made.data);
    memset(rig.made.data + rig.made.n_bytes, 0, n_bytes - rig.made.n_bytes);
    rig.made.n_bytes = n_bytes;
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: the backup copy of the partition table is not in the disk's last "
                        "sector; it is rebuilt from the primary\n" B_IS_STARTED);
    assert_copies_are_good();
}
END_TEST

/* What was wrong is said once. */
START_TEST(a_repair_is_said_once)
{
    disk_damage_header(&rig.made, false);
    rig.fake.coming_back = "USR-B";
    boot_rig_run(&rig);
    const char *first = strstr(rig.fake.trace, "it is rebuilt");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "it is rebuilt"));
    ck_assert_ptr_nonnull(strstr(first, "start: USR-A"));
}
END_TEST

START_TEST(no_copy_is_valid)
{
    disk_damage_header(&rig.made, false);
    disk_damage_entries(&rig.made, true);
    boot_rig_expect(&rig,
            "say: recorder holds no valid GPT: the primary copy has a header with a wrong checksum, "
            "the backup copy has entries with a wrong checksum; is it the right disk?; and no other "
            "disk has slots\n");
    ck_assert_uint_eq(rig.recorder.n_steps, 0);
}
END_TEST

START_TEST(no_copy_can_be_read)
{
    boot_rig_begin(&rig);
    rig.recorder.n_unreadable = rig.recorder.device.n_sectors;
    boot_rig_expect(&rig,
            "say: recorder holds no valid GPT: the primary copy cannot be read, the backup copy "
            "cannot be read; is it the right disk?\n");
}
END_TEST

START_TEST(two_slots_of_one_label)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].label = "USR-A";
    boot_rig_done(&rig);
    boot_rig_init(&rig, &plan);
    boot_rig_expect(
            &rig, "say: recorder has two slots labelled 'USR-A', partitions 2 and 3; rename one\n");
}
END_TEST

/* Disks that cannot be written. */

START_TEST(a_read_only_disk_boots_what_is_good)
{
    boot_rig_begin(&rig);
    rig.recorder.device.is_writable = false;
    boot_rig_expect(&rig, B_IS_CHOSEN
            "say: recorder was opened for reading only" ONLY_GOOD_ONES A_IS_CHOSEN A_IS_STARTED(
                    UNCHANGED));
    ck_assert_uint_eq(rig.recorder.n_steps, 0);
}
END_TEST

/* The chosen one is good itself: then it is not passed over. */
START_TEST(a_read_only_disk_boots_a_good_slot_that_has_tries)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].successful = true;
    boot_rig_done(&rig);
    boot_rig_init(&rig, &plan);
    boot_rig_begin(&rig);
    rig.recorder.device.is_writable = false;
    boot_rig_run(&rig);
    ck_assert_ptr_nonnull(strstr(rig.fake.trace, ONLY_GOOD_ONES "load: kernel of USR-B, "));
    ck_assert_ptr_nonnull(strstr(rig.fake.trace, "start: USR-B"));
}
END_TEST

/* Once it is known, nothing is said of a try. */
START_TEST(a_read_only_disk_spends_no_tries_of_a_good_slot)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_A].tries = 2;
    boot_rig_done(&rig);
    boot_rig_init(&rig, &plan);
    boot_rig_begin(&rig);
    rig.recorder.device.is_writable = false;
    boot_rig_expect(&rig, B_IS_CHOSEN
            "say: recorder was opened for reading only" ONLY_GOOD_ONES A_IS_CHOSEN A_IS_STARTED(
                    "[USR-A 1 2 good 0] [USR-B 2 3 - 0]"));
}
END_TEST

START_TEST(a_read_only_disk_keeps_the_priority_of_what_is_refused)
{
    boot_rig_begin(&rig);
    rig.recorder.device.is_writable = false;
    rig.fake.refused = "USR-A";
    boot_rig_expect(&rig,
            B_IS_CHOSEN "say: recorder was opened for reading only" ONLY_GOOD_ONES A_IS_CHOSEN
                        "load: kernel of USR-A, 5000 bytes; " UNCHANGED "\n"
                        "say: USR-A cannot be loaded: the firmware does not want it; its priority "
                        "stays: the disk cannot be written\n"
                        "say: recorder has no slot left that could boot\n");
}
END_TEST

START_TEST(a_read_only_disk_without_a_good_slot_boots_nothing)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_A].successful = false;
    plan.parts[SLOT_A].tries = 1;
    boot_rig_done(&rig);
    boot_rig_init(&rig, &plan);
    boot_rig_begin(&rig);
    rig.recorder.device.is_writable = false;
    boot_rig_expect(&rig, B_IS_CHOSEN "say: recorder was opened for reading only" ONLY_GOOD_ONES
                                      "say: recorder has no slot left that could boot\n");
}
END_TEST

/* The number of writes and flushes until USR-B is started. */
static size_t steps_of_a_start(void)
{
    boot_rig_run(&rig);
    size_t n_steps = rig.recorder.n_steps;
    boot_rig_done(&rig);
    setup();
    return n_steps;
}

/* Whichever write or flush fails: a slot that is not good is not started, a good one is; and the
 * disk has a table, the old one or the new one. */
START_TEST(any_write_fails_when_a_try_is_spent)
{
    size_t n_steps = steps_of_a_start();
    ck_assert_uint_ge(n_steps, 8);
    for (size_t n = 0; n < n_steps; n++) {
        boot_rig_begin(&rig);
        rig.recorder.n_steps_allowed = n;
        boot_rig_run(&rig);
        const char *trace = rig.fake.trace, *state = rig.fake.states[rig.fake.n_states - 1];
        ck_assert_msg(strncmp(trace, B_IS_CHOSEN, strlen(B_IS_CHOSEN)) == 0, "%s", trace);
        ck_assert_ptr_nonnull(strstr(trace, "say: recorder: writing the partition table failed: "));
        ck_assert_ptr_nonnull(strstr(trace, ONLY_GOOD_ONES A_IS_CHOSEN));
        ck_assert_ptr_null(strstr(trace, "start: USR-B"));
        ck_assert_ptr_nonnull(strstr(trace, "start: USR-A"));
        ck_assert_msg(
                strcmp(state, UNCHANGED) == 0 || strcmp(state, B_SPENT) == 0, "%zu: %s", n, state);
        boot_rig_done(&rig);
        setup();
    }
}
END_TEST

/* And when the priority of a slot is taken: it stays, and nothing more is written. */
START_TEST(any_write_fails_when_a_priority_is_taken)
{
    size_t n_steps = steps_of_a_start();
    for (size_t n = n_steps; n < 2 * n_steps; n++) {
        boot_rig_begin(&rig);
        rig.recorder.n_steps_allowed = n;
        rig.fake.refused = "USR-B";
        boot_rig_run(&rig);
        const char *trace = rig.fake.trace, *state = rig.fake.states[rig.fake.n_states - 1];
        ck_assert_ptr_nonnull(strstr(trace,
                "\nsay: USR-B cannot be loaded: the firmware does not want it; its priority stays: "
                "recorder: writing the partition table failed: "));
        ck_assert_ptr_nonnull(strstr(trace, A_IS_CHOSEN "load: kernel of USR-A, "));
        ck_assert_ptr_nonnull(strstr(trace, "start: USR-A"));
        ck_assert_uint_eq(rig.recorder.n_steps, n);
        ck_assert_msg(strcmp(state, B_SPENT) == 0 ||
                              strcmp(state, "[USR-A 1 0 good 0] [USR-B 0 0 - 0]") == 0,
                "%zu: %s", n, state);
        boot_rig_done(&rig);
        setup();
    }
}
END_TEST

START_TEST(there_is_no_room_for_the_backup)
{
    for (int is_backup = 0; is_backup < 2; is_backup++) {
        disk_put64(disk_header(&rig.made, is_backup) + 48, rig.made.plan.n_sectors - 2);
        disk_seal(&rig.made, is_backup);
    }
    boot_rig_expect(&rig, B_IS_CHOSEN
            "say: recorder: the last usable sector leaves no room for the second copy of "
            "the partition table" ONLY_GOOD_ONES A_IS_CHOSEN A_IS_STARTED(UNCHANGED));
}
END_TEST

/* Several disks. */

static const DiskPlan NO_SLOTS = {.parts = {{.label = "EFI-SYSTEM", .is_other_type = true}}};

#define N_MORE 2
static MadeDisk more_made[N_MORE];
static Recorder more[N_MORE];

/* Disks beside the chooser's own: what they hold. */
static void make_more(const DiskPlan *one, const DiskPlan *other)
{
    const DiskPlan *plans[N_MORE] = {one, other};
    static const char *const names[N_MORE] = {"disk 2", "disk 3"};
    for (size_t i = 0; i < N_MORE; i++) {
        disk_make(plans[i], &more_made[i]);
        recorder_init(&more[i], &more_made[i]);
        more[i].device.name = names[i];
    }
    rig.fake.others = more;
    rig.fake.n_others = N_MORE;
}

static void unmake_more(void)
{
    for (size_t i = 0; i < N_MORE; i++) {
        recorder_done(&more[i]);
        disk_unmake(&more_made[i]);
    }
}

/* Runs it with its own disk, which is the rig's or NULL. The others are freed once, used or not,
 * where they were looked for. */
static void run_with_more(BlockDevice *own, const char *expected_trace)
{
    bool has_own = own;
    chooser_run(&rig.fake.base, &own);
    ck_assert_str_eq(rig.fake.trace, expected_trace);
    ck_assert_uint_eq(rig.recorder.n_frees, has_own && !own ? 1 : 0);
    for (size_t i = 0; i < N_MORE; i++)
        ck_assert_uint_eq(more[i].n_frees, rig.fake.n_searches);
}

/* As the rig's second disk, with slots that hold nothing. */
static DiskPlan empty_slots(void)
{
    DiskPlan plan = RIG_PLAN;
    plan.parts[SLOT_B].priority = 0;
    return plan;
}

#define A_IS_STARTED_FROM_ITS_FILE                                       \
    A_IS_CHOSEN "load file: USR-A; [USR-A 1 0 good 1] [USR-B 0 3 - 0]\n" \
                "announce: 41414141-4141-4141-4141-414141414141\n"       \
                "say: USR-A is started: \\EFI\\flipside\\USR-A.efi\n"    \
                "start: USR-A; [USR-A 1 0 good 1] [USR-B 0 3 - 0]\n"

START_TEST(the_own_disk_goes_before_others)
{
    DiskPlan plan = empty_slots();
    make_more(&plan, &plan);
    boot_rig_begin(&rig);
    run_with_more(&rig.recorder.device, B_IS_CHOSEN B_IS_STARTED);
    ck_assert_uint_eq(rig.fake.n_searches, 0);
    unmake_more();
}
END_TEST

START_TEST(an_own_disk_without_slots_lets_another_boot)
{
    DiskPlan plan = empty_slots();
    boot_rig_done(&rig);
    boot_rig_init(&rig, &NO_SLOTS);
    boot_rig_begin(&rig);
    make_more(&NO_SLOTS, &plan);
    rig.fake.disk = &more[1];
    run_with_more(&rig.recorder.device, A_IS_STARTED_FROM_ITS_FILE);
    ck_assert_uint_eq(rig.fake.n_searches, 1);
    ck_assert_uint_eq(rig.recorder.n_steps + more[0].n_steps, 0);
    unmake_more();
}
END_TEST

START_TEST(without_an_own_disk_the_only_one_with_slots_boots)
{
    DiskPlan plan = empty_slots();
    make_more(&plan, &NO_SLOTS);
    disk_damage_header(&more_made[1], false);
    rig.fake.disk = &more[0];
    run_with_more(NULL, A_IS_STARTED_FROM_ITS_FILE);
    unmake_more();
}
END_TEST

START_TEST(two_other_disks_with_slots_are_one_too_many)
{
    DiskPlan plan = empty_slots();
    make_more(&plan, &plan);
    rig.fake.disk = &more[0];
    run_with_more(NULL,
            "say: disk 2 and disk 3 both have slots; start from the ESP of the one that is meant\n");
    ck_assert_uint_eq(more[0].n_steps + more[1].n_steps, 0);
    unmake_more();
}
END_TEST

/* It is said, as it may be the one that is meant. */
START_TEST(another_disk_that_is_wrong_is_passed_over)
{
    DiskPlan plan = empty_slots(), wrong = empty_slots();
    wrong.parts[SLOT_B].label = "USR-A";
    make_more(&wrong, &plan);
    rig.fake.disk = &more[1];
    run_with_more(NULL,
            "say: disk 2 has two slots labelled 'USR-A', partitions 2 and 3; rename one\n" A_IS_STARTED_FROM_ITS_FILE);
    unmake_more();
}
END_TEST

START_TEST(no_disk_has_slots)
{
    boot_rig_done(&rig);
    boot_rig_init(&rig, &NO_SLOTS);
    boot_rig_begin(&rig);
    make_more(&NO_SLOTS, &NO_SLOTS);
    disk_damage_header(&more_made[1], false);
    rig.fake.disk = &more[1];
    run_with_more(&rig.recorder.device,
            "say: recorder has no slot: no partition is of type "
            "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6; and no other disk has slots\n");
    unmake_more();
}
END_TEST

START_TEST(there_is_no_disk)
{
    BlockDevice *none = NULL;
    boot_rig_begin(&rig);
    chooser_run(&rig.fake.base, &none);
    ck_assert_str_eq(rig.fake.trace,
            "say: the disk that this was started from is not known; and no other disk has slots\n");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("chooser-disks");
    TCase *tcase = unit_case(suite, "chooser-disks");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_bad_primary_is_rebuilt);
    tcase_add_test(tcase, a_bad_backup_is_rebuilt);
    tcase_add_test(tcase, copies_that_differ_are_made_one);
    tcase_add_test(tcase, a_disk_that_grew_gets_a_backup_at_its_end);
    tcase_add_test(tcase, a_repair_is_said_once);
    tcase_add_test(tcase, no_copy_is_valid);
    tcase_add_test(tcase, no_copy_can_be_read);
    tcase_add_test(tcase, two_slots_of_one_label);
    tcase_add_test(tcase, a_read_only_disk_boots_what_is_good);
    tcase_add_test(tcase, a_read_only_disk_boots_a_good_slot_that_has_tries);
    tcase_add_test(tcase, a_read_only_disk_spends_no_tries_of_a_good_slot);
    tcase_add_test(tcase, a_read_only_disk_keeps_the_priority_of_what_is_refused);
    tcase_add_test(tcase, a_read_only_disk_without_a_good_slot_boots_nothing);
    tcase_add_test(tcase, any_write_fails_when_a_try_is_spent);
    tcase_add_test(tcase, any_write_fails_when_a_priority_is_taken);
    tcase_add_test(tcase, there_is_no_room_for_the_backup);
    tcase_add_test(tcase, the_own_disk_goes_before_others);
    tcase_add_test(tcase, an_own_disk_without_slots_lets_another_boot);
    tcase_add_test(tcase, without_an_own_disk_the_only_one_with_slots_boots);
    tcase_add_test(tcase, two_other_disks_with_slots_are_one_too_many);
    tcase_add_test(tcase, another_disk_that_is_wrong_is_passed_over);
    tcase_add_test(tcase, no_disk_has_slots);
    tcase_add_test(tcase, there_is_no_disk);
    return suite;
}
