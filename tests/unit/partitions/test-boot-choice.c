/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot-choice.h"

#include "tests/unit/unit.h"

/* Priorities as digits. */
static void assert_priorities(const BootBits *slots, size_t n_slots, const unsigned *expected)
{
    for (size_t i = 0; i < n_slots; i++)
        ck_assert_msg(slots[i].priority == expected[i], "slot %zu: priority %u, not %u", i,
                slots[i].priority, expected[i]);
}

START_TEST(bits_lie_where_chromeos_has_them)
{
    BootBits bits = boot_bits_get(UINT64_C(0x0b23000000000000));
    ck_assert_uint_eq(bits.priority, 3);
    ck_assert_uint_eq(bits.tries, 2);
    ck_assert(bits.successful);
    ck_assert_uint_eq(bits.starts, 5);
    ck_assert_uint_eq(boot_bits_put(0, bits), UINT64_C(0x0b23000000000000));
    /* All other bits stay, set and not set. */
    ck_assert_uint_eq(boot_bits_put(UINT64_MAX, (BootBits){0}), UINT64_C(0xe000ffffffffffff));
    ck_assert_uint_eq(boot_bits_put(UINT64_C(0x2000000000000005), (BootBits){15, 15, true, 15}),
            UINT64_C(0x3fff000000000005));
}
END_TEST

START_TEST(the_highest_usable_priority_boots)
{
    const BootBits slots[] = {
            {1, 0, true}, {5, 1, false}, {15, 0, false}, {0, 15, true}, {5, 0, true}};
    ck_assert_uint_eq(boot_choice_next(slots, 5), 1); /* the first of two */
    ck_assert_uint_eq(boot_choice_next(slots, 1), 0);
    ck_assert_uint_eq(boot_choice_next(slots + 2, 2), SLOT_NONE);
    ck_assert_uint_eq(boot_choice_next(slots, 0), SLOT_NONE);
}
END_TEST

START_TEST(a_try_is_spent)
{
    BootBits slots[] = {{1, 2, true}, {1, 0, true}};
    boot_choice_spend(slots, 2, 0);
    ck_assert(slots[0].tries == 1 && slots[0].starts == 0);
    boot_choice_spend(slots, 2, 1);
    ck_assert(slots[1].tries == 0 && slots[1].starts == 1);
    ck_assert(slots[1].successful);
}
END_TEST

START_TEST(a_slot_that_fails_falls_back)
{
    BootBits slots[] = {{1, 0, true}, {0, 0, false}};
    boot_choice_flip(slots, 2, 1, 3);
    for (int boot = 0; boot < 3; boot++) {
        ck_assert_uint_eq(boot_choice_next(slots, 2), 1);
        boot_choice_spend(slots, 2, 1);
    }
    ck_assert_uint_eq(boot_choice_next(slots, 2), 0);
}
END_TEST

/* Starts what is chosen n times and returns the last. */
static size_t start(BootBits *slots, size_t n_slots, int n)
{
    size_t chosen = SLOT_NONE;
    for (int i = 0; i < n; i++) {
        chosen = boot_choice_next(slots, n_slots);
        boot_choice_spend(slots, n_slots, chosen);
    }
    return chosen;
}

START_TEST(a_good_slot_that_fails_gives_way)
{
    BootBits slots[] = {{1, 0, true}, {2, 0, true}, {3, 0, false}};
    ck_assert_uint_eq(start(slots, 3, 4), 1);
    ck_assert_uint_eq(start(slots, 3, 1), 0);
    /* The other works, and stays. */
    boot_choice_mark_good(slots, 0);
    ck_assert_uint_eq(start(slots, 3, 1), 0);
    boot_choice_mark_good(slots, 0);
    /* Until somebody wants the first again. */
    boot_choice_prioritize(slots, 3, 1, 3);
    ck_assert_uint_eq(slots[1].starts, 0);
    ck_assert_uint_eq(start(slots, 3, 1), 1);
}
END_TEST

START_TEST(good_slots_that_all_fail_take_turns)
{
    BootBits slots[] = {{1, 0, true, 4}, {2, 0, true, 4}};
    for (int i = 0; i < 11; i++) {
        ck_assert_uint_eq(start(slots, 2, 1), 1);
        ck_assert_uint_eq(start(slots, 2, 1), 0);
    }
    ck_assert(slots[0].starts == 15 && slots[1].starts == 15);
    /* And from the beginning. */
    ck_assert_uint_eq(start(slots, 2, 1), 1);
    ck_assert(slots[0].starts == 0 && slots[1].starts == 1);
}
END_TEST

START_TEST(the_only_slot_is_started_for_ever)
{
    BootBits slots[] = {{1, 0, true}, {0, 0, true}};
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(start(slots, 2, 1), 0);
}
END_TEST

START_TEST(a_new_slot_comes_before_one_that_fails)
{
    const BootBits slots[] = {{2, 0, true, 4}, {1, 3, false}};
    ck_assert_uint_eq(boot_choice_next(slots, 2), 1);
}
END_TEST

START_TEST(good_and_bad)
{
    BootBits slots[] = {{0, 3, false, 9}, {4, 2, true, 9}};
    boot_choice_mark_good(slots, 0);
    ck_assert(slots[0].successful && slots[0].tries == 0 && slots[0].priority == 1);
    ck_assert_uint_eq(slots[0].starts, 0);
    boot_choice_mark_good(slots, 1);
    ck_assert(slots[1].successful && slots[1].tries == 0 && slots[1].priority == 4);
    slots[1].starts = 9;
    boot_choice_invalidate(slots, 1);
    ck_assert_uint_eq(slots[1].starts, 0);
    ck_assert(!slots[1].successful && slots[1].tries == 0 && slots[1].priority == 0);
}
END_TEST

START_TEST(prioritize_keeps_what_is_known)
{
    BootBits slots[] = {{2, 0, true}, {1, 0, true}, {1, 0, false}};
    boot_choice_prioritize(slots, 3, 1, 3);
    assert_priorities(slots, 3, (unsigned[]){2, 3, 1});
    ck_assert(slots[1].successful && slots[1].tries == 0);
    boot_choice_prioritize(slots, 3, 2, 3);
    assert_priorities(slots, 3, (unsigned[]){2, 3, 4});
    ck_assert(!slots[2].successful && slots[2].tries == 3);
    boot_choice_prioritize(slots, 3, 2, 7); /* is the first already */
    assert_priorities(slots, 3, (unsigned[]){2, 3, 4});
    ck_assert_uint_eq(slots[2].tries, 7);
}
END_TEST

START_TEST(flip_forgets_success)
{
    BootBits slots[] = {{2, 0, true}, {9, 1, true, 9}};
    boot_choice_flip(slots, 2, 1, 3);
    ck_assert_uint_eq(slots[1].starts, 0);
    assert_priorities(slots, 2, (unsigned[]){2, 9});
    ck_assert(!slots[1].successful && slots[1].tries == 3);
}
END_TEST

START_TEST(fifteen_is_renumbered_in_order)
{
    BootBits slots[] = {{15, 0, true}, {0, 0, false}, {3, 0, true}, {15, 0, true}, {7, 0, true}};
    boot_choice_flip(slots, 5, 1, 3);
    assert_priorities(slots, 5, (unsigned[]){3, 4, 1, 3, 2});
    /* The slot itself may be the one with 15, and alone with it. */
    BootBits alone[] = {{15, 0, true}, {14, 0, true}};
    boot_choice_flip(alone, 2, 0, 3);
    assert_priorities(alone, 2, (unsigned[]){15, 14});
    BootBits tie[] = {{15, 0, true}, {15, 0, true}};
    boot_choice_flip(tie, 2, 0, 3);
    assert_priorities(tie, 2, (unsigned[]){2, 1});
}
END_TEST

START_TEST(all_fifteen_taken)
{
    BootBits slots[16];
    for (unsigned i = 0; i < 15; i++)
        slots[i] = (BootBits){i + 1, 0, true};
    slots[15] = (BootBits){0};
    boot_choice_flip(slots, 16, 15, 3);
    assert_priorities(
            slots, 16, (unsigned[]){1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("boot-choice");
    TCase *tcase = unit_case(suite, "boot-choice");
    tcase_add_test(tcase, bits_lie_where_chromeos_has_them);
    tcase_add_test(tcase, the_highest_usable_priority_boots);
    tcase_add_test(tcase, a_try_is_spent);
    tcase_add_test(tcase, a_slot_that_fails_falls_back);
    tcase_add_test(tcase, a_good_slot_that_fails_gives_way);
    tcase_add_test(tcase, good_slots_that_all_fail_take_turns);
    tcase_add_test(tcase, the_only_slot_is_started_for_ever);
    tcase_add_test(tcase, a_new_slot_comes_before_one_that_fails);
    tcase_add_test(tcase, good_and_bad);
    tcase_add_test(tcase, prioritize_keeps_what_is_known);
    tcase_add_test(tcase, flip_forgets_success);
    tcase_add_test(tcase, fifteen_is_renumbered_in_order);
    tcase_add_test(tcase, all_fifteen_taken);
    return suite;
}
