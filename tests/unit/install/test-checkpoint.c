/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int state_fd;

static void setup(void)
{
    state_fd = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
    close(state_fd);
}

static Checkpoint example(void)
{
    Checkpoint checkpoint = {.next_operation = UINT64_C(0x123456789abcdef0)};
    memset(&checkpoint.metadata, 1, sizeof(checkpoint.metadata));
    memset(&checkpoint.source, 2, sizeof(checkpoint.source));
    memset(&checkpoint.disk, 3, sizeof(checkpoint.disk));
    memset(&checkpoint.target, 4, sizeof(checkpoint.target));
    memset(&checkpoint.digest, 5, sizeof(checkpoint.digest));
    checkpoint.has_digest = checkpoint.lacks_ranges = true;
    return checkpoint;
}

START_TEST(what_is_saved_is_loaded)
{
    Checkpoint saved = example(), loaded;
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), -ENOENT);
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), 0);
    ck_assert(sha256_equal(&saved.metadata, &loaded.metadata));
    ck_assert(sha256_equal(&saved.source, &loaded.source));
    ck_assert(sha256_equal(&saved.disk, &loaded.disk));
    ck_assert(guid_equal(&saved.target, &loaded.target));
    ck_assert_uint_eq(loaded.next_operation, saved.next_operation);
    ck_assert(loaded.has_digest && !loaded.is_untouched && loaded.lacks_ranges);
    ck_assert_mem_eq(&saved.digest, &loaded.digest, sizeof(saved.digest));
}
END_TEST

START_TEST(every_damaged_byte_is_noticed)
{
    Checkpoint saved = example(), loaded;
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    _cleanup_close_ int fd = openat(state_fd, "checkpoint", O_RDWR | O_CLOEXEC);
    off_t n_bytes = lseek(fd, 0, SEEK_END);
    for (off_t i = 0; i < n_bytes; i++) {
        uint8_t byte, damaged;
        ck_assert_int_eq(pread(fd, &byte, 1, i), 1);
        damaged = byte ^ 0x20;
        ck_assert_int_eq(pwrite(fd, &damaged, 1, i), 1);
        ck_assert_int_eq(checkpoint_load(state_fd, &loaded), -EBADMSG);
        ck_assert_int_eq(pwrite(fd, &byte, 1, i), 1);
    }
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), 0);
}
END_TEST

START_TEST(other_lengths_are_no_checkpoint)
{
    Checkpoint saved = example(), loaded;
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    _cleanup_close_ int fd = openat(state_fd, "checkpoint", O_RDWR | O_CLOEXEC);
    off_t n_bytes = lseek(fd, 0, SEEK_END);
    ck_assert_int_eq(ftruncate(fd, n_bytes + 1), 0);
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), -EBADMSG);
    ck_assert_int_eq(ftruncate(fd, n_bytes - 1), 0);
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), -EBADMSG);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(checkpoint_load(state_fd, &loaded), -EBADMSG);
}
END_TEST

START_TEST(metadata_is_kept_as_it_is)
{
    uint8_t *data;
    size_t n_bytes;
    ck_assert_int_eq(checkpoint_load_metadata(state_fd, &data, &n_bytes), -ENOENT);
    ck_assert_int_eq(checkpoint_save_metadata(state_fd, (const uint8_t *)"a\0b", 3), 0);
    ck_assert_int_eq(checkpoint_load_metadata(state_fd, &data, &n_bytes), 0);
    ck_assert_uint_eq(n_bytes, 3);
    ck_assert_int_eq(memcmp(data, "a\0b", 3), 0);
    free(data);
    _cleanup_close_ int fd = openat(state_fd, "metadata", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, 100 << 20), 0);
    ck_assert_int_eq(checkpoint_load_metadata(state_fd, &data, &n_bytes), -EFBIG);
}
END_TEST

START_TEST(what_has_begun_is_known_by_the_payloads_digest)
{
    const Sha256 payload = sha256_of("a", 1), other = sha256_of("b", 1);
    Checkpoint saved = example();
    saved.source = checkpoint_source_of(&payload);
    ck_assert(!checkpoint_has_begun(state_fd, &payload));
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    ck_assert(checkpoint_has_begun(state_fd, &payload));
    ck_assert(!checkpoint_has_begun(state_fd, &other));
    saved.is_untouched = true;
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    ck_assert(!checkpoint_has_begun(state_fd, &payload));
}
END_TEST

START_TEST(removal_takes_both)
{
    Checkpoint saved = example();
    ck_assert_int_eq(checkpoint_remove(state_fd), 0);
    ck_assert_int_eq(checkpoint_save(state_fd, &saved), 0);
    ck_assert_int_eq(checkpoint_save_metadata(state_fd, (const uint8_t *)"a", 1), 0);
    ck_assert_int_eq(checkpoint_remove(state_fd), 0);
    ck_assert_int_eq(faccessat(state_fd, "checkpoint", F_OK, 0), -1);
    ck_assert_int_eq(faccessat(state_fd, "metadata", F_OK, 0), -1);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tcase = unit_case(suite, "checkpoint");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_saved_is_loaded);
    tcase_add_test(tcase, every_damaged_byte_is_noticed);
    tcase_add_test(tcase, other_lengths_are_no_checkpoint);
    tcase_add_test(tcase, metadata_is_kept_as_it_is);
    tcase_add_test(tcase, what_has_begun_is_known_by_the_payloads_digest);
    tcase_add_test(tcase, removal_takes_both);
    return suite;
}
