/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What adding a release does with the payload file itself. All block. */

#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"

typedef struct {
    uint64_t size_bytes;
    Sha256 sha256;
    char sha1_base64[29];
} PayloadDigests;

/* Copies the file to name below folder_fd, as a reflink where the file system has them, syncs it,
 * and hashes the copy. Never a hard link: who changes the original later does not change what is
 * served. Errors: errno. */
int payload_copy(int payload_fd, int folder_fd, const char *name, PayloadDigests *ret_digests);

/* What the payload's header says of its header and manifest (Omaha's MetadataSize); 0: it has no
 * payload's header. */
uint64_t payload_read_metadata_bytes(int payload_fd);

/* The version that the payload's manifest says; nothing is proved, that is the client's part.
 * *ret_version is new. Errors: -EINVAL, -ENOMEM, errno; with error. */
int payload_read_version(int payload_fd, char **ret_version, ErrorText *error);
