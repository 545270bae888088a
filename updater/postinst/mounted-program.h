/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A program out of a file system that is mounted for it alone: read-only, in a mount namespace of
 * its own. When the program ends, is ended, or the process that started it dies in whatever way,
 * all that the program has started is killed, and then the kernel takes the mount away. Mounts that
 * others make meanwhile are seen there, those that the program makes are not seen by others. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "updater/postinst/output-lines.h"

/* All is borrowed for the call. */
typedef struct {
    const char *device;       /* that is mounted */
    const char *type;         /* of its file system, as mount(2) names it */
    const char *const *data;  /* mount options, the next where the kernel does not know one; ends
                                  with NULL, and begins with one that is not */
    const char *mount_point;  /* a folder that is there */
    const char *program;      /* full path, below the mount point */
    const char *twin_program; /* instead of it where a file system of this very identity is mounted
                                  already, which btrfs refuses; NULL: none */
    char **words;             /* ends with NULL; words[0] becomes the program's path */
    char *const *environment; /* ends with NULL */
    uint64_t limit_usec;      /* then it is killed */
    const atomic_bool *is_cancelled;
} MountedProgram;

typedef enum {
    MOUNTED_PROGRAM_ENDED,     /* value: its wait status */
    MOUNTED_PROGRAM_NO_MOUNT,  /* value: errno */
    MOUNTED_PROGRAM_NO_EXEC,   /* value: errno */
    MOUNTED_PROGRAM_NO_START,  /* value: errno of pipes, namespaces and processes */
    MOUNTED_PROGRAM_TIMED_OUT, /* value: 0 */
    MOUNTED_PROGRAM_CANCELLED, /* value: 0 */
    MOUNTED_PROGRAM_LOST,      /* who watched over it was killed from outside; value: 0 */
} MountedProgramEnd;

/* Runs the program to its end; it reads nothing, and what it prints goes to lines. What it leaves
 * running has a second to end. Blocks; for a thread that does nothing else meanwhile, for the
 * program dies with it. */
MountedProgramEnd mounted_program_run(
        const MountedProgram *program, OutputLines *lines, int *ret_value);
