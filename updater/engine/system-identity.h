/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who this machine is, for the update server. */

typedef struct {
    char machine_id[33];   /* /etc/machine-id; "" when there is none */
    char boot_id[37];      /* 8-4-4-4-12; "" when the kernel says none */
    char oem[65];          /* ID of oem-release; "" */
    char oem_version[65];  /* VERSION_ID of oem-release; "" */
    char architecture[65]; /* uname -m */
} SystemIdentity;

/* Reads below root_fd, which stands for "/": etc/machine-id, etc/oem-release or else
 * usr/share/oem/oem-release, proc/sys/kernel/random/boot_id (without one there, the running
 * kernel's). What is missing or not readable is "": an unknown machine updates all the same. Values
 * that are longer than their place or hold control characters count as missing. Blocks. */
void system_identity_read(int root_fd, SystemIdentity *ret_identity);
