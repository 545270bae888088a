/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/running-slot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/partitions/fake-root.h"
#include "tests/unit/unit.h"

#define ROOT_MOUNT "20 1 254:9 / / rw,relatime shared:1 - ext4 /dev/vda9 rw\n"
#define UNIQUE "7130c94a-213a-4e5a-8e26-6cce9662f132"

/* A machine with one disk: vda3 and vda4 are slots, vda9 the root. */
static const char *make_root(void)
{
    const char *root = unit_temp_dir();
    fake_disk(root, "vda", "254:0", NULL);
    fake_partition(root, "vda", "vda3", "254:3", 3, 4096, UNIQUE);
    fake_partition(root, "vda", "vda4", "254:4", 4, 8192, NULL);
    fake_partition(root, "vda", "vda9", "254:9", 9, 12288, NULL);
    return root;
}

static void assert_found(
        const char *root, const char *mount_point, const char *partition, uint64_t offset_bytes)
{
    RunningSlot running;
    ErrorText error = {0};
    char expected[1024];
    int r = running_slot_find(root, mount_point, &running, &error);
    ck_assert_msg(r == 0, "%d %s", r, error.line);
    snprintf(expected, sizeof(expected), "%s/dev/%s", root, partition);
    ck_assert_str_eq(running.partition_path, expected);
    snprintf(expected, sizeof(expected), "%s/dev/vda", root);
    ck_assert_str_eq(running.disk_path, expected);
    ck_assert_uint_eq(running.offset_bytes, offset_bytes);
}

static void assert_not_found(const char *root, int expected)
{
    RunningSlot running;
    ErrorText error = {0};
    ck_assert_int_eq(running_slot_find(root, "/usr", &running, &error), expected);
    ck_assert_uint_gt(strlen(error.line), 10);
}

START_TEST(usr_on_a_partition)
{
    const char *root = make_root();
    fake_mounts(root, ROOT_MOUNT "30 20 254:3 / /usr ro,relatime shared:2 - btrfs /dev/vda3 ro\n"
                                 "31 20 254:4 / /usr/local ro - ext4 /dev/vda4 ro\n");
    assert_found(root, "/usr", "vda3", 4096 * 512);
    RunningSlot running;
    char unique[GUID_TEXT_CHARS + 1];
    ck_assert_int_eq(running_slot_find(root, "/usr", &running, NULL), 0);
    guid_to_text(&running.unique, unique);
    ck_assert_str_eq(unique, UNIQUE);
    assert_found(root, "/usr/local", "vda4", 8192 * 512);
    ck_assert_int_eq(running_slot_find(root, "/usr/local", &running, NULL), 0);
    ck_assert(guid_is_zero(&running.unique));
}
END_TEST

START_TEST(usr_within_the_root)
{
    const char *root = make_root();
    fake_mounts(root, ROOT_MOUNT);
    assert_found(root, "/usr", "vda9", 12288 * 512);
}
END_TEST

START_TEST(usr_on_verity)
{
    const char *root = make_root();
    fake_mapper(root, "dm-0", "253:0", "vda4", NULL);
    fake_mapper(root, "dm-1", "253:1", "dm-0", NULL);
    fake_mounts(root, ROOT_MOUNT "30 20 253:1 / /usr ro - erofs /dev/mapper/usr ro\n");
    assert_found(root, "/usr", "vda4", 8192 * 512);
}
END_TEST

START_TEST(a_file_system_with_a_device_of_its_own)
{
    const char *root = make_root();
    char folder[512], name[600];
    fake_mapper(root, "dm-0", "253:0", "vda4", NULL);
    snprintf(folder, sizeof(folder), "%s/dev/mapper", root);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(name, sizeof(name), "%s/the usr", folder);
    ck_assert_int_eq(symlink("../dm-0", name), 0);
    fake_mounts(root, ROOT_MOUNT "30 20 0:37 /sub /usr ro - btrfs /dev/mapper/the\\040usr ro\n");
    assert_found(root, "/usr", "vda4", 8192 * 512);
}
END_TEST

START_TEST(the_topmost_mount_counts_but_for_overlays)
{
    const char *root = make_root();
    fake_mounts(root,
            ROOT_MOUNT "30 20 254:3 / /usr ro - ext4 /dev/vda3 ro\n"
                       "31 30 254:4 / /usr ro - ext4 /dev/vda4 ro\n"
                       "32 31 0:44 / /usr ro shared:9 master:1 - overlay sysext ro,lowerdir=/x\n");
    assert_found(root, "/usr", "vda4", 8192 * 512);
    fake_mounts(root, ROOT_MOUNT "32 20 0:44 / /usr ro - overlay sysext ro,lowerdir=/x\n");
    assert_found(root, "/usr", "vda9", 12288 * 512);
}
END_TEST

START_TEST(no_partition)
{
    const char *root = make_root();
    fake_mounts(root, ROOT_MOUNT "30 20 0:30 / /usr rw - tmpfs tmpfs rw\n");
    assert_not_found(root, -ENODEV);
    fake_mounts(root, ROOT_MOUNT "30 20 0:30 / /usr rw - nfs4 server:/usr rw\n");
    assert_not_found(root, -ENODEV);
    fake_mounts(root, "20 1 0:30 / / rw - overlay overlay rw\n");
    assert_not_found(root, -ENODEV);
    fake_mounts(root, ROOT_MOUNT "30 20 254:0 / /usr rw - ext4 /dev/vda rw\n");
    assert_not_found(root, -ENODEV); /* a whole disk */
    fake_mapper(root, "dm-0", "253:0", "vda4", "vda3");
    fake_mounts(root, ROOT_MOUNT "30 20 253:0 / /usr rw - ext4 /dev/dm-0 rw\n");
    assert_not_found(root, -ENODEV); /* upon two */
    fake_mapper(root, "dm-3", "253:3", "dm-4", NULL);
    fake_mapper(root, "dm-4", "253:4", "dm-3", NULL);
    fake_mounts(root, ROOT_MOUNT "30 20 253:3 / /usr rw - ext4 /dev/dm-3 rw\n");
    assert_not_found(root, -ENODEV); /* in a circle */
}
END_TEST

START_TEST(no_mount_table)
{
    const char *root = make_root();
    assert_not_found(root, -ENOENT);
    fake_mounts(root, "this is\nno mount table\n");
    assert_not_found(root, -EINVAL);
    fake_mounts(root, ROOT_MOUNT "30 20 254:3 / /usr ro shared:2\n");
    assert_not_found(root, -EINVAL);
    fake_mounts(root, "");
    assert_not_found(root, -ENODEV);
}
END_TEST

START_TEST(the_slot_of_a_disk)
{
    static const DiskPlan PLAN = {
            .parts = {{.label = "USR-A", .n_sectors = 10}, {.label = "USR-B"}}};
    MadeDisk made;
    disk_make(&PLAN, &made);
    char image[256], copy[256];
    snprintf(image, sizeof(image), "%s", disk_save(&made));
    snprintf(copy, sizeof(copy), "%s", disk_save(&made));
    disk_unmake(&made);

    const char *root = unit_temp_dir();
    fake_disk(root, "vda", "254:0", image);
    fake_partition(root, "vda", "vda1", "254:1", 1, 34, NULL);
    fake_partition(root, "vda", "vda2", "254:2", 2, 44, NULL);
    fake_mounts(root, "30 20 254:2 / /usr ro - ext4 /dev/vda2 ro\n");
    RunningSlot running;
    ck_assert_int_eq(running_slot_find(root, "/usr", &running, NULL), 0);
    SlotDisk *disk = NULL;
    ck_assert_int_eq(slot_disk_open(image, false, NULL, 0, &disk, NULL), 0);
    ck_assert_uint_eq(running_slot_index(&running, disk), 1);
    running.offset_bytes++;
    ck_assert_uint_eq(running_slot_index(&running, disk), SLOT_NONE);
    running.offset_bytes--;
    slot_disk_free(disk);
    ck_assert_int_eq(slot_disk_open(copy, false, NULL, 0, &disk, NULL), 0);
    ck_assert_uint_eq(running_slot_index(&running, disk), SLOT_NONE);
    slot_disk_free(disk);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("running-slot");
    TCase *tcase = unit_case(suite, "running-slot");
    tcase_add_test(tcase, usr_on_a_partition);
    tcase_add_test(tcase, usr_within_the_root);
    tcase_add_test(tcase, usr_on_verity);
    tcase_add_test(tcase, a_file_system_with_a_device_of_its_own);
    tcase_add_test(tcase, the_topmost_mount_counts_but_for_overlays);
    tcase_add_test(tcase, no_partition);
    tcase_add_test(tcase, no_mount_table);
    tcase_add_test(tcase, the_slot_of_a_disk);
    return suite;
}
