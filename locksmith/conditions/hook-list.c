/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/hook-list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+:@-"

/* /etc before /usr/lib: a name that is there already stays. A mask is a hook without a path until
 * all is read. What is refused ends the reading; the caller then has no list at all. */

typedef struct {
    HookList *list;
    char *refused; /* the first, by the order of reading */
    ErrorText *error;
} Reading;

static bool is_no_hook(const char *name)
{
    static const char *const patterns[] = {".*", "README*", "*~", "*.bak", "*.orig", "*.rej",
            "*.sample", "*.swp", "*.dpkg-*", "*.rpm*", "*.ucf-*"};
    for (size_t i = 0; i < ELEMENTS(patterns); i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

static int refuse(Reading *reading, const char *name, const char *path, const char *why)
{
    error_say(reading->error, 0, "the hook %s is refused: %s", path, why);
    reading->refused = strdup(name);
    return reading->refused ? 0 : -ENOMEM;
}

static bool is_writable_by_others(const struct stat *st)
{
    return (st->st_uid != 0 && st->st_uid != geteuid()) || (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* What is wrong with the file, or NULL. */
static const char *find_fault(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "it is no regular file; remove it";
    if (is_writable_by_others(st))
        return "others can change it; make it root's with chown, and chmod go-w";
    if ((st->st_mode & 0111) == 0)
        return "it is not executable; make it so with chmod +x, or remove it";
    return NULL;
}

static bool is_mask(int folder_fd, const char *name)
{
    char target[16];
    ssize_t n = readlinkat(folder_fd, name, target, sizeof(target));
    return n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0;
}

static bool is_known(const HookList *list, const char *name)
{
    for (size_t i = 0; i < list->n_hooks; i++)
        if (strcmp(list->hooks[i].name, name) == 0)
            return true;
    return false;
}

/* path is consumed, NULL for a mask. */
static int add(Reading *reading, const char *name, char *path)
{
    HookList *list = reading->list;
    if (list->n_hooks == HOOK_LIST_MAX) {
        free(path);
        return refuse(reading, name, name, "there are more than 64; put them together");
    }
    char *copy = strdup(name);
    if (!copy) {
        free(path);
        return -ENOMEM;
    }
    list->hooks[list->n_hooks++] = (Hook){.name = copy, .path = path};
    return 0;
}

static int read_one(Reading *reading, int folder_fd, const char *folder, const char *name)
{
    struct stat st;
    if (is_no_hook(name) || is_known(reading->list, name))
        return 0;
    if (name[strspn(name, NAME_CHARACTERS)] != '\0')
        return refuse(reading, "?", name, "name it with letters, digits and _ . + : @ - alone");
    if (is_mask(folder_fd, name))
        return add(reading, name, NULL);

    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    if (fstatat(folder_fd, name, &st, 0) < 0)
        return refuse(reading, name, path, strerror(errno));
    const char *fault = find_fault(&st);
    return fault ? refuse(reading, name, path, fault) : add(reading, name, TAKE_PTR(path));
}

static void closedirp(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

static int refuse_folder(Reading *reading, const char *path, int failure)
{
    error_say(reading->error, 0, "the hooks in %s cannot be read: %s", path, strerror(failure));
    reading->refused = strdup(strrchr(path, '/') + 1);
    return reading->refused ? 0 : -ENOMEM;
}

static int read_folder(Reading *reading, const char *path)
{
    _cleanup_(closedirp) DIR *folder = opendir(path);
    if (!folder && errno == ENOENT)
        return 0;
    if (!folder)
        return refuse_folder(reading, path, errno);
    struct stat st;
    if (fstat(dirfd(folder), &st) < 0)
        return refuse_folder(reading, path, errno);
    if (is_writable_by_others(&st))
        return refuse(reading, strrchr(path, '/') + 1, path,
                "others can change its folder; make it root's with chown, and chmod go-w");

    struct dirent *entry;
    int r = 0;
    while (r >= 0 && !reading->refused && (errno = 0, entry = readdir(folder)))
        r = read_one(reading, dirfd(folder), path, entry->d_name);
    if (r >= 0 && !reading->refused && errno != 0)
        r = refuse_folder(reading, path, errno);
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const Hook *)a)->name, ((const Hook *)b)->name);
}

static void drop_masks(HookList *list)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < list->n_hooks; i++)
        if (list->hooks[i].path)
            list->hooks[n_kept++] = list->hooks[i];
        else
            free(list->hooks[i].name);
    list->n_hooks = n_kept;
    qsort(list->hooks, n_kept, sizeof(list->hooks[0]), compare);
}

int hook_list_new(const char *root, const char *kind, HookList **ret_list,
        HookListResult *ret_result, char **ret_refused, ErrorText *error)
{
    static const char *const places[] = {"/etc/locksmith", "/usr/lib/locksmith"};
    _cleanup_(hook_list_freep) HookList *list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    Reading reading = {.list = list, .error = error};
    for (size_t i = 0; i < ELEMENTS(places) && !reading.refused; i++) {
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s%s/%s.d", root, places[i], kind) < 0)
            return -ENOMEM;
        int r = read_folder(&reading, path);
        if (r < 0) {
            free(reading.refused);
            return r;
        }
    }
    drop_masks(list);
    *ret_result = reading.refused ? HOOK_LIST_REFUSED : HOOK_LIST_READ;
    *ret_refused = reading.refused;
    *ret_list = TAKE_PTR(list);
    return 0;
}

void hook_list_free(HookList *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n_hooks; i++) {
        free(list->hooks[i].name);
        free(list->hooks[i].path);
    }
    free(list);
}
