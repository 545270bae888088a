/* SPDX-License-Identifier: Apache-2.0 */

/* A patch out of any bytes: it reads inside the old, makes no more than it may, and the same in
 * pieces of any size.
 *
 * The first byte: bit 0 the rest is a patch as it is; else its parts come uncompressed, and are
 * made one here, so that what is behind bzip2 is reached. Then numbers of 16 bits, little-endian:
 * the bytes of the old and, where the parts come, of control, of the difference and of the new.
 * What is left is the surplus.
 */

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "updater/payload/bspatch.h"

#define NEW_MAX_BYTES 65535
#define STREAM_ROOM_BYTES(n) ((n) + (n) / 100 + 600)

typedef struct __attribute__((packed)) {
    uint8_t flags;
    Le16 n_old_bytes;
} Head;

typedef struct __attribute__((packed)) {
    Le16 n_control_bytes;
    Le16 n_difference_bytes;
    Le16 n_new_bytes;
} Parts;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static int read_old(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    const uint64_t *n_old_bytes = userdata;
    require(n_bytes > 0 && offset_bytes <= *n_old_bytes && n_bytes <= *n_old_bytes - offset_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        ret_data[i] = (uint8_t)((offset_bytes + i) * 7);
    return 0;
}

/* Returns what came out, or -1. */
static long apply(
        const uint8_t *patch, size_t n_bytes, uint64_t n_old_bytes, size_t n_piece, uint8_t *result)
{
    const BspatchOld old = {n_old_bytes, read_old, &n_old_bytes};
    _cleanup_(bspatch_freep) Bspatch *bspatch = NULL;
    ErrorText error = {0};
    size_t n_done = 0, n = 0;
    int r = bspatch_new(patch, n_bytes, &old, NEW_MAX_BYTES, &bspatch, &error);
    require(r == 0 || error.line[0]);
    if (r < 0)
        return -1;
    require(bspatch_n_new_bytes(bspatch) <= NEW_MAX_BYTES);
    do {
        r = bspatch_read(
                bspatch, result + n_done, MIN(n_piece, NEW_MAX_BYTES + 1 - n_done), &n, &error);
        require(r == 0 || error.line[0]);
        if (r < 0)
            return -1;
        n_done += n;
        require(n <= n_piece && n_done <= bspatch_n_new_bytes(bspatch));
    } while (n > 0);
    require(n_done == bspatch_n_new_bytes(bspatch));
    return (long)n_done;
}

static void check_patch(const uint8_t *patch, size_t n_bytes, uint64_t n_old_bytes)
{
    static uint8_t in_one[NEW_MAX_BYTES + 1], in_pieces[NEW_MAX_BYTES + 1];
    long n = apply(patch, n_bytes, n_old_bytes, sizeof(in_one), in_one);
    long n_again = apply(patch, n_bytes, n_old_bytes, 61, in_pieces);
    require(n == n_again && (n < 0 || memcmp(in_one, in_pieces, (size_t)n) == 0));
}

static size_t compress(uint8_t *out, const uint8_t *data, size_t n_bytes)
{
    unsigned n_out = (unsigned)STREAM_ROOM_BYTES(n_bytes);
    require(BZ2_bzBuffToBuffCompress((char *)out, &n_out, (char *)(uintptr_t)data,
                    (unsigned)n_bytes, 1, 0, 0) == BZ_OK);
    return n_out;
}

static void set_number(uint8_t *patch, size_t i, uint64_t n)
{
    Le64 raw = le64(n);
    memcpy(patch + 8 * i, &raw, sizeof(raw));
}

static void check_parts(const uint8_t *data, size_t n_bytes, uint64_t n_old_bytes)
{
    Parts parts;
    if (n_bytes < sizeof(parts))
        return;
    memcpy(&parts, data, sizeof(parts));
    data += sizeof(parts);
    n_bytes -= sizeof(parts);
    size_t n_control = MIN((size_t)le16_get(parts.n_control_bytes), n_bytes);
    size_t n_difference = MIN((size_t)le16_get(parts.n_difference_bytes), n_bytes - n_control);
    size_t n_surplus = n_bytes - n_control - n_difference;
    _cleanup_free_ uint8_t *patch =
            malloc(BSPATCH_HEADER_BYTES + STREAM_ROOM_BYTES(n_control) +
                    STREAM_ROOM_BYTES(n_difference) + STREAM_ROOM_BYTES(n_surplus));
    if (!patch)
        return;
    memcpy(patch, "BSDIFF40", 8);
    set_number(patch, 3, le16_get(parts.n_new_bytes));
    size_t at = BSPATCH_HEADER_BYTES;
    size_t n = compress(patch + at, data, n_control);
    set_number(patch, 1, n);
    at += n;
    n = compress(patch + at, data + n_control, n_difference);
    set_number(patch, 2, n);
    at += n;
    at += compress(patch + at, data + n_control + n_difference, n_surplus);
    check_patch(patch, at, n_old_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    Head head;
    if (n_bytes < sizeof(head))
        return -1;
    memcpy(&head, data, sizeof(head));
    uint64_t n_old_bytes = le16_get(head.n_old_bytes);
    if (head.flags & 1)
        check_patch(data + sizeof(head), n_bytes - sizeof(head), n_old_bytes);
    else
        check_parts(data + sizeof(head), n_bytes - sizeof(head), n_old_bytes);
    return 0;
}
