/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "updater/payload-tool/payload-tool.h"
#include "updater/payload-writer/output-file.h"

typedef struct {
    PayloadToolKeys keys;
    PayloadToolSources sources;
    bool is_full;
    const char *path;
} VerifyOptions;

enum { OPTION_FULL = 256 };

static const struct option option_table[] = {
        {"public-key", required_argument, NULL, PAYLOAD_TOOL_PUBLIC_KEY},
        {"key-dir", required_argument, NULL, PAYLOAD_TOOL_KEY_DIR},
        {"from", required_argument, NULL, PAYLOAD_TOOL_FROM},
        {"full", no_argument, NULL, OPTION_FULL},
        {0},
};

static int take_option(void *userdata, int option)
{
    VerifyOptions *options = userdata;
    if (option == PAYLOAD_TOOL_FROM)
        return payload_tool_take_source(&options->sources);
    if (option != OPTION_FULL)
        return payload_tool_take_key(&options->keys, option);
    options->is_full = true;
    return 0;
}

static int parse(VerifyOptions *options, int argc, char **argv)
{
    int r = payload_tool_take_options(argc, argv, "", option_table, take_option, options);
    if (r != 0)
        return r;
    if (argc - optind != 1)
        return payload_tool_usage_error("verify takes one payload");
    if (!options->keys.ring)
        return payload_tool_usage_error("verify needs --public-key or --key-dir");
    options->path = argv[optind];
    return 0;
}

/* Makes the partition in a file without a name. */
static UpdateError check_content(const PayloadFile *file, const PartitionUpdate *partition,
        const PayloadSource *source, ErrorText *error)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/update-payload", folder && folder[0] ? folder : "/var/tmp");
    _cleanup_close_ int fd = output_file_open_scratch(path, error);
    if (fd < 0)
        return UPDATE_ERROR_GENERIC;
    return payload_file_extract(file, partition, source, fd, 0, error);
}

/* source_path: NULL where --from names none. */
static UpdateError verify_partition(const VerifyOptions *options, const PayloadFile *file,
        const PartitionUpdate *partition, const char *source_path, ErrorText *error)
{
    _cleanup_(payload_source_freep) PayloadSource *source = NULL;
    if (!source_path && partition->has_source && options->is_full)
        return payload_tool_refuse_without_source(payload_file_manifest(file), partition, error);
    if (source_path) {
        UpdateError failure = payload_source_open(source_path, partition, &source, error);
        if (failure != UPDATE_OK)
            return failure;
    }
    return options->is_full ? check_content(file, partition, source, error)
                            : payload_file_check_operations(file, partition, source, error);
}

static UpdateError verify(const VerifyOptions *options, PayloadFile **ret_file,
        bool *ret_lacks_source, ErrorText *error)
{
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_tool_open_verified(options->path, &options->keys, &file, error);
    if (failure != UPDATE_OK)
        return failure;
    const Manifest *manifest = payload_file_manifest(file);
    const char *paths[MANIFEST_PARTITIONS_MAX];
    if (payload_tool_assign_payload_sources(&options->sources, manifest, paths, error) < 0)
        return UPDATE_ERROR_GENERIC;
    for (size_t i = 0; i < manifest->n_partitions; i++) {
        const PartitionUpdate *partition = &manifest->partitions[i];
        failure = verify_partition(options, file, partition, paths[i], error);
        if (failure != UPDATE_OK)
            return failure;
        *ret_lacks_source = *ret_lacks_source || (partition->has_source && !paths[i]);
    }
    *ret_file = TAKE_PTR(file);
    return UPDATE_OK;
}

static void print_good(const char *path, const Manifest *manifest, bool lacks_source)
{
    if (manifest->format == 1)
        printf("%s is good: format 1\n", path);
    else
        printf("%s is good: product %s, version %s%s\n", path, manifest->product, manifest->version,
                lacks_source ? "; its signatures, structure and data, but what the delta makes "
                               "only --from tells"
                             : "");
}

int update_payload_verify(int argc, char **argv, void *context)
{
    (void)context;
    VerifyOptions options = {0};
    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    bool lacks_source = false;
    int r = parse(&options, argc, argv);
    if (r == 0) {
        UpdateError failure = verify(&options, &file, &lacks_source, &error);
        if (failure != UPDATE_OK)
            r = payload_tool_fail_update(failure, &error);
    }
    payload_tool_keys_done(&options.keys);
    if (r == 0)
        print_good(options.path, payload_file_manifest(file), lacks_source);
    return r;
}
