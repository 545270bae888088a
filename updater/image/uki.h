/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A unified kernel image (UAPI group, specification 5): boot stub, kernel, initrd and command line
 * in one UEFI program. Made by ukify where that is installed, otherwise by objcopy of binutils, and
 * signed for Secure Boot by sbsign. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"

#define UKI_INITRDS_MAX 8
#define UKI_CMDLINE_MAX 2047 /* the kernel's COMMAND_LINE_SIZE on x86-64 and arm64, less the NUL */

/* Paths and texts are borrowed. */
typedef struct {
    const char *stub_path;  /* of systemd-stub(7) */
    const char *linux_path; /* with an EFI stub of its own, as distributions' kernels have */
    const char *initrd_paths[UKI_INITRDS_MAX]; /* one behind the other */
    size_t n_initrds;
    const char *product; /* for os-release */
    const char *version;
    const char *key_path; /* of Secure Boot, with certificate_path; NULL: not signed */
    const char *certificate_path;
} UkiOptions;

/* Makes the image with this command line, and reads back what the tool made of it. *ret_fd is new,
 * a file without a name that was in $TMPDIR or /var/tmp. The same input makes the same image,
 * unless it is signed. Blocks.
 * Errors: -EINVAL stub or kernel are no UEFI programs or not of one machine, or the command line is
 * too long; -ENOENT a tool is missing, -EPROTO it failed, -EBADMSG it did not make what it was told
 * to; -ENOMEM, errno. */
int uki_make(const UkiOptions *options, const char *cmdline, int *ret_fd, ErrorText *error);
