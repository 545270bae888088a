/* SPDX-License-Identifier: Apache-2.0 */

/* The machine's clock must not be set by a test: what Linux answers after such a step is put in the
 * place of read() and timerfd_settime(). That Linux does answer so is not tested. */

#include "locksmith/daemon/watch/clock-alarm.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

static unsigned n_cancelled_reads;
static unsigned n_cancelled_sets;

/* Take the place of libc's in this program. */
ssize_t read(int fd, void *ret_data, size_t n_bytes)
{
    if (n_cancelled_reads > 0) {
        n_cancelled_reads--;
        errno = ECANCELED;
        return -1;
    }
    return syscall(SYS_read, fd, ret_data, n_bytes);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    ck_assert_int_eq(flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
    int r = (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
    if (r == 0 && n_cancelled_sets > 0) {
        n_cancelled_sets--;
        errno = ECANCELED;
        return -1;
    }
    return r;
}

typedef struct {
    sd_event *event;
    ClockAlarm *alarm;
    unsigned n_alarms;
    bool frees_alarm;
} Rig;

static void on_alarm(void *userdata)
{
    Rig *rig = userdata;
    rig->n_alarms++;
    if (rig->frees_alarm) {
        clock_alarm_free(rig->alarm);
        rig->alarm = NULL;
    }
}

static void rig_init(Rig *rig)
{
    *rig = (Rig){.n_alarms = 0};
    ck_assert_int_ge(sd_event_new(&rig->event), 0);
    ck_assert_int_eq(clock_alarm_new(rig->event, on_alarm, rig, &rig->alarm), 0);
}

static void rig_done(Rig *rig)
{
    clock_alarm_free(rig->alarm);
    sd_event_unref(rig->event);
}

/* Whether something happened within wait_usec. */
static bool turn(const Rig *rig, uint64_t wait_usec)
{
    int r = sd_event_run(rig->event, wait_usec);
    ck_assert_int_ge(r, 0);
    return r > 0;
}

START_TEST(goes_off_once_when_the_time_has_come)
{
    Rig rig;
    rig_init(&rig);
    ck_assert(!turn(&rig, 0));
    uint64_t at_usec = clock_now_usec(CLOCK_REALTIME) + 20 * 1000;
    ck_assert_int_eq(clock_alarm_set(rig.alarm, at_usec), 0);
    ck_assert(!turn(&rig, 0));
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_uint_ge(clock_now_usec(CLOCK_REALTIME), at_usec);
    ck_assert_uint_eq(rig.n_alarms, 1);
    ck_assert(!turn(&rig, 0));
    rig_done(&rig);
}
END_TEST

START_TEST(what_has_passed_goes_off_at_once_but_not_from_inside_the_call)
{
    Rig rig;
    rig_init(&rig);
    ck_assert_int_eq(clock_alarm_set(rig.alarm, 1), 0);
    ck_assert_uint_eq(rig.n_alarms, 0);
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_uint_eq(rig.n_alarms, 1);
    rig_done(&rig);
}
END_TEST

START_TEST(can_be_set_off_and_set_far_away)
{
    Rig rig;
    rig_init(&rig);
    ck_assert_int_eq(clock_alarm_set(rig.alarm, 1), 0);
    ck_assert_int_eq(clock_alarm_set(rig.alarm, 0), 0);
    ck_assert(!turn(&rig, 0));
    ck_assert_int_eq(clock_alarm_set(rig.alarm, UINT64_MAX), 0);
    ck_assert(!turn(&rig, 0));
    ck_assert_uint_eq(rig.n_alarms, 0);
    rig_done(&rig);
}
END_TEST

/* The kernel wakes the reader, and reading says ECANCELED; the time itself stays set. */
START_TEST(goes_off_when_the_clock_is_set)
{
    Rig rig;
    rig_init(&rig);
    ck_assert_int_eq(clock_alarm_set(rig.alarm, 1), 0);
    n_cancelled_reads = 1;
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_uint_eq(n_cancelled_reads, 0);
    ck_assert_uint_eq(rig.n_alarms, 1);
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_uint_eq(rig.n_alarms, 2);
    ck_assert(!turn(&rig, 0));
    rig_done(&rig);
}
END_TEST

START_TEST(a_step_told_while_setting_goes_off_from_the_loop)
{
    Rig rig;
    rig_init(&rig);
    n_cancelled_sets = 1;
    uint64_t far_usec = clock_now_usec(CLOCK_REALTIME) + USEC_PER_DAY;
    ck_assert_int_eq(clock_alarm_set(rig.alarm, far_usec), 0);
    ck_assert_uint_eq(rig.n_alarms, 0);
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_uint_eq(rig.n_alarms, 1);
    rig_done(&rig);
}
END_TEST

START_TEST(may_be_freed_inside_on_alarm)
{
    Rig rig;
    rig_init(&rig);
    rig.frees_alarm = true;
    ck_assert_int_eq(clock_alarm_set(rig.alarm, 1), 0);
    ck_assert(turn(&rig, 5 * USEC_PER_SEC));
    ck_assert_ptr_null(rig.alarm);
    rig_done(&rig);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("clock-alarm");
    TCase *tcase = unit_case(suite, "clock-alarm");
    tcase_add_test(tcase, goes_off_once_when_the_time_has_come);
    tcase_add_test(tcase, what_has_passed_goes_off_at_once_but_not_from_inside_the_call);
    tcase_add_test(tcase, can_be_set_off_and_set_far_away);
    tcase_add_test(tcase, goes_off_when_the_clock_is_set);
    tcase_add_test(tcase, a_step_told_while_setting_goes_off_from_the_loop);
    tcase_add_test(tcase, may_be_freed_inside_on_alarm);
    return suite;
}
