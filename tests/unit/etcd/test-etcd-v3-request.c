/* SPDX-License-Identifier: Apache-2.0 */

/* The requests, byte for byte as etcd 3.4 and 3.5 took them. */

#include "locksmith/lock/etcd/etcd-v3-request.h"

#include <string.h>

#include "tests/unit/unit.h"

#define KEY "coreos.com/updateengine/rebootlock/semaphore"
#define KEY64 "Y29yZW9zLmNvbS91cGRhdGVlbmdpbmUvcmVib290bG9jay9zZW1hcGhvcmU="

static void assert_text(char *text, const char *wanted)
{
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(a_read_is_one_transaction)
{
    char *text;
    ck_assert_int_eq(etcd_v3_format_read(KEY, "a/holders/", &text), 0);
    assert_text(text,
            "{\"success\":[{\"request_range\":{\"key\":\"" KEY64 "\"}},{\"request_range\":"
            "{\"key\":\"YS9ob2xkZXJzLw==\",\"range_end\":\"YS9ob2xkZXJzMA==\","
            "\"limit\":10000}}]}");
}
END_TEST

START_TEST(a_swap_compares_the_revision)
{
    char *text;
    StoreSwap swap = {.revision = UINT64_C(9007199254740993),
            .document = "{}",
            .n_bytes = 2,
            .put_facts_of = "m1",
            .facts = "f",
            .drop_facts_of = "m2"};
    ck_assert_int_eq(etcd_v3_format_swap(KEY, &swap, "m1", "m2", &text), 0);
    assert_text(text,
            "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"" KEY64
            "\",\"mod_revision\":\"9007199254740993\"}],\"success\":[{\"request_put\":{\"key\":\"" KEY64
            "\",\"value\":\"e30=\"}},{\"request_put\":{\"key\":\"bTE=\",\"value\":\"Zg==\"}},"
            "{\"request_delete_range\":{\"key\":\"bTI=\"}}],\"failure\":[{\"request_range\":{\"key\":"
            "\"" KEY64 "\"}}]}");
    swap = (StoreSwap){.document = "", .n_bytes = 0};
    ck_assert_int_eq(etcd_v3_format_swap("k", &swap, NULL, NULL, &text), 0);
    assert_text(text, "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"aw==\","
                      "\"mod_revision\":\"0\"}],\"success\":[{\"request_put\":{\"key\":\"aw==\","
                      "\"value\":\"\"}}],\"failure\":[{\"request_range\":{\"key\":\"aw==\"}}]}");
}
END_TEST

START_TEST(the_rest_is_as_etcd_wants_it)
{
    char *text;
    ck_assert_int_eq(etcd_v3_format_list("a", "b", &text), 0);
    assert_text(
            text, "{\"key\":\"YQ==\",\"range_end\":\"Yg==\",\"keys_only\":true,\"limit\":20000}");
    ck_assert_int_eq(etcd_v3_format_look("a", &text), 0);
    assert_text(text, "{\"key\":\"YQ==\",\"keys_only\":true}");
    ck_assert_int_eq(etcd_v3_format_watch("a", 4, &text), 0);
    assert_text(text, "{\"create_request\":{\"key\":\"YQ==\",\"start_revision\":\"4\"}}");
    ck_assert_int_eq(etcd_v3_format_login("node\"1", "p\\w", &text), 0);
    assert_text(text, "{\"name\":\"node\\\"1\",\"password\":\"p\\\\w\"}");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-v3-request");
    TCase *tcase = unit_case(suite, "etcd-v3-request");
    tcase_add_test(tcase, a_read_is_one_transaction);
    tcase_add_test(tcase, a_swap_compares_the_revision);
    tcase_add_test(tcase, the_rest_is_as_etcd_wants_it);
    return suite;
}
