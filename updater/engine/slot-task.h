/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's work on slots that blocks, each on a thread of its own. */

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/slot-trailer.h"
#include "updater/engine/table-care.h"
#include "updater/slot/slot-proof.h"

typedef enum {
    SLOT_TASK_PROVE,      /* holds the slot against trailer, or else against content */
    SLOT_TASK_RECORD,     /* hashes all of it: content's size and sha256 */
    SLOT_TASK_PRIORITIZE, /* the flip of a rollback */
    SLOT_TASK_MARK_BAD,   /* makes it unbootable, unless no other could boot */
    SLOT_TASK_LOOK,       /* finds out how the table is, for reading only */
    SLOT_TASK_REPAIR,     /* makes both copies of the table whole, and on the disk */
} SlotTaskKind;

typedef struct {
    SlotTaskKind kind;
    const char *disk_path;
    const char *label;          /* LOOK: ""; REPAIR: "", or without which it is another disk */
    unsigned tries;             /* PRIORITIZE */
    const SlotTrailer *trailer; /* PROVE: the slot's own; NULL */
    const SlotContent *content; /* PROVE: what it must hold; RECORD: version and product; NULL */
} SlotTaskOptions;

typedef struct SlotTask SlotTask;

/* Starts; options is copied. on_done: exactly once, never from inside _new, last; r is 0 or
 * negative with error's line: -EBADMSG the slot is not whole, -EPERM no other slot could boot,
 * -ENOENT no such slot, errno. Freeing the task inside is allowed. Errors: -ENOMEM, errno of
 * threads. */
int slot_task_new(sd_event *event, const SlotTaskOptions *options,
        void (*on_done)(SlotTask *task, int r, const ErrorText *error, void *userdata),
        void *userdata, SlotTask **ret_task);

/* Cancels and waits for the thread; a change of the table is never cut. */
void slot_task_free(SlotTask *task);
DEFINE_CLEANUP(SlotTask *, slot_task_free);

/* The content that was proven or recorded, inside task; only when it has ended well. By a trailer:
 * product, version, and as size_bytes that of the file system. */
const SlotContent *slot_task_content(const SlotTask *task);

/* What LOOK found, and what REPAIR found before it wrote; only when it has ended well. */
TableFinding slot_task_finding(const SlotTask *task);

/* How far PROVE and RECORD are. */
uint64_t slot_task_bytes_done(const SlotTask *task);
