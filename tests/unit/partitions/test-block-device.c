/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/block-device.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

static const char *make_image(size_t n_bytes)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/image", unit_temp_dir());
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)n_bytes), 0);
    return path;
}

START_TEST(sectors_are_written_and_read)
{
    const char *path = make_image(10 * 512 + 100);
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    uint8_t out[1024], in[1024] = {0};
    memset(out, 0x5a, sizeof(out));
    ck_assert_int_eq(block_device_open(path, true, 0, &device, NULL), 0);
    ck_assert_uint_eq(device->sector_bytes, 512);
    ck_assert_uint_eq(device->n_sectors, 10);
    ck_assert_str_eq(device->name, path);
    ck_assert_int_ge(block_device_fd(device), 0);
    ck_assert_int_eq(block_device_write(device, lba(8), 2, out), 0);
    ck_assert_int_eq(block_device_flush(device), 0);
    ck_assert_int_eq(block_device_read(device, lba(8), 2, in), 0);
    ck_assert_mem_eq(in, out, sizeof(in));
    ck_assert_int_eq(block_device_read(device, lba(9), 2, in), -ERANGE);
    ck_assert_int_eq(block_device_write(device, lba(9), 2, out), -ERANGE);
    ck_assert_int_eq(block_device_read(device, lba(UINT64_MAX), 1, in), -ERANGE);
    ck_assert_int_eq(block_device_read(device, lba(1), SIZE_MAX, in), -ERANGE);
}
END_TEST

START_TEST(reading_only)
{
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    uint8_t data[4096] = {0};
    ck_assert_int_eq(block_device_open(make_image(8192), false, 4096, &device, NULL), 0);
    ck_assert_uint_eq(device->n_sectors, 2);
    ck_assert_int_eq(block_device_write(device, lba(0), 1, data), -EROFS);
    ck_assert_int_eq(block_device_flush(device), -EROFS);
    ck_assert_int_eq(block_device_read(device, lba(1), 1, data), 0);
}
END_TEST

START_TEST(what_cannot_be_a_disk)
{
    BlockDevice *device = NULL;
    ErrorText error;
    ck_assert_int_eq(block_device_open("/dev/null", false, 0, &device, &error), -ENOTBLK);
    ck_assert_int_eq(block_device_open("/nowhere", false, 0, &device, &error), -ENOENT);
    ck_assert_int_eq(block_device_open("/proc", true, 0, &device, &error), -EISDIR);
    static const uint32_t SIZES[] = {1, 256, 513, 8192};
    for (size_t i = 0; i < ELEMENTS(SIZES); i++)
        ck_assert_int_eq(
                block_device_open(make_image(8192), false, SIZES[i], &device, &error), -EINVAL);
    char fifo[256];
    snprintf(fifo, sizeof(fifo), "%s/fifo", unit_temp_dir());
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(block_device_open(fifo, false, 0, &device, &error), -ENOTBLK);
    ck_assert_ptr_null(device);
}
END_TEST

START_TEST(the_same_device_again)
{
    char path[256];
    snprintf(path, sizeof(path), "%s", make_image(8192));
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    int fd = -1;
    ck_assert_int_eq(block_device_open(path, false, 0, &device, NULL), 0);
    ck_assert(block_device_is_at(device, path));
    ck_assert(!block_device_is_at(device, "/nowhere"));
    ck_assert(!block_device_is_at(device, make_image(8192)));
    ck_assert_int_eq(block_device_reopen(device, O_RDWR, &fd, NULL), 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(block_device_reopen(device, O_RDWR, &fd, NULL), -ENOENT);
    ck_assert_int_eq(symlink(make_image(8192), path), 0);
    ck_assert_int_eq(block_device_reopen(device, O_RDWR, &fd, NULL), -ESTALE);
}
END_TEST

static void *unlock(void *userdata)
{
    flock(*(int *)userdata, LOCK_UN);
    return NULL;
}

START_TEST(a_writer_waits_for_the_lock)
{
    const char *path = make_image(8192);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(flock(fd, LOCK_SH), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, unlock, &fd), 0);
    BlockDevice *device = NULL;
    ck_assert_int_eq(block_device_open(path, true, 0, &device, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
    block_device_free(device);
    ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
}
END_TEST

START_TEST(a_reader_can_keep_writers_away)
{
    const char *path = make_image(8192);
    _cleanup_(block_device_freep) BlockDevice *device = NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(block_device_open(path, false, 0, &device, NULL), 0);
    ck_assert_int_eq(device->operations->lock_for_reading(device), 0);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
    device->operations->unlock(device);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("block-device");
    TCase *tcase = unit_case(suite, "block-device");
    tcase_add_test(tcase, sectors_are_written_and_read);
    tcase_add_test(tcase, reading_only);
    tcase_add_test(tcase, what_cannot_be_a_disk);
    tcase_add_test(tcase, the_same_device_again);
    tcase_add_test(tcase, a_writer_waits_for_the_lock);
    tcase_add_test(tcase, a_reader_can_keep_writers_away);
    return suite;
}
