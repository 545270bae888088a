/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What update.conf and the environment say of locksmith. The same two files as update-engine's
 * (/etc/OS/update.conf before /usr/share/OS/update.conf), per key the environment before both, as
 * systemd's EnvironmentFile= would have it; of the files only REBOOT_STRATEGY, REBOOT_WINDOW_* and
 * LOCKSMITHD_* are looked at, the rest is update-engine's. An empty value is one that is not set.
 * Checked as a whole (promise 14). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/lock/lock-options.h"
#include "locksmith/window/reboot-calendar.h"

typedef enum {
    STRATEGY_BEST_EFFORT, /* the default */
    STRATEGY_REBOOT,
    STRATEGY_ETCD_LOCK,
    STRATEGY_FLEET_LOCK,
    STRATEGY_OFF,
    STRATEGY_N,
} RebootStrategy;

/* All pointers are inside. */
typedef struct {
    RebootStrategy strategy;
    /* The lock's options as configured; endpoints_are_set tells the default from a person's word:
     * best-effort then knows that a cluster is meant. With the strategies reboot and off it is the
     * store that would be used, so that a lock from before can be given back. */
    LockOptions lock;
    bool endpoints_are_set;
    const char *id;                 /* LOCKSMITHD_ID, who asks for the lock; "": the machine id */
    RebootCalendarOptions calendar; /* all inside but spread_seed, which the caller knows */
    uint64_t login_grace_usec;      /* LOCKSMITHD_LOGIN_GRACE, 5 min; 0: nobody is asked */
    uint64_t min_uptime_usec;       /* LOCKSMITHD_MIN_UPTIME, 0 */
    bool needs_approval;            /* LOCKSMITHD_APPROVAL=yes|no, no */
    bool is_reboot_required_read;   /* LOCKSMITHD_REBOOT_REQUIRED=yes|no, no */
    uint64_t hook_timeout_usec;     /* LOCKSMITHD_HOOK_TIMEOUT, 5 min */
    uint64_t reboot_timeout_usec;   /* LOCKSMITHD_REBOOT_TIMEOUT, 10 min: from logind's yes to the
                                     * end of this process */
    uint64_t release_delay_usec;    /* LOCKSMITHD_RELEASE_DELAY, 0: after boot-complete.target */
    bool waits_for_boot_complete;   /* LOCKSMITHD_WAIT_BOOT_COMPLETE=yes|no, yes */
    const char *health_check;       /* LOCKSMITHD_HEALTH_CHECK, a command for /bin/sh, "" none */
    uint64_t lock_warning_usec;     /* LOCKSMITHD_LOCK_WARNING, 24 h: waiting for the lock longer
                                     * is told as an error each such time; never 0 */
} LocksmithConfig;

const char *reboot_strategy_name(RebootStrategy strategy);

/* root_fd: the folder that stands for "/" of the two files; the certificates' paths are taken as
 * they are, because libcurl takes them so. Those must be there; whether they can be read and are
 * any good is told by who uses them, so that a person without rights can ask for the rest.
 * environment: as environ, ends with NULL; NULL: none. It is not used after the call. The first
 * call of a process comes before its threads, because of time zones (time-zone.h).
 * Blocks as reading two small files does.
 * Errors: -EINVAL with `error` that names file and line (or "environment") and what would do,
 * -ENOMEM, errno of reading with `error`. */
int locksmith_config_load(int root_fd, const char *const *environment, LocksmithConfig **ret_config,
        ErrorText *error);
void locksmith_config_free(LocksmithConfig *config);
DEFINE_CLEANUP(LocksmithConfig *, locksmith_config_free);
