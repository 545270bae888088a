/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/semaphore/lock-change.h"

#include <string.h>

#include "locksmith/lock/lock-name.h"

int lock_change_init(LockChange *change, const LockRequest *request)
{
    change->kind = request->kind;
    change->max = request->max;
    change->id = strdup(request->id ? request->id : "");
    if (!change->id)
        return -ENOMEM;
    if (!request->facts)
        return 0;
    int r = holder_facts_format(request->facts, &change->facts_text);
    if (r < 0) /* read back, the strings are as those of others */
        return r;
    return holder_facts_parse(change->facts_text, strlen(change->facts_text), &change->own_facts);
}

void lock_change_done(LockChange *change)
{
    free(change->id);
    free(change->facts_text);
    holder_facts_done(&change->own_facts);
    semaphore_free(change->semaphore);
    facts_table_free(change->facts);
}

static int take_facts(LockChange *change, const StoreContent *content)
{
    FactsTable *facts = NULL;
    if (content->n_facts == 0 && change->facts)
        return 0;
    int r = facts_table_new(content->facts, content->n_facts, &facts);
    if (r < 0)
        return r;
    facts_table_free(change->facts);
    change->facts = facts;
    return 0;
}

static int take_document(LockChange *change, const StoreContent *content)
{
    Semaphore *semaphore = NULL;
    int r = content->exists ? semaphore_parse(content->document, content->n_bytes, &semaphore,
                                      &change->error)
                            : semaphore_new(&semaphore);
    if (r < 0)
        return r;
    semaphore_free(change->semaphore);
    change->semaphore = semaphore;
    change->exists = content->exists;
    change->revision = content->exists ? content->revision : 0;
    change->old_max = semaphore_max(semaphore);
    return 0;
}

static int apply(LockChange *change, SemaphoreResult *ret_result)
{
    switch (change->kind) {
    case LOCK_REQUEST_ACQUIRE:
        return semaphore_acquire(change->semaphore, change->id, ret_result);
    case LOCK_REQUEST_RELEASE:
        *ret_result = semaphore_release(change->semaphore, change->id);
        return 0;
    case LOCK_REQUEST_SET_MAX:
        *ret_result = semaphore_set_max(change->semaphore, change->max);
        if (!change->exists) /* a person's word makes it, whatever max is without it */
            *ret_result = SEMAPHORE_CHANGED;
        return 0;
    case LOCK_REQUEST_STATUS:
    case LOCK_REQUEST_GROUPS:
        break;
    }
    *ret_result = SEMAPHORE_UNCHANGED;
    return 0;
}

static ChangeVerdict verdict_of(LockChange *change, SemaphoreResult result)
{
    switch (result) {
    case SEMAPHORE_CHANGED:
        return CHANGE_WRITE;
    case SEMAPHORE_FULL:
        return CHANGE_FULL;
    case SEMAPHORE_UNCHANGED:
        break;
    }
    if (change->kind == LOCK_REQUEST_ACQUIRE && change->facts_text)
        lock_report_is_doubted(change->id, &change->own_facts,
                facts_table_find(change->facts, change->id), &change->warning);
    return CHANGE_NOTHING;
}

ChangeVerdict lock_change_take(LockChange *change, const StoreContent *content)
{
    SemaphoreResult result = SEMAPHORE_UNCHANGED;
    change->error.line[0] = change->warning.line[0] = '\0';
    int r = take_document(change, content);
    if (r >= 0)
        r = take_facts(change, content);
    if (r >= 0)
        r = apply(change, &result);
    if (r == -ENOMEM)
        return CHANGE_NO_MEMORY;
    if (r == -E2BIG)
        error_say(&change->error, 0, "the lock has %d holders already, which is all it can have",
                SEMAPHORE_MAX_HOLDERS);
    return r < 0 ? CHANGE_BAD : verdict_of(change, result);
}

int lock_change_swap(const LockChange *change, StoreSwap *ret_swap, char **ret_document)
{
    char *document;
    size_t n_bytes;
    int r = semaphore_format(change->semaphore, &document, &n_bytes);
    if (r < 0)
        return r;
    *ret_swap = (StoreSwap){.revision = change->revision, .document = document, .n_bytes = n_bytes};
    if (change->facts_text) {
        ret_swap->put_facts_of = change->id;
        ret_swap->facts = change->facts_text;
    } else if (lock_name_is_id(change->id)) {
        ret_swap->drop_facts_of = change->id; /* acquire: those of somebody before */
    }
    *ret_document = document;
    return 0;
}
