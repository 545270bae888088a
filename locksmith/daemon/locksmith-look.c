/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/log.h"
#include "locksmith/daemon/hook-words.h"
#include "locksmith/daemon/locksmith-private.h"

/* Looking again, before each step that cannot be taken back: update-engine and logind are asked
 * anew, because neither signals everything; the lock, where it is held; and then reboot-check.d.
 * The facts that come back are judged by the plan, as always. */

static void next(Locksmith *locksmith, LookStage stage);

static void on_update(void *userdata)
{
    Locksmith *locksmith = userdata;
    if (locksmith->look == LOOK_UPDATE)
        next(locksmith, LOOK_LOGIND);
}

static void on_logind(void *userdata)
{
    Locksmith *locksmith = userdata;
    if (locksmith->look == LOOK_LOGIND)
        next(locksmith, LOOK_LOCK);
}

static void on_lock(bool is_held, void *userdata)
{
    Locksmith *locksmith = userdata;
    if (locksmith->look != LOOK_LOCK)
        return;
    if (is_held)
        next(locksmith, LOOK_HOOKS);
    else
        locksmith_fail(locksmith, "the lock is not certain any more",
                lock_keeper_facts(locksmith->keeper).text);
}

static void pass(Locksmith *locksmith)
{
    locksmith->look = LOOK_NOTHING;
    locksmith->check = RUN_PASSED;
    locksmith_touch(locksmith);
}

static void on_hooks(
        HookRun *run, HooksResult result, const char *name, const char *text, void *userdata)
{
    (void)run;
    (void)name;
    Locksmith *locksmith = userdata;
    char copy[sizeof(locksmith->refusal)];
    snprintf(copy, sizeof(copy), "%s", text);
    hook_run_free(TAKE_PTR(locksmith->hook_run));
    if (result == HOOKS_DONE)
        pass(locksmith);
    else
        locksmith_fail(locksmith, "reboot-check.d", copy);
}

int locksmith_run_hooks(Locksmith *locksmith, const char *kind, const char *event,
        void (*on_done)(HookRun *run, HooksResult result, const char *name, const char *text,
                void *userdata))
{
    HookWords words;
    hook_words_fill(&words, event, locksmith->version, locksmith_trigger_name(locksmith->trigger));
    HookRunOptions options = {
            .root = locksmith->options->root,
            .kind = kind,
            .environment = words.list,
            .timeout_usec = locksmith->config->hook_timeout_usec,
    };
    hook_run_free(TAKE_PTR(locksmith->hook_run));
    return hook_run_new(locksmith->event, &options, on_done, locksmith, &locksmith->hook_run);
}

static int begin(Locksmith *locksmith, LookStage stage)
{
    switch (stage) {
    case LOOK_NOTHING:
        return 0;
    case LOOK_UPDATE:
        return locksmith->update ? update_signal_refresh(locksmith->update, on_update) : -ENOTCONN;
    case LOOK_LOGIND:
        return locksmith->logind ? logind_refresh(locksmith->logind, on_logind) : -ENOTCONN;
    case LOOK_LOCK:
        /* Where none is needed any more, its store may be gone for good. */
        if (locksmith->need != NEED_NO_LOCK && locksmith->keeper &&
                lock_keeper_facts(locksmith->keeper).holds == HOLDS_YES &&
                !locksmith->is_lock_from_before)
            lock_keeper_verify(locksmith->keeper, on_lock, locksmith);
        else
            next(locksmith, LOOK_HOOKS);
        return 0;
    case LOOK_HOOKS:
        if (!locksmith->skips_hooks)
            return locksmith_run_hooks(locksmith, "reboot-check", HOOK_EVENT_CHECK, on_hooks);
        pass(locksmith);
        return 0;
    }
    return -EINVAL;
}

static void next(Locksmith *locksmith, LookStage stage)
{
    locksmith->look = stage;
    int r = begin(locksmith, stage);
    if (r < 0)
        locksmith_fail(locksmith, "cannot look again before the reboot", strerror(-r));
}

void locksmith_look(Locksmith *locksmith)
{
    locksmith->check = RUN_UNDER_WAY;
    next(locksmith, LOOK_UPDATE);
}

void locksmith_stop_looking(Locksmith *locksmith)
{
    if (locksmith->look == LOOK_HOOKS)
        hook_run_free(TAKE_PTR(locksmith->hook_run));
    if (locksmith->look == LOOK_LOCK)
        lock_keeper_verify(locksmith->keeper, NULL, NULL);
    locksmith->look = LOOK_NOTHING;
    locksmith->check = RUN_NOT_YET;
}
