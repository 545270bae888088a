/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot-node.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "partitions/slot-content.h"

/* A free loop device may be taken by somebody else before it is ours. */
#define LOOP_TRIES 32

struct SlotNode {
    int fd; /* keeps a loop device */
    char path[256];
    SlotContentKind content;
};

static int name_node(SlotNode *node)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", node->fd);
    ssize_t n = readlink(link, node->path, sizeof(node->path) - 1);
    if (n < 0)
        return -errno;
    node->path[n] = '\0';
    return 0;
}

static int configure_free_loop(int control_fd, const struct loop_config *config, int *ret_fd)
{
    char path[64];
    int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
    if (number < 0)
        return -errno;
    snprintf(path, sizeof(path), "/dev/loop%d", number);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, config) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int make_loop(SlotNode *node, int disk_fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    struct loop_config config = {
            .fd = (uint32_t)disk_fd,
            .info = {.lo_offset = offset_bytes,
                    .lo_sizelimit = size_bytes,
                    .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR},
    };
    _cleanup_close_ int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control_fd < 0)
        return -errno;
    int r = -EBUSY;
    for (unsigned i = 0; r == -EBUSY && i < LOOP_TRIES; i++)
        r = configure_free_loop(control_fd, &config, &node->fd);
    return r;
}

static int open_node(SlotNode *node, const SlotDisk *disk, size_t index, ErrorText *error)
{
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    struct stat st;
    const Slot *slot = &slot_disk_slots(disk, &(size_t){0})[index];
    int r = slot_disk_open_slot(disk, index, O_RDONLY, &fd, &offset_bytes, error);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISBLK(st.st_mode) && offset_bytes == 0)
        node->fd = TAKE_FD(fd);
    else
        r = make_loop(node, fd, offset_bytes, slot->size_bytes);
    if (r >= 0)
        r = name_node(node);
    if (r < 0)
        return error_say(
                error, r, "there is no block device for %s: %s", slot->label, strerror(-r));
    return slot_content_probe(disk, index, &node->content);
}

int slot_node_new(const char *disk_path, const Slot *slot, SlotNode **ret_node, ErrorText *error)
{
    _cleanup_(slot_node_freep) SlotNode *node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->fd = -1;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(disk_path, false, NULL, 0, &disk, error);
    if (r < 0)
        return r;
    size_t index = slot_disk_find_unique(disk, &slot->unique);
    if (index == SLOT_NONE)
        return error_say(error, -ESTALE, "the slot %s is gone from the partition table of %s",
                slot->label, disk_path);
    r = open_node(node, disk, index, error);
    if (r < 0)
        return r;
    *ret_node = TAKE_PTR(node);
    return 0;
}

void slot_node_free(SlotNode *node)
{
    if (!node)
        return;
    safe_close(node->fd);
    free(node);
}

const char *slot_node_path(const SlotNode *node)
{
    return node->path;
}

const char *slot_node_content(const SlotNode *node)
{
    return node->content.type;
}
