/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-trailer-read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

#define SLOT_BYTES (16 * 512)
#define SLOT_B_OFFSET (66 * 512)

static const DiskPlan PLAN = {.parts = {
                                      {.label = "EFI-SYSTEM", .is_other_type = true},
                                      {.label = "USR-A"},
                                      {.label = "USR-B"},
                                      {.label = "USR-C", .n_sectors = 4},
                              }};
static const SlotTrailer ORDINARY = {
        .fs_bytes = SLOT_TRAILER_ALIGNMENT, .product = "acme", .version = "2.0"};

static SlotDisk *disk;
static char *path;

static void setup(void)
{
    MadeDisk made;
    disk_make(&PLAN, &made);
    slot_trailer_make(&ORDINARY, made.data + SLOT_B_OFFSET + SLOT_BYTES - SLOT_TRAILER_BYTES);
    path = strdup(disk_save(&made));
    disk_unmake(&made);
    ErrorText error = {0};
    ck_assert_msg(slot_disk_open(path, false, NULL, 0, &disk, &error) == 0, "%s", error.line);
}

static void teardown(void)
{
    slot_disk_free(disk);
    free(path);
}

START_TEST(last_block_of_a_slot)
{
    TrailerFault fault;
    SlotTrailer trailer;
    ck_assert_int_eq(slot_trailer_read(disk, 1, &fault, &trailer, NULL), 0);
    ck_assert_int_eq(fault, TRAILER_VALID);
    ck_assert_mem_eq(&trailer, &ORDINARY, sizeof(trailer));
    ck_assert_int_eq(slot_trailer_read(disk, 0, &fault, &trailer, NULL), 0);
    ck_assert_int_eq(fault, TRAILER_ABSENT);
}
END_TEST

START_TEST(slot_without_room_has_none)
{
    TrailerFault fault;
    SlotTrailer trailer;
    ck_assert_int_eq(slot_trailer_read(disk, 2, &fault, &trailer, NULL), 0);
    ck_assert_int_eq(fault, TRAILER_ABSENT);
}
END_TEST

START_TEST(damage_is_named)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "x", 1, SLOT_B_OFFSET + SLOT_BYTES - 1), 1);
    TrailerFault fault;
    SlotTrailer trailer;
    ck_assert_int_eq(slot_trailer_read(disk, 1, &fault, &trailer, NULL), 0);
    ck_assert_int_eq(fault, TRAILER_BAD_CHECKSUM);
}
END_TEST

START_TEST(slot_that_cannot_be_read)
{
    TrailerFault fault;
    SlotTrailer trailer;
    ErrorText error = {0};
    ck_assert_int_eq(slot_trailer_read(disk, 3, &fault, &trailer, &error), -EINVAL);
    ck_assert_int_eq(truncate(path, SLOT_B_OFFSET + SLOT_TRAILER_BYTES), 0);
    ck_assert_int_eq(slot_trailer_read(disk, 1, &fault, &trailer, &error), -EIO);
    ck_assert_ptr_nonnull(strstr(error.line, "USR-B"));
}
END_TEST

START_TEST(image_shorter_than_its_slot)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    TrailerFault fault;
    SlotTrailer trailer;
    ck_assert_int_eq(slot_trailer_read_at(fd, SLOT_B_OFFSET, SLOT_BYTES, &fault, &trailer), 0);
    ck_assert_int_eq(fault, TRAILER_VALID);
    ck_assert_int_eq(slot_trailer_read_at(fd, SLOT_B_OFFSET, 4096, &fault, &trailer), 0);
    ck_assert_int_eq(fault, TRAILER_ABSENT);
    ck_assert_int_eq(slot_trailer_read_at(fd, UINT64_C(1) << 40, 4096, &fault, &trailer), -EIO);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-trailer-read");
    TCase *tcase = unit_case(suite, "slot-trailer-read");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, last_block_of_a_slot);
    tcase_add_test(tcase, slot_without_room_has_none);
    tcase_add_test(tcase, damage_is_named);
    tcase_add_test(tcase, slot_that_cannot_be_read);
    tcase_add_test(tcase, image_shorter_than_its_slot);
    return suite;
}
