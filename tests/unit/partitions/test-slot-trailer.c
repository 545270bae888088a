/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-trailer.h"

#include "tests/unit/unit.h"

#define BLOCK UINT64_C(4096)
#define N_BLOCKS UINT64_C(1000) /* of the file system; its tree has 8 + 1 */
#define SLOT_BYTES (2000 * BLOCK)

static SlotTrailer an_ordinary_one(void)
{
    SlotTrailer trailer = {
            .fs_bytes = N_BLOCKS * BLOCK,
            .tree_offset = N_BLOCKS * BLOCK,
            .tree_bytes = 9 * BLOCK,
            .uki_offset = 1009 * BLOCK,
            .uki_bytes = 12345,
            .salt = {1, 2, 3},
            .n_salt_bytes = 3,
            .product = "coreos",
            .version = "1.2.3",
    };
    memset(trailer.root_hash.bytes, 0x5a, SHA256_BYTES);
    memset(trailer.uki_sha256.bytes, 0xa5, SHA256_BYTES);
    return trailer;
}

static SlotTrailer without_parts(void)
{
    return (SlotTrailer){.fs_bytes = BLOCK, .product = "p", .version = "v"};
}

static void assert_fault(const SlotTrailer *trailer, uint64_t slot_bytes, TrailerFault expected)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    SlotTrailer read;
    slot_trailer_make(trailer, block);
    TrailerFault fault = slot_trailer_parse(block, slot_bytes, &read);
    ck_assert_msg(fault == expected, "the trailer %s, but should be one that %s",
            slot_trailer_fault_text(fault), slot_trailer_fault_text(expected));
    if (fault == TRAILER_VALID)
        ck_assert_mem_eq(trailer, &read, sizeof(read));
}

#define ASSERT_CHANGED(expected, change)        \
    do {                                        \
        SlotTrailer t = an_ordinary_one();      \
        change;                                 \
        assert_fault(&t, SLOT_BYTES, expected); \
    } while (0)

START_TEST(what_is_made_is_read)
{
    SlotTrailer trailer = an_ordinary_one();
    assert_fault(&trailer, SLOT_BYTES, TRAILER_VALID);
    trailer = without_parts();
    assert_fault(&trailer, 2 * BLOCK, TRAILER_VALID);
    ASSERT_CHANGED(TRAILER_VALID, t.uki_offset = t.uki_bytes = 0;
                   memset(&t.uki_sha256, 0, sizeof(t.uki_sha256)));
    ASSERT_CHANGED(TRAILER_VALID, memset(t.version, 'v', sizeof(t.version) - 1));
    ASSERT_CHANGED(TRAILER_VALID, t.n_salt_bytes = sizeof(t.salt);
                   memset(t.salt, 7, sizeof(t.salt)));
}
END_TEST

START_TEST(the_format_does_not_change)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    SlotTrailer trailer = an_ordinary_one();
    slot_trailer_make(&trailer, block);
    ck_assert_mem_eq(block, "FlipsideSlot\r\n\x1a\n\x01\0\0\0\x03\0\0\0\0\x80\x3e\0\0\0\0\0", 32);
    ck_assert_mem_eq(block + 56, "\x39\x30\0\0\0\0\0\0\x01\x02\x03\0", 12);
    ck_assert_str_eq((char *)block + 160, "coreos");
    ck_assert_str_eq((char *)block + 288, "1.2.3");
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    SlotTrailer trailer = an_ordinary_one(), read;
    slot_trailer_make(&trailer, block);
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x10;
        TrailerFault fault = slot_trailer_parse(block, SLOT_BYTES, &read);
        ck_assert_int_eq(fault, i < 16 ? TRAILER_ABSENT : TRAILER_BAD_CHECKSUM);
        block[i] ^= 0x10;
    }
    memset(block, 0, sizeof(block));
    ck_assert_int_eq(slot_trailer_parse(block, SLOT_BYTES, &read), TRAILER_ABSENT);
}
END_TEST

START_TEST(places_that_cannot_be)
{
    SlotTrailer trailer = without_parts();
    assert_fault(&trailer, 2 * BLOCK - 1, TRAILER_BAD_TREE);
    assert_fault(&trailer, BLOCK - 1, TRAILER_ABSENT);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.fs_bytes = 0);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.fs_bytes -= 512);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.fs_bytes = UINT64_MAX - BLOCK + 1);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_offset -= BLOCK);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_offset += 8);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_offset = SLOT_BYTES - 9 * BLOCK);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_offset = UINT64_MAX - BLOCK + 1);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_bytes += BLOCK);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.tree_bytes = 0);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.n_salt_bytes = 2);
    ASSERT_CHANGED(TRAILER_BAD_TREE, t.n_salt_bytes = 33);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_offset -= BLOCK);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_offset += 512);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_offset = UINT64_MAX - BLOCK + 1);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_bytes = 0);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_bytes = SLOT_BYTES - t.uki_offset - BLOCK + 1);
    ASSERT_CHANGED(TRAILER_VALID, t.uki_bytes = SLOT_BYTES - t.uki_offset - BLOCK);
    ASSERT_CHANGED(TRAILER_BAD_UKI, t.uki_bytes = UINT64_MAX);
    trailer = an_ordinary_one();
    trailer.uki_bytes = SLOT_TRAILER_UKI_MAX_BYTES + 1;
    assert_fault(&trailer, UINT64_C(1) << 40, TRAILER_BAD_UKI);
}
END_TEST

START_TEST(texts_that_will_not_do)
{
    ASSERT_CHANGED(TRAILER_BAD_TEXT, t.product[0] = '\0'; t.product[1] = 'x');
    ASSERT_CHANGED(TRAILER_BAD_TEXT, memset(t.product, 0, sizeof(t.product)));
    ASSERT_CHANGED(TRAILER_BAD_TEXT, t.product[3] = '\x1b');
    ASSERT_CHANGED(TRAILER_BAD_TEXT, t.version[0] = '\xff');
    ASSERT_CHANGED(TRAILER_BAD_TEXT, t.version[100] = 'x');
    ASSERT_CHANGED(TRAILER_BAD_TEXT, memset(t.version, 'v', sizeof(t.version)));
}
END_TEST

static void sum_up(uint8_t *block)
{
    Sha256 sum = sha256_of(block, offsetof(SlotTrailerRaw, sha256));
    memcpy(block + offsetof(SlotTrailerRaw, sha256), sum.bytes, sizeof(sum.bytes));
}

START_TEST(formats_to_come)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    SlotTrailer trailer = an_ordinary_one(), read;
    slot_trailer_make(&trailer, block);
    block[16] = 2;
    sum_up(block);
    ck_assert_int_eq(slot_trailer_parse(block, SLOT_BYTES, &read), TRAILER_BAD_FORMAT);
    block[16] = 1;
    block[offsetof(SlotTrailerRaw, reserved) + 3647] = 1;
    sum_up(block);
    ck_assert_int_eq(slot_trailer_parse(block, SLOT_BYTES, &read), TRAILER_BAD_RESERVED);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-trailer");
    TCase *trailer = tcase_create("trailer");
    suite_add_tcase(suite, trailer);
    tcase_add_test(trailer, what_is_made_is_read);
    tcase_add_test(trailer, the_format_does_not_change);
    tcase_add_test(trailer, every_flipped_bit_is_found);
    tcase_add_test(trailer, places_that_cannot_be);
    tcase_add_test(trailer, texts_that_will_not_do);
    tcase_add_test(trailer, formats_to_come);
    return suite;
}
