/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/lock-access.h"
#include "locksmith/lock/lock-name.h"

/* lock and unlock: makes an id a holder, or no holder. To be so already is success. */

typedef struct {
    const char *what; /* "Error locking" */
    bool is_lock;
    const char *already; /* "holds the lock already" */
    const char *id;
    HostIdentity host;
    int exit_code;
} Change;

static void on_answer(const LockAnswer *answer, void *userdata)
{
    Change *change = userdata;
    ErrorText text = lock_answer_text(answer);
    if (answer->result != LOCK_DONE) {
        change->exit_code = ctl_complain(CTL_FAILED, change->what, &text);
        return;
    }
    change->exit_code = CTL_DONE;
    if (answer->was_so_before) {
        error_say(&text, 0, "%s %s", change->id, change->already);
        fprintf(stderr, "%s\n", text.line);
    }
    if (answer->warning[0])
        fprintf(stderr, "%s\n", answer->warning);
}

static int run(LockAccess *access, const LockRequest *request, Change *change)
{
    ErrorText error = {};
    int r = lock_access_run(access, NULL, request, on_answer, change, &error);
    return r < 0 ? ctl_complain(CTL_FAILED, change->what, &error) : change->exit_code;
}

/* An id that cannot be a holder can be none already; only what names nobody is wrong for both. */
static bool is_id(const char *text, bool is_for_lock)
{
    return text[0] != '\0' && (!is_for_lock || lock_name_is_id(text));
}

/* Finds out which lock it is, and whose. Returns an exit code. */
static int prepare(
        int argc, char **argv, const CtlOptions *options, LockAccess **ret_access, Change *change)
{
    int n = ctl_arguments(argc, argv, NULL, 1);
    if (n < 0)
        return EXIT_USAGE;
    if (n > 0 && !is_id(argv[1], change->is_lock))
        return verbs_usage_error(LOCKSMITHCTL,
                "'%s' will not do as an id: write 1 to %d characters, none of them a control "
                "characters",
                argv[1], LOCK_MAX_ID_CHARS);
    ErrorText error = {};
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    if (lock_access_new_as_daemon(options, (const char *const *)environ, &access, &error) < 0)
        return ctl_complain(CTL_FAILED, change->what, &error);
    int r = ctl_this_host(options, lock_access_config(access)->id, &change->host, &error);
    if (r < 0 && n == 0)
        return ctl_complain(CTL_FAILED, change->what, &error);
    change->id = n > 0 ? argv[1] : change->host.machine_id;
    *ret_access = TAKE_PTR(access);
    return CTL_DONE;
}

int verb_lock(int argc, char **argv, void *context)
{
    Change change = {.what = "Error locking", .is_lock = true, .already = "holds the lock already"};
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    int exit_code = prepare(argc, argv, context, &access, &change);
    if (exit_code != CTL_DONE)
        return exit_code;
    HolderFacts facts = {.since_usec = clock_now_usec(CLOCK_REALTIME)};
    if (strcmp(change.id, change.host.machine_id) == 0) {
        facts.host = change.host.host_name;
        facts.boot_id = change.host.boot_id;
    }
    LockRequest request = {.kind = LOCK_REQUEST_ACQUIRE, .id = change.id, .facts = &facts};
    return run(access, &request, &change);
}

int verb_unlock(int argc, char **argv, void *context)
{
    Change change = {.what = "Error unlocking", .already = "did not hold the lock"};
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    int exit_code = prepare(argc, argv, context, &access, &change);
    if (exit_code != CTL_DONE)
        return exit_code;
    LockRequest request = {.kind = LOCK_REQUEST_RELEASE, .id = change.id};
    return run(access, &request, &change);
}
