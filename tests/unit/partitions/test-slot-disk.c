/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "common/fd-io.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

/* Version A runs, B is the one before it, and around them lies what is nobody's business here. */
static const DiskPlan PLAN = {.parts = {
                                      {.label = "EFI-SYSTEM", .is_other_type = true},
                                      {.label = "USR-A",
                                              .priority = 2,
                                              .successful = true,
                                              .attributes = UINT64_C(1) << 61 | 5},
                                      {.label = "USR-B", .priority = 1, .successful = true},
                                      {.label = "ROOT", .is_other_type = true},
                              }};

static const char *save_plan(const DiskPlan *plan)
{
    MadeDisk made;
    disk_make(plan, &made);
    const char *path = disk_save(&made);
    disk_unmake(&made);
    return path;
}

static SlotDisk *open_disk(const char *path, bool writable)
{
    SlotDisk *disk = NULL;
    ErrorText error = {0};
    int r = slot_disk_open(path, writable, NULL, 0, &disk, &error);
    ck_assert_msg(r == 0, "%d %s", r, error.line);
    return disk;
}

static void assert_open_fails(const char *path, int expected, const char *part_of_line)
{
    SlotDisk *disk = NULL;
    ErrorText error = {0};
    ck_assert_int_eq(slot_disk_open(path, false, NULL, 0, &disk, &error), expected);
    ck_assert_ptr_null(disk);
    ck_assert_msg(strstr(error.line, part_of_line), "'%s' lacks '%s'", error.line, part_of_line);
}

static void assert_bits(
        const SlotDisk *disk, const char *label, unsigned priority, unsigned tries, bool successful)
{
    size_t n;
    const Slot *slots = slot_disk_slots(disk, &n);
    size_t i = slot_disk_find(disk, label);
    ck_assert_uint_lt(i, n);
    ck_assert_msg(slots[i].priority == priority && slots[i].tries == tries &&
                          slots[i].successful == successful,
            "%s: priority %u tries %u successful %d", label, slots[i].priority, slots[i].tries,
            slots[i].successful);
}

/* As above, on the disk: read by another object than the one that wrote. */
static void assert_saved(
        const char *path, const char *label, unsigned priority, unsigned tries, bool successful)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, false);
    ck_assert_int_eq(slot_disk_health(disk), TABLE_GOOD);
    assert_bits(disk, label, priority, tries, successful);
}

START_TEST(slots_are_listed)
{
    const char *path = save_plan(&PLAN);
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, false);
    size_t n;
    const Slot *slots = slot_disk_slots(disk, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(slots[0].label, "USR-A");
    ck_assert_uint_eq(slots[0].entry, 1);
    ck_assert_uint_eq(slots[0].offset_bytes, (34 + 16) * 512);
    ck_assert_uint_eq(slots[0].size_bytes, 16 * 512);
    assert_bits(disk, "USR-A", 2, 0, true);
    assert_bits(disk, "USR-B", 1, 0, true);
    ck_assert_uint_eq(slot_disk_next(disk), 0);
    ck_assert_uint_eq(slot_disk_find(disk, "USR-B"), 1);
    ck_assert_uint_eq(slot_disk_find(disk, "ROOT"), SLOT_NONE);
    ck_assert_uint_eq(slot_disk_find_unique(disk, &slots[1].unique), 1);
    ck_assert_uint_eq(slot_disk_find_unique(disk, &GUID_TYPE_SLOT), SLOT_NONE);
    ck_assert_uint_eq(slot_disk_find_offset(disk, slots[1].offset_bytes), 1);
    ck_assert_uint_eq(slot_disk_find_offset(disk, 7), SLOT_NONE);
    ck_assert(slot_disk_is_at(disk, path));
    ck_assert(!slot_disk_is_at(disk, "/dev/null"));
}
END_TEST

START_TEST(an_update_from_end_to_end)
{
    const char *path = save_plan(&PLAN);
    ErrorText error;
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, true);
    ck_assert_int_eq(slot_disk_invalidate(disk, 1, &error), 0);
    assert_bits(disk, "USR-B", 0, 0, false);
    assert_saved(path, "USR-B", 0, 0, false);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 3, &error), 0);
    assert_saved(path, "USR-B", 3, 3, false);
    assert_saved(path, "USR-A", 2, 0, true);
    size_t chosen;
    ck_assert_int_eq(slot_disk_spend_try(disk, &chosen, &error), 0);
    ck_assert_uint_eq(chosen, 1);
    assert_saved(path, "USR-B", 3, 2, false);
    ck_assert_int_eq(slot_disk_mark_good(disk, 1, &error), 0);
    assert_saved(path, "USR-B", 3, 0, true);
    ck_assert_int_eq(slot_disk_prioritize(disk, 0, 3, &error), 0);
    assert_saved(path, "USR-A", 4, 0, true);
    ck_assert_int_eq(slot_disk_mark_bad(disk, 0, &error), 0);
    assert_saved(path, "USR-A", 0, 0, false);
    ck_assert_int_eq(slot_disk_mark_bad(disk, 1, &error), -EPERM);
    assert_saved(path, "USR-B", 3, 0, true);
}
END_TEST

START_TEST(nothing_else_changes)
{
    MadeDisk before;
    disk_make(&PLAN, &before);
    const char *path = disk_save(&before);
    SlotDisk *disk = open_disk(path, true);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 3, NULL), 0);
    slot_disk_free(disk);

    /* The expected disk, by the maker's own hands. */
    for (int is_backup = 0; is_backup < 2; is_backup++) {
        disk_put64(disk_entry(&before, is_backup, 2) + 48, UINT64_C(3) << 48 | UINT64_C(3) << 52);
        disk_seal(&before, is_backup);
    }
    _cleanup_free_ char *after = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 1 << 20, &after, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, before.n_bytes);
    ck_assert_mem_eq(after, before.data, n_bytes);
    disk_unmake(&before);
}
END_TEST

START_TEST(bad_slots_and_tries_are_refused)
{
    const char *path = save_plan(&PLAN);
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, true);
    ErrorText error;
    ck_assert_int_eq(slot_disk_invalidate(disk, 2, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_mark_good(disk, SLOT_NONE, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_mark_bad(disk, 9, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_flip(disk, 2, 3, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 0, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 16, &error), -EINVAL);
    ck_assert_int_eq(slot_disk_prioritize(disk, 1, 0, &error), -EINVAL);
    assert_saved(path, "USR-A", 2, 0, true);
    assert_saved(path, "USR-B", 1, 0, true);
}
END_TEST

START_TEST(reading_only_does_not_write)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(save_plan(&PLAN), false);
    ErrorText error;
    size_t chosen;
    ck_assert_int_eq(slot_disk_flip(disk, 1, 3, &error), -EROFS);
    ck_assert_int_eq(slot_disk_repair(disk, &error), -EROFS);
    ck_assert_int_eq(slot_disk_spend_try(disk, &chosen, &error), -EROFS);
    assert_bits(disk, "USR-B", 1, 0, true);
}
END_TEST

START_TEST(sectors_of_4096_bytes_are_found_out)
{
    DiskPlan plan = PLAN;
    plan.sector_bytes = 4096;
    const char *path = save_plan(&plan);
    SlotDisk *disk = open_disk(path, true);
    ck_assert_uint_eq(slot_disk_sector_bytes(disk), 4096);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 3, NULL), 0);
    slot_disk_free(disk);
    assert_saved(path, "USR-B", 3, 3, false);
    assert_saved(path, "USR-A", 2, 0, true);

    SlotDisk *told = NULL;
    ErrorText error;
    ck_assert_int_eq(slot_disk_open(path, false, NULL, 512, &told, &error), -ENOMEDIUM);
    ck_assert_int_eq(slot_disk_open(path, false, NULL, 4096, &told, &error), 0);
    slot_disk_free(told);
    ck_assert_int_eq(slot_disk_open(path, false, NULL, 1000, &told, &error), -EINVAL);
}
END_TEST

START_TEST(no_table_is_an_error_that_says_why)
{
    MadeDisk made;
    disk_make(&PLAN, &made);
    disk_damage_header(&made, false);
    disk_damage_entries(&made, true);
    const char *path = disk_save(&made);
    assert_open_fails(path, -ENOMEDIUM, "the primary copy has a header with a wrong checksum");
    assert_open_fails(path, -ENOMEDIUM, "the backup copy has entries with a wrong checksum");
    memset(made.data, 0, made.n_bytes);
    assert_open_fails(disk_save(&made), -ENOMEDIUM, "has no GPT signature");
    disk_unmake(&made);
    assert_open_fails("/dev/null", -ENOTBLK, "neither a block device nor an image");
    assert_open_fails("/nowhere/disk", -ENOENT, "cannot be opened");
    assert_open_fails(unit_temp_dir(), -ENOTBLK, "neither");

    MadeDisk tiny = {.data = (uint8_t[600]){0}, .n_bytes = 600};
    assert_open_fails(disk_save(&tiny), -ENOMEDIUM, "too small");
}
END_TEST

START_TEST(slots_must_have_names_of_their_own)
{
    DiskPlan plan = PLAN;
    plan.parts[2].label = "USR-A";
    assert_open_fails(
            save_plan(&plan), -ENOTUNIQ, "two slots labelled 'USR-A', partitions 2 and 3");
    plan.parts[1].is_other_type = plan.parts[2].is_other_type = true;
    assert_open_fails(save_plan(&plan), -ENXIO, "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6");

    MadeDisk made;
    disk_make(&PLAN, &made);
    memcpy(disk_entry(&made, false, 2) + 16, disk_entry(&made, false, 1) + 16, 16);
    disk_seal(&made, false);
    assert_open_fails(disk_save(&made), -ENOTUNIQ, "same PARTUUID");
    disk_unmake(&made);
}
END_TEST

START_TEST(another_type_makes_other_slots)
{
    Guid linux_data;
    ck_assert_int_eq(guid_from_text("0FC63DAF-8483-4772-8E79-3D69D8477DE4", &linux_data), 0);
    SlotDisk *disk = NULL;
    ck_assert_int_eq(slot_disk_open(save_plan(&PLAN), false, &linux_data, 0, &disk, NULL), 0);
    ck_assert_uint_eq(slot_disk_find(disk, "ROOT"), 1);
    ck_assert_uint_eq(slot_disk_find(disk, "USR-A"), SLOT_NONE);
    ck_assert_uint_eq(slot_disk_next(disk), SLOT_NONE);
    slot_disk_free(disk);
}
END_TEST

START_TEST(none_usable_names_none)
{
    DiskPlan plan = PLAN;
    plan.parts[1].priority = 0;
    plan.parts[2].successful = false;
    const char *path = save_plan(&plan);
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, true);
    ErrorText error;
    size_t chosen = 77;
    ck_assert_uint_eq(slot_disk_next(disk), SLOT_NONE);
    ck_assert_int_eq(slot_disk_spend_try(disk, &chosen, &error), -ENOENT);
    ck_assert_uint_eq(chosen, 77);
}
END_TEST

START_TEST(a_bad_copy_is_reported_and_repaired)
{
    for (int is_backup = 0; is_backup < 2; is_backup++) {
        MadeDisk made, damaged;
        disk_make(&PLAN, &made);
        disk_make(&PLAN, &damaged);
        disk_damage_entries(&damaged, is_backup);
        const char *path = disk_save(&damaged);
        SlotDisk *disk = open_disk(path, true);
        ck_assert_int_eq(slot_disk_health(disk), is_backup ? TABLE_BACKUP_BAD : TABLE_PRIMARY_BAD);
        ck_assert_int_eq(is_backup ? slot_disk_backup_fault(disk) : slot_disk_primary_fault(disk),
                GPT_BAD_ENTRIES_CRC);
        ck_assert_int_eq(slot_disk_repair(disk, NULL), 0);
        ck_assert_int_eq(slot_disk_health(disk), TABLE_GOOD);
        slot_disk_free(disk);

        _cleanup_free_ char *after = NULL;
        size_t n_bytes;
        ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 1 << 20, &after, &n_bytes), 0);
        ck_assert_mem_eq(after, made.data, made.n_bytes);
        disk_unmake(&made);
        disk_unmake(&damaged);
    }
}
END_TEST

START_TEST(a_writer_locks_and_a_reader_does_not_wait)
{
    const char *path = save_plan(&PLAN);
    SlotDisk *writer = open_disk(path, true);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
    SlotDisk *reader = open_disk(path, false);
    slot_disk_free(reader);
    slot_disk_free(writer);
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
}
END_TEST

START_TEST(the_content_of_a_slot_is_opened)
{
    const char *path = save_plan(&PLAN);
    _cleanup_(slot_disk_freep) SlotDisk *disk = open_disk(path, false);
    size_t n;
    const Slot *slots = slot_disk_slots(disk, &n);
    int fd = -1;
    uint64_t offset_bytes = 0;
    ErrorText error;
    ck_assert_int_eq(slot_disk_open_slot(disk, 1, O_RDWR, &fd, &offset_bytes, &error), 0);
    ck_assert_uint_eq(offset_bytes, slots[1].offset_bytes);
    ck_assert_int_eq(fd_pwrite_full(fd, "x", 1, offset_bytes), 0);
    close(fd);
    ck_assert_int_eq(slot_disk_open_slot(disk, 2, O_RDWR, &fd, &offset_bytes, &error), -EINVAL);

    char moved[300];
    snprintf(moved, sizeof(moved), "%s.moved", path);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(slot_disk_open_slot(disk, 1, O_RDWR, &fd, &offset_bytes, &error), -ENOENT);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_int_eq(slot_disk_open_slot(disk, 1, O_RDWR, &fd, &offset_bytes, &error), -ESTALE);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-disk");
    TCase *tcase = unit_case(suite, "slot-disk");
    tcase_add_test(tcase, slots_are_listed);
    tcase_add_test(tcase, an_update_from_end_to_end);
    tcase_add_test(tcase, nothing_else_changes);
    tcase_add_test(tcase, bad_slots_and_tries_are_refused);
    tcase_add_test(tcase, reading_only_does_not_write);
    tcase_add_test(tcase, sectors_of_4096_bytes_are_found_out);
    tcase_add_test(tcase, no_table_is_an_error_that_says_why);
    tcase_add_test(tcase, slots_must_have_names_of_their_own);
    tcase_add_test(tcase, another_type_makes_other_slots);
    tcase_add_test(tcase, none_usable_names_none);
    tcase_add_test(tcase, a_bad_copy_is_reported_and_repaired);
    tcase_add_test(tcase, a_writer_locks_and_a_reader_does_not_wait);
    tcase_add_test(tcase, the_content_of_a_slot_is_opened);
    return suite;
}
