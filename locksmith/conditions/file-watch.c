/* SPDX-License-Identifier: Apache-2.0 */

/* Of each path the deepest folder that is there is watched for the next name on the way, and every
 * folder above for its own going: so a folder full of other files wakes nobody who waits in one
 * below it. Whenever something on the way happens all watches are made anew, and then it is told:
 * what happens while they are made is seen by whoever is told. */

#include "locksmith/conditions/file-watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "common/clock.h"

#define PAUSE_USEC (USEC_PER_SEC / 10)
#define RETRY_USEC (10 * USEC_PER_SEC)
#define MAX_TRIES 5

#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define NAME_EVENTS \
    (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB)

struct FileWatch {
    sd_event *event;
    char *root;
    char *paths[FILE_WATCH_MAX];
    size_t n_paths;
    int inotify_fd;
    sd_event_source *source;
    sd_event_source *timer; /* enabled: something is to be told */
    uint64_t told_usec;     /* CLOCK_MONOTONIC */
    void (*on_change)(void *userdata);
    void *userdata;
};

static bool is_name_on_the_way(const FileWatch *watch, const char *name)
{
    size_t n_chars = strlen(name);
    for (size_t i = 0; i < watch->n_paths; i++) {
        const char *part = watch->paths[i];
        while (part) {
            if (strncmp(part, name, n_chars) == 0 && (part[n_chars] == '/' || !part[n_chars]))
                return true;
            part = strchr(part, '/');
            part = part ? part + 1 : NULL;
        }
    }
    return false;
}

static void arm(FileWatch *watch, uint64_t usec)
{
    sd_event_source_set_time(watch->timer, usec);
    sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static void tell_soon(FileWatch *watch)
{
    int enabled = SD_EVENT_OFF;
    sd_event_source_get_enabled(watch->timer, &enabled);
    if (enabled == SD_EVENT_OFF)
        arm(watch, watch->told_usec + PAUSE_USEC);
}

/* What may have happened: everything after an overflow and when a folder itself goes. */
static bool is_about_us(const FileWatch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_IGNORED) != 0)
        return false;
    return event->len == 0 ? (event->mask & (SELF_EVENTS | IN_Q_OVERFLOW | IN_UNMOUNT)) != 0
                           : is_name_on_the_way(watch, event->name);
}

static int on_inotify(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    FileWatch *watch = userdata;
    char buffer[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
            __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(fd, buffer, sizeof(buffer));
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
        if (is_about_us(watch, event))
            tell_soon(watch);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return 0;
}

/* Cuts path, "ROOT/a/b/c", after the deepest folder above c that is there: returns its length, 0
 * when there is none. */
static size_t find_folder(const FileWatch *watch, char *path)
{
    struct stat st;
    size_t n_root_chars = strlen(watch->root);
    for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
        *slash = '\0';
        bool is_root = slash == path + n_root_chars;
        if (stat(is_root && n_root_chars == 0 ? "/" : path, &st) == 0 && S_ISDIR(st.st_mode))
            return MAX((size_t)(slash - path), (size_t)1);
        if (is_root)
            break;
    }
    return 0;
}

static char *full_path(const FileWatch *watch, size_t i)
{
    char *path;
    return asprintf(&path, "%s/%s", watch->root, watch->paths[i]) < 0 ? NULL : path;
}

static int add_watch(const FileWatch *watch, const char *path, uint32_t mask)
{
    /* A folder that went meanwhile is found by looking again. */
    if (inotify_add_watch(watch->inotify_fd, path[0] ? path : "/", mask | IN_MASK_ADD) < 0 &&
            errno != ENOENT && errno != ENOTDIR)
        return -errno;
    return 0;
}

/* Watches what is on the way to one path; *ret_n_chars tells how deep the folder was. */
static int watch_way(const FileWatch *watch, size_t i, size_t *ret_n_chars)
{
    _cleanup_free_ char *path = full_path(watch, i);
    if (!path)
        return -ENOMEM;
    *ret_n_chars = find_folder(watch, path);
    if (*ret_n_chars == 0)
        return -ENOENT;
    int r = add_watch(watch, path, SELF_EVENTS | NAME_EVENTS);
    while (r >= 0 && strlen(path) > strlen(watch->root)) {
        *strrchr(path, '/') = '\0';
        r = add_watch(watch, path, SELF_EVENTS);
    }
    return r;
}

static int watch_all(FileWatch *watch)
{
    size_t n_chars[FILE_WATCH_MAX];
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        bool is_same = true;
        for (size_t i = 0; i < watch->n_paths; i++) {
            int r = watch_way(watch, i, &n_chars[i]);
            if (r < 0)
                return r;
        }
        /* A folder that was made after the look and before the watch would be missed. */
        for (size_t i = 0; i < watch->n_paths; i++) {
            _cleanup_free_ char *path = full_path(watch, i);
            is_same &= path && find_folder(watch, path) == n_chars[i];
        }
        if (is_same)
            return 0;
    }
    return -EAGAIN;
}

static int renew(FileWatch *watch)
{
    watch->source = sd_event_source_disable_unref(watch->source);
    watch->inotify_fd = safe_close(watch->inotify_fd);
    watch->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify_fd < 0)
        return -errno;
    int r = watch_all(watch);
    if (r >= 0)
        r = sd_event_add_io(
                watch->event, &watch->source, watch->inotify_fd, EPOLLIN, on_inotify, watch);
    return r;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    FileWatch *watch = userdata;
    uint64_t now = 0;
    sd_event_now(watch->event, CLOCK_MONOTONIC, &now);
    watch->told_usec = now;
    if (renew(watch) < 0)
        arm(watch, now + RETRY_USEC); /* until then at least a look every now and then */
    watch->on_change(watch->userdata);
    return 0;
}

static bool is_good_path(const char *path)
{
    return path[0] != '\0' && path[0] != '/' && path[strlen(path) - 1] != '/' &&
           strlen(path) < PATH_MAX / 2 && !strstr(path, "..") && !strstr(path, "//");
}

int file_watch_new(sd_event *event, const char *root, const char *const *paths, size_t n_paths,
        void (*on_change)(void *userdata), void *userdata, FileWatch **ret_watch)
{
    if (n_paths > FILE_WATCH_MAX)
        return -EINVAL;
    _cleanup_(file_watch_freep) FileWatch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (FileWatch){.event = sd_event_ref(event),
            .inotify_fd = -1,
            .on_change = on_change,
            .userdata = userdata};
    watch->root = strdup(root);
    if (!watch->root)
        return -ENOMEM;
    for (; watch->n_paths < n_paths; watch->n_paths++) {
        if (!is_good_path(paths[watch->n_paths]))
            return -EINVAL;
        watch->paths[watch->n_paths] = strdup(paths[watch->n_paths]);
        if (!watch->paths[watch->n_paths])
            return -ENOMEM;
    }
    int r = sd_event_add_time(event, &watch->timer, CLOCK_MONOTONIC, 0, 1000, on_time, watch);
    if (r >= 0)
        r = sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = renew(watch);
    if (r < 0)
        return r;
    *ret_watch = TAKE_PTR(watch);
    return 0;
}

void file_watch_free(FileWatch *watch)
{
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->source);
    sd_event_source_disable_unref(watch->timer);
    safe_close(watch->inotify_fd);
    for (size_t i = 0; i < watch->n_paths; i++)
        free(watch->paths[i]);
    free(watch->root);
    sd_event_unref(watch->event);
    free(watch);
}
