/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define ETC "etc/locksmith/pre-reboot.d"
#define LIB "usr/lib/locksmith/pre-reboot.d"

static char root[256];
static int root_fd = -1;
static sd_event *event;

static struct {
    HookRun *run;
    unsigned n_done;
    HooksResult result;
    char name[64];
    char text[512];
} end;

static void on_done(HookRun *run, HooksResult result, const char *name, const char *text, void *u)
{
    ck_assert_ptr_eq(u, &end);
    ck_assert_ptr_eq(run, end.run);
    end.n_done++;
    end.result = result;
    snprintf(end.name, sizeof(end.name), "%s", name);
    snprintf(end.text, sizeof(end.text), "%s", text);
    hook_run_free(TAKE_PTR(end.run));
}

static void set_up(void)
{
    static const char *const folders[] = {
            "etc", "etc/locksmith", ETC, "usr", "usr/lib", "usr/lib/locksmith", LIB};
    snprintf(root, sizeof(root), "%s", unit_temp_dir());
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root_fd, 0);
    for (size_t i = 0; i < ELEMENTS(folders); i++)
        ck_assert_int_eq(mkdirat(root_fd, folders[i], 0755), 0);
    ck_assert_int_ge(sd_event_new(&event), 0);
    memset(&end, 0, sizeof(end));
}

static void tear_down(void)
{
    sd_event_unref(event);
    root_fd = safe_close(root_fd);
}

/* body sees the test's folder as $R. */
static void put_hook(const char *path, const char *body, mode_t mode)
{
    _cleanup_close_ int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_gt(dprintf(fd, "#!/bin/sh\nR='%s'\n%s\n", root, body), 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
}

static void expect_file(const char *path, const char *wanted)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(root_fd, path, 65536, &text, &n_bytes);
    ck_assert_msg(r == 0, "%s: %s", path, strerror(-r));
    ck_assert_str_eq(text, wanted);
}

static bool exists(const char *path)
{
    return faccessat(root_fd, path, F_OK, 0) == 0;
}

static void start(uint64_t timeout_usec)
{
    static const char *const environment[] = {"LOCKSMITH_EVENT=update", "HOME=/nowhere", NULL};
    HookRunOptions options = {.root = root,
            .kind = "pre-reboot",
            .environment = environment,
            .timeout_usec = timeout_usec};
    ck_assert_int_eq(hook_run_new(event, &options, on_done, &end, &end.run), 0);
    ck_assert_uint_eq(end.n_done, 0);
}

static void run_to_end(void)
{
    while (end.n_done == 0)
        ck_assert_int_ge(sd_event_run(event, 10 * USEC_PER_SEC), 0);
}

static void run_hooks(HooksResult wanted, const char *name, const char *text)
{
    start(20 * USEC_PER_SEC);
    run_to_end();
    ck_assert_uint_eq(end.n_done, 1);
    ck_assert_msg(end.result == wanted, "%d: %s", (int)end.result, end.text);
    ck_assert_str_eq(end.name, name);
    ck_assert_msg(strstr(end.text, text) != NULL, "%s", end.text);
}

START_TEST(without_hooks_it_is_done)
{
    run_hooks(HOOKS_DONE, "", "");
}
END_TEST

START_TEST(without_folders_it_is_done)
{
    ck_assert_int_eq(unlinkat(root_fd, ETC, AT_REMOVEDIR), 0);
    ck_assert_int_eq(unlinkat(root_fd, LIB, AT_REMOVEDIR), 0);
    run_hooks(HOOKS_DONE, "", "");
}
END_TEST

START_TEST(runs_in_the_order_of_names_over_both_folders)
{
    put_hook(ETC "/20-b", "echo etc-20 $1 $LOCKSMITH_HOOK $LOCKSMITH_EVENT $HOME >>$R/log", 0755);
    put_hook(LIB "/10-a", "echo lib-10 >>$R/log", 0700);
    put_hook(LIB "/20-b", "echo lib-20 >>$R/log", 0755);
    put_hook(LIB "/30-c", "echo lib-30 >>$R/log", 0755);
    put_hook(LIB "/40-masked", "echo lib-40 >>$R/log", 0755);
    ck_assert_int_eq(symlinkat("/dev/null", root_fd, ETC "/40-masked"), 0);
    run_hooks(HOOKS_DONE, "", "");
    expect_file("log", "lib-10\netc-20 pre-reboot pre-reboot update /nowhere\nlib-30\n");
}
END_TEST

START_TEST(skips_what_editors_and_packages_leave)
{
    static const char *const names[] = {".hidden", "README", "README.md", "a~", "a.bak", "a.orig",
            "a.rej", "a.sample", "a.swp", "a.dpkg-old", "a.rpmnew", "a.ucf-dist"};
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        char path[128];
        snprintf(path, sizeof(path), ETC "/%s", names[i]);
        put_hook(path, "touch $R/ran", 0777);
    }
    run_hooks(HOOKS_DONE, "", "");
    ck_assert(!exists("ran"));
}
END_TEST

START_TEST(a_status_is_a_veto_and_ends_the_run)
{
    put_hook(ETC "/10-no", "exit 3", 0755);
    put_hook(ETC "/20-next", "touch $R/ran", 0755);
    run_hooks(HOOKS_VETO, "10-no", "the hook pre-reboot.d/10-no exited with status 3");
    ck_assert(!exists("ran"));
}
END_TEST

START_TEST(a_signal_is_a_veto)
{
    put_hook(ETC "/10-no", "kill -KILL $$", 0755);
    run_hooks(HOOKS_VETO, "10-no", "was ended by SIGKILL");
}
END_TEST

START_TEST(a_hook_that_hangs_is_ended)
{
    put_hook(ETC "/10-hangs", "sleep 1000 & echo $! >$R/pid; wait", 0755);
    start(50000);
    run_to_end();
    ck_assert_int_eq(end.result, HOOKS_TIMED_OUT);
    ck_assert_str_eq(end.name, "10-hangs");
    ck_assert_ptr_nonnull(strstr(end.text, "did not end in time"));
}
END_TEST

START_TEST(what_cannot_be_executed_has_failed)
{
    _cleanup_close_ int fd = openat(root_fd, ETC "/10-x", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    ck_assert_int_eq(fd_write_full(fd, "#!/no/such/thing\n", 17), 0);
    fd = safe_close(fd);
    run_hooks(HOOKS_FAILED, "10-x", "could not be started: No such file");
}
END_TEST

START_TEST(refuses_what_others_can_change_or_nobody_can_run)
{
    static const struct {
        mode_t mode;
        const char *says;
    } cases[] = {
            {0775, "chmod go-w"},
            {0757, "chmod go-w"},
            {0644, "chmod +x"},
    };
    put_hook(LIB "/00-first", "touch $R/ran", 0755);
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        put_hook(ETC "/10-bad", "touch $R/ran", cases[i].mode);
        memset(&end, 0, sizeof(end));
        run_hooks(HOOKS_FAILED, "10-bad", cases[i].says);
        ck_assert_ptr_nonnull(strstr(end.text, root));
        ck_assert(!exists("ran"));
        ck_assert_int_eq(unlinkat(root_fd, ETC "/10-bad", 0), 0);
    }
}
END_TEST

START_TEST(refuses_a_strangers_hook)
{
    if (geteuid() != 0)
        unit_skip("only root can give a file away");
    put_hook(ETC "/10-bad", "touch $R/ran", 0755);
    ck_assert_int_eq(fchownat(root_fd, ETC "/10-bad", 12345, 0, 0), 0);
    run_hooks(HOOKS_FAILED, "10-bad", "chown");
    ck_assert(!exists("ran"));
}
END_TEST

START_TEST(refuses_a_folder_that_others_can_change)
{
    put_hook(LIB "/10-good", "touch $R/ran", 0755);
    ck_assert_int_eq(fchmodat(root_fd, ETC, 0777, 0), 0);
    put_hook(ETC "/20-good", "touch $R/ran", 0755);
    run_hooks(HOOKS_FAILED, "pre-reboot.d", "others can change its folder");
    ck_assert(!exists("ran"));
}
END_TEST

START_TEST(refuses_folders_odd_names_and_dead_links)
{
    ck_assert_int_eq(mkdirat(root_fd, ETC "/10-folder", 0755), 0);
    run_hooks(HOOKS_FAILED, "10-folder", "no regular file");
    ck_assert_int_eq(unlinkat(root_fd, ETC "/10-folder", AT_REMOVEDIR), 0);
    ck_assert_int_eq(symlinkat("/no/such/file", root_fd, ETC "/10-link"), 0);
    memset(&end, 0, sizeof(end));
    run_hooks(HOOKS_FAILED, "10-link", "No such file");
    ck_assert_int_eq(unlinkat(root_fd, ETC "/10-link", 0), 0);
    put_hook(ETC "/10 \x1b[2J", "", 0755);
    memset(&end, 0, sizeof(end));
    run_hooks(HOOKS_FAILED, "?", "letters, digits");
}
END_TEST

START_TEST(refuses_more_than_it_keeps)
{
    for (int i = 0; i < 65; i++) {
        char path[64];
        snprintf(path, sizeof(path), ETC "/%02d", i);
        put_hook(path, "", 0755);
    }
    start(USEC_PER_SEC);
    run_to_end();
    ck_assert_int_eq(end.result, HOOKS_FAILED);
    ck_assert_ptr_nonnull(strstr(end.text, "more than 64"));
}
END_TEST

START_TEST(is_silent_after_it_was_freed)
{
    put_hook(ETC "/10-long", "echo $$ >$R/pid.new; mv $R/pid.new $R/pid; sleep 1000", 0755);
    start(USEC_PER_SEC * 20);
    while (!exists("pid"))
        ck_assert_int_ge(sd_event_run(event, 1000), 0);
    char *text;
    size_t n_bytes;
    ck_assert_int_eq(fd_read_file(root_fd, "pid", 64, &text, &n_bytes), 0);
    pid_t pid = atoi(text);
    free(text);
    hook_run_free(TAKE_PTR(end.run));
    /* SIGTERM was sent; the loop reaps it: no zombie is left. */
    while (kill(pid, 0) == 0)
        ck_assert_int_ge(sd_event_run(event, 100000), 0);
    ck_assert_uint_eq(end.n_done, 0);
}
END_TEST

START_TEST(a_folder_that_cannot_be_read_has_failed)
{
    put_hook(LIB "/10-good", "touch $R/ran", 0755);
    ck_assert_int_eq(unlinkat(root_fd, ETC, AT_REMOVEDIR), 0);
    ck_assert_int_eq(symlinkat("pre-reboot.d", root_fd, ETC), 0);
    run_hooks(HOOKS_FAILED, "pre-reboot.d", "cannot be read: Too many levels");
    ck_assert(!exists("ran"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("hooks");
    TCase *tcase = unit_case(suite, "hooks");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, without_hooks_it_is_done);
    tcase_add_test(tcase, without_folders_it_is_done);
    tcase_add_test(tcase, runs_in_the_order_of_names_over_both_folders);
    tcase_add_test(tcase, skips_what_editors_and_packages_leave);
    tcase_add_test(tcase, a_status_is_a_veto_and_ends_the_run);
    tcase_add_test(tcase, a_signal_is_a_veto);
    tcase_add_test(tcase, a_hook_that_hangs_is_ended);
    tcase_add_test(tcase, what_cannot_be_executed_has_failed);
    tcase_add_test(tcase, refuses_what_others_can_change_or_nobody_can_run);
    tcase_add_test(tcase, refuses_a_strangers_hook);
    tcase_add_test(tcase, refuses_a_folder_that_others_can_change);
    tcase_add_test(tcase, refuses_folders_odd_names_and_dead_links);
    tcase_add_test(tcase, refuses_more_than_it_keeps);
    tcase_add_test(tcase, is_silent_after_it_was_freed);
    tcase_add_test(tcase, a_folder_that_cannot_be_read_has_failed);
    return suite;
}
