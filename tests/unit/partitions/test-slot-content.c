/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-content.h"

#include <fcntl.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

static const DiskPlan PLAN = {.parts = {
                                      {.label = "USR-A", .priority = 2, .successful = true},
                                      {.label = "USR-B"},
                              }};

/* The fields of an ext2 super block that libblkid asks for (Linux, fs/ext4/ext4.h). */
static void make_ext2(const Slot *slot, const char *path, const char *label)
{
    uint8_t block[1024] = {0};
    Le32 revision = le32(1), n_blocks = le32(64), n_inodes = le32(16);
    Le16 magic = le16(0xef53);
    memcpy(block, &n_inodes, 4);
    memcpy(block + 4, &n_blocks, 4);
    memcpy(block + 0x38, &magic, 2);
    memcpy(block + 0x4c, &revision, 4);
    memcpy(block + 0x78, label, strnlen(label, 16));
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(fd_pwrite_full(fd, block, sizeof(block), slot->offset_bytes + 1024), 0);
}

START_TEST(a_file_system_is_recognised)
{
    MadeDisk made;
    disk_make(&PLAN, &made);
    const char *path = disk_save(&made);
    disk_unmake(&made);

    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t n_slots;
    SlotContentKind kind;
    ck_assert_int_eq(slot_disk_open(path, false, NULL, 0, &disk, NULL), 0);
    make_ext2(slot_disk_slots(disk, &n_slots), path, "usr\x1b[1m");
    ck_assert_int_eq(slot_content_probe(disk, 0, &kind), 0);
    ck_assert_str_eq(kind.type, "ext2");
    ck_assert_str_eq(kind.label, "usr?[1m");
    ck_assert_int_eq(slot_content_probe(disk, 1, &kind), 0);
    ck_assert_str_eq(kind.type, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-content");
    TCase *tcase = unit_case(suite, "slot-content");
    tcase_add_test(tcase, a_file_system_is_recognised);
    return suite;
}
