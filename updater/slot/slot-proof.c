/* SPDX-License-Identifier: Apache-2.0 */

/* The signed root proves the data. What lies behind the data has a hash of its own in the manifest;
 * where an older payload has none, the hash of all of the partition has to serve, and one pass over
 * the data serves both: the tree's builder hands its blocks on in order. The rest (the tree, which
 * we have just written, and what the payload put behind that) is read back after it was synced, so
 * that every byte is proven as the device gives it, to the last. */

#include "updater/slot/slot-proof.h"

#include <errno.h>
#include <string.h>

#include "partitions/slot-reader.h"
#include "verity/hash-tree.h"

typedef struct {
    int fd; /* reads past the page cache */
    uint64_t offset_bytes;
    Sha256Stream *stream;
    _Atomic uint64_t *n_bytes_done;
    const atomic_bool *is_cancelled;
    unsigned n_threads;
} Proof;

static void proof_done(Proof *proof)
{
    safe_close(proof->fd);
    sha256_stream_free(proof->stream);
}

static void add_data(const void *data, size_t n_bytes, void *userdata)
{
    Proof *proof = userdata;
    sha256_stream_add(proof->stream, data, n_bytes);
}

static VerityRun proof_run(Proof *proof)
{
    return (VerityRun){
            .n_threads = proof->n_threads,
            .is_cancelled = proof->is_cancelled,
            .n_bytes_done = proof->n_bytes_done,
            .on_data = add_data,
            .userdata = proof,
    };
}

/* Adds [from_bytes, to_bytes) of the slot to the hash. */
static int add_range(Proof *proof, uint64_t from_bytes, uint64_t to_bytes)
{
    return slot_reader_hash(proof->fd, proof->offset_bytes + from_bytes, to_bytes - from_bytes,
            proof->stream, proof->n_bytes_done, proof->is_cancelled);
}

static UpdateError proof_failure(int r, UpdateError code, const char *what, ErrorText *error)
{
    if (r == -ECANCELED) {
        error_say(error, r, "cancelled");
        return UPDATE_ERROR_CANCELLED;
    }
    if (r == -ENOMEM) {
        error_say(error, r, "not enough memory to check the slot");
        return UPDATE_ERROR_GENERIC;
    }
    error_say(error, r, "%s: %s", what, strerror(-r));
    return code;
}

static UpdateError sync_target(InstallTarget *target, ErrorText *error)
{
    int r = install_target_sync(target);
    if (r == 0)
        return UPDATE_OK;
    return proof_failure(r, UPDATE_ERROR_WRITE, "the slot cannot be written to the disk", error);
}

static UpdateError build_tree(InstallTarget *target, const PartitionUpdate *partition,
        const ReadBack *read_back, Proof *proof, ErrorText *error)
{
    uint64_t offset_bytes;
    int fd = install_target_fd(target, &offset_bytes);
    VerityRegion data = {.fd = proof->fd, .offset_bytes = proof->offset_bytes};
    VerityRegion tree = {
            .fd = fd,
            .offset_bytes = offset_bytes + partition->tree_start_block * VERITY_BLOCK_BYTES,
    };
    VerityRun run = proof_run(proof);
    if (partition->has_rest_hash)
        run.on_data = NULL;
    Sha256 root;
    ErrorText reason = {0};
    int r = read_back ? verity_tree_build_above(&partition->verity, tree, &run, &root, &reason)
                      : verity_tree_build(&partition->verity, data, tree, &run, &root, &reason);
    if (r < 0)
        return proof_failure(r, r == -EIO ? UPDATE_ERROR_VERIFIER_IO : UPDATE_ERROR_VERITY,
                reason.line[0] ? reason.line : "the verity tree cannot be built", error);
    if (!sha256_equal(&root, &partition->root_hash)) {
        return error_say(error, UPDATE_ERROR_VERITY,
                "the slot read back from the device has another verity root than the signed one");
    }
    if (read_back)
        atomic_fetch_add(proof->n_bytes_done, partition->verity.n_data_blocks * VERITY_BLOCK_BYTES);
    return sync_target(target, error);
}

UpdateError slot_proof_build(InstallTarget *target, const PartitionUpdate *partition,
        const ReadBack *read_back, unsigned n_threads, _Atomic uint64_t *n_bytes_done,
        const atomic_bool *is_cancelled, ErrorText *error)
{
    _cleanup_(proof_done) Proof proof = {
            .fd = -1,
            .n_bytes_done = n_bytes_done,
            .is_cancelled = is_cancelled,
            .n_threads = n_threads,
    };
    /* What was read back already needs to be flushed once only, together with the tree. */
    UpdateError code = read_back ? UPDATE_OK : sync_target(target, error);
    if (code != UPDATE_OK)
        return code;
    int r = sha256_stream_new(&proof.stream);
    if (r < 0)
        return proof_failure(r, UPDATE_ERROR_GENERIC, "", error);
    r = install_target_open_direct(target, &proof.fd, &proof.offset_bytes, error);
    if (r < 0)
        return UPDATE_ERROR_VERIFIER_IO;

    uint64_t n_data_bytes = 0;
    if (partition->has_verity) {
        n_data_bytes = partition->verity.n_data_blocks * VERITY_BLOCK_BYTES;
        code = build_tree(target, partition, read_back, &proof, error);
        if (code != UPDATE_OK)
            return code;
    }
    r = add_range(&proof, n_data_bytes, partition->size_bytes);
    if (r < 0)
        return proof_failure(r, UPDATE_ERROR_VERIFIER_IO, "the slot cannot be read back", error);
    Sha256 hash;
    sha256_stream_finish(proof.stream, &hash);
    if (!sha256_equal(&hash, partition->has_rest_hash ? &partition->rest_hash : &partition->hash)) {
        return error_say(error, UPDATE_ERROR_PARTITION_HASH,
                "the slot read back from the device is not what the payload's manifest says");
    }
    return UPDATE_OK;
}

static int open_slot(const char *disk_path, const char *label, const SlotContent *content,
        Proof *proof, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(disk_path, false, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = slot_disk_find(disk, label);
    if (index == SLOT_NONE)
        return error_say(error, -ENODEV, "%s has no slot %s", disk_path, label);
    size_t n_slots;
    if (content->size_bytes > slot_disk_slots(disk, &n_slots)[index].size_bytes)
        return error_say(error, -EBADMSG, "%s is smaller than what it is said to hold", label);
    return slot_reader_open(disk, index, &proof->fd, &proof->offset_bytes, error);
}

static int verify_tree(const SlotContent *content, Proof *proof, ErrorText *error)
{
    VerityRegion data = {.fd = proof->fd, .offset_bytes = proof->offset_bytes};
    VerityRegion tree = {
            .fd = proof->fd,
            .offset_bytes = proof->offset_bytes + content->tree_start_block * VERITY_BLOCK_BYTES,
    };
    VerityRun run = proof_run(proof);
    return verity_tree_verify(&content->verity, data, tree, &content->root_hash, &run, error);
}

int slot_proof_check(const char *disk_path, const char *label, const SlotContent *content,
        _Atomic uint64_t *n_bytes_done, const atomic_bool *is_cancelled, ErrorText *error)
{
    _cleanup_(proof_done) Proof proof = {
            .fd = -1,
            .n_bytes_done = n_bytes_done,
            .is_cancelled = is_cancelled,
    };
    int r = sha256_stream_new(&proof.stream);
    if (r == 0)
        r = open_slot(disk_path, label, content, &proof, error);
    if (r < 0)
        return r;
    uint64_t n_data_bytes = 0;
    if (content->has_verity) {
        n_data_bytes = content->verity.n_data_blocks * VERITY_BLOCK_BYTES;
        if (n_data_bytes > content->size_bytes)
            return error_say(error, -EBADMSG, "what is known of %s contradicts itself", label);
        r = verify_tree(content, &proof, error);
        if (r < 0)
            return r;
    }
    r = add_range(&proof, n_data_bytes, content->size_bytes);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", label, strerror(-r));
    Sha256 hash;
    sha256_stream_finish(proof.stream, &hash);
    if (!sha256_equal(&hash, &content->sha256))
        return error_say(
                error, -EBADMSG, "%s no longer holds version %s whole", label, content->version);
    return 0;
}
