/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What update_engine has left behind: one file for each key, written in place, so
 * that a power cut may have emptied any of them. Pure but for reading. */

#include <stdbool.h>

#include "common/error-text.h"
#include "updater/engine/engine-state.h"

typedef struct {
    char aleph_version[ENGINE_VERSION_BYTES];    /* the first that this machine ran; "" */
    char previous_version[ENGINE_VERSION_BYTES]; /* ran when its last update was made, until that
                                                  * was reported; "" */
    char offered_version[ENGINE_VERSION_BYTES];  /* of the last answer that it got; "" */
    bool is_waiting; /* an update of its waits for its reboot, which has not been since */
} OldPrefs;

/* Reads below root_fd, which stands for "/"; app_id (borrowed) is ours in that answer. What is
 * missing is ""; what is there and will not do is "", too, and note names all of those in one line
 * (else it is empty). Blocks. */
void old_prefs_read(int root_fd, const char *app_id, OldPrefs *ret_prefs, ErrorText *note);
