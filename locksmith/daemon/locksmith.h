/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon's heart: gathers the facts, has reboot-plan.h decide, and does what it says, one step
 * at a time. Outlives every bus and every store; it ends with its process alone, and never gives
 * the lock back because it ends: the reboot itself ends it. Nothing blocks but small files and
 * fork. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/daemon/plan/reboot-plan.h"

typedef struct Locksmith Locksmith;

typedef struct {
    const char *root;               /* stands for "/", "" for it */
    const char *machine_id;         /* NULL: as the root folder says */
    const char *boot_id;            /* NULL: as the root folder or the kernel says */
    const char *const *environment; /* of the configuration, as environ; kept */
} LocksmithOptions;

/* options and its strings must live as long as the object. on_status: something in the status is
 * another; never from inside a call; freeing the object inside is not allowed. There is no bus at
 * first.
 * Errors: -EINVAL with `error`: the configuration; -EBUSY with `error`: another program coordinates
 * reboots here; -ENOMEM, errno with `error`. */
int locksmith_new(sd_event *event, const LocksmithOptions *options,
        void (*on_status)(void *userdata), void *userdata, Locksmith **ret_locksmith,
        ErrorText *error);
void locksmith_free(Locksmith *locksmith);
DEFINE_CLEANUP(Locksmith *, locksmith_free);

/* The bus (referenced, attached to the loop by its owner) is there, or gone: NULL. Everything that
 * lives on it is made anew. */
void locksmith_set_bus(Locksmith *locksmith, sd_bus *bus);

/* As in locksmith-bus.h; all strings inside, printable, until the next turn of the loop. */
typedef struct {
    const char *state;
    const char *text;
    uint64_t since_usec;
    uint64_t next_usec;
    const char *strategy;
    const char *decision;
    const char *group;
    const char *store;
    const char *holds;
    const char *release;
    const char *release_text;
    const char *version;
    const char *trigger;
    uint64_t paused_until_usec;
    const char *last_error;
    uint64_t last_error_usec;
    const RebootCondition *conditions; /* CONDITION_N */
} LocksmithStatus;
void locksmith_status(const Locksmith *locksmith, LocksmithStatus *ret_status);

/* What a person asks for. The text of an answer other than LOCKSMITH_DONE is in error. */
typedef enum { LOCKSMITH_DONE, LOCKSMITH_NOTHING_TO_DO, LOCKSMITH_FAILED } LocksmithAnswer;

LocksmithAnswer locksmith_pause(
        Locksmith *locksmith, uint64_t until_usec, const char *why, ErrorText *error);
LocksmithAnswer locksmith_resume(Locksmith *locksmith, ErrorText *error);
LocksmithAnswer locksmith_reboot_now(Locksmith *locksmith, bool skips_hooks, ErrorText *error);
LocksmithAnswer locksmith_need_reboot(Locksmith *locksmith, ErrorText *error);
LocksmithAnswer locksmith_approve(
        Locksmith *locksmith, uint64_t until_usec, const char *version, ErrorText *error);
LocksmithAnswer locksmith_withdraw_approval(Locksmith *locksmith, ErrorText *error);
/* A configuration that is wrong changes nothing. */
LocksmithAnswer locksmith_reload(Locksmith *locksmith, ErrorText *error);
