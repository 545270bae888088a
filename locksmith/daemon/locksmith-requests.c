/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "locksmith/daemon/locksmith-private.h"

/* What a person asks for. Words that must outlive the daemon are files; the plan reads them. */

static LocksmithAnswer answer(Locksmith *locksmith, int r)
{
    locksmith_touch(locksmith);
    return r < 0 ? LOCKSMITH_FAILED : LOCKSMITH_DONE;
}

LocksmithAnswer locksmith_pause(
        Locksmith *locksmith, uint64_t until_usec, const char *why, ErrorText *error)
{
    if (until_usec <= clock_now_usec(CLOCK_REALTIME)) {
        error_say(error, 0, "the end of the pause has passed");
        return LOCKSMITH_FAILED;
    }
    /* The later word of a person counts. */
    locksmith->is_reboot_now = locksmith->skips_hooks = false;
    return answer(locksmith, pause_write(locksmith->root_fd, until_usec, why, error));
}

LocksmithAnswer locksmith_resume(Locksmith *locksmith, ErrorText *error)
{
    PersonsWord pause = {};
    int r = pause_read(locksmith->root_fd, clock_now_usec(CLOCK_REALTIME), &pause, NULL);
    if (r >= 0 && pause.state == WORD_MISSING) {
        error_say(error, 0, "not paused");
        return LOCKSMITH_NOTHING_TO_DO;
    }
    return answer(locksmith, pause_remove(locksmith->root_fd, error));
}

LocksmithAnswer locksmith_reboot_now(Locksmith *locksmith, bool skips_hooks, ErrorText *error)
{
    if (locksmith->config->strategy == STRATEGY_OFF) {
        error_say(error, 0, "the strategy is off: 'systemctl reboot' reboots without locksmith");
        return LOCKSMITH_FAILED;
    }
    if (locksmith->trigger == TRIGGER_UNKNOWN || locksmith->trigger == TRIGGER_NONE) {
        error_say(error, 0,
                "no update waits for a reboot; 'locksmithctl send-need-reboot' asks "
                "for one without");
        return LOCKSMITH_NOTHING_TO_DO;
    }
    log_notice("a person asks for the reboot now%s", skips_hooks ? ", without hooks" : "");
    locksmith->is_reboot_now = true;
    locksmith->skips_hooks = skips_hooks;
    locksmith_forgive(locksmith);
    return answer(locksmith, 0);
}

LocksmithAnswer locksmith_need_reboot(Locksmith *locksmith, ErrorText *error)
{
    if (locksmith->config->strategy == STRATEGY_OFF) {
        error_say(error, 0, "the strategy is off: 'systemctl reboot' reboots without locksmith");
        return LOCKSMITH_FAILED;
    }
    if (locksmith->trigger == TRIGGER_UNKNOWN || locksmith->trigger == TRIGGER_NONE)
        locksmith->is_needed_by_person = true;
    return answer(locksmith, 0);
}

LocksmithAnswer locksmith_approve(
        Locksmith *locksmith, uint64_t until_usec, const char *version, ErrorText *error)
{
    return answer(locksmith, approval_write(locksmith->root_fd, until_usec, version, error));
}

LocksmithAnswer locksmith_withdraw_approval(Locksmith *locksmith, ErrorText *error)
{
    PersonsWord approval = {};
    int r = approval_read(locksmith->root_fd, clock_now_usec(CLOCK_REALTIME), &approval, NULL);
    if (r >= 0 && approval.state == WORD_MISSING) {
        error_say(error, 0, "nothing is approved");
        return LOCKSMITH_NOTHING_TO_DO;
    }
    return answer(locksmith, approval_remove(locksmith->root_fd, error));
}

LocksmithAnswer locksmith_reload(Locksmith *locksmith, ErrorText *error)
{
    int r = locksmith_load(locksmith, error);
    if (r < 0) {
        locksmith_complain(locksmith, "the configuration stays as it was",
                error->line[0] ? error->line : strerror(-r));
        return LOCKSMITH_FAILED;
    }
    log_notice("has read the configuration again: strategy %s",
            reboot_strategy_name(locksmith->config->strategy));
    locksmith_forgive(locksmith);
    return answer(locksmith, 0);
}
