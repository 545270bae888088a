/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What must be known of a reboot after the daemon was killed, or the system went down: whether this
 * host holds the cluster's lock, or may, since which boot, and whether pre-reboot.d has begun. Kept
 * before the first of both happens and until both are taken back, in /var/lib/locksmith/reboot.
 * Beside it, that the semaphore was there, so that a store that lost it is not taken for a new one.
 * And, gone with the boot, that this boot is settled: post-boot.d ran, nothing from before is held.
 * The calls block as long as reading or writing a small file does. */

#include <stdbool.h>

#include "common/error-text.h"

#define REBOOT_NOTE_FILE "var/lib/locksmith/reboot"
#define SEMAPHORE_SEEN_FILE "var/lib/locksmith/semaphore-seen"
#define BOOT_SETTLED_FILE "run/locksmith/settled"

typedef struct {
    char boot_id[40];     /* the boot in which it began; "": there is no note */
    bool may_hold;        /* the lock was asked for, in: */
    bool has_begun_hooks; /* pre-reboot.d */
    char place[512];      /* store, group and endpoints, for a person and to be compared */
} RebootNote;

/* root_fd: the folder that stands for "/". No file is an empty note. A file that cannot be
 * understood is an error, and a note that nothing is known of: may_hold, with boot_id "?".
 * Errors: -EINVAL with `error`, errno with `error`. */
int reboot_note_read(int root_fd, RebootNote *ret_note, ErrorText *error);

/* A note in which nothing is under way removes the file. Makes missing folders.
 * Errors: errno with `error`. */
int reboot_note_write(int root_fd, const RebootNote *note, ErrorText *error);

/* Whether the semaphore was seen in place (as in the note); not when that cannot be read. */
bool semaphore_seen_read(int root_fd, const char *place);
int semaphore_seen_write(int root_fd, const char *place, ErrorText *error);

/* Whether boot_id has settled; not when that cannot be read. */
bool boot_settled_read(int root_fd, const char *boot_id);
int boot_settled_write(int root_fd, const char *boot_id, ErrorText *error);
