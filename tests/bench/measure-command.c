/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a shell pipeline and says what it has cost. A small program of its own, because a process
 * that is started by a large one has been as large as that one (execve keeps ru_maxrss).
 *
 * usage: measure-command COMMAND       prints {"wall": S, "cpu": S, "peak_kib": N, "status": N} */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static pid_t start(const char *command)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execlp("bash", "bash", "-o", "pipefail", "-c", command, (char *)NULL);
    _exit(127);
}

/* Also for what the command has left behind, whose time counts. */
static int wait_for_all(pid_t pid, double *ret_end)
{
    int status, of_command = -1;
    for (pid_t ended; (ended = wait(&status)) >= 0 || errno == EINTR;) {
        if (ended == pid) {
            of_command = status;
            *ret_end = now_seconds();
        }
    }
    return WIFEXITED(of_command) ? WEXITSTATUS(of_command) : 128;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    double begin = now_seconds(), end = begin;
    pid_t pid = start(argv[1]);
    if (pid < 0)
        return EXIT_FAILURE;
    int status = wait_for_all(pid, &end);
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    printf("{\"wall\": %.6f, \"cpu\": %.6f, \"peak_kib\": %ld, \"status\": %d}\n", end - begin,
            seconds_of(used.ru_utime) + seconds_of(used.ru_stime), used.ru_maxrss, status);
    return EXIT_SUCCESS;
}
