/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an operation's source extents hold, one behind the other, as if it were a file. Read as it
 * is wanted: memory is one window, whatever the extents' length. Blocks as the source does. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sha256.h"
#include "updater/payload/operation.h"

typedef struct SourceReader SourceReader;

/* Both are borrowed for the reader's life. Errors: -ENOMEM. */
int source_reader_new(
        const Operation *operation, const OperationSource *source, SourceReader **ret_reader);
void source_reader_free(SourceReader *reader);
DEFINE_CLEANUP(SourceReader *, source_reader_free);

/* Reads n_bytes at offset_bytes of the operation's n_src_bytes; of any alignment. What lies in a
 * hole reads as zeros. Errors: -EINVAL beyond the extents, those of the source. */
int source_reader_read(
        SourceReader *reader, uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes);

/* Hashes all of it. Errors: -ENOMEM, those of the source. */
int source_reader_hash(SourceReader *reader, Sha256 *ret_hash);
