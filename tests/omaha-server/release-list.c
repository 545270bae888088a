/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/release-list.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/omaha-server/release-folder.h"

/* Adds what one name in the folder stands for to object. */
typedef int (*AddEntry)(int folder_fd, const char *name, json_t *object, ErrorText *error);

static int add_channel(int folder_fd, const char *name, json_t *object, ErrorText *error)
{
    char version[RELEASE_NAME_MAX + 1];
    int r = release_folder_find_channel(folder_fd, name, version, error);
    return r < 0 ? r : json_object_set_new(object, name, json_string(version));
}

static int add_release(int folder_fd, const char *name, json_t *object, ErrorText *error)
{
    Release release;
    char sha256[SHA256_HEX_CHARS + 1];
    int r = release_folder_find(folder_fd, name, NULL, &release, NULL, error);
    if (r < 0)
        return r;
    sha256_to_hex(&release.sha256, sha256);
    return json_object_set_new(object, name,
            json_pack("{s:I, s:s}", "size", (json_int_t)release.size_bytes, "sha256", sha256));
}

static int filter_names(const struct dirent *entry)
{
    return release_name_is_valid(entry->d_name);
}

static int read_names(
        int folder_fd, const char *path, AddEntry add, json_t *object, ErrorText *error)
{
    struct dirent **entries;
    int n_entries = scandirat(folder_fd, path, &entries, filter_names, versionsort);
    if (n_entries < 0)
        return error_say(error, -errno, "cannot read %s: %s; is this a folder of omaha-server?",
                path, strerror(errno));
    int r = 0;
    for (int i = 0; i < n_entries; i++) {
        if (r >= 0)
            r = add(folder_fd, entries[i]->d_name, object, error);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static void print_text(const json_t *channels, const json_t *releases, FILE *out)
{
    const char *name;
    const json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)channels, name, value)
        fprintf(out, "channel %-20s %s\n", name, json_string_value(value));
    json_object_foreach ((json_t *)(uintptr_t)releases, name, value)
        fprintf(out, "release %-20s %lld bytes, sha256 %s\n", name,
                (long long)json_integer_value(json_object_get(value, "size")),
                json_string_value(json_object_get(value, "sha256")));
}

int release_list_print(int folder_fd, bool is_json, FILE *out, ErrorText *error)
{
    json_t *channels = json_object(), *releases = json_object();
    int r = read_names(folder_fd, "channels", add_channel, channels, error);
    if (r >= 0)
        r = read_names(folder_fd, "releases", add_release, releases, error);
    if (r >= 0 && !is_json)
        print_text(channels, releases, out);
    json_t *all = json_pack("{s:o, s:o}", "channels", channels, "releases", releases);
    if (r >= 0 && is_json) {
        json_dumpf(all, out, JSON_INDENT(2));
        fputc('\n', out);
    }
    json_decref(all);
    return r;
}
