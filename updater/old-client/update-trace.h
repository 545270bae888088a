/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What became of an attempt, told from the statuses of com.coreos.update1.Manager alone: that
 * interface has no result. Pure. */

#include <stdbool.h>
#include <stdint.h>

/* All false: nothing seen yet. */
typedef struct {
    bool has_worked; /* it was something else than idle */
    bool has_failed; /* it reported an error */
    bool was_gone;   /* the daemon went away meanwhile: what came before is forgotten */
} UpdateTrace;

typedef enum {
    ATTEMPT_GOES_ON,
    ATTEMPT_INSTALLED,   /* a reboot is pending */
    ATTEMPT_NOTHING_NEW, /* it was idle again without an error */
    ATTEMPT_FAILED,
    ATTEMPT_NOT_STARTED, /* nothing was to be seen of it */
    ATTEMPT_LOST,        /* the daemon came back and does not go on with it */
} AttemptState;

/* A status came. */
void update_trace_add(UpdateTrace *trace, const char *operation);

/* The daemon went away. */
void update_trace_restart(UpdateTrace *trace);

/* What it is now, the daemon's status being operation. idle_usec: how long it has been idle without
 * a break, from the attempt or the daemon's return on. is_prompt: a daemon that takes an attempt up
 * before it answers. */
AttemptState update_trace_judge(
        const UpdateTrace *trace, const char *operation, uint64_t idle_usec, bool is_prompt);
