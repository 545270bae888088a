/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/message-arena.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "common/bytes.h"

/* A list of chunks; small pieces are cut from the newest one, a large piece gets a chunk of its
 * own. protobuf-c allocates through it and frees nothing, so that a message that is refused half
 * way costs no more than one that is taken. Groups, which could nest without end, are refused by
 * protobuf-c itself; every other nesting is bounded by the descriptors. */
#define CHUNK_BYTES (64 * 1024)
#define LARGE_BYTES (CHUNK_BYTES / 4)

typedef struct Chunk Chunk;
struct Chunk {
    Chunk *next;
    alignas(max_align_t) uint8_t data[];
};

struct MessageArena {
    Chunk *chunks;
    uint8_t *free_start; /* inside the newest small chunk */
    size_t n_free_bytes;
    size_t n_left_bytes; /* until the limit */
    bool is_exhausted;
};

int message_arena_new(size_t max_bytes, MessageArena **ret_arena)
{
    MessageArena *arena = calloc(1, sizeof(*arena));
    if (!arena)
        return -ENOMEM;
    arena->n_left_bytes = max_bytes;
    *ret_arena = arena;
    return 0;
}

void message_arena_free(MessageArena *arena)
{
    if (!arena)
        return;
    for (Chunk *chunk = arena->chunks; chunk;) {
        Chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(arena);
}

static uint8_t *add_chunk(MessageArena *arena, size_t n_bytes)
{
    Chunk *chunk = malloc(sizeof(*chunk) + n_bytes);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->data;
}

static void *take_bytes(MessageArena *arena, size_t n_bytes)
{
    size_t n_aligned = MAX(n_bytes, (size_t)1);
    if (__builtin_add_overflow(n_aligned, alignof(max_align_t) - 1, &n_aligned))
        return NULL;
    n_aligned -= n_aligned % alignof(max_align_t);
    if (n_aligned > arena->n_left_bytes) {
        arena->is_exhausted = true;
        return NULL;
    }

    uint8_t *piece;
    if (n_aligned >= LARGE_BYTES) {
        piece = add_chunk(arena, n_aligned);
        if (!piece)
            return NULL;
    } else {
        if (n_aligned > arena->n_free_bytes) {
            uint8_t *start = add_chunk(arena, CHUNK_BYTES);
            if (!start)
                return NULL;
            arena->free_start = start;
            arena->n_free_bytes = CHUNK_BYTES;
        }
        piece = arena->free_start;
        arena->free_start += n_aligned;
        arena->n_free_bytes -= n_aligned;
    }
    arena->n_left_bytes -= n_aligned;
    return piece;
}

void *message_arena_take(MessageArena *arena, size_t n, size_t element_bytes)
{
    size_t n_bytes;
    if (__builtin_mul_overflow(n, element_bytes, &n_bytes))
        return NULL;
    void *piece = take_bytes(arena, n_bytes);
    if (piece)
        memset(piece, 0, n_bytes);
    return piece;
}

bool message_arena_is_exhausted(const MessageArena *arena)
{
    return arena->is_exhausted;
}

static void *on_alloc(void *userdata, size_t n_bytes)
{
    return take_bytes(userdata, n_bytes);
}

static void on_free(void *userdata, void *piece)
{
    (void)userdata;
    (void)piece;
}

ProtobufCMessage *message_arena_unpack(MessageArena *arena,
        const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t n_bytes)
{
    ProtobufCAllocator allocator = {on_alloc, on_free, arena};
    return protobuf_c_message_unpack(descriptor, &allocator, n_bytes, data);
}
