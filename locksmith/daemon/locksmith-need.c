/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "locksmith/daemon/locksmith-private.h"

/* Whether a reboot needs the cluster's lock. The other strategies say so themselves; best-effort
 * asks when it is needed. Once it has come to the lock it stays with it: an etcd that went away is
 * not a cluster that is none. */

#define RETRY_MIN_USEC (10 * USEC_PER_SEC)
#define RETRY_MAX_USEC (5 * USEC_PER_MINUTE)

_printf_(3, 4) static void set_need(Locksmith *locksmith, LockNeed need, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(locksmith->need_text, sizeof(locksmith->need_text), format, arguments);
    va_end(arguments);
    locksmith->need = need;
}

void locksmith_reset_need(Locksmith *locksmith)
{
    const LocksmithConfig *config = locksmith->config;
    local_etcd_free(TAKE_PTR(locksmith->local_etcd));
    locksmith->need_timer = sd_event_source_disable_unref(locksmith->need_timer);
    locksmith->need_next_uptime_usec = 0;
    switch (config->strategy) {
    case STRATEGY_ETCD_LOCK:
    case STRATEGY_FLEET_LOCK:
        set_need(locksmith, NEED_LOCK, "%s", reboot_strategy_name(config->strategy));
        return;
    case STRATEGY_REBOOT:
    case STRATEGY_OFF:
        set_need(locksmith, NEED_NO_LOCK, "%s", reboot_strategy_name(config->strategy));
        return;
    case STRATEGY_BEST_EFFORT:
        break;
    case STRATEGY_N:
        return;
    }
    if (config->endpoints_are_set)
        set_need(locksmith, NEED_LOCK, "etcd-lock: best-effort, and LOCKSMITHD_ENDPOINT is set");
    else if (locksmith->need != NEED_LOCK)
        set_need(locksmith, NEED_UNDECIDED, "%s", "");
}

void locksmith_remember_need(Locksmith *locksmith)
{
    if (locksmith->config->strategy == STRATEGY_BEST_EFFORT && locksmith->need != NEED_LOCK)
        set_need(locksmith, NEED_LOCK, "etcd-lock: best-effort, and this host may hold the lock");
}

static int on_need_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Locksmith *locksmith = userdata;
    locksmith->need_next_uptime_usec = 0;
    set_need(locksmith, NEED_UNDECIDED, "%s", "");
    locksmith_touch(locksmith);
    return 0;
}

static void ask_again(Locksmith *locksmith, const char *text)
{
    set_need(locksmith, NEED_UNCLEAR, "best-effort: %s", text);
    uint64_t wait = backoff_usec(++locksmith->n_unclear, RETRY_MIN_USEC, RETRY_MAX_USEC);
    wait = backoff_jitter_usec(wait, wait / 4, random_uint64());
    locksmith->need_next_uptime_usec = clock_now_usec(CLOCK_BOOTTIME) + wait;
    locksmith->need_timer = sd_event_source_disable_unref(locksmith->need_timer);
    int r = sd_event_add_time(locksmith->event, &locksmith->need_timer, CLOCK_BOOTTIME,
            locksmith->need_next_uptime_usec, 0, on_need_timer, locksmith);
    if (r < 0)
        log_error("cannot plan to ask for a local etcd again: %s", strerror(-r));
    if (locksmith->n_unclear == 1)
        locksmith_complain(locksmith, "best-effort waits", text);
}

static void on_asked(LocalEtcd *etcd, LocalEtcdResult result, const char *text, void *userdata)
{
    (void)etcd;
    Locksmith *locksmith = userdata;
    switch (result) {
    case LOCAL_ETCD_ANSWERS:
        set_need(locksmith, NEED_LOCK, "etcd-lock: best-effort, and %s", text);
        break;
    case LOCAL_ETCD_REFUSED:
        set_need(locksmith, NEED_NO_LOCK,
                "reboot: best-effort, LOCKSMITHD_ENDPOINT is not set, "
                "and %s",
                text);
        break;
    case LOCAL_ETCD_UNCLEAR:
        ask_again(locksmith, text);
        break;
    }
    if (result != LOCAL_ETCD_UNCLEAR) {
        locksmith->n_unclear = 0;
        log_notice("decided: %s", locksmith->need_text);
    }
    local_etcd_free(TAKE_PTR(locksmith->local_etcd));
    locksmith_touch(locksmith);
}

void locksmith_decide_need(Locksmith *locksmith)
{
    const char *url = locksmith->config->lock.endpoints[0];
    set_need(locksmith, NEED_ASKING, "best-effort: asks whether an etcd answers at %s", url);
    int r = local_etcd_new(locksmith->event, url, on_asked, locksmith, &locksmith->local_etcd);
    if (r < 0) {
        ErrorText text;
        error_say(&text, r, "cannot ask %s: %s", url, strerror(-r));
        ask_again(locksmith, text.line);
    }
}
