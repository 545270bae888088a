/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/client/when.h"
#include "locksmith/conditions/approval.h"

/* pause, resume and approve: a person's word. It goes to locksmithd, and where that does not run,
 * into the file that it reads when it starts. */

#define NO_DAEMON_NOTE "locksmithd does not run; it heeds this when it starts"
#define MAX_TEXT_CHARS 256

/* Says how it ended when the file was written in the daemon's place. */
static int end_with_file(int r, const ErrorText *error)
{
    if (r < 0)
        return ctl_complain(
                r == -EACCES || r == -EPERM ? CTL_REFUSED : CTL_FAILED, LOCKSMITHCTL, error);
    fprintf(stderr, "%s\n", NO_DAEMON_NOTE);
    return CTL_DONE;
}

/* The arguments argv[1..n] with a blank between. */
static bool join(int n, char **argv, char *text, size_t n_bytes)
{
    size_t n_chars = 0;
    text[0] = '\0';
    for (int i = 1; i <= n && n_chars < n_bytes; i++)
        n_chars += (size_t)snprintf(
                text + n_chars, n_bytes - n_chars, "%s%s", i > 1 ? " " : "", argv[i]);
    return n_chars < n_bytes;
}

static int pause_by_file(const CtlOptions *options, uint64_t until_usec, const char *why)
{
    ErrorText error = {};
    _cleanup_close_ int root_fd = ctl_open_root(options, &error);
    int r = root_fd < 0 ? root_fd : pause_write(root_fd, until_usec, why, &error);
    return end_with_file(r, &error);
}

int verb_pause(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    const char *why = "";
    const GoFlag flags[] = {{"why", FLAG_TEXT, &why}, {}};
    int n = ctl_arguments(argc, argv, flags, 3); /* until DATE TIME */
    if (n < 0)
        return EXIT_USAGE;
    char text[MAX_TEXT_CHARS];
    uint64_t until_usec;
    ErrorText error = {};
    if (n == 0)
        return verbs_usage_error(LOCKSMITHCTL, "say how long: pause 4h, or pause until 03:00");
    if (!join(n, argv, text, sizeof(text)) ||
            when_parse_end(text, clock_now_usec(CLOCK_REALTIME), &until_usec, &error) < 0)
        return verbs_usage_error(LOCKSMITHCTL, "%s", error.line[0] ? error.line : "that is long");
    int exit_code = daemon_proxy_ask(options->bus, "Pause", &error, "ts", until_usec, why);
    if (exit_code == CTL_NO_DAEMON)
        exit_code = pause_by_file(options, until_usec, why);
    else if (exit_code != CTL_DONE)
        return ctl_complain(exit_code, LOCKSMITHCTL, &error);
    if (exit_code == CTL_DONE)
        printf("paused until %s\n", ctl_show_time(until_usec).text);
    return exit_code;
}

static int resume_by_file(const CtlOptions *options)
{
    ErrorText error = {};
    PersonsWord word = {.state = WORD_GIVEN};
    _cleanup_close_ int root_fd = ctl_open_root(options, &error);
    /* One that cannot be understood counts as a pause, and is removed like one. */
    if (root_fd >= 0)
        (void)pause_read(root_fd, clock_now_usec(CLOCK_REALTIME), &word, NULL);
    if (word.state == WORD_MISSING) {
        error_say(&error, 0, "there is no pause");
        return ctl_complain(CTL_NOTHING, LOCKSMITHCTL, &error);
    }
    return end_with_file(root_fd < 0 ? root_fd : pause_remove(root_fd, &error), &error);
}

int verb_resume(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    if (ctl_arguments(argc, argv, NULL, 0) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    int exit_code = daemon_proxy_ask(options->bus, "Resume", &error, "");
    if (exit_code == CTL_NO_DAEMON)
        return resume_by_file(options);
    return exit_code == CTL_DONE ? exit_code : ctl_complain(exit_code, LOCKSMITHCTL, &error);
}

static int approve_by_file(const CtlOptions *options, uint64_t until_usec, const char *version)
{
    ErrorText error = {};
    _cleanup_close_ int root_fd = ctl_open_root(options, &error);
    int r = root_fd < 0 ? root_fd : approval_write(root_fd, until_usec, version, &error);
    return end_with_file(r, &error);
}

static int withdraw_by_file(const CtlOptions *options)
{
    ErrorText error = {};
    PersonsWord word = {.state = WORD_GIVEN};
    _cleanup_close_ int root_fd = ctl_open_root(options, &error);
    if (root_fd >= 0)
        (void)approval_read(root_fd, clock_now_usec(CLOCK_REALTIME), &word, NULL);
    if (word.state == WORD_MISSING) {
        error_say(&error, 0, "there is no approval");
        return ctl_complain(CTL_NOTHING, LOCKSMITHCTL, &error);
    }
    return end_with_file(root_fd < 0 ? root_fd : approval_remove(root_fd, &error), &error);
}

static int withdraw(const CtlOptions *options)
{
    ErrorText error = {};
    int exit_code = daemon_proxy_ask(options->bus, "WithdrawApproval", &error, "");
    if (exit_code == CTL_NO_DAEMON)
        return withdraw_by_file(options);
    return exit_code == CTL_DONE ? exit_code : ctl_complain(exit_code, LOCKSMITHCTL, &error);
}

int verb_approve(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    const char *version = "", *until = NULL;
    bool is_withdrawal = false;
    const GoFlag flags[] = {{"for", FLAG_TEXT, &version}, {"until", FLAG_TEXT, &until},
            {"withdraw", FLAG_BOOL, &is_withdrawal}, {}};
    if (ctl_arguments(argc, argv, flags, 0) < 0)
        return EXIT_USAGE;
    if (is_withdrawal && (until || version[0]))
        return verbs_usage_error(LOCKSMITHCTL, "--withdraw goes alone");
    if (is_withdrawal)
        return withdraw(options);
    uint64_t until_usec = 0;
    ErrorText error = {};
    if (until && when_parse_end(until, clock_now_usec(CLOCK_REALTIME), &until_usec, &error) < 0)
        return verbs_usage_error(LOCKSMITHCTL, "%s", error.line);
    int exit_code = daemon_proxy_ask(options->bus, "Approve", &error, "ts", until_usec, version);
    if (exit_code == CTL_NO_DAEMON)
        exit_code = approve_by_file(options, until_usec, version);
    else if (exit_code != CTL_DONE)
        return ctl_complain(exit_code, LOCKSMITHCTL, &error);
    if (exit_code == CTL_DONE)
        printf("approved %s%s until %s\n", version[0] ? "the reboot into " : "the reboot", version,
                until ? ctl_show_time(until_usec).text : "the next boot");
    return exit_code;
}
