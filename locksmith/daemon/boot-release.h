/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* After a boot, in this order: it is declared good (conditions/boot-gate.h), post-boot.d ends well,
 * and the lock that this host may hold from before goes back. Each of them is waited for and tried
 * again for as long as it takes; a host that does not come up well keeps the lock. Nothing blocks
 * but fork. */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "locksmith/conditions/boot-gate.h"
#include "locksmith/daemon/lock-keeper.h"

typedef struct BootRelease BootRelease;

typedef enum {
    BOOT_RELEASE_WAITING, /* not declared good yet */
    BOOT_RELEASE_CHECK,   /* the delay or the check command runs */
    BOOT_RELEASE_HOOKS,
    BOOT_RELEASE_RETRYING, /* gives the lock back */
    BOOT_RELEASE_DONE,
} BootReleaseStage;

const char *boot_release_stage_name(BootReleaseStage stage); /* LOCKSMITH_RELEASE_* */

typedef struct {
    const char *root; /* "" for "/" */
    BootGateOptions gate;
    uint64_t hook_timeout_usec;
    LockKeeper *keeper; /* kept; NULL: there is no lock to give back */
} BootReleaseOptions;

/* options and its strings must live as long as the release does. on_change: stage or text is
 * another; never from inside _new; freeing it inside is allowed. Without a bus at first.
 * Errors: -ENOMEM, errno of sd-event. */
int boot_release_new(sd_event *event, const BootReleaseOptions *options,
        void (*on_change)(void *userdata), void *userdata, BootRelease **ret_release);
void boot_release_free(BootRelease *release);
DEFINE_CLEANUP(BootRelease *, boot_release_free);

/* The bus is there (referenced), or gone: NULL. */
void boot_release_set_bus(BootRelease *release, sd_bus *bus);

/* The options have changed: what is waited for is waited for anew. */
void boot_release_reconfigure(BootRelease *release);

/* The keeper has something new to say. */
void boot_release_on_keeper(BootRelease *release);

/* The lock is wanted for another reboot: it is not given back here any more. */
void boot_release_keep_lock(BootRelease *release);
/* It is not, before BOOT_RELEASE_RETRYING was reached: it is to be given back here, by the keeper
 * in the options. */
void boot_release_take_lock(BootRelease *release);

typedef struct {
    BootReleaseStage stage;
    bool is_busy;     /* check command or hooks are running */
    const char *text; /* one line; inside, until the next turn of the loop */
} BootReleaseFacts;
BootReleaseFacts boot_release_facts(const BootRelease *release);
