/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot-slot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "partitions/slot-trailer-read.h"
#include "partitions/sysfs.h"

/* The kernel tells the PARTUUID of a partition only since Linux 6.10, and makes the links by it
 * only through udev: so the tables are read by our own reader, which does without the primary copy
 * where it must. A disk that cannot be read, or has no such table, is another's. */

/* What is looked for, and what was found. */
typedef struct {
    const char *root;
    const Guid *type; /* may be NULL */
    const Guid *unique;
    bool is_found;
    char disk_path[PARTITION_NODE_BYTES];
    BootSlot slot;
} Search;

/* Takes what there is to know of the slot `index` of the disk whose sysfs folder is dir_fd. */
static int take_slot(
        Search *search, int dir_fd, const SlotDisk *disk, size_t index, ErrorText *error)
{
    size_t n_slots;
    const Slot *slot = &slot_disk_slots(disk, &n_slots)[index];
    const PartitionPlace place = {.number = slot->entry + 1,
            .offset_bytes = slot->offset_bytes,
            .size_bytes = slot->size_bytes};
    BootSlot *found = &search->slot;
    int r = partition_node_find_below(dir_fd, search->root, &place, found->device_path, error);
    /* The kernel makes the partition's folder in /sys before its node. */
    if (r == -ENOENT || (r >= 0 && access(found->device_path, F_OK) < 0))
        return error_say(error, -ENODEV,
                "%s has the slot %s as partition %u, but the kernel does not know that partition",
                search->disk_path, slot->label, place.number);
    if (r >= 0)
        r = slot_trailer_read(disk, index, &found->trailer_fault, &found->trailer, error);
    if (r < 0)
        return r;
    memcpy(found->label, slot->label, sizeof(found->label));
    found->unique = slot->unique;
    search->is_found = true;
    return 0;
}

/* Looks at one device of /sys/class/block (dir_fd, borrowed). */
static int look_at(Search *search, int dir_fd, ErrorText *error)
{
    uint64_t number, size;
    char path[PARTITION_NODE_BYTES];
    if (sysfs_read_u64(dir_fd, "partition", &number) >= 0 ||
            (sysfs_read_u64(dir_fd, "size", &size) >= 0 && size == 0) ||
            sysfs_read_node(dir_fd, search->root, path, sizeof(path)) < 0)
        return 0;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    if (slot_disk_open(path, false, search->type, 0, &disk, NULL) < 0)
        return 0;
    size_t index = slot_disk_find_unique(disk, search->unique);
    if (index == SLOT_NONE)
        return 0;
    if (search->is_found)
        return error_say(error, -ENOTUNIQ,
                "%s and %s both have the slot that was started, with the same PARTUUID; take one "
                "of them away, or give its partitions others",
                search->disk_path, path);
    memcpy(search->disk_path, path, sizeof(path));
    return take_slot(search, dir_fd, disk, index, error);
}

static int look_at_all(Search *search, ErrorText *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sys/class/block", search->root);
    DIR *dir = opendir(path);
    if (!dir)
        return error_say(error, -errno, "%s cannot be read: %s", path, strerror(errno));
    int r = 0;
    for (struct dirent *d = readdir(dir); d && r >= 0; d = readdir(dir)) {
        if (d->d_name[0] == '.')
            continue;
        _cleanup_close_ int fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            r = look_at(search, fd, error);
    }
    closedir(dir);
    return r;
}

int boot_slot_find(const char *root, const Guid *type, const Guid *unique, BootSlot *ret_slot,
        ErrorText *error)
{
    Search search = {.root = root, .type = type, .unique = unique};
    int r = look_at_all(&search, error);
    if (r < 0)
        return r;
    if (!search.is_found) {
        char text[GUID_TEXT_CHARS + 1];
        guid_to_text(unique, text);
        return error_say(error, -ENODEV,
                "no disk has the slot that was started, of PARTUUID %s; is its driver loaded?",
                text);
    }
    *ret_slot = search.slot;
    return 0;
}

int boot_slot_check(
        const BootSlot *slot, const BootRequest *request, bool *ret_is_verified, ErrorText *error)
{
    bool is_valid = slot->trailer_fault == TRAILER_VALID;
    bool has_tree = is_valid && slot->trailer.tree_bytes > 0;
    if (!is_valid && slot->trailer_fault != TRAILER_ABSENT)
        return error_say(error, -EBADMSG, "slot %s: its trailer %s; install it anew", slot->label,
                slot_trailer_fault_text(slot->trailer_fault));
    if (has_tree && !request->has_root_hash)
        return error_say(error, -EBADMSG,
                "slot %s has a hash tree, but the kernel's command line no " BOOT_REQUEST_ROOT_HASH
                "=, without which nothing vouches for it",
                slot->label);
    if (!has_tree && request->has_root_hash)
        return error_say(error, -EBADMSG,
                "the kernel's command line has " BOOT_REQUEST_ROOT_HASH
                "=, but slot %s has %s; install it anew",
                slot->label, is_valid ? "no hash tree" : "no trailer that names a hash tree");
    if (has_tree && memcmp(&slot->trailer.root_hash, &request->root_hash, sizeof(Sha256)) != 0)
        return error_say(error, -EBADMSG,
                "slot %s has another root hash than the kernel's command line (" BOOT_REQUEST_ROOT_HASH
                "=): another system than this kernel's; install it anew",
                slot->label);
    *ret_is_verified = has_tree;
    return 0;
}
