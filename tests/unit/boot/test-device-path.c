/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/device-path.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

/* A path that is put together node by node. */
typedef struct {
    uint8_t bytes[2 * DEVICE_PATH_BYTES_MAX];
    size_t n_bytes;
} Builder;

static void add_node(
        Builder *builder, uint8_t type, uint8_t subtype, const void *data, size_t n_data)
{
    uint8_t *node = builder->bytes + builder->n_bytes;
    size_t n = sizeof(EfiDevicePath) + n_data;
    ck_assert_uint_le(builder->n_bytes + n, sizeof(builder->bytes));
    memcpy(node, (uint8_t[]){type, subtype, (uint8_t)n, (uint8_t)(n >> 8)}, 4);
    if (n_data > 0)
        memcpy(node + 4, data, n_data);
    builder->n_bytes += n;
}

static void add_disk(Builder *builder)
{
    add_node(builder, 2, 1, "acpi-pci", 8);
    add_node(builder, 1, 1, "\x02\x1f", 2);
}

static EfiHardDrivePath a_partition(void)
{
    EfiHardDrivePath drive = {.number = 2,
            .start = 2048,
            .size = 4096,
            .format = 2,
            .signature_type = EFI_HARD_DRIVE_SIGNATURE_GUID};
    memset(drive.signature, 0x42, sizeof(drive.signature));
    return drive;
}

static void add_partition(Builder *builder, const EfiHardDrivePath *drive, size_t n_bytes)
{
    add_node(builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_HARD_DRIVE,
            (const uint8_t *)drive + sizeof(EfiDevicePath), n_bytes - sizeof(EfiDevicePath));
}

/* The path, ended, in memory of exactly its size: the caller's. */
static EfiDevicePath *finish(Builder *builder)
{
    add_node(builder, EFI_PATH_END, EFI_PATH_END_WHOLE, NULL, 0);
    EfiDevicePath *path = malloc(builder->n_bytes);
    ck_assert_ptr_nonnull(path);
    memcpy(path, builder->bytes, builder->n_bytes);
    return path;
}

static EfiDevicePath *disk_path(void)
{
    Builder builder = {0};
    add_disk(&builder);
    return finish(&builder);
}

static EfiDevicePath *partition_path(void)
{
    Builder builder = {0};
    EfiHardDrivePath drive = a_partition();
    add_disk(&builder);
    add_partition(&builder, &drive, sizeof(drive));
    return finish(&builder);
}

START_TEST(nodes_are_counted)
{
    _cleanup_free_ EfiDevicePath *disk = disk_path(), *partition = partition_path();
    Builder empty = {0};
    _cleanup_free_ EfiDevicePath *none = finish(&empty);
    ck_assert_uint_eq(device_path_bytes(disk), 12 + 6);
    ck_assert_uint_eq(device_path_bytes(partition), 12 + 6 + 42);
    ck_assert_uint_eq(device_path_bytes(none), 0);
}
END_TEST

/* An end of one instance ends the path as well: what is behind it is another device's. */
START_TEST(the_first_of_several_instances_counts)
{
    Builder builder = {0};
    add_disk(&builder);
    add_node(&builder, EFI_PATH_END, 1, NULL, 0);
    add_disk(&builder);
    _cleanup_free_ EfiDevicePath *path = finish(&builder);
    ck_assert_uint_eq(device_path_bytes(path), 12 + 6);
}
END_TEST

START_TEST(a_partition_lies_on_its_disk)
{
    _cleanup_free_ EfiDevicePath *disk = disk_path(), *partition = partition_path();
    ck_assert(device_path_begins_with(partition, disk));
    ck_assert(!device_path_begins_with(disk, partition));
    ck_assert(!device_path_begins_with(disk, disk));
    ck_assert(!device_path_begins_with(partition, partition));
}
END_TEST

START_TEST(another_disk_is_not_its_disk)
{
    Builder builder = {0}, empty = {0};
    add_node(&builder, 2, 1, "acpi-pci", 8);
    add_node(&builder, 1, 1, "\x03\x1f", 2);
    _cleanup_free_ EfiDevicePath *other = finish(&builder), *none = finish(&empty);
    _cleanup_free_ EfiDevicePath *partition = partition_path();
    ck_assert(!device_path_begins_with(partition, other));
    ck_assert(!device_path_begins_with(partition, none));
    ck_assert(!device_path_begins_with(none, partition));
}
END_TEST

START_TEST(a_partition_is_found_at_the_end)
{
    EfiHardDrivePath drive = a_partition();
    _cleanup_free_ EfiDevicePath *path = partition_path(), *disk = disk_path();
    const EfiHardDrivePath *found = device_path_partition(path);
    ck_assert_ptr_nonnull(found);
    ck_assert_mem_eq(found->signature, drive.signature, sizeof(drive.signature));
    ck_assert_ptr_null(device_path_partition(disk));
}
END_TEST

static void assert_no_partition(const EfiHardDrivePath *drive, size_t n_bytes, bool has_more)
{
    Builder builder = {0};
    add_disk(&builder);
    add_partition(&builder, drive, n_bytes);
    if (has_more)
        add_node(&builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_FILE, "a\0\0", 4);
    _cleanup_free_ EfiDevicePath *path = finish(&builder);
    ck_assert_ptr_null(device_path_partition(path));
}

START_TEST(what_is_no_partition_of_a_gpt)
{
    EfiHardDrivePath drive = a_partition();
    assert_no_partition(&drive, sizeof(drive), true);
    assert_no_partition(&drive, sizeof(drive) - 1, false);
    assert_no_partition(&drive, sizeof(EfiDevicePath), false);
    drive.signature_type = 1; /* of an MBR */
    assert_no_partition(&drive, sizeof(drive), false);
    Builder empty = {0};
    _cleanup_free_ EfiDevicePath *none = finish(&empty);
    ck_assert_ptr_null(device_path_partition(none));
}
END_TEST

/* Everything about a path with a broken node. */
static void assert_broken(const EfiDevicePath *path)
{
    _cleanup_free_ EfiDevicePath *disk = disk_path();
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
        Builder builder = {0};
        add_disk(&builder);
        add_node(&builder, EFI_PATH_MEDIA, EFI_PATH_MEDIA_HARD_DRIVE, NULL, 0);
        builder.bytes[builder.n_bytes - 2] = n;
        _cleanup_free_ EfiDevicePath *path = finish(&builder);
        assert_broken(path);
    }
}
END_TEST

START_TEST(a_node_that_is_too_long)
{
    _cleanup_free_ EfiDevicePath *path = partition_path();
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
    Builder builder = {0};
    add_node(&builder, 1, 1, zeros, DEVICE_PATH_BYTES_MAX - 2 * sizeof(EfiDevicePath));
    _cleanup_free_ EfiDevicePath *path = finish(&builder);
    ck_assert_uint_eq(device_path_bytes(path), DEVICE_PATH_BYTES_MAX - sizeof(EfiDevicePath));
}
END_TEST

START_TEST(a_file_on_a_partition)
{
    _cleanup_free_ EfiDevicePath *partition = partition_path();
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
    tcase_add_test(tcase, nodes_that_are_too_short);
    tcase_add_test(tcase, a_node_that_is_too_long);
    tcase_add_test(tcase, a_path_without_an_end);
    tcase_add_test(tcase, the_longest_path);
    tcase_add_test(tcase, a_file_on_a_partition);
    return suite;
}
