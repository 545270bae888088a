/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/reboot-note.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"

static int open_root(void)
{
    int fd = open(unit_temp_dir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void put(int root_fd, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_eq(fd_write_full(fd, text, strlen(text)), 0);
}

static bool is_there(int root_fd)
{
    return faccessat(root_fd, REBOOT_NOTE_FILE, F_OK, 0) == 0;
}

START_TEST(test_what_is_written_is_read)
{
    _cleanup_close_ int root_fd = open_root();
    RebootNote note = {
            .boot_id = "b-1", .may_hold = true, .place = "etcd-v3 group 'a b' at http://x"};
    RebootNote read = {};
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    ck_assert_int_eq(reboot_note_read(root_fd, &read, NULL), 0);
    ck_assert_str_eq(read.boot_id, "b-1");
    ck_assert(read.may_hold && !read.has_begun_hooks);
    ck_assert_str_eq(read.place, note.place);
    note = (RebootNote){.boot_id = "b-2", .has_begun_hooks = true};
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    ck_assert_int_eq(reboot_note_read(root_fd, &read, NULL), 0);
    ck_assert(!read.may_hold && read.has_begun_hooks);
    ck_assert_str_eq(read.place, "");
}
END_TEST

START_TEST(test_a_semaphore_that_was_seen_is_known_by_its_place)
{
    _cleanup_close_ int root_fd = open_root();
    const char *place = "etcd-v3 group - at http://a http://b";
    ck_assert(!semaphore_seen_read(root_fd, place));
    ck_assert_int_eq(semaphore_seen_write(root_fd, place, NULL), 0);
    ck_assert(semaphore_seen_read(root_fd, place));
    ck_assert(!semaphore_seen_read(root_fd, "etcd-v3 group - at http://a"));
    put(root_fd, SEMAPHORE_SEEN_FILE, "PLACE\n");
    ck_assert(!semaphore_seen_read(root_fd, place));
}
END_TEST

START_TEST(test_nothing_under_way_is_no_file)
{
    _cleanup_close_ int root_fd = open_root();
    RebootNote note = {.boot_id = "b-1", .may_hold = true}, read;
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    ck_assert(is_there(root_fd));
    note.may_hold = false;
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    ck_assert(!is_there(root_fd));
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    ck_assert_int_eq(reboot_note_read(root_fd, &read, NULL), 0);
    ck_assert_str_eq(read.boot_id, "");
    ck_assert(!read.may_hold);
}
END_TEST

static const char *const damaged[] = {
        "",
        "BOOT_ID=b\n",
        "BOOT_ID=b\nLOCK=yes\nHOOKS=no\n",
        "BOOT_ID=\nLOCK=yes\nHOOKS=no\nPLACE=x\n",
        "BOOT_ID=b\nLOCK=perhaps\nHOOKS=no\nPLACE=x\n",
        "BOOT_ID=0123456789012345678901234567890123456789\nLOCK=no\nHOOKS=no\nPLACE=x\n",
        "what is that?\n",
};

START_TEST(test_damage_counts_as_held)
{
    _cleanup_close_ int root_fd = open_root();
    RebootNote note = {.boot_id = "b-1", .may_hold = true};
    ck_assert_int_eq(reboot_note_write(root_fd, &note, NULL), 0);
    put(root_fd, REBOOT_NOTE_FILE, damaged[_i]);
    ErrorText error = {};
    ck_assert_int_lt(reboot_note_read(root_fd, &note, &error), 0);
    ck_assert(note.may_hold);
    ck_assert_str_eq(note.boot_id, "?");
    ck_assert_str_ne(error.line, "");
}
END_TEST

START_TEST(test_where_nothing_can_be_written)
{
    _cleanup_close_ int root_fd = open_root();
    put(root_fd, "var", "in the way");
    RebootNote note = {.boot_id = "b-1", .may_hold = true};
    ErrorText error = {};
    ck_assert_int_lt(reboot_note_write(root_fd, &note, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.line, REBOOT_NOTE_FILE));
}
END_TEST

START_TEST(test_settled)
{
    _cleanup_close_ int root_fd = open_root();
    ck_assert(!boot_settled_read(root_fd, "b-1"));
    ck_assert_int_eq(boot_settled_write(root_fd, "b-1", NULL), 0);
    ck_assert(boot_settled_read(root_fd, "b-1"));
    ck_assert(!boot_settled_read(root_fd, "b-2"));
    /* A boot that is not known is never settled. */
    ck_assert_int_eq(boot_settled_write(root_fd, "", NULL), 0);
    ck_assert(!boot_settled_read(root_fd, ""));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("reboot-note");
    TCase *note = unit_case(suite, "note");
    tcase_add_test(note, test_what_is_written_is_read);
    tcase_add_test(note, test_nothing_under_way_is_no_file);
    tcase_add_test(note, test_a_semaphore_that_was_seen_is_known_by_its_place);
    tcase_add_loop_test(note, test_damage_counts_as_held, 0, ELEMENTS(damaged));
    tcase_add_test(note, test_where_nothing_can_be_written);
    tcase_add_test(note, test_settled);
    return suite;
}
