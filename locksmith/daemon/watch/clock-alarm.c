/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/watch/clock-alarm.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/clock.h"

struct ClockAlarm {
    int timer_fd;
    sd_event_source *source;
    void (*on_alarm)(void *userdata);
    void *userdata;
};

/* Reading fails with ECANCELED when the clock was set; the time stays set then. */
static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    ClockAlarm *alarm = userdata;
    uint64_t n_expirations;
    if (read(fd, &n_expirations, sizeof(n_expirations)) < 0 && errno != ECANCELED)
        return 0;
    alarm->on_alarm(alarm->userdata);
    return 0;
}

int clock_alarm_new(
        sd_event *event, void (*on_alarm)(void *userdata), void *userdata, ClockAlarm **ret_alarm)
{
    _cleanup_(clock_alarm_freep) ClockAlarm *alarm = malloc(sizeof(*alarm));
    if (!alarm)
        return -ENOMEM;
    *alarm = (ClockAlarm){.timer_fd = -1, .on_alarm = on_alarm, .userdata = userdata};
    alarm->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (alarm->timer_fd < 0)
        return -errno;
    int r = sd_event_add_io(event, &alarm->source, alarm->timer_fd, EPOLLIN, on_readable, alarm);
    if (r < 0)
        return r;
    *ret_alarm = TAKE_PTR(alarm);
    return 0;
}

void clock_alarm_free(ClockAlarm *alarm)
{
    if (!alarm)
        return;
    sd_event_source_disable_unref(alarm->source);
    safe_close(alarm->timer_fd);
    free(alarm);
}

static int arm(const ClockAlarm *alarm, struct timespec at)
{
    const struct itimerspec timer = {.it_value = at};
    int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    return timerfd_settime(alarm->timer_fd, flags, &timer, NULL) < 0 ? -errno : 0;
}

int clock_alarm_set(ClockAlarm *alarm, uint64_t at_usec)
{
    int r = arm(alarm, (struct timespec){
                               .tv_sec = (time_t)(at_usec / USEC_PER_SEC),
                               .tv_nsec = (long)(at_usec % USEC_PER_SEC) * 1000,
                       });
    /* The clock was set since the last look at it, and at_usec may come from before: Linux tells
     * it here instead of at the next read. A time long past goes off from the loop. */
    if (r == -ECANCELED)
        r = arm(alarm, (struct timespec){.tv_nsec = 1});
    return r == -ECANCELED ? 0 : r;
}
