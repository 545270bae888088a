/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/postinst.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "updater/postinst/mounted-program.h"
#include "updater/slot/slot-node.h"

#define PROGRAM_NAME "postinst"
/* Of the running system: the same image is there already, and so is its program. */
#define TWIN_PROGRAM "/usr/" PROGRAM_NAME
#define EXIT_FIRMWARE 3

extern char **environ;

static const char *const passed_names[] = {"PATH", "LD_LIBRARY_PATH", "ALL_PROXY", "HTTP_PROXY",
        "HTTPS_PROXY", "NO_PROXY", "all_proxy", "http_proxy", "https_proxy", "no_proxy"};
static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const struct {
    const char *type;
    const char *mount_type;
    const char *data[3];
} mount_types[] = {
        {"ext2", "ext4", {"noload"}},
        {"ext3", "ext4", {"noload"}},
        {"ext4", "ext4", {"noload"}},
        {"btrfs", "btrfs", {"rescue=nologreplay", "nologreplay"}},
        {"squashfs", "squashfs", {""}},
        {"erofs", "erofs", {""}},
};

const char *postinst_mount_type(const char *type, const char *const **ret_data)
{
    for (size_t i = 0; i < ELEMENTS(mount_types); i++)
        if (strcmp(mount_types[i].type, type) == 0) {
            *ret_data = mount_types[i].data;
            return mount_types[i].mount_type;
        }
    return NULL;
}

static char *find_entry(char *const *entries, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; entries[i]; i++)
        if (strncmp(entries[i], name, n) == 0 && entries[i][n] == '=')
            return entries[i];
    return NULL;
}

int postinst_environment(char *const *process_environment, char ***ret_environment)
{
    char **list = calloc(ELEMENTS(passed_names) + 2, sizeof(*list));
    size_t n = 0;
    if (!list)
        return -ENOMEM;
    if (!find_entry(process_environment, "PATH"))
        list[n++] = default_path;
    for (size_t i = 0; i < ELEMENTS(passed_names); i++) {
        char *entry = find_entry(process_environment, passed_names[i]);
        if (entry)
            list[n++] = entry;
    }
    *ret_environment = list;
    return 0;
}

UpdateError postinst_judge(int status, const char *last_line, ErrorText *error)
{
    const char *colon = last_line[0] ? ": " : "";
    if (WIFSIGNALED(status))
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system's " PROGRAM_NAME " was ended by signal %d (%s)%s%s",
                WTERMSIG(status), strsignal(WTERMSIG(status)), colon, last_line);
    if (WEXITSTATUS(status) == EXIT_SUCCESS)
        return UPDATE_OK;
    return error_say(error,
            WEXITSTATUS(status) == EXIT_FIRMWARE ? UPDATE_ERROR_POSTINST_FIRMWARE
                                                 : UPDATE_ERROR_POSTINST,
            "the new system's " PROGRAM_NAME " failed with exit status %d%s%s", WEXITSTATUS(status),
            colon, last_line);
}

static UpdateError judge_end(const Postinst *postinst, MountedProgramEnd end, int value,
        const char *last_line, ErrorText *error)
{
    const char *label = postinst->slot->label;
    switch (end) {
    case MOUNTED_PROGRAM_ENDED:
        return postinst_judge(value, last_line, error);
    case MOUNTED_PROGRAM_NO_MOUNT:
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system in %s cannot be mounted to run its " PROGRAM_NAME ": %s", label,
                strerror(value));
    case MOUNTED_PROGRAM_NO_EXEC:
        if (value == ENOENT)
            return error_say(error, UPDATE_ERROR_POSTINST,
                    "the new system has no program /" PROGRAM_NAME
                    " (or not what it is run by): is it one that is installed by it? Without it, "
                    "start update-engine with --postinst no");
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system's " PROGRAM_NAME " cannot be run: %s", strerror(value));
    case MOUNTED_PROGRAM_NO_START:
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system's " PROGRAM_NAME
                " cannot be started: %s (does the unit allow mounts and namespaces?)",
                strerror(value));
    case MOUNTED_PROGRAM_TIMED_OUT:
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system's " PROGRAM_NAME " was still running after %u s and was ended%s%s",
                (unsigned)(postinst->limit_usec / 1000000), last_line[0] ? ": " : "", last_line);
    case MOUNTED_PROGRAM_CANCELLED:
        return error_say(error, UPDATE_ERROR_CANCELLED, "cancelled");
    case MOUNTED_PROGRAM_LOST:
        break;
    }
    return error_say(error, UPDATE_ERROR_POSTINST,
            "the new system's " PROGRAM_NAME " was killed with all that watched over it");
}

static UpdateError run(const Postinst *postinst, const SlotNode *node, char **words,
        char *const *environment, ErrorText *error)
{
    const char *const *data = NULL;
    const char *type = postinst_mount_type(slot_node_content(node), &data);
    if (!type)
        return error_say(error, UPDATE_ERROR_POSTINST,
                "the new system in %s is no file system that can be mounted to run "
                "its " PROGRAM_NAME " (found: %s)",
                postinst->slot->label,
                slot_node_content(node)[0] ? slot_node_content(node) : "nothing known");
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/" PROGRAM_NAME, postinst->mount_point) < 0)
        return UPDATE_ERROR_GENERIC;
    const MountedProgram program = {
            .device = slot_node_path(node),
            .type = type,
            .data = data,
            .mount_point = postinst->mount_point,
            .program = path,
            .twin_program = TWIN_PROGRAM,
            .words = words,
            .environment = environment,
            .limit_usec = postinst->limit_usec,
            .is_cancelled = postinst->is_cancelled,
    };
    OutputLines lines = {.on_line = postinst->on_line, .userdata = postinst->userdata};
    int value;
    MountedProgramEnd end = mounted_program_run(&program, &lines, &value);
    return judge_end(postinst, end, value, lines.last, error);
}

static int add_word(char **words, size_t *n_words, const char *name, const char *path)
{
    if (!path)
        return 0;
    if (asprintf(&words[*n_words], "%s%s", name, path) < 0)
        return -ENOMEM;
    ++*n_words;
    return 0;
}

UpdateError postinst_run(const Postinst *postinst, ErrorText *error)
{
    _cleanup_(slot_node_freep) SlotNode *node = NULL;
    _cleanup_free_ char **environment = NULL;
    char *words[5] = {(char *)PROGRAM_NAME};
    size_t n_words = 1;
    if (slot_node_new(postinst->disk_path, postinst->slot, &node, error) < 0)
        return UPDATE_ERROR_POSTINST;
    UpdateError code = UPDATE_ERROR_GENERIC;
    if (postinst_environment(environ, &environment) == 0 &&
            add_word(words, &n_words, "", slot_node_path(node)) == 0 &&
            add_word(words, &n_words, "KERNEL=", postinst->kernel) == 0 &&
            add_word(words, &n_words, "PCR_POLICY=", postinst->policy) == 0)
        code = run(postinst, node, words, environment, error);
    for (size_t i = 1; i < n_words; i++)
        free(words[i]);
    return code;
}
