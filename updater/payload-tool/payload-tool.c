/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-tool/payload-tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

int payload_tool_fail(int r, const ErrorText *error)
{
    fprintf(stderr, UPDATE_PAYLOAD ": %s\n", error->line[0] ? error->line : strerror(-r));
    return EXIT_FAILURE;
}

int payload_tool_fail_update(UpdateError failure, const ErrorText *error)
{
    fprintf(stderr, UPDATE_PAYLOAD ": %s\n",
            error->line[0] ? error->line : update_error_text(failure));
    return EXIT_FAILURE;
}

int payload_tool_take_options(int argc, char **argv, const char *letters,
        const struct option *table, int (*take)(void *options, int option), void *options)
{
    /* getopt_long() begins anew, and names the program in what it says. */
    argv[0] = (char *)UPDATE_PAYLOAD; /* only read */
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, letters, table, NULL)) >= 0;) {
        int r = take(options, option);
        if (r != 0)
            return r;
    }
    return 0;
}

static int add_folder(PayloadToolKeys *keys, const char *path, ErrorText *error)
{
    return keys->ring ? key_ring_add_folder(keys->ring, path, error)
                      : key_ring_load(path, &keys->ring, error);
}

static int add_file(PayloadToolKeys *keys, const char *path, ErrorText *error)
{
    int r = keys->ring ? 0 : key_ring_new(&keys->ring);
    return r < 0 ? r : key_ring_add_file(keys->ring, path, error);
}

int payload_tool_take_key(PayloadToolKeys *keys, int option)
{
    ErrorText error = {0};
    int r = 0;
    switch (option) {
    case PAYLOAD_TOOL_PUBLIC_KEY:
        r = add_file(keys, optarg, &error);
        break;
    case PAYLOAD_TOOL_KEY_DIR:
        r = add_folder(keys, optarg, &error);
        break;
    default:
        return EXIT_USAGE;
    }
    return r < 0 ? payload_tool_fail(r, &error) : 0;
}

void payload_tool_keys_done(PayloadToolKeys *keys)
{
    key_ring_free(keys->ring);
    keys->ring = NULL;
}

int payload_tool_take_source(PayloadToolSources *sources)
{
    if (sources->n_arguments == ELEMENTS(sources->arguments))
        return payload_tool_usage_error("at most %d --from", MANIFEST_PARTITIONS_MAX);
    sources->arguments[sources->n_arguments++] = optarg;
    return 0;
}

/* The path in NAME=PATH, if it is of this name. */
static const char *path_behind(const char *argument, const char *name)
{
    size_t n = strlen(name);
    return strncmp(argument, name, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

int payload_tool_assign_sources(const PayloadToolSources *sources, const char *const *names,
        size_t n_names, const char **ret_paths, ErrorText *error)
{
    for (size_t i = 0; i < n_names; i++)
        ret_paths[i] = NULL;
    for (size_t i = 0; i < sources->n_arguments; i++) {
        const char *argument = sources->arguments[i], *path = NULL;
        size_t name = 0;
        while (name < n_names && !(path = path_behind(argument, names[name])))
            name++;
        if (!path && n_names == 1) {
            path = argument;
            name = 0;
        }
        if (!path)
            return error_say(error, -EINVAL,
                    "--from '%s' belongs to none of the partitions: say NAME=OLD", argument);
        if (ret_paths[name])
            return error_say(error, -EINVAL, "--from is given twice for partition %s", names[name]);
        ret_paths[name] = path;
    }
    return 0;
}

int payload_tool_assign_payload_sources(const PayloadToolSources *sources, const Manifest *manifest,
        const char *ret_paths[MANIFEST_PARTITIONS_MAX], ErrorText *error)
{
    const char *names[MANIFEST_PARTITIONS_MAX];
    for (size_t i = 0; i < manifest->n_partitions; i++)
        names[i] = manifest->partitions[i].name;
    return payload_tool_assign_sources(sources, names, manifest->n_partitions, ret_paths, error);
}

UpdateError payload_tool_refuse_without_source(
        const Manifest *manifest, const PartitionUpdate *partition, ErrorText *error)
{
    bool has_version = manifest->source_version[0];
    if (manifest->format == 1)
        return error_say(error, UPDATE_ERROR_SOURCE,
                "partition %s is a delta of format 1, which can only be installed",
                partition->name);
    return error_say(error, UPDATE_ERROR_SOURCE,
            "partition %s is a delta: --from must name the image that it begins with%s%s",
            partition->name, has_version ? ", that of version " : "", manifest->source_version);
}

UpdateError payload_tool_open_verified(
        const char *path, const PayloadToolKeys *keys, PayloadFile **ret_file, ErrorText *error)
{
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_file_open(path, keys->ring, &file, error);
    if (failure == UPDATE_OK)
        failure = payload_file_verify(file, keys->ring, error);
    if (failure != UPDATE_OK)
        return failure;
    *ret_file = TAKE_PTR(file);
    return UPDATE_OK;
}

int payload_tool_take_salt(const char *text, PayloadToolSalt *ret_salt)
{
    PayloadToolSalt salt = {.is_given = true, .n_bytes = strlen(text) / 2};
    if (salt.n_bytes == 0 || strlen(text) % 2 != 0 || salt.n_bytes > sizeof(salt.bytes) ||
            hex_decode(text, salt.bytes, salt.n_bytes) < 0)
        return payload_tool_usage_error(
                "--salt '%s' is not 1 to %d bytes in hexadecimal", text, VERITY_SALT_MAX_BYTES);
    *ret_salt = salt;
    return 0;
}

bool payload_tool_parse_number(const char *text, long min, long max, long *ret_number)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno != 0 || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

int payload_tool_take_size(const char *name, const char *text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGT";
    char digits[20];
    size_t n = strspn(text, "0123456789");
    const char *letter = text[n] ? strchr(letters, text[n]) : NULL;
    long number;
    if (n < sizeof(digits) && (!text[n] || (letter && !text[n + 1]))) {
        unsigned shift = letter ? 10 * (unsigned)(letter - letters + 1) : 0;
        memcpy(digits, text, n);
        digits[n] = '\0';
        if (payload_tool_parse_number(digits, 1, INT64_MAX >> shift, &number)) {
            *ret_bytes = (uint64_t)number << shift;
            return 0;
        }
    }
    return payload_tool_usage_error("%s '%s' is no size: bytes, or with K, M, G or T", name, text);
}
