/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Device paths for tests, put together node by node. */

#include "partitions/boot/device-path.h"

typedef struct {
    uint8_t bytes[2 * DEVICE_PATH_BYTES_MAX];
    size_t n_bytes;
} PathBuilder;

/* Adds a node: its head, and n bytes of data. */
void path_add(
        PathBuilder *builder, uint8_t type, uint8_t subtype, const void *data, size_t n_bytes);

/* Adds the nodes of the disk of this number, 12 + 6 bytes. */
void path_add_disk(PathBuilder *builder, uint8_t number);

/* Adds a partition's node; n_bytes: of the whole node, its size where it is not to be cut. */
void path_add_partition(PathBuilder *builder, const EfiHardDrivePath *drive, size_t n_bytes);

/* Adds the end node and returns the path in memory of exactly its size, new (free()). */
EfiDevicePath *path_finish(PathBuilder *builder);

/* The node of a GPT partition whose PARTUUID has 16 times this byte. */
EfiHardDrivePath path_partition_node(uint8_t unique);

/* New paths (free()): of a disk, of one of its partitions. */
EfiDevicePath *path_of_disk(uint8_t number);
EfiDevicePath *path_of_partition(uint8_t number, uint8_t unique);
