/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The folder that the server serves, changed by the verbs while a server runs:
 *
 *     releases/VERSION/payload         the bytes
 *     releases/VERSION/release.json    version, size, sha256, sha1, metadata_size
 *     releases/VERSION/delta-FROM/     the same two files of a delta from version FROM
 *     channels/CHANNEL                 the version that the channel points at, and a newline
 *
 * Every change is one rename, so that a reader sees the old state or the new. The folder is passed
 * as a descriptor. All of these block. */

#include <stdint.h>

#include "common/error-text.h"
#include "common/sha256.h"

#define RELEASE_NAME_MAX 128 /* of versions and channels */
#define SHA1_BASE64_CHARS 28

typedef struct {
    char version[RELEASE_NAME_MAX + 1];
    uint64_t size_bytes;
    uint64_t metadata_bytes; /* its header and manifest; 0: not known */
    Sha256 sha256;
    char sha1_base64[SHA1_BASE64_CHARS + 1]; /* what Nebraska sends; proves nothing */
} Release;

/* Whether text may name a version or a channel: [A-Za-z0-9._+-], no dot at the start. */
bool release_name_is_valid(const char *text);

/* Opens the folder; with is_made, makes it and what is missing in it.
 * Returns the descriptor, or errno with error. */
int release_folder_open(const char *path, bool is_made, ErrorText *error);

/* Adds the payload file as a release (a release of that version is replaced, and its deltas go) and
 * points the channel at it. version NULL: taken from the payload's manifest, which is not proved
 * here.
 * Errors: -EINVAL (names, a payload without a readable version), errno; with error. */
int release_folder_add(int folder_fd, const char *payload_path, const char *version,
        const char *channel, Release *ret_release, ErrorText *error);

/* Adds the payload file as a delta from version `from` to a release that is there (one that it has
 * is replaced), and points the channel at the release. version as above.
 * Errors: -EINVAL, -ENOENT, errno; with error. */
int release_folder_add_delta(int folder_fd, const char *payload_path, const char *version,
        const char *from, const char *channel, Release *ret_delta, ErrorText *error);

/* Points channel at version, which must be there.
 * Errors: -EINVAL, -ENOENT, errno; with error. */
int release_folder_point(int folder_fd, const char *channel, const char *version, ErrorText *error);

/* The version that channel points at. Errors: -ENOENT when there is no such channel (a name that
 * is not valid included), -EBADMSG, errno; with error. */
int release_folder_find_channel(int folder_fd, const char *channel,
        char ret_version[static RELEASE_NAME_MAX + 1], ErrorText *error);

/* The facts of one release, or with from of its delta from that version, and when ret_payload_fd is
 * not NULL, its payload opened for reading.
 * Errors: -ENOENT when there is none, -EBADMSG, errno; with error. */
int release_folder_find(int folder_fd, const char *version, const char *from, Release *ret_release,
        int *ret_payload_fd, ErrorText *error);
