/* SPDX-License-Identifier: Apache-2.0 */

/* Two processes. The keeper, a copy of this process in a mount namespace, mounts, starts the
 * program, waits for it and writes what became of it to a pipe. Whoever loses its parent there
 * becomes the keeper's child, so that it can end all that the program has started, however that has
 * detached itself. It does so when the program has ended, when it is asked to by SIGTERM, and when
 * the thread that made it is gone, which the kernel tells it by the same signal. With the last of
 * these processes the kernel takes the mount away.
 *
 * A process namespace would be simpler, but out of one nobody can ask systemd: sd-bus wants to know
 * the process id of the one who answers, and there it has none.
 *
 * The keeper comes from a process with threads, so it may do nothing but system calls. */

#include "updater/postinst/mounted-program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"

#define REPORT_FD 3
#define LOOK_MSEC 100
#define STEPS 50 /* of 20 ms: what is left running has so long, and so has its end */
#define STEP_NSEC (20L * 1000 * 1000)
#define END_USEC (5 * USEC_PER_SEC) /* the keeper's, when it is asked to */

typedef struct {
    MountedProgramEnd end;
    int value;
} Report;

typedef struct {
    const MountedProgram *program;
    int output_fd;
    int report_fd;
} Keeper;

/* --- in the keeper ----------------------------------------------------------------------- */

static void report(MountedProgramEnd end, int value)
{
    const Report what = {.end = end, .value = value};
    ssize_t n = write(REPORT_FD, &what, sizeof(what));
    (void)n; /* then nobody is there to read */
}

static _Noreturn void give_up(MountedProgramEnd end, int error)
{
    report(end, error);
    _exit(EXIT_FAILURE);
}

/* Nothing of the daemon's stays open, above all not the lock of its state folder. */
static void take_descriptors(const Keeper *keeper)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int report_fd = fcntl(keeper->report_fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    int output_fd = fcntl(keeper->output_fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    if (null_fd < 0 || report_fd < 0 || output_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
            dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0 ||
            dup3(report_fd, REPORT_FD, O_CLOEXEC) < 0)
        _exit(EXIT_FAILURE);
    (void)close_range(REPORT_FD + 1, ~0U, 0);
    /* The one who started us may have died before we asked to die with it. */
    struct pollfd reader = {.fd = REPORT_FD};
    if (poll(&reader, 1, 0) > 0 && reader.revents & POLLERR)
        _exit(EXIT_FAILURE);
}

/* Returns the path of the program to run. */
static const char *mount_device(const MountedProgram *program)
{
    const unsigned long flags = MS_RDONLY | MS_NODEV | MS_NOSUID;
    /* Not private: what others unmount meanwhile must not be kept busy here. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        give_up(MOUNTED_PROGRAM_NO_START, errno);
    int r = -1;
    for (size_t i = 0; r < 0 && program->data[i]; i++) {
        r = mount(program->device, program->mount_point, program->type, flags, program->data[i]);
        if (r < 0 && errno != EINVAL)
            break;
    }
    if (r == 0)
        return program->program;
    if (errno != EEXIST || !program->twin_program)
        give_up(MOUNTED_PROGRAM_NO_MOUNT, errno);
    return program->twin_program;
}

static _Noreturn void become_program(const MountedProgram *program, const char *path, pid_t keeper)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the keeper itself may be killed */
    if (getppid() != keeper)
        _exit(EXIT_FAILURE);
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (int number = 1; number < _NSIG; number++)
        (void)sigaction(number, &by_default, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)umask(0022);
    if (chdir("/") < 0)
        give_up(MOUNTED_PROGRAM_NO_START, errno);
    program->words[0] = (char *)path;
    execve(path, program->words, program->environment);
    give_up(MOUNTED_PROGRAM_NO_EXEC, errno);
}

/* The parent of a process, as /proc/PID/stat says: behind the name, which may hold anything. 0 when
 * there is no such process any more. */
static pid_t parent_of(int proc_fd, const char *name)
{
    char path[32], text[512];
    size_t n_name = strnlen(name, 16);
    memcpy(path, name, n_name);
    memcpy(path + n_name, "/stat", sizeof("/stat"));
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    safe_close(fd);
    text[MAX(n, 0)] = '\0';
    const char *end = strrchr(text, ')');
    pid_t parent = 0;
    if (!end || strnlen(end, 5) < 5)
        return 0;
    for (end += 4; *end >= '0' && *end <= '9'; end++) /* ") S 123" */
        parent = parent * 10 + (*end - '0');
    return parent;
}

static void kill_if_child(int proc_fd, const char *name)
{
    pid_t pid = 0;
    const char *c = name;
    for (; *c >= '0' && *c <= '9'; c++)
        pid = pid * 10 + (*c - '0');
    if (*c == '\0' && pid > 0 && parent_of(proc_fd, name) == getpid())
        (void)kill(pid, SIGKILL);
}

static void kill_children(void)
{
    alignas(struct dirent64) char entries[8192];
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n;
    while (fd >= 0 && (n = getdents64(fd, entries, sizeof(entries))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            kill_if_child(fd, entry->d_name);
        }
    safe_close(fd);
}

/* Whether there are children; those that have ended are put away. */
static bool has_children(void)
{
    pid_t pid;
    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid == 0;
}

/* The children of who is killed come to us in turn. */
static void end_all(void)
{
    const struct timespec step = {.tv_nsec = STEP_NSEC};
    for (unsigned i = 0; i < STEPS && has_children(); i++) {
        kill_children();
        (void)nanosleep(&step, NULL);
    }
}

/* What the program left in the background: the end of a pipe into the journal, say. */
static void wait_for_rest(void)
{
    const struct timespec step = {.tv_nsec = STEP_NSEC};
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    for (unsigned i = 0; i < STEPS && has_children(); i++)
        if (sigtimedwait(&end, NULL, &step) == SIGTERM)
            break;
    end_all();
}

/* Returns the program's wait status. */
static int wait_for_program(pid_t program)
{
    sigset_t events;
    sigemptyset(&events);
    sigaddset(&events, SIGTERM);
    sigaddset(&events, SIGCHLD);
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == program)
            return status;
        if (pid > 0 || sigwaitinfo(&events, NULL) != SIGTERM)
            continue;
        end_all();
        _exit(EXIT_FAILURE);
    }
}

static _Noreturn void keep(const Keeper *keeper)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t all;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || sigaction(SIGCHLD, &by_default, NULL) < 0 ||
            prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        _exit(EXIT_FAILURE);
    take_descriptors(keeper);
    const char *path = mount_device(keeper->program);
    pid_t self = getpid(), pid = _Fork();
    if (pid < 0)
        give_up(MOUNTED_PROGRAM_NO_START, errno);
    if (pid == 0)
        become_program(keeper->program, path, self);
    int status = wait_for_program(pid);
    wait_for_rest();
    report(MOUNTED_PROGRAM_ENDED, status);
    _exit(EXIT_SUCCESS);
}

/* --- in the process that started it ------------------------------------------------------ */

/* Reads what is there. Returns whether more may come. */
static bool read_output(int fd, OutputLines *lines)
{
    char chunk[4096];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        output_lines_add(lines, chunk, (size_t)n);
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until the keeper has ended: it may be killed, and somebody outside may hold its output open. */
static MountedProgramEnd watch(
        const MountedProgram *program, pid_t keeper, int output_fd, OutputLines *lines)
{
    MountedProgramEnd end = MOUNTED_PROGRAM_ENDED;
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + program->limit_usec;
    bool is_asked = false;
    struct pollfd output = {.fd = output_fd, .events = POLLIN};
    for (;;) {
        (void)poll(&output, 1, LOOK_MSEC);
        if (output.fd >= 0 && !read_output(output_fd, lines))
            output.fd = -1; /* only the keeper's end is waited for */
        pid_t pid = waitpid(keeper, NULL, output.fd < 0 ? 0 : WNOHANG);
        if (pid == keeper || (pid < 0 && errno != EINTR))
            break;
        uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
        if (is_asked && now_usec >= end_usec)
            (void)kill(keeper, SIGKILL);
        if (is_asked)
            continue;
        if (atomic_load(program->is_cancelled))
            end = MOUNTED_PROGRAM_CANCELLED;
        else if (now_usec >= end_usec)
            end = MOUNTED_PROGRAM_TIMED_OUT;
        if (end == MOUNTED_PROGRAM_ENDED)
            continue;
        is_asked = true;
        end_usec = now_usec + END_USEC;
        (void)kill(keeper, SIGTERM);
    }
    if (output.fd >= 0)
        (void)read_output(output_fd, lines);
    output_lines_end(lines);
    return end;
}

static int open_pipe(int flags, int *ret_read_fd, int *ret_write_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_read_fd = ends[0];
    *ret_write_fd = ends[1];
    return fcntl(ends[0], F_SETFL, flags) < 0 ? -errno : 0;
}

static pid_t start(const MountedProgram *program, int output_fd, int report_fd)
{
    const Keeper keeper = {.program = program, .output_fd = output_fd, .report_fd = report_fd};
    pid_t pid = _Fork(); /* fork() might wait for a lock that another thread holds */
    if (pid == 0)
        keep(&keeper);
    return pid < 0 ? -errno : pid;
}

MountedProgramEnd mounted_program_run(
        const MountedProgram *program, OutputLines *lines, int *ret_value)
{
    _cleanup_close_ int output_fd = -1, output_end = -1, report_fd = -1, report_end = -1;
    *ret_value = 0;
    int r = open_pipe(O_NONBLOCK, &output_fd, &output_end);
    if (r >= 0)
        r = open_pipe(O_NONBLOCK, &report_fd, &report_end);
    pid_t keeper = r < 0 ? r : start(program, output_end, report_end);
    if (keeper < 0) {
        *ret_value = -keeper;
        return MOUNTED_PROGRAM_NO_START;
    }
    output_end = safe_close(output_end);
    report_end = safe_close(report_end);
    MountedProgramEnd end = watch(program, keeper, output_fd, lines);
    if (end != MOUNTED_PROGRAM_ENDED)
        return end;
    Report what;
    if (read(report_fd, &what, sizeof(what)) != sizeof(what))
        return MOUNTED_PROGRAM_LOST;
    *ret_value = what.value;
    return what.end;
}
