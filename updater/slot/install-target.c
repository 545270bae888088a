/* SPDX-License-Identifier: Apache-2.0 */

/* The disk's lock is held only while the table is changed, not for the minutes of a download: udev
 * and slotctl wait for it. So between the calls the slot is known by its PARTUUID and place, and
 * found again by them. A partition with a node of its own is also claimed (O_EXCL): the kernel
 * then refuses it when it is mounted or below device-mapper, whatever its label says. */

#include "updater/slot/install-target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "partitions/slot-reader.h"

#define ZERO_CHUNK_BYTES (64 * 1024)
#define PROBE_BYTES 4096

struct InstallTarget {
    char *disk_path;
    char *running_label; /* NULL: none */
    char *target_label;  /* NULL: the other one */
    Slot slot;
    int fd;       /* for writing; -1 until prepared */
    int claim_fd; /* holds the partition exclusively; -1 where it has no node */
    uint64_t offset_bytes;
    atomic_int sync_failure; /* a negative errno; it stays */
};

static bool slots_overlap(const Slot *a, const Slot *b)
{
    return a->offset_bytes < b->offset_bytes + b->size_bytes &&
           b->offset_bytes < a->offset_bytes + a->size_bytes;
}

/* The running slot's index, or SLOT_NONE when none runs. */
static UpdateError find_running(
        const InstallTarget *target, const SlotDisk *disk, size_t *ret_running, ErrorText *error)
{
    *ret_running = SLOT_NONE;
    if (!target->running_label)
        return UPDATE_OK;
    *ret_running = slot_disk_find(disk, target->running_label);
    if (*ret_running != SLOT_NONE)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_OPEN_TARGET,
            "%s has no slot %s, which is said to be the running one", target->disk_path,
            target->running_label);
}

/* The only slot that does not run. */
static UpdateError find_other(const InstallTarget *target, const SlotDisk *disk, size_t running,
        size_t *ret_index, ErrorText *error)
{
    size_t n_slots;
    slot_disk_slots(disk, &n_slots);
    if (running == SLOT_NONE) {
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "no slot of %s is known to run: say which one to write", target->disk_path);
    }
    if (n_slots != 2) {
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "%s has %zu slots beside the running %s: %s", target->disk_path, n_slots - 1,
                target->running_label,
                n_slots < 2 ? "a second one is needed" : "say which one to write");
    }
    *ret_index = 1 - running;
    return UPDATE_OK;
}

static UpdateError find_target(
        const InstallTarget *target, const SlotDisk *disk, size_t *ret_index, ErrorText *error)
{
    size_t running, index = SLOT_NONE;
    UpdateError code = find_running(target, disk, &running, error);
    if (code != UPDATE_OK)
        return code;
    if (!target->target_label) {
        code = find_other(target, disk, running, &index, error);
        if (code != UPDATE_OK)
            return code;
    } else {
        index = slot_disk_find(disk, target->target_label);
        if (index == SLOT_NONE) {
            return error_say(error, UPDATE_ERROR_OPEN_TARGET, "%s has no slot %s",
                    target->disk_path, target->target_label);
        }
    }
    const Slot *slots = slot_disk_slots(disk, &(size_t){0});
    if (running != SLOT_NONE && slots_overlap(&slots[index], &slots[running])) {
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "%s is the running slot: it is never written", slots[index].label);
    }
    /* Its tries may be spent by now, or be spent during the install. */
    if (running != SLOT_NONE && !slots[running].successful) {
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "%s, which runs, is not marked good yet, and %s may be the last slot that boots: "
                "update when the boot is complete, or run 'slotctl mark-good %s'",
                slots[running].label, slots[index].label, slots[running].label);
    }
    *ret_index = index;
    return UPDATE_OK;
}

static int copy_text(const char *text, char **ret_copy)
{
    if (!text)
        return 0;
    *ret_copy = strdup(text);
    return *ret_copy ? 0 : -ENOMEM;
}

UpdateError install_target_find(const char *disk_path, const char *running_label,
        const char *target_label, InstallTarget **ret_target, ErrorText *error)
{
    _cleanup_(install_target_freep) InstallTarget *target = malloc(sizeof(*target));
    if (!target)
        return UPDATE_ERROR_GENERIC;
    *target = (InstallTarget){.fd = -1, .claim_fd = -1};
    if (copy_text(disk_path, &target->disk_path) < 0 ||
            copy_text(running_label, &target->running_label) < 0 ||
            copy_text(target_label, &target->target_label) < 0)
        return UPDATE_ERROR_GENERIC;

    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (slot_disk_open(disk_path, false, NULL, 0, &disk, error) < 0)
        return UPDATE_ERROR_OPEN_TARGET;
    size_t index;
    UpdateError code = find_target(target, disk, &index, error);
    if (code != UPDATE_OK)
        return code;
    target->slot = slot_disk_slots(disk, &(size_t){0})[index];
    *ret_target = TAKE_PTR(target);
    return UPDATE_OK;
}

void install_target_free(InstallTarget *target)
{
    if (!target)
        return;
    safe_close(target->fd);
    safe_close(target->claim_fd);
    free(target->disk_path);
    free(target->running_label);
    free(target->target_label);
    free(target);
}

void install_target_release(InstallTarget *target)
{
    target->fd = safe_close(target->fd);
    target->claim_fd = safe_close(target->claim_fd);
}

const Slot *install_target_slot(const InstallTarget *target)
{
    return &target->slot;
}

/* Claims a partition's own node; the whole disk of an image or without nodes is never claimed. */
static UpdateError claim(InstallTarget *target, ErrorText *error)
{
    struct stat st;
    if (fstat(target->fd, &st) < 0 || !S_ISBLK(st.st_mode) || target->offset_bytes != 0)
        return UPDATE_OK;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
    target->claim_fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (target->claim_fd >= 0 || errno == ENOENT)
        return UPDATE_OK;
    return error_say(error, UPDATE_ERROR_OPEN_TARGET,
            "%s is in use (mounted, or below device-mapper): it is not written: %m",
            target->slot.label);
}

static bool is_same_slot(const Slot *a, const Slot *b)
{
    return guid_equal(&a->unique, &b->unique) && a->offset_bytes == b->offset_bytes &&
           a->size_bytes == b->size_bytes;
}

UpdateError install_target_prepare(InstallTarget *target, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (slot_disk_open(target->disk_path, true, NULL, 0, &disk, error) < 0)
        return UPDATE_ERROR_OPEN_TARGET;
    size_t index;
    UpdateError code = find_target(target, disk, &index, error);
    if (code != UPDATE_OK)
        return code;
    if (!is_same_slot(&slot_disk_slots(disk, &(size_t){0})[index], &target->slot)) {
        return error_say(error, UPDATE_ERROR_OPEN_TARGET,
                "the partition table of %s changed during the install: start again",
                target->disk_path);
    }

    /* Claimed before its bits change: a slot in use keeps them. */
    if (slot_disk_open_slot(disk, index, O_RDWR, &target->fd, &target->offset_bytes, error) < 0)
        return UPDATE_ERROR_OPEN_TARGET;
    code = claim(target, error);
    if (code != UPDATE_OK)
        return code;
    if (slot_disk_invalidate(disk, index, error) < 0)
        return UPDATE_ERROR_WRITE;
    target->slot = slot_disk_slots(disk, &(size_t){0})[index];
    return UPDATE_OK;
}

/* Where a range of the slot lies for the descriptor. */
static int locate(const InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes,
        uint64_t *ret_at_bytes)
{
    uint64_t end;
    if (!u64_add(offset_bytes, n_bytes, &end) || end > target->slot.size_bytes)
        return -ENOSPC;
    *ret_at_bytes = target->offset_bytes + offset_bytes;
    return 0;
}

int install_target_write(
        InstallTarget *target, uint64_t offset_bytes, const void *data, size_t n_bytes)
{
    uint64_t at;
    int r = locate(target, offset_bytes, n_bytes, &at);
    return r < 0 ? r : fd_pwrite_full(target->fd, data, n_bytes, at);
}

int install_target_zero(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes)
{
    uint64_t at;
    int r = locate(target, offset_bytes, n_bytes, &at);
    if (r < 0)
        return r;
    if (fallocate(target->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)at,
                (off_t)n_bytes) == 0)
        return 0;
    while (n_bytes > 0) {
        static const uint8_t zeros[ZERO_CHUNK_BYTES];
        size_t n = (size_t)MIN(n_bytes, sizeof(zeros));
        r = fd_pwrite_full(target->fd, zeros, n, at);
        if (r < 0)
            return r;
        at += n;
        n_bytes -= n;
    }
    return 0;
}

/* Who is told by the kernel that data could not be written is the only one who is: a success later
 * says nothing about what was written before. */
static void note_sync(InstallTarget *target, int r)
{
    if (r < 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
        atomic_store(&target->sync_failure, -errno);
}

/* These two are advice: what they fail to do, install_target_sync does.
 *
 * Whole payloads of 1 GiB through the page cache, as here, and by O_DIRECT, in turns, 8 each: 2.4 s
 * and 3.0 s of processor against 2.7 and 3.6; adaptive, 4 each: 2.9 and 2.2 against 3.0 and 2.1.
 * What io_uring adds to O_DIRECT (fio, 1 GiB: 0.65 s with four writes under way, against 0.74 by
 * two threads) is not what an install waits for. */
void install_target_write_behind(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes)
{
    uint64_t at;
    if (locate(target, offset_bytes, n_bytes, &at) == 0)
        note_sync(target,
                sync_file_range(target->fd, (off_t)at, (off_t)n_bytes, SYNC_FILE_RANGE_WRITE));
}

void install_target_drop(InstallTarget *target, uint64_t offset_bytes, uint64_t n_bytes)
{
    uint64_t at;
    if (locate(target, offset_bytes, n_bytes, &at) < 0)
        return;
    note_sync(target, sync_file_range(target->fd, (off_t)at, (off_t)n_bytes,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                      SYNC_FILE_RANGE_WAIT_AFTER));
    (void)posix_fadvise(target->fd, (off_t)at, (off_t)n_bytes, POSIX_FADV_DONTNEED);
}

int install_target_sync(InstallTarget *target)
{
    if (fdatasync(target->fd) < 0)
        atomic_store(&target->sync_failure, -errno);
    int r = atomic_load(&target->sync_failure);
    if (r < 0)
        return r;
    (void)posix_fadvise(target->fd, (off_t)target->offset_bytes, (off_t)target->slot.size_bytes,
            POSIX_FADV_DONTNEED);
    return 0;
}

int install_target_fd(const InstallTarget *target, uint64_t *ret_offset_bytes)
{
    *ret_offset_bytes = target->offset_bytes;
    return target->fd;
}

int install_target_open_direct(
        const InstallTarget *target, int *ret_fd, uint64_t *ret_offset_bytes, ErrorText *error)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(target->disk_path, false, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = slot_disk_find_unique(disk, &target->slot.unique);
    if (index == SLOT_NONE ||
            !is_same_slot(&slot_disk_slots(disk, &(size_t){0})[index], &target->slot))
        return error_say(error, -ENODEV, "the slot %s is gone from the partition table of %s",
                target->slot.label, target->disk_path);
    return slot_reader_open(disk, index, ret_fd, ret_offset_bytes, error);
}
