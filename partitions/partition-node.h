/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel's node of a partition: /dev/vda3 for the third partition of /dev/vda. */

#include <stdint.h>

#include "common/error-text.h"

#define PARTITION_NODE_BYTES 4096

/* Where the table has a partition. */
typedef struct {
    uint32_t number; /* from 1 */
    uint64_t offset_bytes;
    uint64_t size_bytes;
} PartitionPlace;

/* The path of partition `number` (from 1) of the disk that disk_fd (borrowed) is open on.
 * Blocks on /sys and /dev only.
 * Errors: -ENOENT the kernel has no such partition, or disk_fd is no block device; -ESTALE it has
 * that one at another place than offset_bytes and size_bytes, or another one there. */
int partition_node_find(int disk_fd, uint32_t number, uint64_t offset_bytes, uint64_t size_bytes,
        char ret_path[static PARTITION_NODE_BYTES], ErrorText *error);

/* The same by the disk's folder in /sys (dir_fd, borrowed); root: prefix of the path that is
 * returned. Errors: as above. */
int partition_node_find_below(int dir_fd, const char *root, const PartitionPlace *place,
        char ret_path[static PARTITION_NODE_BYTES], ErrorText *error);
