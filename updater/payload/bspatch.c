/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/bspatch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/payload/operation-decoder.h"

/* A patch is a header and three streams of bzip2:
 *
 *     "BSDIFF40" | compressed bytes of control | the same of difference | bytes of the new |
 *     control | difference | surplus
 *
 * Control is a list of steps of three numbers. A step takes so many bytes from the difference and
 * adds to each the old byte at the place where the old stands, takes so many bytes from the surplus
 * as they are, and then moves the place in the old. Numbers are little-endian with the sign in the
 * highest bit.
 *
 * The program bsdiff begins a step only where it found a match of more than 8 bytes, so a new of n
 * bytes has no more than n / 9 + 2 steps. A step may be empty, and a bomb of empty ones is a few
 * bytes long; therefore steps are counted. Difference and surplus end with the new. */
#define MAGIC "BSDIFF40"
#define STEP_BYTES 24
#define OLD_PIECE_BYTES ((size_t)32 * 1024)
#define NEW_BYTES_PER_STEP 8
#define STEPS_MORE 16

typedef struct {
    uint8_t magic[8];
    Le64 n_control_bytes;
    Le64 n_difference_bytes;
    Le64 n_new_bytes;
} Header;
static_assert(sizeof(Header) == BSPATCH_HEADER_BYTES, "bsdiff's header");

struct Bspatch {
    BspatchOld old;
    OperationDecoder *control;
    OperationDecoder *difference;
    OperationDecoder *surplus;
    uint64_t n_new_bytes;
    uint64_t n_left_bytes; /* of the new */
    uint64_t n_steps_left;
    uint64_t at_bytes;           /* place in the old; not behind its end */
    uint64_t n_difference_bytes; /* left of this step */
    uint64_t n_surplus_bytes;
    int64_t move_bytes; /* when the two are 0 */
    uint8_t old_piece[OLD_PIECE_BYTES];
};

static int refuse_memory(ErrorText *error)
{
    return error_say(error, -ENOMEM, "out of memory");
}

static int refuse(const char *what, ErrorText *error)
{
    return error_say(
            error, -EBADMSG, "a patch cannot be applied: %s: the payload was made wrong", what);
}

/* Never INT64_MIN, which these numbers cannot say. */
static int64_t read_number(Le64 raw)
{
    uint64_t bits = le64_get(raw);
    int64_t magnitude = (int64_t)(bits & INT64_MAX);
    return bits >> 63 ? -magnitude : magnitude;
}

static int start_stream(const uint8_t *patch, uint64_t offset_bytes, uint64_t n_bytes,
        OperationDecoder **ret_stream, ErrorText *error)
{
    int r = operation_decoder_new(
            OPERATION_REPLACE_BZ, patch + offset_bytes, (size_t)n_bytes, ret_stream);
    return r < 0 ? refuse_memory(error) : 0;
}

static int start(Bspatch *bspatch, const uint8_t *patch, size_t n_patch_bytes,
        uint64_t n_new_max_bytes, ErrorText *error)
{
    Header header;
    if (n_patch_bytes < sizeof(header))
        return refuse("it is too short for its header", error);
    memcpy(&header, patch, sizeof(header));
    if (memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0)
        return refuse("it is not of the format " MAGIC, error);
    int64_t n_control = read_number(header.n_control_bytes);
    int64_t n_difference = read_number(header.n_difference_bytes);
    int64_t n_new = read_number(header.n_new_bytes);
    if (n_control < 0 || n_difference < 0 || n_new < 0)
        return refuse("its header has a negative length", error);
    uint64_t n_rest = n_patch_bytes - sizeof(header);
    if ((uint64_t)n_control > n_rest || (uint64_t)n_difference > n_rest - (uint64_t)n_control)
        return refuse("its streams go beyond its end", error);
    if ((uint64_t)n_new > n_new_max_bytes)
        return refuse("it makes more than may be written", error);
    bspatch->n_new_bytes = bspatch->n_left_bytes = (uint64_t)n_new;
    bspatch->n_steps_left = (uint64_t)n_new / NEW_BYTES_PER_STEP + STEPS_MORE;

    uint64_t at = sizeof(header);
    int r = start_stream(patch, at, (uint64_t)n_control, &bspatch->control, error);
    at += (uint64_t)n_control;
    if (r == 0)
        r = start_stream(patch, at, (uint64_t)n_difference, &bspatch->difference, error);
    at += (uint64_t)n_difference;
    if (r == 0)
        r = start_stream(patch, at, n_patch_bytes - at, &bspatch->surplus, error);
    return r;
}

int bspatch_new(const uint8_t *patch, size_t n_patch_bytes, const BspatchOld *old,
        uint64_t n_new_max_bytes, Bspatch **ret_bspatch, ErrorText *error)
{
    _cleanup_(bspatch_freep) Bspatch *bspatch = malloc(sizeof(*bspatch));
    if (!bspatch)
        return refuse_memory(error);
    *bspatch = (Bspatch){.old = *old};
    int r = start(bspatch, patch, n_patch_bytes, n_new_max_bytes, error);
    if (r < 0)
        return r;
    *ret_bspatch = TAKE_PTR(bspatch);
    return 0;
}

void bspatch_free(Bspatch *bspatch)
{
    if (!bspatch)
        return;
    operation_decoder_free(bspatch->control);
    operation_decoder_free(bspatch->difference);
    operation_decoder_free(bspatch->surplus);
    free(bspatch);
}

uint64_t bspatch_n_new_bytes(const Bspatch *bspatch)
{
    return bspatch->n_new_bytes;
}

/* Exactly n_bytes of a stream. */
static int take(OperationDecoder *stream, uint8_t *ret_data, size_t n_bytes, const char *name,
        ErrorText *error)
{
    while (n_bytes > 0) {
        size_t n;
        int r = operation_decoder_read(stream, ret_data, n_bytes, &n);
        if (r == -ENOMEM)
            return refuse_memory(error);
        if (r < 0 || n == 0)
            return refuse(name, error);
        ret_data += n;
        n_bytes -= n;
    }
    return 0;
}

/* Reads the next step. What it makes is inside the new, what it reads inside the old. */
static int next_step(Bspatch *bspatch, ErrorText *error)
{
    if (bspatch->n_steps_left == 0)
        return refuse("it has more steps than its result can need", error);
    bspatch->n_steps_left--;
    Le64 raw[3];
    static_assert(sizeof(raw) == STEP_BYTES, "a step is three numbers");
    int r = take(
            bspatch->control, (uint8_t *)raw, sizeof(raw), "its control stream is damaged", error);
    if (r < 0)
        return r;
    int64_t n_difference = read_number(raw[0]);
    int64_t n_surplus = read_number(raw[1]);
    if (n_difference < 0 || n_surplus < 0)
        return refuse("a step has a negative length", error);
    if ((uint64_t)n_difference > bspatch->n_left_bytes ||
            (uint64_t)n_surplus > bspatch->n_left_bytes - (uint64_t)n_difference)
        return refuse("a step makes more than it says in the header", error);
    if ((uint64_t)n_difference > bspatch->old.n_bytes - bspatch->at_bytes)
        return refuse("a step reads behind the end of the old data", error);
    bspatch->n_difference_bytes = (uint64_t)n_difference;
    bspatch->n_surplus_bytes = (uint64_t)n_surplus;
    bspatch->move_bytes = read_number(raw[2]);
    return 0;
}

/* To where the next step reads. What the last one says is never looked at. */
static int move(Bspatch *bspatch, ErrorText *error)
{
    int64_t by = bspatch->move_bytes;
    bspatch->move_bytes = 0;
    bool is_inside = by < 0 ? (uint64_t)-by <= bspatch->at_bytes
                            : (uint64_t)by <= bspatch->old.n_bytes - bspatch->at_bytes;
    if (!is_inside)
        return refuse("a step leaves the old data", error);
    bspatch->at_bytes += (uint64_t)by;
    return 0;
}

static int make_difference(Bspatch *bspatch, uint8_t *ret_data, size_t n_bytes, ErrorText *error)
{
    int r = take(bspatch->difference, ret_data, n_bytes, "its difference stream is damaged", error);
    if (r < 0)
        return r;
    r = bspatch->old.read(bspatch->at_bytes, bspatch->old_piece, n_bytes, bspatch->old.userdata);
    if (r < 0)
        return error_say(error, -EIO, "what a patch is for cannot be read at byte %" PRIu64 ": %s",
                bspatch->at_bytes, strerror(-r));
    for (size_t i = 0; i < n_bytes; i++)
        ret_data[i] = (uint8_t)(ret_data[i] + bspatch->old_piece[i]);
    bspatch->at_bytes += n_bytes;
    bspatch->n_difference_bytes -= n_bytes;
    return 0;
}

static int make_surplus(Bspatch *bspatch, uint8_t *ret_data, size_t n_bytes, ErrorText *error)
{
    bspatch->n_surplus_bytes -= n_bytes;
    return take(bspatch->surplus, ret_data, n_bytes, "its surplus stream is damaged", error);
}

/* Some bytes of the new, of which some are left. */
static int make(Bspatch *bspatch, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes,
        ErrorText *error)
{
    while (bspatch->n_difference_bytes == 0 && bspatch->n_surplus_bytes == 0) {
        int r = move(bspatch, error);
        if (r == 0)
            r = next_step(bspatch, error);
        if (r < 0)
            return r;
    }
    bool is_difference = bspatch->n_difference_bytes > 0;
    size_t n_bytes =
            MIN(n_room_bytes, is_difference ? MIN(bspatch->n_difference_bytes, OLD_PIECE_BYTES)
                                            : bspatch->n_surplus_bytes);
    *ret_n_bytes = n_bytes;
    bspatch->n_left_bytes -= n_bytes;
    return is_difference ? make_difference(bspatch, ret_data, n_bytes, error)
                         : make_surplus(bspatch, ret_data, n_bytes, error);
}

/* A stream has nothing left, neither compressed nor decompressed. */
static int check_end(OperationDecoder *stream, ErrorText *error)
{
    uint8_t byte;
    size_t n;
    int r = operation_decoder_read(stream, &byte, 1, &n);
    if (r == -ENOMEM)
        return refuse_memory(error);
    return r < 0 || n > 0 ? refuse("a stream does not end with its result", error) : 0;
}

int bspatch_read(Bspatch *bspatch, uint8_t *ret_data, size_t n_room_bytes, size_t *ret_n_bytes,
        ErrorText *error)
{
    if (bspatch->n_left_bytes > 0)
        return make(bspatch, ret_data, n_room_bytes, ret_n_bytes, error);
    int r = check_end(bspatch->control, error);
    if (r == 0)
        r = check_end(bspatch->difference, error);
    if (r == 0)
        r = check_end(bspatch->surplus, error);
    if (r == 0)
        *ret_n_bytes = 0;
    return r;
}
