/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happened on this machine, for a person: one JSON object a line, the oldest first. Bounded:
 * when the file has grown over HISTORY_MAX_BYTES its older half goes. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define HISTORY_FILE "history.jsonl"
#define HISTORY_MAX_BYTES (64 * 1024)

typedef struct {
    uint64_t time_usec;   /* CLOCK_REALTIME */
    const char *what;     /* "update", "install", "rollback", "boot", "repair" */
    const char *result;   /* "done", "failed", ... */
    const char *version;  /* it was about; "" when not known */
    const char *previous; /* version that ran then */
    const char *slot;     /* label; "" when none */
    unsigned code;        /* 0, or Omaha's error code */
    const char *way;      /* how it came: install_way_text(); "" when nothing was fetched */
    uint64_t n_fetched_bytes, n_whole_bytes, n_requests; /* with way */
    const char *text; /* in words; "" when there is nothing to add */
} HistoryEntry;

typedef struct History History;

/* Adds an entry (borrowed) to the file below dir_fd; blocks. A last line that was cut by a power
 * loss is ended first. Errors: errno of open, write and fsync, -ENOMEM. */
int history_add(int dir_fd, const HistoryEntry *entry);

/* Reads all entries; lines that are damaged are passed over, a file that is not there is empty.
 * Blocks. Errors: -ENOMEM, errno of open and read. */
int history_load(int dir_fd, History **ret_history);
void history_free(History *history);
DEFINE_CLEANUP(History *, history_free);

/* The entries, the oldest first, inside history. */
const HistoryEntry *history_entries(const History *history, size_t *ret_n_entries);
