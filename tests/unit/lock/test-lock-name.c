/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-name.h"

#include <errno.h>

#include "tests/unit/unit.h"

START_TEST(stores_read_as_they_are_written)
{
    LockStoreKind store = LOCK_STORE_ETCD_V2;
    for (LockStoreKind i = LOCK_STORE_ETCD_V3; i <= LOCK_STORE_FLEET_LOCK; i++) {
        ck_assert_int_eq(lock_name_read_store(lock_name_of_store(i), &store), 0);
        ck_assert_int_eq(store, i);
    }
    ck_assert_int_eq(lock_name_read_store("etcd", &store), -EINVAL);
    ck_assert_int_eq(lock_name_read_store("", &store), -EINVAL);
}
END_TEST

START_TEST(groups_of_the_fleet_lock_protocol)
{
    ck_assert(lock_name_is_fleet_lock_group("aZ09.-"));
    ck_assert(lock_name_is_fleet_lock_group(""));
    ck_assert(!lock_name_is_fleet_lock_group("a_b"));
    ck_assert(!lock_name_is_fleet_lock_group("a/b"));
    ck_assert(!lock_name_is_fleet_lock_group("caf\xc3\xa9"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-name");
    TCase *tcase = unit_case(suite, "lock-name");
    tcase_add_test(tcase, stores_read_as_they_are_written);
    tcase_add_test(tcase, groups_of_the_fleet_lock_protocol);
    return suite;
}
