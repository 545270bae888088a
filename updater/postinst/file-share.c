/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/file-share.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fd-io.h"

#define SECRET_BYTES 16
#define REQUEST_BYTES 4096
#define PIECE_BYTES ((size_t)256 * 1024)
#define STALL_MSEC 10000 /* of a client; the next one waits */

struct FileShare {
    SharedFile files[FILE_SHARE_MAX];
    size_t n_files;
    char path[2 * SECRET_BYTES + 3]; /* "/1f.../" */
    char url[96];
    int listen_fd;
    int end_fd; /* readable: the thread is to end */
    pthread_t thread;
    bool has_thread;
};

/* --- the thread -------------------------------------------------------------------------- */

/* Returns whether fd is ready; false also when the thread is to end. */
static bool wait_for(const FileShare *share, int fd, short events, int limit_msec)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = share->end_fd, .events = POLLIN}};
    int n;
    do
        n = poll(fds, ELEMENTS(fds), limit_msec);
    while (n < 0 && errno == EINTR);
    return n > 0 && fds[0].revents && !fds[1].revents;
}

/* Reads to the end of the request's head. */
static bool read_request(const FileShare *share, int fd, char *ret_text)
{
    size_t n = 0;
    ret_text[0] = '\0';
    while (!strstr(ret_text, "\r\n\r\n")) {
        if (n == REQUEST_BYTES - 1 || !wait_for(share, fd, POLLIN, STALL_MSEC))
            return false;
        ssize_t n_read = read(fd, ret_text + n, REQUEST_BYTES - 1 - n);
        if (n_read <= 0 || memchr(ret_text + n, '\0', (size_t)n_read))
            return false;
        n += (size_t)n_read;
        ret_text[n] = '\0';
    }
    return true;
}

static const SharedFile *find_file(const FileShare *share, const char *request)
{
    static const char method[] = "GET ";
    size_t n_path = strlen(share->path);
    if (strncmp(request, method, strlen(method)) != 0 ||
            strncmp(request + strlen(method), share->path, n_path) != 0)
        return NULL;
    const char *name = request + strlen(method) + n_path;
    size_t n_name = strcspn(name, " \r\n");
    for (size_t i = 0; i < share->n_files; i++)
        if (strlen(share->files[i].name) == n_name &&
                memcmp(share->files[i].name, name, n_name) == 0)
            return &share->files[i];
    return NULL;
}

static void send_file(const FileShare *share, int fd, const SharedFile *file)
{
    char head[192];
    int n_head = snprintf(head, sizeof(head),
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            "Content-Length: %" PRIu64 "\r\nConnection: close\r\n\r\n",
            file->size_bytes);
    if (send(fd, head, (size_t)n_head, MSG_NOSIGNAL) != n_head)
        return;
    off_t at = 0;
    while ((uint64_t)at < file->size_bytes && wait_for(share, fd, POLLOUT, STALL_MSEC)) {
        ssize_t n = sendfile(fd, file->fd, &at, PIECE_BYTES);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

static void answer(const FileShare *share, int fd)
{
    static const char not_found[] =
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char request[REQUEST_BYTES];
    if (!read_request(share, fd, request))
        return;
    const SharedFile *file = find_file(share, request);
    if (file)
        send_file(share, fd, file);
    else
        (void)send(fd, not_found, strlen(not_found), MSG_NOSIGNAL);
    /* Without this a client that sends more may get a reset instead of the answer's end. */
    (void)shutdown(fd, SHUT_WR);
    (void)wait_for(share, fd, POLLIN, STALL_MSEC);
}

static void *serve(void *userdata)
{
    const FileShare *share = userdata;
    while (wait_for(share, share->listen_fd, POLLIN, -1)) {
        _cleanup_close_ int fd =
                accept4(share->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            answer(share, fd);
    }
    return NULL;
}

/* --- the object -------------------------------------------------------------------------- */

static int hash_file(SharedFile *file)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece || sha256_stream_new(&stream) < 0)
        return -ENOMEM;
    for (uint64_t at = 0; at < file->size_bytes;) {
        size_t n = (size_t)MIN((uint64_t)PIECE_BYTES, file->size_bytes - at);
        int r = fd_pread_full(file->fd, piece, n, at);
        if (r < 0)
            return r;
        sha256_stream_add(stream, piece, n);
        at += n;
    }
    sha256_stream_finish(stream, &file->sha256);
    return 0;
}

static int name_file(FileShare *share, SharedFile *file, const char *path, ErrorText *error)
{
    static const char allowed[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_-";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    if (n == 0 || n >= sizeof(file->name) || strspn(name, allowed) != n || name[0] == '.')
        return error_say(error, -EINVAL,
                "'%s' can be no extension's name: letters, digits and '.+_-' can", name);
    for (size_t i = 0; i < share->n_files; i++)
        if (strcmp(share->files[i].name, name) == 0)
            return error_say(error, -EINVAL, "there are two extensions of the name %s", name);
    memcpy(file->name, name, n + 1);
    return 0;
}

static int add_file(FileShare *share, const char *path, ErrorText *error)
{
    if (share->n_files == FILE_SHARE_MAX)
        return error_say(error, -EINVAL, "there are more than %d extensions", FILE_SHARE_MAX);
    SharedFile *file = &share->files[share->n_files];
    int r = name_file(share, file, path, error);
    if (r < 0)
        return r;
    struct stat st;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0)
        return error_say(
                error, -errno, "the extension %s cannot be read: %s", path, strerror(errno));
    share->n_files++;
    if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_say(error, -EINVAL, "the extension %s is not a regular file", path);
    file->size_bytes = (uint64_t)st.st_size;
    r = hash_file(file);
    return r < 0 ? error_say(error, r, "the extension %s cannot be read: %s", path, strerror(-r))
                 : 0;
}

static int make_secret(FileShare *share)
{
    uint8_t secret[SECRET_BYTES];
    if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
        return -EIO;
    char *c = share->path;
    *c++ = '/';
    for (size_t i = 0; i < sizeof(secret); i++)
        c += sprintf(c, "%02x", secret[i]);
    strcpy(c, "/");
    return 0;
}

static int listen_here(FileShare *share)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    int r = make_secret(share);
    if (r < 0)
        return r;
    share->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    share->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (share->listen_fd < 0 || share->end_fd < 0 ||
            bind(share->listen_fd, (struct sockaddr *)&address, n) < 0 ||
            listen(share->listen_fd, SOMAXCONN) < 0 ||
            getsockname(share->listen_fd, (struct sockaddr *)&address, &n) < 0)
        return -errno;
    snprintf(share->url, sizeof(share->url), "http://127.0.0.1:%u%s", ntohs(address.sin_port),
            share->path);
    r = -pthread_create(&share->thread, NULL, serve, share);
    share->has_thread = r == 0;
    return r;
}

int file_share_new(
        const char *const *paths, size_t n_paths, FileShare **ret_share, ErrorText *error)
{
    _cleanup_(file_share_freep) FileShare *share = calloc(1, sizeof(*share));
    if (!share)
        return -ENOMEM;
    share->listen_fd = share->end_fd = -1;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n_paths; i++)
        r = add_file(share, paths[i], error);
    if (r < 0)
        return r;
    r = listen_here(share);
    if (r < 0)
        return error_say(error, r, "the extensions cannot be offered: %s", strerror(-r));
    *ret_share = TAKE_PTR(share);
    return 0;
}

void file_share_free(FileShare *share)
{
    if (!share)
        return;
    if (share->has_thread) {
        (void)eventfd_write(share->end_fd, 1);
        pthread_join(share->thread, NULL);
    }
    for (size_t i = 0; i < share->n_files; i++)
        safe_close(share->files[i].fd);
    safe_close(share->listen_fd);
    safe_close(share->end_fd);
    free(share);
}

const char *file_share_url(const FileShare *share)
{
    return share->url;
}

const SharedFile *file_share_files(const FileShare *share, size_t *ret_n_files)
{
    *ret_n_files = share->n_files;
    return share->files;
}
