/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The cluster's lock as the daemon wants it: asked for, or given back, for as long as it takes, and
 * what this host knows of it. One request at a time, and none is cut short while the keeper lives:
 * what was sent may still be done. Nothing blocks. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/daemon/plan/reboot-facts.h"
#include "locksmith/lock/lock-options.h"

typedef struct LockKeeper LockKeeper;

typedef enum {
    LOCK_WANT_NOTHING, /* what is, stays */
    LOCK_WANT_HELD,
    LOCK_WANT_FREE,
} LockWant;

typedef struct {
    const char *id;   /* who holds it */
    const char *host; /* the host's name and boot, for the others to see */
    const char *boot_id;
    HoldState holds;           /* what is known at the start */
    bool is_document_expected; /* reboot_lock_expect_document() */
    bool is_cut_short; /* a daemon of this boot was killed: its last request may still be done */
} LockKeeperOptions;

/* options and lock are borrowed for the call. on_change: holds, text or the time is another; never
 * from inside a call; freeing the keeper inside is allowed. The store is not spoken to before
 * something is wanted. Errors: as reboot_lock_new. */
int lock_keeper_new(sd_event *event, const LockOptions *lock, const LockKeeperOptions *options,
        void (*on_change)(void *userdata), void *userdata, LockKeeper **ret_keeper,
        ErrorText *error);
void lock_keeper_free(LockKeeper *keeper);
DEFINE_CLEANUP(LockKeeper *, lock_keeper_free);

/* version: that the host reboots into, for the others to see; "" not known. */
void lock_keeper_want(LockKeeper *keeper, LockWant want, const char *version);

/* Nothing was wanted yet, and it may be held. */
void lock_keeper_doubt(LockKeeper *keeper);

/* Asks the store whether it is still held, because admins take locks away; to be called with
 * HOLDS_YES and LOCK_WANT_HELD. on_done: once, never from inside; not held or not to be found out
 * comes with a text in the facts. A second call takes the place of the first, and so does NULL. */
void lock_keeper_verify(
        LockKeeper *keeper, void (*on_done)(bool is_held, void *userdata), void *userdata);

typedef struct {
    HoldState holds;
    bool is_busy;              /* a request is under way */
    uint64_t next_uptime_usec; /* CLOCK_BOOTTIME of the next try, 0 none */
    unsigned n_failures;       /* one after another; being full is none */
    bool has_seen_document;    /* the group\'s semaphore is in the store */
    const char *text;          /* why it is not as wanted, one line; "" nothing to say; inside */
} LockKeeperFacts;
LockKeeperFacts lock_keeper_facts(const LockKeeper *keeper);
