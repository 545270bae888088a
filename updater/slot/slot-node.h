/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The block device under which a slot can be mounted: the partition's own node, or, where it has
 * none (an image file, a kernel that knows no partitions of the disk), a loop device over its
 * place, which refuses writes and goes away with its last user. All calls block. */

#include "common/cleanup.h"
#include "common/error-text.h"
#include "partitions/slot-disk.h"

typedef struct SlotNode SlotNode;

/* Errors: -ESTALE when the table has no slot of this PARTUUID any more, errno of slot_disk_open and
 * of the loop device, with error. */
int slot_node_new(const char *disk_path, const Slot *slot, SlotNode **ret_node, ErrorText *error);

/* Lets go of it; what has mounted it keeps it. */
void slot_node_free(SlotNode *node);
DEFINE_CLEANUP(SlotNode *, slot_node_free);

/* "/dev/sda4"; inside node. */
const char *slot_node_path(const SlotNode *node);

/* What is in it, as slot_content_probe() says; inside node. */
const char *slot_node_content(const SlotNode *node);
