/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/partition-node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define PARTITION_OFFSET_BYTES (64 * 1024)
#define PARTITION_BYTES (128 * 1024)

/* A loop device on a new file, of whose partitions the kernel knows number 3; -1 where that may not
 * be: this test needs root and a free loop device. */
static int open_loop_disk(void)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/image", unit_temp_dir());
    _cleanup_close_ int image = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(image, 1 << 20), 0);
    _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -1;
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    snprintf(path, sizeof(path), "/dev/loop%d", number);
    _cleanup_close_ int disk = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (disk < 0 || ioctl(disk, LOOP_SET_FD, image) < 0)
        return -1;
    struct blkpg_partition partition = {
            .start = PARTITION_OFFSET_BYTES, .length = PARTITION_BYTES, .pno = 3};
    struct blkpg_ioctl_arg add = {
            .op = BLKPG_ADD_PARTITION, .datalen = sizeof(partition), .data = &partition};
    if (ioctl(disk, BLKPG, &add) < 0) {
        ioctl(disk, LOOP_CLR_FD, 0);
        return -1;
    }
    return TAKE_FD(disk);
}

static void close_loop_disk(int disk)
{
    struct blkpg_partition partition = {.pno = 3};
    struct blkpg_ioctl_arg remove = {
            .op = BLKPG_DEL_PARTITION, .datalen = sizeof(partition), .data = &partition};
    ioctl(disk, BLKPG, &remove);
    ioctl(disk, LOOP_CLR_FD, 0);
    close(disk);
}

START_TEST(a_partition_has_its_node)
{
    char path[PARTITION_NODE_BYTES], expected[64], disk_path[64];
    ErrorText error = {0};
    int disk = open_loop_disk();
    if (disk < 0)
        unit_skip("needs root and a free loop device that takes partitions");
    snprintf(expected, sizeof(expected), "/proc/self/fd/%d", disk);
    ssize_t n = readlink(expected, disk_path, sizeof(disk_path) - 1);
    ck_assert_int_gt(n, 0);
    disk_path[n] = '\0';
    snprintf(expected, sizeof(expected), "%.32sp3", disk_path);

    int r = partition_node_find(disk, 3, PARTITION_OFFSET_BYTES, PARTITION_BYTES, path, &error);
    int missing = partition_node_find(
            disk, 2, PARTITION_OFFSET_BYTES + PARTITION_BYTES, PARTITION_BYTES, path, &error);
    int before = partition_node_find(disk, 2, 512, PARTITION_OFFSET_BYTES - 512, path, &error);
    int taken = partition_node_find(
            disk, 2, PARTITION_OFFSET_BYTES + PARTITION_BYTES - 512, 512, path, &error);
    int renumbered =
            partition_node_find(disk, 2, PARTITION_OFFSET_BYTES, PARTITION_BYTES, path, &error);
    int moved = partition_node_find(
            disk, 3, PARTITION_OFFSET_BYTES + 512, PARTITION_BYTES, path, &error);
    int resized = partition_node_find(
            disk, 3, PARTITION_OFFSET_BYTES, PARTITION_BYTES + 512, path, &error);
    close_loop_disk(disk);
    ck_assert_int_eq(r, 0);
    ck_assert_str_eq(path, expected);
    ck_assert_int_eq(missing, -ENOENT);
    ck_assert_int_eq(before, -ENOENT);
    ck_assert_int_eq(taken, -ESTALE);
    ck_assert_int_eq(renumbered, -ESTALE);
    ck_assert_int_eq(moved, -ESTALE);
    ck_assert_int_eq(resized, -ESTALE);
    ck_assert_ptr_nonnull(strstr(error.line, "partprobe"));
}
END_TEST

START_TEST(an_image_has_no_nodes)
{
    char path[PARTITION_NODE_BYTES];
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(partition_node_find(fd, 1, 0, 512, path, NULL), -ENOENT);
    ck_assert_int_eq(partition_node_find(-1, 1, 0, 512, path, NULL), -ENOENT);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("partition-node");
    TCase *tcase = unit_case(suite, "partition-node");
    tcase_add_test(tcase, a_partition_has_its_node);
    tcase_add_test(tcase, an_image_has_no_nodes);
    return suite;
}
