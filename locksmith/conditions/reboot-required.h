/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The sentinel by which Debian's packages ask for a reboot and which kured waits for:
 * /run/reboot-required, or the same in /var/run where that is a folder of its own. Beside it
 * reboot-required.pkgs lists a package a line. */

#include <stdbool.h>

#define REBOOT_REQUIRED_FILE "run/reboot-required"
#define REBOOT_REQUIRED_FILE_OLD "var/run/reboot-required"

typedef struct {
    bool is_required;
    char packages[256]; /* "libc6, linux-image-amd64 and 3 more"; "" unknown */
} RebootRequired;

/* root_fd: the folder that stands for "/". Blocks as reading a small file does.
 * Errors: errno of looking at the sentinel; a list that cannot be read is none. */
int reboot_required_read(int root_fd, RebootRequired *ret_required);
