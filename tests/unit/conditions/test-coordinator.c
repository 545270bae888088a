/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/coordinator.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"

static int root_fd = -1;

static void open_root(void)
{
    root_fd = open(unit_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
}

static void close_root(void)
{
    root_fd = safe_close(root_fd);
}

static void expect_text(const char *wanted)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(root_fd, COORDINATOR_FILE, 4096, &text, &n_bytes), 0);
    ck_assert_str_eq(text, wanted);
}

/* Whether somebody else could take the lock of what the path names now, as Go locksmith does. */
static bool can_lock(void)
{
    _cleanup_close_ int fd = openat(root_fd, COORDINATOR_FILE, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

START_TEST(writes_every_state_as_go_locksmith_does)
{
    static const struct {
        CoordinatorState state;
        const char *text;
    } cases[] = {
            {COORDINATOR_RUNNING, "NAME=locksmithd\nSTRATEGY=reboot\nSTATE=running\n"},
            {COORDINATOR_REBOOT_PLANNED,
                    "NAME=locksmithd\nSTRATEGY=reboot\nSTATE=reboot-planned\n"},
            {COORDINATOR_REBOOTING, "NAME=locksmithd\nSTRATEGY=reboot\nSTATE=rebooting\n"},
            {COORDINATOR_RUNNING, "NAME=locksmithd\nSTRATEGY=reboot\nSTATE=running\n"},
    };
    _cleanup_(coordinator_freep) Coordinator *coordinator = NULL;
    ErrorText error = {""};
    mode_t mask = umask(077);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, &error), 0);
    expect_text("NAME=locksmithd\nSTRATEGY=reboot\nSTATE=starting\n");
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        ck_assert_int_eq(coordinator_set(coordinator, "reboot", cases[i].state, &error), 0);
        expect_text(cases[i].text);
        ck_assert(!can_lock());
    }
    ck_assert_int_eq(coordinator_set(coordinator, "off", COORDINATOR_RUNNING, &error), 0);
    expect_text("NAME=locksmithd\nSTRATEGY=off\nSTATE=running\n");
    ck_assert_str_eq(error.line, "");

    struct stat st;
    ck_assert_int_eq(fstatat(root_fd, COORDINATOR_FILE, &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    ck_assert_int_eq(fstatat(root_fd, "run/update-engine", &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0755);
    umask(mask);
}
END_TEST

/* A process of this user that waits for the lock as Go locksmith would take it, until killed. Its
 * parent may be gone by then, as that of a shell's flock(1) is. */
static pid_t start_waiter(uid_t user, bool is_orphan)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = seteuid(user) < 0 ? -1 : openat(root_fd, COORDINATOR_FILE, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_SH) < 0)
            _exit(1);
        pid_t heir = is_orphan ? fork() : 0;
        if (heir == 0) {
            (void)!write(ready[1], "x", 1);
            pause();
        }
        _exit(heir < 0);
    }
    safe_close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    safe_close(ready[0]);
    return child;
}

static void expect_waiter(uid_t user, bool is_orphan, int expected)
{
    _cleanup_(coordinator_freep) Coordinator *coordinator = NULL;
    ErrorText error = {""};
    pid_t waiter = start_waiter(user, is_orphan);
    if (is_orphan)
        ck_assert_int_eq(waitpid(waiter, NULL, 0), waiter);
    int r = coordinator_new(root_fd, "reboot", &coordinator, &error);
    ck_assert_msg(r == expected, "user %u: %d %s", user, r, error.line);
    if (r == 0)
        ck_assert(!can_lock());
    if (!is_orphan) {
        ck_assert_int_eq(kill(waiter, SIGKILL), 0);
        ck_assert_int_eq(waitpid(waiter, NULL, 0), waiter);
    }
}

/* Or anybody could keep the daemon from coming back. */
START_TEST(only_roots_lock_counts)
{
    Coordinator *coordinator = NULL;
    if (geteuid() != 0)
        unit_skip("only root can be somebody else");
    ck_assert_int_eq(fchmod(root_fd, 0755), 0);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, NULL), 0);
    coordinator_free(coordinator);
    expect_waiter(65534, false, 0);
    expect_waiter(0, false, -EBUSY);
    expect_waiter(65534, true, 0);
}
END_TEST

START_TEST(refuses_a_second_coordinator)
{
    _cleanup_(coordinator_freep) Coordinator *first = NULL;
    _cleanup_(coordinator_freep) Coordinator *second = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(coordinator_new(root_fd, "etcd-lock", &first, &error), 0);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &second, &error), -EBUSY);
    ck_assert_ptr_nonnull(strstr(error.line, "another program decides"));
    ck_assert_int_eq(coordinator_set(first, "etcd-lock", COORDINATOR_RUNNING, &error), 0);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &second, &error), -EBUSY);
    expect_text("NAME=locksmithd\nSTRATEGY=etcd-lock\nSTATE=running\n");

    /* The file stays, the lock does not. */
    coordinator_free(TAKE_PTR(first));
    expect_text("NAME=locksmithd\nSTRATEGY=etcd-lock\nSTATE=running\n");
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &second, &error), 0);
}
END_TEST

START_TEST(is_refused_by_another_tools_lock)
{
    ErrorText error = {""};
    Coordinator *coordinator = NULL;
    ck_assert_int_eq(mkdirat(root_fd, "run", 0755), 0);
    ck_assert_int_eq(mkdirat(root_fd, "run/update-engine", 0755), 0);
    _cleanup_close_ int fd = openat(root_fd, COORDINATOR_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, &error), -EBUSY);
    expect_text("");
    fd = safe_close(fd);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, &error), 0);
    coordinator_free(coordinator);
}
END_TEST

START_TEST(writes_nothing_when_nothing_is_different)
{
    _cleanup_(coordinator_freep) Coordinator *coordinator = NULL;
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, NULL), 0);
    struct stat before;
    struct stat after;
    ck_assert_int_eq(fstatat(root_fd, COORDINATOR_FILE, &before, 0), 0);
    ck_assert_int_eq(coordinator_set(coordinator, "reboot", COORDINATOR_STARTING, NULL), 0);
    ck_assert_int_eq(fstatat(root_fd, COORDINATOR_FILE, &after, 0), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

START_TEST(keeps_the_old_file_when_it_cannot_be_replaced)
{
    _cleanup_(coordinator_freep) Coordinator *coordinator = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, &error), 0);
    /* Nobody but a folder can keep root from removing the temporary file. */
    ck_assert_int_eq(mkdirat(root_fd, "run/update-engine/.coordinator.conf.new", 0755), 0);
    ck_assert_int_eq(coordinator_set(coordinator, "reboot", COORDINATOR_RUNNING, &error), -EISDIR);
    ck_assert_ptr_nonnull(strstr(error.line, "/run/update-engine/coordinator.conf cannot be"));
    expect_text("NAME=locksmithd\nSTRATEGY=reboot\nSTATE=starting\n");
    ck_assert(!can_lock());
    ck_assert_int_eq(unlinkat(root_fd, "run/update-engine/.coordinator.conf.new", AT_REMOVEDIR), 0);
    ck_assert_int_eq(coordinator_set(coordinator, "reboot", COORDINATOR_RUNNING, &error), 0);
}
END_TEST

START_TEST(does_not_follow_a_link)
{
    Coordinator *coordinator = NULL;
    ErrorText error = {""};
    ck_assert_int_eq(mkdirat(root_fd, "run", 0755), 0);
    ck_assert_int_eq(mkdirat(root_fd, "run/update-engine", 0755), 0);
    ck_assert_int_eq(symlinkat("elsewhere", root_fd, COORDINATOR_FILE), 0);
    ck_assert_int_eq(coordinator_new(root_fd, "reboot", &coordinator, &error), -ELOOP);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot be written"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("coordinator");
    TCase *tcase = unit_case(suite, "file and lock");
    tcase_add_checked_fixture(tcase, open_root, close_root);
    tcase_add_test(tcase, writes_every_state_as_go_locksmith_does);
    tcase_add_test(tcase, only_roots_lock_counts);
    tcase_add_test(tcase, refuses_a_second_coordinator);
    tcase_add_test(tcase, is_refused_by_another_tools_lock);
    tcase_add_test(tcase, writes_nothing_when_nothing_is_different);
    tcase_add_test(tcase, keeps_the_old_file_when_it_cannot_be_replaced);
    tcase_add_test(tcase, does_not_follow_a_link);
    return suite;
}
