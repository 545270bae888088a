/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/bsdiff.h"

#include <bzlib.h>
#include <divsufsort.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/payload/bspatch.h"

/* The idea is Colin Percival's ("Naive differences of executable code", 2003). The new is read from
 * its start along an alignment: a place of the old that lies opposite to it. Where a byte differs
 * from what lies opposite, and the longest match of what begins with it, anywhere in the old, is
 * better by more than MATCH_GAIN bytes, a step ends and another alignment begins. A step does not
 * end where the matching bytes do: it goes on as long as at least half of the bytes are equal, for
 * the difference of code that has moved is mostly zeros, which cost nothing.
 *
 * Matches are found by a suffix array, cut into buckets by the first two bytes. What repeats itself
 * could be compared for hours; therefore comparisons are counted, and beyond WORK_PER_BYTE there is
 * no patch. */
#define MATCH_GAIN 8
#define MATCH_MAX_BYTES ((size_t)4096)
#define WORK_PER_BYTE 1024
#define STEP_NUMBERS 3
#define BUCKETS ((size_t)1 << 16)
#define BZIP2_UNIT_BYTES 100000
#define BZIP2_UNITS_MAX 4

struct BsdiffOld {
    const uint8_t *data;
    size_t n_bytes;
    int32_t *suffixes;             /* sorted */
    uint32_t buckets[BUCKETS + 1]; /* where the suffixes that begin with two bytes begin */
};

typedef struct {
    size_t at; /* in the old */
    size_t n_bytes;
} Match;

/* A patch in the making: the three streams, uncompressed. */
typedef struct {
    const BsdiffOld *old;
    const uint8_t *data; /* the new */
    size_t n_bytes;
    Le64 *steps;
    size_t n_steps;
    uint8_t *difference;
    size_t n_difference_bytes;
    uint8_t *surplus;
    size_t n_surplus_bytes;
    size_t from;     /* where the step begins in the new */
    size_t old_from; /* the same in the old */
    uint64_t n_work_left;
} Diff;

/* The last byte alone is the first of its kind. */
static size_t bucket_of(const uint8_t *data, size_t at, size_t n_bytes)
{
    return (size_t)data[at] << 8 | (at + 1 < n_bytes ? data[at + 1] : 0);
}

static void fill_buckets(BsdiffOld *old)
{
    size_t next = 0;
    for (size_t i = 0; i < old->n_bytes; i++)
        for (size_t b = bucket_of(old->data, (size_t)old->suffixes[i], old->n_bytes); next <= b;)
            old->buckets[next++] = (uint32_t)i;
    while (next <= BUCKETS)
        old->buckets[next++] = (uint32_t)old->n_bytes;
}

int bsdiff_old_new(const uint8_t *data, size_t n_bytes, BsdiffOld **ret_old)
{
    if (n_bytes == 0 || n_bytes > BSDIFF_OLD_MAX_BYTES)
        return -EINVAL;
    _cleanup_(bsdiff_old_freep) BsdiffOld *old = calloc(1, sizeof(*old));
    if (!old)
        return -ENOMEM;
    old->data = data;
    old->n_bytes = n_bytes;
    old->suffixes = malloc(n_bytes * sizeof(*old->suffixes));
    if (!old->suffixes || divsufsort(data, old->suffixes, (int32_t)n_bytes) != 0)
        return -ENOMEM;
    fill_buckets(old);
    *ret_old = TAKE_PTR(old);
    return 0;
}

void bsdiff_old_free(BsdiffOld *old)
{
    if (!old)
        return;
    free(old->suffixes);
    free(old);
}

/* --- searching ------------------------------------------------------------------------------ */

static void spend(Diff *diff, uint64_t n_work)
{
    diff->n_work_left -= MIN(n_work, diff->n_work_left);
}

/* How many bytes from `equal` on, where they are known to be equal, are equal in all. */
static size_t count_equal(Diff *diff, size_t at, size_t old_at, size_t equal)
{
    size_t max = MIN(MIN(diff->n_bytes - at, diff->old->n_bytes - old_at), MATCH_MAX_BYTES);
    const uint8_t *a = diff->data + at, *b = diff->old->data + old_at;
    size_t n = MIN(equal, max);
    size_t n_work = 1;
    for (; n + sizeof(uint64_t) <= max && memcmp(a + n, b + n, sizeof(uint64_t)) == 0; n_work++)
        n += sizeof(uint64_t);
    while (n < max && a[n] == b[n])
        n++;
    spend(diff, n_work);
    return n;
}

/* Whether the old's suffix, equal for n bytes, sorts before the new at this place. */
static bool is_before(const Diff *diff, size_t at, size_t old_at, size_t n)
{
    if (old_at + n == diff->old->n_bytes)
        return true;
    return at + n < diff->n_bytes && n < MATCH_MAX_BYTES &&
           diff->old->data[old_at + n] < diff->data[at + n];
}

/* The longest match of the new at this place. What lies between two suffixes begins with what both
 * of them share, which is not compared again. */
static Match find_match(Diff *diff, size_t at)
{
    const int32_t *suffixes = diff->old->suffixes;
    size_t bucket = bucket_of(diff->data, at, diff->n_bytes);
    size_t low = diff->old->buckets[bucket];
    size_t high =
            diff->old->buckets[bucket + 1]; /* suffixes below low are before, from it on not */
    size_t n_low = 0, n_high = 0;
    Match best = {0, 0};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t old_at = (size_t)suffixes[middle];
        size_t n = count_equal(diff, at, old_at, MIN(n_low, n_high));
        if (n > best.n_bytes)
            best = (Match){old_at, n};
        if (is_before(diff, at, old_at, n)) {
            low = middle + 1;
            n_low = n;
        } else {
            high = middle;
            n_high = n;
        }
    }
    return best;
}

/* Whether what lies opposite to the new's byte is equal to it. */
static bool is_aligned(const Diff *diff, size_t at)
{
    size_t old_at = diff->old_from + (at - diff->from);
    return old_at < diff->old->n_bytes && diff->old->data[old_at] == diff->data[at];
}

static size_t count_aligned(Diff *diff, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += is_aligned(diff, i);
    spend(diff, to - from);
    return n;
}

/* The next place, from *at on, where another alignment is worth a step; its match. At the end of
 * the new *at is there. A match that begins with bytes that are aligned gains nothing by them. */
static Match find_next(Diff *diff, size_t *at)
{
    while (diff->n_work_left > 0) {
        while (*at < diff->n_bytes && is_aligned(diff, *at))
            *at += 1;
        if (*at == diff->n_bytes)
            break;
        Match match = find_match(diff, *at);
        if (match.n_bytes > MATCH_GAIN &&
                match.n_bytes > count_aligned(diff, *at, *at + match.n_bytes) + MATCH_GAIN)
            return match;
        *at += 1;
    }
    return (Match){0, 0};
}

/* --- steps ---------------------------------------------------------------------------------- */

/* How far the step goes on from its start, at most to `to`: where the equal bytes outnumber the
 * others by most. */
static size_t extend_forward(const Diff *diff, size_t to)
{
    long score = 0, best = 0;
    size_t n_best = 0;
    for (size_t i = 0; diff->from + i < to && diff->old_from + i < diff->old->n_bytes; i++) {
        score += is_aligned(diff, diff->from + i) ? 1 : -1;
        if (score > best) {
            best = score;
            n_best = i + 1;
        }
    }
    return n_best;
}

/* The same from the next match backwards. */
static size_t extend_backward(const Diff *diff, size_t at, size_t old_at)
{
    long score = 0, best = 0;
    size_t n_best = 0;
    for (size_t i = 1; i <= at - diff->from && i <= old_at; i++) {
        score += diff->data[at - i] == diff->old->data[old_at - i] ? 1 : -1;
        if (score > best) {
            best = score;
            n_best = i;
        }
    }
    return n_best;
}

/* Of n bytes that both claim, from `at` on, how many the earlier step keeps. */
static size_t split_overlap(const Diff *diff, size_t at, size_t old_at, size_t n)
{
    long score = 0, best = 0;
    size_t n_best = 0;
    for (size_t i = 0; i < n; i++) {
        score += is_aligned(diff, at + i);
        score -= diff->data[at + i] == diff->old->data[old_at + i];
        if (score > best) {
            best = score;
            n_best = i + 1;
        }
    }
    return n_best;
}

static Le64 number(int64_t n)
{
    return le64(n < 0 ? (uint64_t)-n | UINT64_C(1) << 63 : (uint64_t)n);
}

/* Ends the step: a difference, a surplus up to next_from, and the next step opposite next_old. */
static void add_step(Diff *diff, size_t n_difference, size_t next_from, size_t next_old)
{
    for (size_t i = 0; i < n_difference; i++)
        diff->difference[diff->n_difference_bytes + i] =
                (uint8_t)(diff->data[diff->from + i] - diff->old->data[diff->old_from + i]);
    diff->n_difference_bytes += n_difference;
    size_t surplus_from = diff->from + n_difference;
    size_t n_surplus = next_from - surplus_from;
    memcpy(diff->surplus + diff->n_surplus_bytes, diff->data + surplus_from, n_surplus);
    diff->n_surplus_bytes += n_surplus;
    Le64 *step = &diff->steps[diff->n_steps++ * STEP_NUMBERS];
    step[0] = number((int64_t)n_difference);
    step[1] = number((int64_t)n_surplus);
    step[2] = number((int64_t)next_old - (int64_t)(diff->old_from + n_difference));
    diff->from = next_from;
    diff->old_from = next_old;
}

/* Every step but the last ends at a match that gains more than MATCH_GAIN bytes, which the next
 * search begins behind: there are no more of them than this. */
static size_t steps_max(size_t n_new_bytes)
{
    return n_new_bytes / (MATCH_GAIN + 1) + 2;
}

static int find_steps(Diff *diff)
{
    size_t at = 0;
    for (;;) {
        Match match = find_next(diff, &at);
        if (diff->n_work_left == 0)
            return -ENOSPC;
        size_t n_forward = extend_forward(diff, at);
        if (at == diff->n_bytes) {
            add_step(diff, n_forward, at, diff->old_from + n_forward);
            return 0;
        }
        size_t n_backward = extend_backward(diff, at, match.at);
        if (diff->from + n_forward > at - n_backward) {
            size_t n_overlap = diff->from + n_forward - (at - n_backward);
            size_t n_kept = split_overlap(diff, at - n_backward, match.at - n_backward, n_overlap);
            n_forward -= n_overlap - n_kept;
            n_backward -= n_kept;
        }
        add_step(diff, n_forward, at - n_backward, match.at - n_backward);
        at += match.n_bytes;
    }
}

/* --- the patch ------------------------------------------------------------------------------ */

/* Blocks no larger than the stream is long, and half of what bzip2 can: who unpacks it needs 4
 * times a block of memory, on three streams and in each thread, and patches do not grow by it. */
static int compress(const void *data, size_t n_bytes, uint8_t *out, size_t *at, size_t n_room_bytes)
{
    unsigned n_out = (unsigned)MIN(n_room_bytes - *at, (size_t)UINT32_MAX);
    int units = (int)MIN(
            u64_div_round_up(MAX(n_bytes, (size_t)1), BZIP2_UNIT_BYTES), (uint64_t)BZIP2_UNITS_MAX);
    int bz = BZ2_bzBuffToBuffCompress(
            (char *)out + *at, &n_out, (char *)(uintptr_t)data, (unsigned)n_bytes, units, 0, 0);
    if (bz == BZ_MEM_ERROR)
        return -ENOMEM;
    if (bz != BZ_OK)
        return -ENOSPC;
    *at += n_out;
    return (int)n_out;
}

static int write_patch(
        const Diff *diff, uint8_t *ret_patch, size_t n_room_bytes, size_t *ret_n_bytes)
{
    size_t at = BSPATCH_HEADER_BYTES;
    if (n_room_bytes < at)
        return -ENOSPC;
    int n_control = compress(
            diff->steps, diff->n_steps * STEP_NUMBERS * sizeof(Le64), ret_patch, &at, n_room_bytes);
    if (n_control < 0)
        return n_control;
    int n_difference =
            compress(diff->difference, diff->n_difference_bytes, ret_patch, &at, n_room_bytes);
    if (n_difference < 0)
        return n_difference;
    int r = compress(diff->surplus, diff->n_surplus_bytes, ret_patch, &at, n_room_bytes);
    if (r < 0)
        return r;
    const Le64 lengths[] = {
            number(n_control), number(n_difference), number((int64_t)diff->n_bytes)};
    memcpy(ret_patch, "BSDIFF40", 8);
    memcpy(ret_patch + 8, lengths, sizeof(lengths));
    *ret_n_bytes = at;
    return 0;
}

int bsdiff_make(const BsdiffOld *old, const uint8_t *new_data, size_t n_new_bytes,
        uint8_t *ret_patch, size_t n_room_bytes, size_t *ret_n_bytes)
{
    _cleanup_free_ Le64 *steps = malloc(steps_max(n_new_bytes) * STEP_NUMBERS * sizeof(*steps));
    _cleanup_free_ uint8_t *difference = malloc(n_new_bytes + 1);
    _cleanup_free_ uint8_t *surplus = malloc(n_new_bytes + 1);
    if (!steps || !difference || !surplus)
        return -ENOMEM;
    Diff diff = {
            .old = old,
            .data = new_data,
            .n_bytes = n_new_bytes,
            .steps = steps,
            .difference = difference,
            .surplus = surplus,
            .n_work_left = (uint64_t)n_new_bytes * WORK_PER_BYTE + (1 << 20),
    };
    int r = find_steps(&diff);
    return r < 0 ? r : write_patch(&diff, ret_patch, n_room_bytes, ret_n_bytes);
}
