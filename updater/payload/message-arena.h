/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Memory for what is read out of one protobuf message: taken piece by piece, given back as a
 * whole, and never more than a limit, whatever the message says. */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

typedef struct MessageArena MessageArena;

/* Makes an arena that hands out at most max_bytes in all. Errors: -ENOMEM. */
int message_arena_new(size_t max_bytes, MessageArena **ret_arena);

/* Gives back everything that was taken from it. */
void message_arena_free(MessageArena *arena);
DEFINE_CLEANUP(MessageArena *, message_arena_free);

/* Takes n elements of element_bytes, zeroed and aligned for any type (inside the arena; never NULL
 * for n 0). NULL when the limit or the machine's memory is reached. */
void *message_arena_take(MessageArena *arena, size_t n, size_t element_bytes);

/* Whether something was not given because of the limit. */
bool message_arena_is_exhausted(const MessageArena *arena);

/* Unpacks a message; what it allocates is inside the arena and need not be freed.
 * NULL when data (borrowed) is not such a message or does not fit into the limit. */
ProtobufCMessage *message_arena_unpack(MessageArena *arena,
        const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t n_bytes);
