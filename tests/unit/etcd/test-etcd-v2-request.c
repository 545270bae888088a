/* SPDX-License-Identifier: Apache-2.0 */

/* The requests, as Go locksmith's were recorded. */

#include "locksmith/lock/etcd/etcd-v2-request.h"

#include "tests/unit/unit.h"

#define ROOT "coreos.com/updateengine/rebootlock/"

static void assert_text(char *text, const char *wanted)
{
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(paths_are_those_of_go_locksmith)
{
    char *path;
    ck_assert_int_eq(etcd_v2_path_of_key(ROOT "semaphore", &path), 0);
    assert_text(path, "/v2/keys/" ROOT "semaphore?quorum=true&recursive=false&sorted=false");
    ck_assert_int_eq(etcd_v2_path_of_folder(ROOT, &path), 0);
    assert_text(path, "/v2/keys/" ROOT "?quorum=true&recursive=true&sorted=false");
    ck_assert_int_eq(etcd_v2_path_of_swap(ROOT "groups/workers/semaphore", 0, &path), 0);
    assert_text(path, "/v2/keys/" ROOT "groups/workers/semaphore?prevExist=false");
    ck_assert_int_eq(etcd_v2_path_of_swap(ROOT "semaphore", 14, &path), 0);
    assert_text(path, "/v2/keys/" ROOT "semaphore?prevIndex=14");
    ck_assert_int_eq(etcd_v2_path_of_wait(ROOT "semaphore", 15, &path), 0);
    assert_text(path, "/v2/keys/" ROOT "semaphore?wait=true&waitIndex=15");
}
END_TEST

START_TEST(what_is_escaped_is_escaped_again)
{
    char *path;
    ck_assert_int_eq(etcd_v2_path_of_any(ROOT "groups/a%2Fb/semaphore", &path), 0);
    assert_text(path, "/v2/keys/" ROOT "groups/a%252Fb/semaphore");
    ck_assert_int_eq(etcd_v2_path_of_any(ROOT "groups/sp+ace/semaphore", &path), 0);
    assert_text(path, "/v2/keys/" ROOT "groups/sp+ace/semaphore");
}
END_TEST

START_TEST(the_form_is_that_of_go_locksmith)
{
    char *body;
    ck_assert_int_eq(etcd_v2_form("{\"semaphore\":1,\"max\":1,\"holders\":null}", &body), 0);
    assert_text(body, "value=%7B%22semaphore%22%3A1%2C%22max%22%3A1%2C%22holders%22%3Anull%7D");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-v2-request");
    TCase *tcase = unit_case(suite, "etcd-v2-request");
    tcase_add_test(tcase, paths_are_those_of_go_locksmith);
    tcase_add_test(tcase, what_is_escaped_is_escaped_again);
    tcase_add_test(tcase, the_form_is_that_of_go_locksmith);
    return suite;
}
