/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The cluster's lock as a verb uses it: which one is meant, and one request after another, each run
 * to its end. Blocks for as long as a request's deadline at most (reboot-lock.h). */

#include <stdint.h>

#include "common/cleanup.h"
#include "locksmith/client/ctl-options.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/config/locksmith-config.h"
#include "locksmith/lock/reboot-lock.h"

typedef struct LockAccess LockAccess;

/* Which lock: what options say, and what they leave open as the daemon is configured (update.conf
 * below ROOT, LOCKSMITHD_* in environment). options is borrowed for the access' life.
 * Errors: as locksmith_config_load, always with `error`. */
int lock_access_new(const CtlOptions *options, const char *const *environment,
        LockAccess **ret_access, ErrorText *error);
void lock_access_free(LockAccess *access);
DEFINE_CLEANUP(LockAccess *, lock_access_free);

/* The same for those who have nothing else to do with locksmithd: asks it, and follows it. */
int lock_access_new_as_daemon(const CtlOptions *options, const char *const *environment,
        LockAccess **ret_access, ErrorText *error);

/* Both inside. */
const LocksmithConfig *lock_access_config(const LockAccess *access);
const LockOptions *lock_access_options(const LockAccess *access);

typedef enum {
    LOCK_USE_NONE,         /* this host reboots without, or not at all */
    LOCK_USE_ALWAYS,       /* as configured, or somebody asks for this very lock */
    LOCK_USE_IF_IT_ANSWERS /* best-effort, and nothing but an etcd on this host to go by */
} LockUse;

/* Whether this host takes a lock before it reboots. daemon is locksmithd's own word for it, NULL
 * where it does not run. */
LockUse lock_access_use(const LockAccess *access, const DaemonView *daemon);

/* Where no group was told, locksmithd's counts from now on: its unit may have an environment that
 * we do not see, and to show one group and change another would mislead. daemon may be NULL. */
void lock_access_follow_daemon(LockAccess *access, const DaemonView *daemon);

/* Runs the request about group (NULL: the one that is meant) and hands its answer, whatever its
 * result, to on_answer, inside the call.
 * Errors: -EINVAL with `error` for an id or options that will not do; -ENOMEM, errno of sd-event,
 * both with `error`. on_answer was not called then. */
int lock_access_run(LockAccess *access, const char *group, const LockRequest *request,
        void (*on_answer)(const LockAnswer *answer, void *userdata), void *userdata,
        ErrorText *error);

/* Why it is not LOCK_DONE, for a person; for LOCK_FULL in Go locksmithctl's words and more. */
ErrorText lock_answer_text(const LockAnswer *answer);
