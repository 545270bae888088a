/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-key.h"

#include <string.h>

#include "common/cleanup.h"
#include "locksmith/lock/lock-options.h"
#include "locksmith/lock/lock-name.h"
#include "tests/unit/unit.h"

#define ROOT "coreos.com/updateengine/rebootlock/"

/* The first three as Go locksmithctl stored them in etcd. */
static const struct {
    const char *group;
    const char *key;
} keys[] = {
        {"a/b", ROOT "groups/a%2Fb/semaphore"},
        {"sp ace", ROOT "groups/sp+ace/semaphore"},
        {"x?y#z%", ROOT "groups/x%3Fy%23z%25/semaphore"},
        {"", ROOT "semaphore"},
        {"workers", ROOT "groups/workers/semaphore"},
        {"semaphore", ROOT "groups/semaphore/semaphore"},
        {"A-z_0.9~", ROOT "groups/A-z_0.9~/semaphore"},
        {"caf\xc3\xa9+&=", ROOT "groups/caf%C3%A9%2B%26%3D/semaphore"},
};

START_TEST(groups_have_the_keys_that_go_locksmith_gives_them)
{
    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        _cleanup_free_ char *key = NULL;
        _cleanup_free_ char *group = NULL;
        _cleanup_free_ char *again = NULL;
        char with_slash[256];
        ck_assert(lock_name_is_group(keys[i].group));
        ck_assert_int_eq(lock_key_of_semaphore(keys[i].group, &key), 0);
        ck_assert_str_eq(key, keys[i].key);
        ck_assert_int_eq(lock_key_read_group(key, strlen(key), &group), 0);
        ck_assert_str_eq(group, keys[i].group);
        int n = snprintf(with_slash, sizeof(with_slash), "/%s", key);
        ck_assert_int_eq(lock_key_read_group(with_slash, (size_t)n, &again), 0);
        ck_assert_str_eq(again, keys[i].group);
    }
}
END_TEST

START_TEST(facts_lie_beside_the_semaphore)
{
    _cleanup_free_ char *plain = NULL;
    _cleanup_free_ char *folder = NULL;
    _cleanup_free_ char *named = NULL;
    _cleanup_free_ char *dots = NULL;
    _cleanup_free_ char *id = NULL;
    ck_assert_int_eq(lock_key_of_facts("", "m1", &plain), 0);
    ck_assert_str_eq(plain, ROOT "holders/m1");
    ck_assert_int_eq(lock_key_of_all_facts("a/b", &folder), 0);
    ck_assert_str_eq(folder, ROOT "groups/a%2Fb/holders/");
    ck_assert_int_eq(lock_key_of_facts("a/b", "m 1/", &named), 0);
    ck_assert_str_eq(named, ROOT "groups/a%2Fb/holders/m+1%2F");
    ck_assert_int_eq(lock_key_read_id("a/b", named, strlen(named), &id), 0);
    ck_assert_str_eq(id, "m 1/");
    char *none = NULL;
    ck_assert_int_eq(lock_key_read_id("", named, strlen(named), &none), -EINVAL);
    ck_assert_int_eq(lock_key_read_id("a/b", plain, strlen(plain), &none), -EINVAL);
    ck_assert_int_eq(lock_key_read_id("a/b", folder, strlen(folder), &none), -EINVAL);
    ck_assert_int_eq(lock_key_of_facts("", "..", &dots), 0);
    ck_assert_str_eq(dots, ROOT "holders/%2E%2E");
}
END_TEST

START_TEST(other_keys_are_no_semaphore)
{
    const char *const others[] = {"", "/", ROOT, ROOT "semaphore/", ROOT "semaphores",
            "//" ROOT "semaphore", ROOT "groups/semaphore", ROOT "groups//semaphore",
            ROOT "groups/a/b/semaphore", ROOT "groups/a/holders/semaphore",
            ROOT "holders/semaphore", ROOT "groups/./semaphore", ROOT "groups/../semaphore",
            ROOT "groups/%2E%2E/semaphore", ROOT "groups/a%2fb/semaphore",
            ROOT "groups/%61/semaphore", ROOT "groups/%/semaphore", ROOT "groups/%0/semaphore",
            ROOT "groups/%00/semaphore", ROOT "groups/%0A/semaphore", ROOT "groups/%FF/semaphore",
            ROOT "groups/a b/semaphore", ROOT "groups/<>/semaphore"};
    for (size_t i = 0; i < ELEMENTS(others); i++) {
        char *group = NULL;
        ck_assert_msg(lock_key_read_group(others[i], strlen(others[i]), &group) == -EINVAL, "%s",
                others[i]);
    }
}
END_TEST

START_TEST(the_length_given_is_the_end_of_the_key)
{
    _cleanup_free_ char *group = NULL;
    _cleanup_free_ char *text = NULL;
    const char key[] = ROOT "groups/g/semaphore-and-more";
    ck_assert_int_eq(lock_key_read_group(key, strlen(ROOT "groups/g/semaphore"), &group), 0);
    ck_assert_str_eq(group, "g");
    ck_assert_int_eq(lock_key_unescape("a%2Fb", 5, &text), 0);
    ck_assert_str_eq(text, "a/b");
    char *none = NULL;
    ck_assert_int_eq(lock_key_unescape("a%2Fb", 3, &none), -EINVAL);
    ck_assert_int_eq(lock_key_unescape("a%2Fb", 2, &none), -EINVAL);
}
END_TEST

START_TEST(groups_that_are_not_used)
{
    char name[LOCK_MAX_ID_CHARS + 2];
    memset(name, '/', sizeof(name) - 1); /* each becomes three characters */
    name[sizeof(name) - 1] = '\0';
    const char *const bad[] = {".", "..", name, "a\n", "\xff", "\x7f"};
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        ck_assert(!lock_name_is_group(bad[i]));
    _cleanup_free_ char *long_key = NULL;
    char *group = NULL;
    ck_assert_int_eq(lock_key_of_semaphore(name, &long_key), 0);
    ck_assert_int_eq(lock_key_read_group(long_key, strlen(long_key), &group), -EINVAL);

    name[LOCK_MAX_ID_CHARS] = '\0';
    _cleanup_free_ char *key = NULL;
    ck_assert(lock_name_is_group(name));
    ck_assert_int_eq(lock_key_of_semaphore(name, &key), 0);
    ck_assert_int_eq(lock_key_read_group(key, strlen(key), &group), 0);
    ck_assert_str_eq(group, name);
    free(group);
}
END_TEST

START_TEST(the_range_of_v3_ends_behind_all_keys)
{
    size_t n = strlen(LOCK_KEY_ROOT);
    ck_assert_uint_eq(strlen(LOCK_KEY_ROOT_END), n);
    ck_assert_int_eq(strncmp(LOCK_KEY_ROOT, LOCK_KEY_ROOT_END, n - 1), 0);
    ck_assert_int_eq(LOCK_KEY_ROOT_END[n - 1], LOCK_KEY_ROOT[n - 1] + 1);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-key");
    TCase *tcase = unit_case(suite, "keys");
    tcase_add_test(tcase, groups_have_the_keys_that_go_locksmith_gives_them);
    tcase_add_test(tcase, facts_lie_beside_the_semaphore);
    tcase_add_test(tcase, other_keys_are_no_semaphore);
    tcase_add_test(tcase, the_length_given_is_the_end_of_the_key);
    tcase_add_test(tcase, groups_that_are_not_used);
    tcase_add_test(tcase, the_range_of_v3_ends_behind_all_keys);
    return suite;
}
