/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/semaphore/semaphore.h"

#include <string.h>

#include "locksmith/lock/lock-options.h"
#include "locksmith/lock/lock-name.h"
#include "tests/unit/unit.h"

static Semaphore *parse(const char *text)
{
    Semaphore *semaphore = NULL;
    ErrorText error = {""};
    ck_assert_msg(semaphore_parse(text, strlen(text), &semaphore, &error) == 0, "%s", error.line);
    ck_assert_str_eq(error.line, "");
    return semaphore;
}

static void assert_text(const Semaphore *semaphore, const char *expected)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    ck_assert_int_eq(semaphore_format(semaphore, &text, &n_bytes), 0);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(n_bytes, strlen(text));
}

static SemaphoreResult acquire(Semaphore *semaphore, const char *id)
{
    SemaphoreResult result = SEMAPHORE_FULL;
    ck_assert_int_eq(semaphore_acquire(semaphore, id, &result), 0);
    return result;
}

/* What Go locksmithctl 0.6.2 stored, command by command: the same commands, the same bytes. Those
 * that it refused differ where it did not know its own lock. */
static const struct {
    char verb; /* l lock, u unlock, m set-max */
    const char *id;
    int64_t max;
    SemaphoreResult result;
    const char *stored;
} go_session[] = {
        {'l', "m1", 0, SEMAPHORE_CHANGED, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}"},
        {'l', "m1", 0, SEMAPHORE_UNCHANGED, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}"},
        {'l', "m2", 0, SEMAPHORE_FULL, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}"},
        {'m', "", 2, SEMAPHORE_CHANGED, "{\"semaphore\":1,\"max\":2,\"holders\":[\"m1\"]}"},
        {'l', "m0", 0, SEMAPHORE_CHANGED,
                "{\"semaphore\":0,\"max\":2,\"holders\":[\"m0\",\"m1\"]}"},
        {'m', "", 1, SEMAPHORE_CHANGED, "{\"semaphore\":-1,\"max\":1,\"holders\":[\"m0\",\"m1\"]}"},
        {'l', "m3", 0, SEMAPHORE_FULL, "{\"semaphore\":-1,\"max\":1,\"holders\":[\"m0\",\"m1\"]}"},
        {'u', "m9", 0, SEMAPHORE_UNCHANGED,
                "{\"semaphore\":-1,\"max\":1,\"holders\":[\"m0\",\"m1\"]}"},
        {'u', "m1", 0, SEMAPHORE_CHANGED, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m0\"]}"},
        {'m', "", 0, SEMAPHORE_CHANGED, "{\"semaphore\":-1,\"max\":0,\"holders\":[\"m0\"]}"},
        {'m', "", 3, SEMAPHORE_CHANGED, "{\"semaphore\":2,\"max\":3,\"holders\":[\"m0\"]}"},
        {'l', "3d1219c7c4c5404aaa1f6d2a48adfda4", 0, SEMAPHORE_CHANGED,
                "{\"semaphore\":1,\"max\":3,\"holders\":[\"3d1219c7c4c5404aaa1f6d2a48adfda4\","
                "\"m0\"]}"},
        {'u', "3d1219c7c4c5404aaa1f6d2a48adfda4", 0, SEMAPHORE_CHANGED,
                "{\"semaphore\":2,\"max\":3,\"holders\":[\"m0\"]}"},
        {'m', "", 1, SEMAPHORE_CHANGED, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m0\"]}"},
        {'u', "m0", 0, SEMAPHORE_CHANGED, "{\"semaphore\":1,\"max\":1,\"holders\":[]}"},
};

START_TEST(a_session_of_go_locksmithctl_gives_the_same_bytes)
{
    Semaphore *semaphore = NULL;
    ck_assert_int_eq(semaphore_new(&semaphore), 0);
    assert_text(semaphore, "{\"semaphore\":1,\"max\":1,\"holders\":null}");
    for (size_t i = 0; i < ELEMENTS(go_session); i++) {
        SemaphoreResult result = go_session[i].verb == 'l' ? acquire(semaphore, go_session[i].id)
                                 : go_session[i].verb == 'u'
                                         ? semaphore_release(semaphore, go_session[i].id)
                                         : semaphore_set_max(semaphore, go_session[i].max);
        ck_assert_int_eq(result, go_session[i].result);
        assert_text(semaphore, go_session[i].stored);
        /* The next command reads what was stored. */
        semaphore_free(semaphore);
        semaphore = parse(go_session[i].stored);
        assert_text(semaphore, go_session[i].stored);
    }
    semaphore_free(semaphore);
}
END_TEST

START_TEST(null_stays_null_until_the_first_holder)
{
    _cleanup_(semaphore_freep) Semaphore *semaphore =
            parse("{\"semaphore\":1,\"max\":1,\"holders\":null}");
    ck_assert_int_eq(semaphore_set_max(semaphore, 2), SEMAPHORE_CHANGED);
    assert_text(semaphore, "{\"semaphore\":2,\"max\":2,\"holders\":null}");
    ck_assert_int_eq(semaphore_set_max(semaphore, 2), SEMAPHORE_UNCHANGED);
    ck_assert_int_eq(acquire(semaphore, "a"), SEMAPHORE_CHANGED);
    ck_assert_int_eq(semaphore_release(semaphore, "a"), SEMAPHORE_CHANGED);
    assert_text(semaphore, "{\"semaphore\":2,\"max\":2,\"holders\":[]}");
}
END_TEST

/* Go locksmith's binary search misses in such a list: it adds z twice and does not find a. */
START_TEST(unsorted_and_repeated_holders_are_put_right)
{
    _cleanup_(semaphore_freep) Semaphore *semaphore =
            parse("{\"semaphore\":0,\"max\":3,\"holders\":[\"z\",\"a\",\"m\",\"z\"]}");
    ck_assert_uint_eq(semaphore_n_holders(semaphore), 3);
    ck_assert_str_eq(semaphore_holder(semaphore, 0), "a");
    ck_assert_str_eq(semaphore_holder(semaphore, 2), "z");
    ck_assert_int_eq(acquire(semaphore, "z"), SEMAPHORE_UNCHANGED);
    ck_assert_int_eq(semaphore_release(semaphore, "a"), SEMAPHORE_CHANGED);
    assert_text(semaphore, "{\"semaphore\":1,\"max\":3,\"holders\":[\"m\",\"z\"]}");
}
END_TEST

START_TEST(a_free_count_that_drifted_hands_out_nothing)
{
    _cleanup_(semaphore_freep) Semaphore *semaphore =
            parse("{\"semaphore\":5,\"max\":1,\"holders\":[\"a\",\"b\"]}");
    ck_assert_int_eq(semaphore_available(semaphore), -1);
    ck_assert_int_eq(acquire(semaphore, "c"), SEMAPHORE_FULL);
    ck_assert_int_eq(acquire(semaphore, "a"), SEMAPHORE_UNCHANGED);
    ck_assert_int_eq(semaphore_release(semaphore, "a"), SEMAPHORE_CHANGED);
    assert_text(semaphore, "{\"semaphore\":0,\"max\":1,\"holders\":[\"b\"]}");
}
END_TEST

START_TEST(members_that_are_not_known_and_blanks_are_skipped)
{
    _cleanup_(semaphore_freep) Semaphore *semaphore =
            parse(" { \"holders\" : [ ] , \"ttl\":{\"a\":[1]}, \"max\":2,\n\"semaphore\":2 } ");
    assert_text(semaphore, "{\"semaphore\":2,\"max\":2,\"holders\":[]}");
}
END_TEST

START_TEST(text_is_escaped_as_go_does_it)
{
    /* encoding/json of Go 1.19, of "<&>\"\\/ \b\t\n\f\r\x1b\x7f\u2027\u2028\u2029\ufffe é 😀" */
    const char *go = "{\"semaphore\":0,\"max\":1,\"holders\":[\"\\u003c\\u0026\\u003e\\\"\\\\/ "
                     "\\u0008\\t\\n\\u000c\\r\\u001b\x7f\xe2\x80\xa7\\u2028\\u2029\xef\xbf\xbe "
                     "\xc3\xa9 \xf0\x9f\x98\x80\"]}";
    _cleanup_(semaphore_freep) Semaphore *semaphore = parse(go);
    ck_assert_str_eq(semaphore_holder(semaphore, 0),
            "<&>\"\\/ \b\t\n\f\r\x1b\x7f\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xbe "
            "\xc3\xa9 \xf0\x9f\x98\x80");
    assert_text(semaphore, go);
    _cleanup_(semaphore_freep) Semaphore *plain =
            parse("{\"semaphore\":0,\"max\":1,\"holders\":[\"<\\u0026\\u003E\"]}");
    assert_text(plain, "{\"semaphore\":0,\"max\":1,\"holders\":[\"\\u003c\\u0026\\u003e\"]}");
}
END_TEST

START_TEST(a_max_at_either_end_does_not_overflow)
{
    _cleanup_(semaphore_freep) Semaphore *low =
            parse("{\"semaphore\":0,\"max\":-9223372036854775808,\"holders\":[\"a\"]}");
    ck_assert_int_eq(semaphore_available(low), INT64_MIN);
    ck_assert_int_eq(acquire(low, "b"), SEMAPHORE_FULL);
    _cleanup_(semaphore_freep) Semaphore *high =
            parse("{\"semaphore\":0,\"max\":9223372036854775807,\"holders\":[\"a\"]}");
    ck_assert_int_eq(acquire(high, "b"), SEMAPHORE_CHANGED);
    ck_assert_int_eq(semaphore_available(high), INT64_MAX - 2);
    ck_assert_int_eq(semaphore_max(high), INT64_MAX);
}
END_TEST

START_TEST(ids_that_will_not_do_are_not_taken_but_can_be_released)
{
    char long_id[LOCK_MAX_ID_CHARS + 2];
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    const char *const bad[] = {"", long_id, "a\nb", "\x7f", "\xff", "a\xe2\x80\xae"};
    _cleanup_(semaphore_freep) Semaphore *semaphore =
            parse("{\"semaphore\":8,\"max\":9,\"holders\":[\"a\\nb\"]}");
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        SemaphoreResult result;
        ck_assert(!lock_name_is_id(bad[i]));
        ck_assert_int_eq(semaphore_acquire(semaphore, bad[i], &result), -EINVAL);
    }
    ck_assert_int_eq(semaphore_release(semaphore, "a\nb"), SEMAPHORE_CHANGED);
    long_id[LOCK_MAX_ID_CHARS] = '\0';
    ck_assert_int_eq(acquire(semaphore, long_id), SEMAPHORE_CHANGED);
    ck_assert(semaphore_holds(semaphore, long_id));
    ck_assert(!semaphore_holds(semaphore, "a\nb"));
}
END_TEST

START_TEST(there_is_an_end_to_the_holders)
{
    _cleanup_(semaphore_freep) Semaphore *semaphore = NULL;
    ck_assert_int_eq(semaphore_new(&semaphore), 0);
    semaphore_set_max(semaphore, SEMAPHORE_MAX_HOLDERS + 10);
    SemaphoreResult result;
    char id[16];
    for (int i = SEMAPHORE_MAX_HOLDERS; i > 0; i--) {
        snprintf(id, sizeof(id), "%05d", i);
        ck_assert_int_eq(acquire(semaphore, id), SEMAPHORE_CHANGED);
    }
    ck_assert_int_eq(semaphore_acquire(semaphore, "one-more", &result), -E2BIG);
    ck_assert_int_eq(acquire(semaphore, "00007"), SEMAPHORE_UNCHANGED);
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    ck_assert_int_eq(semaphore_format(semaphore, &text, &n_bytes), 0);
    _cleanup_(semaphore_freep) Semaphore *again = parse(text);
    ck_assert_uint_eq(semaphore_n_holders(again), SEMAPHORE_MAX_HOLDERS);
}
END_TEST

static const struct {
    const char *text;
    const char *says;
} bad_documents[] = {
        {"", "no JSON"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[]", "no JSON"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[]}x", "no JSON"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[\"\xff\"]}", "no JSON"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[\"a\\u0000b\"]}", "no JSON"},
        {"[1,1]", "no JSON object"},
        {"null", "no JSON"},
        {"{}", "\"max\""},
        {"{\"semaphore\":1,\"holders\":[]}", "\"max\""},
        {"{\"max\":1,\"holders\":[]}", "\"semaphore\""},
        {"{\"semaphore\":1,\"max\":\"1\",\"holders\":[]}", "whole numbers"},
        {"{\"semaphore\":1,\"max\":1.0,\"holders\":[]}", "whole numbers"},
        {"{\"semaphore\":1,\"max\":9223372036854775808,\"holders\":[]}", "no JSON"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":{}}", "no array"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[1]}", "no text"},
        {"{\"semaphore\":1,\"max\":1,\"holders\":[\"a\",null]}", "no text"},
};

START_TEST(what_is_no_such_document_is_refused)
{
    Semaphore *semaphore = NULL;
    ErrorText error = {""};
    const char *text = bad_documents[_i].text;
    ck_assert_int_eq(semaphore_parse(text, strlen(text), &semaphore, &error), -EINVAL);
    ck_assert_msg(strstr(error.line, bad_documents[_i].says), "%s: %s", text, error.line);
    ck_assert_ptr_null(semaphore);
}
END_TEST

START_TEST(documents_beyond_the_bounds_are_refused)
{
    Semaphore *semaphore = NULL;
    ErrorText error = {""};
    char *text = malloc(SEMAPHORE_MAX_BYTES + 1);
    memset(text, ' ', SEMAPHORE_MAX_BYTES + 1);
    ck_assert_int_eq(semaphore_parse(text, SEMAPHORE_MAX_BYTES + 1, &semaphore, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "bytes"));

    char *end = stpcpy(text, "{\"semaphore\":1,\"max\":1,\"holders\":[\"a\"");
    for (int i = 0; i < SEMAPHORE_MAX_HOLDERS; i++)
        end = stpcpy(end, ",\"a\"");
    end = stpcpy(end, "]}");
    ck_assert_int_eq(semaphore_parse(text, (size_t)(end - text), &semaphore, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "holders"));

    end = stpcpy(text, "{\"semaphore\":1,\"max\":1,\"holders\":null,\"future\":[{}");
    for (int i = 0; i < 100 * 1000; i++)
        end = stpcpy(end, ",{}");
    end = stpcpy(end, "]}");
    ck_assert_int_eq(semaphore_parse(text, (size_t)(end - text), &semaphore, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "values"));
    free(text);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("semaphore");
    TCase *go = unit_case(suite, "go");
    tcase_add_test(go, a_session_of_go_locksmithctl_gives_the_same_bytes);
    tcase_add_test(go, null_stays_null_until_the_first_holder);
    tcase_add_test(go, unsorted_and_repeated_holders_are_put_right);
    tcase_add_test(go, a_free_count_that_drifted_hands_out_nothing);
    tcase_add_test(go, members_that_are_not_known_and_blanks_are_skipped);
    tcase_add_test(go, text_is_escaped_as_go_does_it);
    TCase *bounds = unit_case(suite, "bounds");
    tcase_add_test(bounds, a_max_at_either_end_does_not_overflow);
    tcase_add_test(bounds, ids_that_will_not_do_are_not_taken_but_can_be_released);
    tcase_add_test(bounds, there_is_an_end_to_the_holders);
    tcase_add_loop_test(
            bounds, what_is_no_such_document_is_refused, 0, (int)ELEMENTS(bad_documents));
    tcase_add_test(bounds, documents_beyond_the_bounds_are_refused);
    return suite;
}
