/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/efi-disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/boot/fake-efi.h"
#include "tests/unit/boot/path-builder.h"
#include "tests/unit/unit.h"

#define BLOCK_BYTES 512
#define N_BLOCKS ((uint64_t)(5 << 20) / BLOCK_BYTES)
#define N_BYTES ((size_t)(5 << 20))

#define DISKS_MAX 8

static BlockDevice *own, *others[DISKS_MAX];
static size_t n_others;
static FakeBlockIo io; /* the disk of most tests */
static uint8_t *content;
static EfiDevicePath *paths[FAKE_EFI_HANDLES_MAX];
static size_t n_paths;

static const EfiDevicePath *keep(EfiDevicePath *path)
{
    return paths[n_paths++] = path;
}

static void setup(void)
{
    fake_efi_init();
    content = calloc(1, N_BYTES);
    ck_assert_ptr_nonnull(content);
    for (size_t i = 0; i < N_BYTES; i += 8)
        memcpy(content + i, &i, 8);
    fake_block_io_init(&io, content, BLOCK_BYTES, N_BLOCKS);
    own = NULL;
    n_others = 0;
}

static void teardown(void)
{
    block_device_freep(&own);
    for (size_t i = 0; i < n_others; i++)
        block_device_freep(&others[i]);
    fake_efi_done();
    free(content);
    while (n_paths > 0)
        free(paths[--n_paths]);
}

static void find(EfiHandle partition)
{
    own = efi_disk_of(&fake_efi.boot_services, partition);
    ck_assert_uint_eq(fake_efi.n_connects, 0);
    n_others = efi_disks_find_others(&fake_efi.boot_services, partition, others, DISKS_MAX);
    ck_assert_uint_le(n_others, DISKS_MAX);
}

/* The one disk there is, as another than the chooser's. */
static BlockDevice *find_one(void)
{
    fake_efi_add(keep(path_of_disk(1)), &io);
    find(NULL);
    ck_assert(!own && n_others == 1);
    return others[0];
}

/* Finding. */

START_TEST(the_own_disk_and_another)
{
    FakeBlockIo partition, other;
    fake_block_io_init(&partition, content, BLOCK_BYTES, 100);
    partition.media.is_partition = true;
    fake_block_io_init(&other, content, 4096, 100);
    fake_efi_add(keep(path_of_disk(1)), &io);
    fake_efi_add(keep(path_of_disk(2)), &other);
    EfiHandle esp = fake_efi_add(keep(path_of_partition(1, 0x42)), &partition);
    find(esp);
    ck_assert_ptr_nonnull(own);
    ck_assert_uint_eq(own->n_sectors, N_BLOCKS);
    ck_assert_uint_eq(own->sector_bytes, BLOCK_BYTES);
    ck_assert(own->is_writable);
    ck_assert_str_eq(own->name, "the boot disk");
    ck_assert_uint_eq(n_others, 1);
    ck_assert_uint_eq(others[0]->sector_bytes, 4096);
    ck_assert_str_eq(others[0]->name, "disk 2");
}
END_TEST

START_TEST(many_disks)
{
    static FakeBlockIo more[100];
    for (uint8_t i = 0; i < ELEMENTS(more); i++) {
        fake_block_io_init(&more[i], content, 4096, 100);
        fake_efi_add(keep(path_of_disk((uint8_t)(100 + i))), &more[i]);
    }
    fake_efi_add(keep(path_of_disk(1)), &io);
    find(fake_efi_add(keep(path_of_partition(1, 0x42)), NULL));
    ck_assert_ptr_nonnull(own);
    ck_assert_uint_eq(own->sector_bytes, BLOCK_BYTES);
    ck_assert_uint_eq(n_others, DISKS_MAX);
    for (size_t i = 0; i < n_others; i++)
        ck_assert_uint_eq(others[i]->sector_bytes, 4096);
}
END_TEST

/* Firmware that has drivers for its boot disk alone has the others once it is told to look. */
START_TEST(disks_that_the_firmware_did_not_look_for)
{
    fake_efi_add(keep(path_of_disk(1)), &io);
    FakeHandle *controller = fake_efi_add(keep(path_of_disk(2)), NULL);
    FakeBlockIo other;
    fake_block_io_init(&other, content, 4096, 100);
    controller->io_when_connected = &other;
    find(fake_efi_add(keep(path_of_partition(1, 0x42)), NULL));
    ck_assert_ptr_nonnull(own);
    ck_assert_uint_eq(n_others, 1);
    ck_assert_uint_eq(others[0]->sector_bytes, 4096);
}
END_TEST

START_TEST(started_from_no_disk)
{
    EfiHandle network = fake_efi_add(keep(path_of_partition(9, 0x42)), NULL);
    EfiHandle nameless = fake_efi_add(NULL, NULL);
    fake_efi_add(keep(path_of_disk(1)), &io);
    find(network);
    ck_assert(!own && n_others == 1);
    ck_assert_ptr_null(efi_disk_of(&fake_efi.boot_services, nameless));
    ck_assert_ptr_null(efi_disk_of(&fake_efi.boot_services, NULL));
}
END_TEST

/* A disk without a path is one all the same, but nobody's own. */
START_TEST(a_disk_without_a_path)
{
    fake_efi_add(NULL, &io);
    find(fake_efi_add(keep(path_of_partition(1, 0x42)), NULL));
    ck_assert(!own && n_others == 1);
}
END_TEST

START_TEST(what_is_no_disk_for_us)
{
    FakeBlockIo wrong[6];
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        fake_block_io_init(&wrong[i], content, BLOCK_BYTES, N_BLOCKS);
        fake_efi_add(keep(path_of_disk((uint8_t)i)), &wrong[i]);
    }
    wrong[0].media.is_partition = true;
    wrong[1].media.is_present = false;
    wrong[2].media.block_bytes = 520;
    wrong[3].media.block_bytes = 8192;
    wrong[4].media.last_block = UINT64_MAX;
    wrong[5].media.last_block = INT64_MAX / BLOCK_BYTES; /* its bytes cannot be counted */
    find(fake_efi_add(keep(path_of_partition(1, 0x42)), NULL));
    ck_assert(!own && n_others == 0);
}
END_TEST

START_TEST(the_firmware_knows_no_disk)
{
    find(NULL);
    ck_assert(!own && n_others == 0);
    fake_efi.cannot_locate = true;
    fake_efi.n_connects = 0;
    find(NULL);
    ck_assert(!own && n_others == 0);
}
END_TEST

START_TEST(no_memory_for_a_disk)
{
    FakeBlockIo other;
    fake_block_io_init(&other, content, 4096, 100);
    fake_efi.n_pages_allowed = 256 + 255;
    fake_efi_add(keep(path_of_disk(1)), &io);
    fake_efi_add(keep(path_of_disk(2)), &other);
    find(NULL);
    ck_assert_uint_eq(n_others, 1);
    ck_assert_uint_eq(others[0]->sector_bytes, BLOCK_BYTES);
}
END_TEST

START_TEST(a_read_only_disk)
{
    io.media.is_read_only = true;
    ck_assert(!find_one()->is_writable);
}
END_TEST

/* Reading and writing. */

/* From wherever in memory the caller likes. */
START_TEST(much_is_read_and_written)
{
    BlockDevice *disk = find_one();
    size_t n_bytes = (3 << 20) + 3 * BLOCK_BYTES;
    uint8_t *read = malloc(n_bytes + 1), *again = malloc(n_bytes + 1);
    ck_assert(read && again);
    ck_assert_int_eq(block_device_read(disk, lba(5), n_bytes / BLOCK_BYTES, read + 1), 0);
    ck_assert_mem_eq(read + 1, content + 5 * BLOCK_BYTES, n_bytes);
    ck_assert_uint_eq(io.n_transfers, 4);
    ck_assert_int_eq(block_device_write(disk, lba(2), n_bytes / BLOCK_BYTES, read + 1), 0);
    ck_assert_int_eq(block_device_read(disk, lba(2), n_bytes / BLOCK_BYTES, again + 1), 0);
    ck_assert_mem_eq(again + 1, read + 1, n_bytes);
    ck_assert_int_eq(block_device_flush(disk), 0);
    ck_assert_uint_eq(io.n_flushes, 1);
    free(read);
    free(again);
}
END_TEST

START_TEST(much_is_read_from_sectors_of_4096_bytes)
{
    fake_block_io_init(&io, content, 4096, N_BYTES / 4096);
    BlockDevice *disk = find_one();
    size_t n_bytes = (2 << 20) + 4096;
    uint8_t *read = malloc(n_bytes);
    ck_assert_ptr_nonnull(read);
    ck_assert_int_eq(block_device_read(disk, lba(3), n_bytes / 4096, read), 0);
    ck_assert_mem_eq(read, content + (size_t)3 * 4096, n_bytes);
    ck_assert_int_eq(block_device_write(disk, lba(0), n_bytes / 4096, read), 0);
    ck_assert_mem_eq(content, read, n_bytes);
    free(read);
}
END_TEST

START_TEST(errors_have_their_numbers)
{
    static const struct {
        EfiStatus status;
        int expected;
    } errors[] = {{EFI_WRITE_PROTECTED, -EROFS}, {EFI_NO_MEDIA, -ENOMEDIUM},
            {EFI_MEDIA_CHANGED, -EIO}, {EFI_UNSUPPORTED, -EIO}, {EFI_INVALID_PARAMETER, -EIO}};
    BlockDevice *disk = find_one();
    uint8_t sector[BLOCK_BYTES] = {0};
    for (size_t i = 0; i < ELEMENTS(errors); i++) {
        io.failure = errors[i].status;
        ck_assert_int_eq(block_device_read(disk, lba(0), 1, sector), errors[i].expected);
        ck_assert_int_eq(block_device_write(disk, lba(0), 1, sector), errors[i].expected);
        ck_assert_int_eq(block_device_flush(disk), errors[i].expected);
    }
}
END_TEST

START_TEST(outside_of_the_disk_nothing_is_asked_for)
{
    BlockDevice *disk = find_one();
    uint8_t sector[BLOCK_BYTES] = {0};
    ck_assert_int_eq(block_device_read(disk, lba(N_BLOCKS), 1, sector), -ERANGE);
    ck_assert_int_eq(block_device_write(disk, lba(UINT64_MAX), 1, sector), -ERANGE);
    ck_assert_uint_eq(io.n_transfers, 0);
}
END_TEST

/* Somebody put another medium into the drive: what was read from the first is not for it. */
START_TEST(another_medium_is_not_written)
{
    BlockDevice *disk = find_one();
    uint8_t sector[BLOCK_BYTES], before[BLOCK_BYTES];
    ck_assert_int_eq(block_device_read(disk, lba(1), 1, sector), 0);
    io.media.id++;
    memcpy(before, content, sizeof(before));
    ck_assert_int_eq(block_device_write(disk, lba(0), 1, sector), -EIO);
    ck_assert_int_eq(block_device_read(disk, lba(0), 1, sector), -EIO);
    ck_assert_mem_eq(content, before, sizeof(before));
}
END_TEST

/* Partitions. */

START_TEST(a_partition_is_found_by_its_partuuid)
{
    uint8_t unique[16];
    FakeBlockIo partition;
    fake_block_io_init(&partition, content, BLOCK_BYTES, 100);
    fake_efi_add(NULL, &partition);
    fake_efi_add(keep(path_of_disk(1)), &io);
    fake_efi_add(keep(path_of_partition(1, 0x41)), &partition);
    EfiHandle wanted = fake_efi_add(keep(path_of_partition(1, 0x42)), &partition);
    memset(unique, 0x42, sizeof(unique));
    ck_assert_ptr_eq(efi_partition_find(&fake_efi.boot_services, unique), wanted);
    unique[15] = 0;
    ck_assert_ptr_null(efi_partition_find(&fake_efi.boot_services, unique));
    fake_efi.cannot_locate = true;
    ck_assert_ptr_null(efi_partition_find(&fake_efi.boot_services, unique));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("efi-disk");
    TCase *tcase = unit_case(suite, "efi-disk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_own_disk_and_another);
    tcase_add_test(tcase, many_disks);
    tcase_add_test(tcase, disks_that_the_firmware_did_not_look_for);
    tcase_add_test(tcase, started_from_no_disk);
    tcase_add_test(tcase, a_disk_without_a_path);
    tcase_add_test(tcase, what_is_no_disk_for_us);
    tcase_add_test(tcase, the_firmware_knows_no_disk);
    tcase_add_test(tcase, no_memory_for_a_disk);
    tcase_add_test(tcase, a_read_only_disk);
    tcase_add_test(tcase, much_is_read_and_written);
    tcase_add_test(tcase, much_is_read_from_sectors_of_4096_bytes);
    tcase_add_test(tcase, errors_have_their_numbers);
    tcase_add_test(tcase, outside_of_the_disk_nothing_is_asked_for);
    tcase_add_test(tcase, another_medium_is_not_written);
    tcase_add_test(tcase, a_partition_is_found_by_its_partuuid);
    return suite;
}
