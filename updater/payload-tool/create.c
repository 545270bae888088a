/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "updater/payload-tool/payload-tool.h"
#include "updater/payload-writer/image-packer.h"
#include "updater/payload-writer/payload-writer.h"
#include "updater/payload/manifest-check.h"
#include "updater/payload/signature-set.h"

typedef struct {
    PayloadWriterOptions writer;
    PayloadToolSalt salt;
    PayloadToolSources sources;
    const char *out_path;
    const char *key_paths[SIGNATURE_SET_ENTRIES_MAX];
    size_t n_keys;
    size_t open_signature_bytes[SIGNATURE_SET_ENTRIES_MAX];
    size_t n_open_signatures;
    bool has_frame_prefix; /* was given */
} CreateOptions;

enum {
    OPTION_FORMAT = 256,
    OPTION_PRODUCT,
    OPTION_VERSION,
    OPTION_MIN_VERSION,
    OPTION_FROM_VERSION,
    OPTION_KEY,
    OPTION_SIGNATURE_SIZE,
    OPTION_THREADS,
    OPTION_LEVEL,
    OPTION_FRAME_SIZE,
    OPTION_FRAME_PREFIX,
    OPTION_SALT,
    OPTION_NO_SALT,
    OPTION_NO_VERITY,
};

static const struct option option_table[] = {
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"product", required_argument, NULL, OPTION_PRODUCT},
        {"version", required_argument, NULL, OPTION_VERSION},
        {"min-version", required_argument, NULL, OPTION_MIN_VERSION},
        {"from", required_argument, NULL, PAYLOAD_TOOL_FROM},
        {"from-version", required_argument, NULL, OPTION_FROM_VERSION},
        {"key", required_argument, NULL, OPTION_KEY},
        {"signature-size", required_argument, NULL, OPTION_SIGNATURE_SIZE},
        {"threads", required_argument, NULL, OPTION_THREADS},
        {"level", required_argument, NULL, OPTION_LEVEL},
        {"frame-size", required_argument, NULL, OPTION_FRAME_SIZE},
        {"frame-prefix", required_argument, NULL, OPTION_FRAME_PREFIX},
        {"salt", required_argument, NULL, OPTION_SALT},
        {"no-salt", no_argument, NULL, OPTION_NO_SALT},
        {"no-verity", no_argument, NULL, OPTION_NO_VERITY},
        {"output", required_argument, NULL, 'o'},
        {0},
};

static int take_number(const char *name, long max, long *ret_number)
{
    if (!payload_tool_parse_number(optarg, 1, max, ret_number))
        return payload_tool_usage_error("%s '%s' is no number from 1 to %ld", name, optarg, max);
    return 0;
}

static int take_signature(CreateOptions *options, int option)
{
    if (options->n_keys + options->n_open_signatures == SIGNATURE_SET_ENTRIES_MAX)
        return payload_tool_usage_error(
                "a payload has at most %d signatures", SIGNATURE_SET_ENTRIES_MAX);
    if (option == OPTION_KEY) {
        options->key_paths[options->n_keys++] = optarg;
        return 0;
    }
    long n_bytes = 0;
    int r = take_number("--signature-size", SIGNATURE_MAX_BYTES, &n_bytes);
    if (r == 0)
        options->open_signature_bytes[options->n_open_signatures++] = (size_t)n_bytes;
    return r;
}

static int take_frame_size(size_t *ret_bytes)
{
    uint64_t n_bytes = 0;
    int r = payload_tool_take_size("--frame-size", optarg, &n_bytes);
    if (r == 0 && !manifest_is_frame_size(n_bytes))
        return payload_tool_usage_error("--frame-size '%s' is no power of 2 from %dK to %dK",
                optarg, MANIFEST_BLOCK_BYTES / 1024, MANIFEST_FRAME_MAX_BYTES / 1024);
    *ret_bytes = (size_t)n_bytes;
    return r;
}

static int take_frame_prefix(CreateOptions *options)
{
    uint64_t n_bytes = 0;
    bool is_none = strcmp(optarg, "0") == 0;
    int r = is_none ? 0 : payload_tool_take_size("--frame-prefix", optarg, &n_bytes);
    if (r == 0 && !is_none && !manifest_is_frame_prefix(n_bytes))
        return payload_tool_usage_error("--frame-prefix '%s' is neither 0 nor a multiple of %dK "
                                        "up to %dK",
                optarg, MANIFEST_BLOCK_BYTES / 1024, MANIFEST_FRAME_PREFIX_MAX_BYTES / 1024);
    options->has_frame_prefix = true;
    options->writer.frame_prefix_bytes = (size_t)n_bytes;
    return r;
}

static int take_option(void *userdata, int option)
{
    CreateOptions *options = userdata;
    long number = 0;
    int r = 0;
    switch (option) {
    case OPTION_FORMAT:
        r = take_number("--format", 2, &number);
        options->writer.format = (unsigned)number;
        return r;
    case OPTION_PRODUCT:
        options->writer.product = optarg;
        return 0;
    case OPTION_VERSION:
        options->writer.version = optarg;
        return 0;
    case OPTION_MIN_VERSION:
        options->writer.min_version = optarg;
        return 0;
    case PAYLOAD_TOOL_FROM:
        return payload_tool_take_source(&options->sources);
    case OPTION_FROM_VERSION:
        options->writer.source_version = optarg;
        return 0;
    case OPTION_KEY:
    case OPTION_SIGNATURE_SIZE:
        return take_signature(options, option);
    case OPTION_THREADS:
        r = take_number("--threads", 256, &number);
        options->writer.n_threads = (unsigned)number;
        return r;
    case OPTION_LEVEL:
        r = take_number("--level", 22, &number);
        options->writer.level = (int)number;
        return r;
    case OPTION_FRAME_SIZE:
        return take_frame_size(&options->writer.frame_target_bytes);
    case OPTION_FRAME_PREFIX:
        return take_frame_prefix(options);
    case OPTION_SALT:
        return payload_tool_take_salt(optarg, &options->salt);
    case OPTION_NO_SALT:
        options->salt = (PayloadToolSalt){.is_given = true};
        return 0;
    case OPTION_NO_VERITY:
        options->writer.without_verity = true;
        return 0;
    case 'o':
        options->out_path = optarg;
        return 0;
    default:
        return EXIT_USAGE; /* getopt_long() said why */
    }
}

static int check_v1(const CreateOptions *options)
{
    const PayloadWriterOptions *writer = &options->writer;
    if (writer->product || writer->version || writer->min_version || writer->level != 0 ||
            writer->frame_target_bytes != 0 || options->has_frame_prefix ||
            options->salt.is_given || writer->without_verity)
        return payload_tool_usage_error(
                "format 1 holds no product, no versions and no tree, and is "
                "compressed by bzip2: leave out their options");
    if (options->sources.n_arguments > 0 || writer->source_version)
        return payload_tool_usage_error("deltas are made in format 2 only: leave out --from");
    return 0;
}

static int check_v2(const CreateOptions *options)
{
    if (!options->writer.product || !options->writer.version)
        return payload_tool_usage_error("create needs --product and --version");
    if (options->writer.source_version && options->sources.n_arguments == 0)
        return payload_tool_usage_error("--from-version goes with --from");
    return 0;
}

static int parse(CreateOptions *options, int argc, char **argv)
{
    int r = payload_tool_take_options(argc, argv, "o:", option_table, take_option, options);
    if (r != 0)
        return r;
    r = options->writer.format == 1 ? check_v1(options) : check_v2(options);
    if (r != 0)
        return r;
    if (!options->out_path)
        return payload_tool_usage_error("create needs -o");
    if (options->n_keys + options->n_open_signatures == 0)
        return payload_tool_usage_error("create needs --key, or --signature-size and 'sign' later");
    if (optind == argc)
        return payload_tool_usage_error("create needs at least one NAME=IMAGE");
    for (int i = optind; i < argc; i++)
        if (!strchr(argv[i], '='))
            return payload_tool_usage_error("'%s' is not NAME=IMAGE", argv[i]);
    return 0;
}

/* One line that is written over itself. */
static void on_progress(const char *name, uint64_t n_done, uint64_t n_total, void *userdata)
{
    int *last_percent = userdata;
    int percent = (int)(n_done * 100 / n_total);
    if (percent == *last_percent)
        return;
    *last_percent = percent;
    fprintf(stderr, "\r%s %3d %%%s", name, percent, percent == 100 ? "\r\033[K" : "");
}

static int add_signers(
        PayloadWriter *writer, const CreateOptions *options, SigningKey **keys, ErrorText *error)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < options->n_keys; i++) {
        r = signing_key_load(options->key_paths[i], &keys[i], error);
        if (r >= 0)
            r = payload_writer_add_key(writer, keys[i], error);
    }
    for (size_t i = 0; r >= 0 && i < options->n_open_signatures; i++)
        r = payload_writer_add_open_signature(writer, options->open_signature_bytes[i], error);
    return r;
}

static int add_partition(PayloadWriter *writer, const char *name, const char *image_path,
        const char *old_path, ErrorText *error)
{
    size_t n_padded_bytes = 0;
    int r = payload_writer_add_partition(
            writer, name, image_path, old_path, &n_padded_bytes, error);
    if (r >= 0 && n_padded_bytes > 0)
        fprintf(stderr,
                UPDATE_PAYLOAD ": %s does not end on a block of 4096 bytes: %zu zeros were added\n",
                image_path, n_padded_bytes);
    return r;
}

/* NAME=IMAGE is cut in two, in the program's arguments. */
static int add_partitions(PayloadWriter *writer, const CreateOptions *options, char **arguments,
        size_t n_arguments, ErrorText *error)
{
    const char *names[MANIFEST_PARTITIONS_MAX], *images[MANIFEST_PARTITIONS_MAX];
    const char *sources[MANIFEST_PARTITIONS_MAX];
    if (n_arguments > MANIFEST_PARTITIONS_MAX)
        return error_say(
                error, -EINVAL, "a payload has at most %d partitions", MANIFEST_PARTITIONS_MAX);
    for (size_t i = 0; i < n_arguments; i++) {
        char *equals = strchr(arguments[i], '=');
        *equals = '\0';
        names[i] = arguments[i];
        images[i] = equals + 1;
    }
    int r = payload_tool_assign_sources(&options->sources, names, n_arguments, sources, error);
    for (size_t i = 0; r >= 0 && i < n_arguments; i++)
        r = add_partition(writer, names[i], images[i], sources[i], error);
    return r;
}

static int create(const CreateOptions *options, SigningKey **keys, char **arguments,
        size_t n_arguments, ErrorText *error)
{
    _cleanup_(payload_writer_freep) PayloadWriter *writer = NULL;
    int r = payload_writer_new(options->out_path, &options->writer, &writer, error);
    if (r >= 0)
        r = add_signers(writer, options, keys, error);
    if (r >= 0)
        r = add_partitions(writer, options, arguments, n_arguments, error);
    return r < 0 ? r : payload_writer_finish(writer, error);
}

int update_payload_create(int argc, char **argv, void *context)
{
    (void)context;
    int last_percent = -1;
    CreateOptions options = {
            .writer = {.format = 2,
                    .frame_prefix_bytes = IMAGE_PACKER_FRAME_PREFIX_BYTES,
                    .userdata = &last_percent},
    };
    int r = parse(&options, argc, argv);
    if (r != 0)
        return r;
    options.writer.has_salt = options.salt.is_given;
    options.writer.n_salt_bytes = options.salt.n_bytes;
    memcpy(options.writer.salt, options.salt.bytes, sizeof(options.writer.salt));
    if (isatty(STDERR_FILENO))
        options.writer.on_progress = on_progress;
    SigningKey *keys[SIGNATURE_SET_ENTRIES_MAX] = {0};
    ErrorText error = {0};
    r = create(&options, keys, argv + optind, (size_t)(argc - optind), &error);
    for (size_t i = 0; i < options.n_keys; i++)
        signing_key_free(keys[i]);
    return r < 0 ? payload_tool_fail(r, &error) : EXIT_SUCCESS;
}
