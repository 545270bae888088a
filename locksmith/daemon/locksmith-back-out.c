/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/log.h"
#include "locksmith/daemon/hook-words.h"
#include "locksmith/daemon/locksmith-private.h"

/* Going back from a reboot that was under way: what pre-reboot.d did is undone by post-boot.d, and
 * then the lock goes back, for as long as that takes. Only then is a reboot thought of again. */

static void finish(Locksmith *locksmith)
{
    log_notice("gone back: %s", locksmith->back_out_text);
    locksmith->is_backing_out = false;
    locksmith->back_out_text[0] = '\0';
    locksmith_start_over(locksmith);
    locksmith_touch(locksmith);
}

/* A lock from before that was wanted for another reboot: a boot that was not declared good keeps
 * it, as if nothing had been tried. */
static bool give_to_release(Locksmith *locksmith)
{
    if (!locksmith->is_owed_to_boot || locksmith->is_lock_from_before ||
            lock_keeper_facts(locksmith->keeper).holds == HOLDS_NO)
        return false;
    switch (boot_release_facts(locksmith->release).stage) {
    case BOOT_RELEASE_WAITING:
    case BOOT_RELEASE_CHECK:
    case BOOT_RELEASE_HOOKS:
        break;
    case BOOT_RELEASE_RETRYING:
    case BOOT_RELEASE_DONE:
        return false;
    }
    lock_keeper_want(locksmith->keeper, LOCK_WANT_NOTHING, "");
    locksmith->is_lock_from_before = locksmith->is_place_known = true;
    locksmith->is_owed_to_boot = false;
    locksmith->release_options.keeper = locksmith->keeper;
    boot_release_take_lock(locksmith->release);
    log_notice("the lock is kept until this boot is declared good");
    return true;
}

void locksmith_back_out_further(Locksmith *locksmith)
{
    if (locksmith->hook_run)
        return;
    if (locksmith->keeper && locksmith->release && give_to_release(locksmith)) {
        finish(locksmith);
        return;
    }
    LockKeeper *keeper = locksmith->is_lock_from_before ? NULL : locksmith->keeper;
    if (keeper) {
        lock_keeper_want(keeper, LOCK_WANT_FREE, "");
        if (lock_keeper_facts(keeper).holds != HOLDS_NO)
            return;
    }
    if (locksmith->note.may_hold && !locksmith->is_lock_from_before) {
        locksmith->note.may_hold = false;
        locksmith_save_note(locksmith);
    }
    finish(locksmith);
}

static void on_hooks(
        HookRun *run, HooksResult result, const char *name, const char *text, void *userdata)
{
    (void)run;
    (void)name;
    Locksmith *locksmith = userdata;
    /* The host is as well as it was before: nobody else has to wait for it. */
    if (result != HOOKS_DONE)
        locksmith_complain(locksmith, "post-boot.d", text);
    hook_run_free(TAKE_PTR(locksmith->hook_run));
    locksmith->hooks = RUN_NOT_YET;
    locksmith->note.has_begun_hooks = false;
    locksmith_save_note(locksmith);
    locksmith_back_out_further(locksmith);
    locksmith_touch(locksmith);
}

void locksmith_back_out(Locksmith *locksmith, const char *reason)
{
    snprintf(locksmith->back_out_text, sizeof(locksmith->back_out_text), "%s", reason);
    log_notice("goes back: %s", reason);
    locksmith->is_backing_out = true;
    locksmith_stop_looking(locksmith);
    hook_run_free(TAKE_PTR(locksmith->hook_run));
    logind_reboot_free(TAKE_PTR(locksmith->reboot));
    locksmith->logind_stage = LOGIND_NOT_ASKED;
    if (locksmith->hooks != RUN_NOT_YET) {
        int r = locksmith_run_hooks(locksmith, "post-boot", HOOK_EVENT_CANCELLED, on_hooks);
        if (r < 0)
            locksmith_complain(locksmith, "post-boot.d", strerror(-r));
        else
            return;
        locksmith->hooks = RUN_NOT_YET;
        locksmith->note.has_begun_hooks = false;
    }
    locksmith_back_out_further(locksmith);
}
