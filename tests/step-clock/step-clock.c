/* SPDX-License-Identifier: Apache-2.0 */

/* A library to be preloaded into one process, whose clock of the day can then be stepped without
 * touching the machine's: the file $STEP_CLOCK_FILE holds the seconds that it is ahead, and SIGUSR2
 * has it read again. As the kernel does it, a timerfd on that clock goes off by the stepped clock,
 * and one that was armed with TFD_TIMER_CANCEL_ON_SET is readable at once, its read ending with
 * ECANCELED. (libfaketime moves the timers of all clocks, which ends sd-event's loop.) */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 1024

typedef struct {
    bool is_realtime;
    bool is_armed; /* at an absolute time, in the process's clock: */
    bool is_cancelled;
    int flags;
    struct itimerspec value;
} Timer;

static Timer timers[MAX_FDS];
static volatile time_t ahead_sec;

static int arm(int fd, const Timer *timer)
{
    struct itimerspec value = timer->value;
    bool is_on = value.it_value.tv_sec != 0 || value.it_value.tv_nsec != 0;
    if (is_on) {
        value.it_value.tv_sec -= ahead_sec;
        if (value.it_value.tv_sec < 0)
            value.it_value = (struct timespec){.tv_nsec = 1};
    }
    return (int)syscall(SYS_timerfd_settime, fd, timer->flags, &value, NULL);
}

static void cancel(int fd)
{
    struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    timers[fd].is_cancelled = true;
    syscall(SYS_timerfd_settime, fd, 0, &at_once, NULL);
}

/* Async-signal-safe: system calls alone. */
static void on_step(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    const char *path = getenv("STEP_CLOCK_FILE");
    char text[32] = "";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t n = (ssize_t)syscall(SYS_read, fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
        ahead_sec = strtol(text, NULL, 10);
    }
    for (int i = 0; i < MAX_FDS; i++) {
        if (!timers[i].is_armed)
            continue;
        if (timers[i].flags & TFD_TIMER_CANCEL_ON_SET)
            cancel(i);
        else
            arm(i, &timers[i]);
    }
    errno = saved;
}

__attribute__((constructor)) static void start(void)
{
    if (!getenv("STEP_CLOCK_FILE"))
        return;
    struct sigaction action = {.sa_handler = on_step, .sa_flags = SA_RESTART};
    sigaction(SIGUSR2, &action, NULL);
    on_step(0);
}

/* What is put before the C library's. */

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += ahead_sec;
    return r;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int timerfd_create(clockid_t clock, int flags)
{
    int fd = (int)syscall(SYS_timerfd_create, clock, flags);
    if (fd >= 0 && fd < MAX_FDS)
        timers[fd] =
                (Timer){.is_realtime = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM};
    return fd;
}

int timerfd_settime(
        int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_before)
{
    Timer *timer = fd >= 0 && fd < MAX_FDS ? &timers[fd] : NULL;
    if (!timer || !timer->is_realtime || !(flags & TFD_TIMER_ABSTIME)) {
        if (timer)
            timer->is_armed = false;
        return (int)syscall(SYS_timerfd_settime, fd, flags, value, ret_before);
    }
    timer->is_armed = true;
    timer->is_cancelled = false;
    timer->flags = flags;
    timer->value = *value;
    return arm(fd, timer);
}

ssize_t read(int fd, void *buffer, size_t n_bytes)
{
    ssize_t n = (ssize_t)syscall(SYS_read, fd, buffer, n_bytes);
    if (n > 0 && fd < MAX_FDS && timers[fd].is_cancelled) {
        timers[fd].is_cancelled = false;
        errno = ECANCELED;
        return -1;
    }
    return n;
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FDS)
        timers[fd] = (Timer){};
    return (int)syscall(SYS_close, fd);
}
