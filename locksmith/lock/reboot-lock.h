/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The cluster's reboot lock of one group, whatever store it lies in: the only thing that the daemon
 * and locksmithctl know of it. Acquire and release are idempotent per id: being a holder already is
 * success, and so is not being one. A write whose answer was lost is read again before anything is
 * said (DESIGN promise 12). Compare failures are retried at once with jitter. No lock expires.
 * Nothing blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/lock/holder-facts.h"
#include "locksmith/lock/lock-options.h"

typedef struct RebootLock RebootLock;
typedef struct LockCall LockCall;
typedef struct LockWatch LockWatch;

typedef enum {
    LOCK_REQUEST_ACQUIRE,
    LOCK_REQUEST_RELEASE, /* takes any id that is not empty */
    LOCK_REQUEST_STATUS,  /* reads; never writes */
    LOCK_REQUEST_GROUPS,
    LOCK_REQUEST_SET_MAX,
} LockRequestKind;

typedef struct {
    LockRequestKind kind;
    const char *id;           /* acquire, release */
    const HolderFacts *facts; /* acquire; NULL: none are left */
    int64_t max;              /* set-max */
} LockRequest;

typedef enum {
    LOCK_DONE,        /* acquire: the id is a holder; release: it is none; the rest: as asked */
    LOCK_FULL,        /* acquire: as many others hold it as may */
    LOCK_UNREACHABLE, /* not now: try again later */
    LOCK_UNKNOWN,     /* the write may have been done, and reading again failed, too: the caller
                       * must treat the id as a holder until a later call says more */
    LOCK_REFUSED,     /* needs a person: authentication, permission, a document that is none */
    LOCK_NOT_OFFERED, /* FleetLock has no such request */
} LockResult;

typedef struct {
    const char *id;
    const HolderFacts *facts; /* NULL: none left */
} LockHolder;

typedef struct {
    int64_t max;
    int64_t available;
    const LockHolder *holders; /* sorted by id */
    size_t n_holders;
    bool exists; /* false: nobody has used the group yet (max is then 1) */
} LockStatus;

typedef struct {
    LockResult result;
    bool was_so_before;        /* LOCK_DONE: nothing had to be written */
    const LockStatus *status;  /* as the call left it; NULL where not known. Gone after on_done. */
    int64_t old_max;           /* set-max */
    const char *const *groups; /* groups: names, "" for the one without a name */
    size_t n_groups;
    const char *error; /* one line: what is wrong and what to do; "" with LOCK_DONE. LOCK_FULL: who
                        * holds it */
    const char *warning; /* acquire: one line when the id held the lock before, and the facts that
                          * lie there may be another machine's with the same id; else "" */
} LockAnswer;

/* Exactly once, never from inside the call that made it, last; freeing the call allowed inside. */
typedef void (*LockDone)(LockCall *call, const LockAnswer *answer, void *userdata);

/* options is borrowed for the call. What HTTP needs is made by the first call: a host that never
 * asks has no libcurl in its memory.
 * Errors: -EINVAL with `error` (lock_options_check, tls_files_check), -ENOMEM, errno of the files
 * with `error`. */
int reboot_lock_new(
        sd_event *event, const LockOptions *options, RebootLock **ret_lock, ErrorText *error);
/* To be called before the first request: this host has seen the group's semaphore in this store
 * (LockStatus.exists), so that one that is not there is lost and not new. Then acquiring is
 * LOCK_REFUSED until a person has made it again (set-max): who was in it may still be rebooting.
 * What is seen through this lock it remembers itself. Without weight with FleetLock. */
void reboot_lock_expect_document(RebootLock *lock);
void reboot_lock_free(RebootLock *lock); /* after all its calls and watches */
DEFINE_CLEANUP(RebootLock *, reboot_lock_free);

/* request is borrowed for the call that makes it; the lock must outlive it. One deadline, 30 s,
 * holds each call together.
 * Errors: -ENOMEM, -EINVAL for an id that will not do (lock_name_is_id) or a negative max, errno of
 * sd-event. */
int lock_call_new(RebootLock *lock, const LockRequest *request, LockDone on_done, void *userdata,
        LockCall **ret_call);
void lock_call_free(LockCall *call); /* cancels; a write may have been done all the same */
DEFINE_CLEANUP(LockCall *, lock_call_free);

/* Calls on_change when acquiring is worth a try again: the semaphore changed, or a jittered poll is
 * due behind a watch that may have missed something. To be made after LOCK_FULL. */
int lock_watch_new(
        RebootLock *lock, void (*on_change)(void *userdata), void *userdata, LockWatch **ret_watch);
void lock_watch_free(LockWatch *watch);
DEFINE_CLEANUP(LockWatch *, lock_watch_free);
