/* SPDX-License-Identifier: Apache-2.0 */

/* The second opinion: every table that we write is read and verified by sgdisk, and by libblkid,
 * which also knows sectors of 4096 bytes. */

#include <blkid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "partitions/slot-disk.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

static const DiskPlan PLAN = {
        .parts = {
                {.label = "EFI-SYSTEM", .is_other_type = true},
                {.label = "USR-A", .priority = 15, .successful = true, .attributes = 4},
                {.label = "USR-B", .priority = 14, .successful = true},
                {.label = "ROOT", .is_other_type = true},
        }};

static bool has_sgdisk(void)
{
    return access("/usr/sbin/sgdisk", X_OK) == 0 || access("/sbin/sgdisk", X_OK) == 0;
}

/* What a shell command prints; static until the next call. */
static const char *output_of(const char *command, const char *path)
{
    static char output[8192];
    char with_path[1024];
    snprintf(with_path, sizeof(with_path), "PATH=$PATH:/usr/sbin:/sbin; %s %s 2>&1", command, path);
    FILE *pipe = popen(with_path, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(output, 1, sizeof(output) - 1, pipe);
    output[n] = '\0';
    ck_assert_msg(pclose(pipe) == 0, "%s: %s", with_path, output);
    return output;
}

static void assert_printed(const char *output, const char *expected)
{
    ck_assert_msg(strcasestr(output, expected), "no '%s' in: %s", expected, output);
}

static uint64_t attributes_of(const Slot *slot)
{
    uint64_t other = strcmp(slot->label, "USR-A") == 0 ? 4 : 0; /* as planned */
    return boot_bits_put(
            other, (BootBits){slot->priority, slot->tries, slot->successful, slot->starts});
}

/* One run of it, as there are many to be asked for. */
static void ask_sgdisk(const char *path, const SlotDisk *disk)
{
    if (!has_sgdisk())
        return;
    size_t n;
    const Slot *slots = slot_disk_slots(disk, &n);
    ck_assert_uint_eq(n, 2);
    char command[64];
    snprintf(command, sizeof(command), "sgdisk -v -i%u -i%u", slots[0].entry + 1,
            slots[1].entry + 1);
    const char *output = output_of(command, path);
    assert_printed(output, "No problems found");
    for (size_t i = 0; i < n; i++) {
        char expected[256], unique[GUID_TEXT_CHARS + 1];
        output = strstr(output, "Partition unique GUID: ");
        ck_assert_ptr_nonnull(output);
        guid_to_text(&slots[i].unique, unique);
        ck_assert_int_eq(strncasecmp(strchr(output, ':') + 2, unique, GUID_TEXT_CHARS), 0);
        output = strstr(output, "Attribute flags: ");
        ck_assert_ptr_nonnull(output);
        snprintf(expected, sizeof(expected), "Attribute flags: %016llX\nPartition name: '%s'\n",
                (unsigned long long)attributes_of(&slots[i]), slots[i].label);
        ck_assert_msg(
                strncmp(output, expected, strlen(expected)) == 0, "%s is not %s", output, expected);
    }
}

static void ask_libblkid(const char *path, const SlotDisk *disk)
{
    blkid_probe probe = blkid_new_probe_from_filename(path);
    ck_assert_ptr_nonnull(probe);
    ck_assert_int_eq(blkid_probe_set_sectorsize(probe, slot_disk_sector_bytes(disk)), 0);
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
    blkid_partlist list = blkid_probe_get_partitions(probe);
    ck_assert_ptr_nonnull(list);
    ck_assert_str_eq(blkid_parttable_get_type(blkid_partlist_get_table(list)), "gpt");
    ck_assert_int_eq(blkid_partlist_numof_partitions(list), 4);

    size_t n;
    const Slot *slots = slot_disk_slots(disk, &n);
    for (size_t i = 0; i < n; i++) {
        char unique[GUID_TEXT_CHARS + 1];
        blkid_partition part =
                blkid_partlist_get_partition_by_partno(list, (int)slots[i].entry + 1);
        ck_assert_ptr_nonnull(part);
        guid_to_text(&slots[i].unique, unique);
        ck_assert_str_eq(blkid_partition_get_name(part), slots[i].label);
        ck_assert_str_eq(blkid_partition_get_uuid(part), unique);
        ck_assert_str_eq(
                blkid_partition_get_type_string(part), "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6");
        ck_assert_uint_eq(blkid_partition_get_flags(part), attributes_of(&slots[i]));
        ck_assert_uint_eq((uint64_t)blkid_partition_get_start(part) * 512, slots[i].offset_bytes);
        ck_assert_uint_eq((uint64_t)blkid_partition_get_size(part) * 512, slots[i].size_bytes);
    }
    blkid_free_probe(probe);
}

static void ask_both(const char *path, const SlotDisk *disk)
{
    if (slot_disk_sector_bytes(disk) == 512)
        ask_sgdisk(path, disk);
    ask_libblkid(path, disk);
}

/* All changes one after the other on one disk. */
static void change_and_ask(const char *path)
{
    SlotDisk *disk = NULL;
    ErrorText error = {0};
    ck_assert_msg(slot_disk_open(path, true, NULL, 0, &disk, &error) == 0, "%s", error.line);
    ck_assert_int_eq(slot_disk_repair(disk, NULL), 0);
    ask_both(path, disk);
    ck_assert_int_eq(slot_disk_invalidate(disk, 1, NULL), 0);
    ask_both(path, disk);
    ck_assert_int_eq(slot_disk_flip(disk, 1, 3, NULL), 0); /* renumbers */
    ask_both(path, disk);
    size_t chosen;
    ck_assert_int_eq(slot_disk_spend_try(disk, &chosen, NULL), 0);
    ask_both(path, disk);
    ck_assert_int_eq(slot_disk_mark_good(disk, 1, NULL), 0);
    ask_both(path, disk);
    ck_assert_int_eq(slot_disk_prioritize(disk, 0, 3, NULL), 0);
    ck_assert_int_eq(slot_disk_mark_bad(disk, 1, NULL), 0);
    ask_both(path, disk);
    slot_disk_free(disk);
}

START_TEST(our_tables_are_accepted)
{
    for (int damage = 0; damage < 5; damage++) {
        MadeDisk made;
        disk_make(&PLAN, &made);
        if (damage == 1 || damage == 2)
            disk_damage_header(&made, damage == 2);
        if (damage == 3 || damage == 4)
            disk_damage_entries(&made, damage == 4);
        change_and_ask(disk_save(&made));
        disk_unmake(&made);
    }
}
END_TEST

START_TEST(a_grown_image_is_accepted)
{
    MadeDisk made;
    disk_make(&PLAN, &made);
    const char *path = disk_save(&made);
    ck_assert_int_eq(truncate(path, (off_t)made.n_bytes + 300 * 512), 0);
    change_and_ask(path);
    disk_unmake(&made);
}
END_TEST

START_TEST(sectors_of_4096_bytes_are_accepted)
{
    DiskPlan plan = PLAN;
    plan.sector_bytes = 4096;
    MadeDisk made;
    disk_make(&plan, &made);
    change_and_ask(disk_save(&made));
    disk_unmake(&made);
}
END_TEST

START_TEST(tables_of_sgdisk_are_read)
{
    if (!has_sgdisk())
        return;
    char path[256];
    snprintf(path, sizeof(path), "%s/disk.img", unit_temp_dir());
    ck_assert_ptr_nonnull(output_of("truncate -s 8M", path));
    output_of("sgdisk -a 8 -n 1:0:+1M -c 1:EFI-SYSTEM -t 1:ef00"
              " -n 2:0:+2M -c 2:USR-A -t 2:5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6 -A 2:set:2"
              " -n 3:0:+2M -c 3:USR-B -t 3:5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
              " -n 4:0:+1M -c 4:ROOT",
            path);
    change_and_ask(path);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("other-tools");
    TCase *tcase = unit_case(suite, "other-tools");
    tcase_add_test(tcase, our_tables_are_accepted);
    tcase_add_test(tcase, a_grown_image_is_accepted);
    tcase_add_test(tcase, sectors_of_4096_bytes_are_accepted);
    tcase_add_test(tcase, tables_of_sgdisk_are_read);
    return suite;
}
