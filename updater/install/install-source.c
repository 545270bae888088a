/* SPDX-License-Identifier: Apache-2.0 */

/* Operations read twice, once for the hash and once to apply: through the page cache, and dropped
 * from it afterwards. The whole is read once, before the target is touched, and past the cache: a
 * disk that has begun to rot is found while the target can still boot. */

#include "updater/install/install-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "partitions/slot-reader.h"

#define BLOCK_BYTES 4096
#define INSTEAD "install a full payload instead"

struct InstallSource {
    char *disk_path;
    bool is_file;
    char label[SLOT_LABEL_BYTES]; /* or what the file is */
    char version[129];            /* that the delta begins with; "" when it does not say */
    uint64_t n_bytes;
    Sha256 hash;
    int fd; /* through the page cache */
    uint64_t offset_bytes;
};

static UpdateError check_version(
        const RunningSlot *running, const char *source_version, ErrorText *error)
{
    if (!running->label)
        return error_say(error, UPDATE_ERROR_SOURCE,
                "the payload is a delta, and no slot of %s runs that it could begin with: " INSTEAD,
                running->disk_path);
    if (source_version[0] && running->version && strcmp(source_version, running->version) != 0)
        return error_say(error, UPDATE_ERROR_SOURCE,
                "the payload is a delta that begins with version %s, and %s runs: " INSTEAD,
                source_version, running->version);
    return UPDATE_OK;
}

static UpdateError refuse_content(const InstallSource *source, ErrorText *error)
{
    bool has_version = source->version[0];
    return error_say(error, UPDATE_ERROR_SOURCE,
            "the payload is a delta that begins with %s%s, and %s, which runs, does not hold that "
            "as it was released: " INSTEAD,
            has_version ? "version " : "another image", source->version, source->label);
}

static UpdateError cannot_read(
        const InstallSource *source, int r, const ErrorText *reason, ErrorText *error)
{
    if (r == -ENOMEM)
        return error_say(
                error, UPDATE_ERROR_GENERIC, "not enough memory to read %s", source->label);
    return error_say(error, UPDATE_ERROR_SOURCE,
            "the payload is a delta, and %s, which runs, cannot be read: %s", source->label,
            reason->line[0] ? reason->line : strerror(-r));
}

/* The slot's index; what runs has been found at start-up, but the table may have changed. */
static int open_disk(
        const InstallSource *source, SlotDisk **ret_disk, size_t *ret_index, ErrorText *reason)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(source->disk_path, false, NULL, 0, &disk, reason);
    if (r < 0)
        return r;
    *ret_index = slot_disk_find(disk, source->label);
    if (*ret_index == SLOT_NONE)
        return error_say(reason, -ENODEV, "%s has no such slot", source->disk_path);
    *ret_disk = TAKE_PTR(disk);
    return 0;
}

static UpdateError open_slot(InstallSource *source, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    ErrorText reason = {0};
    size_t index;
    int r = open_disk(source, &disk, &index, &reason);
    if (r < 0)
        return cannot_read(source, r, &reason, error);
    if (source->n_bytes > slot_disk_slots(disk, &(size_t){0})[index].size_bytes)
        return refuse_content(source, error);
    r = slot_disk_open_slot(disk, index, O_RDONLY, &source->fd, &source->offset_bytes, &reason);
    return r < 0 ? cannot_read(source, r, &reason, error) : UPDATE_OK;
}

UpdateError install_source_new(const RunningSlot *running, const PartitionUpdate *partition,
        const char *source_version, InstallSource **ret_source, ErrorText *error)
{
    UpdateError code = check_version(running, source_version, error);
    if (code != UPDATE_OK)
        return code;
    _cleanup_(install_source_freep) InstallSource *source = malloc(sizeof(*source));
    if (!source)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    *source = (InstallSource){
            .n_bytes = partition->source_bytes,
            .hash = partition->source_hash,
            .fd = -1,
    };
    snprintf(source->label, sizeof(source->label), "%s", running->label);
    snprintf(source->version, sizeof(source->version), "%s", source_version);
    source->disk_path = strdup(running->disk_path);
    if (!source->disk_path)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    code = open_slot(source, error);
    if (code != UPDATE_OK)
        return code;
    *ret_source = TAKE_PTR(source);
    return UPDATE_OK;
}

UpdateError install_source_new_file(const char *path, const PartitionUpdate *partition,
        InstallSource **ret_source, ErrorText *error)
{
    _cleanup_(install_source_freep) InstallSource *source = malloc(sizeof(*source));
    if (!source)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    *source = (InstallSource){
            .is_file = true,
            .label = "its kernel",
            .n_bytes = partition->source_bytes,
            .hash = partition->source_hash,
            .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
    };
    uint64_t n_bytes;
    int r = source->fd < 0 ? -errno : fd_size_bytes(source->fd, &n_bytes);
    if (r < 0)
        return cannot_read(source, r, &(ErrorText){}, error);
    if (n_bytes != source->n_bytes)
        return refuse_content(source, error);
    *ret_source = TAKE_PTR(source);
    return UPDATE_OK;
}

void install_source_free(InstallSource *source)
{
    if (!source)
        return;
    safe_close(source->fd);
    free(source->disk_path);
    free(source);
}

static int hash_slot(const InstallSource *source, Sha256Stream *stream,
        const atomic_bool *is_cancelled, ErrorText *reason)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    _cleanup_close_ int fd = -1;
    size_t index;
    uint64_t offset_bytes;
    int r = open_disk(source, &disk, &index, reason);
    if (r == 0)
        r = slot_reader_open(disk, index, &fd, &offset_bytes, reason);
    return r < 0 ? r
                 : slot_reader_hash(fd, offset_bytes, source->n_bytes, stream, NULL, is_cancelled);
}

static int hash_file(
        const InstallSource *source, Sha256Stream *stream, const atomic_bool *is_cancelled)
{
    alignas(BLOCK_BYTES) uint8_t block[BLOCK_BYTES];
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < source->n_bytes; at += BLOCK_BYTES) {
        size_t n = (size_t)MIN((uint64_t)BLOCK_BYTES, source->n_bytes - at);
        r = atomic_load(is_cancelled) ? -ECANCELED : fd_pread_full(source->fd, block, n, at);
        if (r == 0)
            sha256_stream_add(stream, block, n);
    }
    return r;
}

static int hash_all(const InstallSource *source, const atomic_bool *is_cancelled, Sha256 *ret_hash,
        ErrorText *reason)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    int r = sha256_stream_new(&stream);
    if (r == 0)
        r = source->is_file ? hash_file(source, stream, is_cancelled)
                            : hash_slot(source, stream, is_cancelled, reason);
    if (r == 0)
        sha256_stream_finish(stream, ret_hash);
    return r;
}

UpdateError install_source_check(
        InstallSource *source, const atomic_bool *is_cancelled, ErrorText *error)
{
    ErrorText reason = {0};
    Sha256 hash;
    int r = hash_all(source, is_cancelled, &hash, &reason);
    if (r == -ECANCELED)
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    if (r < 0)
        return cannot_read(source, r, &reason, error);
    return sha256_equal(&hash, &source->hash) ? UPDATE_OK : refuse_content(source, error);
}

int install_source_read(
        const InstallSource *source, uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes)
{
    uint64_t end = u64_div_round_up(source->n_bytes, BLOCK_BYTES) * BLOCK_BYTES;
    if (offset_bytes > end || n_bytes > end - offset_bytes)
        return -EINVAL;
    size_t n = n_bytes;
    if (source->is_file && n > source->n_bytes - MIN(offset_bytes, source->n_bytes)) {
        n = (size_t)(source->n_bytes - offset_bytes);
        memset(ret_data + n, 0, n_bytes - n);
    }
    return fd_pread_full(source->fd, ret_data, n, source->offset_bytes + offset_bytes);
}

void install_source_drop(const InstallSource *source, uint64_t offset_bytes, uint64_t n_bytes)
{
    (void)posix_fadvise(source->fd, (off_t)(source->offset_bytes + offset_bytes), (off_t)n_bytes,
            POSIX_FADV_DONTNEED);
}
