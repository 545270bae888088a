/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who this host is, to the others that share the reboot lock with it. */

#include "common/error-text.h"
#include "locksmith/lock/lock-options.h"

typedef struct {
    char machine_id[LOCK_MAX_ID_CHARS + 1]; /* its name in the semaphore, as Go locksmith has it */
    char boot_id[40];                       /* "" unknown */
    char host_name[65];                     /* "" unknown */
} HostIdentity;

/* From etc/machine-id and proc/sys/kernel/random/boot_id below root_fd (the folder that stands for
 * "/"), and the kernel's host name. Blocks as reading two small files does.
 * Errors: -EINVAL with `error` where there is no machine id in the file (empty, too long, blanks in
 * it, "uninitialized"); errno of reading it with `error`. */
int host_identity_read(int root_fd, HostIdentity *ret_identity, ErrorText *error);
