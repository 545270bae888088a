/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A payload that lies in a file, for the tool: opened, checked, and yielding its partitions. All
 * of it blocks. */

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "common/sha256.h"
#include "updater/payload/key-ring.h"
#include "updater/payload/manifest.h"
#include "updater/payload/payload-header.h"
#include "updater/payload/payload-source.h"
#include "updater/update-error.h"

typedef struct PayloadFile PayloadFile;

/* The bytes of one of the two signature blobs, and where in the file they lie. */
typedef struct {
    const uint8_t *blob; /* inside the file object */
    size_t n_bytes;
    uint64_t offset_bytes;
} PayloadSignature;

/* Opens a payload and reads its metadata. With a ring (borrowed) the metadata signature is
 * verified before the manifest is looked at; NULL looks without verifying, and format 1 has only
 * the payload signature. The file must end where the manifest says.
 * Returns UPDATE_OK, UPDATE_ERROR_GENERIC (file cannot be read, memory), UPDATE_ERROR_PAYLOAD_SIZE,
 * or what payload_header_parse(), key_ring_verify() or manifest_parse() say. */
UpdateError payload_file_open(
        const char *path, const KeyRing *ring, PayloadFile **ret_file, ErrorText *error);
void payload_file_free(PayloadFile *file);
DEFINE_CLEANUP(PayloadFile *, payload_file_free);

/* Inside the object. */
const PayloadHeader *payload_file_header(const PayloadFile *file);
const Manifest *payload_file_manifest(const PayloadFile *file);
PayloadSignature payload_file_metadata_signature(const PayloadFile *file);
PayloadSignature payload_file_payload_signature(const PayloadFile *file);
int payload_file_fd(const PayloadFile *file);
uint64_t payload_file_size_bytes(const PayloadFile *file);

/* What the metadata signature is over. */
const Sha256 *payload_file_metadata_digest(const PayloadFile *file);

/* Hashes what the payload signature is over. Returns UPDATE_OK or UPDATE_ERROR_GENERIC. */
UpdateError payload_file_payload_digest(
        const PayloadFile *file, Sha256 *ret_digest, ErrorText *error);

/* Holds the payload signature against the keys. Returns as key_ring_verify(), or
 * UPDATE_ERROR_GENERIC. */
UpdateError payload_file_verify(const PayloadFile *file, const KeyRing *ring, ErrorText *error);

/* Checks hash and decompressed length of every operation of a partition; writes nothing. Of those
 * that read a source only the blob's hash, unless the source is there (NULL: none).
 * Returns UPDATE_OK, UPDATE_ERROR_GENERIC, or what operation_apply() says. */
UpdateError payload_file_check_operations(const PayloadFile *file, const PartitionUpdate *partition,
        const PayloadSource *source, ErrorText *error);

/* Writes the partition, file system and tree, to the start of the empty file fd and holds it
 * against the manifest: hash, root hash, block index. source: NULL where the partition has none.
 * n_threads as VerityRun's.
 * Returns UPDATE_OK, UPDATE_ERROR_PARTITION_HASH, UPDATE_ERROR_VERITY, or as above. */
UpdateError payload_file_extract(const PayloadFile *file, const PartitionUpdate *partition,
        const PayloadSource *source, int fd, unsigned n_threads, ErrorText *error);
