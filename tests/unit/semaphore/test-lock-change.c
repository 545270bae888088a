/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/semaphore/lock-change.h"

#include <string.h>

#include "tests/unit/unit.h"

#define FREE "{\"semaphore\":1,\"max\":1,\"holders\":[]}"
#define HELD "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}"

static LockChange change_of(LockRequestKind kind, const char *id, const char *host)
{
    char copy[64] = "";
    HolderFacts facts = {.host = copy};
    LockRequest request = {.kind = kind, .id = id, .facts = host ? &facts : NULL, .max = 4};
    LockChange change = {.id = NULL};
    if (host)
        strcpy(copy, host);
    ck_assert_int_eq(lock_change_init(&change, &request), 0);
    return change;
}

static ChangeVerdict take(
        LockChange *change, const char *document, const StoreFacts *facts, size_t n_facts)
{
    StoreContent content = {.exists = document != NULL,
            .document = document ? document : "",
            .n_bytes = document ? strlen(document) : 0,
            .revision = document ? 7 : 0,
            .facts = facts,
            .n_facts = n_facts};
    return lock_change_take(change, &content);
}

START_TEST(facts_are_found_whatever_their_order)
{
    static const StoreFacts facts[] = {{"m9", "{\"host\":\"h9\"}", 13},
            {"m1", "{\"host\":\"h1\"}", 13}, {"m5", "no json", 7},
            {"m3", "{\"host\":\"h3\"} and more", 13}};
    _cleanup_(facts_table_freep) FactsTable *table = NULL;
    ck_assert_int_eq(facts_table_new(facts, ELEMENTS(facts), &table), 0);
    ck_assert_str_eq(facts_table_find(table, "m1")->host, "h1");
    ck_assert_str_eq(facts_table_find(table, "m3")->host, "h3");
    ck_assert_str_eq(facts_table_find(table, "m9")->host, "h9");
    ck_assert_ptr_null(facts_table_find(table, "m5"));
    ck_assert_ptr_null(facts_table_find(table, "m2"));
    ck_assert_ptr_null(facts_table_find(NULL, "m1"));
}
END_TEST

START_TEST(a_swap_carries_what_was_asked_for)
{
    static const struct {
        LockRequestKind kind;
        const char *host, *before, *after;
        bool puts, drops;
    } swaps[] = {
            {LOCK_REQUEST_ACQUIRE, "h1", FREE, HELD, true, false},
            {LOCK_REQUEST_ACQUIRE, NULL, FREE, HELD, false, true},
            {LOCK_REQUEST_RELEASE, NULL, HELD, FREE, false, true},
            {LOCK_REQUEST_SET_MAX, NULL, HELD, "{\"semaphore\":3,\"max\":4,\"holders\":[\"m1\"]}",
                    false, false},
    };
    for (size_t i = 0; i < ELEMENTS(swaps); i++) {
        const char *id = swaps[i].kind == LOCK_REQUEST_SET_MAX ? NULL : "m1";
        _cleanup_(lock_change_done) LockChange change = change_of(swaps[i].kind, id, swaps[i].host);
        StoreSwap swap;
        _cleanup_free_ char *document = NULL;
        ck_assert_int_eq(take(&change, swaps[i].before, NULL, 0), CHANGE_WRITE);
        ck_assert_int_eq(change.old_max, 1);
        ck_assert_int_eq(lock_change_swap(&change, &swap, &document), 0);
        ck_assert_str_eq(swap.document, swaps[i].after);
        ck_assert_uint_eq(swap.revision, 7);
        ck_assert(!!swap.put_facts_of == swaps[i].puts && !!swap.facts == swaps[i].puts);
        ck_assert(!!swap.drop_facts_of == swaps[i].drops);
    }
}
END_TEST

START_TEST(a_lost_swap_keeps_the_facts_of_the_reading_before)
{
    static const StoreFacts facts[] = {{"m1", "{\"host\":\"clone\"}", 16}};
    _cleanup_(lock_change_done) LockChange change = change_of(LOCK_REQUEST_ACQUIRE, "m1", "h1");
    ck_assert_int_eq(take(&change, FREE, facts, 1), CHANGE_WRITE);
    ck_assert_str_eq(change.warning.line, "");
    ck_assert_int_eq(take(&change, HELD, NULL, 0), CHANGE_NOTHING);
    ck_assert_ptr_nonnull(strstr(change.warning.line, "clone"));
    ck_assert_int_eq(take(&change, FREE, NULL, 0), CHANGE_WRITE);
    ck_assert_str_eq(change.warning.line, "");
}
END_TEST

START_TEST(what_cannot_be_changed_is_said)
{
    _cleanup_(lock_change_done) LockChange change = change_of(LOCK_REQUEST_ACQUIRE, "m1", NULL);
    ck_assert_int_eq(take(&change, "{}", NULL, 0), CHANGE_BAD);
    ck_assert_str_ne(change.error.line, "");

    char *document = malloc(16 * SEMAPHORE_MAX_HOLDERS + 100);
    char *end = stpcpy(document, "{\"semaphore\":0,\"max\":99999,\"holders\":[\"0\"");
    for (int i = 1; i < SEMAPHORE_MAX_HOLDERS; i++)
        end += sprintf(end, ",\"%d\"", i);
    strcpy(end, "]}");
    ck_assert_int_eq(take(&change, document, NULL, 0), CHANGE_BAD);
    ck_assert_ptr_nonnull(strstr(change.error.line, "10000 holders"));
    free(document);

    ck_assert_int_eq(take(&change, HELD, NULL, 0), CHANGE_NOTHING);
    ck_assert_str_eq(change.error.line, "");
    ck_assert_int_eq(take(&change, NULL, NULL, 0), CHANGE_WRITE);
    ck_assert_uint_eq(change.revision, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-change");
    TCase *tcase = unit_case(suite, "changes");
    tcase_add_test(tcase, facts_are_found_whatever_their_order);
    tcase_add_test(tcase, a_swap_carries_what_was_asked_for);
    tcase_add_test(tcase, a_lost_swap_keeps_the_facts_of_the_reading_before);
    tcase_add_test(tcase, what_cannot_be_changed_is_said);
    return suite;
}
