/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/device-path.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/boot/path-builder.h"
#include "tests/unit/unit.h"

START_TEST(nodes_are_counted)
{
    _cleanup_free_ EfiDevicePath *disk = path_of_disk(2), *partition = path_of_partition(2, 0x42);
    PathBuilder empty = {0};
    _cleanup_free_ EfiDevicePath *none = path_finish(&empty);
    ck_assert_uint_eq(device_path_bytes(disk), 12 + 6);
    ck_assert_uint_eq(device_path_bytes(partition), 12 + 6 + 42);
    ck_assert_uint_eq(device_path_bytes(none), 0);
}
END_TEST

/* An end of one instance ends the path as well: what is behind it is another device's. */
START_TEST(the_first_of_several_instances_counts)
{
    PathBuilder builder = {0};
    path_add_disk(&builder, 2);
    path_add(&builder, EFI_PATH_END, 1, NULL, 0);
    path_add_disk(&builder, 2);
    _cleanup_free_ EfiDevicePath *path = path_finish(&builder);
    ck_assert_uint_eq(device_path_bytes(path), 12 + 6);
}
END_TEST

START_TEST(a_partition_lies_on_its_disk)
{
    _cleanup_free_ EfiDevicePath *disk = path_of_disk(2), *partition = path_of_partition(2, 0x42);
    ck_assert(device_path_begins_with(partition, disk));
    ck_assert(!device_path_begins_with(disk, partition));
    ck_assert(!device_path_begins_with(disk, disk));
    ck_assert(!device_path_begins_with(partition, partition));
}
END_TEST

START_TEST(another_disk_is_not_its_disk)
{
    PathBuilder builder = {0}, empty = {0};
    path_add_disk(&builder, 3);
    _cleanup_free_ EfiDevicePath *other = path_finish(&builder), *none = path_finish(&empty);
    _cleanup_free_ EfiDevicePath *partition = path_of_partition(2, 0x42);
    ck_assert(!device_path_begins_with(partition, other));
    ck_assert(!device_path_begins_with(partition, none));
    ck_assert(!device_path_begins_with(none, partition));
}
END_TEST

START_TEST(a_partition_is_found_at_the_end)
{
    EfiHardDrivePath drive = path_partition_node(0x42);
    _cleanup_free_ EfiDevicePath *path = path_of_partition(2, 0x42), *disk = path_of_disk(2);
    const EfiHardDrivePath *found = device_path_partition(path);
    ck_assert_ptr_nonnull(found);
    ck_assert_mem_eq(found->signature, drive.signature, sizeof(drive.signature));
    ck_assert_ptr_null(device_path_partition(disk));
}
END_TEST

static void assert_no_partition(const EfiHardDrivePath *drive, size_t n_bytes, bool has_more)
{
    PathBuilder builder = {0};
    path_add_disk(&builder, 2);
    path_add_partition(&builder, drive, n_bytes);
    if (has_more)
        path_add(&builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_FILE, "a\0\0", 4);
    _cleanup_free_ EfiDevicePath *path = path_finish(&builder);
    ck_assert_ptr_null(device_path_partition(path));
}

START_TEST(what_is_no_partition_of_a_gpt)
{
    EfiHardDrivePath drive = path_partition_node(0x42);
    assert_no_partition(&drive, sizeof(drive), true);
    assert_no_partition(&drive, sizeof(drive) - 1, false);
    assert_no_partition(&drive, sizeof(EfiDevicePath), false);
    drive.signature_type = 1; /* of an MBR */
    assert_no_partition(&drive, sizeof(drive), false);
    PathBuilder empty = {0};
    _cleanup_free_ EfiDevicePath *none = path_finish(&empty);
    ck_assert_ptr_null(device_path_partition(none));
}
END_TEST

/* Whatever lies in memory behind it is not its node's. */
START_TEST(a_partition_whose_node_is_cut)
{
    static uint8_t path[128];
    PathBuilder builder = {0};
    EfiHardDrivePath drive = path_partition_node(0x42);
    path_add_partition(&builder, &drive, sizeof(EfiDevicePath));
    _cleanup_free_ EfiDevicePath *cut = path_finish(&builder);
    memset(path, EFI_HARD_DRIVE_SIGNATURE_GUID, sizeof(path));
    memcpy(path, cut, builder.n_bytes);
    ck_assert_ptr_null(device_path_partition((EfiDevicePath *)path));
}
END_TEST

/* Everything about a path with a broken node. */
static void assert_broken(const EfiDevicePath *path)
{
    _cleanup_free_ EfiDevicePath *disk = path_of_disk(2);
    ck_assert_uint_eq(device_path_bytes(path), 0);
    ck_assert_ptr_null(device_path_partition(path));
    ck_assert(!device_path_begins_with(path, disk));
    ck_assert(!device_path_begins_with(disk, path));
    ck_assert(!device_path_begins_with(path, path));
    /* The file alone: the firmware will find nothing there. */
    _cleanup_free_ EfiDevicePath *file = device_path_with_file(path, "a");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(device_path_bytes(file), sizeof(EfiDevicePath) + 2 * sizeof(EfiChar));
}

START_TEST(nodes_that_are_too_short)
{
    for (uint8_t n = 0; n < sizeof(EfiDevicePath); n++) {
        PathBuilder builder = {0};
        path_add_disk(&builder, 2);
        path_add(&builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_HARD_DRIVE, NULL, 0);
        builder.bytes[builder.n_bytes - 2] = n;
        _cleanup_free_ EfiDevicePath *path = path_finish(&builder);
        assert_broken(path);
    }
}
END_TEST

START_TEST(a_node_that_is_too_long)
{
    _cleanup_free_ EfiDevicePath *path = path_of_partition(2, 0x42);
    uint8_t *first = (uint8_t *)path;
    memcpy(first + 2, "\xff\xff", 2);
    assert_broken(path);
    memcpy(first + 2, "\x01\x10", 2); /* a byte more than a path may have */
    assert_broken(path);
}
END_TEST

/* No end: the bound is one, and nothing behind it is looked at. */
START_TEST(a_path_without_an_end)
{
    static const size_t lengths[] = {4, 5, 8, 16, 1024, 2048, 4095, 4096};
    for (size_t i = 0; i < ELEMENTS(lengths); i++) {
        uint8_t *path = malloc(DEVICE_PATH_BYTES_MAX);
        ck_assert_ptr_nonnull(path);
        for (size_t at = 0; at + sizeof(EfiDevicePath) <= DEVICE_PATH_BYTES_MAX; at += lengths[i])
            memcpy(path + at, (uint8_t[]){1, 1, (uint8_t)lengths[i], (uint8_t)(lengths[i] >> 8)},
                    4);
        assert_broken((EfiDevicePath *)path);
        free(path);
    }
}
END_TEST

START_TEST(the_longest_path)
{
    static const uint8_t zeros[DEVICE_PATH_BYTES_MAX];
    PathBuilder builder = {0};
    path_add(&builder, 1, 1, zeros, DEVICE_PATH_BYTES_MAX - 2 * sizeof(EfiDevicePath));
    _cleanup_free_ EfiDevicePath *path = path_finish(&builder);
    ck_assert_uint_eq(device_path_bytes(path), DEVICE_PATH_BYTES_MAX - sizeof(EfiDevicePath));
}
END_TEST

START_TEST(a_file_on_a_partition)
{
    _cleanup_free_ EfiDevicePath *partition = path_of_partition(2, 0x42);
    _cleanup_free_ EfiDevicePath *path = device_path_with_file(partition, "\\EFI\\a.efi");
    const uint8_t *bytes = (const uint8_t *)path;
    size_t n_partition = device_path_bytes(partition);
    ck_assert_ptr_nonnull(path);
    ck_assert_uint_eq(device_path_bytes(path), n_partition + 4 + 11 * 2);
    ck_assert(device_path_begins_with(path, partition));
    ck_assert_mem_eq(bytes, partition, n_partition);
    ck_assert_mem_eq(bytes + n_partition,
            "\x04\x04\x1a\0\\\0E\0F\0I\0\\\0a\0.\0e\0f\0i\0\0\0\x7f\xff\x04\0", 4 + 11 * 2 + 4);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("device-path");
    TCase *tcase = unit_case(suite, "device-path");
    tcase_add_test(tcase, nodes_are_counted);
    tcase_add_test(tcase, the_first_of_several_instances_counts);
    tcase_add_test(tcase, a_partition_lies_on_its_disk);
    tcase_add_test(tcase, another_disk_is_not_its_disk);
    tcase_add_test(tcase, a_partition_is_found_at_the_end);
    tcase_add_test(tcase, what_is_no_partition_of_a_gpt);
    tcase_add_test(tcase, a_partition_whose_node_is_cut);
    tcase_add_test(tcase, nodes_that_are_too_short);
    tcase_add_test(tcase, a_node_that_is_too_long);
    tcase_add_test(tcase, a_path_without_an_end);
    tcase_add_test(tcase, the_longest_path);
    tcase_add_test(tcase, a_file_on_a_partition);
    return suite;
}
