/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "updater/payload-tool/payload-tool.h"
#include "updater/payload-writer/output-file.h"

typedef struct {
    PayloadToolKeys keys;
    PayloadToolSources sources;
    const char *name;
    const char *out_path;
    const char *path;
} ExtractOptions;

static const struct option option_table[] = {
        {"public-key", required_argument, NULL, PAYLOAD_TOOL_PUBLIC_KEY},
        {"key-dir", required_argument, NULL, PAYLOAD_TOOL_KEY_DIR},
        {"from", required_argument, NULL, PAYLOAD_TOOL_FROM},
        {"partition", required_argument, NULL, 'p'},
        {"output", required_argument, NULL, 'o'},
        {0},
};

static int take_option(void *userdata, int option)
{
    ExtractOptions *options = userdata;
    switch (option) {
    case 'p':
        options->name = optarg;
        return 0;
    case 'o':
        options->out_path = optarg;
        return 0;
    case PAYLOAD_TOOL_FROM:
        return payload_tool_take_source(&options->sources);
    default:
        return payload_tool_take_key(&options->keys, option);
    }
}

static int parse(ExtractOptions *options, int argc, char **argv)
{
    int r = payload_tool_take_options(argc, argv, "p:o:", option_table, take_option, options);
    if (r != 0)
        return r;
    if (argc - optind != 1)
        return payload_tool_usage_error("extract takes one payload");
    if (!options->keys.ring)
        return payload_tool_usage_error("extract needs --public-key or --key-dir");
    if (!options->out_path)
        return payload_tool_usage_error("extract needs -o IMAGE");
    options->path = argv[optind];
    return 0;
}

static const PartitionUpdate *find_partition(
        const Manifest *manifest, const char *name, ErrorText *error)
{
    if (!name && manifest->n_partitions == 1)
        return &manifest->partitions[0];
    char names[256] = "";
    for (size_t i = 0; i < manifest->n_partitions; i++) {
        const char *candidate = manifest->partitions[i].name;
        if (name && strcmp(candidate, name) == 0)
            return &manifest->partitions[i];
        size_t n = strlen(names);
        snprintf(names + n, sizeof(names) - n, "%s%s", i > 0 ? ", " : "", candidate);
    }
    if (name)
        error_say(error, 0, "the payload has no partition '%s'; it has %s", name, names);
    else
        error_say(error, 0, "say with -p which partition: the payload has %s", names);
    return NULL;
}

/* Opens what the partition begins with; NULL where it begins with nothing. */
static UpdateError open_source(const ExtractOptions *options, const Manifest *manifest,
        const PartitionUpdate *partition, PayloadSource **ret_source, ErrorText *error)
{
    const char *paths[MANIFEST_PARTITIONS_MAX];
    if (payload_tool_assign_payload_sources(&options->sources, manifest, paths, error) < 0)
        return UPDATE_ERROR_GENERIC;
    const char *path = paths[partition - manifest->partitions];
    if (path)
        return payload_source_open(path, partition, ret_source, error);
    return partition->has_source ? payload_tool_refuse_without_source(manifest, partition, error)
                                 : UPDATE_OK;
}

static UpdateError extract(const ExtractOptions *options, ErrorText *error)
{
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_tool_open_verified(options->path, &options->keys, &file, error);
    if (failure != UPDATE_OK)
        return failure;
    const PartitionUpdate *partition =
            find_partition(payload_file_manifest(file), options->name, error);
    if (!partition)
        return UPDATE_ERROR_GENERIC;
    _cleanup_(payload_source_freep) PayloadSource *source = NULL;
    failure = open_source(options, payload_file_manifest(file), partition, &source, error);
    if (failure != UPDATE_OK)
        return failure;
    _cleanup_(output_file_freep) OutputFile *out = NULL;
    if (output_file_new(options->out_path, &out, error) < 0)
        return UPDATE_ERROR_GENERIC;
    failure = payload_file_extract(file, partition, source, output_file_fd(out), 0, error);
    if (failure == UPDATE_OK && output_file_commit(out, error) < 0)
        failure = UPDATE_ERROR_WRITE;
    return failure;
}

int update_payload_extract(int argc, char **argv, void *context)
{
    (void)context;
    ExtractOptions options = {0};
    ErrorText error = {0};
    int r = parse(&options, argc, argv);
    if (r == 0) {
        UpdateError failure = extract(&options, &error);
        if (failure != UPDATE_OK)
            r = payload_tool_fail_update(failure, &error);
    }
    payload_tool_keys_done(&options.keys);
    return r;
}
