/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-work-private.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-io.h"
#include "common/log.h"
#include "updater/install/checkpoint-keeper.h"
#include "updater/postinst/extension-offer.h"
#include "updater/install/policy-post.h"
#include "updater/postinst/postinst.h"
#include "updater/slot/slot-commit.h"
#include "updater/slot/slot-end.h"
#include "updater/slot/slot-proof.h"

#define POSTINST_FOLDER "postinst" /* of the state folder */

static UpdateError read_file_signature(InstallWork *work, ErrorText *error)
{
    const Manifest *manifest = work->metadata.manifest;
    int r = fd_pread_full(work->file_fd, work->signature, (size_t)manifest->n_signatures_bytes,
            work->metadata.header.n_metadata_bytes + manifest->signatures_offset_bytes);
    if (r < 0)
        return install_work_file_failure(work, UPDATE_ERROR_TRANSFER, strerror(-r), error);
    return UPDATE_OK;
}

static UpdateError check_digests(InstallWork *work, ErrorText *error)
{
    UpdateError code = work->file_fd >= 0 ? read_file_signature(work, error) : UPDATE_OK;
    if (code != UPDATE_OK)
        return code;
    size_t n_signature_bytes = (size_t)work->metadata.manifest->n_signatures_bytes;
    Sha256 of_signed, of_file;
    payload_digest_finish(work->digest, work->signature, n_signature_bytes, &of_signed, &of_file);
    code = key_ring_verify(work->keys, &of_signed, work->signature, n_signature_bytes,
            UPDATE_ERROR_SIGNATURE, error);
    if (code != UPDATE_OK)
        return code;
    if (work->options->has_payload_sha256 &&
            !sha256_equal(&of_file, &work->options->payload_sha256)) {
        return error_say(error, UPDATE_ERROR_PAYLOAD_HASH,
                "the payload's SHA-256 is not the one that was offered");
    }
    return UPDATE_OK;
}

static UpdateError read_policy(InstallWork *work, ErrorText *error)
{
    if (!work->options->policy_url)
        return UPDATE_OK;
    int r = install_files_read(work->files, PARTITION_PCR_POLICY, POLICY_POST_MAX_BYTES,
            &work->policy, &work->n_policy_bytes);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_POLICY_POST, "the PCR policy cannot be sent: %s",
                r == -EFBIG ? "it is larger than 1 MiB" : strerror(-r));
    return UPDATE_OK;
}

UpdateError install_work_prove(InstallWork *work, ErrorText *error)
{
    work->checkpoint.next_operation = work->metadata.manifest->n_operations;
    work->checkpoint.has_digest = install_work_keeps_digest(work);
    if (work->checkpoint.has_digest)
        payload_digest_save(work->digest, &work->checkpoint.digest);
    if (work->digest) {
        UpdateError code = check_digests(work, error);
        if (code != UPDATE_OK)
            return code;
    }
    (void)checkpoint_keeper_save(
            work->target, work->files, work->options->state_fd, &work->checkpoint);
    const PartitionUpdate *partition = work->metadata.partition;
    UpdateError code = slot_end_write(work->target, partition, error);
    if (code == UPDATE_OK)
        code = slot_proof_build(work->target, partition, work->read_back, work->options->n_threads,
                &work->n_bytes_proven, work->is_cancelled, error);
    if (code == UPDATE_OK)
        code = slot_end_check(work->target, work->metadata.manifest, partition, error);
    if (code == UPDATE_OK)
        code = install_files_check(work->files, work->is_cancelled, error);
    return code == UPDATE_OK ? read_policy(work, error) : code;
}

static UpdateError place_files(InstallWork *work, ErrorText *error)
{
    if (!work->are_files_placed && install_files_commit(work->files, error) < 0)
        return UPDATE_ERROR_WRITE;
    work->are_files_placed = true;
    return UPDATE_OK;
}

/* The folder stays: it is empty, and the next install uses it again. */
static UpdateError make_mount_point(
        const InstallWork *work, char *ret_path, size_t n_bytes, ErrorText *error)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", work->options->state_fd);
    ssize_t n = readlink(link, ret_path, n_bytes);
    size_t n_room = n_bytes - sizeof("/" POSTINST_FOLDER);
    if (n < 0 || (size_t)n > n_room ||
            (mkdirat(work->options->state_fd, POSTINST_FOLDER, 0700) < 0 && errno != EEXIST))
        return error_say(error, UPDATE_ERROR_POSTINST,
                "there is no folder to mount the new system at: %s",
                n >= 0 && (size_t)n > n_room ? strerror(ENAMETOOLONG) : strerror(errno));
    memcpy(ret_path + n, "/" POSTINST_FOLDER, sizeof("/" POSTINST_FOLDER));
    return UPDATE_OK;
}

static void log_postinst(const char *line, void *userdata)
{
    (void)userdata;
    const LogField fields[] = {{"FLIPSIDE_TASK", "postinst"}, {}};
    log_fields(LOG_LEVEL_INFO, fields, "postinst: %s", line);
}

UpdateError install_work_postinst(InstallWork *work, ErrorText *error)
{
    char mount_point[PATH_MAX];
    UpdateError code = make_mount_point(work, mount_point, sizeof(mount_point), error);
    if (code == UPDATE_OK)
        code = place_files(work, error);
    if (code != UPDATE_OK)
        return code;
    _cleanup_(extension_offer_freep) ExtensionOffer *offer = NULL;
    const Extensions extensions = {
            .paths = work->options->extensions,
            .folder = work->options->prefs_dir,
            .app_id = work->options->app_id,
            .version = work->content.version,
    };
    if (extensions.paths && extension_offer_new(&extensions, &offer, error) < 0)
        return UPDATE_ERROR_POSTINST;
    install_target_release(work->target);
    const Postinst postinst = {
            .disk_path = work->options->disk_path,
            .slot = install_target_slot(work->target),
            .kernel = install_files_path(work->files, PARTITION_KERNEL),
            .policy = install_files_path(work->files, PARTITION_PCR_POLICY),
            .mount_point = mount_point,
            .limit_usec = work->options->postinst_limit_usec,
            .is_cancelled = work->is_cancelled,
            .on_line = log_postinst,
    };
    work->may_be_flipped = true;
    return postinst_run(&postinst, error);
}

UpdateError install_work_undo(InstallWork *work, ErrorText *error)
{
    (void)error;
    ErrorText reason = {0};
    const Slot *slot = install_target_slot(work->target);
    work->may_be_flipped = false;
    int r = slot_commit_undo(work->options->disk_path, slot, &reason);
    if (r > 0)
        log_warning(
                "the new system's postinst had made %s bootable: that is taken back", slot->label);
    if (r < 0)
        log_error("%s, in which an install failed, may be booted next: run 'slotctl mark-bad "
                  "%s' (%s)",
                slot->label, slot->label, reason.line);
    return UPDATE_OK;
}

UpdateError install_work_commit(InstallWork *work, ErrorText *error)
{
    UpdateError code = place_files(work, error);
    if (code != UPDATE_OK)
        return code;
    if (slot_commit(work->options->disk_path, install_target_slot(work->target),
                work->options->boot_tries, work->may_be_flipped, error) < 0)
        return UPDATE_ERROR_FLIP;
    work->may_be_flipped = false;
    return install_work_forget(work, error);
}

UpdateError install_work_forget(InstallWork *work, ErrorText *error)
{
    (void)error;
    (void)checkpoint_remove(work->options->state_fd);
    const InstallFilePlaces places = install_work_places(work);
    if (work->target)
        install_files_discard(&places, install_target_slot(work->target)->label);
    return UPDATE_OK;
}
