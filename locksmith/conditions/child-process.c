/* SPDX-License-Identifier: Apache-2.0 */

/* The child leads a session of its own, so that its process id is also that of its group, and it is
 * reaped only after the last signal to the group was sent: until then nobody else can get the
 * number. A pidfd tells its end to the loop; SIGCHLD plays no part.
 *
 * Who frees a child that runs leaves the object to the event loop: its sources float, and the last
 * thing that happens to it, its end or the loop's, frees it. */

#include "locksmith/conditions/child-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "locksmith/conditions/child-output.h"

#define READ_BYTES 4096
#define MAX_READS_AT_ONCE 16 /* and at the end: of what others may still write */
#define STATUS_NOT_STARTED 127

typedef enum { CHILD_RUNS, CHILD_TERMINATED, CHILD_KILLED, CHILD_REAPED } ChildState;

struct ChildProcess {
    sd_event *event; /* its sources hold it */
    pid_t pid;
    int pid_fd;
    int output_fd;
    int error_fd; /* errno of execve, where that fails */
    sd_event_source *end_source;
    sd_event_source *output_source;
    sd_event_source *timer;
    ChildState state;
    bool is_abandoned;
    ChildOutput output;
    void (*on_done)(ChildProcess *child, ChildEnd end, int number, void *userdata);
    void *userdata;
};

/* In the child, between fork and exec: nothing but system calls. */
static void close_all_on_exec(void)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 1024; fd++) /* Linux before 5.11; ours are O_CLOEXEC anyway */
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the child, too. */
static _Noreturn void become(
        char *const *arguments, char *const *environment, int null_fd, int output_fd, int error_fd)
{
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* what cannot be set stays as it is */
    bool is_ready = setsid() >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
                    dup2(output_fd, STDOUT_FILENO) >= 0 && dup2(output_fd, STDERR_FILENO) >= 0 &&
                    chdir("/") >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) >= 0;
    close_all_on_exec();
    if (is_ready)
        execve(arguments[0], arguments, environment);
    int failure = errno;
    ssize_t _unused_ n = write(error_fd, &failure, sizeof(failure));
    _exit(STATUS_NOT_STARTED);
}

/* Whether the assignment's name is assigned in list, too. */
static bool is_assigned(const char *const *list, const char *assignment)
{
    size_t n_chars = strcspn(assignment, "=") + 1;
    for (; list && *list; list++)
        if (strncmp(*list, assignment, n_chars) == 0)
            return true;
    return false;
}

/* What systemd means for us alone (sd_notify(3), sd_listen_fds(3), systemd.exec(5)), and our
 * configuration's secret: what a program prints of its environment is logged. */
static bool is_ours_alone(const char *assignment)
{
    static const char *const names[] = {
            "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=",
            "LISTEN_FDNAMES=", "JOURNAL_STREAM=", "LOCKSMITHD_ETCD_PASSWORD="};
    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (strncmp(assignment, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The array is new, the texts in it are not. */
static const char **merge_environment(const char *const *more)
{
    size_t n = 1;
    for (char **old = environ; old && *old; old++)
        n++;
    for (const char *const *own = more; own && *own; own++)
        n++;
    const char **merged = calloc(n, sizeof(*merged));
    if (!merged)
        return NULL;
    n = 0;
    for (char **old = environ; old && *old; old++)
        if (!is_ours_alone(*old) && !is_assigned(more, *old))
            merged[n++] = *old;
    for (const char *const *own = more; own && *own; own++)
        merged[n++] = *own;
    return merged;
}

static int start(
        ChildProcess *child, const ChildProcessOptions *options, int output_fd, int error_fd)
{
    _cleanup_free_ const char **environment = merge_environment(options->environment);
    if (!environment)
        return -ENOMEM;
    _cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0)
        return -errno;
    /* A signal that comes before the child has put its handlers away must not run ours there. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    child->pid = fork();
    int r = child->pid < 0 ? -errno : 0;
    if (child->pid != 0)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return r;
    if (child->pid == 0)
        become((char *const *)options->arguments, (char *const *)environment, null_fd, output_fd,
                error_fd);
    child->pid_fd = pidfd_open(child->pid, 0);
    return child->pid_fd < 0 ? -errno : 0;
}

static void on_loop_end(void *userdata);

/* The group may not be there yet, when the child was just forked. */
static void send_signal(const ChildProcess *child, int number)
{
    if (kill(-child->pid, number) < 0)
        kill(child->pid, number);
}

static void destroy(ChildProcess *child)
{
    if (child->pid > 0 && child->state != CHILD_REAPED)
        send_signal(child, SIGKILL); /* the loop itself ends: init gets what is left */
    sd_event_source_unref(child->end_source);
    sd_event_source_unref(child->output_source);
    sd_event_source_unref(child->timer);
    safe_close(child->pid_fd);
    safe_close(child->output_fd);
    safe_close(child->error_fd);
    free(child);
}

/* The event loop owns the sources from now on; our pointers only look at them. */
static void leave_to_loop(ChildProcess *child)
{
    sd_event_source *const sources[] = {child->end_source, child->output_source, child->timer};
    for (size_t i = 0; i < ELEMENTS(sources); i++) {
        sd_event_source_set_floating(sources[i], true);
        sd_event_source_unref(sources[i]);
    }
    sd_event_source_set_destroy_callback(child->end_source, on_loop_end);
}

static void take_from_loop(ChildProcess *child)
{
    sd_event_source_set_destroy_callback(child->end_source, NULL);
    sd_event_source_set_floating(TAKE_PTR(child->end_source), false);
    sd_event_source_set_floating(TAKE_PTR(child->output_source), false);
    sd_event_source_set_floating(TAKE_PTR(child->timer), false);
}

static void on_loop_end(void *userdata)
{
    ChildProcess *child = userdata;
    child->end_source = child->output_source = child->timer = NULL;
    destroy(child);
}

/* Reads what is there; true: there may be more. */
static bool read_output(ChildProcess *child)
{
    char data[READ_BYTES];
    for (int i = 0; i < MAX_READS_AT_ONCE; i++) {
        ssize_t n = read(child->output_fd, data, sizeof(data));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        if (!child->is_abandoned)
            child_output_add(&child->output, data, (size_t)n, clock_now_usec(CLOCK_MONOTONIC));
    }
    return true;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)fd;
    (void)events;
    if (!read_output(userdata))
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static ChildEnd classify(const ChildProcess *child, const siginfo_t *info, int *ret_number)
{
    int failure;
    *ret_number = 0;
    if (child->state != CHILD_RUNS)
        return CHILD_TIMED_OUT;
    *ret_number = info->si_status;
    if (info->si_code != CLD_EXITED)
        return CHILD_SIGNALLED;
    if (info->si_status == STATUS_NOT_STARTED &&
            read(child->error_fd, &failure, sizeof(failure)) == sizeof(failure)) {
        *ret_number = failure;
        return CHILD_NOT_STARTED;
    }
    return CHILD_EXITED;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)fd;
    (void)events;
    ChildProcess *child = userdata;
    siginfo_t info = {.si_code = CLD_EXITED};
    int number;
    if (child->state != CHILD_RUNS)
        send_signal(child, SIGKILL); /* its group, before its number is free again */
    (void)waitid((idtype_t)P_PIDFD, (id_t)child->pid_fd, &info, WEXITED | WNOHANG);
    ChildEnd end = classify(child, &info, &number);
    child->state = CHILD_REAPED;
    if (child->is_abandoned) {
        take_from_loop(child);
        destroy(child);
        return 0;
    }
    sd_event_source_set_enabled(child->end_source, SD_EVENT_OFF);
    sd_event_source_set_enabled(child->output_source, SD_EVENT_OFF);
    sd_event_source_set_enabled(child->timer, SD_EVENT_OFF);
    read_output(child);
    child_output_end(&child->output, clock_now_usec(CLOCK_MONOTONIC));
    child->on_done(child, end, number, child->userdata);
    return 0;
}

static void arm(ChildProcess *child, uint64_t wait_usec)
{
    uint64_t now = 0;
    sd_event_now(child->event, CLOCK_MONOTONIC, &now);
    sd_event_source_set_time(child->timer, now + wait_usec);
    sd_event_source_set_enabled(child->timer, SD_EVENT_ONESHOT);
}

static void terminate(ChildProcess *child)
{
    send_signal(child, SIGTERM);
    send_signal(child, SIGCONT); /* one that was stopped hears it as well */
    child->state = CHILD_TERMINATED;
    arm(child, CHILD_PROCESS_GRACE_USEC);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    ChildProcess *child = userdata;
    switch (child->state) {
    case CHILD_RUNS:
        terminate(child);
        break;
    case CHILD_TERMINATED:
        send_signal(child, SIGKILL);
        child->state = CHILD_KILLED;
        break;
    case CHILD_KILLED:
    case CHILD_REAPED:
        break;
    }
    return 0;
}

static int add_sources(ChildProcess *child, uint64_t timeout_usec)
{
    int r = sd_event_add_io(
            child->event, &child->end_source, child->pid_fd, EPOLLIN, on_end, child);
    if (r >= 0)
        r = sd_event_add_io(
                child->event, &child->output_source, child->output_fd, EPOLLIN, on_output, child);
    if (r >= 0)
        r = sd_event_add_time_relative(
                child->event, &child->timer, CLOCK_MONOTONIC, timeout_usec, 0, on_time, child);
    return r;
}

/* For a child whose making fails half-way. */
static void undo(ChildProcess *child)
{
    if (child->pid > 0) {
        send_signal(child, SIGKILL);
        (void)waitpid(child->pid, NULL, 0); /* it was just begun and is killed: at once */
        child->state = CHILD_REAPED;
    }
    destroy(child);
}
DEFINE_CLEANUP(ChildProcess *, undo);

int child_process_new(sd_event *event, const ChildProcessOptions *options, ChildProcess **ret_child)
{
    _cleanup_(undop) ChildProcess *child = malloc(sizeof(*child));
    if (!child)
        return -ENOMEM;
    *child = (ChildProcess){.event = event,
            .pid_fd = -1,
            .output_fd = -1,
            .error_fd = -1,
            .output = {.on_line = options->on_line, .userdata = options->userdata},
            .on_done = options->on_done,
            .userdata = options->userdata};
    int output[2];
    if (pipe2(output, O_CLOEXEC) < 0)
        return -errno;
    child->output_fd = output[0];
    _cleanup_close_ int output_fd = output[1];
    int error[2];
    if (pipe2(error, O_CLOEXEC) < 0)
        return -errno;
    child->error_fd = error[0];
    _cleanup_close_ int error_fd = error[1];
    if (fcntl(child->output_fd, F_SETFL, O_NONBLOCK) < 0 ||
            fcntl(child->error_fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;

    int r = start(child, options, output_fd, error_fd);
    if (r >= 0)
        r = add_sources(child, options->timeout_usec);
    if (r < 0)
        return r;
    *ret_child = TAKE_PTR(child);
    return 0;
}

void child_process_free(ChildProcess *child)
{
    if (!child)
        return;
    if (child->state == CHILD_REAPED) {
        destroy(child);
        return;
    }
    sd_event *event = sd_event_ref(child->event);
    child->is_abandoned = true;
    if (child->state == CHILD_RUNS)
        terminate(child);
    leave_to_loop(child);
    sd_event_unref(event); /* may be its end, and the child's */
}

ChildEndShown child_end_show(ChildEnd end, int number)
{
    ChildEndShown shown = {""};
    const char *name = end == CHILD_SIGNALLED ? sigabbrev_np(number) : NULL;
    switch (end) {
    case CHILD_EXITED:
        snprintf(shown.text, sizeof(shown.text), "exited with status %d", number);
        break;
    case CHILD_SIGNALLED:
        snprintf(shown.text, sizeof(shown.text), "was ended by SIG%s", name ? name : "?");
        break;
    case CHILD_TIMED_OUT:
        snprintf(shown.text, sizeof(shown.text), "did not end in time");
        break;
    case CHILD_NOT_STARTED:
        snprintf(shown.text, sizeof(shown.text), "could not be started: %s", strerror(number));
        break;
    }
    return shown;
}
