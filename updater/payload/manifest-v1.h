/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the readers of the two formats: manifest_parse() (manifest.h) chooses. */

#include "common/error-text.h"
#include "updater/payload/manifest.h"
#include "updater/payload/message-arena.h"

/* What a partition of this name is in format 1, which itself has no names: "KERNEL", "PCR_POLICY",
 * and the slot for anything else. */
PartitionKind manifest_v1_kind_of(const char *name);

/* Reads and checks a manifest of format 1 into the arena: all of *manifest but n_blob_bytes.
 * Returns as manifest_parse(). */
UpdateError manifest_read_v1(MessageArena *arena, const uint8_t *data, size_t n_bytes,
        Manifest *manifest, ErrorText *error);

/* Unpacks a message into the arena. Returns UPDATE_OK, UPDATE_ERROR_MANIFEST or
 * UPDATE_ERROR_GENERIC (memory). */
UpdateError manifest_unpack(MessageArena *arena, const ProtobufCMessageDescriptor *descriptor,
        const uint8_t *data, size_t n_bytes, const ProtobufCMessage **ret_message,
        ErrorText *error);

/* The arena gave nothing: says why. */
UpdateError manifest_refuse_memory(const MessageArena *arena, ErrorText *error);
