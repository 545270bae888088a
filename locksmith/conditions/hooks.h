/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The administrator's programs around a reboot, one after another in the order of their names:
 *
 *   reboot-check.d  before the lock is asked for and again right before the reboot: may it be? They
 *                   must change nothing (is the cluster healthy?)
 *   pre-reboot.d    with the lock held: drain, take out of the load balancer
 *   post-boot.d     after the boot was declared good and before the lock is given back; also when a
 *                   reboot for which pre-reboot.d ran does not take place (LOCKSMITH_EVENT tells)
 *
 * below /etc/locksmith and /usr/lib/locksmith; /etc's file goes before one of the same name, and a
 * link to /dev/null masks it. Exit status 0: go on. Another one is a veto. A hook that does not end
 * in time is ended with its process group, and counts as a veto. Output goes to the log, a line
 * each, named after the hook.
 *
 * A hook gets its kind as its one argument, and in its environment, beside the daemon's own:
 *   LOCKSMITH_HOOK      its kind: reboot-check, pre-reboot, post-boot
 *   LOCKSMITH_EVENT and others as the caller says, see locksmithd(8)
 *
 * Files whose names begin with a dot or README, or end as editors' and packages' copies do (~,
 * .bak, .orig, .rej, .sample, .swp, .dpkg-*, .rpm*, .ucf-*), are no hooks. A hook that is no
 * regular executable file, belongs to another user than root and us, or can be written by group or
 * others, itself or its folder, is refused: nothing is run then, and the result is
 * HOOKS_FAILED. */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct HookRun HookRun;

typedef enum {
    HOOKS_DONE, /* all, or there are none */
    HOOKS_VETO,
    HOOKS_TIMED_OUT,
    HOOKS_FAILED, /* one is refused or could not be started, or a folder not be read */
} HooksResult;

typedef struct {
    const char *root;               /* stands for "/", "" for it; hooks are not chrooted */
    const char *kind;               /* "reboot-check", "pre-reboot", "post-boot" */
    const char *const *environment; /* NAME=value beside the daemon's own; ends with NULL */
    uint64_t timeout_usec;          /* of each hook */
} HookRunOptions;

/* options is borrowed for the call. on_done: once, never from inside _new, last; name is the hook
 * that decided ("" with HOOKS_DONE), text one line for a person. Nothing blocks but fork.
 * Errors: -ENOMEM, errno of sd-event. */
int hook_run_new(sd_event *event, const HookRunOptions *options,
        void (*on_done)(HookRun *run, HooksResult result, const char *name, const char *text,
                void *userdata),
        void *userdata, HookRun **ret_run);

/* Ends the hook that runs, with its process group, without waiting for that: SIGTERM now, SIGKILL
 * later from the event loop. on_done is not called any more. */
void hook_run_free(HookRun *run);
DEFINE_CLEANUP(HookRun *, hook_run_free);
