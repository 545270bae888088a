/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/release-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/omaha-server/payload-copy.h"

/* A release is put together in releases/.new and changes places with the one of its version, if
 * there is one, in one rename. The folder's lock keeps two `add` apart; a `.new` that a killed one
 * left behind is removed by the next. */

#define NEW_FOLDER "releases/.new"
#define RELEASE_JSON_MAX_BYTES 4096
#define PATH_BYTES (2 * RELEASE_NAME_MAX + 32)

bool release_name_is_valid(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._+-";
    size_t n = strlen(text);
    return n > 0 && n <= RELEASE_NAME_MAX && text[0] != '.' && strspn(text, allowed) == n;
}

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Where the release lies, or its delta. */
static void path_of(const char *version, const char *from, char ret_path[static PATH_BYTES])
{
    if (from)
        snprintf(ret_path, PATH_BYTES, "releases/%s/delta-%s", version, from);
    else
        snprintf(ret_path, PATH_BYTES, "releases/%s", version);
}

static int make_folder(int folder_fd, const char *path)
{
    return mkdirat(folder_fd, path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int release_folder_open(const char *path, bool is_made, ErrorText *error)
{
    int r = is_made ? make_folder(AT_FDCWD, path) : 0;
    if (r < 0)
        return error_say(error, r, "cannot make %s: %s", path, strerror(-r));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno,
                "cannot open %s: %s; 'omaha-server add' makes such a folder", path,
                strerror(errno));
    if (is_made) {
        r = make_folder(fd, "releases");
        if (r >= 0)
            r = make_folder(fd, "channels");
        if (r < 0)
            return error_say(error, r, "cannot make a folder in %s: %s", path, strerror(-r));
    }
    return TAKE_FD(fd);
}

/* Removes a release's folder, which holds files, and folders of deltas, which hold files alone. Not
 * there is success. */
static int remove_release(int folder_fd, const char *path)
{
    _cleanup_close_ int fd = openat(folder_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    struct dirent **entries;
    int n_entries = scandirat(folder_fd, path, &entries, is_entry, NULL), r = 0;
    for (int i = 0; i < n_entries; i++) {
        if (r >= 0 && unlinkat(fd, entries[i]->d_name, 0) < 0)
            r = errno == EISDIR ? remove_release(fd, entries[i]->d_name) : -errno;
        free(entries[i]);
    }
    if (n_entries >= 0)
        free(entries);
    if (n_entries < 0 || (r >= 0 && unlinkat(folder_fd, path, AT_REMOVEDIR) < 0))
        return -errno;
    return r;
}

static int write_release_json(int release_fd, const Release *release)
{
    char sha256[SHA256_HEX_CHARS + 1];
    sha256_to_hex(&release->sha256, sha256);
    _cleanup_free_ char *text = NULL;
    int n = asprintf(&text,
            "{\"version\": \"%s\", \"size\": %llu, \"sha256\": \"%s\", \"sha1\": \"%s\", "
            "\"metadata_size\": %llu}\n",
            release->version, (unsigned long long)release->size_bytes, sha256, release->sha1_base64,
            (unsigned long long)release->metadata_bytes);
    return n < 0 ? -ENOMEM : atomic_file_write(release_fd, "release.json", text, (size_t)n, 0644);
}

/* Puts NEW_FOLDER in the place of what it stands for. */
static int put_in_place(int folder_fd, const char *path)
{
    if (renameat2(folder_fd, NEW_FOLDER, folder_fd, path, RENAME_NOREPLACE) >= 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (renameat2(folder_fd, NEW_FOLDER, folder_fd, path, RENAME_EXCHANGE) < 0)
        return -errno;
    return remove_release(folder_fd, NEW_FOLDER); /* the one before */
}

static int add_new_folder(
        int folder_fd, int payload_fd, const char *from, Release *release, ErrorText *error)
{
    char path[PATH_BYTES];
    path_of(release->version, from, path);
    int r = remove_release(folder_fd, NEW_FOLDER);
    if (r >= 0)
        r = make_folder(folder_fd, NEW_FOLDER);
    if (r < 0)
        return error_say(error, r, "cannot make " NEW_FOLDER ": %s", strerror(-r));
    _cleanup_close_ int release_fd =
            openat(folder_fd, NEW_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (release_fd < 0)
        return error_say(error, -errno, "cannot open " NEW_FOLDER ": %s", strerror(errno));

    PayloadDigests digests;
    r = payload_copy(payload_fd, release_fd, "payload", &digests);
    if (r < 0)
        return error_say(error, r, "cannot copy the payload: %s", strerror(-r));
    release->size_bytes = digests.size_bytes;
    release->metadata_bytes = payload_read_metadata_bytes(payload_fd);
    release->sha256 = digests.sha256;
    snprintf(release->sha1_base64, sizeof(release->sha1_base64), "%s", digests.sha1_base64);
    r = write_release_json(release_fd, release);
    if (r >= 0)
        r = put_in_place(folder_fd, path);
    return r < 0 ? error_say(error, r, "cannot add %s: %s", path, strerror(-r)) : 0;
}

static int check_name(const char *what, const char *name, ErrorText *error)
{
    if (release_name_is_valid(name))
        return 0;
    return error_say(error, -EINVAL,
            "'%.60s' cannot be a %s: letters, digits and . _ + - only, no"
            " dot first, at most %d",
            name, what, RELEASE_NAME_MAX);
}

/* from NULL: a release of its own. */
static int add(int folder_fd, const char *payload_path, const char *version, const char *from,
        const char *channel, Release *ret_release, ErrorText *error)
{
    int r = check_name("channel", channel, error);
    if (r >= 0 && from)
        r = check_name("version", from, error);
    if (r < 0)
        return r;
    _cleanup_close_ int payload_fd = open(payload_path, O_RDONLY | O_CLOEXEC);
    if (payload_fd < 0)
        return error_say(error, -errno, "cannot open %s: %s", payload_path, strerror(errno));
    _cleanup_free_ char *own_version = NULL;
    if (!version) {
        r = payload_read_version(payload_fd, &own_version, error);
        if (r < 0)
            return r;
        if (own_version[0] == '\0')
            return error_say(error, -EINVAL,
                    "the payload is of format 1 and names no version: say it with --version");
        version = own_version;
    }
    r = check_name("version", version, error);
    if (r >= 0 && from)
        r = release_folder_find(folder_fd, version, NULL, ret_release, NULL, error);
    if (r < 0)
        return r;

    Release release = {};
    snprintf(release.version, sizeof(release.version), "%s", version);
    if (flock(folder_fd, LOCK_EX) < 0)
        return error_say(error, -errno, "cannot lock the folder: %s", strerror(errno));
    r = add_new_folder(folder_fd, payload_fd, from, &release, error);
    flock(folder_fd, LOCK_UN);
    if (r < 0)
        return r;
    r = release_folder_point(folder_fd, channel, version, error);
    if (r < 0)
        return r;
    *ret_release = release;
    return 0;
}

int release_folder_add(int folder_fd, const char *payload_path, const char *version,
        const char *channel, Release *ret_release, ErrorText *error)
{
    return add(folder_fd, payload_path, version, NULL, channel, ret_release, error);
}

int release_folder_add_delta(int folder_fd, const char *payload_path, const char *version,
        const char *from, const char *channel, Release *ret_delta, ErrorText *error)
{
    return add(folder_fd, payload_path, version, from, channel, ret_delta, error);
}

int release_folder_point(int folder_fd, const char *channel, const char *version, ErrorText *error)
{
    int r = check_name("channel", channel, error);
    if (r < 0)
        return r;
    Release release;
    r = release_folder_find(folder_fd, version, NULL, &release, NULL, error);
    if (r < 0)
        return r;
    char path[RELEASE_NAME_MAX + 16], line[RELEASE_NAME_MAX + 2];
    snprintf(path, sizeof(path), "channels/%s", channel);
    int n = snprintf(line, sizeof(line), "%s\n", version);
    r = atomic_file_write(folder_fd, path, line, (size_t)n, 0644);
    return r < 0 ? error_say(error, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int release_folder_find_channel(int folder_fd, const char *channel,
        char ret_version[static RELEASE_NAME_MAX + 1], ErrorText *error)
{
    char path[RELEASE_NAME_MAX + 16];
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    if (!release_name_is_valid(channel))
        return error_say(error, -ENOENT, "there is no channel '%.60s'", channel);
    snprintf(path, sizeof(path), "channels/%s", channel);
    int r = fd_read_file(folder_fd, path, RELEASE_NAME_MAX + 2, &text, &n_bytes);
    if (r == -ENOENT)
        return error_say(error, r, "there is no channel '%s'", channel);
    if (r < 0)
        return error_say(error, r, "cannot read %s: %s", path, strerror(-r));
    text[strcspn(text, "\r\n")] = '\0';
    if (!release_name_is_valid(text))
        return error_say(error, -EBADMSG, "%s does not hold a version", path);
    snprintf(ret_version, RELEASE_NAME_MAX + 1, "%s", text);
    return 0;
}

static int parse_release_json(const char *text, size_t n_bytes, Release *ret_release)
{
    const char *version, *sha256, *sha1;
    json_int_t size_bytes, metadata_bytes = 0; /* which an older folder lacks */
    json_t *json = json_loadb(text, n_bytes, 0, NULL);
    int r = -EBADMSG;
    if (json_unpack(json, "{s:s, s:I, s:s, s:s, s?I}", "version", &version, "size", &size_bytes,
                "sha256", &sha256, "sha1", &sha1, "metadata_size", &metadata_bytes) == 0 &&
            size_bytes >= 0 && metadata_bytes >= 0 && release_name_is_valid(version) &&
            sha256_from_hex(sha256, &ret_release->sha256) >= 0 &&
            strlen(sha1) == SHA1_BASE64_CHARS) {
        ret_release->size_bytes = (uint64_t)size_bytes;
        ret_release->metadata_bytes = (uint64_t)metadata_bytes;
        snprintf(ret_release->version, sizeof(ret_release->version), "%s", version);
        snprintf(ret_release->sha1_base64, sizeof(ret_release->sha1_base64), "%s", sha1);
        r = 0;
    }
    json_decref(json);
    return r;
}

int release_folder_find(int folder_fd, const char *version, const char *from, Release *ret_release,
        int *ret_payload_fd, ErrorText *error)
{
    char path[PATH_BYTES];
    if (!release_name_is_valid(version) || (from && !release_name_is_valid(from)))
        return error_say(error, -ENOENT, "there is no release '%.60s'", version);
    path_of(version, from, path);
    _cleanup_close_ int fd = openat(folder_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno,
                errno == ENOENT ? "there is no release '%s'" : "cannot open release '%s'", version);

    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    Release release = {};
    int r = fd_read_file(fd, "release.json", RELEASE_JSON_MAX_BYTES, &text, &n_bytes);
    if (r >= 0)
        r = parse_release_json(text, n_bytes, &release);
    if (r < 0)
        return error_say(error, r, "%s/release.json: %s", path, strerror(-r));
    if (ret_payload_fd) {
        int payload_fd = openat(fd, "payload", O_RDONLY | O_CLOEXEC);
        if (payload_fd < 0)
            return error_say(error, -errno, "%s/payload: %s", path, strerror(errno));
        *ret_payload_fd = payload_fd;
    }
    *ret_release = release;
    return 0;
}
