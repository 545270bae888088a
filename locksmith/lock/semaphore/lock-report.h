/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a semaphore and the facts that its holders left come to, for people. Pure. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "locksmith/lock/lock-store.h"
#include "locksmith/lock/reboot-lock.h"
#include "locksmith/lock/semaphore/semaphore.h"

/* The facts of one reading of the store, found by id. */
typedef struct FactsTable FactsTable;

/* Facts that cannot be read are left out; so are those beyond SEMAPHORE_MAX_HOLDERS.
 * Errors: -ENOMEM. */
int facts_table_new(const StoreFacts *facts, size_t n_facts, FactsTable **ret_table);
void facts_table_free(FactsTable *table);
DEFINE_CLEANUP(FactsTable *, facts_table_free);
const HolderFacts *facts_table_find(const FactsTable *table, const char *id); /* inside, or NULL */

/* The status of a semaphore; table may be NULL. *ret_holders is new and what ret_status refers to;
 * it refers to semaphore and table in turn. Errors: -ENOMEM. */
int lock_report_status(const Semaphore *semaphore, bool exists, const FactsTable *table,
        LockStatus *ret_status, LockHolder **ret_holders);

/* Why nobody can get in, and who is: for LOCK_FULL. */
void lock_report_full(const LockStatus *status, ErrorText *ret_text);

/* Whether the facts that lie there for id can be of another machine than the one that has own, with
 * the reason for a person: a cloned image has its original's machine id, and both then share one
 * place. Unknown facts say nothing. */
bool lock_report_is_doubted(
        const char *id, const HolderFacts *own, const HolderFacts *found, ErrorText *ret_text);
