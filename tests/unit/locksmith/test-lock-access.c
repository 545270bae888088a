/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/lock-access.h"

#include <string.h>

#include "locksmith/lock/lock-name.h"
#include "tests/unit/unit.h"

/* Which lock is meant, by command line, environment and the daemon's word. What is asked of it then
 * meets the real etcd in tests/integration/test-locksmithctl.py. */

static LockAccess *open_access(CtlOptions *options, const char *const *environment)
{
    LockAccess *access;
    ErrorText error = {};
    options->root = unit_temp_dir();
    int r = lock_access_new(options, environment, &access, &error);
    ck_assert_msg(r == 0, "%s", error.line);
    return access;
}

static const struct {
    const char *strategy; /* REBOOT_STRATEGY=..., or NULL */
    const char *endpoint; /* LOCKSMITHD_ENDPOINT=..., or NULL */
    const char *told;     /* -group, or NULL */
    const char *decision; /* the daemon's, or NULL without it */
    LockUse use;
} uses[] = {
        {NULL, NULL, NULL, NULL, LOCK_USE_IF_IT_ANSWERS},
        {"REBOOT_STRATEGY=best-effort", "LOCKSMITHD_ENDPOINT=http://e:1", NULL, NULL,
                LOCK_USE_ALWAYS},
        {"REBOOT_STRATEGY=etcd-lock", NULL, NULL, NULL, LOCK_USE_ALWAYS},
        {"REBOOT_STRATEGY=reboot", NULL, NULL, NULL, LOCK_USE_NONE},
        {"REBOOT_STRATEGY=off", NULL, NULL, NULL, LOCK_USE_NONE},
        /* Somebody who names a lock means it. */
        {"REBOOT_STRATEGY=reboot", NULL, "", NULL, LOCK_USE_ALWAYS},
        {"REBOOT_STRATEGY=off", NULL, "workers", "off", LOCK_USE_ALWAYS},
        /* The daemon knows better than the file, also for best-effort with its reason. */
        {NULL, NULL, NULL, "reboot: no etcd answers here", LOCK_USE_NONE},
        {NULL, NULL, NULL, "etcd-lock: an etcd answers here", LOCK_USE_ALWAYS},
        {"REBOOT_STRATEGY=etcd-lock", NULL, NULL, "reboot", LOCK_USE_NONE},
        {"REBOOT_STRATEGY=reboot", NULL, NULL, "etcd-lock", LOCK_USE_ALWAYS},
        {NULL, NULL, NULL, "", LOCK_USE_IF_IT_ANSWERS},
        {"REBOOT_STRATEGY=reboot", NULL, NULL, "", LOCK_USE_NONE},
};

START_TEST(whether_a_lock_is_taken)
{
    const char *environment[3] = {};
    size_t n = 0;
    if (uses[_i].strategy)
        environment[n++] = uses[_i].strategy;
    if (uses[_i].endpoint)
        environment[n++] = uses[_i].endpoint;
    CtlOptions options = {.group = uses[_i].told};
    _cleanup_(lock_access_freep) LockAccess *access = open_access(&options, environment);
    DaemonView daemon = {};
    if (uses[_i].decision)
        strcpy(daemon.decision, uses[_i].decision);
    ck_assert_int_eq(lock_access_use(access, uses[_i].decision ? &daemon : NULL), uses[_i].use);
}
END_TEST

START_TEST(what_is_told_goes_before_what_is_configured)
{
    static const char *const environment[] = {"LOCKSMITHD_ENDPOINT=http://d:1,http://d:2",
            "LOCKSMITHD_GROUP=daemons", "LOCKSMITHD_ETCD_USERNAME=d", "LOCKSMITHD_ETCD_PASSWORD=p",
            NULL};
    CtlOptions options = {};
    _cleanup_(lock_access_freep) LockAccess *as_configured = open_access(&options, environment);
    const LockOptions *lock = lock_access_options(as_configured);
    ck_assert_uint_eq(lock->n_endpoints, 2);
    ck_assert_str_eq(lock->endpoints[1], "http://d:2");
    ck_assert_str_eq(lock->group, "daemons");
    ck_assert_str_eq(lock->user, "d");
    ck_assert_str_eq(lock_name_of_store(lock->store), "etcd-v3");
    CtlOptions told = {.endpoints = {{"http://t:1"}, 1},
            .group = "",
            .store = "etcd-v2",
            .user = "t",
            .password = "q"};
    _cleanup_(lock_access_freep) LockAccess *as_told = open_access(&told, environment);
    lock = lock_access_options(as_told);
    ck_assert_uint_eq(lock->n_endpoints, 1);
    ck_assert_str_eq(lock->endpoints[0], "http://t:1");
    ck_assert_str_eq(lock->group, "");
    ck_assert_str_eq(lock->user, "t");
    ck_assert_str_eq(lock->password, "q");
    ck_assert_int_eq(lock->store, LOCK_STORE_ETCD_V2);
}
END_TEST

START_TEST(the_daemons_group_counts_where_none_was_told)
{
    DaemonView daemon = {.group = "of the unit", .store = "etcd-v3", .decision = "etcd-lock"};
    CtlOptions options = {};
    _cleanup_(lock_access_freep) LockAccess *access = open_access(&options, NULL);
    lock_access_follow_daemon(access, &daemon);
    ck_assert_str_eq(lock_access_options(access)->group, "of the unit");
    CtlOptions told = {.group = "told"};
    _cleanup_(lock_access_freep) LockAccess *other = open_access(&told, NULL);
    lock_access_follow_daemon(other, &daemon);
    lock_access_follow_daemon(other, NULL);
    ck_assert_str_eq(lock_access_options(other)->group, "told");
}
END_TEST

START_TEST(another_kind_of_store_needs_its_endpoint)
{
    LockAccess *access;
    ErrorText error = {};
    CtlOptions options = {.root = unit_temp_dir(), .store = "fleet-lock"};
    ck_assert_int_eq(lock_access_new(&options, NULL, &access, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "--endpoint"));
    CtlOptions whole = {.store = "fleet-lock", .endpoints = {{"http://f:1"}, 1}};
    _cleanup_(lock_access_freep) LockAccess *fleet = open_access(&whole, NULL);
    ck_assert_str_eq(lock_access_options(fleet)->group, "default");
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    LockAccess *access;
    ErrorText error = {};
    CtlOptions options = {.root = unit_temp_dir(), .store = "zookeeper"};
    ck_assert_int_eq(lock_access_new(&options, NULL, &access, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "zookeeper"));
    static const char *const environment[] = {"REBOOT_STRATEGY=sometimes", NULL};
    options.store = NULL;
    ck_assert_int_eq(lock_access_new(&options, environment, &access, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "sometimes"));
    options.root = "/no/such/root";
    ck_assert_int_eq(lock_access_new(&options, NULL, &access, &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.line, "/no/such/root"));
}
END_TEST

static void on_answer(const LockAnswer *answer, void *userdata)
{
    *(LockResult *)userdata = answer->result;
    ck_assert_str_ne(answer->error, "");
}

/* Nobody listens on port 1. */
START_TEST(an_answer_comes_also_without_a_store)
{
    CtlOptions options = {.endpoints = {{"http://127.0.0.1:1"}, 1}};
    _cleanup_(lock_access_freep) LockAccess *access = open_access(&options, NULL);
    ErrorText error = {};
    LockResult result = LOCK_DONE;
    LockRequest request = {.kind = LOCK_REQUEST_STATUS};
    ck_assert_int_eq(lock_access_run(access, NULL, &request, on_answer, &result, &error), 0);
    ck_assert_int_eq(result, LOCK_UNREACHABLE);
    LockRequest bad_id = {.kind = LOCK_REQUEST_ACQUIRE, .id = "tab\there"};
    ck_assert_int_eq(lock_access_run(access, NULL, &bad_id, on_answer, &result, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "id"));
}
END_TEST

START_TEST(a_full_lock_is_told_in_gos_words)
{
    LockStatus status = {.max = 1, .available = -1};
    LockAnswer answer = {.result = LOCK_FULL, .status = &status, .error = "held by m1"};
    ck_assert_str_eq(lock_answer_text(&answer).line, "semaphore is at -1 (held by m1)");
    answer.status = NULL;
    ck_assert_str_eq(lock_answer_text(&answer).line, "held by m1");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-access");
    TCase *tests = unit_case(suite, "all");
    tcase_add_loop_test(tests, whether_a_lock_is_taken, 0, ELEMENTS(uses));
    tcase_add_test(tests, what_is_told_goes_before_what_is_configured);
    tcase_add_test(tests, the_daemons_group_counts_where_none_was_told);
    tcase_add_test(tests, another_kind_of_store_needs_its_endpoint);
    tcase_add_test(tests, what_is_wrong_is_named);
    tcase_add_test(tests, an_answer_comes_also_without_a_store);
    tcase_add_test(tests, a_full_lock_is_told_in_gos_words);
    return suite;
}
