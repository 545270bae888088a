/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Payloads for tests, made by code that shares only the wire format with what is tested, and
 * damaged as a test likes before they are signed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"
#include "partitions/slot-trailer.h"
#include "updater/payload/manifest.pb-c.h"

#define MADE_BLOCK_BYTES 4096

/* An Ed25519 key, and a folder with its public half. */
typedef struct {
    void *pkey;
    char folder[256];
} MadeKey;

void key_make(MadeKey *ret_key);
void key_unmake(MadeKey *key);

typedef struct {
    const char *version;     /* NULL: "2.0" */
    const char *product;     /* NULL: "acme" */
    const char *min_version; /* NULL: none */
    size_t n_blocks;         /* of data; 0: 512 */
    size_t n_tail_blocks;    /* behind the tree, as a kernel and a trailer lie there */
    bool has_trailer;        /* the last of the tail's blocks is one that describes the slot */
    size_t operation_blocks; /* 0: 16 */
    unsigned seed;           /* of the content */
    bool has_no_verity;
    bool has_rest_hash; /* what follows the data has a hash of its own */
    bool is_compressed; /* REPLACE_ZSTD with frames of 16 KiB instead of REPLACE */
    bool ends_in_zeros; /* the last operation is ZERO */
    const MadeKey *key;
    /* Change manifest and trailer before they are signed; may be NULL. */
    void (*damage)(Wire__DeltaArchiveManifest *manifest);
    void (*change_trailer)(SlotTrailer *trailer);
} PayloadPlan;

typedef struct {
    uint8_t *data; /* the file */
    size_t n_bytes;
    size_t n_metadata_bytes;
    size_t n_manifest_bytes;
    size_t signatures_at; /* of the payload signature, in the file */
    uint8_t *content;     /* what the slot must hold: data, tree and tail */
    size_t n_content_bytes;
    Sha256 sha256; /* of the file */
} MadePayload;

void payload_make(const PayloadPlan *plan, MadePayload *ret_payload);
void payload_unmake(MadePayload *payload);
