/* SPDX-License-Identifier: Apache-2.0 */

/* What a flip rests on. A payload that is read from its first byte to its last is checked by
 * everything there is: the signature over its metadata, the hash of each operation's blob, the
 * payload signature and the Omaha answer's digest over the stream, the hash and the verity root of
 * the slot read back. After a resume the stream was not seen whole, and its two digests cannot be
 * computed: then the metadata's signature, which is verified again on the kept metadata like on
 * fresh one, vouches for the hashes of blobs and slot, and the slot is read back as always. The
 * checkpoint itself vouches for nothing; it only saves fetching. The same holds where not all of
 * the payload is fetched, because this machine has the rest.
 *
 * A payload of format 1 has no metadata signature. There the digests are kept with the checkpoint
 * and go on from it, over the metadata that was digested first, so that the payload signature
 * covers the manifest that was acted upon. */

#include "updater/install/install-work-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-io.h"
#include "updater/install/install-choice.h"
#include "updater/slot/slot-end.h"
#include "updater/slot/slot-scan.h"

void install_work_init(
        InstallWork *work, const InstallOptions *options, const atomic_bool *is_cancelled)
{
    *work = (InstallWork){.options = options, .is_cancelled = is_cancelled, .file_fd = -1};
}

void install_work_done(InstallWork *work)
{
    install_target_free(work->target);
    key_ring_free(work->keys);
    safe_close(work->file_fd);
    free(work->raw);
    install_files_free(work->files);
    free(work->policy);
    install_source_free(work->source);
    delta_v1_free(work->delta_v1);
    payload_metadata_done(&work->metadata);
    free(work->is_done);
    slot_seed_free(work->seed);
    read_back_free(work->read_back);
    payload_digest_free(work->digest);
    free(work->signature);
}

bool install_work_keeps_digest(const InstallWork *work)
{
    return work->metadata.manifest->format == 1;
}

static UpdateError no_memory(ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_GENERIC, "not enough memory to install");
}

/* --- loading ----------------------------------------------------------------------------- */

static UpdateError load_keys(InstallWork *work, ErrorText *error)
{
    if (key_ring_load(work->options->key_dir, &work->keys, error) < 0)
        return UPDATE_ERROR_SIGNATURE;
    if (key_ring_n_keys(work->keys) > 0)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_SIGNATURE,
            "no public key is installed, so no payload can be trusted: put a key (*.pem) into %s",
            work->options->key_dir);
}

static void add_text(Sha256Stream *stream, const char *text)
{
    sha256_stream_add(stream, text, strlen(text) + 1);
}

/* What names the payload: what Omaha says of it, else where it lies. */
static UpdateError name_source(InstallWork *work, ErrorText *error)
{
    const InstallOptions *options = work->options;
    if (options->has_payload_sha256) {
        work->checkpoint.source = checkpoint_source_of(&options->payload_sha256);
        return UPDATE_OK;
    }
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    if (sha256_stream_new(&stream) < 0)
        return no_memory(error);
    if (options->file_path) {
        add_text(stream, "file");
        add_text(stream, options->file_path);
    } else {
        add_text(stream, "urls");
        for (size_t i = 0; i < options->n_urls; i++)
            add_text(stream, options->urls[i]);
    }
    sha256_stream_finish(stream, &work->checkpoint.source);
    return UPDATE_OK;
}

static void find_checkpoint(InstallWork *work)
{
    Checkpoint *ours = &work->checkpoint;
    ours->target = install_target_slot(work->target)->unique;
    ours->disk = sha256_of(work->options->disk_path, strlen(work->options->disk_path));
    Checkpoint found;
    if (checkpoint_load(work->options->state_fd, &found) < 0 ||
            !sha256_equal(&found.source, &ours->source) ||
            !sha256_equal(&found.disk, &ours->disk) || !guid_equal(&found.target, &ours->target))
        return;
    *ours = found;
    work->is_resumed = !found.is_untouched;
}

UpdateError install_work_file_failure(
        const InstallWork *work, UpdateError code, const char *reason, ErrorText *error)
{
    error_say(error, 0, "%s: %s", work->options->file_path, reason);
    return code;
}

static UpdateError open_file(InstallWork *work, ErrorText *error)
{
    work->file_fd = open(work->options->file_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (work->file_fd < 0)
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, strerror(errno), error);
    struct stat st;
    if (fstat(work->file_fd, &st) < 0)
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, strerror(errno), error);
    if (!S_ISREG(st.st_mode))
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, "not a regular file", error);
    work->n_file_bytes = (uint64_t)st.st_size;
    return UPDATE_OK;
}

static UpdateError read_file_metadata(InstallWork *work, ErrorText *error)
{
    UpdateError code = open_file(work, error);
    if (code != UPDATE_OK)
        return code;
    uint8_t start[PAYLOAD_HEADER_BYTES];
    if (work->n_file_bytes < sizeof(start))
        return install_work_file_failure(
                work, UPDATE_ERROR_MAGIC, "too short for a payload", error);
    int r = fd_pread_full(work->file_fd, start, sizeof(start), 0);
    if (r < 0)
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, strerror(-r), error);
    PayloadHeader header;
    code = payload_header_parse(start, &header, error);
    if (code != UPDATE_OK)
        return code;
    if (header.n_metadata_bytes > work->n_file_bytes)
        return install_work_file_failure(
                work, UPDATE_ERROR_PAYLOAD_SIZE, "ends inside its metadata", error);
    work->raw = malloc((size_t)header.n_metadata_bytes);
    if (!work->raw)
        return no_memory(error);
    work->n_raw_bytes = (size_t)header.n_metadata_bytes;
    r = fd_pread_full(work->file_fd, work->raw, work->n_raw_bytes, 0);
    if (r < 0)
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, strerror(-r), error);
    return UPDATE_OK;
}

UpdateError install_work_load(InstallWork *work, ErrorText *error)
{
    UpdateError code = load_keys(work, error);
    if (code != UPDATE_OK)
        return code;
    code = install_target_find(work->options->disk_path, work->options->running_label,
            work->options->target_label, &work->target, error);
    if (code != UPDATE_OK)
        return code;
    code = name_source(work, error);
    if (code != UPDATE_OK)
        return code;
    find_checkpoint(work);
    if (work->options->file_path)
        return read_file_metadata(work, error);
    if ((work->is_resumed || work->checkpoint.is_untouched) &&
            checkpoint_load_metadata(work->options->state_fd, &work->raw, &work->n_raw_bytes) == 0)
        work->is_raw_kept = true;
    return UPDATE_OK;
}

/* --- checking ---------------------------------------------------------------------------- */

InstallFilePlaces install_work_places(const InstallWork *work)
{
    return (InstallFilePlaces){
            .kernels = work->options->kernel_dir,
            .policies = work->options->policy_dir,
    };
}

static UpdateError check_sizes(InstallWork *work, ErrorText *error)
{
    const PartitionUpdate *partition = work->metadata.partition;
    const Slot *slot = install_target_slot(work->target);
    if (partition->size_bytes > slot->size_bytes) {
        return error_say(error, UPDATE_ERROR_MANIFEST,
                "the payload needs a slot of %" PRIu64 " bytes, and %s has %" PRIu64,
                partition->size_bytes, slot->label, slot->size_bytes);
    }
    if (work->metadata.manifest->n_signatures_bytes > PAYLOAD_METADATA_SIGNATURE_MAX_BYTES) {
        return error_say(
                error, UPDATE_ERROR_METADATA_SIZE, "the payload's signature has an absurd size");
    }
    if (work->options->file_path && work->n_file_bytes != work->metadata.n_payload_bytes) {
        return error_say(error, UPDATE_ERROR_PAYLOAD_SIZE,
                "%s has %" PRIu64 " bytes, its manifest says %" PRIu64, work->options->file_path,
                work->n_file_bytes, work->metadata.n_payload_bytes);
    }
    const InstallFilePlaces places = install_work_places(work);
    return install_files_new(work->metadata.manifest, slot->label, &places, &work->files, error);
}

static void copy_name(char *ret_copy, size_t n_room, const char *text)
{
    size_t n = MIN(strlen(text), n_room - 1);
    memcpy(ret_copy, text, n);
    ret_copy[n] = '\0';
}

static void describe_content(InstallWork *work)
{
    const PartitionUpdate *partition = work->metadata.partition;
    SlotContent *content = &work->content;
    *content = (SlotContent){
            .size_bytes = partition->size_bytes,
            .sha256 = partition->hash,
            .has_verity = partition->has_verity,
            .verity = partition->verity,
            .tree_start_block = partition->tree_start_block,
            .root_hash = partition->root_hash,
    };
    copy_name(content->version, sizeof(content->version), work->metadata.version);
    copy_name(content->product, sizeof(content->product), work->metadata.product);
}

/* A payload that is read from its start is digested as a whole, and so is one whose digest was kept
 * with the checkpoint. */
static UpdateError start_digest(InstallWork *work, ErrorText *error)
{
    if (work->is_resumed && !install_work_keeps_digest(work))
        return UPDATE_OK;
    if (payload_digest_new(work->options->has_payload_sha256, &work->digest) < 0)
        return no_memory(error);
    if (work->is_resumed)
        payload_digest_restore(work->digest, &work->checkpoint.digest);
    else
        payload_digest_add_metadata(work->digest, work->raw,
                (size_t)work->metadata.header.n_signed_bytes, work->n_raw_bytes);
    work->signature = malloc((size_t)work->metadata.manifest->n_signatures_bytes + 1);
    return work->signature ? UPDATE_OK : no_memory(error);
}

static UpdateError check_raw(InstallWork *work, ErrorText *error)
{
    const InstallOptions *options = work->options;
    const PayloadRules rules = {
            .product = options->product,
            .running_version = options->running_version,
            .offered_version = options->offered_version,
            .allow_downgrade = options->allow_downgrade,
            .payload_bytes = options->payload_bytes,
            .metadata_bytes = options->metadata_bytes,
            .metadata_signature_base64 = options->metadata_signature_base64,
    };
    return metadata_check(work->raw, work->n_raw_bytes, work->keys, &rules, &work->metadata, error);
}

static void drop_raw(InstallWork *work)
{
    free(work->raw);
    work->raw = NULL;
    work->n_raw_bytes = 0;
}

/* Whether operations write over what others read: such an install begins anew each time. */
static bool has_delta_v1(const InstallWork *work)
{
    const Manifest *manifest = work->metadata.manifest;
    bool is_delta = false;
    for (size_t i = 0; i < manifest->n_partitions; i++)
        is_delta |= manifest->partitions[i].has_source;
    return is_delta && manifest->format == 1;
}

static bool is_of_checkpoint(const InstallWork *work)
{
    const Checkpoint *checkpoint = &work->checkpoint;
    return sha256_equal(&work->metadata.digest, &checkpoint->metadata) &&
           checkpoint->next_operation <= work->metadata.manifest->n_operations &&
           (checkpoint->is_untouched ||
                   ((checkpoint->has_digest || !install_work_keeps_digest(work)) &&
                           !has_delta_v1(work)));
}

/* When an install is gone on with, what runs was held against its hash already, and each operation
 * does so again for what it reads. */
static UpdateError open_source(InstallWork *work, ErrorText *error)
{
    const PartitionUpdate *partition = work->metadata.partition;
    const InstallFilePlaces places = install_work_places(work);
    const RunningSlot running = {
            .disk_path = work->options->disk_path,
            .label = work->options->running_label,
            .version = work->options->running_version,
    };
    if (work->metadata.manifest->format == 1)
        return delta_v1_new(work->metadata.manifest, &running, &places, work->is_cancelled,
                &work->delta_v1, error);
    if (!partition->has_source)
        return UPDATE_OK;
    UpdateError code = install_source_new(
            &running, partition, work->metadata.manifest->source_version, &work->source, error);
    if (code != UPDATE_OK || work->is_resumed)
        return code;
    return install_source_check(work->source, work->is_cancelled, error);
}

UpdateError install_work_check(InstallWork *work, ErrorText *error)
{
    UpdateError code = check_raw(work, error);
    bool is_the_checkpoints = code == UPDATE_OK &&
                              (work->is_resumed || work->checkpoint.is_untouched) &&
                              is_of_checkpoint(work);
    work->is_resumed &= is_the_checkpoints;
    if (work->is_raw_kept && !is_the_checkpoints) {
        payload_metadata_done(&work->metadata);
        drop_raw(work);
        work->is_raw_kept = work->checkpoint.is_untouched = work->checkpoint.lacks_ranges = false;
        return UPDATE_OK;
    }
    if (code == UPDATE_OK)
        code = check_sizes(work, error);
    if (code == UPDATE_OK)
        code = open_source(work, error);
    if (code != UPDATE_OK)
        return code;
    describe_content(work);
    work->is_done = calloc(work->metadata.manifest->n_operations + 1, sizeof(*work->is_done));
    return work->is_done ? start_digest(work, error) : no_memory(error);
}

/* --- preparing --------------------------------------------------------------------------- */

/* An install that cannot keep its state goes on: it only cannot be taken up again. */
static void save_first_checkpoint(InstallWork *work)
{
    int state_fd = work->options->state_fd;
    work->checkpoint.metadata = work->metadata.digest;
    work->checkpoint.next_operation = 0;
    work->checkpoint.is_untouched = false;
    work->checkpoint.has_digest = install_work_keeps_digest(work);
    if (work->checkpoint.has_digest)
        payload_digest_save(work->digest, &work->checkpoint.digest);
    (void)checkpoint_remove(state_fd); /* what another payload left */
    int r = checkpoint_save_metadata(state_fd, work->raw, work->n_raw_bytes);
    if (r == 0)
        r = checkpoint_save(state_fd, &work->checkpoint);
    if (r < 0)
        error_say(&work->warning, r,
                "the state folder cannot be written (%s): after an interruption the download "
                "begins anew",
                strerror(-r));
}

static UpdateError find_what_is_done(InstallWork *work, ErrorText *error)
{
    size_t next = (size_t)work->checkpoint.next_operation;
    for (size_t i = 0; i < next; i++)
        work->is_done[i] = true;
    _cleanup_close_ int fd = -1;
    VerityRegion slot;
    if (install_target_open_direct(work->target, &fd, &slot.offset_bytes, error) < 0)
        return UPDATE_ERROR_VERIFIER_IO;
    slot.fd = fd;
    int r = slot_scan(work->metadata.partition, slot, next, work->is_done, work->is_cancelled);
    if (r != -ECANCELED)
        return UPDATE_OK; /* a scan that fails has found nothing */
    error_say(error, r, "cancelled");
    return UPDATE_ERROR_CANCELLED;
}

bool install_work_may_fetch_less(const InstallWork *work)
{
    return work->file_fd < 0 && (work->options->running_label || work->options->budget_bytes > 0);
}

static UpdateError begin_anew(InstallWork *work, ErrorText *error)
{
    int r = slot_end_clear(work->target);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_WRITE, "%s cannot be written: %s",
                install_target_slot(work->target)->label, strerror(-r));
    const InstallFilePlaces places = install_work_places(work);
    install_files_discard(&places, install_target_slot(work->target)->label);
    if (install_files_prepare(work->files, false, work->is_cancelled, error) < 0)
        return UPDATE_ERROR_WRITE;
    save_first_checkpoint(work);
    return work->delta_v1 ? delta_v1_prepare(work->delta_v1, work->target, work->files,
                                    work->options->state_fd, work->is_cancelled, error)
                          : UPDATE_OK;
}

/* A file that is not as it was left, or already in its place, cannot be gone on with. */
static UpdateError resume_files(InstallWork *work, ErrorText *error)
{
    int r = work->is_resumed ? install_files_prepare(work->files, true, work->is_cancelled, error)
                             : 0;
    if (r == -ECANCELED)
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    if (r != -ESTALE)
        return r < 0 ? UPDATE_ERROR_WRITE : UPDATE_OK;
    work->is_resumed = false;
    payload_digest_free(TAKE_PTR(work->digest));
    free(TAKE_PTR(work->signature));
    return work->seed ? UPDATE_OK : start_digest(work, error);
}

static UpdateError start_read_back(InstallWork *work, ErrorText *error)
{
    const PartitionUpdate *partition = work->metadata.partition;
    if (!read_back_is_possible(partition))
        return UPDATE_OK;
    bool may_hold_tree = work->seed && slot_seed_target_has_tree(work->seed);
    return read_back_new(work->target, partition, may_hold_tree, &work->read_back, error);
}

UpdateError install_work_prepare(InstallWork *work, ErrorText *error)
{
    UpdateError code = install_target_prepare(work->target, error);
    if (code == UPDATE_OK)
        code = resume_files(work, error);
    if (work->seed)
        slot_seed_use_target(work->seed);
    if (code == UPDATE_OK)
        code = work->is_resumed ? find_what_is_done(work, error) : begin_anew(work, error);
    if (code == UPDATE_OK)
        code = start_read_back(work, error);
    install_choice_count(work);
    drop_raw(work);
    return code;
}
