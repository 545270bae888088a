/* SPDX-License-Identifier: Apache-2.0 */

/* The file is one fixed record that ends in its own SHA-256, so that a torn or foreign file is no
 * checkpoint. The digest guards against accidents only: a checkpoint is a hint about what need
 * not be fetched again, and the slot is read back and proven whatever it said. */

#include "updater/install/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/payload/payload-header.h"

#define CHECKPOINT_FILE "checkpoint"
#define METADATA_FILE "metadata"
#define METADATA_MAX_BYTES \
    (PAYLOAD_HEADER_BYTES + PAYLOAD_MANIFEST_MAX_BYTES + PAYLOAD_METADATA_SIGNATURE_MAX_BYTES)

static const char record_magic[8] = "FlipCkp3";

enum { FLAG_HAS_DIGEST = 1, FLAG_UNTOUCHED = 2, FLAG_LACKS_RANGES = 4 };

typedef struct {
    char magic[8];
    Sha256 metadata;
    Sha256 source;
    Sha256 disk;
    Guid target;
    Le64 next_operation;
    Le64 flags; /* of FLAG_ */
    PayloadDigestState digest;
    Sha256 record; /* of all before */
} CheckpointRecord;

static_assert(offsetof(CheckpointRecord, next_operation) == 120, "layout of the file");
static_assert(sizeof(CheckpointRecord) == 376, "layout of the file");

static Sha256 record_digest(const CheckpointRecord *record)
{
    return sha256_of(record, offsetof(CheckpointRecord, record));
}

int checkpoint_save(int state_fd, const Checkpoint *checkpoint)
{
    CheckpointRecord record = {
            .metadata = checkpoint->metadata,
            .source = checkpoint->source,
            .disk = checkpoint->disk,
            .target = checkpoint->target,
            .next_operation = le64(checkpoint->next_operation),
            .flags = le64((checkpoint->has_digest ? FLAG_HAS_DIGEST : 0) |
                          (checkpoint->is_untouched ? FLAG_UNTOUCHED : 0) |
                          (checkpoint->lacks_ranges ? FLAG_LACKS_RANGES : 0)),
            .digest = checkpoint->digest,
    };
    memcpy(record.magic, record_magic, sizeof(record.magic));
    record.record = record_digest(&record);
    return atomic_file_write(state_fd, CHECKPOINT_FILE, &record, sizeof(record), 0600);
}

int checkpoint_load(int state_fd, Checkpoint *ret_checkpoint)
{
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    int r = fd_read_file(state_fd, CHECKPOINT_FILE, sizeof(CheckpointRecord), &data, &n_bytes);
    if (r == -EFBIG)
        return -EBADMSG;
    if (r < 0)
        return r;
    CheckpointRecord record;
    if (n_bytes != sizeof(record))
        return -EBADMSG;
    memcpy(&record, data, sizeof(record));
    Sha256 digest = record_digest(&record);
    if (memcmp(record.magic, record_magic, sizeof(record.magic)) != 0 ||
            !sha256_equal(&digest, &record.record))
        return -EBADMSG;
    uint64_t flags = le64_get(record.flags);
    *ret_checkpoint = (Checkpoint){
            .metadata = record.metadata,
            .source = record.source,
            .disk = record.disk,
            .target = record.target,
            .next_operation = le64_get(record.next_operation),
            .is_untouched = flags & FLAG_UNTOUCHED,
            .lacks_ranges = flags & FLAG_LACKS_RANGES,
            .has_digest = flags & FLAG_HAS_DIGEST,
            .digest = record.digest,
    };
    return 0;
}

Sha256 checkpoint_source_of(const Sha256 *payload)
{
    struct {
        char kind[7];
        Sha256 payload;
    } named = {.kind = "sha256", .payload = *payload};
    static_assert(sizeof(named) == 7 + SHA256_BYTES, "no padding");
    return sha256_of(&named, sizeof(named));
}

bool checkpoint_has_begun(int state_fd, const Sha256 *payload)
{
    Checkpoint found;
    const Sha256 source = checkpoint_source_of(payload);
    return checkpoint_load(state_fd, &found) == 0 && !found.is_untouched &&
           sha256_equal(&found.source, &source);
}

int checkpoint_save_metadata(int state_fd, const uint8_t *data, size_t n_bytes)
{
    return atomic_file_write(state_fd, METADATA_FILE, data, n_bytes, 0600);
}

int checkpoint_load_metadata(int state_fd, uint8_t **ret_data, size_t *ret_n_bytes)
{
    char *data;
    int r = fd_read_file(state_fd, METADATA_FILE, METADATA_MAX_BYTES, &data, ret_n_bytes);
    if (r < 0)
        return r;
    *ret_data = (uint8_t *)data;
    return 0;
}

int checkpoint_remove(int state_fd)
{
    int r = atomic_file_remove(state_fd, CHECKPOINT_FILE);
    int q = atomic_file_remove(state_fd, METADATA_FILE);
    return r < 0 ? r : q;
}
