/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/image/slot-image.h"
#include "updater/payload-tool/payload-tool.h"

typedef struct {
    SlotImageOptions image;
    PayloadToolSalt salt;
    const char *out_path;
    bool has_cmdline;
} ImageOptions;

enum {
    OPTION_FS = 256,
    OPTION_STUB,
    OPTION_LINUX,
    OPTION_INITRD,
    OPTION_CMDLINE,
    OPTION_PRODUCT,
    OPTION_VERSION,
    OPTION_SIZE,
    OPTION_SALT,
    OPTION_NO_SALT,
    OPTION_SECUREBOOT_KEY,
    OPTION_SECUREBOOT_CERTIFICATE,
};

static const struct option option_table[] = {
        {"fs", required_argument, NULL, OPTION_FS},
        {"stub", required_argument, NULL, OPTION_STUB},
        {"linux", required_argument, NULL, OPTION_LINUX},
        {"initrd", required_argument, NULL, OPTION_INITRD},
        {"cmdline", required_argument, NULL, OPTION_CMDLINE},
        {"product", required_argument, NULL, OPTION_PRODUCT},
        {"version", required_argument, NULL, OPTION_VERSION},
        {"size", required_argument, NULL, OPTION_SIZE},
        {"salt", required_argument, NULL, OPTION_SALT},
        {"no-salt", no_argument, NULL, OPTION_NO_SALT},
        {"secureboot-key", required_argument, NULL, OPTION_SECUREBOOT_KEY},
        {"secureboot-certificate", required_argument, NULL, OPTION_SECUREBOOT_CERTIFICATE},
        {"output", required_argument, NULL, 'o'},
        {0},
};

static int take_initrd(UkiOptions *uki)
{
    if (uki->n_initrds == UKI_INITRDS_MAX)
        return payload_tool_usage_error("at most %d --initrd", UKI_INITRDS_MAX);
    uki->initrd_paths[uki->n_initrds++] = optarg;
    return 0;
}

static int take_option(void *userdata, int option)
{
    ImageOptions *options = userdata;
    SlotImageOptions *image = &options->image;
    switch (option) {
    case OPTION_FS:
        image->fs_path = optarg;
        return 0;
    case OPTION_STUB:
        image->uki.stub_path = optarg;
        return 0;
    case OPTION_LINUX:
        image->uki.linux_path = optarg;
        return 0;
    case OPTION_INITRD:
        return take_initrd(&image->uki);
    case OPTION_CMDLINE:
        image->cmdline = optarg;
        options->has_cmdline = true;
        return 0;
    case OPTION_PRODUCT:
        image->product = optarg;
        return 0;
    case OPTION_VERSION:
        image->version = optarg;
        return 0;
    case OPTION_SIZE:
        return payload_tool_take_size("--size", optarg, &image->size_bytes);
    case OPTION_SALT:
        return payload_tool_take_salt(optarg, &options->salt);
    case OPTION_NO_SALT:
        options->salt = (PayloadToolSalt){.is_given = true};
        return 0;
    case OPTION_SECUREBOOT_KEY:
        image->uki.key_path = optarg;
        return 0;
    case OPTION_SECUREBOOT_CERTIFICATE:
        image->uki.certificate_path = optarg;
        return 0;
    case 'o':
        options->out_path = optarg;
        return 0;
    default:
        return EXIT_USAGE; /* getopt_long() said why */
    }
}

static int parse(ImageOptions *options, int argc, char **argv)
{
    SlotImageOptions *image = &options->image;
    UkiOptions *uki = &image->uki;
    int r = payload_tool_take_options(argc, argv, "o:", option_table, take_option, options);
    if (r != 0)
        return r;
    if (optind < argc)
        return payload_tool_usage_error("image takes no argument such as '%s'", argv[optind]);
    if (!image->fs_path || !image->product || !image->version || !options->out_path)
        return payload_tool_usage_error("image needs --fs, --product, --version and -o");
    if (!uki->stub_path != !uki->linux_path)
        return payload_tool_usage_error("--stub and --linux make a kernel image together");
    if (!uki->linux_path && (uki->n_initrds > 0 || options->has_cmdline || uki->key_path))
        return payload_tool_usage_error(
                "--initrd, --cmdline and --secureboot-key are of a kernel image, which needs "
                "--stub and --linux");
    if (!uki->key_path != !uki->certificate_path)
        return payload_tool_usage_error(
                "--secureboot-key and --secureboot-certificate sign together");
    image->has_uki = uki->linux_path;
    image->has_salt = options->salt.is_given;
    image->n_salt_bytes = options->salt.n_bytes;
    memcpy(image->salt, options->salt.bytes, sizeof(image->salt));
    return 0;
}

int update_payload_image(int argc, char **argv, void *context)
{
    (void)context;
    ImageOptions options = {.image.cmdline = ""};
    SlotImageReport report;
    ErrorText error = {0};
    char root_hash[SHA256_HEX_CHARS + 1];
    int r = parse(&options, argc, argv);
    if (r != 0)
        return r;
    r = slot_image_make(&options.image, options.out_path, &report, &error);
    if (r < 0)
        return payload_tool_fail(r, &error);
    if (report.n_padded_bytes > 0)
        fprintf(stderr,
                UPDATE_PAYLOAD ": %s does not end on a block of 4096 bytes: %zu zeros were added\n",
                options.image.fs_path, report.n_padded_bytes);
    sha256_to_hex(&report.root_hash, root_hash);
    printf("%s: %s %s, %" PRIu64 " bytes, root hash %s\n", options.out_path, options.image.product,
            options.image.version, report.size_bytes, root_hash);
    return EXIT_SUCCESS;
}
