/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one request makes of the document that the store holds: the decisions of semaphore-call.c,
 * without its waiting. Pure. */

#include "common/error-text.h"
#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/semaphore/lock-report.h"
#include "locksmith/lock/lock-store.h"
#include "locksmith/lock/semaphore/semaphore.h"

typedef struct {
    LockRequestKind kind;
    char *id;              /* all of these are inside */
    char *facts_text;      /* to be left, or NULL */
    HolderFacts own_facts; /* the same, to compare with what lies there */
    int64_t max;

    Semaphore *semaphore; /* as it was read, and changed since; NULL: not read yet */
    FactsTable *facts;    /* of the last reading that had some to tell, or NULL */
    bool exists;
    uint64_t revision; /* to swap against */
    int64_t old_max;
    ErrorText error;   /* of CHANGE_BAD */
    ErrorText warning; /* LockAnswer's */
} LockChange;

typedef enum {
    CHANGE_NOTHING, /* it is as was asked for */
    CHANGE_WRITE,
    CHANGE_FULL,
    CHANGE_BAD, /* no document that can be changed */
    CHANGE_NO_MEMORY,
} ChangeVerdict;

/* Copies the request into a change of zeros; to be released with lock_change_done also on failure.
 * Errors: -ENOMEM. */
int lock_change_init(LockChange *change, const LockRequest *request);
void lock_change_done(LockChange *change);

/* Takes what the store holds now, instead of what was taken before, and changes it. Facts are those
 * of the last content that has some. */
ChangeVerdict lock_change_take(LockChange *change, const StoreContent *content);

/* The swap that writes it. *ret_document is new; ret_swap refers to it and to change.
 * Errors: -ENOMEM. */
int lock_change_swap(const LockChange *change, StoreSwap *ret_swap, char **ret_document);
