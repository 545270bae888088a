/* SPDX-License-Identifier: Apache-2.0 */

/* Promise 4 on the partition table: whatever a power cut leaves of a change, the table parses, and
 * the slots' bits are those from before the change or those from after it - nothing in between, and
 * so no slot boots that did not before and is not meant to. Then the same of the repair that
 * follows the power cut, and of a second change after the first one's process was killed. */

#include <errno.h>
#include <string.h>

#include "partitions/slot-disk.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/partitions/recorder.h"
#include "tests/unit/unit.h"

#define MAX_SLOTS 20
#define MAX_ALLOWED 8

typedef enum {
    CHANGE_REPAIR,
    CHANGE_INVALIDATE,
    CHANGE_FLIP,
    CHANGE_PRIORITIZE,
    CHANGE_MARK_GOOD,
    CHANGE_MARK_BAD,
    CHANGE_SPEND_TRY,
    N_CHANGES,
} Change;

static const char *const CHANGE_NAMES[N_CHANGES] = {
        "repair", "invalidate", "flip", "prioritize", "mark-good", "mark-bad", "spend-try"};

typedef enum {
    START_GOOD,
    START_PRIMARY_HEADER_BAD,
    START_PRIMARY_ENTRIES_BAD,
    START_PRIMARY_LOST,
    START_BACKUP_HEADER_BAD,
    START_BACKUP_ENTRIES_BAD,
    START_BACKUP_LOST,
    START_COPIES_DIFFER,
    START_GREW,                     /* the backup is not in the last sector */
    START_GREW_PRIMARY_ENTRIES_BAD, /* and only the primary's header leads there */
    START_GREW_A_LITTLE,            /* the new backup's place overlaps the old one's */
    N_STARTS,
} Start;

static const char *const START_NAMES[N_STARTS] = {"good", "primary header bad",
        "primary entries bad", "primary lost", "backup header bad", "backup entries bad",
        "backup lost", "copies differ", "grew", "grew, primary entries bad", "grew a little"};

/* The bits of all slots of a table. */
typedef struct {
    size_t n_slots;
    BootBits bits[MAX_SLOTS];
} Snapshot;

typedef struct {
    const MadeDisk *disk; /* for its sizes */
    const char *what;
    Snapshot allowed[MAX_ALLOWED];
    size_t n_allowed;
    bool is_repair_checked; /* the power may go again, during the repair */
    size_t n_bytes;
} Expectation;

static Snapshot snapshot(const SlotDisk *disk)
{
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    ck_assert_uint_le(n_slots, MAX_SLOTS);
    Snapshot s = {.n_slots = n_slots};
    for (size_t i = 0; i < n_slots; i++)
        s.bits[i] =
                (BootBits){slots[i].priority, slots[i].tries, slots[i].successful, slots[i].starts};
    return s;
}

static bool snapshots_equal(const Snapshot *a, const Snapshot *b)
{
    if (a->n_slots != b->n_slots)
        return false;
    for (size_t i = 0; i < a->n_slots; i++)
        if (boot_bits_put(0, a->bits[i]) != boot_bits_put(0, b->bits[i]))
            return false;
    return true;
}

static bool is_allowed(const Expectation *expectation, const Snapshot *found)
{
    for (size_t i = 0; i < expectation->n_allowed; i++)
        if (snapshots_equal(found, &expectation->allowed[i]))
            return true;
    return false;
}

static SlotDisk *open_recorder(Recorder *recorder, const char *what)
{
    SlotDisk *disk = NULL;
    ErrorText error = {0};
    int r = slot_disk_new(&recorder->device, NULL, &disk, &error);
    ck_assert_msg(r == 0, "%s: %d %s", what, r, error.line);
    return disk;
}

static void check_state(const uint8_t *state, void *userdata);

/* The power goes during the repair of the state as well: its bits stay. */
static void check_repair(const uint8_t *state, const Expectation *before, const Snapshot *found)
{
    MadeDisk disk = *before->disk;
    disk.data = (uint8_t *)state;
    disk.n_bytes = before->n_bytes;
    Recorder recorder;
    recorder_init(&recorder, &disk);
    SlotDisk *opened = open_recorder(&recorder, before->what);
    ck_assert_int_eq(slot_disk_repair(opened, NULL), 0);
    ck_assert_int_eq(slot_disk_health(opened), TABLE_GOOD);
    slot_disk_free(opened);
    Expectation repaired = {.disk = before->disk,
            .what = before->what,
            .allowed = {*found},
            .n_allowed = 1,
            .n_bytes = before->n_bytes};
    recorder_cut_power(&recorder, check_state, &repaired);
    recorder_done(&recorder);
}

static void check_state(const uint8_t *state, void *userdata)
{
    const Expectation *expectation = userdata;
    uint32_t sector_bytes = expectation->disk->plan.sector_bytes;
    Recorder view;
    recorder_view(&view, state, sector_bytes, expectation->n_bytes / sector_bytes);
    SlotDisk *opened = open_recorder(&view, expectation->what);
    Snapshot found = snapshot(opened);
    TableHealth health = slot_disk_health(opened);
    slot_disk_free(opened);
    ck_assert_msg(is_allowed(expectation, &found), "%s: neither the old bits nor the new ones",
            expectation->what);
    if (expectation->is_repair_checked && health != TABLE_GOOD)
        check_repair(state, expectation, &found);
}

static void make_start(const DiskPlan *plan, Start start, MadeDisk *ret_disk, size_t *ret_n_bytes)
{
    disk_make(plan, ret_disk);
    size_t sector = ret_disk->plan.sector_bytes, n_grown = 0;
    size_t n_entries_bytes = (size_t)ret_disk->plan.n_entries * ret_disk->plan.entry_bytes;
    bool is_backup = start >= START_BACKUP_HEADER_BAD && start <= START_BACKUP_LOST;

    switch (start) {
    case START_GOOD:
        break;
    case START_PRIMARY_HEADER_BAD:
    case START_BACKUP_HEADER_BAD:
        disk_damage_header(ret_disk, is_backup);
        break;
    case START_PRIMARY_ENTRIES_BAD:
    case START_BACKUP_ENTRIES_BAD:
        disk_damage_entries(ret_disk, is_backup);
        break;
    case START_PRIMARY_LOST:
    case START_BACKUP_LOST:
        memset(disk_header(ret_disk, is_backup), 0xff, sector);
        memset(disk_entry(ret_disk, is_backup, 0), 0xff, n_entries_bytes);
        break;
    case START_COPIES_DIFFER:
        /* As a flip leaves it that was cut between the copies. */
        disk_put64(disk_entry(ret_disk, true, 5) + 48, UINT64_C(9) << 48 | UINT64_C(1) << 52);
        disk_seal(ret_disk, true);
        break;
    case START_GREW:
        n_grown = 100;
        break;
    case START_GREW_PRIMARY_ENTRIES_BAD:
        disk_damage_entries(ret_disk, false);
        n_grown = 100;
        break;
    case START_GREW_A_LITTLE:
        n_grown = 3;
        break;
    case N_STARTS:
        ck_abort();
    }
    *ret_n_bytes = ret_disk->n_bytes + n_grown * sector;
    ret_disk->data = realloc(ret_disk->data, *ret_n_bytes);
    ck_assert_ptr_nonnull(ret_disk->data);
    memset(ret_disk->data + ret_disk->n_bytes, 0, *ret_n_bytes - ret_disk->n_bytes);
}

static int make_change(SlotDisk *disk, Change change, size_t slot)
{
    size_t chosen;
    switch (change) {
    case CHANGE_REPAIR:
        return slot_disk_repair(disk, NULL);
    case CHANGE_INVALIDATE:
        return slot_disk_invalidate(disk, slot, NULL);
    case CHANGE_FLIP:
        return slot_disk_flip(disk, slot, 3, NULL);
    case CHANGE_PRIORITIZE:
        return slot_disk_prioritize(disk, slot, 3, NULL);
    case CHANGE_MARK_GOOD:
        return slot_disk_mark_good(disk, slot, NULL);
    case CHANGE_MARK_BAD:
        return slot_disk_mark_bad(disk, slot, NULL);
    case CHANGE_SPEND_TRY:
        return slot_disk_spend_try(disk, &chosen, NULL);
    case N_CHANGES:
        break;
    }
    return -EINVAL;
}

static void start_recorder(const MadeDisk *made, size_t n_bytes, Recorder *ret_recorder)
{
    MadeDisk grown = *made;
    grown.n_bytes = n_bytes;
    recorder_init(ret_recorder, &grown);
}

/* One change from one start, cut everywhere. Returns the number of states that were tried. */
static size_t cut_change(
        const DiskPlan *plan, Start start, Change change, size_t slot, bool is_repair_checked)
{
    char what[128];
    snprintf(what, sizeof(what), "%s, %s, %u-byte sectors", START_NAMES[start],
            CHANGE_NAMES[change], plan->sector_bytes ? plan->sector_bytes : 512);
    MadeDisk made;
    Expectation expectation = {.disk = &made, .what = what, .is_repair_checked = is_repair_checked};
    make_start(plan, start, &made, &expectation.n_bytes);
    Recorder recorder;
    start_recorder(&made, expectation.n_bytes, &recorder);

    SlotDisk *disk = open_recorder(&recorder, what);
    expectation.allowed[expectation.n_allowed++] = snapshot(disk);
    int r = make_change(disk, change, slot);
    ck_assert_msg(r == 0, "%s: %d", what, r);
    expectation.allowed[expectation.n_allowed++] = snapshot(disk);
    ck_assert_int_eq(slot_disk_health(disk), TABLE_GOOD);
    slot_disk_free(disk);
    ck_assert(recorder.steps[recorder.n_steps - 1].is_flush);
    size_t n_states = recorder_cut_power(&recorder, check_state, &expectation);

    /* From its return on, it is the new table alone. */
    expectation.allowed[0] = expectation.allowed[1];
    expectation.n_allowed = 1;
    check_state(recorder.cache, &expectation);
    recorder_done(&recorder);
    disk_unmake(&made);
    return n_states;
}

/* The two slots lie in different sectors of the entries, so a change of both can be torn. */
static const DiskPlan TWO_SLOTS = {.n_entries = 32,
        .parts = {
                {.label = "EFI", .is_other_type = true},
                {.label = "USR-A", .priority = 15, .successful = true},
                {.label = "a", .is_other_type = true},
                {.label = "b", .is_other_type = true},
                {.label = "c", .is_other_type = true},
                {.label = "USR-B", .priority = 14, .tries = 2},
        }};
enum { SLOT_A, SLOT_B };

static void cut_every_change(const DiskPlan *plan)
{
    for (Start start = 0; start < N_STARTS; start++)
        for (Change change = 0; change < N_CHANGES; change++)
            ck_assert_uint_ge(cut_change(plan, start, change, SLOT_B, false), 2);
}

START_TEST(every_change_from_every_start)
{
    cut_every_change(&TWO_SLOTS);
}
END_TEST

START_TEST(a_table_of_the_usual_size)
{
    DiskPlan plan = TWO_SLOTS;
    plan.n_entries = 128;
    cut_change(&plan, START_GOOD, CHANGE_FLIP, SLOT_B, false);
    cut_change(&plan, START_PRIMARY_LOST, CHANGE_FLIP, SLOT_B, false);
    cut_change(&plan, START_BACKUP_LOST, CHANGE_FLIP, SLOT_B, false);
}
END_TEST

START_TEST(every_change_with_sectors_of_4096_bytes)
{
    DiskPlan plan = TWO_SLOTS;
    plan.sector_bytes = 4096;
    plan.n_sectors = 150;
    plan.entry_bytes = 1024; /* so that the slots lie in two sectors here too */
    plan.n_entries = 16;
    cut_every_change(&plan);
}
END_TEST

START_TEST(the_power_goes_again_during_the_repair)
{
    DiskPlan plan = TWO_SLOTS;
    plan.n_entries = 12; /* three sectors: few enough for all subsets of all subsets */
    for (Start start = 0; start < N_STARTS; start++) {
        cut_change(&plan, start, CHANGE_FLIP, SLOT_B, true);
        cut_change(&plan, start, CHANGE_INVALIDATE, SLOT_B, true);
    }
}
END_TEST

START_TEST(renumbering_changes_many_sectors)
{
    DiskPlan plan = {.entry_bytes = 512, .n_entries = 16, .n_sectors = 400};
    static char labels[9][8];
    for (unsigned i = 0; i < 9; i++) {
        snprintf(labels[i], sizeof(labels[i]), "USR-%u", i);
        plan.parts[i] = (DiskPart){.label = labels[i], .priority = 7 + i, .successful = true};
    }
    ck_assert_uint_gt(cut_change(&plan, START_GOOD, CHANGE_FLIP, 2, false), 2 * 512);
}
END_TEST

/* Invalidate, write, flip: between the first's return and the last's beginning the target is never
 * chosen, and never is anything chosen that is not whole. */
START_TEST(an_update_never_boots_the_invalidated_slot)
{
    for (Start start = 0; start < N_STARTS; start++) {
        MadeDisk made;
        size_t n_bytes;
        make_start(&TWO_SLOTS, start, &made, &n_bytes);
        Recorder recorder;
        start_recorder(&made, n_bytes, &recorder);
        SlotDisk *disk = open_recorder(&recorder, "update");
        ck_assert_int_eq(slot_disk_invalidate(disk, SLOT_B, NULL), 0);
        ck_assert_uint_eq(slot_disk_next(disk), SLOT_A);
        slot_disk_free(disk);

        /* Another process, another state to begin with. */
        MadeDisk invalidated = made;
        invalidated.data = recorder.cache;
        invalidated.n_bytes = n_bytes;
        Recorder second;
        recorder_init(&second, &invalidated);
        disk = open_recorder(&second, "update");
        Expectation expectation = {.disk = &made, .what = "update", .n_bytes = n_bytes};
        expectation.allowed[expectation.n_allowed++] = snapshot(disk);
        ck_assert_int_eq(slot_disk_flip(disk, SLOT_B, 3, NULL), 0);
        ck_assert_uint_eq(slot_disk_next(disk), SLOT_B);
        expectation.allowed[expectation.n_allowed++] = snapshot(disk);
        slot_disk_free(disk);
        recorder_cut_power(&second, check_state, &expectation);
        recorder_done(&second);
        recorder_done(&recorder);
        disk_unmake(&made);
    }
}
END_TEST

/* The first process is killed (the machine runs on: what it wrote is in the cache, not
 * necessarily on the medium), a second one makes its change, and then the power goes. */
START_TEST(a_killed_writer_does_not_mislead_the_next)
{
    for (Start start = 0; start < N_STARTS; start++)
        for (size_t n_steps = 0; n_steps < 9; n_steps++) {
            MadeDisk made;
            Expectation expectation = {.disk = &made, .what = "killed writer"};
            make_start(&TWO_SLOTS, start, &made, &expectation.n_bytes);
            Recorder recorder;
            start_recorder(&made, expectation.n_bytes, &recorder);
            recorder.n_steps_allowed = n_steps;

            SlotDisk *disk = open_recorder(&recorder, expectation.what);
            expectation.allowed[expectation.n_allowed++] = snapshot(disk);
            ck_assert_int_eq(slot_disk_flip(disk, SLOT_B, 3, NULL), -EIO);
            ck_assert_int_eq(slot_disk_repair(disk, NULL), -EIO);
            slot_disk_free(disk);

            recorder.n_steps_allowed = SIZE_MAX;
            disk = open_recorder(&recorder, expectation.what);
            expectation.allowed[expectation.n_allowed++] = snapshot(disk);
            ck_assert_int_eq(slot_disk_invalidate(disk, SLOT_B, NULL), 0);
            expectation.allowed[expectation.n_allowed++] = snapshot(disk);
            slot_disk_free(disk);
            recorder_cut_power(&recorder, check_state, &expectation);
            recorder_done(&recorder);
            disk_unmake(&made);
        }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("power-cut");
    TCase *tcase = unit_case(suite, "power-cut");
    tcase_add_test(tcase, every_change_from_every_start);
    tcase_add_test(tcase, a_table_of_the_usual_size);
    tcase_add_test(tcase, every_change_with_sectors_of_4096_bytes);
    tcase_add_test(tcase, the_power_goes_again_during_the_repair);
    tcase_add_test(tcase, renumbering_changes_many_sectors);
    tcase_add_test(tcase, an_update_never_boots_the_invalidated_slot);
    tcase_add_test(tcase, a_killed_writer_does_not_mislead_the_next);
    return suite;
}
