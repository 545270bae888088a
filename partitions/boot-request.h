/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was started, as it is told to the initrd: the slot by the boot chooser, in an EFI variable,
 * or on the kernel's command line; the root hash of its /usr on the command line alone, because
 * that is part of the signed kernel image. */

#include <stdbool.h>
#include <stddef.h>

#include "common/error-text.h"
#include "common/sha256.h"
#include "partitions/guid.h"

#define BOOT_REQUEST_SLOT "flipside.slot"
#define BOOT_REQUEST_ROOT_HASH "flipside.usrhash"
#define BOOT_REQUEST_VARIABLE "FlipsideSlot-2c9b6a0f-5f1e-4ae1-9d2c-7a4f0a8e3b61"

typedef struct {
    bool has_slot;
    Guid slot; /* PARTUUID */
    bool has_root_hash;
    Sha256 root_hash;
} BootRequest;

/* Reads flipside.slot= and flipside.usrhash= out of a kernel command line (borrowed; words and
 * quotes as the kernel has them, nothing after a "--"). Pure.
 * Errors: -EBADMSG a value that is no PARTUUID or no hash, or one that is given twice. */
int boot_request_parse(const char *command_line, BootRequest *ret_request, ErrorText *error);

/* Reads the EFI variable's file as efivarfs has it (borrowed): 4 bytes of attributes, then the
 * PARTUUID as UTF-16LE with a NUL. Pure. Errors: -EBADMSG it is anything else. */
int boot_request_parse_variable(const void *data, size_t n_bytes, Guid *ret_slot, ErrorText *error);

/* Reads /proc/cmdline, and the variable where the command line names no slot. root: prefix of /proc
 * and /sys. Blocks on these only.
 * Errors: -ENODATA neither names a slot, -EBADMSG as above, errno. */
int boot_request_read(const char *root, BootRequest *ret_request, ErrorText *error);
