/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-content.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

DEFINE_CLEANUP(blkid_probe, blkid_free_probe);

static void copy_value(blkid_probe probe, const char *name, char *ret_text, size_t n_bytes)
{
    const char *value;
    if (blkid_probe_lookup_value(probe, name, &value, NULL) < 0)
        return;
    snprintf(ret_text, n_bytes, "%s", value);
    for (char *c = ret_text; *c; c++)
        if (*c < 0x20 || *c > 0x7e) /* it comes from the slot */
            *c = '?';
}

int slot_content_probe(const SlotDisk *disk, size_t slot, SlotContentKind *ret_kind)
{
    size_t n_slots;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    int r = slot_disk_open_slot(disk, slot, O_RDONLY, &fd, &offset_bytes, NULL);
    if (r < 0)
        return r;

    _cleanup_(blkid_free_probep) blkid_probe probe = blkid_new_probe();
    if (!probe)
        return -ENOMEM;
    errno = 0;
    if (blkid_probe_set_device(
                probe, fd, (blkid_loff_t)offset_bytes, (blkid_loff_t)slots[slot].size_bytes) < 0 ||
            blkid_probe_enable_superblocks(probe, 1) < 0 ||
            blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL) < 0)
        return errno ? -errno : -EIO;

    SlotContentKind kind = {0};
    if (blkid_do_safeprobe(probe) == 0) {
        copy_value(probe, "TYPE", kind.type, sizeof(kind.type));
        copy_value(probe, "LABEL", kind.label, sizeof(kind.label));
    }
    *ret_kind = kind;
    return 0;
}
