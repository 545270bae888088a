/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/adaptive/block-match.h"

#include <errno.h>

#include "tests/unit/unit.h"
#include "verity/block-index.h"
#include "verity/hash-tree.h"

#define N_BLOCKS 1000

/* Block i of an image that is all different, but for what make() says. */
typedef struct {
    PartitionUpdate partition;
    Sha256 digests[N_BLOCKS];
    uint8_t index[N_BLOCKS * BLOCK_INDEX_ENTRY_BYTES];
    BlockMatch *match;
} Kit;

static Sha256 digest_of(uint64_t content)
{
    return sha256_of(&content, sizeof(content));
}

static Sha256 digest_of_zeros(const VerityParameters *verity)
{
    static const uint8_t zeros[VERITY_BLOCK_BYTES];
    Sha256 digest;
    ck_assert_int_eq(verity_hash_blocks(verity, zeros, 1, &digest), 0);
    return digest;
}

static Kit *make(void)
{
    Kit *kit = calloc(1, sizeof(*kit));
    kit->partition.verity = (VerityParameters){.n_data_blocks = N_BLOCKS, .n_salt_bytes = 1};
    kit->partition.block_index = kit->index;
    for (uint64_t i = 0; i < N_BLOCKS; i++)
        kit->digests[i] = digest_of(i);
    kit->digests[500] = digest_of_zeros(&kit->partition.verity);
    for (size_t i = 600; i < 700; i++)
        kit->digests[i] = digest_of(600);
    block_index_fill(kit->digests, N_BLOCKS, kit->index);
    ck_assert_int_eq(block_match_new(&kit->partition, &kit->match), 0);
    return kit;
}

static void drop(Kit *kit)
{
    block_match_free(kit->match);
    free(kit);
}

static void assert_is(const Kit *kit, uint64_t block, BlockKind kind, uint64_t source)
{
    uint64_t found = 0;
    ck_assert_int_eq(block_match_get(kit->match, block, &found), kind);
    if (kind == BLOCK_COPY)
        ck_assert_uint_eq(found, source);
}

START_TEST(test_nothing_but_zeros_is_known_at_first)
{
    Kit *kit = make();
    for (uint64_t i = 0; i < N_BLOCKS; i++)
        assert_is(kit, i, i == 500 ? BLOCK_ZERO : BLOCK_LACKING, 0);
    drop(kit);
}
END_TEST

START_TEST(test_a_source_has_blocks_anywhere)
{
    Kit *kit = make();
    const Sha256 digests[] = {
            digest_of(7777), kit->digests[999], kit->digests[0], kit->digests[3], kit->digests[0]};
    ck_assert_int_eq(block_match_add_source(40, digests, 5, kit->match), 0);
    assert_is(kit, 999, BLOCK_COPY, 41);
    assert_is(kit, 0, BLOCK_COPY, 42);
    assert_is(kit, 3, BLOCK_COPY, 43);
    assert_is(kit, 1, BLOCK_LACKING, 0);
    drop(kit);
}
END_TEST

START_TEST(test_blocks_of_one_content_come_from_one)
{
    Kit *kit = make();
    const Sha256 digest = digest_of(600);
    ck_assert_int_eq(block_match_add_source(5, &digest, 1, kit->match), 0);
    ck_assert_int_eq(block_match_add_source(9, &kit->digests[3], 1, kit->match), 0);
    ck_assert_int_eq(block_match_add_target(650, &digest, 1, kit->match), 0);
    for (int is_finished = 0; is_finished < 2; is_finished++) {
        for (uint64_t i = 600; i < 700; i++)
            assert_is(kit, i, i == 650 ? BLOCK_IN_PLACE : BLOCK_COPY, 5);
        assert_is(kit, 3, BLOCK_COPY, 9);
        assert_is(kit, 500, BLOCK_ZERO, 0);
        assert_is(kit, 599, BLOCK_LACKING, 0);
        assert_is(kit, 700, BLOCK_LACKING, 0);
        block_match_finish(kit->match);
    }
    drop(kit);
}
END_TEST

START_TEST(test_what_is_in_place_stays)
{
    Kit *kit = make();
    ck_assert_int_eq(block_match_add_source(0, kit->digests, N_BLOCKS, kit->match), 0);
    const Sha256 digests[] = {kit->digests[650], kit->digests[9], kit->digests[652]};
    ck_assert_int_eq(block_match_add_target(650, digests, 3, kit->match), 0);
    assert_is(kit, 650, BLOCK_IN_PLACE, 0);
    assert_is(kit, 651, BLOCK_COPY, 600);
    assert_is(kit, 652, BLOCK_IN_PLACE, 0);
    /* The slot may be larger than the image, and its zeros count as well. */
    ck_assert_int_eq(block_match_add_target(N_BLOCKS - 1, digests, 3, kit->match), 0);
    ck_assert_int_eq(block_match_add_target(500, &kit->digests[500], 1, kit->match), 0);
    assert_is(kit, 500, BLOCK_IN_PLACE, 0);
    drop(kit);
}
END_TEST

START_TEST(test_absurd_places)
{
    Kit *kit = make();
    ck_assert_int_eq(block_match_add_source(UINT64_C(1) << 40, kit->digests, 3, kit->match), 0);
    assert_is(kit, 0, BLOCK_LACKING, 0);
    ck_assert_int_eq(block_match_add_target(UINT64_C(1) << 40, kit->digests, 3, kit->match), 0);
    BlockMatch *match;
    kit->partition.verity.n_data_blocks = UINT64_C(1) << 31;
    ck_assert_int_eq(block_match_new(&kit->partition, &match), -EFBIG);
    drop(kit);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("block-match");
    TCase *tcase = unit_case(suite, "block-match");
    tcase_add_test(tcase, test_nothing_but_zeros_is_known_at_first);
    tcase_add_test(tcase, test_a_source_has_blocks_anywhere);
    tcase_add_test(tcase, test_blocks_of_one_content_come_from_one);
    tcase_add_test(tcase, test_what_is_in_place_stays);
    tcase_add_test(tcase, test_absurd_places);
    return suite;
}
