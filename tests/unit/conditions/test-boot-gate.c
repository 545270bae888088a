/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/boot-gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/bus-properties.h"
#include "common/clock.h"
#include "tests/unit/private-bus.h"
#include "tests/unit/unit.h"

#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT_PATH "/org/freedesktop/systemd1/unit/boot_2dcomplete_2etarget"

static PrivateBus *daemon_bus;
static sd_event *event;
static sd_bus *bus; /* of the tested */
static BootGate *gate;
static unsigned n_changes;
static bool frees_itself;

static struct {
    sd_bus *bus;
    const char *load_state, *active_state;
    uint64_t active_usec;
    uint32_t job;
    const char *load_error; /* its name, of LoadUnit */
    const char *get_error;
    bool talks_nonsense;
    unsigned n_loads, n_subscribed, n_unsubscribed;
} fake;

static int answer_properties(sd_bus_message *call)
{
    if (fake.get_error)
        return sd_bus_reply_method_errorf(call, fake.get_error, "it does not say");
    if (fake.talks_nonsense)
        return sd_bus_reply_method_return(call, "a{sv}", 1, "ActiveState", "u", 7);
    return sd_bus_reply_method_return(call, "a{sv}", 5, "Id", "s", BOOT_GATE_UNIT, "LoadState", "s",
            fake.load_state, "ActiveState", "s", fake.active_state, "ActiveEnterTimestampMonotonic",
            "t", fake.active_usec, "Job", "(uo)", fake.job, "/");
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    (void)userdata;
    (void)error;
    const char *name;
    if (sd_bus_message_is_method_call(call, MANAGER, "LoadUnit")) {
        fake.n_loads++;
        ck_assert_int_gt(sd_bus_message_read(call, "s", &name), 0);
        ck_assert_str_eq(name, BOOT_GATE_UNIT);
        if (fake.load_error)
            return sd_bus_reply_method_errorf(call, fake.load_error, "it does not load");
        return sd_bus_reply_method_return(call, "o", UNIT_PATH);
    }
    if (sd_bus_message_is_method_call(call, BUS_PROPERTIES, "GetAll")) {
        ck_assert_str_eq(sd_bus_message_get_path(call), UNIT_PATH);
        return answer_properties(call);
    }
    fake.n_subscribed += sd_bus_message_is_method_call(call, MANAGER, "Subscribe") > 0;
    fake.n_unsubscribed += sd_bus_message_is_method_call(call, MANAGER, "Unsubscribe") > 0;
    return 0;
}

static void on_change(void *userdata)
{
    ck_assert_ptr_eq(userdata, &fake);
    n_changes++;
    if (frees_itself)
        boot_gate_free(TAKE_PTR(gate));
}

static void set_up(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.load_state = "loaded";
    fake.active_state = "inactive";
    n_changes = 0;
    frees_itself = false;
    daemon_bus = private_bus_new();
    ck_assert_int_ge(sd_event_new(&event), 0);
    bus = private_bus_connect(daemon_bus, event);
    fake.bus = private_bus_connect(daemon_bus, event);
    ck_assert_int_ge(sd_bus_add_filter(fake.bus, NULL, on_call, NULL), 0);
}

static void tear_down(void)
{
    boot_gate_free(TAKE_PTR(gate));
    sd_bus_flush_close_unref(bus);
    sd_bus_flush_close_unref(fake.bus);
    sd_event_unref(event);
    private_bus_free(daemon_bus);
}

static bool is_in_state(void *userdata)
{
    return boot_gate_state(gate) == *(BootGateState *)userdata;
}

static void await_state(BootGateState state)
{
    private_bus_run_until(event, is_in_state, &state);
    ck_assert_str_ne(boot_gate_text(gate), "");
}

static bool says(void *userdata)
{
    return strstr(boot_gate_text(gate), userdata) != NULL;
}

static void await_text(const char *text)
{
    private_bus_run_until(event, says, (void *)(uintptr_t)text);
}

static void begin_with(BootGateOptions options, bool has_bus)
{
    options.check_timeout_usec = 20 * USEC_PER_SEC;
    ck_assert_int_eq(
            boot_gate_new(event, has_bus ? bus : NULL, &options, on_change, &fake, &gate), 0);
    ck_assert_uint_eq(n_changes, 0);
}

static void begin(void)
{
    begin_with((BootGateOptions){.waits_for_target = true, .check = ""}, true);
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_ASKING);
}

static void begin_with_systemd(void)
{
    private_bus_own(fake.bus, NAME);
    begin();
}

static void emit_job_removed(const char *unit, const char *result)
{
    ck_assert_int_ge(sd_bus_emit_signal(fake.bus, PATH, MANAGER, "JobRemoved", "uoss", (uint32_t)7,
                             PATH "/job/7", unit, result),
            0);
}

static void emit_unit_changed(sd_bus *from, const char *to)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    ck_assert_int_ge(sd_bus_message_new_signal(
                             from, &signal, UNIT_PATH, BUS_PROPERTIES, "PropertiesChanged"),
            0);
    ck_assert_int_ge(sd_bus_message_append(signal, "sa{sv}as", "org.freedesktop.systemd1.Unit", 1,
                             "ActiveState", "s", "active", 0),
            0);
    if (to)
        ck_assert_int_ge(sd_bus_message_set_destination(signal, to), 0);
    ck_assert_int_ge(sd_bus_send(from, signal, NULL), 0);
}

static void settle(void)
{
    private_bus_settle(event, fake.bus);
    private_bus_settle(event, bus);
}

START_TEST(is_good_when_the_target_is_active)
{
    fake.active_state = "active";
    begin_with_systemd();
    await_state(BOOT_GATE_GOOD);
    settle();
    ck_assert_uint_eq(n_changes, 1);
    ck_assert_uint_eq(fake.n_subscribed, 1);
    ck_assert_uint_eq(fake.n_unsubscribed, 1);
    /* systemd is left alone from now on. */
    emit_unit_changed(fake.bus, NULL);
    ck_assert_int_ge(sd_bus_release_name(fake.bus, NAME), 0);
    settle();
    ck_assert_uint_eq(fake.n_loads, 1);
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_GOOD);
}
END_TEST

START_TEST(waits_for_the_signal_of_the_unit)
{
    fake.job = 7;
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    ck_assert_str_eq(boot_gate_text(gate), "boot-complete.target is being started");
    fake.active_state = "active";
    emit_unit_changed(fake.bus, NULL);
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(waits_for_the_end_of_the_job)
{
    fake.job = 7;
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    fake.active_state = "active";
    emit_job_removed("other.target", "done");
    settle();
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_WAITING);
    emit_job_removed(BOOT_GATE_UNIT, "done");
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(says_when_the_start_failed_and_goes_on_if_it_comes_all_the_same)
{
    fake.job = 7;
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    fake.job = 0;
    emit_job_removed(BOOT_GATE_UNIT, "dependency");
    await_state(BOOT_GATE_FAILED);
    ck_assert_ptr_nonnull(strstr(boot_gate_text(gate), "failed (dependency)"));
    fake.active_state = "active";
    emit_unit_changed(fake.bus, NULL);
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(says_when_nothing_is_about_to_start_it)
{
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    ck_assert_ptr_nonnull(strstr(boot_gate_text(gate), "inactive, and nothing is about to"));
}
END_TEST

START_TEST(tells_what_the_caller_has_to_decide)
{
    fake.load_state = "not-found";
    begin_with_systemd();
    await_state(BOOT_GATE_NO_UNIT);
    fake.load_state = "masked";
    emit_unit_changed(fake.bus, NULL);
    await_text("masked");
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_NO_UNIT);
    fake.load_state = "bad-setting";
    emit_unit_changed(fake.bus, NULL);
    await_state(BOOT_GATE_FAILED);
    fake.load_error = "org.freedesktop.systemd1.NoSuchUnit";
    emit_unit_changed(fake.bus, NULL);
    await_text("knows no boot-complete.target");
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_NO_UNIT);
}
END_TEST

START_TEST(asks_on_when_there_is_no_answer)
{
    fake.load_error = "org.freedesktop.DBus.Error.AccessDenied";
    begin_with_systemd();
    await_text("it does not load");
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_ASKING);
    fake.load_error = NULL;
    fake.get_error = "org.freedesktop.DBus.Error.Failed";
    emit_unit_changed(fake.bus, NULL);
    await_text("it does not say");
    fake.get_error = NULL;
    fake.talks_nonsense = true;
    emit_unit_changed(fake.bus, NULL);
    settle();
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_ASKING);
    fake.talks_nonsense = false;
    fake.active_state = "active";
    emit_unit_changed(fake.bus, NULL);
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(tells_when_systemd_is_not_there_and_waits_for_it)
{
    begin();
    await_state(BOOT_GATE_NO_SYSTEMD);
    fake.active_state = "active";
    private_bus_own(fake.bus, NAME);
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(tells_when_systemd_goes)
{
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    ck_assert_int_ge(sd_bus_release_name(fake.bus, NAME), 0);
    await_state(BOOT_GATE_NO_SYSTEMD);
}
END_TEST

START_TEST(without_a_bus_there_is_no_systemd)
{
    begin_with((BootGateOptions){.waits_for_target = true, .check = ""}, false);
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_NO_SYSTEMD);
    ck_assert_str_ne(boot_gate_text(gate), "");
}
END_TEST

START_TEST(does_not_listen_to_strangers)
{
    const char *own;
    fake.job = 7;
    begin_with_systemd();
    await_state(BOOT_GATE_WAITING);
    settle();
    unsigned n_loads = fake.n_loads;
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *stranger = private_bus_connect(daemon_bus, event);
    private_bus_settle(event, stranger);
    ck_assert_int_ge(sd_bus_get_unique_name(bus, &own), 0);
    emit_unit_changed(stranger, own);
    private_bus_settle(event, stranger);
    private_bus_settle(event, bus);
    ck_assert_uint_eq(fake.n_loads, n_loads);
}
END_TEST

START_TEST(the_delay_counts_from_the_target)
{
    fake.active_state = "active";
    fake.active_usec = clock_now_usec(CLOCK_MONOTONIC);
    private_bus_own(fake.bus, NAME);
    begin_with((BootGateOptions){.waits_for_target = true, .delay_usec = USEC_PER_HOUR}, true);
    await_state(BOOT_GATE_DELAYED);
    boot_gate_free(TAKE_PTR(gate));

    /* It became active longer ago than that. */
    n_changes = 0;
    fake.active_usec = clock_now_usec(CLOCK_MONOTONIC) - 1000;
    begin_with((BootGateOptions){.waits_for_target = true, .delay_usec = 1000}, true);
    await_state(BOOT_GATE_GOOD);
    ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(without_the_target_the_delay_is_all)
{
    begin_with((BootGateOptions){.delay_usec = 10000, .check = ""}, false);
    ck_assert_int_eq(boot_gate_state(gate), BOOT_GATE_DELAYED);
    await_state(BOOT_GATE_GOOD);
    ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(the_check_has_the_last_word_and_is_tried_again)
{
    char command[256];
    snprintf(command, sizeof(command), "mkdir '%s/tried' 2>/dev/null && exit 4; exit 0",
            unit_temp_dir());
    begin_with((BootGateOptions){.check = command, .check_retry_usec = 1}, false);
    await_state(BOOT_GATE_CHECKING);
    await_state(BOOT_GATE_CHECK_FAILED);
    ck_assert_ptr_nonnull(strstr(boot_gate_text(gate), "exited with status 4"));
    await_state(BOOT_GATE_CHECKING);
    await_state(BOOT_GATE_GOOD);
}
END_TEST

START_TEST(a_check_that_hangs_has_failed)
{
    BootGateOptions options = {.check = "exec sleep 1000",
            .check_timeout_usec = 20000,
            .check_retry_usec = USEC_PER_HOUR};
    ck_assert_int_eq(boot_gate_new(event, NULL, &options, on_change, &fake, &gate), 0);
    await_state(BOOT_GATE_CHECK_FAILED);
    ck_assert_ptr_nonnull(strstr(boot_gate_text(gate), "did not end in time"));
}
END_TEST

static bool is_freed(void *userdata)
{
    (void)userdata;
    return !gate;
}

START_TEST(may_be_freed_inside)
{
    static const char *const states[] = {"active", "inactive"};
    frees_itself = true;
    private_bus_own(fake.bus, NAME);
    for (size_t i = 0; i < ELEMENTS(states); i++) {
        n_changes = 0;
        fake.active_state = states[i];
        begin();
        private_bus_run_until(event, is_freed, NULL);
    }
    n_changes = 0;
    begin_with((BootGateOptions){.check = "exec sleep 1000"}, false);
    private_bus_run_until(event, is_freed, NULL);
    ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(every_state_has_a_name)
{
    for (int state = 0; state <= BOOT_GATE_GOOD; state++)
        ck_assert_str_ne(boot_gate_state_name((BootGateState)state), "?");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("boot-gate");
    TCase *tcase = unit_case(suite, "gate");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, is_good_when_the_target_is_active);
    tcase_add_test(tcase, waits_for_the_signal_of_the_unit);
    tcase_add_test(tcase, waits_for_the_end_of_the_job);
    tcase_add_test(tcase, says_when_the_start_failed_and_goes_on_if_it_comes_all_the_same);
    tcase_add_test(tcase, says_when_nothing_is_about_to_start_it);
    tcase_add_test(tcase, tells_what_the_caller_has_to_decide);
    tcase_add_test(tcase, asks_on_when_there_is_no_answer);
    tcase_add_test(tcase, tells_when_systemd_is_not_there_and_waits_for_it);
    tcase_add_test(tcase, tells_when_systemd_goes);
    tcase_add_test(tcase, without_a_bus_there_is_no_systemd);
    tcase_add_test(tcase, does_not_listen_to_strangers);
    tcase_add_test(tcase, the_delay_counts_from_the_target);
    tcase_add_test(tcase, without_the_target_the_delay_is_all);
    tcase_add_test(tcase, the_check_has_the_last_word_and_is_tried_again);
    tcase_add_test(tcase, a_check_that_hangs_has_failed);
    tcase_add_test(tcase, may_be_freed_inside);
    tcase_add_test(tcase, every_state_has_a_name);
    return suite;
}
