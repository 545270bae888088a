/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One program of the administrator, run to its end: in a session and process group of its own, with
 * the default signals, nothing open but /dev/null as its input and a pipe for its output, which
 * comes line by line. Ended by SIGTERM, and after a grace by SIGKILL, to the whole group. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

#define CHILD_PROCESS_GRACE_USEC (5 * UINT64_C(1000000)) /* from SIGTERM to SIGKILL */

typedef struct ChildProcess ChildProcess;

typedef enum {
    CHILD_EXITED,      /* number: its exit status */
    CHILD_SIGNALLED,   /* number: the signal that ended it */
    CHILD_TIMED_OUT,   /* it was ended; number: 0 */
    CHILD_NOT_STARTED, /* number: errno of execve */
} ChildEnd;

typedef struct {
    const char *const *arguments;   /* [0] is the program's path; ends with NULL */
    const char *const *environment; /* NAME=value instead of or beside our own; ends with NULL */
    uint64_t timeout_usec;
    /* A line of its output, or of ours about it, without its end; cut when it is long. Bounded:
     * lines beyond some hundreds in some seconds are counted instead. Must not free the child. */
    void (*on_line)(const char *line, void *userdata);
    /* Exactly once, never from inside _new, last; freeing the child inside is allowed. Processes
     * that it left behind do not delay it; after a timeout they are ended, too. */
    void (*on_done)(ChildProcess *child, ChildEnd end, int number, void *userdata);
    void *userdata;
} ChildProcessOptions;

/* options is borrowed for the call. Errors: -ENOMEM, errno of fork, pipe, pidfd and sd-event. */
int child_process_new(
        sd_event *event, const ChildProcessOptions *options, ChildProcess **ret_child);

/* While it runs: begins to end it as a timeout does and returns at once; the event loop sees to the
 * rest. Nothing is called afterwards. */
void child_process_free(ChildProcess *child);
DEFINE_CLEANUP(ChildProcess *, child_process_free);

/* One half line for a person: "exited with status 3", "was ended by SIGKILL". */
typedef struct {
    char text[96];
} ChildEndShown;
ChildEndShown child_end_show(ChildEnd end, int number);
