/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/child-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

static sd_event *event;

static struct {
    ChildProcess *child;
    bool is_done;
    ChildEnd end;
    int number;
    char lines[64][64];
    size_t n_lines;
} seen;

static void on_line(const char *line, void *userdata)
{
    ck_assert_ptr_eq(userdata, &seen);
    ck_assert(!seen.is_done);
    if (seen.n_lines < ELEMENTS(seen.lines))
        snprintf(seen.lines[seen.n_lines], sizeof(seen.lines[0]), "%s", line);
    seen.n_lines++;
}

static void on_done(ChildProcess *child, ChildEnd end, int number, void *userdata)
{
    ck_assert_ptr_eq(userdata, &seen);
    ck_assert_ptr_eq(child, seen.child);
    ck_assert(!seen.is_done);
    seen.is_done = true;
    seen.end = end;
    seen.number = number;
    child_process_free(TAKE_PTR(seen.child));
}

static void set_up(void)
{
    memset(&seen, 0, sizeof(seen));
    ck_assert_int_ge(sd_event_new(&event), 0);
}

static void tear_down(void)
{
    child_process_free(TAKE_PTR(seen.child));
    sd_event_unref(event);
    errno = 0;
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no zombie, nobody left */
    ck_assert_int_eq(errno, ECHILD);
}

static void start_program(const char *const *arguments, uint64_t timeout_usec)
{
    static const char *const environment[] = {"LANG=C.UTF-8", "GIVEN=given", "PWD=", NULL};
    ChildProcessOptions options = {.arguments = arguments,
            .environment = environment,
            .timeout_usec = timeout_usec,
            .on_line = on_line,
            .on_done = on_done,
            .userdata = &seen};
    ck_assert_int_eq(child_process_new(event, &options, &seen.child), 0);
    ck_assert(!seen.is_done);
}

static void start(const char *script, uint64_t timeout_usec)
{
    start_program((const char *const[]){"/bin/sh", "-c", script, NULL}, timeout_usec);
}

static void await_lines(size_t n)
{
    while (seen.n_lines < n)
        ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
}

static void await_end(void)
{
    while (!seen.is_done)
        ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
}

static void expect_end(const char *script, ChildEnd end, int number)
{
    start(script, 20 * USEC_PER_SEC);
    await_end();
    ck_assert_int_eq(seen.end, end);
    ck_assert_int_eq(seen.number, number);
}

START_TEST(tells_how_it_ended)
{
    expect_end("exit 0", CHILD_EXITED, 0);
    memset(&seen, 0, sizeof(seen));
    expect_end("exit 3", CHILD_EXITED, 3);
    memset(&seen, 0, sizeof(seen));
    expect_end("exit 127", CHILD_EXITED, 127);
    memset(&seen, 0, sizeof(seen));
    expect_end("kill -SEGV $$", CHILD_SIGNALLED, SIGSEGV);
    ck_assert_uint_eq(seen.n_lines, 0);
}
END_TEST

START_TEST(tells_what_could_not_be_started)
{
    start_program((const char *const[]){"/no/such/program", NULL}, USEC_PER_MINUTE);
    await_end();
    ck_assert_int_eq(seen.end, CHILD_NOT_STARTED);
    ck_assert_int_eq(seen.number, ENOENT);
}
END_TEST

START_TEST(hands_over_both_outputs_line_by_line)
{
    expect_end("echo one; echo two >&2; echo; printf 'three\\tx\\r\\n'; printf 'a\\033[2J\\nlast'",
            CHILD_EXITED, 0);
    static const char *const lines[] = {"one", "two", "three x", "a?[2J", "last"};
    ck_assert_uint_eq(seen.n_lines, ELEMENTS(lines));
    for (size_t i = 0; i < ELEMENTS(lines); i++)
        ck_assert_str_eq(seen.lines[i], lines[i]);
}
END_TEST

START_TEST(starts_clean)
{
    /* A daemon's own signals and descriptors, and what systemd means for it alone. */
    sigset_t mask;
    sigset_t before;
    sigfillset(&mask);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &mask, &before), 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    int leaked = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    ck_assert_int_ge(leaked, 0);
    setenv("NOTIFY_SOCKET", "/x", 1);
    setenv("LOCKSMITHD_ETCD_PASSWORD", "secret", 1);
    setenv("GIVEN", "old", 1);
    setenv("KEPT", "kept", 1);
    start("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t'; echo "
          "$NOTIFY_SOCKET$LOCKSMITHD_ETCD_PASSWORD:$GIVEN:$KEPT:$(pwd); readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; ps -o pid=,pgid=,sid= "
          "$$ 2>/dev/null | awk '{print ($1 == $2 && $2 == $3)}'",
            20 * USEC_PER_SEC);
    await_end();
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    close(leaked);
    ck_assert_str_eq(seen.lines[0], "SigBlk:0000000000000000");
    ck_assert_str_eq(seen.lines[1], "SigIgn:0000000000000000");
    ck_assert_str_eq(seen.lines[2], ":given:kept:/");
    ck_assert_str_eq(seen.lines[3], "/dev/null");
    ck_assert_str_eq(seen.lines[4], "4"); /* 0, 1, 2 and the folder that ls reads */
    if (seen.n_lines > 5)                 /* where ps is installed */
        ck_assert_str_eq(seen.lines[5], "1");
}
END_TEST

START_TEST(ends_the_whole_group_when_time_is_up)
{
    start("trap 'echo ended' TERM; sleep 1000 & echo $!; wait; echo $?; exit 0", 300000);
    await_end();
    ck_assert_int_eq(seen.end, CHILD_TIMED_OUT);
    pid_t pid = atoi(seen.lines[0]);
    ck_assert_int_gt(pid, 0);
    ck_assert_str_eq(seen.lines[1], "ended");
    /* The grandchild is init's to reap; until then it is no more than a zombie. */
    char path[64];
    char state[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (;;) {
        FILE *file = fopen(path, "re");
        bool is_there = file && fgets(state, sizeof(state), file) && !strstr(state, ") Z");
        if (file)
            fclose(file);
        if (!is_there)
            break;
        ck_assert_int_ge(sd_event_run(event, 1000), 0);
    }
}
END_TEST

START_TEST(does_not_wait_for_what_it_leaves_behind)
{
    start("sleep 1000 & echo $!", 20 * USEC_PER_SEC);
    await_end();
    ck_assert_int_eq(seen.end, CHILD_EXITED);
    ck_assert_int_eq(kill(atoi(seen.lines[0]), SIGKILL), 0);
}
END_TEST

START_TEST(takes_any_amount_of_output)
{
    expect_end("yes | head -n 100000; head -c 100000 /dev/zero", CHILD_EXITED, 0);
    ck_assert_uint_ge(seen.n_lines, 200);
    ck_assert_uint_le(seen.n_lines, 1000);
}
END_TEST

START_TEST(is_ended_when_it_is_freed)
{
    start("trap 'exit 0' TERM; echo $$; while :; do sleep 1000 & wait; done", USEC_PER_MINUTE);
    await_lines(1);
    pid_t pid = atoi(seen.lines[0]);
    child_process_free(TAKE_PTR(seen.child));
    while (kill(pid, 0) == 0)
        ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
    ck_assert(!seen.is_done);
}
END_TEST

START_TEST(is_killed_when_the_loop_ends_before_it)
{
    start("trap '' TERM; echo $$; while :; do sleep 1000 & wait; done", USEC_PER_MINUTE);
    await_lines(1);
    pid_t pid = atoi(seen.lines[0]);
    child_process_free(TAKE_PTR(seen.child));
    event = sd_event_unref(event);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid); /* as init would */
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(is_freed_by_whoever_holds_the_loop_last)
{
    start("echo $$; exec sleep 1000", USEC_PER_MINUTE);
    await_lines(1);
    pid_t pid = atoi(seen.lines[0]);
    event = sd_event_unref(event); /* its own sources hold the loop */
    child_process_free(TAKE_PTR(seen.child));
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(may_be_freed_at_once)
{
    for (int i = 0; i < 5; i++) {
        start("echo $$; exec sleep 1000", USEC_PER_MINUTE);
        child_process_free(TAKE_PTR(seen.child));
    }
    siginfo_t info;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        ck_assert_int_ge(sd_event_run(event, 100000), 0);
    ck_assert(!seen.is_done);
}
END_TEST

START_TEST(is_shown_in_words)
{
    ck_assert_str_eq(child_end_show(CHILD_EXITED, 3).text, "exited with status 3");
    ck_assert_str_eq(child_end_show(CHILD_SIGNALLED, SIGKILL).text, "was ended by SIGKILL");
    ck_assert_str_eq(child_end_show(CHILD_SIGNALLED, 999).text, "was ended by SIG?");
    ck_assert_str_eq(child_end_show(CHILD_TIMED_OUT, 0).text, "did not end in time");
    ck_assert_str_eq(child_end_show(CHILD_NOT_STARTED, EACCES).text,
            "could not be started: Permission denied");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("child-process");
    TCase *tcase = unit_case(suite, "child");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, tells_how_it_ended);
    tcase_add_test(tcase, tells_what_could_not_be_started);
    tcase_add_test(tcase, hands_over_both_outputs_line_by_line);
    tcase_add_test(tcase, starts_clean);
    tcase_add_test(tcase, ends_the_whole_group_when_time_is_up);
    tcase_add_test(tcase, does_not_wait_for_what_it_leaves_behind);
    tcase_add_test(tcase, takes_any_amount_of_output);
    tcase_add_test(tcase, is_ended_when_it_is_freed);
    tcase_add_test(tcase, is_killed_when_the_loop_ends_before_it);
    tcase_add_test(tcase, is_freed_by_whoever_holds_the_loop_last);
    tcase_add_test(tcase, may_be_freed_at_once);
    tcase_add_test(tcase, is_shown_in_words);
    return suite;
}
