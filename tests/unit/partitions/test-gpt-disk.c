/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/gpt-disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/partitions/recorder.h"
#include "tests/unit/unit.h"

static const DiskPlan PLAN = {.parts = {{.label = "USR-A"}, {.label = "USR-B"}}};

/* The orders on a disk of 240 sectors whose entries take 32. */

static GptDisk *open_disk(Recorder *recorder)
{
    GptDisk *disk = NULL;
    ErrorText error = {0};
    int r = gpt_disk_new(&recorder->device, &disk, &error);
    ck_assert_msg(r == 0, "%d %s", r, error.line);
    return disk;
}

/* Writes and flushes as text: "F 207+32 F 239+1". */
static const char *steps_text(const Recorder *recorder)
{
    static char text[512];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < recorder->n_steps && n < sizeof(text); i++) {
        const RecordedStep *s = &recorder->steps[i];
        const char *blank = i ? " " : "";
        if (s->is_flush)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%sF", blank);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu+%zu", blank,
                    (unsigned long long)s->first_lba, s->n_sectors);
    }
    return text;
}

#define BACKUP_FIRST "F 207+32 F 239+1 F 2+32 F 1+1 F"
#define PRIMARY_FIRST "F 2+32 F 1+1 F 207+32 F 239+1 F"

/* Writes a change on a disk with some damage, and looks at the order. */
static void assert_order(void (*damage)(MadeDisk *disk), TableHealth health, const char *expected)
{
    MadeDisk made;
    Recorder recorder;
    disk_make(&PLAN, &made);
    if (damage)
        damage(&made);
    recorder_init(&recorder, &made);
    GptDisk *disk = open_disk(&recorder);
    ck_assert_int_eq(gpt_disk_health(disk), health);
    gpt_disk_set_attributes(disk, 1, 5);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    ck_assert_str_eq(steps_text(&recorder), expected);
    ck_assert_int_eq(gpt_disk_health(disk), TABLE_GOOD);
    ck_assert_uint_eq(le64_get(gpt_disk_entry(disk, 1)->attributes), 5);
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}

static void damage_primary_header(MadeDisk *disk)
{
    disk_damage_header(disk, false);
}
static void damage_primary_entries(MadeDisk *disk)
{
    disk_damage_entries(disk, false);
}
static void damage_backup_header(MadeDisk *disk)
{
    disk_damage_header(disk, true);
}
static void damage_backup_entries(MadeDisk *disk)
{
    disk_damage_entries(disk, true);
}
static void change_backup(MadeDisk *disk)
{
    disk_put64(disk_entry(disk, true, 0) + 48, 77);
    disk_seal(disk, true);
}
static void change_backup_guid(MadeDisk *disk)
{
    disk_header(disk, true)[60] ^= 1;
    disk_seal(disk, true);
}

START_TEST(the_copy_that_counts_is_written_last)
{
    assert_order(NULL, TABLE_GOOD, BACKUP_FIRST);
    assert_order(damage_primary_header, TABLE_PRIMARY_BAD, PRIMARY_FIRST);
    assert_order(damage_primary_entries, TABLE_PRIMARY_BAD, PRIMARY_FIRST);
    assert_order(damage_backup_header, TABLE_BACKUP_BAD, BACKUP_FIRST);
    assert_order(damage_backup_entries, TABLE_BACKUP_BAD, BACKUP_FIRST);
    assert_order(change_backup, TABLE_COPIES_DIFFER, BACKUP_FIRST);
    assert_order(change_backup_guid, TABLE_COPIES_DIFFER, BACKUP_FIRST);
}
END_TEST

START_TEST(no_change_is_no_write)
{
    MadeDisk made;
    Recorder recorder;
    disk_make(&PLAN, &made);
    recorder_init(&recorder, &made);
    GptDisk *disk = open_disk(&recorder);
    gpt_disk_set_attributes(disk, 0, 0);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    ck_assert_str_eq(steps_text(&recorder), "F");
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

START_TEST(a_failed_write_ends_it)
{
    for (size_t n_steps = 0; n_steps < 9; n_steps++) {
        MadeDisk made;
        Recorder recorder;
        ErrorText error = {0};
        disk_make(&PLAN, &made);
        recorder_init(&recorder, &made);
        recorder.n_steps_allowed = n_steps;
        GptDisk *disk = open_disk(&recorder);
        gpt_disk_set_attributes(disk, 0, 5);
        ck_assert_int_eq(gpt_disk_write(disk, &error), -EIO);
        ck_assert_ptr_nonnull(strstr(error.line, "writing the partition table failed"));
        recorder.n_steps_allowed = SIZE_MAX;
        ck_assert_int_eq(gpt_disk_write(disk, &error), -EIO);
        ck_assert_ptr_nonnull(strstr(error.line, "an earlier write failed"));
        ck_assert_uint_eq(recorder.n_steps, n_steps);
        gpt_disk_free(disk);
        disk = open_disk(&recorder); /* one of the copies serves */
        gpt_disk_free(disk);
        recorder_done(&recorder);
        disk_unmake(&made);
    }
}
END_TEST

START_TEST(reading_only)
{
    MadeDisk made;
    Recorder recorder;
    disk_make(&PLAN, &made);
    recorder_init(&recorder, &made);
    recorder.device.is_writable = false;
    GptDisk *disk = open_disk(&recorder);
    gpt_disk_set_attributes(disk, 0, 5);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), -EROFS);
    ck_assert_uint_eq(recorder.n_steps, 0);
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

START_TEST(two_bad_copies_are_explained)
{
    MadeDisk made;
    Recorder recorder;
    GptDisk *disk = NULL;
    ErrorText error = {0};
    disk_make(&PLAN, &made);
    disk_damage_entries(&made, false);
    disk_damage_header(&made, true);
    recorder_init(&recorder, &made);
    ck_assert_int_eq(gpt_disk_new(&recorder.device, &disk, &error), -ENOMEDIUM);
    ck_assert_ptr_null(disk);
    ck_assert_ptr_nonnull(strstr(error.line, "the primary copy has entries with a wrong checksum"));
    ck_assert_ptr_nonnull(strstr(error.line, "the backup copy has a header with a wrong checksum"));
    recorder.device.n_sectors = 2;
    ck_assert_int_eq(gpt_disk_new(&recorder.device, &disk, &error), -ENOMEDIUM);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

/* Makes the disk longer by n_sectors. */
static void grow(MadeDisk *disk, size_t n_sectors)
{
    size_t n_more = n_sectors * disk->plan.sector_bytes;
    disk->data = realloc(disk->data, disk->n_bytes + n_more);
    ck_assert_ptr_nonnull(disk->data);
    memset(disk->data + disk->n_bytes, 0, n_more);
    disk->n_bytes += n_more;
}

START_TEST(an_image_that_grew_gets_its_backup_at_the_end)
{
    MadeDisk made;
    Recorder recorder;
    disk_make(&PLAN, &made);
    grow(&made, 60);
    recorder_init(&recorder, &made);
    GptDisk *disk = open_disk(&recorder);
    ck_assert_int_eq(gpt_disk_health(disk), TABLE_BACKUP_BAD);
    ck_assert_int_eq(gpt_disk_backup_fault(disk), GPT_MISPLACED);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    ck_assert_str_eq(steps_text(&recorder), "F 267+32 F 299+1 F 2+32 F 1+1 F");
    ck_assert_int_eq(gpt_disk_health(disk), TABLE_GOOD);
    ck_assert_uint_eq(gpt_disk_header(disk)->alternate.n, 299);
    gpt_disk_free(disk);
    recorder_done(&recorder);

    /* The primary's entries are damaged, its header leads to the backup. */
    disk_damage_entries(&made, false);
    recorder_init(&recorder, &made);
    disk = open_disk(&recorder);
    ck_assert_int_eq(gpt_disk_health(disk), TABLE_PRIMARY_BAD);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    ck_assert_str_eq(steps_text(&recorder), "F 2+32 F 1+1 F 267+32 F 299+1 F");
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

START_TEST(each_health_has_a_name_of_its_own)
{
    static const char *const names[] = {
            [TABLE_GOOD] = "good",
            [TABLE_PRIMARY_BAD] = "primary-damaged",
            [TABLE_BACKUP_BAD] = "backup-damaged",
            [TABLE_COPIES_DIFFER] = "copies-differ",
            [TABLE_UNREADABLE] = "unreadable",
    };
    for (size_t i = 0; i < ELEMENTS(names); i++)
        ck_assert_str_eq(gpt_disk_health_text((TableHealth)i), names[i]);
}
END_TEST

START_TEST(no_room_for_a_backup)
{
    MadeDisk made;
    Recorder recorder;
    ErrorText error;
    disk_make(&PLAN, &made);
    /* The backup is lost, and the usable area reaches where its entries were. */
    disk_damage_header(&made, true);
    disk_put64(disk_header(&made, false) + 48, 220);
    disk_seal(&made, false);
    recorder_init(&recorder, &made);
    GptDisk *disk = open_disk(&recorder);
    ck_assert_int_eq(gpt_disk_write(disk, &error), -ENOSPC);
    ck_assert_uint_eq(recorder.n_steps, 0);
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

/* Some boards have their boot loader where the entries usually are. */
START_TEST(a_lost_primary_is_rebuilt_in_its_place)
{
    DiskPlan plan = PLAN;
    plan.primary_entries_lba = 60;
    MadeDisk made;
    Recorder recorder;
    disk_make(&plan, &made);
    memset(made.data + 16 * 512, 0xb1, 512);
    disk_damage_header(&made, false);
    recorder_init(&recorder, &made);
    GptDisk *disk = open_disk(&recorder);
    ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
    ck_assert_str_eq(steps_text(&recorder), "F 60+32 F 1+1 F 207+32 F 239+1 F");
    ck_assert_uint_eq(recorder.cache[16 * 512], 0xb1);
    gpt_disk_free(disk);
    recorder_done(&recorder);
    disk_unmake(&made);
}
END_TEST

START_TEST(unknown_bytes_come_out_as_they_went_in)
{
    DiskPlan plan = PLAN;
    plan.header_bytes = 300;
    plan.entry_bytes = 512;
    plan.n_entries = 9;
    for (int is_backup = 0; is_backup < 2; is_backup++) {
        MadeDisk made, damaged;
        Recorder recorder;
        disk_make(&plan, &made);
        disk_make(&plan, &damaged);
        memset(disk_header(&damaged, is_backup), 0, 512);
        memset(disk_entry(&damaged, is_backup, 0), 0, 9 * 512);
        recorder_init(&recorder, &damaged);
        GptDisk *disk = open_disk(&recorder);
        ck_assert_int_eq(gpt_disk_write(disk, NULL), 0);
        ck_assert_mem_eq(recorder.cache, made.data, made.n_bytes);
        gpt_disk_free(disk);
        recorder_done(&recorder);
        disk_unmake(&made);
        disk_unmake(&damaged);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("gpt-disk");
    TCase *tcase = unit_case(suite, "gpt-disk");
    tcase_add_test(tcase, the_copy_that_counts_is_written_last);
    tcase_add_test(tcase, no_change_is_no_write);
    tcase_add_test(tcase, a_failed_write_ends_it);
    tcase_add_test(tcase, reading_only);
    tcase_add_test(tcase, two_bad_copies_are_explained);
    tcase_add_test(tcase, an_image_that_grew_gets_its_backup_at_the_end);
    tcase_add_test(tcase, each_health_has_a_name_of_its_own);
    tcase_add_test(tcase, no_room_for_a_backup);
    tcase_add_test(tcase, a_lost_primary_is_rebuilt_in_its_place);
    tcase_add_test(tcase, unknown_bytes_come_out_as_they_went_in);
    return suite;
}
