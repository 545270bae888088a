/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fd-io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static int open_file(int flags)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    int fd = openat(folder, "f", flags | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(what_is_written_at_a_place_is_read_there)
{
    _cleanup_close_ int fd = open_file(O_RDWR);
    uint64_t size_bytes;
    ck_assert_int_eq(fd_pwrite_full(fd, "hello", 5, 4096), 0);
    ck_assert_int_eq(fd_write_full(fd, "first", 5), 0);
    ck_assert_int_eq(fd_size_bytes(fd, &size_bytes), 0);
    ck_assert_uint_eq(size_bytes, 4101);
    char data[8] = "";
    ck_assert_int_eq(fd_pread_full(fd, data, 5, 4096), 0);
    ck_assert_str_eq(data, "hello");
    ck_assert_int_eq(fd_pread_full(fd, data, 5, 0), 0);
    ck_assert_str_eq(data, "first");
    ck_assert_int_eq(fd_pread_full(fd, data, 0, 1 << 20), 0);
}
END_TEST

START_TEST(a_short_file_and_a_bad_descriptor_are_errors)
{
    _cleanup_close_ int fd = open_file(O_RDWR);
    char data[8];
    ck_assert_int_eq(fd_pwrite_full(fd, "hello", 5, 0), 0);
    ck_assert_int_eq(fd_pread_full(fd, data, 6, 0), -EIO);
    ck_assert_int_eq(fd_pread_full(fd, data, 1, 5), -EIO);
    ck_assert_int_eq(fd_pread_full(-1, data, 1, 0), -EBADF);
    ck_assert_int_eq(fd_pwrite_full(-1, data, 1, 0), -EBADF);
    ck_assert_int_eq(fd_write_full(-1, data, 1), -EBADF);
}
END_TEST

START_TEST(a_write_that_stops_half_way_is_an_error)
{
    _cleanup_close_ int fd = open_file(O_RDWR);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){6, old.rlim_max}), 0);
    int r = fd_pwrite_full(fd, "hello", 5, 3);
    int r_stream = fd_write_full(fd, "hello hello", 11);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    ck_assert_int_eq(r, -EFBIG);
    ck_assert_int_eq(r_stream, -EFBIG);
}
END_TEST

START_TEST(only_files_and_block_devices_have_a_size)
{
    uint64_t size_bytes;
    _cleanup_close_ int device = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fd_size_bytes(device, &size_bytes), -ENOTBLK);
    ck_assert_int_eq(fd_size_bytes(-1, &size_bytes), -EBADF);
}
END_TEST

START_TEST(whole_files_are_read_within_a_bound)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int fd = openat(folder, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[10000];
    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(fd_write_full(fd, text, sizeof(text)), 0);
    char *data = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(folder, "f", sizeof(text), &data, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, sizeof(text));
    ck_assert_mem_eq(data, text, n_bytes);
    ck_assert_int_eq(data[n_bytes], '\0');
    free(TAKE_PTR(data));
    ck_assert_int_eq(fd_read_file(folder, "f", sizeof(text) - 1, &data, &n_bytes), -EFBIG);
    ck_assert_int_eq(fd_read_file(folder, "none", 10, &data, &n_bytes), -ENOENT);
    ck_assert_int_eq(fd_read_file(folder, ".", 10, &data, &n_bytes), -EISDIR);
    ck_assert_ptr_null(data);

    /* A FIFO without a writer must not hold anybody up. */
    ck_assert_int_eq(mkfifoat(folder, "fifo", 0600), 0);
    ck_assert_int_eq(fd_read_file(folder, "fifo", 10, &data, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, 0);
    free(data);
}
END_TEST

START_TEST(folders_are_made_down_to_a_file)
{
    _cleanup_close_ int folder = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    struct stat st;
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(fd_make_parents(folder, "one/two/file"), 0);
    ck_assert_int_eq(fstatat(folder, "one/two", &st, 0), 0);
    ck_assert(S_ISDIR(st.st_mode));
    ck_assert_int_eq(faccessat(folder, "one/two/file", F_OK, 0), -1);
    ck_assert_int_eq(fd_make_parents(folder, "file"), 0);

    char path[600];
    snprintf(path, sizeof(path), "%s/three/file", unit_temp_dir());
    ck_assert_int_eq(fd_make_parents(AT_FDCWD, path), 0);
    ck_assert_int_eq(faccessat(AT_FDCWD, path, F_OK, 0), -1);
    ck_assert_int_eq(fd_make_parents(AT_FDCWD, "/proc/none/file"), -ENOENT);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("fd-io");
    TCase *tcase = unit_case(suite, "fd-io");
    tcase_add_test(tcase, what_is_written_at_a_place_is_read_there);
    tcase_add_test(tcase, a_short_file_and_a_bad_descriptor_are_errors);
    tcase_add_test(tcase, a_write_that_stops_half_way_is_an_error);
    tcase_add_test(tcase, only_files_and_block_devices_have_a_size);
    tcase_add_test(tcase, whole_files_are_read_within_a_bound);
    tcase_add_test(tcase, folders_are_made_down_to_a_file);
    return suite;
}
