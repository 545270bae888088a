/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What other programs look for in files instead of asking on the bus: a slot's
 * postinst, update_engine in the slot that is booted next, scripts, kured. All paths lie below a
 * root folder that stands for "/". */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"

#define FOREIGN_PREFS_FOLDER "var/lib/update_engine/prefs" /* update_engine's state */

/* The Omaha answer as it came; newer than the other one, which says that it is of this update. */
#define FOREIGN_ANSWER_FILE FOREIGN_PREFS_FOLDER "/full-response"

/* What ran when another slot was chosen, until that has been marked good; then it is empty. */
#define FOREIGN_PREVIOUS_FILE FOREIGN_PREFS_FOLDER "/previous-version"

/* There while an update waits for its reboot. /var/run is /run wherever systemd runs. */
#define FOREIGN_WAITING_FILE "run/update_engine_autoupdate_completed"
#define FOREIGN_REBOOT_FILE "run/reboot-required"

typedef struct {
    bool is_waiting;              /* a slot has been chosen that has not booted */
    const char *previous_version; /* borrowed; "" for none */
} ForeignMarks;

/* Makes the files say so; those that do already are left alone. A FOREIGN_REBOOT_FILE that somebody
 * else has made is neither replaced nor removed. What lies in the state folder is on the disk when
 * this returns; blocks. Errors: errno, with error; the other files are written all the same. */
int foreign_marks_write(int root_fd, const ForeignMarks *marks, ErrorText *error);

/* Empties a FOREIGN_PREVIOUS_FILE that says something else. On the disk when this returns; blocks.
 * Errors: errno. */
int foreign_marks_withdraw(int root_fd, const ForeignMarks *marks);

/* Replaces FOREIGN_ANSWER_FILE by n_bytes at xml (borrowed); NULL removes it, for an install that
 * no server has offered. On the disk when this returns; blocks. Errors: errno, with error. */
int foreign_marks_keep_answer(int root_fd, const char *xml, size_t n_bytes, ErrorText *error);
