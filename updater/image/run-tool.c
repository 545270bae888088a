/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/image/run-tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

void run_tool_done(RunTool *tool)
{
    for (size_t i = 0; i < tool->n_words; i++)
        free(tool->words[i]);
}

void run_tool_add(RunTool *tool, const char *format, ...)
{
    va_list arguments;
    char *word;
    if (tool->n_words == RUN_TOOL_WORDS_MAX)
        tool->failure = -E2BIG;
    if (tool->failure < 0)
        return;
    va_start(arguments, format);
    if (vasprintf(&word, format, arguments) < 0)
        tool->failure = -ENOMEM;
    else
        tool->words[tool->n_words++] = word;
    va_end(arguments);
}

bool run_tool_exists(const char *program)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        _cleanup_free_ char *file = NULL;
        if (asprintf(&file, "%.*s/%s", (int)n, path, program) < 0) {
            file = NULL;
            return false;
        }
        if (access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

/* Reads to the end; keeps the last line that is not empty, cut. */
static void read_last_line(int fd, char *ret_line, size_t n_room)
{
    char chunk[4096];
    size_t n_line = 0;
    bool is_ended = true; /* the next character begins a line */
    ssize_t n;
    ret_line[0] = '\0';
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] == '\n') {
                is_ended = true;
                continue;
            }
            if (is_ended)
                n_line = 0;
            is_ended = false;
            if (n_line + 1 < n_room)
                ret_line[n_line++] = chunk[i];
            ret_line[n_line] = '\0';
        }
}

static int spawn(const RunTool *tool, int output_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = -posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    if (r == 0)
        r = -posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    if (r == 0)
        r = -posix_spawnp(ret_pid, tool->words[0], &actions, NULL, tool->words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int wait_for(pid_t pid, int *ret_status)
{
    pid_t ended;
    do
        ended = waitpid(pid, ret_status, 0);
    while (ended < 0 && errno == EINTR);
    return ended < 0 ? -errno : 0;
}

int run_tool(const RunTool *tool, ErrorText *error)
{
    int ends[2], status = 0;
    if (tool->failure < 0)
        return tool->failure;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int read_fd = ends[0];
    pid_t pid = 0;
    int r = spawn(tool, ends[1], &pid);
    safe_close(ends[1]);
    if (r < 0)
        return error_say(error, r, "%s cannot be run: %s", tool->words[0], strerror(-r));
    char line[256];
    read_last_line(read_fd, line, sizeof(line));
    r = wait_for(pid, &status);
    if (r < 0)
        return r;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return error_say(error, -EPROTO, "%s failed: %s", tool->words[0],
            line[0] ? line : "it does not say why");
}
