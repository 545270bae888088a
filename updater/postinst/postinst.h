/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The program /postinst of a new /usr image, which update_engine runs as the last step of an
 * install (its postinstall runner; flatcar-postinst is such a program): it moves files, fetches
 * what belongs to the new system, and flips the partition table by itself.
 *
 *     <mount point>/postinst DEVICE [KERNEL=path] [PCR_POLICY=path]
 *
 * It runs as root and comes out of the image, so it may only be run when the payload's signature
 * and the slot's digest hold. The image is mounted read-only, without replaying a journal, where
 * nobody else sees it. The program reads nothing; what it prints goes to the log line by line. Its
 * working directory is /, its umask 0022. Of the environment it gets PATH (one is made up where
 * there is none), LD_LIBRARY_PATH and the proxy variables. update_engine passes no NO_PROXY and
 * nothing in lower case, which leaves who needs them without a network (Flatcar issues 1326, 1332).
 *
 * Its exit status: 0 succeeded, 3 is the error 19, all else the error 5, and so are a signal, the
 * end of its time, an image that cannot be mounted, and a missing program. An image without one is
 * no image of such a system, or a damaged one: update_engine fails it, too, and a build whose
 * images have none leaves this step out. */

#include <stdatomic.h>
#include <stdint.h>

#include "common/error-text.h"
#include "partitions/slot-disk.h"
#include "updater/update-error.h"

/* All is borrowed for the call. */
typedef struct {
    const char *disk_path;
    const Slot *slot;   /* proven, synced, and neither open for writing nor claimed */
    const char *kernel; /* the full path of the slot's new kernel; NULL: the payload has none */
    const char *policy; /* the same for the PCR policy */
    const char *mount_point; /* a folder that is there */
    uint64_t limit_usec;     /* after this it is killed */
    const atomic_bool *is_cancelled;
    void (*on_line)(const char *line, void *userdata); /* what it printed, in the calling thread */
    void *userdata;
} Postinst;

/* Runs it. Blocks, for a worker thread. Returns UPDATE_OK, UPDATE_ERROR_POSTINST,
 * UPDATE_ERROR_POSTINST_FIRMWARE, UPDATE_ERROR_CANCELLED, UPDATE_ERROR_GENERIC (memory), with
 * error. Whatever it returns, the program may have changed the partition table. */
UpdateError postinst_run(const Postinst *postinst, ErrorText *error);

/* The error for a wait status (waitpid(2)) of the program; the reason goes to error, with last_line
 * of its output where that is not "". */
UpdateError postinst_judge(int status, const char *last_line, ErrorText *error);

/* Picks from a process's environment (ends with NULL) what the program gets. A list of entries
 * inside environ, and maybe one that is static; the list itself is new (free()).
 * Errors: -ENOMEM. */
int postinst_environment(char *const *process_environment, char ***ret_environment);

/* The type for mount(2) of a file system that libblkid calls type, and options with which nothing
 * is written, in the order to try them, ending with NULL; both static. Returns NULL for one that
 * can be no image's. */
const char *postinst_mount_type(const char *type, const char *const **ret_data);
