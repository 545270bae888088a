/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/update-signal.h"

#include "tests/unit/unit.h"

/* What lives on the bus is in tests/integration/test-locksmithd.py. */

static const struct {
    const char *operation, *version;
    UpdateState state;
    const char *shown;
} statuses[] = {
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT", "2.0.0", UPDATE_WAITS, "2.0.0"},
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT", "0.0.0", UPDATE_WAITS, ""},
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT", "", UPDATE_WAITS, ""},
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT", "2\n\x1b[2J", UPDATE_WAITS, "2??[2J"},
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT", "0123456789", UPDATE_WAITS, "0123456"},
        {"UPDATE_STATUS_IDLE", "0.0.0", UPDATE_NONE, ""},
        {"UPDATE_STATUS_IDLE", "2.0.0", UPDATE_NONE, ""},
        {"UPDATE_STATUS_DOWNLOADING", "2.0.0", UPDATE_NONE, ""},
        {"UPDATE_STATUS_UPDATED_NEED_REBOOT_", "2.0.0", UPDATE_NONE, ""},
        {"", "", UPDATE_NONE, ""},
};

START_TEST(test_statuses)
{
    char version[8];
    ck_assert_int_eq(update_signal_understand(statuses[_i].operation, statuses[_i].version, version,
                             sizeof(version)),
            statuses[_i].state);
    ck_assert_str_eq(version, statuses[_i].shown);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("update-signal");
    TCase *signal = unit_case(suite, "signal");
    tcase_add_loop_test(signal, test_statuses, 0, sizeof(statuses) / sizeof(statuses[0]));
    return suite;
}
