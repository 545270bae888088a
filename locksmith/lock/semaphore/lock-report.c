/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/semaphore/lock-report.h"

#include <inttypes.h>
#include <string.h>

#define MAX_NAMED_HOLDERS 3

/* facts by id */

typedef struct {
    char *id;
    HolderFacts facts;
} Entry;

struct FactsTable {
    Entry *entries; /* sorted by id */
    size_t n_entries;
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->id, ((const Entry *)b)->id);
}

int facts_table_new(const StoreFacts *facts, size_t n_facts, FactsTable **ret_table)
{
    _cleanup_(facts_table_freep) FactsTable *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    size_t n = MIN(n_facts, (size_t)SEMAPHORE_MAX_HOLDERS);
    table->entries = calloc(MAX(n, (size_t)1), sizeof(*table->entries));
    if (!table->entries)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        Entry *entry = table->entries + table->n_entries;
        int r = holder_facts_parse(facts[i].text, facts[i].n_bytes, &entry->facts);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            continue;
        table->n_entries++;
        entry->id = strdup(facts[i].id);
        if (!entry->id)
            return -ENOMEM;
    }
    qsort(table->entries, table->n_entries, sizeof(*table->entries), compare_entries);
    *ret_table = TAKE_PTR(table);
    return 0;
}

void facts_table_free(FactsTable *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_entries; i++) {
        free(table->entries[i].id);
        holder_facts_done(&table->entries[i].facts);
    }
    free(table->entries);
    free(table);
}

const HolderFacts *facts_table_find(const FactsTable *table, const char *id)
{
    if (!table)
        return NULL;
    size_t low = 0, high = table->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->entries[middle].id, id);
        if (order == 0)
            return &table->entries[middle].facts;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* status */

int lock_report_status(const Semaphore *semaphore, bool exists, const FactsTable *table,
        LockStatus *ret_status, LockHolder **ret_holders)
{
    size_t n = semaphore_n_holders(semaphore);
    LockHolder *holders = calloc(MAX(n, (size_t)1), sizeof(*holders));
    if (!holders)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        holders[i].id = semaphore_holder(semaphore, i);
        holders[i].facts = facts_table_find(table, holders[i].id);
    }
    *ret_status = (LockStatus){
            .max = semaphore_max(semaphore),
            .available = semaphore_available(semaphore),
            .holders = holders,
            .n_holders = n,
            .exists = exists,
    };
    *ret_holders = holders;
    return 0;
}

static size_t name_holder(char *text, size_t n_bytes, const LockHolder *holder)
{
    bool has_host = holder->facts && holder->facts->host[0] != '\0';
    int n = has_host ? snprintf(text, n_bytes, "%.64s (%.64s)", holder->id, holder->facts->host)
                     : snprintf(text, n_bytes, "%.64s", holder->id);
    return MIN((size_t)MAX(n, 0), n_bytes - 1);
}

void lock_report_full(const LockStatus *status, ErrorText *ret_text)
{
    char names[MAX_NAMED_HOLDERS * 140] = "";
    size_t used = 0;
    if (status->max <= 0) {
        error_say(ret_text, 0,
                "the group's lock is closed to all: its max is %" PRId64
                "; locksmithctl set-max opens it",
                status->max);
        return;
    }
    size_t n_named = MIN(status->n_holders, (size_t)MAX_NAMED_HOLDERS);
    for (size_t i = 0; i < n_named; i++) {
        if (i > 0)
            used += (size_t)snprintf(names + used, sizeof(names) - used, ", ");
        used += name_holder(names + used, sizeof(names) - used, status->holders + i);
    }
    if (n_named < status->n_holders)
        snprintf(names + used, sizeof(names) - used, " and %zu more", status->n_holders - n_named);
    error_say(ret_text, 0, "the lock is held by %s; at most %" PRId64 " may", names, status->max);
}

static bool differ(const char *a, const char *b)
{
    return a && b && a[0] != '\0' && b[0] != '\0' && strcmp(a, b) != 0;
}

bool lock_report_is_doubted(
        const char *id, const HolderFacts *own, const HolderFacts *found, ErrorText *ret_text)
{
    if (!own || !found)
        return false;
    if (differ(own->host, found->host)) {
        error_say(ret_text, 0,
                "the lock is held under this machine's id %.64s by host %.64s: if that is another "
                "machine, both share one place; give one of them another id",
                id, found->host);
        return true;
    }
    if (differ(own->boot_id, found->boot_id)) {
        error_say(ret_text, 0,
                "the lock was taken under this machine's id %.64s in another boot, %.64s: by this "
                "machine before its last reboot, or by one that has the same id",
                id, found->boot_id);
        return true;
    }
    return false;
}
